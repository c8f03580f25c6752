//! The parts of a data phrase, by the words that begin them.

use std::ops::Range;

use super::lexer::Token;

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
}

/// The parts of a phrase: each from the word that begins it up to the next one.
pub(super) fn split(said: &[Token], range: Range<usize>) -> Vec<(Clause, Range<usize>)> {
    let mut starts: Vec<(Clause, usize)> = Vec::new();
    // `count orders by status`, but not `top 3 names by count`.
    let folds = range.clone().all(|at| !said[at].is("top"));
    for at in range.clone() {
        let token = &said[at];
        let next = said.get(at + 1).filter(|_| at + 1 < range.end);
        let follows = |word: &str| next.is_some_and(|next| next.is(word));
        let is_number = next.is_some_and(|next| next.text.parse::<u64>().is_ok());
        let in_also = starts.last().is_some_and(|(clause, _)| matches!(clause, Clause::Also | Clause::Only));
        // `starts with` is one word.
        let in_pattern =
            at > range.start && ["starts", "ends", "begins", "start", "end"].iter().any(|word| said[at - 1].is(word));
        if (in_pattern && token.is("with"))
            || (in_also && token.is("with") && starts.last().is_some_and(|(clause, _)| *clause == Clause::Only))
        {
            continue;
        }
        let is_per = token.is("per")
            || (token.is("for") && (follows("each") || follows("every")))
            || (token.is("grouped") && follows("by"))
            || (token.is("by") && folds && at > range.start && !said[at - 1].is("grouped"));
        let clause = if token.is("where") || token.is("whose") || (token.is("only") && follows("where")) {
            Clause::Where
        } else if token.is("only") && at > range.start {
            Clause::Only
        } else if token.is("over") && follows("all") {
            Clause::Over
        } else if is_per {
            Clause::Per
        } else if (token.is("without") && !in_also) || ((token.is("with") || token.is("have")) && follows("no")) {
            Clause::Without
        } else if token.is("with") || token.is("plus") || (token.is("including") && !says_without(said, at, range.end))
        {
            Clause::With
        } else if token.is("also") || token.is("including") {
            Clause::Also
        } else if token.is("joined") {
            Clause::Joined
        } else if token.is("the") && is_number && at > range.start {
            Clause::Extreme
        } else {
            continue;
        };
        starts.push((clause, at));
    }
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([range.end]).collect::<Vec<_>>();
    starts.iter().zip(ends).map(|((clause, at), end)| (*clause, *at..end)).collect()
}

fn says_without(said: &[Token], at: usize, end: usize) -> bool {
    (at..end).any(|place| said[place].is("without"))
}
