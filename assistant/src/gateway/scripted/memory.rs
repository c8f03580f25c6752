//! A ledger and a clock without a database and without waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::super::clock::Clock;
use super::super::failure::Holder;
use super::super::ledger::{CallRow, Granted, Lease, Ledger, LedgerError};
use super::super::money::Money;

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// What is leased by workspace, person and day.
    leased: HashMap<(String, String, NaiveDate), u64>,
    leases: usize,
    rows: Vec<CallRow>,
    /// Rows that were written, kept or not.
    written: u64,
    keeps_none: bool,
    batches: usize,
    refused: usize,
    is_down: bool,
}

impl MemoryLedger {
    /// One that counts rows and keeps none, however long it is used.
    #[must_use]
    pub fn counting() -> Self {
        Self(Mutex::new(Books { keeps_none: true, ..Books::default() }))
    }

    /// How many rows were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.lock().written
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> Vec<CallRow> {
        self.0.lock().rows.clone()
    }

    /// What counts as spent in all, with leases that were not given back.
    #[must_use]
    pub fn spent(&self) -> Money {
        Money(self.0.lock().leased.values().sum())
    }

    /// How often something was leased, and how often rows were written.
    #[must_use]
    pub fn visits(&self) -> (usize, usize) {
        let books = self.0.lock();
        (books.leases, books.batches)
    }

    /// How often writing rows failed.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.0.lock().refused
    }

    /// Fails from now on, or works again.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().is_down = is_down;
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn lease(&self, lease: Lease) -> Result<Granted, LedgerError> {
        let mut books = self.0.lock();
        if books.is_down {
            return Err(LedgerError("scripted".to_owned()));
        }
        books.leases += 1;
        let sum = |all: bool| -> u64 {
            let is_meant = |(workspace, person, day): &(String, String, NaiveDate)| {
                *workspace == lease.workspace && *day == lease.day && (all || *person == lease.person)
            };
            books.leased.iter().filter(|(at, _)| is_meant(at)).map(|(_, nanos)| nanos).sum()
        };
        let left = |limit: Option<Money>, used: u64| limit.map_or(u64::MAX, |limit| limit.0.saturating_sub(used));
        let (workspace, person) = (left(lease.workspace_limit, sum(true)), left(lease.person_limit, sum(false)));
        let granted = lease.wanted.0.min(workspace).min(person);
        let holder = if person < workspace { Holder::Person } else { Holder::Workspace };
        *books.leased.entry((lease.workspace, lease.person, lease.day)).or_default() += granted;
        Ok(Granted { money: Money(granted), exhausted: (granted < lease.wanted.0).then_some(holder) })
    }

    async fn give_back(
        &self,
        workspace: &str,
        person: &str,
        day: NaiveDate,
        unspent: Money,
    ) -> Result<(), LedgerError> {
        let mut books = self.0.lock();
        let leased = books.leased.entry((workspace.to_owned(), person.to_owned(), day)).or_default();
        *leased = leased.saturating_sub(unspent.0);
        Ok(())
    }

    async fn record(&self, rows: Vec<CallRow>) -> Result<(), LedgerError> {
        let mut books = self.0.lock();
        if books.is_down {
            books.refused += 1;
            return Err(LedgerError("scripted".to_owned()));
        }
        books.batches += 1;
        books.written += rows.len() as u64;
        if !books.keeps_none {
            books.rows.extend(rows);
        }
        Ok(())
    }
}

/// A clock that moves when it is told to, and when somebody sleeps by it.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    start: DateTime<Utc>,
    elapsed: Duration,
    pauses: Vec<Duration>,
}

impl ManualClock {
    /// A clock that stands at a time.
    #[must_use]
    pub fn at(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Hands { start, elapsed: Duration::ZERO, pauses: Vec::new() })))
    }

    /// Moves it.
    pub fn advance(&self, time: Duration) {
        self.0.lock().elapsed += time;
    }

    /// How long somebody slept by it, each time.
    #[must_use]
    pub fn pauses(&self) -> Vec<Duration> {
        self.0.lock().pauses.clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        let hands = self.0.lock();
        hands.start + hands.elapsed
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().elapsed
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        let mut hands = self.0.lock();
        hands.elapsed += pause;
        hands.pauses.push(pause);
        Box::pin(std::future::ready(()))
    }
}
