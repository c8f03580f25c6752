//! Values of a type of Avro into a column of a type: exactly, or not at all.

use arrow::datatypes::DataType;

use super::cursor::Cursor;
use super::schema::{Id, Node, Schema};
use super::{shape, walk};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::schemas::put::{self, OTHER, extend};
use crate::kafka::schemas::shape::Shape;
use crate::kafka::schemas::{Reason, text};

/// Whether values of a type can be read into a column, each of them exactly or refused.
pub(super) fn fits(schema: &Schema, id: Id, to: &DataType, declared: bool) -> bool {
    match schema.node(id) {
        Node::Null => true,
        Node::Union(branches) => branches.iter().all(|branch| fits(schema, *branch, to, declared)),
        Node::Enum(_) | Node::Uuid { .. } | Node::TimeMillis | Node::TimeMicros => *to == DataType::Utf8,
        // Those that are too wide for a column of their own may fit all the same.
        Node::Decimal { .. } => Shape::Decimal { precision: 38, scale: 0 }.fits(to, declared),
        _ => shape::of(schema, id).fits(to, declared),
    }
}

/// Adds the value that stands here to the column. It is no union, NULL, record, list or map.
#[inline]
pub(super) fn take(node: &Node, cursor: &mut Cursor<'_>, store: &mut Store) -> Result<(), Reason> {
    match (node, &mut store.values) {
        (_, Values::Text(bytes)) => return bytes.push(|out| write(node, cursor, out)),
        (Node::Int, _) => put::integer(i128::from(cursor.int()?), store)?,
        (Node::Long, _) => put::integer(i128::from(cursor.long()?), store)?,
        (Node::Boolean, Values::Bool(values)) => values.append(cursor.boolean()?),
        (Node::Float, Values::Float32(values)) => values.push(cursor.float()?),
        (Node::Float, Values::Float64(values)) => values.push(f64::from(cursor.float()?)),
        (Node::Double, Values::Float64(values)) => values.push(cursor.double()?),
        (Node::Bytes, Values::Binary(bytes)) => {
            let value = cursor.bytes()?;
            bytes.push(|out| extend(out, value))?;
        }
        (Node::Fixed(size), Values::Binary(bytes)) => {
            let value = cursor.take(*size)?;
            bytes.push(|out| extend(out, value))?;
        }
        (Node::Date, Values::Date(values)) => values.push(text::day(cursor.int()?)?),
        (Node::Timestamp { millis, .. }, Values::Timestamp(values, _)) => {
            values.push(text::micros(cursor.long()?, *millis)?);
        }
        (Node::Decimal { scale, fixed, .. }, _) => {
            let value = text::unscaled(walk::decimal(*fixed, cursor)?)?;
            put::decimal(value, *scale, store)?;
        }
        (Node::String, _) => put::meant(cursor.string()?.as_bytes(), store)?,
        _ => return Err(OTHER),
    }
    Ok(())
}

/// Writes a value as Postgres prints it.
fn write(node: &Node, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    let written = match node {
        Node::String | Node::Uuid { fixed: false } => return extend(out, cursor.string()?.as_bytes()),
        Node::Enum(symbols) => return extend(out, symbols[cursor.index(symbols.len(), walk::NO_SYMBOL)?].as_bytes()),
        Node::Bytes => return text::utf8(cursor.bytes()?, out),
        Node::Fixed(size) => return text::utf8(cursor.take(*size)?, out),
        Node::Uuid { fixed: true } => walk::uuid(cursor.take(16)?)?,
        Node::Boolean => cursor.boolean()?.to_string(),
        Node::Int => cursor.int()?.to_string(),
        Node::Long => cursor.long()?.to_string(),
        Node::Float => text::float(cursor.float()?)?,
        Node::Double => text::float(cursor.double()?)?,
        Node::Decimal { scale, fixed, .. } => text::decimal(walk::decimal(*fixed, cursor)?, *scale)?,
        Node::Date => text::date(cursor.int()?)?,
        Node::TimeMillis => text::time(i64::from(cursor.int()?) * 1_000)?,
        Node::TimeMicros => text::time(cursor.long()?)?,
        Node::Timestamp { millis, utc } => {
            let zone = if *utc { "+00" } else { "" };
            text::timestamp(text::micros(cursor.long()?, *millis)?, ' ')? + zone
        }
        Node::Null | Node::Record(_) | Node::Array(_) | Node::Map(_) | Node::Union(_) => return Err(OTHER),
    };
    extend(out, written.as_bytes())
}
