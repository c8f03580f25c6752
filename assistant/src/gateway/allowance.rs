//! What one request of a person may still use, whatever number of calls it makes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::failure::{Cap, Failure};
use super::money::Money;
use super::settings::Caps;

/// The rest of a request's caps. Clones share it: a compile with several questions has one.
#[derive(Debug, Clone)]
pub struct Allowance {
    caps: Caps,
    /// When the request started, in time since the gateway's start.
    started: Duration,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    calls: u32,
    /// Spent, and reserved for calls that run.
    nanos: u64,
}

impl Allowance {
    pub(super) fn new(caps: Caps, now: Duration) -> Self {
        Self { caps, started: now, used: Arc::default() }
    }

    /// The caps that it started with.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.used.lock().calls
    }

    /// What was spent so far, with what calls that run may cost.
    #[must_use]
    pub fn spent(&self) -> Money {
        Money(self.used.lock().nanos)
    }

    pub(super) fn has_money_cap(&self) -> bool {
        self.caps.money.is_some()
    }

    /// Time that is left.
    pub(super) fn left(&self, now: Duration) -> Result<Duration, Failure> {
        let cap = Duration::from_secs(self.caps.seconds);
        let left = cap.saturating_sub(now.saturating_sub(self.started));
        if left.is_zero() { Err(over(Cap::Seconds, format!("{} seconds", self.caps.seconds))) } else { Ok(left) }
    }

    /// Takes one call that may cost so much. Returns its number.
    pub(super) fn take(&self, nanos: u64) -> Result<u32, Failure> {
        let mut used = self.used.lock();
        if used.calls >= self.caps.calls {
            return Err(over(Cap::Calls, format!("{} calls", self.caps.calls)));
        }
        let sum = used.nanos.saturating_add(nanos);
        if let Some(cap) = self.caps.money.filter(|cap| sum > cap.0) {
            return Err(over(Cap::Money, cap.to_string()));
        }
        used.nanos = sum;
        used.calls += 1;
        Ok(used.calls)
    }

    /// Puts what was spent in the place of what was reserved.
    pub(super) fn settle(&self, reserved: u64, spent: u64) {
        let mut used = self.used.lock();
        used.nanos = used.nanos.saturating_sub(reserved).saturating_add(spent);
    }
}

fn over(cap: Cap, limit: String) -> Failure {
    Failure::OverCap { cap, limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance() -> Allowance {
        Allowance::new(Caps { money: Some(Money(100)), seconds: 10, calls: 2 }, Duration::from_secs(5))
    }

    #[test]
    fn calls_are_counted_over_all_questions_of_a_request() {
        let allowance = allowance();
        assert_eq!(allowance.take(0), Ok(1));
        assert_eq!(allowance.clone().take(0), Ok(2));
        assert!(matches!(allowance.take(0), Err(Failure::OverCap { cap: Cap::Calls, .. })));
    }

    #[test]
    fn money_that_was_reserved_and_not_spent_may_be_used_again() {
        let allowance = allowance();
        allowance.take(80).unwrap();
        assert!(matches!(allowance.take(80), Err(Failure::OverCap { cap: Cap::Money, .. })));
        allowance.settle(80, 10);
        assert_eq!(allowance.take(80), Ok(2));
    }

    #[test]
    fn seconds_count_from_the_start_of_the_request() {
        let allowance = allowance();
        assert_eq!(allowance.left(Duration::from_secs(8)), Ok(Duration::from_secs(7)));
        assert!(matches!(allowance.left(Duration::from_secs(15)), Err(Failure::OverCap { cap: Cap::Seconds, .. })));
    }
}
