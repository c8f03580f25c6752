//! From a request to an outcome at one model: the one retry loop, the ladder, and what each failure leads to.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::Rng as _;
use serde_json::Value;
use tracing::Instrument as _;

use super::Gateway;
use super::allowance::Allowance;
use super::attempt::{Attempt, most};
use super::breaker::{Closed, Permit};
use super::document::{extract, follows, parse};
use super::failure::{Deadline, Failure};
use super::http::{Broken, Complaint, MAX_ANSWER_BYTES};
use super::ladder::{Abilities, Meaning, Step};
use super::ledger::CallOutcome;
use super::money::{Money, Price};
use super::reply::{End, Reply};
use super::request::{Progress, Request, Usage};
use super::route::{Call, Route};
use super::secret::shown;
use super::settings::Key;

/// What a model reads where the server doesn't hold it to a schema.
const INSTRUCTION: &str = include_str!("instruction.txt");

/// The pause before the first retry, when the provider names none. It doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A request on its way.
pub(super) struct Run<'a> {
    pub(super) request: &'a Request,
    pub(super) hash: String,
    pub(super) allowance: Allowance,
    /// What the model reads, in bytes.
    pub(super) bytes: u64,
    pub(super) progress: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    schema: String,
}

/// A document and how it was obtained.
pub(super) struct Found {
    pub(super) document: Value,
    pub(super) text: String,
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<Money>,
    pub(super) id: uuid::Uuid,
    pub(super) step: Step,
    pub(super) latency: Duration,
}

/// Why a call gave no document, and what follows from it.
enum Trouble {
    /// Nothing helps at this model.
    Final(Failure),
    /// Another try may help after a pause.
    Again(Duration, Failure),
    /// Less may help. `true` if the server lacks a feature, `false` if it refuses this schema.
    Less(Abilities, bool),
}

impl<'a> Run<'a> {
    pub(super) fn new(
        request: &'a Request,
        allowance: Allowance,
        progress: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Self {
        let schema = request.shape.schema.to_string();
        let turns: usize = request.turns.iter().map(|turn| turn.text.len() + 16).sum();
        let bytes = (request.system.len() + turns + schema.len() + INSTRUCTION.len()) as u64;
        Self { request, hash: request.hash(), allowance, bytes, progress, schema }
    }

    /// What the model is to do, with the schema in it for servers that take none.
    fn system(&self, step: Step) -> Cow<'_, str> {
        if step.needs_schema_in_text() {
            format!("{}\n\n{}\n{}", self.request.system, INSTRUCTION.trim_end(), self.schema).into()
        } else {
            self.request.system.as_str().into()
        }
    }
}

/// Asks one model until it answers or nothing helps any more.
pub(super) async fn ask(gateway: &Gateway, route: &Route, run: &Run<'_>, has_fallback: bool) -> Result<Found, Failure> {
    let started = gateway.clock.elapsed();
    let mut abilities = route.abilities();
    let mut is_lasting = true;
    let mut failures = 0;
    loop {
        let spent = gateway.clock.elapsed().saturating_sub(started);
        let left = route.model.total.saturating_sub(spent);
        if left.is_zero() {
            return Err(too_slow(route, Deadline::Total));
        }
        let once = Once { gateway, route, run, abilities, left, has_fallback, failures };
        match once.ask().await {
            Ok(found) => {
                if is_lasting {
                    *route.shared.abilities.lock() = Some(abilities);
                }
                return Ok(found);
            }
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Less(less, lasts)) => {
                abilities = less;
                is_lasting &= lasts;
            }
            Err(Trouble::Again(pause, failure)) => {
                failures += 1;
                let left = left.min(run.allowance.left(gateway.clock.elapsed())?);
                if failures > route.model.retries || pause >= left {
                    return Err(failure);
                }
                (run.progress)(Progress::Waiting(pause));
                gateway.clock.sleep(pause).await;
            }
        }
    }
}

/// One call and its judgement.
struct Once<'a> {
    gateway: &'a Gateway,
    route: &'a Route,
    run: &'a Run<'a>,
    abilities: Abilities,
    left: Duration,
    has_fallback: bool,
    failures: u32,
}

impl Once<'_> {
    async fn ask(&self) -> Result<Found, Trouble> {
        let Self { gateway, route, run, .. } = *self;
        self.key()?;
        let left = self.left.min(run.allowance.left(gateway.clock.elapsed()).map_err(Trouble::Final)?);
        let permit = route.shared.breaker.admit(gateway.clock.elapsed()).map_err(|closed| self.closed(&closed))?;
        let model = &route.model;
        let longest = run.request.max_output.unwrap_or(model.max_output).min(model.max_output).max(1);
        let attempt = self.pay(longest).await?;
        (run.progress)(Progress::Started { model: &model.name, call: run.allowance.calls() });
        let call = Call {
            request: run.request,
            system: &run.system(self.abilities.step),
            abilities: self.abilities,
            longest,
            left,
            now: gateway.clock.now(),
            meter: &attempt.meter,
            on_text: &|text| (run.progress)(Progress::Text(text)),
        };
        let span = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = model.provider.name(),
            gen_ai.request.model = %model.model,
            gen_ai.request.max_tokens = longest,
            gen_ai.usage.input_tokens = tracing::field::Empty,
            gen_ai.usage.output_tokens = tracing::field::Empty,
        );
        match route.call(call).instrument(span.clone()).await {
            Ok(mut reply) => {
                permit.succeeded(gateway.clock.elapsed());
                reply.usage = reply.usage.filter(Usage::is_possible);
                if let Some(usage) = reply.usage {
                    span.record("gen_ai.usage.input_tokens", usage.input + usage.cached + usage.cache_write);
                    span.record("gen_ai.usage.output_tokens", usage.output);
                }
                self.judge(attempt, &reply, longest)
            }
            Err(broken) => {
                let (outcome, trouble) = self.read(broken, permit);
                attempt.close(outcome, None, None);
                Err(trouble)
            }
        }
    }

    /// A key that was refused is not tried again.
    fn key(&self) -> Result<(), Trouble> {
        let model = &self.route.model;
        if let Key::Missing(variable) = &model.key {
            let failure = Failure::KeyMissing { model: model.name.clone(), variable: Some(variable.clone()) };
            return Err(Trouble::Final(failure));
        }
        match self.route.shared.key_refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            status => Err(Trouble::Final(self.wrong_key(status))),
        }
    }

    fn wrong_key(&self, status: u16) -> Failure {
        let model = self.route.model.name.clone();
        match self.route.model.key {
            Key::None => Failure::KeyMissing { model, variable: None },
            _ => Failure::WrongKey { model, status },
        }
    }

    /// Takes one call of the allowance and reserves what it may cost.
    async fn pay(&self, longest: u32) -> Result<Attempt<'_>, Trouble> {
        let Self { gateway, route, run, .. } = *self;
        let day = gateway.clock.now().date_naive();
        let price = Price::on(&route.model.prices, day);
        let most = match most(price, run, longest) {
            Some(most) => most,
            None if gateway.budgets.has_limit() || run.allowance.has_money_cap() => {
                return Err(Trouble::Final(Failure::PriceUnknown { model: route.model.name.clone() }));
            }
            None => 0,
        };
        let reservation = gateway.budgets.reserve(&run.request.scope, day, most).await.map_err(Trouble::Final)?;
        run.allowance.take(most).map_err(Trouble::Final)?;
        Ok(Attempt::start(gateway, route, run, price, reservation))
    }

    /// What a closed circuit means: waiting helps if the provider said for how long, and if no other model can be asked.
    fn closed(&self, closed: &Closed) -> Trouble {
        let model = self.route.model.name.clone();
        let now = self.gateway.clock.elapsed();
        match closed {
            Closed::Open { until, cause } => {
                let cause = format!("it failed too often; last: {cause}");
                Trouble::Final(Failure::Down { model, cause, retry_at: self.gateway.time_of(*until) })
            }
            Closed::Cooling { until } => {
                let failure = Failure::RateLimited { model, retry_at: self.gateway.time_of(*until) };
                if self.has_fallback {
                    Trouble::Final(failure)
                } else {
                    Trouble::Again(until.saturating_sub(now), failure)
                }
            }
        }
    }

    /// What an answer is worth.
    fn judge(&self, attempt: Attempt<'_>, reply: &Reply, longest: u32) -> Result<Found, Trouble> {
        let model = self.route.model.name.clone();
        let text = if reply.tool.is_empty() { &reply.text } else { &reply.tool };
        let (outcome, failure) = match reply.end {
            Some(End::Truncated) => (CallOutcome::Truncated, Failure::Truncated { model, limit: longest }),
            Some(End::Filtered) => (CallOutcome::Filtered, Failure::Filtered { model }),
            Some(End::Refused) => {
                let words = if reply.refusal.is_empty() { &reply.text } else { &reply.refusal };
                (CallOutcome::Refused, Failure::Refused { model, reason: shown(words, self.route.model.key.secret()) })
            }
            Some(End::Done) | None => match self.document(text, &model) {
                Ok(document) => {
                    let (id, latency) = (attempt.id, attempt.meter.latency());
                    let cost = attempt.close(CallOutcome::Answered, reply.usage, Some(text));
                    let (text, usage, step) = (text.clone(), reply.usage, self.abilities.step);
                    return Ok(Found { document, text, usage, cost, id, step, latency });
                }
                Err(found) => found,
            },
        };
        attempt.close(outcome, reply.usage, Some(text));
        let is_junk = matches!(outcome, CallOutcome::NotJson | CallOutcome::WrongShape);
        // The server took the schema and didn't hold the model to it, and the model never read it.
        match self.abilities.below(self.route.model.provider) {
            Some(less) if is_junk && !self.abilities.step.needs_schema_in_text() => Err(Trouble::Less(less, true)),
            _ => Err(Trouble::Final(failure)),
        }
    }

    fn document(&self, text: &str, model: &str) -> Result<Value, (CallOutcome, Failure)> {
        let parsed = if self.abilities.step.needs_schema_in_text() {
            parse(text).or_else(|_| extract(text))
        } else {
            parse(text)
        };
        let document =
            parsed.map_err(|problem| (CallOutcome::NotJson, Failure::NotJson { model: model.to_owned(), problem }))?;
        match follows(&document, &self.run.request.shape.schema) {
            Ok(()) => Ok(document),
            Err(found) => {
                let (at, problem) = (found.at, shown(&found.problem, None));
                Err((CallOutcome::WrongShape, Failure::WrongShape { model: model.to_owned(), at, problem }))
            }
        }
    }

    /// What a call without an answer means, for the row, for the breaker and for the loop.
    fn read(&self, broken: Broken, permit: Permit) -> (CallOutcome, Trouble) {
        let model = || self.route.model.name.clone();
        let now = self.gateway.clock.elapsed();
        let down =
            |cause: String| Failure::Down { model: model(), cause, retry_at: self.gateway.time_of(now + self.pause()) };
        match broken {
            Broken::Provider(complaint) => self.complaint(complaint, permit),
            Broken::Connect(ref cause) | Broken::Transport(ref cause) => {
                // Without a connection nothing was sent. A connection that broke may have carried a request that is charged.
                let was_sent = matches!(broken, Broken::Transport(_));
                let outcome = if was_sent { CallOutcome::Broken } else { CallOutcome::Unavailable };
                let cause = shown(cause, self.route.model.key.secret());
                permit.failed(now, &cause);
                (outcome, Trouble::Again(self.pause(), down(cause)))
            }
            Broken::Cut => {
                permit.failed(now, "its answer broke off");
                (CallOutcome::Broken, Trouble::Again(self.pause(), Failure::Cut { model: model() }))
            }
            Broken::Slow(Deadline::Connect) => {
                permit.failed(now, "it didn't open a connection in time");
                // Nothing was sent, so nothing is charged.
                (CallOutcome::Unavailable, Trouble::Again(self.pause(), too_slow(self.route, Deadline::Connect)))
            }
            Broken::Slow(deadline) => {
                // If the person's request is over its time, it need not be the provider's fault.
                let over = self.run.allowance.left(now).err().filter(|_| deadline == Deadline::Total);
                if over.is_none() {
                    permit.failed(now, "it was too slow");
                }
                (CallOutcome::TooSlow, Trouble::Final(over.unwrap_or_else(|| too_slow(self.route, deadline))))
            }
            Broken::TooLarge => {
                let failure = Failure::TooLarge { model: model(), limit: MAX_ANSWER_BYTES as u64 };
                (CallOutcome::Broken, Trouble::Final(failure))
            }
            Broken::NotAnApi(problem) => {
                permit.failed(now, "it is no model server");
                (CallOutcome::Broken, Trouble::Final(Failure::NotAnApi { model: model(), problem }))
            }
        }
    }

    fn complaint(&self, complaint: Complaint, permit: Permit) -> (CallOutcome, Trouble) {
        let model = self.route.model.name.clone();
        let now = self.gateway.clock.elapsed();
        let message = shown(&complaint.message, self.route.model.key.secret());
        let pause = complaint.retry_after.unwrap_or_else(|| self.pause());
        let retry_at = self.gateway.time_of(now + pause);
        match complaint.status {
            status @ (401 | 403) => {
                self.route.shared.key_refused.store(status, Ordering::Relaxed);
                (CallOutcome::WrongKey, Trouble::Final(self.wrong_key(status)))
            }
            402 => (CallOutcome::Rejected, Trouble::Final(Failure::OutOfCredit { model })),
            429 if complaint.code.contains("insufficient_quota") => {
                (CallOutcome::Rejected, Trouble::Final(Failure::OutOfCredit { model }))
            }
            429 => {
                match complaint.retry_after {
                    Some(pause) => permit.limited(now, pause),
                    None => permit.failed(now, "HTTP 429"),
                }
                (CallOutcome::RateLimited, Trouble::Again(pause, Failure::RateLimited { model, retry_at }))
            }
            status if status == 408 || status >= 500 => {
                let cause = format!("HTTP {status}: {message}");
                permit.failed(now, &cause);
                (CallOutcome::Unavailable, Trouble::Again(pause, Failure::Down { model, cause, retry_at }))
            }
            status => {
                let failure = Failure::Rejected { model: model.clone(), status, message };
                let trouble = match self.abilities.read(&complaint, &self.route.model) {
                    Meaning::Lacks(less) => Trouble::Less(less, true),
                    Meaning::RefusesSchema(less) => Trouble::Less(less, false),
                    Meaning::TooLong => Trouble::Final(Failure::TooLong { model }),
                    Meaning::Other => Trouble::Final(failure),
                };
                (CallOutcome::Rejected, trouble)
            }
        }
    }

    /// Our own pause, where the provider names none: doubled each time, with chance in it.
    fn pause(&self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

fn too_slow(route: &Route, deadline: Deadline) -> Failure {
    let model = &route.model;
    let after = match deadline {
        Deadline::Connect => model.connect,
        Deadline::FirstToken => model.first_token,
        Deadline::Silence => model.silence,
        Deadline::Total => model.total,
    };
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    Failure::TooSlow { model: model.name.clone(), deadline, after_ms }
}
