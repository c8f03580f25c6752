//! The apalis runtime over the store's queue: attempts, heartbeats, the finisher.
//!
//! A worker is a handful of tasks around one `Shared` state: the fetcher claims into free slots, apalis' worker drives the attempts
//! through its layers, the finisher ends them in batches and hands over what is ready next, the heartbeat keeps the leases and
//! brings word of cancels, and the log writer stores lines. docs/adr/0001-apalis-backend.md says why the backend is our own.

mod active;
mod attempt;
mod backend;
mod catalogs;
mod config;
mod control;
mod fence;
mod fetch;
mod finisher;
mod heartbeat;
mod logs;
mod runner;
mod runtimes;
mod start;
mod sweep;
mod unheard;

pub use config::WorkerConfig;
pub use runner::StageRunner;
pub use start::{Worker, WorkerHandle};

#[cfg(test)]
mod tests;
