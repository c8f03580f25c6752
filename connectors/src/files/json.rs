//! JSON lines, read in batches. A broken line is named.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::{Decoder, infer_json_schema_from_iterator};
use encoding_rs::UTF_8;
use headwater_engine::{EngineError, Result};
use serde_json::Value;

use super::data::DataFile;
use super::{io_error, text};

/// The schema of all files, from all their lines.
pub(super) fn schema(files: &[DataFile]) -> Result<Schema> {
    let mut failure = None;
    let lines = files.iter().flat_map(|file| match Lines::open(file) {
        Ok(lines) => Box::new(lines) as Box<dyn Iterator<Item = Result<Line>>>,
        Err(error) => Box::new(std::iter::once(Err(error))),
    });
    let values = lines.map_while(|line| match line.and_then(|line| line.parse()) {
        Ok(value) => Some(Ok(value)),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let schema = infer_json_schema_from_iterator(values);
    if let Some(error) = failure {
        return Err(error);
    }
    let schema = schema.map_err(|error| {
        EngineError::data(format!("the lines of {} do not agree: {error}", names(files)))
            .hint("a field must have one type in all lines")
    })?;
    // A field that is NULL in every line has no type of its own.
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Null => Field::new(field.name(), DataType::Utf8, true),
        _ => field.as_ref().clone(),
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn names(files: &[DataFile]) -> String {
    files.iter().map(|file| file.to_string()).collect::<Vec<_>>().join(", ")
}

/// One line of a file.
struct Line {
    label: Arc<str>,
    number: u64,
    text: Vec<u8>,
}

impl Line {
    fn parse(&self) -> Result<Value> {
        let value: Value = serde_json::from_slice(&self.text).map_err(|error| self.broken(&error.to_string()))?;
        if value.is_object() { Ok(value) } else { Err(self.broken("the line is not a JSON object")) }
    }

    fn broken(&self, what: &str) -> EngineError {
        // serde_json's own position counts within the line.
        let what = what.replace(" at line 1 column ", " at column ");
        EngineError::data(format!("reading {}, line {}: {what}", self.label, self.number))
            .hint("every line must be one JSON object with the same types")
    }
}

/// Lines of a file that are not blank.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: DataFile,
    label: Arc<str>,
    number: u64,
}

impl Lines {
    fn open(path: &DataFile) -> Result<Self> {
        let reader = text::open(path, UTF_8).map_err(|error| io_error("reading", path, error))?;
        Ok(Self { reader, path: path.clone(), label: path.to_string().into(), number: 0 })
    }
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut text = Vec::new();
            match self.reader.read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) => self.number += 1,
                Err(error) => return Some(Err(io_error("reading", &self.path, error))),
            }
            if !text.trim_ascii().is_empty() {
                return Some(Ok(Line { label: Arc::clone(&self.label), number: self.number, text }));
            }
        }
    }
}

/// Batches of one file.
pub(super) struct Batches {
    lines: Lines,
    schema: SchemaRef,
    rows: usize,
    ended: bool,
}

impl Batches {
    pub(super) fn open(path: &DataFile, schema: &SchemaRef, rows: usize) -> Result<Self> {
        Ok(Self { lines: Lines::open(path)?, schema: Arc::clone(schema), rows, ended: false })
    }

    fn decoder(&self) -> Result<Decoder> {
        ReaderBuilder::new(Arc::clone(&self.schema))
            .with_batch_size(self.rows)
            .build_decoder()
            .map_err(|error| EngineError::config(format!("reading {}: {error}", self.lines.label)))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let lines = self.lines.by_ref().take(self.rows).collect::<Result<Vec<Line>>>()?;
        if lines.is_empty() {
            return Ok(None);
        }
        let mut decoder = self.decoder()?;
        let decoded = lines.iter().try_for_each(|line| decoder.decode(&line.text).map(|_| ()));
        match decoded.and_then(|()| decoder.flush()) {
            Ok(batch) => Ok(batch),
            Err(error) => Err(self.find_broken(&lines, &error.to_string())),
        }
    }

    /// Decodes line by line, so that the message can name the one that is broken.
    fn find_broken(&self, lines: &[Line], whole: &str) -> EngineError {
        for line in lines {
            let alone = self.decoder().map_err(|error| error.to_string()).and_then(|mut decoder| {
                decoder.decode(&line.text).and_then(|_| decoder.flush()).map_err(|error| error.to_string())
            });
            if let Err(what) = alone {
                return line.broken(what.trim_start_matches("Json error: "));
            }
        }
        EngineError::data(format!("reading {}: {whole}", self.lines.label))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch().transpose();
        self.ended = !matches!(batch, Some(Ok(_)));
        batch
    }
}
