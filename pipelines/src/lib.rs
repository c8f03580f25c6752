//! What a pipeline is: spec, graph, plan, schedule, diff. Pure: no I/O, no clock, no database.

pub mod casing;
pub mod decode;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod duration;
pub mod kind;
pub mod path;
pub mod plan;
pub mod schedule;
pub mod schema;
pub mod secrets;
pub mod spec;
pub mod sql;
pub mod write;
pub mod yaml;
