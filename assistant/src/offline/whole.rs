//! All tables of a schema in one sentence: `copy all tables of shop.public except audit_* to the lake, overwrite`.

use std::collections::BTreeSet;
use std::ops::Range;

use headwater_pipelines::spec::{AUTO_CURSOR, Contract, ExtractTask, LoadSchema, LoadTask, TableNames, WriteMode};
use headwater_pipelines::sql::split_name;

use super::loads::{LOADING, Reader, Request};
use super::schedule;
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::{Known, KnownTable, quoted};

/// Tables that are loaded together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Whole {
    /// `shop.public.*`
    pub(super) pattern: String,
    pub(super) exclude: Vec<String>,
    /// The connection that is written to.
    pub(super) target: String,
    /// All rows of each table each time, or what is new and changed if absent.
    pub(super) mode: Option<WriteMode>,
    pub(super) columns: Option<Contract>,
    /// The words that say what is read.
    pub(super) words: Range<usize>,
}

impl Whole {
    /// The tasks of a spec.
    pub(super) fn tasks(&self, input: &str) -> (ExtractTask, LoadTask) {
        let extract = ExtractTask {
            tables: Some(TableNames::One(self.pattern.clone())),
            exclude: self.exclude.clone(),
            cursor: self.mode.is_none().then(|| AUTO_CURSOR.to_owned()),
            ..ExtractTask::default()
        };
        let load = LoadTask {
            input: input.to_owned(),
            into: format!("{}.\"{{{{ table }}}}\"", self.target),
            mode: self.mode,
            schema: self.columns.map(LoadSchema::All),
            ..LoadTask::default()
        };
        (extract, load)
    }

    /// What it leaves as it is, and what it takes for granted.
    pub(super) fn notes(&self, known: &Known) -> Vec<String> {
        let mut notes = vec![format!(
            "the tables are those of today: one that comes later is loaded once the pipeline is approved again ({})",
            self.pattern
        )];
        let there = self.there(known).join(", ");
        if !there.is_empty() {
            let but = if self.exclude.is_empty() { "" } else { ", but for those that are left out" };
            notes.push(format!(
                "{} has tables of these names, which nobody named and a run writes{but}: {there}",
                self.target
            ));
        }
        if self.mode.is_none() {
            notes.push(
                "tables with a key and a column such as updated_at give new and changed rows, the others are read whole; `headwater plan` says which"
                    .to_owned(),
            );
            notes.push(crate::fresh::stays_when_deleted(&self.target));
            notes.push(crate::fresh::comes_too_late("column that marks changes"));
        }
        notes
    }

    /// Names of tables that the target has already.
    fn there(&self, known: &Known) -> Vec<String> {
        let schema = self.pattern.trim_end_matches('*');
        let tables = known.tables().map(|(_, table)| table);
        let inside = tables.filter(|table| table.full_name() == format!("{schema}{}", quoted(table.name())));
        inside.map(KnownTable::name).filter(|name| known.has_table(&self.target, name)).map(quoted).collect()
    }
}

impl Reader<'_> {
    /// Reads the whole sentence, if it is of all tables of a schema.
    pub(super) fn whole(&self, at: usize, request: &mut Request) -> Result<bool, Stop> {
        let verb = at + usize::from(LOADING.iter().any(|word| self.is(at, word)) && !self.is(at, "stream"));
        let scheduled = schedule::read(self.sentence, self.said, verb, self.zone);
        let mut at = scheduled.and_then(Result::ok).map_or(verb, |(behind, _)| behind);
        let first = at;
        while ["rows", "of", "the"].iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        let opens =
            self.is(at, "all") && (self.is(at + 1, "tables") || (self.is(at + 1, "the") && self.is(at + 2, "tables")));
        if !opens {
            return Ok(false);
        }
        self.scheduled(verb, request)?;
        at += if self.is(at + 1, "the") { 3 } else { 2 };
        let of = ["of", "in", "from"].iter().any(|word| self.is(at, word));
        if !of {
            return Err(Stop::at(at, "'of' and a schema, such as shop.public"));
        }
        let pattern = self.schema(at + 1)?;
        let (exclude, behind) = self.exclude(at + 2)?;
        if !(self.is(behind, "into") || self.is(behind, "to")) {
            return Err(Stop::at(behind, "'except' and names of tables, or 'into' and a connection"));
        }
        let Some((target, behind_target)) = self.connection(behind + 1) else {
            return Err(Stop::at(behind + 1, "a connection that can be written to: each table keeps its name"));
        };
        let (target, words) = (target.to_owned(), self.span(first..behind));
        let mut whole = Whole { pattern, exclude, target, mode: None, columns: None, words };
        let is_said = self.tail_of_whole(behind_target, &mut whole, request)?;
        if !is_said && self.wishes.is_empty() {
            return Err(Stop::Ask(self.how_whole(self.span(behind + 1..behind_target).end)));
        }
        if is_said && !self.wishes.is_empty() {
            return Err(Stop::at(behind_target, "all rows with overwrite, or those that are new and changed"));
        }
        request.whole = Some(whole);
        Ok(true)
    }

    /// `shop.public`, or `shop` if it has one schema.
    fn schema(&self, at: usize) -> Result<String, Stop> {
        let expected = || Stop::at(at, "a schema of a connection, such as shop.public");
        let token = self.said.get(at).ok_or_else(expected)?;
        let text = token.text.strip_suffix(".*").unwrap_or(&token.text);
        let parts = split_name(text).map_err(|_| expected())?;
        let tables =
            self.names.known.tables().map(|(_, table)| table).filter(|table| parts.first() == Some(&table.connection));
        let schemas: BTreeSet<&[String]> =
            tables.map(|table| &table.table.path[..table.table.path.len().saturating_sub(1)]).collect();
        let is_named = schemas.iter().any(|schema| **schema == parts[1..]);
        let schema: &[String] = match schemas.iter().next() {
            Some(only) if schemas.len() == 1 && parts.len() == 1 => only,
            Some(_) if is_named => &parts[1..],
            _ => return Err(expected()),
        };
        let name = std::iter::once(&parts[0]).chain(schema).map(|part| quoted(part)).collect::<Vec<_>>().join(".");
        Ok(format!("{name}.*"))
    }

    /// `except audit_log, tmp_*`
    fn exclude(&self, at: usize) -> Result<(Vec<String>, usize), Stop> {
        let opens = ["except", "without", "excluding"].iter().any(|word| self.is(at, word));
        if !opens {
            return Ok((Vec::new(), at));
        }
        let mut at = at + 1 + usize::from(self.is(at + 1, "for"));
        let mut names = Vec::new();
        loop {
            let token = self.said.get(at).filter(|token| token.is_quoted || !token.is_sign() || token.is("*"));
            let token = token.ok_or_else(|| Stop::at(at, "the name of a table, or a pattern such as audit_*"))?;
            let is_pattern = token.text.contains(['*', '%']);
            names.push(if is_pattern { token.text.clone() } else { quoted(&token.text) });
            at += 1;
            let comma = usize::from(self.is(at, ","));
            let joint = comma + usize::from(self.is(at + comma, "and"));
            if joint == 0 || self.is(at + joint, "into") || self.is(at + joint, "to") {
                return Ok((names, at));
            }
            at += joint;
        }
    }

    /// Schedule, mode and columns behind the target; whether a mode was said.
    fn tail_of_whole(&self, mut at: usize, whole: &mut Whole, request: &mut Request) -> Result<bool, Stop> {
        let mut is_said = false;
        loop {
            while [",", ";", "and", "then"].iter().any(|word| self.is(at, word)) {
                at += 1;
            }
            if at >= self.said.len() {
                return Ok(is_said);
            }
            if let Some(behind) = self.scheduled(at, request)? {
                at = behind;
            } else if let Some((columns, behind)) = self.columns(at) {
                whole.columns = Some(columns);
                at = behind;
            } else if let Some((WriteMode::Overwrite, _, behind)) = self.mode(at) {
                (whole.mode, is_said) = (Some(WriteMode::Overwrite), true);
                at = behind;
            } else {
                let expected = "a schedule, 'overwrite', 'incrementally' or 'add new columns': what is of one table needs a load of its own";
                return Err(Stop::at(at, expected));
            }
        }
    }

    fn how_whole(&self, behind_target: usize) -> Question {
        let (before, behind) = self.sentence.trim_end_matches(['.', ' ']).split_at(behind_target);
        let choice =
            |said: &str, text: &str| Choice { text: text.to_owned(), sentence: format!("{before}, {said}{behind}") };
        let choices = vec![
            choice("overwrite", "overwrite: each run replaces all rows of each table"),
            choice(
                "incrementally",
                "incrementally: new and changed rows of tables that say which these are, all rows of the others",
            ),
        ];
        Question {
            text: "Should a run load all rows of each table, or those that are new and changed?".to_owned(),
            choices,
        }
    }
}
