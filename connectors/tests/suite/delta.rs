//! Delta tables: what is written, and what is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use headwater_engine::connector::{Commit, SinkRequest};
use headwater_engine::testing::{attempt, stream};
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use crate::load::{delta, path, read, show, sink, sql, table};

fn batch(partitions: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..partitions));
    let names: ArrayRef = Arc::new((0..partitions).map(|id| Some(format!("p {id}"))).collect::<StringArray>());
    RecordBatch::try_from_iter([("id", ids), ("country", names)]).unwrap()
}

async fn load(folder: &std::path::Path, partitions: i64, partition_by: &[&str]) -> headwater_engine::Result<Commit> {
    let lake = delta(folder);
    let partition_by = partition_by.iter().map(|name| (*name).to_owned()).collect();
    let request = SinkRequest { partition_by, ..SinkRequest::new(path("by.country"), WriteMode::Append) };
    let sink = lake.sink(&request).await.unwrap();
    let rows = batch(partitions);
    sink.prepare(&rows.schema()).await?;
    let context = attempt(Uuid::now_v7(), 1);
    let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await?;
    sink.commit(&context, staged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_table_has_a_folder_for_each_value_and_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 3, &["country"]).await.unwrap();
    assert!(folder.path().join("by/country").read_dir().unwrap().count() > 3);
    let lake = delta(folder.path());
    let found = sql(table(&lake, "by.country").await.unwrap(), "SELECT id, country FROM t WHERE country = 'p 1'")
        .await
        .unwrap();
    assert_eq!(show(&found), ["1|p 1"]);
    let changed = load(folder.path(), 3, &["id"]).await.unwrap_err();
    assert!(changed.message.contains("is partitioned by country"), "{changed}");
    // Without naming them a load follows the table's own partitions.
    load(folder.path(), 1, &[]).await.unwrap();
    assert_eq!(show(&read(table(&lake, "by.country").await.unwrap()).await.unwrap()).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_partitions_are_refused_and_leave_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), 501, &["country"]).await.unwrap_err();
    assert!(error.message.contains("more than 500 values"), "{error}");
    assert!(table(&delta(folder.path()), "by.country").await.is_err(), "a first load that fails leaves no table");
    assert_eq!(files_below(folder.path()), 0);
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_load_id_is_in_the_commit_that_holds_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let target = sink(&lake, "orders", WriteMode::Append).await;
    let context = attempt(Uuid::now_v7(), 3);
    let staged = target.write(&context, stream(batch(2).schema(), vec![batch(2)])).await.unwrap();
    let commit = target.commit(&context, staged).await.unwrap();
    assert_eq!(commit, Commit::Committed { version: Some("1".to_owned()) });
    let log = std::fs::read_to_string(folder.path().join("orders/_delta_log/00000000000000000001.json")).unwrap();
    let transaction = format!("\"appId\":\"hw/{}\",\"version\":3,\"lastUpdated\":", context.load_id);
    assert!(log.contains(&transaction) && log.contains("\"add\":"), "{log}");
    let made = std::fs::read_to_string(folder.path().join("orders/_delta_log/00000000000000000000.json")).unwrap();
    assert!(made.contains("\"delta.setTransactionRetentionDuration\":\"interval 7 days\""), "{made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_with_features_that_are_not_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 1, &[]).await.unwrap();
    let log = folder.path().join("by/country/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&log).unwrap();
    for (property, what) in [
        ("\"delta.enableChangeDataFeed\":\"true\"", "the change data feed"),
        ("\"delta.constraints.positive\":\"id > 0\"", "the check constraint positive"),
        ("\"delta.enableDeletionVectors\":\"true\"", "deletion vectors"),
    ] {
        let marked = text.replacen("\"configuration\":{", &format!("\"configuration\":{{{property},"), 1);
        assert_ne!(marked, text);
        std::fs::write(&log, marked).unwrap();
        let error = load(folder.path(), 1, &[]).await.unwrap_err();
        assert!(error.message.contains(what), "{error}");
    }
}
