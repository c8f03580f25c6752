//! Words that ask for new rows alone. They stand in the middle of other parts (`order no of new and changed orders`), so that they are taken out of a sentence before it is read.

use std::ops::Range;

use super::lexer::Token;
use super::names::Names;
use crate::typed::Fresh;

/// New rows that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// The token that stands where the words stood.
    pub(super) at: usize,
    pub(super) fresh: Fresh,
    /// Each row is wanted once, however it changes.
    pub(super) once: bool,
    /// The words, in bytes of the sentence.
    pub(super) words: Range<usize>,
}

/// Words that say it wherever they stand.
const ANYWHERE: [(&[&str], Fresh); 8] = [
    (&["since", "the", "last", "run"], Fresh::New),
    (&["since", "the", "last", "load"], Fresh::New),
    (&["since", "the", "last", "time"], Fresh::New),
    (&["since", "last", "run"], Fresh::New),
    (&["since", "last", "time"], Fresh::New),
    (&["in", "incremental", "mode"], Fresh::Changed),
    (&["incrementally"], Fresh::Changed),
    (&["incremental"], Fresh::Changed),
];

/// Other words for changed ones.
const CHANGED: [&str; 3] = ["changed", "updated", "modified"];

/// Words before which a condition's value stands, and no row.
const BEFORE_VALUES: [&str; 11] = ["is", "are", "was", "were", "=", "<>", "!=", "not", "one", "or", "between"];

/// Verbs that add what is new.
const ADDING: [&str; 4] = ["append", "add", "appending", "adding"];

/// Takes them out: the other tokens, and what was asked for.
pub(super) fn take(said: Vec<Token>, names: &Names<'_>) -> (Vec<Token>, Vec<Wish>) {
    let ago = |at: usize| said.get(at).is_some_and(|token| token.is("last"));
    let speaks_of_new = said
        .iter()
        .enumerate()
        .any(|(at, token)| token.is("once") || (token.is("since") && (ago(at + 1) || ago(at + 2))));
    let mut kept: Vec<Token> = Vec::new();
    let mut wishes = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let reading = Reading { said: &said, names, at, speaks_of_new };
        match reading.anywhere().or_else(|| reading.of_a_table(kept.last())) {
            Some((length, fresh, once)) => {
                let words = said[at].span.start..said[at + length - 1].span.end;
                wishes.push(Wish { at: kept.len(), fresh, once, words });
                at += length;
            }
            // The other half of `every new row of orders once`.
            None if said[at].is("once") && wishes.last().is_some_and(|wish: &Wish| wish.once) => at += 1,
            None => {
                kept.push(said[at].clone());
                at += 1;
            }
        }
    }
    (kept, wishes)
}

struct Reading<'a> {
    said: &'a [Token],
    names: &'a Names<'a>,
    at: usize,
    /// The sentence has another word that speaks of new rows.
    speaks_of_new: bool,
}

impl Reading<'_> {
    fn is(&self, ahead: usize, word: &str) -> bool {
        self.said.get(self.at + ahead).is_some_and(|token| token.is(word))
    }

    fn is_any(&self, ahead: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(ahead, word))
    }

    /// Whether a table is named here, or its rows are spoken of.
    fn names_rows(&self, ahead: usize) -> bool {
        let of = self.is_any(ahead, &["rows", "row", "data", "records"]) && self.is(ahead + 1, "of");
        let rest = self.said.get(self.at + ahead..).unwrap_or_default();
        of || self.names.table(rest).is_some() || self.is(ahead, "topic")
    }

    fn anywhere(&self) -> Option<(usize, Fresh, bool)> {
        let found =
            ANYWHERE.iter().find(|(words, _)| words.iter().enumerate().all(|(ahead, word)| self.is(ahead, word)));
        found.map(|(words, fresh)| (words.len(), *fresh, false))
    }

    /// `new and changed orders`, `only new orders`, `every new row of orders`
    fn of_a_table(&self, before: Option<&Token>) -> Option<(usize, Fresh, bool)> {
        // A table may be called so: `new orders`.
        let is_name = self.names.table(&self.said[self.at..]).is_some();
        let is_value = before.is_some_and(|token| BEFORE_VALUES.iter().any(|word| token.is(word)));
        if is_name || is_value {
            return None;
        }
        if self.is_any(0, &["every", "each"]) && self.is(1, "new") {
            let length = if self.is(2, "row") && self.is(3, "of") { 4 } else { 2 };
            return self.names_rows(length).then_some((length, Fresh::New, true));
        }
        let only = usize::from(self.is(0, "only") || self.is(0, "just"));
        let (first, second) = (only, only + 2);
        let joins = self.is_any(only + 1, &["and", "or"]);
        let pair = (self.is(first, "new") && self.is_any(second, &CHANGED))
            || (self.is_any(first, &CHANGED) && self.is(second, "new"));
        if joins && pair && self.names_rows(only + 3) {
            return Some((only + 3, Fresh::Changed, false));
        }
        if self.is_any(only, &CHANGED) && self.names_rows(only + 1) {
            return Some((only + 1, Fresh::Changed, false));
        }
        let adds = before.is_some_and(|token| ADDING.iter().any(|word| token.is(word)));
        let asks = only == 1 || adds || self.speaks_of_new;
        (asks && self.is(only, "new") && self.names_rows(only + 1)).then_some((only + 1, Fresh::New, false))
    }
}
