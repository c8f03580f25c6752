//! What object stores do to loads: rivals, lost answers, writers that die half-way, stores that can't be trusted.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_engine::connector::{Commit, Connection, LoadContext, SinkRequest, Taken};
use headwater_engine::testing::{attempt, stream};
use headwater_engine::{EngineError, ErrorKind};
use headwater_pipelines::spec::WriteMode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::load::{open, path, read, session, show, sink, sql, table};
use crate::stores::{Bucket, another_s3, bucket, container, s3, s3_options};

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let ids: arrow::array::ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

async fn ids(connection: &Arc<dyn Connection>, name: &str) -> Vec<i64> {
    let found = sql(table(connection, name).await.unwrap(), "SELECT id FROM t ORDER BY id").await.unwrap();
    let columns =
        found.iter().map(|batch| arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0)));
    columns.flat_map(|column| column.values().to_vec()).collect()
}

async fn load(
    connection: &Arc<dyn Connection>,
    name: &str,
    context: &LoadContext,
    rows: RecordBatch,
) -> headwater_engine::Result<Commit> {
    let target = sink(connection, name, WriteMode::Append).await;
    let staged = target.write(context, stream(rows.schema(), vec![rows])).await?;
    target.commit(context, staged).await
}

/// Uploads that were begun and neither completed nor aborted.
fn open_uploads(bucket: &Bucket) -> usize {
    let mut open = 0;
    let folders = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    // The server has a folder for each object, with a folder for each upload.
    for object in folders(&bucket.folder.join(".sgwtmp/multipart")) {
        open += folders(&object).len();
    }
    open
}

/// A way to the S3 server on which requests, or their answers, get lost.
struct Link {
    port: u16,
    lose: Arc<parking_lot::Mutex<Option<Loss>>>,
}

#[derive(Clone, Copy)]
enum Loss {
    /// Every request whose first line holds all of these never arrives.
    Request(&'static [&'static str]),
    /// The answer to the first request whose first line holds all of these never arrives.
    Answer(&'static [&'static str]),
}

impl Link {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lose = Arc::new(parking_lot::Mutex::new(None));
        let losing = Arc::clone(&lose);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let losing = Arc::clone(&losing);
                std::thread::spawn(move || forward(client.unwrap(), &losing));
            }
        });
        Self { port, lose }
    }

    fn connection(&self, connector: &str, bucket: &Bucket, further: Value) -> Arc<dyn Connection> {
        let mut settings = bucket.settings("x", further);
        settings["options"] = s3_options(self.port).into();
        open(connector, settings)
    }
}

fn forward(mut client: TcpStream, lose: &parking_lot::Mutex<Option<Loss>>) {
    let mut server = TcpStream::connect(("127.0.0.1", s3().port)).unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    let (mut answers, mut back, losing) = (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&lost));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(length) = answers.read(&mut bytes)
            && length > 0
            && !losing.load(Ordering::SeqCst)
            && back.write_all(&bytes[..length]).is_ok()
        {}
        let _ = (back.shutdown(Shutdown::Both), answers.shutdown(Shutdown::Both));
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length) = client.read(&mut bytes)
        && length > 0
    {
        let head = String::from_utf8_lossy(&bytes[..length.min(2000)]).lines().next().unwrap_or_default().to_owned();
        let holds = |words: &[&str]| words.iter().all(|word| head.contains(word));
        let loss = *lose.lock();
        match loss {
            Some(Loss::Request(words)) if holds(words) => break,
            Some(Loss::Answer(words)) if holds(words) => {
                *lose.lock() = None;
                lost.store(true, Ordering::SeqCst);
            }
            _ => {}
        }
        if server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_delta_writers_on_s3_both_commit_everything() {
    let bucket = bucket();
    let settings = bucket.settings("lake", json!({}));
    load(&open("delta", settings.clone()), "orders", &attempt(Uuid::now_v7(), 1), rows(0..1)).await.unwrap();
    let writer = async |number: i64| {
        let lake = open("delta", settings.clone());
        for round in 0..6 {
            let first = 1 + number * 60 + round * 10;
            let commit = load(&lake, "orders", &attempt(Uuid::now_v7(), 1), rows(first..first + 10)).await;
            assert!(matches!(commit, Ok(Commit::Committed { .. })), "{commit:?}");
        }
    };
    tokio::join!(writer(0), writer(1));
    assert_eq!(ids(&open("delta", settings), "orders").await, (0..121).collect::<Vec<_>>());
    // The table was made, got its first rows, and then twelve commits: none is missing, none came twice.
    let log = std::fs::read_dir(bucket.folder.join("lake/orders/_delta_log")).unwrap();
    let commits = log.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".json")).count();
    assert_eq!(commits, 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_again() {
    let (bucket, link) = (bucket(), Link::new());
    for (connector, words) in [
        ("delta", ["PUT ", "_delta_log/00000000000000000001.json"].as_slice()),
        ("files", &["PUT ", ".headwater/", ".json"]),
    ] {
        let lake = link.connection(connector, &bucket, json!({}));
        *link.lose.lock() = Some(Loss::Answer(words));
        let commit = load(&lake, connector, &attempt(Uuid::now_v7(), 1), rows(0..10)).await;
        assert!(link.lose.lock().is_none(), "{connector}: no answer was lost");
        assert!(matches!(commit, Ok(Commit::Committed { .. })), "{connector}: {commit:?}");
        assert_eq!(ids(&lake, connector).await, (0..10).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_writer_died_after_the_manifest_is_completed_by_the_next_reader() {
    let (bucket, link) = (bucket(), Link::new());
    for (name, mode) in [("orders", WriteMode::Append), ("report.csv", WriteMode::Overwrite)] {
        let cut_off = link.connection("files", &bucket, json!({}));
        let (target, context) = (sink(&cut_off, name, mode).await, attempt(Uuid::now_v7(), 1));
        let staged = target.write(&context, stream(rows(0..10).schema(), vec![rows(0..10)])).await.unwrap();
        *link.lose.lock() = Some(Loss::Request(&["POST ", "uploadId="]));
        let error = target.commit(&context, staged).await.unwrap_err();
        *link.lose.lock() = None;
        assert_eq!(error.kind, ErrorKind::Transient, "{name}: {error}");
        let reader = open("files", bucket.settings("x", json!({})));
        let read = show(&read(reader.source(&one(name)).await.unwrap().table).await.unwrap());
        assert_eq!(read.len(), 10, "{name}");
        // The next attempt finds the load done.
        assert_eq!(target.taken(context.load_id).await.unwrap().map(|taken| taken.attempt), Some(1), "{name}");
        let again = attempt(context.load_id, 2);
        let staged = target.write(&again, stream(rows(0..10).schema(), vec![rows(0..10)])).await.unwrap();
        let second = target.commit(&again, staged).await.unwrap();
        assert!(matches!(second, Commit::Adopted(Taken { attempt: 1, .. })), "{name}: {second:?}");
    }
    assert_eq!(open_uploads(&bucket), 0);
}

fn one(name: &str) -> headwater_engine::connector::SourceRequest {
    crate::load::request(headwater_engine::connector::SourceObject::Table(vec![name.to_owned()]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_ends_without_a_commit_leaves_no_upload() {
    let bucket = bucket();
    let drop = open("files", bucket.settings("x", json!({ "format": "csv" })));
    let target = sink(&drop, "orders", WriteMode::Append).await;
    let schema = rows(0..1).schema();
    let context = attempt(Uuid::now_v7(), 1);
    let staged = target.write(&context, stream(schema.clone(), vec![rows(0..10)])).await.unwrap();
    assert!(open_uploads(&bucket) > 0, "the rows are in uploads before the commit");
    assert!(!bucket.folder.join("x/orders").join("part").exists());
    target.abort(&context, Some(staged)).await;
    assert_eq!(open_uploads(&bucket), 0, "aborted");
    let broken = [Ok(rows(0..10)), Err(DataFusionError::from(EngineError::data("row 11 is broken")))];
    let broken = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter(broken)));
    target.write(&context, broken).await.unwrap_err();
    assert_eq!(open_uploads(&bucket), 0, "failed");
    // The engine drops what it no longer wants.
    let staged = target.write(&context, stream(schema, vec![rows(0..10)])).await.unwrap();
    std::mem::drop(staged);
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while open_uploads(&bucket) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("an upload was left by an attempt that was dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_beyond_one_part_are_uploaded_and_read_in_pieces() {
    let bucket = bucket();
    let drop = open("files", bucket.settings("x", json!({ "format": "jsonl" })));
    let many = 0..1_500_000;
    load(&drop, "many", &attempt(Uuid::now_v7(), 1), rows(many.clone())).await.unwrap();
    let files = std::fs::read_dir(bucket.folder.join("x/many")).unwrap().map(|entry| entry.unwrap());
    let largest = files.map(|entry| entry.metadata().unwrap().len()).max().unwrap();
    assert!(largest > 9 << 20, "one file of {largest} bytes needs only one part");
    assert_eq!(ids(&drop, "many").await.len(), many.count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_buckets_of_one_name_on_two_servers_are_two_in_one_session() {
    let (here, server) = (bucket(), another_s3());
    let folder = server.folder.join(here.location.trim_start_matches("s3://"));
    std::fs::create_dir(&folder).unwrap();
    let there = Bucket { location: here.location.clone(), options: s3_options(server.port), folder };
    for (connector, further) in [("delta", json!({})), ("files", json!({ "format": "parquet" }))] {
        let session = session();
        for (name, bucket, ids) in [("here", &here, 0..3), ("there", &there, 10..12)] {
            let connection = open(connector, bucket.settings(connector, further.clone()));
            load(&connection, "same", &attempt(Uuid::now_v7(), 1), rows(ids)).await.unwrap();
            session.register_table(name, table(&connection, "same").await.unwrap()).unwrap();
        }
        let both = session.sql("SELECT id FROM here UNION ALL SELECT id FROM there").await.unwrap();
        assert_eq!(show(&both.collect().await.unwrap()), ["0", "1", "10", "11", "2"], "{connector}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_objects_are_listed_matched_and_read() {
    let bucket = bucket();
    std::fs::create_dir_all(bucket.folder.join("x/2026/[odd] name")).unwrap();
    for name in ["2026/a.csv", "2026/b.csv", "2026/[odd] name/c.csv"] {
        std::fs::write(bucket.folder.join("x").join(name), format!("id\n{}\n", name.len())).unwrap();
    }
    let drop = open("files", bucket.settings("x", json!({})));
    let listed: Vec<String> =
        drop.catalog(false).await.unwrap().into_iter().map(|table| table.path.join("/")).collect();
    assert_eq!(listed, ["2026/[odd] name/c.csv", "2026/a.csv", "2026/b.csv"]);
    let count = async |name: &str| show(&read(drop.source(&one(name)).await.unwrap().table).await.unwrap());
    assert_eq!(count("2026/*.csv").await, ["10", "10"]);
    assert_eq!(count("2026/a").await, ["10"]);
    let missing = drop.source(&one("2027/*.csv")).await.unwrap_err();
    assert!(missing.hint.unwrap().contains("2026/a.csv"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_checked_and_the_check_leaves_nothing() {
    for (bucket, name) in
        [(bucket(), "S3 at http://127.0.0.1:"), (container(), "Azure Blob Storage at http://127.0.0.1:")]
    {
        for connector in ["delta", "files"] {
            let connection = open(connector, bucket.settings("x", json!({})));
            let health = connection.check().await.unwrap();
            assert!(health.version.starts_with(name), "{health:?}");
            assert_eq!((health.transport.as_str(), health.tables), ("HTTP, not encrypted", 0));
            assert!(health.notes.is_empty(), "{health:?}");
        }
    }
    let bucket = bucket();
    open("files", bucket.settings("x", json!({}))).check().await.unwrap();
    let left: Vec<_> = std::fs::read_dir(bucket.folder.join("x")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A server that takes every object, there or not, as some stores do.
fn careless() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || answer_carelessly(client.unwrap()));
        }
    });
    port
}

fn answer_carelessly(mut client: TcpStream) {
    const LIST: &str = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
    let mut received = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length) = client.read(&mut bytes)
        && length > 0
    {
        received.extend_from_slice(&bytes[..length]);
        let text = String::from_utf8_lossy(&received).to_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head].split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if received.len() < head + 4 + length.map_or(0, |length| length.trim().parse::<usize>().unwrap()) {
            continue;
        }
        let body = if text.starts_with("get") { LIST } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        received.clear();
        if client.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_conditional_writes_is_refused() {
    let settings = json!({ "location": "s3://somewhere/x", "options": s3_options(careless()) });
    for connector in ["delta", "files"] {
        let error = open(connector, settings.clone()).check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(error.message.contains("does not support conditional writes"), "{error}");
        assert!(error.hint.unwrap().contains("If-None-Match"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_are_told_without_the_secret() {
    let bucket = bucket();
    let mut settings = bucket.settings("x", json!({}));
    settings["options"]["secret_access_key"] = json!("not-the-right-secret");
    for connector in ["delta", "files"] {
        let error = open(connector, settings.clone()).check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{error:?}");
        assert!(error.hint.as_deref().unwrap().contains("access_key_id"), "{error:?}");
        assert!(!format!("{error:?}").contains("not-the-right-secret"), "{error:?}");
        let connector = headwater_connectors::registry().get(connector).unwrap().clone();
        assert!(!connector.redact(&settings).to_string().contains("not-the-right-secret"));
        assert!(connector.secrets(&settings).contains(&"not-the-right-secret".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_not_there_is_told() {
    let settings = json!({ "location": "s3://not-there-at-all/x", "options": s3_options(s3().port) });
    for connector in ["delta", "files"] {
        let connection = open(connector, settings.clone());
        let error = connection.check().await.unwrap_err();
        assert!(error.message.contains("NoSuchBucket"), "{error}");
        let request = SinkRequest::new(path("a"), WriteMode::Append);
        let target = connection.sink(&request).await.unwrap();
        let written = target.write(&attempt(Uuid::now_v7(), 1), stream(rows(0..1).schema(), vec![rows(0..1)])).await;
        assert!(written.unwrap_err().message.contains("NoSuchBucket"));
    }
}
