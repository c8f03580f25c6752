//! Which tables a list of patterns and names means.

use std::collections::BTreeSet;

use super::{Found, SourceTable, place};
use crate::casing::{Meaning, quoted_forms, settle};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::plan::names::Connections;
use crate::spec::{ExtractTask, TableNames};
use crate::sql::{Part, split_parts};

/// What an extract asks for.
#[derive(Debug)]
pub(super) struct Choice {
    /// The connection of all patterns.
    pub(super) connection: String,
    patterns: Vec<Pattern>,
    exclude: Vec<(String, Name)>,
}

/// `connection.schema.table`, whose last part may be a pattern.
#[derive(Debug)]
struct Pattern {
    text: String,
    connection: String,
    schema: Vec<Part>,
    table: Name,
    /// Inside the extract's task.
    place: Vec<Step>,
}

/// Which names are meant.
#[derive(Debug)]
enum Name {
    /// Those that hold these pieces in this order, the first at the beginning and the last at the end, in any case.
    Like(Vec<String>),
    /// One name.
    One(Part),
}

/// The tables that were found.
#[derive(Debug, Default)]
pub(super) struct Chosen<'t> {
    /// Each with the place of its pattern, sorted by path.
    pub(super) tables: Vec<(&'t SourceTable, Vec<Step>)>,
    /// Those that `exclude` leaves out.
    pub(super) excluded: Vec<&'t SourceTable>,
    /// Those that a pattern leaves out, because they are no tables.
    pub(super) views: Vec<&'t SourceTable>,
    /// What is wrong with patterns.
    pub(super) findings: Vec<Found>,
}

impl Choice {
    /// Reads the patterns of an extract; what is wrong with them stands in the error.
    pub(super) fn read(extract: &ExtractTask, connections: &Connections) -> Result<Self, Vec<Found>> {
        let Some(names) = &extract.tables else { return Err(Vec::new()) };
        let (mut patterns, mut exclude, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in names.as_slice().iter().enumerate() {
            let mut place = place(&["extract", "tables"]);
            place.extend(matches!(names, TableNames::Several(_)).then_some(Step::from(index)));
            match Pattern::read(text, connections, place.clone()) {
                Ok(pattern) => patterns.push(pattern),
                Err(finding) => wrong.push((place, finding)),
            }
        }
        for (index, text) in extract.exclude.iter().enumerate() {
            match excluded(text) {
                Ok(name) => exclude.push((text.clone(), name)),
                Err(finding) => {
                    wrong.push(([place(&["extract", "exclude"]), vec![Step::from(index)]].concat(), finding))
                }
            }
        }
        let first = patterns.first().map(|pattern| pattern.connection.clone()).unwrap_or_default();
        if let Some(other) = patterns.iter().find(|pattern| pattern.connection != first) {
            let message = format!("the tables are those of two connections, {first} and {}", other.connection);
            let finding = Finding::error(Code::BadExtract, message).hint("write an extract for each connection");
            wrong.push((other.place.clone(), finding));
        }
        if names.as_slice().is_empty() {
            wrong.push((
                place(&["extract", "tables"]),
                Finding::error(Code::BadValue, "`tables` is empty: expected patterns or names"),
            ));
        }
        if wrong.is_empty() { Ok(Self { connection: first, patterns, exclude }) } else { Err(wrong) }
    }

    /// The tables that are meant.
    pub(super) fn among<'t>(&self, tables: &'t [SourceTable]) -> Chosen<'t> {
        let mut chosen = Chosen::default();
        let mut seen: BTreeSet<&[String]> = BTreeSet::new();
        let mut used = vec![false; self.exclude.len()];
        for pattern in &self.patterns {
            let found = match pattern.among(tables) {
                Ok(found) => found,
                Err(finding) => {
                    chosen.findings.push((pattern.place.clone(), finding));
                    continue;
                }
            };
            for table in found {
                if seen.contains(table.path.as_slice()) {
                    continue;
                }
                match self.exclude.iter().position(|(_, name)| name.means(table.name())) {
                    Some(by) => {
                        used[by] = true;
                        seen.insert(&table.path);
                        chosen.excluded.push(table);
                    }
                    None if table.is_view() && matches!(pattern.table, Name::Like(_)) => {
                        chosen.views.push(table);
                    }
                    None => {
                        seen.insert(&table.path);
                        chosen.tables.push((table, pattern.place.clone()));
                    }
                }
            }
        }
        chosen.views.retain(|view| !seen.contains(view.path.as_slice()));
        chosen.views.dedup();
        chosen.tables.sort_by(|one, other| one.0.path.cmp(&other.0.path));
        self.judge(&mut chosen, &used);
        chosen
    }

    /// Whether every pattern does something.
    fn judge(&self, chosen: &mut Chosen<'_>, used: &[bool]) {
        let names: Vec<&str> = chosen.tables.iter().map(|(table, _)| table.name()).collect();
        for (index, (text, _)) in self.exclude.iter().enumerate().filter(|(index, _)| !used[*index]) {
            let finding = Finding::warning(
                Code::UnknownTable,
                format!("no table matches '{text}', so that it leaves nothing out"),
            );
            let near = crate::diagnostic::nearest(&stem(text), names.iter().copied());
            let finding = match near {
                Some(near) => finding.hint(format!("did you mean '{near}'?")),
                None => finding.hint("remove it, or correct it"),
            };
            chosen.findings.push(([place(&["extract", "exclude"]), vec![Step::from(index)]].concat(), finding));
        }
        if !chosen.tables.is_empty() || chosen.findings.iter().any(|(_, finding)| finding.code != Code::UnknownTable) {
            return;
        }
        if !chosen.excluded.is_empty() {
            let message = format!("`exclude` leaves out all {} tables that match", chosen.excluded.len());
            chosen.findings.push((place(&["extract", "exclude"]), Finding::error(Code::UnknownTable, message)));
        } else if !chosen.views.is_empty() {
            let names = chosen.views.iter().take(3).map(|view| view.label()).collect::<Vec<_>>().join(", ");
            let message = format!("the pattern matches views alone, e.g. {names}");
            let finding = Finding::error(Code::UnknownTable, message);
            chosen.findings.push((
                place(&["extract", "tables"]),
                finding.hint("patterns mean tables; a view is read if it is named"),
            ));
        }
    }
}

impl Pattern {
    fn read(text: &str, connections: &Connections, place: Vec<Step>) -> Result<Self, Finding> {
        let parts = split_parts(text)?;
        let [first, schema @ .., table] = parts.as_slice() else {
            let finding = Finding::error(Code::BadExtract, format!("'{text}' names a connection and no table"));
            return Err(finding.hint("write connection.schema.pattern, e.g. shop.public.*"));
        };
        if is_pattern(first) {
            let finding = Finding::error(Code::BadExtract, format!("'{text}' names no connection"));
            return Err(finding.hint("write connection.schema.pattern, e.g. shop.public.*"));
        }
        let connection = connections.settle(&first.text, first.is_quoted)?;
        if schema.iter().any(is_pattern) {
            let message = format!("only the last part of '{text}' can be a pattern");
            return Err(Finding::error(Code::BadExtract, message)
                .hint("list the schemas, e.g. tables: [shop.public.*, shop.sales.*]"));
        }
        Ok(Self { text: text.to_owned(), connection, schema: schema.to_vec(), table: Name::of(table), place })
    }

    /// The tables that it means; the finding says that there is none, and what it could mean.
    fn among<'t>(&self, tables: &'t [SourceTable]) -> Result<Vec<&'t SourceTable>, Finding> {
        let mut found: Vec<&SourceTable> =
            tables.iter().filter(|table| table.path.len() == self.schema.len() + 1).collect();
        for (depth, part) in self.schema.iter().enumerate() {
            let names: BTreeSet<&str> = found.iter().map(|table| table.path[depth].as_str()).collect();
            match settle(&part.text, part.is_quoted, names.iter().copied()) {
                Meaning::One(name) => found.retain(|table| table.path[depth] == name),
                Meaning::Several(names) => return Err(ambiguous(&part.text, &names)),
                Meaning::Nothing => {
                    let message =
                        format!("connection {} has no readable table in a schema '{}'", self.connection, part.text);
                    return Err(Finding::error(Code::UnknownTable, message).nearest(&part.text, names));
                }
            }
        }
        let names: Vec<&str> = found.iter().map(|table| table.name()).collect();
        let matching: Vec<&SourceTable> = match &self.table {
            Name::Like(_) => {
                found.iter().copied().filter(|table| !is_own(table) && self.table.means(table.name())).collect()
            }
            Name::One(part) => match settle(&part.text, part.is_quoted, names.iter().copied()) {
                Meaning::One(name) => found.iter().copied().filter(|table| table.name() == name).collect(),
                Meaning::Several(names) => return Err(ambiguous(&part.text, &names)),
                Meaning::Nothing => Vec::new(),
            },
        };
        if matching.is_empty() {
            let finding = Finding::error(Code::UnknownTable, format!("no table matches '{}'", self.text));
            let wrong = stem(self.text.rsplit('.').next().unwrap_or_default());
            // What is written is a pattern, which no name replaces.
            return Err(Finding { correction: None, ..finding.nearest(&wrong, names) });
        }
        Ok(matching)
    }
}

impl Name {
    fn of(part: &Part) -> Self {
        if is_pattern(part) {
            Self::Like(part.text.to_lowercase().split(['*', '%']).map(str::to_owned).collect())
        } else {
            Self::One(part.clone())
        }
    }

    fn means(&self, name: &str) -> bool {
        match self {
            Self::Like(pieces) => is_like(pieces, &name.to_lowercase()),
            Self::One(part) if part.is_quoted => part.text == name,
            Self::One(part) => part.text.to_lowercase() == name.to_lowercase(),
        }
    }
}

/// A pattern of `exclude`.
fn excluded(text: &str) -> Result<Name, Finding> {
    match split_parts(text)?.as_slice() {
        [part] => Ok(Name::of(part)),
        _ => Err(Finding::error(
            Code::BadExtract,
            format!("'{text}' has several parts, and `exclude` takes names of tables alone"),
        )
        .hint("e.g. exclude: [audit_*]; a name with a dot stands in double quotes")),
    }
}

/// `*` or, as in LIKE, `%` stands for any characters; in double quotes for itself.
fn is_pattern(part: &Part) -> bool {
    !part.is_quoted && part.text.contains(['*', '%'])
}

fn is_like(pieces: &[String], name: &str) -> bool {
    let [first, between @ .., last] = pieces else { return false };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
    for piece in between {
        let Some(at) = rest.find(piece.as_str()) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last.as_str())
}

/// Tables of systems, and those in which Headwater keeps its own records: no pattern means them.
fn is_own(table: &SourceTable) -> bool {
    let is_system = |name: &String| name == "information_schema" || name.starts_with("pg_");
    table.name().starts_with("_headwater") || table.schema().iter().any(is_system)
}

/// What a pattern holds besides stars, for looking up what is near.
fn stem(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '*' | '%' | '"')).collect()
}

fn ambiguous(name: &str, names: &[&str]) -> Finding {
    let message = format!("'{name}' could be {}", quoted_forms(names));
    Finding::error(Code::AmbiguousName, message).hint("write the name in double quotes with its exact case")
}
