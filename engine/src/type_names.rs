//! Names of types in a spec.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

use crate::error::{EngineError, Result};

/// Reads a type's name, e.g. `text`, `decimal(12,2)`.
pub fn parse(column: &str, text: &str) -> Result<DataType> {
    let normal = text.trim().to_ascii_lowercase();
    Ok(match normal.as_str() {
        "bool" | "boolean" => DataType::Boolean,
        "smallint" | "int2" | "int16" => DataType::Int16,
        "int" | "integer" | "int4" | "int32" => DataType::Int32,
        "bigint" | "int8" | "int64" | "long" => DataType::Int64,
        "real" | "float4" | "float32" => DataType::Float32,
        "double" | "double precision" | "float8" | "float64" => DataType::Float64,
        "text" | "string" | "varchar" => DataType::Utf8,
        "bytea" | "binary" | "bytes" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        other => match decimal(other) {
            Some(decimal) => decimal,
            None => {
                return Err(EngineError::config(format!("'{text}' is not a type that column {column} can be read as"))
                    .hint(
                        "use text, boolean, smallint, integer, bigint, real, double, decimal(p,s) with p up to 38, bytea, \
                         date, timestamp or timestamptz",
                    ));
            }
        },
    })
}

fn decimal(text: &str) -> Option<DataType> {
    let (name, rest) = text.split_once('(')?;
    if !matches!(name.trim(), "decimal" | "numeric") {
        return None;
    }
    let (precision, scale) = rest.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?);
    let fits = (1..=38).contains(&precision) && scale >= 0 && i16::from(scale) <= i16::from(precision);
    fits.then_some(DataType::Decimal128(precision, scale))
}
