//! What a server can do, found out as it is used: the first step of the ladder that works is remembered for each server and model.

use serde::{Deserialize, Serialize};

use super::http::Complaint;
use super::settings::{Model, Provider};

/// How a document of the right shape is obtained, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The server holds the model to the schema.
    Strict,
    /// The model has to call one tool whose parameters are the schema.
    Tool,
    /// The server holds the model to JSON; the schema stands in the request.
    Object,
    /// The model writes text; the one document in it counts.
    Text,
}

impl Step {
    /// What a server without this step complains about.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Strict => &[
                "response_format",
                "json_schema",
                "output_config",
                "output_format",
                "schema",
                "structured",
                "grammar",
                "guided",
            ],
            Self::Tool => &["tool", "function"],
            Self::Object => &["response_format", "json_object"],
            Self::Text => &[],
        }
    }

    fn below(self, provider: Provider) -> Option<Self> {
        match self {
            Self::Strict => Some(Self::Tool),
            Self::Tool if provider == Provider::OpenAi => Some(Self::Object),
            Self::Tool | Self::Object => Some(Self::Text),
            Self::Text => None,
        }
    }

    /// Whether the schema has to stand in the request's text.
    pub(super) fn needs_schema_in_text(self) -> bool {
        self >= Self::Object
    }
}

/// What a server can do, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) step: Step,
    /// Streams end with their usage.
    pub(super) counts_streams: bool,
    /// The longest answer is `max_completion_tokens`; older servers know `max_tokens` alone.
    pub(super) limits_completion: bool,
    pub(super) takes_temperature: bool,
}

/// What a complaint about a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server lacks a feature: go on with less, and remember it.
    Lacks(Abilities),
    /// The server refuses this schema: go on with less, for this request alone.
    RefusesSchema(Abilities),
    /// The request is longer than the model can read.
    TooLong,
    /// Something else.
    Other,
}

impl Abilities {
    /// What is assumed before the first call.
    pub(super) fn assumed(model: &Model) -> Self {
        let newest = ["api.openai.com", ".openai.azure.com"].iter().any(|host| model.base_url.contains(host));
        Self { step: Step::Strict, counts_streams: true, limits_completion: newest, takes_temperature: true }
    }

    /// The same one step down; `None` on the last one.
    pub(super) fn below(self, provider: Provider) -> Option<Self> {
        Some(Self { step: self.step.below(provider)?, ..self })
    }

    /// What a complaint about a request with these abilities means.
    pub(super) fn read(self, complaint: &Complaint, model: &Model) -> Meaning {
        let text = format!("{} {}", complaint.code, complaint.message).to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if complaint.status == 413
            || says(&["context length", "context_length", "context window", "prompt is too long"])
        {
            return Meaning::TooLong;
        }
        if !matches!(complaint.status, 400 | 422) {
            return Meaning::Other;
        }
        let lacks =
            says(&["unsupported", "not support", "unrecognized", "unknown", "extra", "unexpected", "not permitted"]);
        if self.counts_streams && text.contains("stream_options") {
            return Meaning::Lacks(Self { counts_streams: false, ..self });
        }
        if lacks && self.takes_temperature && model.temperature.is_some() && text.contains("temperature") {
            return Meaning::Lacks(Self { takes_temperature: false, ..self });
        }
        let limit = if self.limits_completion { "max_completion_tokens" } else { "max_tokens" };
        let was_switched = self.limits_completion != Self::assumed(model).limits_completion;
        if lacks && !was_switched && text.contains(limit) {
            return Meaning::Lacks(Self { limits_completion: !self.limits_completion, ..self });
        }
        match self.below(model.provider) {
            Some(below) if says(&["invalid schema", "invalid_json_schema"]) => Meaning::RefusesSchema(below),
            Some(below) if says(self.step.words()) => Meaning::Lacks(below),
            _ => Meaning::Other,
        }
    }
}
