//! Rows with the edges of every type.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};

use super::Subject;

/// The first and last microsecond of the years that every system has.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

/// A batch of four rows: least, greatest, odd, and all NULL but for `id`.
pub(super) fn every_type(subject: &Subject) -> RecordBatch {
    let nan = if subject.carries_nan { f64::NAN } else { 0.5 };
    let infinity = if subject.carries_nan { f64::NEG_INFINITY } else { -1e300 };
    let nine = 10i128.pow(38) - 1;
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(i32::MIN), None, Some(7)]),
        Some(vec![]),
        Some(vec![Some(i32::MAX)]),
        None,
    ]);
    let instants = vec![Some(FIRST), Some(LAST), Some(-1), None];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(false), Some(true), Some(true), None]))),
        ("small", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), Some(0), None]))),
        ("medium", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), Some(-1), None]))),
        ("large", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(1 << 53 | 1), None]))),
        ("single", Arc::new(Float32Array::from(vec![Some(f32::MIN), Some(f32::MAX), Some(0.1), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(nan), Some(infinity), Some(5e-324), None]))),
        ("money", decimal(vec![Some(-999_999_999_999), Some(999_999_999_999), Some(-1), None], 12, 2)),
        ("huge", decimal(vec![Some(-nine), Some(nine), Some(1), None], 38, 10)),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some("quote \" comma , tab \t"),
                Some("line\nend\\"),
                Some("𐍈 grün"),
                None,
            ])),
        ),
        (
            "bytes",
            Arc::new(BinaryArray::from(vec![
                Some([0u8, 255, 39].as_slice()),
                Some(b"".as_slice()),
                Some(b"\\x"),
                None,
            ])),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(-719_162), Some(2_932_896), Some(-1), None]))),
        ("local", Arc::new(TimestampMicrosecondArray::from(instants.clone()))),
        ("instant", Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"))),
        ("list", Arc::new(lists)),
    ];
    let mut kept: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])))];
    kept.extend(columns.into_iter().filter(|(_, array)| (subject.carries)(array.data_type())));
    let fields: Vec<Field> =
        kept.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = kept.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn decimal(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
}

/// One column of numbers.
pub(super) fn ids_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("note", DataType::Utf8, true)]))
}

/// Rows with these ids.
pub(super) fn ids(range: std::ops::Range<i64>) -> RecordBatch {
    let notes: StringArray = range.clone().map(|id| Some(format!("row {id}"))).collect();
    RecordBatch::try_new(ids_schema(), vec![Arc::new(Int64Array::from_iter_values(range)), Arc::new(notes)]).unwrap()
}

/// Three hundred columns and a key.
pub(super) fn wide() -> RecordBatch {
    let mut fields = vec![Field::new("id", DataType::Int64, true)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..20))];
    for number in 0..300 {
        fields.push(Field::new(format!("column {number}"), DataType::Utf8, true));
        arrays.push(Arc::new(
            (0..20).map(|row| (row != number % 20).then(|| format!("{number}/{row}"))).collect::<StringArray>(),
        ));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}
