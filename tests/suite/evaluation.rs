//! `headwater eval` on a folder of cases that these tests write.

use serde_json::{Value, json};

use crate::support::{World, eventually};

const SCHEMA: &str = "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country text);
CREATE TABLE addresses (id bigint PRIMARY KEY, city text);
CREATE TABLE orders (id bigint PRIMARY KEY, order_no text NOT NULL, customer_id bigint NOT NULL REFERENCES customers (id), status text,
  total numeric(12,2), billing_address_id bigint REFERENCES addresses (id), shipping_address_id bigint REFERENCES addresses (id));
";
const DATA: &str = "INSERT INTO customers VALUES (1, 'Ada', 'DE'), (2, 'Bo', 'SE');
INSERT INTO addresses VALUES (1, 'Kiel'), (2, 'Lund');
INSERT INTO orders VALUES (1, 'A1', 1, 'paid', 10.50, 1, 2), (2, 'A2', 2, 'paid', 7.25, 2, 2), (3, 'A3', 1, 'open', 1, 1, 1);
";
const HOSTILE: &str = "INSERT INTO customers VALUES (1, '', NULL), (2, 'Bo ', 'se'), (3, 'bo ', '');
INSERT INTO addresses VALUES (1, NULL), (2, '');
INSERT INTO orders VALUES (1, 'A1', 1, 'paid', NULL, NULL, 2), (2, 'A1', 1, 'PAID', -1, 2, 2), (3, '', 3, 'paid', 0, 1, 1);
";
const CHANGES: &str = "UPDATE orders SET total = 99 WHERE id = 1; DELETE FROM orders WHERE id = 2;
INSERT INTO orders VALUES (9, 'A9', 2, 'paid', 5, 1, 1);
";

const LOAD: &str = "Every weekday at 6:00 in Europe/Berlin load order no and total of orders where status is paid into lake.paid, overwrite, \
check that total is at least 0";

/// What is the same in all cases of a load.
fn load(sentence: &str, gold: &str, checks: &str) -> String {
    format!(
        "kind: compile
about: a load
wordings:
  - {{ text: \"{sentence}\", language: en, simple: true }}
  - {{ text: \"bezahlte Bestellungen bitte ins Lake\", language: de }}
connections: [shop, lake]
expects: draft
target: lake.paid
mode: overwrite
columns: [order_no, total]
gold: |
  {gold}
gold_second: |
  {gold}
schedule: {{ cron: \"0 6 * * 1-5\", timezone: Europe/Berlin }}
checks: [ {checks} ]
sources: [public.orders]
"
    )
}

const PAID: &str = "SELECT order_no, total FROM orders WHERE status = 'paid'";

const ASKS: &str = "kind: ask
about: an order has two addresses
wordings:
  - { text: \"count orders per city\", language: en, simple: true }
connections: [shop]
expects: question
question: { about: \"billing shipping\", answer: \"the shipping address\" }
columns: [city, orders]
keys: [city]
gold: |
  SELECT a.city, count(*) AS orders FROM orders o JOIN addresses a ON a.id = o.shipping_address_id GROUP BY a.city
sources: [public.orders, public.addresses]
";

const REFUSES: &str = "kind: ask
about: a change of rows
wordings:
  - { text: \"delete orders where status is open\", language: en }
connections: [shop]
expects: refusal
refusal: changes_data
";

/// Writes the schema with these cases.
fn write(world: &World, cases: &[(&str, String)]) {
    let folder = world.folder.join("cases/shop/cases");
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in [("schema.sql", SCHEMA), ("data.sql", DATA), ("hostile.sql", HOSTILE), ("changes.sql", CHANGES)]
    {
        world.write(&format!("cases/shop/{file}"), text);
    }
    for (name, text) in cases {
        world.write(&format!("cases/shop/cases/{name}.yaml"), text);
    }
}

/// The report of `eval` on these cases, with its exit code.
fn evaluate(world: &World, cases: &[(&str, String)]) -> (Value, Option<i32>) {
    write(world, cases);
    let done = world.run(&["eval", "cases", "--offline", "--json", "--failures"]);
    let report = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"));
    (report, done.code())
}

fn failure<'a>(report: &'a Value, case: &str, wording: u64) -> &'a Value {
    let failures = report["failures"].as_array().unwrap();
    failures.iter().find(|one| one["case"] == case && one["wording"] == wording).unwrap_or(&Value::Null)
}

#[test]
fn sentences_are_judged_by_rows_questions_refusals_schedules_and_checks() {
    let world = World::new();
    let positive = "{ sql: \"total >= 0\" }";
    let (report, code) = evaluate(
        &world,
        &[
            ("right", load(LOAD, PAID, "{ range: { column: total, min: 0 } }")),
            (
                "wrong_gold",
                load(LOAD, "SELECT order_no, total + 1 AS total FROM orders WHERE status = 'paid'", positive),
            ),
            ("wrong_check", load(LOAD, PAID, "{ sql: \"total > 0\" }")),
            ("asks", ASKS.to_owned()),
            ("refuses", REFUSES.to_owned()),
        ],
    );
    let failed = |case: &str, wording: u64| failure(&report, case, wording)["outcome"].clone();
    assert_eq!(failed("right", 1), Value::Null, "{report:#}");
    assert_eq!(failed("right", 2), "not_understood", "{report:#}");
    assert_eq!((failed("asks", 1), failed("refuses", 1)), (Value::Null, Value::Null), "{report:#}");
    let wrong = failure(&report, "wrong_gold", 1);
    assert_eq!(wrong["outcome"], "silent_wrong", "{report:#}");
    assert!(wrong["reason"].as_str().unwrap().contains("data: lake.paid: rows differ"), "{wrong:#}");
    let check = failure(&report, "wrong_check", 1);
    assert_eq!(check["outcome"], "silent_wrong", "{report:#}");
    assert!(check["reason"].as_str().unwrap().contains("it lacks the rule total > 0"), "{check:#}");
    let gates = &report["simple"]["gates"];
    assert_eq!(gates["must_ask"], json!({"passed": 1, "of": 1}), "{report:#}");
    assert_eq!((&gates["right_rows"]["passed"], &gates["right_rows"]["of"]), (&json!(2), &json!(3)), "{report:#}");
    assert_eq!(gates["right_on_second_run"], json!({"passed": 2, "of": 3}), "{report:#}");
    assert_eq!((&gates["checks"]["passed"], &gates["shippable"]["passed"]), (&json!(2), &json!(1)), "{report:#}");
    assert_eq!(report["all"]["gates"]["right_refusal"], json!({"passed": 1, "of": 1}), "{report:#}");
    assert_eq!(report["all"]["outcomes"]["silent_wrong"], 2, "{report:#}");
    assert_eq!(code, Some(1), "silent wrongs miss a target");
}

#[test]
fn an_evaluation_leaves_nothing_behind_even_when_it_is_interrupted() {
    let world = World::new();
    let temporary = world.folder.join("tmp");
    let is_empty = || std::fs::read_dir(&temporary).unwrap().next().is_none();
    write(&world, &[("right", load(LOAD, PAID, "{ sql: \"total >= 0\" }"))]);
    std::fs::create_dir(&temporary).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("TMPDIR", &temporary);
        command
    };
    let running = world.start(command(&["eval", "cases", "--offline"]));
    eventually("the databases are made", || running.stderr().contains("making its databases"));
    running.signal("INT");
    let done = running.wait();
    assert_eq!((done.code(), is_empty()), (Some(130), true), "{done}");
    let done = world.start(command(&["eval", "cases", "--offline", "--simple"])).wait();
    assert_eq!((done.code(), is_empty()), (Some(0), true), "{done}");
    assert_eq!(world.control("SELECT count(*) FROM drafts"), "0", "the installation is another one");
}
