//! Values as texts, as Postgres' COPY writes them: what `crate::values` reads back to the same value.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};

const SECONDS_PER_DAY: i64 = 86_400;

const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// A column as texts.
pub(super) fn of(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string().clone(),
        DataType::Binary => each(array.as_binary::<i32>().iter(), hexadecimal),
        DataType::Float32 => each(array.as_primitive::<Float32Type>().iter(), |value| number(value.into(), value)),
        DataType::Float64 => each(array.as_primitive::<Float64Type>().iter(), |value| number(value, value)),
        DataType::Date32 => {
            let dates = array.as_primitive::<Date32Type>().iter();
            tried(dates, |days| Some(date(moment(i64::from(days).checked_mul(SECONDS_PER_DAY)?, 0)?)))?
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let times = array.as_primitive::<TimestampMicrosecondType>().iter();
            let offset = if zone.is_some() { "+00:00" } else { "" };
            tried(times, |micros| {
                Some(timestamp(moment(micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))?, offset))
            })?
        }
        _ => cast_with_options(array, &DataType::Utf8, &STRICT)?.as_string().clone(),
    })
}

fn each<T>(values: impl Iterator<Item = Option<T>>, show: impl Fn(T) -> String) -> StringArray {
    values.map(|value| value.map(&show)).collect()
}

fn tried<T: Copy + std::fmt::Display>(
    values: impl Iterator<Item = Option<T>>,
    show: impl Fn(T) -> Option<String>,
) -> Result<StringArray, ArrowError> {
    let mut builder = StringBuilder::new();
    for value in values {
        match value {
            Some(value) => builder.append_value(
                show(value).ok_or_else(|| ArrowError::CastError(format!("{value} is out of the range of times")))?,
            ),
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The shortest digits that give the number back.
fn number(wide: f64, value: impl std::fmt::Display + std::fmt::LowerExp) -> String {
    if wide.is_nan() {
        "NaN".to_owned()
    } else if wide.is_infinite() {
        if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if wide == 0.0 || (1e-5..1e15).contains(&wide.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

fn moment(seconds: i64, micros: i64) -> Option<NaiveDateTime> {
    let nanos = u32::try_from(micros).ok()?.checked_mul(1_000)?;
    Some(DateTime::from_timestamp(seconds, nanos)?.naive_utc())
}

/// Years behind 9999 have more digits and no sign; the year 0 is 1 BC.
fn date(at: NaiveDateTime) -> String {
    let year = at.year();
    let (number, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{number:04}-{:02}-{:02}{era}", at.month(), at.day())
}

fn timestamp(at: NaiveDateTime, offset: &str) -> String {
    let day = date(at);
    let (day, era) = day.strip_suffix(" BC").map_or((day.as_str(), ""), |day| (day, " BC"));
    let clock = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    let fraction = match at.nanosecond() / 1_000 {
        0 => String::new(),
        micros if micros % 1_000 == 0 => format!(".{:03}", micros / 1_000),
        micros => format!(".{micros:06}"),
    };
    format!("{day} {clock}{fraction}{offset}{era}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use arrow::array::{BinaryArray, Date32Array, Float32Array, Float64Array, TimestampMicrosecondArray};
    use proptest::prelude::*;

    use super::*;
    use crate::values;

    fn text(array: ArrayRef) -> String {
        of(&array).unwrap().value(0).to_owned()
    }

    #[test]
    fn values_are_written_as_postgres_reads_them() {
        let micros = |text| values::timestamp(text, false).unwrap();
        let far = TimestampMicrosecondArray::from(vec![micros("15000-12-31 23:40:28")]);
        assert_eq!(text(Arc::new(far)), "15000-12-31 23:40:28");
        let fine = TimestampMicrosecondArray::from(vec![micros("1969-12-31 23:59:59.5")]).with_timezone("UTC");
        assert_eq!(text(Arc::new(fine)), "1969-12-31 23:59:59.500+00:00");
        assert_eq!(text(Arc::new(Date32Array::from(vec![-719_163]))), "0001-12-31 BC");
        assert_eq!(text(Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()]))), "\\x00ff");
        assert_eq!(text(Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))), "-Infinity");
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_its_text(micros in -62_135_596_800_000_000i64..i64::MAX / 2, double: f64, single: f32, bytes: Vec<u8>) {
            let arrays: [ArrayRef; 5] = [
                Arc::new(TimestampMicrosecondArray::from(vec![micros])),
                Arc::new(Date32Array::from(vec![i32::try_from(micros / 86_400_000_000).unwrap()])),
                Arc::new(Float64Array::from(vec![double])),
                Arc::new(Float32Array::from(vec![single])),
                Arc::new(BinaryArray::from(vec![bytes.as_slice()])),
            ];
            for array in arrays {
                let back = values::column(&of(&array).unwrap(), array.data_type()).unwrap();
                prop_assert_eq!(back.as_ref(), array.as_ref());
            }
        }
    }
}
