//! Budgets: leased in chunks, reserved before a call and settled after it, all in memory.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use parking_lot::Mutex;

use super::failure::{Failure, Holder};
use super::ledger::{Lease, Ledger};
use super::money::Money;
use super::request::Scope;
use super::settings::Budget;

/// What a process leases at once at least: ten cents. So much stays unused by others while a process holds it.
const CHUNK: u64 = 100_000_000;

/// Leases of one process.
#[derive(Clone)]
pub(super) struct Budgets(Arc<Inner>);

struct Inner {
    ledger: Arc<dyn Ledger>,
    limits: Budget,
    accounts: Mutex<HashMap<Account, Balance>>,
}

/// Who pays on which day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Account {
    workspace: String,
    person: String,
    day: NaiveDate,
}

#[derive(Debug, Default)]
struct Balance {
    /// Leased and not reserved. Below nothing after a call that cost more than was reserved for it: the next lease makes up for it.
    free: i128,
    /// Calls that run.
    reservations: usize,
    was_used: bool,
}

/// Money of a call that runs. Dropping it gives everything back.
pub(super) struct Reservation {
    budgets: Budgets,
    account: Account,
    nanos: u64,
    spent: u64,
}

impl Budgets {
    pub(super) fn new(ledger: Arc<dyn Ledger>, limits: Budget) -> Self {
        Self(Arc::new(Inner { ledger, limits, accounts: Mutex::default() }))
    }

    /// Whether anything is limited.
    pub(super) fn has_limit(&self) -> bool {
        self.0.limits.workspace.is_some() || self.0.limits.person.is_some()
    }

    /// Reserves what a call may cost at most.
    pub(super) async fn reserve(&self, scope: &Scope, day: NaiveDate, nanos: u64) -> Result<Reservation, Failure> {
        let account = Account { workspace: scope.workspace.clone(), person: scope.person.clone(), day };
        if let Some(missing) = self.take(&account, nanos) {
            self.lease(&account, nanos, missing).await?;
        }
        Ok(Reservation { budgets: self.clone(), account, nanos, spent: 0 })
    }

    /// Takes from what is leased. Returns what is missing, if it is not enough; nothing is taken then.
    fn take(&self, account: &Account, nanos: u64) -> Option<u64> {
        let mut accounts = self.0.accounts.lock();
        let balance = accounts.entry(account.clone()).or_default();
        balance.was_used = true;
        let left = balance.free - i128::from(nanos);
        if left < 0 && self.has_limit() {
            return Some(u64::try_from(-left).unwrap_or(u64::MAX));
        }
        balance.free = left;
        balance.reservations += 1;
        None
    }

    async fn lease(&self, account: &Account, nanos: u64, missing: u64) -> Result<(), Failure> {
        let lease = Lease {
            workspace: account.workspace.clone(),
            person: account.person.clone(),
            day: account.day,
            wanted: Money(missing.max(CHUNK)),
            workspace_limit: self.0.limits.workspace,
            person_limit: self.0.limits.person,
        };
        let granted =
            self.0.ledger.lease(lease).await.map_err(|error| Failure::Ledger { problem: error.to_string() })?;
        {
            let mut accounts = self.0.accounts.lock();
            let balance = accounts.entry(account.clone()).or_default();
            balance.free += i128::from(granted.money.0);
        }
        if self.take(account, nanos).is_none() {
            return Ok(());
        }
        let next = account.day.succ_opt().unwrap_or(account.day);
        Err(Failure::OverBudget {
            whose: granted.exhausted.unwrap_or(Holder::Workspace),
            needed: Money(nanos),
            resets_at: next.and_time(chrono::NaiveTime::MIN).and_utc(),
        })
    }

    /// Gives back what is leased and was not used since the last time; all of it when the process ends.
    pub(super) async fn give_back(&self, is_end: bool) {
        let idle: Vec<(Account, i128)> = {
            let mut accounts = self.0.accounts.lock();
            let is_idle = |balance: &mut Balance| {
                let was_used = std::mem::take(&mut balance.was_used);
                balance.reservations == 0 && (is_end || !was_used)
            };
            let idle: Vec<Account> = accounts
                .iter_mut()
                .filter_map(|(account, balance)| is_idle(balance).then(|| account.clone()))
                .collect();
            idle.into_iter()
                .filter_map(|account| accounts.remove(&account).map(|balance| (account, balance.free)))
                .collect()
        };
        if !self.has_limit() {
            return;
        }
        for (account, free) in idle {
            let Account { workspace, person, day } = &account;
            let done = match u64::try_from(free) {
                Ok(0) => Ok(()),
                Ok(unspent) => self.0.ledger.give_back(workspace, person, *day, Money(unspent)).await,
                // More was spent than leased: leased now without a limit, so that it counts.
                Err(_) => {
                    let wanted = Money(u64::try_from(-free).unwrap_or(u64::MAX));
                    let (workspace, person, day) = (workspace.clone(), person.clone(), *day);
                    let lease = Lease { workspace, person, day, wanted, workspace_limit: None, person_limit: None };
                    self.0.ledger.lease(lease).await.map(|_| ())
                }
            };
            if let Err(error) = done {
                tracing::warn!(error = %error, "a part of a budget could not be given back; it counts as spent until tomorrow");
            }
        }
    }
}

impl Reservation {
    /// What is reserved.
    pub(super) fn nanos(&self) -> u64 {
        self.nanos
    }

    /// Says what the call cost.
    pub(super) fn spend(&mut self, nanos: u64) {
        self.spent = nanos;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut accounts = self.budgets.0.accounts.lock();
        let balance = accounts.entry(self.account.clone()).or_default();
        balance.free += i128::from(self.nanos) - i128::from(self.spent);
        balance.reservations = balance.reservations.saturating_sub(1);
        balance.was_used = true;
    }
}
