//! Anthropic's Messages.

use serde::Serialize;
use serde_json::Value;

use super::http::Broken;
use super::ladder::{Abilities, Step};
use super::reply::{End, Reply, count, error_of, text};
use super::request::{Request, Turn, Usage};
use super::settings::Model;

/// The version of the interface that this file is written for.
pub(super) const VERSION: &str = "2023-06-01";

#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    system: &'a str,
    messages: &'a [Turn],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tool<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OutputConfig<'a> {
    format: Format<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema { schema: &'a Value },
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    name: &'a str,
    input_schema: &'a Value,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolChoice<'a> {
    Tool { name: &'a str },
}

pub(super) fn body<'a>(
    model: &'a Model,
    request: &'a Request,
    system: &'a str,
    abilities: Abilities,
    longest: u32,
) -> Body<'a> {
    let shape = &request.shape;
    let is_tool = abilities.step == Step::Tool;
    Body {
        model: &model.model,
        max_tokens: longest,
        system,
        messages: &request.turns,
        stream: model.stream,
        output_config: (abilities.step == Step::Strict)
            .then_some(OutputConfig { format: Format::JsonSchema { schema: &shape.schema } }),
        tools: is_tool.then_some([Tool { name: &shape.name, input_schema: &shape.schema }]),
        tool_choice: is_tool.then_some(ToolChoice::Tool { name: &shape.name }),
        temperature: model.temperature.filter(|_| abilities.takes_temperature),
    }
}

/// Adds an event of a stream.
pub(super) fn event(reply: &mut Reply, event: &Value) -> Result<(), Broken> {
    match text(event, "/type") {
        "error" => return Err(error_of(event).unwrap_or(Broken::Cut)),
        "message_start" => add_usage(reply, event.pointer("/message/usage")),
        "content_block_delta" => {
            reply.text.push_str(text(event, "/delta/text"));
            reply.tool.push_str(text(event, "/delta/partial_json"));
        }
        "message_delta" => {
            add_usage(reply, event.get("usage"));
            reply.end = end(text(event, "/delta/stop_reason")).or(reply.end);
        }
        "message_stop" => reply.is_over = true,
        _ => {}
    }
    Ok(())
}

/// Adds an answer that was not streamed.
pub(super) fn whole(reply: &mut Reply, answer: &Value) -> Result<(), Broken> {
    if let Some(broken) = error_of(answer) {
        return Err(broken);
    }
    for block in answer.get("content").and_then(Value::as_array).into_iter().flatten() {
        match (text(block, "/type"), block.get("input")) {
            ("text", _) => reply.text.push_str(text(block, "/text")),
            ("tool_use", Some(input)) => reply.tool.push_str(&input.to_string()),
            _ => {}
        }
    }
    add_usage(reply, answer.get("usage"));
    reply.end = end(text(answer, "/stop_reason"));
    reply.is_over = reply.end.is_some();
    Ok(())
}

fn end(reason: &str) -> Option<End> {
    match reason {
        "" => None,
        "max_tokens" | "model_context_window_exceeded" => Some(End::Truncated),
        "refusal" => Some(End::Refused),
        _ => Some(End::Done),
    }
}

/// Its counts are totals, and `input_tokens` does not include cached ones. A later event repeats only some of them.
fn add_usage(reply: &mut Reply, usage: Option<&Value>) {
    let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
    let sum = reply.usage.get_or_insert_with(Usage::default);
    let newest = |path: &str, earlier: u64| count(usage, path).max(earlier);
    sum.input = newest("/input_tokens", sum.input);
    sum.cached = newest("/cache_read_input_tokens", sum.cached);
    sum.cache_write = newest("/cache_creation_input_tokens", sum.cache_write);
    sum.output = newest("/output_tokens", sum.output);
}

/// Whether an event carries a token, seen or not.
pub(super) fn has_token(event: &Value) -> bool {
    text(event, "/type") == "content_block_delta"
}
