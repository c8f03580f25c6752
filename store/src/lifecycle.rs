//! The one door for changes of state: a file for each event. docs/state_machine.md has the transitions.

mod checkpoint;
mod claim;
mod decide;
mod finish;
mod limited;
mod open;
mod settle;
mod successes;
mod tidy;
mod wake;

pub use checkpoint::Batch;
pub use claim::{AttemptInputs, Claimed, LeaseKey, Slots, Taker};
pub use decide::{AttemptEnd, Failure, MAX_LOST};
pub use finish::{Finish, FinishReport, Finished, LoadReceipt};

pub(crate) use open::{interval, open};
pub(crate) use settle::count_ended;

#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod tests;
