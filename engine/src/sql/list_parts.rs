//! Parts and places of arrays.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, ListBuilder, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::cast;
use super::functions::Takes::{Array as List, Int4, Text};
use super::functions::gives::{int4, text};
use super::functions::{Function, ours};
use super::kernel::{Form, Kernel};
use super::list_functions::{built, same, unified};
use super::rows::made;
use super::types::{Operand, Type, refused};

/// Functions that take any array.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("array_lower", &[List, Int4], int4, |c, _| {
        let list = c[0].as_list::<i32>();
        let dimensions = c[1].as_primitive::<Int32Type>();
        let found = made(c, |row| Ok((list.value_length(row) > 0 && dimensions.value(row) == 1).then_some(1_i32)))?;
        Ok(Arc::new(found.into_iter().map(Option::flatten).collect::<Int32Array>()))
    }),
    ours("array_dims", &[List], text, |c, _| {
        let list = c[0].as_list::<i32>();
        let found = made(c, |row| {
            let length = list.value_length(row);
            Ok((length > 0).then(|| format!("[1:{length}]")))
        })?;
        Ok(Arc::new(found.into_iter().map(Option::flatten).collect::<StringArray>()))
    }),
    ours("string_to_array", &[Text, Text], texts, |c, _| split(c)),
    ours("string_to_array", &[Text, Text, Text], texts, |c, _| split(c)),
    ours("trim_array", &[List, Int4], first, |c, _| {
        let counts = c[1].as_primitive::<Int32Type>();
        ranges(c, |row, length| {
            let count = counts.value(row);
            match usize::try_from(count).ok().and_then(|count| length.checked_sub(count)) {
                Some(kept) => Ok(0..kept),
                None => Err(format!("an array of {length} elements can't lose {count}")),
            }
        })
    }),
];

/// Texts between separators; one that is the text for NULL is NULL.
fn split(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, separators) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let nulls = columns.get(2).map(|column| column.as_string::<i32>());
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..texts.len() {
        let text = texts.is_valid(row).then(|| texts.value(row));
        let separator = separators.is_valid(row).then(|| separators.value(row));
        let null = nulls.filter(|nulls| nulls.is_valid(row)).map(|nulls| nulls.value(row));
        let parts: Vec<String> = match (text, separator) {
            (None | Some(""), _) => Vec::new(),
            (Some(text), None) => text.chars().map(String::from).collect(),
            (Some(text), Some("")) => vec![text.to_owned()],
            (Some(text), Some(separator)) => text.split(separator).map(str::to_owned).collect(),
        };
        for part in parts {
            lists.values().append_option(Some(part).filter(|part| null != Some(part.as_str())));
        }
        lists.append(text.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn texts(_: &[Operand]) -> Type {
    Type::Array(Box::new(Type::Text))
}

fn first(operands: &[Operand]) -> Type {
    operands.first().map_or(Type::Unknown, |operand| operand.kind.clone())
}

/// `(array)[low:high]`, with the elements that there are.
pub(super) fn slice(operands: Vec<Operand>) -> Result<Expr> {
    let [list, low, high] = <[Operand; 3]>::try_from(operands).map_err(|_| refused("a slice has two bounds"))?;
    let kind = list.kind.clone();
    match &kind {
        Type::Array(element) if matches!(**element, Type::Array(_)) => {
            return Err(refused("slices of arrays of several dimensions are not supported"));
        }
        Type::Array(_) => {}
        other => return Err(refused(format!("{other} has no elements: [ ] is for arrays"))),
    }
    let (low, high) = (cast::implicit(low, &Type::Int4)?, cast::implicit(high, &Type::Int4)?);
    let operands = vec![list.expr, low.expr, high.expr];
    Ok(Kernel::call("slice", Form::Call, kind, |c, _| sliced(c), operands))
}

fn sliced(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (lows, highs) = (columns[1].as_primitive::<Int32Type>(), columns[2].as_primitive::<Int32Type>());
    ranges(columns, |row, length| {
        let start = usize::try_from(lows.value(row)).unwrap_or(0).saturating_sub(1).min(length);
        let end = usize::try_from(highs.value(row)).unwrap_or(0).min(length);
        Ok(start..end.max(start))
    })
}

/// The elements of each row's range; NULL where an operand is NULL.
fn ranges(
    columns: &[ArrayRef],
    range: impl Fn(usize, usize) -> std::result::Result<Range<usize>, String>,
) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let found = made(columns, |row| range(row, list.value(row).len()))?;
    let mut pieces: Vec<ArrayRef> = Vec::with_capacity(found.len());
    let (mut lengths, mut valid) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
    for (row, range) in found.into_iter().enumerate() {
        valid.push(range.is_some());
        let range = range.unwrap_or(0..0);
        lengths.push(range.len());
        if !range.is_empty() {
            pieces.push(list.value(row).slice(range.start, range.len()));
        }
    }
    built(&list.value_type(), &pieces, lengths, valid)
}

/// array_position from an index on.
pub(super) fn position_from(mut operands: Vec<Operand>) -> Result<Expr> {
    let start = operands.pop().ok_or_else(|| refused("array_position needs a start"))?;
    let start = cast::implicit(start, &Type::Int4)?;
    let Some((_, mut exprs)) = unified(operands, &[0])? else {
        return Err(refused("array_position takes an array and an element of its type"));
    };
    exprs.push(start.expr);
    Ok(Kernel::call("array_position", Form::Call, Type::Int4, |c, _| positioned(c), exprs))
}

fn positioned(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let starts = columns[2].as_primitive::<Int32Type>();
    let rows = (0..list.len()).map(|row| -> Result<Option<i32>> {
        if list.is_null(row) {
            return Ok(None);
        }
        if starts.is_null(row) {
            return Err(ArrowError::CastError("the start of array_position is not NULL".to_owned()).into());
        }
        let start = usize::try_from(starts.value(row)).unwrap_or(0).saturating_sub(1);
        let found = same(&list.value(row), &columns[1], row)?;
        let index = (start..found.len()).find(|index| found.value(*index));
        Ok(index.and_then(|index| i32::try_from(index + 1).ok()))
    });
    Ok(Arc::new(rows.collect::<Result<Int32Array>>()?))
}

/// array_positions: all places of an element.
pub(super) fn positions(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let mut places = ListBuilder::new(Int32Builder::new());
    for row in 0..list.len() {
        if list.is_valid(row) {
            let found = same(&list.value(row), &columns[1], row)?;
            for index in (0..found.len()).filter(|index| found.value(*index)) {
                places.values().append_value(i32::try_from(index + 1).unwrap_or(i32::MAX));
            }
        }
        places.append(list.is_valid(row));
    }
    Ok(Arc::new(places.finish()))
}

/// array_fill: one element, so many times as the only dimension says.
pub(super) fn filled(operands: Vec<Operand>) -> Result<Expr> {
    let [element, lengths] = <[Operand; 2]>::try_from(operands)
        .map_err(|_| refused("array_fill takes an element and the length of its only dimension"))?;
    let kind = match &element.kind {
        Type::Unknown => return Err(refused("the element's type is unknown: cast it")),
        Type::Array(_) => return Err(refused("arrays of several dimensions are not supported")),
        kind => kind.clone(),
    };
    let lengths = cast::implicit(lengths, &Type::Array(Box::new(Type::Int4)))?;
    let list = Type::Array(Box::new(kind));
    Ok(Kernel::call("array_fill", Form::Call, list, |c, _| repeated(c), vec![element.expr, lengths.expr]))
}

/// Elements of an array of all of them at most.
const MOST: i32 = 10_000_000;

fn repeated(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let dimensions = columns[1].as_list::<i32>();
    let wrong = |what: &str| ArrowError::CastError(what.to_owned());
    let mut places: Vec<u32> = Vec::new();
    let mut lengths = Vec::with_capacity(dimensions.len());
    for row in 0..dimensions.len() {
        if dimensions.is_null(row) {
            return Err(wrong("the dimensions of an array are not NULL").into());
        }
        let values = dimensions.value(row);
        let values = values.as_primitive::<Int32Type>();
        let length = match values.len() {
            0 => 0,
            1 if values.is_null(0) => return Err(wrong("the length of an array is not NULL").into()),
            1 => values.value(0),
            _ => return Err(wrong("arrays of several dimensions are not supported").into()),
        };
        if !(0..=MOST).contains(&length) {
            return Err(wrong("the length of an array is out of range").into());
        }
        let length = usize::try_from(length).unwrap_or(0);
        places.extend(std::iter::repeat_n(u32::try_from(row).unwrap_or(u32::MAX), length));
        lengths.push(length);
    }
    let elements = take(&columns[0], &UInt32Array::from(places), None)?;
    let valid = vec![true; lengths.len()];
    built(columns[0].data_type(), &[elements], lengths, valid)
}
