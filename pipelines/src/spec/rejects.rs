//! How much of what a load reads may be set aside.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Share;

/// What happens to a message that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// The load fails; a stream stops.
    Fail,
    /// The message is set aside, the rest is loaded.
    Quarantine,
}

/// The largest part of what a load reads that may be set aside: a number, e.g. `100`, or a share, e.g. `1%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxRejected {
    /// So many rows or messages.
    Rows(u64),
    /// Such a share of all.
    Share(Share),
}

/// Rows or messages that may be set aside whatever their share is, if nothing else is said.
const ALWAYS: u64 = 100;

impl MaxRejected {
    /// Whether so many of all are too many. If nothing is said, those are that are more than 1% and more than 100.
    pub fn is_exceeded(max: Option<Self>, rejected: u64, all: u64) -> bool {
        match max {
            Some(Self::Rows(rows)) => rejected > rows,
            Some(Self::Share(share)) => share.is_exceeded(rejected, all),
            None => rejected > ALWAYS && Share::percent(1).is_exceeded(rejected, all),
        }
    }

    /// In words, for what may be set aside of `rows` or `messages`: `1 row`, `5% of the rows`.
    pub fn words(max: Option<Self>, of: &str) -> String {
        match max {
            Some(Self::Rows(1)) => format!("1 {}", of.trim_end_matches('s')),
            Some(Self::Rows(rows)) => format!("{rows} {of}"),
            Some(Self::Share(share)) => format!("{share} of the {of}"),
            None => format!("1% of the {of}, or {ALWAYS} if those are more"),
        }
    }
}

impl fmt::Display for MaxRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => rows.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl Serialize for MaxRejected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rows(rows) => serializer.serialize_u64(*rows),
            Self::Share(share) => share.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MaxRejected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = MaxRejected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of rows such as 100, or a share such as 1%")
            }

            fn visit_u64<E: de::Error>(self, rows: u64) -> Result<MaxRejected, E> {
                Ok(MaxRejected::Rows(rows))
            }

            fn visit_i64<E: de::Error>(self, rows: i64) -> Result<MaxRejected, E> {
                u64::try_from(rows).map(MaxRejected::Rows).map_err(|_| E::custom("rows can't be fewer than none"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MaxRejected, E> {
                let share = || Share::parse(text).map(MaxRejected::Share);
                let found = text.parse().ok().map(MaxRejected::Rows).or_else(share);
                found.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for MaxRejected {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxRejected".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The largest part of what a load reads that may be set aside.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$", "examples": ["1%"] },
                { "type": "integer", "minimum": 0 }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read(text: &str) -> Option<MaxRejected> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn what_may_be_set_aside_is_a_number_or_a_share_and_is_written_as_it_was_read() {
        for text in ["0", "100", "\"1%\"", "\"0.5%\""] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        assert_eq!(read("\"100\""), Some(MaxRejected::Rows(100)));
        for text in ["-1", "1.5", "\"\"", "\"101%\"", "\"all\"", "true"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn without_a_word_a_hundred_may_be_set_aside_and_of_many_a_hundredth() {
        let exceeded = |rejected, all| MaxRejected::is_exceeded(None, rejected, all);
        assert!(!exceeded(100, 100) && exceeded(101, 101) && exceeded(101, 10_099));
        assert!(!exceeded(101, 10_100) && !exceeded(10_000, 1_000_000) && exceeded(10_001, 1_000_000));
        let rows = Some(MaxRejected::Rows(2));
        assert!(!MaxRejected::is_exceeded(rows, 2, 2) && MaxRejected::is_exceeded(rows, 3, 1_000_000));
        let share = read("\"50%\"");
        assert!(!MaxRejected::is_exceeded(share, 1, 2) && MaxRejected::is_exceeded(share, 2, 3));
        assert!(!MaxRejected::is_exceeded(share, 0, 0));
    }
}
