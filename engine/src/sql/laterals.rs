//! LATERAL with a limit: the rows of each value that the tables beside it are joined by are numbered in their order.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Fetch, Ident, JoinConstraint, JoinOperator, LimitClause, Offset, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, Value,
};

use super::correlation::{Sides, aggregates, gives_rows, is_windowed_within, sides, tables};
use super::subqueries::keys;
use super::syntax::{binary, construct};
use super::trees::{alias, derived, ident, is_grouped, item, window};

/// Rewrites the subqueries in FROM that have a limit for each row.
pub(super) fn settle(select: &mut Select) {
    if select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
        return;
    }
    let mut known: Vec<(String, Vec<Ident>)> = Vec::new();
    let mut conditions: Vec<Expr> = Vec::new();
    for from in &mut select.from {
        let keeps = from.joins.iter().all(|join| keeps_left(&join.join_operator));
        if keeps && let Some(found) = placed(&from.relation) {
            from.relation = found.relation;
            conditions.push(found.condition);
            known.push(found.columns);
        }
        for join in &mut from.joins {
            let Some(on) = constraint(&mut join.join_operator) else { continue };
            let Some(found) = placed(&join.relation) else { continue };
            join.relation = found.relation;
            let condition = match std::mem::replace(on, JoinConstraint::None) {
                JoinConstraint::On(other) => {
                    binary(found.condition, BinaryOperator::And, Expr::Nested(Box::new(other)))
                }
                _ => found.condition,
            };
            *on = JoinConstraint::On(condition);
            if matches!(join.join_operator, JoinOperator::CrossJoin(_)) {
                join.join_operator = match std::mem::replace(&mut join.join_operator, JoinOperator::CrossApply) {
                    JoinOperator::CrossJoin(on) => JoinOperator::Inner(on),
                    other => other,
                };
            }
            known.push(found.columns);
        }
    }
    for condition in conditions {
        select.selection = Some(match select.selection.take() {
            Some(before) => binary(Expr::Nested(Box::new(before)), BinaryOperator::And, condition),
            None => condition,
        });
    }
    select.projection =
        std::mem::take(&mut select.projection).into_iter().flat_map(|item| star(item, &known)).collect();
}

/// The condition of a join that has no row more than it lets through on the right side.
fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::CrossJoin(on) => matches!(on, JoinConstraint::On(_) | JoinConstraint::None).then_some(on),
        _ => None,
    }
}

fn keeps_left(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Join(_)
            | JoinOperator::Inner(_)
            | JoinOperator::Left(_)
            | JoinOperator::LeftOuter(_)
            | JoinOperator::CrossJoin(_)
    )
}

/// `table.*` without the columns that are added.
fn star(item: SelectItem, known: &[(String, Vec<Ident>)]) -> Vec<SelectItem> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = &item else {
        return vec![item];
    };
    let table = name.to_string();
    let found = known.iter().find(|(known, _)| *known == table.trim_matches('"'));
    let Some((table, columns)) = found else { return vec![item] };
    let column = |name: &Ident| Expr::CompoundIdentifier(vec![ident(table), name.clone()]);
    columns.iter().map(|name| SelectItem::UnnamedExpr(column(name))).collect()
}

struct Placed {
    relation: TableFactor,
    condition: Expr,
    columns: (String, Vec<Ident>),
}

fn placed(factor: &TableFactor) -> Option<Placed> {
    let TableFactor::Derived { lateral: true, subquery, alias: Some(table), sample: None } = factor else {
        return None;
    };
    let (first, last) = range(subquery)?;
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    let is_plain = subquery.with.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && !is_grouped(select)
        && !aggregates(&select.projection)
        && !gives_rows(&select.projection)
        && !is_windowed_within(subquery);
    let order = keys(subquery, select)?;
    if !is_plain || order.is_empty() {
        return None;
    }
    let own = tables(subquery);
    let items = named(select, table)?;
    let is_inner = |expr: &Expr| sides(expr, &own) != Sides::Outer && sides(expr, &own) != Sides::Both;
    if !items.iter().filter_map(item).all(|expr| is_inner(&expr)) || !order.iter().all(|key| is_inner(&key.expr)) {
        return None;
    }
    let mut inside = select.as_ref().clone();
    inside.selection = None;
    inside.projection = items;
    let columns = inside.projection.iter().filter_map(alias_of).collect();
    let name = ident(&table.name.value);
    let column = |column: &Ident| Expr::CompoundIdentifier(vec![name.clone(), column.clone()]);
    let (mut partition, mut conditions, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for part in conjuncts(select.selection.as_ref()) {
        if is_inner(part) {
            kept.push(part.clone());
            continue;
        }
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = part else { return None };
        let (inner, outer) = match (sides(left, &own), sides(right, &own)) {
            (Sides::Inner, Sides::Outer) => (left, right),
            (Sides::Outer, Sides::Inner) => (right, left),
            _ => return None,
        };
        let key = ident(format!("?on {}", partition.len()));
        conditions.push(construct("exactly", vec![column(&key), outer.as_ref().clone()]));
        partition.push(inner.as_ref().clone());
        inside.projection.push(SelectItem::ExprWithAlias { expr: inner.as_ref().clone(), alias: key });
    }
    inside.selection = kept.into_iter().reduce(|l, r| binary(l, BinaryOperator::And, r));
    let place = ident("?place");
    let number = |value: u32| Expr::Value(Value::Number(value.to_string(), false).with_empty_span());
    conditions.push(binary(column(&place), BinaryOperator::LtEq, number(last)));
    conditions.push(binary(column(&place), BinaryOperator::Gt, number(first)));
    inside.projection.push(SelectItem::ExprWithAlias { expr: window("row_number", partition, order), alias: place });
    let condition = conditions.into_iter().reduce(|l, r| binary(l, BinaryOperator::And, r))?;
    let relation = derived(super::trees::query(inside), alias(table.name.clone(), Vec::new()));
    Some(Placed { relation, condition, columns: (table.name.value.clone(), columns) })
}

/// The items of a select list under the names that an alias gives them.
fn named(select: &Select, table: &TableAlias) -> Option<Vec<SelectItem>> {
    if !table.columns.is_empty() && table.columns.len() != select.projection.len() {
        return None;
    }
    let named = select.projection.iter().enumerate().map(|(index, part)| {
        let alias = match table.columns.get(index) {
            Some(column) => column.name.clone(),
            None => match part {
                SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last()?.clone(),
                _ => return None,
            },
        };
        Some(SelectItem::ExprWithAlias { expr: item(part)?, alias })
    });
    named.collect()
}

fn alias_of(part: &SelectItem) -> Option<Ident> {
    match part {
        SelectItem::ExprWithAlias { alias, .. } => Some(ident(&alias.value)),
        _ => None,
    }
}

fn conjuncts(condition: Option<&Expr>) -> Vec<&Expr> {
    match condition {
        None => Vec::new(),
        Some(Expr::Nested(inner)) => conjuncts(Some(inner)),
        Some(Expr::BinaryOp { left, op: BinaryOperator::And, right }) => {
            [conjuncts(Some(left)), conjuncts(Some(right))].concat()
        }
        Some(other) => vec![other],
    }
}

/// The rows that a limit lets through: after the first, up to the second.
fn range(query: &Query) -> Option<(u32, u32)> {
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<u32>().ok(),
            _ => None,
        },
        _ => None,
    };
    let (limit, offset) = match (&query.limit_clause, &query.fetch) {
        (Some(LimitClause::LimitOffset { limit: Some(limit), offset, limit_by }), None) if limit_by.is_empty() => {
            (number(limit)?, offset.as_ref())
        }
        (clause, Some(Fetch { with_ties: false, percent: false, quantity })) => {
            let offset = match clause {
                None => None,
                Some(LimitClause::LimitOffset { limit: None, offset, .. }) => offset.as_ref(),
                Some(_) => return None,
            };
            (quantity.as_ref().map_or(Some(1), number)?, offset)
        }
        _ => return None,
    };
    let first = offset.map_or(Some(0), |Offset { value, .. }| number(value))?;
    Some((first, first.checked_add(limit)?))
}
