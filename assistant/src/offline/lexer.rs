//! A sentence cut into tokens.

use std::ops::Range;

use crate::words::tokens;

/// A word, a name, a number, a quoted text or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// As it was written; of a quoted text what stands between the quotes.
    pub(super) text: String,
    /// Its words, folded; a name such as `order_no` has two.
    pub(super) words: Vec<String>,
    /// Where it stands in the sentence.
    pub(super) span: Range<usize>,
    /// It stood in quotes.
    pub(super) is_quoted: bool,
}

impl Token {
    pub(super) fn new(text: &str, span: Range<usize>, is_quoted: bool) -> Self {
        Self { text: text.to_owned(), words: if is_quoted { Vec::new() } else { tokens(text) }, span, is_quoted }
    }

    /// Whether it is this word of the grammar.
    pub(super) fn is(&self, word: &str) -> bool {
        !self.is_quoted && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is punctuation or an operator.
    pub(super) fn is_sign(&self) -> bool {
        !self.is_quoted && self.words.is_empty()
    }
}

/// Signs that stand for themselves, longest first.
const SIGNS: [&str; 14] = ["<=", ">=", "<>", "!=", "=", "<", ">", ",", ";", "(", ")", "?", "!", "%"];

/// Cuts a sentence. A full stop that ends a word is left out.
pub(super) fn cut(sentence: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = sentence[at..].chars().next() {
        let rest = &sentence[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if let Some(length) = quoted_path(rest) {
            tokens.push(Token::new(&rest[..length], at..at + length, false));
            at += length;
        } else if let Some((inner, length)) = quoted(rest) {
            let doubled = format!("{c}{c}");
            tokens.push(Token::new(&inner.replace(&doubled, &c.to_string()), at..at + length, true));
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::new(sign, at..at + sign.len(), false));
            at += sign.len();
        } else if rest.starts_with("'s") && !rest[2..].starts_with(char::is_alphanumeric) {
            tokens.push(Token::new("'s", at..at + 2, false));
            at += 2;
        } else {
            let length = word_length(rest);
            // A full stop ends the sentence, not a word within it.
            let ends = rest[length..].trim().is_empty();
            let text = rest[..length].trim_end_matches(|c| c == ':' || (c == '.' && ends));
            if !text.is_empty() {
                tokens.push(Token::new(text, at..at + text.len(), false));
            }
            at += length;
        }
    }
    tokens
}

/// A name as a sentence writes it so that it is nothing else.
pub(super) fn as_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `"Sales"."Orders"`: the length of a path that begins with a quoted part.
fn quoted_path(rest: &str) -> Option<usize> {
    let end = 2 + end_of_name(rest.strip_prefix('"')?)?;
    let behind = rest.get(end..)?;
    let is_path = behind.starts_with('.') && behind[1..].starts_with(|c: char| c == '"' || c.is_alphabetic());
    is_path.then(|| end + word_length(behind))
}

/// The text between two quotes and the length of all, if the rest begins with a quote that has its partner. Two quotes in the text are one.
fn quoted(rest: &str) -> Option<(&str, usize)> {
    let first = rest.chars().next()?;
    let partner = match first {
        '"' | '\'' | '`' => first,
        '“' | '„' => '”',
        '‘' => '’',
        _ => return None,
    };
    let inner = &rest[first.len_utf8()..];
    let is_partner = |c: char| c == partner || (first == '„' && c == '“');
    let mut from = 0;
    let (end, quote) = loop {
        let end = from + inner[from..].find(is_partner)?;
        let quote = inner[end..].chars().next()?.len_utf8();
        if first != partner || !inner[end + quote..].starts_with(first) {
            break (end, quote);
        }
        from = end + 2 * quote;
    };
    // `'s` is an ending and no quote; nothing is quoted over the end of a line.
    let is_ending = first == '\'' && inner.starts_with("s ");
    let is_text = !is_ending && !inner[..end].contains('\n');
    is_text.then(|| (&inner[..end], first.len_utf8() + end + quote))
}

/// The length of a word: letters, digits and what joins them in names, times, dates and zones. A part in quotes after a dot belongs to it.
fn word_length(rest: &str) -> usize {
    let mut length = 0;
    while let Some(c) = rest[length..].chars().next() {
        let behind = &rest[length + c.len_utf8()..];
        if c == '.' && behind.starts_with('"') {
            let Some(end) = end_of_name(&behind[1..]) else { return length };
            length += 1 + end + 2;
        } else if c.is_alphanumeric()
            || matches!(c, '_' | '.' | '/' | ':' | '-' | '+' | '*' | '$')
            || (matches!(c, '\'' | '’') && length > 0 && joins(behind))
        {
            length += c.len_utf8();
        } else if length == 0 {
            return c.len_utf8();
        } else {
            return length;
        }
    }
    length
}

/// Where the quote is that ends a name: two of them are one within it.
fn end_of_name(rest: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + rest[from..].find('"')?;
        if !rest[end + 1..].starts_with('"') {
            return Some(end);
        }
        from = end + 2;
    }
}

/// Whether an apostrophe before these letters is within a word, as in `isn't`; `'s` is an ending of its own.
fn joins(behind: &str) -> bool {
    let letters = behind.find(|c: char| !c.is_alphanumeric()).map_or(behind, |end| &behind[..end]);
    !letters.is_empty() && letters != "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sentence: &str) -> Vec<String> {
        cut(sentence).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn names_times_and_zones_are_one_token_each() {
        let expected =
            ["Every", "day", "at", "6:30", "in", "Europe/Berlin", "load", "order_no", "of", "shop.public.orders"];
        assert_eq!(texts("Every day at 6:30 in Europe/Berlin load order_no of shop.public.orders."), expected);
        assert_eq!(
            texts("copy app.\"Users\" to lake.users, overwrite"),
            ["copy", "app.\"Users\"", "to", "lake.users", ",", "overwrite"]
        );
    }

    #[test]
    fn an_ending_is_told_from_a_quote() {
        assert_eq!(texts("the account's name as 'The Name'"), ["the", "account", "'s", "name", "as", "The Name"]);
        assert_eq!(texts("it isn't at 6 o'clock"), ["it", "isn't", "at", "6", "o'clock"]);
        assert_eq!(texts("of \"a \"\"b\"\"\" is \"\" or 'O''Neill'"), ["of", "a \"b\"", "is", "", "or", "O'Neill"]);
        assert_eq!(texts("count \"My Shop\".\"Orders\" per x"), ["count", "\"My Shop\".\"Orders\"", "per", "x"]);
        assert_eq!(texts("where status = “paid”"), ["where", "status", "=", "paid"]);
        assert!(cut("is 'a b'")[1].is_quoted);
    }

    #[test]
    fn every_token_stands_where_it_says() {
        let sentence = "Größe ≥ 3: \"x y\" — ok";
        for token in cut(sentence) {
            assert!(sentence[token.span.clone()].contains(&token.text), "{token:?}");
        }
    }
}
