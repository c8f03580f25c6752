//! The gateway against a scripted server, over real sockets.

mod answers;
mod caching;
mod failures;
mod ladder;
mod money;
mod outages;
mod recordings;
mod server;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::scripted::{ManualClock, MemoryLedger, Rules, Script, Scripted, Seen};
use super::*;

const KEY: &str = "sk-scripted-1234567890";

/// A gateway with all that it touches.
struct World {
    gateway: Gateway,
    ledger: Arc<MemoryLedger>,
    clock: ManualClock,
    server: Scripted,
}

/// A server and settings for `fast` of it; `text` is more of `headwater.toml`, where `URL` is the server's.
async fn world(text: &str, rules: Rules, script: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> World {
    let server = Scripted::start(rules, script).await.unwrap();
    let settings = settings(&text.replace("URL", server.url())).unwrap();
    let ledger = Arc::new(MemoryLedger::default());
    let clock = ManualClock::at("2026-11-26T10:00:00Z".parse().unwrap());
    let gateway = Gateway::new(settings, ledger.clone(), Arc::new(clock.clone())).unwrap();
    World { gateway, ledger, clock, server }
}

/// The usual settings, then what a test adds.
fn with(more: &str) -> String {
    let common = r#"
        [models.fast]
        provider = "openai"
        base_url = "URL"
        model = "small"
        api_key = "${FAST_KEY}"
        prices = [{ from = "2026-01-01", input = "2.50", cached_input = "0.25", output = "10" }]
    "#;
    format!("{more}\n{common}")
}

/// The usual settings for Anthropic's interface.
fn anthropic() -> String {
    with(ASSISTANT).replace("\"openai\"", "\"anthropic\"")
}

const ASSISTANT: &str = "[assistant]\nmodel = \"fast\"";

#[derive(serde::Deserialize)]
struct File {
    #[serde(default)]
    models: BTreeMap<String, ModelSettings>,
    #[serde(default)]
    assistant: AssistantSettings,
}

fn settings(text: &str) -> Result<GatewaySettings, SettingsError> {
    let file: File = toml::from_str(text).unwrap();
    let variable = |name: &str| (name == "FAST_KEY").then(|| KEY.to_owned());
    GatewaySettings::new(file.models, file.assistant, variable)
}

pub(super) fn scope() -> Scope {
    Scope {
        workspace: "shop".to_owned(),
        person: "ada".to_owned(),
        grants: "g1".to_owned(),
        feature: "compile.plan".to_owned(),
        prompt_version: "p1".to_owned(),
        snapshot: "s1".to_owned(),
        policy: "y1".to_owned(),
    }
}

fn request() -> Request {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["table", "limit"],
        "properties": {"table": {"enum": ["t01", "t02"]}, "limit": {"type": ["integer", "null"]}}
    });
    Request {
        scope: scope(),
        why: Why::Compile,
        model: None,
        system: "Choose a table.".to_owned(),
        turns: vec![Turn::user("the orders, please")],
        shape: Shape { name: "choice".to_owned(), schema },
        max_output: None,
        allowance: None,
    }
}

fn document() -> Value {
    json!({"table": "t01", "limit": 5})
}

fn good(_: &Seen) -> Script {
    Script::Json(document())
}

/// The n-th request gets the n-th script, and those after the last the last.
fn in_turn(scripts: Vec<Script>) -> impl Fn(&Seen) -> Script + Send + Sync {
    let next = std::sync::atomic::AtomicUsize::new(0);
    move |_| {
        let n = next.fetch_add(1, Ordering::SeqCst).min(scripts.len() - 1);
        scripts[n].clone()
    }
}

impl World {
    async fn ask(&self) -> Result<Answer, Failure> {
        self.gateway.answer(request(), &silent).await
    }

    /// The rows of all calls, after all of them are written.
    async fn rows(self) -> Vec<CallRow> {
        self.gateway.close().await;
        self.ledger.rows()
    }
}
