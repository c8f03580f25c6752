//! `headwater sql`: one read-only SELECT across connections.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::{Args, ValueEnum};
use headwater_operations::{ColumnReport, QueryFailure, Rows, flat, json_rows, without_intervals};
use parquet::arrow::ArrowWriter;

use crate::context::Context;
use crate::failure::hinted;
use crate::{output, waiting};

/// Rows of a table that are printed unless the command line says otherwise.
const SHOWN: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// Statement, or - to read it from standard input; tables are named connection.path
    #[arg(required_unless_present = "file")]
    query: Option<String>,
    /// Read the statement from a file, or from standard input if it is -
    #[arg(long, short, value_name = "FILE", conflicts_with = "query")]
    file: Option<PathBuf>,
    /// Format of the result [default: that of the file's ending, else a table]
    #[arg(long, value_enum)]
    format: Option<SqlFormat>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rows to print [default: 200 as a table, all otherwise]
    #[arg(long)]
    limit: Option<usize>,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Format of a query's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SqlFormat {
    /// A table for people.
    Table,
    /// CSV with a header.
    Csv,
    /// One JSON document with columns and rows.
    Json,
    /// A Parquet file; requires --output.
    Parquet,
}

pub(super) async fn sql(context: &Context, args: SqlArgs) -> Result<ExitCode> {
    let text = statement(&args)?;
    let format = format_of(&args)?;
    let limit = args.limit.unwrap_or(if format == SqlFormat::Table { SHOWN } else { usize::MAX });
    let mut rows = waiting::shown(context, "planning", context.operations.query(&context.actor, &text)).await?;
    let written = write(&mut rows, format, args.output.as_deref(), limit, 0).await;
    rows.close().await;
    if let (Err(_), Some(path)) = (&written, &args.output) {
        // Half a result must not pass for a whole one.
        let _ = std::fs::remove_file(path);
    }
    written.map(|_| ExitCode::SUCCESS)
}

/// How the rows of a statement are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) format: SqlFormat,
    /// Rows to print.
    pub(super) limit: Option<usize>,
    /// Rows to keep for a chart.
    pub(super) kept: usize,
    /// Seconds that it may take.
    pub(super) seconds: u64,
}

/// The person did not wait for the rows.
#[derive(Debug)]
pub(super) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// What came of a statement.
pub(super) struct Ran {
    pub(super) schema: SchemaRef,
    /// The first rows, as many as were to be kept.
    pub(super) batches: Vec<RecordBatch>,
    /// Rows that were printed.
    pub(super) rows: u64,
    /// Whether there are more.
    pub(super) more: bool,
}

/// Runs a statement and prints its rows.
pub(super) async fn run(context: &Context, text: &str, reading: &Reading) -> Result<Ran> {
    let Reading { format, limit, kept, .. } = *reading;
    let limit = limit.unwrap_or(if format == SqlFormat::Table { SHOWN } else { usize::MAX });
    let mut rows = waiting::shown(context, "planning", context.operations.query(&context.actor, text)).await?;
    let written = write(&mut rows, format, None, limit, kept).await;
    rows.close().await;
    written
}

/// What is asked for, or what the file's name says. A table is for the eye alone.
fn format_of(args: &SqlArgs) -> Result<SqlFormat> {
    let named = if args.json { Some(SqlFormat::Json) } else { args.format };
    let Some(path) = &args.output else { return Ok(named.unwrap_or(SqlFormat::Table)) };
    let ending = path.extension().and_then(|ending| SqlFormat::from_str(&ending.to_string_lossy(), true).ok());
    named.or(ending).filter(|format| *format != SqlFormat::Table).ok_or_else(|| {
        let hint = "--format csv, json or parquet, or a name that ends in .csv, .json or .parquet";
        hinted(format!("the format of {} is not known", path.display()), hint)
    })
}

/// The statement, from the argument, a file or standard input.
fn statement(args: &SqlArgs) -> Result<String> {
    let standard = || {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input can't be read")?;
        Ok(text)
    };
    match (&args.file, args.query.as_deref()) {
        (Some(path), _) if path == Path::new("-") => standard(),
        (Some(path), _) => std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display())),
        (None, Some("-")) => standard(),
        (None, query) => Ok(query.unwrap_or_default().to_owned()),
    }
}

async fn write(rows: &mut Rows, format: SqlFormat, path: Option<&Path>, limit: usize, kept: usize) -> Result<Ran> {
    let mut sink = Sink::open(format, path, rows.schema())?;
    let mut ran = Ran { schema: rows.schema(), batches: Vec::new(), rows: 0, more: false };
    let copied = tokio::select! {
        copied = copy(rows, &mut sink, limit, (&mut ran, kept)) => copied,
        _ = tokio::signal::ctrl_c() => Err(Interrupted.into()),
    };
    match copied {
        Ok(()) => sink.finish(ran.more, limit).map(|()| ran),
        Err(error) => {
            sink.fail(&error);
            Err(error)
        }
    }
}

/// Writes rows up to the limit, and keeps the first of them.
async fn copy(rows: &mut Rows, sink: &mut Sink, limit: usize, (ran, mut room): (&mut Ran, usize)) -> Result<()> {
    let mut left = limit;
    while let Some(batch) = rows.next().await? {
        let kept = batch.slice(0, batch.num_rows().min(room));
        room -= kept.num_rows();
        if kept.num_rows() > 0 {
            ran.batches.push(kept);
        }
        let taken = batch.slice(0, batch.num_rows().min(left));
        left -= taken.num_rows();
        ran.rows += taken.num_rows() as u64;
        sink.write(&taken)?;
        if left == 0 && (taken.num_rows() < batch.num_rows() || rows.next().await.is_ok_and(|more| more.is_some())) {
            ran.more = true;
            return Ok(());
        }
    }
    Ok(())
}

/// Where rows go.
enum Sink {
    Table { schema: SchemaRef, batches: Vec<RecordBatch> },
    Csv(Box<arrow::csv::Writer<Box<dyn Write + Send>>>),
    Json { out: Box<dyn Write + Send>, first: bool },
    Parquet(Box<ArrowWriter<File>>),
}

impl Sink {
    fn open(format: SqlFormat, path: Option<&Path>, schema: SchemaRef) -> Result<Self> {
        if format == SqlFormat::Parquet {
            let path = path.ok_or_else(|| hinted("a Parquet file needs a name", "--output FILE"))?;
            return Ok(Self::Parquet(Box::new(ArrowWriter::try_new(create(path)?, schema, None)?)));
        }
        let mut out: Box<dyn Write + Send> = match path {
            Some(path) => Box::new(std::io::BufWriter::new(create(path)?)),
            None => Box::new(std::io::BufWriter::new(output::Standard)),
        };
        Ok(match format {
            SqlFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
                // The header is there even if no row is.
                writer.write(&flat(&RecordBatch::new_empty(schema))?)?;
                Self::Csv(Box::new(writer))
            }
            SqlFormat::Json => {
                let columns = serde_json::to_string(&ColumnReport::of(&schema))?;
                write!(out, "{{\"columns\":{columns},\"rows\":[")?;
                Self::Json { out, first: true }
            }
            SqlFormat::Table | SqlFormat::Parquet => Self::Table { schema, batches: Vec::new() },
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table { batches, .. } => batches.push(batch.clone()),
            Self::Csv(writer) => writer.write(&flat(batch)?)?,
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Json { out, first } => {
                if batch.num_rows() == 0 {
                    return Ok(());
                }
                let text = json_rows(batch)?;
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
                output::error_line(&if more {
                    format!("{} shown, there are more: --limit N or --format csv", output::plural(limit as u64, "row"))
                } else {
                    output::plural(count as u64, "row")
                });
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

    /// Ends a document whose rows broke off: it says so and stays a document.
    fn fail(self, error: &anyhow::Error) {
        let Self::Json { mut out, .. } = self else { return };
        let failure = serde_json::to_string(&QueryFailure::of(error.to_string(), error.downcast_ref()));
        // Whoever reads is told by the exit code if this can't be written either.
        let _ =
            writeln!(out, "],\"error\":{}}}", failure.unwrap_or_else(|_| "null".to_owned())).and_then(|()| out.flush());
    }
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let batch = without_intervals(batch)?;
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect())
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("{} can't be written", path.display()))
}
