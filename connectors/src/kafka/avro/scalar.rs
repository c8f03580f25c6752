//! Values of a type of Avro into a column of a type: exactly, or not at all.

use arrow::datatypes::DataType;

use super::Reason;
use super::cursor::Cursor;
use super::schema::{Id, Node, Schema};
use super::{text, walk};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::json::{number, time};

const TOO_LARGE: Reason = "the number is too large for the column's type";

const ROUNDED: Reason = "the column's type does not hold all digits of the number";

/// What a column can't take at all. Schemas are compared with columns before messages are read.
const OTHER: Reason = "the column's type holds no such values";

/// Whether values of a type can be read into a column, each of them exactly or refused. What a person has declared may be further from it: then texts
/// are read as what they say, and values are written as texts.
pub(super) fn fits(schema: &Schema, id: Id, to: &DataType, declared: bool) -> bool {
    match (schema.node(id), to) {
        (Node::Null, _) => true,
        (Node::Union(branches), _) => branches.iter().all(|branch| fits(schema, *branch, to, declared)),
        (Node::Record(_) | Node::Array(_) | Node::Map(_), _) => false,
        (node, DataType::Utf8) => is_text(node) || declared,
        (Node::Boolean, DataType::Boolean) => true,
        (Node::Bytes | Node::Fixed(_), DataType::Binary) => true,
        (Node::Int | Node::Long, to) if is_integer(to) => true,
        (Node::Int | Node::Long, DataType::Decimal128(..) | DataType::Float32 | DataType::Float64) => true,
        (Node::Float, DataType::Float32 | DataType::Float64) | (Node::Double, DataType::Float64) => true,
        (Node::Decimal { .. }, to) => is_integer(to) || matches!(to, DataType::Decimal128(..)),
        (Node::Date, DataType::Date32) => true,
        (Node::Timestamp { utc, .. }, DataType::Timestamp(_, zone)) => *utc == zone.is_some(),
        (Node::String, to) if declared => {
            let read = matches!(to, DataType::Decimal128(..) | DataType::Date32 | DataType::Timestamp(..));
            read || is_integer(to)
        }
        _ => false,
    }
}

fn is_text(node: &Node) -> bool {
    matches!(
        node,
        Node::String | Node::Enum(_) | Node::Uuid { .. } | Node::TimeMillis | Node::TimeMicros | Node::Decimal { .. }
    )
}

fn is_integer(to: &DataType) -> bool {
    matches!(to, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// Adds the value that stands here to the column. It is no union, NULL, record, list or map.
#[inline]
pub(super) fn take(node: &Node, cursor: &mut Cursor<'_>, store: &mut Store) -> Result<(), Reason> {
    match (node, &mut store.values) {
        (_, Values::Text(bytes)) => return bytes.push(|out| write(node, cursor, out)),
        (Node::Int, _) => integer(i64::from(cursor.int()?), store)?,
        (Node::Long, _) => integer(cursor.long()?, store)?,
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
            decimal(value, *scale, store)?;
        }
        (Node::String, _) => meant(cursor.string()?.as_bytes(), store)?,
        _ => return Err(OTHER),
    }
    Ok(())
}

fn extend(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Reason> {
    out.extend_from_slice(value);
    Ok(())
}

fn integer(value: i64, store: &mut Store) -> Result<(), Reason> {
    match &mut store.values {
        Values::Int16(values) => values.push(value.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(value.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(value),
        Values::Float32(values) => {
            let float = value as f32;
            values.push(Some(float).filter(|float| *float as i128 == i128::from(value)).ok_or(ROUNDED)?);
        }
        Values::Float64(values) => {
            let float = value as f64;
            values.push(Some(float).filter(|float| *float as i128 == i128::from(value)).ok_or(ROUNDED)?);
        }
        Values::Decimal(..) => decimal(i128::from(value), 0, store)?,
        _ => return Err(OTHER),
    }
    Ok(())
}

/// An unscaled number of a scale.
fn decimal(value: i128, scale: usize, store: &mut Store) -> Result<(), Reason> {
    /// More than an integer of 64 bits has.
    const DIGITS: u8 = 38;
    let whole = || text::rescaled(value, scale, 0, DIGITS);
    match &mut store.values {
        Values::Decimal(values, precision, to) => {
            let to = usize::try_from(*to).map_err(|_| OTHER)?;
            values.push(text::rescaled(value, scale, to, *precision)?);
        }
        Values::Int16(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        _ => return Err(OTHER),
    }
    Ok(())
}

/// What a string says.
fn meant(text: &[u8], store: &mut Store) -> Result<(), Reason> {
    let whole = || number::quoted(text).and_then(number::integer);
    match &mut store.values {
        Values::Int16(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(whole()?),
        Values::Decimal(values, precision, scale) => {
            values.push(number::decimal(number::quoted(text)?, *precision, *scale)?);
        }
        Values::Date(values) => values.push(time::date(text)?),
        Values::Timestamp(values, utc) => values.push(time::timestamp(text, *utc)?),
        _ => return Err(OTHER),
    }
    Ok(())
}

/// Writes a value as Postgres prints it.
fn write(node: &Node, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    let written = match node {
        Node::String | Node::Uuid { fixed: false } => return extend(out, cursor.string()?.as_bytes()),
        Node::Enum(symbols) => return extend(out, symbols[cursor.index(symbols.len(), walk::NO_SYMBOL)?].as_bytes()),
        Node::Bytes => return utf8(cursor.bytes()?, out),
        Node::Fixed(size) => return utf8(cursor.take(*size)?, out),
        Node::Uuid { fixed: true } => walk::uuid(cursor.take(16)?)?,
        Node::Boolean => cursor.boolean()?.to_string(),
        Node::Int => cursor.int()?.to_string(),
        Node::Long => cursor.long()?.to_string(),
        Node::Float => float(cursor.float()?)?,
        Node::Double => float(cursor.double()?)?,
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

fn utf8(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    std::str::from_utf8(bytes).map_err(|_| "the bytes are not UTF-8, and the column's type is text")?;
    extend(out, bytes)
}

/// The shortest digits that mean just this number of its type.
fn float<T: serde::Serialize + Into<f64> + Copy>(value: T) -> Result<String, Reason> {
    let wide: f64 = value.into();
    Ok(match wide {
        _ if wide.is_nan() => "NaN".to_owned(),
        _ if wide.is_infinite() => if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        _ => serde_json::to_string(&value).map_err(|_| "the number can't be written")?,
    })
}
