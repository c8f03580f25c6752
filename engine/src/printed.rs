//! Rows as people and programs read them, where the formats' own writers would lose a value or refuse it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, JsonArray, NullableEncoder};

use crate::{EngineError, Result, texts};

/// The batch with its intervals as texts, as Postgres writes them.
pub fn without_intervals(batch: &RecordBatch) -> Result<RecordBatch> {
    with_texts(batch, |kind| matches!(kind, DataType::Interval(_)))
}

/// The batch with all values as texts that a cell of CSV can't hold otherwise.
pub fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    with_texts(batch, |kind| matches!(kind, DataType::Interval(_) | DataType::List(_) | DataType::LargeList(_)))
}

fn with_texts(batch: &RecordBatch, is_text: fn(&DataType) -> bool) -> Result<RecordBatch> {
    if !batch.columns().iter().any(|column| is_text(column.data_type())) {
        return Ok(batch.clone());
    }
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if is_text(column.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(texts(column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| EngineError::bug(format!("rows can't be shown: {error}")))
}

/// A JSON array of objects. NULL is null; NaN and the infinities, for which JSON has no number, are texts, as in Postgres' own JSON.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<u8>> {
    let failed = |error| EngineError::bug(format!("rows can't be shown as JSON: {error}"));
    let writer = WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Floats));
    let mut writer = writer.build::<_, JsonArray>(Vec::new());
    writer.write(&without_intervals(batch)?).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(writer.into_inner())
}

/// Chooses the encoder of columns that hold what JSON has no number for.
#[derive(Debug)]
struct Floats;

impl EncoderFactory for Floats {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> std::result::Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float32 => Box::new(Written(array.as_primitive::<Float32Type>().values())),
            DataType::Float64 => Box::new(Written(array.as_primitive::<Float64Type>().values())),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Numbers of one column.
struct Written<'a, T>(&'a [T]);

impl<T: Copy + Into<f64> + serde::Serialize> Encoder for Written<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0[row];
        let number: f64 = value.into();
        let text = match number {
            number if number.is_nan() => "\"NaN\"",
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => {
                // A buffer in memory takes everything.
                let _ = serde_json::to_writer(out, &value);
                return;
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{ArrayRef, Float32Array, Float64Array, IntervalMonthDayNanoArray, ListArray};
    use arrow::datatypes::{Int32Type, IntervalMonthDayNano};

    use super::*;

    fn batch() -> RecordBatch {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: [(&str, ArrayRef); 4] = [
            ("f", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.1)]))),
            ("r", Arc::new(Float32Array::from(vec![Some(f32::NEG_INFINITY), Some(0.1)]))),
            ("i", Arc::new(IntervalMonthDayNanoArray::from(vec![Some(IntervalMonthDayNano::new(1, 2, 0)), None]))),
            ("l", Arc::new(lists)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn json_loses_no_number_and_writes_intervals_as_postgres_does() {
        let text = String::from_utf8(json_rows(&batch()).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"[{"f":"NaN","r":"-Infinity","i":"1 mon 2 days","l":[1,null]},{"f":0.1,"r":0.1,"i":null,"l":null}]"#
        );
    }

    #[test]
    fn a_cell_holds_a_list_as_postgres_writes_it() {
        let flat = flat(&batch()).unwrap();
        assert_eq!(flat.column(3).as_string::<i32>().value(0), "{1,NULL}");
        assert!(flat.column(3).is_null(1));
    }
}
