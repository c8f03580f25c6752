//! Sentences and questions without a model: what they become, and what they load and answer.

use serde_json::{Value, json};

use crate::support::World;

/// A world with orders and customers, and stored connections `shop` and `lake`.
pub(crate) fn world() -> World {
    let world = World::new();
    world.query(
        "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country text);
         CREATE TABLE orders (id bigint PRIMARY KEY, order_no text NOT NULL, customer_id bigint NOT NULL REFERENCES customers (id),
                              status text NOT NULL, total numeric(12,2), ordered_at timestamptz NOT NULL);
         INSERT INTO customers VALUES (1, 'Ada', 'DE'), (2, 'Bo', 'SE'), (3, 'Cy', NULL);
         INSERT INTO orders SELECT n, 'A' || n, n % 3 + 1, CASE WHEN n % 4 = 0 THEN 'open' ELSE 'paid' END, n * 10.5,
                                   timestamptz '2026-03-28 22:30Z' + n * interval '1 hour' FROM generate_series(1, 40) n",
    );
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    world
}

fn rows(world: &World, question: &[&str]) -> Value {
    let mut arguments = vec!["ask"];
    arguments.extend_from_slice(question);
    arguments.extend_from_slice(&["--format", "json"]);
    world.json(&arguments)["rows"].clone()
}

#[test]
fn a_draft_of_a_sentence_loads_what_the_sentence_says_once_it_is_approved() {
    let world = world();
    let sentence = "Every weekday at 6:00 in Europe/Berlin load order no and total of orders with the customer's country as country \
                    where status is paid into lake.paid, overwrite, and check that order no is unique";
    let draft = world.json(&["compile", sentence, "-o", "paid.yaml", "--json"]);
    assert_eq!((&draft["outcome"], &draft["valid"]), (&json!("draft"), &json!(true)), "{draft:#}");
    let quotes: Vec<&str> =
        draft["requirements"].as_array().unwrap().iter().map(|one| one["quote"].as_str().unwrap()).collect();
    assert!(quotes.iter().all(|quote| sentence.contains(quote)), "{quotes:?}");
    assert_eq!(world.json(&["pipelines", "list", "--json"])["pipelines"], json!([]), "nothing is approved");
    world.succeed(&["apply", "paid.yaml"]);
    world.succeed(&["run", "paid.yaml"]);
    let loaded = world.json(&["sql", "SELECT order_no, total, country FROM lake.paid ORDER BY order_no", "--json"]);
    let right = world.json(&[
        "sql",
        "SELECT o.order_no, o.total, c.country FROM shop.public.orders o JOIN shop.public.customers c ON c.id = o.customer_id \
         WHERE o.status = 'paid' ORDER BY o.order_no",
        "--json",
    ]);
    assert_eq!(loaded["rows"], right["rows"]);
    assert_eq!(loaded["rows"].as_array().unwrap().len(), 30);
    let schedules = world.succeed(&["schedules", "list"]);
    assert!(schedules.contains("Europe/Berlin"), "{schedules}");
}

#[test]
fn a_question_is_answered_by_a_statement_that_is_shown() {
    let world = world();
    let answer = world.run(&["ask", "count orders per country of the customer where status is open"]);
    assert!(answer.stderr.contains("SELECT") && answer.stderr.contains("shop as it was at"), "{answer}");
    let counted = rows(&world, &["count orders per country of the customer where status is open"]);
    let expected = world.query("SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE status = 'open' AND country = 'DE'");
    assert!(
        counted
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["country"] == "DE" && row["orders"] == expected.parse::<i64>().unwrap()),
        "{counted}"
    );
    let day = [
        "count orders where ordered at is yesterday",
        "--timezone",
        "Europe/Berlin",
        "--as-of",
        "2026-03-30T09:00:00Z",
    ];
    let expected = world.query(
        "SELECT count(*) FROM orders WHERE ordered_at >= '2026-03-28 23:00Z' AND ordered_at < '2026-03-29 22:00Z'",
    );
    assert_eq!(rows(&world, &day)[0]["orders"].to_string(), expected, "a day of 23 hours");
}

#[test]
fn what_is_not_understood_or_refused_ends_with_one_and_loads_nothing() {
    let world = world();
    for (arguments, said) in [
        (["compile", "load ordrs into lake.x, overwrite"], "not understood: 'ordrs'"),
        (["compile", "load orders into lake.x"], "question: "),
        (["compile", "load orders into nowhere.x, overwrite"], "expected 'into' and a target such as lake.name"),
        (["compile", "delete orders older than a year"], "refused: "),
        (["compile", "load orders into lake.x as scd2 by id"], "not yet: a sentence can't ask for scd2 yet"),
        (["ask", "drop table orders"], "refused: "),
        (["ask", "what is the password"], "refused: "),
        (["ask", "how happy are they"], "not understood: "),
    ] {
        let answer = world.run(&arguments);
        assert_eq!(answer.code(), Some(1), "{arguments:?}: {answer}");
        assert!(answer.stderr.contains(said), "{arguments:?}: '{said}' is missing: {answer}");
        assert_eq!(answer.stdout, "", "{arguments:?}");
    }
    let unknown = world.run(&["ask", "count orders", "--on", "nosuch"]);
    assert!(unknown.stderr.contains("no connection named 'nosuch'"), "{unknown}");
}
