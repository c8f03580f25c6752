//! What is to be read, in words: `order no and total of orders with the customer's country as country where status is paid`.
//! Here it is found which table the rows are of. How the phrase begins is in heads.rs, what stands behind that in clauses.rs and modifiers.rs.

use std::ops::Range;

use headwater_pipelines::diagnostic::nearest;

use super::condition::Family;
use super::drafting;
use super::lexer::Token;
use super::names::Names;
use super::parts::{self, Clause};
use super::phrase::Phrase;
use super::ranks::Rank;
use super::selection::{Condition, Place, Selection};
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
    /// Whether rows are loaded, and not looked at.
    pub(super) loads: bool,
}

/// Tables that some words of a phrase can mean.
type Mention = (Range<usize>, Vec<TableId>);

impl<'a> Data<'a> {
    /// Reads a phrase that takes all of these tokens.
    pub(super) fn read(&self, range: Range<usize>) -> Result<Selection, Stop> {
        let Some(with) = self.within(range.clone()) else { return self.read_parts(range, None) };
        // `how many customers with orders …` counts the customers of orders if the rest is about orders, and customers if it is about them.
        match (self.read_parts(range.clone(), Some(with)), self.read_parts(range, None)) {
            (Ok(orders), Ok(customers)) => {
                let is_bare = customers.groups.is_empty() && customers.conditions.is_empty();
                let of_customers = |place: &Place| place.column.table == customers.base;
                let groups = orders.groups.iter().filter_map(|group| group.value.place());
                let conditions = orders.conditions.iter().map(|condition| &condition.place);
                match is_bare || groups.chain(conditions).all(of_customers) {
                    true => Ok(orders),
                    false => Err(Stop::at(with, "columns that one of the two tables alone has")),
                }
            }
            (Ok(orders), Err(_)) => Ok(orders),
            (Err(_), read) => read,
        }
    }

    fn read_parts(&self, range: Range<usize>, within: Option<usize>) -> Result<Selection, Stop> {
        let clauses = parts::split(self.said, range.clone(), within);
        let head = range.start..clauses.first().map_or(range.end, |(_, part)| part.start);
        let mut stop: Option<Stop> = None;
        for (words, tables) in self.mentions(&head, &clauses) {
            let mut read = Vec::new();
            for base in tables {
                match self.with_base(base, &words, head.clone(), &clauses) {
                    Ok(selection) => read.push((base, selection)),
                    Err(other) => stop = Some(stop.map_or(other.clone(), |stop| stop.further(other))),
                }
            }
            if read.len() > 1 {
                let tables: Vec<TableId> = read.iter().map(|(table, _)| *table).collect();
                return Err(Stop::Ask(self.which(words, &tables)));
            }
            if let Some((_, selection)) = read.pop() {
                let reads = |target| drafting::tables(&selection).contains(&target);
                return match self.target.is_some_and(reads) {
                    true => Err(Stop::at(words.start, "a table other than the one that is loaded into")),
                    false => Ok(selection),
                };
            }
        }
        Err(stop.unwrap_or_else(|| self.no_table(head.start)))
    }

    /// The `with` between two tables behind `how many`.
    fn within(&self, range: Range<usize>) -> Option<usize> {
        let with = range.clone().find(|at| self.said[*at].is("with"))?;
        let counts =
            range.clone().take(4).any(|at| ["many", "number", "count"].iter().any(|word| self.said[at].is(word)));
        let start = (with + 1..range.end).find(|at| {
            !["a", "an", "any", "placed", "at", "least", "one"].iter().any(|word| self.said[*at].is(word))
        })?;
        (counts && self.names.table(&self.said[start..range.end]).is_some()).then_some(with)
    }

    /// The tables that the head names with the tokens that name them, the last one first: it stands behind `of`; then those of which the most or fewest
    /// are asked for. The table that is loaded into is read from only if nothing else has its name.
    fn mentions(&self, head: &Range<usize>, clauses: &[(Clause, Range<usize>)]) -> Vec<Mention> {
        let mut mentions = self.named(head.clone());
        mentions.reverse();
        for (_, part) in clauses.iter().filter(|(clause, _)| *clause == Clause::With) {
            if part.clone().any(|at| self.said[at].is("most") || self.said[at].is("fewest")) {
                mentions.extend(self.named(part.clone()));
            }
        }
        // `sum of total per status in orders`
        if mentions.is_empty() {
            let groups = clauses.iter().filter(|(clause, _)| *clause == Clause::Per);
            mentions.extend(groups.flat_map(|(_, part)| self.named(part.clone())));
        }
        mentions
    }

    fn named(&self, words: Range<usize>) -> Vec<Mention> {
        let mut mentions = Vec::new();
        let mut at = words.start;
        while at < words.end {
            let table = self.names.table(&self.said[at..words.end]).map(|found| (found.length, found.meanings));
            let verb = || Some((1, self.names.verb(self.said.get(at)?)));
            let Some((length, mut meanings)) = table.or_else(verb).filter(|(_, meanings)| !meanings.is_empty()) else {
                at += 1;
                continue;
            };
            if meanings.len() > 1 {
                meanings.retain(|table| Some(*table) != self.target);
            }
            mentions.push((at..at + length, meanings));
            at += length;
        }
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
        words: &Range<usize>,
        head: Range<usize>,
        clauses: &[(Clause, Range<usize>)],
    ) -> Result<Selection, Stop> {
        let before = self.before(base, words, head.start);
        let mut selection = Selection::of(base);
        selection.conditions.extend(before.conditions.into_iter().rev());
        let mut rank = before.rank;
        let phrase =
            Phrase { sentence: self.sentence, said: self.said, names: self.names, base, skipped: &before.places };
        let reader = Reader { data: self, phrase, base };
        reader.head(head, &mut selection, &mut rank)?;
        for (clause, part) in clauses {
            reader.clause(*clause, part.start..self.without_comma(part.clone()), &mut selection, &mut rank)?;
        }
        self.ranked(&rank, base, &mut selection)?;
        reader.settle(&mut selection)?;
        units::must_not_mix(&reader.phrase, &selection)?;
        Ok(selection)
    }

    /// Reads conditions on rows of a table.
    pub(super) fn conditions(&self, range: Range<usize>, base: TableId) -> Result<Vec<Condition>, Stop> {
        let phrase = Phrase { sentence: self.sentence, said: self.said, names: self.names, base, skipped: &[] };
        let mut selection = Selection::of(base);
        Reader { data: self, phrase, base }.conditions(range, &mut selection)?;
        match selection.partners.is_empty() && selection.top.is_none() {
            true => Ok(selection.conditions),
            false => Err(Stop::at(0, "conditions on columns")),
        }
    }

    /// Reads further columns of rows that were read already: `with the customer's name and country`.
    pub(super) fn further(&self, range: Range<usize>, selection: &mut Selection) -> Result<(), Stop> {
        let base = selection.base;
        let phrase = Phrase { sentence: self.sentence, said: self.said, names: self.names, base, skipped: &[] };
        let reader = Reader { data: self, phrase, base };
        let (start, mut rank) = (range.start, Rank::default());
        reader.with(range, selection, &mut rank)?;
        if rank.by.is_some() {
            return Err(Stop::at(start, "columns, and none that the rows are ordered by"));
        }
        reader.settle(selection)
    }

    /// A part without the words that begin it.
    pub(super) fn behind(&self, part: &Range<usize>, words: &[&str]) -> Range<usize> {
        let is_opening = |at: &usize| words.iter().any(|word| self.said[*at].is(word));
        let start = part.clone().find(|at| !is_opening(at)).unwrap_or(part.end);
        start..part.end
    }

    /// The end of a part before the commas, question marks and `and` that lead to the next one.
    pub(super) fn without_comma(&self, part: Range<usize>) -> usize {
        let joins = |token: &Token| [",", "and", "?", "!", "please"].iter().any(|word| token.is(word));
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

/// Reads the parts of a phrase once its table is known.
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

    pub(super) fn is_any(&self, at: usize, end: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, end, word))
    }

    /// The place behind the table, if it is named here.
    pub(super) fn table(&self, at: usize, end: usize) -> Option<usize> {
        let mut start = self.phrase.skip_articles(at, end);
        for words in [["rows", "of"].as_slice(), &["the"], &["table"]] {
            let are = words.iter().enumerate().all(|(ahead, word)| self.is(start + ahead, end, word));
            start += if are { words.len() } else { 0 };
        }
        start = self.phrase.skip_articles(start, end);
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
        let of = ["of", "in", "from", "for", "over"].iter().any(|word| self.is(at, end, word));
        of.then(|| self.table(at + 1, end)).flatten()
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

    fn clause(
        &self,
        clause: Clause,
        part: Range<usize>,
        selection: &mut Selection,
        rank: &mut Rank,
    ) -> Result<(), Stop> {
        let inner = part.start + 1..part.end;
        match clause {
            Clause::Where => self.conditions(self.data.behind(&part, &["only", "where", "whose"]), selection),
            Clause::Per => self.groups(self.data.behind(&part, &["per", "by"]), selection),
            Clause::With => self.with(inner, selection, rank),
            Clause::Without => self.without(self.data.behind(&part, &["with", "no", "without", "any"]), selection),
            Clause::Also => self.also(inner, selection),
            Clause::Only => self.only(inner, selection),
            Clause::Over => self.over(part, selection),
            Clause::Joined => self.joined(part, selection),
            Clause::Extreme => self.extreme(part, selection),
            Clause::Sorted => self.sorted(part, selection),
        }
    }
}
