//! CSV: how it is written down, and reading it in batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use encoding_rs::Encoding;
use headwater_engine::{EngineError, Result};

use super::data::DataFile;
use super::records::{Broken, Marks, Reader, Records, Value};
use super::{Settings, io_error, text, words};
use crate::values;

/// How the CSV files of a connection are written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    marks: Marks,
    pub header: bool,
    /// What stands for a missing value where it is not quoted.
    null: String,
    /// It stands for one in quotes too.
    null_in_quotes: bool,
    pub encoding: &'static Encoding,
    pub bom: bool,
}

impl Dialect {
    pub(super) fn new(name: &str, settings: &Settings) -> Result<Self> {
        let refuse = |setting: &str, what: &str| {
            EngineError::config(format!("connection '{name}': option '{setting}' {what}")).at_setting(setting)
        };
        let byte = |setting: &str, character: char| {
            u8::try_from(character)
                .ok()
                .filter(u8::is_ascii)
                .ok_or_else(|| refuse(setting, "is not an ASCII character"))
        };
        let encoding = Encoding::for_label(settings.encoding.as_bytes()).ok_or_else(|| {
            refuse("encoding", "is not the name of an encoding")
                .hint("use a WHATWG name, e.g. utf-8, windows-1252, utf-16le, shift_jis")
        })?;
        let marks = Marks {
            delimiter: byte("delimiter", settings.delimiter)?,
            quote: byte("quote", settings.quote)?,
            // An escape that is the quote doubles it, which is what is done without one.
            escape: settings
                .escape
                .map(|escape| byte("escape", escape))
                .transpose()?
                .filter(|_| settings.escape != Some(settings.quote)),
        };
        let ends = |byte: u8| matches!(byte, b'\r' | b'\n');
        if ends(marks.delimiter) || ends(marks.quote) || marks.escape.is_some_and(ends) {
            return Err(refuse("delimiter", "quote and escape can't be line ends"));
        }
        if marks.delimiter == marks.quote || Some(marks.delimiter) == marks.escape {
            return Err(refuse("delimiter", "is the same character as the quote or the escape"));
        }
        let meaning = |byte: u8| byte == marks.delimiter || byte == marks.quote || ends(byte);
        if settings.null.bytes().any(meaning) {
            return Err(refuse("null", "holds the delimiter, the quote or a line end")
                .hint("use a text that stands in a field without quotes, e.g. \\N"));
        }
        Ok(Self {
            marks,
            header: settings.header,
            null: settings.null.clone(),
            null_in_quotes: settings.null_in_quotes,
            encoding,
            bom: settings.bom,
        })
    }

    fn open(&self, path: &DataFile) -> Result<Reader<Box<dyn BufRead + Send>>> {
        let input = text::open(path, self.encoding).map_err(|error| io_error("reading", path, error))?;
        Ok(Reader::new(input, self.marks))
    }

    /// Names of a file's columns: of its first line, or `column_1` and so on. Without a header a file may hold nothing, which names no columns.
    pub(super) fn columns(&self, path: &DataFile) -> Result<Option<Vec<String>>> {
        let mut first = Records::default();
        self.open(path)?.read(1, None, &mut first).map_err(|broken| refused(&path.to_string(), path, broken))?;
        if first.len() == 0 {
            return match self.header {
                true => Err(EngineError::data(format!("{path} is empty: it has no header line that names columns"))
                    .hint("write the header even if there is no row, or set header: false")),
                false => Ok(None),
            };
        }
        if !self.header {
            return Ok(Some((1..=first.fields().count()).map(|number| format!("column_{number}")).collect()));
        }
        self.header_names(path, &first).map(Some)
    }

    fn header_names(&self, path: &DataFile, first: &Records) -> Result<Vec<String>> {
        let line = first.line(0);
        let mut names: Vec<String> = Vec::new();
        for field in first.fields() {
            let number = names.len() + 1;
            let name = std::str::from_utf8(field.bytes).map_err(|_| {
                EngineError::data(format!("{path}, line {line}: the name of column {number} is not UTF-8"))
            })?;
            if name.is_empty() {
                return Err(EngineError::data(format!("{path}, line {line}: column {number} has no name"))
                    .hint("name it in the file, or set header: false to number the columns"));
            }
            if names.iter().any(|before| before == name) {
                return Err(EngineError::data(format!("{path} names two columns '{name}' in line {line}"))
                    .hint("rename one of them, or set header: false to number the columns"));
            }
            names.push(name.to_owned());
        }
        Ok(names)
    }

    /// The batches of a file under a schema.
    pub(super) fn read(&self, path: &DataFile, schema: &SchemaRef, rows: usize) -> Result<Batches> {
        let (mut reader, label) = (self.open(path)?, path.to_string());
        if self.header {
            reader.read(1, None, &mut Records::default()).map_err(|broken| refused(&label, path, broken))?;
        }
        let (dialect, schema) = (self.clone(), Arc::clone(schema));
        Ok(Batches { reader, path: path.clone(), label, dialect, schema, rows, records: Records::default() })
    }

    fn is_missing(&self, value: Value<'_>) -> bool {
        (self.null_in_quotes || !value.quoted) && value.bytes == self.null.as_bytes()
    }

    /// Writes the names of the columns.
    pub(super) fn write_header(&self, schema: &Schema, out: &mut Vec<u8>) {
        let width = schema.fields().len();
        for (index, field) in schema.fields().iter().enumerate() {
            self.write_field(Some(field.name()), index, width, out);
        }
    }

    /// Writes rows. A text that could be taken for a missing value is quoted.
    pub(super) fn write(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> std::result::Result<(), ArrowError> {
        let columns = batch.columns().iter().map(words::of).collect::<std::result::Result<Vec<StringArray>, _>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                let value = column.is_valid(row).then(|| column.value(row));
                if self.null_in_quotes && value == Some(self.null.as_str()) {
                    let name = batch.schema_ref().field(index).name();
                    return Err(ArrowError::CsvError(format!(
                        "column {name} holds the text '{}', which means NULL with null_in_quotes",
                        self.null
                    )));
                }
                self.write_field(value, index, columns.len(), out);
            }
        }
        Ok(())
    }

    fn write_field(&self, value: Option<&str>, index: usize, width: usize, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(self.marks.delimiter);
        }
        match value {
            None => out.extend_from_slice(self.null.as_bytes()),
            Some(text) if self.needs_quotes(text, width) => self.write_quoted(text, out),
            Some(text) => out.extend_from_slice(text.as_bytes()),
        }
        if index + 1 == width {
            out.push(b'\n');
        }
    }

    fn needs_quotes(&self, text: &str, width: usize) -> bool {
        let Marks { delimiter, quote, escape } = self.marks;
        let meaning =
            |byte: u8| byte == delimiter || byte == quote || Some(byte) == escape || matches!(byte, b'\r' | b'\n');
        // A line of `\.` ends the data for psql.
        text.is_empty() || text == self.null || (width == 1 && text == "\\.") || text.bytes().any(meaning)
    }

    fn write_quoted(&self, text: &str, out: &mut Vec<u8>) {
        let Marks { quote, escape, .. } = self.marks;
        out.push(quote);
        for byte in text.bytes() {
            if byte == quote || Some(byte) == escape {
                out.push(escape.unwrap_or(quote));
            }
            out.push(byte);
        }
        out.push(quote);
    }
}

/// All columns as text.
pub(super) fn text_schema(names: &[String]) -> Schema {
    Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>())
}

/// Batches of one file.
pub(super) struct Batches {
    reader: Reader<Box<dyn BufRead + Send>>,
    path: DataFile,
    label: String,
    dialect: Dialect,
    schema: SchemaRef,
    rows: usize,
    records: Records,
}

impl Batches {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let width = self.schema.fields().len();
        self.records.clear();
        self.reader
            .read(self.rows, Some(width), &mut self.records)
            .map_err(|broken| refused(&self.label, &self.path, broken))?;
        if self.records.len() == 0 {
            return Ok(None);
        }
        let columns = (0..width).map(|index| self.column(index, width)).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map(Some)
            .map_err(|error| EngineError::bug(format!("records do not fit their own columns: {error}")))
    }

    fn column(&self, index: usize, width: usize) -> Result<ArrayRef> {
        let field = self.schema.field(index);
        let wrong = |row: usize, what: &str| {
            broken(&self.label, &format!("line {}, column {}: {what}", self.records.line(row), field.name()))
        };
        let mut texts = StringBuilder::with_capacity(self.records.len(), 8 * self.records.len());
        for (row, value) in self.records.column(index, width).enumerate() {
            if self.dialect.is_missing(value) {
                texts.append_null();
            } else {
                texts.append_value(std::str::from_utf8(value.bytes).map_err(|_| wrong(row, "the text is not UTF-8"))?);
            }
        }
        values::column(&texts.finish(), field.data_type()).map_err(|found| wrong(found.row, &found.what))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

fn refused(label: &str, path: &DataFile, found: Broken) -> EngineError {
    match found {
        Broken::Io(error) => io_error("reading", path, error),
        Broken::Data(what) => broken(label, &what),
    }
}

/// A broken row, named by file, line and column.
fn broken(label: &str, what: &str) -> EngineError {
    EngineError::data(format!("reading {label}: {what}")).hint(
        "correct the row, or check delimiter, quote and escape of the connection; a column that is not what its type says can be \
         read as text; where \"\" means a missing value, set null_in_quotes: true",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn dialect(settings: serde_json::Value) -> Result<Dialect> {
        let mut all = json!({ "location": "/" });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        Dialect::new("drop", &serde_json::from_value(all).unwrap())
    }

    fn written(dialect: &Dialect, rows: &[Vec<Option<String>>]) -> Vec<u8> {
        let names: Vec<String> = (0..rows[0].len()).map(|index| format!("c{index}")).collect();
        let columns = (0..names.len())
            .map(|index| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index].clone()).collect::<StringArray>()) });
        let schema = Arc::new(text_schema(&names));
        let mut out = Vec::new();
        dialect.write_header(&schema, &mut out);
        dialect.write(&RecordBatch::try_new(schema, columns.collect()).unwrap(), &mut out).unwrap();
        out
    }

    fn read_back(dialect: &Dialect, bytes: &[u8]) -> Vec<Vec<Option<String>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, bytes).unwrap();
        let file = DataFile::Local(path);
        let schema = Arc::new(text_schema(&dialect.columns(&file).unwrap().unwrap()));
        let mut rows = Vec::new();
        for batch in dialect.read(&file, &schema, 3).unwrap() {
            let batch = batch.unwrap();
            let column = |index: usize| words::of(batch.column(index)).unwrap();
            let columns: Vec<StringArray> = (0..batch.num_columns()).map(column).collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                columns.iter().map(|column| column.is_valid(row).then(|| column.value(row).to_owned())).collect()
            }));
        }
        rows
    }

    #[test]
    fn an_empty_text_is_written_in_quotes_and_a_missing_one_is_not() {
        let plain = dialect(json!({})).unwrap();
        let rows = [vec![Some(String::new()), None], vec![Some("x".to_owned()), Some("a\"b".to_owned())]];
        assert_eq!(String::from_utf8(written(&plain, &rows)).unwrap(), "c0,c1\n\"\",\nx,\"a\"\"b\"\n");
        let word = dialect(json!({ "null": "\\N" })).unwrap();
        let rows = [vec![None, Some("\\N".to_owned()), Some(String::new())]];
        assert_eq!(String::from_utf8(written(&word, &rows)).unwrap(), "c0,c1,c2\n\\N,\"\\N\",\"\"\n");
    }

    #[test]
    fn with_null_in_quotes_an_empty_text_is_missing_and_cannot_be_written() {
        let dialect = dialect(json!({ "null_in_quotes": true })).unwrap();
        assert_eq!(read_back(&dialect, b"a,b\n\"\",\"x\"\n"), [[None, Some("x".to_owned())]]);
        let schema = Arc::new(text_schema(&["a".to_owned()]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![""]))]).unwrap();
        assert!(dialect.write(&batch, &mut Vec::new()).unwrap_err().to_string().contains("column a holds the text ''"));
    }

    #[test]
    fn marks_that_cannot_be_told_apart_are_refused() {
        for settings in [
            json!({ "delimiter": "\"" }),
            json!({ "delimiter": "\n" }),
            json!({ "null": "a,b" }),
            json!({ "quote": "ü" }),
            json!({ "escape": "," }),
        ] {
            assert!(dialect(settings.clone()).is_err(), "{settings}");
        }
    }

    fn cell() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(prop_oneof!["[a\"\\\\,;\r\n'N. ü😀]{0,6}", Just("\\N".to_owned()), Just("\\.".to_owned())])
    }

    proptest! {
        #[test]
        fn every_table_of_texts_comes_back_in_every_dialect(
            rows in (1usize..4).prop_flat_map(|width| proptest::collection::vec(proptest::collection::vec(cell(), width), 1..8)),
            delimiter in prop_oneof![Just(","), Just(";"), Just("\t")],
            quote in prop_oneof![Just("\""), Just("'")],
            escape in prop_oneof![Just(json!(null)), Just(json!("\\")), Just(json!("\""))],
            word in prop_oneof![Just(""), Just("\\N"), Just("NULL")],
        ) {
            let escape = if escape == json!(quote) { json!(null) } else { escape };
            let dialect = dialect(json!({ "delimiter": delimiter, "quote": quote, "escape": escape, "null": word })).unwrap();
            prop_assert_eq!(read_back(&dialect, &written(&dialect, &rows)), rows);
        }
    }
}
