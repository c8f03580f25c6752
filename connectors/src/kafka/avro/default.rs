//! Defaults of fields, which a schema writes as JSON, in Avro's binary encoding: so they are read as values of messages are.

use serde_json::Value;

use super::schema::{Id, Node, Schema};

/// What is wrong with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoDefault;

/// Values of a default, at most: fields of records have defaults of their own, so that a schema could go on for ever.
const MOST_VALUES: usize = 100_000;

/// Values inside of each other.
const MOST_DEPTH: usize = 100;

/// The bytes of a default of a type.
pub(super) fn encode(schema: &Schema, id: Id, json: &Value) -> Result<Vec<u8>, NoDefault> {
    let mut encoder = Encoder { schema, out: Vec::new(), left: MOST_VALUES };
    encoder.value(id, json, 0)?;
    Ok(encoder.out)
}

struct Encoder<'a> {
    schema: &'a Schema,
    out: Vec<u8>,
    /// Values that may still come.
    left: usize,
}

impl Encoder<'_> {
    fn value(&mut self, id: Id, json: &Value, depth: usize) -> Result<(), NoDefault> {
        self.left = self.left.checked_sub(1).filter(|_| depth <= MOST_DEPTH).ok_or(NoDefault)?;
        let schema = self.schema;
        match (schema.node(id), json) {
            (Node::Union(branches), _) => self.union(branches, json, depth),
            (Node::Record(fields), Value::Object(object)) => fields.iter().try_for_each(|field| {
                let json = object.get(&field.name).or(field.default.as_ref()).ok_or(NoDefault)?;
                self.value(field.node, json, depth + 1)
            }),
            (Node::Array(items), Value::Array(all)) => {
                begin(all.len(), &mut self.out);
                all.iter().try_for_each(|item| self.value(*items, item, depth + 1))?;
                count(0, &mut self.out);
                Ok(())
            }
            (Node::Map(values), Value::Object(all)) => {
                begin(all.len(), &mut self.out);
                for (key, item) in all {
                    bytes(key.as_bytes(), &mut self.out);
                    self.value(*values, item, depth + 1)?;
                }
                count(0, &mut self.out);
                Ok(())
            }
            (node, json) => scalar(node, json, &mut self.out),
        }
    }

    /// The first branch, as the specification says up to version 1.11; later ones are allowed since then.
    fn union(&mut self, branches: &[Id], json: &Value, depth: usize) -> Result<(), NoDefault> {
        let start = self.out.len();
        for (index, branch) in branches.iter().enumerate() {
            count(index, &mut self.out);
            if self.value(*branch, json, depth + 1).is_ok() {
                return Ok(());
            }
            self.out.truncate(start);
        }
        Err(NoDefault)
    }
}

fn scalar(node: &Node, json: &Value, out: &mut Vec<u8>) -> Result<(), NoDefault> {
    match (node, json) {
        (Node::Null, Value::Null) => {}
        (Node::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
        (Node::Int | Node::Date | Node::TimeMillis, Value::Number(_)) => {
            let value = json.as_i64().and_then(|value| i32::try_from(value).ok()).ok_or(NoDefault)?;
            long(i64::from(value), out);
        }
        (Node::Long | Node::TimeMicros | Node::Timestamp { .. }, Value::Number(_)) => {
            long(json.as_i64().ok_or(NoDefault)?, out);
        }
        (Node::Float, Value::Number(number)) => {
            // The nearest float of the digits, not of the nearest double.
            let value: f32 = number.to_string().parse().map_err(|_| NoDefault)?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        (Node::Double, Value::Number(_)) => out.extend_from_slice(&json.as_f64().ok_or(NoDefault)?.to_le_bytes()),
        (Node::String | Node::Uuid { fixed: false }, Value::String(text)) => bytes(text.as_bytes(), out),
        (Node::Enum(symbols), Value::String(text)) => {
            count(symbols.iter().position(|symbol| symbol == text).ok_or(NoDefault)?, out);
        }
        (Node::Bytes | Node::Decimal { fixed: None, .. }, Value::String(text)) => bytes(&latin(text)?, out),
        (Node::Fixed(size) | Node::Decimal { fixed: Some(size), .. }, Value::String(text)) => fixed(*size, text, out)?,
        (Node::Uuid { fixed: true }, Value::String(text)) => fixed(16, text, out)?,
        _ => return Err(NoDefault),
    }
    Ok(())
}

fn fixed(size: usize, text: &str, out: &mut Vec<u8>) -> Result<(), NoDefault> {
    let value = latin(text)?;
    out.extend_from_slice(&value);
    if value.len() == size { Ok(()) } else { Err(NoDefault) }
}

/// Bytes are written as characters of their numbers.
fn latin(text: &str) -> Result<Vec<u8>, NoDefault> {
    text.chars().map(|character| u8::try_from(u32::from(character)).map_err(|_| NoDefault)).collect()
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    count(value.len(), out);
    out.extend_from_slice(value);
}

/// A list's only block; an empty list has none.
fn begin(items: usize, out: &mut Vec<u8>) {
    if items > 0 {
        count(items, out);
    }
}

fn count(value: usize, out: &mut Vec<u8>) {
    long(i64::try_from(value).unwrap_or(i64::MAX), out);
}

pub(super) fn long(value: i64, out: &mut Vec<u8>) {
    let mut bits = (value << 1 ^ value >> 63) as u64;
    while bits > 0x7f {
        out.push(bits as u8 & 0x7f | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}
