//! Values of any type, written as JSON or passed over.
//!
//! Records and maps are objects, lists are arrays, unions are what they hold; bytes are base64; enums, UUIDs, dates and times are strings
//! (`2024-12-31`, `23:59:59.5`, `2024-12-31T23:59:59.5+00:00`); decimals are numbers with all their digits. NaN and infinity have no JSON, and are refused.

use super::cursor::Cursor;
use super::schema::{Id, Node, Schema};
use crate::kafka::json::base64;
use crate::kafka::schemas::{Reason, text};

/// Values inside of each other. A schema may name itself, so that the message decides how deep it goes.
const MOST_DEPTH: usize = 100;

/// Writes the value that stands here as JSON.
pub(super) fn write(schema: &Schema, id: Id, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    Walk { schema, out: Some(out) }.value(id, cursor, 0)
}

/// Passes over the value that stands here, and checks what it is made of.
pub(super) fn skip(schema: &Schema, id: Id, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
    Walk { schema, out: None }.value(id, cursor, 0)
}

pub(super) const NO_SYMBOL: Reason = "an enum has no symbol of that number";

pub(super) const NO_BRANCH: Reason = "a union has no branch of that number";

/// The bytes of a decimal.
pub(super) fn decimal<'a>(fixed: Option<usize>, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reason> {
    fixed.map_or_else(|| cursor.length(), Ok).and_then(|length| cursor.take(length))
}

/// Groups of hexadecimal digits.
pub(super) fn uuid(bytes: &[u8]) -> Result<String, Reason> {
    uuid::Uuid::from_slice(bytes).map(|uuid| uuid.to_string()).map_err(|_| "a UUID does not have 16 bytes")
}

struct Walk<'a> {
    schema: &'a Schema,
    out: Option<&'a mut Vec<u8>>,
}

impl Walk<'_> {
    fn value(&mut self, id: Id, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Reason> {
        cursor.step()?;
        if depth > MOST_DEPTH {
            return Err("values are nested too deeply");
        }
        let schema = self.schema;
        match schema.node(id) {
            Node::Record(fields) => {
                self.put(b"{");
                for (index, field) in fields.iter().enumerate() {
                    self.put(if index == 0 { b"" } else { b"," });
                    self.string(&field.name)?;
                    self.put(b":");
                    self.value(field.node, cursor, depth + 1)?;
                }
                self.put(b"}");
                Ok(())
            }
            Node::Union(branches) => {
                let index = cursor.index(branches.len(), NO_BRANCH)?;
                self.value(branches[index], cursor, depth + 1)
            }
            Node::Array(items) => self.list(b"[", b"]", cursor, |walk, cursor| walk.value(*items, cursor, depth + 1)),
            Node::Map(values) => self.list(b"{", b"}", cursor, |walk, cursor| {
                let key = cursor.string()?;
                walk.string(key)?;
                walk.put(b":");
                walk.value(*values, cursor, depth + 1)
            }),
            node => self.scalar(node, cursor),
        }
    }

    fn list(
        &mut self,
        start: &[u8],
        end: &[u8],
        cursor: &mut Cursor<'_>,
        mut item: impl FnMut(&mut Self, &mut Cursor<'_>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        self.put(start);
        let mut first = true;
        cursor.blocks(|cursor| {
            self.put(if std::mem::take(&mut first) { b"" } else { b"," });
            item(self, cursor)
        })?;
        self.put(end);
        Ok(())
    }

    fn scalar(&mut self, node: &Node, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
        match node {
            Node::Boolean => {
                let value = cursor.boolean()?;
                self.put(if value { b"true" } else { b"false" });
                Ok(())
            }
            Node::Int => cursor.int().and_then(|value| self.plain(|| Ok(value.to_string()))),
            Node::Long => cursor.long().and_then(|value| self.plain(|| Ok(value.to_string()))),
            Node::Float => cursor.float().and_then(|value| self.float(value)),
            Node::Double => cursor.double().and_then(|value| self.float(value)),
            Node::Bytes => cursor.bytes().and_then(|bytes| self.quoted(|| Ok(base64::encode(bytes)))),
            Node::Fixed(size) => cursor.take(*size).and_then(|bytes| self.quoted(|| Ok(base64::encode(bytes)))),
            Node::String | Node::Uuid { fixed: false } => cursor.string().and_then(|text| self.string(text)),
            Node::Uuid { fixed: true } => cursor.take(16).and_then(|bytes| self.quoted(|| uuid(bytes))),
            Node::Enum(symbols) => {
                let index = cursor.index(symbols.len(), NO_SYMBOL)?;
                self.string(&symbols[index])
            }
            Node::Decimal { scale, fixed, .. } => {
                let bytes = decimal(*fixed, cursor)?;
                self.plain(|| text::decimal(bytes, *scale))
            }
            Node::Date => cursor.int().and_then(|days| self.quoted(|| text::date(days))),
            Node::TimeMillis => cursor.int().and_then(|value| self.quoted(|| text::time(i64::from(value) * 1_000))),
            Node::TimeMicros => cursor.long().and_then(|value| self.quoted(|| text::time(value))),
            Node::Timestamp { millis, utc } => {
                let value = cursor.long()?;
                let zone = if *utc { "+00:00" } else { "" };
                self.quoted(|| Ok(text::timestamp(text::micros(value, *millis)?, 'T')? + zone))
            }
            // Nothing else is left.
            Node::Null | Node::Record(_) | Node::Array(_) | Node::Map(_) | Node::Union(_) => {
                self.put(b"null");
                Ok(())
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
    }

    /// Writes what is made, if anything is written at all.
    fn plain(&mut self, make: impl FnOnce() -> Result<String, Reason>) -> Result<(), Reason> {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(make()?.as_bytes());
        }
        Ok(())
    }

    /// The same for a text that nothing in it has to be escaped.
    fn quoted(&mut self, make: impl FnOnce() -> Result<String, Reason>) -> Result<(), Reason> {
        self.plain(|| make().map(|text| format!("\"{text}\"")))
    }

    fn string(&mut self, string: &str) -> Result<(), Reason> {
        self.out.as_mut().map_or(Ok(()), |out| text::json_string(string, out))
    }

    fn float(&mut self, value: impl serde::Serialize + Into<f64> + Copy) -> Result<(), Reason> {
        self.out.as_mut().map_or(Ok(()), |out| text::json_float(value, out))
    }
}
