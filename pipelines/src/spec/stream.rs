//! Pipelines that follow their sources.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WriteMode;
use crate::duration;

/// How often an append commits unless told otherwise.
const APPENDED_EVERY: Duration = Duration::from_secs(10);

/// The same for a load that merges by keys, which writes the files again that hold them.
const MERGED_EVERY: Duration = Duration::from_secs(60);

/// Rows of a batch unless told otherwise, about.
const ROWS: u64 = 1_000_000;

/// The pipeline runs until it is stopped: each load follows its cursors and commits what is new in batches, each with its position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// How long new rows wait at most before they are committed, e.g. `1s`; 10s if absent, and 60s for a load that merges by keys.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub every: Option<Duration>,
    /// How many rows a batch has at most, about, where the source can count them beforehand; 1000000 if absent. More are committed without a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rows: Option<u64>,
}

impl Stream {
    /// From the beginning of one batch to that of the next.
    pub fn every(&self, mode: WriteMode) -> Duration {
        let usual = if mode == WriteMode::Append { APPENDED_EVERY } else { MERGED_EVERY };
        self.every.unwrap_or(usual)
    }

    /// What it does, e.g. `runs until stopped, commits every 10 s`.
    pub fn in_words(&self) -> String {
        let usual = format!("{} (60 s where rows are merged by keys)", duration::in_words(APPENDED_EVERY));
        let every = self.every.map_or(usual, duration::in_words);
        format!("runs until stopped, commits every {every}")
    }

    /// Rows of a batch at most, about.
    pub fn rows(&self) -> u64 {
        self.rows.unwrap_or(ROWS)
    }
}
