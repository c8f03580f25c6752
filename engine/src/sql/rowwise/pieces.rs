//! Pieces of the plans that subqueries become.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, FieldMetadata};
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan, Projection};

use super::super::types::refused;

/// The table of the columns that are added.
const OWN: &str = "?own";

/// The columns of a schema.
pub(super) fn all(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

pub(super) fn own() -> TableReference {
    TableReference::bare(OWN)
}

/// A column that was added.
pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::new(Some(own()), name))
}

pub(super) fn truth(value: bool) -> Expr {
    Expr::Literal(ScalarValue::Boolean(Some(value)), None)
}

pub(super) fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

pub(super) fn projection(plan: LogicalPlan, listed: Vec<Expr>) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Projection(Projection::try_new(listed, Arc::new(plan))?))
}

pub(super) fn filter(plan: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?))
}

/// A plan with further columns.
pub(super) fn extended(plan: LogicalPlan, added: Vec<Expr>) -> Result<LogicalPlan> {
    let listed = all(plan.schema()).into_iter().chain(added).collect();
    projection(plan, listed)
}

pub(super) fn both(left: &Expr, right: Expr) -> Expr {
    if is_true(left) { right } else { left.clone().and(right) }
}

/// An expression where a row is marked, and otherwise NULL or another one.
pub(super) fn case(mark: &Expr, expr: Expr, otherwise: Option<Expr>) -> Expr {
    if is_true(mark) {
        return expr;
    }
    let when = vec![(Box::new(mark.clone()), Box::new(expr))];
    Expr::Case(Case::new(None, when, otherwise.map(Box::new)))
}

/// An expression of marked rows under a name. It keeps what its field remembers.
pub(super) fn named(
    plan: &LogicalPlan,
    mark: &Expr,
    expr: &Expr,
    relation: Option<TableReference>,
    name: &str,
) -> Result<Expr> {
    let (_, field) = expr.to_field(plan.schema())?;
    let metadata = Some(FieldMetadata::new_from_field(&field));
    Ok(case(mark, expr.clone(), None).alias_qualified_with_metadata(relation, name, metadata))
}

/// An expression of the subquery over the rows that were made of it.
pub(super) fn under(expr: &Expr, inner: &DFSchema, columns: &[Expr], around: &DFSchema) -> Result<Expr> {
    let replacement = |expr: &Expr| -> Result<Option<Expr>> {
        match expr {
            Expr::Column(column) => Ok(columns.get(inner.index_of_column(column)?).cloned()),
            Expr::OuterReferenceColumn(_, column) if around.has_column(column) => {
                Ok(Some(Expr::Column(column.clone())))
            }
            Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => Ok(None),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                Err(refused("a subquery in such a place can't depend on the row around it"))
            }
            _ => Ok(None),
        }
    };
    let found = expr.clone().transform_up(|expr| {
        Ok(match replacement(&expr)? {
            Some(found) => Transformed::yes(found),
            None => Transformed::no(expr),
        })
    })?;
    Ok(found.data)
}

/// An aggregate of marked rows. Arrays and texts are put together in the order of the elements that they are made of.
pub(super) fn marked(call: Expr, mark: &Expr, order: &[Expr]) -> Result<Expr> {
    let Expr::AggregateFunction(mut call) = call else {
        return Err(refused("this aggregate can't depend on the row around it"));
    };
    let params = &mut call.params;
    if params.order_by.is_empty() && !params.distinct && matches!(call.func.name(), "array_agg" | "string_agg") {
        params.order_by = order.iter().map(|place| place.clone().sort(true, false)).collect();
    }
    if is_true(mark) {
        return Ok(Expr::AggregateFunction(call));
    }
    let guarded = |expr: Expr| match expr {
        Expr::Literal(..) | Expr::Column(_) => expr,
        other => case(mark, other, None),
    };
    params.args = std::mem::take(&mut params.args).into_iter().map(guarded).collect();
    for key in &mut params.order_by {
        key.expr = guarded(std::mem::replace(&mut key.expr, truth(true)));
    }
    let condition = params.filter.take().map_or_else(|| mark.clone(), |condition| both(mark, guarded(*condition)));
    params.filter = Some(Box::new(condition));
    Ok(Expr::AggregateFunction(call))
}
