//! Chat completions, as OpenAI and servers compatible with it take and give them.

use async_openai::types::chat::{
    ChatCompletionNamedToolChoice, ChatCompletionStreamOptions, ChatCompletionTool, ChatCompletionToolChoiceOption,
    ChatCompletionTools, FunctionName, FunctionObject, ResponseFormat, ResponseFormatJsonSchema,
};
use serde::Serialize;
use serde_json::Value;

use super::http::Broken;
use super::ladder::{Abilities, Step};
use super::reply::{End, Reply, count, error_of, text};
use super::request::{Request, Role, Usage};
use super::settings::Model;

/// A request as every compatible server takes it: fields that are not needed are absent, as some servers refuse what they don't know.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<ChatCompletionStreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<ChatCompletionTools>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChatCompletionToolChoiceOption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

pub(super) fn body<'a>(
    model: &'a Model,
    request: &'a Request,
    system: &'a str,
    abilities: Abilities,
    longest: u32,
) -> Body<'a> {
    let shape = &request.shape;
    let turns = request
        .turns
        .iter()
        .map(|turn| Message { role: if turn.role == Role::User { "user" } else { "assistant" }, content: &turn.text });
    let function = || FunctionObject {
        name: shape.name.clone(),
        description: None,
        parameters: Some(shape.schema.clone()),
        strict: Some(true),
    };
    let is_tool = abilities.step == Step::Tool;
    Body {
        model: &model.model,
        messages: [Message { role: "system", content: system }].into_iter().chain(turns).collect(),
        stream: model.stream,
        stream_options: (model.stream && abilities.counts_streams)
            .then_some(ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None }),
        response_format: match abilities.step {
            Step::Strict => Some(ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    description: None,
                    name: shape.name.clone(),
                    schema: shape.schema.clone(),
                    strict: Some(true),
                },
            }),
            Step::Object => Some(ResponseFormat::JsonObject),
            Step::Tool | Step::Text => None,
        },
        tools: is_tool.then(|| vec![ChatCompletionTools::Function(ChatCompletionTool { function: function() })]),
        tool_choice: is_tool.then(|| {
            let function = FunctionName { name: shape.name.clone() };
            ChatCompletionToolChoiceOption::Function(ChatCompletionNamedToolChoice { function })
        }),
        temperature: model.temperature.filter(|_| abilities.takes_temperature),
        max_tokens: (!abilities.limits_completion).then_some(longest),
        max_completion_tokens: abilities.limits_completion.then_some(longest),
    }
}

/// Adds an event of a stream.
pub(super) fn event(reply: &mut Reply, event: &Value) -> Result<(), Broken> {
    add(reply, event, "/choices/0/delta")
}

/// Adds an answer that was not streamed.
pub(super) fn whole(reply: &mut Reply, answer: &Value) -> Result<(), Broken> {
    add(reply, answer, "/choices/0/message")
}

fn add(reply: &mut Reply, event: &Value, message: &str) -> Result<(), Broken> {
    if let Some(broken) = error_of(event) {
        return Err(broken);
    }
    let none = Value::Null;
    let part = event.pointer(message).unwrap_or(&none);
    reply.text.push_str(text(part, "/content"));
    reply.refusal.push_str(text(part, "/refusal"));
    for call in part.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        // A second call of the same tool would be glued to the first one: it makes the answer invalid JSON, which is what it is.
        reply.tool.push_str(text(call, "/function/arguments"));
    }
    if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
        reply.usage = Some(read_usage(usage));
    }
    reply.end = match text(event, "/choices/0/finish_reason") {
        "" => reply.end,
        "length" => Some(End::Truncated),
        "content_filter" => Some(End::Filtered),
        _ if !reply.refusal.is_empty() => Some(End::Refused),
        _ => Some(End::Done),
    };
    // The usage follows the last choice, if it comes at all.
    reply.is_over = reply.end.is_some() && reply.usage.is_some();
    Ok(())
}

/// Its `prompt_tokens` include the cached ones.
fn read_usage(usage: &Value) -> Usage {
    let cached = count(usage, "/prompt_tokens_details/cached_tokens");
    Usage {
        input: count(usage, "/prompt_tokens").saturating_sub(cached),
        cached,
        cache_write: 0,
        output: count(usage, "/completion_tokens"),
        reasoning: count(usage, "/completion_tokens_details/reasoning_tokens"),
    }
}

/// Whether an event carries a token, seen or not.
pub(super) fn has_token(event: &Value) -> bool {
    let delta = event.pointer("/choices/0/delta");
    let filled = |name: &str| match delta.and_then(|delta| delta.get(name)) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(calls)) => !calls.is_empty(),
        _ => false,
    };
    ["content", "refusal", "tool_calls", "reasoning_content", "reasoning"].into_iter().any(filled)
}
