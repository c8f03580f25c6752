//! Parameters and run context as typed values.

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::common::ScalarValue;
use headwater_pipelines::plan::check_value;
use headwater_pipelines::spec::{Param, ParamType};
use indexmap::IndexMap;
use serde_json::Value;

use crate::error::{EngineError, Result};
use crate::job::RunContext;
use crate::transform::Parameters;

/// The values a run binds: given ones, else defaults; the error names what is missing or does not fit.
pub fn bind(declared: &IndexMap<String, Param>, run: &RunContext) -> Result<Parameters> {
    let mut values = context(Some(run));
    for (name, param) in declared {
        let value = run.params.get(name).or(param.default.as_ref()).ok_or_else(|| {
            EngineError::config(format!("parameter '{name}' has no value"))
                .hint(format!("give it with --param {name}=…, or a default"))
        })?;
        check_value(param.kind, value)
            .map_err(|reason| EngineError::config(format!("parameter '{name}': {reason}")))?;
        values.insert(name.clone(), scalar(param.kind, Some(value)));
    }
    Ok(values)
}

/// Values that stand for the parameters while planning: defaults, else NULLs of their types.
pub fn placeholders(declared: &IndexMap<String, Param>) -> Parameters {
    let mut values = context(None);
    values.extend(declared.iter().map(|(name, param)| (name.clone(), scalar(param.kind, param.default.as_ref()))));
    values
}

/// Reads a parameter from the command line: text as it is, other types as JSON writes them.
pub fn parse(kind: ParamType, text: &str) -> Value {
    match kind {
        ParamType::String | ParamType::Date | ParamType::Timestamp => Value::String(text.to_owned()),
        ParamType::Integer | ParamType::Number | ParamType::Boolean => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
    }
}

fn context(run: Option<&RunContext>) -> Parameters {
    let time = |time: Option<DateTime<Utc>>| {
        ScalarValue::TimestampMicrosecond(time.map(|time| time.timestamp_micros()), Some("UTC".into()))
    };
    Parameters::from([
        ("run_id".to_owned(), ScalarValue::Utf8(run.map(|run| run.run_id.to_string()))),
        ("interval_start".to_owned(), time(run.and_then(|run| run.interval_start))),
        ("interval_end".to_owned(), time(run.and_then(|run| run.interval_end))),
    ])
}

/// A value that `check_value` has accepted; anything else becomes NULL.
fn scalar(kind: ParamType, value: Option<&Value>) -> ScalarValue {
    let text = value.and_then(Value::as_str);
    match kind {
        ParamType::String => ScalarValue::Utf8(text.map(str::to_owned)),
        ParamType::Integer => ScalarValue::Int64(value.and_then(Value::as_i64)),
        ParamType::Number => ScalarValue::Float64(value.and_then(Value::as_f64)),
        ParamType::Boolean => ScalarValue::Boolean(value.and_then(Value::as_bool)),
        ParamType::Date => {
            let date = text.and_then(|text| text.parse::<NaiveDate>().ok());
            ScalarValue::Date32(date.map(arrow::datatypes::Date32Type::from_naive_date))
        }
        ParamType::Timestamp => {
            let time = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            ScalarValue::TimestampMicrosecond(time.map(|time| time.timestamp_micros()), Some("UTC".into()))
        }
    }
}
