//! A schema registry, as Confluent's answers: three questions, each a GET. What was answered once for an id stays so, and is kept in the process.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headwater_engine::{EngineError, Result};
use parking_lot::Mutex;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

mod failure;
pub(crate) mod settings;

use super::schemas::{Language, Named, Schema};
use failure::Trouble;
use settings::Address;

/// How long a registry is asked again that is not to be reached or not ready.
const PATIENCE: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(200);

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An answer, at most: schemas that people write stay far below it.
const MOST_BYTES: usize = 16 << 20;

/// Schemas that one of them refers to, at most.
const MOST_REFERENCES: usize = 256;

/// Schemas that are kept.
const MOST_KEPT: usize = 4_096;

/// A schema's place: registry, user, subject, id, and what it was read as. A user may not see what another one sees, and a subject's context has ids of its own.
type Key = (String, String, String, i32, Language);

/// Schemas that were fetched in this process.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<HashMap<Key, Schema>>);

/// What a registry has.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Schema(Schema),
    /// A schema that messages can't be read by, and why.
    Unusable(String),
    Missing,
}

/// One registry.
pub(crate) struct Registry {
    /// The connection's name, for messages.
    connection: String,
    at: Address,
    /// What its schemas are written in, as far as they are asked for.
    language: Language,
    http: OnceLock<reqwest::Client>,
    kept: Arc<Kept>,
}

/// Secrets never reach logs, so only the address is shown.
impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.address())
    }
}

/// An answer with a schema.
#[derive(Debug, Deserialize)]
struct Answer {
    schema: String,
    #[serde(default)]
    id: Option<i32>,
    /// Avro if absent.
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Reference {
    /// How the schema that refers to it names it.
    #[serde(default)]
    name: String,
    subject: String,
    version: i32,
}

impl Registry {
    pub(crate) fn new(connection: &str, at: Address, language: Language, kept: Arc<Kept>) -> Self {
        Self { connection: connection.to_owned(), at, language, http: OnceLock::new(), kept }
    }

    /// Its address. It holds no login.
    pub(crate) fn address(&self) -> &str {
        self.at.url.as_str().trim_end_matches('/')
    }

    /// Whether a password goes over an open wire.
    pub(crate) fn is_open(&self) -> bool {
        self.at.login.is_some() && self.at.url.scheme() == "http"
    }

    /// How many subjects there are; nothing if the user may not list them.
    pub(crate) async fn subjects(&self) -> Result<Option<usize>> {
        match self.get(&["subjects"], None).await {
            Ok(body) => serde_json::from_slice::<Vec<String>>(&body)
                .map(|subjects| Some(subjects.len()))
                .map_err(|_| Trouble::Foreign.at(self)),
            Err(Trouble::Denied(403)) => Ok(None),
            Err(trouble) => Err(trouble.at(self)),
        }
    }

    /// The schema of an id that messages of a subject name.
    pub(crate) async fn schema(&self, subject: &str, id: i32) -> Result<Found> {
        if let Some(schema) = self.kept.0.lock().get(&self.key(subject, id)) {
            return Ok(Found::Schema(schema.clone()));
        }
        if id < 0 {
            return Ok(Found::Missing);
        }
        let found = self.get(&["schemas", "ids", &id.to_string()], Some(subject)).await;
        self.found(subject, Some(id), found).await
    }

    /// The latest schema of a subject.
    pub(crate) async fn latest(&self, subject: &str) -> Result<Found> {
        let found = self.get(&["subjects", subject, "versions", "latest"], None).await;
        self.found(subject, None, found).await
    }

    /// Says why messages of an id can't be read.
    pub(crate) fn unusable(&self, id: i32, found: Found) -> EngineError {
        let address = self.address();
        match found {
            Found::Unusable(what) => EngineError::config(what).hint("read the topic with format: raw"),
            _ => EngineError::config(format!("the schema registry {address} has no schema with the id {id}")).hint(
                "was the message written with schemas of another registry, or was the schema deleted there? restore it, or read the topic with format: raw",
            ),
        }
    }

    fn key(&self, subject: &str, id: i32) -> Key {
        let user = self.at.login.as_ref().map(|(user, _)| user.clone()).unwrap_or_default();
        (self.address().to_owned(), user, subject.to_owned(), id, self.language)
    }

    async fn found(&self, subject: &str, id: Option<i32>, body: Result<Vec<u8>, Trouble>) -> Result<Found> {
        let answer = match body {
            Err(Trouble::Missing) => return Ok(Found::Missing),
            body => self.answer(body)?,
        };
        let Some(id) = id.or(answer.id) else { return Err(Trouble::Foreign.at(self)) };
        let what = |what: &str| format!("schema {id} of the registry {} can't be used: {what}", self.address());
        let kind = answer.kind.as_deref().unwrap_or(Language::Avro.name());
        if kind != self.language.name() {
            let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            let format = self.language.format();
            return Ok(Found::Unusable(what(&format!("it is of the type {kind}, and format is {format}"))));
        }
        let Some(references) = self.references(answer.references.unwrap_or_default()).await? else {
            return Ok(Found::Unusable(what("a schema that it refers to is missing, or it refers to too many")));
        };
        Ok(match Schema::parse(self.language, id, &answer.schema, &references) {
            Err(wrong) => Found::Unusable(what(&wrong)),
            Ok(schema) => {
                let mut kept = self.kept.0.lock();
                if kept.len() >= MOST_KEPT {
                    kept.clear();
                }
                kept.insert(self.key(subject, id), schema.clone());
                Found::Schema(schema)
            }
        })
    }

    fn answer(&self, body: Result<Vec<u8>, Trouble>) -> Result<Answer> {
        let body = body.map_err(|trouble| trouble.at(self))?;
        serde_json::from_slice(&body).map_err(|_| Trouble::Foreign.at(self))
    }

    /// The schemas that one refers to, each behind those that it refers to itself; nothing if one is missing.
    async fn references(&self, first: Vec<Reference>) -> Result<Option<Vec<Named>>> {
        let (mut known, mut found) = (Vec::new(), Vec::new());
        // A schema's text comes when all that it refers to is there.
        let mut open: Vec<(Reference, Option<String>)> = first.into_iter().rev().map(|wanted| (wanted, None)).collect();
        while let Some((wanted, text)) = open.pop() {
            if let Some(text) = text {
                found.push(Named { name: wanted.name, text });
                continue;
            }
            if known.contains(&wanted) {
                continue;
            }
            if known.len() == MOST_REFERENCES {
                return Ok(None);
            }
            let version = wanted.version.to_string();
            let answer = match self.get(&["subjects", &wanted.subject, "versions", &version], None).await {
                Err(Trouble::Missing) => return Ok(None),
                body => self.answer(body)?,
            };
            known.push(wanted.clone());
            open.push((wanted, Some(answer.schema)));
            open.extend(answer.references.unwrap_or_default().into_iter().rev().map(|further| (further, None)));
        }
        Ok(Some(found))
    }

    /// Asks until there is an answer, or until it is not worth it.
    async fn get(&self, path: &[&str], subject: Option<&str>) -> Result<Vec<u8>, Trouble> {
        let mut url = self.at.url.clone();
        // An address over HTTP always has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if let Some(subject) = subject {
            url.query_pairs_mut().append_pair("subject", subject);
        }
        let http = self.http()?;
        let (deadline, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
        loop {
            let trouble = match self.once(&http, &url).await {
                Ok(body) => return Ok(body),
                Err(trouble) => trouble,
            };
            let Some(wait) = trouble.wait(pause).filter(|wait| Instant::now() + *wait < deadline) else {
                return Err(trouble);
            };
            tracing::debug!(registry = self.address(), "asking the schema registry again: {trouble:?}");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn once(&self, http: &reqwest::Client, url: &Url) -> Result<Vec<u8>, Trouble> {
        let mut request =
            http.get(url.clone()).header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((user, password)) = &self.at.login {
            request = request.basic_auth(user, Some(password));
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(Trouble::sending(error, &self.at.url).await),
        };
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::closed(&error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(Trouble::Foreign);
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200 => Ok(body),
            status => Err(Trouble::status(status, after.map(Duration::from_secs), &body)),
        }
    }

    /// The client, which is made at the first question: the authority's file is read then.
    fn http(&self) -> Result<reqwest::Client, Trouble> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        // A redirect would carry the password to another host, there is one retry loop, and a connection holds no socket between questions.
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &self.at.ca {
            let unreadable = |what: String| Trouble::Authority(ca.display().to_string(), what);
            let pem = std::fs::read(ca).map_err(|error| unreadable(error.to_string()))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.to_string()))?;
            if certificates.is_empty() {
                return Err(unreadable("it holds no certificate".to_owned()));
            }
            let http = builder.tls_certs_only(certificates).build().map_err(|error| unreadable(error.to_string()))?;
            return Ok(self.http.get_or_init(|| http).clone());
        }
        if self.at.url.scheme() == "http" {
            // A machine without authorities is no reason to fail.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| Trouble::Tls(error.without_url().to_string()))?;
        Ok(self.http.get_or_init(|| http).clone())
    }
}
