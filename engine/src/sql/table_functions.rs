//! Functions in FROM that give rows: a subquery that unnests an array, which the function makes.
//!
//! Only where their operands depend on no other table: DataFusion can't unnest for each row of one.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Query, SelectItem, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::correlation::is_correlated;
use super::syntax::construct;
use super::trees::{SET, alias, call, derived, ident, query, select};
use crate::columns::rows;

/// The subquery that gives the rows of a function.
pub(super) fn settle(factor: &TableFactor) -> Option<TableFactor> {
    let known = rows(factor)?;
    let operands = match factor {
        TableFactor::Table { args: Some(args), .. } => plain(&args.args)?,
        TableFactor::Function { args, .. } => plain(args)?,
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.clone(),
        _ => return None,
    };
    if operands.iter().any(depends) {
        return None;
    }
    let (lists, cast) = match known.function.as_str() {
        "unnest" => (operands.into_iter().map(|array| construct("flat", vec![array])).collect(), None),
        name => {
            let (list, cast) = array(name, operands)?;
            (vec![list], cast)
        }
    };
    Some(derived(unnested(lists, cast, &known.columns), alias(known.table, Vec::new())))
}

/// The array of the rows that a function gives, and the type to which its elements are cast.
pub(super) fn array(name: &str, operands: Vec<Expr>) -> Option<(Expr, Option<&'static str>)> {
    Some(match name {
        "generate_series" => (construct("series", operands), None),
        "string_to_table" => (construct("call string_to_array", operands), None),
        "regexp_split_to_table" => (construct("call regexp_split_to_array", operands), None),
        name => (construct(format!("call {name}"), operands), super::json::rows_of(name)?),
    })
}

fn plain(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let operand = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    args.iter().map(operand).collect()
}

/// Whether an operand has a column: in FROM it can only be another table's.
fn depends(operand: &Expr) -> bool {
    struct Columns(usize);
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0 += 1;
            if is_correlated(query) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) if self.0 == 0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    operand.visit(&mut Columns(0)).is_break()
}

/// `SELECT unnest(list) AS column, … FROM (SELECT … AS list, …)`, with the places of the elements if there is one more name.
fn unnested(lists: Vec<Expr>, cast: Option<&str>, names: &[Ident]) -> Query {
    let list = |number: usize| ident(format!("?list {number}"));
    let column = |number: usize| Expr::CompoundIdentifier(vec![ident(SET), list(number)]);
    let rows_of = |array: Expr| call("unnest", Some(array), Vec::new());
    let width = lists.len();
    let mut inner = select();
    let listed = |(number, expr): (usize, Expr)| SelectItem::ExprWithAlias { expr, alias: list(number) };
    inner.projection = lists.into_iter().enumerate().map(listed).collect();
    let mut outer = select();
    outer.from =
        vec![TableWithJoins { relation: derived(query(inner), alias(ident(SET), Vec::new())), joins: Vec::new() }];
    let item = |(number, name): (usize, &Ident)| {
        let rows = if number < width {
            rows_of(column(number))
        } else {
            rows_of(construct("ordinals", (0..width).map(column).collect()))
        };
        let expr = match cast.filter(|_| number < width) {
            Some(kind) => construct(format!("cast {kind}"), vec![rows]),
            None => rows,
        };
        SelectItem::ExprWithAlias { expr, alias: name.clone() }
    };
    outer.projection = names.iter().enumerate().map(item).collect();
    query(outer)
}
