//! Messages of windows, one by one, on the thread that asks for them.
//!
//! Each call has a librdkafka consumer of its own, which joins no group and commits nothing: partitions are assigned by hand, from exact offsets on. What a
//! window holds is what was committed when it was opened; its end may be a control record or a message of an aborted transaction, which are never
//! delivered, so that the end of the log (as librdkafka's position sees it) ends a window too.

use std::time::{Duration, Instant};

use headwater_engine::{EngineError, Result};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::cluster::Client;
use super::failure;
use super::position::{Window, lost};

/// How long a poll waits, and so how late a cancel is seen.
const POLL: Duration = Duration::from_millis(100);

/// A broker that was lost is asked for after this time: it may have been restarted, and librdkafka goes on by itself then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Without any message for so long, the brokers are asked whether all is well: messages of aborted transactions take time and are not delivered.
const SILENCE: Duration = Duration::from_secs(30);

/// Without any message for so long, something is wrong even if the brokers answer.
const MOST_SILENCE: Duration = Duration::from_secs(300);

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    Enough,
}

/// What is read, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Consumption {
    pub client: Client,
    pub topic: String,
    /// The topic's id when its windows were opened.
    pub topic_id: String,
    pub cancel: CancellationToken,
    /// Bytes that may wait to be taken.
    pub queue_bytes: usize,
}

/// librdkafka's own remarks are for those who look for them.
struct Remarks;

impl ClientContext for Remarks {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(kafka.facility = facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(kafka.error = %error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Remarks {}

/// How far a partition has been read.
#[derive(Debug, Clone, Copy)]
struct Progress {
    window: Window,
    /// The next offset that is expected.
    next: i64,
    /// All of the window has been seen.
    done: bool,
}

/// The partitions of one consumer.
struct Reading {
    /// By number of the partition; a topic has few thousand.
    partitions: Vec<Option<Progress>>,
    open: usize,
}

impl Reading {
    fn new(windows: &[Window]) -> Self {
        let mut reading = Self { partitions: Vec::new(), open: 0 };
        for window in windows.iter().filter(|window| window.from < window.to) {
            let Ok(index) = usize::try_from(window.partition) else { continue };
            if reading.partitions.len() <= index {
                reading.partitions.resize(index + 1, None);
            }
            reading.partitions[index] = Some(Progress { window: *window, next: window.from, done: false });
            reading.open += 1;
        }
        reading
    }

    #[inline]
    fn get(&mut self, partition: i32) -> Option<&mut Progress> {
        let progress = self.partitions.get_mut(usize::try_from(partition).ok()?)?.as_mut()?;
        (!progress.done).then_some(progress)
    }

    fn finish(&mut self, partition: i32) {
        if let Some(progress) = self.get(partition) {
            progress.done = true;
            self.open -= 1;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Progress> {
        self.partitions.iter().flatten()
    }
}

impl Consumption {
    /// Hands every message of the windows to `each`, in order within a partition, until all are through or `each` has enough. Nobody wants more once
    /// `abandoned` says so. Blocks; `io` is a runtime that questions to the brokers can be asked on.
    pub(crate) fn run(
        &self,
        windows: &[Window],
        io: &Handle,
        abandoned: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<Flow>,
    ) -> Result<()> {
        let mut reading = Reading::new(windows);
        if reading.open == 0 {
            return Ok(());
        }
        let consumer = self.consumer(&reading)?;
        let (mut heard, mut asked, mut broken, mut delivered) = (Instant::now(), Instant::now(), false, false);
        while reading.open > 0 {
            if self.cancel.is_cancelled() {
                return Err(EngineError::canceled(format!("reading {} was canceled", self.label())));
            }
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    if self.take(&consumer, &mut reading, &message, each)? == Flow::Enough {
                        return Ok(());
                    }
                    // The clock is read when messages pause: it costs more than taking a small one.
                    delivered = true;
                    continue;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    delivered = true;
                    self.leave(&consumer, &mut reading, partition)?;
                }
                Some(Err(error)) => broken |= self.judge(&error, &reading, io)?,
                None if abandoned() => return Ok(()),
                None => {}
            }
            if std::mem::take(&mut delivered) {
                (heard, asked, broken) = (Instant::now(), Instant::now(), false);
            }
            if asked.elapsed() > if broken { PATIENCE } else { SILENCE } {
                self.verify(&reading, io)?;
                if heard.elapsed() > MOST_SILENCE {
                    return Err(self.silent());
                }
                (asked, broken) = (Instant::now(), false);
            }
        }
        self.verify(&reading, io)
    }

    fn silent(&self) -> EngineError {
        let what = format!("reading {}: no message came for {} s", self.label(), MOST_SILENCE.as_secs());
        EngineError::transient(what).hint("the brokers answer, but deliver nothing: see their logs")
    }

    fn label(&self) -> String {
        self.client.label(&self.topic)
    }

    fn broken(&self, doing: &str, error: KafkaError) -> EngineError {
        EngineError::bug(format!("reading {}: {doing} failed: {error}", self.label())).caused_by(error)
    }

    /// Takes a message that is in its window, and leaves the partition behind the last one.
    #[inline]
    fn take(
        &self,
        consumer: &BaseConsumer<Remarks>,
        reading: &mut Reading,
        message: &BorrowedMessage<'_>,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<Flow>,
    ) -> Result<Flow> {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(progress) = reading.get(partition) else { return Ok(Flow::More) };
        if offset < progress.next {
            return Ok(Flow::More);
        }
        let mut flow = Flow::More;
        if offset < progress.window.to {
            progress.next = offset + 1;
            flow = each(message)?;
        }
        if offset + 1 >= progress.window.to {
            progress.next = progress.window.to;
            self.leave(consumer, reading, partition)?;
        }
        Ok(flow)
    }

    /// Ends a partition, whatever is produced to it from now on.
    fn leave(&self, consumer: &BaseConsumer<Remarks>, reading: &mut Reading, partition: i32) -> Result<()> {
        reading.finish(partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        consumer.pause(&list).map_err(|error| self.broken("leaving a partition", error))
    }

    /// A consumer that begins where the windows do.
    fn consumer(&self, reading: &Reading) -> Result<BaseConsumer<Remarks>> {
        let mut config = self.client.endpoint.client_config();
        let kilobytes = (self.queue_bytes / 1024).max(1024);
        // One answer of a broker, and one partition's part of it. A larger message comes alone.
        let answer = (self.queue_bytes / 4).clamp(1 << 20, 16 << 20);
        let part = (answer / reading.open.max(1)).clamp(64 << 10, 1 << 20);
        config
            // Asked for by librdkafka before partitions can be assigned. No member joins it, and nothing is committed.
            .set("group.id", "headwater")
            .set("client.id", "headwater")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            .set("enable.metrics.push", "false")
            // The end of a log is reported with the answer that finds nothing there.
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", kilobytes.to_string())
            .set("fetch.max.bytes", answer.to_string())
            .set("fetch.message.max.bytes", part.to_string())
            .set("socket.timeout.ms", "15000")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Warning);
        let consumer: BaseConsumer<Remarks> = BaseConsumer::from_config_and_context(&config, Remarks)
            .map_err(|error| self.broken("making a consumer", error))?;
        let mut list = TopicPartitionList::new();
        for Progress { window, .. } in reading.all() {
            list.add_partition_offset(&self.topic, window.partition, Offset::Offset(window.from))
                .map_err(|error| self.broken("choosing an offset", error))?;
        }
        consumer.assign(&list).map_err(|error| self.broken("assigning partitions", error))?;
        Ok(consumer)
    }

    /// What an event means: an error that ends the read; or that a broker was lost, which librdkafka looks for by itself.
    fn judge(&self, error: &KafkaError, reading: &Reading, io: &Handle) -> Result<bool> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(false) };
        match code {
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::LogTruncation => {
                self.verify(reading, io)?;
                let what = format!("reading {}: a broker has no messages from where the read goes on", self.label());
                Err(EngineError::transient(what).hint("a replica that is behind may have become the leader"))
            }
            RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve => {
                Ok(true)
            }
            code => match failure::reading(&self.label(), code) {
                Some(error) => Err(error),
                None => {
                    tracing::debug!(kafka.error = %code, "librdkafka goes on");
                    Ok(false)
                }
            },
        }
    }

    /// Asks the brokers whether the topic is the one whose windows were opened, and still holds what has not been read of them.
    fn verify(&self, reading: &Reading, io: &Handle) -> Result<()> {
        let label = self.label();
        let (topic, bounds) = io.block_on(async {
            let asked = self.cancel.run_until_cancelled(self.client.bounds(&self.topic)).await;
            asked.unwrap_or_else(|| Err(EngineError::canceled(format!("reading {label} was canceled"))))
        })?;
        let hint =
            "run it again: the stored position decides what is read, and headwater run NAME --full-refresh reads all";
        if topic.id != self.topic_id {
            let what = format!("reading {label}: the topic was made again meanwhile");
            return Err(EngineError::config(what).hint(hint));
        }
        for Progress { window, next, done } in reading.all() {
            let Some(bounds) = bounds.get(&window.partition) else { continue };
            if !done && *next < bounds.low {
                return Err(lost(&label, window.partition, *next, bounds.low));
            }
            if bounds.high < window.to {
                let (partition, high, to) = (window.partition, bounds.high, window.to);
                let what =
                    format!("reading {label}: partition {partition} ends at offset {high} now, and at {to} before");
                return Err(EngineError::transient(what)
                    .hint("a replica that was behind has become the leader, and messages are gone"));
            }
        }
        Ok(())
    }
}
