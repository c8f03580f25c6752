//! The transport below async-openai: no retries, no redirects, bounded answers, and errors that keep their status and headers.
//!
//! async-openai would log bodies that it can't decode, lose the headers of errors and end a broken stream quietly. So nothing reaches it but
//! complete events of valid JSON; everything else becomes a [`Broken`], which it passes on or which waits in [`Watch`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use parking_lot::Mutex;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::failure::Deadline;

/// Bytes of an answer as it comes over the wire. Sixteen thousand tokens in events of 250 bytes take four megabytes.
pub(super) const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Bytes that are read of an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Why a call failed, before it is known what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The provider answered with an error.
    #[error("HTTP {}", .0.status)]
    Provider(Complaint),
    /// No connection.
    #[error("no connection")]
    Connect(String),
    /// The connection broke before the answer began.
    #[error("the connection broke")]
    Transport(String),
    /// The answer began and didn't end.
    #[error("the answer broke off")]
    Cut,
    #[error("a deadline passed")]
    Slow(Deadline),
    #[error("the answer is too large")]
    TooLarge,
    #[error("no model server")]
    NotAnApi(String),
}

/// An error of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) message: String,
    /// Type, code and parameter, where the provider names them.
    pub(super) code: String,
}

/// What the transport learns of one call while async-openai reads it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    broken: Mutex<Option<Broken>>,
}

impl Watch {
    pub(super) fn take(&self) -> Option<Broken> {
        self.broken.lock().take()
    }

    fn note(&self, broken: Broken) -> std::io::Error {
        let error = std::io::Error::other(broken.clone());
        *self.broken.lock() = Some(broken);
        error
    }
}

/// The service that async-openai sends through, made for one call.
#[derive(Clone)]
pub(super) struct Transport {
    pub(super) client: reqwest::Client,
    pub(super) watch: Arc<Watch>,
    pub(super) streams: bool,
    pub(super) now: DateTime<Utc>,
}

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { client, watch, streams, now } = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            let response = client.execute(request).await.map_err(|error| boxed(sending(&error)))?;
            if !response.status().is_success() {
                return Err(boxed(Broken::Provider(complaint(response, now).await)));
            }
            if streams { events(response, watch) } else { whole(response).await }
        })
    }
}

fn boxed(broken: Broken) -> OpenAIError {
    OpenAIError::Boxed(Box::new(broken))
}

/// What an error of sending means. The URL is left out: it is the setting's, and the person may not know it.
fn sending(error: &reqwest::Error) -> Broken {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let cause = cause.to_string();
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Broken::Slow(Deadline::Connect),
        (true, false) => Broken::Connect(cause),
        _ => Broken::Transport(cause),
    }
}

/// The response with nothing in its body but complete events of JSON.
fn events(response: Response, watch: Arc<Watch>) -> Result<Response, OpenAIError> {
    let kind = content_type(response.headers());
    if kind != "text/event-stream" {
        let problem =
            format!("it sends '{kind}' instead of a stream; set stream = false for servers that can't stream");
        return Err(boxed(Broken::NotAnApi(problem)));
    }
    let start = (response.bytes_stream().boxed(), Guard::default(), watch);
    let body = futures::stream::unfold(start, |(mut body, mut guard, watch)| async move {
        let passed = match body.next().await? {
            Ok(bytes) => guard.pass(&bytes).map_err(|broken| watch.note(broken)),
            Err(_) => Err(watch.note(Broken::Cut)),
        };
        Some((passed, (body, guard, watch)))
    });
    Ok(http::Response::new(reqwest::Body::wrap_stream(body)).into())
}

/// The response with a body that was read and is JSON.
async fn whole(response: Response) -> Result<Response, OpenAIError> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(bytes) = stream.next().await {
        body.extend_from_slice(&bytes.map_err(|_| boxed(Broken::Cut))?);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(boxed(Broken::TooLarge));
        }
    }
    if !is_json(&body) {
        return Err(boxed(Broken::NotAnApi("its answer is not JSON".to_owned())));
    }
    Ok(http::Response::new(reqwest::Body::from(body)).into())
}

/// Cuts a stream into events and holds back what is not complete.
#[derive(Debug, Default)]
struct Guard {
    held: Vec<u8>,
    /// Where the search for the end of an event goes on.
    searched: usize,
    seen: usize,
}

impl Guard {
    fn pass(&mut self, bytes: &[u8]) -> Result<Bytes, Broken> {
        self.seen += bytes.len();
        if self.seen > MAX_ANSWER_BYTES {
            return Err(Broken::TooLarge);
        }
        self.held.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while let Some(end) = self.end() {
            let event: Vec<u8> = self.held.drain(..end).collect();
            self.searched = 0;
            match data(&event).trim_ascii() {
                // async-openai would drop the body here, and with its rest the connection. It also ends at the end of the body.
                b"[DONE]" => {}
                data if data.is_empty() || is_json(data) => passed.extend_from_slice(&event),
                _ => return Err(Broken::NotAnApi("an event of its stream is not JSON".to_owned())),
            }
        }
        Ok(passed.into())
    }

    /// Behind the blank line that ends the first event.
    fn end(&mut self) -> Option<usize> {
        let from = self.searched;
        for at in from..self.held.len() {
            if self.held[at] != b'\n' {
                continue;
            }
            let line = &self.held[..at];
            let before = line.strip_suffix(b"\r").unwrap_or(line);
            if before.is_empty() || before.last() == Some(&b'\n') {
                return Some(at + 1);
            }
        }
        // A blank line may have begun in what is held.
        self.searched = self.held.len();
        None
    }
}

/// The data of an event; empty for a comment.
fn data(event: &[u8]) -> Vec<u8> {
    let lines = event.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let data: Vec<&[u8]> = lines.filter_map(|line| line.strip_prefix(b"data:")).collect();
    data.join(&b'\n')
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() && std::str::from_utf8(text).is_ok()
}

fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase()
}

async fn complaint(response: Response, now: DateTime<Utc>) -> Complaint {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), now);
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(bytes)) = stream.next().await {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_ERROR_BYTES {
            break;
        }
    }
    let (message, code) = match serde_json::from_slice::<Value>(&body) {
        Ok(value) => described(&value),
        Err(_) => (String::from_utf8_lossy(&body).into_owned(), String::new()),
    };
    Complaint { status, retry_after, message, code }
}

/// Message and code of an error, as the different servers write them.
pub(super) fn described(body: &Value) -> (String, String) {
    let error = body.get("error").or_else(|| body.get("detail")).unwrap_or(body);
    if let Some(text) = error.as_str() {
        return (text.to_owned(), String::new());
    }
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let message = Some(text("message")).filter(|message| !message.is_empty()).unwrap_or_else(|| error.to_string());
    (message, [text("type"), text("code"), text("param")].join(" ").trim().to_owned())
}

/// How long the provider wants to be left alone: milliseconds, seconds, or until a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(milliseconds / 1_000.0).ok();
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date: DateTime<Utc> = httpdate::parse_http_date(after).ok()?.into();
    Some((date - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(reqwest::header::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        let after = |name, value| retry_after(&headers(name, value), now);
        assert_eq!(after("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(after("retry-after", "Thu, 26 Nov 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("retry-after", "Thu, 26 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("retry-after-ms", "1500"), Some(Duration::from_millis(1_500)));
        for nonsense in ["soon", "-1", "inf", ""] {
            assert_eq!(after("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn only_complete_events_of_json_pass() {
        let mut guard = Guard::default();
        assert_eq!(guard.pass(b"data: {\"a\":").unwrap(), "");
        assert_eq!(guard.pass(b"1}\n").unwrap(), "");
        assert_eq!(guard.pass(b"\n: ping\n\ndata: [DO").unwrap(), "data: {\"a\":1}\n\n: ping\n\n");
        assert_eq!(guard.pass(b"NE]\r\n\r\n").unwrap(), "", "the end of the body is marker enough");
        assert!(matches!(guard.pass(b"data: <html>\n\n"), Err(Broken::NotAnApi(_))));
    }

    #[test]
    fn an_event_may_arrive_byte_by_byte() {
        let mut guard = Guard::default();
        let text = b"event: x\r\ndata: {}\r\n\r\ndata: {}\n\n";
        let passed: Vec<u8> = text.iter().flat_map(|byte| guard.pass(&[*byte]).unwrap()).collect();
        assert_eq!(passed, text);
    }

    #[test]
    fn errors_of_different_servers_are_read() {
        let read = |text: &str| described(&serde_json::from_str(text).unwrap());
        let openai = r#"{"error":{"message":"no","type":"invalid_request_error","param":"tools","code":null}}"#;
        assert_eq!(read(openai), ("no".to_owned(), "invalid_request_error  tools".to_owned()));
        assert_eq!(read(r#"{"error":"no"}"#).0, "no");
        assert_eq!(read(r#"{"detail":[{"loc":["body"]}]}"#).0, r#"[{"loc":["body"]}]"#);
    }
}
