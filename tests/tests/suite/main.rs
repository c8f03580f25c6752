//! The real binary, end to end, on real servers, read by other software. scripts/test sets up what it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a process that is watched from outside gives no signal to wait for")]

mod bad_input;
mod crash;
mod examples;
mod first_database;
mod golden;
mod life;
mod link;
mod schedules;
mod support;
mod wire;
