//! to_date and to_timestamp: texts in a format. Fields that are not listed here are refused when a statement is planned.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::NaiveDate;
use datafusion::error::Result;

use super::dates::{DAY, days};
use super::formats::{MONTHS, Piece, pieces};
use super::text::invalid;
use super::types::refused;

/// Whether a format can be read: fields of the date and of the clock.
pub(super) fn check(format: &str) -> Result<()> {
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
            Arc::new(PrimitiveArray::<Date32Type>::from_iter(values))
        }
        _ => {
            let values = found.into_iter().map(|found| found.map(|(day, clock)| i64::from(day) * DAY + clock));
            let values = PrimitiveArray::<TimestampMicrosecondType>::from_iter(values);
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
