//! The queue: claim, finish, wake. docs/state_machine.md has the transitions.

mod claim;
mod decide;
mod finish;
mod limited;
mod settle;
mod successes;
mod tidy;
mod wake;

pub use claim::{AttemptInputs, Claimed, LeaseKey, Taker};
pub use decide::{AttemptEnd, Failure, MAX_LOST};
pub use finish::{Finish, FinishReport, Finished, LoadReceipt};

pub(crate) use settle::count_ended;

#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod tests;
