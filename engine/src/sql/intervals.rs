//! Intervals: months, days and time, as Postgres keeps, reads and prints them.

use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use arrow::error::ArrowError;

use super::arithmetic::out_of_range;
use super::dates::{DAY, clock_text};
use super::text::invalid;

type Parsed<T> = Result<T, ArrowError>;

/// An interval of months, days and microseconds.
pub(super) fn make(months: i64, days: i64, micros: i64) -> Parsed<IntervalMonthDayNano> {
    let wide = || out_of_range("interval");
    Ok(IntervalMonthDayNanoType::make_value(
        i32::try_from(months).map_err(|_| wide())?,
        i32::try_from(days).map_err(|_| wide())?,
        micros.checked_mul(1000).ok_or_else(wide)?,
    ))
}

/// Months, days and microseconds of an interval.
pub(super) fn parts(interval: IntervalMonthDayNano) -> (i64, i64, i64) {
    (i64::from(interval.months), i64::from(interval.days), interval.nanoseconds / 1000)
}

/// What intervals are compared by: a month has 30 days, a day 24 hours.
pub(super) fn length(interval: IntervalMonthDayNano) -> i128 {
    let (months, days, micros) = parts(interval);
    (i128::from(months) * 30 + i128::from(days)) * i128::from(DAY) + i128::from(micros)
}

/// Months, days, microseconds of one of a unit.
fn unit(name: &str) -> Option<(i64, i64, i64)> {
    Some(match name {
        "millennium" | "millennia" | "mil" | "mils" => (12_000, 0, 0),
        "century" | "centuries" | "c" | "cent" => (1_200, 0, 0),
        "decade" | "decades" | "dec" | "decs" => (120, 0, 0),
        "year" | "years" | "y" | "yr" | "yrs" => (12, 0, 0),
        "month" | "months" | "mon" | "mons" => (1, 0, 0),
        "week" | "weeks" | "w" => (0, 7, 0),
        "day" | "days" | "d" => (0, 1, 0),
        "hour" | "hours" | "h" | "hr" | "hrs" => (0, 0, 3_600_000_000),
        "minute" | "minutes" | "m" | "min" | "mins" => (0, 0, 60_000_000),
        "second" | "seconds" | "s" | "sec" | "secs" => (0, 0, 1_000_000),
        "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" => (0, 0, 1_000),
        "microsecond" | "microseconds" | "usec" | "usecs" | "us" => (0, 0, 1),
        _ => return None,
    })
}

/// Reads `1 year 2 mons -3 days 04:05:06.7`.
pub(super) fn parsed(text: &str) -> Parsed<IntervalMonthDayNano> {
    let wrong = || invalid("interval", text);
    let lower = text.trim().to_ascii_lowercase();
    let (lower, is_ago) = lower.strip_suffix(" ago").map_or((lower.as_str(), false), |rest| (rest, true));
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    let spaced = spaced(lower);
    let mut words = spaced.split_ascii_whitespace().filter(|word| *word != "@").peekable();
    if words.peek().is_none() {
        return Err(wrong());
    }
    while let Some(word) = words.next() {
        if word.contains(':') {
            micros += clock(word).ok_or_else(wrong)?;
            continue;
        }
        let amount: f64 = word.parse().map_err(|_| wrong())?;
        let name = words.next().unwrap_or("second");
        let (per_month, per_day, per_micro) = unit(name).ok_or_else(wrong)?;
        add(amount, (per_month, per_day, per_micro), (&mut months, &mut days, &mut micros));
    }
    let sign = if is_ago { -1 } else { 1 };
    make(months * sign, days * sign, micros * sign)
}

/// Blanks between a number and its unit.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 4);
    let mut last = ' ';
    for next in text.chars() {
        if last.is_ascii_digit() && next.is_ascii_alphabetic() {
            spaced.push(' ');
        }
        spaced.push(next);
        last = next;
    }
    spaced
}

/// Adds an amount of a unit: the fraction of a month becomes days, that of a day time.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "`make` refuses what is too large")]
pub(super) fn add(amount: f64, unit: (i64, i64, i64), sums: (&mut i64, &mut i64, &mut i64)) {
    let months = amount * unit.0 as f64;
    let days = amount * unit.1 as f64 + if unit.0 == 1 { months.fract() * 30.0 } else { 0.0 };
    let micros = amount * unit.2 as f64 + days.fract() * DAY as f64;
    *sums.0 += if unit.0 > 1 { months.round() } else { months.trunc() } as i64;
    *sums.1 += days.trunc() as i64;
    *sums.2 += micros.round() as i64;
}

/// `04:05`, `-04:05:06.7`
fn clock(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?, 0.0),
        [hours, minutes, seconds] => (hours.parse().ok()?, minutes.parse().ok()?, seconds.parse::<f64>().ok()?),
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, reason = "less than a minute")]
    let fraction = (seconds * 1e6).round() as i64;
    (minutes < 60 && (0.0..=60.0).contains(&seconds)).then_some(sign * ((hours * 60 + minutes) * 60_000_000 + fraction))
}

/// `1 year 2 mons 3 days 04:05:06.7`
pub(super) fn written(interval: IntervalMonthDayNano) -> String {
    let (months, days, micros) = parts(interval);
    let mut words: Vec<String> = Vec::new();
    let mut was_negative = false;
    for (amount, one, many) in [(months / 12, "year", "years"), (months % 12, "mon", "mons"), (days, "day", "days")] {
        if amount != 0 {
            let sign = if was_negative && amount > 0 { "+" } else { "" };
            words.push(format!("{sign}{amount} {}", if amount == 1 { one } else { many }));
            was_negative = amount < 0;
        }
    }
    if micros != 0 || words.is_empty() {
        let sign = if micros < 0 {
            "-"
        } else if was_negative {
            "+"
        } else {
            ""
        };
        let size = micros.unsigned_abs();
        let hours = size / 3_600_000_000;
        let rest = clock_text(i64::try_from(size % 3_600_000_000).unwrap_or(0));
        words.push(format!("{sign}{hours:02}{}", &rest[2..]));
    }
    words.join(" ")
}
