//! Numbers, dates and times as they are written, digit for digit.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};

use super::Reason;

/// Bytes of the longest decimal: 1,000 digits have 416.
const MOST_DECIMAL_BYTES: usize = 512;

const TOO_LARGE: Reason = "the number has more digits than its type";

/// An unscaled number, big-endian, as long as 128 bits hold it.
pub(crate) fn unscaled(bytes: &[u8]) -> Result<i128, Reason> {
    let Some(first) = bytes.first() else { return Err("a decimal has no bytes") };
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let start = bytes.len().saturating_sub(16);
    let (extra, kept) = bytes.split_at(start);
    let negative = kept.first().is_some_and(|byte| byte & 0x80 != 0);
    if extra.iter().any(|byte| *byte != sign) || (!extra.is_empty() && negative != (sign == 0xff)) {
        return Err(TOO_LARGE);
    }
    let mut all = [sign; 16];
    all[16 - kept.len()..].copy_from_slice(kept);
    Ok(i128::from_be_bytes(all))
}

/// An unscaled number of one scale in another, of at most so many digits.
pub(crate) fn rescaled(value: i128, from: usize, to: usize, precision: u8) -> Result<i128, Reason> {
    if value == 0 {
        return Ok(0);
    }
    let power = |digits: usize| u32::try_from(digits).ok().and_then(|digits| 10_i128.checked_pow(digits));
    let value = match power(from.abs_diff(to)) {
        Some(factor) if to >= from => value.checked_mul(factor).ok_or(TOO_LARGE)?,
        Some(factor) if value % factor == 0 => value / factor,
        None if to >= from => return Err(TOO_LARGE),
        _ => return Err("the number has more digits behind the point than the column's type"),
    };
    let limit = 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    if value.unsigned_abs() < limit { Ok(value) } else { Err(TOO_LARGE) }
}

/// A decimal of any length as a number is written.
pub(crate) fn decimal(bytes: &[u8], scale: usize) -> Result<String, Reason> {
    let (negative, digits) = match unscaled(bytes) {
        Ok(value) => (value < 0, value.unsigned_abs().to_string()),
        Err(reason) if bytes.len() <= 16 => return Err(reason),
        Err(_) => long(bytes)?,
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    Ok(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// Sign and digits of a number of more than 128 bits.
fn long(bytes: &[u8]) -> Result<(bool, String), Reason> {
    /// Nine digits are taken off at once.
    const STEP: u64 = 1_000_000_000;
    if bytes.len() > MOST_DECIMAL_BYTES {
        return Err(TOO_LARGE);
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut size = bytes.to_vec();
    if negative {
        // Two's complement: all bits turned, and one more.
        let mut carry = true;
        for byte in size.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut groups = Vec::new();
    while size.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u64;
        for byte in &mut size {
            let value = rest << 8 | u64::from(*byte);
            // The rest is below STEP, so that the quotient is a byte.
            *byte = u8::try_from(value / STEP).unwrap_or_default();
            rest = value % STEP;
        }
        groups.push(rest);
    }
    let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
    let digits = digits.trim_start_matches('0');
    Ok((negative, if digits.is_empty() { "0" } else { digits }.to_owned()))
}

/// The shortest digits that mean just this number of its type, as Postgres prints it.
pub(crate) fn float<T: serde::Serialize + Into<f64> + Copy>(value: T) -> Result<String, Reason> {
    let wide: f64 = value.into();
    Ok(match wide {
        _ if wide.is_nan() => "NaN".to_owned(),
        _ if wide.is_infinite() => if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        _ => serde_json::to_string(&value).map_err(|_| "the number can't be written")?,
    })
}

/// Adds the same to a text of JSON.
pub(crate) fn json_float<T: serde::Serialize + Into<f64> + Copy>(value: T, out: &mut Vec<u8>) -> Result<(), Reason> {
    match value.into().is_finite() {
        true => serde_json::to_writer(out, &value).map_err(|_| "a number can't be written"),
        false => Err("NaN and infinity are not numbers of JSON"),
    }
}

/// Adds a string to a text of JSON.
pub(crate) fn json_string(text: &str, out: &mut Vec<u8>) -> Result<(), Reason> {
    serde_json::to_writer(out, text).map_err(|_| "a string can't be written")
}

/// Adds bytes to a text that has to be UTF-8.
pub(crate) fn utf8(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    std::str::from_utf8(bytes).map_err(|_| "the bytes are not UTF-8, and the column's type is text")?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Days from the first of January of the year 1 to 1970, by chrono's count from the year 1.
const EPOCH_FROM_CE: i32 = 719_163;

/// A day since 1970 that a date holds.
pub(crate) fn day(days: i32) -> Result<i32, Reason> {
    calendar(days).map(|_| days)
}

fn calendar(days: i32) -> Result<NaiveDate, Reason> {
    let day = days.checked_add(EPOCH_FROM_CE).and_then(NaiveDate::from_num_days_from_ce_opt);
    day.filter(|day| day.year() >= 1).ok_or("the date is before the year 1 or too far in the future to be carried")
}

/// `YYYY-MM-DD`.
pub(crate) fn date(days: i32) -> Result<String, Reason> {
    let day = calendar(days)?;
    Ok(format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day()))
}

/// Microseconds since 1970 that a timestamp holds.
pub(crate) fn micros(value: i64, millis: bool) -> Result<i64, Reason> {
    const WRONG: Reason = "the timestamp is before the year 1 or too far in the future to be carried";
    let micros = if millis { value.checked_mul(1_000).ok_or(WRONG)? } else { value };
    DateTime::from_timestamp_micros(micros).filter(|time| time.year() >= 1).map(|_| micros).ok_or(WRONG)
}

/// `YYYY-MM-DD hh:mm:ss.ffffff` without zeros at its end, and with another letter in between.
pub(crate) fn timestamp(micros: i64, between: char) -> Result<String, Reason> {
    let time = DateTime::from_timestamp_micros(micros).ok_or("the timestamp is too far away to be written")?;
    let day = format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
    let of_day = u64::from(time.num_seconds_from_midnight()) * 1_000_000 + u64::from(time.nanosecond() / 1_000);
    Ok(format!("{day}{between}{}", clock(of_day)))
}

/// A time of day in microseconds, as Postgres prints it.
pub(crate) fn time(micros: i64) -> Result<String, Reason> {
    /// Midnight at the day's end is not one of Avro's times.
    const DAY: u64 = 86_400_000_000;
    let micros = u64::try_from(micros).ok().filter(|micros| *micros < DAY);
    micros.map(clock).ok_or("a time of day is negative or longer than a day")
}

fn clock(micros: u64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        return clock;
    }
    let fraction = format!("{fraction:06}");
    format!("{clock}.{}", fraction.trim_end_matches('0'))
}
