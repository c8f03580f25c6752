//! Columns in a list: in `id and name of brands`, `id` could be of the rows that are read or of the brands.

use std::ops::Range;

use super::lexer::as_name;
use super::phrase::Phrase;
use super::selection::Place;
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::{KnownTable, TableId};

/// The columns of a list so far that say of no table.
#[derive(Debug, Default)]
pub(super) struct List {
    bare: Vec<(Range<usize>, Place)>,
}

impl List {
    /// Adds a column by its words. Asks if it says of which table it is and one before it, which does not, could be of that table too.
    pub(super) fn add(&mut self, phrase: &Phrase<'_>, words: Range<usize>, place: &Place) -> Result<(), Stop> {
        let says_of = phrase.said[words.clone()].iter().any(|token| token.is("of"));
        match place.route.last() {
            None if !says_of => self.bare.push((words, place.clone())),
            Some(hop) if says_of => {
                let twice = self.bare.iter().find(|(bare, of)| is_in_both(phrase, bare, of, place, hop.table));
                if let Some((bare, _)) = twice {
                    return Err(Stop::Ask(question(phrase, bare, hop.table)));
                }
                self.bare.clear();
            }
            _ => self.bare.clear(),
        }
        Ok(())
    }
}

/// Whether the other table has a column of this name too, and not merely the one that the key refers to, which holds the same.
fn is_in_both(phrase: &Phrase<'_>, bare: &Range<usize>, of: &Place, place: &Place, table: TableId) -> bool {
    let Some(found) = phrase.names.column(&phrase.said[bare.clone()], table) else { return false };
    let is_same = |other| {
        let pairs = place.route.iter().flat_map(|hop| hop.from.iter().zip(&hop.to));
        pairs.clone().any(|(from, to)| *from == of.column && *to == other)
    };
    found.length == bare.len() && !found.meanings.iter().all(|other| is_same(*other))
}

fn question(phrase: &Phrase<'_>, bare: &Range<usize>, other: TableId) -> Question {
    let (start, end) = (phrase.said[bare.start].span.start, phrase.said[bare.end - 1].span.end);
    let words = &phrase.sentence[start..end];
    let choices = [phrase.base, other].map(|table| {
        let name = phrase.names.known.table(table).map_or("", KnownTable::name);
        let said = format!("{words} of {}", as_name(name));
        Choice {
            text: format!("{words} of {name}"),
            sentence: format!("{}{said}{}", &phrase.sentence[..start], &phrase.sentence[end..]),
        }
    });
    Question { text: format!("Two tables have a column '{words}'. Which one is meant?"), choices: choices.to_vec() }
}
