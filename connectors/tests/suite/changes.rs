//! Loads of changes: columns that were not sent keep what the target has, read by psql's protocol and by Python's deltalake.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use headwater_engine::connector::{AllKeys, Changes, Connection, DELETED, KEPT, SinkRequest};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::Deletes;
use headwater_pipelines::spec::{Contract, LoadSchema, OnDelete, Share, WriteMode};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::cluster::Database;
use crate::load::{delta, merged, path, postgres};
use crate::values::python;

/// The last change of a row: gone, or its values, of which some were not sent.
#[derive(Debug, Clone)]
struct Row {
    id: i64,
    gone: bool,
    /// NULL, a text, or not sent.
    note: Option<Option<String>>,
    n: Option<Option<i64>>,
}

type Model = BTreeMap<i64, (Option<String>, Option<i64>)>;

fn request(table: &str) -> SinkRequest {
    let deletes = Deletes {
        how: OnDelete::Hard,
        when: Some("gone".to_owned()),
        every: None,
        max: Share::default(),
        changes: true,
    };
    SinkRequest {
        keys: vec!["id".to_owned()],
        deletes: Some(deletes),
        ..SinkRequest::new(path(table), WriteMode::Upsert)
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let mut kept = ListBuilder::new(StringBuilder::new());
    for row in rows {
        let unsent = [("note", row.note.is_none()), ("n", row.n.is_none())];
        let unsent: Vec<&str> =
            unsent.iter().filter(|(_, unsent)| *unsent && !row.gone).map(|(name, _)| *name).collect();
        unsent.iter().for_each(|name| kept.values().append_value(name));
        kept.append(!unsent.is_empty());
    }
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("id", Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>()), true),
        ("note", Arc::new(rows.iter().map(|row| row.note.clone().flatten()).collect::<StringArray>()), true),
        ("n", Arc::new(rows.iter().map(|row| row.n.flatten()).collect::<Int64Array>()), true),
        (DELETED, Arc::new(rows.iter().map(|row| Some(row.gone)).collect::<BooleanArray>()), false),
        (KEPT, Arc::new(kept.finish()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// One change of each of some keys. A row that the target does not have is sent whole.
fn rows(runner: &mut TestRunner, model: &Model) -> Vec<Row> {
    let note = of(of(prop_oneof![Just("ä \"q\", '{}'".to_owned()), Just(String::new())]));
    let row = (0i64..10, 0u8..4, note, of(of(0i64..3)));
    let drawn = vec(row, 0..8).new_tree(runner).unwrap().current();
    let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
    for (id, what, note, n) in drawn {
        let is_known = model.contains_key(&id);
        let (note, n) = if is_known { (note, n) } else { (Some(note.flatten()), Some(n.flatten())) };
        rows.insert(
            id,
            if what == 0 { Row { id, gone: true, note: None, n: None } } else { Row { id, gone: false, note, n } },
        );
    }
    rows.into_values().collect()
}

fn apply(model: &mut Model, rows: &[Row]) -> Changes {
    let mut changes = Changes::default();
    for row in rows {
        if row.gone {
            changes.deleted += u64::from(model.remove(&row.id).is_some());
            continue;
        }
        let before = model.get(&row.id).cloned();
        let (note, n) = before.clone().unwrap_or_default();
        let after = (row.note.clone().unwrap_or(note), row.n.unwrap_or(n));
        match before {
            None => changes.inserted += 1,
            Some(before) if before == after => changes.unchanged += 1,
            Some(_) => changes.updated += 1,
        }
        model.insert(row.id, after);
    }
    changes
}

fn lines(model: &Model) -> Vec<String> {
    let shown = |(id, (note, n)): (&i64, &(Option<String>, Option<i64>))| {
        format!("{id}|{}|{}", note.as_deref().unwrap_or("∅"), n.map_or("∅".to_owned(), |n| n.to_string()))
    };
    model.iter().map(shown).collect()
}

async fn in_postgres(database: &Database, table: &str) -> Vec<String> {
    database
        .rows(&format!(
            "SELECT id || '|' || coalesce(note, '∅') || '|' || coalesce(n::text, '∅') FROM {table} ORDER BY id"
        ))
        .await
}

fn in_lake(folder: &Path) -> Vec<String> {
    let program = "
import os, sys
from deltalake import DeltaTable
shown = lambda value: '∅' if value is None else value
for row in sorted(DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist(), key=lambda row: row['id']):
    print(row['id'], shown(row['note']), shown(row['n']), sep='|')
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    python(program, folder).lines().map(str::to_owned).collect()
}

async fn load(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &[Row]) -> Result<Changes> {
    merged(connection, request, batch(rows), AllKeys::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_table_equals_a_model_after_any_changes() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE plain (id bigint, note text, n bigint);
             CREATE TABLE typed (id bigint PRIMARY KEY, note varchar(40), n bigint, own text DEFAULT 'mine');
             CREATE TABLE parts (id bigint PRIMARY KEY, note text, n bigint) PARTITION BY HASH (id);
             CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        )
        .await;
    let shop = postgres(&database.url);
    let mut runner = TestRunner::deterministic();
    for table in ["public.made", "public.plain", "public.typed", "public.parts"] {
        let mut model = Model::new();
        for round in 0..16 {
            let rows = rows(&mut runner, &model);
            let expected = apply(&mut model, &rows);
            let changes = load(&shop, &request(table), &rows).await.unwrap();
            assert_eq!(in_postgres(&database, table).await, lines(&model), "{table}, round {round}: {rows:?}");
            assert_eq!(changes, expected, "{table}, round {round}: {rows:?}");
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_equals_a_model_after_any_changes() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let mut runner = TestRunner::deterministic();
    for (table, partition_by) in [("plain", Vec::new()), ("parted", vec!["n".to_owned()])] {
        let mut model = Model::new();
        for round in 0..16 {
            let rows = rows(&mut runner, &model);
            let expected = apply(&mut model, &rows);
            let request = SinkRequest { partition_by: partition_by.clone(), ..request(table) };
            let changes = load(&lake, &request, &rows).await.unwrap();
            let what = format!("{table}, round {round}: {rows:?}");
            if lake_exists(&folder.path().join(table)) {
                assert_eq!(in_lake(&folder.path().join(table)), lines(&model), "{what}");
            }
            assert_eq!(changes, expected, "{what}");
        }
    }
}

fn lake_exists(folder: &Path) -> bool {
    folder.join("_delta_log").is_dir()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_target_lacks_and_nobody_has_sent_whole_is_refused_and_nothing_is_loaded() {
    let database = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = Row { id: 1, gone: false, note: Some(Some("a".to_owned())), n: Some(Some(1)) };
    let part = Row { id: 7, gone: false, note: None, n: Some(Some(2)) };
    for (connection, table) in [(postgres(&database.url), "public.made"), (delta(folder.path()), "made")] {
        let refused = async |rows: &[Row]| {
            let error = load(&connection, &request(table), rows).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Data);
            assert!(error.message.contains("column note") && error.message.contains("id = 7"), "{error}");
            assert!(error.hint.as_ref().unwrap().contains("snapshot"), "{error:?}");
        };
        refused(&[whole.clone(), part.clone()]).await;
        load(&connection, &request(table), std::slice::from_ref(&whole)).await.unwrap();
        refused(std::slice::from_ref(&part)).await;
        let gone = Row { gone: true, ..part.clone() };
        load(&connection, &request(table), &[gone]).await.unwrap();
    }
    assert_eq!(in_postgres(&database, "public.made").await, ["1|a|1"]);
    assert_eq!(in_lake(&folder.path().join("made")), ["1|a|1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loads_of_changes_at_once_lose_nothing_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let row = |id, note: Option<&str>, n: Option<i64>| Row {
        id,
        gone: false,
        note: note.map(|note| Some(note.to_owned())),
        n: n.map(Some),
    };
    let first: Vec<Row> = (0..4).map(|id| row(id, Some("a"), Some(0))).collect();
    load(&lake, &request("t"), &first).await.unwrap();
    for round in 1..6 {
        let text = format!("r{round}");
        let notes: Vec<Row> = (0..4).map(|id| row(id, Some(&text), None)).collect();
        let numbers: Vec<Row> = (0..4).map(|id| row(id, None, Some(round))).collect();
        let load = async |rows: &[Row]| {
            // As the engine does with a conflict: the attempt is made again.
            while let Err(error) = load(&lake, &request("t"), rows).await {
                assert!(error.kind == ErrorKind::Conflict || error.kind == ErrorKind::Transient, "{error}");
            }
        };
        tokio::join!(load(&notes), load(&numbers));
        let expected: Vec<String> = (0..4).map(|id| format!("{id}|r{round}|{round}")).collect();
        assert_eq!(in_lake(&folder.path().join("t")), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_the_load_adds_is_known_to_nobody_if_it_was_not_sent() {
    let database = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = Row { id: 7, gone: false, note: Some(Some("a".to_owned())), n: Some(Some(1)) };
    for (connection, table) in [(postgres(&database.url), "public.made"), (delta(folder.path()), "made")] {
        let narrow = batch(std::slice::from_ref(&whole)).project(&[0, 2, 3, 4]).unwrap();
        merged(&connection, &request(table), narrow, AllKeys::default()).await.unwrap();
        let adding = SinkRequest { schema: LoadSchema::All(Contract::AddColumns), ..request(table) };
        let part = Row { note: None, n: Some(Some(2)), ..whole.clone() };
        let error = load(&connection, &adding, &[part]).await.unwrap_err();
        assert!(error.message.contains("column note"), "{error}");
        load(&connection, &adding, std::slice::from_ref(&whole)).await.unwrap();
    }
    assert_eq!(in_lake(&folder.path().join("made")), ["7|a|1"]);
    assert_eq!(in_postgres(&database, "public.made").await, ["7|a|1"]);
}
