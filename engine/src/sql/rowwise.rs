//! Subqueries that depend on their row in a way that DataFusion can't join for: by another condition than an equality,
//! through functions in FROM, or over more than one query around them.
//!
//! What DataFusion can join for is left to it. Of the rest the outer rows are numbered, and the subquery's rows are made
//! beside them (`rows`), so that nothing is read once for each row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::bool_or;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};

mod pieces;
mod rows;

use pieces::{all, column, extended, filter, is_true, named, own, projection, truth, under};
use rows::{Outer, Rows};

use super::types::refused;

/// The plan without the subqueries that DataFusion would not run. What can't be made beside its rows stays as it is, and
/// is refused when the statement is planned physically.
pub(crate) fn unfolded(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    if !depends(&plan)? {
        return Ok(plan);
    }
    let is_theirs = match state.optimize(&plan) {
        Ok(optimized) => !is_left(&optimized)?,
        Err(_) => false,
    };
    if is_theirs {
        return Ok(plan);
    }
    let mut names = Names::default();
    Ok(plan.transform_up_with_subqueries(|node| names.node(node))?.data)
}

/// Whether a plan has a column of a query around one of its subqueries.
fn depends(plan: &LogicalPlan) -> Result<bool> {
    has(plan, |expr| matches!(expr, Expr::OuterReferenceColumn(..)))
}

/// Whether an optimized plan has what can't be planned physically.
fn is_left(plan: &LogicalPlan) -> Result<bool> {
    has(plan, |expr| matches!(expr, Expr::OuterReferenceColumn(..) | Expr::Exists(_) | Expr::InSubquery(_)))
}

/// Whether a plan has a column of a query around it that this schema has.
fn reads(plan: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    has(plan, |expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if schema.has_column(column)))
}

/// Whether a plan has such an expression, in its subqueries too.
fn has(plan: &LogicalPlan, is: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found || expr.exists(|expr| Ok(is(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Names that no statement can write, each given once.
#[derive(Debug, Default)]
struct Names {
    given: usize,
    /// Whether a part of the plan has changed, so that the nodes above it have another schema.
    is_changed: bool,
}

impl Names {
    fn next(&mut self) -> String {
        self.given += 1;
        format!("?{}", self.given)
    }

    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let node = if self.is_changed { node.recompute_schema()? } else { node };
        let found = match &node {
            LogicalPlan::Join(join) => self.lateral(join),
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Aggregate(_) => self.valued(&node),
            _ => Ok(None),
        };
        match found {
            Ok(Some(plan)) => {
                self.is_changed = true;
                Ok(Transformed::yes(plan))
            }
            _ => Ok(Transformed::new(node, self.is_changed, TreeNodeRecursion::Continue)),
        }
    }

    /// A join whose right side depends on the rows of its left side.
    fn lateral(&mut self, join: &Join) -> Result<Option<LogicalPlan>> {
        let is_known = join.on.is_empty() && matches!(join.join_type, JoinType::Inner | JoinType::Left);
        if !is_known || !reads(&join.right, join.left.schema())? {
            return Ok(None);
        }
        let outer = self.outer(join.left.as_ref().clone())?;
        let mut rows = self.rows(&outer, &join.right)?;
        if let Some(condition) = &join.filter {
            let columns: Vec<Expr> = all(join.left.schema()).into_iter().chain(rows.columns.clone()).collect();
            let condition = under(condition, &join.schema, &columns, &DFSchema::empty())?;
            rows = self.kept(rows, &condition)?;
        }
        let is_inner = join.join_type == JoinType::Inner;
        if !is_inner {
            rows = self.filled(rows, &outer)?;
        }
        let Rows { plan, columns, mark, .. } = rows;
        let (plan, mark) = if is_inner && !is_true(&mark) { (filter(plan, mark)?, truth(true)) } else { (plan, mark) };
        let mut listed = all(join.left.schema());
        for (expr, (relation, field)) in columns.iter().zip(join.right.schema().iter()) {
            listed.push(named(&plan, &mark, expr, relation.cloned(), field.name())?);
        }
        Ok(Some(projection(plan, listed)?))
    }

    /// A node with the values of its subqueries in their place, as columns of what it reads.
    fn valued(&mut self, node: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let inputs = node.inputs();
        let [input] = inputs.as_slice() else { return Ok(None) };
        let mut plan = LogicalPlan::clone(input);
        let mut values: Vec<(Expr, Expr)> = Vec::new();
        for subquery in subqueries(node, input.schema())? {
            if let Ok((next, value)) = self.value(&plan, &subquery) {
                plan = next;
                values.push((subquery, value));
            }
        }
        if values.is_empty() {
            return Ok(None);
        }
        let keeper = NamePreserver::new(node);
        let replaced = |expr: Expr| -> Result<Expr> {
            let name = keeper.save(&expr);
            let found = expr.transform_down(|expr| match values.iter().find(|(subquery, _)| *subquery == expr) {
                Some((_, value)) => Ok(Transformed::new(value.clone(), true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(expr)),
            })?;
            Ok(name.restore(found.data))
        };
        let exprs = node.expressions().into_iter().map(replaced).collect::<Result<Vec<_>>>()?;
        let found = node.with_new_exprs(exprs, vec![plan])?;
        Ok(Some(match found {
            // A filter would pass on the columns that were added.
            LogicalPlan::Filter(_) => projection(found, all(input.schema()))?,
            found => found,
        }))
    }

    /// The value of a subquery as a column beside the rows of a plan.
    fn value(&mut self, plan: &LogicalPlan, subquery: &Expr) -> Result<(LogicalPlan, Expr)> {
        let outer = self.outer(plan.clone())?;
        match subquery {
            Expr::ScalarSubquery(subquery) => {
                let rows = self.rows(&outer, &subquery.subquery)?;
                let ([value], true) = (rows.columns.as_slice(), rows.is_single) else {
                    return Err(refused("a subquery that depends on its row in this way gives one aggregate here"));
                };
                let name = self.next();
                let value = named(&rows.plan, &rows.mark, value, Some(own()), &name)?;
                Ok((extended(rows.plan, vec![value])?, column(&name)))
            }
            Expr::Exists(Exists { subquery, negated }) => {
                let rows = self.rows(&outer, &subquery.subquery)?;
                let (plan, found) = self.any(rows, &outer)?;
                Ok((plan, if *negated { Expr::Not(Box::new(found)) } else { found }))
            }
            _ => Err(refused("only EXISTS and single values depend on their row here")),
        }
    }

    /// Whether an outer row has any of the rows.
    fn any(&mut self, rows: Rows, outer: &Outer) -> Result<(LogicalPlan, Expr)> {
        let (mark, found) = (self.next(), self.next());
        let marked = extended(rows.plan, vec![rows.mark.alias_qualified(Some(own()), &mark)])?;
        if rows.is_single {
            return Ok((marked, column(&mark)));
        }
        let columns = all(outer.plan.schema());
        let any = bool_or(column(&mark));
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(marked), columns.clone(), vec![any])?);
        let last = all(plan.schema()).pop().ok_or_else(|| refused("an aggregate has a column"))?;
        let listed = columns.into_iter().chain([last.alias_qualified(Some(own()), &found)]).collect();
        Ok((projection(plan, listed)?, column(&found)))
    }
}

/// The subqueries in the expressions of a node that depend on the rows that it reads.
fn subqueries(node: &LogicalPlan, schema: &DFSchema) -> Result<Vec<Expr>> {
    let mut found: Vec<Expr> = Vec::new();
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            let plan = match expr {
                Expr::ScalarSubquery(subquery) | Expr::Exists(Exists { subquery, .. }) => &subquery.subquery,
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            if !found.contains(expr) && reads(plan, schema)? {
                found.push(expr.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
