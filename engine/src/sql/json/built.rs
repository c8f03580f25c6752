//! JSON made of values of other types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::super::text;
use super::super::types::Type;
use super::value::{Failure, Value};
use super::{read, write};

/// Values as JSON: numbers and conditions as they are, moments as ISO 8601 has them, everything else as a text.
pub(super) fn pieces(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    let kind = Type::of(column.data_type());
    if let Type::Array(_) = kind {
        return (0..column.len()).map(|row| list(column, row)).collect();
    }
    let texts = text::written(column)?;
    let piece = |text: &str| match &kind {
        kind if kind.is_float() && !text.ends_with(|last: char| last.is_ascii_digit()) => quoted(text),
        kind if kind.is_number() => text.to_owned(),
        Type::Bool => text.to_owned(),
        Type::Timestamp => quoted(&text.replacen(' ', "T", 1)),
        Type::Timestamptz => quoted(&text.replacen(' ', "T", 1).replacen("+00", "+00:00", 1)),
        _ => quoted(text),
    };
    Ok(texts.as_string::<i32>().iter().map(|text| text.map(piece)).collect())
}

fn list(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let values = match column.as_list_opt::<i32>() {
        Some(list) => list.value(row),
        None => column.as_list::<i64>().value(row),
    };
    let elements: Vec<String> = pieces(&values)?.into_iter().map(or_null).collect();
    Ok(Some(format!("[{}]", elements.join(","))))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write::quoted(text, &mut out);
    out
}

fn or_null(piece: Option<String>) -> String {
    piece.unwrap_or_else(|| "null".to_owned())
}

/// JSON as jsonb writes it.
fn normal(text: &str) -> std::result::Result<String, Failure> {
    Ok(write::text(&read::jsonb(text)?))
}

fn column(texts: impl Iterator<Item = std::result::Result<Option<String>, Failure>>) -> Result<ArrayRef> {
    let texts = texts.collect::<std::result::Result<StringArray, Failure>>().map_err(ArrowError::CastError)?;
    Ok(Arc::new(texts))
}

/// `to_json` and `to_jsonb`
pub(super) fn converted(values: &ArrayRef, is_binary: bool) -> Result<ArrayRef> {
    let pieces = pieces(values)?.into_iter();
    column(pieces.map(|piece| match piece {
        Some(piece) if is_binary => normal(&piece).map(Some),
        piece => Ok(piece),
    }))
}

/// Rows of columns. Without a column there is one row.
fn count(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(1, |column| column.len())
}

/// The piece of each column in a row.
fn pieces_of(columns: &[ArrayRef], row: usize) -> Vec<Option<&str>> {
    let texts = columns.iter().map(|column| column.as_string::<i32>());
    texts.map(|texts| texts.is_valid(row).then(|| texts.value(row))).collect()
}

/// `json_build_array` and `jsonb_build_array`, of pieces of JSON.
pub(super) fn array(columns: &[ArrayRef], is_binary: bool) -> Result<ArrayRef> {
    column((0..count(columns)).map(|row| {
        let pieces = pieces_of(columns, row).into_iter();
        let elements: Vec<&str> = pieces.map(|piece| piece.unwrap_or("null")).collect();
        let text = format!("[{}]", elements.join(", "));
        Ok(Some(if is_binary { normal(&text)? } else { text }))
    }))
}

/// `json_agg` and `jsonb_agg`, of arrays of pieces of JSON.
pub(super) fn gathered(columns: &[ArrayRef], is_binary: bool) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    column((0..lists.len()).map(|row| {
        if lists.is_null(row) {
            return Ok(None);
        }
        let pieces = lists.value(row);
        let pieces: Vec<&str> = pieces.as_string::<i32>().iter().map(|piece| piece.unwrap_or("null")).collect();
        let text = format!("[{}]", pieces.join(", "));
        Ok(Some(if is_binary { normal(&text)? } else { text }))
    }))
}

/// `json_build_object` and `jsonb_build_object`, of pieces of JSON.
pub(super) fn object(columns: &[ArrayRef], is_binary: bool) -> Result<ArrayRef> {
    column((0..count(columns)).map(|row| {
        let pieces = pieces_of(columns, row);
        let mut members = Vec::with_capacity(pieces.len() / 2);
        for pair in pieces.chunks(2) {
            let [key, value] = pair else { return Err("keys and values go in pairs".to_owned()) };
            let key = key.ok_or_else(|| "a key of an object is NULL".to_owned())?;
            let key = if key.starts_with('"') { key.to_owned() } else { quoted(key) };
            members.push(format!("{key} : {}", value.unwrap_or("null")));
        }
        let text = format!("{{{}}}", members.join(", "));
        Ok(Some(if is_binary { normal(&text)? } else { text }))
    }))
}

/// `jsonb_object`, of keys and values in turn or in two arrays.
pub(super) fn of_texts(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let keys = columns[0].as_list::<i32>();
    let values = columns.get(1).map(|values| values.as_list::<i32>());
    column((0..keys.len()).map(|row| {
        if keys.is_null(row) || values.is_some_and(|values| values.is_null(row)) {
            return Ok(None);
        }
        let texts = |list: ArrayRef| -> Vec<Option<String>> {
            list.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
        };
        let keys = texts(keys.value(row));
        let pairs: Vec<(Option<String>, Option<String>)> = match values {
            Some(values) => {
                let values = texts(values.value(row));
                if keys.len() != values.len() {
                    return Err("there are not as many values as keys".to_owned());
                }
                keys.into_iter().zip(values).collect()
            }
            None if keys.len() % 2 == 1 => return Err("keys and values go in pairs".to_owned()),
            None => keys.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        };
        let pairs = pairs.into_iter().map(|(key, value)| {
            let key = key.ok_or_else(|| "a key of an object is NULL".to_owned())?;
            Ok((key, value.map_or(Value::Null, Value::Text)))
        });
        Ok(Some(write::text(&Value::object(pairs.collect::<std::result::Result<_, Failure>>()?))))
    }))
}
