//! Columns of a binary COPY, decoded into Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Decimal128Array, ListArray, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

use super::numeric::{self, Unfit};
use super::rows::{self, Column, FieldSpan, SHORT, read_i32};
use super::types::{ElementType, Wire, list_item};
use crate::values::{self, Wrong};

/// Days from 1970 to 2000, where Postgres counts from.
pub(super) const EPOCH_DAYS: i32 = 10_957;

/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Days from 1970 to the first of January of the year 1; anything earlier is BC.
const FIRST_DAY: i32 = -719_162;

/// A value that its column can't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Row within the batch.
    pub row: usize,
    /// e.g. `infinity is not a date that can be carried`.
    pub what: String,
    /// Reading the column as text would carry the value.
    pub text_helps: bool,
}

type Decoded<T> = Result<T, Problem>;

/// Decodes a column.
pub(super) fn decode(wire: &Wire, column: Column<'_>) -> Decoded<ArrayRef> {
    Ok(match wire {
        Wire::Bool => Arc::new(booleans(column)?),
        Wire::Int2 => fixed::<Int16Type, 2>(column, |bytes| Ok(i16::from_be_bytes(bytes)))?,
        Wire::Int4 => fixed::<Int32Type, 4>(column, |bytes| Ok(i32::from_be_bytes(bytes)))?,
        Wire::Int8 => fixed::<Int64Type, 8>(column, |bytes| Ok(i64::from_be_bytes(bytes)))?,
        Wire::Float4 => fixed::<Float32Type, 4>(column, |bytes| Ok(f32::from_be_bytes(bytes)))?,
        Wire::Float8 => fixed::<Float64Type, 8>(column, |bytes| Ok(f64::from_be_bytes(bytes)))?,
        Wire::Date => fixed::<Date32Type, 4>(column, |bytes| date(i32::from_be_bytes(bytes)))?,
        Wire::Timestamp { utc } => timestamps(column, *utc)?,
        Wire::Numeric { precision, scale } => decimals(column, *precision, *scale)?,
        Wire::Text => Arc::new(texts(column, 0)?),
        Wire::Jsonb => Arc::new(texts(column, 1)?),
        Wire::Uuid => Arc::new(uuids(column)?),
        Wire::Bytea => Arc::new(binaries(column)),
        Wire::Array(element) => Arc::new(lists(column, element)?),
        Wire::Parsed(wire) => {
            values::column(&texts(column, 0)?, &wire.arrow()).map_err(|Wrong { row, what }| problem(row, what))?
        }
    })
}

fn problem(row: usize, what: impl Into<String>) -> Problem {
    Problem { row, what: what.into(), text_helps: true }
}

fn wrong_size(row: usize, found: usize, expected: usize) -> Problem {
    let what =
        format!("a value has {found} bytes where {expected} were expected; was the column's type changed just now?");
    Problem { row, what, text_helps: false }
}

/// Values of a fixed size. NULLs leave a zero.
fn fixed<T: ArrowPrimitiveType, const N: usize>(
    column: Column<'_>,
    convert: impl Fn([u8; N]) -> Result<T::Native, &'static str>,
) -> Decoded<ArrayRef> {
    Ok(Arc::new(primitives::<T>(column, |row, bytes| {
        let bytes: [u8; N] = bytes.try_into().map_err(|_| wrong_size(row, bytes.len(), N))?;
        convert(bytes).map_err(|what| problem(row, what))
    })?))
}

fn primitives<T: ArrowPrimitiveType>(
    column: Column<'_>,
    convert: impl Fn(usize, &[u8]) -> Decoded<T::Native>,
) -> Decoded<PrimitiveArray<T>> {
    let mut values = Vec::with_capacity(column.len());
    for (row, bytes) in column.iter().enumerate() {
        values.push(bytes.map_or_else(|| Ok(T::Native::default()), |bytes| convert(row, bytes))?);
    }
    Ok(PrimitiveArray::new(ScalarBuffer::from(values), column.nulls()))
}

fn date(days: i32) -> Result<i32, &'static str> {
    match days {
        i32::MAX | i32::MIN => Err("infinity is not a date that can be carried"),
        days => match days.checked_add(EPOCH_DAYS) {
            Some(days) if days >= FIRST_DAY => Ok(days),
            Some(_) => Err("a date before the year 1 can't be carried"),
            // Only days after the epoch can overflow.
            None => Err("a date is too far in the future to be carried"),
        },
    }
}

fn timestamp(micros: i64) -> Result<i64, &'static str> {
    const FIRST: i64 = FIRST_DAY as i64 * 86_400_000_000;
    match micros {
        i64::MAX | i64::MIN => Err("infinity is not a timestamp that can be carried"),
        micros => match micros.checked_add(EPOCH_MICROS) {
            Some(micros) if micros >= FIRST => Ok(micros),
            Some(_) => Err("a timestamp before the year 1 can't be carried"),
            None => Err("a timestamp after the year 294246 is out of the range that can be carried"),
        },
    }
}

fn timestamps(column: Column<'_>, utc: bool) -> Decoded<ArrayRef> {
    let array = primitives::<TimestampMicrosecondType>(column, |row, bytes| {
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| wrong_size(row, bytes.len(), 8))?;
        timestamp(i64::from_be_bytes(bytes)).map_err(|what| problem(row, what))
    })?;
    Ok(Arc::new(if utc { array.with_timezone("UTC") } else { array }))
}

fn decimals(column: Column<'_>, precision: u8, scale: u8) -> Decoded<ArrayRef> {
    let array: Decimal128Array = primitives::<Decimal128Type>(column, |row, bytes| {
        numeric::decode(bytes, precision, scale).map_err(|unfit| match unfit {
            Unfit::Malformed => problem(row, "a value is not a numeric"),
            Unfit::NotANumber => problem(row, "NaN is not a decimal"),
            Unfit::Infinite => problem(row, "infinity is not a decimal"),
            Unfit::Scale => problem(row, format!("a value has more than {scale} digits after the point")),
            Unfit::Precision => {
                problem(row, format!("a value has more than {} digits before the point", precision - scale))
            }
        })
    })?;
    let typed = array.with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(i8::MAX));
    Ok(Arc::new(typed.map_err(|error| problem(0, error.to_string()))?))
}

fn booleans(column: Column<'_>) -> Decoded<BooleanArray> {
    let mut wrong = None;
    let values = BooleanBuffer::collect_bool(column.len(), |row| match column.get(row) {
        Some(&[byte]) => byte != 0,
        Some(bytes) => {
            wrong.get_or_insert((row, bytes.len()));
            false
        }
        None => false,
    });
    match wrong {
        Some((row, found)) => Err(wrong_size(row, found, 1)),
        None => Ok(BooleanArray::new(values, column.nulls())),
    }
}

/// Joins the values' bytes; offsets of 32 bits suffice because a batch is cut by its size.
fn joined(column: Column<'_>, skip: usize) -> (OffsetBuffer<i32>, Vec<u8>, Option<NullBuffer>) {
    let len = |span: FieldSpan| usize::try_from(span.len).unwrap_or(0).saturating_sub(skip);
    let total: usize = column.spans().map(len).sum();
    let mut bytes = vec![0; total + SHORT];
    let mut offsets = Vec::with_capacity(column.len() + 1);
    offsets.push(0);
    let (mut end, limit) = (0, bytes.len());
    for span in column.spans() {
        let len = len(span);
        if len > 0 {
            rows::copy(column.data(), span.start as usize + skip, len, &mut bytes, end, limit);
            end += len;
        }
        offsets.push(i32::try_from(end).unwrap_or(i32::MAX));
    }
    bytes.truncate(total);
    (OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes, column.nulls())
}

fn texts(column: Column<'_>, skip: usize) -> Decoded<StringArray> {
    let (offsets, bytes, nulls) = joined(column, skip);
    StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls).map_err(|_| {
        let row = (0..column.len())
            .find(|row| column.get(*row).is_some_and(|value| std::str::from_utf8(value).is_err()))
            .unwrap_or_default();
        let what = "a text is not UTF-8; is the database's encoding SQL_ASCII?";
        Problem { row, what: what.to_owned(), text_helps: false }
    })
}

fn binaries(column: Column<'_>) -> BinaryArray {
    let (offsets, bytes, nulls) = joined(column, 0);
    BinaryArray::new(offsets, Buffer::from_vec(bytes), nulls)
}

fn uuids(column: Column<'_>) -> Decoded<StringArray> {
    let mut builder = arrow::array::builder::StringBuilder::with_capacity(column.len(), column.len() * 36);
    let mut text = [0u8; 36];
    for row in 0..column.len() {
        match column.get(row) {
            Some(bytes) => {
                let id = uuid::Uuid::from_slice(bytes).map_err(|_| wrong_size(row, bytes.len(), 16))?;
                builder.append_value(id.hyphenated().encode_lower(&mut text));
            }
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

fn lists(column: Column<'_>, element: &ElementType) -> Decoded<ListArray> {
    let mut spans = Vec::new();
    let mut offsets = Vec::with_capacity(column.len() + 1);
    offsets.push(0i32);
    for (row, bytes) in column.iter().enumerate() {
        if let Some(bytes) = bytes {
            elements(bytes, column.start(row), &mut spans).map_err(|what| problem(row, what))?;
        }
        offsets.push(i32::try_from(spans.len()).unwrap_or(i32::MAX));
    }
    let items = decode(&element.wire, Column::dense(column.data(), &spans)).map_err(|inner| {
        // The problem names the element; the row is the one whose list holds it.
        let row = offsets.iter().take_while(|offset| usize::try_from(**offset).is_ok_and(|o| o <= inner.row)).count();
        Problem { row: row.saturating_sub(1), ..inner }
    })?;
    let field = Arc::new(list_item(items.data_type().clone()));
    Ok(ListArray::new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), items, column.nulls()))
}

/// Finds the elements of an array, whose bytes begin at `start` of the buffer.
fn elements(bytes: &[u8], start: u32, spans: &mut Vec<FieldSpan>) -> Result<(), &'static str> {
    const MALFORMED: &str = "a value is not an array";
    if bytes.len() < 12 {
        return Err(MALFORMED);
    }
    match read_i32(bytes, 0) {
        0 => return Ok(()),
        1 if bytes.len() < 20 => return Err(MALFORMED),
        1 if read_i32(bytes, 16) == 1 => {}
        1 => return Err("an array whose first subscript is not 1 can't be carried as a list"),
        _ => return Err("an array of several dimensions can't be carried as a list"),
    }
    let count = read_i32(bytes, 12);
    let mut position = 20;
    for _ in 0..count {
        if bytes.len() < position + 4 {
            return Err(MALFORMED);
        }
        let len = read_i32(bytes, position);
        position += 4;
        let offset = u32::try_from(position).map_err(|_| MALFORMED)?;
        spans.push(FieldSpan { start: start + offset, len });
        position += usize::try_from(len).unwrap_or(0);
        if bytes.len() < position {
            return Err(MALFORMED);
        }
    }
    Ok(())
}
