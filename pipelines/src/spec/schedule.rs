//! When runs start by themselves.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, SecondsFormat};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When runs start by themselves: `cron` or `every`, not both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Five POSIX cron fields: minute, hour, day of month, month, day of week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// A period, e.g. `10s`, `15m`, `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub every: Option<Duration>,
    /// IANA time zone of `cron` and of dates in `start` and `end`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// No fire comes before it. `every` counts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Moment>,
    /// No fire comes at it or after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// Runs start later than their fire times by up to this much, each pipeline by an amount of its own that is always the same. Fire
    /// times and data intervals stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub jitter: Option<Duration>,
    /// What happens to fires that were missed.
    #[serde(default)]
    pub catchup: Catchup,
    /// How many missed fires `catchup: all` runs at a time, the latest ones; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_catchup: Option<u32>,
    /// What happens to a fire while an earlier run is not finished.
    #[serde(default)]
    pub overlap: Overlap,
    /// How many runs may wait their turn with `overlap: queue`; 16 if absent, or what `catchup: all` runs at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_queued: Option<u32>,
}

impl Schedule {
    /// Missed fires that `catchup: all` runs at a time.
    pub fn max_catchup(&self) -> u32 {
        self.max_catchup.unwrap_or(100)
    }

    /// Runs that may wait their turn with `overlap: queue`. All that are caught up must find a place.
    pub fn max_queued(&self) -> u32 {
        self.max_queued.unwrap_or_else(|| if self.catchup == Catchup::All { self.max_catchup().max(16) } else { 16 })
    }
}

/// What happens to fires that were missed while nothing was scheduling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Catchup {
    /// Each one runs, up to a cap.
    All,
    /// The last one runs, standing for all.
    #[default]
    Last,
    /// None runs.
    None,
}

/// What happens to a fire while an earlier run is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped, and recorded as skipped.
    #[default]
    Skip,
    /// It waits its turn, up to a cap.
    Queue,
    /// The earlier run is canceled.
    CancelRunning,
    /// Both run.
    Allow,
}

/// A point in time as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A date, which begins at midnight in the schedule's zone.
    Date(NaiveDate),
    /// A time with its offset from UTC.
    Instant(DateTime<FixedOffset>),
}

/// Years that moments may have: zones are known from 1970 on.
const YEARS: RangeInclusive<i32> = 1970..=9999;

impl Moment {
    fn year(&self) -> i32 {
        match self {
            Self::Date(date) => date.year(),
            Self::Instant(time) => time.year(),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let date = || text.parse::<NaiveDate>().ok().map(Self::Date);
        let time = || DateTime::parse_from_rfc3339(text).ok().map(Self::Instant);
        date().or_else(time).filter(|moment| YEARS.contains(&moment.year())).ok_or_else(|| {
            format!("'{text}' is neither a date such as 2026-01-31 nor a time with its offset such as 2026-01-31T06:00:00+01:00")
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Instant(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A date, which begins at midnight in the schedule's zone, or a time with its offset from UTC.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
            "examples": ["2026-01-31", "2026-01-31T06:00:00+01:00"]
        })
    }
}
