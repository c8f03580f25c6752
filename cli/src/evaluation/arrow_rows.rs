//! Rows of the engine as the evaluation compares them.

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use headwater_operations::Rows;

use super::compare::{Row, Table};
use super::value::{Class, Value, read};

/// More rows than this are no result of a case.
const MAX_ROWS: usize = 200_000;

/// Reads all rows.
pub(super) async fn table(rows: &mut Rows) -> Result<Table> {
    let columns = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut table = Table { columns, rows: Vec::new() };
    while let Some(batch) = rows.next().await? {
        table.rows.extend(rows_of(&batch)?);
        anyhow::ensure!(table.rows.len() <= MAX_ROWS, "there are more than {MAX_ROWS} rows");
    }
    Ok(table)
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>> {
    let columns = batch.columns().iter().map(values).collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

fn values(array: &ArrayRef) -> Result<Vec<Value>> {
    let array = match array.data_type() {
        DataType::Dictionary(_, value) => &cast(array, value)?,
        _ => array,
    };
    if let DataType::Timestamp(_, zone) = array.data_type() {
        let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
        let micros = cast(&micros, &DataType::Int64)?;
        let micros = micros.as_primitive::<Int64Type>();
        let value = |place: usize| {
            let at = DateTime::from_timestamp_micros(micros.value(place)).context("a time is out of range")?;
            Ok(if zone.is_some() { Value::Instant(at) } else { Value::Local(at.naive_utc()) })
        };
        return (0..array.len())
            .map(|place| if array.is_null(place) { Ok(Value::Null) } else { value(place) })
            .collect();
    }
    let class = class_of(array.data_type());
    let options = FormatOptions::default();
    let texts = ArrayFormatter::try_new(array, &options)?;
    let value = |place: usize| match array.is_null(place) {
        true => Value::Null,
        false => read(&texts.value(place).to_string(), class),
    };
    Ok((0..array.len()).map(value).collect())
}

fn class_of(kind: &DataType) -> Class {
    match kind {
        DataType::Boolean => Class::Bool,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Class::Float,
        kind if kind.is_numeric() => Class::Number,
        DataType::Date32 | DataType::Date64 => Class::Date,
        DataType::Time32(_) | DataType::Time64(_) => Class::Time,
        _ => Class::Text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float64Array, StringArray, TimestampMillisecondArray};

    use super::*;

    #[test]
    fn values_of_the_engine_equal_those_of_postgres() {
        let decimal = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(10, 2).unwrap();
        let instant = TimestampMillisecondArray::from(vec![1_774_746_000_000]).with_timezone("Europe/Berlin");
        let cases: [(ArrayRef, &str, Class); 4] = [
            (Arc::new(decimal), "1.5", Class::Number),
            (Arc::new(Float64Array::from(vec![1e21])), "1000000000000000000000", Class::Number),
            (Arc::new(StringArray::from(vec![" a"])), " a", Class::Text),
            (Arc::new(instant), "2026-03-29 01:00:00+00", Class::Instant),
        ];
        for (array, text, class) in cases {
            assert_eq!(values(&array).unwrap()[0], read(text, class));
        }
    }

    #[test]
    fn null_stays_null() {
        let array: ArrayRef = Arc::new(StringArray::from(vec![None, Some("")]));
        assert_eq!(values(&array).unwrap(), [Value::Null, Value::Text(String::new())]);
    }
}
