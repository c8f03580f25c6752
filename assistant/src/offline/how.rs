//! How rows of a load meet those that are there: modes by keys, cursors, rows that are gone, columns that come. The words stand behind a target.

use std::time::Duration;

use headwater_pipelines::spec::{Contract, OnDelete, Stream, WriteMode};

use super::loads::{Load, Reader, Request};
use super::period;
use super::phrase::Phrase;
use super::selection::{Place, Unit};
use super::stop::Stop;
use super::wishes::Wish;
use crate::typed::Fresh;

/// What was said of it; what was not is settled by the catalog, or asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct How {
    pub(super) mode: Option<WriteMode>,
    /// Columns that tell rows apart, or name a slice.
    pub(super) keys: Vec<Place>,
    /// The slice is a piece of time: `replace the day`.
    pub(super) slice: Option<Unit>,
    pub(super) fresh: Option<Fresh>,
    /// The words that asked for new rows, in bytes of the sentence.
    pub(super) fresh_words: Option<std::ops::Range<usize>>,
    pub(super) cursor: Option<Place>,
    pub(super) deleted: Option<OnDelete>,
    pub(super) columns: Option<Contract>,
    /// The target was named in full.
    pub(super) is_named: bool,
    /// What was taken for granted.
    pub(super) notes: Vec<String>,
}

impl How {
    /// New rows alone. Rows that are new or changed are more than those that are new.
    pub(super) fn wish(&mut self, wish: &Wish) {
        if self.fresh != Some(Fresh::Changed) {
            self.fresh = Some(wish.fresh);
            self.fresh_words = Some(wish.words.clone());
        }
        self.fresh_words.get_or_insert_with(|| wish.words.clone());
        if wish.once {
            self.mode.get_or_insert(WriteMode::InsertNew);
        }
    }
}

/// Batches of a stream: shorter pauses are all overhead, longer ones are a schedule.
const WITHIN: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

impl Reader<'_> {
    /// What stands behind a target and says how rows meet; answers with the place behind it.
    pub(super) fn how(&self, at: usize, loads: &mut [Load], request: &mut Request) -> Result<Option<usize>, Stop> {
        if let Some(behind) = self.streamed(at, request)? {
            return Ok(Some(behind));
        }
        let Some(load) = loads.last_mut() else { return Ok(None) };
        let leads = ["with", "as", "in", "using", "by", "mode"].iter().any(|word| self.is(at, word));
        let start = at + usize::from(leads);
        if let Some((columns, behind)) = self.columns(start) {
            load.how.columns = Some(columns);
            return Ok(Some(behind));
        }
        if let Some((deleted, behind)) = self.deleted(start) {
            load.how.deleted = Some(deleted);
            return Ok(Some(behind));
        }
        if let Some((mode, behind)) = self.keyed_mode(start) {
            self.set_mode(at, mode, load)?;
            let by = ["by", "of", "per", "on"].iter().any(|word| self.is(behind, word));
            return match by {
                true => self.keys(behind + 1, self.end_of_clause(behind + 1), load).map(Some),
                false => Ok(Some(behind)),
            };
        }
        if let Some((unit, behind)) = self.replaced_period(start) {
            self.set_mode(at, WriteMode::DeleteInsert, load)?;
            load.how.slice = Some(unit);
            return Ok(Some(behind));
        }
        let is_keyed = load.how.mode.is_some_and(WriteMode::is_keyed) || load.how.mode.is_none();
        // `by overwriting it` says a mode, and `key must be unique` a rule.
        let is_said = self.is(at, "by") && self.mode(at).is_none();
        let is_key = self.is(start, "key") || self.is(start, "keys");
        let first = if is_key { start + 1 } else { at + 1 };
        let names_column = || self.own(load).column(first, self.end_of_clause(first)).is_ok();
        if is_keyed && ((is_said && !is_key) || (is_key && names_column())) {
            return self.keys(first, self.end_of_clause(first), load).map(Some);
        }
        if self.is(start, "cursor") {
            let end = self.end_of_clause(start + 1);
            let (behind, place) = self.own(load).column(start + 1, end)?;
            if !place.route.is_empty() {
                return Err(Stop::at(start + 1, "a column of the rows themselves"));
            }
            load.how.cursor = Some(place);
            return Ok(Some(behind));
        }
        Ok(None)
    }

    fn set_mode(&self, at: usize, mode: WriteMode, load: &mut Load) -> Result<(), Stop> {
        match load.how.mode.filter(|before| *before != mode) {
            Some(_) => Err(Stop::at(at, "one mode: rows are replaced, added to, or meet by keys")),
            None => {
                load.how.mode = Some(mode);
                Ok(())
            }
        }
    }

    /// `upsert`, `one row per`, `insert_new`, `once`, `delete_insert`, `replace the slices`
    fn keyed_mode(&self, at: usize) -> Option<(WriteMode, usize)> {
        let phrases: [(&[&str], WriteMode); 18] = [
            (&["upsert"], WriteMode::Upsert),
            (&["merge"], WriteMode::Upsert),
            (&["merging"], WriteMode::Upsert),
            (&["one", "row"], WriteMode::Upsert),
            (&["the", "latest", "row"], WriteMode::Upsert),
            (&["insert_new"], WriteMode::InsertNew),
            (&["insert-new"], WriteMode::InsertNew),
            (&["each", "row", "once"], WriteMode::InsertNew),
            (&["every", "row", "once"], WriteMode::InsertNew),
            (&["once"], WriteMode::InsertNew),
            (&["delete_insert"], WriteMode::DeleteInsert),
            (&["delete-insert"], WriteMode::DeleteInsert),
            (&["in", "slices"], WriteMode::DeleteInsert),
            (&["replace", "the", "slices"], WriteMode::DeleteInsert),
            (&["replace", "the", "slice"], WriteMode::DeleteInsert),
            (&["replacing", "the", "slices"], WriteMode::DeleteInsert),
            (&["replacing", "the", "slice"], WriteMode::DeleteInsert),
            (&["slices"], WriteMode::DeleteInsert),
        ];
        let found = phrases.iter().find(|(words, _)| self.are(at, words));
        let (words, mode) = found?;
        let behind = at + words.len();
        // `one row per id`: without the column it says nothing.
        let is_whole = !words.contains(&"row") || words.contains(&"once") || self.is(behind, "per");
        is_whole.then_some((*mode, behind))
    }

    /// `replace the day`, `reload the month`
    fn replaced_period(&self, at: usize) -> Option<(Unit, usize)> {
        let opens = ["replace", "replacing", "reload", "reloading"].iter().any(|word| self.is(at, word));
        let article = at + 1 + usize::from(self.is(at + 1, "only"));
        let unit = self.said.get(article + 1).and_then(period::unit);
        unit.filter(|_| opens && self.is(article, "the")).map(|unit| (unit, article + 2))
    }

    /// `keep deleted rows`, `remove deleted rows`, `mark deleted rows`
    fn deleted(&self, at: usize) -> Option<(OnDelete, usize)> {
        let verbs = [
            (OnDelete::Ignore, ["keep", "keeping"].as_slice()),
            (OnDelete::Hard, &["remove", "removing", "delete", "deleting"]),
            (OnDelete::Soft, &["mark", "marking", "flag", "flagging"]),
        ];
        let (what, _) = verbs.into_iter().find(|(_, words)| words.iter().any(|word| self.is(at, word)))?;
        let rows = at + 1 + usize::from(self.is(at + 1, "the"));
        let is_said =
            self.is(rows, "deleted") && ["rows", "ones", "records"].iter().any(|word| self.is(rows + 1, word));
        is_said.then_some((what, rows + 2))
    }

    /// `add new columns`, `evolve columns`, `freeze the columns`
    pub(super) fn columns(&self, at: usize) -> Option<(Contract, usize)> {
        let phrases: [(&[&str], Contract); 8] = [
            (&["add", "new", "columns"], Contract::AddColumns),
            (&["adding", "new", "columns"], Contract::AddColumns),
            (&["new", "columns", "are", "added"], Contract::AddColumns),
            (&["new", "columns", "added"], Contract::AddColumns),
            (&["evolve", "columns"], Contract::Evolve),
            (&["evolve", "the", "columns"], Contract::Evolve),
            (&["freeze", "columns"], Contract::Freeze),
            (&["freeze", "the", "columns"], Contract::Freeze),
        ];
        phrases.iter().find(|(words, _)| self.are(at, words)).map(|(words, columns)| (*columns, at + words.len()))
    }

    /// `within 5 seconds`, `as a stream`, `continuously`
    fn streamed(&self, at: usize, request: &mut Request) -> Result<Option<usize>, Stop> {
        let phrases: [&[&str]; 4] =
            [&["as", "a", "stream"], &["continuously"], &["in", "real", "time"], &["all", "the", "time"]];
        if let Some(words) = phrases.iter().find(|words| self.are(at, words)) {
            request.stream.get_or_insert_with(|| (Stream::default(), self.span(at..at + words.len())));
            return Ok(Some(at + words.len()));
        }
        if !self.is(at, "within") {
            return Ok(None);
        }
        let Some((stream, _)) = &mut request.stream else {
            return Err(Stop::at(at, "a schedule such as every 5 minutes: 'within' is said of a stream"));
        };
        let every = self.duration(at + 1).filter(|every| WITHIN.contains(every));
        let every =
            every.ok_or_else(|| Stop::at(at + 1, "a time from 100 milliseconds to an hour, such as 5 seconds"))?;
        stream.every = Some(every);
        Ok(Some(at + 3))
    }

    /// `5 seconds`
    fn duration(&self, at: usize) -> Option<Duration> {
        let number = self.said.get(at)?;
        let count: u64 = if number.is("a") || number.is("one") { 1 } else { number.text.parse().ok()? };
        let unit = self.said.get(at + 1)?.text.to_lowercase();
        let millis = match unit.as_str() {
            "ms" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "second" | "seconds" => 1_000,
            "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            _ => return None,
        };
        Some(Duration::from_millis(count.checked_mul(millis)?))
    }

    /// The columns of keys: `id`, `order id and line no`.
    pub(super) fn keys(&self, at: usize, end: usize, load: &mut Load) -> Result<usize, Stop> {
        if !load.how.keys.is_empty() {
            return Err(Stop::at(at, "the keys once"));
        }
        let mut at = at;
        loop {
            let (behind, place) = self.own(load).column(at, end)?;
            load.how.keys.push(place);
            let comma = usize::from(self.is(behind, ","));
            let and = usize::from(self.is(behind + comma, "and"));
            let next = behind + comma + and;
            if comma + and == 0 || next >= end || self.own(load).column(next, end).is_err() {
                return Ok(behind);
            }
            at = next;
        }
    }

    fn own(&self, load: &Load) -> Phrase<'_> {
        Phrase { sentence: self.sentence, said: self.said, names: self.names, base: load.selection.base, skipped: &[] }
    }

    fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is(at + ahead, word))
    }
}
