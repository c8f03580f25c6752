//! Which subqueries depend on the row around them, and what their expressions hold.
//!
//! A column of an outer query is written with its table (`columns`), so that a table that a subquery has not itself tells it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, Query, Select, SelectItem, SetExpr, TableFactor, Visit, Visitor,
};

use super::functions::is_aggregate;

/// Whether a subquery names a table that is not its own.
pub(super) fn is_correlated(query: &Query) -> bool {
    struct Scopes(Vec<Vec<String>>);
    impl Visitor for Scopes {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0.push(tables(query));
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0.pop();
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::CompoundIdentifier(parts)
                    if parts.first().is_some_and(|first| !self.0.iter().flatten().any(|name| *name == first.value)) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Scopes(Vec::new())).is_break()
}

/// The names of the tables of a query's own FROM clauses.
pub(super) fn tables(query: &Query) -> Vec<String> {
    struct Tables(usize, Vec<String>);
    impl Visitor for Tables {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if self.0 == 1 {
                self.1.extend(name_of(factor));
            }
            ControlFlow::Continue(())
        }
    }
    let mut found = Tables(0, Vec::new());
    let _ = query.visit(&mut found);
    found.1
}

/// The tables that an expression depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    None,
    /// Those of its own query.
    Inner,
    Outer,
    Both,
}

/// Whose tables the columns of an expression are: a column without table is its own query's. A subquery may be of both.
pub(super) fn sides(expr: &Expr, own: &[String]) -> Sides {
    struct Columns<'a>(&'a [String], bool, bool);
    impl Visitor for Columns<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.1 = true;
            self.2 |= is_correlated(query);
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) => self.1 = true,
                Expr::CompoundIdentifier(parts) => {
                    let is_own = parts.first().is_some_and(|first| self.0.contains(&first.value));
                    self.1 |= is_own;
                    self.2 |= !is_own;
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(own, false, false);
    let _ = expr.visit(&mut columns);
    match (columns.1, columns.2) {
        (false, false) => Sides::None,
        (true, false) => Sides::Inner,
        (false, true) => Sides::Outer,
        (true, true) => Sides::Both,
    }
}

/// The name under which a table is visible.
pub(super) fn name_of(factor: &TableFactor) -> Option<String> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => (Some(name), alias),
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => (None, alias),
        _ => return None,
    };
    let last = || name.and_then(|name| name.0.last()).and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
    alias.as_ref().map(|alias| alias.name.value.clone()).or_else(last)
}

/// Whether an expression means something else within a subquery than around it: it has a column without table, or names a
/// table that the subquery has too.
pub(super) fn is_captured(expr: &Expr, query: &Query) -> bool {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) => ControlFlow::Break(()),
                Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|first| self.0.contains(&first.value)) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Names(tables(query))).is_break()
}

/// Whether an expression can be part of a subquery: it has no subquery, aggregate or window of its own.
pub(super) fn is_movable(expr: &Expr) -> bool {
    !has(expr, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => true,
        Expr::Function(function) => function.over.is_some() || aggregate(function) || is_rows(&name(function)),
        _ => false,
    })
}

/// Whether what a SELECT reads from depends on the row around it, before any of its conditions.
pub(super) fn reads_outside(select: &Select) -> bool {
    is_correlated(&source(select))
}

/// Whether a subquery numbers or picks the rows of its row in FROM. DataFusion would take those of all rows for it.
pub(super) fn numbers_outside(query: &Query) -> bool {
    struct Picks;
    impl Visitor for Picks {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            match select.distinct {
                Some(Distinct::On(_)) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let source = source(select);
    is_correlated(&source) && (is_windowed_within(&source) || source.visit(&mut Picks).is_break())
}

fn source(select: &Select) -> Query {
    let mut source = super::trees::select();
    source.from.clone_from(&select.from);
    super::trees::query(source)
}

/// Whether an expression has a subquery that depends on its row.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    has(expr, |expr| match expr {
        Expr::Subquery(query) | Expr::Exists { subquery: query, .. } | Expr::InSubquery { subquery: query, .. } => {
            is_correlated(query)
        }
        _ => false,
    })
}

/// Whether a query or one inside it has a window: its rows would be those of all outer rows.
pub(super) fn is_windowed_within(query: &Query) -> bool {
    has(query, |expr| matches!(expr, Expr::Function(function) if function.over.is_some()))
}

/// Whether a select list aggregates.
pub(super) fn aggregates(list: &[SelectItem]) -> bool {
    holds(list, |expr| matches!(expr, Expr::Function(function) if function.over.is_none() && aggregate(function)))
}

/// Whether a select list has a function that gives rows.
pub(super) fn gives_rows(list: &[SelectItem]) -> bool {
    holds(list, |expr| matches!(expr, Expr::Function(function) if is_rows(&name(function))))
}

/// Whether a function gives rows.
pub(super) fn is_rows(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "unnest",
        "generate_series",
        "generate_subscripts",
        "string_to_table",
        "regexp_split_to_table",
        "regexp_matches",
        "jsonb_each",
        "jsonb_each_text",
        "json_each",
        "json_each_text",
        "jsonb_path_query",
    ];
    NAMES.contains(&name) || super::json::rows_of(name).is_some()
}

fn name(function: &Function) -> String {
    function.name.to_string().to_lowercase()
}

fn aggregate(function: &Function) -> bool {
    let name = name(function);
    matches!(name.as_str(), "every" | "variance" | "json_agg" | "jsonb_agg")
        || super::percentiles::is_one(&name)
        || is_aggregate(&name)
}

/// Whether a part of a statement has such an expression, in its subqueries too.
fn has(part: &impl Visit, is: fn(&Expr) -> bool) -> bool {
    struct Expressions(fn(&Expr) -> bool);
    impl Visitor for Expressions {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if (self.0)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    part.visit(&mut Expressions(is)).is_break()
}

/// Whether a select list has such an expression, outside of its subqueries.
fn holds(list: &[SelectItem], is: fn(&Expr) -> bool) -> bool {
    struct Expressions(fn(&Expr) -> bool, usize);
    impl Visitor for Expressions {
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
            if self.1 == 0 && (self.0)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let mut expressions = Expressions(is, 0);
    list.iter().any(|item| item.visit(&mut expressions).is_break())
}
