//! Texts as values of a type: exactly, or not at all.
//!
//! Arrow's own readers cut what a type can't hold: digits behind a decimal's scale, times finer than a microsecond, offsets of a timestamp without time
//! zone. Here each of them is an error.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, PrimitiveArray, PrimitiveBuilder, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{Datelike, NaiveDate};

/// Days from the first of January of the year 1 to 1970, by chrono's count from the year 1.
const EPOCH_FROM_CE: i32 = 719_163;

const DAY_MICROS: i64 = 86_400_000_000;

/// A text that is no value of the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub row: usize,
    /// e.g. `'x' is not an integer`.
    pub what: String,
}

type Parsed<T> = Result<T, String>;

/// A column of texts as a column of a type.
pub(crate) fn column(texts: &StringArray, to: &DataType) -> Result<ArrayRef, Wrong> {
    Ok(match to {
        DataType::Utf8 => Arc::new(texts.clone()),
        DataType::Boolean => {
            let mut builder = BooleanBuilder::with_capacity(texts.len());
            each(texts, |text| boolean(text).map(|value| builder.append_option(value)))?;
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            each(texts, |text| bytes(text).map(|value| builder.append_option(value)))?;
            Arc::new(builder.finish())
        }
        DataType::Int8 => Arc::new(primitive::<Int8Type>(texts, integer)?),
        DataType::Int16 => Arc::new(primitive::<Int16Type>(texts, integer)?),
        DataType::Int32 => Arc::new(primitive::<Int32Type>(texts, integer)?),
        DataType::Int64 => Arc::new(primitive::<Int64Type>(texts, integer)?),
        DataType::Float32 => Arc::new(primitive::<Float32Type>(texts, |text| float(text, f32::is_infinite))?),
        DataType::Float64 => Arc::new(primitive::<Float64Type>(texts, |text| float(text, f64::is_infinite))?),
        DataType::Date32 => Arc::new(primitive::<Date32Type>(texts, date)?),
        DataType::Decimal128(precision, scale) => {
            let values = primitive::<Decimal128Type>(texts, |text| decimal(text, *precision, *scale))?;
            let typed = values.with_precision_and_scale(*precision, *scale);
            Arc::new(typed.map_err(|error| Wrong { row: 0, what: error.to_string() })?)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = primitive::<TimestampMicrosecondType>(texts, |text| timestamp(text, zone.is_some()))?;
            Arc::new(values.with_timezone_opt(zone.clone()))
        }
        other => return Err(Wrong { row: 0, what: format!("texts can't be read as {other}") }),
    })
}

fn each(texts: &StringArray, mut take: impl FnMut(Option<&str>) -> Parsed<()>) -> Result<(), Wrong> {
    texts.iter().enumerate().try_for_each(|(row, text)| take(text).map_err(|what| Wrong { row, what }))
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    parse: impl Fn(&str) -> Parsed<T::Native>,
) -> Result<PrimitiveArray<T>, Wrong> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(texts.len());
    each(texts, |text| {
        builder.append_option(text.map(|text| parse(text.trim_ascii())).transpose()?);
        Ok(())
    })?;
    Ok(builder.finish())
}

/// A text in an error: quoted, and not longer than a line.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("'{}…'", &text[..end]),
        None => format!("'{text}'"),
    }
}

fn not_a(text: &str, kind: &str) -> String {
    format!("{} is not {kind}", shown(text))
}

fn boolean(text: Option<&str>) -> Parsed<Option<bool>> {
    let Some(text) = text else { return Ok(None) };
    let is = |words: &[&str]| words.iter().any(|word| text.trim_ascii().eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y", "on", "1"]) {
        Ok(Some(true))
    } else if is(&["false", "f", "no", "n", "off", "0"]) {
        Ok(Some(false))
    } else {
        Err(not_a(text, "true or false"))
    }
}

fn bytes(text: Option<&str>) -> Parsed<Option<Vec<u8>>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || format!("{} is not \\x and hexadecimal digits", shown(text));
    let digits =
        text.strip_prefix("\\x").filter(|digits| digits.len() % 2 == 0 && digits.is_ascii()).ok_or_else(wrong)?;
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain {
        return Err(wrong());
    }
    (0..digits.len()).step_by(2).map(pair).collect::<Result<_, _>>().map(Some).map_err(|_| wrong())
}

fn integer<T: std::str::FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{} is out of the range of its integer type", shown(text))
        } else {
            not_a(text, "an integer")
        }
    })
}

/// A floating-point number: rounded to one, since that was asked for, but never to infinity or to zero.
fn float<T: std::str::FromStr + Copy + Into<f64>>(text: &str, infinite: impl Fn(T) -> bool) -> Parsed<T> {
    let value: T = text.parse().map_err(|_| not_a(text, "a number"))?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let vanished = value.into() == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    // The word for infinity has letters; a number that became infinite has digits.
    if vanished || (infinite(value) && mantissa.bytes().any(|byte| byte.is_ascii_digit())) {
        return Err(format!("{} is out of the range of its floating-point type", shown(text)));
    }
    Ok(value)
}

/// The parts of a number's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits<'a> {
    pub negative: bool,
    pub whole: &'a str,
    pub fraction: &'a str,
    pub exponent: Option<&'a str>,
}

/// Takes a number's text apart; nothing if it is none.
pub(crate) fn digits(text: &str) -> Option<Digits<'_>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let power = exponent.map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    let fits = are_digits(whole)
        && are_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && power.is_none_or(|power| !power.is_empty() && are_digits(power));
    fits.then_some(Digits { negative: text.starts_with('-'), whole, fraction, exponent })
}

/// Whether a double keeps every digit of a number's text: printed at its shortest, it has the same ones.
pub(crate) fn is_double(text: &str) -> bool {
    // So many digits always come back.
    const SURE_DIGITS: usize = 15;
    if digits(text)
        .is_some_and(|number| number.exponent.is_none() && number.whole.len() + number.fraction.len() <= SURE_DIGITS)
    {
        return true;
    }
    let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) else { return false };
    let printed = format!("{value:e}");
    significant(text).is_some() && significant(text) == significant(&printed)
}

/// The digits that count, without zeros at either end, and the power of ten of the first.
fn significant(text: &str) -> Option<(String, i64)> {
    let Digits { whole, fraction, exponent, .. } = digits(text)?;
    let all = format!("{whole}{fraction}");
    let kept = all.trim_start_matches('0');
    let power = i64::try_from(whole.len()).ok()? - i64::try_from(all.len() - kept.len()).ok()?;
    let kept = kept.trim_end_matches('0');
    if kept.is_empty() {
        return Some((String::new(), 0));
    }
    Some((kept.to_owned(), power + exponent.map_or(Ok(0), str::parse).ok()?))
}

fn decimal(text: &str, precision: u8, scale: i8) -> Parsed<i128> {
    let Some(number) = digits(text) else { return Err(not_a(text, "a decimal")) };
    let Some((kept, power)) = significant(text) else { return Err(not_a(text, "a decimal")) };
    if kept.is_empty() {
        return Ok(0);
    }
    // The unscaled value is the digits that count, followed by so many zeros.
    let length = i64::try_from(kept.len()).unwrap_or(i64::MAX);
    let zeros = power.saturating_sub(length).saturating_add(i64::from(scale));
    if zeros < 0 {
        return Err(format!("{} has more than {scale} digits after the point", shown(text)));
    }
    if length.saturating_add(zeros) > i64::from(precision) {
        let most = i16::from(precision) - i16::from(scale);
        return Err(format!("{} has more than {most} digits before the point", shown(text)));
    }
    let unscaled = format!("{kept}{}", "0".repeat(usize::try_from(zeros).unwrap_or_default()));
    let unscaled: i128 = unscaled.parse().map_err(|_| not_a(text, "a decimal"))?;
    Ok(if number.negative { -unscaled } else { unscaled })
}

/// Days since 1970.
pub(crate) fn date(text: &str) -> Parsed<i32> {
    day(text).map(|day| day.num_days_from_ce() - EPOCH_FROM_CE).ok_or_else(|| not_a(text, "a date such as 2024-12-31"))
}

/// A day of the years from 1 on. Years behind 9999 have more digits, and perhaps a sign.
fn day(text: &str) -> Option<NaiveDate> {
    let mut parts = text.strip_prefix('+').unwrap_or(text).split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let short = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (4..=6).contains(&year.len()) && year.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !fits || !short(month) || !short(day) {
        return None;
    }
    let year: i32 = year.parse().ok().filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
}

/// Microseconds since 1970. With a zone the text may have an offset, and without one means UTC; without a zone an offset is refused.
pub(crate) fn timestamp(text: &str, zone: bool) -> Parsed<i64> {
    let wrong = || not_a(text, "a timestamp such as 2024-12-31 23:59:59.5");
    let (day_text, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii()),
        None => (text, "00:00:00"),
    };
    let day = day(day_text).ok_or_else(wrong)?;
    let (clock, offset) = split_offset(time);
    if offset.is_some() && !zone {
        return Err(format!(
            "{} has an offset, which a timestamp without time zone can't hold (timestamptz can)",
            shown(text)
        ));
    }
    let offset = offset.map_or(Some(0), offset_micros).ok_or_else(wrong)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let clock = clock_seconds(clock).ok_or_else(wrong)?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let fine = fraction.trim_end_matches('0');
    if fine.len() > 6 {
        return Err(format!("{} is finer than a microsecond, which can't be stored", shown(text)));
    }
    let micros: i64 = format!("{fine:0<6}").parse().map_err(|_| wrong())?;
    let days = i64::from(day.num_days_from_ce() - EPOCH_FROM_CE);
    days.checked_mul(DAY_MICROS)
        .and_then(|day| day.checked_add(clock * 1_000_000 + micros - offset))
        .ok_or_else(|| format!("{} is out of the range of timestamps", shown(text)))
}

/// Hours, minutes and perhaps seconds.
fn clock_seconds(text: &str) -> Option<i64> {
    let mut total = 0;
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for (part, (unit, most)) in parts.iter().zip([(3600, 23), (60, 59), (1, 59)]) {
        let value: i64 =
            Some(*part).filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        total += Some(value).filter(|value| *value <= most)? * unit;
    }
    Some(total)
}

/// A time, and the offset or `Z` behind it.
fn split_offset(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time[..at].trim_ascii_end(), Some(&time[at..])),
        None => match time.strip_suffix("UTC") {
            Some(clock) => (clock.trim_ascii_end(), Some("Z")),
            None => (time, None),
        },
    }
}

/// `Z`, `+02`, `+0530` or `-05:30` in microseconds.
fn offset_micros(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let plain: String = rest.chars().filter(|character| *character != ':').collect();
    if !matches!(plain.len(), 2 | 4) || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = plain[..2].parse().ok().filter(|hours| *hours <= 15)?;
    let minutes: i64 = if plain.len() == 4 { plain[2..].parse().ok().filter(|minutes| *minutes <= 59)? } else { 0 };
    Some(sign * (hours * 3600 + minutes * 60) * 1_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use arrow::util::display::array_value_to_string;

    use super::*;

    fn read(text: &str, to: &DataType) -> Result<String, String> {
        let array = column(&StringArray::from(vec![text]), to).map_err(|wrong| wrong.what)?;
        Ok(array_value_to_string(&array, 0).unwrap())
    }

    #[test]
    fn a_decimal_is_read_digit_for_digit_or_refused() {
        let money = DataType::Decimal128(6, 2);
        assert_eq!(read("12.50", &money).unwrap(), "12.50");
        assert_eq!(read("-1.5e2", &money).unwrap(), "-150.00");
        assert_eq!(read("1.2300", &money).unwrap(), "1.23");
        assert_eq!(read("1.239", &money).unwrap_err(), "'1.239' has more than 2 digits after the point");
        assert_eq!(read("12345", &money).unwrap_err(), "'12345' has more than 4 digits before the point");
        assert!(read("1e99999999999", &money).is_err() && read("1,5", &money).is_err() && read("NaN", &money).is_err());
        let wide = "99999999999999999999999999999999999999";
        assert_eq!(read(wide, &DataType::Decimal128(38, 0)).unwrap(), wide);
    }

    #[test]
    fn a_time_that_a_type_cannot_hold_is_refused_and_never_cut() {
        let (naive, utc) = (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        );
        assert_eq!(read("2024-01-01 10:00:00.123456000", &naive).unwrap(), "2024-01-01T10:00:00.123456");
        assert!(read("2024-01-01 10:00:00.123456789", &naive).unwrap_err().contains("finer than a microsecond"));
        assert!(read("2024-01-01T10:00:00+02:00", &naive).unwrap_err().contains("has an offset"));
        assert_eq!(read("2024-01-01T10:00:00+02:00", &utc).unwrap(), "2024-01-01T08:00:00Z");
        assert_eq!(read("2024-01-01 10:00:00-0530", &utc).unwrap(), "2024-01-01T15:30:00Z");
        assert!(read("2024-02-30 10:00:00", &naive).is_err() && read("2024-01-01 25:00:00", &naive).is_err());
        assert!(read("999999-01-01 00:00:00", &naive).is_err());
    }

    #[test]
    fn dates_have_years_from_1_to_beyond_9999() {
        assert_eq!(date("1970-01-02").unwrap(), 1);
        assert_eq!(date("0001-01-01").unwrap(), -719_162);
        assert!(date("15000-12-31").unwrap() > date("9999-12-31").unwrap());
        assert!(date("0000-01-01").is_err() && date("2024-01-01 00:00:00").is_err() && date("24-01-01").is_err());
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        assert!(read("9223372036854775808", &DataType::Int64).unwrap_err().contains("out of the range"));
        assert!(read("1.0", &DataType::Int64).is_err());
        assert!(read("1e999", &DataType::Float64).is_err() && read("1e-999", &DataType::Float64).is_err());
        assert!(read("1e39", &DataType::Float32).is_err());
        assert_eq!(read("-Infinity", &DataType::Float64).unwrap(), "-inf");
    }

    #[test]
    fn a_double_is_one_that_gives_all_digits_back() {
        for text in ["0.1", "-12345678901234.56", "1.50", "0", "1e300", "9007199254740992", "0.30000000000000004"] {
            assert!(is_double(text), "{text}");
        }
        for text in ["9007199254740993", "12345678901234567890", "0.1234567890123456789", "1e400", "x", ""] {
            assert!(!is_double(text), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_in_hexadecimal() {
        assert_eq!(read("\\x00fF", &DataType::Binary).unwrap(), "00ff");
        assert!(read("abc", &DataType::Binary).is_err() && read("\\x0", &DataType::Binary).is_err());
    }
}
