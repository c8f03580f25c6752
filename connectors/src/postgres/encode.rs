//! Arrow batches, encoded as rows of a binary COPY.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, ListArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use headwater_engine::{EngineError, Result};

use super::decode::{EPOCH_DAYS, EPOCH_MICROS};
use super::numeric;
use super::rows::SIGNATURE;
use super::types::{ElementType, Wire};

/// NULL in place of a field's length.
const NULL: i32 = -1;

/// The column of a batch, by how its values are written.
enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a PrimitiveArray<Int16Type>),
    Int4(&'a PrimitiveArray<Int32Type>),
    Int8(&'a PrimitiveArray<Int64Type>),
    Float4(&'a PrimitiveArray<Float32Type>),
    Float8(&'a PrimitiveArray<Float64Type>),
    Numeric(&'a Decimal128Array, u8),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Uuid(&'a StringArray),
    Bytea(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    List(&'a ListArray, &'a ElementType),
}

/// What begins the stream.
pub(super) fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// What ends it.
pub(super) fn trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

/// Appends a batch whose columns already have the Arrow types of the wire forms.
pub(super) fn batch(batch: &RecordBatch, wires: &[Wire], out: &mut Vec<u8>) -> Result<()> {
    let columns =
        batch.columns().iter().zip(wires).map(|(array, wire)| Cells::new(array, wire)).collect::<Result<Vec<_>>>()?;
    let width = i16::try_from(columns.len())
        .map_err(|_| EngineError::config("a table of Postgres has at most 1600 columns"))?
        .to_be_bytes();
    for row in 0..batch.num_rows() {
        out.extend_from_slice(&width);
        for (index, column) in columns.iter().enumerate() {
            column.field(row, out).map_err(|what| {
                EngineError::data(format!("column {}: {what}", batch.schema_ref().field(index).name()))
            })?;
        }
    }
    Ok(())
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef, wire: &'a Wire) -> Result<Self> {
        if array.data_type() != &wire.arrow() {
            let (found, expected) = (array.data_type(), wire.arrow());
            return Err(EngineError::bug(format!("a column of type {found} was to be written as {expected}")));
        }
        Ok(match wire {
            Wire::Bool => Self::Bool(array.as_boolean()),
            Wire::Int2 => Self::Int2(array.as_primitive()),
            Wire::Int4 => Self::Int4(array.as_primitive()),
            Wire::Int8 => Self::Int8(array.as_primitive()),
            Wire::Float4 => Self::Float4(array.as_primitive()),
            Wire::Float8 => Self::Float8(array.as_primitive()),
            Wire::Numeric { scale, .. } => Self::Numeric(array.as_primitive::<Decimal128Type>(), *scale),
            Wire::Text => Self::Text(array.as_string()),
            Wire::Jsonb => Self::Jsonb(array.as_string()),
            Wire::Uuid => Self::Uuid(array.as_string()),
            Wire::Bytea => Self::Bytea(array.as_binary()),
            Wire::Date => Self::Date(array.as_primitive()),
            Wire::Timestamp { .. } => Self::Timestamp(array.as_primitive()),
            Wire::Array(element) => Self::List(array.as_list(), element),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(row),
            Self::Int2(array) => array.is_null(row),
            Self::Int4(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Float4(array) => array.is_null(row),
            Self::Float8(array) => array.is_null(row),
            Self::Numeric(array, _) => array.is_null(row),
            Self::Text(array) | Self::Jsonb(array) | Self::Uuid(array) => array.is_null(row),
            Self::Bytea(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Timestamp(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
        }
    }

    /// Appends a length and a value.
    #[inline]
    fn field(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            out.extend_from_slice(&NULL.to_be_bytes());
            return Ok(());
        }
        match self {
            Self::Bool(array) => sized(out, &[u8::from(array.value(row))]),
            Self::Int2(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int4(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Int8(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Float4(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Float8(array) => sized(out, &array.value(row).to_be_bytes()),
            Self::Date(array) => sized(out, &days(array.value(row))?.to_be_bytes()),
            Self::Timestamp(array) => sized(out, &micros(array.value(row))?.to_be_bytes()),
            Self::Bytea(array) => return variable(out, |out| append(out, array.value(row))),
            Self::Text(array) => return variable(out, |out| append_text(out, array.value(row))),
            Self::Jsonb(array) => {
                return variable(out, |out| {
                    out.push(1);
                    append_text(out, array.value(row))
                });
            }
            Self::Uuid(array) => {
                let text = array.value(row);
                let id = uuid::Uuid::try_parse(text).map_err(|_| format!("'{text}' is not a uuid"))?;
                sized(out, id.as_bytes());
            }
            Self::Numeric(array, scale) => {
                return variable(out, |out| {
                    numeric::encode(array.value(row), *scale, out);
                    Ok(())
                });
            }
            Self::List(array, element) => return variable(out, |out| list(&array.value(row), element, out)),
        }
        Ok(())
    }
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    // Fixed sizes are at most 16 bytes.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a value whose length is known only afterwards.
fn variable(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<(), String> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let len = i32::try_from(out.len() - start - 4).map_err(|_| "a value is larger than 2 GB".to_owned())?;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    out.extend_from_slice(bytes);
    Ok(())
}

fn append_text(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("a text holds the character NUL, which Postgres can't store".to_owned());
    }
    append(out, text.as_bytes())
}

fn days(value: i32) -> Result<i32, String> {
    value.checked_sub(EPOCH_DAYS).ok_or_else(|| "a date is outside of Postgres' range".to_owned())
}

fn micros(value: i64) -> Result<i64, String> {
    value.checked_sub(EPOCH_MICROS).ok_or_else(|| "a timestamp is outside of Postgres' range".to_owned())
}

fn list(items: &ArrayRef, element: &ElementType, out: &mut Vec<u8>) -> Result<(), String> {
    let dimensions = i32::from(!items.is_empty());
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&i32::from(items.null_count() > 0).to_be_bytes());
    out.extend_from_slice(&element.oid.to_be_bytes());
    if items.is_empty() {
        return Ok(());
    }
    let count = i32::try_from(items.len()).map_err(|_| "a list has too many items".to_owned())?;
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let cells = Cells::new(items, &element.wire).map_err(|error| error.to_string())?;
    (0..items.len()).try_for_each(|row| cells.field(row, out))
}
