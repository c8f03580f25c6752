//! CSV: how it is written down, and reading it in batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::reader::Format as Header;
use arrow::csv::{ReaderBuilder, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use encoding_rs::Encoding;
use headwater_engine::{EngineError, Result};
use regex::Regex;

use super::data::DataFile;
use super::{Settings, io_error, text};

/// How the CSV files of a connection are written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    header: bool,
    null: String,
    null_pattern: Regex,
    pub encoding: &'static Encoding,
    pub bom: bool,
}

impl Dialect {
    pub(super) fn new(name: &str, settings: &Settings) -> Result<Self> {
        let byte = |setting: &str, character: char| {
            u8::try_from(character).ok().filter(u8::is_ascii).ok_or_else(|| {
                EngineError::config(format!("connection '{name}': option '{setting}' is not an ASCII character"))
            })
        };
        let encoding = Encoding::for_label(settings.encoding.as_bytes()).ok_or_else(|| {
            EngineError::config(format!("connection '{name}': option 'encoding' is not the name of an encoding"))
                .hint("use a WHATWG name, e.g. utf-8, windows-1252, utf-16le, shift_jis")
        })?;
        let pattern = format!("^{}$", regex::escape(&settings.null));
        Ok(Self {
            delimiter: byte("delimiter", settings.delimiter)?,
            quote: byte("quote", settings.quote)?,
            escape: settings.escape.map(|escape| byte("escape", escape)).transpose()?,
            header: settings.header,
            null_pattern: Regex::new(&pattern).map_err(|error| EngineError::bug(error.to_string()))?,
            null: settings.null.clone(),
            encoding,
            bom: settings.bom,
        })
    }

    /// Names of a file's columns: of its first line, or `column_1` and so on.
    pub(super) fn columns(&self, path: &DataFile) -> Result<Vec<String>> {
        let reader = text::open(path, self.encoding).map_err(|error| io_error("reading", path, error))?;
        let mut format =
            Header::default().with_header(self.header).with_delimiter(self.delimiter).with_quote(self.quote);
        if let Some(escape) = self.escape {
            format = format.with_escape(escape);
        }
        // Without a header the first record is looked at for its number of fields.
        let (schema, _) = format
            .infer_schema(reader, Some(if self.header { 0 } else { 1 }))
            .map_err(|error| EngineError::data(format!("reading {}: {error}", path)))?;
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut seen = std::collections::HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(EngineError::data(format!("{} names two columns '{name}' in line 1", path))
                .hint("rename one of them, or set header: false to number the columns"));
        }
        Ok(names)
    }

    /// The batches of a file under a schema.
    pub(super) fn read(&self, path: &DataFile, schema: &SchemaRef, rows: usize) -> Result<Batches> {
        let reader = text::open(path, self.encoding).map_err(|error| io_error("reading", path, error))?;
        let mut builder = ReaderBuilder::new(Arc::clone(schema))
            .with_header(self.header)
            .with_delimiter(self.delimiter)
            .with_quote(self.quote)
            .with_null_regex(self.null_pattern.clone())
            .with_batch_size(rows);
        if let Some(escape) = self.escape {
            builder = builder.with_escape(escape);
        }
        let label = path.to_string();
        let reader = builder.build_buffered(reader).map_err(|error| broken(&label, &error.to_string(), schema))?;
        Ok(Batches { reader, label, schema: Arc::clone(schema) })
    }

    /// A writer of the same dialect.
    pub(super) fn writer(&self, header: bool) -> WriterBuilder {
        let builder = WriterBuilder::new()
            .with_header(header && self.header)
            .with_delimiter(self.delimiter)
            .with_quote(self.quote)
            .with_null(self.null.clone())
            .with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".to_owned())
            .with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".to_owned());
        match self.escape {
            Some(escape) => builder.with_escape(escape).with_double_quote(false),
            None => builder,
        }
    }
}

/// All columns as text.
pub(super) fn text_schema(names: &[String]) -> Schema {
    Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>())
}

/// Batches of one file.
pub(super) struct Batches {
    reader: arrow::csv::reader::BufReader<Box<dyn BufRead + Send>>,
    label: String,
    schema: SchemaRef,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| broken(&self.label, &error.to_string(), &self.schema)))
    }
}

/// A broken row, named by file, line and column.
fn broken(label: &str, what: &str, schema: &Schema) -> EngineError {
    let what = what.split(". Row data:").next().unwrap_or(what);
    let what = what.trim_start_matches("Csv error: ").trim_start_matches("Parser error: ");
    let what = wrong_value(what, schema).unwrap_or_else(|| what.to_owned());
    EngineError::data(format!("reading {label}: {what}")).hint(
        "correct the row, or check delimiter, quote and escape of the connection; a column that is not what its type says can be \
         read as text",
    )
}

/// Arrow counts a wrong value's line from 0 and its column by number.
fn wrong_value(what: &str, schema: &Schema) -> Option<String> {
    let (rest, line) = what.rsplit_once(" at line ")?;
    let (rest, column) = rest.rsplit_once(" for column ")?;
    let (rest, data_type) = rest.rsplit_once(" as type ")?;
    let value = rest.strip_prefix("Error while parsing value ")?;
    let name = schema.fields().get(column.trim().parse::<usize>().ok()?)?.name();
    let line = line.trim().parse::<u64>().ok()? + 1;
    Some(format!("line {line}, column {name}: {value} is not of type {}", data_type.trim_matches('\'')))
}
