//! Functions of regular expressions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use datafusion::error::Result;
use regex::Regex;

use super::functions::Takes::{Int4, Text};
use super::functions::gives::{boolean, int4, text};
use super::functions::{Function, ours};
use super::matches::{self, Which};
use super::regexes::{NOT_PLAIN, is_plain, pattern, replacement};
use super::types::{Operand, Type, refused};

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("regexp_replace", &[Text, Text, Text], text, |c, _| replaced(c, Places::default())),
    ours("regexp_replace", &[Text, Text, Text, Text], text, |c, _| replaced(c, Places { flags: 3, ..NONE })),
    ours("regexp_replace", &[Text, Text, Text, Int4], text, |c, _| replaced(c, Places { start: 3, ..NONE })),
    ours("regexp_replace", &[Text, Text, Text, Int4, Int4], text, |c, _| {
        replaced(c, Places { start: 3, number: 4, ..NONE })
    }),
    ours("regexp_replace", &[Text, Text, Text, Int4, Int4, Text], text, |c, _| {
        replaced(c, Places { start: 3, number: 4, flags: 5, ..NONE })
    }),
    ours("regexp_like", &[Text, Text], boolean, |c, _| like(c)),
    ours("regexp_like", &[Text, Text, Text], boolean, |c, _| like(c)),
    ours("regexp_count", &[Text, Text], int4, |c, _| counted(c)),
    ours("regexp_count", &[Text, Text, Int4], int4, |c, _| counted(c)),
    ours("regexp_count", &[Text, Text, Int4, Text], int4, |c, _| counted(c)),
    ours("regexp_instr", &[Text, Text], int4, |c, _| place(c)),
    ours("regexp_instr", &[Text, Text, Int4], int4, |c, _| place(c)),
    ours("regexp_instr", &[Text, Text, Int4, Int4], int4, |c, _| place(c)),
    ours("regexp_instr", &[Text, Text, Int4, Int4, Int4], int4, |c, _| place(c)),
    ours("regexp_instr", &[Text, Text, Int4, Int4, Int4, Text], int4, |c, _| place(c)),
    ours("regexp_instr", &[Text, Text, Int4, Int4, Int4, Text, Int4], int4, |c, _| place(c)),
    ours("regexp_substr", &[Text, Text], text, |c, _| found(c)),
    ours("regexp_substr", &[Text, Text, Int4], text, |c, _| found(c)),
    ours("regexp_substr", &[Text, Text, Int4, Int4], text, |c, _| found(c)),
    ours("regexp_substr", &[Text, Text, Int4, Int4, Text], text, |c, _| found(c)),
    ours("regexp_substr", &[Text, Text, Int4, Int4, Text, Int4], text, |c, _| found(c)),
    ours("substring", &[Text, Text], text, |c, _| {
        let found = rows(c, NONE, true, |row| Ok(matches::groups(row.regex, row.text).and_then(first)))?;
        Ok(Arc::new(found.into_iter().map(Option::flatten).collect::<StringArray>()))
    }),
    ours("regexp_match", &[Text, Text], texts, |c, _| matched(c)),
    ours("regexp_match", &[Text, Text, Text], texts, |c, _| matched(c)),
    ours("regexp_split_to_array", &[Text, Text], texts, |c, _| split(c)),
    ours("regexp_split_to_array", &[Text, Text, Text], texts, |c, _| split(c)),
];

/// Functions that say which part of a text matches.
const OF_PARTS: [&str; 7] = [
    "regexp_replace",
    "regexp_count",
    "regexp_instr",
    "regexp_substr",
    "regexp_match",
    "regexp_split_to_array",
    "substring",
];

/// Whether a call's pattern, where it is known, finds the same as in Postgres.
pub(super) fn check(name: &str, operands: &[Operand]) -> Result<()> {
    let is_pattern = match name {
        "substring" => operands.len() == 2,
        "regexp_like" => true,
        name => OF_PARTS.contains(&name),
    };
    let Some(text) = operands.get(1).filter(|_| is_pattern).and_then(Operand::literal) else { return Ok(()) };
    if OF_PARTS.contains(&name) && !is_plain(text) {
        return Err(refused(NOT_PLAIN));
    }
    pattern(text, "").map(|_| ()).map_err(|error| refused(error.to_string()))
}

fn texts(_: &[Operand]) -> Type {
    Type::Array(Box::new(Type::Text))
}

fn first(groups: Vec<Option<&str>>) -> Option<String> {
    groups.into_iter().next().flatten().map(str::to_owned)
}

/// Which operands say more than the text and the pattern; 0 if none does.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    flags: usize,
    start: usize,
    number: usize,
    end: usize,
    group: usize,
}

const NONE: Places = Places { flags: 0, start: 0, number: 0, end: 0, group: 0 };

/// A text, its pattern and the match that is meant.
struct Row<'a> {
    index: usize,
    text: &'a str,
    regex: &'a Regex,
    flags: &'a str,
    which: Which,
    end: i32,
}

/// What is made of each row; NULL where an operand is NULL.
fn rows<T>(
    columns: &[ArrayRef],
    places: Places,
    is_part: bool,
    make: impl Fn(&Row<'_>) -> std::result::Result<T, String>,
) -> Result<Vec<Option<T>>> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known: Option<(&str, &str, Regex)> = None;
    let mut found = Vec::with_capacity(texts.len());
    for index in 0..texts.len() {
        if columns.iter().any(|column| column.is_null(index)) {
            found.push(None);
            continue;
        }
        let int = |place: usize, default: i32| match place {
            0 => default,
            place => columns[place].as_primitive::<Int32Type>().value(index),
        };
        let flags = if places.flags == 0 { "" } else { columns[places.flags].as_string::<i32>().value(index) };
        let wanted = patterns.value(index);
        let regex = match known.take() {
            Some((pattern, before, regex)) if (pattern, before) == (wanted, flags) => regex,
            _ if is_part && !is_plain(wanted) => return Err(ArrowError::CastError(NOT_PLAIN.to_owned()).into()),
            _ => pattern(wanted, flags)?,
        };
        let which = Which { start: int(places.start, 1), number: int(places.number, 1), group: int(places.group, 0) };
        let row = Row { index, text: texts.value(index), regex: &regex, flags, which, end: int(places.end, 0) };
        found.push(Some(make(&row).map_err(ArrowError::CastError)?));
        known = Some((wanted, flags, regex));
    }
    Ok(found)
}

/// The flag for all matches goes with regexp_replace alone.
fn alone(row: &Row<'_>) -> std::result::Result<(), String> {
    if row.flags.contains('g') { Err("the flag g goes with regexp_replace alone".to_owned()) } else { Ok(()) }
}

/// Places of the flags if they are the last of so many operands.
fn flagged(columns: &[ArrayRef], count: usize) -> usize {
    if columns.len() > count { count } else { 0 }
}

fn replaced(columns: &[ArrayRef], places: Places) -> Result<ArrayRef> {
    let replacements = columns[2].as_string::<i32>();
    let made = rows(columns, places, true, |row| {
        let number = if places.start == 0 && row.flags.contains('g') { 0 } else { row.which.number };
        let which = Which { number, ..row.which };
        matches::replaced(row.regex, row.text, which, |found| replacement(replacements.value(row.index), found))
    })?;
    Ok(Arc::new(StringArray::from(made)))
}

fn like(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let places = Places { flags: flagged(columns, 2), ..NONE };
    let found = rows(columns, places, false, |row| alone(row).map(|()| row.regex.is_match(row.text)))?;
    Ok(Arc::new(BooleanArray::from(found)))
}

fn counted(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let places = Places { start: flagged(columns, 2), flags: flagged(columns, 3), ..NONE };
    let found = rows(columns, places, true, |row| {
        alone(row)?;
        matches::count(row.regex, row.text, row.which.start)
    })?;
    Ok(Arc::new(Int32Array::from(found)))
}

fn place(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let at = |count: usize| flagged(columns, count);
    let places = Places { start: at(2), number: at(3), end: at(4), flags: at(5), group: at(6) };
    let found = rows(columns, places, true, |row| {
        alone(row)?;
        if !(0..=1).contains(&row.end) {
            return Err("the end of a match is asked for with 1, its start with 0".to_owned());
        }
        let found = matches::one(row.regex, row.text, row.which)?;
        Ok(found.map_or(0, |(from, to)| matches::place(row.text, if row.end == 1 { to } else { from })))
    })?;
    Ok(Arc::new(Int32Array::from(found)))
}

fn found(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let at = |count: usize| flagged(columns, count);
    let places = Places { start: at(2), number: at(3), flags: at(4), group: at(5), end: 0 };
    let found = rows(columns, places, true, |row| {
        alone(row)?;
        let found = matches::one(row.regex, row.text, row.which)?;
        Ok(found.map(|(from, to)| row.text[from..to].to_owned()))
    })?;
    Ok(Arc::new(found.into_iter().map(Option::flatten).collect::<StringArray>()))
}

fn matched(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let places = Places { flags: flagged(columns, 2), ..NONE };
    let found = rows(columns, places, true, |row| {
        alone(row)?;
        let groups = matches::groups(row.regex, row.text);
        Ok(groups.map(|groups| groups.into_iter().map(|group| group.map(str::to_owned)).collect::<Vec<_>>()))
    })?;
    Ok(lists(found.into_iter().map(Option::flatten)))
}

fn split(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let places = Places { flags: flagged(columns, 2), ..NONE };
    let found = rows(columns, places, true, |row| {
        alone(row)?;
        let parts = matches::between(row.regex, row.text);
        Ok(parts.into_iter().map(|part| Some(part.to_owned())).collect::<Vec<_>>())
    })?;
    Ok(lists(found.into_iter()))
}

/// Arrays of texts.
fn lists(rows: impl Iterator<Item = Option<Vec<Option<String>>>>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        let is_valid = row.is_some();
        row.into_iter().flatten().for_each(|text| lists.values().append_option(text));
        lists.append(is_valid);
    }
    Arc::new(lists.finish())
}
