//! Loads that delete what is gone at the source: the target equals a model, read by psql's protocol and by Python's deltalake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array};
use headwater_engine::connector::{AllKeys, Changes, Connection, DELETED, LoadContext, SinkRequest, moment};
use headwater_engine::testing::{attempt, stream};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::{DELETED_AT, Deletes};
use headwater_pipelines::spec::{Contract, LoadSchema, OnDelete, Share, WriteMode};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{delta, merged, path, postgres};
use crate::values::python;

/// Key of two columns.
type Key = (i64, String);

/// A row, and whether it says that its key is gone.
#[derive(Debug, Clone)]
struct Row {
    key: Key,
    name: Option<String>,
    changed: i64,
    gone: bool,
}

/// What the target has of each key, and whether it is marked.
type Model = BTreeMap<Key, (Option<String>, i64, bool)>;

/// How a load finds what is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Its rows are all that there are.
    Missing,
    /// Rows say so.
    Flagged,
    /// All keys are scanned.
    Scanned,
}

const FOUND: [Found; 3] = [Found::Missing, Found::Flagged, Found::Scanned];

fn share(text: &str) -> Share {
    serde_json::from_value(json!(text)).unwrap()
}

fn request(name: &str, how: OnDelete, found: Found, max: &str) -> SinkRequest {
    let deletes = Deletes {
        how,
        when: (found == Found::Flagged).then(|| "gone".to_owned()),
        every: (found == Found::Scanned).then_some(Duration::ZERO),
        max: share(max),
        changes: false,
    };
    let schema = match how {
        OnDelete::Soft => LoadSchema::default().with(DELETED_AT, Contract::AddColumns),
        _ => LoadSchema::default(),
    };
    SinkRequest {
        keys: ["id", "region"].map(str::to_owned).into(),
        order_by: Some("changed".to_owned()),
        schema,
        deletes: Some(deletes),
        ..SinkRequest::new(path(name), WriteMode::Upsert)
    }
}

/// Rows in the columns that a load of this kind has.
fn batch(rows: &[Row], how: OnDelete, found: Found) -> RecordBatch {
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(rows.iter().map(|row| row.key.0).collect::<Int64Array>()), true),
        ("region", Arc::new(rows.iter().map(|row| Some(row.key.1.clone())).collect::<StringArray>()), true),
        ("name", Arc::new(rows.iter().map(|row| row.name.clone()).collect::<StringArray>()), true),
        ("changed", Arc::new(rows.iter().map(|row| row.changed).collect::<Int64Array>()), true),
    ];
    if how == OnDelete::Soft {
        columns.push((DELETED_AT, new_null_array(&moment(), rows.len()), true));
    }
    if found == Found::Flagged {
        columns.push((DELETED, Arc::new(rows.iter().map(|row| Some(row.gone)).collect::<BooleanArray>()), false));
    }
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn keys(of: &BTreeSet<Key>) -> AllKeys {
    let ids: ArrayRef = Arc::new(of.iter().map(|key| key.0).collect::<Int64Array>());
    let regions: ArrayRef = Arc::new(of.iter().map(|key| Some(key.1.clone())).collect::<StringArray>());
    let keys = RecordBatch::try_from_iter([("id", ids), ("region", regions)]).unwrap();
    AllKeys::new(stream(keys.schema(), vec![keys]))
}

async fn load(
    connection: &Arc<dyn Connection>,
    request: &SinkRequest,
    rows: RecordBatch,
    keys: Option<AllKeys>,
) -> Result<Changes> {
    merged(connection, request, rows, keys.unwrap_or_default()).await
}

/// What a load makes of the model.
fn apply(model: &mut Model, how: OnDelete, found: Found, rows: &[Row], scanned: &BTreeSet<Key>) -> Changes {
    let mut last: BTreeMap<&Key, &Row> = BTreeMap::new();
    for row in rows {
        if last.get(&row.key).is_none_or(|before| before.changed <= row.changed) {
            last.insert(&row.key, row);
        }
    }
    let is_gone = |key: &Key| match found {
        Found::Missing => !last.contains_key(key),
        Found::Flagged => last.get(key).is_some_and(|row| row.gone),
        Found::Scanned => !last.contains_key(key) && !scanned.contains(key),
    };
    let live =
        |(key, (.., marked)): (&Key, &(Option<String>, i64, bool))| (!marked && is_gone(key)).then(|| key.clone());
    let gone: Vec<Key> = model.iter().filter_map(live).collect();
    for key in &gone {
        match how {
            OnDelete::Soft => model.get_mut(key).unwrap().2 = true,
            _ => drop(model.remove(key)),
        }
    }
    let mut changes = Changes { deleted: gone.len() as u64, ..Changes::default() };
    // What a scan finds again is live, though no row of it comes.
    for (key, (.., marked)) in model.iter_mut().filter(|_| found == Found::Scanned) {
        if *marked && scanned.contains(key) && !last.contains_key(key) {
            *marked = false;
            changes.updated += 1;
        }
    }
    for (key, row) in last.into_iter().filter(|(_, row)| found != Found::Flagged || !row.gone) {
        let value = (row.name.clone(), row.changed, false);
        match model.insert(key.clone(), value.clone()) {
            None => changes.inserted += 1,
            Some(before) if before == value => changes.unchanged += 1,
            Some(_) => changes.updated += 1,
        }
    }
    changes
}

/// Rows of which two of one key never have one time.
fn rows(runner: &mut TestRunner) -> Vec<Row> {
    let names = of(prop_oneof![Just("ä".to_owned()), Just(String::new())]);
    let row = (0i64..8, prop_oneof![Just("north"), Just("a/b c%20")], names, 0i64..6, any::<bool>());
    let drawn = vec(row, 0..14).new_tree(runner).unwrap().current();
    let mut rows: Vec<Row> = Vec::new();
    for (id, region, name, changed, gone) in drawn {
        let key = (id, region.to_owned());
        if !rows.iter().any(|row| row.key == key && row.changed == changed) {
            rows.push(Row { key, name, changed, gone });
        }
    }
    rows
}

fn scan(runner: &mut TestRunner) -> BTreeSet<Key> {
    let key = (0i64..8, prop_oneof![Just("north".to_owned()), Just("a/b c%20".to_owned())]);
    vec(key, 0..16).new_tree(runner).unwrap().current().into_iter().collect()
}

fn lines(model: &Model) -> Vec<String> {
    let line = |((id, region), (name, changed, marked)): (&Key, &(Option<String>, i64, bool))| {
        format!("{id}|{region}|{}|{changed}|{marked}", name.as_deref().unwrap_or("∅"))
    };
    let mut lines: Vec<String> = model.iter().map(line).collect();
    lines.sort();
    lines
}

async fn rows_of(database: &Database, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT id || '|' || region || '|' || coalesce(name, '∅') || '|' || changed || '|' || (to_jsonb(t) ->> 'deleted_at' IS NOT NULL)::text FROM {table} t"
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
for row in DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    marked = 'false' if row.get('deleted_at') is None else 'true'
    print(row['id'], row['region'], '∅' if row['name'] is None else row['name'], row['changed'], marked, sep='|')
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    let mut rows: Vec<String> = python(program, folder).lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_table_equals_a_model_after_any_loads_that_delete() {
    let database = Database::new().await;
    let mut runner = TestRunner::deterministic();
    let shop = postgres(&database.url);
    for how in [OnDelete::Hard, OnDelete::Soft] {
        database
            .run(
                "DROP TABLE IF EXISTS made, plain, parts; CREATE TABLE plain (id bigint, region text, name text, changed bigint);
                 CREATE TABLE parts (id bigint, region text, name text, changed bigint, PRIMARY KEY (id, region)) PARTITION BY HASH (id);
                 CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
                 CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            )
            .await;
        for table in ["public.made", "public.plain", "public.parts"] {
            let mut model = Model::new();
            for round in 0..12 {
                let found = FOUND[round % 3];
                let (rows, scanned) = (rows(&mut runner), scan(&mut runner));
                let expected = apply(&mut model, how, found, &rows, &scanned);
                let all = (found == Found::Scanned).then(|| keys(&scanned));
                let request = request(table, how, found, "100%");
                let changes = load(&shop, &request, batch(&rows, how, found), all).await.unwrap();
                assert_eq!(
                    rows_of(&database, table).await,
                    lines(&model),
                    "{table}, round {round}, {how:?}, {found:?}"
                );
                assert_eq!(changes, expected, "{table}, round {round}, {how:?}, {found:?}");
            }
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_equals_a_model_after_any_loads_that_delete() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let mut runner = TestRunner::deterministic();
    for how in [OnDelete::Hard, OnDelete::Soft] {
        for (name, partition_by) in [("plain", Vec::new()), ("parted", vec!["region".to_owned()])] {
            let table = format!("{name}_{how:?}").to_lowercase();
            let mut model = Model::new();
            for round in 0..12 {
                let found = FOUND[round % 3];
                let (rows, scanned) = (rows(&mut runner), scan(&mut runner));
                let expected = apply(&mut model, how, found, &rows, &scanned);
                let all = (found == Found::Scanned).then(|| keys(&scanned));
                let request = SinkRequest { partition_by: partition_by.clone(), ..request(&table, how, found, "100%") };
                let changes = load(&lake, &request, batch(&rows, how, found), all).await.unwrap();
                let what = format!("{table}, round {round}, {found:?}");
                assert_eq!(rows_of_lake(&folder.path().join(&table)), lines(&model), "{what}");
                assert_eq!(changes, expected, "{what}");
            }
        }
    }
}

fn row(id: i64, name: &str, changed: i64) -> Row {
    Row { key: (id, "north".to_owned()), name: Some(name.to_owned()), changed, gone: false }
}

/// A load that compares its rows and finds too many missing changes nothing, and names the way out.
async fn limits(connection: &Arc<dyn Connection>, table: &str, contents: impl AsyncFn() -> Vec<String>) {
    let how = OnDelete::Soft;
    let go = async |rows: &[Row], max: &str| {
        let request = request(table, how, Found::Missing, max);
        load(connection, &request, batch(rows, how, Found::Missing), None).await
    };
    let ten: Vec<Row> = (0..10).map(|id| row(id, "a", 1)).collect();
    assert_eq!(go(&ten, "20%").await.unwrap().inserted, 10);
    let before = contents().await;
    let error = go(&ten[3..], "20%").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
    assert!(error.message.contains("3 of 10 rows of"), "{error}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("`max_delete: 100%`")), "{error:?}");
    let error = go(&[], "99.99%").await.unwrap_err();
    assert!(error.message.contains("10 of 10 rows of"), "{error}");
    assert_eq!(contents().await, before);
    // Two of ten may go. They are no longer counted afterwards: neither as rows that vanish nor as rows that are there.
    assert_eq!(go(&ten[2..], "20%").await.unwrap().deleted, 2);
    assert_eq!(go(&ten[2..], "0%").await.unwrap(), Changes { unchanged: 8, ..Changes::default() });
    assert!(go(&ten[4..], "20%").await.unwrap_err().message.contains("2 of 8 rows of"));
    // A key that returns is live again, though its row has not changed.
    let changes = go(&ten[1..], "20%").await.unwrap();
    assert_eq!(changes, Changes { updated: 1, unchanged: 8, ..Changes::default() });
    assert_eq!(contents().await.iter().filter(|line| line.ends_with("true")).count(), 1);
    assert_eq!(go(&[], "100%").await.unwrap().deleted, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_missing_rows_than_a_load_allows_fail_it_before_it_commits() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let shop = postgres(&database.url);
    limits(&shop, "public.t", async || rows_of(&database, "t").await).await;
    shop.close().await;
    let lake = folder.path().join("t");
    limits(&delta(folder.path()), "t", async || rows_of_lake(&lake)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_other_tables_need_is_named_where_it_can_not_be_deleted() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    let (how, found) = (OnDelete::Hard, Found::Missing);
    let go =
        async |rows: &[Row]| load(&shop, &request("public.t", how, found, "100%"), batch(rows, how, found), None).await;
    go(&[row(1, "a", 1), row(2, "b", 1)]).await.unwrap();
    database
        .run("CREATE TABLE items (id bigint, region text, FOREIGN KEY (id, region) REFERENCES t); INSERT INTO items VALUES (1, 'north')")
        .await;
    let error = go(&[row(2, "b", 1)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
    assert!(error.message.contains("deleting rows of shop.public.t that are gone at the source"), "{error}");
    assert!(error.message.contains("items") && error.message.contains("(1, north)"), "{error}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("on_delete: soft")), "{error:?}");
    assert_eq!(rows_of(&database, "t").await.len(), 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_compared_as_postgres_compares_them_and_rows_without_a_key_stay() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (k float8, n int); INSERT INTO t VALUES ('NaN', 1), ('-0', 2), ('Infinity', 3), (7, 4), (NULL, 5)")
        .await;
    let shop = postgres(&database.url);
    let rows: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0, f64::INFINITY]));
    let rows = RecordBatch::try_from_iter([("k", rows)]).unwrap();
    let base = request("public.t", OnDelete::Hard, Found::Missing, "25%");
    let request = SinkRequest { keys: vec!["k".to_owned()], order_by: None, ..base };
    let changes = load(&shop, &request, rows, None).await.unwrap();
    assert_eq!(changes, Changes { deleted: 1, unchanged: 3, ..Changes::default() });
    assert_eq!(database.rows("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t").await, ["1 2 3 5"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_says_its_key_is_gone_may_have_nothing_but_its_key() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    database
        .run("CREATE TABLE t (id bigint, region text, name text NOT NULL, changed bigint, PRIMARY KEY (id, region))")
        .await;
    let (shop, lake) = (postgres(&database.url), delta(folder.path()));
    let (how, found) = (OnDelete::Hard, Found::Flagged);
    for (connection, table) in [(&shop, "public.t"), (&lake, "t")] {
        let go = async |rows: &[Row]| {
            load(connection, &request(table, how, found, "0%"), batch(rows, how, found), None).await
        };
        go(&[row(1, "a", 1), row(2, "b", 1)]).await.unwrap();
        let gone = Row { name: None, gone: true, ..row(1, "", 2) };
        // A key that the target does not have is not there afterwards either.
        let unknown = Row { gone: true, ..row(9, "x", 2) };
        let changes = go(&[gone, unknown]).await.unwrap();
        assert_eq!(changes, Changes { deleted: 1, ..Changes::default() }, "{table}");
    }
    assert_eq!(rows_of(&database, "t").await, ["2|north|b|1|false"]);
    assert_eq!(rows_of_lake(&folder.path().join("t")), ["2|north|b|1|false"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_than_fit_into_memory_are_compared_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let how = OnDelete::Hard;
    // The keys alone are larger than the part of the memory that a join may take for them.
    let region = "x".repeat(200);
    let all: Vec<Row> = (0..200_000).map(|id| Row { key: (id, region.clone()), ..row(id, "a", 1) }).collect();
    let missing = request("t", how, Found::Missing, "20%");
    load(&lake, &missing, batch(&all, how, Found::Missing), None).await.unwrap();
    let pool = Arc::new(datafusion::execution::memory_pool::FairSpillPool::new(128 << 20));
    let scanned: BTreeSet<Key> = all.iter().skip(7).map(|row| row.key.clone()).collect();
    let memory = Arc::new(headwater_engine::memory::StagePool::new(pool));
    let context = LoadContext { keys: keys(&scanned), memory, ..attempt(Uuid::now_v7(), 1) };
    let rows = batch(&[], how, Found::Scanned);
    let sink = lake.sink(&request("t", how, Found::Scanned, "20%")).await.unwrap();
    let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
    assert_eq!(staged.changes.unwrap().deleted, 7);
    sink.commit(&context, staged).await.unwrap();
}
