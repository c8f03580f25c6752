//! What a cluster has: brokers, topics, and where their partitions begin and end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_engine::{EngineError, Result};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::{Endpoint, Format};
use super::failure::{self, Failure};
use super::guess::Guesses;
use super::json::base64;
use super::registry::{Kept, Registry};
use super::session::{Session, codes, key};
use super::wire::{In, Malformed, Out};

/// A cluster that elects leaders answers right some moments later.
const ATTEMPTS: u32 = 5;

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// ListOffsets: where a log begins, and where it ends for a reader of committed messages.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// ListOffsets: messages of open and aborted transactions are left out, so that the end is the last stable offset.
const READ_COMMITTED: i8 = 1;

/// Asks the brokers of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(super) endpoint: Arc<Endpoint>,
    /// Where sockets are driven: the runtime of an attempt may have no driver of its own.
    io: Option<Handle>,
    /// What messages of streams look like.
    pub(super) guesses: Arc<Guesses>,
    /// Where the schemas of messages are, if they have any.
    pub(super) registry: Option<Arc<Registry>>,
}

/// What a broker says of its cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Hosts and ports by number.
    pub brokers: BTreeMap<i32, (String, u16)>,
    /// The cluster's own id.
    pub id: String,
    /// Sorted by name.
    pub topics: Vec<Topic>,
    /// e.g. `TCP, not encrypted`.
    pub transport: String,
    /// Round trip of the question, in microseconds.
    pub latency_us: u64,
}

/// A topic.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub name: String,
    /// Kafka's own form of it, base64 for urls. A topic that is made again has another.
    pub id: String,
    /// The brokers' own, such as `__consumer_offsets`.
    pub internal: bool,
    /// An error code of the protocol, 0 for none.
    error: i16,
    /// Numbers and leaders; -1 is none.
    leaders: Vec<(i32, i32)>,
}

impl Topic {
    /// The numbers of its partitions, in order.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.leaders.iter().map(|(partition, _)| *partition).collect()
    }

    /// Whether it is to be shown and read without being named.
    pub(crate) fn is_public(&self) -> bool {
        !self.internal && !self.name.starts_with("__")
    }
}

/// Where a partition begins, and where it ends for a reader of committed messages: the next offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub low: i64,
    pub high: i64,
}

/// Bounds by partition.
pub(crate) type TopicBounds = BTreeMap<i32, Bounds>;

impl Client {
    pub(crate) fn new(endpoint: Endpoint, io: Option<Handle>, guesses: Arc<Guesses>, kept: Arc<Kept>) -> Self {
        let registry = endpoint.registry.clone().zip(endpoint.format.language());
        let registry = registry.map(|(at, language)| Arc::new(Registry::new(&endpoint.name, at, language, kept)));
        Self { endpoint: Arc::new(endpoint), io, guesses, registry }
    }

    /// What guesses at a topic are kept by: connections of other formats read its messages as something else.
    pub(crate) fn guess_key(&self, topic_id: &str) -> String {
        match (self.endpoint.format, self.endpoint.format.language(), &self.registry) {
            (_, Some(language), Some(registry)) => format!("{topic_id} {} {}", language.format(), registry.address()),
            (Format::Debezium, ..) => format!("{topic_id} changes"),
            _ => topic_id.to_owned(),
        }
    }

    /// The name of a topic in messages.
    pub(crate) fn label(&self, topic: &str) -> String {
        format!("{}.{topic}", self.endpoint.name)
    }

    /// Runs work on the runtime that drives sockets. Dropping the future ends the work.
    pub(crate) async fn on_io<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match &self.io {
            None => work.await,
            Some(io) => AbortOnDropHandle::new(io.spawn(work))
                .await
                .map_err(|error| EngineError::bug("a question to the brokers ended early").caused_by(error))?,
        }
    }

    /// The cluster with all its topics.
    pub(crate) async fn cluster(&self) -> Result<Cluster> {
        let endpoint = Arc::clone(&self.endpoint);
        self.on_io(async move { describe(&endpoint, None).await }).await
    }

    /// A topic and the bounds of all its partitions. That there is none is an error.
    pub(crate) async fn bounds(&self, name: &str) -> Result<(Topic, TopicBounds)> {
        let (endpoint, name, label) = (Arc::clone(&self.endpoint), name.to_owned(), self.label(name));
        let work = async move {
            let mut attempt = 0;
            loop {
                attempt += 1;
                let (cluster, topic) = one(&endpoint, &name, &label).await?;
                match bounds(&endpoint, &cluster, &[&topic]).await? {
                    Ok(mut found) => return Ok((topic, found.remove(&name).unwrap_or_default())),
                    Err(code) if attempt == ATTEMPTS => return Err(failure::topic(&label, code)),
                    Err(_) => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
                }
            }
        };
        self.on_io(work).await
    }

    /// The bounds of all topics that are to be shown. Those whose leaders don't answer are left out.
    pub(crate) async fn all_bounds(&self, cluster: &Cluster) -> Result<BTreeMap<String, TopicBounds>> {
        let (endpoint, cluster) = (Arc::clone(&self.endpoint), cluster.clone());
        let work = async move {
            let topics: Vec<&Topic> = cluster.topics.iter().filter(|topic| topic.is_public()).collect();
            match bounds(&endpoint, &cluster, &topics).await {
                Ok(Ok(found)) => return Ok(found),
                // A broker that can't be reached takes its time for each topic.
                Err(_) => return Ok(BTreeMap::new()),
                Ok(Err(_)) => {}
            }
            let mut found = BTreeMap::new();
            for topic in topics {
                if let Ok(Ok(one)) = bounds(&endpoint, &cluster, &[topic]).await {
                    found.extend(one);
                }
            }
            Ok(found)
        };
        self.on_io(work).await
    }
}

/// One topic, once it has leaders.
async fn one(endpoint: &Endpoint, name: &str, label: &str) -> Result<(Cluster, Topic)> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let cluster = describe(endpoint, Some(name)).await?;
        let found = cluster.topics.iter().find(|topic| topic.name == name).cloned();
        let Some(topic) = found else { return Err(failure::topic(label, codes::UNKNOWN_TOPIC)) };
        let elected = topic.leaders.iter().all(|(_, leader)| *leader >= 0);
        match topic.error {
            0 if elected => return Ok((cluster, topic)),
            code if code != 0 && code != codes::LEADER_NOT_AVAILABLE => return Err(failure::topic(label, code)),
            _ if attempt == ATTEMPTS => return Err(failure::topic(label, codes::LEADER_NOT_AVAILABLE)),
            _ => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
        }
    }
}

/// Asks the brokers named in the settings one after the other, until one answers.
async fn describe(endpoint: &Endpoint, only: Option<&str>) -> Result<Cluster> {
    let mut first = None;
    for (host, port) in &endpoint.hosts {
        match describe_at(endpoint, host, *port, only).await {
            Ok(cluster) => return Ok(cluster),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    // Settings name at least one.
    Err(first.unwrap_or_else(|| EngineError::bug("a connection has no broker")))
}

async fn describe_at(endpoint: &Endpoint, host: &str, port: u16, only: Option<&str>) -> Result<Cluster> {
    let mut session = Session::open(endpoint, host, port).await?;
    let start = Instant::now();
    let answer = metadata(&mut session, only).await;
    let mut cluster = answer.map_err(|failure| failure.at(endpoint, &super::endpoint::shown(host, port)))?;
    cluster.latency_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    cluster.transport = session.transport;
    Ok(cluster)
}

/// Metadata, version 10 to 12, which has topic ids. No topic is made by asking for it.
async fn metadata(session: &mut Session, only: Option<&str>) -> Result<Cluster, Failure> {
    let version = session.version(key::METADATA, 10, 12)?;
    let mut body = Out::default();
    match only {
        // One topic by its name, without an id.
        Some(name) => body.varint(2).bytes(&[0; 16]).compact(name).varint(0),
        // No list: all of them.
        None => body.varint(0),
    };
    body.int8(0);
    if version == 10 {
        body.int8(0);
    }
    body.int8(0).varint(0);
    let answer = session.ask(key::METADATA, version, true, &body).await?;
    Ok(read_metadata(&mut In(&answer))?)
}

fn read_metadata(input: &mut In<'_>) -> Result<Cluster, Malformed> {
    input.int32()?;
    let mut brokers = BTreeMap::new();
    for _ in 0..input.compact_count()? {
        let number = input.int32()?;
        let host = input.compact()?;
        let port = u16::try_from(input.int32()?).map_err(|_| Malformed)?;
        input.compact()?;
        input.tags()?;
        brokers.insert(number, (host, port));
    }
    let id = input.compact()?;
    input.int32()?;
    let mut topics = Vec::new();
    for _ in 0..input.compact_count()? {
        topics.push(read_topic(input)?);
    }
    topics.sort_by(|a: &Topic, b: &Topic| a.name.cmp(&b.name));
    Ok(Cluster { brokers, id, topics, transport: String::new(), latency_us: 0 })
}

fn read_topic(input: &mut In<'_>) -> Result<Topic, Malformed> {
    let error = input.int16()?;
    let name = input.compact()?;
    let id = base64::encode(&input.uuid()?).replace('+', "-").replace('/', "_");
    let id = id.trim_end_matches('=').to_owned();
    let internal = input.boolean()?;
    let mut leaders = Vec::new();
    for _ in 0..input.compact_count()? {
        input.int16()?;
        leaders.push((input.int32()?, input.int32()?));
        input.int32()?;
        for _ in 0..3 {
            let replicas = input.compact_count()?;
            input.take(4 * replicas)?;
        }
        input.tags()?;
    }
    leaders.sort_unstable();
    input.int32()?;
    input.tags()?;
    Ok(Topic { name, id, internal, error, leaders })
}

/// Asks each leader for the bounds of its partitions. The inner error is the code that a leader answered for one of them.
async fn bounds(
    endpoint: &Endpoint,
    cluster: &Cluster,
    topics: &[&Topic],
) -> Result<Result<BTreeMap<String, TopicBounds>, i16>> {
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for topic in topics {
        for (partition, leader) in &topic.leaders {
            by_leader.entry(*leader).or_default().entry(&topic.name).or_default().push(*partition);
        }
    }
    let mut found: BTreeMap<String, TopicBounds> = BTreeMap::new();
    for (leader, asked) in by_leader {
        let Some((host, port)) = cluster.brokers.get(&leader) else { return Ok(Err(codes::LEADER_NOT_AVAILABLE)) };
        let mut session = Session::open(endpoint, host, *port).await?;
        let at = |failure: Failure| failure.at(endpoint, &super::endpoint::shown(host, *port));
        // The end is asked for first: a log that is cut at its beginning in between has at least the end of before.
        let highs = list_offsets(&mut session, &asked, LATEST).await.map_err(at)?;
        let lows = list_offsets(&mut session, &asked, EARLIEST).await.map_err(at)?;
        for ((topic, partition), high) in highs {
            let low = lows.get(&(topic.clone(), partition)).copied().unwrap_or(Err(codes::NOT_LEADER));
            match (low, high) {
                (Ok(low), Ok(high)) => {
                    found.entry(topic).or_default().insert(partition, Bounds { low, high: high.max(low) });
                }
                (Err(code), _) | (_, Err(code)) => return Ok(Err(code)),
            }
        }
    }
    Ok(Ok(found))
}

type Offsets = BTreeMap<(String, i32), Result<i64, i16>>;

/// ListOffsets, version 3.
async fn list_offsets(session: &mut Session, asked: &BTreeMap<&str, Vec<i32>>, what: i64) -> Result<Offsets, Failure> {
    let version = session.version(key::LIST_OFFSETS, 3, 3)?;
    let mut body = Out::default();
    // -1: not another broker.
    body.int32(-1).int8(READ_COMMITTED).count(asked.len());
    for (topic, partitions) in asked {
        body.string(topic).count(partitions.len());
        for partition in partitions {
            body.int32(*partition).int64(what);
        }
    }
    let answer = session.ask(key::LIST_OFFSETS, version, false, &body).await?;
    let mut input = In(&answer);
    input.int32()?;
    let mut offsets = Offsets::new();
    for _ in 0..input.count()? {
        let topic = input.string()?;
        for _ in 0..input.count()? {
            let partition = input.int32()?;
            let error = input.int16()?;
            input.int64()?;
            let offset = input.int64()?;
            offsets.insert((topic.clone(), partition), if error == 0 { Ok(offset) } else { Err(error) });
        }
    }
    Ok(offsets)
}
