//! Making batches fit a target's schema without changing a value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use arrow::util::display::FormatOptions;
use headwater_engine::{EngineError, Result};

/// A cast that fails instead of turning a value into NULL.
const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The type under which Parquet and Delta keep a column, or why they can't.
pub(crate) fn lake_type(column: &str, data_type: &DataType) -> Result<DataType> {
    let nested = |field: &FieldRef| -> Result<FieldRef> {
        Ok(Arc::new(Field::new(field.name(), lake_type(column, field.data_type())?, true)))
    };
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Binary
        | DataType::Utf8
        | DataType::Date32 => data_type.clone(),
        DataType::Decimal128(_, scale) if *scale >= 0 => data_type.clone(),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => lake_type(column, value)?,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) if *precision <= 38 && *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => DataType::List(nested(field)?),
        DataType::FixedSizeList(field, _) => DataType::List(nested(field)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect::<Result<Fields>>()?),
        other => return Err(unsupported(column, other)),
    })
}

fn unsupported(column: &str, data_type: &DataType) -> EngineError {
    let error = EngineError::config(format!("column {column} of type {data_type} can't be stored without loss"));
    match data_type {
        DataType::Null => error.hint(format!("give it a type, e.g. CAST({column} AS text)")),
        DataType::Decimal256(..) => error.hint("a decimal holds at most 38 digits; cast it to fewer, or to text"),
        _ => error.hint("cast it in a transform, e.g. to text"),
    }
}

/// The schema under which Parquet and Delta keep a dataset. Columns may always be NULL, so that a later load can bring NULLs.
pub(crate) fn lake_schema(schema: &Schema) -> Result<Schema> {
    let mut seen = std::collections::HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        if !seen.insert(field.name().to_lowercase()) {
            return Err(EngineError::config(format!("two columns are named {} but for their case", field.name()))
                .hint("give one of them another name with AS"));
        }
        Ok(Field::new(field.name(), lake_type(field.name(), field.data_type())?, true))
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>>>()?))
}

/// Whether every value of one type is a value of the other.
pub(crate) fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List, Struct};
    let digits = |data_type: &DataType| match data_type {
        Int8 => Some(3),
        Int16 => Some(5),
        Int32 => Some(10),
        Int64 => Some(19),
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (Float32, Float64) | (Int8 | Int16, Float32) | (Int8 | Int16 | Int32, Float64) => true,
        (Decimal128(from_precision, from_scale), Decimal128(precision, scale)) => {
            scale >= from_scale
                && i16::from(*precision) - i16::from(*scale) >= i16::from(*from_precision) - i16::from(*from_scale)
        }
        (from, Decimal128(precision, scale)) => {
            digits(from).is_some_and(|digits| i16::from(*precision) - i16::from(*scale) >= digits)
        }
        (List(from), List(to)) => widens(from.data_type(), to.data_type()),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(a, b)| a.name() == b.name() && widens(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

/// Compares a dataset with the table it goes into. The error shows every difference.
pub(crate) fn match_table(target: &str, incoming: &Schema, table: &Schema) -> Result<()> {
    let mut differences = Vec::new();
    for field in incoming.fields() {
        match table.field_with_name(field.name()) {
            Err(_) => differences.push(format!("the table has no column {} ({})", field.name(), field.data_type())),
            Ok(column) => {
                let stored = lake_type(field.name(), field.data_type())?;
                if !widens(&stored, column.data_type()) {
                    let (from, to) = (field.data_type(), column.data_type());
                    differences.push(format!("column {} is {from}, in the table {to}", field.name()));
                }
            }
        }
    }
    for column in table.fields() {
        if incoming.field_with_name(column.name()).is_err() {
            differences.push(format!("the dataset has no column {} ({})", column.name(), column.data_type()));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(EngineError::config(format!("the dataset does not fit the table {target}: {}", differences.join("; ")))
        .hint("select and cast the columns in a transform so that names and types agree, or load into another table"))
}

/// Casts batches to a target's schema, columns by name.
#[derive(Debug, Clone)]
pub(crate) struct Caster {
    target: SchemaRef,
    /// For each column of the target its position in the input; `None` for one that is filled with NULL.
    positions: Vec<Option<usize>>,
}

impl Caster {
    /// Columns are found by name; `match_table` has made sure that they are there.
    pub(crate) fn new(input: &Schema, target: SchemaRef) -> Result<Self> {
        Self::with_nulls(input, target, &[])
    }

    /// The same, with NULL in those of some columns that are not there.
    pub(crate) fn with_nulls(input: &Schema, target: SchemaRef, absent: &[String]) -> Result<Self> {
        let position = |field: &FieldRef| match input.index_of(field.name()) {
            Ok(position) => Ok(Some(position)),
            Err(_) if absent.contains(field.name()) => Ok(None),
            Err(_) => Err(EngineError::bug(format!("the dataset lost its column {}", field.name()))),
        };
        let positions = target.fields().iter().map(position).collect::<Result<Vec<_>>>()?;
        Ok(Self { target, positions })
    }

    /// The target's schema.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.target)
    }

    /// The batch under the target's schema.
    pub(crate) fn cast(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.target.fields().iter().zip(&self.positions).map(|(field, position)| {
            let array = match position {
                Some(position) => cast_column(field.name(), batch.column(*position), field.data_type())?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            if !field.is_nullable() && array.null_count() > 0 {
                return Err(EngineError::data(format!(
                    "column {} holds NULL, and the table does not allow it",
                    field.name()
                ))
                .hint(format!("filter or fill it in a transform, e.g. coalesce({}, …)", field.name())));
            }
            Ok(array)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.target), columns, &options)
            .map_err(|error| EngineError::bug(format!("a batch does not fit its own schema: {error}")))
    }
}

/// Casts one column and refuses values that would change.
pub(crate) fn cast_column(name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    if holds_nanoseconds(array, to) {
        return Err(EngineError::data(format!(
            "column {name} holds a time finer than a microsecond, which can't be stored"
        ))
        .hint(format!("round it in a transform, e.g. date_trunc('microsecond', {name})")));
    }
    cast_with_options(array, to, &STRICT).map_err(|error| {
        EngineError::data(format!("column {name}: a value of type {} is not a {to}: {error}", array.data_type()))
    })
}

/// Whether a cast would cut a time, which may be an item or a field.
fn holds_nanoseconds(array: &ArrayRef, to: &DataType) -> bool {
    match (array.data_type(), to) {
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            array.as_primitive::<TimestampNanosecondType>().iter().flatten().any(|value| value % 1000 != 0)
        }
        (DataType::List(_), DataType::List(item)) => {
            array.as_list::<i32>().iter().flatten().any(|items| holds_nanoseconds(&items, item.data_type()))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let columns = array.as_struct().columns().iter();
            columns.zip(fields).any(|(column, field)| holds_nanoseconds(column, field.data_type()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use arrow::array::{Int32Array, ListArray, StringViewArray, TimestampNanosecondArray};
    use arrow::buffer::OffsetBuffer;

    use super::*;

    #[test]
    fn a_batch_is_cast_by_name() {
        let input =
            Schema::new(vec![Field::new("b", DataType::Utf8View, true), Field::new("a", DataType::Int32, false)]);
        let target =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let caster = Caster::new(&input, Arc::clone(&target)).unwrap();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringViewArray::from(vec!["x"])), Arc::new(Int32Array::from(vec![7]))];
        let batch = caster.cast(&RecordBatch::try_new(Arc::new(input), columns).unwrap()).unwrap();
        assert_eq!(batch.schema(), target);
        assert_eq!(batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 7);
    }

    #[test]
    fn only_columns_that_are_named_absent_are_filled_with_null() {
        let input = Schema::new(vec![Field::new("a", DataType::Int32, false)]);
        let target =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        assert!(Caster::new(&input, Arc::clone(&target)).is_err());
        let caster = Caster::with_nulls(&input, target, &["b".to_owned()]).unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![7, 8]))];
        let batch = caster.cast(&RecordBatch::try_new(Arc::new(input), columns).unwrap()).unwrap();
        assert_eq!((batch.num_rows(), batch.column(1).null_count()), (2, 2));
    }

    #[test]
    fn nanoseconds_are_refused_and_not_cut() {
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1_001), None]));
        let error = cast_column("t", &array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap_err();
        assert!(error.message.contains("finer than a microsecond"), "{error}");
        let items = |value| {
            let items: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![value]));
            let field = Arc::new(Field::new("item", items.data_type().clone(), true));
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([1]), items, None)) as ArrayRef
        };
        let list = lake_type("t", items(0).data_type()).unwrap();
        assert!(cast_column("t", &items(1_001), &list).is_err());
        assert!(cast_column("t", &items(1_000), &list).is_ok());
    }

    #[test]
    fn differences_are_all_shown() {
        let incoming = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("x", DataType::Int8, true)]);
        let table = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("y", DataType::Int8, true)]);
        let error = match_table("t", &incoming, &table).unwrap_err();
        for part in ["a is Utf8, in the table Int64", "no column x", "no column y"] {
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn only_lossless_widening_is_allowed() {
        assert!(widens(&DataType::Int32, &DataType::Decimal128(12, 2)));
        assert!(!widens(&DataType::Int64, &DataType::Decimal128(12, 2)));
        assert!(!widens(&DataType::Int64, &DataType::Float64));
        assert!(widens(&DataType::Decimal128(10, 2), &DataType::Decimal128(12, 4)));
        assert!(!widens(&DataType::Decimal128(10, 2), &DataType::Decimal128(12, 5)));
    }
}
