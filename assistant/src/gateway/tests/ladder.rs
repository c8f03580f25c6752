use super::*;

fn steps(server: &Scripted) -> Vec<Step> {
    server.seen().iter().map(|seen| seen.step).collect()
}

#[tokio::test]
async fn a_server_without_a_step_is_asked_one_step_lower_and_it_is_remembered() {
    let all = [Step::Strict, Step::Tool, Step::Object, Step::Text];
    for (n, step) in all.iter().enumerate() {
        let rules = Rules { steps: vec![*step], ..Rules::default() };
        let world = world(&with(&format!("{ASSISTANT}\ncache = {{ ttl_seconds = 0 }}")), rules, good).await;
        assert_eq!(world.ask().await.unwrap().document, document());
        assert_eq!(world.ask().await.unwrap().document, document());
        let expected: Vec<Step> = all[..=n].iter().chain([step]).copied().collect();
        assert_eq!(steps(&world.server), expected);
    }
}

#[tokio::test]
async fn the_ladder_of_anthropic_has_no_step_for_objects() {
    for (step, expected) in
        [(Step::Tool, vec![Step::Strict, Step::Tool]), (Step::Text, vec![Step::Strict, Step::Tool, Step::Text])]
    {
        let rules = Rules { steps: vec![step], ..Rules::default() };
        let world = world(&anthropic(), rules, good).await;
        assert_eq!(world.ask().await.unwrap().document, document());
        assert_eq!(steps(&world.server), expected);
    }
}

#[tokio::test]
async fn on_the_last_step_the_one_document_in_the_text_counts() {
    let text = format!("Of course!\n```json\n{}\n```", document());
    let rules = Rules { steps: vec![Step::Text], ..Rules::default() };
    let world = world(&with(ASSISTANT), rules, move |_: &Seen| Script::Text(text.clone())).await;
    assert_eq!(world.ask().await.unwrap().document, document());
    let seen = world.server.seen().pop().unwrap();
    assert!(seen.system.contains("\"enum\":[\"t01\",\"t02\"]"), "the model reads the schema: {}", seen.system);
}

#[tokio::test]
async fn two_documents_in_a_text_are_no_answer() {
    let text = format!("{} or {}", document(), document());
    let rules = Rules { steps: vec![Step::Text], ..Rules::default() };
    let world = world(&with(ASSISTANT), rules, move |_: &Seen| Script::Text(text.clone())).await;
    assert!(matches!(world.ask().await, Err(Failure::NotJson { .. })));
}

#[tokio::test]
async fn a_server_that_ignores_the_schema_is_asked_lower_until_the_model_reads_it() {
    let script = |seen: &Seen| match seen.step {
        Step::Strict | Step::Tool => Script::Text("Sure, here are the orders.".to_owned()),
        Step::Object | Step::Text => Script::Json(document()),
    };
    let world = world(&with(ASSISTANT), Rules::default(), script).await;
    assert_eq!(world.ask().await.unwrap().document, document());
    assert_eq!(steps(&world.server), [Step::Strict, Step::Tool, Step::Object]);
    assert_eq!(world.gateway.list()[0].step, Some(Step::Object));
}

#[tokio::test]
async fn a_schema_that_is_refused_lowers_the_step_for_this_request_alone() {
    let world = world(&with(&format!("{ASSISTANT}\ncache = {{ ttl_seconds = 0 }}")), Rules::default(), good).await;
    let mut odd = request();
    odd.shape.schema["properties"]["limit"]["minimum"] = json!(1);
    world.gateway.answer(odd, &silent).await.unwrap();
    world.ask().await.unwrap();
    assert_eq!(steps(&world.server), [Step::Strict, Step::Tool, Step::Object, Step::Strict]);
}

#[tokio::test]
async fn what_a_server_lacks_beside_the_schema_is_left_out_and_the_step_stays() {
    let rules = Rules { counts_streams: false, limits_completion: true, ..Rules::default() };
    let world = world(&with(ASSISTANT), rules, good).await;
    assert_eq!(world.ask().await.unwrap().document, document());
    let last = world.server.seen().pop().unwrap();
    assert_eq!(last.step, Step::Strict);
    assert_eq!(last.body.get("stream_options"), None);
    assert_eq!((last.body.get("max_tokens"), &last.body["max_completion_tokens"]), (None, &json!(16_384)));
}

#[tokio::test]
async fn a_model_of_the_same_server_and_name_knows_what_the_other_found_out() {
    let text = format!(
        "{}\n[models.twin]\nprovider = \"openai\"\nbase_url = \"URL\"\nmodel = \"small\"",
        with(&format!("{ASSISTANT}\ncache = {{ ttl_seconds = 0 }}"))
    );
    let world = world(&text, Rules { steps: vec![Step::Object], ..Rules::default() }, good).await;
    world.ask().await.unwrap();
    world.gateway.answer(Request { model: Some("twin".to_owned()), ..request() }, &silent).await.unwrap();
    assert_eq!(steps(&world.server), [Step::Strict, Step::Tool, Step::Object, Step::Object]);
}
