//! Subqueries in expressions: EXISTS, IN, ARRAY and the one value of a row, as aggregates that DataFusion can join.
//!
//! DataFusion runs a subquery that depends on its row where it is an aggregate of everything, joined by equalities, and EXISTS
//! in WHERE and HAVING. What else there is becomes one of the two here, or stays as it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, LimitClause,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, UnaryOperator, Value, VisitMut,
    VisitorMut,
};

use super::correlation::{aggregates, gives_rows, is_correlated, is_windowed_within, numbers_outside, reads_outside};
use super::memberships::{counted, member};
use super::syntax::{binary, construct, not};
use super::trees::{call, is_grouped, item, number, over, project, select_of};

/// Rewrites the subqueries in the expressions of a query. Those inside them are rewritten when they are visited.
pub(super) fn settle(query: &mut Query) {
    selects(&mut query.body);
    if let Some(order) = &mut query.order_by {
        let _ = order.visit(&mut Expressions::new(false));
    }
}

fn selects(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => settle_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            selects(left);
            selects(right);
        }
        _ => {}
    }
}

fn settle_select(select: &mut Select) {
    for clause in select.selection.iter_mut().chain(select.having.iter_mut()) {
        condition(clause, false);
    }
    let mut values = Expressions::new(false);
    let _ = select.projection.visit(&mut values);
    let _ = select.group_by.visit(&mut values);
}

/// A part of a condition for which unknown is as good as false.
fn condition(expr: &mut Expr, is_beside_or: bool) {
    match expr {
        Expr::Nested(inner) => condition(inner, is_beside_or),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let is_beside_or = is_beside_or || *op == BinaryOperator::Or;
            condition(left, is_beside_or);
            condition(right, is_beside_or);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => match bare(inner) {
            Expr::InSubquery { expr: value, subquery, negated } => {
                let (value, subquery) = (value.clone(), subquery.clone());
                *expr = Expr::InSubquery { expr: value, subquery, negated: !negated };
                condition(expr, is_beside_or);
            }
            _ => values_of(expr),
        },
        Expr::InSubquery { subquery, .. } if numbers_outside(subquery) => {
            *expr =
                construct("refused a window or DISTINCT ON over the rows of an outer row is not supported", Vec::new());
        }
        Expr::InSubquery { expr: value, subquery, negated } => {
            values_of(value);
            // DataFusion's own way with one value is the faster one. With NOT it knows one key, and not beside OR.
            let is_theirs = !*negated || !is_beside_or && !is_correlated(subquery);
            if (is_row(value) || !is_theirs)
                && let Some(found) = member(value, subquery, *negated)
            {
                *expr = found;
            }
        }
        _ => values_of(expr),
    }
}

/// The subqueries of a part of a condition.
fn values_of(expr: &mut Expr) {
    let _ = expr.visit(&mut Expressions::new(true));
}

pub(super) fn is_row(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::Tuple(_))
}

pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// Rewrites subqueries in one query's expressions.
struct Expressions {
    depth: usize,
    is_condition: bool,
    /// Operands of ANY and ALL, which have more than one value.
    kept: Vec<Query>,
}

impl Expressions {
    fn new(is_condition: bool) -> Self {
        Self { depth: 0, is_condition, kept: Vec::new() }
    }
}

impl VisitorMut for Expressions {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Expr::Subquery(query) = right.as_ref() {
                    match array(query).filter(|_| !self.is_condition) {
                        Some(list) => **right = list,
                        None => self.kept.push(query.as_ref().clone()),
                    }
                }
            }
            Expr::BinaryOp { left, right, .. } => {
                if let (Expr::Tuple(values), Expr::Subquery(query)) = (left.as_ref(), right.as_ref())
                    && let Some(parts) = parts(query, values.len())
                {
                    **right = Expr::Tuple(parts);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Subquery(query) = expr
            && let Some(place) = self.kept.iter().position(|kept| kept == query.as_ref())
        {
            self.kept.remove(place);
            return ControlFlow::Continue(());
        }
        if self.depth == 0
            && let Some(found) = rewritten(expr, self.is_condition)
        {
            *expr = found;
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &Expr, is_condition: bool) -> Option<Expr> {
    match expr {
        Expr::Exists { subquery, .. } | Expr::Subquery(subquery) if numbers_outside(subquery) => Some(construct(
            "refused a window or DISTINCT ON over the rows of an outer row is not supported",
            Vec::new(),
        )),
        Expr::Exists { subquery, negated } => exists(subquery, *negated, is_condition),
        Expr::Subquery(query) => only(query),
        Expr::InSubquery { expr, subquery, negated } => counted(expr, subquery, *negated),
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(query) if function.name.to_string().eq_ignore_ascii_case("array") => {
                array(query)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The columns of a subquery that gives a row, each as a subquery of its own.
fn parts(query: &Query, width: usize) -> Option<Vec<Expr>> {
    let select = plain(query)?;
    if select.distinct.is_some() || select.projection.len() != width || gives_rows(&select.projection) {
        return None;
    }
    let part = |part: &SelectItem| {
        let mut query = query.clone();
        let value = item(part)?;
        project(&mut query, value)?;
        Some(Expr::Subquery(Box::new(query)))
    };
    select.projection.iter().map(part).collect()
}

/// EXISTS as a count, and of a union as EXISTS of each part.
fn exists(subquery: &Query, negated: bool, is_condition: bool) -> Option<Expr> {
    if let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = subquery.body.as_ref()
        && is_bare(subquery)
    {
        let side = |body: &SetExpr| {
            let query = Query { body: Box::new(body.clone()), order_by: None, ..subquery.clone() };
            exists(&query, false, is_condition).unwrap_or(Expr::Exists { subquery: Box::new(query), negated: false })
        };
        let either = Expr::Nested(Box::new(binary(side(left), BinaryOperator::Or, side(right))));
        return Some(if negated { not(either) } else { either });
    }
    // In WHERE DataFusion joins for it, by whatever condition.
    if is_condition || super::queries::is_one_row(subquery) {
        return None;
    }
    let mut query = match is_correlated(subquery) {
        false => over(first_of(subquery.clone()), Vec::new()),
        true if is_windowed_within(subquery) => return None,
        true => {
            let select = plain(subquery)?;
            let mut query = subquery.clone();
            if (aggregates(&select.projection) && !is_grouped(select)) || gives_rows(&select.projection) {
                return None;
            }
            ungroup(&mut query)?;
            query
        }
    };
    project(&mut query, call("count", None, Vec::new()))?;
    let op = if negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
    Some(Expr::Nested(Box::new(binary(Expr::Subquery(Box::new(query)), op, number(0)))))
}

/// No more than one row of a query that has no limit of its own.
fn first_of(mut query: Query) -> Query {
    if query.limit_clause.is_none() && query.fetch.is_none() {
        query.order_by = None;
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(number(1)), offset: None, limit_by: Vec::new() });
    }
    query
}

/// The one value that a subquery has for a row: all values as an array, of which more than one are an error.
fn only(query: &Query) -> Option<Expr> {
    if !is_correlated(query) || is_windowed_within(query) {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [value] = select.projection.as_slice() else { return None };
    let value = item(value)?;
    let is_plain =
        !reads_outside(select) && select.distinct.is_none() && select.having.is_none() && !is_grouped(select);
    if !is_plain || aggregates(&select.projection) || gives_rows(&select.projection) {
        return None;
    }
    let (verb, order) = match place(query)? {
        None => ("only", Vec::new()),
        Some(place) => (if place == 0 { "first" } else { return None }, keys(query, select)?),
    };
    let listed = call("array_agg", Some(construct("one", vec![value])), order);
    let mut all = query.clone();
    all.order_by = None;
    all.limit_clause = None;
    all.fetch = None;
    project(&mut all, listed)?;
    Some(construct(verb, vec![Expr::Subquery(Box::new(all))]))
}

/// Which row a query of one row takes: none in particular, if it has no limit.
#[allow(clippy::option_option, reason = "a limit that is not understood is no limit that is not there")]
fn place(query: &Query) -> Option<Option<usize>> {
    let is_one = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text == "1"));
    match (&query.limit_clause, &query.fetch) {
        (None, None) => Some(None),
        (Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by }), None) => {
            (limit_by.is_empty() && is_one(limit)).then_some(Some(0))
        }
        (None, Some(fetch)) if !fetch.with_ties && !fetch.percent => {
            fetch.quantity.as_ref().is_none_or(is_one).then_some(Some(0))
        }
        _ => None,
    }
}

/// The keys of a query's order as an aggregate takes them: not by place or by a name of the select list.
pub(super) fn keys(query: &Query, select: &Select) -> Option<Vec<OrderByExpr>> {
    let Some(order) = &query.order_by else { return Some(Vec::new()) };
    let OrderByKind::Expressions(list) = &order.kind else { return None };
    let key = |order: &OrderByExpr| {
        let found = match &order.expr {
            Expr::Value(_) => return None,
            Expr::Identifier(name) => select.projection.iter().find_map(|part| match part {
                SelectItem::ExprWithAlias { expr, alias } if alias.value == name.value => Some(expr.clone()),
                _ => None,
            }),
            _ => None,
        };
        Some(OrderByExpr { expr: found.unwrap_or_else(|| order.expr.clone()), ..order.clone() })
    };
    list.iter().map(key).collect()
}

/// `ARRAY(SELECT …)`: the values in their order, and no values are an empty array.
pub(super) fn array(query: &Query) -> Option<Expr> {
    let select = plain(query)?;
    let [value] = select.projection.as_slice() else { return None };
    let value = item(value)?;
    if is_grouped(select)
        || aggregates(&select.projection)
        || gives_rows(&select.projection)
        || is_windowed_within(query)
    {
        return None;
    }
    let order = keys(query, select)?;
    let is_distinct = select.distinct.is_some();
    // The order of distinct values is that of the values themselves, or an accident.
    if is_distinct && !matches!(order.as_slice(), [only] if only.expr == value) {
        return None;
    }
    let mut listed = call("array_agg", Some(value), order);
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut listed
        && is_distinct
    {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
    }
    let mut all = query.clone();
    all.order_by = None;
    project(&mut all, listed)?;
    Some(construct("filled", vec![Expr::Subquery(Box::new(all))]))
}

/// A query that is one SELECT: no limit, no grouping by conditions, nothing before it. An order it may have.
pub(super) fn plain(query: &Query) -> Option<&Select> {
    match query.body.as_ref() {
        SetExpr::Select(select) if is_bare(query) && select.having.is_none() && !reads_outside(select) => {
            (!matches!(select.distinct, Some(Distinct::On(_)))).then_some(select)
        }
        _ => None,
    }
}

/// Whether a query has nothing but its body and an order.
fn is_bare(query: &Query) -> bool {
    query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none()
}

/// Rows instead of groups and distinct rows, of which there are some where there are some of those. A grouping by sets may
/// have one where there are no rows.
fn ungroup(query: &mut Query) -> Option<()> {
    let select = select_of(query)?;
    let is_simple =
        |expr: &Expr| !matches!(expr, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) | Expr::Tuple(_));
    match &select.group_by {
        GroupByExpr::Expressions(list, more) if more.is_empty() && list.iter().all(is_simple) => {}
        _ => return None,
    }
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    query.order_by = None;
    Some(())
}

#[cfg(test)]
mod tests;
