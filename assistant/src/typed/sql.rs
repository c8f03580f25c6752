//! SQL of an answer: columns by their ids become names, and what it reads and calls is checked.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use headwater_pipelines::path::TaskPath;
use headwater_pipelines::sql::parse;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, SetExpr, TableFactor, Value,
    Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::ALL_KEYWORDS;
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

use super::fault::{Fault, Phase};
use super::functions;
use crate::known::{Known, TableId};

/// Replaces ids such as `t01_c3` by the columns that they stand for. Text in quotes stays as it is.
pub(super) fn with_names(sql: &str, known: &Known, at: &str) -> Result<String, Fault> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| Fault::new(Phase::Types, "sql_syntax", at, &error.to_string()))?;
    let mut out = String::with_capacity(sql.len());
    let mut copied = 0;
    for token in tokens {
        let Token::Word(word) = &token.token else { continue };
        let Some(id) = word.quote_style.is_none().then(|| column_id(&word.value)).flatten() else { continue };
        let Some(column) = known.read_column(&id).and_then(|id| known.column(id)) else {
            return Err(Fault::name("unknown_column", at, &format!("'{}' stands for no column", word.value)));
        };
        let (start, end) = (offset(sql, token.span.start), offset(sql, token.span.end));
        out.push_str(&sql[copied..start]);
        out.push_str(&quoted(&column.name));
        copied = end;
    }
    out.push_str(&sql[copied..]);
    Ok(out)
}

/// `t01_c3` as `t01.c3`.
fn column_id(word: &str) -> Option<String> {
    let (table, column) = word.split_once("_c")?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    (is_number(table.strip_prefix('t')?) && is_number(column)).then(|| format!("{table}.c{column}"))
}

/// How a column is written in the SQL of an answer.
pub(crate) fn column_word(id: crate::known::ColumnId) -> String {
    id.to_string().replace(".c", "_c")
}

/// A name in quotes unless it means the same without them.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && ALL_KEYWORDS.binary_search(&name.to_uppercase().as_str()).is_err();
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A place in lines and columns as one in bytes.
fn offset(text: &str, place: Location) -> usize {
    let line = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// The names that SQL can have for a task: its path, and what the path ends with.
pub(super) fn names_of(path: &TaskPath) -> Vec<String> {
    let parts: Vec<&str> = path.split('.').collect();
    (0..parts.len()).map(|from| parts[from..].join(".")).collect()
}

/// A statement is shown to people, on terminals.
pub(super) fn control_characters(text: &str, at: &str) -> Option<Fault> {
    let has_some = text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    has_some.then(|| Fault::structure(at, "a statement has no control characters"))
}

/// Checks that a SELECT reads tasks of the draft alone and calls allowed functions. Answers also the names of the tasks, as often as they are read.
pub(super) fn check(query: &Query, tasks: &BTreeSet<String>, at: &str) -> (Vec<Fault>, Vec<String>) {
    let is_task = |path: &str| tasks.contains(path);
    let check = Check::of(query, at, &is_task);
    let mut faults: Vec<Fault> = check.faults.into_iter().collect();
    faults.extend(check.tables.into_iter().map(|(path, ..)| {
        let message = format!("'{path}' is no task of this draft; read tables with an extract task");
        Fault::name("unknown_task", at, &message).candidates(tasks)
    }));
    (faults, check.reads)
}

/// A SELECT over ids of tables as one over tables, with the tables that it reads. Of tables it may name those that were shown alone.
pub(crate) fn statement(text: &str, known: &Known, shown: &[TableId]) -> Result<(String, Vec<TableId>), Vec<Fault>> {
    let at = "sql";
    let query = parse(text).map_err(|error| {
        vec![Fault::new(Phase::Types, "sql_syntax", at, &format!("line {}: {}", error.line, error.finding.message))]
    })?;
    let Check { tables, mut faults, .. } = Check::of(&query, at, &|_| false);
    faults.extend(control_characters(text, at));
    let mut reads = BTreeSet::new();
    let mut replaced: Vec<(usize, usize, String)> = Vec::new();
    for (path, span, has_alias) in tables {
        let found = known.read_table(&path).filter(|id| shown.contains(id));
        let Some((id, table)) = found.and_then(|id| Some((id, known.table(id)?))) else {
            let message = format!("'{path}' stands for no table that you were shown");
            faults.insert(Fault::name("unknown_table", at, &message).candidates(shown.iter().map(ToString::to_string)));
            continue;
        };
        reads.insert(id);
        let alias = if has_alias { String::new() } else { format!(" AS {path}") };
        replaced.push((offset(text, span.start), offset(text, span.end), format!("{}{alias}", table.full_name())));
    }
    if !faults.is_empty() {
        return Err(faults.into_iter().collect());
    }
    replaced.sort();
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, end, name) in replaced {
        // Two relations never overlap, whatever their places say.
        if start < copied || end < start {
            return Err(vec![Fault::structure(at, "the statement can't be read")]);
        }
        out.push_str(&text[copied..start]);
        out.push_str(&name);
        copied = end;
    }
    out.push_str(&text[copied..]);
    let sql = with_names(&out, known, at).map_err(|fault| vec![fault])?;
    Ok((sql.trim().trim_end_matches(';').trim_end().to_owned(), reads.into_iter().collect()))
}

/// Whether a body is made of SELECT and VALUES, without INTO and without the short form TABLE.
fn only_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::SetOperation { left, right, .. } => only_reads(left) && only_reads(right),
        SetExpr::Query(_) | SetExpr::Values(_) => true,
        _ => false,
    }
}

struct Check<'a> {
    at: &'a str,
    /// Whether a name is one of a task.
    is_task: &'a dyn Fn(&str) -> bool,
    /// Relations that are neither tasks nor common table expressions, with their places and whether they have aliases.
    tables: Vec<(String, Span, bool)>,
    /// Tasks, as often as they are read.
    reads: Vec<String>,
    /// Relations of all kinds.
    relations: usize,
    /// Names of common table expressions, in lower case unless they were quoted.
    ctes: BTreeSet<String>,
    /// Operations that make text longer.
    growing: usize,
    faults: BTreeSet<Fault>,
}

/// The most common table expressions and relations of a statement: planning puts each expression in the place of its name.
const MOST_EXPRESSIONS: usize = 10;
const MOST_RELATIONS: usize = 24;

/// The most operations of a statement that make text longer: each may double it.
const MOST_GROWING: usize = 16;

/// The longest text that may be put in the place of another.
const LONGEST_REPLACEMENT: usize = 40;

impl<'a> Check<'a> {
    fn of(query: &Query, at: &'a str, is_task: &'a dyn Fn(&str) -> bool) -> Self {
        let (ctes, faults) = (BTreeSet::new(), BTreeSet::new());
        let mut check =
            Self { at, is_task, tables: Vec::new(), reads: Vec::new(), relations: 0, ctes, growing: 0, faults };
        let _ = query.visit(&mut check);
        if check.growing > MOST_GROWING {
            let message = format!("more than {MOST_GROWING} operations that make text longer");
            check.faults.insert(Fault::structure(at, &message));
        }
        if check.ctes.len() > MOST_EXPRESSIONS || check.relations > MOST_RELATIONS {
            let message = format!("a statement has at most {MOST_EXPRESSIONS} WITHs and {MOST_RELATIONS} relations");
            check.faults.insert(Fault::structure(at, &message));
        }
        check
    }

    /// A common table expression. Its name can be taken for no task, no id and no table, wherever it is in scope.
    fn cte(&mut self, name: &Ident) {
        let name = said(name);
        if (self.is_task)(&name) || name.contains('.') || is_id(&name) {
            let message = format!("a WITH can't be called '{name}': choose a name that nothing else has");
            self.faults.insert(Fault::name("bad_name", self.at, &message));
        }
        self.ctes.insert(name);
    }

    /// Text grows by what is put into it, and more than once if that is nested.
    fn grows(&mut self, name: &str, arguments: &FunctionArguments) {
        let list = match arguments {
            FunctionArguments::List(list) => list.args.as_slice(),
            _ => return,
        };
        match name {
            "concat" | "concat_ws" | "format" | "string_agg" => self.growing += 1,
            "replace" | "regexp_replace" | "translate" => {
                self.growing += 1;
                let short = list
                    .get(2)
                    .is_none_or(|argument| text_of(argument).is_some_and(|text| text.len() <= LONGEST_REPLACEMENT));
                let nested = list
                    .first()
                    .is_some_and(|argument| argument.to_string().to_lowercase().matches("replace(").count() >= 2);
                if !short || nested {
                    let message = format!(
                        "{name} takes a literal of at most {LONGEST_REPLACEMENT} characters for what it puts in, and at most two of them are nested"
                    );
                    self.faults.insert(Fault::structure(self.at, &message));
                }
            }
            _ => {}
        }
    }
}

/// Whether a name looks like the id of a table.
fn is_id(name: &str) -> bool {
    name.strip_prefix('t').is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
}

/// An identifier as it is compared.
fn said(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The text of an argument that is a literal.
fn text_of(argument: &FunctionArg) -> Option<&str> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

impl Visitor for Check<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            if with.recursive {
                self.faults.insert(Fault::structure(self.at, "a WITH can't be recursive: it need not end"));
            }
            with.cte_tables.iter().for_each(|cte| self.cte(&cte.alias.name));
        }
        if !query.locks.is_empty() {
            self.faults.insert(Fault::structure(self.at, "a SELECT that locks rows changes them for others"));
        }
        if !only_reads(&query.body) {
            self.faults.insert(Fault::structure(self.at, "expected a SELECT that only reads"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, alias, .. } => {
                let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
                let path = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
                let is_cte = matches!(parts.as_slice(), [only] if self.ctes.contains(&said(only)));
                self.relations += 1;
                if (self.is_task)(&path) {
                    self.reads.push(path);
                } else if !is_cte {
                    let span = Span::union_iter(parts.iter().map(|part| part.span));
                    self.tables.push((path, span, alias.is_some()));
                }
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {}
            _ => {
                self.faults.insert(Fault::name("bad_table", self.at, "only tables and SELECTs can stand in FROM"));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::BinaryOp { op: BinaryOperator::StringConcat, .. }) {
            self.growing += 1;
        }
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            self.grows(&name, &function.args);
            if !functions::is_allowed(&name) {
                let hint = match functions::reads_the_clock(&name) {
                    true => "; no statement reads the clock: use the times that you were given",
                    false => "",
                };
                let message = format!("the function '{name}' can't be used{hint}");
                self.faults.insert(Fault::name("bad_function", self.at, &message));
            }
        }
        ControlFlow::Continue(())
    }
}
