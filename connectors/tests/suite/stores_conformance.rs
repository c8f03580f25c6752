//! Delta and files keep the promises of the contract suite in object stores as they do on a local disk.

use arrow::datatypes::DataType;
use headwater_engine::testing::{Subject, conformance};
use serde_json::{Value, json};

use crate::conformance::{named_types, subject};
use crate::load::open;
use crate::stores::{Bucket, bucket, container};

fn stored(connector: &'static str, bucket: &Bucket, further: Value) -> Subject {
    let settings = bucket.settings("some/folder", further);
    subject(move || open(connector, settings.clone()))
}

fn text(subject: Subject) -> Subject {
    Subject {
        carries: |data_type| !matches!(data_type, DataType::List(_) | DataType::Binary),
        columns: named_types,
        ..subject
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delta_on_s3_keeps_the_contract() {
    conformance(&stored("delta", &bucket(), json!({}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_files_on_s3_keep_the_contract() {
    conformance(&stored("files", &bucket(), json!({ "format": "parquet" }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_files_on_s3_keep_the_contract() {
    conformance(&text(stored("files", &bucket(), json!({ "format": "csv", "delimiter": ";" })))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_on_s3_keep_the_contract() {
    let lines = text(stored("files", &bucket(), json!({ "format": "jsonl" })));
    conformance(&Subject { carries_nan: false, ..lines }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_on_s3_keeps_the_contract() {
    let one = stored("files", &bucket(), json!({}));
    conformance(&Subject { path: Box::new(|name| vec![format!("{name}.parquet")]), appends: false, ..one }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delta_on_azure_keeps_the_contract() {
    conformance(&stored("delta", &container(), json!({}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_files_on_azure_keep_the_contract() {
    conformance(&stored("files", &container(), json!({ "format": "parquet" }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_files_on_azure_keep_the_contract() {
    conformance(&text(stored("files", &container(), json!({ "format": "csv" })))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_on_azure_keeps_the_contract() {
    let one = stored("files", &container(), json!({}));
    conformance(&Subject { path: Box::new(|name| vec![format!("{name}.parquet")]), appends: false, ..one }).await;
}
