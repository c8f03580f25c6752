use super::*;

fn limited(limit: &str) -> String {
    with(&format!("[assistant]\nmodel = \"fast\"\ncache = {{ ttl_seconds = 0 }}\n{limit}"))
}

#[tokio::test]
async fn a_call_that_may_cost_more_than_is_left_is_not_made() {
    let world = world(&limited("budget = { workspace = \"0.10\" }"), Rules::default(), good).await;
    let failure = world.ask().await.unwrap_err();
    let Failure::OverBudget { whose, resets_at, .. } = &failure else { panic!("{failure:?}") };
    assert_eq!((*whose, *resets_at), (Holder::Workspace, "2026-11-27T00:00:00Z".parse().unwrap()));
    assert!(failure.next_step().contains("2026-11-27 00:00:00 UTC"));
    assert!(world.server.seen().is_empty());
}

#[tokio::test]
async fn what_was_reserved_and_not_spent_pays_for_the_next_calls() {
    // Each call reserves about 16 cents and costs less than a tenth of a cent.
    let world = world(&limited("budget = { person = \"0.20\" }"), Rules::default(), good).await;
    for _ in 0..20 {
        world.ask().await.unwrap();
    }
    assert!(world.ledger.visits().0 <= 3, "leases are taken in chunks: {:?}", world.ledger.visits());
    world.gateway.close().await;
    assert_eq!(world.ledger.spent(), Money(20 * 460_000));
    assert_eq!(world.ledger.rows().len(), 20);
    assert!(world.ledger.visits().1 <= 3, "rows are written in batches: {:?}", world.ledger.visits());
}

#[tokio::test]
async fn calls_at_the_same_time_never_reserve_more_than_the_budget() {
    let world = world(&limited("budget = { workspace = \"0.50\" }"), Rules::default(), |_| Script::Hang).await;
    let mut calls: Vec<_> = (0..10).map(|_| Box::pin(world.ask())).collect();
    // Three reservations of 16 cents fit; the other calls fail at once.
    let mut refused = 0;
    while refused < 7 {
        let (outcome, n, rest) = futures::future::select_all(calls).await;
        assert!(matches!(outcome, Err(Failure::OverBudget { .. })), "call {n}: {outcome:?}");
        calls = rest;
        refused += 1;
    }
    drop(calls);
    assert!(world.ledger.spent() <= Money(500_000_000));
}

#[tokio::test]
async fn persons_and_days_have_budgets_of_their_own() {
    let world = world(&limited("budget = { person = \"0.20\" }"), Rules::default(), |_| Script::Hang).await;
    let by = |person: &str| Request { scope: Scope { person: person.to_owned(), ..scope() }, ..request() };
    let ask = |person: &str| Box::pin(world.gateway.answer(by(person), &silent));
    let (ada, bob) = (ask("ada"), ask("bob"));
    let both = futures::future::select(ada, bob);
    tokio::select! {
        _ = both => unreachable!("the server never answers"),
        () = world.server.reads(2) => {}
    }
    assert_eq!(world.server.seen().len(), 2);
}

#[tokio::test]
async fn a_budget_can_not_be_held_without_a_price() {
    let text = limited("budget = { workspace = \"5\" }").replace("2026-01-01", "2027-01-01");
    let world = world(&text, Rules::default(), good).await;
    let failure = world.ask().await.unwrap_err();
    assert_eq!(failure, Failure::PriceUnknown { model: "fast".to_owned() });
    assert!(failure.next_step().contains("models.fast.prices"));
}

#[tokio::test]
async fn a_cost_without_a_price_is_unknown_and_a_price_of_nothing_is_nothing() {
    for (price, cost) in [("2027-01-01", None), ("2026-01-01", Some(Money(0)))] {
        let text = limited("");
        let at = text.find("prices").unwrap();
        let text = format!("{}prices = [{{ from = \"{price}\", input = \"0\", output = \"0\" }}]", &text[..at]);
        let world = world(&text, Rules::default(), good).await;
        assert_eq!(world.ask().await.unwrap().cost, cost);
        assert_eq!(world.rows().await[0].cost, cost);
    }
}

#[tokio::test]
async fn the_questions_of_one_request_share_its_caps() {
    let world = world(&limited("caps = { calls = 2 }"), Rules::default(), good).await;
    let allowance = Some(world.gateway.allowance());
    for _ in 0..2 {
        let request = Request { allowance: allowance.clone(), ..request() };
        world.gateway.answer(request, &silent).await.unwrap();
    }
    let third = world.gateway.answer(Request { allowance, ..request() }, &silent).await;
    assert!(matches!(third, Err(Failure::OverCap { cap: Cap::Calls, .. })));
    assert!(world.ask().await.is_ok(), "another request has caps of its own");
}

#[tokio::test]
async fn retries_count_as_calls() {
    let world = world(&limited("caps = { calls = 2 }"), Rules::default(), |_| Script::status(500)).await;
    assert!(matches!(world.ask().await, Err(Failure::OverCap { cap: Cap::Calls, .. })));
    assert_eq!(world.server.seen().len(), 2);
}

#[tokio::test]
async fn a_request_ends_when_its_seconds_have_passed() {
    let world = world(&limited("caps = { seconds = 5 }"), Rules::default(), |_| Script::limited("4")).await;
    let failure = world.ask().await.unwrap_err();
    assert!(matches!(failure, Failure::RateLimited { .. }), "the second pause doesn't fit: {failure:?}");
    assert_eq!(world.clock.pauses().len(), 1);
}

#[tokio::test]
async fn a_ledger_that_is_away_fails_calls_with_a_budget_and_no_others() {
    for (limit, works) in [("budget = { workspace = \"5\" }", false), ("", true)] {
        let world = world(&limited(limit), Rules::default(), good).await;
        world.ledger.set_down(true);
        assert_eq!(world.ask().await.is_ok(), works);
        world.ledger.set_down(false);
        assert_eq!(world.rows().await.len(), usize::from(works));
    }
}
