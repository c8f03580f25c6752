//! The evaluation of the assistant: cases are sentences with databases, and what must hold of the result.
//!
//! `tests/evaluation/README.md` is the specification. Postgres computes the expected rows, and no model judges a result. Everything happens in a temporary installation.

mod answers;
mod arrow_rows;
mod bench;
mod case;
mod checks;
mod choice;
mod compare;
mod drafts;
mod gold;
mod loads;
mod outcome;
mod psql;
mod report;
mod schedules;
mod session;
mod sketch;
mod sources;
mod suite;
mod value;

pub(crate) use outcome::{Gate, Outcome};
pub(crate) use report::{EvaluationReport, FailureReport, Score};
pub(crate) use session::{Evaluation, evaluate};
pub(crate) use suite::{Suite, SuiteFilter};
