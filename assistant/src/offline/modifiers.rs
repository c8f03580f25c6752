//! What narrows rows without a word that begins a part: `in March 2026`, `placed since April 1, 2026`, `that cost more than 50`, `are active`, `ordered last week`.

use super::condition::{self, Family};
use super::data::Reader;
use super::lexer::as_name;
use super::ranks::count_of;
use super::selection::{Condition, Number, Place, Selection, Test, Top, Value};
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::{ColumnId, Known, TableId};
use crate::words::{fold, tokens};

/// Words for the largest first.
pub(super) const DESCENDING: [&str; 2] = ["descending", "desc"];

/// What happens to rows when they come to be.
const MADE: [&str; 10] =
    ["placed", "made", "created", "received", "added", "recorded", "registered", "entered", "issued", "booked"];

/// Words that a period begins with.
const PERIODS: [&str; 22] = [
    "in",
    "on",
    "of",
    "for",
    "during",
    "within",
    "since",
    "before",
    "after",
    "until",
    "till",
    "from",
    "between",
    "this",
    "last",
    "previous",
    "current",
    "today",
    "yesterday",
    "up",
    "no",
    "the",
];

/// The columns of a table with dates and times.
pub(super) fn time_columns(known: &Known, table: TableId) -> Vec<ColumnId> {
    let is_time = |arrow_type: &str| Family::of(arrow_type) == Family::Time;
    known.columns(table).filter(|(_, column)| is_time(&column.arrow_type)).map(|(id, _)| id).collect()
}

/// Whether a column that may be empty says when rows end rather than when they came to be.
fn ends_rows(name: &str) -> bool {
    const ENDS: [&str; 16] = [
        "to",
        "until",
        "till",
        "end",
        "ended",
        "ends",
        "expires",
        "expired",
        "expiry",
        "deleted",
        "cancelled",
        "closed",
        "churned",
        "ende",
        "bis",
        "archived",
    ];
    tokens(name).iter().any(|word| ENDS.contains(&word.as_str()))
}

impl Reader<'_> {
    /// Reads what narrows the rows; answers with the place behind it.
    pub(super) fn rest(&self, mut at: usize, end: usize, selection: &mut Selection) -> Result<usize, Stop> {
        loop {
            let joints = [",", "and", "that", "which", "who", "please", "?"];
            let start = (at..end).find(|place| !self.is_any(*place, end, &joints)).unwrap_or(end);
            match self.modifier(start, end, selection)? {
                Some(behind) => at = behind,
                None => return Ok(at),
            }
        }
    }

    fn modifier(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        if at >= end {
            return Ok(None);
        }
        if let Some(behind) = self.did(at, end, selection)? {
            return Ok(Some(behind));
        }
        if let Some(behind) = self.timed(at, end, selection)? {
            return Ok(Some(behind));
        }
        let is = self.is_any(at, end, &["is", "are", "was", "were"]);
        let not = is && self.is(at + 1, end, "not");
        let word = at + usize::from(is) + usize::from(not);
        if is
            && let Some(token) = self.said(word, end)
            && let Some(column) = self.data.adjective(token, self.base)
        {
            let place = Place { route: Vec::new(), column };
            let test = Test::Compare("=", if not { "false" } else { "true" }.to_owned());
            selection.conditions.push(Condition { place, test, words: self.words(at..word + 1) });
            return Ok(Some(word + 1));
        }
        if let Some(behind) = self.valued(at + usize::from(is), end, selection)? {
            return Ok(Some(behind));
        }
        self.first(at, end, selection)
    }

    /// `ordered last week`, `placed an order`, `never ordered`: rows of another table that refer to these.
    fn did(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let never = usize::from(self.is(at, end, "never"));
        let start = at + never;
        let Some(verb) = self.said(start, end) else { return Ok(None) };
        let number = if never == 1 { Number::None } else { Number::Some };
        let mut tables = self.data.names.verb(verb);
        tables.retain(|table| *table != self.base);
        if !tables.is_empty() {
            return self.partners_of(&tables, start..start + 1, end, number, selection).map(Some);
        }
        if self.is_any(start, end, &["placed", "made"]) {
            return self.partners(start + 1, end, number, selection);
        }
        Ok(None)
    }

    /// `in March 2026`, `created since 2025`, `were shipped before 2026-03-29`
    fn timed(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let mut start = at + usize::from(self.is_any(at, end, &["is", "are", "was", "were"]));
        let own = self.said(start, end).and_then(|token| self.verb_column(&token.text).filter(|_| !token.is_quoted));
        let is_verb = own.is_some() || self.is_any(start, end, &MADE);
        start += usize::from(is_verb);
        if start > at && !is_verb {
            return Ok(None);
        }
        let opens =
            self.is_any(start, end, &PERIODS) || self.said(start, end).is_some_and(|token| token.text.len() == 10);
        if !opens {
            return Ok(None);
        }
        let Ok((length, test)) = condition::test(&self.data.said[start..end], start, Family::Time) else {
            return Ok(None);
        };
        let behind = start + length;
        let columns = match own {
            Some(column) => vec![column],
            None => time_columns(self.data.names.known, self.base),
        };
        let is_sure = |column: &ColumnId| {
            let known = self.data.names.known.column(*column);
            own.is_some() || known.is_some_and(|known| !known.nullable || !ends_rows(&known.name))
        };
        let column = match columns.as_slice() {
            [] => return Err(Stop::at(start, "a period of a column: the table has no dates or times")),
            [only] if is_sure(only) => *only,
            several => return Err(Stop::Ask(self.which_time(at..behind, start, several))),
        };
        let words = self.words(start..behind);
        if own.is_none() {
            selection.notes.extend(self.taken(&self.data.sentence[words.clone()], column));
        }
        selection.conditions.push(Condition { place: Place { route: Vec::new(), column }, test, words });
        Ok(Some(behind))
    }

    /// Says which column some words were taken for.
    pub(super) fn taken(&self, words: &str, column: ColumnId) -> Option<String> {
        let known = self.data.names.known;
        let (table, column) = (known.table(self.base)?.name(), &known.column(column)?.name);
        Some(format!("'{words}' is by {column}, the only date or time of {table}"))
    }

    /// `shipped` for `shipped_at`, `hired` for `hire_date`, `due` for `due_date`: the only column with dates or times that is called so.
    fn verb_column(&self, verb: &str) -> Option<ColumnId> {
        const ENDS: [&str; 9] = ["at", "on", "date", "day", "dt", "time", "dat", "ts", "am"];
        let known = self.data.names.known;
        let [verb]: [String; 1] = tokens(verb).try_into().ok()?;
        let stems = [Some(verb.as_str()), verb.strip_suffix("ed"), verb.strip_suffix('d')];
        let named = |column: &ColumnId| {
            let words = known.column(*column).map(|column| tokens(&column.name)).unwrap_or_default();
            let [name, rest @ ..] = words.as_slice() else { return false };
            let is_end = |word: &String| ENDS.contains(&word.as_str());
            !rest.is_empty() && rest.iter().all(is_end) && stems.iter().flatten().any(|stem| stem == name)
        };
        let mut found = time_columns(known, self.base).into_iter().filter(named);
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }

    fn which_time(&self, words: std::ops::Range<usize>, start: usize, columns: &[ColumnId]) -> Question {
        let (all, period) = (self.words(words.clone()), self.words(start..words.end));
        let sentence = self.data.sentence;
        let choices = columns.iter().filter_map(|column| {
            let name = &self.data.names.known.column(*column)?.name;
            let said = format!("with {} {}", as_name(name), &sentence[period.clone()]);
            let sentence = format!("{}{said}{}", &sentence[..all.start], &sentence[all.end..]);
            Some(Choice { text: name.clone(), sentence })
        });
        Question { text: format!("Of which date is '{}'?", &sentence[period.clone()]), choices: choices.collect() }
    }

    /// `cost more than 50`, `priced above 50`: a verb for a column with numbers.
    fn valued(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let Some(verb) = self.said(at, end).filter(|token| !token.is_quoted) else { return Ok(None) };
        let costs = ["cost", "costs", "costing"].iter().any(|word| verb.is(word));
        let weighs = ["weigh", "weighs", "weighing"].iter().any(|word| verb.is(word));
        let text = verb.text.to_lowercase();
        let stem = text.strip_suffix('d').map(fold);
        let wanted: Vec<&str> = match &stem {
            _ if costs => vec!["price", "preis", "cost"],
            _ if weighs => vec!["weight", "gewicht"],
            Some(stem) => vec![stem.as_str()],
            None => return Ok(None),
        };
        let known = self.data.names.known;
        let mut found = known.columns(self.base).filter(|(_, column)| {
            Family::of(&column.arrow_type) == Family::Number
                && tokens(&column.name).iter().any(|word| wanted.contains(&word.as_str()))
        });
        let (Some((column, _)), None) = (found.next(), found.next()) else { return Ok(None) };
        let Ok((length, test)) = condition::test(&self.data.said[at + 1..end], at + 1, Family::Number) else {
            return Ok(None);
        };
        let behind = at + 1 + length;
        let place = Place { route: Vec::new(), column };
        selection.conditions.push(Condition { place, test, words: self.words(at..behind) });
        Ok(Some(behind))
    }

    /// `highest first`, `descending`, `newest first`, `limit 10`
    fn first(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        if self.is(at, end, "limit") {
            let count =
                self.said(at + 1, end).and_then(count_of).ok_or_else(|| Stop::at(at + 1, "a number of rows"))?;
            let top = selection.top.as_mut().filter(|top| top.count.is_none());
            let top = top.ok_or_else(|| Stop::at(at, "'sorted by' and a value before it"))?;
            top.count = Some(count);
            return Ok(Some(at + 2));
        }
        let says_first = self.is(at + 1, end, "first");
        let newest = says_first && self.is_any(at, end, &["newest", "latest"]);
        let oldest = says_first && self.is_any(at, end, &["oldest", "earliest"]);
        let highest = says_first && self.is_any(at, end, &["highest", "largest", "most", "biggest"]);
        let lowest = says_first && self.is_any(at, end, &["lowest", "smallest", "fewest"]);
        let alone = self.is_any(at, end, &DESCENDING) || self.is_any(at, end, &["ascending", "asc"]);
        if !(newest || oldest || highest || lowest || alone) {
            return Ok(None);
        }
        let by = match newest || oldest {
            true => self.only_time(at, selection)?,
            false => self.only_folded(at, selection)?,
        };
        if selection.top.is_some() {
            return Err(Stop::at(at, "one order of the rows"));
        }
        let ascending = oldest || lowest || (alone && !self.is_any(at, end, &DESCENDING));
        selection.top = Some(Top { count: None, ascending, by });
        Ok(Some(at + if alone { 1 } else { 2 }))
    }

    fn only_time(&self, at: usize, selection: &Selection) -> Result<Value, Stop> {
        let columns = time_columns(self.data.names.known, self.base);
        match columns.as_slice() {
            [only] if selection.groups.is_empty() && !selection.items.iter().any(|item| item.value.is_folded()) => {
                Ok(Value::Column(Place { route: Vec::new(), column: *only }))
            }
            _ => Err(Stop::at(at, "'sorted by' and a column")),
        }
    }
}
