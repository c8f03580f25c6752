//! Every connector keeps the promises of the contract suite.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use headwater_engine::connector::Connection;
use headwater_engine::testing::{Subject, conformance};
use headwater_pipelines::spec::{ColumnOverride, Columns};
use serde_json::{Value, json};

use crate::cluster::Database;
use crate::load::{open, postgres};

fn no_overrides(_: &Schema) -> Option<Columns> {
    None
}

/// Text files keep no types: a spec names them.
pub fn named_types(schema: &Schema) -> Option<Columns> {
    let name = |data_type: &DataType| match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        _ => "text".to_owned(),
    };
    let fields = schema.fields().iter();
    Some(Columns::Override(
        fields.map(|field| (field.name().clone(), ColumnOverride::Type(name(field.data_type())))).collect(),
    ))
}

pub fn subject(open: impl Fn() -> Arc<dyn Connection> + Send + Sync + 'static) -> Subject {
    Subject {
        open: Box::new(open),
        path: Box::new(|name| vec![name.to_owned()]),
        carries: |_| true,
        carries_nan: true,
        appends: true,
        columns: no_overrides,
    }
}

fn files(folder: &std::path::Path, settings: Value) -> impl Fn() -> Arc<dyn Connection> + Send + Sync + 'static {
    let mut settings = settings;
    settings["location"] = json!(folder.to_str().unwrap());
    move || open("files", settings.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    let database = Database::new().await;
    let url = database.url.clone();
    conformance(&Subject {
        path: Box::new(|name| vec!["public".to_owned(), name.to_owned()]),
        ..subject(move || postgres(&url))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delta_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap().to_owned();
    conformance(&subject(move || open("delta", json!({ "location": location })))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_files_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&subject(files(folder.path(), json!({ "format": "parquet" })))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_files_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&Subject {
        carries: |data_type| !matches!(data_type, DataType::List(_) | DataType::Binary),
        columns: named_types,
        ..subject(files(folder.path(), json!({ "format": "csv", "delimiter": ";" })))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&Subject {
        carries: |data_type| !matches!(data_type, DataType::List(_) | DataType::Binary),
        carries_nan: false,
        columns: named_types,
        ..subject(files(folder.path(), json!({ "format": "jsonl" })))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&Subject {
        path: Box::new(|name| vec![format!("{name}.parquet")]),
        appends: false,
        ..subject(files(folder.path(), json!({})))
    })
    .await;
}
