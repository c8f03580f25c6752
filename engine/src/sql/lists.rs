//! Arrays as text and back, and casts of their elements.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::cast;
use super::text::{self, invalid};
use super::types::refused;

fn element(kind: &DataType) -> Result<&FieldRef> {
    match kind {
        DataType::List(field) => Ok(field),
        other => Err(refused(format!("{other} is no array"))),
    }
}

/// An array whose elements are cast.
pub(super) fn converted(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let field = element(kind)?;
    let plain = match column.data_type() {
        DataType::List(_) => Arc::clone(column),
        DataType::LargeList(inner) => arrow::compute::cast(column, &DataType::List(Arc::clone(inner)))?,
        other => return Err(refused(format!("{other} is no array"))),
    };
    let list = plain.as_list::<i32>();
    let values = match list.value_type() {
        DataType::Null => arrow::array::new_null_array(field.data_type(), list.values().len()),
        _ => cast::array(list.values(), field.data_type())?,
    };
    let field = Arc::new(field.as_ref().clone().with_nullable(true));
    Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
}

/// `{1,NULL,"a b"}`
pub(super) fn written(column: &ArrayRef, row: usize) -> std::result::Result<String, ArrowError> {
    let values = match column.as_list_opt::<i32>() {
        Some(list) => list.value(row),
        None => column.as_list::<i64>().value(row),
    };
    let texts = text::written(&values).map_err(|error| ArrowError::CastError(error.to_string()))?;
    let is_bool = *values.data_type() == DataType::Boolean;
    let is_nested = matches!(values.data_type(), DataType::List(_) | DataType::LargeList(_));
    let elements: Vec<String> = texts
        .as_string::<i32>()
        .iter()
        .map(|text| match text {
            None => "NULL".to_owned(),
            Some("true") if is_bool => "t".to_owned(),
            Some("false") if is_bool => "f".to_owned(),
            Some(text) if is_nested => text.to_owned(),
            Some(text) => quoted(text),
        })
        .collect();
    Ok(format!("{{{}}}", elements.join(",")))
}

/// An element in quotes, where its text needs them.
fn quoted(text: &str) -> String {
    let is_special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(is_special) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text.to_owned()
}

/// Reads arrays of one dimension.
pub(super) fn parsed(texts: &StringArray, kind: &DataType) -> Result<ArrayRef> {
    let field = element(kind)?;
    let mut elements = StringBuilder::new();
    let mut lengths = Vec::with_capacity(texts.len());
    for text in texts {
        let found = text.map(|text| split(text).ok_or_else(|| invalid("array of one dimension", text))).transpose()?;
        lengths.push(found.as_ref().map_or(0, Vec::len));
        found.into_iter().flatten().for_each(|element| elements.append_option(element));
    }
    let elements: ArrayRef = Arc::new(elements.finish());
    let values = text::parsed(&elements, field.data_type())?;
    let nulls = NullBuffer::from_iter(texts.iter().map(|text| text.is_some()));
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, Some(nulls))?))
}

fn split(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    if inner.trim().is_empty() {
        return Some(elements);
    }
    let mut rest = inner.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let mut element = String::new();
        let is_quoted = rest.next_if_eq(&'"').is_some();
        loop {
            match rest.next_if(|c| is_quoted || *c != ',') {
                Some('"') if is_quoted => break,
                Some('\\') => element.push(rest.next()?),
                Some('{' | '}' | '"') if !is_quoted => return None,
                Some(c) => element.push(c),
                None if is_quoted => return None,
                None => break,
            }
        }
        if is_quoted {
            while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
            elements.push(Some(element));
        } else {
            let element = element.trim_end();
            if element.is_empty() {
                return None;
            }
            elements.push(if element.eq_ignore_ascii_case("null") { None } else { Some(element.to_owned()) });
        }
        match rest.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}
