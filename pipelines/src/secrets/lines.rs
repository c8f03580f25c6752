//! Masking without a tree: a file whose syntax is broken is never stored, and only the lines around its mistake are shown,
//! so that rather too much of it is masked than too little.

use super::mask::is_connections;
use super::text::{Sort, secrets};
use crate::document::is_root_field;
use crate::yaml::Span;

/// What the lines from some line on belong to.
enum Inside {
    /// Anything.
    Nothing,
    /// Connections, whose first line is indented this far, with so many braces open.
    Connections { indentation: usize, open: isize },
    /// The value of a secret, whose key is indented this far and which may have begun with a quote.
    Secret { indentation: usize, quote: Option<char> },
}

/// In the lines of `connections` everything behind a colon, elsewhere values of secret names and passwords of URLs.
pub(super) fn lines(source: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut inside = Inside::Nothing;
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let at = |span: Span| start + span.start..start + span.end;
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        if ends(&inside, text, indentation) {
            inside = Inside::Nothing;
        }
        match &mut inside {
            Inside::Secret { quote, .. } => {
                spans.push(at(0..line.len()));
                if quote.is_some_and(|quote| line.contains(quote)) {
                    inside = Inside::Nothing;
                }
            }
            Inside::Connections { open, .. } => {
                let from = line.find([':', '#', '-']).map_or(0, |at| at + 1);
                spans.push(at(from..line.len()));
                *open += braces(line);
            }
            Inside::Nothing => {
                if let Some(from) = connections_in(line) {
                    spans.push(at(from..line.len()));
                    inside = Inside::Connections { indentation, open: braces(&line[from..]) };
                } else {
                    spans.extend(secrets(line, Sort::Comment).into_iter().map(|secret| at(secret.span)));
                    inside = secret_below(line, indentation);
                }
            }
        }
        start += line.len();
    }
    spans
}

/// Whether a line no longer belongs to what the lines before it belong to.
fn ends(inside: &Inside, text: &str, indentation: usize) -> bool {
    if text.is_empty() || text.starts_with('#') {
        return false;
    }
    if indentation == 0 && text.split_once(':').is_some_and(|(word, _)| is_root_field(word) && !is_connections(word)) {
        return true;
    }
    let closes = text.starts_with(['}', ']']);
    match inside {
        Inside::Nothing => false,
        Inside::Connections { indentation: outer, open } => indentation <= *outer && *open <= 0 && !closes,
        Inside::Secret { indentation: outer, quote } => indentation <= *outer && quote.is_none(),
    }
}

fn braces(text: &str) -> isize {
    text.chars().fold(0, |open, c| match c {
        '{' | '[' => open + 1,
        '}' | ']' => open - 1,
        _ => open,
    })
}

/// Behind the colon of a key that is meant to be `connections`.
fn connections_in(line: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = line[from..].find(':').map(|at| from + at) {
        let bare = line[from..at].trim_end_matches([' ', '\t', '"', '\'']);
        let word = &bare[bare.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len()..];
        if (8..=14).contains(&word.len()) && is_connections(word) {
            return Some(at + 1);
        }
        from = at + 1;
    }
    None
}

/// A secret name whose value begins on the line and does not end there.
fn secret_below(line: &str, indentation: usize) -> Inside {
    let probe = format!("{} a", line.trim_end().trim_end_matches(['|', '>', '-', '+']).trim_end());
    let is_open = secrets(&probe, Sort::Comment).iter().any(|secret| &probe[secret.span.clone()] == "a");
    let value = line.rsplit([':', '=']).next().unwrap_or_default().trim();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let is_unclosed = quote.is_some_and(|quote| !value[1..].contains(quote));
    let is_secret = !secrets(line, Sort::Comment).is_empty();
    match (is_open, is_secret && is_unclosed) {
        (true, _) => Inside::Secret { indentation, quote: None },
        (_, true) => Inside::Secret { indentation, quote },
        _ => Inside::Nothing,
    }
}
