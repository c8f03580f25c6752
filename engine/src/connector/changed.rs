//! What sources, loads and sinks share about rows that are changes of other rows.
//!
//! A source of changes gives for each of them the columns of the row that it is about, and beside them what happened, where it stands, and which columns
//! were not sent because they are as they were.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::EngineError;

/// What happened to the row: `r` (it was there), `c`, `u` or `d`.
pub const OPERATION: &str = "_op";

/// Where the change stands, as a bigint: of two changes of one key the greater is the later. The last bits say in which part of the source; changes in different
/// parts have no order.
pub const POSITION: &str = "_position";

/// The last bits of a position, which name the part of the source.
pub const PART_BITS: u32 = 12;

/// Names of columns that were not sent because the change has left them as they were; NULL if there are none.
pub const UNCHANGED: &str = "_unchanged";

/// What a change says of itself.
pub const SAID: [&str; 3] = [OPERATION, POSITION, UNCHANGED];

/// What to do about one that is computed.
pub const AS_IT_IS: &str = "select it as it is: what a condition or a cast makes of it may rest on values that were not sent; rows are left out where the target is read";

/// What `_op` is for a row that is gone.
pub const GONE: &str = "d";

/// The columns beside those of the row itself. None of them is a column of the target.
pub const BESIDE: [&str; 8] =
    [OPERATION, POSITION, UNCHANGED, "_partition", "_offset", "_timestamp", "_key", "_headers"];

/// The column that tells a sink which columns of a row keep what the target has: a list of names, or NULL. It is no column of the target.
pub const KEPT: &str = "_hw_kept";

/// What a field of `_op` says of the columns by which the source keeps changes in order, separated by `, `.
pub const MESSAGE_KEY: &str = "headwater.message_key";

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
