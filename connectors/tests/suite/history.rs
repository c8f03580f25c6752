//! Loads that keep history: the versions equal those of a model, read by psql's protocol and by Python's deltalake.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use headwater_engine::connector::{AllKeys, Changes, Connection, Sink, SinkRequest, moment};
use headwater_engine::testing::{attempt, stream};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::{History, IS_CURRENT, VALID_FROM, VALID_TO};
use headwater_pipelines::spec::WriteMode;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{delta, merged, path, postgres};
use crate::values::python;

/// Key, status, note, and the second at which it became so.
pub(crate) type Row = (i64, Option<String>, Option<String>, Option<i64>);

/// A version: status, note, the second that its row names, since when it holds and until when.
type Version = (Option<String>, Option<String>, i64, i64, Option<i64>);

type Model = BTreeMap<i64, Vec<Version>>;

pub(crate) fn request(name: &str, track: &[&str]) -> SinkRequest {
    let history = History { track: track.iter().map(|column| (*column).to_owned()).collect() };
    SinkRequest {
        keys: vec!["id".to_owned()],
        order_by: Some("at".to_owned()),
        history: Some(history),
        ..SinkRequest::new(path(name), WriteMode::Scd2)
    }
}

/// Rows as a load hands them to its sink.
pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let times = || rows.iter().map(|row| row.3.map(|at| at * 1_000_000)).collect::<TimestampMicrosecondArray>();
    let times = || -> ArrayRef { Arc::new(times().with_timezone("UTC")) };
    let texts = |text: fn(&Row) -> &Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row).clone()).collect::<StringArray>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef, true),
        ("status", texts(|row| &row.1), true),
        ("note", texts(|row| &row.2), true),
        ("at", times(), true),
        (VALID_FROM, times(), true),
        (VALID_TO, new_null_array(&moment(), rows.len()), true),
        (IS_CURRENT, Arc::new(BooleanArray::from(vec![true; rows.len()])), false),
    ])
    .unwrap()
}

async fn load(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &[Row]) -> Result<Changes> {
    merged(connection, request, batch(rows), AllKeys::default()).await
}

/// What a load makes of the model.
fn apply(model: &mut Model, rows: &[Row], tracks_note: bool) -> Changes {
    let mut last: BTreeMap<i64, &Row> = BTreeMap::new();
    for row in rows {
        if last.get(&row.0).is_none_or(|before| before.3 <= row.3) {
            last.insert(row.0, row);
        }
    }
    let mut changes = Changes::default();
    for (id, (_, status, note, at)) in last {
        let (versions, at) = (model.entry(id).or_default(), at.unwrap());
        let Some(holds) = versions.last_mut() else {
            versions.push((status.clone(), note.clone(), at, at, None));
            changes.inserted += 1;
            continue;
        };
        if holds.0 != *status || tracks_note && holds.1 != *note {
            holds.4 = Some(at);
            versions.push((status.clone(), note.clone(), at, at, None));
            changes.inserted += 1;
            changes.updated += 1;
        } else if holds.1 != *note || holds.2 != at {
            (holds.1, holds.2) = (note.clone(), at);
            changes.updated += 1;
        } else {
            changes.unchanged += 1;
        }
    }
    changes
}

/// Rows of a round, all later than those of the rounds before, of which two of one key never have one time.
fn rows(runner: &mut TestRunner, round: i64) -> Vec<Row> {
    let word = || of(prop_oneof![Just("ä".to_owned()), Just(String::new()), Just("b".to_owned())]);
    let drawn = vec((0i64..7, word(), word(), 0i64..9), 0..12).new_tree(runner).unwrap().current();
    let mut rows: Vec<Row> = Vec::new();
    for (id, status, note, at) in drawn {
        let at = Some(round * 10 + at);
        if !rows.iter().any(|row| row.0 == id && row.3 == at) {
            rows.push((id, status, note, at));
        }
    }
    rows
}

fn lines(model: &Model) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "∅".to_owned());
    let mut lines = Vec::new();
    for (id, versions) in model {
        for (status, note, at, from, to) in versions {
            let until = to.map_or_else(|| "∅".to_owned(), |to| to.to_string());
            lines.push(format!("{id}|{}|{}|{at}|{from}|{until}|{}", text(status), text(note), to.is_none()));
        }
    }
    lines.sort();
    lines
}

async fn rows_of(database: &Database, table: &str) -> Vec<String> {
    let second = |column: &str| format!("extract(epoch FROM {column})::bigint");
    let sql = format!(
        "SELECT concat_ws('|', id, coalesce(status, '∅'), coalesce(note, '∅'), {}, {}, coalesce({}::text, '∅'), is_current::text) FROM {table}",
        second("at"),
        second("valid_from"),
        second("valid_to")
    );
    let mut rows = database.rows(&sql).await;
    rows.sort();
    rows
}

/// The rows of a Delta table, as Python's deltalake reads them.
fn rows_of_lake(folder: &Path) -> Vec<String> {
    let program = "
import os, sys
from deltalake import DeltaTable
text = lambda value: '∅' if value is None else value
second = lambda value: '∅' if value is None else int(value.timestamp())
for row in DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    print(row['id'], text(row['status']), text(row['note']), second(row['at']), second(row['valid_from']), second(row['valid_to']),
          str(row['is_current']).lower(), sep='|')
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    let mut rows: Vec<String> = python(program, folder).lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

const TRACKED: [&[&str]; 2] = [&["status"], &[]];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_table_has_the_versions_of_a_model_after_any_loads() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    let mut runner = TestRunner::deterministic();
    for track in TRACKED {
        let columns = "id bigint, status text, note text, at timestamptz, valid_from timestamptz, valid_to timestamptz, is_current boolean";
        database.run(&format!("DROP TABLE IF EXISTS made, plain; CREATE TABLE plain ({columns})")).await;
        for table in ["public.made", "public.plain"] {
            let mut model = Model::new();
            for round in 0..10 {
                let rows = rows(&mut runner, round);
                let expected = apply(&mut model, &rows, track.is_empty());
                let changes = load(&shop, &request(table, track), &rows).await.unwrap();
                assert_eq!(rows_of(&database, table).await, lines(&model), "{table}, round {round}, {track:?}");
                assert_eq!(changes, expected, "{table}, round {round}, {track:?}");
            }
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_has_the_versions_of_a_model_after_any_loads() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let mut runner = TestRunner::deterministic();
    for track in TRACKED {
        for partition_by in [Vec::new(), vec![IS_CURRENT.to_owned()]] {
            let table = format!("t{}{}", track.len(), partition_by.len());
            let mut model = Model::new();
            for round in 0..10 {
                let rows = rows(&mut runner, round);
                let expected = apply(&mut model, &rows, track.is_empty());
                let request = SinkRequest { partition_by: partition_by.clone(), ..request(&table, track) };
                let changes = load(&lake, &request, &rows).await.unwrap();
                let what = format!("{table}, round {round}");
                assert_eq!(rows_of_lake(&folder.path().join(&table)), lines(&model), "{what}");
                assert_eq!(changes, expected, "{what}");
            }
        }
    }
}

fn row(id: i64, status: &str, at: i64) -> Row {
    (id, Some(status.to_owned()), None, Some(at))
}

/// Rows that are not newer than the version that holds, and rows without a time, change nothing.
async fn refuses(connection: &Arc<dyn Connection>, table: &str, contents: impl AsyncFn() -> Vec<String>) {
    let request = request(table, &["status"]);
    load(connection, &request, &[row(1, "new", 10), row(2, "new", 10)]).await.unwrap();
    let before = contents().await;
    for at in [10, 9] {
        let error = load(connection, &request, &[row(1, "old", at), row(3, "new", 11)]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        assert!(error.message.contains("are not newer") && error.message.contains("(1)"), "{error}");
    }
    let error = load(connection, &request, &[(4, None, None, None)]).await.unwrap_err();
    assert!(error.message.contains("1 rows have NULL in id or at"), "{error}");
    assert_eq!(contents().await, before);
    // A version that was seen again later held until then.
    load(connection, &request, &[row(1, "new", 20)]).await.unwrap();
    let error = load(connection, &request, &[row(1, "old", 15)]).await.unwrap_err();
    assert!(error.message.contains("are not newer"), "{error}");
    let changes = load(connection, &request, &[(1, Some("new".to_owned()), Some("older".to_owned()), Some(15))]).await;
    assert_eq!(
        changes.unwrap(),
        Changes { unchanged: 1, ..Changes::default() },
        "what has no history is no older either"
    );
    load(connection, &request, &[row(1, "new", 20)]).await.unwrap();
    // What is as it was is late at no time.
    let changes = load(connection, &request, &[row(1, "new", 10)]).await.unwrap();
    assert_eq!(changes, Changes { unchanged: 1, ..Changes::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_ends_not_before_it_has_begun() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let shop = postgres(&database.url);
    refuses(&shop, "public.t", async || rows_of(&database, "t").await).await;
    shop.close().await;
    let lake = folder.path().join("t");
    refuses(&delta(folder.path()), "t", async || rows_of_lake(&lake)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_others_open_meanwhile_are_ended_too() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, request) = (delta(folder.path()), request("t", &["status"]));
    load(&lake, &request, &[row(1, "a", 10), row(2, "a", 10)]).await.unwrap();
    let write = async |sink: &Arc<dyn Sink>, rows: &[Row]| {
        let (context, rows) = (attempt(Uuid::now_v7(), 1), batch(rows));
        let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
        (context, staged)
    };
    let (first, second) = (lake.sink(&request).await.unwrap(), lake.sink(&request).await.unwrap());
    let (late, late_rows) = write(&second, &[row(1, "c", 30), row(3, "c", 30)]).await;
    let (early, early_rows) = write(&first, &[row(1, "b", 20)]).await;
    first.commit(&early, early_rows).await.unwrap();
    second.commit(&late, late_rows).await.unwrap();
    let expected = [
        "1|a|∅|10|10|20|false",
        "1|b|∅|20|20|30|false",
        "1|c|∅|30|30|∅|true",
        "2|a|∅|10|10|∅|true",
        "3|c|∅|30|30|∅|true",
    ];
    assert_eq!(rows_of_lake(&folder.path().join("t")), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_without_the_columns_of_a_history_is_refused() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    database.run("CREATE TABLE t (id bigint, status text, note text, at timestamptz)").await;
    let (shop, lake) = (postgres(&database.url), delta(folder.path()));
    let plain = batch(&[row(1, "a", 10)]).project(&[0, 1, 2, 3]).unwrap();
    let sink = lake.sink(&SinkRequest::new(path("t"), WriteMode::Append)).await.unwrap();
    let context = attempt(Uuid::now_v7(), 1);
    let staged = sink.write(&context, stream(plain.schema(), vec![plain])).await.unwrap();
    sink.commit(&context, staged).await.unwrap();
    for (connection, table) in [(&shop, "public.t"), (&lake, "t")] {
        let error = load(connection, &request(table, &[]), &[row(1, "a", 20)]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{error}");
        assert!(
            error.message.contains("keeps no history: it has no column valid_from, valid_to, is_current"),
            "{error}"
        );
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_others_have_ended_stays_and_is_overlapped_by_none() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let (shop, lake) = (postgres(&database.url), delta(folder.path()));
    for (connection, table) in [(&shop, "public.t"), (&lake, "t")] {
        load(connection, &request(table, &["status"]), &[row(1, "a", 10), row(2, "a", 10)]).await.unwrap();
    }
    database.run("UPDATE t SET is_current = false, valid_to = to_timestamp(30)").await;
    let program = "
import os, sys
from deltalake import DeltaTable
DeltaTable(sys.argv[1]).update(updates={'is_current': 'false', 'valid_to': \"to_timestamp('1970-01-01T00:00:30Z')\"})
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    python(program, &folder.path().join("t"));
    for (connection, table) in [(&shop, "public.t"), (&lake, "t")] {
        for late in [row(1, "a", 10), row(2, "b", 20)] {
            let error = load(connection, &request(table, &["status"]), &[late]).await.unwrap_err();
            assert!(error.message.contains("are not newer"), "{table}: {error}");
        }
        let changes = load(connection, &request(table, &["status"]), &[row(1, "a", 30)]).await.unwrap();
        assert_eq!(changes, Changes { inserted: 1, ..Changes::default() }, "{table}");
    }
    let expected = ["1|a|∅|10|10|30|false", "1|a|∅|30|30|∅|true", "2|a|∅|10|10|30|false"];
    assert_eq!(rows_of(&database, "t").await, expected);
    assert_eq!(rows_of_lake(&folder.path().join("t")), expected);
    shop.close().await;
}
