//! Cursors of files: each file is read once, in whatever order they come, and none by half.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use headwater_engine::connector::{Connection, CursorRequest, Position, Reading, Source, SourceObject, SourceRequest};
use headwater_engine::stores::{self, Store};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::Cursor;
use headwater_pipelines::spec::{CursorNulls, Reach, WriteMode};
use object_store::ObjectStoreExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::load::{copy, open, read, show, sink, table};
use crate::stores::bucket;

pub(crate) fn auto() -> Cursor {
    Cursor { column: None, lookback: None, lag: None, nulls: None }
}

pub(crate) fn asked(name: &str, cursor: Cursor, reading: Reading, by_keys: bool) -> SourceRequest {
    SourceRequest {
        object: SourceObject::Table(vec![name.to_owned()]),
        columns: None,
        cursor: Some(CursorRequest { cursor, reading, by_keys, most: None }),
        quarantine: None,
        cancel: CancellationToken::new(),
    }
}

/// What is new since a position; its rows are not read yet.
async fn new(files: &Arc<dyn Connection>, name: &str, after: Option<&Position>) -> Result<Source> {
    let reading = Reading::After(after.map(|position| position.to.clone()));
    files.source(&asked(name, auto(), reading, false)).await
}

/// The rows that are new since a position, and the position behind them.
async fn window(files: &Arc<dyn Connection>, name: &str, after: Option<&Position>) -> Result<(Vec<String>, Position)> {
    let found = new(files, name, after).await?;
    Ok((show(&read(found.table).await?), found.position.unwrap()))
}

fn files(folder: &Path, further: Value) -> Arc<dyn Connection> {
    let mut settings = json!({ "location": folder.to_str().unwrap() });
    settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    open("files", settings)
}

/// A file with one column of ids, in the format that its name says.
fn bytes(name: &str, ids: &[i64]) -> Vec<u8> {
    let lines = |line: &dyn Fn(&i64) -> String| ids.iter().map(line).collect::<String>();
    let csv = || format!("id\n{}", lines(&|id| format!("{id}\n")));
    match name.rsplit('.').next() {
        Some("gz") => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, csv().as_bytes()).unwrap();
            gzip.finish().unwrap()
        }
        Some("jsonl") => lines(&|id| format!("{{\"id\":{id}}}\n")).into_bytes(),
        Some("parquet") => {
            let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
            let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
            let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.into_inner().unwrap()
        }
        _ => csv().into_bytes(),
    }
}

fn put(folder: &Path, name: &str, ids: &[i64]) {
    fs::write(folder.join(name), bytes(name, ids)).unwrap();
}

const ENDINGS: [&str; 4] = ["csv", "csv.gz", "jsonl", "parquet"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_once_in_whatever_order_they_come() {
    for ending in ENDINGS {
        let folder = tempfile::tempdir().unwrap();
        let (drop, all) = (files(folder.path(), json!({})), format!("*.{ending}"));
        put(folder.path(), &format!("b.{ending}"), &[1, 2]);
        let (rows, first) = window(&drop, &all, None).await.unwrap();
        assert_eq!((rows.len(), first.shown.as_str()), (2, format!("1 file, b.{ending}").as_str()));
        put(folder.path(), &format!("c.{ending}"), &[3]);
        put(folder.path(), &format!("a.{ending}"), &[4]);
        let (rows, second) = window(&drop, &all, Some(&first)).await.unwrap();
        assert_eq!(rows, ["3", "4"], "{ending}");
        assert_eq!(second.shown, format!("3 files, the last c.{ending}"));
        let again = new(&drop, &all, Some(&second)).await.unwrap();
        assert_eq!(again.table.schema().field(0).name(), "id", "{ending}: an empty window has columns");
        assert_eq!(read(again.table).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        let again = again.position.unwrap();
        assert!(!again.must_move && again == second, "{ending}: a window without new files moves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_overwritten_renamed_or_comes_back_is_another_file() {
    for ending in ENDINGS {
        let folder = tempfile::tempdir().unwrap();
        let (drop, all) = (files(folder.path(), json!({})), format!("*.{ending}"));
        let place = |name: &str| folder.path().join(format!("{name}.{ending}"));
        let put = |name: &str, ids: &[i64]| put(folder.path(), &format!("{name}.{ending}"), ids);
        put("a", &[1]);
        put("b", &[2]);
        let (_, first) = window(&drop, &all, None).await.unwrap();
        fs::remove_file(place("a")).unwrap();
        put("a", &[7]);
        // Clocks of file systems tick slowly, and inodes are given again.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        fs::File::options().write(true).open(place("a")).unwrap().set_modified(later).unwrap();
        let (rows, overwritten) = window(&drop, &all, Some(&first)).await.unwrap();
        assert_eq!(rows, ["7"], "{ending}");
        fs::rename(place("a"), place("c")).unwrap();
        let (rows, renamed) = window(&drop, &all, Some(&overwritten)).await.unwrap();
        assert_eq!(rows, ["7"], "{ending}: another name is another file");
        assert_eq!(renamed.shown, format!("2 files, the last c.{ending}"), "files that are gone are forgotten");
        // One that is gone for no more than a moment is still known.
        fs::rename(place("c"), folder.path().join("away")).unwrap();
        let (rows, none) = window(&drop, &all, Some(&renamed)).await.unwrap();
        assert!(rows.is_empty() && none.shown == format!("1 file, b.{ending}"), "{ending}: {}", none.shown);
        fs::rename(folder.path().join("away"), place("c")).unwrap();
        assert!(window(&drop, &all, Some(&renamed)).await.unwrap().0.is_empty(), "{ending}");
        // Once a load has moved the cursor without it, it is new.
        assert_eq!(window(&drop, &all, Some(&none)).await.unwrap().0, ["7"], "{ending}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_has_grown_is_read_again_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({}));
    put(folder.path(), "a.csv", &[1, 2]);
    let (_, first) = window(&drop, "*.csv", None).await.unwrap();
    put(folder.path(), "a.csv", &[1, 2, 3]);
    assert_eq!(window(&drop, "*.csv", Some(&first)).await.unwrap().0, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_once_it_was_listed_fails_the_read_as_transient() {
    for ending in ENDINGS {
        let folder = tempfile::tempdir().unwrap();
        let (drop, name) = (files(folder.path(), json!({})), format!("a.{ending}"));
        put(folder.path(), &name, &[1, 2]);
        let grown = new(&drop, &format!("*.{ending}"), None).await.unwrap();
        put(folder.path(), &name, &[1, 2, 3]);
        let halved = new(&drop, &format!("*.{ending}"), None).await.unwrap();
        let whole = bytes(&name, &[1, 2, 3]);
        fs::write(folder.path().join(&name), &whole[..whole.len() / 2]).unwrap();
        for changed in [grown, halved] {
            let error = read(changed.table).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Transient, "{ending}: {error}");
            assert!(error.message.contains(&name), "{ending}: {error}");
        }
        put(folder.path(), &name, &[1]);
        let gone = new(&drop, &format!("*.{ending}"), None).await.unwrap();
        fs::remove_file(folder.path().join(&name)).unwrap();
        let error = read(gone.table).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{ending}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_without_a_file_is_an_error_until_files_were_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({}));
    let error = new(&drop, "*.csv", None).await.unwrap_err();
    assert!(error.kind == ErrorKind::Config && error.message.contains("has no file *.csv"), "{error}");
    put(folder.path(), "a.csv", &[1]);
    let (_, first) = window(&drop, "*.csv", None).await.unwrap();
    fs::remove_file(folder.path().join("a.csv")).unwrap();
    let (rows, none) = window(&drop, "*.csv", Some(&first)).await.unwrap();
    assert_eq!((rows.len(), none.shown.as_str()), (0, "no files"));
    put(folder.path(), "a.csv", &[2]);
    assert_eq!(window(&drop, "*.csv", Some(&none)).await.unwrap().0, ["2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_new_files_are_their_own_and_lines_have_those_of_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({ "infer": true }));
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.jsonl", "{\"id\":1,\"price\":0.5,\"note\":\"x\"}\n");
    let (_, lines) = window(&drop, "*.jsonl", None).await.unwrap();
    write("b.jsonl", "{\"more\":true,\"id\":2,\"price\":7}\n");
    let found = new(&drop, "*.jsonl", Some(&lines)).await.unwrap();
    let columns: Vec<String> =
        found.table.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(columns, ["id Int64", "price Float64", "note Utf8", "more Boolean"]);
    assert_eq!(show(&read(found.table).await.unwrap()), ["2|7.0|NULL|true"]);
    write("a.csv", "id,price\n1,0.5\n");
    let (_, table) = window(&drop, "*.csv", None).await.unwrap();
    write("b.csv", "id,price\n2,\n");
    let found = new(&drop, "*.csv", Some(&table)).await.unwrap();
    assert_eq!(found.table.schema().field(1).data_type().to_string(), "Float64", "no value says something else");
    write("c.csv", "id,price,note\n3,1.5,x\n");
    let error = new(&drop, "*.csv", Some(&table)).await.unwrap_err();
    assert!(error.message.contains("b.csv has the columns id, price"), "{error}");
    fs::remove_file(folder.path().join("b.csv")).unwrap();
    assert_eq!(window(&drop, "*.csv", Some(&table)).await.unwrap().0, ["3|1.5|x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_of_our_own_loads_are_read_load_by_load() {
    for settings in [None, Some(bucket())] {
        let folder = tempfile::tempdir().unwrap();
        let drop = match &settings {
            None => files(folder.path(), json!({ "format": "parquet" })),
            Some(bucket) => open("files", bucket.settings("drop", json!({ "format": "parquet" }))),
        };
        let given = tempfile::tempdir().unwrap();
        let source = files(given.path(), json!({}));
        let mut after = None;
        for id in 1..4 {
            put(given.path(), "a.parquet", &[id]);
            let target = sink(&drop, "orders", WriteMode::Append).await;
            copy(table(&source, "a.parquet").await.unwrap(), &target).await.unwrap();
            let (rows, position) = window(&drop, "orders", after.as_ref()).await.unwrap();
            assert_eq!(rows, [id.to_string()]);
            after = Some(position);
        }
        assert!(window(&drop, "orders", after.as_ref()).await.unwrap().0.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_files_cannot_be_asked_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.csv", &[1]);
    let drop = files(folder.path(), json!({}));
    let day = Reach::Time(std::time::Duration::from_secs(86_400));
    for (cursor, what, hint) in [
        (Cursor { column: Some("id".to_owned()), ..auto() }, "no cursor column, and 'id'", "`cursor: auto`"),
        (Cursor { lookback: Some(day), ..auto() }, "`lookback` has no meaning", "remove `lookback`"),
        (Cursor { lag: Some(day), ..auto() }, "`lag` has no meaning", "remove `lag`"),
        (Cursor { nulls: Some(CursorNulls::Include), ..auto() }, "`cursor_nulls` has no meaning", "remove"),
    ] {
        let error = drop.source(&asked("*.csv", cursor, Reading::Judged, false)).await.unwrap_err();
        assert!(error.message.contains(what) && error.hint.as_ref().unwrap().contains(hint), "{error}");
    }
    let judged = drop.source(&asked("*.csv", auto(), Reading::Judged, false)).await.unwrap();
    assert!(judged.position.is_none() && judged.again.unwrap().contains("overwritten"));
    assert!(!judged.table.schema().fields().is_empty(), "a plan knows the columns");
    let now = chrono::Utc::now();
    let error = drop.source(&asked("*.csv", auto(), Reading::Within(now, now), true)).await.unwrap_err();
    assert!(error.message.contains("files of an interval can't be read"), "{error}");
    let other = Position { to: json!({ "topic_id": "x" }), shown: String::new(), must_move: false, behind: 0 };
    let error = window(&drop, "*.csv", Some(&other)).await.unwrap_err();
    assert!(error.hint.unwrap().contains("--full-refresh"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_files_than_a_position_holds_are_refused_before_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..=200_000 {
        fs::File::create(folder.path().join(format!("{file}.csv"))).unwrap();
    }
    let drop = files(folder.path(), json!({}));
    let error = new(&drop, "*.csv", None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.message.contains("names 200001 files"), "{error}");
    assert!(error.hint.unwrap().contains("move files away"));
    assert!(drop.source(&asked("*.csv", auto(), Reading::Judged, false)).await.is_err(), "a plan says so too");
}

/// The folder `drop` of a bucket, as a connection and as what others put files into.
fn stored(bucket: &crate::stores::Bucket) -> (Arc<dyn Connection>, Store) {
    let url = url::Url::parse(&format!("{}/drop", bucket.location)).unwrap();
    let store = stores::open("test", &url, &bucket.options).unwrap();
    (open("files", bucket.settings("drop", json!({}))), store)
}

async fn put_object(store: &Store, name: &str, ids: &[i64]) {
    let path = store.below(name).unwrap();
    store.objects().put(&path, bytes(name, ids).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_read_once_by_name_and_content() {
    let bucket = bucket();
    let (drop, store) = stored(&bucket);
    for ending in ENDINGS {
        let (all, name) = (format!("2026/*.{ending}"), |name: &str| format!("2026/{name}.{ending}"));
        put_object(&store, &name("b"), &[1]).await;
        let (rows, first) = window(&drop, &all, None).await.unwrap();
        assert_eq!((rows, first.shown.clone()), (vec!["1".to_owned()], format!("1 file, {}", name("b"))));
        // More than are looked at one by one.
        for id in 10..30 {
            put_object(&store, &name(&format!("a{id}")), &[id]).await;
        }
        put_object(&store, &name("b"), &[1]).await;
        let (rows, second) = window(&drop, &all, Some(&first)).await.unwrap();
        assert_eq!(rows.len(), 20, "{ending}: the same content under the same name is the same file: {rows:?}");
        put_object(&store, &name("a10"), &[99]).await;
        let (rows, third) = window(&drop, &all, Some(&second)).await.unwrap();
        assert_eq!(rows, ["99"], "{ending}");
        store.objects().delete(&store.below(&name("a10")).unwrap()).await.unwrap();
        assert!(window(&drop, &all, Some(&third)).await.unwrap().0.is_empty(), "{ending}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_replaced_once_it_was_listed_fails_the_read_as_transient() {
    let bucket = bucket();
    let (drop, store) = stored(&bucket);
    for ending in ENDINGS {
        let name = format!("a.{ending}");
        put_object(&store, &name, &[1, 2]).await;
        let replaced = new(&drop, &format!("*.{ending}"), None).await.unwrap();
        put_object(&store, &name, &[3, 4]).await;
        let error = read(replaced.table).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{ending}: {error}");
        assert_eq!(window(&drop, &format!("*.{ending}"), None).await.unwrap().0, ["3", "4"]);
    }
}
