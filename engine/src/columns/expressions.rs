//! Names in expressions, settled in the frames around them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Value, Visit, VisitMut, Visitor, VisitorMut};
use headwater_pipelines::casing::{Meaning, quoted_forms, settle};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::sql::SqlFinding;

use super::ambiguous;
use super::scopes::{Columns, Frame, Table, Walk};

/// More findings of one statement than this are not looked for.
const MAX_FINDINGS: usize = 200;

/// Where a bare name of the innermost frame is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// In the tables.
    Inputs,
    /// In the tables, then in the select list.
    InputsFirst,
    /// In the select list, then in the tables.
    OutputsFirst,
}

/// Settles every name of an expression. Queries inside it are walked with frames of their own.
pub(super) struct Expressions<'w, 'a> {
    walk: &'w mut Walk<'a>,
    order: Order,
    /// Queries around the expression that is visited: their own walk has settled it.
    queries: usize,
    /// Lambdas around it, whose parameters are no columns.
    lambdas: usize,
}

impl<'w, 'a> Expressions<'w, 'a> {
    pub(super) fn new(walk: &'w mut Walk<'a>, order: Order) -> Self {
        Self { walk, order, queries: 0, lambdas: 0 }
    }
}

impl VisitorMut for Expressions<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.queries == 0 {
            self.walk.query(query);
        }
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas += 1;
        }
        if self.queries > 0 || self.lambdas > 0 {
            return ControlFlow::Continue(());
        }
        let is_settled = match expr {
            Expr::Identifier(ident) => self.walk.column(ident, self.order),
            Expr::CompoundIdentifier(parts) => self.walk.qualified(parts),
            _ => true,
        };
        if !is_settled {
            *expr = Expr::Value(Value::Null.with_empty_span());
        }
        if let Expr::Identifier(ident) = expr
            && self.order == Order::InputsFirst
            && let Some(table) = self.walk.shadowed(ident)
        {
            *expr = Expr::CompoundIdentifier(vec![table, ident.clone()]);
        }
        // A column of an outer query tells so, by its table.
        if is_settled
            && let Expr::Identifier(ident) = expr
            && self.order != Order::OutputsFirst
            && let Some(table) = self.walk.owner(ident, self.order, 1)
        {
            *expr = Expr::CompoundIdentifier(vec![table, ident.clone()]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas -= 1;
        }
        // What is looked for in a subquery may have to be read there.
        if let Expr::InSubquery { expr: value, .. } = expr
            && self.queries == 0
            && self.lambdas == 0
            && self.order != Order::OutputsFirst
        {
            let _ = value.visit(&mut Owned { walk: self.walk, order: self.order, queries: 0 });
        }
        ControlFlow::Continue(())
    }
}

/// Gives settled columns the names of their tables.
struct Owned<'w, 'a> {
    walk: &'w Walk<'a>,
    order: Order,
    queries: usize,
}

impl VisitorMut for Owned<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr
            && self.queries == 0
            && let Some(table) = self.walk.owner(ident, self.order, 0)
        {
            *expr = Expr::CompoundIdentifier(vec![table, ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Whether an unknown name was taken out of a piece of syntax: NULL without a place stands for it.
pub(crate) fn is_unsettled(part: &impl Visit) -> bool {
    struct Nulls;
    impl Visitor for Nulls {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Value(value) if value.value == Value::Null && value.span.start.line == 0 => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    part.visit(&mut Nulls).is_break()
}

impl Walk<'_> {
    /// Settles a bare column; one that is unknown is reported.
    pub(super) fn column(&mut self, ident: &mut Ident, order: Order) -> bool {
        match self.find(ident, order) {
            Found::One(name) => *ident = quoted(name, ident),
            Found::Open => {}
            Found::Several(finding) => return self.report(ident, finding),
            Found::Nothing => {
                let names = self.names(order);
                let message = match ident.quote_style {
                    Some(_) => format!("there is no column \"{}\"", ident.value),
                    None => format!("there is no column '{}'", ident.value),
                };
                let finding = Finding::error(Code::UnknownColumn, message);
                let finding = finding.nearest(&ident.value, names.iter().map(String::as_str));
                return self.report(ident, finding);
            }
        }
        true
    }

    /// The table of a settled column whose name the select list gives to something too: DataFusion would look there first.
    fn shadowed(&self, ident: &Ident) -> Option<Ident> {
        let frame = self.frames.last().filter(|frame| frame.outputs.contains(&ident.value))?;
        let mut tables = frame.tables.iter().filter(|table| table.columns.names.contains(&ident.value));
        let table = tables.next().filter(|table| !table.name.is_empty())?;
        tables.next().is_none().then(|| quoted(table.name.clone(), ident))
    }

    /// The table of a settled column that is found so many queries out or farther, if its name means that table here.
    fn owner(&self, ident: &Ident, order: Order, from: usize) -> Option<Ident> {
        let last = self.frames.len().checked_sub(1)?;
        let place = self.frames.iter().enumerate().rev().find(|(index, frame)| {
            let order = if *index == last { order } else { Order::Inputs };
            !matches!(look(ident, frame, order), Found::Nothing)
        });
        let (index, frame) = place.filter(|(index, _)| last - index >= from)?;
        if frame.tables.iter().any(|table| table.columns.is_open) {
            return None;
        }
        let mut tables = frame.tables.iter().filter(|table| table.columns.names.contains(&ident.value));
        let table = tables.next().filter(|table| !table.name.is_empty() && tables.next().is_none())?;
        let is_same = |other: &&Table| other.name == table.name;
        let named = self.frames[index..].iter().flat_map(|frame| &frame.tables).filter(is_same).count();
        (named == 1).then(|| quoted(table.name.clone(), ident))
    }

    /// Settles `table.column`, or a field of a column that holds a struct.
    pub(super) fn qualified(&mut self, parts: &mut [Ident]) -> bool {
        let [first, second, ..] = parts else { return true };
        let Some(columns) = self.table(first) else {
            return match self.find(first, Order::Inputs) {
                Found::One(name) => {
                    *first = quoted(name, first);
                    true
                }
                Found::Open => true,
                Found::Several(finding) => self.report(&first.clone(), finding),
                Found::Nothing => {
                    self.unknown_table(&first.clone());
                    false
                }
            };
        };
        let is_quoted = second.quote_style.is_some();
        match settle(&second.value, is_quoted, columns.names.iter().map(String::as_str)) {
            Meaning::One(name) => *second = quoted(name.to_owned(), second),
            Meaning::Nothing if columns.is_open => {}
            Meaning::Nothing => {
                let message = format!("'{}' has no column '{}'", first.value, second.value);
                let finding = Finding::error(Code::UnknownColumn, message);
                let finding = finding.nearest(&second.value, columns.names.iter().map(String::as_str));
                return self.report(&second.clone(), finding);
            }
            Meaning::Several(names) => {
                let finding = ambiguous(&second.value, &names);
                return self.report(&second.clone(), finding);
            }
        }
        true
    }

    /// Settles the name of a table; its columns. Inner frames hide outer ones.
    pub(super) fn table(&mut self, ident: &mut Ident) -> Option<Columns> {
        let is_quoted = ident.quote_style.is_some();
        for frame in self.frames.iter().rev() {
            let names = frame.tables.iter().map(|table| table.name.as_str()).filter(|name| !name.is_empty());
            match settle(&ident.value, is_quoted, names) {
                Meaning::One(name) => {
                    let found = frame.tables.iter().find(|table| table.name == name)?;
                    *ident = quoted(found.name.clone(), ident);
                    return Some(found.columns.clone());
                }
                Meaning::Nothing => {}
                Meaning::Several(names) => {
                    let message = format!("'{}' could be {}", ident.value, quoted_forms(&names));
                    let finding = Finding::error(Code::AmbiguousName, message);
                    let finding = finding.hint("write the table in double quotes with its exact case");
                    self.findings.push(SqlFinding::new(ident.span, finding));
                    return Some(Columns { names: Vec::new(), is_open: true });
                }
            }
        }
        None
    }

    pub(super) fn unknown_table(&mut self, ident: &Ident) {
        let names: Vec<String> = self.frames.iter().flat_map(|frame| &frame.tables).map(|t| t.name.clone()).collect();
        let message = format!("there is no table '{}' in this FROM clause", ident.value);
        let valid = names.iter().map(String::as_str).filter(|name| !name.is_empty());
        let finding = Finding::error(Code::UnknownName, message).nearest(&ident.value, valid);
        self.report(ident, finding);
    }

    fn find(&self, ident: &Ident, order: Order) -> Found {
        let innermost = self.frames.len().saturating_sub(1);
        for (index, frame) in self.frames.iter().enumerate().rev() {
            let order = if index == innermost { order } else { Order::Inputs };
            match look(ident, frame, order) {
                Found::Nothing => {}
                found => return found,
            }
        }
        Found::Nothing
    }

    fn names(&self, order: Order) -> Vec<String> {
        let tables = self.frames.iter().rev().flat_map(|frame| &frame.tables);
        let mut names: Vec<String> = tables.flat_map(|table| table.columns.names.iter().cloned()).collect();
        if order != Order::Inputs {
            names.extend(self.frames.last().into_iter().flat_map(|frame| frame.outputs.iter().cloned()));
        }
        names
    }

    fn report(&mut self, ident: &Ident, finding: Finding) -> bool {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(SqlFinding::new(ident.span, finding));
        }
        false
    }
}

/// What a bare name was found to be.
enum Found {
    One(String),
    /// Nothing that is known, in a frame that has more.
    Open,
    Several(Finding),
    Nothing,
}

fn look(ident: &Ident, frame: &Frame, order: Order) -> Found {
    let inputs = || frame.tables.iter().flat_map(|table| &table.columns.names).map(String::as_str);
    let outputs = || frame.outputs.iter().map(String::as_str);
    let settle_in = |names: &mut dyn Iterator<Item = &str>| -> Found {
        match settle(&ident.value, ident.quote_style.is_some(), names.collect::<Vec<_>>()) {
            Meaning::One(name) => Found::One(name.to_owned()),
            Meaning::Nothing => Found::Nothing,
            Meaning::Several(names) => Found::Several(ambiguous(&ident.value, &names)),
        }
    };
    let first = match order {
        Order::Inputs | Order::InputsFirst => settle_in(&mut inputs()),
        Order::OutputsFirst => settle_in(&mut outputs()),
    };
    let found = match (first, order) {
        (Found::Nothing, Order::InputsFirst) => settle_in(&mut outputs()),
        (Found::Nothing, Order::OutputsFirst) => settle_in(&mut inputs()),
        (found, _) => found,
    };
    match found {
        Found::Nothing if frame.tables.iter().any(|table| table.columns.is_open) => Found::Open,
        found => found,
    }
}

fn quoted(value: String, old: &Ident) -> Ident {
    Ident { value, quote_style: Some('"'), span: old.span }
}
