//! The real binary, end to end, on real servers, read by other software. scripts/test sets up what it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a process that is watched from outside gives no signal to wait for")]

#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/apicurio.rs"]
mod apicurio;
mod assistant;
mod backfills;
mod bad_input;
mod bound;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/broker.rs"]
mod broker;
mod catalog;
mod chaos;
mod clock;
mod contracts;
mod control_plane;
mod conversations;
mod crash;
mod cursors;
mod debezium;
mod deletes;
mod drafts;
mod evaluation;
mod examples;
mod fleet;
mod golden;
mod guides;
mod history;
mod increments;
mod killed;
mod life;
mod link;
mod models;
mod operations;
mod partial;
mod random;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/registry.rs"]
mod registry;
mod rehearsal;
mod rejects;
mod schedules;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/server.rs"]
mod server;
mod simulation;
mod source_cursors;
mod staging;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/stores.rs"]
mod stores;
mod streams;
mod support;
mod topics;
mod topics_avro;
mod topics_registry;
mod two_pipelines;
mod values;
mod whole_schemas;
mod wire;
