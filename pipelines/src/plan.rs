//! From a spec to a plan: names resolved, a graph without cycles, tasks cut into stages.

mod types;

pub use types::{ExtractSource, Head, PLAN_FORMAT, Plan, PlannedTask, Relation, Stage, TableRef, TaskPath, Work};
