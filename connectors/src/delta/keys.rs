//! What a merge refuses before it begins: columns that identify no row or have no order, and names that it uses itself.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use headwater_engine::connector::{DELETED, KEPT, null_keys};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::VALID_FROM;

use super::kept::FOUND;
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
        if let Some(name) =
            [FILE, RANK, COUNT, FOUND, DELETED, KEPT].into_iter().find(|name| incoming.field_with_name(name).is_ok())
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
        let since = self.history.map(|_| VALID_FROM);
        let named = self.keys.iter().map(String::as_str).chain(since);
        let nulls = named.filter_map(|key| batch.column_by_name(key)).map(|column| column.null_count());
        match nulls.max() {
            None | Some(0) => Ok(()),
            Some(nulls) => Err(null_keys(nulls as u64, self.keys, self.order_by.filter(|_| self.history.is_some()))),
        }
    }
}

fn no_key(location: &Location, key: &str) -> EngineError {
    EngineError::config(format!("{} has no column {key}, which is a key", location.label))
}
