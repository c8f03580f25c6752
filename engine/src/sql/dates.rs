//! Dates and times as text and back.

use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate, NaiveTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use super::arithmetic::out_of_range;
use super::text::invalid;

type Parsed<T> = Result<T, ArrowError>;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;

/// Days from the year 0 to 1970.
const EPOCH: i32 = 719_163;

/// What a text says: a date, a time of day in microseconds, a zone.
struct Parts<'a> {
    date: Option<NaiveDate>,
    micros: Option<i64>,
    zone: Option<&'a str>,
}

/// The day's number since 1970.
pub(super) fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH
}

/// The date of a day's number since 1970.
pub(super) fn from_days(days: i32) -> Parsed<NaiveDate> {
    let days = days.checked_add(EPOCH).ok_or_else(|| out_of_range("date"))?;
    NaiveDate::from_num_days_from_ce_opt(days).ok_or_else(|| out_of_range("date"))
}

/// Days since 1970.
pub(super) fn date(text: &str) -> Parsed<i32> {
    parts(text).and_then(|parts| parts.date).map(days).ok_or_else(|| wrong("date", text))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Parsed<i64> {
    match parts(text) {
        Some(Parts { micros: Some(micros), .. }) => Ok(micros),
        _ => Err(wrong("time", text)),
    }
}

/// Microseconds since 1970 on the clock that the text shows; a zone in it says nothing, as in Postgres.
pub(super) fn timestamp(text: &str) -> Parsed<i64> {
    let parts = parts(text).ok_or_else(|| wrong("timestamp", text))?;
    let date = parts.date.ok_or_else(|| wrong("timestamp", text))?;
    i64::from(days(date))
        .checked_mul(DAY)
        .and_then(|day| day.checked_add(parts.micros.unwrap_or(0)))
        .ok_or_else(|| out_of_range("timestamp"))
}

/// Microseconds since 1970 in UTC, which is also the zone of a text without one.
pub(super) fn timestamptz(text: &str) -> Parsed<i64> {
    let clock = timestamp(text)?;
    match parts(text).and_then(|parts| parts.zone) {
        None => Ok(clock),
        Some(zone) => Zone::parse(zone).ok_or_else(|| wrong("timestamptz", text))?.to_utc(clock),
    }
}

fn wrong(kind: &str, text: &str) -> ArrowError {
    invalid(kind, text)
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let text = text.trim();
    let (text, is_bc) = match text.strip_suffix(" BC").or_else(|| text.strip_suffix(" bc")) {
        Some(rest) => (rest.trim_end(), true),
        None => (text, false),
    };
    let end = text.find(['T', 't', ' ']).filter(|end| text[..*end].starts_with(|first: char| first.is_ascii_digit()));
    let (head, tail) = end.map_or((text, ""), |end| (&text[..end], text[end + 1..].trim_start()));
    if head.contains(':') {
        let (micros, zone) = clock(text)?;
        return Some(Parts { date: None, micros: Some(micros), zone });
    }
    let date = calendar(head, is_bc)?;
    if tail.is_empty() {
        return Some(Parts { date: Some(date), micros: None, zone: None });
    }
    let (micros, zone) = clock(tail)?;
    Some(Parts { date: Some(date), micros: Some(micros), zone })
}

/// `2024-1-5`, `2024/01/05`, `20240105`.
fn calendar(text: &str, is_bc: bool) -> Option<NaiveDate> {
    let number =
        |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u32>().ok() } else { None };
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() >= 4 && month.len() <= 2 && day.len() <= 2 => {
            (number(year)?, number(month)?, number(day)?)
        }
        [all] if all.len() == 8 && all.is_ascii() => (number(&all[..4])?, number(&all[4..6])?, number(&all[6..])?),
        _ => return None,
    };
    let year = i32::try_from(year).ok()?;
    NaiveDate::from_ymd_opt(if is_bc { 1 - year } else { year }, month, day).filter(|_| year > 0)
}

/// `12:30`, `12:30:45.123456`, with a zone behind it; microseconds beyond the sixth digit are rounded.
fn clock(text: &str) -> Option<(i64, Option<&str>)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let zone = Some(zone.trim()).filter(|zone| !zone.is_empty());
    if zone.is_some_and(|zone| Zone::parse(zone).is_none()) {
        return None;
    }
    let mut parts = clock.split(':');
    let number = |text: Option<&str>| text.filter(|text| (1..=2).contains(&text.len()))?.parse::<i64>().ok();
    let (hour, minute) = (number(parts.next())?, number(parts.next())?);
    let seconds = parts.next().unwrap_or("0");
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second = number(Some(seconds))?;
    let digits: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    let fraction = if fraction.is_empty() { 0 } else { (digits.parse::<i64>().ok()? + 5) / 10 };
    let is_valid = parts.next().is_none() && hour <= 24 && minute < 60 && second <= 60;
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    (is_valid && micros <= DAY).then_some((micros, zone))
}

/// Abbreviations that Postgres knows as fixed offsets, in hours.
const ABBREVIATIONS: [(&str, i64); 18] = [
    ("CET", 1),
    ("CEST", 2),
    ("MET", 1),
    ("MEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("WET", 0),
    ("WEST", 1),
    ("BST", 1),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("HST", -10),
];

/// A time zone: a fixed offset or one with rules.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    Named(Tz),
}

impl Zone {
    /// Reads an ISO offset, as in the text of a timestamp, or a zone's name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(sign) = text.chars().next().filter(|first| matches!(first, '+' | '-')) {
            let digits: Vec<&str> = text[1..].split(':').collect();
            let number = |text: &str| text.parse::<i64>().ok().filter(|_| text.len() <= 2);
            let (hours, minutes, seconds) = match digits.as_slice() {
                [all] if all.len() == 4 && all.is_ascii() => (number(&all[..2])?, number(&all[2..])?, 0),
                [hours] => (number(hours)?, 0, 0),
                [hours, minutes] => (number(hours)?, number(minutes)?, 0),
                [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
                _ => return None,
            };
            let seconds = (hours * 60 + minutes) * 60 + seconds;
            let is_valid = seconds.abs() < 16 * 3600;
            return is_valid.then_some(Self::Fixed(if sign == '-' { -seconds } else { seconds }));
        }
        if matches!(text, "Z" | "z") || text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("gmt") {
            return Some(Self::Fixed(0));
        }
        if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(Self::Fixed(hours * 3600));
        }
        let named = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
        named.copied().map(Self::Named)
    }

    /// A zone as AT TIME ZONE names it: an offset there is one of POSIX, which counts west of Greenwich.
    pub(super) fn of_name(text: &str) -> Option<Self> {
        match Self::parse(text)? {
            Self::Fixed(seconds) if text.trim().starts_with(['+', '-']) => Some(Self::Fixed(-seconds)),
            zone => Some(zone),
        }
    }

    /// The instant at which this zone's clock shows a time. An hour that comes twice is the later one, in winter time; one
    /// that is left out is counted by the offset before it. So does Postgres.
    pub(super) fn to_utc(self, clock: i64) -> Parsed<i64> {
        let seconds = match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => {
                let time = known(clock)?.naive_utc();
                match zone.offset_from_local_datetime(&time) {
                    chrono::LocalResult::Single(offset) => i64::from(offset.fix().local_minus_utc()),
                    chrono::LocalResult::Ambiguous(_, late) => i64::from(late.fix().local_minus_utc()),
                    chrono::LocalResult::None => {
                        let before = known(clock - DAY)?.naive_utc();
                        match zone.offset_from_local_datetime(&before) {
                            chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => {
                                i64::from(offset.fix().local_minus_utc())
                            }
                            chrono::LocalResult::None => 0,
                        }
                    }
                }
            }
        };
        clock.checked_sub(seconds * 1_000_000).ok_or_else(|| out_of_range("timestamp"))
    }

    /// What this zone's clock shows at an instant.
    pub(super) fn to_clock(self, instant: i64) -> Parsed<i64> {
        let seconds = match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => {
                i64::from(zone.offset_from_utc_datetime(&known(instant)?.naive_utc()).fix().local_minus_utc())
            }
        };
        instant.checked_add(seconds * 1_000_000).ok_or_else(|| out_of_range("timestamp"))
    }
}

/// The same moment of a year whose rules are on record: later years are like the one with their calendar.
fn known(micros: i64) -> Parsed<chrono::DateTime<chrono::Utc>> {
    let moment = moment(micros)?;
    if moment.year() <= 2037 {
        return Ok(moment);
    }
    let alike = |year: &i32| {
        let first = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1);
        let (this, that) = (first(moment.year()), first(*year));
        this.zip(that)
            .is_some_and(|(this, that)| this.weekday() == that.weekday() && this.leap_year() == that.leap_year())
    };
    Ok((2010..2038).find(alike).and_then(|year| moment.with_year(year)).unwrap_or(moment))
}

/// The calendar's view of microseconds since 1970.
pub(super) fn moment(micros: i64) -> Parsed<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp_micros(micros).ok_or_else(|| out_of_range("timestamp"))
}

/// A date as Postgres prints it.
pub(super) fn date_text(days: i32) -> Parsed<String> {
    let date = from_days(days)?;
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    Ok(format!("{year:04}-{:02}-{:02}{era}", date.month(), date.day()))
}

/// A timestamp as Postgres prints it, with its zone's offset.
pub(super) fn timestamp_text(micros: i64, zone: &str) -> Parsed<String> {
    let day = i32::try_from(micros.div_euclid(DAY)).map_err(|_| out_of_range("timestamp"))?;
    let date = date_text(day)?;
    let (date, era) = date.strip_suffix(" BC").map_or((date.as_str(), ""), |date| (date, " BC"));
    Ok(format!("{date} {}{zone}{era}", clock_text(micros.rem_euclid(DAY))))
}

/// A time of day as Postgres prints it.
pub(super) fn clock_text(micros: i64) -> String {
    let seconds = u32::try_from(micros / 1_000_000).unwrap_or(0);
    let fraction = micros % 1_000_000;
    let whole = match NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0) {
        Some(time) => format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
        None => "24:00:00".to_owned(),
    };
    if fraction == 0 {
        return whole;
    }
    format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned()
}
