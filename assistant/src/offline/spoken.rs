//! What a person says, in the words of the grammar: other words for the same come out as one, and a German sentence as an English one.
//! Each word keeps the place that it has in the sentence.

use super::lexer::{self, Token};
use super::{german, names::Names};

/// Phrases of one meaning, and the words of the grammar for them. `have|has` is either word.
const PHRASES: &[(&str, &str)] = &[
    // What asks for nothing.
    ("do|did|does we|you|they have|get|receive", ""),
    ("have|had we got|had|received", ""),
    ("are|were|is|was there", ""),
    ("there are|were|is|was", ""),
    ("we have|had|got", ""),
    ("i want|need to see|know", "show"),
    ("what 's", "what is"),
    ("whats", "what is"),
    ("when 's", "when is"),
    // Negations.
    ("isn't|isnt", "is not"),
    ("aren't|arent", "are not"),
    ("wasn't|wasnt", "was not"),
    ("weren't|werent", "were not"),
    ("do|does|did not have", "without"),
    ("don't|doesn't|didn't have", "without"),
    ("that|which|who do|does|did not have", "without"),
    ("that|which|who don't|doesn't|didn't have", "without"),
    ("with|have|has|had|having no|zero", "without"),
    ("that|which|who have|has|had no", "without"),
    ("have|has|had|having|with never", "never"),
    ("that|which|who have|has|had never", "never"),
    ("that|which|who never", "never"),
    // Having.
    ("has|have to", "has to"),
    ("have|has|had|having", "with"),
    ("that|which|who have|has|had", "with"),
    ("that|which|who is|are|was|were", "is"),
    // Texts.
    ("starting|beginning|begins|begin|start with", "starts with"),
    ("ending|end with", "ends with"),
    ("containing|contain|includes", "contains"),
    ("that|which starts|begins|start|begin with", "starts with"),
    ("that|which ends|end with", "ends with"),
    ("that|which contains|contain|includes", "contains"),
    // Groups and orders.
    ("for|in each|every", "per"),
    ("grouped|group|split|broken by", "per"),
    ("broken down by", "per"),
    ("sort|order|ordered|ranked by", "sorted by"),
    ("most recent", "newest"),
    ("most expensive", "priciest"),
    ("least expensive", "cheapest"),
    ("highest priced", "priciest"),
    ("lowest priced", "cheapest"),
    ("from highest to lowest", "descending"),
    ("from lowest to highest", "ascending"),
    ("in descending order", "descending"),
    ("in ascending order", "ascending"),
    // Bounds.
    ("fewer than", "less than"),
    ("with|have|has|had no more than", "with at most"),
    ("no|not more|fewer than", "at most"),
    ("no less|fewer than", "at least"),
    ("at minimum", "at least"),
    ("up to and including", "until"),
    ("non empty", "non-empty"),
    ("only|just rows|those|ones|orders where", "only where"),
    ("such that", "where"),
];

pub(super) fn is_german(sentence: &str) -> bool {
    german::is_german(&lexer::cut(sentence))
}

/// The words of a sentence.
pub(super) fn hear(sentence: &str, names: &Names<'_>) -> Vec<Token> {
    let said = lexer::cut(sentence);
    let said = if german::is_german(&said) { german::translated(said, names) } else { said };
    replaced(&said, PHRASES)
}

/// Replaces phrases, at each place the longest one.
pub(super) fn replaced(said: &[Token], phrases: &[(&str, &str)]) -> Vec<Token> {
    let mut heard = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let fitting = phrases.iter().filter_map(|(phrase, words)| Some((length(&said[at..], phrase)?, *words)));
        // Of equal ones the first.
        let longest = fitting.fold(None::<(usize, &str)>, |best, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        });
        let Some((length, words)) = longest else {
            heard.push(said[at].clone());
            at += 1;
            continue;
        };
        let span = said[at].span.start..said[at + length - 1].span.end;
        heard.extend(words.split_whitespace().map(|word| Token::new(word, span.clone(), false)));
        at += length;
    }
    heard
}

/// How many tokens a phrase takes, if they begin with it.
fn length(said: &[Token], phrase: &str) -> Option<usize> {
    let mut length = 0;
    for word in phrase.split(' ') {
        let token = said.get(length)?;
        if !word.split('|').any(|word| is(token, word)) {
            return None;
        }
        length += 1;
    }
    Some(length)
}

/// Whether a token is this word, capitals aside.
fn is(token: &Token, word: &str) -> bool {
    !token.is_quoted && (token.is(word) || (!token.text.is_ascii() && token.text.to_lowercase() == word))
        || (!token.is_quoted && token.text.contains('’') && token.text.replace('’', "'").eq_ignore_ascii_case(word))
}
