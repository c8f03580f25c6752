//! `only paid ones`: rows by a word for what they are.

use super::condition::Family;
use super::lexer::as_name;
use super::loads::Reader;
use super::selection::{Condition, Place, Selection, Test};
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::{ColumnId, TableId};
use crate::words::{fold, tokens};

/// Last words of names of columns that say what a row is, folded.
const STATES: [&str; 4] = ["status", "state", "zustand", "stage"];

/// Words that speak of time or size, of which no value is known.
const NO_VALUES: [&str; 15] = [
    "new", "newest", "changed", "updated", "modified", "recent", "latest", "last", "first", "old", "oldest", "big",
    "large", "small", "other",
];

/// Beginnings of words that deny another one.
const DENIALS: [&str; 2] = ["un", "non"];

/// Whether a word can be the value of a column without being quoted.
fn is_value(folded: &str) -> bool {
    !NO_VALUES.contains(&folded) && !DENIALS.iter().any(|denial| folded.starts_with(denial))
}

/// One reading of the word.
struct Meaning {
    column: ColumnId,
    test: Test,
    /// As a condition of the grammar.
    said: String,
}

impl Reader<'_> {
    /// Takes a word for rows behind `only`; answers with the place behind it.
    pub(super) fn ones(&self, at: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let Some(word) = self.said.get(at).filter(|token| !token.is("where") && !token.is_sign()) else {
            return Ok(None);
        };
        let is_ones = ["ones", "rows"].iter().any(|ones| self.is(at + 1, ones));
        let named =
            || self.names.table(self.said.get(at + 1..)?).filter(|table| table.meanings.contains(&selection.base));
        let behind = match is_ones {
            true => at + 2,
            false => match named() {
                Some(table) => at + 1 + table.length,
                None => return Ok(None),
            },
        };
        let mut meanings = self.meanings(&word.text, selection.base);
        let words = self.span(at..behind);
        match meanings.len() {
            0 => Err(Stop::at(at, "'only where' and a condition")),
            1 => {
                let Meaning { column, test, .. } = meanings.remove(0);
                if matches!(&test, Test::Compare(_, value) if value.starts_with('\'')) {
                    let name = self.names.known.column(column).map_or("", |column| column.name.as_str());
                    selection.notes.push(format!("'{}' is taken for a value of {name}", word.text));
                }
                let condition = Condition { place: Place { route: Vec::new(), column }, test, words };
                self.add(vec![condition], selection);
                Ok(Some(behind))
            }
            _ => {
                let span = self.span(at - 1..behind);
                let choice = |meaning: Meaning| {
                    let (before, after) = (&self.sentence[..span.start], &self.sentence[span.end..]);
                    let said = meaning.said;
                    Choice { sentence: format!("{before}only where {said}{after}"), text: said }
                };
                let text = format!("What is '{}'?", &self.sentence[words]);
                Err(Stop::Ask(Question { text, choices: meanings.into_iter().map(choice).collect() }))
            }
        }
    }

    /// What the word can mean: a column that is true, a value of the column that says what a row is, or a time that is there.
    fn meanings(&self, word: &str, base: TableId) -> Vec<Meaning> {
        let folded = fold(word);
        let columns = self.names.known.columns(base).filter_map(|(column, info)| {
            let name = tokens(&info.name);
            let (first, last) = (name.first()?, name.last()?);
            let written = as_name(&info.name);
            let (test, said) = match Family::of(&info.arrow_type) {
                Family::Boolean if *last == folded && name.len() <= 2 => {
                    (Test::Compare("=", "true".to_owned()), format!("{written} is true"))
                }
                Family::Text if STATES.contains(&last.as_str()) && is_value(&folded) => {
                    let literal = format!("'{}'", word.replace('\'', "''"));
                    (Test::Compare("=", literal), format!("{written} is {}", as_name(word)))
                }
                Family::Time if *first == folded && name.len() > 1 && info.nullable => {
                    (Test::NotEmpty, format!("{written} is not empty"))
                }
                _ => return None,
            };
            Some(Meaning { column, test, said })
        });
        columns.collect()
    }
}
