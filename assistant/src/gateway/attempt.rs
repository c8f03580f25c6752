//! One call with its money and its row: however it ends, dropped futures included, it is settled once and written once.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Gateway;
use super::budget::Reservation;
use super::flow::Run;
use super::ledger::{CallOutcome, CallRow};
use super::money::{Money, Price};
use super::request::Usage;
use super::route::{Meter, Route};

/// Bytes that a token has at least, for estimates that are too high rather than too low.
const BYTES_OF_A_TOKEN: u64 = 3;

/// A call that runs.
pub(super) struct Attempt<'a> {
    gateway: &'a Gateway,
    route: &'a Route,
    run: &'a Run<'a>,
    price: Option<&'a Price>,
    reservation: Reservation,
    at: DateTime<Utc>,
    pub(super) id: Uuid,
    pub(super) meter: Meter,
    is_closed: bool,
}

/// What a call may cost at most; `None` without a price.
pub(super) fn most(price: Option<&Price>, run: &Run<'_>, longest: u32) -> Option<u64> {
    let usage = Usage { input: estimate(run.bytes), output: u64::from(longest), ..Usage::default() };
    // Writing to a provider's cache costs more than reading the request does.
    let written = Usage { cache_write: usage.input, input: 0, ..usage };
    price.map(|price| price.cost(&usage).max(price.cost(&written)).0)
}

fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_OF_A_TOKEN)
}

impl<'a> Attempt<'a> {
    pub(super) fn start(
        gateway: &'a Gateway,
        route: &'a Route,
        run: &'a Run<'a>,
        price: Option<&'a Price>,
        reservation: Reservation,
    ) -> Self {
        let at = gateway.clock.now();
        Self {
            gateway,
            route,
            run,
            price,
            reservation,
            at,
            id: Uuid::now_v7(),
            meter: Meter::start(),
            is_closed: false,
        }
    }

    /// Settles the call and writes its row. Returns the cost, if it is known.
    pub(super) fn close(mut self, outcome: CallOutcome, usage: Option<Usage>, text: Option<&str>) -> Option<Money> {
        self.settle(outcome, usage, text)
    }

    fn settle(&mut self, outcome: CallOutcome, usage: Option<Usage>, text: Option<&str>) -> Option<Money> {
        self.is_closed = true;
        let cost = self.cost(outcome, usage);
        let charged = cost.unwrap_or_else(|| self.estimated());
        self.run.allowance.settle(self.reservation.nanos(), charged.0);
        self.reservation.spend(charged.0);
        let row = CallRow {
            usage,
            cost,
            charged,
            latency_ms: millis(self.meter.latency()),
            first_token_ms: self.meter.first_token().map(millis),
            outcome,
            answer_hash: text.map(|text| hex::encode(Sha256::digest(text))),
            answer_text: text.filter(|_| self.gateway.assistant.keep_text).map(str::to_owned),
            ..row(self.gateway, self.route, self.run, self.id, self.at)
        };
        self.gateway.accounts.add(row);
        cost
    }

    fn cost(&self, outcome: CallOutcome, usage: Option<Usage>) -> Option<Money> {
        use CallOutcome::{RateLimited, Rejected, Unavailable, WrongKey};
        let was_refused = matches!(outcome, RateLimited | Rejected | Unavailable | WrongKey);
        match (self.price, usage) {
            (Some(price), _) if price.is_free() => Some(Money(0)),
            (Some(price), Some(usage)) => Some(price.cost(&usage)),
            // Providers charge nothing for what they don't answer.
            _ if was_refused && self.meter.received() == 0 => Some(Money(0)),
            _ => None,
        }
    }

    /// What the call cost as far as can be guessed: all of the request, and the part of the answer that came.
    fn estimated(&self) -> Money {
        let output = estimate(self.meter.received());
        let usage = Usage { input: estimate(self.run.bytes), output, ..Usage::default() };
        self.price.map(|price| price.cost(&usage)).unwrap_or_default()
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_closed {
            self.settle(CallOutcome::Cancelled, None, None);
        }
    }
}

/// A row with what is known before the call: the one of an answer from the cache.
pub(super) fn row(gateway: &Gateway, route: &Route, run: &Run<'_>, id: Uuid, at: DateTime<Utc>) -> CallRow {
    let scope = &run.request.scope;
    CallRow {
        id,
        at,
        workspace: scope.workspace.clone(),
        person: scope.person.clone(),
        why: run.request.why,
        feature: scope.feature.clone(),
        model: route.model.name.clone(),
        provider: route.model.provider.name(),
        provider_model: route.model.model.clone(),
        prompt_version: scope.prompt_version.clone(),
        usage: Some(Usage::default()),
        cost: Some(Money(0)),
        charged: Money(0),
        latency_ms: 0,
        first_token_ms: None,
        cache_hit: false,
        outcome: CallOutcome::Answered,
        request_hash: run.hash.clone(),
        answer_hash: None,
        request_text: gateway.assistant.keep_text.then(|| run.request.text()),
        answer_text: None,
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
