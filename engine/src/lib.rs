//! How data moves: connector contracts, the DataFusion session, stages, checks, receipts.

pub mod catalog;
pub mod check;
pub mod columns;
pub mod connector;
pub mod control;
pub mod error;
pub mod failpoint;
mod float_statistics;
pub mod job;
mod lineage;
pub mod memory;
pub mod nodes;
pub mod parameters;
pub mod printed;
pub mod privacy;
pub mod query;
pub mod receipt;
pub mod rehearsal;
pub mod rejects;
pub mod relations;
pub mod samples;
pub mod select;
pub mod session;
pub mod settings;
mod sql;
pub mod stage;
pub mod staging;
pub mod stores;
pub mod testing;
pub mod transform;
pub mod type_names;
mod yielding;

pub use error::{EngineError, ErrorKind, Result};

/// Metadata key of an Arrow field that remembers the source's own type, e.g. `uuid`. An expression loses it, unless
/// its type is one that SQL works with, like jsonb.
pub const NATIVE_TYPE: &str = "headwater.native_type";

/// Metadata key of the Arrow type under which that type was read. The remembered type counts only while the column still has it.
pub const NATIVE_FORM: &str = "headwater.native_form";

/// Values of a column as Postgres prints them.
pub fn texts(column: &arrow::array::ArrayRef) -> Result<arrow::array::ArrayRef> {
    Ok(sql::texts(column)?)
}

/// This machine's name, which says who can read staged files on a local disk.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other))
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
