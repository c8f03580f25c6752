//! `headwater sql`: one read-only SELECT across connections.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use headwater_engine::query::QueryError;
use headwater_pipelines::diagnostic::Source;
use headwater_pipelines::sql::SqlFinding;
use headwater_pipelines::yaml;
use parquet::arrow::ArrowWriter;
use tokio_util::sync::CancellationToken;

use crate::args::SqlFormat;
use crate::context::Context;
use crate::failure::{Shown, hinted};
use crate::output;

/// Rows of a table that are printed unless the command line says otherwise.
const SHOWN: usize = 200;

pub(super) async fn sql(
    context: &Context,
    text: &str,
    format: SqlFormat,
    path: Option<PathBuf>,
    limit: Option<usize>,
    json: bool,
) -> Result<ExitCode> {
    let format = if json { SqlFormat::Json } else { format };
    let settings = context.settings(&context.connection_names().await?).await?;
    let cancel = CancellationToken::new();
    let mut query = match context.engine.query(text, settings, &cancel).await {
        Ok(query) => query,
        Err(QueryError::Engine(error)) => return Err(error.into()),
        Err(QueryError::Statement(findings)) => return Err(show_findings(text, findings)),
    };
    let limit = limit.unwrap_or(if format == SqlFormat::Table { SHOWN } else { usize::MAX });
    let mut sink = Sink::open(format, path, query.rows.schema())?;
    let mut left = limit;
    let written = async {
        while let Some(batch) = query.rows.try_next().await.map_err(headwater_engine::EngineError::from)? {
            let taken = batch.slice(0, batch.num_rows().min(left));
            left -= taken.num_rows();
            sink.write(&taken)?;
            if left == 0
                && (taken.num_rows() < batch.num_rows() || query.rows.try_next().await.is_ok_and(|more| more.is_some()))
            {
                return Ok(true);
            }
        }
        anyhow::Ok(false)
    };
    let more = tokio::select! {
        written = written => written,
        _ = tokio::signal::ctrl_c() => { cancel.cancel(); Err(anyhow::anyhow!("interrupted")) }
    };
    query.close().await;
    sink.finish(more?, limit)?;
    Ok(ExitCode::SUCCESS)
}

fn show_findings(text: &str, findings: Vec<SqlFinding>) -> anyhow::Error {
    let source = Source { name: "query".to_owned(), text: text.to_owned() };
    let tree = yaml::Node { value: yaml::Value::Scalar { text: text.to_owned(), plain: true }, span: 0..text.len() };
    let placed: Vec<_> = findings
        .into_iter()
        .map(|found| {
            let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
            let start = yaml::locate_in_scalar(text, &tree, number(found.line), number(found.column));
            source.at(start..(start + found.length).min(text.len()), found.finding)
        })
        .collect();
    output::error_line(source.render(&placed, output::color(), output::width().min(120)).trim_end());
    Shown.into()
}

/// Where rows go.
enum Sink {
    Table { schema: SchemaRef, batches: Vec<RecordBatch> },
    Csv(Box<arrow::csv::Writer<Box<dyn Write>>>),
    Json { out: Box<dyn Write>, first: bool },
    Parquet(Box<ArrowWriter<File>>),
}

impl Sink {
    fn open(format: SqlFormat, path: Option<PathBuf>, schema: SchemaRef) -> Result<Self> {
        if format == SqlFormat::Parquet {
            let path = path.ok_or_else(|| hinted("a Parquet file needs a name", "--output FILE"))?;
            return Ok(Self::Parquet(Box::new(ArrowWriter::try_new(create(&path)?, schema, None)?)));
        }
        let mut out: Box<dyn Write> = match &path {
            Some(path) => Box::new(std::io::BufWriter::new(create(path)?)),
            None => Box::new(std::io::stdout()),
        };
        Ok(match format {
            SqlFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
                // The header is there even if no row is.
                writer.write(&RecordBatch::new_empty(schema))?;
                Self::Csv(Box::new(writer))
            }
            SqlFormat::Json => {
                let columns: Vec<serde_json::Value> = schema
                    .fields()
                    .iter()
                    .map(|field| serde_json::json!({ "name": field.name(), "type": field.data_type().to_string() }))
                    .collect();
                write!(out, "{{\"columns\":{},\"rows\":[", serde_json::Value::from(columns))?;
                Self::Json { out, first: true }
            }
            SqlFormat::Table | SqlFormat::Parquet => Self::Table { schema, batches: Vec::new() },
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table { batches, .. } => batches.push(batch.clone()),
            Self::Csv(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Json { out, first, .. } => {
                if batch.num_rows() == 0 {
                    return Ok(());
                }
                let mut rows = arrow::json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow::json::writer::JsonArray>(Vec::new());
                rows.write(batch)?;
                rows.finish()?;
                let text = rows.into_inner();
                let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(&text);
                if !std::mem::take(first) {
                    out.write_all(b",")?;
                }
                out.write_all(inner)?;
            }
        }
        Ok(())
    }

    fn finish(self, more: bool, limit: usize) -> Result<()> {
        match self {
            Self::Table { schema, batches } => {
                let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let rows = batches.iter().map(rows_of).collect::<Result<Vec<_>>>()?.concat();
                let count = rows.len();
                output::table(&header, rows);
                let note = if more {
                    format!("{} rows shown, there are more: --limit N or --format csv", output::count(limit as u64))
                } else {
                    format!("{} row{}", output::count(count as u64), if count == 1 { "" } else { "s" })
                };
                output::error_line(&note);
            }
            Self::Csv(writer) => writer.into_inner().flush()?,
            Self::Json { mut out, .. } => {
                writeln!(out, "]}}")?;
                out.flush()?;
            }
            Self::Parquet(writer) => {
                writer.close()?;
            }
        }
        Ok(())
    }
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect())
}

fn create(path: &std::path::Path) -> Result<File> {
    File::create(path).with_context(|| format!("{} can't be written", path.display()))
}
