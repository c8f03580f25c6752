//! Types of CSV columns, from all their values.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use headwater_engine::Result;

use super::csv::{Dialect, text_schema};
use super::data::DataFile;
use crate::values::{self, Digits, digits, is_double};

/// Rows looked at in one go.
const BATCH: usize = 8192;

/// What a column can still be, after the values seen so far.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    seen: bool,
    integer: bool,
    float: bool,
    boolean: bool,
    date: bool,
    timestamp: bool,
    timestamptz: bool,
}

impl Candidate {
    const ALL: Self =
        Self { seen: false, integer: true, float: true, boolean: true, date: true, timestamp: true, timestamptz: true };

    fn look(&mut self, value: &str) {
        self.seen = true;
        let number = is_plain_number(value);
        self.integer &= number && value != "-0" && value.parse::<i64>().is_ok();
        self.float &= number && is_double(value);
        self.boolean &= matches!(value, "true" | "false");
        self.date &= value.len() == 10 && value.find('-') == Some(4) && values::date(value).is_ok();
        let time = value.contains(':');
        self.timestamp &= time && values::timestamp(value, false).is_ok();
        // Without an offset it would be another instant wherever it is read.
        self.timestamptz &= time && values::timestamp(value, false).is_err() && values::timestamp(value, true).is_ok();
    }

    fn data_type(self) -> DataType {
        match self {
            Self { seen: false, .. } => DataType::Null,
            Self { integer: true, .. } => DataType::Int64,
            Self { float: true, .. } => DataType::Float64,
            Self { boolean: true, .. } => DataType::Boolean,
            Self { date: true, .. } => DataType::Date32,
            Self { timestamp: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self { timestamptz: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            _ => DataType::Utf8,
        }
    }
}

/// A number as programs write it: no leading zeros or plus, as post codes and phone numbers have, and no bare exponent, as the article number 32E0134 has.
fn is_plain_number(value: &str) -> bool {
    let Some(Digits { whole, fraction, exponent, .. }) = digits(value).filter(|_| !value.starts_with('+')) else {
        return false;
    };
    let signed = exponent.is_some_and(|exponent| exponent.starts_with(['-', '+']));
    let whole_is_plain = whole == "0" || (!whole.is_empty() && !whole.starts_with('0'));
    whole_is_plain && !value.ends_with('.') && (exponent.is_none() || signed || !fraction.is_empty())
}

/// Reads all files and gives every column the narrowest type that holds all its values; one without a value has the type Null.
pub(super) fn schema(dialect: &Dialect, files: &[DataFile], names: &[String]) -> Result<Schema> {
    let texts: SchemaRef = Arc::new(text_schema(names));
    let mut candidates = vec![Candidate::ALL; names.len()];
    for file in files {
        for batch in dialect.read(file, &texts, BATCH).map_err(|error| file.explained(error))? {
            let batch = batch.map_err(|error| file.explained(error))?;
            for (candidate, column) in candidates.iter_mut().zip(batch.columns()) {
                let values = column.as_string::<i32>();
                (0..values.len()).filter(|row| values.is_valid(*row)).for_each(|row| candidate.look(values.value(row)));
            }
        }
    }
    let fields = names.iter().zip(candidates).map(|(name, candidate)| Field::new(name, candidate.data_type(), true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(values: &[&str]) -> DataType {
        let mut candidate = Candidate::ALL;
        values.iter().for_each(|value| candidate.look(value));
        candidate.data_type()
    }

    #[test]
    fn the_narrowest_type_that_holds_every_value_wins() {
        assert_eq!(infer(&["1", "-2"]), DataType::Int64);
        assert_eq!(infer(&["1", "2.5"]), DataType::Float64);
        assert_eq!(infer(&["2026-01-01"]), DataType::Date32);
        assert_eq!(
            infer(&["2026-01-01 10:00:00", "2026-01-01T10:00:00.5"]),
            DataType::Timestamp(TimeUnit::Microsecond, None)
        );
        assert_eq!(infer(&["true", "no"]), DataType::Utf8);
        assert_eq!(infer(&["1e-05", "2.5"]), DataType::Float64);
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        assert_eq!(infer(&["2026-01-01T10:00:00Z", "2026-01-01 10:00:00+02"]), utc);
    }

    #[test]
    fn leading_zeros_stay_text() {
        assert_eq!(infer(&["01099", "80331"]), DataType::Utf8);
        assert_eq!(infer(&["0", "0.5"]), DataType::Float64);
    }

    #[test]
    fn digits_that_a_number_cannot_hold_stay_text() {
        for values in [
            ["12345678901234567890", "1"],
            ["9007199254740993", "0.5"],
            ["32E0134", "32E0135"],
            ["0.12345678901234567890", "1"],
            ["+49", "1"],
            ["2026-01-01 10:00:00.123456789", "2026-01-01 10:00:00"],
            ["2026-01-01 10:00:00Z", "2026-01-01 10:00:00"],
            ["", "1"],
        ] {
            assert_eq!(infer(&values), DataType::Utf8, "{values:?}");
        }
    }
}
