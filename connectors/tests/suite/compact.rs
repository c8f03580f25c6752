//! Small files of a Delta table that are put together, read by Python's deltalake.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use headwater_engine::connector::{Commit, Compacted, Connection, Position, Reading, SinkRequest};
use headwater_engine::testing::{attempt, stream};
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use crate::file_cursors::{asked, auto};
use crate::load::{delta, path, read};
use crate::values::python;

fn request(partitioned: bool) -> SinkRequest {
    let partition_by = if partitioned { vec!["day".to_owned()] } else { Vec::new() };
    SinkRequest { partition_by, ..SinkRequest::new(path("t"), WriteMode::Append) }
}

async fn append(connection: &Arc<dyn Connection>, partitioned: bool, id: i64) {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![id]))),
        ("day", Arc::new(StringArray::from(vec![format!("d{}", id % 2)]))),
        ("v", Arc::new(Float64Array::from(vec![if id == 3 { f64::NAN } else { 0.5 }]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let (sink, context) = (connection.sink(&request(partitioned)).await.unwrap(), attempt(Uuid::now_v7(), 1));
    let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await.unwrap();
    assert!(matches!(sink.commit(&context, staged).await.unwrap(), Commit::Committed { .. }));
}

async fn compact(connection: &Arc<dyn Connection>, partitioned: bool) -> Option<Compacted> {
    let sink = connection.sink(&request(partitioned)).await.unwrap();
    sink.compact(&attempt(Uuid::now_v7(), 1)).await.unwrap()
}

/// Rows, files, and whether the last commit says that it changes data.
fn seen(folder: &Path) -> String {
    let program = "
import glob, json, os, sys
import deltalake
t = deltalake.DeltaTable(os.path.join(sys.argv[1], 't'))
rows = sorted((r['id'], r['day'], str(r['v'])) for r in t.to_pyarrow_table().to_pylist())
last = sorted(glob.glob(os.path.join(sys.argv[1], 't/_delta_log/*.json')))[-1]
actions = [json.loads(line) for line in open(last)]
changes = {a[k]['dataChange'] for a in actions for k in ('add', 'remove') if k in a}
print(len(rows), sum(r[0] for r in rows), [r[2] for r in rows if r[0] == 3], len(t.file_uris()), sorted(changes))
sys.stdout.flush()
os._exit(0)";
    python(program, folder).trim().to_owned()
}

async fn window(folder: &Path, after: Option<&Position>) -> (usize, Position) {
    let reading = Reading::After(after.map(|position| position.to.clone()));
    let found = delta(folder).source(&asked("t", auto(), reading, false)).await.unwrap();
    let rows = read(found.table).await.unwrap().iter().map(RecordBatch::num_rows).sum();
    (rows, found.position.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_become_one_with_the_same_rows_and_whoever_follows_reads_none_again() {
    let folder = tempfile::tempdir().unwrap();
    let connection = delta(folder.path());
    for id in 1..=15 {
        append(&connection, false, id).await;
    }
    assert_eq!(compact(&connection, false).await, None, "they are few");
    append(&connection, false, 16).await;
    let (rows, before) = window(folder.path(), None).await;
    assert_eq!(rows, 16);
    assert_eq!(compact(&connection, false).await, Some(Compacted { before: 16, after: 1 }));
    assert_eq!(seen(folder.path()), "16 136 ['nan'] 1 [False]");
    append(&connection, false, 17).await;
    assert_eq!(window(folder.path(), Some(&before)).await.0, 1, "the row that came");
    assert_eq!(compact(&connection, false).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_each_partition_are_put_together_apart() {
    let folder = tempfile::tempdir().unwrap();
    let connection = delta(folder.path());
    for id in 1..=33 {
        append(&connection, true, id).await;
    }
    let done = compact(&connection, true).await.unwrap();
    assert_eq!((done.before, done.after), (33, 2));
    assert_eq!(seen(folder.path()), "33 561 ['nan'] 2 [False]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_and_compactions_at_once_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let connection = delta(folder.path());
    for id in 1..=20 {
        append(&connection, false, id).await;
    }
    let loads = async {
        for id in 21..=40 {
            append(&connection, false, id).await;
        }
    };
    let compactions = async {
        for _ in 0..3 {
            compact(&connection, false).await;
        }
    };
    tokio::join!(loads, compactions, async { compact(&connection, false).await });
    assert!(seen(folder.path()).starts_with("40 820 ['nan']"), "{}", seen(folder.path()));
}
