//! Opening connections, reading them and loading through their sinks, as the engine does.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};
use headwater_engine::connector::{
    AllKeys, Changes, Commit, Connection, LoadContext, Sink, SinkRequest, SourceObject, SourceRequest,
};
use headwater_engine::testing::{attempt, stream};
use headwater_pipelines::spec::{Columns, WriteMode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub fn open(connector: &str, settings: Value) -> Arc<dyn Connection> {
    headwater_connectors::registry().get(connector).unwrap().open("shop", &settings).unwrap()
}

pub fn postgres(url: &str) -> Arc<dyn Connection> {
    open("postgres", json!({ "url": url }))
}

pub fn delta(folder: &std::path::Path) -> Arc<dyn Connection> {
    open("delta", json!({ "location": folder.to_str().unwrap() }))
}

pub fn path(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

/// Loads rows by keys, and commits them.
pub async fn merged(
    connection: &Arc<dyn Connection>,
    request: &SinkRequest,
    rows: RecordBatch,
    keys: AllKeys,
) -> headwater_engine::Result<Changes> {
    let sink = connection.sink(request).await?;
    let context = LoadContext { keys, ..attempt(Uuid::now_v7(), 1) };
    let staged = match sink.write(&context, stream(rows.schema(), vec![rows])).await {
        Ok(staged) => staged,
        Err(error) => {
            sink.abort(&context, None).await;
            return Err(error);
        }
    };
    let changes = staged.changes.unwrap();
    assert!(matches!(sink.commit(&context, staged).await?, Commit::Committed { .. }));
    Ok(changes)
}

pub fn request(object: SourceObject) -> SourceRequest {
    SourceRequest { object, columns: None, cursor: None, quarantine: None, cancel: CancellationToken::new() }
}

pub async fn table(connection: &Arc<dyn Connection>, name: &str) -> headwater_engine::Result<Arc<dyn TableProvider>> {
    Ok(connection.source(&request(SourceObject::Table(path(name)))).await?.table)
}

pub async fn with_columns(
    connection: &Arc<dyn Connection>,
    name: &str,
    columns: Value,
) -> headwater_engine::Result<Arc<dyn TableProvider>> {
    let columns: Columns = serde_json::from_value(columns).unwrap();
    let request = SourceRequest {
        object: SourceObject::Table(path(name)),
        columns: Some(columns),
        cursor: None,
        quarantine: None,
        cancel: CancellationToken::new(),
    };
    Ok(connection.source(&request).await?.table)
}

pub fn session() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2).with_information_schema(false))
}

/// Runs SQL over one table named `t`.
pub async fn sql(table: Arc<dyn TableProvider>, sql: &str) -> headwater_engine::Result<Vec<RecordBatch>> {
    let context = session();
    context.register_table("t", table)?;
    Ok(context.sql(sql).await?.collect().await?)
}

pub async fn read(table: Arc<dyn TableProvider>) -> headwater_engine::Result<Vec<RecordBatch>> {
    sql(table, "SELECT * FROM t").await
}

/// The rows as one text, sorted.
pub fn show(batches: &[RecordBatch]) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort();
    lines
}

pub async fn sink(connection: &Arc<dyn Connection>, name: &str, mode: WriteMode) -> Arc<dyn Sink> {
    let request = SinkRequest::new(path(name), mode);
    connection.sink(&request).await.unwrap()
}

/// Loads a whole table into another, as one attempt.
pub async fn copy(table: Arc<dyn TableProvider>, sink: &Arc<dyn Sink>) -> headwater_engine::Result<(u64, Commit)> {
    let context = attempt(Uuid::now_v7(), 1);
    sink.prepare(&table.schema()).await?;
    let stream = session().read_table(table)?.execute_stream().await?;
    let staged = sink.write(&context, stream).await?;
    let rows = staged.rows;
    Ok((rows, sink.commit(&context, staged).await?))
}
