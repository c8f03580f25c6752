//! A statement cut into code, literals and comments, however broken it is.

use crate::yaml::Span;

/// What a part of a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Code,
    Literal,
    Comment,
}

/// The pieces of a statement, in order and without gaps. Literals and comments that do not end reach to the end.
pub(super) fn pieces(text: &str) -> Vec<(Piece, Span)> {
    let mut pieces = Vec::new();
    let mut code = 0;
    let mut at = 0;
    // A dollar quote that ends nowhere is looked for once, so that a statement of them takes no longer than its length.
    let mut dollars = true;
    while let Some(found) = text[at..].find(['\'', '"', '-', '/', '$']) {
        at += found;
        let rest = &text[at..];
        let (piece, length) = match rest.as_bytes() {
            [b'"', ..] => {
                at += quoted(rest, '"', false);
                continue;
            }
            [b'\'', ..] => (Piece::Literal, quoted(rest, '\'', text[..at].ends_with(['e', 'E']))),
            [b'-', b'-', ..] => (Piece::Comment, rest.find('\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => (Piece::Comment, rest[2..].find("*/").map_or(rest.len(), |end| end + 4)),
            [b'$', ..] if dollars && tag(rest).is_some() => {
                let tag = tag(rest).unwrap_or_default();
                match rest[tag.len()..].find(tag) {
                    Some(end) => (Piece::Literal, end + 2 * tag.len()),
                    None => {
                        dollars = false;
                        at += tag.len();
                        continue;
                    }
                }
            }
            _ => {
                at += 1;
                continue;
            }
        };
        if code < at {
            pieces.push((Piece::Code, code..at));
        }
        pieces.push((piece, at..at + length));
        at += length;
        code = at;
    }
    if code < text.len() {
        pieces.push((Piece::Code, code..text.len()));
    }
    pieces
}

/// The length of a quoted part; a doubled quote does not end it.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if has_escapes => drop(chars.next()),
            c if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `$name$` at the start of a text.
fn tag(text: &str) -> Option<&str> {
    let text = text.starts_with('$').then_some(text)?;
    let end = text[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_')? + 1;
    text[end..].starts_with('$').then(|| &text[..=end])
}

/// The length of the delimiter at the end of a literal; 0 if it does not end.
pub(super) fn closing_length(literal: &str) -> usize {
    match tag(literal) {
        Some(tag) if literal.len() >= 2 * tag.len() => tag.len(),
        _ => usize::from(literal.len() > 1 && literal.ends_with('\'')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_told_from_code() {
        let text = "SELECT 'it''s', E'a\\'b', \"x'y\", $1, $q$ a'b $q$ -- c 'd'\n, /* e */ f - g / h '";
        let told: Vec<(Piece, &str)> = pieces(text).into_iter().map(|(piece, span)| (piece, &text[span])).collect();
        assert_eq!(
            told,
            [
                (Piece::Code, "SELECT "),
                (Piece::Literal, "'it''s'"),
                (Piece::Code, ", E"),
                (Piece::Literal, "'a\\'b'"),
                (Piece::Code, ", \"x'y\", $1, "),
                (Piece::Literal, "$q$ a'b $q$"),
                (Piece::Code, " "),
                (Piece::Comment, "-- c 'd'"),
                (Piece::Code, "\n, "),
                (Piece::Comment, "/* e */"),
                (Piece::Code, " f - g / h "),
                (Piece::Literal, "'"),
            ]
        );
    }
}
