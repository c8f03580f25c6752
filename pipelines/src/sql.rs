//! SQL of transforms: parsed, each relation resolved and rewritten to its one internal name.
//!
//! DataFusion takes at most three parts in a name and knows nothing of groups, so names are settled here, on the syntax
//! tree. Identifiers keep the positions of the original text, which later findings point at.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableAlias,
    TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut, visit_relations,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Span;

use crate::diagnostic::{Code, Finding};
use crate::plan::Relation;

/// A statement whose relations are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The rewritten tree; identifiers that were not rewritten keep their positions.
    pub query: Box<Query>,
    /// The relations it reads, sorted.
    pub reads: BTreeSet<Relation>,
}

impl Resolved {
    /// Where the statement names a relation, by the relation's internal name.
    pub fn place_of(&self, relation: &str) -> Option<Span> {
        let found = visit_relations(&self.query, |name| match name.0.last().and_then(|part| part.as_ident()) {
            Some(ident) if ident.value == relation => ControlFlow::Break(ident.span),
            _ => ControlFlow::Continue(()),
        });
        match found {
            ControlFlow::Break(span) => Some(span),
            ControlFlow::Continue(()) => None,
        }
    }

    /// The rewritten statement as text, for the stored plan.
    pub fn sql(&self) -> String {
        self.query.to_string()
    }
}

/// A finding and its place in the statement's text.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlFinding {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Length in characters.
    pub length: usize,
    /// What is wrong.
    pub finding: Finding,
}

impl SqlFinding {
    /// A finding at the place of a piece of syntax.
    pub fn new(span: Span, finding: Finding) -> Self {
        let one_line = span.start.line == span.end.line;
        let length = if one_line { span.end.column.saturating_sub(span.start.column) } else { 1 };
        Self {
            line: span.start.line.max(1),
            column: span.start.column.max(1),
            length: usize::try_from(length).unwrap_or(1).max(1),
            finding,
        }
    }
}

/// What names in a statement may refer to.
pub trait Scope {
    /// The relation that a name of a FROM clause refers to.
    fn relation(&self, parts: &[String]) -> Result<Relation, Finding>;
    /// Names of parameters and of the run's context.
    fn parameters(&self) -> Vec<&str>;
}

/// Parses one SELECT and resolves its relations.
pub fn resolve(sql: &str, scope: &dyn Scope) -> Result<Resolved, Vec<SqlFinding>> {
    let mut query = parse(sql).map_err(|finding| vec![finding])?;
    let mut resolver = Resolver {
        scope,
        ctes: Vec::new(),
        hidden: Vec::new(),
        written: HashMap::new(),
        reads: BTreeSet::new(),
        findings: Vec::new(),
    };
    let _ = query.visit(&mut resolver);
    if resolver.findings.is_empty() { Ok(Resolved { query, reads: resolver.reads }) } else { Err(resolver.findings) }
}

/// Parses a condition, e.g. of a check rule, and finds undeclared parameters in it.
pub fn condition(sql: &str, parameters: &[&str]) -> Result<Expr, Vec<SqlFinding>> {
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).map_err(|error| vec![syntax(&error)])?;
    let mut expr = parser.parse_expr().map_err(|error| vec![syntax(&error)])?;
    let rest = parser.peek_token();
    if rest.token != sqlparser::tokenizer::Token::EOF {
        let finding =
            Finding::error(Code::SqlSyntax, format!("expected the end of the condition, found {}", rest.token));
        return Err(vec![SqlFinding::new(rest.span, finding)]);
    }
    let mut check = Parameters { valid: parameters, findings: Vec::new() };
    let _ = expr.visit(&mut check);
    if check.findings.is_empty() { Ok(expr) } else { Err(check.findings) }
}

/// Parses one SELECT.
pub fn parse(sql: &str) -> Result<Box<Query>, SqlFinding> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|error| syntax(&error))?;
    let start = Span::new((1, 1).into(), (1, 2).into());
    let only = |message: &str| {
        SqlFinding::new(start, Finding::error(Code::SqlStatement, message).hint("a transform is exactly one SELECT"))
    };
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => Ok(query),
        (None, _) => Err(only("the statement is empty")),
        (Some(_), Some(_)) => Err(only("expected one statement, found several")),
        (Some(_), None) => Err(only("expected a SELECT, found another kind of statement")),
    }
}

/// The parser puts the place into its message.
fn syntax(error: &ParserError) -> SqlFinding {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply",
    };
    let (message, place) = text.rsplit_once(" at Line: ").unwrap_or((text, "1, Column: 1"));
    let (line, column) = place.split_once(", Column: ").unwrap_or(("1", "1"));
    let number = |text: &str| text.trim().parse().unwrap_or(1);
    let message = message.replacen("Expected: ", "expected ", 1).replacen("found: ", "found ", 1);
    SqlFinding {
        line: number(line),
        column: number(column),
        length: 1,
        finding: Finding::error(Code::SqlSyntax, message),
    }
}

struct Resolver<'a> {
    scope: &'a dyn Scope,
    /// Names of common table expressions, innermost scope last.
    ctes: Vec<Vec<String>>,
    /// WITH clauses that were visited by hand, taken out so that they are not visited twice.
    hidden: Vec<Option<sqlparser::ast::With>>,
    /// Names as written (several parts) and the alias under which they are visible.
    written: HashMap<Vec<String>, String>,
    reads: BTreeSet<Relation>,
    findings: Vec<SqlFinding>,
}

impl VisitorMut for Resolver<'_> {
    type Break = ();

    /// A common table expression sees those before it, and itself only under RECURSIVE; the body sees them all.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.ctes.push(Vec::new());
        let mut with = query.with.take();
        if let Some(with) = &mut with {
            for cte in &mut with.cte_tables {
                fold(&mut cte.alias.name);
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

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                parts.iter_mut().for_each(fold);
                if let Some(alias) = self.written_alias(&parts) {
                    parts = vec![alias];
                }
                *name = ObjectName::from(parts);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.table(name, alias),
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                fold(&mut alias.name)
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some((_, qualifier)) = parts.split_last_mut()
        {
            qualifier.iter_mut().for_each(fold);
        }
        ControlFlow::Continue(())
    }

    /// Qualified columns are settled last: the select list comes before the FROM clause that names its tables.
    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if !self.written.is_empty() {
            let mut qualifiers = Qualifiers { written: &self.written };
            let _ = select.visit(&mut qualifiers);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let mut parameters = Parameters { valid: &self.scope.parameters(), findings: Vec::new() };
        parameters.value(value);
        self.findings.append(&mut parameters.findings);
        ControlFlow::Continue(())
    }
}

impl Resolver<'_> {
    fn declare(&mut self, name: String) {
        if let Some(scope) = self.ctes.last_mut() {
            scope.push(name);
        }
    }

    fn table(&mut self, name: &mut ObjectName, alias: &mut Option<TableAlias>) {
        let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let parts: Vec<String> = idents.iter().map(folded).collect();
        if let Some(alias) = alias {
            fold(&mut alias.name);
        }
        if let [only] = parts.as_slice()
            && self.ctes.iter().any(|scope| scope.contains(only))
        {
            *name = ObjectName::from(vec![quoted(only.clone(), idents[0].span)]);
            return;
        }
        // A name is tried as it was written first, so that mixed-case tables work without quotes.
        let as_written: Vec<String> = idents.iter().map(|ident| ident.value.clone()).collect();
        let span = Span::union_iter(idents.iter().map(|ident| ident.span));
        match self.scope.relation(&as_written) {
            Ok(relation) => {
                let visible = parts.last().cloned().unwrap_or_default();
                if alias.is_none() {
                    *alias = Some(TableAlias {
                        explicit: true,
                        name: quoted(visible.clone(), span),
                        columns: Vec::new(),
                        at: None,
                    });
                    if parts.len() > 1 {
                        self.written.insert(parts, visible);
                    }
                }
                *name = ObjectName::from(vec![quoted(relation.internal_name(), span)]);
                self.reads.insert(relation);
            }
            Err(finding) => self.findings.push(SqlFinding::new(span, finding)),
        }
    }

    fn written_alias(&self, parts: &[Ident]) -> Option<Ident> {
        let key: Vec<String> = parts.iter().map(folded).collect();
        let span = parts.first()?.span;
        self.written.get(&key).map(|alias| quoted(alias.clone(), span))
    }
}

/// Shortens `group.task.column` to `task.column`, the alias under which the table is visible.
struct Qualifiers<'a> {
    written: &'a HashMap<Vec<String>, String>,
}

impl VisitorMut for Qualifiers<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some((column, qualifier)) = parts.split_last()
            && let Some(alias) = self.written.get(&qualifier.iter().map(folded).collect::<Vec<_>>())
        {
            *parts = vec![quoted(alias.clone(), qualifier[0].span), column.clone()];
        }
        ControlFlow::Continue(())
    }
}

/// Finds parameters that are not declared.
struct Parameters<'a> {
    valid: &'a [&'a str],
    findings: Vec<SqlFinding>,
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

/// Splits a dotted name as SQL does: parts in double quotes are taken as they are.
pub fn split_name(text: &str) -> Result<Vec<String>, Finding> {
    let wrong = || {
        Finding::error(Code::UnknownName, format!("'{text}' is not a name"))
            .hint("names are parts joined by dots; a part with other characters stands in double quotes")
    };
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part = if let Some(inner) = rest.strip_prefix('"') {
            let (part, behind) = inner.split_once('"').ok_or_else(wrong)?;
            rest = behind;
            part
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            rest = behind;
            part
        };
        if part.is_empty() || part.contains('"') {
            return Err(wrong());
        }
        parts.push(part.to_owned());
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(wrong()),
        }
    }
}

/// Folds an unquoted identifier to lower case, as Postgres does with names of tables.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn fold(ident: &mut Ident) {
    *ident = quoted(folded(ident), ident.span);
}

fn quoted(value: String, span: Span) -> Ident {
    Ident { value, quote_style: Some('"'), span }
}

#[cfg(test)]
mod tests;
