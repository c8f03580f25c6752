//! What can go wrong with a question to a model: cause and next step in plain words.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::money::Money;

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// The connection was not opened in time.
    Connect,
    /// No token came in time.
    FirstToken,
    /// Tokens stopped to come.
    Silence,
    /// The whole took too long.
    Total,
}

impl Deadline {
    fn setting(self) -> &'static str {
        match self {
            Self::Connect => "connect_ms",
            Self::FirstToken => "first_token_ms",
            Self::Silence => "silence_ms",
            Self::Total => "total_ms",
        }
    }
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// Everybody in the workspace together.
    Workspace,
    /// The person who asks.
    Person,
}

/// Which cap of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cap {
    /// Dollars.
    Money,
    /// Seconds from its start.
    Seconds,
    /// Calls to models.
    Calls,
}

/// Why there is no answer. Texts of providers are bounded, without control characters and without keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// The settings name no model.
    #[error("no model is configured")]
    NoModel,
    /// The caller named a model that the settings don't have.
    #[error("there is no model '{model}' in the settings; known: {known}")]
    UnknownModel {
        /// The name.
        model: String,
        /// The models that there are.
        known: String,
    },
    /// There is no key.
    #[error("the key of model '{model}' is missing{}", variable.as_ref().map(|name| format!(": the variable {name} is not set")).unwrap_or_default())]
    KeyMissing {
        /// The model.
        model: String,
        /// The variable that should hold it.
        variable: Option<String>,
    },
    /// The provider refuses the key.
    #[error("the provider of model '{model}' refuses its key (HTTP {status})")]
    WrongKey {
        /// The model.
        model: String,
        /// 401 or 403.
        status: u16,
    },
    /// The provider's account has no money left.
    #[error("the account at the provider of model '{model}' has no credit left")]
    OutOfCredit {
        /// The model.
        model: String,
    },
    /// The day's budget doesn't suffice.
    #[error("the {} of today is used up: this call may cost {needed}", match whose { Holder::Workspace => "workspace's budget", Holder::Person => "person's budget" })]
    OverBudget {
        /// Whose budget.
        whose: Holder,
        /// What the call may cost at most.
        needed: Money,
        /// When the next day starts.
        resets_at: DateTime<Utc>,
    },
    /// The request has used what one request may.
    #[error("this request has reached its cap of {limit}")]
    OverCap {
        /// Which one.
        cap: Cap,
        /// The cap in words.
        limit: String,
    },
    /// A budget or cap is set that can't be held without a price.
    #[error("no price of model '{model}' is known for today, and there is a budget to hold")]
    PriceUnknown {
        /// The model.
        model: String,
    },
    /// The provider is down, or was often enough just now.
    #[error("model '{model}' is unavailable: {cause}")]
    Down {
        /// The model.
        model: String,
        /// What happened last.
        cause: String,
        /// When it is worth another try.
        retry_at: DateTime<Utc>,
    },
    /// The provider takes no more requests for a while.
    #[error("the provider of model '{model}' limits requests")]
    RateLimited {
        /// The model.
        model: String,
        /// When it is worth another try.
        retry_at: DateTime<Utc>,
    },
    /// A deadline passed.
    #[error("model '{model}' took longer than {after_ms} ms {}", match deadline { Deadline::Connect => "to open a connection", Deadline::FirstToken => "to begin its answer", Deadline::Silence => "between two tokens", Deadline::Total => "for its answer" })]
    TooSlow {
        /// The model.
        model: String,
        /// Which one.
        deadline: Deadline,
        /// Its length.
        after_ms: u64,
    },
    /// The stream ended without its end marker.
    #[error("the answer of model '{model}' broke off")]
    Cut {
        /// The model.
        model: String,
    },
    /// The model won't.
    #[error("model '{model}' refuses to answer{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Refused {
        /// The model.
        model: String,
        /// What it says.
        reason: String,
    },
    /// The provider's filter stopped it.
    #[error("the provider of model '{model}' withheld the answer (content filter)")]
    Filtered {
        /// The model.
        model: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer of model '{model}' was cut off at {limit} tokens")]
    Truncated {
        /// The model.
        model: String,
        /// Tokens that it may have.
        limit: u32,
    },
    /// The answer has more bytes than any answer should.
    #[error("the answer of model '{model}' is larger than {limit} bytes")]
    TooLarge {
        /// The model.
        model: String,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The request is longer than the model can read.
    #[error("the request is too long for model '{model}'")]
    TooLong {
        /// The model.
        model: String,
    },
    /// The answer is no JSON document.
    #[error("the answer of model '{model}' is not one JSON document: {problem}")]
    NotJson {
        /// The model.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The answer has another shape than it should.
    #[error("the answer of model '{model}' does not follow the schema: {at} {problem}")]
    WrongShape {
        /// The model.
        model: String,
        /// JSON pointer to the part.
        at: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider can't do what it was asked.
    #[error("the provider of model '{model}' rejects the request (HTTP {status}): {message}")]
    Rejected {
        /// The model.
        model: String,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The server at the base URL is no model server.
    #[error("the server of model '{model}' does not answer as a model server: {problem}")]
    NotAnApi {
        /// The model.
        model: String,
        /// What it answers.
        problem: String,
    },
    /// The caller's request has no turn, or the wrong one first.
    #[error("the request is invalid: {problem}")]
    Invalid {
        /// What is wrong.
        problem: String,
    },
    /// No recording of this request.
    #[error("no answer is recorded for request {hash}")]
    NotRecorded {
        /// The request's hash.
        hash: String,
    },
    /// A recording can't be read or written.
    #[error("the recording {file} can't be used: {problem}")]
    Recording {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Budgets can't be read.
    #[error("the budget can't be read: {problem}")]
    Ledger {
        /// What is wrong.
        problem: String,
    },
}

impl Failure {
    /// What to do now, in one sentence.
    #[must_use]
    pub fn next_step(&self) -> String {
        match self {
            Self::NoModel => "add a [models.NAME] section to headwater.toml and set model under [assistant], or use the offline grammar".to_owned(),
            Self::UnknownModel { .. } => "choose a model of the settings, or add it to headwater.toml".to_owned(),
            Self::KeyMissing { model, variable: Some(variable) } => format!("set {variable}, which models.{model}.api_key names, and start again"),
            Self::KeyMissing { model, variable: None } => format!("set models.{model}.api_key = \"${{NAME}}\" in headwater.toml, and the variable NAME"),
            Self::WrongKey { model, .. } => format!("replace the key that models.{model}.api_key names, and start again; it is not used until then"),
            Self::OutOfCredit { .. } => "add credit at the provider, or choose another model".to_owned(),
            Self::OverBudget { resets_at, .. } => format!("wait until {}, or ask an administrator to raise assistant.budget", time(resets_at)),
            Self::OverCap { .. } => "make the request smaller, or raise assistant.caps in headwater.toml".to_owned(),
            Self::PriceUnknown { model } => format!("add models.{model}.prices (\"0\" for a server of your own), or remove the budget"),
            Self::Down { retry_at, .. } | Self::RateLimited { retry_at, .. } => {
                format!("try again after {}, or configure a fallback", time(retry_at))
            }
            Self::TooSlow { model, deadline, .. } => format!("try again, or raise models.{model}.deadlines.{}", deadline.setting()),
            Self::Cut { .. } => "try again; if it goes on, look at the server and at proxies before it".to_owned(),
            Self::Refused { .. } | Self::Filtered { .. } => "reword the request, or choose another model".to_owned(),
            Self::Truncated { model, .. } => format!("ask for less at once, or raise models.{model}.max_output_tokens"),
            Self::TooLarge { .. } => "ask for less at once".to_owned(),
            Self::TooLong { .. } => "name fewer tables or shorten the conversation, or choose a model that reads more".to_owned(),
            Self::NotJson { .. } | Self::WrongShape { .. } => "try again, or choose a model with structured outputs".to_owned(),
            Self::Rejected { model, status: 404, .. } => format!("check models.{model}.model and models.{model}.base_url"),
            Self::Rejected { model, .. } => format!("check the settings of models.{model} against the provider's documentation"),
            Self::NotAnApi { model, .. } => format!("check models.{model}.base_url; most end with /v1"),
            Self::Invalid { .. } => "report this as a mistake of Headwater".to_owned(),
            Self::NotRecorded { .. } => "record it first with --record".to_owned(),
            Self::Recording { .. } => "check the folder and its rights, or record again".to_owned(),
            Self::Ledger { .. } => "check that the control plane's Postgres runs".to_owned(),
        }
    }

    /// Whether another model may do better. Where the question or the answer is at fault, the caller decides.
    pub(super) fn allows_fallback(&self) -> bool {
        matches!(
            self,
            Self::KeyMissing { .. }
                | Self::WrongKey { .. }
                | Self::OutOfCredit { .. }
                | Self::Down { .. }
                | Self::RateLimited { .. }
                | Self::TooSlow { .. }
                | Self::Cut { .. }
                | Self::TooLong { .. }
                | Self::Rejected { .. }
                | Self::NotAnApi { .. }
        )
    }

    /// Whether the same request would get the same outcome again: such are recorded.
    pub(super) fn is_an_outcome(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Filtered { .. }
                | Self::Truncated { .. }
                | Self::NotJson { .. }
                | Self::WrongShape { .. }
        )
    }
}

fn time(at: &DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
