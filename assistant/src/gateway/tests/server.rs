//! The scripted server refuses what the real ones refuse: a test that passes against it says something.

use super::*;

/// What the server answers to a body.
async fn post(server: &Scripted, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, String) {
    let request =
        reqwest::Client::new().post(format!("{}{path}", server.url())).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn chat() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn requests_that_the_real_servers_refuse_are_refused() {
    let server = Scripted::start(Rules { longest_body: 2_000, ..Rules::default() }, good).await.unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut body = chat();
        body[pointer] = value;
        body
    };
    for (status, body) in [
        (200, chat()),
        (400, changed("model", json!(""))),
        (400, changed("messages", json!([]))),
        (400, changed("messages", json!([{"role": "user", "content": ""}]))),
        (400, changed("messages", json!([{"role": "wizard", "content": "hello"}]))),
        (400, changed("messages", json!([{"role": "assistant", "content": "hello"}]))),
        (400, changed("temperature", json!(9))),
        (400, changed("colour", json!("red"))),
        (400, changed("response_format", json!({"type": "json_object"}))),
        (400, changed("tools", json!([{"type": "function", "function": {"name": "t", "parameters": {}}}]))),
        (413, changed("messages", json!([{"role": "user", "content": "x".repeat(3_000)}]))),
    ] {
        let (found, text) = post(&server, "/chat/completions", &[], &body).await;
        assert_eq!(found, status, "{body}: {text}");
    }
    assert_eq!(post(&server, "/completions", &[], &chat()).await.0, 404);
}

#[tokio::test]
async fn messages_need_their_version_and_their_limit() {
    let server = Scripted::start(Rules::default(), good).await.unwrap();
    let version = [("anthropic-version", "2023-06-01")];
    let mut body = chat();
    assert_eq!(post(&server, "/messages", &version, &body).await.0, 400, "no max_tokens");
    body["max_tokens"] = json!(10);
    assert_eq!(post(&server, "/messages", &[], &body).await.0, 400, "no version");
    assert_eq!(post(&server, "/messages", &version, &body).await.0, 200);
}

#[tokio::test]
async fn a_wrong_key_or_none_is_refused_by_both_interfaces() {
    let server = Scripted::start(Rules { key: Some("right".to_owned()), ..Rules::default() }, good).await.unwrap();
    let mut message = chat();
    message["max_tokens"] = json!(10);
    let version = ("anthropic-version", "2023-06-01");
    for (status, key) in [(401, "wrong"), (200, "right")] {
        let bearer = format!("Bearer {key}");
        assert_eq!(post(&server, "/chat/completions", &[("authorization", &bearer)], &chat()).await.0, status);
        assert_eq!(post(&server, "/messages", &[version, ("x-api-key", key)], &message).await.0, status);
    }
    assert_eq!(post(&server, "/chat/completions", &[], &chat()).await.0, 401);
}
