//! What `plan` says to statements over new rows alone.

use serde_json::Value;

use crate::cursors::{APPEND, spec, world};
use crate::support::World;

/// Findings of a plan, as `code: message`.
fn findings(world: &World, tasks: &str) -> Vec<String> {
    world.write("p.yaml", &spec(world, tasks));
    let done = world.run(&["plan", "p.yaml", "--json"]);
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    let text = |found: &Value| format!("{}: {}", found["code"].as_str().unwrap(), found["message"].as_str().unwrap());
    plan["diagnostics"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn what_new_rows_alone_can_not_answer_is_refused_at_plan() {
    let world = world(APPEND);
    world.query("CREATE TABLE customers (id bigint PRIMARY KEY, name text)");
    let refused = [
        ("SELECT note, count(*) AS n FROM orders GROUP BY note", "groups or aggregates"),
        ("SELECT DISTINCT note FROM orders", "DISTINCT"),
        ("SELECT id, row_number() OVER (ORDER BY id) AS n FROM orders", "window function"),
        ("SELECT id FROM orders ORDER BY id LIMIT 5", "LIMIT"),
        ("SELECT note FROM orders UNION SELECT 'x'", "UNION without ALL"),
        ("SELECT c.id FROM source.public.customers c LEFT JOIN orders o ON o.id = c.id", "outer join"),
        (
            "SELECT id FROM source.public.customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = c.id)",
            "not there",
        ),
        ("SELECT id FROM source.public.customers WHERE id = (SELECT max(id) FROM orders)", "aggregates"),
    ];
    for (sql, what) in refused {
        let found = findings(
            &world,
            &format!("  t: {{ transform: \"{sql}\" }}\n  l: {{ load: {{ input: t, into: lake.t, mode: append }} }}\n"),
        );
        assert!(found.iter().any(|found| found.starts_with("bad_cursor") && found.contains(what)), "{sql}: {found:?}");
    }
    let both = "  n: { extract: { from: source.public.customers, cursor: id } }\n";
    for (sql, what) in [
        ("SELECT id FROM orders WHERE id IN (SELECT id FROM n)", "two sets"),
        ("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM n WHERE n.id = o.id)", "two sets"),
        ("SELECT o.id FROM orders o LEFT SEMI JOIN n ON n.id = o.id", "two sets"),
        ("SELECT id FROM source.public.orders o WHERE NOT (EXISTS (SELECT 1 FROM n WHERE n.id = o.id))", "not there"),
        ("SELECT id FROM source.public.orders WHERE id <> ALL (SELECT id FROM n)", "not there"),
        ("SELECT id FROM source.public.orders WHERE id > ALL (SELECT id FROM n)", ""),
        ("SELECT count(*) AS id FROM source.public.orders WHERE id IN (SELECT id FROM n)", "groups or aggregates"),
        (
            "SELECT note, min(id) AS id FROM source.public.orders WHERE id IN (SELECT id FROM n) GROUP BY note",
            "groups or aggregates",
        ),
        ("SELECT id FROM source.public.orders WHERE id IN (SELECT id FROM n) ORDER BY id LIMIT 1", "LIMIT"),
    ] {
        let loads = "  l: { load: { input: t, into: lake.t, mode: append } }\n  m: { load: { input: orders, into: lake.m, mode: append } }\n";
        let found = findings(&world, &format!("{both}  t: {{ transform: \"{sql}\" }}\n{loads}"));
        assert!(
            found.iter().any(|found| found.starts_with("bad_cursor")
                && found.contains(what)
                && !found.contains("appended again")),
            "{sql}: {found:?}"
        );
    }
    let fine = [
        "SELECT id * 2 AS id, upper(note) AS note FROM orders WHERE id > 3",
        "SELECT o.id, c.name FROM orders o LEFT JOIN source.public.customers c ON c.id = o.id",
        "SELECT note, count(*) AS n FROM source.public.orders WHERE note IN (SELECT note FROM orders) GROUP BY note",
        "SELECT id FROM orders UNION ALL SELECT id + 1 AS id FROM orders",
    ];
    for sql in fine {
        let tasks = format!(
            "  t: {{ transform: \"{sql}\" }}\n  l: {{ load: {{ input: t, into: lake.t, mode: upsert, keys: [id] }} }}\n"
        );
        let found = findings(
            &world,
            &tasks.replace("keys: [id]", if sql.starts_with("SELECT note") { "keys: [note]" } else { "keys: [id]" }),
        );
        assert!(found.is_empty(), "{sql}: {found:?}");
    }
    let found = findings(&world, "  l: { load: { input: orders, into: lake.t, mode: overwrite } }\n");
    assert!(found[0].contains("would leave lake.t with the new rows"), "{found:?}");
    let found = findings(&world, APPEND);
    assert!(found.len() == 1 && found[0].contains("read again and appended again"), "{found:?}");
}

#[test]
fn a_slice_of_which_only_new_rows_come_is_refused_unless_it_is_read_whole() {
    let world = world(APPEND);
    let whole = "FROM source.public.orders WHERE note IN (SELECT note FROM orders)";
    for (sql, keys, is_refused) in [
        ("SELECT * FROM orders".to_owned(), "note", true),
        (format!("SELECT id, note {whole}"), "note", false),
        (format!("SELECT id, note AS day {whole}"), "day", false),
        (format!("SELECT id, note {whole} AND id > 2"), "note", false),
        (format!("SELECT note, count(*) AS n {whole} GROUP BY note"), "note", false),
        (format!("SELECT id, note {whole}"), "id", true),
    ] {
        let load = format!("load: {{ input: t, into: lake.t, mode: delete_insert, keys: [{keys}] }}");
        let found = findings(&world, &format!("  t: {{ transform: \"{sql}\" }}\n  l: {{ {load} }}\n"));
        let refused = found.iter().any(|found| found.contains("delete_insert replaces all rows of each"));
        assert_eq!(refused, is_refused, "{sql} by {keys}: {found:?}");
        assert_eq!(found.len(), usize::from(is_refused), "{sql} by {keys}: {found:?}");
    }
}
