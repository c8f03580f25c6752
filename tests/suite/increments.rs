//! Sentences about new and changed rows, without a model and with one: what they load, and that nothing weaker is taken for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_assistant::gateway::scripted::Script;
use serde_json::json;

use crate::assistant::world;
use crate::models::{Server, Shown, draft, json_of, load, node, run};

#[test]
fn a_sentence_about_new_and_changed_rows_loads_each_change_once_it_is_made() {
    let world = world();
    world.query("ALTER TABLE orders ADD COLUMN updated_at timestamptz NOT NULL DEFAULT '2026-04-01Z'");
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let sentence = "Every weekday at 6 in Berlin, copy new and changed orders from shop to the lake with the customer's name and country, \
                    only paid ones, and tell me if more than 1% have no total";
    let draft = world.json(&["compile", sentence, "-o", "orders.yaml", "--json"]);
    assert_eq!((&draft["outcome"], &draft["valid"]), (&json!("draft"), &json!(true)), "{draft:#}");
    let assumed = draft["assumptions"].to_string();
    assert!(assumed.contains("a row that stops meeting the condition on status stays in lake.orders"), "{assumed}");
    world.succeed(&["apply", "orders.yaml"]);
    world.succeed(&["run", "orders"]);
    world.query(
        "UPDATE orders SET total = 0, updated_at = '2026-04-02Z' WHERE id = 1;
         INSERT INTO orders VALUES (41, 'A41', 1, 'paid', 5, '2026-04-02Z', '2026-04-02Z'), (42, 'A42', 1, 'open', 5, '2026-04-02Z', '2026-04-02Z')",
    );
    world.succeed(&["run", "orders"]);
    let loaded = world.json(&["sql", "SELECT id, total, name FROM lake.orders ORDER BY id", "--json"]);
    let right = world.json(&[
        "sql",
        "SELECT o.id, o.total, c.name FROM shop.public.orders o JOIN shop.public.customers c ON c.id = o.customer_id \
         WHERE o.status = 'paid' ORDER BY o.id",
        "--json",
    ]);
    assert_eq!(loaded["rows"], right["rows"]);
    assert_eq!(loaded["rows"].as_array().unwrap().len(), 31);
}

#[test]
fn a_wish_for_changed_rows_is_met_by_a_cursor_and_an_upsert_and_by_nothing_weaker() {
    let world = world();
    world.query("ALTER TABLE orders ADD COLUMN updated_at timestamptz NOT NULL DEFAULT '2026-04-01Z'");
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let sentence = "copy new and changed orders to lake.orders";
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        let shown = Shown::of(seen);
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let mut read = json!({ "from": shown.id("shop.public.orders"), "columns": null });
        let mut write = load(&shown, "orders", "orders");
        if call > 0 {
            write["mode"] = json!("upsert");
            write["keys"] = json!([shown.id("shop.public.orders.id")]);
        }
        if call > 1 {
            read["cursor"] = json!(shown.id("shop.public.orders.updated_at"));
            write["order_by"] = json!("updated_at");
        }
        Script::Json(draft(&[sentence], vec![node("extract", "orders", &[], read), write]))
    });
    server.configure(&world, "openai");
    let done = run(&world, &["compile", sentence, "--json"]);
    let made = json_of(&done);
    assert_eq!((&made["outcome"], &made["valid"]), (&json!("draft"), &json!(true)), "{done}");
    let text = made["text"].as_str().unwrap();
    assert!(text.contains("cursor: updated_at") && text.contains("keys: [id]"), "{text}");
    assert!(
        made["assumptions"].to_string().contains("rows that are deleted at the source stay in lake.orders"),
        "{made:#}"
    );
    let seen = server.scripted.seen();
    let repairs: Vec<&str> = seen[1..].iter().map(|seen| seen.turns.last().unwrap().1.as_str()).collect();
    assert!(repairs[0].contains("other_mode") && repairs[1].contains("weaker"), "{repairs:#?}");
}
