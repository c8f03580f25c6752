//! Time becomes runs; the reaper and the reconciler.
//!
//! Each chore is one loop under one driver, which keeps its last result and says a failure once. There is no leader: every chore is a
//! compare-and-set or a repair under a lock, so any number of schedulers may run.

mod driver;
mod fires;
mod reaper;

pub use driver::{ChoreStatus, Scheduler, SchedulerConfig, SchedulerHandle};
pub use fires::plan_fires;
pub use reaper::Reaper;

#[cfg(test)]
mod tests;
