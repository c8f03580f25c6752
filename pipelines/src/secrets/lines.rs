//! Masking without a tree: a file whose syntax is broken is never stored, and only the lines around its mistake are shown,
//! so that rather too much of it is masked than too little: its comments, and what follows connections up to the next field.

use super::mask::{is_connections, is_name};
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
        let indentation = line.len() - line.trim_start().len();
        if is_field(line) {
            inside = Inside::Nothing;
        }
        match &mut inside {
            Inside::Secret { indentation: outer, quote } if quote.is_some() || indentation > *outer => {
                spans.push(at(0..line.len()));
                *quote = quote.filter(|quote| !line.contains(*quote));
            }
            // What is not indented at all may be meant to be.
            Inside::Connections { indentation: outer, open } if *outer == 0 || *open > 0 || indentation > *outer => {
                spans.push(at(behind_key(line)..line.len()));
                *open += braces(line);
            }
            _ => {
                let from = connections_in(line);
                let plain = &line[..from.unwrap_or(line.len())];
                spans.extend(secrets(plain, Sort::Comment).into_iter().map(|secret| at(secret.span)));
                spans.extend(comment(plain).map(at));
                spans.extend(from.map(|from| at(from..line.len())));
                let begins = match from {
                    Some(from) => Inside::Connections { indentation, open: braces(&line[from..]) },
                    None => secret_below(line, indentation),
                };
                inside = inside.and(begins);
            }
        }
        start += line.len();
    }
    spans
}

impl Inside {
    /// What lines belong to after one that is indented less: a line that breaks the file ends nothing before it.
    fn and(self, begins: Self) -> Self {
        match (self, begins) {
            (before, Self::Nothing) => before,
            (Self::Nothing, begins) => begins,
            (Self::Connections { indentation, .. }, Self::Connections { indentation: other, open }) => {
                Self::Connections { indentation: indentation.min(other), open }
            }
            (before, begins) => {
                let quote = if let Self::Secret { quote, .. } = begins { quote } else { None };
                Self::Secret { indentation: before.indentation().min(begins.indentation()), quote }
            }
        }
    }

    fn indentation(&self) -> usize {
        match self {
            Self::Nothing => usize::MAX,
            Self::Connections { indentation, .. } | Self::Secret { indentation, .. } => *indentation,
        }
    }
}

/// Whether a line begins with a field of the root other than connections.
fn is_field(line: &str) -> bool {
    line.split_once(':').is_some_and(|(word, _)| is_root_field(word) && !is_connections(word))
}

/// Where the value on a line begins; at its start if there is no key.
fn behind_key(line: &str) -> usize {
    let Some((head, _)) = line.split_once(':') else { return 0 };
    let is_wrapping = |c: char| c.is_whitespace() || matches!(c, '{' | '"' | '\'');
    if is_name(head.trim_matches(is_wrapping)) { head.len() + 1 } else { 0 }
}

/// The comment of a line. It may repeat a secret that could be recognised in a tree alone.
fn comment(line: &str) -> Option<Span> {
    let begins = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let at = line.match_indices('#').map(|(at, _)| at).find(begins)?;
    Some(at + 1..line.len())
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
        let value = line[at + 1..].trim();
        // The field of an extract is no misspelled field of the root.
        let is_reference = word == "connection" && !value.is_empty() && !value.starts_with('{');
        if (8..=14).contains(&word.len()) && is_connections(word) && !is_reference {
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
