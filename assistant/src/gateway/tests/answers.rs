use parking_lot::Mutex;

use super::*;

#[tokio::test]
async fn both_providers_give_the_same_document_usage_and_cost() {
    for (text, stream) in [(with(ASSISTANT), true), (with(ASSISTANT), false), (anthropic(), true), (anthropic(), false)]
    {
        let text = text.replace("model = \"small\"", &format!("model = \"small\"\nstream = {stream}"));
        let rules = Rules { key: Some(KEY.to_owned()), ..Rules::default() };
        let world = world(&text, rules, good).await;
        let answer = world.ask().await.unwrap();
        assert_eq!(answer.document, document());
        assert_eq!((answer.model.as_str(), answer.origin), ("fast", Origin::Model));
        assert_eq!(answer.usage, Some(Usage { input: 100, cached: 40, cache_write: 0, output: 20, reasoning: 0 }));
        // 100 at 2,500, 40 at 250 and 20 at 10,000 nano-dollars.
        assert_eq!(answer.cost, Some(Money(460_000)));
    }
}

#[tokio::test]
async fn each_interface_gets_the_schema_the_system_text_and_the_turns_in_its_own_fields() {
    for text in [with(ASSISTANT), anthropic()] {
        let world = world(&text, Rules::default(), good).await;
        let turns = vec![Turn::user("one"), Turn::assistant("{}"), Turn::user("two")];
        world.gateway.answer(Request { turns, ..request() }, &silent).await.unwrap();
        let seen = world.server.seen().remove(0);
        assert_eq!((seen.step, seen.system.as_str()), (Step::Strict, "Choose a table."));
        assert_eq!(seen.schema, Some(request().shape.schema));
        let said: Vec<_> = seen.turns.iter().map(|(role, text)| (role.as_str(), text.as_str())).collect();
        assert_eq!(said, [("user", "one"), ("assistant", "{}"), ("user", "two")]);
    }
}

#[tokio::test]
async fn progress_shows_the_text_as_it_comes() {
    for text in [with(ASSISTANT), anthropic()] {
        let world = world(&text, Rules::default(), good).await;
        let shown = Mutex::new(Vec::new());
        let listener = |progress: Progress<'_>| shown.lock().push(format!("{progress:?}"));
        world.gateway.answer(request(), &listener).await.unwrap();
        let shown = shown.into_inner();
        assert_eq!(shown[0], "Started { model: \"fast\", call: 1 }");
        assert!(shown.len() > 2, "{shown:?}");
        assert_eq!(shown[1], "Text(\"{\\\"table\\\":\\\"t01\\\",\\\"\")");
    }
}

#[tokio::test]
async fn a_server_that_counts_nothing_gives_an_answer_of_unknown_cost() {
    let world = world(&with(ASSISTANT), Rules { sends_usage: false, ..Rules::default() }, good).await;
    let answer = world.ask().await.unwrap();
    assert_eq!((answer.usage, answer.cost), (None, None));
}

#[tokio::test]
async fn a_server_that_counts_more_than_there_can_be_counts_nothing() {
    let usage = Usage { output: u64::MAX, ..Rules::default().usage };
    let world = world(&with(ASSISTANT), Rules { usage, ..Rules::default() }, good).await;
    let answer = world.ask().await.unwrap();
    assert_eq!((answer.usage, answer.cost), (None, None));
}

#[tokio::test]
async fn a_row_says_who_why_and_how_and_holds_no_text_unless_texts_are_kept() {
    for keeps in [false, true] {
        let text = with(&format!("{ASSISTANT}\nkeep_text = {keeps}"));
        let world = world(&text, Rules::default(), good).await;
        let answer = world.ask().await.unwrap();
        let row = world.rows().await.remove(0);
        assert_eq!(row.id, answer.id);
        assert_eq!((row.workspace.as_str(), row.person.as_str(), row.why), ("shop", "ada", Why::Compile));
        assert_eq!((row.model.as_str(), row.provider, row.provider_model.as_str()), ("fast", "openai", "small"));
        assert_eq!((row.outcome, row.cost, row.charged), (CallOutcome::Answered, answer.cost, Money(460_000)));
        assert_eq!((row.request_hash, row.cache_hit), (request().hash(), false));
        assert!(row.first_token_ms.is_some());
        assert_eq!(row.answer_hash.map(|hash| hash.len()), Some(64));
        assert_eq!(row.answer_text, keeps.then(|| document().to_string()));
        assert_eq!(row.request_text.is_some_and(|text| text.contains("the orders, please")), keeps);
    }
}

#[tokio::test]
async fn the_key_goes_to_the_provider_and_into_no_row_error_or_debug_text() {
    let text = with(&format!("{ASSISTANT}\nkeep_text = true"));
    let script = |_: &Seen| Script::Status {
        status: 400,
        retry_after: None,
        message: format!("you sent {KEY}\u{1b}[31m {}", "x".repeat(5_000)),
        code: String::new(),
    };
    let world = world(&text, Rules { key: Some(KEY.to_owned()), ..Rules::default() }, script).await;
    let failure = world.ask().await.unwrap_err();
    let said = format!("{failure} {failure:?} {} {:?}", failure.next_step(), world.gateway.list());
    assert!(said.contains("you sent ***") && said.len() < 2_000, "{said}");
    assert!(!said.contains(KEY) && !said.contains('\u{1b}'));
    assert!(world.server.seen().iter().all(|seen| !seen.body.to_string().contains(KEY)));
    let rows = world.rows().await;
    assert!(!serde_json::to_string(&rows).unwrap().contains(KEY));
}

#[tokio::test]
async fn a_check_says_which_step_of_the_ladder_a_model_takes() {
    let script = |_: &Seen| Script::Json(json!({"ok": true}));
    let rules = Rules { steps: vec![Step::Tool], ..Rules::default() };
    let world = world(&with(ASSISTANT), rules, script).await;
    let checked = world.gateway.check("fast", scope()).await.unwrap();
    assert_eq!((checked.model.as_str(), checked.step), ("fast", Step::Tool));
    let listed = world.gateway.list().remove(0);
    assert_eq!((listed.step, listed.key, listed.has_price), (Some(Step::Tool), KeyStatus::Set, true));
    assert!(matches!(world.gateway.check("slow", scope()).await, Err(Failure::UnknownModel { .. })));
}

#[tokio::test]
async fn a_conversation_that_a_provider_would_refuse_is_refused_before_it_is_sent() {
    let world = world(&with(ASSISTANT), Rules::default(), good).await;
    for turns in [
        vec![],
        vec![Turn::assistant("a"), Turn::user("b")],
        vec![Turn::user("a"), Turn::assistant("b")],
        vec![Turn::user(" ")],
    ] {
        let failure = world.gateway.answer(Request { turns, ..request() }, &silent).await.unwrap_err();
        assert!(matches!(failure, Failure::Invalid { .. }), "{failure}");
    }
    assert!(world.server.seen().is_empty());
}

#[tokio::test]
async fn calls_one_after_the_other_use_one_connection() {
    let uncached = format!("{ASSISTANT}\ncache = {{ ttl_seconds = 0 }}");
    for text in [with(&uncached), with(&uncached).replace("\"openai\"", "\"anthropic\"")] {
        let world = world(&text, Rules::default(), good).await;
        for _ in 0..10 {
            world.ask().await.unwrap();
        }
        assert_eq!(world.server.connections(), 1);
    }
}
