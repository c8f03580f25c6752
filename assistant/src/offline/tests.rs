#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod follow;
mod loads;
mod names;
mod random;
mod traps;

use super::*;
use crate::known::KnownTable;
use crate::known::tests::{refers, table};

/// A column `name type`, with `key` as its last word if it is the primary key, and `?` at the end of its type if it can be NULL.
fn typed(path: &[&str], columns: &[&str]) -> KnownTable {
    let names: Vec<&str> = columns.iter().filter_map(|column| column.split(' ').next()).collect();
    let mut made = table(path, &names);
    for (column, said) in made.table.columns.iter_mut().zip(columns) {
        let kind = said.split(' ').nth(1).unwrap_or("text");
        column.nullable = kind.ends_with('?');
        column.primary_key = said.ends_with(" key").then_some(1);
        column.arrow_type = match kind.trim_end_matches('?') {
            "int" => "Int64",
            "num" => "Decimal128(12, 2)",
            "bool" => "Boolean",
            "date" => "Date32",
            "time" => "Timestamp(µs, \"UTC\")",
            _ => "Utf8",
        }
        .to_owned();
    }
    made
}

fn shop() -> Known {
    let mut orders = typed(
        &["public", "orders"],
        &[
            "id int key",
            "order_no text",
            "customer_id int",
            "billing_id int",
            "shipping_id int",
            "ordered_at time",
            "status text",
            "total num",
        ],
    );
    refers(&mut orders, "customer_id", &["public", "customers"]);
    refers(&mut orders, "billing_id", &["public", "addresses"]);
    refers(&mut orders, "shipping_id", &["public", "addresses"]);
    let customers = typed(&["public", "customers"], &["id int key", "name text", "country text?", "newsletter bool"]);
    let addresses = typed(&["public", "addresses"], &["id int key", "city text"]);
    let mut products = typed(
        &["public", "products"],
        &["id int key", "sku text", "name text", "brand_id int?", "category_id int", "price num", "active bool"],
    );
    refers(&mut products, "brand_id", &["public", "brands"]);
    refers(&mut products, "category_id", &["public", "categories"]);
    let mut items = typed(&["public", "order_items"], &["order_id int", "product_id int", "quantity int"]);
    refers(&mut items, "order_id", &["public", "orders"]);
    refers(&mut items, "product_id", &["public", "products"]);
    let mut views = typed(&["page_views"], &["product_id int", "day date", "views int"]);
    views.connection = "lake".to_owned();
    let payments = typed(&["public", "payments"], &["id int key", "amount num", "currency text", "kind text"]);
    let brands = typed(&["public", "brands"], &["id int key", "name text"]);
    let categories = typed(&["public", "categories"], &["id int key", "name text"]);
    Known::new(vec![orders, customers, addresses, products, items, views, payments, brands, categories])
}

fn with_setting<T>(use_it: impl FnOnce(&Setting<'_>) -> T) -> T {
    let known = shop();
    let now = "2026-03-31T22:30:00Z".parse().unwrap();
    use_it(&Setting { known: &known, targets: &["lake".to_owned()], terms: &[], zone: chrono_tz::Europe::Berlin, now })
}

fn sql(question: &str) -> String {
    with_setting(|setting| match ask(question, setting) {
        Outcome::Made(statement) => statement.sql,
        other => panic!("{question}: {other:?}"),
    })
}

fn yaml(sentence: &str) -> String {
    with_setting(|setting| match compile(sentence, setting) {
        Outcome::Made(drafted) => headwater_pipelines::write::yaml(&drafted.spec, &drafted.comments),
        other => panic!("{sentence}: {other:?}"),
    })
}

#[test]
fn questions_become_statements() {
    let questions = [
        "count orders",
        "number of customers per country where newsletter is true",
        "Count customers with newsletter true per country?",
        "How many different customers have orders where status is cancelled and ordered at is in 2025?",
        "count and sum of total of orders per status where ordered at is this month",
        "What is the average price of products per category name?",
        "sum of quantity of order items per category name of the product, the 3 highest",
        "Top 3 category names by sum of quantity of order items",
        "List sku and name of products without order items where active is true",
        "sum of views of lake.page_views per category name of the product, joined on product id",
        "count orders per city of addresses via shipping id",
        "count orders per month of ordered at in 2026",
        "count products per \"id\" of \"brands\" and name of brands, also brands without products",
        "orders where status is one of paid, 'in transit' and new and total is not between 1 and 5.50",
        "How many orders did we get in March?",
        "Wie viele Bestellungen gab es im März 2026 pro Status?",
        "customers who never ordered",
        "customers with more than 3 orders in 2025",
        "How many different customers ordered last week?",
        "show me the 10 newest orders",
        "Which products cost more than 50?",
        "the 5 most expensive active products",
        "orders per customer, sorted by number of orders descending",
        "Which 3 customers have the most orders?",
        "How many products have no brand?",
        "orders placed between March 1, 2026 and 15.03.2026 per month",
        "sum of total of orders by status, highest first",
    ];
    let all: Vec<String> = questions.iter().map(|question| format!("-- {question}\n{}\n", sql(question))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn sentences_become_specs() {
    let sentences = [
        "Every day at 6:30 in Europe/Berlin load order no, ordered at and total of orders with the customer's country as country where status is paid into lake.paid_orders, overwrite",
        "Load sku, name and price of products with the brand's name as brand, also products without a brand, into lake.product_list, overwrite",
        "Every 6 hours copy brands to lake.brands and categories to lake.categories, overwrite all of them",
        "Load products into lake.products, overwrite, check that sku is unique, and warn if price is less than 0",
        "Every day at 0:00 in Europe/Berlin append orders where ordered at is yesterday to lake.orders_daily",
        "overwrite lake.big with id and total of orders where total is over 100 every Monday at 4am",
        "Every weekday at 2:15 count orders as orders and sum total as total per day of ordered at as day and status into lake.daily, overwrite",
    ];
    let all: Vec<String> = sentences.iter().map(|sentence| yaml(sentence)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn two_readings_are_asked_and_each_answer_is_a_sentence_that_is_understood() {
    let questions = [
        "count orders per city",
        "load orders into lake.orders",
        "sum of amount of payments per kind",
        "count products per id and name of brands",
        "load name, sku of products and name of the brand into lake.products, overwrite",
        "load sku and brand name of products into lake.products, overwrite",
        "every day load orders into lake.orders, append",
    ];
    for text in questions {
        with_setting(|setting| {
            let compiled = text.contains("into");
            let choices = match (compiled, compiled.then(|| compile(text, setting)), ask(text, setting)) {
                (true, Some(Outcome::Asked(question)), _) | (false, _, Outcome::Asked(question)) => question.choices,
                (_, compiled, asked) => panic!("{text}: {compiled:?} {asked:?}"),
            };
            assert!(!choices.is_empty(), "{text}");
            for choice in choices {
                let is_made = match compiled {
                    true => matches!(compile(&choice.sentence, setting), Outcome::Made(_)),
                    false => matches!(ask(&choice.sentence, setting), Outcome::Made(_)),
                };
                assert!(is_made, "{text}: {}", choice.sentence);
            }
        });
    }
}

#[test]
fn what_is_not_understood_is_quoted_with_what_is_near() {
    with_setting(|setting| {
        for (text, quote, near) in [
            ("count ordrs per status", "ordrs", Some("shop.public.orders")),
            ("count orders per sttus", "sttus", Some("status")),
            ("sum of total of orders per status please quickly", "please", None),
            ("orders where total is expensive", "expensive", None),
            ("why is revenue down", "why", None),
            ("cancelled orders", "cancelled", None),
            ("orders in Germany", "in", None),
            ("5 orders", "5", None),
            ("shipments in 2025", "shipments", None),
        ] {
            let Outcome::NotUnderstood(words) = ask(text, setting) else { panic!("{text}: {:?}", ask(text, setting)) };
            assert_eq!(words.quote, quote, "{text}: {words:?}");
            if let Some(near) = near {
                assert_eq!(words.candidates, [near], "{text}");
            }
            assert_eq!(&text[words.span.clone()], words.quote);
        }
    });
}

#[test]
fn changes_of_a_source_and_secrets_are_refused_and_unfinished_modes_are_named() {
    with_setting(|setting| {
        for text in ["delete orders where status is old", "Please update products", "DROP TABLE orders"] {
            assert!(
                matches!(ask(text, setting), Outcome::Refused(refusal) if refusal.reason == RefusalReason::ChangesData),
                "{text}"
            );
            assert!(matches!(compile(text, setting), Outcome::Refused(_)), "{text}");
        }
        let secret = ask("what is the password of the shop connection", setting);
        assert!(matches!(secret, Outcome::Refused(refusal) if refusal.reason == RefusalReason::Secret));
        for (text, wanted) in [
            ("load orders into lake.orders as scd2 by id, track status", "scd2"),
            ("load orders into lake.orders, append, and notify ops with the number of rows", "notify"),
            ("load orders into lake.orders, append, and tell ops how many", "notify"),
        ] {
            assert!(matches!(compile(text, setting), Outcome::NotYet { feature, .. } if feature == wanted), "{text}");
        }
    });
}

#[test]
fn odd_input_is_answered_and_nothing_panics() {
    let long = "a ".repeat(15_000);
    let odd = [
        "",
        " ",
        "?",
        "\u{0}",
        "’s",
        "'",
        "\"",
        "ß",
        "per",
        "where where where",
        "top 0 by",
        "load into",
        "load orders into lake.",
        "𝒪rders",
        &long,
        "every",
        "every 99999999999 days",
        "the the the",
    ];
    with_setting(|setting| {
        for text in odd {
            assert!(!matches!(ask(text, setting), Outcome::Made(_)), "{text}");
            assert!(!matches!(compile(text, setting), Outcome::Made(_)), "{text}");
        }
    });
}

#[test]
fn what_would_be_read_wrongly_is_not_read() {
    with_setting(|setting| {
        for text in [
            "count orders where ordered at is last hour",
            "top 1 customer name by sum of total of orders per month of ordered at",
            "sum of total of order items",
            "count distinct customer id of orders, also customers without orders",
            "count orders per name of customers where status is paid, also products without orders",
            "List sku and brand name of products where brand name is acme, also products without a brand",
            "orders where status is unique",
            "orders where total is one of 1,000 and 2000",
            "sum of name of products",
            "count orders per name of the brand",
            "count customers with orders per id",
            "orders from 2025",
            "orders until March 2026",
            "top 5 products by quantity of order items",
            "2026 orders by status",
            "products with the highest price",
            "latest order total of orders per status",
        ] {
            let asked = ask(text, setting);
            assert!(matches!(asked, Outcome::NotUnderstood(_)), "{text}: {asked:?}");
        }
        for text in [
            "load orders into lake.a, overwrite, append",
            "load orders into lake.a, overwrite, stop if id is not unique",
        ] {
            let compiled = compile(text, setting);
            assert!(matches!(compiled, Outcome::NotUnderstood(_)), "{text}: {compiled:?}");
        }
    });
}

#[test]
fn a_day_is_compared_as_a_day_in_its_zone() {
    for (test, expected) in [
        ("after 2026-03-28", "orders.ordered_at >= TIMESTAMPTZ '2026-03-28T23:00:00Z'"),
        ("before 2026-03-29", "orders.ordered_at < TIMESTAMPTZ '2026-03-28T23:00:00Z'"),
        ("at most 2026-03-29", "orders.ordered_at < TIMESTAMPTZ '2026-03-29T22:00:00Z'"),
        (
            "between 2026-03-28 and 2026-03-29",
            "orders.ordered_at >= TIMESTAMPTZ '2026-03-27T23:00:00Z' AND orders.ordered_at < TIMESTAMPTZ '2026-03-29T22:00:00Z'",
        ),
    ] {
        let sql = sql(&format!("count orders where ordered at is {test}"));
        assert!(sql.ends_with(expected), "{test}: {sql}");
    }
}

#[test]
fn further_columns_stand_beside_whole_rows() {
    let sql = sql("orders with the customer's country as country");
    assert!(sql.starts_with("SELECT orders.*, customers.country"), "{sql}");
    let sentence = "load orders with the customer's country as land into lake.o, overwrite, check that country of the customer is not empty, check that id is unique";
    let text = yaml(sentence);
    assert!(
        text.contains("not_null: [land]") && text.contains("unique: [id]"),
        "a check is on the column that it names: {text}"
    );
}

#[test]
fn every_example_of_the_guide_is_read() {
    let guide = include_str!("../../../docs/offline-grammar.md");
    let mut kind = "";
    let mut read = 0;
    for line in guide.lines() {
        if let Some(opened) = line.strip_prefix("```") {
            kind = opened;
        } else if kind == "ask" || kind == "compile" {
            read += 1;
            match kind {
                "ask" => drop(sql(line)),
                _ => drop(yaml(line)),
            }
        }
    }
    assert!(read > 20, "{read} examples");
}

#[test]
fn among_two_thousand_tables_that_look_alike_a_sentence_is_read_at_once() {
    let tables = (0..2_000).map(|number| {
        let name = format!("meter_readings_{number}");
        let mut made =
            typed(&["grid", &name], &["id int key", "meter_id int", "read_at time", "kwh num", "state text"]);
        refers(&mut made, "meter_id", &["grid", &format!("meter_readings_{}", (number * 7 + 1) % 2_000)]);
        made
    });
    let mut lake = typed(&["tariffs"], &["id int key", "name text"]);
    lake.connection = "lake".to_owned();
    let known = Known::new(tables.chain([lake]).collect());
    let (now, targets) = ("2026-03-31T22:30:00Z".parse().unwrap(), ["lake".to_owned()]);
    let setting = Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::UTC, now };
    let started = std::time::Instant::now();
    for text in [
        "sum of kwh of meter_readings_77 per state in March 2026",
        "count meter readings 1999 per month",
        "count meter_readings_5 per name of the customer",
        "which meter_readings_12 have no frequency",
    ] {
        let _ = ask(text, &setting);
    }
    assert!(matches!(ask("sum of kwh of meter_readings_77 per state in March 2026", &setting), Outcome::Made(_)));
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}
