//! A distance on the scale of a cursor: a time, or a number.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration;

/// How far to look back from a value of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// For dates and times.
    Time(Duration),
    /// For numbers.
    Count(u64),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&duration::format(*time)),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl Serialize for Reach {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(time) => serializer.serialize_str(&duration::format(*time)),
            Self::Count(count) => serializer.serialize_u64(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Reach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Reach;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 24h, or a number for a cursor of numbers")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Reach, E> {
                Ok(Reach::Count(count))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Reach, E> {
                u64::try_from(count).map(Reach::Count).map_err(|_| E::custom("a distance can't be negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Reach, E> {
                match text.parse() {
                    Ok(count) => Ok(Reach::Count(count)),
                    Err(_) => duration::parse(text).map(Reach::Time).map_err(E::custom),
                }
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for Reach {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reach".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How far to look back from a value of a cursor.",
            "anyOf": [
                { "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "examples": ["24h"] },
                { "type": "integer", "minimum": 0 }
            ]
        })
    }
}
