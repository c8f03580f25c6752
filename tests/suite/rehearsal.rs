//! Dry runs, and failed runs explained.

use headwater_assistant::gateway::scripted::Script;
use serde_json::{Value, json};

use crate::assistant::world;
use crate::models::{SENTENCE, Server, Shown, is_paid, json_of, run};
use crate::support::World;

const JOINED: &str = "name: joined
tasks:
  orders: { extract: { from: shop.public.orders } }
  customers: { extract: { from: shop.public.customers } }
  named:
    transform: SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id
  checked:
    check: { input: named, rules: [{ not_null: [total] }, { sql: total < 100 }] }
  publish: { load: { input: checked, into: lake.named, mode: overwrite } }
";

fn task<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tasks"].as_array().unwrap().iter().find(|task| task["task"] == name).unwrap()
}

#[test]
fn a_dry_run_shows_rows_at_each_task_and_loads_nothing() {
    let world = world();
    world.write("joined.yaml", JOINED);
    let report = world.json(&["run", "joined.yaml", "--dry-run", "--json"]);
    assert_eq!(task(&report, "orders")["rows"], 40);
    assert_eq!(task(&report, "orders")["first_rows"].as_array().unwrap().len(), 10);
    assert_eq!((&task(&report, "named")["rows"], &task(&report, "named")["has_more"]), (&json!(40), &json!(false)));
    let below: i64 = world.query("SELECT count(*) FROM orders WHERE NOT total < 100").parse().unwrap();
    assert_eq!(
        task(&report, "checked")["violations"],
        json!([{ "rule": "not_null(total)", "rows": 0 }, { "rule": "total < 100", "rows": below }])
    );
    assert_eq!(task(&report, "publish")["key"], json!({ "columns": ["id"], "repeated": 0 }));
    assert!(!world.folder.join("lake/named").exists());
    assert_eq!(world.json(&["runs", "list", "--json"])["runs"], json!([]));
}

#[test]
fn a_large_source_is_sampled_and_the_partners_of_the_sample_are_found_wherever_they_stand() {
    let world = world();
    world.query(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text);
         CREATE TABLE visits (id bigint PRIMARY KEY, person_id bigint);
         INSERT INTO people SELECT n, 'p' || n FROM generate_series(1, 60000) n;
         INSERT INTO visits SELECT n, 60001 - n FROM generate_series(1, 5000) n; ANALYZE",
    );
    world.write(
        "visits.yaml",
        "name: visits
tasks:
  visits: { extract: { from: shop.public.visits } }
  people: { extract: { from: shop.public.people } }
  named: { transform: 'SELECT v.id, p.name FROM visits v JOIN people p ON p.id = v.person_id' }
  publish: { load: { input: named, into: lake.visits, mode: overwrite } }
",
    );
    let report = world.json(&["run", "visits.yaml", "--dry-run", "--json"]);
    let rows = |name: &str| {
        (task(&report, name)["rows"].as_i64().unwrap(), task(&report, name)["has_more"].as_bool().unwrap())
    };
    assert_eq!(rows("visits"), (1000, true));
    assert_eq!(rows("people"), (1000, false), "the partners of the sample, of 60,000");
    assert_eq!(rows("named"), (1000, true));
}

#[test]
fn a_join_that_multiplies_rows_is_told_by_the_key_that_repeats() {
    let world = world();
    world.write(
        "all.yaml",
        "name: all
tasks:
  orders: { extract: { from: shop.public.orders } }
  customers: { extract: { from: shop.public.customers } }
  crossed: { transform: 'SELECT o.id, c.name FROM orders o CROSS JOIN customers c' }
  publish: { load: { input: crossed, into: lake.crossed, mode: overwrite } }
",
    );
    let report = world.json(&["run", "all.yaml", "--dry-run", "--json"]);
    assert_eq!(task(&report, "publish")["key"], json!({ "columns": ["id"], "repeated": 80 }));
    let shown = world.succeed(&["run", "all.yaml", "--dry-run"]);
    assert!(shown.contains("a join multiplies them") && shown.contains("nothing is loaded"), "{shown}");
}

#[test]
fn a_draft_is_tried_before_anybody_approves_it() {
    let world = world();
    let tried = world.succeed(&["compile", SENTENCE, "--dry-run", "-o", "paid.yaml"]);
    assert!(tried.contains("(load into lake.paid): 30 rows"), "{tried}");
    assert!(world.folder.join("paid.yaml").exists() && !world.folder.join("lake/paid").exists());
}

fn failed(world: &World) -> Value {
    world.json(&["runs", "explain", "--json"])
}

#[test]
fn a_run_that_failed_because_its_source_changed_is_explained_by_what_planning_finds_now() {
    let world = world();
    world.write("joined.yaml", JOINED);
    world.succeed(&["apply", "joined.yaml"]);
    world.query("ALTER TABLE customers RENAME COLUMN name TO full_name");
    assert_eq!(world.run(&["run", "joined"]).code(), Some(1));
    let explained = failed(&world);
    assert_eq!(explained["failures"][0]["kind"], "config", "{explained:#}");
    assert_eq!(explained["findings"][0]["code"], "unknown_column", "{explained:#}");
    assert_eq!(explained["advice"][0], json!({ "do": "change_spec" }));
    let told = world.succeed(&["runs", "explain"]);
    assert!(told.contains("planned now, its spec has an error") && told.contains("next: "), "{told}");
}

#[test]
fn rows_that_do_not_fit_and_runs_that_did_not_fail_are_told_apart() {
    let world = world();
    world.write("joined.yaml", JOINED);
    assert_eq!(world.run(&["run", "joined.yaml"]).code(), Some(1), "a total is above 100");
    let explained = failed(&world);
    assert_eq!(
        (&explained["failures"][0]["kind"], &explained["findings"]),
        (&json!("data"), &json!([])),
        "{explained:#}"
    );
    world.write("fine.yaml", &JOINED.replace(", { sql: total < 100 }", "").replace("name: joined", "name: fine"));
    world.succeed(&["run", "fine.yaml"]);
    assert_eq!(failed(&world)["advice"], json!([{ "do": "nothing" }]));
}

#[test]
fn a_fix_is_a_draft_of_the_failed_version_and_the_model_sees_no_message_of_the_source() {
    let world = world();
    let drafted = world.json(&["compile", SENTENCE, "--json"]);
    let (id, hash) = (drafted["draft_id"].as_str().unwrap(), drafted["hash"].as_str().unwrap());
    world.succeed(&["drafts", "approve", id, "--hash", hash]);
    world.query("ALTER TABLE orders RENAME COLUMN total TO amount");
    assert_eq!(world.run(&["run", drafted["plan"]["pipeline"].as_str().unwrap()]).code(), Some(1));
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let server = Server::start(|seen| {
        let text = &seen.turns[0].1;
        assert!(text.contains("<facts>") && text.contains("unknown_column"), "{text}");
        let shown = Shown::of(seen);
        let base = text.split("<pipeline>\n").nth(1).and_then(|rest| rest.split("\n</pipeline>").next()).unwrap();
        let mut answer: Value = serde_json::from_str(base).unwrap();
        answer["contract"]["requirements"] = json!([{ "quote": shown.prompt, "meaning": "the new name" }]);
        // The renamed column under its old name, so that the target keeps its shape.
        let column = |name: &str| shown.word(&format!("shop.public.orders.{name}"));
        let sql = format!(
            "SELECT orders.{}, orders.{} AS total FROM orders WHERE orders.{}",
            column("id"),
            column("amount"),
            is_paid(&shown)
        );
        for task in answer["tasks"].as_array_mut().unwrap() {
            task["asked_by"] = json!([0]);
            match task["kind"].as_str().unwrap() {
                "transform" => task["transform"] = json!(sql),
                "extract" => task["columns"] = Value::Null,
                _ => {}
            }
        }
        Script::Json(answer)
    });
    server.configure(&world, "openai");
    let fixed = json_of(&run(&world, &["runs", "explain", "--fix", "--json"]));
    assert_eq!((&fixed["outcome"], &fixed["valid"]), (&json!("draft"), &json!(true)), "{fixed:#}");
    assert!(fixed["text"].as_str().unwrap().contains("amount"), "{fixed:#}");
}
