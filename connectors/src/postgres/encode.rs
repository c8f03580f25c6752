//! Arrow batches, encoded as rows of a binary COPY.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, GenericByteArray, ListArray,
    PrimitiveArray, RecordBatch, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ByteArrayType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use headwater_engine::{EngineError, Result};

use super::decode::{EPOCH_DAYS, EPOCH_MICROS};
use super::numeric;
use super::rows::{self, SIGNATURE};
use super::types::{ElementType, Wire};

/// A length of -1 is NULL.
const NULL: [u8; 4] = [0xff; 4];

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
    Date(&'a PrimitiveArray<Date32Type>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Uuid(&'a StringArray),
    Joined(Joined<'a>),
}

/// Values of any size, whose bytes stand one behind the other.
struct Joined<'a> {
    /// What stands before the bytes of each.
    prefix: &'static [u8],
    bytes: Cow<'a, [u8]>,
    /// Where each value begins, and the last one ends.
    offsets: Cow<'a, [i32]>,
    nulls: Option<&'a NullBuffer>,
}

/// A row that is being laid out.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where its next field goes.
    next: usize,
    /// Where it ends; its size, as long as that is being measured.
    end: usize,
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
        if array.data_type() != &wire.arrow() {
            let (found, expected) = (array.data_type(), wire.arrow());
            return Err(EngineError::bug(format!("a column of type {found} was to be written as {expected}")));
        }
        Cells::new(array, wire).map_err(|what| in_column(index, what))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let width = i16::try_from(columns.len())
        .map_err(|_| EngineError::config("a table of Postgres has at most 1600 columns"))?
        .to_be_bytes();
    lay_out(&columns, batch.num_rows(), &width, out).map_err(|(index, what)| in_column(index, what))
}

/// Appends rows that begin with `head`, column by column: one tight loop for each column instead of a choice by type for every value.
/// An error names the column by its index.
fn lay_out(columns: &[Cells<'_>], rows: usize, head: &[u8], out: &mut Vec<u8>) -> Result<(), (usize, String)> {
    let mut places = vec![Place { next: 0, end: head.len() }; rows];
    columns.iter().for_each(|column| column.measure(&mut places));
    let mut end = out.len();
    for place in &mut places {
        place.next = end;
        end += place.end;
        place.end = end;
    }
    out.resize(end, 0);
    for place in &mut places {
        put(out, place, head);
    }
    for (index, column) in columns.iter().enumerate() {
        column.write(out, &mut places).map_err(|what| (index, what))?;
    }
    Ok(())
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef, wire: &Wire) -> Result<Self, String> {
        Ok(match wire {
            Wire::Bool => Self::Bool(array.as_boolean()),
            Wire::Int2 => Self::Int2(array.as_primitive()),
            Wire::Int4 => Self::Int4(array.as_primitive()),
            Wire::Int8 => Self::Int8(array.as_primitive()),
            Wire::Float4 => Self::Float4(array.as_primitive()),
            Wire::Float8 => Self::Float8(array.as_primitive()),
            Wire::Date => Self::Date(array.as_primitive()),
            Wire::Timestamp { .. } => Self::Timestamp(array.as_primitive()),
            Wire::Uuid => Self::Uuid(array.as_string()),
            Wire::Text => Self::Joined(Joined::texts(array.as_string(), &[])?),
            Wire::Jsonb => Self::Joined(Joined::texts(array.as_string(), &[JSONB_VERSION])?),
            Wire::Bytea => Self::Joined(Joined::of(array.as_binary::<i32>(), &[])),
            Wire::Numeric { scale, .. } => Self::Joined(Joined::numerics(array.as_primitive(), *scale)?),
            Wire::Array(element) => Self::Joined(Joined::lists(array.as_list(), element)?),
            Wire::Parsed(wire) => return Err(format!("a text is not written as {wire:?}")),
        })
    }

    /// Adds the size of each row's field.
    fn measure(&self, places: &mut [Place]) {
        match self {
            Self::Bool(array) => measure(places, array.nulls(), |_| 1),
            Self::Int2(array) => measure(places, array.nulls(), |_| 2),
            Self::Int4(array) => measure(places, array.nulls(), |_| 4),
            Self::Int8(array) => measure(places, array.nulls(), |_| 8),
            Self::Float4(array) => measure(places, array.nulls(), |_| 4),
            Self::Float8(array) => measure(places, array.nulls(), |_| 8),
            Self::Date(array) => measure(places, array.nulls(), |_| 4),
            Self::Timestamp(array) => measure(places, array.nulls(), |_| 8),
            Self::Uuid(array) => measure(places, array.nulls(), |_| 16),
            Self::Joined(joined) => {
                measure(places, joined.nulls, |row| joined.prefix.len() + joined.len(row));
            }
        }
    }

    /// Writes each row's field at its place, which moves behind it.
    fn write(&self, out: &mut [u8], places: &mut [Place]) -> Result<(), String> {
        match self {
            Self::Bool(array) => write(out, places, array.nulls(), |row| Ok([u8::from(array.value(row))])),
            Self::Int2(array) => plain(out, places, array, |value| Ok(value.to_be_bytes())),
            Self::Int4(array) => plain(out, places, array, |value| Ok(value.to_be_bytes())),
            Self::Int8(array) => plain(out, places, array, |value| Ok(value.to_be_bytes())),
            Self::Float4(array) => plain(out, places, array, |value| Ok(value.to_be_bytes())),
            Self::Float8(array) => plain(out, places, array, |value| Ok(value.to_be_bytes())),
            Self::Date(array) => plain(out, places, array, |value| Ok(days(value)?.to_be_bytes())),
            Self::Timestamp(array) => plain(out, places, array, |value| Ok(micros(value)?.to_be_bytes())),
            Self::Uuid(array) => write(out, places, array.nulls(), |row| {
                let text = array.value(row);
                let id = uuid::Uuid::try_parse(text).map_err(|_| format!("'{text}' is not a uuid"))?;
                Ok(id.into_bytes())
            }),
            Self::Joined(joined) => joined.write(out, places),
        }
    }
}

impl<'a> Joined<'a> {
    fn of<T: ByteArrayType<Offset = i32>>(array: &'a GenericByteArray<T>, prefix: &'static [u8]) -> Self {
        let (bytes, offsets) = (Cow::Borrowed(array.value_data()), Cow::Borrowed(array.value_offsets()));
        Self { prefix, bytes, offsets, nulls: array.nulls() }
    }

    /// Refuses what Postgres can't store: texts with a NUL.
    fn texts(array: &'a StringArray, prefix: &'static [u8]) -> Result<Self, String> {
        let joined = Self::of(array, prefix);
        let (first, last) = (joined.place(0), joined.place(array.len()));
        // One search for all values. A NULL may hide bytes that don't count.
        let found = joined.bytes[first..last].contains(&0);
        if found && array.iter().flatten().any(|text| text.contains('\0')) {
            return Err("a text holds the character NUL, which Postgres can't store".to_owned());
        }
        Ok(joined)
    }

    fn numerics(array: &'a Decimal128Array, scale: u8) -> Result<Self, String> {
        Self::made(array, |row, bytes| {
            numeric::encode(array.value(row), scale, bytes);
            Ok(())
        })
    }

    fn lists(array: &'a ListArray, element: &ElementType) -> Result<Self, String> {
        Self::made(array, |row, bytes| list(&array.value(row), element, bytes))
    }

    /// Values that `append` makes, of the rows that are not NULL.
    fn made(array: &'a dyn Array, append: impl Fn(usize, &mut Vec<u8>) -> Result<(), String>) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(16 * array.len());
        let mut offsets = Vec::with_capacity(array.len() + 1);
        let nulls = array.nulls();
        offsets.push(0);
        for row in 0..array.len() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                append(row, &mut bytes)?;
            }
            offsets.push(size(bytes.len())?);
        }
        Ok(Self { prefix: &[], bytes: Cow::Owned(bytes), offsets: Cow::Owned(offsets), nulls })
    }

    fn place(&self, offset: usize) -> usize {
        usize::try_from(self.offsets[offset]).unwrap_or_default()
    }

    #[inline]
    fn len(&self, row: usize) -> usize {
        self.place(row + 1) - self.place(row)
    }

    fn write(&self, out: &mut [u8], places: &mut [Place]) -> Result<(), String> {
        for (row, place) in places.iter_mut().enumerate() {
            if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                put(out, place, &NULL);
                continue;
            }
            let (start, len) = (self.place(row), self.len(row));
            put(out, place, &size(self.prefix.len() + len)?.to_be_bytes());
            if !self.prefix.is_empty() {
                put(out, place, self.prefix);
            }
            rows::copy(&self.bytes, start, len, out, place.next, place.end);
            place.next += len;
        }
        Ok(())
    }
}

/// Adds the size of each row's field, whose value has `len` bytes.
#[inline]
fn measure(places: &mut [Place], nulls: Option<&NullBuffer>, len: impl Fn(usize) -> usize) {
    for (row, place) in places.iter_mut().enumerate() {
        let null = nulls.is_some_and(|nulls| nulls.is_null(row));
        place.end += NULL.len() + if null { 0 } else { len(row) };
    }
}

/// Writes values of a fixed size.
#[inline]
fn write<const N: usize>(
    out: &mut [u8],
    places: &mut [Place],
    nulls: Option<&NullBuffer>,
    value: impl Fn(usize) -> Result<[u8; N], String>,
) -> Result<(), String> {
    let len = size(N)?.to_be_bytes();
    for (row, place) in places.iter_mut().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            put(out, place, &NULL);
            continue;
        }
        let field = &mut out[place.next..][..len.len() + N];
        field[..len.len()].copy_from_slice(&len);
        field[len.len()..].copy_from_slice(&value(row)?);
        place.next += field.len();
    }
    Ok(())
}

/// Writes the values of an array of a fixed size.
#[inline]
fn plain<T: ArrowPrimitiveType, const N: usize>(
    out: &mut [u8],
    places: &mut [Place],
    array: &PrimitiveArray<T>,
    value: impl Fn(T::Native) -> Result<[u8; N], String>,
) -> Result<(), String> {
    let values = array.values();
    write(out, places, array.nulls(), |row| value(values[row]))
}

/// Writes bytes at a place, which moves behind them.
#[inline]
fn put(out: &mut [u8], place: &mut Place, bytes: &[u8]) {
    let end = place.next + bytes.len();
    out[place.next..end].copy_from_slice(bytes);
    place.next = end;
}

fn size(bytes: usize) -> Result<i32, String> {
    i32::try_from(bytes).map_err(|_| "values are larger than 2 GB".to_owned())
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
    let cells = Cells::new(items, &element.wire)?;
    lay_out(&[cells], items.len(), &[], out).map_err(|(_, what)| what)
}
