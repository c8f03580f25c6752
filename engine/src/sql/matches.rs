//! What a regular expression finds in a text, one match after the other, as Postgres looks for them.

use regex::{Captures, Regex};

/// Which match is meant: where the search starts, the number of the match and of its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    pub(super) start: i32,
    pub(super) number: i32,
    pub(super) group: i32,
}

impl Which {
    /// The byte where the search starts; `None` behind the end.
    fn start_in(self, text: &str) -> Result<Option<usize>, String> {
        let start = usize::try_from(self.start).ok().filter(|start| *start > 0);
        let start = start.ok_or("the start of a search is positive")?;
        let mut places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
        Ok(places.nth(start - 1))
    }
}

/// The matches from a byte on. An empty one moves the search on by a character; those at the ends of the text or just behind
/// another match are left out on demand.
pub(super) fn all<'t>(regex: &Regex, text: &'t str, start: usize, has_empty: bool) -> Vec<Captures<'t>> {
    let mut found = Vec::new();
    let mut next = start;
    let mut last_end = 0;
    while next <= text.len() {
        let Some(captures) = regex.captures_at(text, next) else { break };
        let Some((from, to)) = captures.get(0).map(|whole| (whole.start(), whole.end())) else { break };
        if has_empty || (from < text.len() && to > last_end) {
            found.push(captures);
        }
        last_end = to;
        next = behind(text, from, to);
    }
    found
}

/// Where the search goes on behind a match.
fn behind(text: &str, from: usize, to: usize) -> usize {
    if to > from { to } else { to + text[to..].chars().next().map_or(1, char::len_utf8) }
}

/// How many matches there are.
pub(super) fn count(regex: &Regex, text: &str, start: i32) -> Result<i32, String> {
    let which = Which { start, number: 1, group: 0 };
    let found = which.start_in(text)?.map_or(0, |start| all(regex, text, start, true).len());
    Ok(i32::try_from(found).unwrap_or(i32::MAX))
}

/// The bytes that a match or its group begins and ends at.
pub(super) fn one(regex: &Regex, text: &str, which: Which) -> Result<Option<(usize, usize)>, String> {
    let start = which.start_in(text)?;
    let number = usize::try_from(which.number).ok().filter(|number| *number > 0);
    let number = number.ok_or("the number of a match is positive")?;
    let group = usize::try_from(which.group).map_err(|_| "the number of a group is not negative")?;
    // The whole of a pattern without groups is its first group.
    let group = if regex.captures_len() == 1 && group == 1 { 0 } else { group };
    let Some(start) = start else { return Ok(None) };
    let found = all(regex, text, start, true).into_iter().nth(number - 1);
    Ok(found.and_then(|found| found.get(group).map(|part| (part.start(), part.end()))))
}

/// The groups of the first match, or the whole of it if the pattern has none.
pub(super) fn groups<'t>(regex: &Regex, text: &'t str) -> Option<Vec<Option<&'t str>>> {
    let captures = regex.captures(text)?;
    let first = usize::from(captures.len() > 1);
    Some(captures.iter().skip(first).map(|group| group.map(|group| group.as_str())).collect())
}

/// What stands between the matches.
pub(super) fn between<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut end = 0;
    for captures in all(regex, text, 0, false) {
        if let Some(whole) = captures.get(0) {
            parts.push(&text[end..whole.start()]);
            end = whole.end();
        }
    }
    parts.push(&text[end..]);
    parts
}

/// The text with one match replaced, or all of them if the number is 0.
pub(super) fn replaced(
    regex: &Regex,
    text: &str,
    which: Which,
    replacement: impl Fn(&Captures<'_>) -> String,
) -> Result<String, String> {
    let wanted = usize::try_from(which.number).map_err(|_| "the number of a match is not negative")?;
    let Some(mut next) = which.start_in(text)? else { return Ok(text.to_owned()) };
    let (mut made, mut copied, mut number) = (String::new(), 0, 0);
    while next <= text.len() {
        let Some(captures) = regex.captures_at(text, next) else { break };
        let Some((from, to)) = captures.get(0).map(|whole| (whole.start(), whole.end())) else { break };
        number += 1;
        next = behind(text, from, to);
        if wanted > 0 && number != wanted {
            continue;
        }
        made.push_str(&text[copied..from]);
        made.push_str(&replacement(&captures));
        copied = to;
        if wanted > 0 {
            break;
        }
    }
    made.push_str(&text[copied..]);
    Ok(made)
}

/// The number of the character that begins at a byte, from 1.
pub(super) fn place(text: &str, byte: usize) -> i32 {
    i32::try_from(text[..byte].chars().count() + 1).unwrap_or(i32::MAX)
}
