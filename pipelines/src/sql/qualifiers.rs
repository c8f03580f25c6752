//! Qualified columns, each settled in the scopes around it: the innermost table that its qualifier can mean.
//!
//! A table without an alias is visible under its own last name and under its whole name. Where two tables of a statement
//! have one last name, each gets an alias of its own, so that `shop.orders.id` inside a subquery over `crm.orders` still means
//! the table around it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};

/// How often each name is the visible name of a table of the statement, in lower case.
pub(super) fn visible_names(query: &mut Query) -> BTreeMap<String, usize> {
    struct Names(BTreeMap<String, usize>);
    impl VisitorMut for Names {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let name = match factor {
                TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                    Some(alias.name.value.to_lowercase())
                }
                TableFactor::Table { name, .. } => {
                    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase())
                }
                _ => None,
            };
            if let Some(name) = name {
                *self.0.entry(name).or_default() += 1;
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(BTreeMap::new());
    let _ = query.visit(&mut names);
    names.0
}

/// A table that was given an alias: the name that was written, and the alias.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) parts: Vec<String>,
    pub(super) alias: String,
}

/// Settles the qualifiers of a statement whose tables are rewritten.
pub(super) fn settle(query: &mut Query, written: Vec<Written>) {
    if !written.is_empty() {
        let _ = query.visit(&mut Scoped { written, frames: Vec::new() });
    }
}

/// Aliases of the tables of one FROM clause.
type Frame = Vec<String>;

struct Scoped {
    written: Vec<Written>,
    frames: Vec<Frame>,
}

impl Scoped {
    fn enter(&mut self, from: &[TableWithJoins]) {
        let mut frame = Frame::new();
        for table in from {
            tables(&table.relation, &mut frame);
            table.joins.iter().for_each(|join| tables(&join.relation, &mut frame));
        }
        self.frames.push(frame);
    }

    /// The alias that a qualifier means.
    fn alias(&self, qualifier: &[Ident]) -> Option<Ident> {
        let span = qualifier.first()?.span;
        for frame in self.frames.iter().rev() {
            for exactly in [true, false] {
                let fits = |alias: &&String| match self.written.iter().find(|written| written.alias == **alias) {
                    Some(written) => is_end(&written.parts, qualifier, exactly),
                    None => qualifier.len() == 1 && alike(alias, &qualifier[0], exactly),
                };
                let mut found = frame.iter().filter(fits);
                if let Some(alias) = found.next() {
                    // Two tables that the qualifier could mean: it stays as it is, and nothing answers to it.
                    if found.next().is_some() {
                        return None;
                    }
                    let is_own = self.written.iter().any(|written| written.alias == *alias);
                    return is_own.then(|| Ident { value: alias.clone(), quote_style: Some('"'), span });
                }
            }
        }
        None
    }
}

/// Whether the qualifier is the whole name or its end.
fn is_end(parts: &[String], qualifier: &[Ident], exactly: bool) -> bool {
    let start = parts.len().checked_sub(qualifier.len());
    start.is_some_and(|start| parts[start..].iter().zip(qualifier).all(|(part, ident)| alike(part, ident, exactly)))
}

fn alike(part: &str, ident: &Ident, exactly: bool) -> bool {
    part == ident.value
        || (!exactly && ident.quote_style.is_none() && part.to_lowercase() == ident.value.to_lowercase())
}

fn tables(factor: &TableFactor, frame: &mut Frame) {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            tables(&table_with_joins.relation, frame);
            table_with_joins.joins.iter().for_each(|join| tables(&join.relation, frame));
        }
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => frame.push(alias.name.value.clone()),
        TableFactor::Table { name, alias: None, .. } => {
            frame.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()));
        }
        _ => {}
    }
}

impl VisitorMut for Scoped {
    type Break = ();

    /// ORDER BY sees the tables of the body before it.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match query.body.as_ref() {
            SetExpr::Select(select) => self.enter(&select.from),
            _ => self.frames.push(Frame::new()),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.enter(&select.from);
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                let parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                if let Some(alias) = self.alias(&parts) {
                    *name = ObjectName::from(vec![alias]);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some((column, qualifier)) = parts.split_last()
            && let Some(alias) = self.alias(qualifier)
        {
            *parts = vec![alias, column.clone()];
        }
        ControlFlow::Continue(())
    }
}
