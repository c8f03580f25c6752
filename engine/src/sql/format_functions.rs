//! to_char, to_date, to_timestamp and to_number over columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::arithmetic::{fitting, out_of_range, scale_of};
use super::dates::{DAY, from_days};
use super::formats::{Moment, Piece, pieces};
use super::functions::Takes::{Float4, Float8, Int4, Int8, Interval, Numeric, Text, Time, Timestamp, Timestamptz};
use super::functions::gives::{date, text, timestamptz};
use super::functions::{Function, ours};
use super::interval_formats::{self, Span};
use super::intervals::parts;
use super::number_digits::Number;
use super::number_formats::NumberFormat;
use super::readings;
use super::text::invalid;
use super::types::{MAX_DIGITS, Operand, Type, refused};

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("to_date", &[Text, Text], date, read),
    ours("to_timestamp", &[Text, Text], timestamptz, read),
    ours("to_number", &[Text, Text], number, read_numbers),
    ours("to_char", &[Timestamp, Text], text, |c, _| moments(c)),
    ours("to_char", &[Timestamptz, Text], text, |c, _| moments(c)),
    ours("to_char", &[Interval, Text], text, |c, _| spans(c)),
    // Postgres makes an interval of a time of day.
    ours("to_char", &[Time, Text], text, |c, _| spans(c)),
    ours("to_char", &[Int4, Text], text, |c, _| numbers(c)),
    ours("to_char", &[Int8, Text], text, |c, _| numbers(c)),
    ours("to_char", &[Numeric, Text], text, |c, _| numbers(c)),
    ours("to_char", &[Float4, Text], text, |c, _| numbers(c)),
    ours("to_char", &[Float8, Text], text, |c, _| numbers(c)),
];

/// Whether a call's format is known, and one that the type of its value has.
pub(super) fn check(name: &str, operands: &[Operand]) -> Result<()> {
    let ("to_char" | "to_date" | "to_timestamp" | "to_number", [value, format]) = (name, operands) else {
        return Ok(());
    };
    if name == "to_char" && value.kind == Type::Unknown {
        return Err(refused("to_char takes a value whose type is known: cast it"));
    }
    let Some(text) = format.literal() else {
        return match format.kind {
            Type::Unknown => Ok(()),
            _ => Err(refused(format!("{name} takes a quoted format"))),
        };
    };
    let is_number = name == "to_number" || (name == "to_char" && value.kind.is_number());
    if is_number {
        let format = NumberFormat::parse(text).map_err(refused)?;
        let is_readable = !format.is_roman && !format.is_scientific;
        return match name {
            "to_number" if !is_readable => Err(refused("to_number can't read EEEE and RN")),
            "to_number" if format.behind + format.shifted > usize::from(MAX_DIGITS) => {
                Err(refused(format!("a number has at most {MAX_DIGITS} digits")))
            }
            _ => Ok(()),
        };
    }
    let wrong = |part: &str| refused(format!("the pattern '{part}' of {name} is not supported"));
    let pieces = pieces(text).map_err(|part| wrong(&part))?;
    let missing = match (name, &value.kind) {
        ("to_char", Type::Interval | Type::Time) => interval_formats::missing(&pieces),
        ("to_char", _) => None,
        _ => readings::missing(&pieces),
    };
    missing.map_or(Ok(()), |part| Err(wrong(part)))
}

/// The numeric that holds every number of a format.
fn number(operands: &[Operand]) -> Type {
    let format = operands.get(1).and_then(Operand::literal).and_then(|text| NumberFormat::parse(text).ok());
    let format = format.unwrap_or_default();
    let digits = |count: usize| u8::try_from(count).map_or(MAX_DIGITS, |count| count.min(MAX_DIGITS));
    let precision = digits(format.before + format.shifted + format.behind);
    let scale = digits(format.behind + format.shifted);
    Type::Numeric(precision.max(scale).max(1), scale)
}

type Parsed<T> = std::result::Result<T, ArrowError>;

/// What is made of each row with its format, which is read once as long as it stays the same.
fn rows<F, T>(
    columns: &[ArrayRef],
    parse: impl Fn(&str) -> std::result::Result<F, String>,
    make: impl Fn(&F, usize) -> Parsed<Option<T>>,
) -> Parsed<Vec<Option<T>>> {
    let formats = columns[1].as_string::<i32>();
    let mut known: Option<(&str, F)> = None;
    let mut made = Vec::with_capacity(formats.len());
    for row in 0..formats.len() {
        if columns[0].is_null(row) || formats.is_null(row) {
            made.push(None);
            continue;
        }
        let format = formats.value(row);
        let parsed = match known.take() {
            Some((last, parsed)) if last == format => parsed,
            _ => parse(format).map_err(|part| invalid("format", &part))?,
        };
        made.push(make(&parsed, row)?);
        known = Some((format, parsed));
    }
    Ok(made)
}

/// to_char of a moment. An empty format makes NULL.
fn moments(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let is_instant = Type::of(columns[0].data_type()) == Type::Timestamptz;
    let moments = columns[0].as_primitive::<TimestampMicrosecondType>();
    let texts = rows(columns, pieces, |pieces: &Vec<Piece>, row| {
        let micros = moments.value(row);
        let day = i32::try_from(micros.div_euclid(DAY)).map_err(|_| out_of_range("timestamp"))?;
        let moment = Moment { date: from_days(day)?, clock: micros.rem_euclid(DAY), is_instant };
        Ok(Some(moment.written(pieces)).filter(|_| !pieces.is_empty()))
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

/// to_char of an interval or a time of day. An empty format makes NULL.
fn spans(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let span = |row: usize| match columns[0].data_type() {
        DataType::Time64(_) => {
            Span { months: 0, days: 0, micros: columns[0].as_primitive::<Time64MicrosecondType>().value(row) }
        }
        _ => {
            let (months, days, micros) = parts(columns[0].as_primitive::<IntervalMonthDayNanoType>().value(row));
            Span { months, days, micros }
        }
    };
    let texts = rows(columns, pieces, |pieces: &Vec<Piece>, row| {
        Ok(Some(span(row).written(pieces)).filter(|_| !pieces.is_empty()))
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

/// to_char of a number.
fn numbers(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    let scale = scale_of(column.data_type());
    let number = |row: usize| match column.data_type() {
        DataType::Int32 => Number::Int4(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Number::Int8(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Number::Float4(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Number::Float8(column.as_primitive::<Float64Type>().value(row)),
        _ => Number::Numeric(column.as_primitive::<Decimal128Type>().value(row), scale),
    };
    let texts = rows(columns, NumberFormat::parse, |format: &NumberFormat, row| {
        format.write(number(row)).map(Some).map_err(ArrowError::CastError)
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

/// to_number. An empty format makes NULL.
fn read_numbers(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let scale = usize::from(scale_of(kind));
    let precision = match kind {
        DataType::Decimal128(precision, _) => *precision,
        _ => MAX_DIGITS,
    };
    let values = rows(columns, NumberFormat::parse, |format: &NumberFormat, row| {
        if format.pieces.is_empty() {
            return Ok(None);
        }
        let (value, found) = format.read(texts.value(row)).map_err(ArrowError::CastError)?;
        fitting(Some(value).filter(|_| found == scale), precision).map(Some)
    })?;
    Ok(Arc::new(Decimal128Array::from(values).with_data_type(kind.clone())))
}

/// to_date and to_timestamp.
fn read(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (texts, formats) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let found = rows(columns, pieces, |pieces: &Vec<Piece>, row| {
        let wrong = || invalid(&format!("date in the format '{}'", formats.value(row)), texts.value(row));
        readings::reading(texts.value(row), pieces).map(Some).ok_or_else(wrong)
    })?;
    Ok(match kind {
        DataType::Date32 => {
            let days = found.into_iter().map(|found| found.map(|(day, _)| day));
            Arc::new(PrimitiveArray::<Date32Type>::from_iter(days))
        }
        _ => {
            let moments = found.into_iter().map(|found| found.map(|(_, micros)| micros));
            Arc::new(TimestampMicrosecondArray::from_iter(moments).with_data_type(kind.clone()))
        }
    })
}
