//! What needs a query's columns by name: WITH TIES, an order by a subquery, INTERSECT ALL and EXCEPT ALL.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Fetch, Ident, LimitClause, Offset, OrderByExpr, OrderByKind, OrderByOptions, Query, Select,
    SelectItem, SetExpr, SetOperator, SetQuantifier, TableWithJoins, Value,
};

use super::correlation::has_subquery;
use super::syntax::binary;
use super::trees::{SET, alias, derived, ident, item, query, select, window};

/// Rewrites what of it a query has.
pub(super) fn settle(whole: &mut Query) {
    sets(&mut whole.body);
    if let Some(found) = with_ties(whole).or_else(|| by_subquery(whole)) {
        *whole = found;
    }
}

/// The names of the columns of a body, if all are known and different.
fn names(body: &SetExpr) -> Option<Vec<Ident>> {
    let names: Vec<Ident> = match body {
        SetExpr::Select(select) => select.projection.iter().map(name).collect::<Option<_>>()?,
        SetExpr::SetOperation { left, .. } => names(left)?,
        SetExpr::Query(query) => names(&query.body)?,
        SetExpr::Values(values) => {
            (1..=values.rows.first()?.content.len()).map(|number| ident(format!("column{number}"))).collect()
        }
        _ => return None,
    };
    let is_new = |(index, name): (usize, &Ident)| names[..index].iter().all(|other| other.value != name.value);
    names.iter().enumerate().all(is_new).then_some(names)
}

fn name(item: &SelectItem) -> Option<Ident> {
    let name = match item {
        SelectItem::ExprWithAlias { alias, .. } => &alias.value,
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => &name.value,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => &parts.last()?.value,
        _ => return None,
    };
    Some(ident(name))
}

fn column(name: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![ident(SET), name.clone()])
}

/// A query without its order, whose keys are columns of it; the names of its own columns, and the order by the keys.
fn keyed(whole: &Query) -> Option<(Query, Vec<Ident>, Vec<OrderByExpr>)> {
    let own = names(&whole.body)?;
    let OrderByKind::Expressions(list) = &whole.order_by.as_ref()?.kind else { return None };
    let mut inner = whole.clone();
    inner.order_by = None;
    inner.limit_clause = None;
    inner.fetch = None;
    inner.with = None;
    let mut keys = Vec::with_capacity(list.len());
    for (index, order) in list.iter().enumerate() {
        let place = match &order.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => Some(number.parse::<usize>().ok()?.checked_sub(1)?),
                _ => return None,
            },
            Expr::Identifier(name) => own.iter().position(|own| own.value == name.value),
            _ => None,
        };
        let name = if let Some(place) = place {
            own.get(place)?.clone()
        } else {
            let SetExpr::Select(select) = inner.body.as_mut() else { return None };
            if select.distinct.is_some() {
                return None;
            }
            let alias = ident(format!("?key {index}"));
            select.projection.push(SelectItem::ExprWithAlias { expr: order.expr.clone(), alias: alias.clone() });
            alias
        };
        keys.push(OrderByExpr { expr: column(&name), ..order.clone() });
    }
    Some((inner, own, keys))
}

/// A query of these columns of another.
fn of_columns(inner: Query, names: &[Ident]) -> Select {
    let mut outer = select();
    outer.from = vec![TableWithJoins { relation: derived(inner, alias(ident(SET), Vec::new())), joins: Vec::new() }];
    outer.projection = names.iter().map(|name| SelectItem::UnnamedExpr(column(name))).collect();
    outer
}

/// FETCH … WITH TIES: all rows whose rank is that of one that is fetched.
fn with_ties(whole: &Query) -> Option<Query> {
    let Some(Fetch { with_ties: true, percent: false, quantity }) = &whole.fetch else { return None };
    let skipped = match &whole.limit_clause {
        None => 0,
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) if limit_by.is_empty() => match offset {
            None => 0,
            Some(Offset { value, .. }) => count(value)?,
        },
        _ => return None,
    };
    let fetched = quantity.as_ref().map_or(Some(1), count).filter(|fetched| *fetched > 0)?;
    let (inner, own, keys) = keyed(whole)?;
    let rank = ident("?rank");
    let mut ranked = of_columns(inner, &own);
    let hidden = keys.iter().filter_map(|key| match &key.expr {
        Expr::CompoundIdentifier(parts) => parts.last().filter(|name| !own.contains(name)).cloned(),
        _ => None,
    });
    ranked.projection.extend(hidden.map(|name| SelectItem::UnnamedExpr(column(&name))));
    let ranks = window("rank", Vec::new(), keys.clone());
    ranked.projection.push(SelectItem::ExprWithAlias { expr: ranks, alias: rank.clone() });
    let mut outer = of_columns(query(ranked), &own);
    let last = Expr::Value(Value::Number(fetched.checked_add(skipped)?.to_string(), false).with_empty_span());
    outer.selection = Some(binary(column(&rank), BinaryOperator::LtEq, last));
    Some(finished(whole, outer, keys, whole.limit_clause.clone()))
}

fn count(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Nested(inner) => count(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The query with its WITH clause and its order.
fn finished(whole: &Query, select: Select, keys: Vec<OrderByExpr>, limit: Option<LimitClause>) -> Query {
    let mut found = query(select);
    found.with.clone_from(&whole.with);
    found.order_by = whole.order_by.clone().map(|mut order| {
        order.kind = OrderByKind::Expressions(keys);
        order
    });
    found.limit_clause = limit;
    found
}

/// An order by a subquery, which DataFusion computes in a select list alone.
fn by_subquery(whole: &Query) -> Option<Query> {
    let OrderByKind::Expressions(list) = &whole.order_by.as_ref()?.kind else { return None };
    if !list.iter().any(|order| has_subquery(&order.expr)) {
        return None;
    }
    let (inner, own, keys) = keyed(whole)?;
    let mut found = finished(whole, of_columns(inner, &own), keys, whole.limit_clause.clone());
    found.fetch.clone_from(&whole.fetch);
    Some(found)
}

/// INTERSECT ALL and EXCEPT ALL: equal rows are numbered, so that each is a row of its own.
fn sets(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, right, op, set_quantifier } = body else { return };
    sets(left);
    sets(right);
    let is_counted =
        matches!(op, SetOperator::Intersect | SetOperator::Except) && *set_quantifier == SetQuantifier::All;
    if !is_counted {
        return;
    }
    let Some(own) = names(left) else { return };
    let side = |body: &SetExpr| Box::new(SetExpr::Select(Box::new(numbered(body, own.len()))));
    let both =
        SetExpr::SetOperation { left: side(left), right: side(right), op: *op, set_quantifier: SetQuantifier::None };
    let columns: Vec<Ident> = (1..=own.len()).map(|number| ident(format!("?{number}"))).collect();
    let mut inner = query(select());
    *inner.body = both;
    let mut outer = of_columns(inner, &columns);
    let named = |(column, alias): (SelectItem, Ident)| match item(&column) {
        Some(expr) => SelectItem::ExprWithAlias { expr, alias },
        None => column,
    };
    outer.projection = outer.projection.into_iter().zip(own).map(named).collect();
    *body = SetExpr::Select(Box::new(outer));
}

/// The rows of one side, with a number among those that are equal.
fn numbered(body: &SetExpr, width: usize) -> Select {
    let columns: Vec<Ident> = (1..=width).map(|number| ident(format!("?{number}"))).collect();
    let mut inner = query(select());
    *inner.body = body.clone();
    let mut outer = select();
    outer.from =
        vec![TableWithJoins { relation: derived(inner, alias(ident(SET), columns.clone())), joins: Vec::new() }];
    let order = OrderByExpr {
        expr: column(&ident("?1")),
        options: OrderByOptions { asc: None, nulls_first: None },
        with_fill: None,
    };
    let number = window("row_number", columns.iter().map(column).collect(), vec![order]);
    outer.projection = columns.iter().map(|name| SelectItem::UnnamedExpr(column(name))).collect();
    outer.projection.push(SelectItem::ExprWithAlias { expr: number, alias: ident("?number") });
    outer
}
