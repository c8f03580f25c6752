//! Sentences and questions without a model: a controlled English over the real catalog. docs/offline-grammar.md describes it.
//!
//! It never guesses. A sentence is read whole or not at all: words that fit nothing are reported, and what could mean two things is asked.

mod clauses;
mod condition;
mod data;
mod drafting;
mod entities;
mod follow;
mod german;
mod german_loads;
mod heads;
mod how;
mod interval;
mod keyed;
mod lexer;
mod list;
mod loads;
mod modifiers;
mod names;
mod ones;
mod partners;
mod parts;
mod period;
mod phrase;
mod ranks;
mod refusals;
mod routes;
mod schedule;
mod selection;
mod spoken;
mod sql;
mod stop;
mod tail;
mod targets;
mod units;
mod whole;
mod wishes;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use headwater_pipelines::diagnostic::nearest;
use headwater_pipelines::spec::Schedule;

use crate::draft::{Drafted, NotUnderstood, Outcome, Refusal, RefusalReason};
use crate::known::{Known, TableId};
use data::Data;
pub(crate) use follow::ask_after;
use lexer::Token;
use loads::Reader;
pub use names::Term;

use names::Names;
use period::Period;
use sql::Writing;
use stop::Stop;

/// Longest sentence that is read, in bytes.
const LONGEST: usize = 20_000;

/// What a sentence is read with.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Tables that the person may read.
    pub known: &'a Known,
    /// Connections that can be written to.
    pub targets: &'a [String],
    /// The workspace's words for tables.
    pub terms: &'a [Term],
    /// The workspace's zone.
    pub zone: Tz,
    /// The moment of asking.
    pub now: DateTime<Utc>,
}

/// A question as a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// One SELECT over tables named `connection.path`.
    pub sql: String,
    /// The tables that it reads.
    pub tables: Vec<TableId>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
}

/// Makes a draft of a sentence.
pub fn compile(sentence: &str, setting: &Setting<'_>) -> Outcome<Drafted> {
    let mut names = Names::of(setting.known, setting.terms);
    names.is_german = spoken::is_german(sentence);
    let (said, wishes) = wishes::take(spoken::hear(sentence, &names), &names);
    let reader =
        Reader { sentence, said: &said, names: &names, targets: setting.targets, zone: setting.zone, wishes: &wishes };
    let made = readable(sentence, &said).and_then(|()| reader.read()).and_then(|request| {
        let tables: Vec<TableId> = request.loads.iter().flat_map(|load| drafting::tables(&load.selection)).collect();
        let mut drafted = drafting::draft(sentence, &said, &request, setting)?;
        drafted.assumptions.extend(names.called(&said, &tables));
        Ok(drafted)
    });
    outcome(made, sentence, &said)
}

/// Makes a statement of a question.
pub fn ask(question: &str, setting: &Setting<'_>) -> Outcome<Statement> {
    let mut names = Names::of(setting.known, setting.terms);
    names.is_german = spoken::is_german(question);
    let said = spoken::hear(question, &names);
    let made = readable(question, &said).and_then(|()| statement(question, &said, &names, setting));
    outcome(made, question, &said)
}

/// The schedule that words say, wherever they say it; `None` if they say none that the grammar knows.
pub(crate) fn schedule_in(words: &str, zone: Tz) -> Option<Schedule> {
    let said = lexer::cut(words);
    (0..said.len()).find_map(|at| schedule::read(words, &said, at, zone)?.ok()).map(|(_, schedule)| schedule)
}

fn readable(sentence: &str, said: &[Token]) -> Result<(), Stop> {
    if said.is_empty() {
        return Err(Stop::at(0, "a sentence"));
    }
    if sentence.len() > LONGEST {
        return Err(Stop::at(0, "a sentence of at most 20,000 characters"));
    }
    Ok(())
}

/// What a question selects.
fn select(question: &str, said: &[Token], names: &Names<'_>) -> Result<selection::Selection, Stop> {
    refusals::refuse_changes(said)?;
    refuse_secrets(said, names)?;
    let is_end = |token: &&Token| ["?", "!", "please"].iter().any(|word| token.is(word));
    let end = said.len() - said.iter().rev().take_while(is_end).count();
    Data { sentence: question, said, names, target: None, loads: false }.read(0..end)
}

fn statement(question: &str, said: &[Token], names: &Names<'_>, setting: &Setting<'_>) -> Result<Statement, Stop> {
    let selection = select(question, said, names)?;
    let known = setting.known;
    let table = |id: TableId| known.table(id).map(crate::known::KnownTable::full_name).unwrap_or_default();
    let bounds = |period: Period, kind: &str| literals(period, kind, setting);
    let writing = Writing { known, table: &table, bounds: &bounds, zone: setting.zone.name() };
    let mut sql = writing.select(&selection).ok_or_else(|| Stop::at(0, "a period within the calendar"))?;
    // Groups are easier to read in order, and the same question gives the same rows in the same order.
    if !selection.groups.is_empty() && selection.top.is_none() {
        let places: Vec<String> = (1..=selection.groups.len()).map(|place| place.to_string()).collect();
        sql.push_str(&format!("\nORDER BY {}", places.join(", ")));
    }
    let tables = drafting::tables(&selection);
    let mut assumptions = drafting::assumptions(&selection, known);
    assumptions.extend(names.called(said, &tables));
    Ok(Statement { sql, tables, assumptions })
}

/// A question for a secret of Headwater or of a source is refused, unless a column has that name.
fn refuse_secrets(said: &[Token], names: &Names<'_>) -> Result<(), Stop> {
    let asks = |token: &&Token| {
        ["password", "passwords", "credentials", "secret", "secrets", "api-key", "master-key"]
            .iter()
            .any(|word| token.is(word))
    };
    let Some(token) = said.iter().find(asks) else { return Ok(()) };
    let is_column = names.known.tables().any(|(id, _)| names.column(std::slice::from_ref(token), id).is_some());
    if is_column {
        return Ok(());
    }
    Err(Stop::Refuse(Refusal {
        reason: RefusalReason::Secret,
        message: format!("no table has a column '{}', and secrets of connections are shown to nobody", token.text),
    }))
}

/// The moments of a period as literals that fit a column of this type.
fn literals(period: Period, kind: &str, setting: &Setting<'_>) -> Option<(String, String)> {
    if kind.starts_with("Timestamp") && sql::is_zoned(kind) {
        let literal =
            |time: DateTime<Utc>| format!("TIMESTAMPTZ '{}'", time.to_rfc3339_opts(SecondsFormat::Secs, true));
        let (start, end) = period.instants(setting.now, setting.zone)?;
        return Some((literal(start), literal(end)));
    }
    let (start, end) = period.days(setting.now, setting.zone)?;
    let literal = |day: chrono::NaiveDate| match kind.starts_with("Date") {
        true => format!("DATE '{day}'"),
        false => format!("TIMESTAMP '{day}T00:00:00'"),
    };
    Some((literal(start), literal(end)))
}

fn outcome<T>(made: Result<T, Stop>, sentence: &str, said: &[Token]) -> Outcome<T> {
    match made {
        Ok(made) => Outcome::Made(Box::new(made)),
        Err(Stop::Ask(question)) => Outcome::Asked(question),
        Err(Stop::Refuse(refusal)) => Outcome::Refused(refusal),
        Err(Stop::NotYet { feature, words }) => {
            Outcome::NotYet { feature: feature.to_owned(), quote: sentence[words].to_owned() }
        }
        Err(Stop::NotUnderstood(misread)) => {
            let span = said.get(misread.at).map_or(sentence.len()..sentence.len(), |token| token.span.clone());
            let quote = sentence[span.clone()].to_owned();
            let last = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
            let short: Vec<String> = misread.candidates.iter().map(last).collect();
            let near = nearest(&quote, short.iter().map(String::as_str));
            let near =
                short.iter().position(|name| Some(name.as_str()) == near).map(|at| misread.candidates[at].clone());
            let candidates = match near {
                Some(near) => vec![near],
                None => misread.candidates.into_iter().take(8).collect(),
            };
            Outcome::NotUnderstood(NotUnderstood { quote, span, expected: misread.expected, candidates })
        }
    }
}

#[cfg(test)]
mod tests;
