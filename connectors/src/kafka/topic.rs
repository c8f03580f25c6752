//! A topic that is opened to be read: its windows, its columns, and what there is to say about them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use headwater_engine::rejects::Quarantine;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_pipelines::spec::Columns;
use rdkafka::message::Message;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::cluster::{Client, TopicBounds};
use super::consume::{Consumption, Flow};
use super::endpoint::Format;
use super::guess::Guess;
use super::layout::Layout;
use super::position::{Plan, Position, Window};
use super::schemas::Rules;
use super::schemas::look::{complete, judge};

/// Messages that are looked at in all, about: enough for rare fields, little beside a read.
const SAMPLE_MESSAGES: i64 = 1_000;

/// Messages from each end of a partition, at most.
const SAMPLE_END: i64 = 100;

/// Bytes of messages that are looked at: large ones end the look early.
const SAMPLE_BYTES: usize = 32 << 20;

/// Bytes that may wait in librdkafka's queues for all readers of a scan.
const QUEUE_BYTES: usize = 32 << 20;

/// Below so many offsets a second reader costs more than it gains.
const OFFSETS_PER_READER: u64 = 20_000;

/// What is asked of a topic.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// Types of members, or the columns that are wanted.
    pub columns: Option<&'a Columns>,
    /// The position that was committed last.
    pub after: Option<&'a Value>,
    /// A load goes on behind the position, and must miss nothing that the messages have.
    pub follows: bool,
    /// The load merges rows by keys, and has to know the order of changes.
    pub needs_keys: bool,
    /// How many messages are wanted at most, about.
    pub most: Option<u64>,
    /// Where messages go that can't be read.
    pub quarantine: Option<Arc<Quarantine>>,
    pub cancel: CancellationToken,
}

/// The topic, as it was when it was opened.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub client: Client,
    pub name: String,
    /// For messages.
    pub label: String,
    pub plan: Plan,
    pub layout: Layout,
    pub schema: SchemaRef,
    /// Members that messages may have, if others are to be noticed.
    pub known: Option<Arc<HashSet<Vec<u8>>>>,
    /// What reading messages with schemas needs.
    pub rules: Rules,
    /// Format debezium: whether a message without a key is refused.
    pub needs_keys: bool,
    /// Where messages go that can't be read.
    pub quarantine: Option<Arc<Quarantine>>,
    pub cancel: CancellationToken,
}

impl Topic {
    /// Looks at the bounds of the topic and at some of its messages.
    pub(crate) async fn open(client: &Client, path: &[String], asked: Asked<'_>) -> Result<Self> {
        let Asked { columns, after, follows, needs_keys, most, quarantine, cancel } = asked;
        // Dots are part of a topic's name.
        let name = path.join(".");
        let label = client.label(&name);
        let found = cancel.run_until_cancelled(client.bounds(&name)).await;
        let found = found.unwrap_or_else(|| Err(EngineError::canceled(format!("opening {label} was canceled"))));
        let (topic, bounds) = match found {
            Err(error) if error.message.ends_with("there is no such topic") => {
                return Err(near(client, &name, error).await);
            }
            other => other?,
        };
        let after = after.map(|value| Position::read(&label, value)).transpose()?;
        let mut plan = Plan::new(&label, &topic.id, &bounds, after.as_ref(), most)?;
        let consumption = Consumption {
            client: client.clone(),
            topic: name.clone(),
            topic_id: topic.id,
            cancel: cancel.clone(),
            queue_bytes: QUEUE_BYTES / 2,
        };
        let format = client.endpoint.format;
        let key = client.guess_key(&plan.position.topic_id);
        let guess = match format {
            Format::Raw => Guess::default(),
            _ if !follows => look(consumption, &bounds).await?,
            _ => {
                let seen = match client.guesses.known(&key) {
                    Some(known) => known,
                    None => client.guesses.learn(&key, look(consumption, &bounds).await?),
                };
                seen.under(after.as_ref().map_or(&[], |after| &after.columns))
            }
        };
        let layout = Layout::new(&label, format, columns, &guess)?;
        judge(&label, &layout.columns, &guess.seen)?;
        let schema = Arc::new(layout.schema());
        // A list of columns says that others are not wanted, and of too many fields only the first are columns.
        let is_closed = guess.more || matches!(columns, Some(Columns::Only(_)));
        let is_open = follows && format != Format::Raw && !is_closed;
        let known = is_open.then(|| Arc::new(layout.known(&guess)));
        let rules = Rules { follows, latest: guess.seen.latest };
        plan.position.columns = if follows { guess.members } else { Vec::new() };
        let client = client.clone();
        Ok(Self { client, name, label, plan, layout, schema, known, rules, needs_keys, quarantine, cancel })
    }

    /// The schema of some of the columns.
    pub(crate) fn projected(&self, projection: &[usize]) -> SchemaRef {
        let fields: Vec<_> = projection.iter().map(|index| self.schema.field(*index).clone()).collect();
        Arc::new(Schema::new(fields))
    }

    /// The windows, dealt out to at most so many readers: the largest first, each to the one that has the least.
    pub(crate) fn deal(&self, readers: usize) -> Vec<Vec<Window>> {
        deal(&self.plan.windows, readers)
    }

    /// What a reader needs that is one of so many.
    pub(crate) fn consumption(&self, readers: usize) -> Consumption {
        Consumption {
            client: self.client.clone(),
            topic: self.name.clone(),
            topic_id: self.plan.position.topic_id.clone(),
            cancel: self.cancel.clone(),
            queue_bytes: QUEUE_BYTES / readers.max(1),
        }
    }
}

/// Adds the names that may be meant.
async fn near(client: &Client, name: &str, error: EngineError) -> EngineError {
    let Ok(cluster) = client.cluster().await else { return error };
    let names = cluster.topics.iter().filter(|topic| topic.is_public()).map(|topic| topic.name.as_str());
    match nearest_hint(name, names) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn deal(windows: &[Window], readers: usize) -> Vec<Vec<Window>> {
    let size = Window::offsets;
    let mut filled: Vec<Window> = windows.iter().copied().filter(|window| size(window) > 0).collect();
    filled.sort_by_key(|window| (std::cmp::Reverse(size(window)), window.partition));
    let total: u64 = filled.iter().map(size).sum();
    let useful = usize::try_from(total.div_ceil(OFFSETS_PER_READER)).unwrap_or(usize::MAX);
    let count = readers.min(filled.len()).min(useful).max(1);
    let mut hands: Vec<(u64, Vec<Window>)> = vec![(0, Vec::new()); count];
    for window in filled {
        if let Some((load, hand)) = hands.iter_mut().min_by_key(|(load, _)| *load) {
            *load += size(&window);
            hand.push(window);
        }
    }
    hands.into_iter().map(|(_, hand)| hand).collect()
}

/// The first and the last messages of each partition: windows that can be read in one go each.
fn ends(bounds: &TopicBounds) -> [Vec<Window>; 2] {
    let partitions = i64::try_from(bounds.len()).unwrap_or(i64::MAX).max(1);
    let each = (SAMPLE_MESSAGES / (2 * partitions)).clamp(1, SAMPLE_END);
    let window = |partition: &i32, from: i64, to: i64| Window { partition: *partition, from, to };
    let first = bounds.iter().map(|(partition, at)| window(partition, at.low, at.high.min(at.low + each)));
    let last = bounds.iter().map(|(partition, at)| window(partition, (at.high - each).max(at.low + each), at.high));
    [first.collect(), last.filter(|window| window.from < window.to).collect()]
}

/// Looks at a bounded part of the messages, and at the schemas that they name.
async fn look(consumption: Consumption, bounds: &TopicBounds) -> Result<Guess> {
    let (client, topic, cancel) = (consumption.client.clone(), consumption.topic.clone(), consumption.cancel.clone());
    let guess = sample(consumption, bounds).await?;
    let completed = cancel.run_until_cancelled(complete(&client, &topic, guess)).await;
    completed.unwrap_or_else(|| Err(EngineError::canceled(format!("opening {} was canceled", client.label(&topic)))))
}

/// Looks at a bounded part of the messages. Dropping the future ends the look.
async fn sample(mut consumption: Consumption, bounds: &TopicBounds) -> Result<Guess> {
    let ended = consumption.cancel.child_token();
    consumption.cancel = ended.clone();
    let _guard = ended.drop_guard();
    let ends = ends(bounds);
    let look = move || {
        let (mut guess, mut bytes, io) = (Guess::default(), 0, Handle::current());
        let format = consumption.client.endpoint.format;
        for windows in ends {
            consumption.run(&windows, &io, &|| false, &mut |message| {
                guess.look_at(format, message);
                bytes += message.payload().map_or(0, <[u8]>::len);
                Ok(if bytes < SAMPLE_BYTES { Flow::More } else { Flow::Enough })
            })?;
        }
        Ok(guess)
    };
    tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| EngineError::bug("a look at messages ended early").caused_by(error))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::kafka::cluster::Bounds;

    #[test]
    fn windows_are_dealt_out_evenly_and_small_ones_stay_together() {
        let window = |partition, to| Window { partition, from: 0, to };
        let windows = [window(0, 50_000), window(1, 0), window(2, 90_000), window(3, 40_000)];
        let dealt = deal(&windows, 2);
        let numbers: Vec<Vec<i32>> =
            dealt.iter().map(|hand| hand.iter().map(|window| window.partition).collect()).collect();
        assert_eq!(numbers, [vec![2], vec![0, 3]]);
        assert_eq!(deal(&[window(0, 10), window(1, 10)], 8).len(), 1);
        assert_eq!(deal(&[], 8), [vec![]]);
    }

    #[test]
    fn a_sample_has_both_ends_of_each_partition_and_no_message_twice() {
        let bounds = [(0, 0, 1_000), (1, 5, 105), (2, 3, 3)];
        let bounds = bounds.map(|(partition, low, high)| (partition, Bounds { low, high })).into();
        let [first, last] = ends(&bounds);
        assert_eq!((first[0].to, last[0].from), (100, 900));
        assert_eq!((first[1].from, first[1].to), (5, 105));
        assert_eq!((first[2].from, first[2].to, last.len()), (3, 3, 1));
    }
}
