//! What a merge refuses before it begins: columns that identify no row or have no order, and names that it uses itself.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use headwater_engine::connector::DELETED;
use headwater_engine::{EngineError, Result};

use super::merge::{COUNT, FILE, Merge, RANK};
use super::table::Location;
use crate::NATIVE_TYPE;

impl Merge<'_> {
    /// Refuses columns that can't be keys or an order here, and names that the merge uses itself.
    pub(super) fn refuse_columns(&self, incoming: &Schema) -> Result<()> {
        for key in self.keys {
            let field = self.layout.schema.field_with_name(key).map_err(|_| no_key(self.location, key))?;
            if field.data_type().is_floating() || field.data_type().is_nested() {
                let message = format!("column {key} ({}) can't be a key of a Delta table", field.data_type());
                return Err(EngineError::config(message).hint("cast it to numeric or text in a transform"));
            }
        }
        if let Some(name) = [FILE, RANK, COUNT, DELETED].into_iter().find(|name| incoming.field_with_name(name).is_ok())
        {
            let message = format!("a column is called {name}, as one that a merge needs itself");
            return Err(EngineError::config(message).hint("give it another name with AS"));
        }
        let order = self.order_by.and_then(|name| incoming.field_with_name(name).ok());
        if let Some((field, native)) = order.and_then(|field| Some((field, field.metadata().get(NATIVE_TYPE)?)))
            && *field.data_type() == DataType::Utf8
            && !["text", "character", "name", "uuid"].iter().any(|start| native.starts_with(start))
        {
            let message = format!("{} is of type {native}, whose texts are not in its order", field.name());
            return Err(
                EngineError::config(message).hint("order by another column, or by an expression in a transform")
            );
        }
        Ok(())
    }

    pub(super) fn refuse_null_keys(&self, batch: &RecordBatch) -> Result<()> {
        for key in self.keys {
            let nulls = batch.column_by_name(key).map_or(0, |column| column.null_count());
            if nulls > 0 {
                return Err(EngineError::data(format!(
                    "{nulls} rows have NULL in the key {key}, which identifies no row"
                ))
                .hint("leave them out in a transform, or let a check find them: not_null"));
            }
        }
        Ok(())
    }
}

fn no_key(location: &Location, key: &str) -> EngineError {
    EngineError::config(format!("{} has no column {key}, which is a key", location.label))
}
