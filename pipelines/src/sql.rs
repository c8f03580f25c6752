//! SQL of transforms: parsed, each relation resolved and rewritten to its one internal name.
//!
//! DataFusion takes at most three parts in a name and knows nothing of groups, so names are settled here, on the syntax
//! tree. Identifiers keep the positions of the original text, which later findings point at.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Statement, VisitMut, visit_relations};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Tokenizer};

use crate::diagnostic::{Code, Finding};
use crate::plan::Relation;

mod depth;
mod operators;
mod qualifiers;
mod resolver;

use resolver::{Parameters, Resolver};

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

/// One part of a dotted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As it is written, without quotes.
    pub text: String,
    /// Whether it stands for exactly this text; otherwise its case is free (see [`crate::casing`]).
    pub is_quoted: bool,
}

/// What names in a statement may refer to.
pub trait Scope {
    /// The relation that a name of a FROM clause refers to.
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding>;
    /// Names of parameters and of the run's context.
    fn parameters(&self) -> Vec<&str>;
}

/// Parses one SELECT and resolves its relations.
pub fn resolve(sql: &str, scope: &dyn Scope) -> Result<Resolved, Vec<SqlFinding>> {
    let mut query = parse(sql).map_err(|finding| vec![finding])?;
    let mut resolver = Resolver::new(scope, qualifiers::visible_names(&mut query));
    let _ = query.visit(&mut resolver);
    qualifiers::settle(&mut query, std::mem::take(&mut resolver.written));
    if resolver.findings.is_empty() { Ok(Resolved { query, reads: resolver.reads }) } else { Err(resolver.findings) }
}

/// Parses a condition, e.g. of a check rule, and finds undeclared parameters in it.
pub fn condition(sql: &str, parameters: &[&str]) -> Result<Expr, Vec<SqlFinding>> {
    let tokens = depth::tokens(sql).map_err(|finding| vec![finding])?;
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
    let mut expr = parser.parse_expr().map_err(|error| vec![syntax(&error)])?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
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
    let tokens = depth::tokens(sql)?;
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements().map_err(|error| syntax(&error))?;
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

/// Names of the parameters that a statement or condition uses, without `$`. Text that is not SQL uses none.
pub fn parameters(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap_or_default();
    let names = tokens.into_iter().filter_map(|token| match token {
        Token::Placeholder(name) => Some(name.trim_start_matches('$').to_owned()),
        _ => None,
    });
    names.collect()
}

/// Splits a dotted name as SQL does: parts in double quotes are taken as they are.
pub fn split_name(text: &str) -> Result<Vec<String>, Finding> {
    Ok(split_parts(text)?.into_iter().map(|part| part.text).collect())
}

/// Splits a dotted name of a field, e.g. of `input`, and keeps which of its parts stand in double quotes.
pub fn split_parts(text: &str) -> Result<Vec<Part>, Finding> {
    let wrong = || {
        Finding::error(Code::UnknownName, format!("'{text}' is not a name"))
            .hint("names are parts joined by dots; a part with other characters stands in double quotes")
    };
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let is_quoted = rest.starts_with('"');
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
        parts.push(Part { text: part.to_owned(), is_quoted });
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests;
