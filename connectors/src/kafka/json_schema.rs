//! JSON messages with JSON Schemas of a registry to columns.
//!
//! The value of a message is one object, which is read as in format json (`../json.rs`). Its columns are the properties of the schema: those of its root, and of what the root
//! is made of (`$ref`, `allOf`, `anyOf`, `oneOf`, `then`, `else`). Members that no schema has are passed over. A schema gives columns their types and nothing more: whether a
//! value is within its bounds, or a member is there that has to be, is not checked. Types: see `types.rs`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use serde_json::Value;

use super::json::{self, Wanted};
use super::schemas::shape::Shape;
use super::schemas::{Field, HEADER, Named, Records, Refusal, Rules, Schemas, Target, refusal, schema_id};

#[cfg(test)]
mod tests;
mod types;

/// A schema whose values are objects.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The registry's number.
    pub id: i32,
    fields: Vec<(String, Option<Shape>)>,
}

impl Schema {
    /// Reads a schema. Those that it refers to are known by the names of their references.
    pub(crate) fn parse(id: i32, text: &str, references: &[Named]) -> Result<Self, String> {
        // serde_json refuses what is nested too deeply.
        let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| format!("it is not JSON: {error}"));
        let others = references.iter().map(|other| {
            let value = read(&other.text).map_err(|what| format!("in a schema that it refers to, {what}"))?;
            Ok((other.name.clone(), value))
        });
        let others = others.collect::<Result<_, String>>()?;
        let fields = types::fields(&read(text)?, &others)?;
        Ok(Self { id, fields })
    }

    /// The properties in order.
    pub(crate) fn fields(&self) -> Vec<Field<'_>> {
        self.fields.iter().map(|(name, shape)| Field { name, shape: *shape }).collect()
    }
}

/// Columns for objects.
#[derive(Debug)]
pub(crate) struct Decoder {
    json: json::Decoder,
    target: Target,
    schemas: Arc<dyn Schemas>,
    /// Schemas that were compared with the columns.
    compared: HashSet<i32>,
    /// Messages mostly have the schema of the one before.
    last: Option<i32>,
}

impl Decoder {
    /// Empty columns; nothing if a type is none that messages have. Properties besides the known ones, if those are given, are refused.
    pub(crate) fn new(
        wanted: &[Wanted],
        known: Option<Arc<HashSet<Vec<u8>>>>,
        rules: Rules,
        schemas: Arc<dyn Schemas>,
    ) -> Option<Self> {
        let json = json::Decoder::new(wanted)?;
        let target = Target { wanted: wanted.to_vec(), known, rules };
        Some(Self { json, target, schemas, compared: HashSet::new(), last: None })
    }

    #[inline]
    fn compare(&mut self, id: i32) -> Result<(), Refusal> {
        if self.last == Some(id) {
            return Ok(());
        }
        if !self.compared.contains(&id) {
            self.target.places(&self.schemas.schema(id).map_err(Refusal::Schema)?)?;
            self.compared.insert(id);
        }
        self.last = Some(id);
        Ok(())
    }
}

impl Records for Decoder {
    fn push_nulls(&mut self) {
        self.json.push_nulls();
    }

    fn push(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let id = schema_id(message).map_err(|reason| refusal(None, 0, reason))?;
        self.compare(id)?;
        let value = message.get(HEADER..).unwrap_or_default();
        self.json.push(value).map_err(|json::Refusal { field, at, reason }| refusal(field, HEADER + at, reason))
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.json.take()
    }
}
