//! The way to one model: its endpoint, what is known of it, and one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::traits::RequestOptionsBuilder as _;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::breaker::Breaker;
use super::failure::Deadline;
use super::http::{Broken, Complaint, Transport, Watch};
use super::ladder::Abilities;
use super::reply::Reply;
use super::request::Request;
use super::settings::{Model, Provider, SettingsError};
use super::{anthropic, openai};

/// The usage of a stream follows its end at once, if at all.
const USAGE_FOLLOWS: Duration = Duration::from_secs(2);

/// So does the end of the body. A connection whose body was read to its end serves the next call.
const BODY_ENDS: Duration = Duration::from_millis(50);

/// What models that share a server, a model or a key know together.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) breaker: Breaker,
    /// The status that refused the key; 0 if none did.
    pub(super) key_refused: Arc<AtomicU16>,
    pub(super) abilities: Arc<Mutex<Option<Abilities>>>,
}

/// The way to one model.
pub(super) struct Route {
    pub(super) model: Model,
    pub(super) shared: Shared,
    http: reqwest::Client,
    endpoint: Arc<dyn Config>,
}

impl Route {
    pub(super) fn new(model: Model, shared: Shared) -> Result<Self, SettingsError> {
        let wrong = |problem: String| SettingsError { setting: format!("models.{}", model.name), problem };
        // A redirect would carry the key to another host, and there is one retry loop, which is ours.
        let http = reqwest::Client::builder()
            .connect_timeout(model.connect)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(format!("no client can be made: {error}")))?;
        let endpoint = Arc::new(Endpoint::new(&model).map_err(|_| wrong("the key is no header value".to_owned()))?);
        Ok(Self { model, shared, http, endpoint })
    }

    /// What the server can do, as far as it is known.
    pub(super) fn abilities(&self) -> Abilities {
        self.shared.abilities.lock().unwrap_or_else(|| Abilities::assumed(&self.model))
    }

    /// Makes one call and nothing else: no retry, no fallback.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Reply, Broken> {
        let system = call.system;
        match self.model.provider {
            Provider::OpenAi => {
                let body = openai::body(&self.model, call.request, system, call.abilities, call.longest);
                self.send(&call, &body).await
            }
            Provider::Anthropic => {
                let body = anthropic::body(&self.model, call.request, system, call.abilities, call.longest);
                self.send(&call, &body).await
            }
        }
    }

    async fn send<B: Serialize + Sync>(&self, call: &Call<'_>, body: &B) -> Result<Reply, Broken> {
        let watch = Arc::new(Watch::default());
        let transport = Transport {
            client: self.http.clone(),
            watch: Arc::clone(&watch),
            streams: self.model.stream,
            now: call.now,
        };
        let client = Client::build(self.http.clone(), Arc::clone(&self.endpoint)).with_http_service(transport);
        let answer = async {
            if self.model.stream { self.stream(&client, call, body).await } else { self.whole(&client, body).await }
        };
        let answer = timeout(call.left, answer).await.unwrap_or(Err(Broken::Slow(Deadline::Total)));
        // What the transport saw says more than what async-openai made of it.
        match answer {
            Err(Broken::Cut) => Err(watch.take().unwrap_or(Broken::Cut)),
            answer => answer,
        }
    }

    async fn whole<B: Serialize>(&self, client: &Client<Arc<dyn Config>>, body: &B) -> Result<Reply, Broken> {
        let mut chat = client.chat();
        if self.model.provider == Provider::Anthropic {
            chat = chat.path("/messages").map_err(broken)?;
        }
        let answer: Value = chat.create_byot(body).await.map_err(broken)?;
        let mut reply = Reply::default();
        match self.model.provider {
            Provider::OpenAi => openai::whole(&mut reply, &answer)?,
            Provider::Anthropic => anthropic::whole(&mut reply, &answer)?,
        }
        reply.end.map(|_| reply).ok_or_else(|| Broken::NotAnApi("its answer has no reason for its end".to_owned()))
    }

    async fn stream<B: Serialize>(
        &self,
        client: &Client<Arc<dyn Config>>,
        call: &Call<'_>,
        body: &B,
    ) -> Result<Reply, Broken> {
        let mut chat = client.chat();
        if self.model.provider == Provider::Anthropic {
            chat = chat.path("/messages").map_err(broken)?;
        }
        let mut until = Instant::now() + self.model.first_token;
        let slow = |deadline| move |_| Broken::Slow(deadline);
        let opened = timeout_at(until, chat.create_stream_byot::<_, Value>(body)).await;
        let mut events = opened.map_err(slow(Deadline::FirstToken))?.map_err(broken)?;
        let mut reply = Reply::default();
        let mut deadline = Deadline::FirstToken;
        loop {
            let event = match timeout_at(until, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(None | Some(Err(_))) => break,
                Err(_) if reply.end.is_some() => break,
                Err(_) => return Err(Broken::Slow(deadline)),
            };
            if self.has_token(&event) {
                deadline = Deadline::Silence;
                call.meter.token();
                until = Instant::now() + self.model.silence;
            }
            self.add(&mut reply, &event, call)?;
            if reply.is_over {
                until = until.min(Instant::now() + BODY_ENDS);
            } else if reply.end.is_some() {
                until = until.min(Instant::now() + USAGE_FOLLOWS);
            }
        }
        if self.is_complete(&reply) { Ok(reply) } else { Err(Broken::Cut) }
    }

    /// A stream that ends without its marker was cut, however good its text looks.
    fn is_complete(&self, reply: &Reply) -> bool {
        match self.model.provider {
            Provider::OpenAi => reply.end.is_some(),
            Provider::Anthropic => reply.end.is_some() && reply.is_over,
        }
    }

    fn has_token(&self, event: &Value) -> bool {
        match self.model.provider {
            Provider::OpenAi => openai::has_token(event),
            Provider::Anthropic => anthropic::has_token(event),
        }
    }

    fn add(&self, reply: &mut Reply, event: &Value, call: &Call<'_>) -> Result<(), Broken> {
        let (text, tool) = (reply.text.len(), reply.tool.len());
        match self.model.provider {
            Provider::OpenAi => openai::event(reply, event)?,
            Provider::Anthropic => anthropic::event(reply, event)?,
        }
        for part in [&reply.text[text..], &reply.tool[tool..]].into_iter().filter(|part| !part.is_empty()) {
            call.meter.receive(part.len());
            (call.on_text)(part);
        }
        Ok(())
    }
}

/// What one call needs.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) system: &'a str,
    pub(super) abilities: Abilities,
    pub(super) longest: u32,
    pub(super) left: Duration,
    pub(super) now: DateTime<Utc>,
    pub(super) meter: &'a Meter,
    pub(super) on_text: &'a (dyn Fn(&str) + Send + Sync),
}

/// What a call has brought so far, readable when it is dropped.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    received: AtomicU64,
    /// Microseconds to the first token, plus one.
    first_token: AtomicU64,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), received: AtomicU64::new(0), first_token: AtomicU64::new(0) }
    }

    fn token(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1) + 1;
        let _ = self.first_token.compare_exchange(0, micros, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of text.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn latency(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn first_token(&self) -> Option<Duration> {
        let micros = self.first_token.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros - 1))
    }
}

/// What an error of async-openai means: ours come through it unchanged.
fn broken(error: OpenAIError) -> Broken {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<Broken>() {
            Ok(broken) => *broken,
            Err(_) => Broken::Transport("the request could not be sent".to_owned()),
        },
        OpenAIError::ApiError(error) => Broken::Provider(Complaint {
            status: error.status_code.as_u16(),
            message: error.api_error.message,
            ..Complaint::default()
        }),
        OpenAIError::StreamError(_) => Broken::Cut,
        OpenAIError::JSONDeserialize(..) => Broken::NotAnApi("its answer is not JSON".to_owned()),
        _ => Broken::Transport("the request could not be sent".to_owned()),
    }
}

/// Base URL and headers of a model.
struct Endpoint {
    base_url: String,
    headers: HeaderMap,
    key: SecretString,
}

impl Endpoint {
    fn new(model: &Model) -> Result<Self, reqwest::header::InvalidHeaderValue> {
        let mut headers = HeaderMap::new();
        let secret = |text: &str| {
            HeaderValue::from_str(text).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        };
        let key = model.key.secret();
        match (model.provider, key) {
            (Provider::OpenAi, Some(key)) => {
                headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()))?);
            }
            (Provider::OpenAi, None) => {}
            (Provider::Anthropic, key) => {
                headers
                    .insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(anthropic::VERSION));
                if let Some(key) = key {
                    headers.insert(HeaderName::from_static("x-api-key"), secret(key.expose())?);
                }
            }
        }
        let key = key.map_or_else(SecretString::default, |key| key.inner().clone());
        Ok(Self { base_url: model.base_url.clone(), headers, key })
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}
