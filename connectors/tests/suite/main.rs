//! The connectors against real systems: a throwaway Postgres per process, real folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and starts its own server"
)]

mod apicurio;
mod broker;
mod changes;
mod closed;
mod cluster;
mod compact;
mod conformance;
mod contracts;
mod deletes;
mod delta;
mod delta_cursors;
mod file_cursors;
mod files;
mod history;
mod incomplete;
mod kafka;
mod kafka_avro;
mod kafka_changes;
mod kafka_connect;
mod kafka_fields;
mod kafka_registry;
mod keyed;
mod load;
mod memory;
mod postgres_connect;
mod postgres_filters;
mod postgres_sink;
mod postgres_source;
mod postgres_values;
mod registry;
mod server;
mod store_faults;
mod stores;
mod stores_conformance;
mod values;
mod windows;
mod writers;
