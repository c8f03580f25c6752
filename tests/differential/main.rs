//! The corpus of this folder: each expression and statement gives what Postgres gives, or is refused when it is planned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "the connectors' tests use all of it"
)]
#[path = "../../connectors/tests/suite/cluster.rs"]
mod cluster;
mod expressions;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/load.rs"]
mod load;
mod report;
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "the connectors' tests use all of it"
)]
#[path = "../../connectors/tests/suite/server.rs"]
mod server;
mod statements;
