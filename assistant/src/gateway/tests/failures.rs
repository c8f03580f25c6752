use std::time::Duration;

use super::*;

/// What a server that always does the same leads to, over both interfaces.
async fn failure(more: &str, script: Script) -> Failure {
    let mut failures = Vec::new();
    for text in [with(ASSISTANT), anthropic()] {
        let world = world(&format!("{text}\n{more}"), Rules::default(), in_turn(vec![script.clone()])).await;
        failures.push(world.ask().await.unwrap_err());
    }
    assert_eq!(failures[0], failures[1], "the interfaces differ");
    failures.remove(0)
}

fn fast() -> String {
    "fast".to_owned()
}

#[tokio::test]
async fn without_a_model_the_next_step_names_the_settings() {
    let gateway = world("", Rules::default(), good).await;
    let failure = gateway.ask().await.unwrap_err();
    assert_eq!(failure, Failure::NoModel);
    assert!(failure.next_step().contains("[models.NAME]"));
}

#[tokio::test]
async fn a_key_whose_variable_is_not_set_is_missing_and_nothing_is_sent() {
    let world = world(&with(ASSISTANT).replace("FAST_KEY", "OTHER_KEY"), Rules::default(), good).await;
    let failure = world.ask().await.unwrap_err();
    assert_eq!(failure, Failure::KeyMissing { model: fast(), variable: Some("OTHER_KEY".to_owned()) });
    assert!(world.server.seen().is_empty());
}

#[tokio::test]
async fn a_key_that_was_refused_is_not_sent_again() {
    let world = world(&with(ASSISTANT), Rules { key: Some("another".to_owned()), ..Rules::default() }, good).await;
    for _ in 0..3 {
        assert_eq!(world.ask().await, Err(Failure::WrongKey { model: fast(), status: 401 }));
    }
    world.server.reads(1).await;
    assert_eq!(world.gateway.list()[0].key, KeyStatus::Refused);
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn a_refused_key_is_out_of_use_for_the_other_models_that_have_it() {
    let other = "[models.other]\nprovider = \"openai\"\nbase_url = \"URL\"\nmodel = \"big\"\napi_key = \"${FAST_KEY}\"";
    let text = format!("{}\n{other}", with(ASSISTANT));
    let world = world(&text, Rules { key: Some("another".to_owned()), ..Rules::default() }, good).await;
    world.ask().await.unwrap_err();
    let failure = world.gateway.answer(Request { model: Some("other".to_owned()), ..request() }, &silent).await;
    assert_eq!(failure, Err(Failure::WrongKey { model: "other".to_owned(), status: 401 }));
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_an_outcome_of_its_own_even_if_its_text_is_a_document() {
    let cut = Script::Length(document().to_string());
    assert_eq!(failure("max_output_tokens = 300", cut).await, Failure::Truncated { model: fast(), limit: 300 });
}

#[tokio::test]
async fn a_refusal_is_an_outcome_of_its_own_with_the_models_words() {
    let refusal = failure("", Script::Refusal("I won't\u{7} do that".to_owned())).await;
    assert_eq!(refusal, Failure::Refused { model: fast(), reason: "I won't  do that".to_owned() });
}

#[tokio::test]
async fn a_filtered_answer_is_an_outcome_of_its_own() {
    let world = world(&with(ASSISTANT), Rules::default(), in_turn(vec![Script::Filtered])).await;
    assert_eq!(world.ask().await, Err(Failure::Filtered { model: fast() }));
    assert_eq!(world.rows().await[0].outcome, CallOutcome::Filtered);
}

#[tokio::test]
async fn a_stream_without_its_end_marker_is_no_answer_even_if_its_text_is_a_document() {
    let cut = Script::Cut(document().to_string());
    assert_eq!(failure("retries = 1", cut).await, Failure::Cut { model: fast() });
}

#[tokio::test]
async fn an_error_inside_of_a_stream_is_an_error() {
    for text in [with(ASSISTANT), anthropic()] {
        let script = in_turn(vec![Script::Overloaded(document().to_string())]);
        let world = world(&format!("{text}\nretries = 0"), Rules::default(), script).await;
        let down = world.ask().await.unwrap_err();
        assert!(matches!(down, Failure::Down { ref cause, .. } if cause == "HTTP 529: busy"), "{down:?}");
    }
}

#[tokio::test]
async fn text_that_is_no_document_is_not_json() {
    let not = failure("", Script::Text("{\"table\": \"t01\", ".to_owned())).await;
    assert!(matches!(not, Failure::NotJson { .. }), "{not:?}");
}

#[tokio::test]
async fn a_document_of_another_shape_is_refused_with_the_place() {
    let other = failure("", Script::Json(json!({"table": "t09", "limit": null}))).await;
    let problem = "is none of the 2 allowed values".to_owned();
    assert_eq!(other, Failure::WrongShape { model: fast(), at: "/table".to_owned(), problem });
}

#[tokio::test]
async fn a_server_that_sends_pages_is_no_model_server() {
    let page = failure("", Script::Page("<html>log in</html>".to_owned())).await;
    assert!(matches!(page, Failure::NotAnApi { .. }), "{page:?}");
    assert!(page.next_step().contains("models.fast.base_url"));
}

#[tokio::test]
async fn an_answer_without_end_is_stopped_by_its_bytes() {
    let endless = failure("", Script::Endless).await;
    assert_eq!(endless, Failure::TooLarge { model: fast(), limit: 16 << 20 });
}

#[tokio::test]
async fn each_deadline_says_which_one_it_was() {
    let hang = failure("deadlines = { first_token_ms = 80 }", Script::Hang).await;
    assert_eq!(hang, Failure::TooSlow { model: fast(), deadline: Deadline::FirstToken, after_ms: 80 });
    let silent = failure("deadlines = { silence_ms = 80 }", Script::HangAfter("{\"table\"".to_owned())).await;
    assert_eq!(silent, Failure::TooSlow { model: fast(), deadline: Deadline::Silence, after_ms: 80 });
    let trickle = Script::Trickle("x".repeat(2_000), Duration::from_millis(20));
    let total = failure("deadlines = { total_ms = 100 }", trickle).await;
    assert_eq!(total, Failure::TooSlow { model: fast(), deadline: Deadline::Total, after_ms: 100 });
    assert!(total.next_step().contains("models.fast.deadlines.total_ms"));
}

#[tokio::test]
async fn pings_do_not_count_as_tokens() {
    // The server of this interface sends its start and a ping before it hangs.
    let text = format!("{}\ndeadlines = {{ first_token_ms = 80 }}", anthropic());
    let world = world(&text, Rules::default(), in_turn(vec![Script::HangAfter(String::new())])).await;
    let failure = world.ask().await.unwrap_err();
    assert!(matches!(failure, Failure::TooSlow { deadline: Deadline::FirstToken, .. }), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_down_with_a_time_to_try_again() {
    let text = with(ASSISTANT).replace("URL", "http://127.0.0.1:9");
    let world = world(&text, Rules::default(), good).await;
    let failure = world.ask().await.unwrap_err();
    assert!(matches!(&failure, Failure::Down { retry_at, .. } if *retry_at > world.clock.now()), "{failure:?}");
    assert_eq!(world.clock.pauses().len(), 2);
}

#[tokio::test]
async fn an_unknown_model_of_the_provider_is_rejected_at_once() {
    let rejected = failure("", Script::status(404)).await;
    assert_eq!(rejected, Failure::Rejected { model: fast(), status: 404, message: "scripted".to_owned() });
    assert!(rejected.next_step().contains("models.fast.model"));
}

#[tokio::test]
async fn a_request_that_is_too_long_for_the_model_says_so() {
    let message = "This model's maximum context length is 8192 tokens".to_owned();
    let script = Script::Status { status: 400, retry_after: None, message, code: String::new() };
    assert_eq!(failure("", script).await, Failure::TooLong { model: fast() });
}

#[tokio::test]
async fn an_account_without_credit_is_not_a_rate_limit() {
    let message = "You exceeded your current quota".to_owned();
    let script = Script::Status { status: 429, retry_after: None, message, code: "insufficient_quota".to_owned() };
    assert_eq!(failure("", script).await, Failure::OutOfCredit { model: fast() });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = world(&with(ASSISTANT), Rules::default(), in_turn(vec![Script::status(307)])).await;
    assert!(matches!(world.ask().await, Err(Failure::Rejected { status: 307, .. })));
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn dropping_the_future_cancels_the_call_and_settles_it() {
    let text = with("[assistant]\nmodel = \"fast\"\nbudget = { workspace = \"5\" }");
    let world = world(&text, Rules::default(), in_turn(vec![Script::HangAfter("{\"table\"".to_owned())])).await;
    {
        let mut call = Box::pin(world.ask());
        tokio::select! {
            _ = &mut call => unreachable!("the server never ends"),
            () = world.server.reads(1) => {}
        }
    }
    world.server.is_hung_up().await;
    world.gateway.close().await;
    let row = world.ledger.rows().remove(0);
    assert_eq!((row.outcome, row.cost), (CallOutcome::Cancelled, None));
    assert_eq!(world.ledger.spent(), row.charged);
    assert!(row.charged > Money(0) && row.charged < Money(1_000_000), "{}", row.charged);
}

#[tokio::test]
async fn a_connection_that_is_not_opened_in_time_costs_nothing() {
    // Once its queue is full, the system leaves further connections unanswered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let wait = Duration::from_millis(100);
    while let Ok(connected) = tokio::time::timeout(wait, tokio::net::TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    let text = with(ASSISTANT).replace("URL", &format!("http://{address}"));
    let text = format!("{text}\nretries = 0\ndeadlines = {{ connect_ms = 80 }}");
    let world = world(&text, Rules::default(), good).await;
    let failure = world.ask().await.unwrap_err();
    assert_eq!(failure, Failure::TooSlow { model: fast(), deadline: Deadline::Connect, after_ms: 80 });
    assert_eq!(world.rows().await[0].charged, Money(0));
}
