//! Scripts as each interface writes them.

use std::io::Result;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::ladder::Step;
use super::super::request::Usage;
use super::super::settings::Provider;
use super::wire::Connection;
use super::{Rules, Script, Seen};

/// Characters of a piece of a stream.
const PIECE: usize = 16;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Length,
    Refusal,
    Filter,
    /// Without its marker.
    Cut,
    /// With an error in the stream.
    Overloaded,
    /// Never.
    Hang,
}

/// Answers a request. Returns whether the connection may go on.
pub(super) async fn answer(connection: &mut Connection, seen: &Seen, script: Script, rules: &Rules) -> Result<bool> {
    let (text, end, pause) = match script {
        Script::Json(document) => (document.to_string(), End::Done, Duration::ZERO),
        Script::Text(text) => (text, End::Done, Duration::ZERO),
        Script::Refusal(text) => (text, End::Refusal, Duration::ZERO),
        Script::Filtered => (String::new(), End::Filter, Duration::ZERO),
        Script::Length(text) => (text, End::Length, Duration::ZERO),
        Script::Cut(text) => (text, End::Cut, Duration::ZERO),
        Script::Overloaded(text) => (text, End::Overloaded, Duration::ZERO),
        Script::HangAfter(text) => (text, End::Hang, Duration::ZERO),
        Script::Trickle(text, pause) => (text, End::Done, pause),
        Script::Hang => return connection.hang().await,
        Script::Page(page) => return connection.whole(200, "text/html", None, page.as_bytes()).await,
        Script::Status { status, retry_after, message, code } => {
            return connection.error(seen.provider, status, retry_after.as_deref(), &message, &code).await;
        }
        Script::Endless => return endless(connection, seen).await,
    };
    let writer = Writer { seen, usage: rules.sends_usage.then_some(rules.usage) };
    if seen.body.get("stream") == Some(&Value::Bool(true)) {
        writer.stream(connection, &text, end, pause).await
    } else {
        connection.json(200, None, &writer.whole(&text, end)).await
    }
}

async fn endless(connection: &mut Connection, seen: &Seen) -> Result<bool> {
    connection.start_stream().await?;
    let writer = Writer { seen, usage: None };
    let part = writer.piece(&"x".repeat(64 << 10), false);
    loop {
        connection.part(&part).await?;
    }
}

struct Writer<'a> {
    seen: &'a Seen,
    usage: Option<Usage>,
}

impl Writer<'_> {
    async fn stream(&self, connection: &mut Connection, text: &str, end: End, pause: Duration) -> Result<bool> {
        connection.start_stream().await?;
        for event in self.before() {
            connection.part(&event).await?;
        }
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(PIECE) {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            connection.part(&self.piece(&piece.iter().collect::<String>(), end == End::Refusal)).await?;
        }
        match end {
            End::Cut => return connection.end_stream().await,
            End::Hang => return connection.hang().await,
            _ => {}
        }
        for event in self.after(end) {
            connection.part(&event).await?;
        }
        connection.end_stream().await
    }

    fn is_tool(&self) -> bool {
        self.seen.step == Step::Tool
    }

    fn before(&self) -> Vec<String> {
        match self.seen.provider {
            Provider::OpenAi => vec![openai(&json!({"role": "assistant", "content": ""}), None)],
            Provider::Anthropic => {
                let usage = self.usage.map(|usage| anthropic_usage(Usage { output: 1, ..usage }));
                let block = if self.is_tool() {
                    json!({"type": "tool_use", "id": "t", "name": "t", "input": {}})
                } else {
                    json!({"type": "text", "text": ""})
                };
                vec![
                    named(
                        &json!({"type": "message_start", "message": {"role": "assistant", "content": [], "usage": usage}}),
                    ),
                    named(&json!({"type": "content_block_start", "index": 0, "content_block": block})),
                    named(&json!({"type": "ping"})),
                ]
            }
        }
    }

    fn piece(&self, text: &str, is_refusal: bool) -> String {
        match self.seen.provider {
            Provider::OpenAi if is_refusal => openai(&json!({"refusal": text}), None),
            Provider::OpenAi if self.is_tool() => {
                openai(&json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}), None)
            }
            Provider::OpenAi => openai(&json!({"content": text}), None),
            Provider::Anthropic => {
                let delta = if self.is_tool() && !is_refusal {
                    json!({"type": "input_json_delta", "partial_json": text})
                } else {
                    json!({"type": "text_delta", "text": text})
                };
                named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
            }
        }
    }

    fn after(&self, end: End) -> Vec<String> {
        match self.seen.provider {
            _ if end == End::Overloaded => {
                vec![named(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}))]
            }
            Provider::OpenAi => {
                let mut events = vec![openai(&json!({}), Some(self.reason(end)))];
                let asks = self.seen.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
                if let Some(usage) = self.usage.filter(|_| asks) {
                    events.push(data(&json!({"choices": [], "usage": openai_usage(usage)})));
                }
                events.push("data: [DONE]\n\n".to_owned());
                events
            }
            Provider::Anthropic => {
                let usage = self.usage.map(|usage| json!({"output_tokens": usage.output}));
                vec![
                    named(&json!({"type": "content_block_stop", "index": 0})),
                    named(
                        &json!({"type": "message_delta", "delta": {"stop_reason": self.reason(end)}, "usage": usage}),
                    ),
                    named(&json!({"type": "message_stop"})),
                ]
            }
        }
    }

    fn whole(&self, text: &str, end: End) -> Value {
        match self.seen.provider {
            Provider::OpenAi => {
                let message = match end {
                    End::Refusal => json!({"role": "assistant", "content": null, "refusal": text}),
                    _ if self.is_tool() => {
                        json!({"role": "assistant", "content": null, "tool_calls": [{"function": {"arguments": text}}]})
                    }
                    _ => json!({"role": "assistant", "content": text}),
                };
                let choice = json!({"index": 0, "message": message, "finish_reason": self.reason(end)});
                json!({"choices": [choice], "usage": self.usage.map(openai_usage)})
            }
            Provider::Anthropic => {
                let block = match serde_json::from_str::<Value>(text) {
                    Ok(input) if self.is_tool() => json!({"type": "tool_use", "id": "t", "name": "t", "input": input}),
                    _ => json!({"type": "text", "text": text}),
                };
                json!({"content": [block], "stop_reason": self.reason(end), "usage": self.usage.map(anthropic_usage)})
            }
        }
    }

    fn reason(&self, end: End) -> &'static str {
        match (self.seen.provider, end) {
            (Provider::OpenAi, End::Length) => "length",
            (Provider::OpenAi, End::Filter) => "content_filter",
            (Provider::OpenAi, _) if self.is_tool() => "tool_calls",
            (Provider::OpenAi, _) => "stop",
            (Provider::Anthropic, End::Length) => "max_tokens",
            (Provider::Anthropic, End::Refusal | End::Filter) => "refusal",
            (Provider::Anthropic, _) if self.is_tool() => "tool_use",
            (Provider::Anthropic, _) => "end_turn",
        }
    }
}

fn openai(delta: &Value, reason: Option<&str>) -> String {
    data(
        &json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}),
    )
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"))
}

/// Here the cached tokens are a part of the prompt's.
fn openai_usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input + usage.cached,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens": usage.output,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

/// Here they are not.
fn anthropic_usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
        "output_tokens": usage.output,
    })
}
