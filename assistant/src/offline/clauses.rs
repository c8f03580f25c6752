//! The parts of a data phrase behind its head: conditions, groups, further columns, rows without a partner, the highest and lowest.

use std::ops::Range;

use super::condition::{self, Family};
use super::data::Reader;
use super::list::List;
use super::modifiers::{DESCENDING, time_columns};
use super::parts::{HIGHEST, LOWEST};
use super::period;
use super::ranks::{Rank, count_of};
use super::selection::{Condition, Item, Number, Place, Selection, Test, Top, Value};
use super::stop::Stop;

impl Reader<'_> {
    pub(super) fn groups(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let mut list = List::default();
        let mut end = self.group(part.start, part.end, &mut list, selection)?;
        let behind = loop {
            let comma = self.is(end, part.end, ",");
            let and = self.is(end + usize::from(comma), part.end, "and");
            if !comma && !and {
                break self.rest(end, part.end, selection)?;
            }
            let at = end + usize::from(comma) + usize::from(and);
            match self.group(at, part.end, &mut list, selection) {
                Ok(behind) => end = behind,
                // `per status, highest first`
                Err(stop) => {
                    let behind = self.rest(end, part.end, selection)?;
                    if behind == end {
                        return Err(stop);
                    }
                    break behind;
                }
            }
        };
        let words = self.words(part.start..end);
        selection.group_words = Some(match selection.group_words.take() {
            Some(before) => before.start..words.end,
            None => words,
        });
        self.ended(behind, part.end, "'and' and another column")
    }

    /// `status`, `month of ordered at in 2026`, `month`, `customer`
    fn group(&self, at: usize, end: usize, list: &mut List, selection: &mut Selection) -> Result<usize, Stop> {
        let unit = self.said(at, end).and_then(period::unit);
        let is_dated = || period::read(&self.data.said[at + 1..end]).is_some();
        let is_cut = unit.is_some() && self.is(at + 1, end, "of") && !is_dated();
        let own = self.data.names.column(&self.data.said[at..end], self.base);
        if let Some(unit) = unit.filter(|_| !is_cut && own.is_none()) {
            let column = match time_columns(self.data.names.known, self.base).as_slice() {
                [only] => *only,
                _ => return Err(Stop::at(at + 1, "'of' and a column with dates or times")),
            };
            let place = Place { route: Vec::new(), column };
            selection.notes.extend(self.taken(unit.as_str(), column));
            selection.groups.push(Item { value: Value::Cut(unit, place), name: None });
            return Ok(at + 1);
        }
        let start = if is_cut { at + 2 } else { at };
        let (behind, place) = match self.phrase.column(start, end) {
            Ok(read) => read,
            Err(stop @ Stop::NotUnderstood(_)) if !is_cut => {
                let (behind, items) = self.entity(at, end).unwrap_or(Err(stop))?;
                selection.groups.extend(items);
                return Ok(behind);
            }
            Err(stop) => return Err(stop),
        };
        let mut behind = self.of_table(behind, end).unwrap_or(behind);
        list.add(&self.phrase, self.phrase.skip_articles(at, behind)..behind, &place)?;
        if self.family(&place) == Family::Time
            && let Some((length, period)) = period::read(&self.data.said[behind..end])
        {
            let words = self.words(behind..behind + length);
            selection.conditions.push(Condition { place: place.clone(), test: Test::During(period), words });
            behind += length;
        }
        let (behind, name) = self.name(behind, end)?;
        let value = match unit.filter(|_| is_cut) {
            Some(unit) if self.family(&place) == Family::Time => Value::Cut(unit, place),
            Some(_) => return Err(Stop::at(at + 2, "a column with dates or times")),
            None => Value::Column(place),
        };
        selection.groups.push(Item { value, name });
        Ok(behind)
    }

    pub(super) fn conditions(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let mut at = part.start;
        loop {
            let (behind, place) = self.phrase.column(at, part.end)?;
            self.not_theirs(self.phrase.skip_articles(at, behind)..behind, selection)?;
            let end = self.condition(at, behind, part.end, place, selection)?;
            let comma = self.is(end, part.end, ",");
            let and = self.is(end + usize::from(comma), part.end, "and");
            let next = end + usize::from(comma) + usize::from(and);
            if !and || self.phrase.column(next, part.end).is_err() {
                let behind = self.rest(end, part.end, selection)?;
                let next = if and && behind == end { next } else { behind };
                if and && next != behind {
                    self.phrase.column(next, part.end)?;
                }
                return self.ended(behind, part.end, "'and' and another condition");
            }
            at = next;
        }
    }

    /// The test of a column that stands before `behind`; of a column that is true or false none is needed.
    fn condition(
        &self,
        at: usize,
        behind: usize,
        end: usize,
        place: Place,
        selection: &mut Selection,
    ) -> Result<usize, Stop> {
        let family = self.family(&place);
        if behind == end && family == Family::Boolean {
            let test = Test::Compare("=", "true".to_owned());
            selection.conditions.push(Condition { place, test, words: self.words(at..behind) });
            return Ok(behind);
        }
        let (length, test) = condition::test(&self.data.said[behind..end], behind, family)?;
        let end = behind + length;
        self.no_column_among(behind..end, family)?;
        // What changes with the next turn of a conversation is the period alone.
        let words = if family == Family::Time { behind..end } else { at..end };
        selection.conditions.push(Condition { place, test, words: self.words(words) });
        Ok(end)
    }

    /// A word of a list that is a column, too, may begin another condition: as a text it stands in quotes.
    fn no_column_among(&self, values: Range<usize>, family: Family) -> Result<(), Stop> {
        let said = &self.data.said;
        let is_one = |at: &usize| {
            let follows = ["or", "and", ","].iter().any(|word| said[at - 1].is(word));
            follows && !said[*at].is_quoted && self.data.names.column(&said[*at..=*at], self.base).is_some()
        };
        match (values.start + 1..values.end).find(is_one).filter(|_| family == Family::Text) {
            Some(at) => Err(Stop::at(at, format!("a text in quotes: '{}' is a column, too", said[at].text))),
            None => Ok(()),
        }
    }

    /// Behind `without orders` a column that the orders have as well could be theirs.
    fn not_theirs(&self, words: Range<usize>, selection: &Selection) -> Result<(), Stop> {
        let said = &self.data.said[words.clone()];
        let has = |table| self.data.names.column(said, table).is_some_and(|column| column.length == said.len());
        let other = selection.partners.iter().find(|partners| partners.number == Number::None && has(partners.table));
        let name = |table| self.data.names.known.table(table).map(|table| table.name().to_owned()).unwrap_or_default();
        match other {
            Some(other) => {
                let (own, theirs) = (name(self.base), name(other.table));
                Err(Stop::at(words.start, format!("'of {own}' behind the column, which {theirs} have as well")))
            }
            None => Ok(()),
        }
    }

    /// `with the brand's name as brand`, `with newsletter true`, `with the highest price`, `with more than 3 orders`
    pub(super) fn with(&self, part: Range<usize>, selection: &mut Selection, rank: &mut Rank) -> Result<(), Stop> {
        let start = self.phrase.skip_articles(part.start, part.end);
        let mut special = self.highest(start, part.end, rank)?;
        if special.is_none() {
            special = self.numbered(start, part.end, selection)?;
        }
        if special.is_none() {
            special = self.unusual(start, part.end, selection)?;
        }
        if let Some(behind) = special {
            let behind = self.rest(behind, part.end, selection)?;
            return self.ended(behind, part.end, "the end of the part");
        }
        let column = self.phrase.column(part.start, part.end);
        if let Err(Stop::NotUnderstood(_)) = &column
            && let Some(behind) = self.partners(start, part.end, Number::Some, selection)?
        {
            return self.ended(behind, part.end, "the end of the part");
        }
        let (behind, place) = column?;
        let is_item = behind == part.end || ["as", "and", ","].iter().any(|word| self.is(behind, part.end, word));
        if !is_item || self.family(&place) == Family::Boolean && !self.is(behind, part.end, "as") {
            return self.conditions(part, selection);
        }
        let known = selection.items.len();
        let behind = self.items(part.start, part.end, selection)?;
        // A whole table has its own columns already: these alone may have been meant, or rows in which they are not empty.
        let is_own =
            |item: &Item| item.name.is_none() && matches!(&item.value, Value::Column(place) if place.route.is_empty());
        if self.data.loads && known == 0 && selection.groups.is_empty() && selection.items.iter().any(is_own) {
            let expected = "columns of another table: for these alone say 'id and name of customers', for rows that have a value 'where email is not empty'";
            return Err(Stop::at(start, expected));
        }
        self.ended(behind, part.end, "'and' and another column")
    }

    /// `highest price`, `most order items`
    fn highest(&self, at: usize, end: usize, rank: &mut Rank) -> Result<Option<usize>, Stop> {
        let most = self.is(at, end, "most");
        if most || self.is(at, end, "fewest") {
            let behind = self.table(at + 1, end).ok_or_else(|| Stop::at(at + 1, "the table whose rows are counted"))?;
            (rank.by, rank.ascending, rank.at) = (Some(Value::Rows), Some(!most), at);
            return Ok(Some(behind));
        }
        let high = self.is_any(at, end, &["highest", "largest", "biggest", "greatest", "latest", "newest", "longest"]);
        let low = self.is_any(at, end, &["lowest", "smallest", "earliest", "oldest", "shortest"]);
        if !high && !low {
            return Ok(None);
        }
        let (behind, place) = self.phrase.column(at + 1, end)?;
        (rank.by, rank.ascending, rank.at) = (Some(Value::Column(place)), Some(low), at);
        Ok(Some(behind))
    }

    /// Conditions whose column stands last: `an empty country`, `Pan in the name`.
    fn unusual(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let not = usize::from(self.is(at, end, "not"));
        if self.is(at + not, end, "empty") || self.is(at, end, "non-empty") {
            let (behind, place) = self.phrase.column(at + not + 1, end)?;
            let is_empty = not == 0 && self.is(at, end, "empty");
            let test = if is_empty { Test::Empty } else { Test::NotEmpty };
            selection.conditions.push(Condition { place, test, words: self.words(at..behind) });
            return Ok(Some(behind));
        }
        let Some(value) = self.said(at, end).filter(|_| self.is(at + 1, end, "in")) else { return Ok(None) };
        if !value.is_quoted && self.phrase.column(at, end).is_ok() {
            return Ok(None);
        }
        let Ok((behind, place)) = self.phrase.column(at + 2, end) else { return Ok(None) };
        if self.family(&place) != Family::Text || value.is_sign() {
            return Ok(None);
        }
        let test = Test::Like(condition::pattern(&value.text, true, true));
        selection.conditions.push(Condition { place, test, words: self.words(at..behind) });
        Ok(Some(behind))
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

    /// `over all units`
    pub(super) fn over(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        selection.mixes = true;
        let behind = part.start + 2 + usize::from(part.start + 2 < part.end);
        let behind = self.rest(behind, part.end, selection)?;
        self.ended(behind, part.end, "the end of the part")
    }

    /// `the 3 highest`
    pub(super) fn extreme(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let count = self.said(part.start + 1, part.end).and_then(count_of);
        let count = count.ok_or_else(|| Stop::at(part.start + 1, "a number of rows"))?;
        let ascending = match () {
            () if self.is_any(part.start + 2, part.end, &HIGHEST) => false,
            () if self.is_any(part.start + 2, part.end, &LOWEST) => true,
            () => return Err(Stop::at(part.start + 2, "'highest' or 'lowest'")),
        };
        let by = self.only_folded(part.start, selection)?;
        selection.top = Some(Top { count: Some(count), ascending, by });
        self.ended(part.start + 3, part.end, "the end of the part")
    }

    pub(super) fn only_folded(&self, at: usize, selection: &Selection) -> Result<Value, Stop> {
        let mut folded = selection.items.iter().filter(|item| item.value.is_folded());
        match (folded.next(), folded.next()) {
            (Some(only), None) => Ok(only.value.clone()),
            // `orders per status` counts them.
            (None, None) if !selection.groups.is_empty() && selection.whole_rows => Ok(Value::Rows),
            _ => Err(Stop::at(at, "one value that the rows are ordered by")),
        }
    }

    /// `sorted by total descending`, `sorted descending`
    pub(super) fn sorted(&self, part: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        if selection.top.is_some() {
            return Err(Stop::at(part.start, "one order of the rows"));
        }
        let mut at = part.start + 1;
        let mut by = None;
        if self.is(at, part.end, "by") {
            let (behind, value) = self.sorted_by(at + 1, part.end, selection)?;
            (at, by) = (behind, Some(value));
        }
        at += usize::from(self.is(at, part.end, ",") || self.is(at, part.end, "in"));
        let descending = self.is_any(at, part.end, &DESCENDING);
        let is_said = descending || self.is_any(at, part.end, &["ascending", "asc"]);
        at += usize::from(is_said);
        at += usize::from(is_said && self.is(at, part.end, "order"));
        let by = match by {
            Some(by) => by,
            None if is_said => self.only_folded(part.start, selection)?,
            None => return Err(Stop::at(at, "'by' and what the rows are sorted by")),
        };
        selection.top = Some(Top { count: None, ascending: !descending, by });
        let at = self.rest(at, part.end, selection)?;
        self.ended(at, part.end, "'descending', or the end of the part")
    }

    fn sorted_by(&self, at: usize, end: usize, selection: &Selection) -> Result<(usize, Value), Stop> {
        let start = self.phrase.skip_articles(at, end);
        let items = selection.groups.iter().chain(&selection.items);
        let named = self.said(start, end).and_then(|token| {
            let is_name = |item: &&Item| item.name.as_ref().is_some_and(|name| token.is(name));
            let is_unit = |item: &&Item| matches!(item.value, Value::Cut(unit, _) if period::unit(token) == Some(unit));
            items.clone().find(|item| is_name(item) || is_unit(item))
        });
        if let Some(item) = named {
            return Ok((start + 1, item.value.clone()));
        }
        let counts = self.is_any(start, end, &["count", "number"]);
        if counts && (start + 1 == end || !self.is(start + 1, end, "of")) {
            return Ok((start + 1, self.only_folded(start, selection)?));
        }
        let (behind, item) = self.item(start, end)?;
        let is_output = items.clone().any(|other| other.value == item.value);
        let is_counted = item.value == Value::Rows && selection.whole_rows;
        let folds = selection.items.iter().any(|item| item.value.is_folded()) || !selection.groups.is_empty();
        if folds && !is_output && !is_counted {
            return Err(Stop::at(start, "one of the values, or a column that they are grouped by"));
        }
        Ok((behind, item.value))
    }
}
