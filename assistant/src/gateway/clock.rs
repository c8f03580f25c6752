//! Time, so that tests need not wait.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::time::Duration;

/// Time as the gateway sees it. Deadlines of the network are real time whatever this says.
pub trait Clock: Send + Sync + 'static {
    /// The date, for prices, budgets and rows.
    fn now(&self) -> DateTime<Utc>;

    /// Time since the clock was made, which never runs backwards.
    fn elapsed(&self) -> Duration;

    /// A pause before a call is tried again.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;
}

/// The system's time.
#[derive(Debug)]
pub struct SystemClock(tokio::time::Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(pause))
    }
}
