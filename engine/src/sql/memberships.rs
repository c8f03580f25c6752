//! IN of a subquery, where DataFusion can't join for it: as EXISTS, as counts, or as ANY of an array.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Ident, Query, Value};

use super::correlation::{aggregates, is_captured, is_correlated, is_movable, is_windowed_within};
use super::queries::is_one_row;
use super::subqueries::{array, bare, is_row, plain};
use super::syntax::{binary, not, null};
use super::trees::{SET, call, ident, is_grouped, item, number, operand, over, project, restrict};

/// Whether a value or row is in a subquery, as EXISTS: true or not.
pub(super) fn member(value: &Expr, subquery: &Query, negated: bool) -> Option<Expr> {
    let values = match bare(value) {
        Expr::Tuple(values) => values.clone(),
        other => vec![other.clone()],
    };
    if !values.iter().all(is_movable) || is_windowed_within(subquery) {
        return None;
    }
    let (mut query, columns) = rows_of(subquery, values.len(), &values)?;
    let equal = |(column, value): (Expr, Expr)| binary(column, BinaryOperator::Eq, operand(value));
    let all = columns.into_iter().zip(values).map(equal).reduce(|l, r| binary(l, BinaryOperator::And, r))?;
    let all = Expr::Nested(Box::new(all));
    // A row that may be the one keeps NOT IN from being true.
    restrict(&mut query, if negated { Expr::IsNotFalse(Box::new(all)) } else { all })?;
    project(&mut query, number(1))?;
    Some(Expr::Exists { subquery: Box::new(query), negated })
}

/// The rows of a subquery with their columns as expressions: under a name of their own, or, where it depends on the row
/// around it, in the subquery itself.
fn rows_of(subquery: &Query, width: usize, values: &[Expr]) -> Option<(Query, Vec<Expr>)> {
    if !is_correlated(subquery) {
        let names: Vec<Ident> = (1..=width).map(|number| ident(format!("?{number}"))).collect();
        let columns = names.iter().map(|name| Expr::CompoundIdentifier(vec![ident(SET), name.clone()])).collect();
        return Some((over(subquery.clone(), names), columns));
    }
    let select = plain(subquery)?;
    if is_grouped(select) || aggregates(&select.projection) || values.iter().any(|value| is_captured(value, subquery)) {
        return None;
    }
    let columns = select.projection.iter().map(item).collect::<Option<Vec<Expr>>>()?;
    (columns.len() == width).then(|| (subquery.clone(), columns))
}

/// `value IN (subquery)` as counts, true, false or unknown, where its place tells the two last apart.
pub(super) fn counted(value: &Expr, subquery: &Query, negated: bool) -> Option<Expr> {
    // An aggregate of everything is one value.
    if !is_row(value) && is_one_row(subquery) {
        let op = if negated { BinaryOperator::NotEq } else { BinaryOperator::Eq };
        let equal = binary(operand(value.clone()), op, Expr::Subquery(Box::new(subquery.clone())));
        return Some(Expr::Nested(Box::new(equal)));
    }
    if !is_row(value) && is_correlated(subquery) {
        let left = Box::new(operand(value.clone()));
        let right = Box::new(array(subquery)?);
        let any = Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, is_some: false };
        return Some(if negated { not(any) } else { Expr::Nested(Box::new(any)) });
    }
    if is_row(value) || !is_movable(value) || is_windowed_within(subquery) {
        return None;
    }
    let count = |condition: &dyn Fn(Expr) -> Option<Expr>| {
        let (mut query, columns) = rows_of(subquery, 1, std::slice::from_ref(value))?;
        if let Some(condition) = condition(columns.into_iter().next()?) {
            restrict(&mut query, condition)?;
        }
        project(&mut query, call("count", None, Vec::new()))?;
        Some(binary(Expr::Subquery(Box::new(query)), BinaryOperator::Gt, number(0)))
    };
    let equal = count(&|column| Some(binary(column, BinaryOperator::Eq, operand(value.clone()))))?;
    let unknown = count(&|column| Some(Expr::IsNull(Box::new(operand(column)))))?;
    let any = count(&|_| None)?;
    let is_null = Expr::IsNull(Box::new(operand(value.clone())));
    let when = |condition: Expr, result: Expr| CaseWhen { condition, result };
    let truth = |is: bool| Expr::Value(Value::Boolean(is).with_empty_span());
    let unknown =
        binary(unknown, BinaryOperator::Or, Expr::Nested(Box::new(binary(is_null, BinaryOperator::And, any))));
    Some(Expr::Nested(Box::new(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![when(equal, truth(!negated)), when(unknown, null())],
        else_result: Some(Box::new(truth(negated))),
    })))
}
