//! Regular expressions. Patterns are those of the `regex` crate, which reads the common part of Postgres' in the same way; what it
//! can't read is refused.

use arrow::error::ArrowError;

/// Escapes that Postgres' patterns and these write in different ways. Letters and digits are Unicode's, numbers ASCII's.
const ESCAPES: [(char, &str); 15] = [
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('w', "[\\p{Alphabetic}\\p{Nd}_]"),
    ('W', "[^\\p{Alphabetic}\\p{Nd}_]"),
    ('s', "[\\s--[\\x{85}\\x{a0}\\x{2007}\\x{202f}]]"),
    ('S', "[^\\s--[\\x{85}\\x{a0}\\x{2007}\\x{202f}]]"),
    ('m', "\\b{start}"),
    ('M', "\\b{end}"),
    ('y', "\\b"),
    ('n', "\\n"),
    ('t', "\\t"),
    ('r', "\\r"),
    ('f', "\\x0c"),
    ('v', "\\x0b"),
    ('A', "\\A"),
];

/// Classes by name. Digits of other scripts are letters to the C library, which Postgres asks.
const CLASSES: [(&str, &str); 8] = [
    ("[:upper:]", "\\p{Uppercase}\\p{Lt}"),
    ("[:lower:]", "\\p{Lowercase}\\x{1c5}\\x{1c8}\\x{1cb}\\x{1f2}"),
    ("[:alpha:]", "\\p{Alphabetic}[\\p{Nd}--[0-9]]"),
    ("[:alnum:]", "\\p{Alphabetic}\\p{Nd}"),
    ("[:digit:]", "0-9"),
    ("[:space:]", "\\s--[\\x{85}\\x{a0}\\x{2007}\\x{202f}]"),
    ("[:punct:]", "[^\\p{Alphabetic}\\p{Nd}\\p{Cc}\\p{Cn}\\s]\\x{a0}\\x{2007}\\x{202f}"),
    ("[:xdigit:]", "0-9A-Fa-f"),
];

/// The pattern in the words of the `regex` crate; `None` if it holds what means something else there.
fn translated(pattern: &str) -> Option<String> {
    let mut made = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(next) = rest.chars().next() {
        if in_class && let Some((name, ours)) = CLASSES.iter().find(|(name, _)| rest.starts_with(name)) {
            made.push_str(&format!("[{ours}]"));
            rest = &rest[name.len()..];
            continue;
        }
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' => {
                let escaped = rest.chars().next()?;
                rest = &rest[escaped.len_utf8()..];
                match ESCAPES.iter().find(|(letter, _)| *letter == escaped) {
                    Some((_, ours)) => made.push_str(ours),
                    None if escaped.is_alphanumeric() => return None,
                    None => made.push_str(&regex::escape(&escaped.to_string())),
                }
            }
            '[' if in_class && rest.starts_with([':', '.', '=']) => return None,
            '[' if in_class => made.push_str("\\["),
            '[' => {
                in_class = true;
                made.push('[');
                // A bracket or a caret at the start of a class is itself.
                if let Some(behind) = rest.strip_prefix('^') {
                    made.push('^');
                    rest = behind;
                }
                if let Some(behind) = rest.strip_prefix(']') {
                    made.push_str("\\]");
                    rest = behind;
                }
            }
            ']' if in_class => {
                in_class = false;
                made.push(']');
            }
            '&' | '~' if in_class => {
                made.push('\\');
                made.push(next);
            }
            '(' if !in_class && rest.starts_with('?') && !rest.starts_with("?:") => return None,
            other => made.push(other),
        }
    }
    Some(made)
}

/// Why a pattern is refused where it says which part of a text is meant.
pub(super) const NOT_PLAIN: &str = "a pattern with |, ?, {} or a repeated group may match another part of the text than in Postgres: write it without them";

/// The pattern as Postgres reads it: a dot is any character, `\d` a digit of ASCII.
pub(super) fn pattern(text: &str, flags: &str) -> std::result::Result<regex::Regex, ArrowError> {
    let wrong = || ArrowError::CastError(format!("the regular expression '{text}' is not supported"));
    let mut builder = String::from("(?s");
    for flag in flags.chars() {
        match flag {
            'i' => builder.push('i'),
            'g' | 'c' => {}
            _ => return Err(wrong()),
        }
    }
    builder.push(')');
    // Without regard to case, Postgres takes these classes for all letters.
    let text = match flags.contains('i') {
        true => &text.replace("[:upper:]", "[:alpha:]").replace("[:lower:]", "[:alpha:]"),
        false => text,
    };
    builder.push_str(&translated(text).ok_or_else(wrong)?);
    regex::Regex::new(&builder).map_err(|_| wrong())
}

/// Whether a pattern finds the same part of a text in Postgres, which takes the longest match, and here, where the first
/// alternative wins: alternatives, optional parts and counts could differ.
pub(super) fn is_plain(pattern: &str) -> bool {
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    let mut last = ' ';
    while let Some(next) = rest.next() {
        match next {
            '\\' => {
                rest.next();
                last = 'a';
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '|' | '?' | '{' if !in_class => return false,
            '*' | '+' if !in_class && last == ')' => return false,
            _ => {}
        }
        last = next;
    }
    true
}

/// `\1` is a group, `\&` the whole match, `\\` a backslash.
pub(super) fn replacement(text: &str, captures: &regex::Captures<'_>) -> String {
    let mut made = String::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        if next != '\\' {
            made.push(next);
            continue;
        }
        match rest.peek().copied() {
            Some(digit @ '1'..='9') => {
                rest.next();
                let group = usize::try_from(u32::from(digit) - u32::from('0')).unwrap_or(0);
                made.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            Some('&') => {
                rest.next();
                made.push_str(&captures[0]);
            }
            Some('\\') => {
                rest.next();
                made.push('\\');
            }
            _ => made.push('\\'),
        }
    }
    made
}
