//! What a pipeline is: spec, graph, plan, schedule, diff. Pure: no I/O, no clock, no database.

pub mod duration;
pub mod plan;
pub mod spec;
