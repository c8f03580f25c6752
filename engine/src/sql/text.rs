//! Values as text and back, as Postgres' input and output functions have them.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::arithmetic::{fitting, out_of_range, power_of_ten};
use super::types::{MAX_DIGITS, Type, refused};
use super::{byte_codes, dates, intervals, lists};

/// A text that is no value of a type.
pub(super) fn invalid(kind: &str, text: &str) -> ArrowError {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    ArrowError::CastError(format!("'{shown}' is not a value of type {kind}"))
}

type Parsed<T> = std::result::Result<T, ArrowError>;

fn primitives<T: ArrowPrimitiveType>(
    column: &StringArray,
    parse: impl Fn(&str) -> Parsed<T::Native>,
) -> Result<ArrayRef> {
    let values = column.iter().map(|text| text.map(&parse).transpose()).collect::<Parsed<Vec<_>>>()?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(values)))
}

/// Texts as values of another type.
pub(super) fn parsed(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let texts = cast(column, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    match Type::of(kind) {
        Type::Text | Type::Char | Type::Native(_) => Ok(cast(column, kind)?),
        Type::Bool => {
            let values = texts.iter().map(|text| text.map(boolean).transpose()).collect::<Parsed<Vec<_>>>()?;
            Ok(Arc::new(BooleanArray::from(values)))
        }
        Type::Int2 => primitives::<Int16Type>(texts, |text| integer(text, "smallint")),
        Type::Int4 => primitives::<Int32Type>(texts, |text| integer(text, "integer")),
        Type::Int8 => primitives::<Int64Type>(texts, |text| integer(text, "bigint")),
        Type::Float4 => primitives::<Float32Type>(texts, |text| {
            let value: f32 = text.trim().parse().map_err(|_| invalid("real", text))?;
            in_range(text, f64::from(value), "real").map(|()| value)
        }),
        Type::Float8 => primitives::<Float64Type>(texts, |text| {
            let value: f64 = text.trim().parse().map_err(|_| invalid("double precision", text))?;
            in_range(text, value, "double precision").map(|()| value)
        }),
        Type::Numeric(precision, scale) => {
            let values = texts.iter().map(|text| text.map(|text| numeric(text, precision, scale)).transpose());
            let values = values.collect::<Parsed<Vec<_>>>()?;
            Ok(Arc::new(Decimal128Array::from(values).with_data_type(kind.clone())))
        }
        Type::Date => primitives::<Date32Type>(texts, dates::date),
        Type::Time => primitives::<Time64MicrosecondType>(texts, dates::time),
        Type::Timestamp => primitives::<TimestampMicrosecondType>(texts, dates::timestamp),
        Type::Timestamptz => {
            let moments = primitives::<TimestampMicrosecondType>(texts, dates::timestamptz)?;
            Ok(Arc::new(moments.as_primitive::<TimestampMicrosecondType>().clone().with_data_type(kind.clone())))
        }
        Type::Interval => primitives::<IntervalMonthDayNanoType>(texts, intervals::parsed),
        Type::Bytea => {
            let values = texts.iter().map(|text| text.map(bytes).transpose()).collect::<Parsed<Vec<_>>>()?;
            Ok(Arc::new(BinaryArray::from_iter(values)))
        }
        Type::Array(_) => lists::parsed(texts, kind),
        Type::Unknown | Type::Other(_) => Err(refused(format!("a text can't be read as {kind}"))),
    }
}

/// A float that is infinite or zero though its text names another number is out of range.
fn in_range(text: &str, value: f64, kind: &str) -> Parsed<()> {
    let names_infinity = text.to_ascii_lowercase().contains("inf");
    let names_zero =
        !text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'));
    if (value.is_infinite() && !names_infinity) || (value == 0.0 && !names_zero) {
        return Err(out_of_range(kind));
    }
    Ok(())
}

fn boolean(text: &str) -> Parsed<bool> {
    let lower = text.trim().to_ascii_lowercase();
    let is_start = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    if is_start("true", 1) || is_start("yes", 1) || is_start("on", 2) || lower == "1" {
        return Ok(true);
    }
    if is_start("false", 1) || is_start("no", 1) || is_start("off", 2) || lower == "0" {
        return Ok(false);
    }
    Err(invalid("boolean", text))
}

fn integer<T: TryFrom<i128>>(text: &str, kind: &str) -> Parsed<T> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(kind, text));
    }
    let value: i128 = trimmed.parse().map_err(|_| out_of_range(kind))?;
    T::try_from(value).map_err(|_| out_of_range(kind))
}

/// A numeric's parts: sign, digits without the point, how many of them are behind it.
struct Digits {
    is_negative: bool,
    digits: String,
    scale: i64,
}

fn split(text: &str) -> Option<Digits> {
    let trimmed = text.trim();
    let (is_negative, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Digits { is_negative, scale: i64::try_from(fraction.len()).ok()? - i64::from(exponent), digits })
}

/// A number of the digits that the type holds, rounded half away from zero.
fn numeric(text: &str, precision: u8, scale: u8) -> Parsed<i128> {
    let Digits { is_negative, digits, scale: found } = split(text).ok_or_else(|| invalid("numeric", text))?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let kept = length + i64::from(scale) - found;
    if kept > i64::from(MAX_DIGITS) {
        return Err(out_of_range("numeric"));
    }
    let value = match usize::try_from(kept) {
        Err(_) => Some(0),
        Ok(kept) => {
            let (kept, rest) = digits.split_at(kept.min(digits.len()));
            let up = power_of_ten(u8::try_from((i64::from(scale) - found).max(0)).unwrap_or(MAX_DIGITS));
            let value: i128 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| out_of_range("numeric"))? };
            value
                .checked_mul(up)
                .map(|value| value + i128::from(rest.as_bytes().first().is_some_and(|next| *next >= b'5')))
        }
    };
    let value = fitting(value, precision)?;
    Ok(if is_negative { -value } else { value })
}

/// The numeric type that holds a literal's digits.
pub(super) fn literal_numeric(text: &str) -> Result<Type> {
    let parts = split(text).ok_or_else(|| invalid("numeric", text))?;
    let scale = parts.scale.max(0);
    let whole = i64::try_from(parts.digits.trim_start_matches('0').len()).unwrap_or(i64::MAX) - parts.scale;
    let digits = u8::try_from(whole.max(0) + scale).ok().filter(|digits| *digits <= MAX_DIGITS);
    match (digits, u8::try_from(scale)) {
        (Some(digits), Ok(scale)) => Ok(Type::Numeric(digits.max(scale).max(1), scale)),
        _ => Err(refused(format!("the number {text} has more than {MAX_DIGITS} digits"))),
    }
}

/// Whether numbers have at most this many digits behind the point.
pub(super) fn exactly(column: &ArrayRef, scale: u8) -> Result<()> {
    let finer = |text: &&str| {
        split(text).is_some_and(|parts| {
            let zeros = parts.digits.len() - parts.digits.trim_end_matches('0').len();
            parts.scale - i64::try_from(zeros).unwrap_or(0) > i64::from(scale) && zeros < parts.digits.len()
        })
    };
    match column.as_string::<i32>().iter().flatten().find(finer) {
        Some(text) => {
            Err(invalid(&format!("numeric with {scale} digits behind the point (write numeric(p, s))"), text).into())
        }
        None => Ok(()),
    }
}

/// Hexadecimal, or the escape format.
fn bytes(text: &str) -> Parsed<Vec<u8>> {
    let wrong = || invalid("bytea", text);
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: String = digits.split_ascii_whitespace().collect();
        return hex::decode(digits).map_err(|_| wrong());
    }
    byte_codes::from_escaped(text).ok_or_else(wrong)
}

/// Values as Postgres prints them.
pub(crate) fn written(column: &ArrayRef) -> Result<ArrayRef> {
    let mut texts = StringBuilder::with_capacity(column.len(), column.len() * 8);
    let write: Box<dyn Fn(usize) -> Parsed<String>> = match Type::of(column.data_type()) {
        Type::Text | Type::Char | Type::Native(_) | Type::Unknown => return Ok(cast(column, &DataType::Utf8)?),
        Type::Float4 => Box::new(|row| Ok(float(f64::from(column.as_primitive::<Float32Type>().value(row)), true))),
        Type::Float8 => Box::new(|row| Ok(float(column.as_primitive::<Float64Type>().value(row), false))),
        Type::Numeric(_, scale) => {
            Box::new(move |row| Ok(decimal(column.as_primitive::<Decimal128Type>().value(row), scale)))
        }
        Type::Date => Box::new(|row| dates::date_text(column.as_primitive::<Date32Type>().value(row))),
        Type::Timestamp | Type::Timestamptz => {
            let plain = cast(column, &Type::Timestamp.arrow())?;
            let zone = if Type::of(column.data_type()) == Type::Timestamptz { "+00" } else { "" };
            Box::new(move |row| {
                dates::timestamp_text(plain.as_primitive::<TimestampMicrosecondType>().value(row), zone)
            })
        }
        Type::Interval => {
            Box::new(|row| Ok(intervals::written(column.as_primitive::<IntervalMonthDayNanoType>().value(row))))
        }
        Type::Bytea => {
            let plain = cast(column, &DataType::Binary)?;
            Box::new(move |row| Ok(format!("\\x{}", hex::encode(plain.as_binary::<i32>().value(row)))))
        }
        Type::Array(_) => Box::new(|row| lists::written(column, row)),
        Type::Time => {
            let plain = cast(column, &Type::Time.arrow())?;
            Box::new(move |row| Ok(dates::clock_text(plain.as_primitive::<Time64MicrosecondType>().value(row))))
        }
        Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 => return Ok(cast(column, &DataType::Utf8)?),
        Type::Other(other) => return Err(refused(format!("a value of type {other} has no text"))),
    };
    for row in 0..column.len() {
        texts.append_option(if column.is_null(row) { None } else { Some(write(row)?) });
    }
    Ok(Arc::new(texts.finish()))
}

fn decimal(value: i128, scale: u8) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// The shortest text that gives the float back, with an exponent where Postgres writes one.
fn float(value: f64, is_single: bool) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    #[allow(clippy::cast_possible_truncation, reason = "the value was made of a single float")]
    let text = if is_single { format!("{:e}", value as f32) } else { format!("{value:e}") };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= if is_single { 6 } else { 15 } {
        let mut text = format!("{sign}{mantissa}e");
        let _ = write!(text, "{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
        return text;
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0)));
    }
    if count <= exponent + 1 {
        return format!("{sign}{digits}{}", "0".repeat(usize::try_from(exponent + 1 - count).unwrap_or(0)));
    }
    let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(1));
    format!("{sign}{whole}.{fraction}")
}

/// Floats with this many significant digits, as Postgres makes numerics of them.
pub(super) fn digits(column: &ArrayRef, count: usize) -> Result<ArrayRef> {
    let wide = cast(column, &DataType::Float64)?;
    let texts = wide.as_primitive::<Float64Type>().iter().map(|value| match value {
        None => Ok(None),
        Some(value) if !value.is_finite() => Err(invalid("numeric that is stored here", &float(value, false))),
        Some(value) => Ok(Some(format!("{value:.width$e}", width = count - 1))),
    });
    Ok(Arc::new(texts.collect::<Parsed<StringArray>>()?))
}

/// varchar(n): a cast that is written cuts without a word, as the standard says.
pub(super) fn shortened(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    sized(columns, |text, length| text.chars().take(length).collect())
}

/// char(n), without the blanks at its end, which say nothing.
pub(super) fn padded(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    sized(columns, |text, length| {
        let text: String = text.chars().take(length).collect();
        text.trim_end_matches(' ').to_owned()
    })
}

/// Texts of char(n) as texts.
pub(super) fn without_blanks(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let texts = cast(&columns[0], &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter().map(|text| text.map(|text| text.trim_end_matches(' ')));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

fn sized(columns: &[ArrayRef], size: fn(&str, usize) -> String) -> Result<ArrayRef> {
    let texts = cast(&columns[0], &DataType::Utf8)?;
    let lengths = columns[1].as_primitive::<Int32Type>();
    let pairs = texts.as_string::<i32>().iter().zip(lengths.iter());
    let texts = pairs.map(|(text, length)| {
        text.map(|text| size(text, length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0)))
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}
