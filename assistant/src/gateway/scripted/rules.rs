//! What the real interfaces refuse.

use serde_json::{Map, Value};

use super::super::ladder::Step;
use super::super::settings::Provider;
use super::wire::Received;
use super::{Rules, Seen};

/// Why a request is refused.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) code: &'static str,
    /// What it asked for, if that could be read.
    pub(super) seen: Option<Box<Seen>>,
}

/// Fields of a request for chat completions.
const OPENAI_FIELDS: [&str; 10] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "response_format",
    "tools",
    "tool_choice",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
];

/// Fields of a request for a message.
const ANTHROPIC_FIELDS: [&str; 9] =
    ["model", "max_tokens", "system", "messages", "stream", "output_config", "tools", "tool_choice", "temperature"];

/// Reads a request as the provider would, or refuses it.
pub(super) fn read(request: &Received, rules: &Rules) -> Result<Seen, Refused> {
    let provider = request.provider();
    let known = ["/v1/chat/completions", "/v1/messages"].contains(&request.path.as_str());
    if !known || request.method != "POST" {
        return Err(refused(404, "there is no such path", "not_found_error"));
    }
    check_headers(request, rules)?;
    let body = request.body.as_ref().ok_or_else(|| refused(413, "the request is too large", "request_too_large"))?;
    let body: Value = serde_json::from_slice(body).map_err(|_| bad("the body is not JSON"))?;
    let seen = seen(provider, &body)?;
    check(&seen, rules).map_err(|refused| Refused { seen: Some(Box::new(seen.clone())), ..refused })?;
    Ok(seen)
}

fn check_headers(request: &Received, rules: &Rules) -> Result<(), Refused> {
    let key = match request.provider() {
        Provider::OpenAi => request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
        Provider::Anthropic => {
            if request.header("anthropic-version").is_none() {
                return Err(bad("anthropic-version: header is required"));
            }
            request.header("x-api-key")
        }
    };
    if rules.key.is_some() && rules.key.as_deref() != key {
        let given = key.unwrap_or("none");
        return Err(refused(401, &format!("incorrect API key provided: {given}"), "authentication_error"));
    }
    if request.header("content-type") != Some("application/json") {
        return Err(bad("the content type is not JSON"));
    }
    Ok(())
}

fn seen(provider: Provider, body: &Value) -> Result<Seen, Refused> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let all = body.get("messages").and_then(Value::as_array).ok_or_else(|| bad("messages: field required"))?;
    let mut turns = Vec::new();
    for message in all {
        let role = message.get("role").and_then(text).ok_or_else(|| bad("messages: a role is missing"))?;
        let said =
            message.get("content").and_then(text).ok_or_else(|| bad("messages: text content must be non-empty"))?;
        turns.push((role, said));
    }
    let (schema, system) = match provider {
        Provider::OpenAi => {
            let first = turns.first().filter(|(role, _)| role == "system").map(|(_, text)| text.clone());
            turns.drain(..usize::from(first.is_some()));
            (
                body.pointer("/response_format/json_schema/schema").or(body.pointer("/tools/0/function/parameters")),
                first,
            )
        }
        Provider::Anthropic => (
            body.pointer("/output_config/format/schema").or(body.pointer("/tools/0/input_schema")),
            body.get("system").and_then(text),
        ),
    };
    let format = body.pointer("/response_format/type").and_then(Value::as_str);
    let step = match (body.get("tools"), schema, format) {
        (Some(_), ..) => Step::Tool,
        (None, Some(_), _) => Step::Strict,
        (None, None, Some("json_object")) => Step::Object,
        _ => Step::Text,
    };
    Ok(Seen { provider, step, system: system.unwrap_or_default(), turns, schema: schema.cloned(), body: body.clone() })
}

fn check(seen: &Seen, rules: &Rules) -> Result<(), Refused> {
    let none = Map::new();
    let body = seen.body.as_object().unwrap_or(&none);
    let fields: &[&str] = if seen.provider == Provider::OpenAi { &OPENAI_FIELDS } else { &ANTHROPIC_FIELDS };
    if let Some(name) = body.keys().find(|name| !fields.contains(&name.as_str())) {
        return Err(bad(&format!("unrecognized request argument supplied: {name}")));
    }
    if body.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(bad("model: field required"));
    }
    if seen.turns.iter().any(|(role, _)| role != "user" && role != "assistant") {
        return Err(bad("messages: unexpected role"));
    }
    if seen.turns.first().is_none_or(|(role, _)| role != "user") {
        return Err(bad("messages: first message must use the user role"));
    }
    if body.get("temperature").and_then(Value::as_f64).is_some_and(|degree| !(0.0..=2.0).contains(&degree)) {
        return Err(bad("temperature: out of range"));
    }
    match seen.provider {
        Provider::OpenAi => check_openai(seen, body, rules)?,
        Provider::Anthropic => check_anthropic(seen, body)?,
    }
    if !rules.steps.contains(&seen.step) {
        return Err(bad(&format!("{} is not supported", feature(seen))));
    }
    let problem = seen.schema.as_ref().and_then(outside_subset);
    problem.map_or(Ok(()), |problem| Err(bad(&format!("Invalid schema for {}: {problem}", feature(seen)))))
}

fn feature(seen: &Seen) -> &'static str {
    match (seen.provider, seen.step) {
        (Provider::OpenAi, Step::Strict) => "response_format 'json_schema'",
        (Provider::Anthropic, Step::Strict) => "output_config",
        (_, Step::Tool) => "tools",
        (_, Step::Object) => "response_format 'json_object'",
        (_, Step::Text) => "text",
    }
}

fn check_openai(seen: &Seen, body: &Map<String, Value>, rules: &Rules) -> Result<(), Refused> {
    let (wrong, right) = match rules.limits_completion {
        true => ("max_tokens", "max_completion_tokens"),
        false => ("max_completion_tokens", "max_tokens"),
    };
    if body.contains_key(wrong) {
        return Err(bad(&format!("unsupported parameter: '{wrong}' is not supported; use '{right}' instead")));
    }
    if body.contains_key("stream_options") && (!rules.counts_streams || body.get("stream") != Some(&Value::Bool(true)))
    {
        return Err(bad("stream_options: extra inputs are not permitted"));
    }
    let name = seen.body.pointer("/response_format/json_schema/name").or(seen.body.pointer("/tools/0/function/name"));
    check_name(seen, name)?;
    let forced = seen.body.pointer("/tool_choice/function/name");
    if seen.step == Step::Tool && forced != name {
        return Err(bad("tool_choice: names no tool"));
    }
    // OpenAI's own condition for this mode.
    let says_json = |text: &str| text.to_lowercase().contains("json");
    let is_said = says_json(&seen.system) || seen.turns.iter().any(|(_, text)| says_json(text));
    if seen.step == Step::Object && !is_said {
        return Err(bad("'messages' must contain the word 'json' to use 'response_format' of type 'json_object'"));
    }
    Ok(())
}

fn check_anthropic(seen: &Seen, body: &Map<String, Value>) -> Result<(), Refused> {
    if body.get("max_tokens").and_then(Value::as_u64).is_none_or(|limit| limit == 0) {
        return Err(bad("max_tokens: field required"));
    }
    if seen.step == Step::Tool {
        check_name(seen, seen.body.pointer("/tools/0/name"))?;
        if seen.body.pointer("/tool_choice/name") != seen.body.pointer("/tools/0/name") {
            return Err(bad("tool_choice: names no tool"));
        }
    }
    Ok(())
}

fn check_name(seen: &Seen, name: Option<&Value>) -> Result<(), Refused> {
    let is_name = |name: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !name.is_empty() && name.len() <= 64 && name.bytes().all(is_allowed)
    };
    let has_name = name.and_then(Value::as_str).is_some_and(is_name);
    if matches!(seen.step, Step::Strict | Step::Tool) && !has_name {
        return Err(bad("the name of a schema is missing or invalid"));
    }
    Ok(())
}

/// What a schema has that the strict modes of OpenAI and Anthropic don't both take.
#[must_use]
pub fn outside_subset(schema: &Value) -> Option<String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") || schema.get("anyOf").is_some() {
        return Some("the root must be an object".to_owned());
    }
    part(schema, schema, "#", 0)
}

/// Keywords that both take.
const KEYWORDS: [&str; 14] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "description",
    "title",
    "$schema",
    "format",
];

fn part(schema: &Value, root: &Value, at: &str, depth: usize) -> Option<String> {
    let Some(fields) = schema.as_object() else { return Some(format!("{at} is not an object")) };
    if depth > 10 {
        return Some(format!("{at} is nested more than ten levels deep, or refers to itself"));
    }
    if let Some(keyword) = fields.keys().find(|name| !KEYWORDS.contains(&name.as_str())) {
        return Some(format!("{at} has '{keyword}', which is not permitted"));
    }
    if let Some(target) = fields.get("$ref") {
        let pointer = target.as_str().and_then(|target| target.strip_prefix('#')).unwrap_or("/");
        return match root.pointer(pointer) {
            Some(target) => part(target, root, at, depth + 1),
            None => Some(format!("{at} refers to nothing")),
        };
    }
    let list = |name: &str| fields.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    if fields.get("type").is_some_and(|kind| kind == "object") {
        if let Some(problem) = object(fields, root, at, depth) {
            return Some(problem);
        }
    } else if !["type", "enum", "const", "anyOf"].iter().any(|name| fields.contains_key(*name)) {
        return Some(format!("{at} has no type"));
    }
    let items = fields.get("items").and_then(|items| part(items, root, &format!("{at}/items"), depth + 1));
    items.or_else(|| list("anyOf").find_map(|(n, choice)| part(choice, root, &format!("{at}/anyOf/{n}"), depth + 1)))
}

fn object(fields: &Map<String, Value>, root: &Value, at: &str, depth: usize) -> Option<String> {
    if fields.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Some(format!("{at}: 'additionalProperties' is required to be supplied and to be false"));
    }
    let none = Map::new();
    let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required: Vec<&str> =
        fields.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(name) = properties.keys().find(|name| !required.contains(&name.as_str())) {
        return Some(format!("{at}: 'required' lacks '{name}'"));
    }
    if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Some(format!("{at}: 'required' has '{name}', which is no property"));
    }
    properties.iter().find_map(|(name, schema)| part(schema, root, &format!("{at}/{name}"), depth + 1))
}

fn bad(message: &str) -> Refused {
    refused(400, message, "invalid_request_error")
}

fn refused(status: u16, message: &str, code: &'static str) -> Refused {
    Refused { status, message: message.to_owned(), code, seen: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object_of(field: Value) -> Value {
        json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": field}})
    }

    #[test]
    fn a_schema_that_both_providers_take_is_inside_of_the_subset() {
        let choice = json!({"anyOf": [{"type": "null"}, object_of(json!({"const": 1}))]});
        assert_eq!(outside_subset(&object_of(json!({"type": "array", "items": choice}))), None);
    }

    #[test]
    fn what_one_of_them_refuses_is_outside_of_it() {
        let itself = json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": {"$ref": "#"}}});
        for schema in [
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "object", "properties": {}}),
            json!({"type": "object", "additionalProperties": false, "required": [], "properties": {"a": {"type": "string"}}}),
            object_of(json!({"oneOf": [{"type": "string"}]})),
            object_of(json!({"type": "integer", "minimum": 1})),
            object_of(json!({"type": "string", "maxLength": 3})),
            object_of(json!({"not": {"type": "string"}})),
            itself,
        ] {
            assert!(outside_subset(&schema).is_some(), "{schema}");
        }
    }
}
