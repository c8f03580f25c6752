//! The gateway to language models: every call of Headwater to a model goes through it.
//!
//! It takes a request with the shape of its answer and returns a document of that shape, or a typed failure. It knows nothing of pipelines.
//! Inside: named models with fallbacks, one retry loop, deadlines, a ladder of ways to get a document, circuit breakers, budgets, a cache
//! and a row for each call.
//!
//! Both interfaces go through async-openai (`byot`) over a transport of our own (`http`), made for each call: its default one would retry by
//! itself, lose headers and log bodies. Its streams end quietly where a connection breaks, so only an end marker makes an answer.

mod accounts;
mod allowance;
mod anthropic;
mod attempt;
mod breaker;
mod budget;
mod cache;
mod clock;
mod document;
mod failure;
mod flow;
mod http;
mod ladder;
mod ledger;
mod money;
mod openai;
mod recording;
mod reply;
mod request;
mod route;
#[cfg(any(test, feature = "testing"))]
pub mod scripted;
mod secret;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use accounts::Accounts;
use attempt::row;
use budget::Budgets;
use cache::Cache;
use flow::{Found, Run};
use route::{Route, Shared};
use settings::Key;

pub use allowance::Allowance;
pub use clock::{Clock, SystemClock};
pub use failure::{Cap, Deadline, Failure, Holder};
pub use ladder::Step;
pub use ledger::{CallOutcome, CallRow, Granted, Lease, Ledger, LedgerError};
pub use money::{Money, Price};
pub use recording::Recording;
pub use request::{Answer, Origin, Progress, Request, Role, Scope, Shape, Turn, Usage, Why, silent};
pub use secret::Secret;
pub use settings::{
    AssistantSettings, Budget, CacheSettings, Caps, Deadlines, GatewaySettings, ModelSettings, Provider, SettingsError,
};

/// What a caller gets to see of a request on its way.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);

/// The gateway of a process.
pub struct Gateway {
    assistant: AssistantSettings,
    routes: BTreeMap<String, Route>,
    budgets: Budgets,
    accounts: Accounts,
    cache: Cache,
    recording: Recording,
    clock: Arc<dyn Clock>,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelStatus {
    /// Its name in the settings.
    pub name: String,
    /// Which interface its server has.
    pub provider: Provider,
    /// Where its server is.
    pub base_url: String,
    /// The provider's name of it.
    pub model: String,
    /// Its key.
    pub key: KeyStatus,
    /// Models that are asked when it is down.
    pub fallbacks: Vec<String>,
    /// When it is asked again, if it is left alone now.
    pub closed_until: Option<DateTime<Utc>>,
    /// How documents are obtained from it, if that is known.
    pub step: Option<Step>,
    /// Whether a price holds today.
    pub has_price: bool,
    /// Whether the assistant uses it.
    pub is_default: bool,
}

/// What is known of a model's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// The settings name none.
    None,
    /// The variable that should hold it is not set.
    Missing(String),
    /// There is one.
    Set,
    /// The provider refused it.
    Refused,
}

/// What a model answered when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its name in the settings.
    pub model: String,
    /// How documents are obtained from it.
    pub step: Step,
    /// How long it took.
    pub latency_ms: u64,
    /// Tokens, if the server counts.
    pub usage: Option<Usage>,
    /// What it cost, if that is known.
    pub cost: Option<Money>,
}

impl Gateway {
    /// Starts a gateway; it has to be called inside of a runtime. [`Self::close`] ends it.
    ///
    /// # Errors
    /// No client can be made for a model.
    pub fn new(
        settings: GatewaySettings,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        let GatewaySettings { models, assistant } = settings;
        let mut circuits: HashMap<(String, String, String), Shared> = HashMap::new();
        let mut routes = BTreeMap::new();
        for (name, model) in models {
            let key = model.key.secret().map(|key| key.expose().to_owned()).unwrap_or_default();
            let of_key = |(url, _, other): &(String, String, String)| *url == model.base_url && *other == key;
            let of_model = |(url, id, _): &(String, String, String)| *url == model.base_url && *id == model.model;
            let refused = circuits.iter().find(|(at, _)| of_key(at)).map(|(_, shared)| Arc::clone(&shared.key_refused));
            let abilities =
                circuits.iter().find(|(at, _)| of_model(at)).map(|(_, shared)| Arc::clone(&shared.abilities));
            let fresh = Shared {
                key_refused: refused.unwrap_or_default(),
                abilities: abilities.unwrap_or_default(),
                ..Shared::default()
            };
            let at = (model.base_url.clone(), model.model.clone(), key);
            let shared = circuits.entry(at).or_insert(fresh).clone();
            routes.insert(name, Route::new(model, shared)?);
        }
        let budgets = Budgets::new(Arc::clone(&ledger), assistant.budget);
        let accounts = Accounts::start(ledger, budgets.clone());
        let cache = Cache::new(assistant.cache);
        Ok(Self { assistant, routes, budgets, accounts, cache, recording: Recording::Off, clock })
    }

    /// The same, with answers recorded or replayed.
    #[must_use]
    pub fn with_recording(self, recording: Recording) -> Self {
        Self { recording, ..self }
    }

    /// Whether one of the models is the assistant's.
    #[must_use]
    pub fn has_default(&self) -> bool {
        self.assistant.model.is_some()
    }

    /// Caps for the calls of one request of a person, from now on.
    #[must_use]
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.assistant.caps, self.clock.elapsed())
    }

    /// Asks a model. Dropping the future cancels the call; what it has cost until then is settled.
    ///
    /// # Errors
    /// Every way in which there is no document of the requested shape.
    pub async fn answer(&self, request: Request, progress: Listener<'_>) -> Result<Answer, Failure> {
        if let Some(outcome) = self.recording.replay(&request).await {
            return outcome;
        }
        let outcome = self.live(&request, progress).await;
        self.recording.keep(&request, &outcome).await?;
        outcome
    }

    /// Asks a model for next to nothing: whether it answers, and how documents are obtained from it. Uses no fallback and no cache.
    ///
    /// # Errors
    /// Why it doesn't answer.
    pub async fn check(&self, name: &str, scope: Scope) -> Result<Checked, Failure> {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["ok"], "properties": {"ok": {"type": "boolean"}}
        });
        let request = Request {
            scope,
            why: Why::Check,
            model: Some(name.to_owned()),
            system: include_str!("gateway/check.txt").trim_end().to_owned(),
            turns: vec![Turn::user("ok?")],
            shape: Shape { name: "check".to_owned(), schema },
            max_output: None,
            allowance: None,
        };
        let run = Run::new(&request, self.allowance(), &silent);
        let route = self.route(name)?;
        let found = flow::ask(self, route, &run, false).await?;
        Ok(Checked {
            model: name.to_owned(),
            step: found.step,
            latency_ms: u64::try_from(found.latency.as_millis()).unwrap_or(u64::MAX),
            usage: found.usage,
            cost: found.cost,
        })
    }

    /// The models of the settings, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<ModelStatus> {
        let today = self.clock.now().date_naive();
        let status = |route: &Route| {
            let model = &route.model;
            ModelStatus {
                name: model.name.clone(),
                provider: model.provider,
                base_url: model.base_url.clone(),
                model: model.model.clone(),
                key: match &model.key {
                    _ if route.shared.key_refused.load(Ordering::Relaxed) != 0 => KeyStatus::Refused,
                    Key::None => KeyStatus::None,
                    Key::Missing(variable) => KeyStatus::Missing(variable.clone()),
                    Key::Set(_) => KeyStatus::Set,
                },
                fallbacks: model.fallbacks.clone(),
                closed_until: route.shared.breaker.closed_until(self.clock.elapsed()).map(|until| self.time_of(until)),
                step: route.shared.abilities.lock().map(|abilities| abilities.step),
                has_price: Price::on(&model.prices, today).is_some(),
                is_default: self.assistant.model.as_ref() == Some(&model.name),
            }
        };
        self.routes.values().map(status).collect()
    }

    /// Writes the rows that wait and gives unspent budget back. Nothing is answered well after it.
    pub async fn close(&self) {
        self.accounts.close().await;
    }

    async fn live(&self, request: &Request, progress: Listener<'_>) -> Result<Answer, Failure> {
        check_turns(request)?;
        let name = request.model.as_ref().or(self.assistant.model.as_ref()).ok_or(Failure::NoModel)?;
        let first = self.route(name)?;
        let allowance = request.allowance.clone().unwrap_or_else(|| self.allowance());
        let run = Run::new(request, allowance, progress);
        // An evaluation that is repeated measures chance, which a cache would hide.
        let key = (request.why != Why::Eval).then(|| Cache::key(request, &first.model));
        if let Some(answer) = self.cached(key.as_ref(), first, &run).await {
            return Ok(answer);
        }
        let (route, found) = self.first_that_answers(first, &run).await?;
        // A fallback's answer is not the one that the model of the key would give.
        if let Some(key) = key.filter(|_| route.model.name == first.model.name) {
            self.cache.put(key, found.document.clone(), found.text).await;
        }
        Ok(Answer {
            document: found.document,
            model: route.model.name.clone(),
            usage: found.usage,
            cost: found.cost,
            origin: Origin::Model,
            id: found.id,
        })
    }

    /// The first model of the chain that answers. If none does, the failure is that of the first one, which is the one to repair.
    async fn first_that_answers(&self, first: &Route, run: &Run<'_>) -> Result<(&Route, Found), Failure> {
        let chain = self.chain(&first.model.name);
        let mut earlier = None;
        for (n, route) in chain.iter().enumerate() {
            match flow::ask(self, route, run, n + 1 < chain.len()).await {
                Ok(found) => return Ok((route, found)),
                Err(failure) if failure.allows_fallback() => earlier = earlier.or(Some(failure)),
                Err(failure) => return Err(failure),
            }
        }
        Err(earlier.unwrap_or(Failure::NoModel))
    }

    async fn cached(&self, key: Option<&[u8; 32]>, route: &Route, run: &Run<'_>) -> Option<Answer> {
        use sha2::Digest as _;
        let cached = self.cache.get(key?).await?;
        let row = CallRow {
            cache_hit: true,
            answer_hash: Some(hex::encode(sha2::Sha256::digest(&cached.text))),
            answer_text: self.assistant.keep_text.then(|| cached.text.clone()),
            ..row(self, route, run, uuid::Uuid::now_v7(), self.clock.now())
        };
        let id = row.id;
        self.accounts.add(row);
        Some(Answer {
            document: cached.document.clone(),
            model: route.model.name.clone(),
            usage: Some(Usage::default()),
            cost: Some(Money(0)),
            origin: Origin::Cache,
            id,
        })
    }

    fn route(&self, name: &str) -> Result<&Route, Failure> {
        self.routes.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.routes.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Failure::UnknownModel { model: secret::shown(name, None), known }
        })
    }

    /// A model, its fallbacks, theirs, each once.
    fn chain(&self, name: &str) -> Vec<&Route> {
        let mut chain: Vec<&Route> = Vec::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            let Some(route) = self.routes.get(name).filter(|_| chain.iter().all(|route| route.model.name != name))
            else {
                continue;
            };
            chain.push(route);
            open.extend(route.model.fallbacks.iter().rev().map(String::as_str));
        }
        chain
    }

    /// The date of a moment on the clock.
    fn time_of(&self, moment: Duration) -> DateTime<Utc> {
        let ahead = moment.saturating_sub(self.clock.elapsed());
        chrono::Duration::from_std(ahead)
            .ok()
            .and_then(|ahead| self.clock.now().checked_add_signed(ahead))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// A provider would refuse other conversations.
fn check_turns(request: &Request) -> Result<(), Failure> {
    let is_user = |turn: Option<&Turn>| turn.is_some_and(|turn| turn.role == Role::User);
    let name = &request.shape.name;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let problem = if !is_user(request.turns.first()) || !is_user(request.turns.last()) {
        "its turns don't begin and end with the person"
    } else if request.turns.iter().any(|turn| turn.text.trim().is_empty()) {
        "a turn is empty"
    } else if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        "the name of its shape is none that providers take"
    } else {
        return Ok(());
    };
    Err(Failure::Invalid { problem: problem.to_owned() })
}
