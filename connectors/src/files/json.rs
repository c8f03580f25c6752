//! JSON lines, read in batches. A broken line is named.
//!
//! Lines are kept as they are written until a column's type is known, so that no number passes through a double on its way to an exact type.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use encoding_rs::UTF_8;
use headwater_engine::{EngineError, Result};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::data::DataFile;
use super::json_columns::Column;
use super::{io_error, text};

/// A JSON object: its members in order, as they are written. A name that is there twice is an error, since readers disagree about which one counts.
pub(super) struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// A JSON string.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members: Self::Value = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                match twice(&members) {
                    Some(name) => Err(serde::de::Error::custom(format!("the field '{name}' is there twice"))),
                    None => Ok(members),
                }
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

/// A name that is there twice. Few names are compared with each other, which takes less than hashing them.
fn twice<'a>(members: &'a [(Cow<'_, str>, &RawValue)]) -> Option<&'a str> {
    const FEW: usize = 16;
    let mut names = members.iter().map(|(name, _)| name.as_ref()).enumerate();
    if members.len() <= FEW {
        return names
            .find(|(index, name)| members[..*index].iter().any(|(before, _)| before == name))
            .map(|(_, name)| name);
    }
    let mut seen = HashSet::with_capacity(members.len());
    names.find(|(_, name)| !seen.insert(*name)).map(|(_, name)| name)
}

/// One line of a file.
pub(super) struct Line {
    label: Arc<str>,
    number: u64,
    text: Vec<u8>,
}

impl Line {
    pub(super) fn members(&self) -> Result<Members<'_>> {
        if !self.text.trim_ascii_start().starts_with(b"{") {
            return Err(self.broken("the line is not a JSON object"));
        }
        serde_json::from_slice(&self.text).map_err(|error| self.broken(&error.to_string()))
    }

    pub(super) fn broken(&self, what: &str) -> EngineError {
        // serde_json's own position counts within the line.
        let what = what.replace(" at line 1 column ", " at column ");
        EngineError::data(format!("reading {}, line {}: {what}", self.label, self.number))
    }
}

/// Lines of a file that are not blank.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: DataFile,
    label: Arc<str>,
    number: u64,
}

impl Lines {
    pub(super) fn open(path: &DataFile) -> Result<Self> {
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

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let lines = self.lines.by_ref().take(self.rows).collect::<Result<Vec<Line>>>()?;
        if lines.is_empty() {
            return Ok(None);
        }
        self.decode(&lines).map(Some).map_err(|error| self.named(&lines, error))
    }

    fn decode(&self, lines: &[Line]) -> Result<RecordBatch> {
        let mut columns = Column::Fields(
            self.schema.fields().iter().map(|field| (field.name().clone(), Column::new(field.data_type()))).collect(),
            Vec::new(),
        );
        for line in lines {
            columns.append_members(line.members()?).map_err(|what| line.broken(&what))?;
        }
        let fields = DataType::Struct(self.schema.fields().clone());
        let array = columns
            .finish(&fields)
            .map_err(|what| EngineError::data(format!("reading {}: {what}", self.lines.label)))?;
        let (_, arrays, _) = arrow::array::AsArray::as_struct(&array).clone().into_parts();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(lines.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| EngineError::bug(format!("lines do not fit their own columns: {error}")))
    }

    /// A value that its type can't hold is found when the column is made; decoding line by line names the line.
    fn named(&self, lines: &[Line], error: EngineError) -> EngineError {
        let alone = |line: &Line| {
            let what = self.decode(std::slice::from_ref(line)).err()?.message;
            let prefix = format!("reading {}: ", self.lines.label);
            Some(what.strip_prefix(&prefix).map_or_else(|| EngineError::data(what.clone()), |what| line.broken(what)))
        };
        lines.iter().find_map(alone).unwrap_or(error).hint("every line must be one JSON object with the same types")
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
