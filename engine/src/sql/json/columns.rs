//! Columns of json and jsonb, whose values are texts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, StringArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::changes::{self, Change};
use super::paths::{self, Step};
use super::value::{self, Failure, Value};
use super::{numbers, read, write};

/// A value for a row, or NULL, or why there is none.
pub(super) type Answer<T> = std::result::Result<Option<T>, Failure>;

fn column<T, A>(answers: impl Iterator<Item = Answer<T>>) -> Result<ArrayRef>
where
    A: FromIterator<Option<T>> + Array + 'static,
{
    let values = answers.collect::<std::result::Result<A, Failure>>().map_err(ArrowError::CastError)?;
    Ok(Arc::new(values))
}

/// Texts of an answer for each text.
pub(super) fn texts(columns: &[ArrayRef], answer: impl Fn(&str) -> Answer<String>) -> Result<ArrayRef> {
    column::<_, StringArray>(columns[0].as_string::<i32>().iter().map(|text| text.map_or(Ok(None), &answer)))
}

/// Numbers of an answer for each text.
pub(super) fn counts(columns: &[ArrayRef], answer: impl Fn(&str) -> Answer<usize>) -> Result<ArrayRef> {
    let small = |count: usize| i32::try_from(count).map_err(|_| "there are too many elements".to_owned());
    column::<_, Int32Array>(columns[0].as_string::<i32>().iter().map(|text| match text {
        Some(text) => answer(text)?.map(small).transpose(),
        None => Ok(None),
    }))
}

fn pairs<T, A>(columns: &[ArrayRef], answer: impl Fn(&str, &str) -> Answer<T>) -> Result<ArrayRef>
where
    A: FromIterator<Option<T>> + Array + 'static,
{
    let pairs = columns[0].as_string::<i32>().iter().zip(columns[1].as_string::<i32>().iter());
    column::<_, A>(pairs.map(|pair| match pair {
        (Some(left), Some(right)) => answer(left, right),
        _ => Ok(None),
    }))
}

/// Texts of an answer for each document and text.
pub(super) fn by_text(columns: &[ArrayRef], answer: impl Fn(&str, &str) -> Answer<String>) -> Result<ArrayRef> {
    pairs::<_, StringArray>(columns, answer)
}

/// Conditions of an answer for each document and text.
pub(super) fn is_by_text(columns: &[ArrayRef], answer: impl Fn(&str, &str) -> Answer<bool>) -> Result<ArrayRef> {
    pairs::<_, BooleanArray>(columns, answer)
}

/// Texts of an answer for each document and index.
pub(super) fn by_index(columns: &[ArrayRef], answer: impl Fn(&str, i32) -> Answer<String>) -> Result<ArrayRef> {
    let pairs = columns[0].as_string::<i32>().iter().zip(columns[1].as_primitive::<Int32Type>().iter());
    column::<_, StringArray>(pairs.map(|pair| match pair {
        (Some(text), Some(index)) => answer(text, index),
        _ => Ok(None),
    }))
}

fn by_lists<T, A>(columns: &[ArrayRef], answer: impl Fn(&str, &[Option<&str>]) -> Answer<T>) -> Result<ArrayRef>
where
    A: FromIterator<Option<T>> + Array + 'static,
{
    let (texts, lists) = (columns[0].as_string::<i32>(), columns[1].as_list::<i32>());
    column::<_, A>(texts.iter().enumerate().map(|(row, text)| match text {
        Some(text) if lists.is_valid(row) => {
            let steps = lists.value(row);
            answer(text, &steps.as_string::<i32>().iter().collect::<Vec<_>>())
        }
        _ => Ok(None),
    }))
}

/// Texts of an answer for each document and list of texts.
pub(super) fn by_list(
    columns: &[ArrayRef],
    answer: impl Fn(&str, &[Option<&str>]) -> Answer<String>,
) -> Result<ArrayRef> {
    by_lists::<_, StringArray>(columns, answer)
}

/// Conditions of an answer for each document and list of texts.
pub(super) fn is_by_list(
    columns: &[ArrayRef],
    answer: impl Fn(&str, &[Option<&str>]) -> Answer<bool>,
) -> Result<ArrayRef> {
    by_lists::<_, BooleanArray>(columns, answer)
}

/// The part of a jsonb that a path leads to; a NULL in the path leads nowhere.
pub(super) fn at(text: &str, path: &[Option<&str>], is_plain: bool) -> Answer<String> {
    let document = read::jsonb(text)?;
    let Some(path) = path.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let found = paths::at(&document, &path);
    Ok(if is_plain { found.and_then(write::plain) } else { found.map(write::text) })
}

/// The part of a json that a path leads to, as it is written.
pub(super) fn part_at(text: &str, path: &[Option<&str>], is_plain: bool) -> Answer<String> {
    let Some(path) = path.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let steps: Vec<Step<'_>> = path.into_iter().map(Step::of_path).collect();
    part(text, &steps, is_plain)
}

/// The part of a json behind these steps.
pub(super) fn part(text: &str, steps: &[Step<'_>], is_plain: bool) -> Answer<String> {
    match paths::part(text, steps)? {
        Some(part) if is_plain => paths::plain(part),
        part => Ok(part.map(str::to_owned)),
    }
}

/// The parts that paths lead to whose steps are columns of their own.
pub(super) fn extracted(
    columns: &[ArrayRef],
    answer: impl Fn(&str, &[Option<&str>]) -> Answer<String>,
) -> Result<ArrayRef> {
    let (texts, steps) = columns.split_first().ok_or_else(|| super::refused("a document is missing"))?;
    let steps: Vec<&StringArray> = steps.iter().map(|column| column.as_string::<i32>()).collect();
    column::<_, StringArray>(texts.as_string::<i32>().iter().enumerate().map(|(row, text)| match text {
        Some(text) => {
            let path = steps.iter().map(|column| column.is_valid(row).then(|| column.value(row)));
            answer(text, &path.collect::<Vec<_>>())
        }
        None => Ok(None),
    }))
}

/// `jsonb_set` and `jsonb_insert`: the fourth operand, if it is there, chooses between two changes.
pub(super) fn changed(columns: &[ArrayRef], plain: Change, is_set: [Change; 2]) -> Result<ArrayRef> {
    let (texts, new) = (columns[0].as_string::<i32>(), columns[2].as_string::<i32>());
    let paths = columns[1].as_list::<i32>();
    let flags = columns.get(3).map(|flags| flags.as_boolean());
    column::<_, StringArray>((0..texts.len()).map(|row| {
        let change = match flags {
            None => plain,
            Some(flags) if flags.is_null(row) => return Ok(None),
            Some(flags) => is_set[usize::from(flags.value(row))],
        };
        if texts.is_null(row) || new.is_null(row) || paths.is_null(row) {
            return Ok(None);
        }
        let steps = paths.value(row);
        let steps: Vec<Option<&str>> = steps.as_string::<i32>().iter().collect();
        let (document, new) = (read::jsonb(texts.value(row))?, read::jsonb(new.value(row))?);
        Ok(Some(write::text(&changes::changed(document, &steps, &new, change)?)))
    }))
}

/// How two documents compare: -1, 0 or 1.
pub(super) fn compared(columns: &[ArrayRef]) -> Result<ArrayRef> {
    pairs::<_, Int32Array>(columns, |left, right| {
        Ok(Some(value::compare(&read::jsonb(left)?, &read::jsonb(right)?) as i32))
    })
}

/// A jsonb that is a number, for a cast to one. What gets a whole number is rounded.
pub(super) fn number(text: &str, is_whole: bool) -> Answer<String> {
    match read::jsonb(text)? {
        Value::Number(number) if is_whole => Ok(Some(numbers::whole(&number))),
        Value::Number(number) => Ok(Some(number)),
        other => Err(format!("a jsonb of type {} can't be cast to a number", other.kind())),
    }
}

/// A jsonb that is a condition, for a cast to one.
pub(super) fn condition(text: &str) -> Answer<String> {
    match read::jsonb(text)? {
        Value::Bool(value) => Ok(Some(value.to_string())),
        other => Err(format!("a jsonb of type {} can't be cast to a boolean", other.kind())),
    }
}

/// Arrays of texts of an answer for each text.
pub(super) fn lists(
    columns: &[ArrayRef],
    answer: impl Fn(&str) -> std::result::Result<Vec<Option<String>>, Failure>,
) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let mut elements = StringBuilder::new();
    let mut lengths = Vec::with_capacity(texts.len());
    let mut valid = Vec::with_capacity(texts.len());
    for text in texts {
        let found = text.map(&answer).transpose().map_err(ArrowError::CastError)?;
        valid.push(found.is_some());
        lengths.push(found.as_ref().map_or(0, Vec::len));
        found.into_iter().flatten().for_each(|element| elements.append_option(element));
    }
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid));
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(elements.finish()), Some(nulls))?))
}

/// The elements of a jsonb that is an array.
pub(super) fn elements(
    text: &str,
    element: impl Fn(&Value) -> Option<String>,
) -> std::result::Result<Vec<Option<String>>, Failure> {
    match read::jsonb(text)? {
        Value::Array(elements) => Ok(elements.iter().map(element).collect()),
        other => Err(format!("only an array has elements, and not a jsonb of type {}", other.kind())),
    }
}

/// The keys of a jsonb that is an object.
pub(super) fn keys(text: &str) -> std::result::Result<Vec<Option<String>>, Failure> {
    match read::jsonb(text)? {
        Value::Object(pairs) => Ok(pairs.into_iter().map(|(key, _)| Some(key)).collect()),
        other => Err(format!("only an object has keys, and not a jsonb of type {}", other.kind())),
    }
}
