//! The spec: what users write.
//!
//! These types are the single description of the format: the reader, the JSON Schema and the stored form derive from them.
//! A field that exists here but does not execute yet is accepted by the reader and refused by `plan` with the code
//! `not_yet`, so that nothing a user writes is ignored in silence.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod checks;
mod columns;
mod contract;
mod deletes;
mod reach;
mod rejects;
mod schedule;
mod stream;
mod tables;
mod tasks;

pub use checks::{CheckTask, OnFailure, Range, Rule, RuleKind, Values};
pub use columns::{ColumnOverride, ColumnRule, Columns};
pub use contract::{ColumnContracts, Contract, LoadSchema};
pub use deletes::{KeyScan, OnDelete, ScanBy, Share};
pub use reach::Reach;
pub use rejects::{MaxRejected, OnReject};
pub use schedule::{Catchup, Moment, Overlap, Schedule};
pub use stream::Stream;
pub use tables::TableNames;
pub use tasks::{
    AUTO_CURSOR, ApproveTask, CommandTask, CursorNulls, ExtractTask, HttpTask, LateRows, LoadTask, NotifyTask, OnValue,
    PipelineTask, Task, WriteMode,
};

/// A pipeline as its author writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the pipeline: letters, digits and underscores, beginning with a letter.
    pub name: String,
    /// What the pipeline is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Typed parameters, used as `$name` in SQL.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Param>,
    /// When runs start by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Connections that are applied together with the pipeline.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub connections: IndexMap<String, ConnectionSpec>,
    /// Lets the pipeline run until it is stopped, and follow its cursors: `{}`, or how often it commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// The tasks by name.
    pub tasks: IndexMap<String, Task>,
}

impl Spec {
    /// When runs start by themselves, in words.
    pub fn when_in_words(&self) -> Option<String> {
        let stream = || self.stream.as_ref().map(Stream::in_words);
        self.schedule.as_ref().map(crate::schedule::in_words).or_else(stream)
    }

    /// The same spec without the settings of its connections: of each it keeps name and type.
    #[must_use]
    pub fn without_settings(&self) -> Self {
        let mut spec = self.clone();
        spec.connections.values_mut().for_each(|connection| connection.settings.clear());
        spec
    }
}

/// A parameter and its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Type of the value.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// Used when a run does not give a value; without it the parameter is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// What the parameter means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Types of parameters. Values are bound as typed values and never pasted into SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit float.
    Number,
    /// true or false.
    Boolean,
    /// `YYYY-MM-DD`.
    Date,
    /// RFC 3339, to the microsecond.
    Timestamp,
}

/// Settings of a connection; which fields there are besides `type` is the connector's affair.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSpec {
    /// Name of the connector.
    #[serde(rename = "type")]
    pub connector: String,
    /// The connector's settings; `${NAME}` is resolved from the environment where the connection is opened.
    #[serde(flatten)]
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// Settings may be secrets, so that only their names are shown.
impl std::fmt::Debug for ConnectionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.settings.keys().collect();
        f.debug_struct("ConnectionSpec").field("connector", &self.connector).field("settings", &names).finish()
    }
}

/// When and how often a failed attempt is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, the first included.
    #[serde(default = "Retry::default_attempts")]
    pub attempts: u32,
    /// How the delay grows.
    #[serde(default)]
    pub backoff: Backoff,
    /// Delay before the second attempt.
    #[serde(default = "Retry::default_delay", with = "crate::duration::text")]
    #[schemars(with = "crate::duration::DurationText")]
    pub delay: Duration,
    /// Upper bound of the delay.
    #[serde(default = "Retry::default_max_delay", with = "crate::duration::text")]
    #[schemars(with = "crate::duration::DurationText")]
    pub max_delay: Duration,
}

impl Retry {
    fn default_attempts() -> u32 {
        3
    }

    fn default_delay() -> Duration {
        Duration::from_secs(5)
    }

    fn default_max_delay() -> Duration {
        Duration::from_secs(600)
    }

    /// How long to wait after the given attempt (1 is the first) has failed; `None` when it was the last.
    pub fn delay_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Exponential => 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX),
        };
        Some(self.delay.saturating_mul(factor).min(self.max_delay))
    }
}

/// One attempt: a stage without a `retry` block is not tried again.
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Backoff::default(),
            delay: Self::default_delay(),
            max_delay: Self::default_max_delay(),
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Always the same.
    Constant,
    /// Doubles each time, up to `max_delay`.
    #[default]
    Exponential,
}
