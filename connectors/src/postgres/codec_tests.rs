//! Properties of the COPY codec: every value of every type comes back however the stream is cut, and no bytes make it panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::decode::decode;
use super::encode;
use super::rows::RowBuffer;
use super::types::{ElementType, Wire, list_item, oid};

/// Days of the years 1 to 9999.
const DAYS: std::ops::Range<i32> = -719_162..2_932_897;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

type Column = (Wire, ArrayRef);

/// Makes a column out of optional values.
fn column<T: std::fmt::Debug + Clone + 'static>(
    rows: usize,
    value: impl Strategy<Value = T> + 'static,
    wire: Wire,
    build: impl Fn(Vec<Option<T>>) -> ArrayRef + 'static,
) -> BoxedStrategy<Column> {
    vec(of(value), rows).prop_map(move |values| (wire.clone(), build(values))).boxed()
}

/// Texts as Postgres holds them: anything but NUL.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

fn decimal(rows: usize, precision: u8, scale: u8) -> BoxedStrategy<Column> {
    let most = 10i128.pow(u32::from(precision)) - 1;
    column(rows, -most..=most, Wire::Numeric { precision, scale }, move |values| {
        let array = Decimal128Array::from(values);
        Arc::new(array.with_precision_and_scale(precision, i8::try_from(scale).unwrap()).unwrap())
    })
}

fn timestamp(rows: usize, utc: bool) -> BoxedStrategy<Column> {
    let micros = i64::from(DAYS.start) * DAY..i64::from(DAYS.end) * DAY;
    column(rows, micros, Wire::Timestamp { utc }, move |values| {
        let array = TimestampMicrosecondArray::from(values);
        Arc::new(if utc { array.with_timezone("UTC") } else { array })
    })
}

/// A column of any type that is not a list.
fn scalar(rows: usize) -> BoxedStrategy<Column> {
    let uuid = any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string());
    prop_oneof![
        column(rows, any::<bool>(), Wire::Bool, |values| Arc::new(BooleanArray::from(values))),
        column(rows, any::<i16>(), Wire::Int2, |values| Arc::new(Int16Array::from(values))),
        column(rows, any::<i32>(), Wire::Int4, |values| Arc::new(Int32Array::from(values))),
        column(rows, any::<i64>(), Wire::Int8, |values| Arc::new(Int64Array::from(values))),
        column(rows, any::<u32>().prop_map(f32::from_bits), Wire::Float4, |values| Arc::new(Float32Array::from(
            values
        ))),
        column(rows, any::<u64>().prop_map(f64::from_bits), Wire::Float8, |values| Arc::new(Float64Array::from(
            values
        ))),
        column(rows, text(), Wire::Text, |values| Arc::new(StringArray::from(values))),
        column(rows, text(), Wire::Jsonb, |values| Arc::new(StringArray::from(values))),
        column(rows, uuid, Wire::Uuid, |values| Arc::new(StringArray::from(values))),
        column(rows, vec(any::<u8>(), 0..20), Wire::Bytea, |values| { Arc::new(BinaryArray::from_iter(values)) }),
        column(rows, DAYS, Wire::Date, |values| Arc::new(Date32Array::from(values))),
        any::<bool>().prop_flat_map(move |utc| timestamp(rows, utc)),
        (1u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_flat_map(move |(p, s)| decimal(rows, p, s)),
    ]
    .boxed()
}

/// A column of lists with these lengths; no length is a NULL.
fn list(lengths: Vec<Option<usize>>) -> BoxedStrategy<Column> {
    scalar(lengths.iter().flatten().sum())
        .prop_map(move |(wire, items)| {
            let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
            let valid = NullBuffer::from_iter(lengths.iter().map(Option::is_some));
            let field = Arc::new(list_item(items.data_type().clone()));
            let list = ListArray::new(field, offsets, items, Some(valid));
            // The oid only tells the server what it gets.
            (Wire::Array(Box::new(ElementType { oid: oid::TEXT, wire })), Arc::new(list) as ArrayRef)
        })
        .boxed()
}

fn any_column(rows: usize) -> BoxedStrategy<Column> {
    prop_oneof![4 => scalar(rows), 1 => vec(of(0usize..4), rows).prop_flat_map(list)].boxed()
}

fn any_columns() -> impl Strategy<Value = Vec<Column>> {
    (0usize..30).prop_flat_map(|rows| vec(any_column(rows), 1..5))
}

fn batch(columns: &[Column]) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, (_, array))| Field::new(format!("c{i}"), array.data_type().clone(), true))
        .collect();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let options = RecordBatchOptions::new().with_row_count(columns.first().map(|(_, array)| array.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

/// Bits, so that every NaN is itself.
fn same(left: &ArrayRef, right: &ArrayRef) -> bool {
    left.to_data() == right.to_data() || format!("{left:?}") == format!("{right:?}")
}

proptest! {
    #[test]
    fn every_value_of_every_type_comes_back_however_the_stream_is_cut(columns in any_columns(), size in 1usize..200) {
        let wires: Vec<Wire> = columns.iter().map(|(wire, _)| wire.clone()).collect();
        let batch = batch(&columns);
        let mut bytes = Vec::new();
        encode::header(&mut bytes);
        encode::batch(&batch, &wires, &mut bytes).unwrap();
        encode::trailer(&mut bytes);
        let mut rows = RowBuffer::new(wires.len());
        bytes.chunks(size).for_each(|chunk| rows.push(chunk).unwrap());
        prop_assert!(rows.is_finished());
        prop_assert_eq!(rows.rows(), batch.num_rows());
        for (index, (wire, array)) in columns.iter().enumerate() {
            let decoded = decode(wire, rows.column(index)).unwrap();
            prop_assert!(same(&decoded, array), "{:?}: {:?} came back as {:?}", wire, array, decoded);
        }
    }

    #[test]
    fn bytes_that_are_no_values_are_refused_without_a_panic(
        (wire, _) in any_column(0),
        fields in vec(of(vec(any::<u8>(), 0..40)), 1..6),
    ) {
        let mut rows = RowBuffer::new(1);
        let mut bytes = Vec::new();
        encode::header(&mut bytes);
        for field in &fields {
            bytes.extend(1i16.to_be_bytes());
            bytes.extend(field.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
            bytes.extend(field.as_deref().unwrap_or_default());
        }
        rows.push(&bytes).unwrap();
        if let Ok(array) = decode(&wire, rows.column(0)) {
            prop_assert_eq!(array.len(), fields.len());
        }
    }

    #[test]
    fn a_stream_that_is_none_is_refused_without_a_panic(bytes in vec(any::<u8>(), 0..80), width in 1usize..4, valid_start: bool) {
        let mut stream = Vec::new();
        if valid_start {
            encode::header(&mut stream);
        }
        stream.extend(bytes);
        let mut rows = RowBuffer::new(width);
        let _ = rows.push(&stream);
    }
}

#[test]
fn a_nul_is_refused_by_its_column_unless_a_null_hides_it() {
    let array = StringArray::from(vec!["kept", "a\0b"]);
    let schema = Arc::new(Schema::new(vec![Field::new("note", DataType::Utf8, true)]));
    let encoded = |array: StringArray| {
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(array)]).unwrap();
        encode::batch(&batch, &[Wire::Text], &mut Vec::new())
    };
    let hidden =
        StringArray::new(array.offsets().clone(), array.values().clone(), Some(NullBuffer::from(vec![true, false])));
    encoded(hidden).unwrap();
    let error = encoded(array).unwrap_err().to_string();
    assert!(error.contains("column note: a text holds the character NUL"), "{error}");
}
