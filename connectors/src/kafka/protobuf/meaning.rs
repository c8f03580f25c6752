//! Messages of Google's that are single values.

use chrono::{Datelike, NaiveDate};

use super::parts::{Part, collect, spans};
use super::scalar::Scalar;
use super::schema::{File, Kind, Meaning, Type};
use super::wire::Cursor;
use super::{Fault, wire};
use crate::kafka::schemas::{Reason, text};

const NANOS: i32 = 999_999_999;

impl File {
    /// The value of a field of which these are the parts: the last of a scalar, the default without any. A message that is no single value has none.
    #[inline]
    pub(super) fn value<'a>(
        &'a self,
        message: &'a [u8],
        kind: Kind,
        parts: &[Part],
    ) -> Result<Option<Scalar<'a>>, Fault> {
        let at = parts.last().map_or(0, |part| part.span.from);
        let fault = |reason| Fault { at, reason };
        let Some(id) = kind.message() else {
            return match parts.last() {
                Some(Part { span, .. }) => self.scalar(kind, &mut Cursor::new(message, span.from, span.to)).map(Some),
                None => self.default(kind).map(Some).map_err(fault),
            };
        };
        let inner = self.get(id);
        if matches!(inner.meaning, Meaning::None | Meaning::Struct | Meaning::Value | Meaning::List) {
            return Ok(None);
        }
        let mut found = Vec::new();
        collect(inner, message, &spans(parts), &mut found).map_err(|(_, fault)| fault)?;
        let number = |number| self.integer(inner, message, &found, number);
        Ok(Some(match inner.meaning {
            Meaning::Timestamp => timestamp(number(1)?, number(2)?).map_err(fault)?,
            Meaning::Duration => duration(number(1)?, number(2)?).map_err(fault)?,
            Meaning::Date => date(number(1)?, number(2)?, number(3)?).map_err(fault)?,
            _ => {
                let Some(field) = inner.fields.first() else { return Ok(None) };
                return self.value(message, field.kind, &found);
            }
        }))
    }

    /// A number among the fields of a message.
    fn integer(&self, inner: &Type, message: &[u8], found: &[Part], number: u32) -> Result<i64, Fault> {
        let part = found.iter().rfind(|part| inner.slot(number) == Some(part.slot));
        let (Some(part), Some(field)) = (part, part.and_then(|part| inner.fields.get(part.slot))) else {
            return Ok(0);
        };
        let wire::Span { from, to } = part.span;
        match self.scalar(field.kind, &mut Cursor::new(message, from, to))? {
            // It is one of 64 bits at most.
            Scalar::Integer(value) => Ok(i64::try_from(value).unwrap_or_default()),
            _ => Ok(0),
        }
    }
}

fn timestamp<'a>(seconds: i64, nanos: i64) -> Result<Scalar<'a>, Reason> {
    const RANGE: Reason = "the timestamp is before the year 1 or too far in the future to be carried";
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos <= NANOS.unsigned_abs());
    let nanos = nanos.ok_or("the nanoseconds of a timestamp are negative or more than a second")?;
    text::micros(seconds.checked_mul(1_000_000).ok_or(RANGE)?, false)?;
    Ok(Scalar::Timestamp { seconds, nanos })
}

fn duration<'a>(seconds: i64, nanos: i64) -> Result<Scalar<'a>, Reason> {
    /// About 10,000 years, as Google has it.
    const MOST_SECONDS: u64 = 315_576_000_000;
    let nanos = i32::try_from(nanos).ok().filter(|nanos| nanos.unsigned_abs() <= NANOS.unsigned_abs());
    let agree = |nanos: &i32| seconds == 0 || *nanos == 0 || (seconds < 0) == (*nanos < 0);
    match nanos.filter(agree) {
        Some(nanos) if seconds.unsigned_abs() <= MOST_SECONDS => Ok(Scalar::Duration { seconds, nanos }),
        _ => Err("the seconds or nanoseconds of a duration are out of their range"),
    }
}

/// A whole date: those without a year, a month or a day are none.
fn date<'a>(year: i64, month: i64, day: i64) -> Result<Scalar<'a>, Reason> {
    /// Days from the first of January of the year 1 to 1970, by chrono's count from the year 1.
    const EPOCH_FROM_CE: i32 = 719_163;
    let year = i32::try_from(year).ok().filter(|year| (1..=9_999).contains(year));
    let (month, day) = (u32::try_from(month).ok(), u32::try_from(day).ok());
    let date = year.zip(month).zip(day).and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year, month, day));
    date.map(|date| Scalar::Date(date.num_days_from_ce() - EPOCH_FROM_CE))
        .ok_or("the date lacks its year, month or day, or there is no such day")
}
