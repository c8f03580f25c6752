//! What the store keeps of calls: budgets and rows.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::failure::Holder;
use super::money::Money;
use super::request::{Usage, Why};

/// A part of a day's budget that a process takes for itself, to spend it without asking for each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose budget.
    pub workspace: String,
    /// Whose budget inside of it.
    pub person: String,
    /// The day (UTC).
    pub day: NaiveDate,
    /// What is asked for.
    pub wanted: Money,
    /// What everybody in the workspace may lease in that day together; `None` for any amount.
    pub workspace_limit: Option<Money>,
    /// What the person may.
    pub person_limit: Option<Money>,
}

/// What was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// At most what was asked for; nothing if the budget is used up.
    pub money: Money,
    /// Which budget is at its end, if less was granted than asked for.
    pub exhausted: Option<Holder>,
}

/// The ledger can't be reached or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// What the store keeps. Leases of one workspace and person in one day must be atomic among processes.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Grants as much of the day's budget as is left, up to what is asked for. What is granted counts as spent until it is given back.
    async fn lease(&self, lease: Lease) -> Result<Granted, LedgerError>;

    /// Takes back what a process leased and didn't spend.
    async fn give_back(&self, workspace: &str, person: &str, day: NaiveDate, unspent: Money)
    -> Result<(), LedgerError>;

    /// Stores rows. A row may come twice after an error: `id` makes it one.
    async fn record(&self, rows: Vec<CallRow>) -> Result<(), LedgerError>;
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// A document of the right shape.
    Answered,
    /// The model refused.
    Refused,
    /// The provider's filter stopped it.
    Filtered,
    /// The answer reached its longest length.
    Truncated,
    /// The answer was no JSON document.
    NotJson,
    /// The document had another shape.
    WrongShape,
    /// The answer broke off, or had too many bytes.
    Broken,
    /// A deadline passed.
    TooSlow,
    /// The provider limits requests.
    RateLimited,
    /// The provider refused the key.
    WrongKey,
    /// The provider rejected the request.
    Rejected,
    /// No connection, or an error of the provider.
    Unavailable,
    /// The caller no longer waits.
    Cancelled,
}

/// One call to a model, or one answer from the cache. It holds no key, and no text unless the settings say so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallRow {
    /// Unique, and ordered by time.
    pub id: Uuid,
    /// When it started.
    pub at: DateTime<Utc>,
    /// Who pays.
    pub workspace: String,
    /// Who asked.
    pub person: String,
    /// Why.
    pub why: Why,
    /// The feature that asked.
    pub feature: String,
    /// The model's name in the settings.
    pub model: String,
    /// Which interface it has.
    pub provider: &'static str,
    /// The provider's name of the model.
    pub provider_model: String,
    /// Hash of the prompt's files.
    pub prompt_version: String,
    /// Tokens; `None` if the server didn't count.
    pub usage: Option<Usage>,
    /// What it cost; `None` if no price or no usage is known.
    pub cost: Option<Money>,
    /// What the budget was charged: the cost, or an estimate where it is unknown.
    pub charged: Money,
    /// From the start to the end.
    pub latency_ms: u64,
    /// From the start to the first token, if there was one.
    pub first_token_ms: Option<u64>,
    /// Whether the answer is from the cache, so that no model was called.
    pub cache_hit: bool,
    /// How it ended.
    pub outcome: CallOutcome,
    /// SHA-256 of what the model saw.
    pub request_hash: String,
    /// SHA-256 of what it answered, if anything.
    pub answer_hash: Option<String>,
    /// What the model saw, if texts are kept.
    pub request_text: Option<String>,
    /// What it answered, if texts are kept.
    pub answer_text: Option<String>,
}
