//! Values as the evaluation compares them, and how text of Postgres becomes one.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Its digits without zeros at the ends, and the power of ten of the last: 1.50 is `15e-1`.
    Number(String),
    Text(String),
    Date(NaiveDate),
    Time(NaiveTime),
    /// A time with zone, to the microsecond.
    Instant(DateTime<Utc>),
    /// A time without zone.
    Local(NaiveDateTime),
}

/// What a column of gold holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bool,
    Number,
    /// A binary float: the last digits of a sum depend on the order of its rows.
    Float,
    Text,
    Date,
    Time,
    Instant,
    Local,
}

impl Class {
    /// Of a type of Postgres.
    pub(super) fn of(type_name: &str) -> Self {
        match type_name {
            "boolean" => Self::Bool,
            "smallint" | "integer" | "bigint" | "oid" => Self::Number,
            "real" | "double precision" => Self::Float,
            "date" => Self::Date,
            other if other.starts_with("numeric") => Self::Number,
            other if other.starts_with("timestamp") && other.ends_with("with time zone") => Self::Instant,
            other if other.starts_with("timestamp") => Self::Local,
            other if other.starts_with("time") && other.ends_with("without time zone") => Self::Time,
            _ => Self::Text,
        }
    }
}

/// Reads text of Postgres. What is no value of its class, such as `infinity`, stays text.
pub(super) fn read(text: &str, class: Class) -> Value {
    let read = match class {
        Class::Bool => match text {
            "true" | "t" => Some(Value::Bool(true)),
            "false" | "f" => Some(Value::Bool(false)),
            _ => None,
        },
        Class::Number | Class::Float => number(text).map(Value::Number),
        Class::Text => None,
        Class::Date => text.parse().ok().map(Value::Date),
        Class::Time => text.parse().ok().map(Value::Time),
        Class::Instant => {
            DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|at| Value::Instant(at.to_utc()))
        }
        Class::Local => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok().map(Value::Local),
    };
    read.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// The one form of a decimal number, with or without an exponent.
pub(super) fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let trailing = all.len() - all.trim_end_matches('0').len();
    let power = exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(trailing).ok()?;
    Some(format!("{sign}{significant}e{power}"))
}

/// A value as a column of gold of this class would hold it: a period is its first day, a time without zone is one of UTC.
pub(super) fn meet(value: Value, class: Class, zone: Tz) -> Value {
    match (class, value) {
        (Class::Date, Value::Instant(at)) => {
            let midnight = |local: NaiveDateTime| (local.time() == NaiveTime::MIN).then_some(local.date());
            let day = midnight(at.naive_utc()).or_else(|| midnight(at.with_timezone(&zone).naive_local()));
            day.map_or(Value::Instant(at), Value::Date)
        }
        (Class::Date, Value::Local(at)) if at.time() == NaiveTime::MIN => Value::Date(at.date()),
        (Class::Date, Value::Text(text)) => first_day(&text).map_or(Value::Text(text), Value::Date),
        (Class::Instant, Value::Local(at)) => Value::Instant(at.and_utc()),
        (Class::Local, Value::Instant(at)) => Value::Local(at.naive_utc()),
        (_, value) => value,
    }
}

/// The first day of `2026-03-01`, `2026-03` or `2026`.
fn first_day(text: &str) -> Option<NaiveDate> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let full = match shape.as_str() {
        "0000-00-00" => text.to_owned(),
        "0000-00" => format!("{text}-01"),
        "0000" => format!("{text}-01-01"),
        _ => return None,
    };
    full.parse().ok()
}

impl Value {
    /// As a float, if it is a number.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// As people read it.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(digits) => match digits.strip_suffix("e0") {
                Some(whole) => f.write_str(whole),
                None => write!(f, "{}", self.float().unwrap_or(f64::NAN)),
            },
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Date(date) => date.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Instant(at) => f.write_str(&at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            Self::Local(at) => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        for (one, other) in
            [("1.50", "1.5"), ("2", "2.000"), ("100", "1e2"), ("0", "-0.00"), ("0.05", "5E-2"), ("+7", "07")]
        {
            assert_eq!(number(one), number(other), "{one} {other}");
        }
        for (one, other) in
            [("1.50", "1.51"), ("1", "-1"), ("10", "1"), ("12345678901234567890.1", "12345678901234567890.2")]
        {
            assert_ne!(number(one), number(other), "{one} {other}");
        }
        assert_eq!(["", "NaN", "1.2.3", "-", "abc"].map(number), [const { None }; 5]);
    }

    #[test]
    fn null_an_empty_text_and_zero_are_three_things() {
        let zero = read("0", Class::Number);
        let empty = read("", Class::Text);
        assert!(Value::Null != empty && Value::Null != zero && empty != zero);
        assert_ne!(read("5", Class::Text), read("5", Class::Number));
    }

    #[test]
    fn a_time_with_zone_is_an_instant() {
        let berlin = read("2026-03-29 03:00:00+02", Class::Instant);
        assert_eq!(berlin, read("2026-03-29 01:00:00+00", Class::Instant));
        assert_ne!(berlin, read("2026-03-29 01:00:00.000001+00", Class::Instant));
    }

    #[test]
    fn a_period_is_compared_by_its_first_day() {
        let zone = chrono_tz::Europe::Berlin;
        let month = read("2026-03-01", Class::Date);
        let same = [
            Value::Text("2026-03".to_owned()),
            Value::Text("2026-03-01".to_owned()),
            read("2026-03-01 00:00:00", Class::Local),
            read("2026-03-01 00:00:00+00", Class::Instant),
            read("2026-02-28 23:00:00+00", Class::Instant),
        ];
        for value in same {
            assert_eq!(meet(value.clone(), Class::Date, zone), month, "{value}");
        }
        for value in [Value::Text("2026-04".to_owned()), read("2026-03-01 01:00:00+00", Class::Instant), Value::Null] {
            assert_ne!(meet(value.clone(), Class::Date, zone), month, "{value}");
        }
    }

    #[test]
    fn types_of_postgres_have_their_classes() {
        let classes = [
            "numeric(12,2)",
            "timestamp with time zone",
            "timestamp without time zone",
            "character varying",
            "double precision",
        ];
        let expected = [Class::Number, Class::Instant, Class::Local, Class::Text, Class::Float];
        assert_eq!(classes.map(Class::of), expected);
    }
}
