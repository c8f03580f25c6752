//! Relations of a statement, each rewritten to its one internal name and visible under the name that was written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, Query, TableAlias, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut, With,
};
use sqlparser::tokenizer::Span;

use super::qualifiers::Written;
use super::{Part, Scope, SqlFinding};
use crate::casing::{Meaning, quoted_forms, settle};
use crate::diagnostic::{Code, Finding};
use crate::plan::Relation;

/// More findings of one statement than this are not looked for.
const MAX_FINDINGS: usize = 200;

/// Walks a statement.
pub(super) struct Resolver<'a> {
    scope: &'a dyn Scope,
    /// Names of common table expressions, innermost scope last.
    ctes: Vec<Vec<String>>,
    /// WITH clauses that were visited by hand, taken out so that they are not visited twice.
    hidden: Vec<Option<With>>,
    /// How often a name is the visible one of a table, in lower case.
    visible: BTreeMap<String, usize>,
    /// Names as written, and the alias that each got.
    pub(super) written: Vec<Written>,
    /// The relations that were found.
    pub(super) reads: BTreeSet<Relation>,
    /// The names that mean nothing.
    pub(super) findings: Vec<SqlFinding>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(scope: &'a dyn Scope, visible: BTreeMap<String, usize>) -> Self {
        Self {
            scope,
            ctes: Vec::new(),
            hidden: Vec::new(),
            visible,
            written: Vec::new(),
            reads: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    fn declare(&mut self, name: String) {
        if let Some(scope) = self.ctes.last_mut() {
            scope.push(name);
        }
    }

    fn table(&mut self, name: &mut ObjectName, alias: &mut Option<TableAlias>) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let span = Span::union_iter(idents.iter().map(|ident| ident.span));
        if let [only] = idents.as_slice() {
            match self.common(only) {
                Meaning::One(found) => {
                    *name = ObjectName::from(vec![quoted(found.to_owned(), span)]);
                    return;
                }
                Meaning::Nothing => {}
                Meaning::Several(names) => {
                    let message = format!("'{}' could be {}", only.value, quoted_forms(&names));
                    let finding = Finding::error(Code::AmbiguousName, message);
                    let finding = finding.hint("write the name in double quotes with its exact case");
                    self.findings.push(SqlFinding::new(span, finding));
                    return;
                }
            }
        }
        let parts: Vec<Part> = idents.iter().map(part).collect();
        match self.scope.relation(&parts) {
            Ok(relation) => {
                let visible = visible_name(&relation);
                if alias.is_none() {
                    let own = self.alias_of(&parts, visible);
                    let name = quoted(own.clone(), span);
                    *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
                    self.written.push(Written { parts: parts.into_iter().map(|part| part.text).collect(), alias: own });
                }
                *name = ObjectName::from(vec![quoted(relation.internal_name(), span)]);
                self.reads.insert(relation);
            }
            Err(finding) => self.findings.push(SqlFinding::new(span, finding)),
        }
    }

    /// The visible name, or where the statement has it more than once an alias that no other table has.
    fn alias_of(&self, parts: &[Part], visible: String) -> String {
        let is_alone = self.visible.get(&visible.to_lowercase()).is_none_or(|count| *count < 2);
        if is_alone {
            return visible;
        }
        let whole = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let is_taken = |name: &String| self.written.iter().any(|written| written.alias == *name);
        let names = (1..).map(|count| if count == 1 { whole.clone() } else { format!("{whole} {count}") });
        names.into_iter().find(|name| !is_taken(name)).unwrap_or(visible)
    }

    /// The common table expression that a name means; inner ones hide outer ones.
    fn common(&self, ident: &Ident) -> Meaning<'_> {
        let scopes = self.ctes.iter().rev();
        let mut meanings =
            scopes.map(|scope| settle(&ident.value, ident.quote_style.is_some(), scope.iter().map(String::as_str)));
        meanings.find(|meaning| *meaning != Meaning::Nothing).unwrap_or(Meaning::Nothing)
    }
}

impl VisitorMut for Resolver<'_> {
    type Break = ();

    /// A common table expression sees those before it, and itself only under RECURSIVE; the body sees them all.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.ctes.push(Vec::new());
        let mut with = query.with.take();
        if let Some(with) = &mut with {
            for cte in &mut with.cte_tables {
                quote(&mut cte.alias.name);
                let name = cte.alias.name.value.clone();
                let recursive = with.recursive;
                if recursive {
                    self.declare(name.clone());
                }
                let _ = cte.query.visit(self);
                if !recursive {
                    self.declare(name);
                }
            }
        }
        self.hidden.push(with);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.ctes.pop();
        query.with = self.hidden.pop().flatten();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                alias.iter_mut().for_each(|alias| quote(&mut alias.name));
                if args.is_none() {
                    self.table(name, alias);
                }
            }
            TableFactor::Derived { alias: Some(alias), .. } => quote(&mut alias.name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if !matches!(value.value, Value::Placeholder(_)) || self.findings.len() >= MAX_FINDINGS {
            return ControlFlow::Continue(());
        }
        let mut parameters = Parameters { valid: &self.scope.parameters(), findings: Vec::new() };
        parameters.value(value);
        self.findings.append(&mut parameters.findings);
        ControlFlow::Continue(())
    }
}

/// Finds parameters that are not declared.
pub(super) struct Parameters<'a> {
    /// Those that are.
    pub(super) valid: &'a [&'a str],
    /// Those that are not.
    pub(super) findings: Vec<SqlFinding>,
}

impl Parameters<'_> {
    fn value(&mut self, value: &ValueWithSpan) {
        let Value::Placeholder(name) = &value.value else { return };
        let bare = name.trim_start_matches('$');
        if !self.valid.contains(&bare) {
            let finding = Finding::error(Code::UnknownParameter, format!("there is no parameter '{name}'"));
            self.findings.push(SqlFinding::new(value.span, finding.nearest(bare, self.valid.iter().copied())));
        }
    }
}

impl VisitorMut for Parameters<'_> {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        self.value(value);
        ControlFlow::Continue(())
    }
}

/// The name under which a relation without alias is visible: the last part of its own.
fn visible_name(relation: &Relation) -> String {
    match relation {
        Relation::Task(path) => path.name().to_owned(),
        Relation::Table(table) => table.path.last().unwrap_or(&table.connection).clone(),
    }
}

fn part(ident: &Ident) -> Part {
    Part { text: ident.value.clone(), is_quoted: ident.quote_style.is_some() }
}

fn quote(ident: &mut Ident) {
    *ident = quoted(std::mem::take(&mut ident.value), ident.span);
}

fn quoted(value: String, span: Span) -> Ident {
    Ident { value, quote_style: Some('"'), span }
}
