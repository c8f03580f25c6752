//! One file per system that Headwater reads from or writes to, and the registry.

use std::sync::Arc;

use headwater_engine::connector::{Connector, Registry};

mod conform;
mod contract;
mod delta;
mod files;
mod kafka;
mod location;
mod postgres;
mod settings;
mod values;
mod writers;

pub use headwater_engine::{NATIVE_FORM, NATIVE_TYPE};

/// Every connector, sorted by name. Their sockets are driven on the runtime that this is called on.
pub fn registry() -> Registry {
    let connectors: Vec<Arc<dyn Connector>> = vec![
        Arc::new(delta::Delta),
        Arc::new(files::Files),
        Arc::new(kafka::Kafka::new()),
        Arc::new(postgres::Postgres::new()),
    ];
    Registry::new(connectors)
}
