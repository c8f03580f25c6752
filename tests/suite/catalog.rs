//! Catalogs of connections: kept as they were seen, compared, and planned on while nothing is reached.

use crate::support::World;

/// A world with the tables `customers` and `orders` and stored connections `shop` and `lake`.
fn world() -> World {
    let world = World::new();
    world.query(
        "CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);
         CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers (id), amount numeric(12,2) NOT NULL);
         COMMENT ON TABLE orders IS 'what was bought'",
    );
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    world
}

fn spec(column: &str) -> String {
    format!(
        "name: big\ntasks:\n  orders: {{ extract: {{ from: shop.public.orders }} }}\n  \
         big: {{ transform: 'SELECT id, {column} FROM orders WHERE amount > 100' }}\n  \
         publish: {{ load: {{ input: big, into: lake.big, mode: append }} }}\n"
    )
}

#[test]
fn a_catalog_is_what_was_seen_until_it_is_refreshed_and_the_difference_is_shown() {
    let world = world();
    let first = world.json(&["connections", "catalog", "shop", "--json"]);
    let orders = &first["tables"][1];
    assert_eq!(first["snapshot"]["number"], 1, "{first:#}");
    assert_eq!((&orders["path"][1], &orders["comment"]), (&"orders".into(), &"what was bought".into()));
    assert_eq!(first["tables"][0]["unique_keys"], serde_json::json!([["email"]]));
    let key =
        serde_json::json!([{ "columns": ["customer_id"], "table": ["public", "customers"], "references": ["id"] }]);
    assert_eq!(orders["foreign_keys"], key);
    world.query("ALTER TABLE orders ALTER amount TYPE numeric(14,2); ALTER TABLE orders ADD paid boolean; DROP TABLE customers CASCADE");
    let stale = world.json(&["connections", "catalog", "shop", "--json"]);
    assert_eq!(stale["tables"], first["tables"], "nobody looked again");
    let shown = world.succeed(&["connections", "catalog", "shop", "--refresh", "--diff"]);
    for line in [
        "shop.public.customers: gone, or no longer readable",
        "shop.public.orders: column amount was numeric(12,2), is numeric(14,2)",
        "shop.public.orders: new column paid boolean",
        "shop.public.orders: its unique or foreign keys changed",
    ] {
        assert!(shown.contains(line), "'{line}' is missing: {shown}");
    }
    let again = world.succeed(&["connections", "catalog", "shop", "--refresh", "--diff"]);
    assert!(again.contains("no difference"), "a second look finds nothing new: {again}");
    let since = world.json(&["connections", "catalog", "shop", "--diff=1", "--json"]);
    assert_eq!(since["changes"].as_array().unwrap().len(), 4, "{since:#}");
    assert_eq!(since["changes"][0]["change"], "table_removed");
}

#[test]
fn a_spec_is_checked_on_catalogs_while_its_systems_are_away() {
    let world = world();
    world.query("DROP TABLE orders");
    world.write("big.yaml", &spec("amount"));
    let live = world.run(&["plan", "big.yaml"]);
    assert_eq!(live.code(), Some(1), "the table is gone: {live}");
    let plan = world.json(&["plan", "big.yaml", "--snapshot", "--json"]);
    let columns: Vec<&str> =
        plan["schemas"]["big"].as_array().unwrap().iter().map(|column| column["type"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Int64", "Decimal128(12, 2)"], "{plan:#}");
    assert_eq!(plan["catalogs"]["shop"]["number"], 1);
    world.write("big.yaml", &spec("amuont"));
    let wrong = world.run(&["plan", "big.yaml", "--snapshot"]);
    assert_eq!(wrong.code(), Some(1), "{wrong}");
    assert!(wrong.stderr.contains("there is no column 'amuont'") && wrong.stderr.contains("amount"), "{wrong}");
}

#[test]
fn the_glossary_takes_what_plans_on_the_catalog_and_says_what_does_not() {
    let world = world();
    world.succeed(&["glossary", "set", "Client", "shop.public.customers"]);
    let sql = "sum(amount) FILTER (WHERE amount > 0)";
    world.succeed(&["glossary", "set", "revenue", "shop.public.orders", "--sql", sql]);
    let terms = world.json(&["glossary", "list", "--json"]);
    let seen: Vec<(&str, &serde_json::Value)> =
        terms["terms"].as_array().unwrap().iter().map(|term| (term["term"].as_str().unwrap(), &term["path"])).collect();
    assert_eq!(
        seen,
        [
            ("Client", &serde_json::json!(["public", "customers"])),
            ("revenue", &serde_json::json!(["public", "orders"]))
        ]
    );
    for (table, sql, said) in [
        ("shop.public.order", None, "did you mean 'public.orders'?"),
        ("shop", None, "names no table of a connection"),
        ("nosuch.public.orders", None, "nosuch"),
        ("shop.public.orders", Some("sum(amuont)"), "there is no column 'amuont'"),
        ("shop.public.orders", Some("amount FROM shop.public.orders; DROP TABLE orders"), "error"),
    ] {
        let mut arguments = vec!["glossary", "set", "x", table];
        arguments.extend(sql.iter().flat_map(|sql| ["--sql", *sql]));
        let refused = world.run(&arguments);
        assert_eq!(refused.code(), Some(1), "{table} {sql:?}: {refused}");
        assert!(refused.stderr.contains(said), "{table} {sql:?}: '{said}' is missing: {refused}");
    }
    world.succeed(&["glossary", "remove", "CLIENT"]);
    let question = ["questions", "add", "How many?", "--sql", "SELECT count(*) FROM shop.public.orders"];
    world.succeed(&question);
    let refused = world.run(&["questions", "add", "How many?", "--sql", "DELETE FROM shop.public.orders"]);
    assert_eq!(refused.code(), Some(1), "{refused}");
    let questions = world.json(&["questions", "list", "--json"]);
    assert_eq!(questions["questions"][0]["sql"], "SELECT count(*) FROM shop.public.orders", "{questions:#}");
}

#[test]
fn samples_show_no_personal_data_and_go_when_the_rules_change() {
    let world = world();
    world.query(
        "CREATE TABLE people (id bigint PRIMARY KEY, status text, email text, pay numeric(10,2), born date);
         INSERT INTO people SELECT n, CASE WHEN n % 3 = 0 THEN 'open' ELSE 'paid' END, 'p' || n || '@example.com', 1000 + n * 37.5, date '1980-05-17' + n::int
         FROM generate_series(1, 60) n",
    );
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let none = world.json(&["connections", "catalog", "shop", "--json"]);
    assert!(none.get("samples").is_none(), "nobody allowed any: {none:#}");
    let set = world.json(&["connections", "samples", "shop", "rows", "--json"]);
    assert_eq!(set["policy"], "rows", "{set:#}");
    let shown = world.json(&["connections", "catalog", "shop", "--json"]);
    let people = &shown["samples"]["public.people"];
    assert_eq!(people["values"], serde_json::json!({ "status": ["paid", "open"] }), "{people:#}");
    let row = &people["rows"][0];
    let expected = serde_json::json!(["[hidden]", "paid", "[e-mail address]", "1000", "1980-05-01"]);
    assert_eq!(row, &expected, "{people:#}");
    world.succeed(&["connections", "mask", "shop.public.people.status", "hash"]);
    let masked = world.json(&["connections", "catalog", "shop", "--json"]);
    assert_eq!(masked["samples"]["public.people"]["values"], serde_json::json!({}), "{masked:#}");
    let columns = world.succeed(&["connections", "catalog", "shop", "--columns"]);
    assert!(!columns.contains("paid"), "{columns}");
    let refused = world.run(&["connections", "mask", "shop.public.people.emial", "hash"]);
    assert!(refused.stderr.contains("did you mean 'email'?"), "{refused}");
    world.succeed(&["connections", "samples", "shop", "none"]);
    let gone = world.json(&["connections", "catalog", "shop", "--json"]);
    assert!(gone.get("samples").is_none(), "{gone:#}");
}
