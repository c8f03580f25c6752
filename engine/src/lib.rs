//! How data moves: connector contracts, the DataFusion session, stages, checks, receipts.

pub mod connector;
pub mod control;
pub mod error;
pub mod failpoint;
pub mod job;
pub mod receipt;

pub use error::{EngineError, ErrorKind, Result};
