//! What sources, loads and sinks share about rows that are changes of other rows.
//!
//! A source of changes gives for each of them the columns of the row that it is about, and beside them what happened, where it stands, and which columns
//! were not sent because they are as they were.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::EngineError;

/// What happened to the row: `r` (it was there), `c`, `u` or `d`.
pub const OPERATION: &str = "_op";

/// Where the change stands: of two changes of one key the greater is the later.
pub const OFFSET: &str = "_offset";

/// Names of columns that were not sent because the change has left them as they were; NULL if there are none.
pub const UNCHANGED: &str = "_unchanged";

/// What `_op` is for a row that is gone.
pub const GONE: &str = "d";

/// The columns beside those of the row itself. None of them is a column of the target.
pub const BESIDE: [&str; 7] = [OPERATION, OFFSET, UNCHANGED, "_partition", "_timestamp", "_key", "_headers"];

/// The column that tells a sink which columns of a row keep what the target has: a list of names, or NULL. It is no column of the target.
pub const KEPT: &str = "_hw_kept";

/// The type of lists of names.
pub fn list_of_names() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The columns of the rows that changes are about.
pub fn changed_columns(changes: &Schema) -> SchemaRef {
    let fields = changes.fields().iter().filter(|field| !BESIDE.contains(&field.name().as_str()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The error about a row of which a column was never sent.
pub fn not_sent(column: &str, key: &str) -> EngineError {
    let message = format!(
        "the source did not send column {column} of a changed row, and neither an earlier change nor the target has the row: {key}"
    );
    EngineError::data(message).hint(
        "begin with a snapshot of the source's table, so that the target has all of its rows; or let the source send all columns: ALTER TABLE … REPLICA IDENTITY FULL",
    )
}
