//! A sentence that asks for a pipeline: what is loaded where. How rows meet those that are there, what is checked, and when, is in tail.rs.

use std::ops::Range;

use chrono_tz::Tz;
use headwater_pipelines::spec::{OnFailure, Rule, Schedule, WriteMode};

use super::data::Data;
use super::lexer::Token;
use super::names::Names;
use super::schedule;
use super::selection::Selection;
use super::stop::Stop;
use crate::draft::{Choice, Question, Refusal, RefusalReason};
use crate::known::KnownTable;

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
    /// It was said to move rows.
    pub(super) moves: bool,
}

/// All that a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) loads: Vec<Load>,
    pub(super) schedule: Option<(Schedule, Range<usize>)>,
    /// Whether something was said of all loads together.
    pub(super) shared: bool,
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
pub(super) struct Pending {
    pub(super) selection: Selection,
    pub(super) words: Range<usize>,
    pub(super) target: String,
    pub(super) mode: Option<WriteMode>,
    pub(super) rules: Vec<(Rule, OnFailure, Range<usize>)>,
    pub(super) moves: bool,
}

/// Words that ask for a load and leave open how.
pub(super) const LOADING: [&str; 15] = [
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
    "move",
];

/// Words that begin a request to change or remove what is there.
const CHANGING: [&str; 24] = [
    "delete",
    "remove",
    "drop",
    "truncate",
    "update",
    "insert",
    "alter",
    "purge",
    "erase",
    "raise",
    "increase",
    "decrease",
    "set",
    "change",
    "rename",
    "grant",
    "lösche",
    "entferne",
    "erhöhe",
    "senke",
    "aktualisiere",
    "setze",
    "ändere",
    "Ändere",
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
        let mut request = Request { loads: Vec::new(), schedule: None, shared: false };
        let mut pending: Vec<Pending> = Vec::new();
        let mut verb = None;
        if let Some(behind) = self.scheduled(at, &mut request)? {
            at = self.behind_joint(behind);
        }
        while at < self.said.len() {
            if !pending.is_empty()
                && let Some(behind) = self.tail(at, &mut pending, &mut request)?
            {
                at = self.behind_joint(behind);
                continue;
            }
            let (behind, load) = self.load(at, &mut verb, &mut request)?;
            pending.push(load);
            at = self.behind_joint(behind);
        }
        request.loads = pending.into_iter().map(|load| self.settled(load)).collect::<Result<_, _>>()?;
        if request.loads.is_empty() {
            return Err(Stop::at(at, "what to load, and into which target"));
        }
        Ok(request)
    }

    /// Takes a schedule that begins here; answers with the place behind it.
    pub(super) fn scheduled(&self, at: usize, request: &mut Request) -> Result<Option<usize>, Stop> {
        let Some(read) = schedule::read(self.sentence, self.said, at, self.zone) else { return Ok(None) };
        let (behind, schedule) = read?;
        if request.schedule.is_some() {
            return Err(Stop::at(at, "one schedule: others need a pipeline of their own"));
        }
        request.schedule = Some((schedule, self.span(at..behind)));
        Ok(Some(behind))
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
    fn load(
        &self,
        at: usize,
        verb: &mut Option<Option<WriteMode>>,
        request: &mut Request,
    ) -> Result<(usize, Pending), Stop> {
        let said = self.said.get(at).ok_or_else(|| Stop::at(at, "what to load"))?;
        let is = |words: &[&str]| words.iter().any(|word| said.is(word));
        let replaces = is(&["overwrite", "replace", "refresh"]);
        if (replaces || is(&["fill", "build", "create", "populate"]))
            && let Some((target, behind)) = self.target(at + 1)
        {
            if !(self.is(behind, "with") || !replaces && (self.is(behind, "from") || self.is(behind, "as"))) {
                return Err(Stop::at(behind, "'with' and what is loaded"));
            }
            let end = self.end_of_data(behind + 1);
            let selection = self.data(Some(&target)).read(behind + 1..end)?;
            let words = self.span(behind + 1..end);
            let mode = replaces.then_some(WriteMode::Overwrite);
            return Ok((end, Pending { selection, words, target, mode, rules: Vec::new(), moves: false }));
        }
        let mode = match () {
            () if is(&LOADING) => Some(None),
            () if is(&["append", "add"]) => Some(Some(WriteMode::Append)),
            () if is(&["overwrite", "replace"]) => Some(Some(WriteMode::Overwrite)),
            () if is(&["upsert", "merge"]) => return Err(self.not_yet("upsert", at)),
            () if is(&["notify", "tell", "message"]) => return Err(self.not_yet("notify", at)),
            () => None,
        };
        let mut start = at + usize::from(mode.is_some());
        // `load every day at 6:00 orders into …`
        if mode.is_some()
            && let Some(behind) = self.scheduled(start, request)?
        {
            start = self.behind_joint(behind);
        }
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
        // `load orders every day at 6:00 into …`
        let scheduled = (start + 1..into).find_map(|place| {
            let read = schedule::read(self.sentence, self.said, place, self.zone)?;
            let behind = read.map_or(into, |(behind, _)| behind);
            (self.behind_joint(behind) == into).then_some(place)
        });
        if let Some(place) = scheduled {
            self.scheduled(place, request)?;
        }
        let end = scheduled.unwrap_or(into);
        let selection = self.data(Some(&target)).read(start..self.without_comma(start..end))?;
        let words = self.span(start..end);
        Ok((behind, Pending { selection, words, target, mode, rules: Vec::new(), moves: said.is("move") }))
    }

    /// A load whose mode is known. What adds and what replaces gives other rows from the second run on, so it is asked.
    fn settled(&self, load: Pending) -> Result<Load, Stop> {
        let Pending { selection, words, target, mode, rules, moves } = load;
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
        Ok(Load { selection, words, target, mode, rules, moves })
    }

    pub(super) fn data(&self, target: Option<&str>) -> Data<'_> {
        let parts = target.and_then(|target| headwater_pipelines::sql::split_name(target).ok());
        // A schema may be left out.
        let is_at = |table: &KnownTable, parts: &[String]| {
            parts.first() == Some(&table.connection) && parts.len() > 1 && table.table.path.ends_with(&parts[1..])
        };
        let target = parts.and_then(|parts| {
            let mut tables = self.names.known.tables();
            tables.find(|(_, table)| is_at(table, &parts)).map(|(id, _)| id)
        });
        Data { sentence: self.sentence, said: self.said, names: self.names, target }
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.said.get(at).is_some_and(|token| token.is(word))
    }

    fn is_into(&self, at: usize) -> bool {
        (self.is(at, "into") || self.is(at, "to")) && self.target(at + 1).is_some()
    }

    /// `lake.orders`: a name below a connection that can be written to.
    pub(super) fn target(&self, at: usize) -> Option<(String, usize)> {
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
            let is_mode = at > start
                && (self.is(at - 1, ",") || self.is(at - 1, "and"))
                && ["overwrite", "overwriting", "replace", "replacing", "append"].iter().any(|word| self.is(at, word));
            opens || is_mode || schedule::read(self.sentence, self.said, at, self.zone).is_some()
        };
        let end = (start..self.said.len()).find(|at| ends(*at)).unwrap_or(self.said.len());
        self.without_comma(start..end)
    }

    pub(super) fn end_of_clause(&self, start: usize) -> usize {
        const BEHIND: [&str; 17] = [
            "replace",
            "replacing",
            "overwriting",
            "appending",
            "add",
            "adding",
            "rename",
            "skip",
            "skipping",
            "fail",
            "abort",
            "ensure",
            "make",
            "verify",
            "require",
            "with",
            "only",
        ];
        let ends = |at: usize| {
            let is_behind = at > start && (self.is(at - 1, ",") || self.is(at - 1, "and") || self.is(at - 1, ";"));
            (is_behind && BEHIND.iter().any(|word| self.is(at, word)))
                || ["check", "warn", "stop", "notify", "overwrite", "append"].iter().any(|word| self.is(at, word))
                || (at > start && schedule::read(self.sentence, self.said, at, self.zone).is_some())
        };
        let end = (start..self.said.len()).find(|at| ends(*at)).unwrap_or(self.said.len());
        self.without_comma(start..end)
    }

    pub(super) fn without_comma(&self, range: Range<usize>) -> usize {
        let joins = |at: &usize| [",", ";", "and"].iter().any(|word| self.is(*at, word));
        range.clone().rev().find(|at| !joins(at)).map_or(range.start, |at| at + 1)
    }

    fn behind_joint(&self, mut at: usize) -> usize {
        while [",", ";", "and", "then"].iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        at
    }

    pub(super) fn not_yet(&self, feature: &'static str, at: usize) -> Stop {
        let end = (at + 1..self.said.len()).find(|place| self.is(*place, ",")).unwrap_or(self.said.len());
        Stop::NotYet { feature, words: self.span(at..end) }
    }

    pub(super) fn span(&self, tokens: Range<usize>) -> Range<usize> {
        self.said[tokens.start].span.start..self.said[tokens.end - 1].span.end
    }
}
