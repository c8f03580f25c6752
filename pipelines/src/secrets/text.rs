//! Secrets inside of a text: passwords of URLs, and values of names such as `password`.

use super::names::{MAX_NAME, is_literal, is_secret_key, is_secret_setting};
use super::shapes;
use super::statement::{Piece, closing_length, pieces};
use crate::yaml::Span;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Words for people: a description.
    Prose,
    /// A comment, or a line of a file that can't be read. Nothing depends on it, so that much of it may be masked.
    Comment,
    /// SQL, in which `token = 'x'` compares a column.
    Statement,
    /// Anything else: a name, a URL, settings.
    Setting,
}

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    /// Where it stands.
    pub(super) span: Span,
    /// Whether the text means the same without it.
    pub(super) is_idle: bool,
}

/// Every secret of a text, in no order. Takes time in proportion to the text.
pub(super) fn secrets(text: &str, sort: Sort) -> Vec<Secret> {
    let is_idle = matches!(sort, Sort::Prose | Sort::Comment);
    let mut spans = Vec::new();
    urls(text, sort, &mut spans);
    shapes::find(text, &mut spans);
    if sort != Sort::Statement {
        pairs(text, sort, &mut spans);
        return spans.into_iter().map(|span| Secret { span, is_idle }).collect();
    }
    let mut found: Vec<Secret> = Vec::new();
    let pieces = pieces(text);
    for (piece, place) in &pieces {
        let mut inner = Vec::new();
        let body = &text[place.clone()];
        let body = if *piece == Piece::Literal { &body[..body.len() - closing_length(body)] } else { body };
        statement_pairs(body, *piece, &mut inner);
        let is_idle = *piece == Piece::Comment;
        let moved = inner.into_iter().map(|span| place.start + span.start..place.start + span.end);
        found.extend(moved.map(|span| Secret { span, is_idle }));
    }
    let in_comment = |span: &Span| {
        let index = pieces.partition_point(|(_, place)| place.end <= span.start);
        pieces.get(index).is_some_and(|(piece, place)| *piece == Piece::Comment && span.end <= place.end)
    };
    found.extend(spans.into_iter().map(|span| Secret { is_idle: in_comment(&span), span }));
    found
}

/// Passwords and parameters of URLs. A URL ends at a space, unless the whole text is one: a password may hold anything.
fn urls(text: &str, sort: Sort, spans: &mut Vec<Span>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_whole = sort == Sort::Comment || (sort == Sort::Setting && starts_with_scheme(line));
        if is_whole {
            url(text, start..start + line.trim_end().len(), None, spans);
        } else {
            let mut at = start;
            for word in line.split_inclusive(char::is_whitespace) {
                // A masked quote would leave a literal open.
                let literal = (sort == Sort::Statement).then_some('\'');
                url(text, at..at + word.trim_end().len(), literal, spans);
                at += word.len();
            }
        }
        start += line.len();
    }
}

fn starts_with_scheme(line: &str) -> bool {
    line.trim_start().split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(is_scheme))
}

fn is_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

/// Secrets of the URLs in a stretch of a text. `literal` is the quote that ends what stands around them.
fn url(text: &str, place: Span, literal: Option<char>, spans: &mut Vec<Span>) {
    let Some(first) = text[place.clone()].find("://") else { return };
    let last_at = text[place.clone()].rfind('@').map(|at| place.start + at);
    let mut at = place.start + first;
    loop {
        let start = at + "://".len();
        let quote =
            text[..at].trim_end_matches(is_scheme).chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
        let has_port = text[..at].ends_with("http") || text[..at].ends_with("https");
        let password = last_at.filter(|last| *last > start).and_then(|last| {
            let url = Url { text, place: start..last, end: place.end, quote, has_port, literal };
            url.password()
        });
        let next = password.as_ref().map_or(start, |span| span.end);
        spans.extend(password);
        let Some(further) = text[next..place.end].find("://") else {
            parameters(text, start..place.end, quote.or(literal), spans);
            return;
        };
        parameters(text, start..next + further, quote.or(literal), spans);
        at = next + further;
    }
}

/// A URL with an `@`.
struct Url<'a> {
    text: &'a str,
    /// From the user to the last `@`.
    place: Span,
    /// Where it ends at the latest.
    end: usize,
    /// The quote in front of it.
    quote: Option<char>,
    /// Whether digits between a colon and a slash are a port. Addresses of pages may hold an `@` in their path, those of
    /// databases hold it behind a password.
    has_port: bool,
    /// The quote that ends what stands around it.
    literal: Option<char>,
}

impl Url<'_> {
    fn password(&self) -> Option<Span> {
        let (user, behind) = self.text[self.place.clone()].split_once(':')?;
        let in_statement = self.literal.is_some();
        if !is_user(user, in_statement)
            || behind.starts_with("//")
            || self.literal.is_some_and(|quote| behind.starts_with(quote))
        {
            return None;
        }
        let digits = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.starts_with(char::is_whitespace) || (self.has_port && digits.starts_with(['/', '?', '#'])) {
            return None;
        }
        let start = self.place.start + user.len() + 1;
        let authority = &behind[..behind.find(['/', '?', '#']).unwrap_or(behind.len())];
        let proper = match authority.rfind('@') {
            Some(at) => &authority[..at],
            None => behind,
        };
        if !is_written(proper, in_statement) {
            return None;
        }
        // A URL in quotes ends with them; those of its password are doubled.
        let closed = self.quote.and_then(|quote| {
            let at = start + self.text[start..self.end].find('@')?;
            closing(&self.text[at..self.end], quote).map(|length| at + length)
        });
        let last = closed.and_then(|closed| self.text[start..closed].rfind('@').map(|at| start + at));
        Some(start..last.unwrap_or(self.place.end))
    }
}

/// Whether a text can be the user of a URL: no path, no place that is to be filled in, and no pattern of a statement.
fn is_user(text: &str, in_statement: bool) -> bool {
    let part = |c: char| !c.is_whitespace() && !matches!(c, '/' | '?' | '#' | '<' | '>');
    let plain = |c: char| c.is_alphanumeric() || "._~-+%@${},".contains(c);
    let fits = if in_statement { text.chars().all(plain) } else { text.chars().all(part) };
    fits && (text.is_empty() || text.contains(char::is_alphanumeric))
}

/// Whether a value is written out, and neither a reference, a place that is to be filled in nor, in a statement, a pattern.
fn is_written(value: &str, in_statement: bool) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let is_pattern = in_statement && (bare.starts_with(['(', '[', '\\']) || is_filled_in(bare));
    is_literal(value)
        && bare.contains(char::is_alphanumeric)
        && !bare.starts_with('<')
        && !bare.starts_with("{{")
        && !is_pattern
}

/// Whether a statement puts something in this place, or has taken a secret out.
fn is_filled_in(value: &str) -> bool {
    let named = value.strip_prefix('{').and_then(|value| value.strip_suffix('}'));
    let is_format = matches!(value, "%s" | "%L" | "%I")
        || named.is_some_and(|name| name.chars().all(|c| c.is_alphabetic() || c == '_'));
    is_format || ["redacted", "masked", "hidden", "null"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// How far the next quote that is not doubled is away.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut quotes = text.match_indices(quote).map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return Some(at);
        }
    }
    None
}

/// The values of parameters such as `?password=…`.
fn parameters(text: &str, place: Span, quote: Option<char>, spans: &mut Vec<Span>) {
    let mut from = place.start;
    while let Some(at) = text[from..place.end].find('=').map(|at| from + at) {
        let name = text[from..at].rsplit(['?', '&', '#', ';']).next().unwrap_or_default();
        let is_parameter = name.len() < at - from && name.len() <= MAX_NAME;
        from = at + 1;
        if is_parameter && is_secret_setting(name) {
            let value = &text[from..place.end];
            let length = value.find('&').unwrap_or(value.len());
            let length = quote.and_then(|quote| closing(&value[..length], quote)).unwrap_or(length);
            if is_written(&value[..length], quote == Some('\'')) {
                spans.push(from..from + length);
            }
            from += length;
        }
    }
}

/// How the values of names are found.
#[derive(Clone, Copy)]
struct Rule {
    /// Whether `name = value`, with or without spaces and quotes, is a pair.
    equals: fn(&Pair<'_>) -> bool,
    /// Whether `name: value` is a pair.
    colon: fn(&Pair<'_>) -> bool,
    /// Whether everything up to the end of the line belongs to the value.
    whole_line: bool,
    /// Whether values may be patterns.
    in_statement: bool,
}

/// What may be a name with its value.
struct Pair<'a> {
    /// What stands in front of the name on its line.
    before: &'a str,
    /// Whether the name stands in quotes.
    is_quoted: bool,
    /// Everything between the name and its value.
    between: &'a str,
    /// The line from the value on.
    behind: &'a str,
}

impl Pair<'_> {
    /// Whether the name begins an entry of a mapping.
    fn is_entry(&self) -> bool {
        let before = self.before.trim_end_matches([' ', '\t', '"', '\'']);
        before.is_empty() || before.ends_with(['{', ',', '-', '#', '('])
    }

    /// Whether a sentence shows a value, and does not go on behind the colon.
    fn is_shown(&self) -> bool {
        self.is_quoted || self.is_last() || !self.is_word()
    }

    /// Whether the value is a word, as it follows a colon in a sentence.
    fn is_word(&self) -> bool {
        let value = &self.behind[..value_length(self.behind)];
        value.trim_end_matches(['.', ',', ';', '!', '?']).chars().all(char::is_alphabetic)
    }

    /// Whether nothing but the end of a mapping stands behind the value.
    fn is_last(&self) -> bool {
        self.behind[value_length(self.behind)..]
            .trim_start()
            .chars()
            .next()
            .is_none_or(|c| matches!(c, ',' | '}' | ']' | ')' | ';'))
    }
}

fn pairs(text: &str, sort: Sort, spans: &mut Vec<Span>) {
    let rule = match sort {
        Sort::Comment => Rule { equals: |_| true, colon: |_| true, whole_line: true, in_statement: false },
        Sort::Prose => Rule { equals: |_| true, colon: |pair| pair.is_shown(), whole_line: false, in_statement: false },
        _ => Rule {
            equals: |_| true,
            colon: |pair| pair.is_quoted || pair.is_last(),
            whole_line: false,
            in_statement: false,
        },
    };
    all_pairs(text, rule, spans);
}

/// In a statement, `token = 'x'` compares a column; inside of a literal, `token=x` is a setting.
fn statement_pairs(text: &str, piece: Piece, spans: &mut Vec<Span>) {
    let rule = match piece {
        Piece::Code => Rule { equals: |_| false, colon: |pair| pair.is_entry(), whole_line: false, in_statement: true },
        Piece::Literal => {
            Rule { equals: |_| true, colon: |pair| pair.is_quoted, whole_line: false, in_statement: true }
        }
        Piece::Comment => Rule {
            equals: |pair| pair.between == "=" && !pair.behind.starts_with(['\'', '"']),
            colon: |pair| pair.is_shown(),
            whole_line: false,
            in_statement: true,
        },
    };
    all_pairs(text, rule, spans);
}

fn all_pairs(text: &str, rule: Rule, spans: &mut Vec<Span>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        while let Some(at) = line[from..].find([':', '=']).map(|at| from + at) {
            let span = pair(line, from, at, rule);
            from = span.as_ref().map_or(at + 1, |span| span.end.max(at + 1));
            spans.extend(span.map(|span| start + span.start..start + span.end));
        }
        start += line.len();
    }
}

/// The value behind the separator at `at`, if the name in front of it is a secret's. Nothing in front of `from` belongs to it.
fn pair(line: &str, from: usize, at: usize, rule: Rule) -> Option<Span> {
    let separator = line[at..].chars().next()?;
    let behind = &line[at + 1..];
    if behind.starts_with([':', '=', '>', '/']) || line[from..at].ends_with([':', '<', '>', '!']) {
        return None;
    }
    let head = line[from..at].trim_end_matches([' ', '\t']);
    let bare = head.trim_end_matches('\\');
    let bare = bare.strip_suffix(['"', '\'']).unwrap_or(bare).trim_end_matches('\\');
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let name = &bare[bare.trim_end_matches(is_part).len()..];
    if !is_secret_key(name) {
        return None;
    }
    let value = behind.trim_start_matches([' ', '\t']);
    let start = line.len() - value.len();
    let value = value.trim_end();
    let pair = Pair {
        before: &line[..from + bare.len() - name.len()],
        is_quoted: bare.len() < head.len(),
        between: &line[from + bare.len()..start],
        behind: value,
    };
    let fits = if separator == '=' { (rule.equals)(&pair) } else { (rule.colon)(&pair) };
    // Between two of them stands a pattern of LIKE.
    let is_like = rule.in_statement && line.trim_start_matches('\'').starts_with('%') && value.ends_with('%');
    if !fits || is_like {
        return None;
    }
    let first = value_length(value);
    if rule.whole_line {
        let is_more = !value[first..].trim().is_empty();
        return (is_literal(&value[..first]) || is_more).then(|| start..start + value.len());
    }
    is_written(&value[..first], rule.in_statement).then(|| start..start + first)
}

/// The length of a value: up to its closing quote, or to the next space.
fn value_length(value: &str) -> usize {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return value.find(char::is_whitespace).unwrap_or(value.len());
    };
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() => return at + 1,
            _ => {}
        }
    }
    value.len()
}
