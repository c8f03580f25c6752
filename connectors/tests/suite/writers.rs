//! Whatever writers do while a table is read by windows: each row is read once, in the version that stays.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use headwater_engine::connector::Position;
use headwater_pipelines::plan::Cursor;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio_postgres::Client;

use crate::cluster::Database;
use crate::windows::{client, cursor, window};

/// What a writer does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    Begin,
    Insert,
    Update,
    /// Writes a row in a savepoint, which is released or rolled back.
    Savepoint(bool),
    End(bool),
    Read,
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let act = prop_oneof![
        2 => Just(Act::Begin),
        4 => Just(Act::Insert),
        3 => Just(Act::Update),
        2 => any::<bool>().prop_map(Act::Savepoint),
        2 => proptest::bool::weighted(0.8).prop_map(Act::End),
        2 => Just(Act::Read),
    ];
    (0..3_usize, act)
}

/// A client that writes rows of its own, each in versions that are counted.
struct Writer {
    client: Client,
    number: i64,
    rows: i64,
    is_open: bool,
    /// Row and version, as they are if the transaction commits.
    pending: Vec<(i64, i64)>,
}

impl Writer {
    async fn write(&mut self, id: i64, version: i64) {
        let sql =
            "INSERT INTO t VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET version = $2, updated_at = clock_timestamp()";
        self.client.execute(sql, &[&id, &version]).await.unwrap();
    }

    fn new_id(&mut self) -> i64 {
        self.rows += 1;
        self.rows * 3 + self.number
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_is_read_once_in_the_version_that_stays_whatever_writers_do() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id bigint PRIMARY KEY, version bigint NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp())")
        .await;
    let mut writers = Vec::new();
    for number in 0..3 {
        writers.push(Writer { client: client(&database).await, number, rows: 0, is_open: false, pending: Vec::new() });
    }
    let acts = prop::collection::vec(act(), 250).new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let (mut version, mut committed) = (0, BTreeMap::new());
    let (mut after, mut got): (Option<Position>, Vec<(i64, i64)>) = (None, Vec::new());
    let cursor = cursor("updated_at");
    for (number, act) in acts {
        let writer = &mut writers[number];
        version += 1;
        let mut written = None;
        match act {
            Act::Begin if !writer.is_open => {
                writer.client.batch_execute("BEGIN").await.unwrap();
                writer.is_open = true;
            }
            Act::Insert => written = Some(writer.new_id()),
            Act::Update if writer.rows > 0 => written = Some((1 + version % writer.rows) * 3 + writer.number),
            Act::Savepoint(keeps) if writer.is_open => {
                writer.client.batch_execute("SAVEPOINT s").await.unwrap();
                let id = writer.new_id();
                writer.write(id, version).await;
                let end = if keeps { "RELEASE s" } else { "ROLLBACK TO s" };
                writer.client.batch_execute(end).await.unwrap();
                if keeps {
                    writer.pending.push((id, version));
                }
            }
            Act::End(commits) if writer.is_open => {
                writer.client.batch_execute(if commits { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
                let pending = std::mem::take(&mut writer.pending);
                committed.extend(pending.into_iter().filter(|_| commits));
                writer.is_open = false;
            }
            Act::Read => {
                let (rows, position) = window(&database.url, "public.t", &cursor, after.as_ref()).await.unwrap();
                got.extend(rows.iter().map(|row| parsed(row)));
                after = Some(position);
            }
            _ => {}
        }
        if let Some(id) = written {
            writer.write(id, version).await;
            match writer.is_open {
                true => writer.pending.push((id, version)),
                false => drop(committed.insert(id, version)),
            }
        }
    }
    for writer in writers.iter_mut().filter(|writer| writer.is_open) {
        writer.client.batch_execute("COMMIT").await.unwrap();
        committed.extend(std::mem::take(&mut writer.pending));
    }
    read_the_rest(&database, &cursor, after, &mut got, &committed).await;
    let last: BTreeMap<i64, i64> = got.iter().copied().collect();
    assert_eq!(last, committed, "the version of each row that was read last is the one that stays");
    let distinct: HashSet<(i64, i64)> = got.iter().copied().collect();
    assert_eq!(distinct.len(), got.len(), "no version is read twice");
    assert!(got.len() > 60, "{} rows were read", got.len());
}

/// Reads until nothing is missing: transactions of other tests delay rows too.
async fn read_the_rest(
    database: &Database,
    cursor: &Cursor,
    mut after: Option<Position>,
    got: &mut Vec<(i64, i64)>,
    committed: &BTreeMap<i64, i64>,
) {
    for _ in 0..100 {
        let (rows, position) = window(&database.url, "public.t", cursor, after.as_ref()).await.unwrap();
        got.extend(rows.iter().map(|row| parsed(row)));
        after = Some(position);
        let last: BTreeMap<i64, i64> = got.iter().copied().collect();
        if last == *committed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn parsed(row: &str) -> (i64, i64) {
    let mut fields = row.split('|').map(|field| field.parse::<i64>());
    (fields.next().unwrap().unwrap(), fields.next().unwrap().unwrap())
}
