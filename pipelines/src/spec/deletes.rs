//! What a load does with rows that are gone at the source, and how it finds them.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happens to rows of the target that are gone at the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// They stay.
    #[default]
    Ignore,
    /// They stay, with the time of the load in `deleted_at`.
    Soft,
    /// They are deleted.
    Hard,
    /// The version that holds ends (scd2).
    Close,
}

/// A complete scan of the source's keys, for loads that read new rows alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyScan {
    /// What is read and compared with the target.
    pub by: ScanBy,
    /// At most so often; `1d` if absent, `0s` with each load.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub every: Option<Duration>,
}

/// What a scan reads and compares with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanBy {
    /// The key columns of all rows, and nothing else of them.
    Keys,
}

/// A share of rows, e.g. `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Hundredths of a percent.
    hundredths: u16,
}

/// Hundredths of a percent that are everything.
const WHOLE: u16 = 10_000;

impl Default for Share {
    /// Of a load that says nothing else: `20%`.
    fn default() -> Self {
        Self { hundredths: WHOLE / 5 }
    }
}

impl Share {
    /// Whether some rows are a larger share of all rows.
    pub fn is_exceeded(self, some: u64, all: u64) -> bool {
        u128::from(some) * u128::from(WHOLE) > u128::from(all) * u128::from(self.hundredths)
    }

    /// So many percent.
    pub(super) const fn percent(percent: u8) -> Self {
        Self { hundredths: percent as u16 * 100 }
    }

    /// Reads `20%` or `0.5%`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.trim().strip_suffix('%')?.trim_end().split_once('.') {
            Some((whole, fraction)) if (1..=2).contains(&fraction.len()) => (whole, fraction),
            Some(_) => return None,
            None => (text.trim().strip_suffix('%')?.trim_end(), "0"),
        };
        if ![whole, fraction]
            .iter()
            .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return None;
        }
        let hundredths =
            whole.parse::<u16>().ok()?.checked_mul(100)? + format!("{fraction:0<2}").parse::<u16>().ok()?;
        (hundredths <= WHOLE).then_some(Self { hundredths })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.hundredths / 100, self.hundredths % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share between 0% and 100%, e.g. 20%")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                Share::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Form)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share of rows.",
            "type": "string",
            "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$",
            "examples": ["20%"]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_share_is_a_percentage_and_is_written_as_it_was_read() {
        for text in ["0%", "20%", "100%", "0.5%", "12.25%", "3.05%"] {
            assert_eq!(Share::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Share::parse(" 12.50 %").unwrap().to_string(), "12.5%");
        for text in ["", "%", "20", "101%", "100.01%", "-1%", "+1%", "1e1%", "1.%", ".5%", "1.234%", "70000%", "٢%"] {
            assert!(Share::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_share_is_exceeded_by_one_row_more() {
        let fifth = Share::default();
        assert!(!fifth.is_exceeded(2, 10) && fifth.is_exceeded(3, 10) && fifth.is_exceeded(1, 4));
        let (none, all) = (Share::parse("0%").unwrap(), Share::parse("100%").unwrap());
        assert!(none.is_exceeded(1, u64::MAX) && !none.is_exceeded(0, 0) && !all.is_exceeded(u64::MAX, u64::MAX));
    }
}
