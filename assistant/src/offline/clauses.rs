//! The parts of a data phrase behind its head: conditions, groups, further columns, rows without a partner, the highest and lowest.

use std::ops::Range;

use super::condition::{self, Family};
use super::data::Reader;
use super::list::List;
use super::period;
use super::routes::hops;
use super::selection::{Condition, Item, Selection, Test, Top, Value};
use super::stop::Stop;

impl Reader<'_> {
    pub(super) fn groups(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        if selection.top.is_some() {
            return Err(Stop::at(
                part.start,
                "no groups beside 'top': the first rows of each group can't be asked for",
            ));
        }
        let mut at = part.start;
        let mut list = List::default();
        loop {
            let unit = self.said(at, part.end).and_then(period::unit);
            let is_cut = unit.is_some() && self.is(at + 1, part.end, "of");
            let (behind, place) = self.phrase.column(if is_cut { at + 2 } else { at }, part.end)?;
            let mut behind = self.of_table(behind, part.end).unwrap_or(behind);
            list.add(&self.phrase, self.phrase.skip_articles(at, behind)..behind, &place)?;
            let rest = &self.data.said[behind..part.end];
            if self.family(&place) == Family::Time
                && let Some((length, period)) = period::read(rest)
            {
                let words = self.words(at..behind + length);
                selection.conditions.push(Condition { place: place.clone(), test: Test::During(period), words });
                behind += length;
            }
            let (behind, name) = self.name(behind, part.end)?;
            let value = match unit.filter(|_| is_cut) {
                Some(unit) if self.family(&place) == Family::Time => Value::Cut(unit, place),
                Some(_) => return Err(Stop::at(at + 2, "a column with dates or times")),
                None => Value::Column(place),
            };
            selection.groups.push(Item { value, name });
            let comma = self.is(behind, part.end, ",");
            let and = self.is(behind + usize::from(comma), part.end, "and");
            if !comma && !and {
                return self.ended(behind, part.end, "'and' and another column");
            }
            at = behind + usize::from(comma) + usize::from(and);
        }
    }

    pub(super) fn conditions(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let mut at = part.start;
        loop {
            let (behind, place) = self.phrase.column(at, part.end)?;
            let family = self.family(&place);
            let (length, test) = condition::test(&self.data.said[behind..part.end], behind, family)?;
            let end = behind + length;
            selection.conditions.push(Condition { place, test, words: self.words(at..end) });
            let comma = self.is(end, part.end, ",");
            let and = self.is(end + usize::from(comma), part.end, "and");
            if !and {
                return self.ended(end, part.end, "'and' and another condition");
            }
            at = end + usize::from(comma) + 1;
        }
    }

    /// `with the brand's name as brand`, `with newsletter true`
    pub(super) fn with(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let (behind, place) = self.phrase.column(part.start, part.end)?;
        let is_item = behind == part.end || ["as", "and", ","].iter().any(|word| self.is(behind, part.end, word));
        if !is_item || self.family(&place) == Family::Boolean && behind < part.end && !self.is(behind, part.end, "as") {
            return self.conditions(part, selection);
        }
        let behind = self.items(part.start, part.end, selection)?;
        self.ended(behind, part.end, "'and' and another column")
    }

    /// `without order items`: the other table refers to this one.
    pub(super) fn without(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let start = self.phrase.skip_articles(part.start, part.end);
        let found = self.data.names.table(&self.data.said[start..part.end]).ok_or_else(|| self.data.no_table(start))?;
        let known = self.data.names.known;
        let back = found.meanings.iter().flat_map(|other| {
            hops(known, *other).into_iter().filter(|hop| hop.table == self.base).map(|hop| (*other, vec![hop]))
        });
        match back.collect::<Vec<_>>().as_slice() {
            [only] => selection.without.push(only.clone()),
            [] => return Err(Stop::at(start, "a table that refers to these rows by a key")),
            _ => return Err(Stop::at(start, "a table that refers to these rows by one key; this one has several")),
        }
        self.ended(start + found.length, part.end, "the end of the part")
    }

    /// `also products without a brand`
    pub(super) fn also(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let start = self.phrase.skip_articles(part.start, part.end);
        let who = self.data.names.table(&self.data.said[start..part.end]).ok_or_else(|| self.data.no_table(start))?;
        let without = start + who.length;
        if !self.is(without, part.end, "without") {
            return Err(Stop::at(without, "'without' and a table"));
        }
        let other = self.phrase.skip_articles(without + 1, part.end);
        let what = self.data.names.table(&self.data.said[other..part.end]).ok_or_else(|| self.data.no_table(other))?;
        if who.meanings.contains(&self.base) {
            selection.keeps.extend(&what.meanings);
        } else if what.meanings.contains(&self.base) {
            selection.whole.extend(&who.meanings);
        } else {
            return Err(Stop::at(start, "the rows that are read, and a table that they refer to"));
        }
        self.ended(other + what.length, part.end, "the end of the part")
    }

    /// `only orders with customers`: those without are left out.
    pub(super) fn only(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let start = self.phrase.skip_articles(part.start, part.end);
        let who = self.data.names.table(&self.data.said[start..part.end]).ok_or_else(|| self.data.no_table(start))?;
        let with = start + who.length;
        if !self.is(with, part.end, "with") || !who.meanings.contains(&self.base) {
            return Err(Stop::at(with, "the rows that are read, 'with' and a table that they refer to"));
        }
        let other = self.phrase.skip_articles(with + 1, part.end);
        let what = self.data.names.table(&self.data.said[other..part.end]).ok_or_else(|| self.data.no_table(other))?;
        selection.drops.extend(&what.meanings);
        self.ended(other + what.length, part.end, "the end of the part")
    }

    /// `joined on product id`: says by which column, which the key's name says too.
    pub(super) fn joined(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let start = part.start
            + 1
            + usize::from(self.is(part.start + 1, part.end, "on") || self.is(part.start + 1, part.end, "by"));
        let (behind, place) = self.phrase.column(start, part.end)?;
        let mut firsts = selection.places().filter_map(|place| place.route.first()).peekable();
        let fits = firsts.peek().is_some() && firsts.all(|hop| hop.from == [place.column]);
        if !fits {
            return Err(Stop::at(start, "the column that the rows are joined by"));
        }
        self.ended(behind, part.end, "the end of the part")
    }

    /// `the 3 highest`
    pub(super) fn extreme(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let count =
            self.said(part.start + 1, part.end).and_then(|token| token.text.parse().ok()).filter(|count| *count > 0);
        let count = count.ok_or_else(|| Stop::at(part.start + 1, "a number of rows"))?;
        let ascending = match self.said(part.start + 2, part.end) {
            Some(token) if ["highest", "largest", "most", "top"].iter().any(|word| token.is(word)) => false,
            Some(token) if ["lowest", "smallest", "fewest"].iter().any(|word| token.is(word)) => true,
            _ => return Err(Stop::at(part.start + 2, "'highest' or 'lowest'")),
        };
        let mut folded = selection.items.iter().filter(|item| item.value.is_folded());
        let (Some(only), None) = (folded.next(), folded.next()) else {
            return Err(Stop::at(part.start, "one value that the rows are ordered by"));
        };
        selection.top = Some(Top { count, ascending, by: only.value.clone() });
        self.ended(part.start + 3, part.end, "the end of the part")
    }
}
