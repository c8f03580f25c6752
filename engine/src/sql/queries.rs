//! What a whole query means: its order, its limits, its sets, its joins. What DataFusion would answer in another way than
//! Postgres is rewritten or refused here.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, GroupByExpr, JoinConstraint, JoinOperator, LimitClause, Offset,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, TableFactor, UnaryOperator, Visit,
    Visitor,
};

use super::syntax::{construct, keep, null};
use super::{laterals, ordered, subqueries};

/// Rewrites the clauses of a query.
pub(super) fn settle(query: &mut Query) {
    ordered::settle(query);
    subqueries::settle(query);
    if let SetExpr::Select(select) = query.body.as_mut() {
        laterals::settle(select);
    }
    limited(query);
    order(query);
    let reason = sets(&query.body).or_else(|| match query.body.as_ref() {
        SetExpr::Select(select) => joins(select).or_else(|| memberships(select)),
        _ => None,
    });
    if let Some(reason) = reason {
        refuse(query, reason);
    }
}

/// The planner refuses what stands in the select list.
fn refuse(query: &mut Query, reason: &str) {
    fn first(body: &mut SetExpr) -> Option<&mut Select> {
        match body {
            SetExpr::Select(select) => Some(select),
            SetExpr::SetOperation { left, .. } => first(left),
            SetExpr::Query(query) => first(&mut query.body),
            _ => None,
        }
    }
    if let Some(select) = first(&mut query.body) {
        select.projection = vec![SelectItem::UnnamedExpr(construct(format!("refused {reason}"), Vec::new()))];
    }
}

/// FETCH FIRST is LIMIT.
fn limited(query: &mut Query) {
    if let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent)
        && query
            .limit_clause
            .as_ref()
            .is_none_or(|clause| matches!(clause, LimitClause::LimitOffset { limit: None, .. }))
    {
        use datafusion::sql::sqlparser::ast::Value;
        let quantity =
            fetch.quantity.unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).with_empty_span()));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(quantity),
            _ => {
                query.limit_clause =
                    Some(LimitClause::LimitOffset { limit: Some(quantity), offset: None, limit_by: Vec::new() });
            }
        }
    }
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter_mut().for_each(keep);
            offset.iter_mut().for_each(|Offset { value, .. }| keep(value));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => [offset, limit].into_iter().for_each(keep),
        None => {}
    }
}

/// Numbers are positions. Floats are ordered as Postgres orders them. A name of the select list is one only if it stands
/// alone: within an expression Postgres looks in the tables, and DataFusion in the select list.
fn order(query: &mut Query) {
    let (aliases, is_distinct, is_select) = match query.body.as_ref() {
        SetExpr::Select(select) => (aliases(select), select.distinct.is_some(), true),
        _ => (Vec::new(), false, false),
    };
    let Some(order) = &mut query.order_by else { return };
    let OrderByKind::Expressions(list) = &mut order.kind else { return };
    for order in list {
        keep(&mut order.expr);
        match &order.expr {
            Expr::Value(_) => continue,
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {}
            other => {
                if let Some(name) = aliases.iter().find(|alias| mentions(other, alias)) {
                    let reason =
                        format!("refused '{name}' of the select list can't be part of an expression of ORDER BY");
                    order.expr = construct(reason, Vec::new());
                    continue;
                }
            }
        }
        if is_select && !is_distinct {
            let whole = std::mem::replace(&mut order.expr, null());
            order.expr = construct("key", vec![whole]);
        }
    }
}

/// Names that the select list gives to something else than the column of that name.
fn aliases(select: &Select) -> Vec<String> {
    let named = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            let is_same = match bare(expr) {
                Expr::Identifier(ident) => ident.value == alias.value,
                Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|part| part.value == alias.value),
                _ => false,
            };
            (!is_same).then(|| alias.value.clone())
        }
        _ => None,
    });
    named.collect()
}

fn mentions(expr: &Expr, name: &str) -> bool {
    struct Names<'a>(&'a str, usize);
    impl Visitor for Names<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) if self.1 == 0 && ident.value == self.0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Names(name, 0)).is_break()
}

/// INTERSECT ALL and EXCEPT ALL count rows, which DataFusion doesn't.
fn sets(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let is_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            match op {
                SetOperator::Intersect if is_all => Some("INTERSECT ALL is not supported"),
                SetOperator::Except | SetOperator::Minus if is_all => Some("EXCEPT ALL is not supported"),
                _ => sets(left).or_else(|| sets(right)),
            }
        }
        _ => None,
    }
}

/// The merged column of an outer join with USING is the one that is there; DataFusion takes the left one.
fn joins(select: &Select) -> Option<&'static str> {
    let merges = |constraint: &JoinConstraint| matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural);
    let mut tables = select.from.iter().flat_map(|table| &table.joins);
    let is_wrong = tables.any(|join| match &join.join_operator {
        JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => merges(constraint),
        _ => false,
    });
    if is_wrong {
        return Some("RIGHT and FULL joins need ON: USING and NATURAL are not supported there");
    }
    let laterals = select
        .from
        .iter()
        .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    let windowed = |factor: &TableFactor| match factor {
        TableFactor::Derived { lateral: true, subquery, .. } => {
            has_function(subquery, |function| function.over.is_some())
        }
        _ => false,
    };
    laterals.into_iter().any(windowed).then_some("a window inside LATERAL is not supported")
}

/// Whether IN of a subquery stands where NULL and false are two things: DataFusion answers false for both there.
fn memberships(select: &Select) -> Option<&'static str> {
    let listed = select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => holds_in(expr),
        _ => false,
    });
    let mut conditions = select.selection.iter().chain(select.having.iter());
    // The parser takes the second of two texts for a name.
    let named = select.projection.iter().any(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.quote_style == Some('\''),
        _ => false,
    });
    if named {
        return Some("a name stands in double quotes; a text can't go on in another one");
    }
    (listed || conditions.any(|condition| is_hidden(condition, false)))
        .then_some("IN of a subquery is a condition of WHERE here: alone, joined by AND, or not negated by OR")
}

/// Whether IN of a subquery is anywhere but in conditions that are joined. Beside OR it can't be negated.
fn is_hidden(expr: &Expr, is_beside_or: bool) -> bool {
    match expr {
        Expr::InSubquery { expr, negated, .. } => (*negated && is_beside_or) || holds_in(expr),
        Expr::Nested(inner) => is_hidden(inner, is_beside_or),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            let inner = bare(expr);
            holds_in(inner) && (is_beside_or || !matches!(inner, Expr::InSubquery { negated: false, .. }))
        }
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let is_beside_or = is_beside_or || *op == BinaryOperator::Or;
            is_hidden(left, is_beside_or) || is_hidden(right, is_beside_or)
        }
        other => holds_in(other),
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

fn holds_in(expr: &Expr) -> bool {
    struct Ins(usize);
    impl Visitor for Ins {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::InSubquery { .. } if self.0 == 0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Ins(0)).is_break()
}

/// Whether a query orders rows by a window of its own: within IN it would count the rows of all outer rows.
pub(super) fn is_windowed(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Select(select) => select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(Expr::Function(function))
            | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => function.over.is_some(),
            _ => false,
        }),
        _ => false,
    }
}

fn has_function(query: &Query, is: fn(&Function) -> bool) -> bool {
    struct Functions(fn(&Function) -> bool);
    impl Visitor for Functions {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if (self.0)(function) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Functions(is)).is_break()
}

/// Whether a query leaves rows out before it answers.
pub(super) fn skips(query: &Query) -> bool {
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { offset, .. }) => offset.is_some(),
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
        None => false,
    }
}

/// Whether a query gives exactly one row whatever it reads: an aggregate of everything. EXISTS of it is true, and DataFusion
/// says false where no row is read.
pub(super) fn is_one_row(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    let is_plain = query.limit_clause.is_none() && query.fetch.is_none() && select.having.is_none();
    let is_distinct = matches!(select.distinct, Some(Distinct::On(_)));
    let aggregates = select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => {
            function.over.is_none() && super::functions::is_aggregate(&function.name.to_string().to_lowercase())
        }
        _ => false,
    });
    is_plain && !is_grouped && !is_distinct && aggregates
}
