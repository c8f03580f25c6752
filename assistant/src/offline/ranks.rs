//! The first rows by something, and words in front of a table: `the 10 newest orders`, `the cheapest product`, `active products`.

use std::ops::Range;

use super::condition::Family;
use super::data::Data;
use super::lexer::Token;
use super::modifiers::time_columns;
use super::selection::{Condition, Item, Place, Selection, Test, Top, Value};
use super::stop::Stop;
use crate::known::{ColumnId, TableId};
use crate::words::{fold, split_name, tokens};

/// What a sentence says so far of the order of rows and of how many are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Rank {
    /// Where it is said.
    pub(super) at: usize,
    pub(super) count: Option<u64>,
    /// The smallest come first.
    pub(super) ascending: Option<bool>,
    /// What kind of column orders the rows.
    pub(super) kind: Option<Kind>,
    pub(super) by: Option<Value>,
    /// One row is spoken of.
    pub(super) is_single: bool,
}

/// The kind of column that an adjective speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Time,
    Price,
    Weight,
}

/// Adjectives that order rows, whether the smallest come first, and by what.
const SUPERLATIVES: [(&str, bool, Kind); 12] = [
    ("newest", false, Kind::Time),
    ("latest", false, Kind::Time),
    ("last", false, Kind::Time),
    ("youngest", false, Kind::Time),
    ("oldest", true, Kind::Time),
    ("earliest", true, Kind::Time),
    ("first", true, Kind::Time),
    ("priciest", false, Kind::Price),
    ("dearest", false, Kind::Price),
    ("cheapest", true, Kind::Price),
    ("heaviest", false, Kind::Weight),
    ("lightest", true, Kind::Weight),
];

/// The words in front of a table.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Their places.
    pub(super) places: Vec<usize>,
    pub(super) conditions: Vec<Condition>,
    pub(super) rank: Rank,
}

/// A number of rows in digits or in a word. What can be a year is none.
pub(super) fn count_of(token: &Token) -> Option<u64> {
    const WORDS: [[&str; 2]; 11] = [
        ["two", "zwei"],
        ["three", "drei"],
        ["four", "vier"],
        ["five", "fünf"],
        ["six", "sechs"],
        ["seven", "sieben"],
        ["eight", "acht"],
        ["nine", "neun"],
        ["ten", "zehn"],
        ["eleven", "elf"],
        ["twelve", "zwölf"],
    ];
    if token.is_quoted {
        return None;
    }
    let said = token.text.to_lowercase();
    let in_words = (2..).zip(WORDS).find(|(_, words)| words.contains(&said.as_str())).map(|(number, _)| number);
    let digits = said.bytes().all(|b| b.is_ascii_digit());
    let number = in_words.or_else(|| said.parse().ok().filter(|_| digits));
    number.filter(|number| *number > 0 && !(1900..=2200).contains(number))
}

impl Data<'_> {
    /// Reads the words in front of the table at `words`.
    pub(super) fn before(&self, base: TableId, words: &Range<usize>, start: usize) -> Before {
        let mut before = Before::default();
        let own = self.names.column(&self.said[words.start..], base);
        if own.is_some_and(|own| own.length > words.len()) {
            return before;
        }
        for at in (start..words.start).rev() {
            let token = &self.said[at];
            if let Some(column) = self.adjective(token, base) {
                let place = Place { route: Vec::new(), column };
                let test = Test::Compare("=", "true".to_owned());
                before.conditions.push(Condition { place, test, words: token.span.clone() });
            } else if let Some(count) = count_of(token).filter(|_| before.rank.count.is_none()) {
                before.rank.count = Some(count);
            } else if token.is("1") && before.rank.kind.is_some() {
                before.rank.count = Some(1);
            } else if let Some((_, ascending, kind)) = SUPERLATIVES.iter().find(|(word, ..)| token.is(word))
                && before.rank.kind.is_none()
            {
                before.rank = Rank { ascending: Some(*ascending), kind: Some(*kind), ..before.rank };
            } else if token.is("top") && before.rank.count.is_some() {
                before.places.push(at);
                break;
            } else {
                break;
            }
            before.places.push(at);
            before.rank.at = at;
        }
        // One row is spoken of if the table has its name in the plural and the sentence has it in the singular.
        let last = self.said[words.end - 1].text.to_lowercase();
        let name = self.names.known.table(base).map(|table| table.name().to_lowercase()).unwrap_or_default();
        let ends = split_name(&name).pop().unwrap_or_default();
        before.rank.is_single = last != ends && last == fold(&ends);
        before
    }

    /// A column that is true or false, as an adjective: `active` for `is_active`, `gesperrten` for `gesperrt`.
    pub(super) fn adjective(&self, token: &Token, table: TableId) -> Option<ColumnId> {
        if token.is_quoted || token.words.is_empty() {
            return None;
        }
        let bare = |name: &str| {
            let mut words = tokens(name);
            let is_prefix = words.len() > 1 && (words[0] == "is" || words[0] == "has");
            if is_prefix { words.split_off(1) } else { words }
        };
        let is_inflected = |name: &[String]| {
            let ([said], [name]) = (token.words.as_slice(), name) else { return false };
            said.strip_prefix(name.as_str()).is_some_and(|ending| ["e", "en", "er", "em", "es"].contains(&ending))
        };
        let known = self.names.known;
        let booleans = known.columns(table).filter(|(_, column)| Family::of(&column.arrow_type) == Family::Boolean);
        let mut found = booleans.filter(|(_, column)| {
            let name = bare(&column.name);
            name == token.words || is_inflected(&name)
        });
        let (only, _) = found.next()?;
        found.next().is_none().then_some(only)
    }

    /// The column that an adjective speaks of: the only one of its kind.
    fn of_kind(&self, kind: Kind, base: TableId, at: usize) -> Result<ColumnId, Stop> {
        let named = |words: &[&str]| {
            let columns = self.names.known.columns(base).filter(|(_, column)| {
                Family::of(&column.arrow_type) == Family::Number
                    && tokens(&column.name).iter().any(|word| words.contains(&word.as_str()))
            });
            columns.map(|(id, _)| id).collect::<Vec<_>>()
        };
        let (columns, what) = match kind {
            Kind::Time => (time_columns(self.names.known, base), "one column with dates or times"),
            Kind::Price => (named(&["price", "preis", "cost"]), "one column with a price"),
            Kind::Weight => (named(&["weight", "gewicht", "gew"]), "one column with a weight"),
        };
        match columns.as_slice() {
            [only] => Ok(*only),
            _ => Err(Stop::at(at, format!("'by' and a column: the table has not just {what}"))),
        }
    }

    /// Orders the rows as the sentence says.
    pub(super) fn ranked(&self, rank: &Rank, base: TableId, selection: &mut Selection) -> Result<(), Stop> {
        let is_said = rank.count.is_some() || rank.ascending.is_some() || rank.by.is_some();
        if !is_said || selection.top.is_some() {
            return match is_said {
                true => Err(Stop::at(rank.at, "one order of the rows")),
                false => Ok(()),
            };
        }
        let by = match (&rank.by, rank.kind) {
            (Some(by), _) => by.clone(),
            (None, Some(kind)) => {
                Value::Column(Place { route: Vec::new(), column: self.of_kind(kind, base, rank.at)? })
            }
            (None, None) => return Err(Stop::at(rank.at, "'by' and what the rows are ordered by")),
        };
        let count = rank.count.or(rank.is_single.then_some(1));
        let count = count.ok_or_else(|| Stop::at(rank.at, "a number of rows"))?;
        if by.is_folded() {
            if !selection.groups.is_empty() || selection.items.is_empty() {
                return Err(Stop::at(rank.at, "the columns that the value is of, such as the name"));
            }
            selection.groups = std::mem::take(&mut selection.items);
            selection.items = vec![Item { value: by.clone(), name: None }];
        } else if !selection.groups.is_empty() || selection.items.iter().any(|item| item.value.is_folded()) {
            return Err(Stop::at(rank.at, "no groups beside 'top': the first rows of each group can't be asked for"));
        }
        selection.top = Some(Top { count: Some(count), ascending: rank.ascending.unwrap_or(false), by });
        Ok(())
    }
}
