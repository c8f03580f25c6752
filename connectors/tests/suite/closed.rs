//! Loads that keep history and end the versions of keys that are gone at the source: equal to a model, read by psql's protocol and by Python's deltalake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use headwater_engine::connector::{AllKeys, Changes, Connection, SinkRequest};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::Deletes;
use headwater_pipelines::spec::{OnDelete, Share};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::cluster::Database;
use crate::history::{Row, batch, request};
use crate::load::{delta, merged, postgres};
use crate::values::python;

/// A second of the year 2100: versions that begin then end a microsecond later, whenever the test runs.
const LATER: i64 = 4_102_444_800;

/// Status, since when and until when, in microseconds.
type Version = (String, i64, Option<i64>);

/// The versions of each key, and the keys that are gone.
#[derive(Default)]
struct Model {
    versions: BTreeMap<i64, Vec<Version>>,
    gone: BTreeSet<i64>,
}

impl Model {
    /// What a load makes of it whose rows are all that there are.
    fn apply(&mut self, rows: &[Row]) -> Changes {
        let mut changes = Changes::default();
        for (id, versions) in &mut self.versions {
            let is_there = rows.iter().any(|row| row.0 == *id);
            if !is_there && self.gone.insert(*id) {
                let last = versions.last_mut().unwrap();
                last.2 = Some(last.1 + 1);
                changes.deleted += 1;
            }
        }
        for (id, status, _, at) in rows {
            let (versions, at) = (self.versions.entry(*id).or_default(), at.unwrap() * 1_000_000);
            let status = status.clone().unwrap();
            if self.gone.remove(id) || versions.is_empty() {
                let ended = versions.last().and_then(|last| last.2).unwrap_or(at);
                versions.push((status, at.max(ended), None));
                changes.inserted += 1;
                continue;
            }
            let holds = versions.last_mut().unwrap();
            if holds.0 == status {
                // The time of the row is brought up to date.
                changes.updated += 1;
            } else {
                holds.2 = Some(at);
                versions.push((status, at, None));
                changes.inserted += 1;
                changes.updated += 1;
            }
        }
        changes
    }

    fn lines(&self) -> Vec<String> {
        let line = |id: &i64, (status, from, to): &Version| {
            let until = to.map_or_else(|| "∅".to_owned(), |to| to.to_string());
            format!("{id}|{status}|{from}|{until}|{}", to.is_none())
        };
        let mut lines: Vec<String> = self
            .versions
            .iter()
            .flat_map(|(id, versions)| versions.iter().map(move |version| line(id, version)))
            .collect();
        lines.sort();
        lines
    }
}

/// A load whose rows are all that there are, and that ends what is gone.
fn closing(name: &str, max: &str) -> SinkRequest {
    let max: Share = serde_json::from_value(json!(max)).unwrap();
    let deletes = Deletes { how: OnDelete::Close, when: None, every: None, max, changes: false };
    SinkRequest { deletes: Some(deletes), ..request(name, &["status"]) }
}

async fn load(connection: &Arc<dyn Connection>, request: &SinkRequest, rows: &[Row]) -> Result<Changes> {
    merged(connection, request, batch(rows), AllKeys::default()).await
}

/// Rows of a round, one of each key, all later than those of the rounds before.
fn drawn(runner: &mut TestRunner, round: i64) -> Vec<Row> {
    let statuses = prop_oneof![Just("a"), Just("b")];
    let rows = vec((0i64..6, statuses), 0..5).new_tree(runner).unwrap().current();
    let rows: BTreeMap<i64, &str> = rows.into_iter().collect();
    rows.into_iter().map(|(id, status)| row(id, status, LATER + round)).collect()
}

fn row(id: i64, status: &str, at: i64) -> Row {
    (id, Some(status.to_owned()), None, Some(at))
}

async fn rows_of(database: &Database, table: &str) -> Vec<String> {
    let micros = |column: &str| format!("(extract(epoch FROM {column}) * 1000000)::bigint");
    let sql = format!(
        "SELECT concat_ws('|', id, status, {}, coalesce({}::text, '∅'), is_current::text) FROM {table}",
        micros("valid_from"),
        micros("valid_to")
    );
    let mut rows = database.rows(&sql).await;
    rows.sort();
    rows
}

fn rows_of_lake(folder: &Path) -> Vec<String> {
    let program = "
import os, sys
from datetime import datetime, timedelta, timezone
from deltalake import DeltaTable
epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
micros = lambda value: '∅' if value is None else (value - epoch) // timedelta(microseconds=1)
for row in DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist():
    print(row['id'], row['status'], micros(row['valid_from']), micros(row['valid_to']), str(row['is_current']).lower(), sep='|')
sys.stdout.flush()
# Its threads sometimes end badly with the process.
os._exit(0)";
    let mut rows: Vec<String> = python(program, folder).lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// Loads rounds of rows, and compares the table with a model behind each.
async fn equals_a_model(connection: &Arc<dyn Connection>, table: &str, contents: impl AsyncFn() -> Vec<String>) {
    let (mut runner, mut model) = (TestRunner::deterministic(), Model::default());
    for round in 0..14 {
        let rows = drawn(&mut runner, round);
        let expected = model.apply(&rows);
        let changes = load(connection, &closing(table, "100%"), &rows).await.unwrap();
        assert_eq!(contents().await, model.lines(), "{table}, round {round}");
        assert_eq!(changes, expected, "{table}, round {round}");
    }
    assert!(model.versions.values().any(|versions| versions.len() > 3), "keys have come and gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_table_has_ended_the_versions_of_what_is_gone() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    let columns = "id bigint, status text, note text, at timestamptz, valid_from timestamptz, valid_to timestamptz, is_current boolean";
    database.run(&format!("CREATE TABLE plain ({columns})")).await;
    for table in ["public.made", "public.plain"] {
        equals_a_model(&shop, table, async || rows_of(&database, table).await).await;
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_has_ended_the_versions_of_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    equals_a_model(&lake, "t", async || rows_of_lake(&folder.path().join("t"))).await;
}

/// A key that was found gone is back with a row that is older than that: its version begins where the last one has ended.
async fn comes_back(connection: &Arc<dyn Connection>, table: &str, contents: impl AsyncFn() -> Vec<String>) {
    let request = closing(table, "50%");
    load(connection, &request, &[row(1, "a", 10), row(2, "a", 10)]).await.unwrap();
    let changes = load(connection, &request, &[row(1, "a", 10)]).await.unwrap();
    assert_eq!((changes.deleted, changes.inserted), (1, 0));
    let again = load(connection, &request, &[row(1, "a", 10)]).await.unwrap();
    assert_eq!((again.deleted, again.inserted, again.unchanged), (0, 0, 1), "what has ended does not end again");
    load(connection, &request, &[row(1, "a", 10), row(2, "a", 10)]).await.unwrap();
    let lines = contents().await;
    let versions: Vec<Vec<&str>> =
        lines.iter().map(|line| line.split('|').collect()).filter(|line: &Vec<&str>| line[0] == "2").collect();
    let [first, second] = versions.as_slice() else { panic!("{lines:?}") };
    assert_eq!((first[2], first[4], second[4]), ("10000000", "false", "true"), "{lines:?}");
    assert!(first[3] == second[2] && first[3].len() == 16, "{lines:?}");
    // Later than its row was, though earlier than it was found gone.
    load(connection, &request, &[row(1, "a", 10), row(2, "b", 20)]).await.unwrap();
    let lines = contents().await;
    let last: Vec<&str> = lines.iter().rfind(|line| line.starts_with("2|")).unwrap().split('|').collect();
    assert_eq!((last[1], last[4], lines.len()), ("b", "true", 4), "{lines:?}");
    let error = load(connection, &request, &[]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert!(error.message.contains("2 of 2 rows") && error.message.contains("max_delete: 50%"), "{error}");
    assert_eq!(contents().await, lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_back_has_a_version_behind_its_last_one() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    comes_back(&shop, "public.t", async || rows_of(&database, "public.t").await).await;
    shop.close().await;
    let folder = tempfile::tempdir().unwrap();
    comes_back(&delta(folder.path()), "t", async || rows_of_lake(&folder.path().join("t"))).await;
}
