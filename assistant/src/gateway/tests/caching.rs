use super::*;

#[tokio::test]
async fn an_equal_request_in_the_same_scope_is_answered_from_the_cache() {
    let world = world(&with(ASSISTANT), Rules::default(), good).await;
    world.ask().await.unwrap();
    let other_person = Request { scope: Scope { person: "bob".to_owned(), ..scope() }, ..request() };
    let answer = world.gateway.answer(other_person, &silent).await.unwrap();
    assert_eq!((answer.origin, answer.from_cache(), answer.cost), (Origin::Cache, true, Some(Money(0))));
    assert_eq!(answer.document, document());
    assert_eq!(world.server.seen().len(), 1);
    let rows = world.rows().await;
    assert_eq!((rows[1].cache_hit, rows[1].cost, rows[1].person.as_str()), (true, Some(Money(0)), "bob"));
    assert_eq!(rows[0].answer_hash, rows[1].answer_hash);
}

#[tokio::test]
async fn another_scope_another_request_or_another_model_is_asked_anew() {
    let text =
        format!("{}\n[models.other]\nprovider = \"openai\"\nbase_url = \"URL\"\nmodel = \"big\"", with(ASSISTANT));
    let world = world(&text, Rules::default(), good).await;
    world.ask().await.unwrap();
    let in_scope = |change: fn(&mut Scope)| {
        let mut request = request();
        change(&mut request.scope);
        request
    };
    let others = [
        in_scope(|scope| scope.workspace = "other".to_owned()),
        in_scope(|scope| scope.grants = "other".to_owned()),
        in_scope(|scope| scope.feature = "other".to_owned()),
        in_scope(|scope| scope.prompt_version = "other".to_owned()),
        in_scope(|scope| scope.snapshot = "other".to_owned()),
        in_scope(|scope| scope.policy = "other".to_owned()),
        Request { model: Some("other".to_owned()), ..request() },
        Request { system: "other".to_owned(), ..request() },
        Request { turns: vec![Turn::user("the orders, please ")], ..request() },
        Request { max_output: Some(9), ..request() },
    ];
    for (n, other) in others.into_iter().enumerate() {
        let answer = world.gateway.answer(other, &silent).await.unwrap();
        assert_eq!(answer.origin, Origin::Model, "request {n}");
    }
}

#[tokio::test]
async fn fields_that_run_into_each_other_are_no_equal_scope() {
    let world = world(&with(ASSISTANT), Rules::default(), good).await;
    let scoped = |grants: &str, feature: &str| Request {
        scope: Scope { grants: grants.to_owned(), feature: feature.to_owned(), ..scope() },
        ..request()
    };
    world.gateway.answer(scoped("ab", "c"), &silent).await.unwrap();
    assert_eq!(world.gateway.answer(scoped("a", "bc"), &silent).await.unwrap().origin, Origin::Model);
}

#[tokio::test]
async fn only_answers_are_cached() {
    for first in [
        Script::Refusal("no".to_owned()),
        Script::Filtered,
        Script::Length(document().to_string()),
        Script::status(404),
    ] {
        let world = world(&with(ASSISTANT), Rules::default(), in_turn(vec![first, Script::Json(document())])).await;
        world.ask().await.unwrap_err();
        assert_eq!(world.ask().await.unwrap().origin, Origin::Model);
    }
}

#[tokio::test]
async fn an_evaluation_asks_each_time() {
    let world = world(&with(ASSISTANT), Rules::default(), good).await;
    for _ in 0..2 {
        let request = Request { why: Why::Eval, ..request() };
        assert_eq!(world.gateway.answer(request, &silent).await.unwrap().origin, Origin::Model);
    }
}
