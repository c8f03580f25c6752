//! A sentence that asks for a pipeline: what is loaded where. How rows meet those that are there, what is checked, and when, is in tail.rs.

use std::ops::Range;

use chrono_tz::Tz;
use headwater_pipelines::spec::{OnFailure, Rule, Schedule, Stream, WriteMode};

use super::drafting;
use super::how::How;
use super::lexer::Token;
use super::names::Names;
use super::refusals;
use super::schedule;
use super::selection::Selection;
use super::stop::Stop;
use super::whole::Whole;
use super::wishes::Wish;
use crate::draft::{Choice, Question};
use crate::typed::Fresh;

/// A load that a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Load {
    pub(super) selection: Selection,
    /// The words that say what is read.
    pub(super) words: Range<usize>,
    /// The token at which it begins.
    pub(super) at: usize,
    /// `connection.path`
    pub(super) target: String,
    /// The words that name the target.
    pub(super) target_words: Range<usize>,
    pub(super) how: How,
    pub(super) rules: Vec<(Rule, OnFailure, Range<usize>)>,
    /// It was said to move rows.
    pub(super) moves: bool,
}

/// All that a sentence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) loads: Vec<Load>,
    /// Tables of a schema that are loaded together.
    pub(super) whole: Option<Whole>,
    pub(super) schedule: Option<(Schedule, Range<usize>)>,
    /// It runs until it is stopped; the words that asked for it.
    pub(super) stream: Option<(Stream, Range<usize>)>,
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
    /// Where new rows alone were asked for.
    pub(super) wishes: &'a [Wish],
}

/// Words that ask for a load and leave open how.
pub(super) const LOADING: [&str; 16] = [
    "load",
    "stream",
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

impl Reader<'_> {
    /// Reads the whole sentence.
    pub(super) fn read(&self) -> Result<Request, Stop> {
        refusals::refuse_changes(self.said)?;
        self.refuse_unfinished()?;
        let mut at = usize::from(self.is(0, "please"));
        let mut request = Request { loads: Vec::new(), whole: None, schedule: None, stream: None, shared: false };
        let mut pending: Vec<Load> = Vec::new();
        let mut verb = None;
        if let Some(behind) = self.scheduled(at, &mut request)? {
            at = self.behind_joint(behind);
        }
        if self.whole(at, &mut request)? {
            return Ok(request);
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
        self.grant(&mut pending);
        request.loads = pending.into_iter().map(|load| self.settled(load, &request)).collect::<Result<_, _>>()?;
        if request.loads.is_empty() {
            return Err(Stop::at(at, "what to load, and into which target"));
        }
        if request.schedule.is_some() && request.stream.is_some() {
            return Err(Stop::at(0, "a schedule, or a stream, which runs until it is stopped"));
        }
        Ok(request)
    }

    /// Gives each wish for new rows to the load that it stands in or behind.
    fn grant(&self, loads: &mut [Load]) {
        for wish in self.wishes {
            let place = loads.iter().rposition(|load| load.at <= wish.at).unwrap_or(0);
            let Some(load) = loads.get_mut(place) else { continue };
            load.how.wish(wish);
        }
        // A cursor is said for the sake of new rows.
        for load in loads.iter_mut().filter(|load| load.how.cursor.is_some()) {
            let is_added = matches!(load.how.mode, Some(WriteMode::Append | WriteMode::InsertNew));
            load.how.fresh.get_or_insert(if is_added { Fresh::New } else { Fresh::Changed });
        }
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
        let phrases: [&[&str]; 2] = [&["keep", "history"], &["keep", "the", "history"]];
        for at in 0..self.said.len() {
            let is_here = |words: &&[&str]| words.iter().enumerate().all(|(ahead, word)| self.is(at + ahead, word));
            if let Some(words) = phrases.iter().find(|words| is_here(words)) {
                return Err(Stop::NotYet { feature: "scd2", words: self.span(at..at + words.len()) });
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
    ) -> Result<(usize, Load), Stop> {
        let said = self.said.get(at).ok_or_else(|| Stop::at(at, "what to load"))?;
        if let Some(load) = self.replacing(at)? {
            return Ok(load);
        }
        let is = |words: &[&str]| words.iter().any(|word| said.is(word));
        let mode = match () {
            () if is(&LOADING) => Some(None),
            () if is(&["append", "add"]) => Some(Some(WriteMode::Append)),
            () if is(&["overwrite", "replace"]) => Some(Some(WriteMode::Overwrite)),
            () if is(&["upsert", "merge"]) => Some(Some(WriteMode::Upsert)),
            () if is(&["notify", "tell", "message"]) => return Err(self.not_yet("notify", at)),
            () => None,
        };
        if said.is("stream") {
            request.stream.get_or_insert_with(|| (Stream::default(), self.span(at..at + 1)));
        }
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
        // `load orders every day at 6:00 into …`
        let scheduled = (start + 1..into).find_map(|place| {
            let read = schedule::read(self.sentence, self.said, place, self.zone)?;
            let behind = read.map_or(into, |(behind, _)| behind);
            (self.behind_joint(behind) == into).then_some(place)
        });
        if let Some(place) = scheduled {
            self.scheduled(place, request)?;
        }
        let mut load = self.read_into(at, start..scheduled.unwrap_or(into), into, mode)?;
        load.1.moves = said.is("move");
        Ok(load)
    }

    /// What is loaded, by which keys, and the target that stands behind `into`.
    fn read_into(
        &self,
        at: usize,
        part: Range<usize>,
        into: usize,
        mode: Option<WriteMode>,
    ) -> Result<(usize, Load), Stop> {
        let start = part.start + self.topic(part.start);
        let mut end = self.without_comma(start..part.end);
        // `upsert orders by id into …`
        let by = (start + 1..end).rev().find(|place| self.is(*place, "by") && mode.is_some_and(WriteMode::is_keyed));
        let keys = by.map(|by| by + 1..end);
        end = by.unwrap_or(end);
        let named = self.target(into + 1);
        let selection = self.data(named.as_ref().map(|(target, _)| target.as_str())).read(start..end)?;
        let (target, behind) = match named {
            Some(named) => named,
            None => self.same_name(into + 1, &selection)?,
        };
        let how = How { mode, is_named: self.target(into + 1).is_some(), ..How::default() };
        let words = self.span(start..end);
        let target_words = self.span(into + 1..behind);
        let (rules, moves) = (Vec::new(), false);
        let mut load = Load { selection, words, at, target, target_words, how, rules, moves };
        if let Some(keys) = keys {
            let behind = self.keys(keys.start, keys.end, &mut load)?;
            if behind < keys.end {
                return Err(Stop::at(behind, "'into' and a target"));
            }
        }
        Ok((behind, load))
    }

    /// `overwrite TARGET with DATA`, `fill TARGET from DATA`
    fn replacing(&self, at: usize) -> Result<Option<(usize, Load)>, Stop> {
        let is = |words: &[&str]| words.iter().any(|word| self.is(at, word));
        let replaces = is(&["overwrite", "replace", "refresh"]);
        if !replaces && !is(&["fill", "build", "create", "populate"]) {
            return Ok(None);
        }
        let Some((target, behind)) = self.target(at + 1) else { return Ok(None) };
        if !(self.is(behind, "with") || !replaces && (self.is(behind, "from") || self.is(behind, "as"))) {
            return Err(Stop::at(behind, "'with' and what is loaded"));
        }
        let end = self.end_of_data(behind + 1);
        let selection = self.data(Some(&target)).read(behind + 1..end)?;
        let words = self.span(behind + 1..end);
        let target_words = self.span(at + 1..behind);
        let how = How { mode: replaces.then_some(WriteMode::Overwrite), is_named: true, ..How::default() };
        Ok(Some((end, Load { selection, words, at, target, target_words, how, rules: Vec::new(), moves: false })))
    }

    /// A load whose mode is known. What adds and what replaces gives other rows from the second run on, so it is asked.
    fn settled(&self, load: Load, request: &Request) -> Result<Load, Stop> {
        let says_how = load.how.mode.is_some() || load.how.fresh.is_some() || request.stream.is_some();
        if says_how {
            return Ok(load);
        }
        let target = &load.target;
        let choice = |mode: &str, text: &str| Choice {
            text: text.to_owned(),
            sentence: drafting::behind_target(self.sentence, &load, mode),
        };
        let choices = vec![
            choice("overwrite", "overwrite: each run replaces all rows of the target"),
            choice("append", "append: each run adds its rows to those of earlier runs"),
        ];
        Err(Stop::Ask(Question {
            text: format!("Should a run replace the rows of {target}, or add to them?"),
            choices,
        }))
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.said.get(at).is_some_and(|token| token.is(word))
    }

    /// Words in front of a topic: `topic`, `the topic`.
    fn topic(&self, at: usize) -> usize {
        let ahead = usize::from(self.is(at, "the"));
        let is_word = self.is(at + ahead, "topic") && self.said.get(at + ahead + 1).is_some();
        let is_name = self.names.table(&self.said[at.min(self.said.len())..]).is_some();
        if is_word && !is_name { ahead + 1 } else { 0 }
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
        // Columns may be called so: these words begin another part behind a comma alone.
        const BEHIND_COMMA: [&str; 15] = [
            "upsert",
            "merge",
            "insert_new",
            "delete_insert",
            "one",
            "once",
            "key",
            "keys",
            "cursor",
            "keep",
            "remove",
            "mark",
            "evolve",
            "freeze",
            "within",
        ];
        const BEHIND: [&str; 18] = [
            "reload",
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
            let is_listed = at > start && (self.is(at - 1, ",") || (at > start + 1 && self.is(at - 2, ",")));
            (is_behind && BEHIND.iter().any(|word| self.is(at, word)))
                || (is_behind && is_listed && BEHIND_COMMA.iter().any(|word| self.is(at, word)))
                || ["check", "warn", "stop", "notify", "tell", "alert", "overwrite", "append"]
                    .iter()
                    .any(|word| self.is(at, word))
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
