//! Columns in words: `total`, `the customer's country`, `bez of the abt of the masch`, `city of addresses via shipping address id`.

use super::lexer::{Token, as_name};
use super::names::Names;
use super::routes::{Route, reach, routes};
use super::selection::Place;
use super::stop::{Misread, Stop};
use crate::draft::{Choice, Question};
use crate::known::{ColumnId, TableId};

/// Tokens that a column's name may spread over before `of`.
const LONGEST: usize = 6;

/// Reads columns of a table, and of tables that it refers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase<'a> {
    pub(super) sentence: &'a str,
    pub(super) said: &'a [Token],
    pub(super) names: &'a Names<'a>,
    pub(super) base: TableId,
    /// Places of words in front of a table, which are read on their own.
    pub(super) skipped: &'a [usize],
}

/// A column that was read, and the token behind it.
pub(super) type Read = (usize, Place);

impl<'a> Phrase<'a> {
    /// The column that begins at a token, and ends before `end`.
    pub(super) fn column(&self, at: usize, end: usize) -> Result<Read, Stop> {
        let start = self.skip_articles(at, end);
        let said = &self.said[start..end];
        let mut found: Vec<(usize, Result<Place, Stop>)> = Vec::new();
        if let Some(own) = self.names.column(said, self.base) {
            let place = match own.meanings.as_slice() {
                [only] => Ok(*only),
                several => Err(Stop::Ask(self.which_column(start..start + own.length, several))),
            };
            found.push((start + own.length, place.map(|column| Place { route: Route::new(), column })));
        }
        found.extend(self.of_table(start, end));
        found.extend(self.behind_table(start, end));
        if found.is_empty() {
            found.extend(self.anywhere(start, end));
        }
        // The longest reading wins; of equal ones the first, which is the nearest.
        let longest = found.iter().map(|(behind, _)| *behind).max();
        let best = found.into_iter().find(|(behind, _)| Some(*behind) == longest);
        match best {
            Some((behind, place)) => Ok((behind, place?)),
            None => Err(self.no_column(start)),
        }
    }

    /// `customer's country`, `category name of the product`
    fn behind_table(&self, start: usize, end: usize) -> Option<(usize, Result<Place, Stop>)> {
        let table = self.names.table(&self.said[start..end])?;
        let mut at = start + table.length;
        at += usize::from(self.said.get(at).filter(|_| at < end).is_some_and(|token| token.is("'s")));
        let columns = table.meanings.iter().filter_map(|table| {
            let column = self.names.column(&self.said[at..end], *table)?;
            (column.meanings.len() == 1).then(|| (column.length, *table, column.meanings[0]))
        });
        let columns: Vec<(usize, TableId, ColumnId)> = columns.collect();
        match self.nearest(columns, |(_, table, _)| *table).as_slice() {
            [] => None,
            [(length, table, column)] => Some(self.along(start, at + length, end, *table, *column)),
            [(length, ..), ..] => Some((at + length, Err(Stop::at(start, "the full name of one of several tables")))),
        }
    }

    /// `country of the customer`, `bez of the abt of the masch`
    fn of_table(&self, start: usize, end: usize) -> Option<(usize, Result<Place, Stop>)> {
        let of = (start + 1..end.min(start + 1 + LONGEST)).find(|at| self.is_of(*at))?;
        let at = self.skip_articles(of + 1, end);
        let table = self.names.table(&self.said[at..end])?;
        let column = |table: &TableId| {
            let column = self.names.column(&self.said[start..of], *table)?;
            (start + column.length == of && column.meanings.len() == 1).then(|| (*table, column.meanings[0]))
        };
        let columns: Vec<(TableId, ColumnId)> = table.meanings.iter().filter_map(column).collect();
        if columns.iter().any(|(table, _)| *table == self.base) {
            return None;
        }
        match self.nearest(columns, |(table, _)| *table).as_slice() {
            [] => None,
            [(id, column)] => Some(self.along(start, at + table.length, end, *id, *column)),
            _ => Some((at + table.length, Err(Stop::at(at, "the full name of one of several tables")))),
        }
    }

    /// Of tables of one name those that the rows refer to, by declared keys if there are any. All if the rows refer to none, for the sake of the message.
    fn nearest<T: Copy>(&self, tables: Vec<T>, id: impl Fn(&T) -> TableId) -> Vec<T> {
        let ways = |table: &T| routes(self.names.known, self.base, id(table));
        let reached: Vec<T> = tables.iter().copied().filter(|table| !ways(table).is_empty()).collect();
        let is_declared = |table: &T| ways(table).iter().all(|way| way.iter().all(|hop| !hop.is_assumed));
        let declared: Vec<T> = reached.iter().copied().filter(is_declared).collect();
        [declared, reached].into_iter().find(|found| !found.is_empty()).unwrap_or(tables)
    }

    /// The way to a table whose column was named: over the tables that `of the …` names behind it, or by the key that `via …` names.
    fn along(
        &self,
        start: usize,
        mut at: usize,
        end: usize,
        table: TableId,
        column: ColumnId,
    ) -> (usize, Result<Place, Stop>) {
        let mut stops = vec![table];
        while at < end && self.is_of(at) {
            let named = self.skip_articles(at + 1, end);
            let Some(next) = self.names.table(&self.said[named..end]) else { break };
            let [next_id] = next.meanings.as_slice() else { break };
            if *next_id == self.base {
                break;
            }
            stops.push(*next_id);
            at = named + next.length;
        }
        let mut via = None;
        if at < end
            && self.said[at].is("via")
            && let Some(key) = self.key(at + 1, end)
        {
            via = Some(key.1);
            at += 1 + key.0;
        }
        (at, self.routed(start..at, &stops, column, via))
    }

    fn routed(
        &self,
        words: std::ops::Range<usize>,
        stops: &[TableId],
        column: ColumnId,
        via: Option<Vec<ColumnId>>,
    ) -> Result<Place, Stop> {
        let mut ways: Vec<Route> = vec![Route::new()];
        let mut from = self.base;
        for table in stops.iter().rev() {
            let next = routes(self.names.known, from, *table);
            if next.is_empty() {
                return Err(self.unrelated(words.start, from, *table));
            }
            ways = ways.iter().flat_map(|way| next.iter().map(move |more| [way.as_slice(), more].concat())).collect();
            from = *table;
        }
        if let Some(via) = via {
            ways.retain(|way| way.iter().any(|hop| hop.from.iter().any(|column| via.contains(column))));
        }
        self.only(words, ways, column)
    }

    /// The columns that a key's name stands for, in whatever table: the ways say which one is on them.
    fn key(&self, at: usize, end: usize) -> Option<(usize, Vec<ColumnId>)> {
        let found = self.names.known.tables().filter_map(|(table, _)| self.names.column(&self.said[at..end], table));
        let found: Vec<_> = found.collect();
        let length = found.iter().map(|column| column.length).max()?;
        let columns = found.into_iter().filter(|column| column.length == length);
        Some((length, columns.flat_map(|column| column.meanings).collect()))
    }

    /// A column that the table lacks and one of the tables that it refers to has.
    fn anywhere(&self, start: usize, end: usize) -> Option<(usize, Result<Place, Stop>)> {
        let known = self.names.known;
        let length_in =
            |table: TableId| self.names.column(&self.said[start..end], table).map_or(0, |column| column.length);
        let reachable = known.tables().map(|(id, _)| id).filter(|id| *id != self.base);
        let longest = reachable.map(length_in).max().filter(|length| *length > 0)?;
        let ways = reach(known, self.base, |table| table != self.base && length_in(table) == longest);
        let place = |way: Route| {
            let table = way.last()?.table;
            let column = self.names.column(&self.said[start..end], table)?;
            (column.meanings.len() == 1).then(|| Place { route: way, column: column.meanings[0] })
        };
        let places: Vec<Place> = ways.into_iter().filter_map(place).collect();
        let behind = start + longest;
        match places.as_slice() {
            [] => None,
            [only] => Some((behind, Ok(only.clone()))),
            several => Some((behind, Err(Stop::Ask(self.which(start..behind, several))))),
        }
    }

    fn only(&self, words: std::ops::Range<usize>, ways: Vec<Route>, column: ColumnId) -> Result<Place, Stop> {
        let places: Vec<Place> = ways.into_iter().map(|route| Place { route, column }).collect();
        match places.as_slice() {
            [] => Err(Stop::at(words.start, "a column of a table that the rows refer to")),
            [only] => Ok(only.clone()),
            several => Err(Stop::Ask(self.which(words, several))),
        }
    }

    /// Asks which of several ways is meant, by the columns that they begin with.
    fn which(&self, words: std::ops::Range<usize>, places: &[Place]) -> Question {
        let known = self.names.known;
        let span = self.said[words.start].span.start..self.said[words.end - 1].span.end;
        let quote = &self.sentence[span.clone()];
        // By the first key in which the ways differ.
        let step = (0..)
            .take_while(|step| places.iter().all(|place| place.route.len() > *step))
            .find(|step| places.iter().any(|place| place.route[*step].from != places[0].route[*step].from));
        let choices = places.iter().filter_map(|place| {
            let way = place.route.get(step.unwrap_or(0))?;
            let key = known.column(*way.from.first()?)?;
            let column = known.column(place.column)?;
            let table = known.table(place.route.last()?.table)?;
            let said = format!("{} of {} via {}", as_name(&column.name), as_name(table.name()), as_name(&key.name));
            let sentence = format!("{}{said}{}", &self.sentence[..span.start], &self.sentence[span.end..]);
            Some(Choice { text: format!("{} of {} by {}", column.name, table.name(), key.name), sentence })
        });
        Question { text: format!("Which '{quote}' is meant?"), choices: choices.collect() }
    }

    /// Asks which of several columns is meant that read alike: in quotes each is written as it is.
    fn which_column(&self, words: std::ops::Range<usize>, columns: &[ColumnId]) -> Question {
        let span = self.said[words.start].span.start..self.said[words.end - 1].span.end;
        let quote = &self.sentence[span.clone()];
        let choices = columns.iter().filter_map(|column| {
            let name = &self.names.known.column(*column)?.name;
            let sentence = format!("{}{}{}", &self.sentence[..span.start], as_name(name), &self.sentence[span.end..]);
            Some(Choice { text: name.clone(), sentence })
        });
        Question {
            text: format!("Several columns are called '{quote}'. Which one is meant?"),
            choices: choices.collect(),
        }
    }

    fn is_of(&self, at: usize) -> bool {
        self.said.get(at).is_some_and(|token| token.is("of"))
    }

    /// The place behind articles.
    pub(super) fn skip_articles(&self, at: usize, end: usize) -> usize {
        const ARTICLES: [&str; 10] = ["the", "a", "an", "each", "their", "its", "all", "our", "any", "every"];
        let is_article = |token: &Token| ARTICLES.iter().any(|word| token.is(word));
        let is_skipped = |place: &usize| is_article(&self.said[*place]) || self.skipped.contains(place);
        (at..end).find(|place| !is_skipped(place)).unwrap_or(end)
    }

    fn no_column(&self, at: usize) -> Stop {
        let name = self.names.known.table(self.base).map(crate::known::KnownTable::full_name).unwrap_or_default();
        Stop::NotUnderstood(Misread {
            at,
            expected: format!("a column of {name}, or of a table that it refers to"),
            candidates: self.names.column_names(self.base),
        })
    }

    fn unrelated(&self, at: usize, from: TableId, to: TableId) -> Stop {
        let name = |table| self.names.known.table(table).map(crate::known::KnownTable::full_name).unwrap_or_default();
        Stop::at(at, format!("a table that {} refers to by a key; {} is none", name(from), name(to)))
    }
}
