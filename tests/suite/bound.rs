//! What a model may write is bound to the person's words, and what it costs to the budget, however the command ends.

use headwater_assistant::gateway::scripted::Script;
use serde_json::{Value, json};

use crate::assistant::world;
use crate::models::{KEY, SENTENCE, Server, Shown, is_paid, json_of, paid, run};
use crate::support::eventually;

#[test]
fn a_password_in_a_prompt_stays_here_and_a_draft_that_would_need_it_is_refused() {
    let world = world();
    let server = Server::start(|seen| {
        let shown = Shown::of(seen);
        // What stands in the place of the password.
        let cover = shown.prompt.rsplit(' ').next().unwrap().to_owned();
        let condition = match shown.prompt.contains("the status is it") {
            true => format!("{} = '{cover}'", shown.word("shop.public.orders.status")),
            false => is_paid(&shown),
        };
        let mut answer = paid(&shown, &condition);
        answer["contract"]["requirements"][0]["quote"] = json!(shown.prompt);
        Script::Json(answer)
    });
    server.configure(&world, "openai");
    let prompt = format!("{SENTENCE}. The password is hunter2hunter2");
    let draft = json_of(&run(&world, &["compile", &prompt, "--json"]));
    assert_eq!(draft["outcome"], "draft", "{draft:#}");
    let needs = run(&world, &["compile", &format!("{SENTENCE}, and the status is it. The password is hunter2hunter2")]);
    assert!(needs.code() == Some(1) && needs.stderr.contains("would need it"), "{needs}");
    for seen in server.scripted.seen() {
        assert!(!seen.turns.iter().any(|(_, text)| text.contains("hunter2")), "{:?}", seen.turns);
    }
    let kept = world.control("SELECT count(*) FROM drafts d WHERE d::text LIKE '%hunter2%'");
    assert_eq!(kept, "0");
}

#[test]
fn a_target_that_stands_behind_no_into_and_a_mode_that_nobody_said_are_asked_about() {
    let world = world();
    let server = Server::start(|seen| {
        let shown = Shown::of(seen);
        let mut answer = paid(&shown, &is_paid(&shown));
        answer["contract"]["requirements"][0]["quote"] = json!(shown.prompt);
        if shown.prompt.contains("of shop") {
            answer["tasks"][2]["into"]["connection"] = json!(shown.id("into shop"));
        }
        Script::Json(answer)
    });
    server.configure(&world, "openai");
    let asked = json_of(&run(
        &world,
        &["compile", "overwrite lake.paid: load the paid orders of shop into lake.paid", "--json"],
    ));
    assert_eq!(asked["outcome"], "question", "{asked:#}");
    assert!(asked["text"].as_str().unwrap().contains("Where should"), "{asked:#}");
    let asked = json_of(&run(&world, &["compile", "load the paid orders into lake.paid", "--json"]));
    assert!(asked["text"].as_str().unwrap().contains("How should rows be written"), "{asked:#}");
    let draft = json_of(&run(&world, &["drafts", "answer", asked["draft_id"].as_str().unwrap(), "1", "--json"]));
    assert_eq!((&draft["outcome"], &draft["valid"]), (&json!("draft"), &json!(true)), "{draft:#}");
}

#[test]
fn an_edit_changes_neither_mode_nor_schedule_without_words_for_it() {
    let world = world();
    world.write(
        "kept.yaml",
        "name: kept\ntasks:\n  orders: { extract: { from: shop.public.orders } }\n  publish: { load: { input: orders, into: lake.kept, mode: append } }\n",
    );
    world.succeed(&["apply", "kept.yaml"]);
    let server = Server::start(|seen| {
        let text = &seen.turns[0].1;
        let base = text.split("<pipeline>\n").nth(1).and_then(|rest| rest.split("\n</pipeline>").next()).unwrap();
        let mut answer: Value = serde_json::from_str(base).unwrap();
        let prompt = Shown::of(seen).prompt;
        answer["contract"]["requirements"] = json!([{ "quote": prompt, "meaning": "as it says" }]);
        answer["outcome"]["asked_by"] = json!([0]);
        for task in answer["tasks"].as_array_mut().unwrap() {
            task["asked_by"] = json!([0]);
            if task["kind"] == "load" {
                task["mode"] = json!("overwrite");
            }
        }
        Script::Json(answer)
    });
    server.configure(&world, "openai");
    let asked = json_of(&run(&world, &["compile", "--on", "kept", "describe what it is for", "--json"]));
    assert_eq!(asked["outcome"], "question", "{asked:#}");
    let draft = json_of(&run(&world, &["compile", "--on", "kept", "overwrite the target from now on", "--json"]));
    assert_eq!((&draft["outcome"], &draft["valid"]), (&json!("draft"), &json!(true)), "{draft:#}");
    assert!(draft["text"].as_str().unwrap().contains("mode: overwrite"), "{draft:#}");
}

#[test]
fn a_compile_that_is_interrupted_is_settled_and_leaves_its_row() {
    let world = world();
    let server = Server::start(|_| Script::Hang);
    server.configure(&world, "openai");
    let settings = std::fs::read_to_string(world.folder.join("headwater.toml")).unwrap();
    world.write("headwater.toml", &format!("{settings}budget = {{ workspace = \"0.5\" }}\n"));
    let mut command = world.command(&["compile", SENTENCE]);
    command.env("HEADWATER_CONFIG", world.folder.join("headwater.toml")).env("FAST_KEY", KEY);
    let running = world.start(command);
    eventually("the model was asked", || !server.scripted.seen().is_empty());
    running.signal("INT");
    let done = running.wait();
    assert!(done.code() == Some(1) && done.stderr.contains("interrupted"), "{done}");
    assert_eq!(world.control("SELECT outcome FROM model_calls"), "cancelled");
    let leased: i64 = world.control("SELECT sum(leased_nanos) FROM model_budgets").parse().unwrap();
    assert!(leased < 50_000_000, "what was not spent is given back: {leased}");
}

#[test]
fn a_new_draft_takes_the_name_of_no_pipeline_that_loads_something_else() {
    let world = world();
    world.write(
        "paid.yaml",
        "name: paid\ntasks:\n  orders: { extract: { from: shop.public.orders } }\n  publish: { load: { input: orders, into: lake.others, mode: append } }\n",
    );
    world.succeed(&["apply", "paid.yaml"]);
    let server = Server::start(|seen| {
        let shown = Shown::of(seen);
        Script::Json(paid(&shown, &is_paid(&shown)))
    });
    server.configure(&world, "openai");
    let draft = json_of(&run(&world, &["compile", SENTENCE, "--json"]));
    assert_eq!(draft["plan"]["pipeline"], "paid_2", "{draft:#}");
    assert!(draft["assumptions"].to_string().contains("a pipeline paid loads something else"), "{draft:#}");
}
