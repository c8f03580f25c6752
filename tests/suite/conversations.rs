//! Questions in a row: kept with their steps, gone on with, drawn.

use headwater_assistant::gateway::scripted::Script;
use serde_json::{Value, json};

use crate::assistant::world;
use crate::models::{Server, Shown, json_of, run};
use crate::support::{World, eventually};

fn newest(world: &World) -> Value {
    world.json(&["conversations", "show", "last", "--json"])
}

/// What happened, step by step.
fn steps(turn: &Value) -> Vec<&str> {
    turn["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[test]
fn a_question_is_kept_with_its_statement_and_how_it_ended_and_without_its_rows() {
    let world = world();
    world.succeed(&["ask", "count orders where status is paid"]);
    let conversation = newest(&world);
    let turn = &conversation["turns"][0];
    assert_eq!(turn["question"], "count orders where status is paid");
    assert_eq!(steps(turn), ["statement", "rows"]);
    assert_eq!((&turn["steps"][1]["rows"], &turn["steps"][1]["more"]), (&json!(1), &json!(false)));
    let kept = world.control("SELECT string_agg(document::text, ' ') FROM turn_steps");
    assert!(kept.contains("status = 'paid'") && !kept.contains("30"), "{kept}");
    let listed = world.succeed(&["conversations", "list"]);
    assert!(listed.contains("count orders where status is paid"), "{listed}");
}

#[test]
fn what_was_asked_back_refused_or_not_understood_is_kept_too() {
    let world = world();
    for (question, step) in [("drop table orders", "refusal"), ("how happy are they", "not_understood")] {
        world.run(&["ask", question]);
        assert_eq!(steps(&newest(&world)["turns"][0]), [step], "{question}");
    }
}

#[test]
fn a_password_in_a_question_is_kept_nowhere() {
    let world = world();
    world.run(&["ask", "count orders with password=hunter2-hunter2 in DE"]);
    let kept = world.control(
        "SELECT (SELECT string_agg(question, ' ') FROM turns) || (SELECT string_agg(document::text, ' ') FROM turn_steps)",
    );
    assert!(kept.contains("count orders") && !kept.contains("hunter2"), "{kept}");
}

#[test]
fn a_failed_statement_is_kept_with_its_reason() {
    let world = world();
    world.query("CREATE VIEW broken AS SELECT id, 1 / (id - id) AS ratio FROM orders");
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let failed = world.run(&["ask", "sum of ratio of broken"]);
    assert_eq!(failed.code(), Some(1), "{failed}");
    let conversation = newest(&world);
    assert_eq!(steps(&conversation["turns"][0]), ["statement", "failed"], "{conversation:#}");
}

#[test]
fn a_statement_that_is_interrupted_ends_its_question_as_canceled() {
    let world = world();
    world.query("CREATE VIEW slow AS SELECT id, pg_sleep(60)::text AS nap FROM orders");
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let running = world.start(world.command(&["ask", "nap of slow"]));
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%slow%' AND wait_event = 'PgSleep'";
    eventually("the source executes the statement", || world.query(asleep) != "0");
    running.signal("INT");
    let done = running.wait();
    assert!(done.code() == Some(1) && done.stderr.contains("interrupted"), "{done}");
    assert_eq!(steps(&newest(&world)["turns"][0]), ["statement", "canceled"]);
}

#[test]
fn a_statement_is_edited_and_run_again_in_its_conversation() {
    let world = world();
    world.succeed(&["ask", "count orders"]);
    let sql = "SELECT count(*) AS orders FROM shop.public.orders WHERE total > 100";
    let edited = world.json(&["ask", "--in", "last", "--sql", sql, "--format", "json"]);
    assert_eq!(edited["rows"][0]["orders"].to_string(), world.query("SELECT count(*) FROM orders WHERE total > 100"));
    assert_eq!(newest(&world)["turns"].as_array().unwrap().len(), 2);
    for (wrong, said) in
        [("DELETE FROM shop.public.orders", "error"), ("SELECT nothing FROM shop.public.orders", "unknown_column")]
    {
        let refused = world.run(&["ask", "--in", "last", "--sql", wrong]);
        assert!(refused.code() == Some(1) && refused.stderr.contains(said), "{refused}");
    }
    assert_eq!(world.query("SELECT count(*) FROM orders"), "40");
}

#[test]
fn a_model_sees_the_earlier_questions_and_statements_and_no_rows() {
    let world = world();
    let server = Server::start(|seen| {
        let shown = Shown::of(seen);
        let country = shown.word("shop.public.customers.country");
        let condition =
            if shown.prompt.contains("Sweden") { format!(" WHERE {country} = 'SE'") } else { String::new() };
        let sql = format!("SELECT count(*) AS customers FROM {}{condition}", shown.id("shop.public.customers"));
        Script::Json(json!({ "outcome": { "kind": "statement", "sql": sql, "assumptions": [] } }))
    });
    server.configure(&world, "openai");
    let first = run(&world, &["ask", "How many customers are there?", "--format", "json"]);
    assert_eq!(json_of(&first)["rows"], json!([{ "customers": 3 }]));
    let second = run(&world, &["ask", "--in", "last", "And in Sweden?", "--format", "json"]);
    assert_eq!(json_of(&second)["rows"], json!([{ "customers": 1 }]));
    let seen = server.scripted.seen();
    let prompt = &seen[1].turns[0].1;
    assert!(prompt.contains("<earlier>\n\"How many customers are there?\"\n\"SELECT count(*)"), "{prompt}");
    assert!(!prompt.contains("Ada"), "{prompt}");
    let conversation = json_of(&run(&world, &["conversations", "show", "last", "--json"]));
    assert_eq!(steps(&conversation["turns"][1]), ["asking", "statement", "rows"]);
}

#[test]
fn the_zone_and_the_connections_of_a_question_hold_for_those_that_follow() {
    let world = world();
    world.succeed(&["ask", "count orders", "--on", "shop", "--timezone", "Europe/Berlin"]);
    world.succeed(&["ask", "count customers", "--in", "last"]);
    let reading = &newest(&world)["turns"][1]["reading"];
    assert_eq!((&reading["timezone"], &reading["on"]), (&json!("Europe/Berlin"), &json!(["shop"])));
}

#[test]
fn an_answer_is_drawn_as_a_page_a_document_and_in_the_terminal() {
    let world = world();
    let question = "count orders per country of the customer";
    world.succeed(&["ask", question, "--chart", "orders.html"]);
    let page = std::fs::read_to_string(world.folder.join("orders.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("DE") && !page.contains("src="), "{page}");
    world.succeed(&["ask", question, "--chart", "orders.json"]);
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(world.folder.join("orders.json")).unwrap()).unwrap();
    assert_eq!((&document["mark"], document["data"]["values"].as_array().unwrap().len()), (&json!("bar"), 3));
    let drawn = world.succeed(&["ask", question, "--chart"]);
    assert!(drawn.contains('█'), "{drawn}");
    let wrong = world.run(&["ask", question, "--chart", "orders.png"]);
    assert!(wrong.code() == Some(1) && wrong.stderr.contains(".html or .json"), "{wrong}");
}

#[test]
fn a_conversation_that_is_not_there_is_named() {
    let world = world();
    let none = world.run(&["ask", "count orders", "--in", "last"]);
    assert!(none.stderr.contains("there is no conversation yet"), "{none}");
    let unknown = world.run(&["conversations", "show", "0199c2c0"]);
    assert!(unknown.stderr.contains("there is no conversation 0199c2c0"), "{unknown}");
}
