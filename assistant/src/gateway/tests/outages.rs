use std::time::Duration;

use super::*;

const NO_CACHE: &str = "[assistant]\nmodel = \"fast\"\ncache = { ttl_seconds = 0 }";

/// Two servers; the second one is the fallback of the first one.
async fn pair(
    more: &str,
    first: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    second: impl Fn(&Seen) -> Script + Send + Sync + 'static,
) -> (World, Scripted) {
    let other = Scripted::start(Rules::default(), second).await.unwrap();
    let spare = format!("[models.spare]\nprovider = \"anthropic\"\nbase_url = \"{}\"\nmodel = \"spare\"", other.url());
    let prices = "prices = [{ from = \"2026-01-01\", input = \"25\", output = \"100\" }]";
    let text = format!("{}\nfallbacks = [\"spare\"]\n{spare}\n{prices}", with(more));
    (world(&text, Rules::default(), first).await, other)
}

#[tokio::test]
async fn a_failed_call_is_tried_again_after_growing_pauses() {
    let scripts = vec![Script::status(500), Script::status(503), Script::Json(document())];
    let world = world(&with(ASSISTANT), Rules::default(), in_turn(scripts)).await;
    assert_eq!(world.ask().await.unwrap().document, document());
    let pauses = world.clock.pauses();
    assert_eq!(pauses.len(), 2);
    assert!(pauses[0] <= Duration::from_millis(250) && pauses[1] >= Duration::from_millis(250), "{pauses:?}");
    let outcomes: Vec<_> = world.rows().await.iter().map(|row| (row.outcome, row.cost)).collect();
    let failed = (CallOutcome::Unavailable, Some(Money(0)));
    assert_eq!(outcomes, [failed, failed, (CallOutcome::Answered, Some(Money(460_000)))]);
}

#[tokio::test]
async fn the_pause_is_the_one_that_the_provider_asks_for() {
    for (after, seconds) in [("7", 7), ("Thu, 26 Nov 2026 10:00:30 GMT", 30)] {
        let world =
            world(&with(ASSISTANT), Rules::default(), in_turn(vec![Script::limited(after), Script::Json(document())]))
                .await;
        world.ask().await.unwrap();
        assert_eq!(world.clock.pauses(), [Duration::from_secs(seconds)]);
    }
}

#[tokio::test]
async fn a_pause_that_outlasts_the_total_deadline_is_not_begun() {
    let world = world(&with(ASSISTANT), Rules::default(), in_turn(vec![Script::limited("3600")])).await;
    let failure = world.ask().await.unwrap_err();
    let retry_at = "2026-11-26T11:00:00Z".parse().unwrap();
    assert_eq!(failure, Failure::RateLimited { model: "fast".to_owned(), retry_at });
    assert!(world.clock.pauses().is_empty());
}

#[tokio::test]
async fn retries_of_async_openai_are_off() {
    let world = world(
        &with(ASSISTANT).replace("[models.fast]", "[models.fast]\nretries = 0"),
        Rules::default(),
        in_turn(vec![Script::status(500)]),
    )
    .await;
    world.ask().await.unwrap_err();
    assert_eq!(world.server.seen().len(), 1);
}

#[tokio::test]
async fn an_open_circuit_makes_no_call_and_says_when_the_next_one_is_made() {
    let scripts: Vec<Script> = (0..5).map(|_| Script::status(500)).chain([Script::Json(document())]).collect();
    let world = world(&with(NO_CACHE), Rules::default(), in_turn(scripts)).await;
    world.ask().await.unwrap_err();
    let failure = world.ask().await.unwrap_err();
    assert_eq!(world.server.seen().len(), 5);
    assert!(matches!(&failure, Failure::Down { cause, .. } if cause.contains("HTTP 500")), "{failure:?}");
    let until = world.gateway.list()[0].closed_until.unwrap();
    assert!(until > world.clock.now());
    assert!(matches!(world.ask().await, Err(Failure::Down { retry_at, .. }) if retry_at == until));
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.ask().await.unwrap().document, document());
    assert_eq!(world.gateway.list()[0].closed_until, None);
}

#[tokio::test]
async fn rejected_requests_never_open_the_circuit() {
    for status in [400, 404, 422] {
        let world = world(&with(NO_CACHE), Rules::default(), in_turn(vec![Script::status(status)])).await;
        for _ in 0..12 {
            assert!(matches!(world.ask().await, Err(Failure::Rejected { .. })));
        }
        assert_eq!(world.server.seen().len(), 12, "HTTP {status}");
    }
}

#[tokio::test]
async fn a_fallback_answers_when_the_model_is_down() {
    let (world, other) = pair(ASSISTANT, |_| Script::status(500), good).await;
    let answer = world.ask().await.unwrap();
    assert_eq!((answer.model.as_str(), answer.document), ("spare", document()));
    assert_eq!((world.server.seen().len(), other.seen().len()), (3, 1));
    // An answer of a fallback is not the one of the model that was asked for: it is not cached.
    assert_eq!(world.ask().await.unwrap().origin, Origin::Model);
}

#[tokio::test]
async fn a_refusal_is_not_taken_to_another_model() {
    let (world, other) = pair(ASSISTANT, |_| Script::Refusal("no".to_owned()), good).await;
    assert!(matches!(world.ask().await, Err(Failure::Refused { .. })));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn when_all_models_fail_the_failure_is_that_of_the_first_one() {
    let (world, _other) = pair(ASSISTANT, |_| Script::status(500), |_| Script::status(401)).await;
    assert!(matches!(world.ask().await, Err(Failure::Down { model, .. }) if model == "fast"));
}

#[tokio::test]
async fn a_fallback_has_to_fit_the_caps_and_the_budget_too() {
    // The model's own call may cost about 16 cents, that of the fallback ten times as much.
    for (limit, expected) in [("caps = { money = \"1\" }", "cap"), ("budget = { person = \"1\" }", "budget")] {
        let (world, other) = pair(&format!("{ASSISTANT}\n{limit}"), |_| Script::status(500), good).await;
        let failure = world.ask().await.unwrap_err();
        assert!(failure.to_string().contains(expected), "{failure}");
        assert_eq!((world.server.seen().len(), other.seen().len()), (3, 0));
    }
}

#[tokio::test]
async fn a_limit_that_another_request_met_sends_the_next_one_to_the_fallback_at_once() {
    let (world, other) = pair(ASSISTANT, |_| Script::limited("3600"), good).await;
    world.ask().await.unwrap();
    world.ask().await.unwrap();
    assert_eq!((world.server.seen().len(), other.seen().len()), (1, 2));
}
