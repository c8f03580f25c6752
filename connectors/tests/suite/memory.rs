//! Loads that share one memory pool: none keeps another waiting, and all keep to the pool.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use headwater_engine::connector::{Commit, Connection, LoadContext};
use headwater_engine::memory::StagePool;
use headwater_engine::session::EngineConfig;
use headwater_engine::testing::{attempt, stream};
use headwater_pipelines::spec::WriteMode;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::load::{delta, open, path, sink, sql, table};

const MB: usize = 1 << 20;

/// Longest time that a test waits for a load that nothing keeps from ending.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process with one pool, and a folder to load into.
struct Process {
    folder: tempfile::TempDir,
    pool: Arc<StagePool>,
}

impl Process {
    fn new(memory: usize) -> Self {
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(memory));
        Self { folder: tempfile::tempdir().unwrap(), pool: Arc::new(StagePool::new(pool)) }
    }

    fn attempt(&self) -> LoadContext {
        let pool = Arc::clone(&self.pool) as Arc<dyn MemoryPool>;
        LoadContext { memory: Arc::new(StagePool::new(pool)), ..attempt(Uuid::now_v7(), 1) }
    }

    /// The two kinds of targets that are made of files.
    fn lakes(&self) -> [Arc<dyn Connection>; 2] {
        let files = self.folder.path().join("files");
        std::fs::create_dir_all(&files).unwrap();
        [delta(&self.folder.path().join("delta")), open("files", json!({ "location": files.to_str().unwrap() }))]
    }

    /// Row groups of all data files, with their rows.
    fn row_groups(&self) -> Vec<i64> {
        let mut groups = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|extension| extension == "parquet") {
                    let reader = SerializedFileReader::new(std::fs::File::open(entry).unwrap()).unwrap();
                    groups.extend(reader.metadata().row_groups().iter().map(|group| group.num_rows()));
                }
            }
        }
        groups
    }
}

/// Numbers that no encoding makes small: 64 KB for each thousand rows.
fn noise(seed: u64, rows: u64) -> RecordBatch {
    let mixed = |number: u64| {
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)).cast_signed()
    };
    let column = |column: u64| -> (String, ArrayRef) {
        let values = (0..rows).map(|row| mixed((seed << 40) + (column << 32) + row));
        (format!("c{column}"), Arc::new(Int64Array::from_iter_values(values)))
    };
    RecordBatch::try_from_iter((0..8).map(column)).unwrap()
}

fn large(seed: u64) -> (SchemaRef, SendableRecordBatchStream) {
    let schema = noise(0, 1).schema();
    // Half a megabyte each.
    let batches = futures::stream::iter(0..48).map(move |number| Ok(noise(seed * 1000 + number, 8192)));
    (Arc::clone(&schema), Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

async fn load(
    lake: &Arc<dyn Connection>,
    name: &str,
    context: &LoadContext,
    input: SendableRecordBatchStream,
) -> headwater_engine::Result<Commit> {
    let sink = sink(lake, name, WriteMode::Append).await;
    sink.prepare(&input.schema()).await?;
    let staged = sink.write(context, input).await?;
    sink.commit(context, staged).await
}

async fn count(lake: &Arc<dyn Connection>, name: &str) -> String {
    let counted = sql(table(lake, name).await.unwrap(), "SELECT count(*) FROM t").await.unwrap();
    crate::load::show(&counted).concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_source_has_no_rows_yet_or_no_more_for_now_keeps_no_other_from_committing() {
    let process = Process::new(EngineConfig::DEFAULT_MEMORY);
    for lake in process.lakes() {
        for rows_before in [0, 10] {
            let name = format!("slow{rows_before}");
            let (asked, was_asked) = oneshot::channel();
            let (go, signal) = oneshot::channel::<()>();
            let first = (rows_before > 0).then(|| Ok(noise(1, rows_before)));
            let rest = futures::stream::once(async move {
                asked.send(()).unwrap();
                signal.await.unwrap();
                Ok(noise(2, 5))
            });
            let slow = futures::stream::iter(first).chain(rest);
            let slow = Box::pin(RecordBatchStreamAdapter::new(noise(0, 1).schema(), slow));
            let (context, target, own) = (process.attempt(), Arc::clone(&lake), name.clone());
            let waiting = tokio::spawn(async move { load(&target, &own, &context, slow).await });
            was_asked.await.unwrap();
            assert!(process.pool.held() <= 2 * MB, "{} bytes for {rows_before} rows", process.pool.held());
            for number in 0..3 {
                let context = process.attempt();
                let (_, rows) = large(number);
                let other = format!("other{rows_before}_{number}");
                let committed = tokio::time::timeout(PATIENCE, load(&lake, &other, &context, rows)).await;
                committed.expect("it waits for the slow load").unwrap();
            }
            go.send(()).unwrap();
            waiting.await.unwrap().unwrap();
            assert_eq!(count(&lake, &name).await, (rows_before + 5).to_string());
            assert_eq!(process.pool.held(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_loads_end_in_a_small_pool_beside_each_other() {
    let process = Process::new(6 * MB);
    for lake in process.lakes() {
        let loads = (0..3).map(|number| {
            let (context, lake, (_, rows)) = (process.attempt(), Arc::clone(&lake), large(number));
            tokio::spawn(async move { load(&lake, "large", &context, rows).await })
        });
        // Targets are made by the first of them, and the others append to it.
        let ended = tokio::time::timeout(PATIENCE, futures::future::join_all(loads.collect::<Vec<_>>())).await;
        for ended in ended.expect("they wait for each other") {
            assert!(matches!(ended.unwrap().unwrap(), Commit::Committed { .. }));
        }
        assert_eq!(count(&lake, "large").await, (3 * 48 * 8192).to_string());
        assert_eq!(process.pool.held(), 0);
    }
    assert!(process.pool.peak() <= 10 * MB as u64, "{}", process.pool.peak());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_cannot_grow_writes_out_its_row_group() {
    for (memory, least) in [(EngineConfig::DEFAULT_MEMORY, 100_000), (4 * MB, 1000)] {
        let is_small = memory < EngineConfig::DEFAULT_MEMORY;
        for kind in 0..2 {
            let process = Process::new(memory);
            let lake = &process.lakes()[kind];
            load(lake, "rows", &process.attempt(), large(0).1).await.unwrap();
            let groups = process.row_groups();
            assert_eq!(groups.iter().sum::<i64>(), 48 * 8192);
            // A row has 64 bytes: 12 MB of them are a full row group of a Delta table.
            assert!(groups.iter().any(|rows| *rows >= least), "{kind}: {groups:?}");
            assert!(!is_small || groups.iter().all(|rows| *rows < 100_000), "{kind}: {groups:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_of_ten_rows_reserves_little() {
    for kind in 0..2 {
        let process = Process::new(EngineConfig::DEFAULT_MEMORY);
        let rows = noise(0, 10);
        let context = process.attempt();
        load(&process.lakes()[kind], "rows", &context, stream(rows.schema(), vec![rows])).await.unwrap();
        assert!((1..=2 * MB as u64).contains(&process.pool.peak()), "{kind}: {}", process.pool.peak());
        assert_eq!(process.pool.held(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_load_keeps_to_a_small_pool_with_few_files_for_each_value() {
    use headwater_engine::connector::SinkRequest;
    let process = Process::new(8 * MB);
    let lake = &process.lakes()[0];
    let partition_by = vec!["value".to_owned()];
    let request = SinkRequest { partition_by, ..SinkRequest::new(path("by.value"), WriteMode::Append) };
    let sink = lake.sink(&request).await.unwrap();
    let batch = |number| {
        let rows = noise(number, 8192);
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values((0..8192).map(|row| row % 8)));
        let columns = rows.columns().iter().cloned().chain([values]);
        let names = (0..8).map(|column| format!("c{column}")).chain(["value".to_owned()]);
        RecordBatch::try_from_iter(names.zip(columns)).unwrap()
    };
    let input = stream(batch(0).schema(), (0..48).map(batch).collect());
    sink.prepare(&input.schema()).await.unwrap();
    let context = process.attempt();
    let staged = sink.write(&context, input).await.unwrap();
    assert!(staged.files <= 8 * 4, "{} files", staged.files);
    sink.commit(&context, staged).await.unwrap();
    assert_eq!(count(lake, "by.value").await, (48 * 8192).to_string());
    assert_eq!(process.pool.held(), 0);
    assert!(process.pool.peak() <= 12 * MB as u64, "{}", process.pool.peak());
}
