//! Columns made row by row.

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use datafusion::error::Result;

/// What is made of each row; NULL where one of the operands is NULL, an error where nothing can be made of them.
pub(super) fn made<T>(
    columns: &[ArrayRef],
    make: impl Fn(usize) -> std::result::Result<T, String>,
) -> Result<Vec<Option<T>>> {
    let rows = columns.first().map_or(0, |column| column.len());
    let one = |row: usize| -> Result<Option<T>> {
        if columns.iter().any(|column| column.is_null(row)) {
            return Ok(None);
        }
        Ok(Some(make(row).map_err(ArrowError::CastError)?))
    };
    (0..rows).map(one).collect()
}
