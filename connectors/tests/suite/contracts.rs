//! Contracts of columns: what a load changes of its target, in each mode, read by psql's protocol and by Python's deltalake.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use headwater_engine::connector::{Commit, Connection, SinkPlan, SinkRequest, Staged};
use headwater_engine::testing::{Recorder, attempt, stream};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{delta, path, postgres};
use crate::values::python;

mod evolve;

const MODES: [WriteMode; 5] =
    [WriteMode::Append, WriteMode::Overwrite, WriteMode::Upsert, WriteMode::InsertNew, WriteMode::DeleteInsert];

fn ids(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn request(name: &str, mode: WriteMode, schema: Value) -> SinkRequest {
    let keys = if mode.is_keyed() { vec!["id".to_owned()] } else { Vec::new() };
    SinkRequest { keys, schema: serde_json::from_value(schema).unwrap(), ..SinkRequest::new(path(name), mode) }
}

async fn staged(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &RecordBatch) -> Result<Staged> {
    let (sink, context) = (connection.sink(request).await?, attempt(Uuid::now_v7(), 1));
    let staged = sink.write(&context, stream(rows.schema(), vec![rows.clone()])).await;
    if staged.is_err() {
        sink.abort(&context, None).await;
    }
    staged
}

/// Loads as one attempt; the columns that it added.
async fn load(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: RecordBatch) -> Result<Vec<String>> {
    let (sink, context) = (connection.sink(request).await?, attempt(Uuid::now_v7(), 1));
    let staged = match sink.write(&context, stream(rows.schema(), vec![rows])).await {
        Ok(staged) => staged,
        Err(error) => {
            sink.abort(&context, None).await;
            return Err(error);
        }
    };
    let added = staged.columns.columns_added.iter().map(ToString::to_string).collect();
    assert!(matches!(sink.commit(&context, staged).await?, Commit::Committed { .. }));
    Ok(added)
}

async fn plan(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &RecordBatch) -> Result<SinkPlan> {
    connection.sink(request).await?.prepare(&rows.schema()).await
}

async fn refused(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: RecordBatch) -> EngineError {
    let planned = plan(connection, request, &rows).await.unwrap_err();
    let run = load(connection, request, rows).await.unwrap_err();
    assert_eq!((&planned.message, &planned.hint), (&run.message, &run.hint), "a run judges as a plan does");
    run
}

/// The rows in the order of their texts, `∅` for NULL.
async fn rows_of(database: &Database, table: &str, columns: &[&str]) -> Vec<String> {
    let columns: Vec<String> = columns.iter().map(|name| format!("coalesce(CAST({name} AS text), '∅')")).collect();
    let mut rows = database.rows(&format!("SELECT {} FROM {table}", columns.join(" || '|' || "))).await;
    rows.sort();
    rows
}

/// The same of a Delta table, as Python's deltalake reads it.
fn rows_of_lake(folder: &Path, columns: &[&str]) -> Vec<String> {
    let program = format!(
        "
import os, sys
from deltalake import DeltaTable
for row in DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    print('|'.join('∅' if row[name] is None else str(row[name]) for name in {columns:?}))
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)"
    );
    let mut rows: Vec<String> = python(&program, folder).lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// The columns of a Delta table, as Python's deltalake reads them.
fn columns_of_lake(folder: &Path) -> String {
    let program = "
import os, sys
from deltalake import DeltaTable
print(' '.join(f.name for f in DeltaTable(sys.argv[1]).schema().fields))
sys.stdout.flush()
os._exit(0)";
    python(program, folder).trim().to_owned()
}

async fn columns_of(database: &Database, table: &str) -> String {
    let sql = format!(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
    );
    database.rows(&sql).await.pop().unwrap()
}

/// What is there after a column has come: the first load had ids 1 and 2, the second has 2 and 3 with a note.
fn with_note(mode: WriteMode) -> Vec<&'static str> {
    match mode {
        WriteMode::Append => vec!["1|a|∅", "2|B|n2", "2|b|∅", "3|c|n3"],
        WriteMode::Overwrite => vec!["2|B|n2", "3|c|n3"],
        WriteMode::InsertNew => vec!["1|a|∅", "2|b|∅", "3|c|n3"],
        _ => vec!["1|a|∅", "2|B|n2", "3|c|n3"],
    }
}

/// What is there after another one came no longer: the third load has ids 3 and 4, and no name.
fn without_name(mode: WriteMode) -> Vec<&'static str> {
    match mode {
        WriteMode::Append => vec!["1|a|∅", "2|B|n2", "2|b|∅", "3|c|n3", "3|∅|N3", "4|∅|n4"],
        WriteMode::Overwrite => vec!["3|∅|N3", "4|∅|n4"],
        // A row that is updated keeps what does not come.
        WriteMode::Upsert => vec!["1|a|∅", "2|B|n2", "3|c|N3", "4|∅|n4"],
        WriteMode::InsertNew => vec!["1|a|∅", "2|b|∅", "3|c|n3", "4|∅|n4"],
        _ => vec!["1|a|∅", "2|B|n2", "3|∅|N3", "4|∅|n4"],
    }
}

/// Loads three times with other columns each time, looking at the rows in between.
async fn drifts<F: Future<Output = Vec<String>>>(
    connection: &Arc<dyn Connection>,
    name: &str,
    mode: WriteMode,
    (kind, ddl): (&str, &str),
    read: impl Fn() -> F,
) {
    let request = request(name, mode, json!("add_columns"));
    let first = batch(vec![("id", ids(&[1, 2])), ("name", texts(&["a", "b"]))]);
    assert!(load(connection, &request, first).await.unwrap().is_empty());
    let second = batch(vec![("id", ids(&[2, 3])), ("name", texts(&["B", "c"])), ("note", texts(&["n2", "n3"]))]);
    let planned = plan(connection, &request, &second).await.unwrap();
    assert_eq!(planned.ddl, [ddl], "{mode}");
    assert!(planned.notes.iter().any(|note| note.contains("column note") && note.contains("is new")), "{planned:?}");
    let added = load(connection, &request, second).await.unwrap();
    assert_eq!(added, [format!("note {kind}")], "{mode}");
    assert_eq!(read().await, with_note(mode), "{mode}");
    let third = batch(vec![("id", ids(&[3, 4])), ("note", texts(&["N3", "n4"]))]);
    let planned = plan(connection, &request, &third).await.unwrap();
    assert!(planned.ddl.is_empty(), "{planned:?}");
    assert!(
        planned.notes.iter().any(|note| note.contains("column name") && note.contains("no longer comes")),
        "{planned:?}"
    );
    assert!(load(connection, &request, third).await.unwrap().is_empty());
    assert_eq!(read().await, without_name(mode), "{mode}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_and_go_in_every_mode_of_a_postgres_load() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    for mode in MODES {
        let table = format!("public.t_{mode}");
        let ddl = format!("ALTER TABLE \"public\".\"t_{mode}\" ADD COLUMN \"note\" text");
        let read = || rows_of(&database, &table, &["id", "name", "note"]);
        drifts(&shop, &table, mode, ("text", &ddl), read).await;
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_and_go_in_every_mode_of_a_delta_load() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    for mode in MODES {
        let table = format!("t_{mode}");
        let ddl = format!("ALTER TABLE shop.t_{mode} ADD COLUMNS (note STRING)");
        let place = folder.path().join(&table);
        let read = || async { rows_of_lake(&place, &["id", "name", "note"]) };
        drifts(&lake, &table, mode, ("STRING", &ddl), read).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_table_refuses_and_names_the_line_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    let shop = postgres(&database.url);
    for connection in [&lake, &shop] {
        let first = batch(vec![("id", ids(&[1])), ("total", ids(&[5]))]);
        load(connection, &request("t", WriteMode::Append, json!("freeze")), first.clone()).await.unwrap();
        let new = || batch(vec![("id", ids(&[2])), ("total", ids(&[5])), ("note", texts(&["n"]))]);
        let error = refused(connection, &request("t", WriteMode::Append, json!("freeze")), new()).await;
        assert!(error.message.contains("the table has no column note"), "{error}");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("`schema: add_columns`")), "{error:?}");
        // A column that is named frozen has to come, and another one that is named may be added.
        let mixed = json!({ "default": "freeze", "columns": { "note": "add_columns", "total": "freeze" } });
        let mixed = request("t", WriteMode::Append, mixed);
        let gone = batch(vec![("id", ids(&[2])), ("note", texts(&["n"]))]);
        let error = refused(connection, &mixed, gone).await;
        assert!(error.message.contains("the dataset has no column total"), "{error}");
        assert_eq!(load(connection, &mixed, new()).await.unwrap().len(), 1);
        // Names that differ in their case alone are a mistake, whatever the contract is.
        let twin = batch(vec![("id", ids(&[2])), ("total", ids(&[5])), ("note", texts(&["n"])), ("Total", ids(&[5]))]);
        let error = refused(connection, &request("t", WriteMode::Append, json!("evolve")), twin).await;
        assert!(error.message.contains("no column Total") && error.message.contains("only total"), "{error}");
    }
    assert_eq!(rows_of_lake(&folder.path().join("t"), &["id", "total", "note"]), ["1|5|∅", "2|5|n"]);
    assert_eq!(rows_of(&database, "t", &["id", "total", "note"]).await, ["1|5|∅", "2|5|n"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loads_at_once_that_add_one_column_both_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    let shop = postgres(&database.url);
    for (round, mode) in [WriteMode::Append, WriteMode::Upsert].into_iter().enumerate() {
        for (connection, name) in [(&lake, format!("t{round}")), (&shop, format!("public.t{round}"))] {
            let request = request(&name, mode, json!("add_columns"));
            load(connection, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
            let with = |id: i64| batch(vec![("id", ids(&[id])), ("note", texts(&["n"]))]);
            let both = tokio::join!(load(connection, &request, with(2)), load(connection, &request, with(3)));
            for one in [both.0, both.1] {
                one.unwrap();
            }
        }
        let rows = ["1|∅", "2|n", "3|n"];
        assert_eq!(rows_of(&database, &format!("t{round}"), &["id", "note"]).await, rows);
        assert_eq!(rows_of_lake(&folder.path().join(format!("t{round}")), &["id", "note"]), rows);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_load_commits_behind_another_that_has_added_columns_unless_they_have_other_types() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        let name = format!("t_{mode}");
        let request = request(&name, mode, json!("add_columns"));
        load(&lake, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
        let behind = async |rows: RecordBatch, first: RecordBatch| {
            let (sink, context) = (lake.sink(&request).await.unwrap(), attempt(Uuid::now_v7(), 1));
            let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
            load(&lake, &request, first).await.unwrap();
            sink.commit(&context, staged).await
        };
        let (note, fax) = (("note", texts(&["n"])), ("fax", texts(&["f"])));
        behind(batch(vec![("id", ids(&[2])), note]), batch(vec![("id", ids(&[3])), fax])).await.unwrap();
        let expected = ["1|∅|∅", "2|n|∅", "3|∅|f"];
        assert_eq!(rows_of_lake(&folder.path().join(&name), &["id", "note", "fax"]), expected, "{mode}");
        let (text, number) = (("size", texts(&["xl"])), ("size", ids(&[7])));
        let late = behind(batch(vec![("id", ids(&[4])), text]), batch(vec![("id", ids(&[5])), number])).await;
        assert!(late.unwrap_err().message.contains("size is Utf8, in the table Int64"), "{mode}");
        let expected = ["1|∅", "2|∅", "3|∅", "5|7"];
        assert_eq!(rows_of_lake(&folder.path().join(&name), &["id", "size"]), expected, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_fails_after_its_columns_are_added_leaves_the_target_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    let shop = postgres(&database.url);
    database.run("CREATE TABLE checked (id bigint CHECK (id < 10))").await;
    let with = |id: i64| batch(vec![("id", ids(&[id])), ("note", texts(&["n"]))]);
    let checked = request("public.checked", WriteMode::Append, json!("add_columns"));
    assert!(load(&shop, &checked, with(11)).await.is_err());
    assert_eq!(columns_of(&database, "checked").await, "id bigint");
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        for (connection, name) in [(&lake, format!("t_{mode}")), (&shop, format!("public.t_{mode}"))] {
            let request = request(&name, mode, json!("add_columns"));
            load(connection, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
            let (sink, context) = (connection.sink(&request).await.unwrap(), attempt(Uuid::now_v7(), 1));
            let written = staged(connection, &request, &with(2)).await.unwrap();
            assert_eq!(written.columns.columns_added.len(), 1);
            sink.abort(&context, Some(written)).await;
        }
        assert_eq!(columns_of(&database, &format!("t_{mode}")).await, "id bigint");
        assert_eq!(columns_of_lake(&folder.path().join(format!("t_{mode}"))), "id");
        assert_eq!(rows_of_lake(&folder.path().join(format!("t_{mode}")), &["id"]), ["1"]);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_dies_with_its_columns_added_is_followed_by_one_that_adds_them() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    let shop = postgres(&database.url);
    for (connection, name) in [(&lake, "t"), (&shop, "public.t")] {
        let request = request(name, WriteMode::Append, json!("add_columns"));
        load(connection, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
        let with = || batch(vec![("id", ids(&[2])), ("note", texts(&["n"]))]);
        let input = || stream(with().schema(), vec![with()]);
        let load_id = Uuid::now_v7();
        let recorder = Arc::new(Recorder::default());
        let mut first = attempt(load_id, 1);
        first.control = recorder.clone();
        let frozen = connection.sink(&request).await.unwrap();
        let left = frozen.write(&first, input()).await.unwrap();
        let mut second = attempt(load_id, 2);
        second.predecessors = recorder.handles.lock().clone();
        let successor = connection.sink(&request).await.unwrap();
        let ours = successor.write(&second, input()).await.unwrap();
        assert_eq!(ours.columns.columns_added.len(), 1);
        assert!(matches!(successor.commit(&second, ours).await.unwrap(), Commit::Committed { .. }));
        // The frozen attempt wakes up and tries to commit.
        let late = frozen.commit(&first, left).await.unwrap();
        assert!(matches!(&late, Commit::Adopted(taken) if taken.attempt == 2), "{late:?}");
    }
    assert_eq!(rows_of(&database, "t", &["id", "note"]).await, ["1|∅", "2|n"]);
    assert_eq!(rows_of_lake(&folder.path().join("t"), &["id", "note"]), ["1|∅", "2|n"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_postgres_waits_for_no_source_of_a_load_that_adds_a_column() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    let request = request("public.t", WriteMode::Append, json!("add_columns"));
    load(&shop, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
    let rows = batch(vec![("id", ids(&[2])), ("note", texts(&["n"]))]);
    let (sink, context) = (shop.sink(&request).await.unwrap(), attempt(Uuid::now_v7(), 1));
    // While the source gives its rows, somebody else reads and appends.
    let (schema, url) = (rows.schema(), database.url.clone());
    let slow = futures::stream::once(async move {
        let other = postgres(&url);
        let freeze = SinkRequest::new(path("public.t"), WriteMode::Append);
        load(&other, &freeze, batch(vec![("id", ids(&[3]))])).await.unwrap();
        other.close().await;
        Ok(rows)
    });
    let slow = datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema, slow);
    let staged = sink.write(&context, Box::pin(slow)).await.unwrap();
    sink.commit(&context, staged).await.unwrap();
    assert_eq!(rows_of(&database, "t", &["id", "note"]).await, ["1|∅", "2|n", "3|∅"]);
    shop.close().await;
}
