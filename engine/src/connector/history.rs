//! What a load and its sink share about the history of a target.

use arrow::datatypes::{DataType, Field, Schema};
use headwater_pipelines::plan::{HISTORY_COLUMNS, IS_CURRENT, VALID_FROM, VALID_TO};

use super::deletes::moment;
use crate::error::{EngineError, Result};

/// The columns that a load with history adds to its rows.
pub(super) fn columns(rows: &Schema, order_by: Option<&str>) -> [Field; 3] {
    let is_optional = order_by.and_then(|name| rows.field_with_name(name).ok()).is_some_and(Field::is_nullable);
    [
        Field::new(VALID_FROM, moment(), is_optional),
        Field::new(VALID_TO, moment(), true),
        Field::new(IS_CURRENT, DataType::Boolean, false),
    ]
}

/// Refuses a table that has rows of which nobody knows since when they hold.
pub fn refuse_without_history<'a>(label: &str, columns: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let columns: Vec<&str> = columns.into_iter().collect();
    let missing: Vec<&str> = HISTORY_COLUMNS.into_iter().filter(|name| !columns.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(EngineError::config(format!("{label} keeps no history: it has no column {}", missing.join(", ")))
        .hint("load into a table that this mode makes, or give it the columns valid_from (timestamptz), valid_to (timestamptz) and is_current (boolean) with their values"))
}

/// Rows whose key, or whose time in a history, is NULL.
pub fn null_keys(count: u64, keys: &[String], since: Option<&str>) -> EngineError {
    let columns: Vec<&str> = keys.iter().map(String::as_str).chain(since).collect();
    let what = match since {
        None => format!("the key {}, which identifies no row", columns.join(", ")),
        Some(_) => format!("{}, so that they are no version of a row", columns.join(" or ")),
    };
    EngineError::data(format!("{count} rows have NULL in {what}"))
        .hint("leave them out in a transform, or let a check find them: not_null")
}

/// Rows that are not newer than a version of their key; `example` names keys.
pub fn late_rows(keys: &[String], example: &str) -> EngineError {
    let message = format!(
        "rows differ from the versions that the target has of their key, and are not newer, e.g. {} = {example}: a version can't begin before another one has ended",
        keys.join(", ")
    );
    EngineError::data(message)
        .hint("order_by names the column that says since when a row is as it is; it has to grow with each change")
}
