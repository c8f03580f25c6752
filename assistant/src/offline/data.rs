//! What is to be read, in words: `order no and total of orders with the customer's country as country where status is paid`.

use std::ops::Range;

use headwater_pipelines::diagnostic::nearest;

use super::condition::Family;
use super::lexer::Token;
use super::list::List;
use super::names::Names;
use super::parts::{self, Clause};
use super::phrase::Phrase;
use super::routes::{hops, routes};
use super::selection::{Fold, Item, Place, Selection, Top, Value};
use super::stop::{Misread, Stop};
use super::units;
use crate::draft::{Choice, Question};
use crate::known::{KnownTable, TableId};

/// Reads data phrases of a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) sentence: &'a str,
    pub(super) said: &'a [Token],
    pub(super) names: &'a Names<'a>,
    /// The table that is loaded into, if there is one.
    pub(super) target: Option<TableId>,
}

/// Words that say nothing about which rows are meant.
const FILLERS: [&str; 20] = [
    "list", "show", "give", "me", "what", "which", "is", "are", "the", "all", "every", "find", "please", "get",
    "display", "columns", "column", "fields", "only", "just",
];

impl<'a> Data<'a> {
    /// Reads a phrase that takes all of these tokens.
    pub(super) fn read(&self, range: Range<usize>) -> Result<Selection, Stop> {
        let clauses = parts::split(self.said, range.clone());
        let head = range.start..clauses.first().map_or(range.end, |(_, part)| part.start);
        let mut stop: Option<Stop> = None;
        for (words, tables) in self.mentions(head.clone()) {
            let mut read = Vec::new();
            for base in tables {
                match self.with_base(base, head.clone(), &clauses) {
                    Ok(selection) => read.push((base, selection)),
                    Err(other) => stop = Some(stop.map_or(other.clone(), |stop| stop.further(other))),
                }
            }
            if read.len() > 1 {
                let tables: Vec<TableId> = read.iter().map(|(table, _)| *table).collect();
                return Err(Stop::Ask(self.which(words, &tables)));
            }
            if let Some((base, selection)) = read.pop() {
                return match Some(base) == self.target {
                    true => Err(Stop::at(words.start, "a table other than the one that is loaded into")),
                    false => Ok(selection),
                };
            }
        }
        Err(stop.unwrap_or_else(|| self.no_table(head.start)))
    }

    /// The tables that the head names with the tokens that name them, the last one first: it stands behind `of`. The table that is loaded into is read from only
    /// if nothing else has its name.
    fn mentions(&self, head: Range<usize>) -> Vec<(Range<usize>, Vec<TableId>)> {
        let mut mentions = Vec::new();
        let mut at = head.start;
        while at < head.end {
            let Some(found) = self.names.table(&self.said[at..head.end]) else {
                at += 1;
                continue;
            };
            let mut meanings = found.meanings;
            if meanings.len() > 1 {
                meanings.retain(|table| Some(*table) != self.target);
            }
            mentions.push((at..at + found.length, meanings));
            at += found.length;
        }
        mentions.reverse();
        mentions
    }

    /// Which of several tables is meant: each is named in full in the sentence that says so.
    fn which(&self, words: Range<usize>, tables: &[TableId]) -> Question {
        let (start, end) = (self.said[words.start].span.start, self.said[words.end - 1].span.end);
        let quote = &self.sentence[start..end];
        let choice = |table: &TableId| {
            let name = self.names.known.table(*table).map(KnownTable::full_name).unwrap_or_default();
            let sentence = format!("{}{name}{}", &self.sentence[..start], &self.sentence[end..]);
            Choice { text: name, sentence }
        };
        let choices = tables.iter().map(choice).collect();
        Question { text: format!("Several tables are called '{quote}'. Which one is meant?"), choices }
    }

    fn with_base(
        &self,
        base: TableId,
        head: Range<usize>,
        clauses: &[(Clause, Range<usize>)],
    ) -> Result<Selection, Stop> {
        let mut selection = Selection::of(base);
        let reader = Reader { data: self, phrase: self.phrase(base), base };
        reader.head(head, &mut selection)?;
        for (clause, part) in clauses {
            let part = part.start..self.without_comma(part.clone());
            match clause {
                Clause::Where => reader.conditions(self.behind(&part, &["only", "where", "whose"]), &mut selection)?,
                Clause::Per => reader
                    .groups(self.behind(&part, &["per", "for", "each", "every", "grouped", "by"]), &mut selection)?,
                Clause::With => reader.with(part.start + 1..part.end, &mut selection)?,
                Clause::Without => {
                    reader.without(self.behind(&part, &["with", "have", "no", "without", "any"]), &mut selection)?
                }
                Clause::Also => reader.also(part.start + 1..part.end, &mut selection)?,
                Clause::Only => reader.only(part.start + 1..part.end, &mut selection)?,
                Clause::Over => selection.mixes = true,
                Clause::Joined => reader.joined(part, &mut selection)?,
                Clause::Extreme => reader.extreme(part, &mut selection)?,
            }
        }
        reader.settle(&mut selection)?;
        units::must_not_mix(&reader.phrase, &selection)?;
        Ok(selection)
    }

    fn phrase(&self, base: TableId) -> Phrase<'a> {
        Phrase { sentence: self.sentence, said: self.said, names: self.names, base }
    }

    /// A part without the words that begin it.
    fn behind(&self, part: &Range<usize>, words: &[&str]) -> Range<usize> {
        let is_opening = |at: &usize| words.iter().any(|word| self.said[*at].is(word));
        let start = part.clone().find(|at| !is_opening(at)).unwrap_or(part.end);
        start..part.end
    }

    /// The end of a part before the commas, question marks and `and` that lead to the next one.
    fn without_comma(&self, part: Range<usize>) -> usize {
        let joins = |token: &Token| [",", "and", "?", "!"].iter().any(|word| token.is(word));
        (part.start..part.end).rev().find(|at| !joins(&self.said[*at])).map_or(part.start, |at| at + 1)
    }

    pub(super) fn no_table(&self, at: usize) -> Stop {
        let candidates = self.names.table_names();
        let short = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
        let names: Vec<String> = candidates.iter().map(short).collect();
        // The word that is nearly a table's name tells more than the first one.
        let is_near = |at: &usize| nearest(&self.said[*at].text, names.iter().map(String::as_str)).is_some();
        let at = (at..self.said.len()).find(is_near).unwrap_or(at);
        Stop::NotUnderstood(Misread { at, expected: "a table of the connections".to_owned(), candidates })
    }
}

/// Reads the parts of a phrase once its table is known. What stands behind the head is in clauses.rs.
pub(super) struct Reader<'a> {
    pub(super) data: &'a Data<'a>,
    pub(super) phrase: Phrase<'a>,
    pub(super) base: TableId,
}

impl Reader<'_> {
    pub(super) fn said(&self, at: usize, end: usize) -> Option<&Token> {
        self.data.said.get(at).filter(|_| at < end)
    }

    pub(super) fn is(&self, at: usize, end: usize, word: &str) -> bool {
        self.said(at, end).is_some_and(|token| token.is(word))
    }

    /// Items, folded values, or the table alone.
    fn head(&self, head: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let end = self.data.without_comma(head.clone());
        let mut at = head.start;
        while self
            .said(at, end)
            .is_some_and(|token| FILLERS.iter().any(|word| token.is(word)) && self.table(at, end).is_none())
        {
            at += 1;
        }
        if self.is(at, end, "how") && self.is(at + 1, end, "many") {
            return self.how_many(at + 2, end, selection);
        }
        if self.is(at, end, "top") {
            return self.top(at + 1, end, selection);
        }
        if self.is(at, end, "distinct") || self.is(at, end, "different") {
            let mut values = Selection::of(self.base);
            let behind = self.items(at + 1, end, &mut values)?;
            selection.groups = values.items;
            return self.ended(behind, end, "'and' or 'of' a table");
        }
        if let Some(behind) = self.table(at, end)
            && behind == end
        {
            selection.whole_rows = true;
            return Ok(());
        }
        let behind = self.items(at, end, selection)?;
        if behind < end {
            return Err(Stop::at(behind, "'and', 'of' a table, or a word that begins the next part"));
        }
        Ok(())
    }

    /// The place behind the table, if it is named here.
    fn table(&self, at: usize, end: usize) -> Option<usize> {
        let start = self.phrase.skip_articles(at, end);
        let mut start = start;
        for words in [["all"].as_slice(), &["rows", "of"], &["the"], &["table"]] {
            let are = words.iter().enumerate().all(|(ahead, word)| self.is(start + ahead, end, word));
            start += if are { words.len() } else { 0 };
        }
        let found = self.data.names.table(self.data.said.get(start..end)?)?;
        if !found.meanings.contains(&self.base) {
            return None;
        }
        let mut behind = start + found.length;
        behind += usize::from(self.is(behind, end, "table"));
        // `orders from shop`
        let connection = self.data.names.known.table(self.base).map(|table| table.connection.as_str())?;
        if (self.is(behind, end, "from") || self.is(behind, end, "in")) && self.is(behind + 1, end, connection) {
            behind += 2;
        }
        Some(behind)
    }

    /// `of orders`
    pub(super) fn of_table(&self, at: usize, end: usize) -> Option<usize> {
        let of = ["of", "in", "from"].iter().any(|word| self.is(at, end, word));
        of.then(|| self.table(at + 1, end)).flatten()
    }

    pub(super) fn items(&self, mut at: usize, end: usize, selection: &mut Selection) -> Result<usize, Stop> {
        let mut list = List::default();
        loop {
            let (behind, item) = self.item(at, end)?;
            if let Value::Column(place) = &item.value {
                let start = self.phrase.skip_articles(at, end);
                let named = (start..behind).find(|place| self.is(*place, behind, "as")).unwrap_or(behind);
                list.add(&self.phrase, start..named, place)?;
            }
            selection.items.push(item);
            at = behind;
            let comma = self.is(at, end, ",");
            let and = self.is(at + usize::from(comma), end, "and");
            if !comma && !and {
                return Ok(at);
            }
            at += usize::from(comma) + usize::from(and);
        }
    }

    fn item(&self, at: usize, end: usize) -> Result<(usize, Item), Stop> {
        let at = self.phrase.skip_articles(at, end);
        let (mut behind, value) = match self.folded(at, end)? {
            Some(read) => read,
            None => {
                let (behind, place) = self.phrase.column(at, end)?;
                (behind, Value::Column(place))
            }
        };
        // `sum of kwh of lake.strom as kwh` and `sum of kwh as kwh of lake.strom`.
        behind = self.of_table(behind, end).unwrap_or(behind);
        let (mut behind, name) = self.name(behind, end)?;
        behind = self.of_table(behind, end).unwrap_or(behind);
        Ok((behind, Item { value, name }))
    }

    /// `as name`
    pub(super) fn name(&self, at: usize, end: usize) -> Result<(usize, Option<String>), Stop> {
        if !self.is(at, end, "as") {
            return Ok((at, None));
        }
        let token = self.said(at + 1, end).ok_or_else(|| Stop::at(at + 1, "a name for the column"))?;
        let fits = token.is_quoted || (!token.is_sign() && !token.text.contains(['.', '/', ':']));
        if !fits {
            return Err(Stop::at(at + 1, "a name for the column"));
        }
        Ok((at + 2, Some(token.text.clone())))
    }

    fn folded(&self, at: usize, end: usize) -> Result<Option<(usize, Value)>, Stop> {
        if self.is(at, end, "count") || (self.is(at, end, "number") && self.is(at + 1, end, "of")) {
            return self.count(at + 1 + usize::from(self.is(at, end, "number")), end).map(Some);
        }
        let folds = [
            (Fold::Sum, ["sum", "total"].as_slice()),
            (Fold::Average, &["average", "mean", "avg"]),
            (Fold::Smallest, &["minimum", "smallest", "lowest", "min", "earliest"]),
            (Fold::Largest, &["maximum", "largest", "highest", "max", "latest"]),
        ];
        let Some((fold, _)) = folds.into_iter().find(|(_, words)| words.iter().any(|word| self.is(at, end, word)))
        else {
            return Ok(None);
        };
        // `total` may be a column.
        let own = self.data.names.column(&self.data.said[at..end], self.base);
        // `total amount` is the column of that name, if there is one.
        if own.as_ref().is_some_and(|own| {
            own.length > 1 || !self.data.said[at].text.eq_ignore_ascii_case(&self.data.said[at].words.concat())
        }) {
            return Ok(None);
        }
        let own = own.is_some();
        let behind = at + 1 + usize::from(self.is(at + 1, end, "of"));
        match self.phrase.column(behind, end) {
            Ok((_, place))
                if matches!(fold, Fold::Sum | Fold::Average) && self.family(&place) != Family::Number && !own =>
            {
                Err(Stop::at(behind, "a column with numbers"))
            }
            Ok((behind, place)) => Ok(Some((behind, Value::Folded(fold, place)))),
            Err(_) if own => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// Behind `count`: rows of the table, or different values of a column.
    fn count(&self, at: usize, end: usize) -> Result<(usize, Value), Stop> {
        let at = at + usize::from(self.is(at, end, "of"));
        if self.is(at, end, "distinct") || self.is(at, end, "different") {
            let (behind, place) = self.phrase.column(at + 1, end)?;
            return Ok((behind, Value::Distinct(place)));
        }
        match self.table(at, end) {
            Some(behind) => Ok((behind, Value::Rows)),
            // `count and sum of amount of payments`
            None if self.is(at, end, "and") || self.is(at, end, ",") || at == end => Ok((at, Value::Rows)),
            None => Err(Stop::at(at, "the table whose rows are counted, or 'distinct' and a column")),
        }
    }

    /// `how many orders`, `how many different customers have orders`
    fn how_many(&self, at: usize, end: usize, selection: &mut Selection) -> Result<(), Stop> {
        let is_distinct = self.is(at, end, "different") || self.is(at, end, "distinct");
        let start = at + usize::from(is_distinct);
        let there = |at: usize| at + if self.is(at, end, "are") && self.is(at + 1, end, "there") { 2 } else { 0 };
        let value = if self.table(start, end).map(there) == Some(end) && !is_distinct {
            Value::Rows
        } else {
            let who = self.data.names.table(&self.data.said[start..end]).ok_or_else(|| self.data.no_table(start))?;
            let have = start + who.length;
            if !self.is(have, end, "have") || self.table(have + 1, end) != Some(end) {
                return Err(Stop::at(have, "'have' and the table that refers to them"));
            }
            let known = self.data.names.known;
            let ways = who.meanings.iter().flat_map(|table| routes(known, self.base, *table)).collect::<Vec<_>>();
            match ways.as_slice() {
                [way] if way.len() == 1 && way[0].from.len() == 1 => {
                    Value::Distinct(Place { route: Vec::new(), column: way[0].from[0] })
                }
                _ => return Err(Stop::at(start, "a table that the other one refers to by one key")),
            }
        };
        selection.items.push(Item { value, name: None });
        Ok(())
    }

    /// `3 category names by sum of quantity of order items`
    fn top(&self, at: usize, end: usize, selection: &mut Selection) -> Result<(), Stop> {
        let count = self.said(at, end).and_then(|token| token.text.parse().ok());
        let count = count.filter(|count| *count > 0).ok_or_else(|| Stop::at(at, "a number of rows"))?;
        let by = (at..end).find(|place| self.is(*place, end, "by")).ok_or_else(|| Stop::at(end, "'by' and a value"))?;
        let mut group = Selection::of(self.base);
        let behind = match self.table(at + 1, by) {
            Some(behind) if behind == by => by,
            _ => self.items(at + 1, by, &mut group)?,
        };
        if behind < by {
            return Err(Stop::at(behind, "'by' and a value"));
        }
        let (behind, value) = self.item(by + 1, end)?;
        if behind < end {
            return Err(Stop::at(behind, "the end of the value, or a word that begins the next part"));
        }
        let is_folded = value.value.is_folded();
        if is_folded && group.items.is_empty() {
            return Err(Stop::at(at + 1, "the columns that the value is of, such as the name"));
        }
        selection.top = Some(Top { count, ascending: false, by: value.value.clone() });
        match is_folded {
            true => {
                selection.groups = group.items;
                selection.items = vec![value];
            }
            false => selection.items = group.items,
        }
        Ok(())
    }

    /// Columns beside folded values would need a group of their own: a sentence that leaves it out is not guessed at.
    fn settle(&self, selection: &mut Selection) -> Result<(), Stop> {
        let folds = selection.items.iter().any(|item| item.value.is_folded());
        let plain = selection.items.iter().any(|item| !item.value.is_folded());
        let repeated = selection.items.iter().any(
            |item| matches!(&item.value, Value::Folded(Fold::Sum | Fold::Average, place) if !place.route.is_empty()),
        );
        if repeated {
            return Err(Stop::at(
                0,
                "values of the rows that are read: those of another table would count once for each row",
            ));
        }
        if !self.can_stay(selection) {
            return Err(Stop::at(0, "'also' without conditions on other tables and without distinct values"));
        }
        if folds && plain {
            return Err(Stop::at(0, "folded values alone; the columns that they are folded by stand behind 'per'"));
        }
        if !folds && !selection.groups.is_empty() && !selection.items.is_empty() {
            return Err(Stop::at(0, "a value for each group, such as 'count' or 'sum of' a column"));
        }
        Ok(())
    }

    /// Whether rows that have no partner can stay as a sentence says: a condition on the partner, or a value that counts partners of partners, leaves it open.
    fn can_stay(&self, selection: &Selection) -> bool {
        let on_kept = selection
            .conditions
            .iter()
            .any(|condition| condition.place.route.iter().any(|hop| selection.keeps.contains(&hop.table)));
        let counts =
            selection.items.iter().all(|item| item.value.is_folded() && !matches!(item.value, Value::Distinct(_)));
        let direct = |table: &TableId| {
            hops(self.data.names.known, self.base).iter().filter(|hop| hop.table == *table).count() == 1
        };
        let on_base = selection.conditions.iter().all(|condition| condition.place.route.is_empty());
        let whole = match selection.whole.as_slice() {
            [] => true,
            [only] => counts && !selection.items.is_empty() && direct(only) && on_base,
            _ => false,
        };
        !on_kept && whole
    }

    pub(super) fn family(&self, place: &Place) -> Family {
        let column = self.data.names.known.column(place.column);
        column.map_or(Family::Other, |column| Family::of(&column.arrow_type))
    }

    pub(super) fn words(&self, tokens: Range<usize>) -> Range<usize> {
        self.data.said[tokens.start].span.start..self.data.said[tokens.end - 1].span.end
    }

    pub(super) fn ended(&self, at: usize, end: usize, expected: &str) -> Result<(), Stop> {
        if at < end { Err(Stop::at(at, expected)) } else { Ok(()) }
    }
}
