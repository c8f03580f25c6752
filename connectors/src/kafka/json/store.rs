//! The values of one column until they become an array. A row that turns out to be broken is taken back by cutting.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, NullBufferBuilder,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::Reason;

/// Values of a column in order, NULLs among them as placeholders.
#[derive(Debug)]
pub(crate) struct Store {
    pub values: Values,
    nulls: NullBufferBuilder,
}

/// The values by their type.
#[derive(Debug)]
pub(crate) enum Values {
    Bool(BooleanBufferBuilder),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    /// Unscaled, with precision and scale.
    Decimal(Vec<i128>, u8, i8),
    /// Days since 1970.
    Date(Vec<i32>),
    /// Microseconds since 1970, and whether they are in UTC.
    Timestamp(Vec<i64>, bool),
    /// Text.
    Text(Bytes),
    Binary(Bytes),
}

/// Values of varying length, one after the other.
#[derive(Debug)]
pub(crate) struct Bytes {
    /// Where each value ends, behind a first 0.
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    /// Ends the value that `write` appends.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Reason>) -> Result<(), Reason> {
        write(&mut self.bytes)?;
        let end = i32::try_from(self.bytes.len()).map_err(|_| "the texts of a batch exceed 2 GB")?;
        self.ends.push(end);
        Ok(())
    }

    fn push_empty(&mut self) {
        let end = self.ends.last().copied().unwrap_or_default();
        self.ends.push(end);
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        let end = self.ends.last().copied().unwrap_or_default();
        self.bytes.truncate(usize::try_from(end).unwrap_or_default());
    }

    /// Offsets and bytes; nothing is left. The next batch is as large, most likely: what grows step by step ends with room that nobody uses.
    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let (mut ends, bytes) = (Vec::with_capacity(self.ends.len()), Vec::with_capacity(self.bytes.len()));
        ends.push(0);
        let ends = std::mem::replace(&mut self.ends, ends);
        (OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(std::mem::replace(&mut self.bytes, bytes)))
    }
}

impl Store {
    /// An empty column of a type; nothing for types that no column of messages has.
    pub(crate) fn new(data_type: &DataType) -> Option<Self> {
        let values = match data_type {
            DataType::Boolean => Values::Bool(BooleanBufferBuilder::new(0)),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal(Vec::new(), *precision, *scale),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Values::Timestamp(Vec::new(), zone.is_some()),
            DataType::Utf8 => Values::Text(Bytes::new()),
            DataType::Binary => Values::Binary(Bytes::new()),
            _ => return None,
        };
        Some(Self { values, nulls: NullBufferBuilder::new(0) })
    }

    /// Rows whose value is complete.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Completes a row whose value was pushed.
    #[inline]
    pub(crate) fn valid(&mut self) {
        self.nulls.append_non_null();
    }

    /// Adds a NULL.
    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values) | Values::Timestamp(values, _) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(values, ..) => values.push(0),
            Values::Text(values) | Values::Binary(values) => values.push_empty(),
        }
        self.nulls.append_null();
    }

    /// Adds an integer of 64 bits or a time in microseconds; other columns take none.
    pub(crate) fn push_i64(&mut self, value: i64) {
        if let Values::Int64(values) | Values::Timestamp(values, _) = &mut self.values {
            values.push(value);
            self.nulls.append_non_null();
        }
    }

    /// Adds an integer of 32 bits; other columns take none.
    pub(crate) fn push_i32(&mut self, value: i32) {
        if let Values::Int32(values) = &mut self.values {
            values.push(value);
            self.nulls.append_non_null();
        }
    }

    /// Adds true or false; other columns take none.
    pub(crate) fn push_bool(&mut self, value: bool) {
        if let Values::Bool(values) = &mut self.values {
            values.append(value);
            self.nulls.append_non_null();
        }
    }

    /// Adds bytes to a column of texts or bytes. A text has to be UTF-8.
    pub(crate) fn push_bytes(&mut self, value: &[u8]) -> Result<(), Reason> {
        let bytes = match &mut self.values {
            Values::Text(bytes) => {
                std::str::from_utf8(value).map_err(|_| "it is not UTF-8")?;
                bytes
            }
            Values::Binary(bytes) => bytes,
            _ => return Err("the column's type holds no bytes"),
        };
        bytes.push(|out| {
            out.extend_from_slice(value);
            Ok(())
        })?;
        self.nulls.append_non_null();
        Ok(())
    }

    /// Keeps the first rows only, and nothing of one that was begun.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(values) => values.truncate(rows),
            Values::Int16(values) => values.truncate(rows),
            Values::Int32(values) | Values::Date(values) => values.truncate(rows),
            Values::Int64(values) | Values::Timestamp(values, _) => values.truncate(rows),
            Values::Float32(values) => values.truncate(rows),
            Values::Float64(values) => values.truncate(rows),
            Values::Decimal(values, ..) => values.truncate(rows),
            Values::Text(values) | Values::Binary(values) => values.truncate(rows),
        }
        if rows < self.nulls.len() {
            self.nulls.truncate(rows);
        }
    }

    /// The rows as an array; nothing is left.
    pub(crate) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int16(values) => Arc::new(primitive::<Int16Type>(values, nulls)?),
            Values::Int32(values) => Arc::new(primitive::<Int32Type>(values, nulls)?),
            Values::Int64(values) => Arc::new(primitive::<Int64Type>(values, nulls)?),
            Values::Float32(values) => Arc::new(primitive::<Float32Type>(values, nulls)?),
            Values::Float64(values) => Arc::new(primitive::<Float64Type>(values, nulls)?),
            Values::Date(values) => Arc::new(primitive::<Date32Type>(values, nulls)?),
            Values::Decimal(values, precision, scale) => {
                let array: Decimal128Array = primitive(values, nulls)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Timestamp(values, utc) => {
                let array = primitive::<TimestampMicrosecondType>(values, nulls)?;
                Arc::new(array.with_timezone_opt(utc.then_some("UTC")))
            }
            Values::Text(values) => {
                let (ends, bytes) = values.take();
                Arc::new(StringArray::try_new(ends, bytes, nulls)?)
            }
            Values::Binary(values) => {
                let (ends, bytes) = values.take();
                Arc::new(BinaryArray::try_new(ends, bytes, nulls)?)
            }
        })
    }
}

/// The next batch is as large, most likely.
fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let next = Vec::with_capacity(values.len());
    PrimitiveArray::try_new(ScalarBuffer::from(std::mem::replace(values, next)), nulls)
}
