//! The parts of a data phrase, by the words that begin them.

use std::ops::Range;

use super::lexer::Token;
use super::ranks::count_of;

/// A part of the phrase behind its head, by the word that begins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Where,
    Per,
    With,
    Without,
    Also,
    /// `only orders with customers`
    Only,
    /// `over all units`
    Over,
    Joined,
    Extreme,
    /// `sorted by total descending`
    Sorted,
}

/// The parts of a phrase: each from the word that begins it up to the next one. A `with` at `within` belongs to the head.
pub(super) fn split(said: &[Token], range: Range<usize>, within: Option<usize>) -> Vec<(Clause, Range<usize>)> {
    let mut starts: Vec<(Clause, usize)> = Vec::new();
    let is_ranked = is_ranked(said, range.clone());
    for at in range.clone().filter(|at| Some(*at) != within) {
        let last = starts.last().map(|(clause, _)| *clause);
        if let Some(clause) = begun(said, at, &range, last, is_ranked) {
            starts.push((clause, at));
        }
    }
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([range.end]).collect::<Vec<_>>();
    starts.iter().zip(ends).map(|((clause, at), end)| (*clause, *at..end)).collect()
}

/// The part that a word begins behind the last one.
fn begun(said: &[Token], at: usize, range: &Range<usize>, last: Option<Clause>, is_ranked: bool) -> Option<Clause> {
    let token = &said[at];
    let next = said.get(at + 1).filter(|_| at + 1 < range.end);
    let before = at.checked_sub(1).filter(|before| *before >= range.start).map(|before| &said[before]);
    let follows = |word: &str| next.is_some_and(|next| next.is(word));
    let stands_behind = |words: &[&str]| before.is_some_and(|before| words.iter().any(|word| before.is(word)));
    let in_also = matches!(last, Some(Clause::Also | Clause::Only));
    let is_with = token.is("with") && !stands_behind(&["starts", "ends", "begins"]) && last != Some(Clause::Only);
    Some(match () {
        () if token.is("where") || token.is("whose") || (token.is("only") && follows("where")) => Clause::Where,
        () if token.is("only") && at > range.start => Clause::Only,
        () if token.is("over") && follows("all") => Clause::Over,
        () if token.is("per") => Clause::Per,
        () if token.is("by") && !is_ranked && before.is_some() && !stands_behind(&["sorted"]) => Clause::Per,
        () if (token.is("sorted") || token.is("sort")) && before.is_some() => Clause::Sorted,
        () if (token.is("without") && !in_also) || (is_with && follows("no")) => Clause::Without,
        () if is_with || token.is("plus") => Clause::With,
        () if token.is("including") && (at..range.end).any(|place| said[place].is("without")) => Clause::Also,
        () if token.is("including") => Clause::With,
        () if token.is("also") => Clause::Also,
        () if token.is("joined") => Clause::Joined,
        () if token.is("the") && next.and_then(count_of).is_some() && before.is_some() && is_extreme(said, at + 2) => {
            Clause::Extreme
        }
        () => return None,
    })
}

/// Words behind the number of `the 3 highest`.
pub(super) const HIGHEST: [&str; 4] = ["highest", "largest", "most", "top"];
pub(super) const LOWEST: [&str; 3] = ["lowest", "smallest", "fewest"];

fn is_extreme(said: &[Token], at: usize) -> bool {
    said.get(at).is_some_and(|token| HIGHEST.iter().chain(&LOWEST).any(|word| token.is(word)))
}

/// Whether the phrase begins with how many rows are kept: `top 3 names by count`, `the last 10 orders by total`. What stands behind `by` is their order, then.
fn is_ranked(said: &[Token], range: Range<usize>) -> bool {
    const OTHERS: [&str; 6] = ["with", "without", "where", "whose", "per", "than"];
    let begins = |at: &usize| !OTHERS.iter().any(|word| said[*at].is(word));
    let counts = range.clone().take_while(begins).any(|at| count_of(&said[at]).is_some());
    counts || range.into_iter().any(|at| said[at].is("top"))
}
