//! Loads that meet rows by keys: the target equals a model, read by psql's protocol and by Python's deltalake.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use headwater_engine::connector::{AllKeys, Changes, Connection, SinkRequest, Staged};
use headwater_engine::testing::{attempt, stream};
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::spec::WriteMode;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::cluster::{Database, url};
use crate::load::{delta, merged, path, postgres};
use crate::values::python;

/// Key of two columns, a value, and when it was changed.
type Row = (i64, String, Option<String>, i64);

/// The key, and what belongs to it.
type Model = BTreeMap<(i64, String), (Option<String>, i64)>;

fn batch(rows: &[Row]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
    let regions: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1.clone())).collect::<StringArray>());
    let names: ArrayRef = Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>());
    let times: ArrayRef = Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>());
    RecordBatch::try_from_iter([("id", ids), ("region", regions), ("name", names), ("changed", times)]).unwrap()
}

fn request(name: &str, mode: WriteMode, keys: &[&str]) -> SinkRequest {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let order_by = (mode != WriteMode::DeleteInsert).then(|| "changed".to_owned());
    SinkRequest { keys, order_by, ..SinkRequest::new(path(name), mode) }
}

async fn staged(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &[Row]) -> Result<Staged> {
    let rows = batch(rows);
    let sink = connection.sink(request).await?;
    sink.write(&attempt(Uuid::now_v7(), 1), stream(rows.schema(), vec![rows])).await
}

async fn load(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &[Row]) -> Result<Changes> {
    merged(connection, request, batch(rows), AllKeys::default()).await
}

/// What a load makes of the model.
fn merge(model: &mut Model, mode: WriteMode, rows: &[Row]) {
    let mut last: Model = BTreeMap::new();
    for (id, region, name, changed) in rows {
        let key = (*id, region.clone());
        if last.get(&key).is_none_or(|(_, before)| before <= changed) {
            last.insert(key, (name.clone(), *changed));
        }
    }
    if mode == WriteMode::DeleteInsert {
        let regions: Vec<&String> = rows.iter().map(|row| &row.1).collect();
        model.retain(|(_, region), _| !regions.contains(&region));
    }
    for (key, value) in last {
        if mode != WriteMode::InsertNew || !model.contains_key(&key) {
            model.insert(key, value);
        }
    }
}

/// Rows of which two of one key never have one time, and, for slices, no two have one key.
fn rows(runner: &mut TestRunner, mode: WriteMode) -> Vec<Row> {
    let names = of(prop_oneof![Just("ä".to_owned()), Just(String::new()), "[a-c]{1,2}"]);
    let row = (0i64..12, prop_oneof![Just("north"), Just("süd"), Just("a/b c%20")], names, 0i64..1000);
    let drawn = vec(row, 0..25).new_tree(runner).unwrap().current();
    let mut rows: Vec<Row> = Vec::new();
    for (id, region, name, changed) in drawn {
        let is_taken =
            |other: &Row| other.0 == id && other.1 == region && (other.3 == changed || mode == WriteMode::DeleteInsert);
        if !rows.iter().any(is_taken) {
            rows.push((id, region.to_owned(), name, changed));
        }
    }
    rows
}

fn lines(model: &Model) -> Vec<String> {
    let line = |((id, region), (name, changed)): (&(i64, String), &(Option<String>, i64))| {
        format!("{id}|{region}|{}|{changed}", name.as_deref().unwrap_or("∅"))
    };
    let mut lines: Vec<String> = model.iter().map(line).collect();
    lines.sort();
    lines
}

async fn rows_of(database: &Database, table: &str) -> Vec<String> {
    let sql = format!("SELECT id || '|' || region || '|' || coalesce(name, '∅') || '|' || changed FROM {table}");
    let mut rows = database.rows(&sql).await;
    rows.sort();
    rows
}

/// The rows of a Delta table, as Python's deltalake reads them.
fn rows_of_lake(folder: &Path) -> Vec<String> {
    let program = "
import os, sys
from deltalake import DeltaTable
for row in DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    print(row['id'], row['region'], '∅' if row['name'] is None else row['name'], row['changed'], sep='|')
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    let mut rows: Vec<String> = python(program, folder).lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

const MODES: [WriteMode; 3] = [WriteMode::Upsert, WriteMode::InsertNew, WriteMode::DeleteInsert];

fn keys(mode: WriteMode) -> &'static [&'static str] {
    if mode == WriteMode::DeleteInsert { &["region"] } else { &["id", "region"] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_table_equals_a_model_after_any_loads_by_keys() {
    let database = Database::new().await;
    database.run("CREATE TABLE plain (id bigint, region text, name text, changed bigint)").await;
    database
        .run(
            "CREATE TABLE parts (id bigint, region text, name text, changed bigint, PRIMARY KEY (id, region)) PARTITION BY HASH (id);
             CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        )
        .await;
    let shop = postgres(&database.url);
    let mut runner = TestRunner::deterministic();
    for table in ["public.made", "public.plain", "public.parts"] {
        let mut model = Model::new();
        for round in 0..15 {
            let mode = MODES[round % 3];
            let rows = rows(&mut runner, mode);
            let before = model.clone();
            merge(&mut model, mode, &rows);
            let request = SinkRequest { mode, ..request(table, mode, keys(mode)) };
            let changes = load(&shop, &request, &rows).await.unwrap();
            assert_eq!(rows_of(&database, table).await, lines(&model), "{table}, round {round}, {mode}");
            if mode != WriteMode::DeleteInsert {
                let is_new = |key: &&(i64, String)| !before.contains_key(*key);
                let is_other = |key: &&(i64, String)| before.get(*key).is_some_and(|old| *old != model[*key]);
                assert_eq!(changes.inserted as usize, model.keys().filter(is_new).count(), "{table}, round {round}");
                assert_eq!(changes.updated as usize, model.keys().filter(is_other).count(), "{table}, round {round}");
            }
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_equals_a_model_after_any_loads_by_keys() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let mut runner = TestRunner::deterministic();
    for (table, partition_by) in [("plain", Vec::new()), ("parted", vec!["region".to_owned()])] {
        let mut model = Model::new();
        for round in 0..12 {
            let mode = MODES[round % 3];
            let rows = rows(&mut runner, mode);
            let before = model.clone();
            merge(&mut model, mode, &rows);
            let request = SinkRequest { partition_by: partition_by.clone(), ..request(table, mode, keys(mode)) };
            let changes = load(&lake, &request, &rows).await.unwrap();
            assert_eq!(rows_of_lake(&folder.path().join(table)), lines(&model), "{table}, round {round}, {mode}");
            if mode != WriteMode::DeleteInsert {
                let is_new = |key: &&(i64, String)| !before.contains_key(*key);
                let is_other = |key: &&(i64, String)| before.get(*key).is_some_and(|old| *old != model[*key]);
                assert_eq!(changes.inserted as usize, model.keys().filter(is_new).count(), "{table}, round {round}");
                assert_eq!(changes.updated as usize, model.keys().filter(is_other).count(), "{table}, round {round}");
            }
        }
    }
}

fn row(id: i64, name: &str, changed: i64) -> Row {
    (id, "north".to_owned(), Some(name.to_owned()), changed)
}

async fn refusals(connection: &Arc<dyn Connection>, table: &str) {
    let upsert = SinkRequest { order_by: None, ..request(table, WriteMode::Upsert, &["id"]) };
    let twice = [row(1, "a", 1), row(2, "b", 1), row(1, "c", 1)];
    let error: EngineError = load(connection, &upsert, &twice).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
    assert!(error.message.contains("several rows have the key id and differ, e.g. (1)"), "{error}");
    let tied = SinkRequest { order_by: Some("changed".to_owned()), ..upsert.clone() };
    let error = load(connection, &tied, &twice).await.unwrap_err();
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("one value of changed")), "{error:?}");
    // Rows that are equal are one.
    let equal = [row(1, "a", 1), row(1, "a", 1)];
    assert_eq!(load(connection, &upsert, &equal).await.unwrap().inserted, 1);
    let without = SinkRequest { keys: vec!["name".to_owned()], ..upsert };
    let missing = [(1, "north".to_owned(), None, 1)];
    let error = load(connection, &without, &missing).await.unwrap_err();
    assert!(error.message.contains("1 rows have NULL in the key name"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_null_or_repeat_with_other_values_are_refused_by_postgres() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    refusals(&shop, "public.t").await;
    assert_eq!(rows_of(&database, "t").await, ["1|north|a|1"]);
    // A target that has a key twice can't be told which row is meant.
    database
        .run(
            "CREATE TABLE twice (id bigint, region text, name text, changed bigint); INSERT INTO twice VALUES (1), (1)",
        )
        .await;
    let error = load(&shop, &request("public.twice", WriteMode::Upsert, &["id"]), &[row(1, "a", 1)]).await.unwrap_err();
    assert!(error.message.contains("the target has several rows of the key id, e.g. (1)"), "{error}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_null_or_repeat_with_other_values_are_refused_by_delta() {
    let folder = tempfile::tempdir().unwrap();
    refusals(&delta(folder.path()), "t").await;
    assert_eq!(rows_of_lake(&folder.path().join("t")), ["1|north|a|1"]);
    // A target that has a key twice can't be told which row is meant.
    let lake = delta(folder.path());
    for name in ["a", "b"] {
        let rows = batch(&[row(1, name, 1)]);
        let sink = lake.sink(&SinkRequest::new(path("twice"), WriteMode::Append)).await.unwrap();
        let context = attempt(Uuid::now_v7(), 1);
        let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
        sink.commit(&context, staged).await.unwrap();
    }
    let error = load(&lake, &request("twice", WriteMode::Upsert, &["id"]), &[row(1, "a", 1)]).await.unwrap_err();
    assert!(error.message.contains("the target has several rows of the key id, e.g. (1)"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_of_what_is_there_writes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let upsert = request("t", WriteMode::Upsert, &["id"]);
    let rows: Vec<Row> = (0..100).map(|id| row(id, "a", 1)).collect();
    load(&lake, &upsert, &rows).await.unwrap();
    let again = staged(&lake, &upsert, &rows).await.unwrap();
    assert_eq!((again.rows, again.files), (100, 0));
    assert_eq!(again.changes.unwrap(), Changes { unchanged: 100, ..Changes::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_commits_behind_an_append_of_other_keys_and_is_made_again_behind_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let upsert = request("t", WriteMode::Upsert, &["id"]);
    load(&lake, &upsert, &[row(1, "a", 1), row(2, "b", 1)]).await.unwrap();
    let append = async |id: i64| {
        let rows = batch(&[row(id, "appended", 1)]);
        let sink = lake.sink(&SinkRequest::new(path("t"), WriteMode::Append)).await.unwrap();
        let context = attempt(Uuid::now_v7(), 1);
        let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
        sink.commit(&context, staged).await.unwrap();
    };
    let merge = async |rows: &[Row], appended: i64| {
        let rows = batch(rows);
        let (sink, context) = (lake.sink(&upsert).await.unwrap(), attempt(Uuid::now_v7(), 1));
        let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
        append(appended).await;
        sink.commit(&context, staged).await
    };
    merge(&[row(1, "new", 2), row(3, "c", 7)], 7).await.unwrap();
    // One of its keys has come: the rows are merged again.
    merge(&[row(9, "merged", 1)], 9).await.unwrap();
    let found = rows_of_lake(&folder.path().join("t"));
    assert_eq!(found, ["1|north|new|2", "2|north|b|1", "3|north|c|7", "7|north|appended|1", "9|north|merged|1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_loads_by_keys_at_once_no_row_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let database = Database::new().await;
    database
        .run(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'", database.name))
        .await;
    database.run("CREATE TABLE plain (id bigint, region text, name text, changed bigint)").await;
    let shop = postgres(&database.url);
    for round in 0..10 {
        let rows: Vec<Row> = (0..20).map(|id| row(id + round * 5, "a", round)).collect();
        for (connection, table, mode, key) in [
            (&lake, "t", WriteMode::Upsert, "id"),
            (&shop, "public.t", WriteMode::Upsert, "id"),
            (&shop, "public.plain", WriteMode::Upsert, "id"),
            (&lake, "sliced", WriteMode::DeleteInsert, "region"),
            (&shop, "public.sliced", WriteMode::DeleteInsert, "region"),
        ] {
            let upsert = request(table, mode, &[key]);
            let both = tokio::join!(load(connection, &upsert, &rows), load(connection, &upsert, &rows));
            for one in [both.0, both.1] {
                one.unwrap();
            }
        }
    }
    let ids: Vec<String> = (0..65).map(|id| format!("{id}|north|a|{}", id.min(45) / 5)).collect();
    let mut ids: Vec<String> = ids.into_iter().collect();
    ids.sort();
    assert_eq!(rows_of(&database, "t").await, ids);
    assert_eq!(rows_of(&database, "plain").await, ids);
    assert_eq!(rows_of_lake(&folder.path().join("t")), ids);
    // Each load replaced the whole slice: what one of the last two brought is there.
    let mut last: Vec<String> = (45..65).map(|id| format!("{id}|north|a|9")).collect();
    last.sort();
    assert_eq!(rows_of(&database, "sliced").await, last);
    assert_eq!(rows_of_lake(&folder.path().join("sliced")), last);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_merge_could_answer_wrongly_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    database
        .run(
            "CREATE TYPE size AS ENUM ('z', 'a'); CREATE TABLE sized AS SELECT 1 AS id, 'z'::size AS size;
             CREATE TABLE ranked AS SELECT 1 AS id, 1 AS _hw_rank;
             CREATE TABLE parent (id bigint PRIMARY KEY, region text, name text, changed bigint); CREATE TABLE child () INHERITS (parent)",
        )
        .await;
    let shop = postgres(&database.url);
    let error =
        load(&shop, &request("public.parent", WriteMode::Upsert, &["id"]), &[row(1, "a", 1)]).await.unwrap_err();
    assert!(error.message.contains("other tables inherit from public.parent"), "{error}");
    for (source, connection, target, order_by, told) in [
        ("public.sized", &lake, "sized", "size", "size is of type size, whose texts are not in its order"),
        ("public.ranked", &lake, "ranked", "id", "a column is called _hw_rank"),
        ("public.ranked", &shop, "public.target", "id", "a column is called _hw_rank"),
    ] {
        let source = crate::load::table(&shop, source).await.unwrap();
        let mut request = request(target, WriteMode::Upsert, &["id"]);
        request.order_by = Some(order_by.to_owned());
        let sink = connection.sink(&request).await.unwrap();
        let rows = crate::load::session().read_table(source).unwrap().execute_stream().await.unwrap();
        let error = sink.write(&attempt(Uuid::now_v7(), 1), rows).await.unwrap_err();
        assert!(error.message.contains(told), "{told}: {error}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_of_many_rows_is_replaced_by_its_key_and_not_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let slice = request("t", WriteMode::DeleteInsert, &["region"]);
    for round in 0..2 {
        let rows: Vec<Row> = (0..50_000).map(|id| row(id, "a", round)).collect();
        let changes = load(&lake, &slice, &rows).await.unwrap();
        assert_eq!((changes.inserted, changes.deleted), (50_000, round as u64 * 50_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_which_row_security_hides_rows_from_the_role_is_refused() {
    let (database, role) = (Database::new().await, format!("few_{}", Uuid::new_v4().simple()));
    database
        .run(&format!(
            "CREATE TABLE hidden (id bigint, region text, name text, changed bigint, PRIMARY KEY (id, region));
             ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON hidden USING (region = 'north');
             CREATE ROLE {role} LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {role}"
        ))
        .await;
    let rows = [(1, "north".to_owned(), Some("a".to_owned()), 1)];
    let all = postgres(&database.url);
    let request = request("public.hidden", WriteMode::Upsert, &["id", "region"]);
    load(&all, &request, &rows).await.unwrap();
    database.run(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")).await;
    let few = postgres(&url(&role, &database.name));
    let error = load(&few, &request, &rows).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config, "{error}");
    assert!(error.message.contains("row security hides rows of public.hidden"), "{error}");
    // One that was set for the session sees nothing of it, and says so.
    database.run(&format!("ALTER DATABASE {} SET role = '{role}'", database.name)).await;
    let set = postgres(&database.url);
    let error = load(&set, &request, &rows).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config, "{error}");
    assert!(error.message.contains(&format!("the role {role} of a session of postgres")), "{error}");
    for connection in [all, few, set] {
        connection.close().await;
    }
}
