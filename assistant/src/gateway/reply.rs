//! What a call has brought so far, whichever interface the server has.

use serde_json::Value;

use super::http::{Broken, Complaint, described};
use super::request::Usage;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The model was done.
    Done,
    /// It reached the longest answer.
    Truncated,
    /// It won't answer.
    Refused,
    /// The provider's filter stopped it.
    Filtered,
}

/// What a call has brought so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) text: String,
    /// Arguments of the one tool.
    pub(super) tool: String,
    pub(super) refusal: String,
    pub(super) usage: Option<Usage>,
    pub(super) end: Option<End>,
    /// No further event is expected.
    pub(super) is_over: bool,
}

/// The counts of a usage, absent ones as nothing.
pub(super) fn count(usage: &Value, path: &str) -> u64 {
    usage.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// A text in an event, absent ones as empty.
pub(super) fn text<'a>(event: &'a Value, path: &str) -> &'a str {
    event.pointer(path).and_then(Value::as_str).unwrap_or("")
}

/// An error inside of a stream, which has no status of its own.
pub(super) fn error_of(event: &Value) -> Option<Broken> {
    let error = event.get("error").filter(|error| !error.is_null())?;
    let (message, code) = described(event);
    let named = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = match named.filter(|status| (400..600).contains(status)) {
        Some(status) => status,
        None if code.contains("rate_limit") => 429,
        None if code.contains("overloaded") => 529,
        None if code.contains("authentication") => 401,
        None if code.contains("permission") => 403,
        None if code.contains("invalid_request") => 400,
        None => 500,
    };
    Some(Broken::Provider(Complaint { status, retry_after: None, message, code }))
}
