//! How many rows of another table refer to a row: `without order items`, `with at least one review`, `with more than 3 orders in 2025`.

use std::ops::Range;

use super::condition::{self, Family};
use super::data::Reader;
use super::phrase::Phrase;
use super::ranks::count_of;
use super::routes::hops;
use super::selection::{Condition, Number, Partners, Place, Selection, Test};
use super::stop::Stop;
use crate::known::TableId;

impl Reader<'_> {
    /// `more than 3 orders`, `at least one review`, `4 or more orders`, `more than 5 pieces`
    pub(super) fn numbered(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let said = &self.data.said[at..end];
        let (ahead, sign) = match said {
            [more, than, ..] if more.is("more") && than.is("than") => (2, ">"),
            [less, than, ..] if less.is("less") && than.is("than") => (2, "<"),
            [at, least, ..] if at.is("at") && least.is("least") => (2, ">="),
            [at, most, ..] if at.is("at") && most.is("most") => (2, "<="),
            [exactly, ..] if exactly.is("exactly") => (1, "="),
            [over, ..] if over.is("over") => (1, ">"),
            _ => (0, "="),
        };
        let Some(token) = self.said(at + ahead, end) else { return Ok(None) };
        let number = if token.is("one") || token.is("a") { Some(1) } else { count_of(token) };
        let number = number.or_else(|| token.text.parse().ok().filter(|_| !token.is_quoted));
        let mut behind = at + ahead + 1;
        let sign = match () {
            () if self.is(behind, end, "or") && self.is(behind + 1, end, "more") => ">=",
            () if self.is(behind, end, "or") && self.is_any(behind + 1, end, &["less", "fewer"]) => "<=",
            () => sign,
        };
        behind += if self.is(behind, end, "or") { 2 } else { 0 };
        if let Some(number) = number
            && let Some(behind) = self.partners(behind, end, Number::Is(sign, number), selection)?
        {
            return Ok(Some(behind));
        }
        // `more than 5 pieces`: the number of a column.
        if ahead == 0 || token.is_quoted || token.text.parse::<f64>().is_err() {
            return Ok(None);
        }
        let Ok((behind, place)) = self.phrase.column(behind, end) else { return Ok(None) };
        if self.family(&place) != Family::Number {
            return Ok(None);
        }
        let (_, test) = condition::test(&self.data.said[at..at + ahead + 1], at, Family::Number)?;
        selection.conditions.push(Condition { place, test, words: self.words(at..behind) });
        Ok(Some(behind))
    }

    /// `without order items`: the other table refers to this one. `without a brand`: this one refers to the other. `without a country`: the column is empty.
    pub(super) fn without(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let start = self.phrase.skip_articles(part.start, part.end);
        if let Some(behind) = self.partners(start, part.end, Number::None, selection)? {
            return self.ended(behind, part.end, "the end of the part");
        }
        let (behind, place) = self.phrase.column(start, part.end).map_err(|stop| match stop {
            Stop::NotUnderstood(_) => Stop::at(start, "a table that refers to these rows by a key, or a column"),
            other => other,
        })?;
        selection.conditions.push(Condition { place, test: Test::Empty, words: self.words(start..behind) });
        let behind = self.rest(behind, part.end, selection)?;
        self.ended(behind, part.end, "the end of the part")
    }

    /// Rows of another table that refer to these, or to which these refer. `None` if no such table is named here.
    pub(super) fn partners(
        &self,
        at: usize,
        end: usize,
        number: Number,
        selection: &mut Selection,
    ) -> Result<Option<usize>, Stop> {
        let start = self.phrase.skip_articles(at, end);
        let Some(found) = self.data.names.table(&self.data.said[start..end]) else { return Ok(None) };
        let column = self.data.names.column(&self.data.said[start..end], self.base);
        if column.is_some_and(|column| column.length >= found.length) {
            return Ok(None);
        }
        self.partners_of(&found.meanings, start..start + found.length, end, number, selection).map(Some)
    }

    /// The same, of tables that are known.
    pub(super) fn partners_of(
        &self,
        tables: &[TableId],
        words: Range<usize>,
        end: usize,
        number: Number,
        selection: &mut Selection,
    ) -> Result<usize, Stop> {
        let known = self.data.names.known;
        let back = tables.iter().flat_map(|other| {
            hops(known, *other).into_iter().filter(|hop| hop.table == self.base).map(|hop| (*other, hop))
        });
        match back.collect::<Vec<_>>().as_slice() {
            [(table, hop)] => {
                if matches!(number, Number::Is(..)) && hop.from.len() != 1 {
                    return Err(Stop::at(words.start, "a table that refers to these rows by one column"));
                }
                let of_other = Reader { data: self.data, phrase: Phrase { base: *table, ..self.phrase }, base: *table };
                let mut theirs = Selection::of(*table);
                // No sentence could say of which column of the other table a question is.
                let behind = of_other.rest(words.end, end, &mut theirs).map_err(|stop| match stop {
                    Stop::Ask(_) => Stop::at(words.end, "no period: the other table has several dates or times"),
                    other => other,
                })?;
                if !theirs.partners.is_empty() || theirs.top.is_some() {
                    return Err(Stop::at(words.end, "the end of the part"));
                }
                selection.notes.append(&mut theirs.notes);
                let conditions = theirs.conditions;
                selection.partners.push(Partners { table: *table, hop: hop.clone(), number, conditions });
                return Ok(behind);
            }
            [] => {}
            _ => {
                return Err(Stop::at(
                    words.start,
                    "a table that refers to these rows by one key; this one has several",
                ));
            }
        }
        let forth = hops(known, self.base).into_iter().filter(|hop| tables.contains(&hop.table) && !hop.is_assumed);
        let test = match number {
            Number::None => Test::Empty,
            Number::Some => Test::NotEmpty,
            Number::Is(..) => return Err(Stop::at(words.start, "a table that refers to these rows by a key")),
        };
        match forth.collect::<Vec<_>>().as_slice() {
            [hop] if hop.from.len() == 1 => {
                let place = Place { route: Vec::new(), column: hop.from[0] };
                selection.conditions.push(Condition { place, test, words: self.words(words.clone()) });
                self.rest(words.end, end, selection)
            }
            _ => Err(Stop::at(words.start, "a table that refers to these rows by a key")),
        }
    }
}
