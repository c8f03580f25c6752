//! What an administrator writes about models: `[models.NAME]` and `[assistant]` of `headwater.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::money::{Money, Price};
use super::secret::Secret;

/// Which interface a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI, and every server with its chat completions: vLLM, Ollama, llama.cpp, gateways.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
}

impl Provider {
    /// Its name in settings and rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    fn base_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
        }
    }
}

/// How long each part of a call may take, in milliseconds. A server on the same machine may need minutes for its first token.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// Opening the connection.
    pub connect_ms: u64,
    /// From the request to the first token.
    pub first_token_ms: u64,
    /// Between two tokens.
    pub silence_ms: u64,
    /// The whole answer, with retries and their pauses.
    pub total_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect_ms: 10_000, first_token_ms: 120_000, silence_ms: 60_000, total_ms: 600_000 }
    }
}

/// One `[models.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Which interface the server has.
    pub provider: Provider,
    /// Where the interface is, with its version: `http://localhost:11434/v1`. The provider's own if absent.
    pub base_url: Option<String>,
    /// The provider's name of the model.
    pub model: String,
    /// The key, as `${NAME}` of a variable of the environment. Absent for servers that need none.
    pub api_key: Option<Secret>,
    /// Models to try when this one is down, in this order.
    #[serde(default)]
    pub fallbacks: Vec<String>,
    /// How long each part of a call may take.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// How often a failed call is tried again.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// The longest answer, in tokens.
    #[serde(default = "default_output")]
    pub max_output_tokens: u32,
    /// Prices with the day that each holds from. Without one, costs are unknown; `"0"` is free.
    #[serde(default)]
    pub prices: Vec<Price>,
    /// How much chance there is in an answer; the provider's default if absent, as some models refuse any.
    pub temperature: Option<f64>,
    /// Whether answers are streamed. Only for servers that can't, turn it off.
    #[serde(default = "default_stream")]
    pub stream: bool,
}

fn default_retries() -> u32 {
    2
}

fn default_output() -> u32 {
    16_384
}

fn default_stream() -> bool {
    true
}

/// What may be spent in a day (UTC).
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// By everybody in a workspace.
    pub workspace: Option<Money>,
    /// By each person.
    pub person: Option<Money>,
}

/// What one request of a person may use, whatever number of calls it makes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Dollars.
    pub money: Option<Money>,
    /// Seconds from its start.
    pub seconds: u64,
    /// Calls to models, with retries.
    pub calls: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self { money: None, seconds: 900, calls: 24 }
    }
}

/// Where equal requests find earlier answers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// How long an answer stays, in seconds; 0 turns the cache off.
    pub ttl_seconds: u64,
    /// What all answers may take, in megabytes.
    pub megabytes: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { ttl_seconds: 86_400, megabytes: 64 }
    }
}

/// `[assistant]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssistantSettings {
    /// The model that answers, by its name in `[models]`.
    pub model: Option<String>,
    /// The model that makes embeddings, if any.
    pub embeddings: Option<String>,
    /// What may be spent in a day.
    pub budget: Budget,
    /// What one request may use.
    pub caps: Caps,
    /// Whether the rows of calls keep the texts of request and answer.
    pub keep_text: bool,
    /// The cache of answers.
    pub cache: CacheSettings,
}

/// A mistake in the settings, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SettingsError {
    /// Where it is, e.g. `models.fast.fallbacks`.
    pub setting: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

/// A key as far as it is known.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// The server needs none, as far as the settings say.
    None,
    /// The variable that holds it is not set.
    Missing(String),
    Set(Secret),
}

impl Key {
    pub(super) fn secret(&self) -> Option<&Secret> {
        if let Self::Set(secret) = self { Some(secret) } else { None }
    }
}

/// One model whose settings were checked.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) provider: Provider,
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) model: String,
    pub(super) key: Key,
    pub(super) fallbacks: Vec<String>,
    pub(super) connect: Duration,
    pub(super) first_token: Duration,
    pub(super) silence: Duration,
    pub(super) total: Duration,
    pub(super) retries: u32,
    pub(super) max_output: u32,
    pub(super) prices: Vec<Price>,
    pub(super) temperature: Option<f64>,
    pub(super) stream: bool,
}

/// Settings that were checked.
#[derive(Debug, Clone, Default)]
pub struct GatewaySettings {
    pub(super) models: BTreeMap<String, Model>,
    pub(super) assistant: AssistantSettings,
}

impl GatewaySettings {
    /// Checks the settings; `variable` resolves the `${NAME}` of keys. A variable that is not set is no error until its model is used.
    ///
    /// # Errors
    /// The first mistake, with the setting that it is in.
    pub fn new(
        models: BTreeMap<String, ModelSettings>,
        assistant: AssistantSettings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let names: Vec<String> = models.keys().cloned().collect();
        let known = |setting: &str, name: &str| {
            let problem = || format!("there is no model '{name}'; known: {}", list(&names));
            if names.iter().any(|known| known == name) { Ok(()) } else { Err(wrong(setting, problem())) }
        };
        for (name, model) in &models {
            for fallback in &model.fallbacks {
                known(&format!("models.{name}.fallbacks"), fallback)?;
            }
        }
        let chosen = [("assistant.model", &assistant.model), ("assistant.embeddings", &assistant.embeddings)];
        for (setting, name) in chosen.iter().filter_map(|(setting, name)| Some((setting, name.as_ref()?))) {
            known(setting, name)?;
        }
        if assistant.caps.calls == 0 || assistant.caps.seconds == 0 {
            return Err(wrong("assistant.caps", "calls and seconds must be at least 1".to_owned()));
        }
        let checked = models.into_iter().map(|(name, model)| Ok((name.clone(), check(name, model, &variable)?)));
        let models = checked.collect::<Result<BTreeMap<_, _>, SettingsError>>()?;
        for name in models.keys() {
            no_cycle(&models, name)?;
        }
        Ok(Self { models, assistant })
    }

    /// The caps of one request, to be shown before it starts.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.assistant.caps
    }
}

fn check(
    name: String,
    model: ModelSettings,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Model, SettingsError> {
    let at = |setting: &str| format!("models.{name}.{setting}");
    let base_url = base_url(&at("base_url"), model.base_url.as_deref().unwrap_or(model.provider.base_url()))?;
    if model.model.trim().is_empty() {
        return Err(wrong(&at("model"), "is empty; expected the provider's name of the model".to_owned()));
    }
    if model.max_output_tokens == 0 {
        return Err(wrong(&at("max_output_tokens"), "is 0; expected at least 1".to_owned()));
    }
    if model.temperature.is_some_and(|degree| !(0.0..=2.0).contains(&degree)) {
        return Err(wrong(&at("temperature"), "is out of range; expected 0 to 2".to_owned()));
    }
    let deadlines = model.deadlines;
    let each = [deadlines.connect_ms, deadlines.first_token_ms, deadlines.silence_ms, deadlines.total_ms];
    if each.contains(&0) {
        return Err(wrong(&at("deadlines"), "a deadline is 0; expected milliseconds".to_owned()));
    }
    let mut days: Vec<_> = model.prices.iter().map(|price| price.from).collect();
    days.sort_unstable();
    if let Some(twice) = days.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(&at("prices"), format!("two prices hold from {}; expected one", twice[0])));
    }
    let key = key(&at("api_key"), model.api_key, variable)?;
    Ok(Model {
        provider: model.provider,
        base_url,
        model: model.model,
        key,
        fallbacks: model.fallbacks,
        connect: Duration::from_millis(deadlines.connect_ms),
        first_token: Duration::from_millis(deadlines.first_token_ms),
        silence: Duration::from_millis(deadlines.silence_ms),
        total: Duration::from_millis(deadlines.total_ms),
        retries: model.retries,
        max_output: model.max_output_tokens,
        prices: model.prices,
        temperature: model.temperature,
        stream: model.stream,
        name,
    })
}

/// A key that is given, or the value of the variable that it names.
fn key(setting: &str, key: Option<Secret>, variable: impl Fn(&str) -> Option<String>) -> Result<Key, SettingsError> {
    let Some(key) = key else { return Ok(Key::None) };
    let name = key.expose().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let key = match name {
        Some(name) => match variable(name).filter(|value| !value.trim().is_empty()) {
            Some(value) => Secret::new(value.trim().to_owned()),
            None => return Ok(Key::Missing(name.to_owned())),
        },
        None => key,
    };
    if key.expose().is_empty() || !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = "is not a key: it is empty, or has a space or a character that no header may hold";
        return Err(wrong(setting, format!("{problem}; expected ${{NAME}} of a variable that holds the key")));
    }
    Ok(Key::Set(key))
}

/// A base URL without a slash at its end. The text is not quoted whole in errors: it may hold a password.
fn base_url(setting: &str, text: &str) -> Result<String, SettingsError> {
    let expected = "expected a URL such as http://localhost:11434/v1";
    let url = Url::parse(text).map_err(|cause| wrong(setting, format!("is not a URL ({cause}); {expected}")))?;
    let problem = match url.scheme() {
        "http" | "https" if url.host_str().is_none() => "has no host",
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => "holds a user or a password",
        "http" | "https" if url.query().is_some() || url.fragment().is_some() => "has a query or a fragment",
        "http" | "https" => return Ok(url.as_str().trim_end_matches('/').to_owned()),
        _ => "is neither http nor https",
    };
    Err(wrong(setting, format!("{problem}; {expected}")))
}

/// A model that is its own fallback would be tried for ever.
fn no_cycle(models: &BTreeMap<String, Model>, start: &str) -> Result<(), SettingsError> {
    let mut open = vec![vec![start.to_owned()]];
    while let Some(path) = open.pop() {
        let fallbacks = path.last().and_then(|name| models.get(name)).map_or(&[][..], |model| &model.fallbacks);
        for next in fallbacks {
            if next == start {
                let circle = format!("is a circle: {} → {next}", path.join(" → "));
                return Err(wrong(&format!("models.{start}.fallbacks"), circle));
            }
            if !path.contains(next) {
                open.push(path.iter().chain([next]).cloned().collect());
            }
        }
    }
    Ok(())
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn wrong(setting: &str, problem: String) -> SettingsError {
    SettingsError { setting: setting.to_owned(), problem }
}
