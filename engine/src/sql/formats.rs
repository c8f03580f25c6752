//! to_char, to_date and to_timestamp with Postgres' patterns. A pattern that is not listed here is refused when it is planned.
//!
//! See "Data Type Formatting Functions" in Postgres' manual.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate};
use datafusion::error::Result;

use super::arithmetic::out_of_range;
use super::dates::{DAY, days, from_days};
use super::text::invalid;
use super::types::{Type, refused};

/// Patterns that are fields, in capitals. A longer one stands before its own beginning.
const FIELDS: [&str; 47] = [
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "A.M.",
    "P.M.", "AM", "PM", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IW", "IDDD", "ID", "I", "B.C.",
    "A.D.", "BC", "AD", "MONTH", "MON", "MM", "DAY", "DDD", "DD", "DY", "D", "WW", "W", "CC", "J",
];

/// Fields that only to_char has, beside those.
const MORE: [&str; 6] = ["Q", "RM", "TZH", "TZM", "TZ", "OF"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// How letters of a field are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Field { name: &'static str, case: Case, is_filled: bool, ordinal: Option<Case> },
}

/// The pieces of a format; what it holds that is not supported.
fn pieces(format: &str) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    let mut is_filled = true;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            is_filled = false;
            rest = behind;
            continue;
        }
        if let Some(modifier) = ["TM", "tm", "FX", "fx", "SP"].into_iter().find(|word| rest.starts_with(word)) {
            return Err(modifier.to_owned());
        }
        if let Some((name, case, length)) = field(rest) {
            rest = &rest[length..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Case::Upper),
                Some("th") => Some(Case::Lower),
                _ => None,
            };
            if ordinal.is_some() {
                rest = &rest[2..];
            }
            pieces.push(Piece::Field { name, case, is_filled, ordinal });
            is_filled = true;
            continue;
        }
        rest = literal(rest, &mut pieces);
    }
    Ok(pieces)
}

fn field(text: &str) -> Option<(&'static str, Case, usize)> {
    let names = FIELDS.into_iter().chain(MORE);
    let fits = |name: &&'static str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let case = |name: &str| {
        let start = text.get(..name.len())?;
        let title = format!("{}{}", &name[..1], name[1..].to_lowercase());
        match start {
            start if start == name => Some(Case::Upper),
            start if start == name.to_lowercase() => Some(Case::Lower),
            start if matches!(name, "MONTH" | "MON" | "DAY" | "DY") && start == title => Some(Case::Title),
            _ => None,
        }
    };
    let found = names.filter(fits).filter_map(|name| case(name).map(|case| (name, case)));
    found.max_by_key(|(name, _)| name.len()).map(|(name, case)| (name, case, name.len()))
}

/// Text in quotes, or one character that is no pattern.
fn literal<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> &'a str {
    let mut rest = text.chars();
    let mut found = String::new();
    match rest.next() {
        Some('"') => {
            while let Some(next) = rest.next() {
                match next {
                    '"' => break,
                    '\\' => found.extend(rest.next()),
                    other => found.push(other),
                }
            }
        }
        Some('\\') if rest.as_str().starts_with('"') => found.extend(rest.next()),
        Some(other) => found.push(other),
        None => {}
    }
    if let Some(Piece::Literal(last)) = pieces.last_mut() {
        last.push_str(&found);
    } else {
        pieces.push(Piece::Literal(found));
    }
    rest.as_str()
}

/// Whether a format can be written.
pub(super) fn check(format: &str) -> Result<()> {
    pieces(format).map(|_| ()).map_err(|part| refused(format!("the pattern '{part}' of to_char is not supported")))
}

/// Whether a format can be read: fields of the date and of the clock.
pub(super) fn check_input(format: &str) -> Result<()> {
    let wrong = |part: &str| refused(format!("the pattern '{part}' can't be read into a date here"));
    for piece in pieces(format).map_err(|part| wrong(&part))? {
        if let Piece::Field { name, ordinal, .. } = piece
            && (ordinal.is_some() || !READ.contains(&name))
        {
            return Err(wrong(name));
        }
    }
    Ok(())
}

/// Fields that are read.
const READ: [&str; 14] = ["YYYY", "MM", "DD", "MON", "MONTH", "HH24", "HH12", "HH", "MI", "SS", "MS", "US", "AM", "PM"];

/// to_char of a moment.
pub(super) fn written(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let is_instant = Type::of(columns[0].data_type()) == Type::Timestamptz;
    let moments = columns[0].as_primitive::<TimestampMicrosecondType>();
    let formats = columns[1].as_string::<i32>();
    let mut known: Option<(&str, Vec<Piece>)> = None;
    let mut texts = Vec::with_capacity(moments.len());
    for row in 0..moments.len() {
        if moments.is_null(row) || formats.is_null(row) || formats.value(row).is_empty() {
            texts.push(None);
            continue;
        }
        let format = formats.value(row);
        if known.as_ref().is_none_or(|(last, _)| *last != format) {
            known = Some((format, pieces(format).map_err(|part| invalid("format", &part))?));
        }
        let micros = moments.value(row);
        let day = i32::try_from(micros.div_euclid(DAY)).map_err(|_| out_of_range("timestamp"))?;
        let moment = Moment { date: from_days(day)?, clock: micros.rem_euclid(DAY), is_instant };
        let pieces = known.iter().flat_map(|(_, pieces)| pieces);
        texts.push(Some(pieces.map(|piece| moment.piece(piece)).collect::<String>()));
    }
    Ok(Arc::new(StringArray::from(texts)))
}

struct Moment {
    date: NaiveDate,
    clock: i64,
    is_instant: bool,
}

impl Moment {
    fn piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Field { name, case, is_filled, ordinal } => {
                let text = match self.number(name, *is_filled) {
                    Some(number) => number,
                    None => self.word(name, *case, *is_filled),
                };
                match ordinal {
                    Some(case) => format!("{text}{}", suffix(&text, *case)),
                    None => text,
                }
            }
        }
    }

    fn number(&self, name: &str, is_filled: bool) -> Option<String> {
        let date = self.date;
        let year = if date.year() > 0 { date.year() } else { 1 - date.year() };
        let iso = date.iso_week();
        let hour = self.clock / 3_600_000_000;
        let fraction = self.clock % 1_000_000;
        let seconds = self.clock / 1_000_000;
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        let filled = |value: i64, width: usize| if is_filled { format!("{value:0width$}") } else { value.to_string() };
        let tail =
            |year: i32, width: u32| filled(i64::from(year) % 10_i64.pow(width), usize::try_from(width).unwrap_or(0));
        Some(match name {
            "HH24" => filled(hour, 2),
            "HH12" | "HH" => filled(hour12, 2),
            "MI" => filled(seconds / 60 % 60, 2),
            "SS" => filled(seconds % 60, 2),
            "SSSS" | "SSSSS" => seconds.to_string(),
            "MS" => filled(fraction / 1000, 3),
            "US" => filled(fraction, 6),
            "FF1" => format!("{:01}", fraction / 100_000),
            "FF2" => format!("{:02}", fraction / 10_000),
            "FF3" => format!("{:03}", fraction / 1_000),
            "FF4" => format!("{:04}", fraction / 100),
            "FF5" => format!("{:05}", fraction / 10),
            "FF6" => format!("{fraction:06}"),
            "YYYY" => filled(year.into(), 4),
            "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
            "YYY" => tail(year, 3),
            "YY" => tail(year, 2),
            "Y" => tail(year, 1),
            "IYYY" => filled(iso.year().into(), 4),
            "IYY" => tail(iso.year(), 3),
            "IY" => tail(iso.year(), 2),
            "I" => tail(iso.year(), 1),
            "IW" => filled(iso.week().into(), 2),
            "IDDD" => filled(i64::from(iso.week0() * 7 + date.weekday().number_from_monday()), 3),
            "ID" => date.weekday().number_from_monday().to_string(),
            "MM" => filled(date.month().into(), 2),
            "DDD" => filled(date.ordinal().into(), 3),
            "DD" => filled(date.day().into(), 2),
            "D" => date.weekday().number_from_sunday().to_string(),
            "WW" => filled(i64::from(date.ordinal0() / 7 + 1), 2),
            "W" => (date.day0() / 7 + 1).to_string(),
            "CC" => filled(i64::from((year + 99) / 100), 2),
            "J" => (i64::from(days(date)) + 2_440_588).to_string(),
            "Q" => (date.month0() / 3 + 1).to_string(),
            _ => return None,
        })
    }

    fn word(&self, name: &str, case: Case, is_filled: bool) -> String {
        let month = MONTHS[usize::try_from(self.date.month0()).unwrap_or(0).min(11)];
        let day = DAYS[usize::try_from(self.date.weekday().num_days_from_sunday()).unwrap_or(0).min(6)];
        let is_morning = self.clock < DAY / 2;
        let (word, width) = match name {
            "MONTH" => (month, 9),
            "MON" => (&month[..3], 0),
            "DAY" => (day, 9),
            "DY" => (&day[..3], 0),
            "AM" | "PM" => (if is_morning { "AM" } else { "PM" }, 0),
            "A.M." | "P.M." => (if is_morning { "A.M." } else { "P.M." }, 0),
            "BC" | "AD" => (if self.date.year() > 0 { "AD" } else { "BC" }, 0),
            "B.C." | "A.D." => (if self.date.year() > 0 { "A.D." } else { "B.C." }, 0),
            "RM" => (ROMAN[usize::try_from(self.date.month0()).unwrap_or(0).min(11)], 4),
            "TZ" if self.is_instant => ("UTC", 0),
            "TZH" | "OF" => ("+00", 0),
            "TZM" => ("00", 0),
            _ => ("", 0),
        };
        let word = match case {
            Case::Upper => word.to_uppercase(),
            Case::Lower => word.to_lowercase(),
            Case::Title => word.to_owned(),
        };
        if is_filled { format!("{word:width$}") } else { word }
    }
}

fn suffix(number: &str, case: Case) -> &'static str {
    let digits = number.as_bytes();
    let is_teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let suffix = match digits.last() {
        Some(b'1') if !is_teen => ["ST", "st"],
        Some(b'2') if !is_teen => ["ND", "nd"],
        Some(b'3') if !is_teen => ["RD", "rd"],
        _ => ["TH", "th"],
    };
    suffix[usize::from(case != Case::Upper)]
}

/// to_date and to_timestamp: texts in a format.
pub(super) fn read(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (texts, formats) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let rows = (0..texts.len()).map(|row| {
        if texts.is_null(row) || formats.is_null(row) {
            return Ok(None);
        }
        let (text, format) = (texts.value(row), formats.value(row));
        let pieces = pieces(format).map_err(|part| invalid("format", &part))?;
        reading(text, &pieces).map(Some).ok_or_else(|| invalid(&format!("date in the format '{format}'"), text))
    });
    let found = rows.collect::<std::result::Result<Vec<Option<(i32, i64)>>, ArrowError>>()?;
    Ok(match kind {
        DataType::Date32 => {
            let values = found.into_iter().map(|found| found.map(|(day, _)| day));
            Arc::new(arrow::array::PrimitiveArray::<Date32Type>::from_iter(values))
        }
        _ => {
            let values = found.into_iter().map(|found| found.map(|(day, clock)| i64::from(day) * DAY + clock));
            let values = arrow::array::PrimitiveArray::<TimestampMicrosecondType>::from_iter(values);
            Arc::new(values.with_data_type(kind.clone()))
        }
    })
}

/// What has been read of a text. Without a year it is the one before Christ, as in Postgres.
struct Reading<'a> {
    rest: &'a str,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    is_afternoon: bool,
    has_halves: bool,
}

/// The day and the time of day that a text names.
fn reading(text: &str, pieces: &[Piece]) -> Option<(i32, i64)> {
    let mut reading = Reading {
        rest: text.trim_start(),
        year: 0,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        micros: 0,
        is_afternoon: false,
        has_halves: false,
    };
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => reading.literal(literal),
            Piece::Field { name, .. } => {
                reading.rest = reading.rest.trim_start();
                match *name {
                    "MON" | "MONTH" => reading.month(*name == "MON")?,
                    "AM" | "PM" => reading.half()?,
                    name => reading.number(name)?,
                }
            }
        }
    }
    reading.finish()
}

impl Reading<'_> {
    /// A separator stands for any other one, or for none.
    fn literal(&mut self, literal: &str) {
        let is_text = literal.chars().any(char::is_alphanumeric);
        for _ in literal.chars() {
            let next = self.rest.chars().next();
            if let Some(next) = next.filter(|next| is_text || !next.is_alphanumeric()) {
                self.rest = &self.rest[next.len_utf8()..];
            }
        }
    }

    fn month(&mut self, is_short: bool) -> Option<()> {
        let word = |month: &'static str| if is_short { &month[..3] } else { month };
        let found = MONTHS.iter().position(|month| {
            let word = word(month);
            self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        })?;
        self.rest = &self.rest[word(MONTHS[found]).len()..];
        self.month = i64::try_from(found).ok()? + 1;
        Some(())
    }

    fn half(&mut self) -> Option<()> {
        let word = self.rest.get(..2)?;
        self.is_afternoon = word.eq_ignore_ascii_case("pm");
        self.rest = &self.rest[2..];
        (self.is_afternoon || word.eq_ignore_ascii_case("am")).then_some(())
    }

    fn number(&mut self, name: &str) -> Option<()> {
        let width = match name {
            "YYYY" => 4,
            "MS" => 3,
            "US" => 6,
            _ => 2,
        };
        let count = self.rest.bytes().take(width).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(count);
        let value: i64 = digits.parse().ok()?;
        self.rest = rest;
        match name {
            "YYYY" => self.year = value,
            "MM" => self.month = value,
            "DD" => self.day = value,
            "MI" => self.minute = value,
            "SS" => self.second = value,
            "MS" | "US" => self.micros = value * 10_i64.pow(u32::try_from(6 - count).ok()?),
            _ => {
                self.hour = value;
                self.has_halves = name != "HH24";
            }
        }
        Some(())
    }

    fn finish(self) -> Option<(i32, i64)> {
        let hour = match self.has_halves {
            true if (1..=12).contains(&self.hour) => self.hour % 12 + if self.is_afternoon { 12 } else { 0 },
            true => return None,
            false => self.hour,
        };
        let parts = (i32::try_from(self.year).ok()?, u32::try_from(self.month).ok()?, u32::try_from(self.day).ok()?);
        let date = NaiveDate::from_ymd_opt(parts.0, parts.1, parts.2)?;
        let is_clock = hour < 24 && self.minute < 60 && self.second < 60;
        is_clock.then_some((days(date), ((hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.micros))
    }
}
