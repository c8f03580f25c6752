//! How far a topic has been read, and what of it is to be read now.

use std::collections::BTreeMap;

use headwater_engine::{EngineError, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cluster::TopicBounds;
use super::guess::Kind;

/// The next offset of each partition, as it is stored between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The topic's id: one that was made again under its name has another.
    pub topic_id: String,
    /// Next offsets by partition.
    pub partitions: BTreeMap<i32, i64>,
    /// Members of the messages that were seen, and what their columns hold: they stay so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<(String, Kind)>,
}

/// Messages of one partition: those from `from` on, up to and without `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// What is to be read: a window for each partition, and the position behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub windows: Vec<Window>,
    pub position: Position,
    /// Offsets behind the windows.
    pub behind: u64,
}

/// What helps when a position and a topic don't fit.
const REFRESH: &str = "headwater run NAME --full-refresh";

impl Position {
    /// Reads a stored position.
    pub(crate) fn read(label: &str, value: &Value) -> Result<Self> {
        serde_json::from_value(value.clone()).map_err(|error| {
            EngineError::config(format!("{label}: the stored position is not one of a topic"))
                .hint(format!("read the topic from its beginning: {REFRESH}"))
                .caused_by(error)
        })
    }
}

impl Plan {
    /// What is new since a position; all that is there without one; of each partition the first offsets, so that there are at most so many in all. New
    /// partitions are read from their beginning.
    pub(crate) fn new(
        label: &str,
        topic_id: &str,
        bounds: &TopicBounds,
        after: Option<&Position>,
        most: Option<u64>,
    ) -> Result<Self> {
        if let Some(after) = after {
            fits(label, topic_id, bounds, after)?;
        }
        let window = |(partition, bounds): (&i32, &super::cluster::Bounds)| {
            let stored = after.and_then(|after| after.partitions.get(partition)).copied();
            Window { partition: *partition, from: stored.unwrap_or(bounds.low), to: bounds.high }
        };
        let mut windows: Vec<Window> = bounds.iter().map(window).collect();
        let behind = most.map_or(0, |most| shorten(&mut windows, most));
        let partitions = windows.iter().map(|window| (window.partition, window.to)).collect();
        Ok(Self {
            windows,
            position: Position { topic_id: topic_id.to_owned(), partitions, columns: Vec::new() },
            behind,
        })
    }

    /// Offsets in the windows: at least as many as there are messages.
    pub(crate) fn offsets(&self) -> u64 {
        self.windows.iter().map(|window| window.offsets()).sum()
    }

    /// In words, e.g. `offsets 0..1200 of 6 partitions`: the range that all windows together span.
    pub(crate) fn shown(&self) -> String {
        let count = self.windows.len();
        let partitions = if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") };
        let filled = || self.windows.iter().filter(|window| window.from < window.to);
        match (filled().map(|window| window.from).min(), filled().map(|window| window.to).max()) {
            (Some(from), Some(to)) => format!("offsets {from}..{to} of {partitions}"),
            _ => format!("nothing new in {partitions}"),
        }
    }
}

impl Window {
    /// Offsets in it.
    pub(crate) fn offsets(&self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or_default()
    }
}

/// Lets windows end earlier, so that they hold at most so many offsets in all: short ones stay whole, and the others share alike. Answers with the number
/// of offsets that are left.
fn shorten(windows: &mut [Window], most: u64) -> u64 {
    let mut by_length: Vec<&mut Window> = windows.iter_mut().filter(|window| window.offsets() > 0).collect();
    by_length.sort_by_key(|window| window.offsets());
    let (mut room, mut left, count) = (most, 0, by_length.len());
    for (index, window) in by_length.into_iter().enumerate() {
        // A share of none at all would keep a partition waiting for ever.
        let share = (room / (count - index) as u64).max(1).min(window.offsets());
        left += window.offsets() - share;
        window.to = window.from + i64::try_from(share).unwrap_or(i64::MAX);
        room = room.saturating_sub(share);
    }
    left
}

/// Whether a position is one of this very topic, and all behind it is still there.
fn fits(label: &str, topic_id: &str, bounds: &TopicBounds, after: &Position) -> Result<()> {
    let again = |what: String| {
        EngineError::config(format!("{label}: {what}"))
            .hint(format!("read the topic from its beginning: {REFRESH} (it replaces the rows of the old topic)"))
    };
    if after.topic_id != topic_id {
        let offsets = |of: &mut dyn Iterator<Item = (i32, i64)>| {
            let parts: Vec<String> = of.map(|(partition, offset)| format!("{partition}: {offset}")).collect();
            parts.join(", ")
        };
        return Err(again(format!(
            "the topic was made again: its id is {topic_id}, and the stored position is of {} (next offsets {}; the new topic ends at {})",
            after.topic_id,
            offsets(&mut after.partitions.iter().map(|(partition, offset)| (*partition, *offset))),
            offsets(&mut bounds.iter().map(|(partition, bounds)| (*partition, bounds.high))),
        )));
    }
    for (partition, stored) in &after.partitions {
        let Some(bounds) = bounds.get(partition) else {
            return Err(again(format!("partition {partition} is gone, and was read up to offset {stored}")));
        };
        if *stored < bounds.low {
            return Err(lost(label, *partition, *stored, bounds.low));
        }
        if *stored > bounds.high {
            return Err(again(format!(
                "partition {partition} ends at offset {}, and was read up to {stored}: its log was cut or made again",
                bounds.high
            )));
        }
    }
    Ok(())
}

/// Messages were deleted before they were read.
pub(crate) fn lost(label: &str, partition: i32, wanted: i64, low: i64) -> EngineError {
    EngineError::config(format!(
        "{label}: messages are lost: partition {partition} begins at offset {low}, and {wanted} is the next to be read"
    ))
    .hint(format!(
        "the topic's retention (retention.ms, retention.bytes) is shorter than the time between runs; to go on with what is left: {REFRESH}, which replaces the target with it. Of change events that would be \
         rows that have changed since: let the connector take a new snapshot into a new topic first"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::kafka::cluster::Bounds;

    fn bounds(of: &[(i32, i64, i64)]) -> TopicBounds {
        of.iter().map(|(partition, low, high)| (*partition, Bounds { low: *low, high: *high })).collect()
    }

    fn position(of: &[(i32, i64)]) -> Position {
        Position { topic_id: "a".to_owned(), partitions: of.iter().copied().collect(), columns: Vec::new() }
    }

    #[test]
    fn a_plan_reads_what_is_new_and_new_partitions_from_their_beginning() {
        let all = bounds(&[(0, 5, 12), (1, 0, 0), (2, 3, 9)]);
        let first = Plan::new("c.t", "a", &all, None, None).unwrap();
        assert_eq!((first.shown().as_str(), first.offsets()), ("offsets 3..12 of 3 partitions", 13));
        let next = Plan::new("c.t", "a", &all, Some(&position(&[(0, 10), (1, 0)])), None).unwrap();
        let windows: Vec<_> = next.windows.iter().map(|window| (window.from, window.to)).collect();
        assert_eq!(windows, [(10, 12), (0, 0), (3, 9)]);
        assert_eq!(
            serde_json::to_value(&next.position).unwrap(),
            json!({ "topic_id": "a", "partitions": { "0": 12, "1": 0, "2": 9 } })
        );
        let none = Plan::new("c.t", "a", &all, Some(&next.position), None).unwrap();
        assert_eq!(none.shown(), "nothing new in 3 partitions");
    }

    #[test]
    fn a_plan_of_at_most_so_many_offsets_leaves_short_partitions_whole_and_each_one_something() {
        let all = bounds(&[(0, 0, 10), (1, 0, 1_000), (2, 0, 900), (3, 5, 5)]);
        let ends = |most| {
            let plan = Plan::new("c.t", "a", &all, None, Some(most)).unwrap();
            let ends: Vec<i64> = plan.windows.iter().map(|window| window.to).collect();
            assert_eq!(plan.position.partitions.values().copied().collect::<Vec<_>>(), ends);
            assert_eq!(plan.offsets() + plan.behind, 1_910);
            ends
        };
        assert_eq!(ends(110), [10, 50, 50, 5]);
        assert_eq!(ends(5_000), [10, 1_000, 900, 5]);
        assert_eq!(ends(1), [1, 1, 1, 5]);
    }

    #[test]
    fn a_position_that_does_not_fit_the_topic_is_an_error_with_both_offsets_and_a_way_out() {
        let all = bounds(&[(0, 5, 12)]);
        for (id, stored, words) in [
            ("a", position(&[(0, 4)]), ["begins at offset 5", "4 is the next"]),
            ("a", position(&[(0, 13)]), ["ends at offset 12", "up to 13"]),
            ("b", position(&[(0, 7)]), ["made again", "0: 7"]),
            ("a", position(&[(0, 7), (1, 3)]), ["partition 1 is gone", "offset 3"]),
        ] {
            let error = Plan::new("c.t", id, &all, Some(&stored), None).unwrap_err();
            assert!(words.iter().all(|word| error.message.contains(word)) && error.message.contains("c.t"), "{error}");
            assert!(error.hint.unwrap().contains("--full-refresh"));
        }
    }

    #[test]
    fn a_position_is_read_from_what_is_stored_or_refused() {
        let stored = json!({ "topic_id": "a", "partitions": { "0": 12 } });
        assert_eq!(Position::read("c.t", &stored).unwrap(), position(&[(0, 12)]));
        for wrong in [json!(7), json!({ "topic_id": "a" }), json!({ "topic_id": "a", "partitions": { "x": 1 } })] {
            assert!(Position::read("c.t", &wrong).unwrap_err().hint.is_some());
        }
    }
}
