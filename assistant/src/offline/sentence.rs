//! A sentence that asks for a pipeline: what is loaded where, how rows meet those that are there, what is checked, and when.

use std::ops::Range;

use chrono_tz::Tz;
use headwater_pipelines::spec::{OnFailure, Rule, Schedule, Values, WriteMode};

use super::condition;
use super::data::Data;
use super::lexer::Token;
use super::names::Names;
use super::phrase::Phrase;
use super::schedule;
use super::selection::{Selection, Test, Value};
use super::sql::{self, Writing, identifier};
use super::stop::Stop;
use crate::draft::{Choice, Question, Refusal, RefusalReason};

/// A load that a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Load {
    pub(super) selection: Selection,
    /// The words that say what is read.
    pub(super) words: Range<usize>,
    /// `connection.path`
    pub(super) target: String,
    pub(super) mode: WriteMode,
    pub(super) rules: Vec<(Rule, OnFailure, Range<usize>)>,
}

/// All that a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) loads: Vec<Load>,
    pub(super) schedule: Option<(Schedule, Range<usize>)>,
}

/// Reads sentences.
pub(super) struct Reader<'a> {
    pub(super) sentence: &'a str,
    pub(super) said: &'a [Token],
    pub(super) names: &'a Names<'a>,
    /// Connections that can be written to.
    pub(super) targets: &'a [String],
    pub(super) zone: Tz,
}

/// A load while its sentence is read.
struct Pending {
    selection: Selection,
    words: Range<usize>,
    target: String,
    mode: Option<WriteMode>,
    rules: Vec<(Rule, OnFailure, Range<usize>)>,
}

/// Words that ask for a load and leave open how.
const LOADING: [&str; 14] = [
    "load",
    "copy",
    "put",
    "sync",
    "write",
    "extract",
    "import",
    "ingest",
    "export",
    "replicate",
    "transfer",
    "bring",
    "store",
    "save",
];

/// Words that begin a request to change or remove what is there.
const CHANGING: [&str; 16] = [
    "delete", "remove", "drop", "truncate", "update", "insert", "alter", "purge", "erase", "raise", "increase",
    "decrease", "set", "change", "rename", "grant",
];

/// A request to change a source is refused, whatever else the sentence says.
pub(super) fn refuse_changes(said: &[Token]) -> Result<(), Stop> {
    let first = said.iter().find(|token| !["please", "can", "could", "you", "now"].iter().any(|word| token.is(word)));
    // `make a pipeline that deletes …`
    let within = said.windows(2).find(|two| {
        let leads = ["that", "which", "and", "to", "then"].iter().any(|word| two[0].is(word));
        leads
            && ["deletes", "removes", "drops", "truncates", "purges", "delete", "truncate", "purge"]
                .iter()
                .any(|word| two[1].is(word))
    });
    match first.filter(|token| CHANGING.iter().any(|word| token.is(word))).or(within.map(|two| &two[1])) {
        Some(token) => Err(Stop::Refuse(Refusal {
            reason: RefusalReason::ChangesData,
            message: format!(
                "'{}' would change what is in a source. Pipelines read sources and write their own targets; change the source with its own tools",
                token.text
            ),
        })),
        None => Ok(()),
    }
}

impl Reader<'_> {
    /// Reads the whole sentence.
    pub(super) fn read(&self) -> Result<Request, Stop> {
        refuse_changes(self.said)?;
        self.refuse_unfinished()?;
        let mut at = usize::from(self.is(0, "please"));
        let mut request = Request { loads: Vec::new(), schedule: None };
        let mut pending: Vec<Pending> = Vec::new();
        let mut verb = None;
        if let Some(read) = schedule::read(self.sentence, self.said, at, self.zone) {
            let (behind, schedule) = read?;
            request.schedule = Some((schedule, self.span(at..behind)));
            at = self.behind_joint(behind);
        }
        while at < self.said.len() {
            if !pending.is_empty()
                && let Some(behind) = self.tail(at, &mut pending, &mut request)?
            {
                at = self.behind_joint(behind);
                continue;
            }
            let (behind, load) = self.load(at, &mut verb)?;
            pending.push(load);
            at = self.behind_joint(behind);
        }
        request.loads = pending.into_iter().map(|load| self.settled(load)).collect::<Result<_, _>>()?;
        if request.loads.is_empty() {
            return Err(Stop::at(at, "what to load, and into which target"));
        }
        Ok(request)
    }

    /// Words anywhere in a sentence that ask for what does not execute yet.
    fn refuse_unfinished(&self) -> Result<(), Stop> {
        let phrases: [(&[&str], &'static str); 9] = [
            (&["new", "and", "changed"], "cursor"),
            (&["new", "or", "changed"], "cursor"),
            (&["only", "new"], "cursor"),
            (&["since", "the", "last", "run"], "cursor"),
            (&["since", "last", "run"], "cursor"),
            (&["since", "last", "time"], "cursor"),
            (&["keep", "history"], "scd2"),
            (&["keep", "the", "history"], "scd2"),
            (&["in", "slices"], "delete_insert"),
        ];
        for at in 0..self.said.len() {
            for (words, feature) in phrases {
                if words.iter().enumerate().all(|(ahead, word)| self.is(at + ahead, word)) {
                    // An upsert that is asked for, too, is the larger part of it.
                    let upserts = self.said.iter().any(|token| token.is("upsert") || token.is("merge"));
                    let feature = if upserts { "upsert" } else { feature };
                    return Err(Stop::NotYet { feature, words: self.span(at..at + words.len()) });
                }
            }
        }
        Ok(())
    }

    /// `load DATA into TARGET`, `append DATA to TARGET`, `overwrite TARGET with DATA`, `sum … into TARGET`. The verb of the load before is taken if none is said.
    fn load(&self, at: usize, verb: &mut Option<Option<WriteMode>>) -> Result<(usize, Pending), Stop> {
        let said = self.said.get(at).ok_or_else(|| Stop::at(at, "what to load"))?;
        let is = |words: &[&str]| words.iter().any(|word| said.is(word));
        if is(&["overwrite", "replace", "refresh"])
            && let Some((target, behind)) = self.target(at + 1)
        {
            if !self.is(behind, "with") {
                return Err(Stop::at(behind, "'with' and what is loaded"));
            }
            let end = self.end_of_data(behind + 1);
            let selection = self.data(Some(&target)).read(behind + 1..end)?;
            let words = self.span(behind + 1..end);
            return Ok((
                end,
                Pending { selection, words, target, mode: Some(WriteMode::Overwrite), rules: Vec::new() },
            ));
        }
        let mode = match () {
            () if is(&LOADING) => Some(None),
            () if is(&["append", "add"]) => Some(Some(WriteMode::Append)),
            () if is(&["overwrite", "replace"]) => Some(Some(WriteMode::Overwrite)),
            () if is(&["upsert", "merge"]) => return Err(self.not_yet("upsert", at)),
            () if is(&["notify", "tell", "message"]) => return Err(self.not_yet("notify", at)),
            () => None,
        };
        let start = at + usize::from(mode.is_some());
        let mode = mode.or(*verb).unwrap_or(None);
        *verb = Some(mode);
        let Some(into) = (start..self.said.len()).find(|place| self.is_into(*place)) else {
            if let Some(into) = (start..self.said.len()).find(|place| self.is(*place, "into")) {
                return Err(self.no_target(into + 1));
            }
            // Of the data's own mistakes the first tells more than the missing target.
            let end = (start..self.said.len()).find(|place| self.is(*place, ",")).unwrap_or(self.said.len());
            return Err(self.data(None).read(start..end).err().unwrap_or_else(|| self.no_target(end)));
        };
        let (target, behind) = self.target(into + 1).ok_or_else(|| self.no_target(into + 1))?;
        let selection = self.data(Some(&target)).read(start..self.without_comma(start..into))?;
        let words = self.span(start..into);
        Ok((behind, Pending { selection, words, target, mode, rules: Vec::new() }))
    }

    /// What stands behind a target: modes, checks, a schedule. `None` if something else does.
    fn tail(&self, at: usize, pending: &mut [Pending], request: &mut Request) -> Result<Option<usize>, Stop> {
        if let Some(read) = schedule::read(self.sentence, self.said, at, self.zone) {
            let (behind, schedule) = read?;
            if request.schedule.is_some() {
                return Err(Stop::at(at, "one schedule: others need a pipeline of their own"));
            }
            request.schedule = Some((schedule, self.span(at..behind)));
            return Ok(Some(behind));
        }
        if let Some((feature, place)) = self.unfinished(at) {
            return Err(self.not_yet(feature, place));
        }
        if let Some((mode, all, behind)) = self.mode(at) {
            let loads =
                if all { &mut *pending } else { pending.last_mut().map(std::slice::from_mut).unwrap_or_default() };
            for load in loads {
                let other = load.mode.filter(|before| *before != mode);
                if other.is_some() {
                    return Err(Stop::at(at, "one mode: rows are replaced or added to"));
                }
                load.mode.get_or_insert(mode);
            }
            return Ok(Some(behind));
        }
        let Some((on_failure, start)) = self.opening(at) else { return Ok(None) };
        let inverted = self.is(start, "if") || self.is(start, "when");
        let Some(load) = pending.last_mut() else { return Ok(None) };
        let (behind, rule) = self.rule(start + usize::from(inverted), &load.selection, inverted)?;
        load.rules.push((rule, on_failure, self.span(at..behind)));
        Ok(Some(behind))
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

    /// What does not execute yet, and where it is asked for.
    fn unfinished(&self, at: usize) -> Option<(&'static str, usize)> {
        let ahead =
            at + usize::from(self.is(at, "with") || self.is(at, "as") || self.is(at, "by") || self.is(at, "and"));
        let features = [
            ("upsert", ["upsert", "merge"].as_slice()),
            ("delete_insert", &["delete_insert", "delete-insert"]),
            ("scd2", &["scd2"]),
            ("cursor", &["cursor", "incremental", "incrementally"]),
            ("notify", &["notify", "tell", "message", "alert"]),
            ("http", &["call", "http", "post"]),
        ];
        let found = features.into_iter().find(|(_, words)| words.iter().any(|word| self.is(ahead, word)));
        found.map(|(feature, _)| (feature, at))
    }

    /// `overwrite it`, `append`, `and overwrite all of them`
    fn mode(&self, at: usize) -> Option<(WriteMode, bool, usize)> {
        let at = at + usize::from(self.is(at, "with") || self.is(at, "mode"));
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
        const WHAT: [&str; 16] = [
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
        ];
        while WHAT.iter().any(|word| self.is(behind, word)) {
            behind += 1;
        }
        let ends = behind == self.said.len()
            || [",", "and", "every", "daily", "hourly", "on"].iter().any(|word| self.is(behind, word));
        ends.then_some((mode, all, behind))
    }

    /// `id is unique`, `rating is not between 1 and 5`; of `inverted` ones the opposite must hold.
    fn rule(&self, at: usize, selection: &Selection, inverted: bool) -> Result<(usize, Rule), Stop> {
        let phrase = Phrase { sentence: self.sentence, said: self.said, names: self.names, base: selection.base };
        let end = self.end_of_clause(at);
        let (behind, place) = phrase.column(at, end)?;
        let names = sql::columns(selection, self.names.known);
        let outputs: Vec<&Value> = selection.groups.iter().chain(&selection.items).map(|item| &item.value).collect();
        // The table's own columns, if all of them are loaded, stand first.
        let own = names.len() - outputs.len();
        let value = Value::Column(place.clone());
        let named = outputs.into_iter().zip(&names[own..]).find(|(output, _)| **output == value);
        let column = self.names.known.column(place.column).filter(|_| own > 0 && place.route.is_empty());
        let name = named.map(|(_, name)| name.clone()).or_else(|| column.map(|column| column.name.clone()));
        let name = name.ok_or_else(|| Stop::at(at, "a column that is loaded"))?;
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
                let plain = |value: &String| serde_json::Value::String(value.trim_matches('\'').replace("''", "'"));
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

    /// A load whose mode is known. What adds and what replaces gives other rows from the second run on, so it is asked.
    fn settled(&self, load: Pending) -> Result<Load, Stop> {
        let Pending { selection, words, target, mode, rules } = load;
        let Some(mode) = mode else {
            let sentence = self.sentence.trim_end_matches(['.', ' ']);
            let choice = |mode: &str, text: &str| Choice {
                text: text.to_owned(),
                sentence: sentence.replacen(&target, &format!("{target}, {mode}"), 1),
            };
            let choices = vec![
                choice("overwrite", "overwrite: each run replaces all rows of the target"),
                choice("append", "append: each run adds its rows to those of earlier runs"),
            ];
            return Err(Stop::Ask(Question {
                text: format!("Should a run replace the rows of {target}, or add to them?"),
                choices,
            }));
        };
        Ok(Load { selection, words, target, mode, rules })
    }

    fn data(&self, target: Option<&str>) -> Data<'_> {
        let parts = target.and_then(|target| headwater_pipelines::sql::split_name(target).ok());
        let target = parts.and_then(|parts| self.names.known.find(parts.first()?, &parts[1..]));
        Data { sentence: self.sentence, said: self.said, names: self.names, target }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.said.get(at).is_some_and(|token| token.is(word))
    }

    fn is_into(&self, at: usize) -> bool {
        (self.is(at, "into") || self.is(at, "to")) && self.target(at + 1).is_some()
    }

    /// `lake.orders`: a name below a connection that can be written to.
    fn target(&self, at: usize) -> Option<(String, usize)> {
        let token = self.said.get(at)?;
        let parts = headwater_pipelines::sql::split_name(&token.text).ok()?;
        let known = parts.len() >= 2 && self.targets.contains(&parts[0]);
        known.then(|| (token.text.clone(), at + 1))
    }

    fn no_target(&self, at: usize) -> Stop {
        let example = self.targets.first().map_or("connection", String::as_str);
        Stop::at(at, format!("'into' and a target such as {example}.name"))
    }

    /// Where data behind `overwrite TARGET with` ends: at a schedule, a check, or the end.
    fn end_of_data(&self, start: usize) -> usize {
        let ends = |at: usize| {
            let opens = ["check", "warn", "stop", "notify"].iter().any(|word| self.is(at, word));
            opens || schedule::read(self.sentence, self.said, at, self.zone).is_some()
        };
        let end = (start..self.said.len()).find(|at| ends(*at)).unwrap_or(self.said.len());
        self.without_comma(start..end)
    }

    fn end_of_clause(&self, start: usize) -> usize {
        let ends = |at: usize| {
            ["check", "warn", "stop", "notify", "overwrite", "append"].iter().any(|word| self.is(at, word))
                || (at > start && schedule::read(self.sentence, self.said, at, self.zone).is_some())
        };
        let end = (start..self.said.len()).find(|at| ends(*at)).unwrap_or(self.said.len());
        self.without_comma(start..end)
    }

    fn without_comma(&self, range: Range<usize>) -> usize {
        let joins = |at: &usize| [",", "and"].iter().any(|word| self.is(*at, word));
        range.clone().rev().find(|at| !joins(at)).map_or(range.start, |at| at + 1)
    }

    fn behind_joint(&self, mut at: usize) -> usize {
        while [",", ";", "and", "then"].iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        at
    }

    fn not_yet(&self, feature: &'static str, at: usize) -> Stop {
        let end = (at + 1..self.said.len()).find(|place| self.is(*place, ",")).unwrap_or(self.said.len());
        Stop::NotYet { feature, words: self.span(at..end) }
    }

    fn span(&self, tokens: Range<usize>) -> Range<usize> {
        self.said[tokens.start].span.start..self.said[tokens.end - 1].span.end
    }
}
