//! Circuit breakers: a provider that fails is left alone for a while.
//!
//! One for each base URL, model and key. It judges the last calls of a minute: half of at least ten failed, or five in a row. Then it opens,
//! lets one probe through after a pause, and doubles the pause with each probe that fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng as _;

/// Calls older than this say nothing about now.
const WINDOW: Duration = Duration::from_secs(60);

/// Calls that are remembered.
const REMEMBERED: usize = 50;

/// Fewer calls than this are not judged by their share.
const JUDGED: usize = 10;

/// This many failures in a row open it whatever the share is.
const IN_A_ROW: u32 = 5;

/// The first pause.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A circuit, shared by the models that have the same server, model and key.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker(Arc<Mutex<Circuit>>);

#[derive(Debug, Default)]
struct Circuit {
    /// When each call ended, and whether it failed.
    calls: VecDeque<(Duration, bool)>,
    in_a_row: u32,
    /// Open until then; a probe may follow.
    open_until: Option<Duration>,
    /// How often it opened since a call succeeded.
    openings: u32,
    is_probing: bool,
    /// The provider wants no request before then.
    cooling_until: Option<Duration>,
    cause: String,
}

/// Why a call can't be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// It failed too often.
    Open { until: Duration, cause: String },
    /// The provider limits requests.
    Cooling { until: Duration },
}

/// The right to make one call, to be handed back with its result. Dropping it says nothing about the provider.
#[derive(Debug)]
pub(super) struct Permit {
    breaker: Breaker,
    is_probe: bool,
}

impl Breaker {
    /// Asks for one call. `now` is the time since the gateway started.
    pub(super) fn admit(&self, now: Duration) -> Result<Permit, Closed> {
        let mut circuit = self.0.lock();
        if let Some(until) = circuit.cooling_until.filter(|until| now < *until) {
            return Err(Closed::Cooling { until });
        }
        circuit.cooling_until = None;
        let Some(until) = circuit.open_until else { return Ok(Permit { breaker: self.clone(), is_probe: false }) };
        if now < until || circuit.is_probing {
            return Err(Closed::Open { until: until.max(now), cause: circuit.cause.clone() });
        }
        circuit.is_probing = true;
        Ok(Permit { breaker: self.clone(), is_probe: true })
    }

    /// When it lets a call through again, if it doesn't now.
    pub(super) fn closed_until(&self, now: Duration) -> Option<Duration> {
        let circuit = self.0.lock();
        [circuit.open_until, circuit.cooling_until].into_iter().flatten().filter(|until| now < *until).max()
    }
}

impl Permit {
    /// The provider works.
    pub(super) fn succeeded(self, now: Duration) {
        let mut circuit = self.breaker.0.lock();
        if self.is_probe {
            circuit.calls.clear();
            circuit.open_until = None;
        }
        // A late success of a call that began before it opened doesn't close it.
        if circuit.open_until.is_none() {
            circuit.openings = 0;
        }
        circuit.in_a_row = 0;
        circuit.remember(now, false);
    }

    /// The provider doesn't work.
    pub(super) fn failed(self, now: Duration, cause: &str) {
        let mut circuit = self.breaker.0.lock();
        circuit.in_a_row += 1;
        circuit.remember(now, true);
        let failed = circuit.calls.iter().filter(|(_, failed)| *failed).count();
        let is_half = circuit.calls.len() >= JUDGED && failed * 2 >= circuit.calls.len();
        let opens = circuit.open_until.is_none() && (is_half || circuit.in_a_row >= IN_A_ROW);
        if self.is_probe || opens {
            circuit.open(now, cause);
        }
    }

    /// The provider works and wants no further request for this long.
    pub(super) fn limited(self, now: Duration, pause: Duration) {
        let mut circuit = self.breaker.0.lock();
        circuit.cooling_until = circuit.cooling_until.max(Some(now + pause));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.0.lock().is_probing = false;
        }
    }
}

impl Circuit {
    fn remember(&mut self, now: Duration, failed: bool) {
        self.calls.push_back((now, failed));
        while self.calls.len() > REMEMBERED || self.calls.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            self.calls.pop_front();
        }
    }

    fn open(&mut self, now: Duration, cause: &str) {
        let pause = SHORTEST_PAUSE.saturating_mul(1 << self.openings.min(10)).min(LONGEST_PAUSE);
        // Many processes that saw the same outage shall not probe at the same moment.
        self.open_until = Some(now + pause.mul_f64(rand::rng().random_range(0.8..=1.0)));
        self.openings += 1;
        cause.clone_into(&mut self.cause);
        self.calls.clear();
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fail(breaker: &Breaker, seconds: u64) {
        breaker.admit(at(seconds)).unwrap().failed(at(seconds), "HTTP 500");
    }

    fn succeed(breaker: &Breaker, seconds: u64) {
        breaker.admit(at(seconds)).unwrap().succeeded(at(seconds));
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        (0..4).for_each(|_| fail(&breaker, 0));
        assert!(breaker.admit(at(0)).is_ok());
        fail(&breaker, 0);
        assert!(matches!(breaker.admit(at(1)), Err(Closed::Open { cause, .. }) if cause == "HTTP 500"));
    }

    #[test]
    fn half_of_ten_calls_open_it_and_half_of_eight_do_not() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            succeed(&breaker, 0);
            fail(&breaker, 0);
        }
        assert!(breaker.admit(at(0)).is_ok());
        succeed(&breaker, 0);
        fail(&breaker, 0);
        assert!(breaker.admit(at(0)).is_err());
    }

    #[test]
    fn failures_of_earlier_minutes_are_forgotten() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            fail(&breaker, 0);
            succeed(&breaker, 0);
        }
        for _ in 0..3 {
            succeed(&breaker, 100);
        }
        fail(&breaker, 100);
        fail(&breaker, 100);
        assert!(breaker.admit(at(100)).is_ok());
    }

    #[test]
    fn one_probe_at_a_time_decides_whether_it_closes() {
        let breaker = Breaker::default();
        (0..5).for_each(|_| fail(&breaker, 0));
        let probe = breaker.admit(at(6)).unwrap();
        assert!(breaker.admit(at(6)).is_err(), "a second call during the probe");
        probe.succeeded(at(6));
        assert!(breaker.admit(at(6)).is_ok());
    }

    #[test]
    fn a_probe_that_was_cancelled_lets_the_next_one_through() {
        let breaker = Breaker::default();
        (0..5).for_each(|_| fail(&breaker, 0));
        drop(breaker.admit(at(6)).unwrap());
        assert!(breaker.admit(at(6)).is_ok());
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_five_minutes() {
        let breaker = Breaker::default();
        (0..5).for_each(|_| fail(&breaker, 0));
        let mut now = at(0);
        for expected in [5, 10, 20, 40, 80, 160, 300, 300] {
            let until = breaker.closed_until(now).unwrap();
            let pause = (until - now).as_secs_f64();
            assert!((0.8 * f64::from(expected)..=f64::from(expected)).contains(&pause), "{pause} of {expected}");
            now = until;
            breaker.admit(now).unwrap().failed(now, "HTTP 500");
        }
    }

    #[test]
    fn a_limit_of_the_provider_closes_it_for_as_long_as_the_provider_says() {
        let breaker = Breaker::default();
        breaker.admit(at(0)).unwrap().limited(at(0), at(7));
        assert_eq!(breaker.admit(at(6)).unwrap_err(), Closed::Cooling { until: at(7) });
        assert!(breaker.admit(at(7)).is_ok());
    }

    #[test]
    fn a_dropped_permit_counts_as_nothing() {
        let breaker = Breaker::default();
        (0..50).for_each(|_| drop(breaker.admit(at(0)).unwrap()));
        assert!(breaker.admit(at(0)).is_ok());
    }
}
