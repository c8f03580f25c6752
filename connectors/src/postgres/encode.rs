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

/// The byte that stands before the text of a jsonb.
const JSONB_VERSION: u8 = 1;

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
    let in_column = |index: usize, what: String| {
        EngineError::data(format!("column {}: {what}", batch.schema_ref().field(index).name()))
    };
    let columns = batch.columns().iter().zip(wires).enumerate().map(|(index, (array, wire))| {
        let cells = Cells::new(array, wire)?;
        cells.storable().map_err(|what| in_column(index, what))?;
        Ok(cells)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let width = i16::try_from(columns.len())
        .map_err(|_| EngineError::config("a table of Postgres has at most 1600 columns"))?
        .to_be_bytes();
    for row in 0..batch.num_rows() {
        out.extend_from_slice(&width);
        for (index, column) in columns.iter().enumerate() {
            column.field(row, out).map_err(|what| in_column(index, what))?;
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

    /// Refuses what Postgres can't store: texts with a NUL.
    fn storable(&self) -> Result<(), String> {
        let (Self::Text(array) | Self::Jsonb(array)) = self else { return Ok(()) };
        let offsets = array.value_offsets();
        let end = |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default();
        // The values stand one behind the other: one search for all. A NULL may hide bytes that don't count.
        let found = array.value_data()[end(offsets.first())..end(offsets.last())].contains(&0);
        if found && array.iter().flatten().any(|text| text.contains('\0')) {
            return Err("a text holds the character NUL, which Postgres can't store".to_owned());
        }
        Ok(())
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
            Self::Uuid(array) => {
                let text = array.value(row);
                let id = uuid::Uuid::try_parse(text).map_err(|_| format!("'{text}' is not a uuid"))?;
                sized(out, id.as_bytes());
            }
            Self::Bytea(array) => long(out, &[], array.value(row))?,
            Self::Text(array) => long(out, &[], array.value(row).as_bytes())?,
            Self::Jsonb(array) => long(out, &[JSONB_VERSION], array.value(row).as_bytes())?,
            Self::Numeric(array, scale) => patched(out, |out| {
                numeric::encode(array.value(row), *scale, out);
                Ok(())
            })?,
            Self::List(array, element) => patched(out, |out| list(&array.value(row), element, out))?,
        }
        Ok(())
    }
}

/// Appends a length and a value of a fixed size, at most 16 bytes, in one copy.
#[inline]
fn sized<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    let mut field = [0; 4 + 16];
    field[..4].copy_from_slice(&u32::try_from(N).unwrap_or_default().to_be_bytes());
    field[4..4 + N].copy_from_slice(bytes);
    out.extend_from_slice(&field[..4 + N]);
}

/// Appends a length and a value of any size.
#[inline]
fn long(out: &mut Vec<u8>, prefix: &[u8], bytes: &[u8]) -> Result<(), String> {
    out.extend_from_slice(&size(prefix.len() + bytes.len())?.to_be_bytes());
    out.extend_from_slice(prefix);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a value whose length is known only afterwards.
fn patched(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<(), String> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let len = size(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

fn size(bytes: usize) -> Result<i32, String> {
    i32::try_from(bytes).map_err(|_| "a value is larger than 2 GB".to_owned())
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
    cells.storable()?;
    (0..items.len()).try_for_each(|row| cells.field(row, out))
}
