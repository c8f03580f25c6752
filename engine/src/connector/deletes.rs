//! What a load and its sink share about rows that are gone at the source.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::execution::SendableRecordBatchStream;
use headwater_pipelines::plan::Deletes;
use parking_lot::Mutex;

use super::KEPT;
use crate::error::{EngineError, Result};

/// The column that says whether a row means that its key is gone. It is no column of the target.
pub const DELETED: &str = "_hw_deleted";

/// The type of the columns in which a load leaves times.
pub fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns of rows that go into the target, without those that say something of them.
pub fn without_flag(rows: &SchemaRef, deletes: Option<&Deletes>) -> SchemaRef {
    let Some(deletes) = deletes.filter(|deletes| deletes.when.is_some()) else { return Arc::clone(rows) };
    let is_said = |name: &str| name == DELETED || (deletes.changes && name == KEPT);
    let fields = rows.fields().iter().filter(|field| !is_said(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// Refuses a comparison that finds more of the target's `live` rows missing than the load allows.
pub fn refuse_too_many(deletes: &Deletes, target: &str, missing: u64, live: u64) -> Result<()> {
    if !deletes.max.is_exceeded(missing, live) {
        return Ok(());
    }
    let message = format!(
        "{missing} of {live} rows of {target} are missing from the source, more than `max_delete: {}` allows: nothing is loaded",
        deletes.max
    );
    Err(EngineError::data(message)
        .hint("look whether the source is whole; if the rows are really gone, load once with `max_delete: 100%`"))
}

/// The keys of all rows of a source, as a stream that begins to be read when a sink takes it.
#[derive(Clone, Default)]
pub struct AllKeys(Arc<Mutex<Option<SendableRecordBatchStream>>>);

impl AllKeys {
    /// Keys to be taken once; the columns are the load's keys.
    pub fn new(keys: SendableRecordBatchStream) -> Self {
        Self(Arc::new(Mutex::new(Some(keys))))
    }

    /// The keys, if the load has them and nobody has taken them.
    pub fn take(&self) -> Option<SendableRecordBatchStream> {
        self.0.lock().take()
    }
}

impl fmt::Debug for AllKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllKeys").field(&self.0.lock().is_some()).finish()
    }
}
