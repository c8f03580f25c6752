//! Columns that joins with USING and NATURAL merge: which side a bare name means.
//!
//! DataFusion takes the left column in any join. In RIGHT joins it is the right one, in FULL joins the one that is there, so
//! such joins are written with ON, and a bare name as the column that it means.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    JoinConstraint, JoinOperator, ObjectName,
};

use super::expressions::Order;
use super::scopes::{Table, Walk};

/// A merged column of a query and what it means.
#[derive(Debug)]
pub(super) struct Merged {
    name: String,
    expr: Expr,
}

/// Which side of a join the merged column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Either,
}

impl Walk<'_> {
    /// Settles a column of USING.
    pub(super) fn using(&mut self, name: &mut ObjectName) {
        if let [part] = name.0.as_slice()
            && let Some(mut ident) = part.as_ident().cloned()
            && self.column(&mut ident, Order::Inputs)
        {
            *name = ObjectName::from(vec![ident]);
        }
    }

    /// The place of the next table in the innermost frame.
    pub(super) fn place(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.tables.len())
    }

    /// What a settled bare name of the innermost query means, if a join has merged it.
    pub(super) fn merged(&self, ident: &Ident, order: Order) -> Option<Expr> {
        let frame = self.frames.last()?;
        if order == Order::OutputsFirst && frame.outputs.contains(&ident.value) {
            return None;
        }
        frame.merged.iter().rev().find(|merged| merged.name == ident.value).map(|merged| merged.expr.clone())
    }

    /// Notes the columns that a join merges. Its left tables begin at the first place in the frame, its right ones at the second.
    pub(super) fn merge(&mut self, operator: &mut JoinOperator, left: usize, right: usize) {
        let Some((side, constraint)) = sided(operator) else { return };
        let Some(frame) = self.frames.last_mut() else { return };
        let (before, right) = frame.tables.split_at(right.min(frame.tables.len()));
        let left = &before[left.min(before.len())..];
        if before.iter().chain(right).any(|table| table.columns.is_open) || (side != Side::Left && frame.has_star) {
            return;
        }
        let names: Vec<String> = match constraint {
            JoinConstraint::Using(names) => names.iter().filter_map(last_of).collect(),
            JoinConstraint::Natural if side != Side::Left => common(left, right),
            _ => return,
        };
        let mut found: Vec<(Merged, Expr)> = Vec::new();
        for name in names {
            let known = frame.merged.iter().rev().find(|merged| merged.name == name);
            let of_left = known.map(|merged| merged.expr.clone()).or_else(|| column(left, &name));
            let (Some(of_left), Some(of_right)) = (of_left, column(right, &name)) else { return };
            let equal = Expr::BinaryOp {
                left: Box::new(of_left.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(of_right.clone()),
            };
            let expr = match side {
                Side::Left => of_left,
                Side::Right => of_right,
                Side::Either => coalesce([of_left, of_right]),
            };
            found.push((Merged { name, expr }, equal));
        }
        let condition = found.iter().map(|(_, equal)| equal.clone()).reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
        if let Some(condition) = condition
            && side != Side::Left
        {
            *constraint = JoinConstraint::On(condition);
        }
        frame.merged.extend(found.into_iter().map(|(merged, _)| merged));
    }
}

fn sided(operator: &mut JoinOperator) -> Option<(Side, &mut JoinConstraint)> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => Some((Side::Left, constraint)),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => Some((Side::Right, constraint)),
        JoinOperator::FullOuter(constraint) => Some((Side::Either, constraint)),
        _ => None,
    }
}

/// The condition of a join.
pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

fn last_of(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone())
}

/// The names of columns that both sides have.
fn common(left: &[Table], right: &[Table]) -> Vec<String> {
    let names = |tables: &[Table]| -> Vec<String> {
        tables.iter().flat_map(|table| table.columns.names.iter().cloned()).collect()
    };
    let (left, right) = (names(left), names(right));
    let mut found: Vec<String> = Vec::new();
    for name in left {
        if right.contains(&name) && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The column of a name, if one table has it.
fn column(tables: &[Table], name: &str) -> Option<Expr> {
    let mut having = tables.iter().filter(|table| table.columns.names.iter().any(|column| column == name));
    let table = having.next().filter(|table| !table.name.is_empty())?;
    let part = |text: &str| Ident::with_quote('"', text);
    having.next().is_none().then(|| Expr::CompoundIdentifier(vec![part(&table.name), part(name)]))
}

fn coalesce(parts: [Expr; 2]) -> Expr {
    let args = parts.into_iter().map(|part| FunctionArg::Unnamed(FunctionArgExpr::Expr(part))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
