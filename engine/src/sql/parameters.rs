//! A parameter's value as a typed literal.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::syntax::construct;

/// The value as syntax: its text, cast to its type, so that it means the same as a column of that type.
pub(super) fn literal(value: &ScalarValue) -> Expr {
    let kind = match value.data_type() {
        DataType::Int64 => "bigint",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Date32 => "date",
        DataType::Timestamp(_, _) => "timestamptz",
        _ => "text",
    };
    let text = value.cast_to(&DataType::Utf8).ok().filter(|text| !text.is_null());
    let text = text.and_then(|text| text.try_as_str().flatten().map(str::to_owned));
    let text = text.map_or(Value::Null, Value::SingleQuotedString);
    construct(format!("cast {kind}"), vec![Expr::Value(text.with_empty_span())])
}
