//! What stands behind a target: how rows meet those that are there, which are left out, what is checked, and when it runs.

use std::ops::Range;

use headwater_pipelines::spec::{OnFailure, Rule, Values, WriteMode};

use super::condition;
use super::loads::{LOADING, Load, Reader, Request};
use super::phrase::Phrase;
use super::selection::{Condition, Item, Place, Selection, Test, Value};
use super::sql::{self, Writing, identifier};
use super::stop::Stop;
use crate::known::TableId;

impl Reader<'_> {
    /// What stands behind a target: modes, checks, a schedule. `None` if something else does.
    pub(super) fn tail(&self, at: usize, pending: &mut [Load], request: &mut Request) -> Result<Option<usize>, Stop> {
        if let Some(behind) = self.scheduled(at, request)? {
            return Ok(Some(behind));
        }
        // German has its verb last: `orders nach lake.orders laden`.
        let is_verb = LOADING.iter().any(|word| self.is(at, word));
        if is_verb && (at + 1 == self.said.len() || self.is(at + 1, ",") || self.is(at + 1, "and")) {
            return Ok(Some(at + 1));
        }
        if !self.warns(at)
            && let Some((feature, place)) = self.unfinished(at)
        {
            return Err(self.not_yet(feature, place));
        }
        if let Some(behind) = self.how(at, pending, request)? {
            self.of_one(at, request)?;
            return Ok(Some(behind));
        }
        if let Some((mode, all, behind)) = self.mode(at) {
            request.shared |= all && pending.len() > 1;
            let loads =
                if all { &mut *pending } else { pending.last_mut().map(std::slice::from_mut).unwrap_or_default() };
            for load in loads {
                let other = load.how.mode.filter(|before| *before != mode);
                if other.is_some() {
                    return Err(Stop::at(at, "one mode: rows are replaced or added to"));
                }
                load.how.mode.get_or_insert(mode);
            }
            return Ok(Some(behind));
        }
        if let Some(load) = pending.last_mut()
            && let Some(behind) = self.narrowed(at, &mut load.selection)?
        {
            self.of_one(at, request)?;
            return Ok(Some(behind));
        }
        let Some((on_failure, start)) = self.opening(at) else { return Ok(None) };
        self.of_one(at, request)?;
        let inverted = self.is(start, "if") || self.is(start, "when");
        let Some(load) = pending.last_mut() else { return Ok(None) };
        if self.warns(at) {
            load.how
                .notes
                .push("nobody is sent a message: what is found stands in the run (headwater runs show)".to_owned());
        }
        if let Some((behind, rule)) = self.share(start + usize::from(inverted), on_failure, load)? {
            load.rules.push((rule, on_failure, self.span(at..behind)));
            return Ok(Some(behind));
        }
        let (behind, rule) = self.rule(start + usize::from(inverted), &load.selection, inverted)?;
        load.rules.push((rule, on_failure, self.span(at..behind)));
        Ok(Some(behind))
    }

    /// Behind what was said of several loads, a rule or a condition could be of each or of the last.
    fn of_one(&self, at: usize, request: &Request) -> Result<(), Stop> {
        match request.shared {
            true => Err(Stop::at(at, "a schedule or the end: what is of one load stands behind its own target")),
            false => Ok(()),
        }
    }

    /// How a check begins, and where its rule does.
    fn opening(&self, at: usize) -> Option<(OnFailure, usize)> {
        let checks = ["check", "ensure", "verify", "require"].iter().any(|word| self.is(at, word));
        let sure = usize::from(self.is(at, "make") && self.is(at + 1, "sure"));
        match () {
            () if checks || sure == 1 => {
                let that = at + 1 + sure;
                Some((OnFailure::Fail, that + usize::from(self.is(that, "that"))))
            }
            () if self.is(at, "stop") || self.is(at, "fail") || self.is(at, "abort") => Some((OnFailure::Fail, at + 1)),
            () if self.warns(at) => {
                Some((OnFailure::Warn, at + 1 + usize::from(self.is(at + 1, "me") || self.is(at + 1, "us"))))
            }
            () if self.is(at, "warn") => Some((OnFailure::Warn, at + 1 + usize::from(self.is(at + 1, "me")))),
            () if self.demands(at) => Some((OnFailure::Fail, at)),
            () => None,
        }
    }

    /// `id must be unique`
    fn demands(&self, at: usize) -> bool {
        let end = (at..self.said.len()).find(|place| self.is(*place, ",")).unwrap_or(self.said.len());
        (at..end.min(at + 8)).any(|place| self.is(place, "must") || self.is(place, "should"))
    }

    /// `tell me if …` asks for a warning: to whom and how it is sent is not said.
    fn warns(&self, at: usize) -> bool {
        let opens = self.is(at, "tell") || self.is(at, "alert") || self.is(at, "notify");
        let who = at + 1 + usize::from(self.is(at + 1, "me") || self.is(at + 1, "us"));
        opens && (self.is(who, "if") || self.is(who, "when"))
    }

    /// `more than 1% have no amount`: a rule about each row, since a share is no limit yet.
    fn share(&self, at: usize, on_failure: OnFailure, load: &mut Load) -> Result<Option<(usize, Rule)>, Stop> {
        let number =
            self.said.get(at + 2).filter(|_| self.is(at, "more") && self.is(at + 1, "than") && self.is(at + 3, "%"));
        let Some(number) = number else { return Ok(None) };
        if on_failure != OnFailure::Warn {
            return Err(Stop::at(at, "a rule about each row: a share of the rows can only be warned about"));
        }
        let mut without = at + 4;
        while ["of", "the", "all", "rows", "them"].iter().any(|word| self.is(without, word)) {
            without += 1;
        }
        let end = self.end_of_clause(without);
        if !self.is(without, "without") {
            return Err(Stop::at(without, "'have no' and a column"));
        }
        let (behind, place) = self.phrase(load.selection.base).column(without + 1, end)?;
        let name =
            self.output(&place, &load.selection).ok_or_else(|| Stop::at(without + 1, "a column that is loaded"))?;
        load.how.notes.push(format!(
            "a run warns of every row without {name} and counts them: {}% of the rows is no limit that a check has yet",
            number.text
        ));
        Ok(Some((behind, Rule { not_null: Some(vec![name]), ..Rule::default() })))
    }

    /// The name that a column has among those that are loaded.
    fn output(&self, place: &Place, selection: &Selection) -> Option<String> {
        sql::name_of(place, selection, self.names.known)
    }

    /// What does not execute yet, and where it is asked for.
    fn unfinished(&self, at: usize) -> Option<(&'static str, usize)> {
        let ahead =
            at + usize::from(self.is(at, "with") || self.is(at, "as") || self.is(at, "by") || self.is(at, "and"));
        let features = [
            ("scd2", ["scd2"].as_slice()),
            ("notify", &["notify", "tell", "message", "alert"]),
            ("http", &["call", "http", "post"]),
        ];
        let found = features.into_iter().find(|(_, words)| words.iter().any(|word| self.is(ahead, word)));
        found.map(|(feature, _)| (feature, at))
    }

    /// `overwrite it`, `append`, `and overwrite all of them`
    pub(super) fn mode(&self, at: usize) -> Option<(WriteMode, bool, usize)> {
        let leads = ["with", "mode", "as", "in", "using", "by"].iter().any(|word| self.is(at, word));
        let at = at + usize::from(leads);
        let mode = match () {
            () if ["overwrite", "replace", "overwriting", "replacing"].iter().any(|word| self.is(at, word)) => {
                WriteMode::Overwrite
            }
            () if ["append", "add", "appending", "adding"].iter().any(|word| self.is(at, word)) => WriteMode::Append,
            () => return None,
        };
        let mut behind = at + 1;
        // `overwrite lake.x with …` begins another load.
        if self.target(behind).is_some() {
            return None;
        }
        let all = self.is(behind, "all") || self.is(behind, "them") || self.is(behind, "both");
        const WHAT: [&str; 22] = [
            "all",
            "both",
            "of",
            "them",
            "it",
            "everything",
            "the",
            "table",
            "target",
            "existing",
            "old",
            "rows",
            "data",
            "contents",
            "mode",
            "only",
            "what",
            "is",
            "there",
            "was",
            "whole",
            "completely",
        ];
        while WHAT.iter().any(|word| self.is(behind, word)) {
            behind += 1;
        }
        let always = [["each", "time"], ["every", "time"], ["each", "run"], ["every", "run"]];
        behind += usize::from(self.is(behind, "on") && self.is(behind + 2, "run"));
        if always.iter().any(|[one, other]| self.is(behind, one) && self.is(behind + 1, other)) {
            behind += 2;
        }
        let ends = behind == self.said.len()
            || [",", ";", "and", "with", "every", "daily", "hourly", "on"].iter().any(|word| self.is(behind, word));
        ends.then_some((mode, all, behind))
    }

    /// `id is unique`, `rating is not between 1 and 5`; of `inverted` ones the opposite must hold.
    fn rule(&self, at: usize, selection: &Selection, inverted: bool) -> Result<(usize, Rule), Stop> {
        let phrase = self.phrase(selection.base);
        let end = self.end_of_clause(at);
        let (behind, place) = phrase.column(at, end)?;
        let name = self.output(&place, selection).ok_or_else(|| Stop::at(at, "a column that is loaded"))?;
        let is = match () {
            () if self.is(behind, "is") || self.is(behind, "are") => 1,
            () if (self.is(behind, "must") || self.is(behind, "should")) && self.is(behind + 1, "be") => 2,
            () => 0,
        };
        if is > 0 && self.is(behind + is, "unique") && !inverted {
            return Ok((behind + is + 1, Rule { unique: Some(vec![name]), ..Rule::default() }));
        }
        let family = self.names.known.column(place.column).map(|column| condition::Family::of(&column.arrow_type));
        let family = family.unwrap_or(condition::Family::Other);
        let (length, test) = condition::test(&self.said[behind..end], behind, family)?;
        let rule = match (&test, inverted) {
            (Test::NotEmpty, false) | (Test::Empty, true) => Rule { not_null: Some(vec![name]), ..Rule::default() },
            (Test::Among(values), false) if values.iter().all(|value| value.starts_with('\'')) => {
                let plain = |value: &String| serde_json::Value::String(unquoted(value));
                let values = values.iter().map(plain).collect();
                Rule { accepted_values: Some(Values { column: name, values }), ..Rule::default() }
            }
            _ => {
                let holds = match (inverted, &test) {
                    (true, Test::Not(inner)) => (**inner).clone(),
                    (true, test) => Test::Not(Box::new(test.clone())),
                    (false, test) => test.clone(),
                };
                let writing =
                    Writing { known: self.names.known, table: &|_| String::new(), bounds: &|_, _| None, zone: "UTC" };
                let sql = writing.test(&identifier(&name), &holds, place.column);
                let sql = sql.ok_or_else(|| Stop::at(behind, "a condition without a period"))?;
                Rule { sql: Some(sql), ..Rule::default() }
            }
        };
        Ok((behind + length, rule))
    }

    fn phrase(&self, base: TableId) -> Phrase<'_> {
        Phrase { sentence: self.sentence, said: self.said, names: self.names, base, skipped: &[] }
    }

    /// `only where status is paid`, `skip rows without a country`, `rename sku to article_no`.
    fn narrowed(&self, at: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        if self.is(at, "rename") {
            let to = (at..self.said.len()).find(|place| self.is(*place, "to") || self.is(*place, "as"));
            let to = to.ok_or_else(|| Stop::at(at + 1, "a column, 'to' and its new name"))?;
            return self.renamed(at + 1..to, to + 1, selection).map(Some);
        }
        // `with sku renamed to article_no`
        let renamed = (at..self.said.len().min(at + 6)).find(|place| self.is(*place, "renamed"));
        if let Some(renamed) = renamed.filter(|_| self.is(at, "with")) {
            if !self.is(renamed + 1, "to") && !self.is(renamed + 1, "as") {
                return Err(Stop::at(renamed + 1, "'to' and the new name"));
            }
            return self.renamed(at + 1..renamed, renamed + 2, selection).map(Some);
        }
        let skips = ["skip", "skipping", "ignore", "ignoring", "omit", "omitting"].iter().any(|word| self.is(at, word));
        if skips {
            return self.skipped(at + 1, selection).map(Some);
        }
        if self.is(at, "with") {
            let end = self.end_of_clause(at + 1);
            self.data(None).further(at + 1..end, selection)?;
            return Ok(Some(end));
        }
        let only = usize::from(self.is(at, "only"));
        if only == 1
            && let Some(behind) = self.ones(at + 1, selection)?
        {
            return Ok(Some(behind));
        }
        if !self.is(at + only, "where") {
            return Ok(None);
        }
        let end = self.end_of_clause(at + only);
        let conditions = self.data(None).conditions(at + only + 1..end, selection.base)?;
        self.add(conditions, selection);
        Ok(Some(end))
    }

    /// Rows that lack something. What is left out when a condition holds would leave open the rows where it is neither true nor false.
    fn skipped(&self, at: usize, selection: &mut Selection) -> Result<usize, Stop> {
        let mut start = at + usize::from(self.is(at, "all"));
        start += usize::from(self.is(start, "rows") || self.is(start, "those") || self.is(start, "ones"));
        let end = self.end_of_clause(start);
        let phrase = self.phrase(selection.base);
        if self.is(start, "without") {
            let (behind, place) = phrase.column(start + 1, end)?;
            let words = self.span(start..behind);
            self.add(vec![Condition { place, test: Test::NotEmpty, words }], selection);
            return Ok(behind);
        }
        let (behind, place) = phrase.column(start + usize::from(self.is(start, "where")), end)?;
        let is = behind + usize::from(self.is(behind, "is"));
        if !["empty", "null", "missing"].iter().any(|word| self.is(is, word)) {
            return Err(Stop::at(start, "'without' and a column: which rows stay is said by 'only where'"));
        }
        let words = self.span(start..is + 1);
        self.add(vec![Condition { place, test: Test::NotEmpty, words }], selection);
        Ok(is + 1)
    }

    pub(super) fn add(&self, conditions: Vec<Condition>, selection: &mut Selection) {
        let copies_all = selection.items.is_empty() && selection.groups.is_empty();
        selection.whole_rows = selection.whole_rows || copies_all;
        selection.conditions.extend(conditions);
    }

    fn renamed(&self, column: Range<usize>, name: usize, selection: &mut Selection) -> Result<usize, Stop> {
        let (behind, place) = self.phrase(selection.base).column(column.start, column.end)?;
        if behind != column.end {
            return Err(Stop::at(behind, "'to' and the new name"));
        }
        let token = self.said.get(name).filter(|token| token.is_quoted || !token.is_sign());
        let token = token.ok_or_else(|| Stop::at(name, "a name for the column"))?;
        if selection.whole_rows && place.route.is_empty() && selection.items.is_empty() {
            // All columns in their order, and one of them under its new name.
            let columns = self.names.known.columns(selection.base);
            let item = |column| Item { value: Value::Column(Place { route: Vec::new(), column }), name: None };
            selection.items = columns.map(|(column, _)| item(column)).collect();
            selection.whole_rows = false;
        }
        let value = Value::Column(place);
        let item = selection.groups.iter_mut().chain(&mut selection.items).find(|item| item.value == value);
        let item = item.ok_or_else(|| Stop::at(column.start, "a column that is loaded"))?;
        item.name = Some(token.text.clone());
        Ok(name + 1)
    }
}

/// The text of a literal: one quote at each end is the literal's, any other is the text's.
fn unquoted(literal: &str) -> String {
    let inner = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.unwrap_or(literal).replace("''", "'")
}
