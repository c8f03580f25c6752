//! Topics of a real broker, filled by a client in Python that shares no code with Headwater.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::catalog::TableProvider;
use futures::StreamExt;
use headwater_engine::connector::{Connection, CursorRequest, Reading, Source, SourceObject, SourceRequest};
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::plan::Cursor;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::broker::{broker, name, start};
use crate::load::{open, read, session, show};

/// What is to be read: a topic, columns, the position of before.
pub fn request(topic: &str, columns: Value, after: Option<&Value>) -> SourceRequest {
    SourceRequest {
        object: SourceObject::Table(vec![topic.to_owned()]),
        columns: serde_json::from_value(columns).unwrap(),
        cursor: Some(CursorRequest {
            cursor: Cursor { column: None, lookback: None, lag: None, nulls: None },
            reading: Reading::After(after.cloned()),
            by_keys: false,
            most: None,
        }),
        quarantine: None,
        cancel: CancellationToken::new(),
    }
}

pub fn kafka() -> Arc<dyn Connection> {
    open("kafka", broker().settings(json!({})))
}

/// Opens a topic from a position on.
pub async fn source(topic: &str, columns: Value, after: Option<&Value>) -> Result<Source> {
    kafka().source(&request(topic, columns, after)).await
}

/// The rows of a topic from a position on, sorted, and the position behind them.
async fn rows(topic: &str, columns: Value, after: Option<&Value>) -> Result<(Vec<String>, Value)> {
    let source = source(topic, columns, after).await?;
    let position = source.position.unwrap().to;
    Ok((show(&read(source.table).await?), position))
}

/// Partitions and offsets of all rows, sorted.
fn places(batches: &[RecordBatch]) -> Vec<(i32, i64)> {
    let mut places = Vec::new();
    for batch in batches {
        let partitions = batch.column_by_name("_partition").unwrap().as_primitive::<Int32Type>();
        let offsets = batch.column_by_name("_offset").unwrap().as_primitive::<Int64Type>();
        places.extend(partitions.values().iter().copied().zip(offsets.values().iter().copied()));
    }
    places.sort_unstable();
    places
}

/// Every offset between two positions.
fn between(from: Option<&Value>, to: &Value) -> Vec<(i32, i64)> {
    let next = |of: &Value, partition: &str| of["partitions"][partition].as_i64().unwrap();
    let mut places = Vec::new();
    for partition in to["partitions"].as_object().unwrap().keys() {
        let start = from.map_or(0, |from| next(from, partition));
        places.extend((start..next(to, partition)).map(|offset| (partition.parse().unwrap(), offset)));
    }
    places.sort_unstable();
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_exact_while_a_producer_goes_on() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 3).fill(&topic, 3, 0, 90_000, 20);
    client.run(&json!({ "do": "flood", "topic": topic, "partitions": 3 }));
    let mut after = None;
    for _ in 0..3 {
        let found = source(&topic, json!(["_partition", "_offset", "id"]), after.as_ref()).await.unwrap();
        let position = found.position.unwrap();
        let batches = read(found.table).await.unwrap();
        assert_eq!(places(&batches), between(after.as_ref(), &position.to), "{}", position.shown);
        after = Some(position.to);
    }
    client.run(&json!({ "do": "calm" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_transactions_are_not_seen_and_their_window_ends() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).send(&topic, 0, &["{\"id\":1}"]);
    client.run(&json!({ "do": "begin", "id": topic })).send(&topic, 0, &["{\"id\":2}"]).run(&json!({ "do": "commit" }));
    let start = Instant::now();
    let first = rows(&topic, json!(["id", "_offset"]), None).await.unwrap();
    // The last offset of the window is the commit's own record.
    assert_eq!(
        (first.0.as_slice(), &first.1["partitions"]["0"]),
        (&["1|0".to_owned(), "2|1".to_owned()][..], &json!(3))
    );
    client
        .run(&json!({ "do": "begin", "id": topic }))
        .send(&topic, 0, &["{\"id\":3}"; 10])
        .run(&json!({ "do": "abort" }));
    let second = rows(&topic, json!({ "id": "bigint" }), Some(&first.1)).await.unwrap();
    assert_eq!((second.0.len(), &second.1["partitions"]["0"]), (0, &json!(14)));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_read_once_it_has_committed() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).send(&topic, 0, &["{\"id\":1}"]);
    client.run(&json!({ "do": "begin", "id": topic })).send(&topic, 0, &["{\"id\":2}"]);
    let first = rows(&topic, json!(["id"]), None).await.unwrap();
    assert_eq!((first.0.as_slice(), &first.1["partitions"]["0"]), (&["1".to_owned()][..], &json!(1)));
    client.run(&json!({ "do": "commit" }));
    let second = rows(&topic, json!(["id"]), Some(&first.1)).await.unwrap();
    assert_eq!((second.0.as_slice(), &second.1["partitions"]["0"]), (&["2".to_owned()][..], &json!(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_topic_is_read_with_its_gaps() {
    let (topic, mut client) = (name(), broker().client());
    let config = json!({ "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001" });
    client.run(&json!({ "do": "create", "topic": topic, "partitions": 1, "config": config }));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let message = |index: u32| json!({ "key": format!("k{}", index % 3), "value": format!("{{\"id\":{index}}}") });
        let messages: Vec<Value> = (0..9).map(message).collect();
        client.run(&json!({ "do": "send", "topic": topic, "messages": messages }));
        let found = source(&topic, json!(["_partition", "_offset", "_key"]), None).await.unwrap();
        let position = found.position.unwrap().to;
        let places = places(&read(found.table).await.unwrap());
        let all = between(None, &position);
        assert_eq!(places.last(), all.last(), "the newest message is never removed");
        if places.len() < all.len() {
            break;
        }
        assert!(Instant::now() < deadline, "the broker removed nothing");
        // The broker's cleaner gives no signal. Meanwhile its segment gets old enough to be cleaned.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_topic_has_no_rows_and_a_position() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 2);
    let found = source(&topic, json!({ "id": "bigint" }), None).await.unwrap();
    assert_eq!(found.position.as_ref().unwrap().shown, "nothing new in 2 partitions");
    let position = found.position.unwrap().to;
    assert!(read(found.table).await.unwrap().iter().all(|batch| batch.num_rows() == 0));
    client.send(&topic, 1, &["{\"id\":7}"]);
    let next = rows(&topic, json!(["_partition", "id"]), Some(&position)).await.unwrap();
    assert_eq!(next.0, ["1|7"], "one partition is empty still");
    let undeclared = source(&name(), json!(null), None).await.unwrap_err();
    assert!(undeclared.message.contains("there is no such topic") && undeclared.kind == ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_partition_is_read_from_its_beginning() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).send(&topic, 0, &["{\"id\":1}"]);
    let first = rows(&topic, json!(["id"]), None).await.unwrap();
    client.run(&json!({ "do": "partitions", "topic": topic, "to": 2 })).send(&topic, 1, &["{\"id\":2}"]);
    let second = rows(&topic, json!(["_partition", "_offset", "id"]), Some(&first.1)).await.unwrap();
    assert_eq!(second.0, ["1|0|2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_were_deleted_before_they_were_read_are_an_error() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).fill(&topic, 1, 0, 10, 0);
    let first = rows(&topic, json!(["id"]), None).await.unwrap();
    client.fill(&topic, 1, 10, 10, 0);
    let opened = source(&topic, json!(["id"]), Some(&first.1)).await.unwrap();
    client.run(&json!({ "do": "truncate", "topic": topic, "partition": 0, "before": 15 }));
    let late = read(opened.table).await.unwrap_err();
    let error = source(&topic, json!(["id"]), Some(&first.1)).await.unwrap_err();
    for error in [late, error] {
        assert_eq!(error.kind, ErrorKind::Config, "{error}");
        for part in [&topic, "partition 0", "offset 15", "10 is the next"] {
            assert!(error.message.contains(part), "{error}");
        }
        assert!(error.hint.unwrap().contains("headwater run NAME --full-refresh"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_again_with_more_messages_is_an_error() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).fill(&topic, 1, 0, 10, 0);
    let first = rows(&topic, json!(["id"]), None).await.unwrap();
    client.run(&json!({ "do": "delete", "topic": topic }));
    let gone = source(&topic, json!(["id"]), Some(&first.1)).await.unwrap_err();
    assert!(gone.message.contains("no such topic"), "{gone}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while source(&topic, json!(null), None).await.is_ok() && Instant::now() < deadline {}
    client.create(&topic, 1).fill(&topic, 1, 0, 50, 0);
    let error = source(&topic, json!(["id"]), Some(&first.1)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(
        error.message.contains("made again") && error.message.contains("0: 10") && error.message.contains("0: 50"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("--full-refresh"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_or_made_again_while_it_is_read_is_an_error() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).fill(&topic, 1, 0, 10, 0);
    let opened = source(&topic, json!(["id"]), None).await.unwrap();
    client.run(&json!({ "do": "delete", "topic": topic }));
    let error = read(opened.table).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config, "{error}");
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).fill(&topic, 1, 0, 10, 0);
    let opened = source(&topic, json!(["id"]), None).await.unwrap();
    client.run(&json!({ "do": "delete", "topic": topic })).create(&topic, 1).fill(&topic, 1, 0, 50, 0);
    let error = read(opened.table).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config, "{error}");
    assert!(error.message.contains("made again"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_beside_a_message_is_in_columns() {
    let (topic, mut client) = (name(), broker().client());
    let messages = json!([
        { "key": "a", "value": "{\"id\":1,\"big\":12345678901234567890,\"deep\":{\"x\": [1, 2.50]},\"none\":null}", "headers": [["h", "1"], ["h", "\u{ff}"], ["n", null]] },
        { "key": "a", "value": null },
        { "value": "{\"id\":2,\"tag\":\"\u{e9}\"}" },
    ]);
    client.create(&topic, 1).run(&json!({ "do": "send", "topic": topic, "messages": messages }));
    let columns = json!(["_offset", "_key", "_tombstone", "id", "big", "deep", "none", "tag", "_headers"]);
    assert_eq!(
        rows(&topic, columns, None).await.unwrap().0,
        [
            "0|a|false|1|12345678901234567890|{\"x\": [1, 2.50]}|NULL|NULL|[{\"key\":\"h\",\"value\":\"1\"},{\"key\":\"h\",\"base64\":\"/w==\"},{\"key\":\"n\",\"value\":null}]",
            "1|a|true|NULL|NULL|NULL|NULL|NULL|NULL",
            "2|NULL|false|2|NULL|NULL|NULL|\u{e9}|NULL",
        ]
    );
    let found = source(&topic, json!({ "id": "text" }), None).await.unwrap();
    assert!(found.notes.iter().any(|note| note.contains("guessed")), "{:?}", found.notes);
    assert!(read(found.table).await.unwrap_err().message.contains("offset 0: field id: a string is expected"));
    let now = read(source(&topic, json!(["_timestamp"]), None).await.unwrap().table).await.unwrap();
    let micros = now[0].column(0).as_primitive::<TimestampMicrosecondType>().value(0);
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64 - micros;
    assert!((-60_000_000..600_000_000).contains(&age), "{age} microseconds old");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_messages_are_bytes_whatever_they_hold() {
    let (topic, mut client) = (name(), broker().client());
    let messages =
        json!([{ "key_base64": "/w==", "value_base64": "AP8=" }, { "value": "" }, { "key": "k", "value": null }]);
    client.create(&topic, 1).run(&json!({ "do": "send", "topic": topic, "messages": messages }));
    let raw = open("kafka", broker().settings(json!({ "format": "raw" })));
    let found = raw.source(&request(&topic, json!(["_offset", "_key", "_value", "_tombstone"]), None)).await.unwrap();
    assert_eq!(show(&read(found.table).await.unwrap()), ["0|ff|00ff|false", "1|NULL||false", "2|6b|NULL|true"]);
    let error = read(source(&topic, json!(["_key"]), None).await.unwrap().table).await.unwrap_err();
    assert!(error.message.contains("offset 0: the key as text: it is not UTF-8"), "{error}");
    assert!(error.hint.unwrap().contains("_key: bytea"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_message_is_named_by_topic_partition_and_offset_and_not_repeated() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 2).send(&topic, 1, &["{\"id\":1}", "{\"id\":2,\"card\":\"4111-secret\"", "{\"id\":3}"]);
    let error = rows(&topic, json!({ "id": "bigint" }), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert!(
        error.message.contains(&format!("{topic}, partition 1, offset 1: the message ends in the middle (byte 28)")),
        "{error}"
    );
    let all = format!("{error:?}");
    assert!(!all.contains("secret") && error.hint.is_some(), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_megabytes_are_read() {
    let (topic, mut client) = (name(), broker().client());
    let config = json!({ "max.message.bytes": "20000000" });
    client.run(&json!({ "do": "create", "topic": topic, "partitions": 2, "config": config }));
    client.fill(&topic, 2, 0, 60, 1 << 20).fill(&topic, 2, 60, 4, 10 << 20);
    let batches = read(source(&topic, json!(["id", "pad"]), None).await.unwrap().table).await.unwrap();
    let sizes = batches.iter().flat_map(|batch| batch.column(1).as_string::<i32>().iter().flatten().map(str::len));
    assert_eq!(sizes.sum::<usize>(), (60 << 20) + (40 << 20));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 64);
    assert!(batches.len() > 8, "a batch is cut by its size: {} batches", batches.len());
}

/// The first batch of a table, and the stream behind it.
async fn begin(table: Arc<dyn TableProvider>) -> datafusion::execution::SendableRecordBatchStream {
    let mut stream = session().read_table(table).unwrap().execute_stream().await.unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    stream
}

/// Takes what is left until an error comes.
async fn end(mut stream: datafusion::execution::SendableRecordBatchStream) -> Option<EngineError> {
    while let Some(batch) = stream.next().await {
        if let Err(error) = batch {
            return Some(EngineError::from(error));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_ends_a_read_within_two_seconds() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 2).fill(&topic, 2, 0, 400_000, 200);
    let request = request(&topic, json!(["id", "pad"]), None);
    let stream = begin(kafka().source(&request).await.unwrap().table).await;
    // Nobody takes batches for a while: the reader waits for room, of which nothing can be seen from outside.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let canceled = Instant::now();
    request.cancel.cancel();
    let error = end(stream).await.unwrap();
    assert_eq!(error.kind, ErrorKind::Canceled, "{error}");
    assert!(canceled.elapsed() < Duration::from_secs(2), "{:?}", canceled.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_in_the_middle_is_a_transient_error_and_one_that_hangs_holds_up_no_cancel() {
    let mut broker = tokio::task::spawn_blocking(|| start("kafka-stops")).await.unwrap();
    let topic = name();
    broker.client().create(&topic, 1).fill(&topic, 1, 0, 600_000, 200);
    let stops = open("kafka", broker.settings(json!({})));
    let columns = json!({ "id": "bigint", "pad": "text" });
    let (canceled, lost) = (request(&topic, columns.clone(), None), request(&topic, columns, None));
    let first = begin(stops.source(&canceled).await.unwrap().table).await;
    let second = begin(stops.source(&lost).await.unwrap().table).await;
    broker.freeze();
    let start = Instant::now();
    canceled.cancel.cancel();
    let error = end(first).await.expect("the read can't have ended");
    assert_eq!(error.kind, ErrorKind::Canceled, "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    broker.kill();
    let error = end(second).await.expect("the read can't have ended");
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    assert!(error.message.contains("refused the connection"), "{error}");
    let error = stops.source(&lost).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_codec_are_read() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1);
    for (index, codec) in ["gzip", "snappy", "lz4", "zstd", "none"].iter().enumerate() {
        let message = json!({ "value": format!("{{\"id\":{index},\"pad\":\"{}\"}}", "x".repeat(1000)) });
        client.run(&json!({ "do": "send", "topic": topic, "codec": codec, "messages": vec![message; 20] }));
    }
    let found = rows(&topic, json!(["id"]), None).await.unwrap().0;
    assert_eq!(found.len(), 100);
    assert_eq!(found.iter().filter(|id| id.as_str() == "3").count(), 20);
}
