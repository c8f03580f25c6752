//! Loads of new and changed rows, by keys, of slices, of topics and of whole schemas: what they become, and what they leave as it is.

use super::*;

fn of(connection: &str, mut table: KnownTable, kind: &str) -> KnownTable {
    table.connection = connection.to_owned();
    table.table.kind = kind.to_owned();
    table
}

fn store() -> Known {
    let mut orders = typed(
        &["public", "orders"],
        &["id int key", "customer_id int", "status text", "amount num?", "ordered_at time", "updated_at time"],
    );
    refers(&mut orders, "customer_id", &["public", "customers"]);
    let customers = typed(&["public", "customers"], &["id int key", "name text", "country text?", "joined_at time"]);
    let stock = typed(&["public", "stock"], &["warehouse_id int", "product_id int", "pieces int"]);
    let recent = of("shop", typed(&["public", "recent"], &["id int", "updated_at time"]), "view");
    let events =
        of("kafka", typed(&["events"], &["_offset int", "_key text", "id int", "kind text"]), "topic, 3 partitions");
    let prices = of("lake", typed(&["prices"], &["sku text", "price num"]), "table");
    Known::new(vec![orders, customers, stock, recent, events, prices])
}

fn read(sentence: &str) -> Outcome<Drafted> {
    read_with(sentence, &store())
}

fn read_with(sentence: &str, known: &Known) -> Outcome<Drafted> {
    let now = "2026-03-31T22:30:00Z".parse().unwrap();
    compile(sentence, &Setting { known, targets: &["lake".to_owned()], terms: &[], zone: chrono_tz::UTC, now })
}

fn drafted(sentence: &str) -> Drafted {
    match read(sentence) {
        Outcome::Made(drafted) => *drafted,
        other => panic!("{sentence}: {other:?}"),
    }
}

/// The draft's text on one line, whether its fields stand on lines of their own or not.
fn spec_of(sentence: &str) -> String {
    let drafted = drafted(sentence);
    let text = headwater_pipelines::write::yaml(&drafted.spec, &drafted.comments);
    text.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

#[test]
fn new_and_changed_rows_are_read_by_a_cursor_and_replace_those_of_their_key() {
    for sentence in [
        "copy new and changed orders to lake.orders",
        "Every 5 minutes load new or updated orders into lake.orders",
        "load orders into lake.orders incrementally",
        "upsert new and changed orders by id into lake.orders, cursor updated_at",
        "Kopiere neue und geänderte Orders nach lake.orders",
    ] {
        let text = spec_of(sentence);
        for part in
            ["from: shop.public.orders, cursor: updated_at", "mode: upsert", "keys: [id]", "order_by: updated_at"]
        {
            assert!(text.contains(part), "{sentence}: {part}: {text}");
        }
    }
}

#[test]
fn the_sentence_that_the_product_is_described_by_becomes_an_incremental_draft_with_what_it_leaves() {
    let sentence = "Every weekday at 6 in Berlin, copy new and changed orders from shop to the lake with the customer's name and country, \
                    only paid ones, and tell me if more than 1% have no amount";
    let made = drafted(sentence);
    let text = spec_of(sentence);
    for part in [
        "cron: \"0 6 * * 1-5\", timezone: Europe/Berlin",
        "from: shop.public.orders, cursor: updated_at",
        "SELECT orders.*, customers.name, customers.country",
        "JOIN customers ON customers.id = orders.customer_id",
        "WHERE orders.status = 'paid'",
        "not_null: [amount]",
        "on_failure: warn",
        "into: lake.orders, mode: upsert, keys: [id], order_by: updated_at",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for said in [
        "a row that stops meeting the condition on status stays in lake.orders",
        "a change of customers alone does not reach lake.orders",
        "rows that are deleted at the source stay in lake.orders",
        "'paid' is taken for a value of status",
        "1% of the rows is no limit",
        "nobody is sent a message",
        "the rows go to lake.orders",
    ] {
        assert!(made.assumptions.iter().any(|one| one.contains(said)), "{said}: {:#?}", made.assumptions);
    }
}

#[test]
fn a_table_without_a_column_that_marks_changes_is_asked_about_and_each_answer_is_read() {
    let Outcome::Asked(question) = read("copy new and changed customers to lake.customers") else {
        panic!("{:?}", read("copy new and changed customers to lake.customers"))
    };
    let texts: Vec<&str> = question.choices.iter().map(|choice| choice.text.split(':').next().unwrap()).collect();
    assert_eq!(texts, ["id", "joined_at"]);
    for choice in &question.choices {
        let text = spec_of(&choice.sentence);
        assert!(text.contains("cursor: ") && text.contains("mode: upsert"), "{}: {text}", choice.sentence);
    }
}

#[test]
fn what_new_rows_alone_would_make_wrong_is_not_read() {
    for sentence in [
        "load new and changed orders into lake.orders, overwrite",
        "append new and changed orders to lake.orders",
        "count new and changed orders per status into lake.totals",
        "copy new and changed recent to lake.recent",
        "copy new and changed stock to lake.stock",
        "load status of new and changed orders into lake.states",
        "load orders into lake.orders with delete_insert by status, incrementally",
        "load orders into lake.orders, upsert, overwrite",
        "load orders into lake.orders, overwrite, within 5 seconds",
        "every day at 6:00 stream events into lake.events",
    ] {
        let outcome = read(sentence);
        assert!(matches!(outcome, Outcome::NotUnderstood(_) | Outcome::Asked(_)), "{sentence}: {outcome:?}");
    }
}

#[test]
fn a_status_that_is_new_or_changed_is_a_value_and_no_wish() {
    let text = spec_of("load orders where status is new or changed into lake.orders, overwrite");
    assert!(text.contains("IN ('new', 'changed')") && !text.contains("cursor"), "{text}");
}

#[test]
fn new_rows_are_each_there_once_or_are_added_as_the_sentence_says() {
    for (sentence, mode) in [
        ("load only new orders into lake.orders", "mode: insert_new, keys: [id]"),
        ("load every new row of orders once into lake.orders", "mode: insert_new, keys: [id]"),
        ("load new orders since last time into lake.orders", "mode: insert_new, keys: [id]"),
        ("append new orders to lake.orders", "mode: append"),
        ("Lade nur neue Orders nach lake.orders", "mode: insert_new, keys: [id]"),
    ] {
        let text = spec_of(sentence);
        assert!(text.contains(mode) && text.contains("cursor: updated_at"), "{sentence}: {text}");
    }
}

#[test]
fn keys_are_said_or_declared_and_what_no_key_proves_is_listed() {
    let unproven =
        |sentence: &str| drafted(sentence).assumptions.iter().any(|said| said.starts_with("no key of the catalog"));
    assert!(!unproven("load orders into lake.orders with upsert by id"));
    assert!(unproven("load orders into lake.orders with upsert by customer id"));
    assert!(unproven("load stock into lake.stock, one row per warehouse id and product id"));
    let text = spec_of("load stock into lake.stock, one row per warehouse id and product id");
    assert!(text.contains("mode: upsert, keys: [warehouse_id, product_id]"), "{text}");
}

#[test]
fn a_mode_behind_by_and_a_rule_about_a_column_called_key_name_no_keys() {
    assert!(spec_of("load orders into lake.orders by overwriting it").contains("mode: overwrite"));
    let outcome = read("load orders into lake.orders, key must be unique, overwrite");
    assert!(matches!(outcome, Outcome::NotUnderstood(_)), "{outcome:?}");
}

#[test]
fn a_slice_is_named_by_columns_or_by_the_time_that_rows_are_grouped_by() {
    let text = spec_of("Every night at 1:30 load stock into lake.stock with delete_insert by warehouse id");
    assert!(text.contains("mode: delete_insert, keys: [warehouse_id]"), "{text}");
    let text = spec_of("count orders per day of ordered at into lake.daily, replace the day");
    assert!(text.contains("mode: delete_insert, keys: [day]"), "{text}");
}

#[test]
fn rows_that_are_gone_are_removed_or_marked_where_all_rows_are_read() {
    let whole = spec_of("load orders into lake.orders, upsert by id, mark deleted rows");
    assert!(whole.contains("on_delete: soft") && !whole.contains("deletes"), "{whole}");
    let followed = spec_of("copy new and changed orders to lake.orders, remove deleted rows");
    assert!(
        followed.contains("on_delete: hard") && followed.contains("deletes: { by: keys, every: 1d }"),
        "{followed}"
    );
    for sentence in [
        "copy new and changed orders to lake.orders, only paid ones, remove deleted rows",
        "load orders into lake.orders, append, remove deleted rows",
    ] {
        assert!(matches!(read(sentence), Outcome::NotUnderstood(_)), "{sentence}: {:?}", read(sentence));
    }
}

#[test]
fn a_topic_is_followed_and_one_row_per_key_is_the_last_by_its_offset() {
    let text = spec_of("stream topic events into the lake, one row per id, within 5 seconds");
    for part in [
        "stream: { every: 5s }",
        "from: kafka.events, cursor: auto",
        "into: lake.events, mode: upsert, keys: [id], order_by: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("_offset"), "{text}");
    assert!(spec_of("stream events into lake.events").contains("mode: append"));
}

#[test]
fn columns_that_come_are_added_where_the_sentence_says_so() {
    let text = spec_of("load orders into lake.orders, overwrite, add new columns");
    assert!(text.contains("mode: overwrite, schema: add_columns"), "{text}");
}

#[test]
fn all_tables_of_a_schema_are_one_extract_and_one_load() {
    let text =
        spec_of("Every night at 1:00 copy all tables of shop.public except stock and tmp_* to the lake, overwrite");
    for part in ["tables: ", "shop.public.*", "exclude: ", "tmp_*", "{{ table }}", "mode: overwrite"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let fresh = spec_of("copy all tables of shop.public to the lake incrementally");
    assert!(fresh.contains("cursor: auto") && !fresh.contains("mode:"), "{fresh}");
    let Outcome::Asked(question) = read("copy all tables of shop.public to the lake") else { panic!("it is asked") };
    for choice in question.choices {
        assert!(matches!(read(&choice.sentence), Outcome::Made(_)), "{}", choice.sentence);
    }
}

/// What becomes of a sentence where the lake has a table `orders`.
fn read_beside_orders(sentence: &str) -> Outcome<Drafted> {
    let mut known = Vec::from_iter(store().tables().map(|(_, table)| table.clone()));
    known.push(of("lake", typed(&["orders"], &["id int"]), "table"));
    read_with(sentence, &Known::new(known))
}

#[test]
fn a_table_that_is_there_is_written_only_if_it_is_named() {
    let Outcome::Asked(question) = read_beside_orders("copy new and changed shop.public.orders to the lake") else {
        panic!("it is asked")
    };
    assert!(question.choices[0].sentence.ends_with("to lake.orders"), "{question:?}");
}

#[test]
fn tables_that_are_there_are_listed_where_all_tables_of_a_schema_are_written() {
    let sentence = "copy all tables of shop.public to the lake, overwrite";
    let Outcome::Made(drafted) = read_beside_orders(sentence) else { panic!("it is understood") };
    let said = "lake has tables of these names, which nobody named and a run writes: orders";
    assert!(drafted.assumptions.iter().any(|one| one == said), "{:#?}", drafted.assumptions);
    let Outcome::Made(drafted) = read(sentence) else { panic!("it is understood") };
    assert!(!drafted.assumptions.iter().any(|one| one.contains("nobody named")), "{:#?}", drafted.assumptions);
}

#[test]
fn a_word_of_time_or_size_and_one_that_denies_is_no_value_of_a_status() {
    for word in ["new", "big", "unpaid", "latest"] {
        let sentence = format!("load orders into lake.orders, overwrite, only {word} ones");
        assert!(!matches!(read(&sentence), Outcome::Made(_)), "{sentence}: {:?}", read(&sentence));
    }
    assert!(spec_of("load orders into lake.orders, overwrite, only paid ones").contains("status = 'paid'"));
}

#[test]
fn a_draft_says_which_rows_its_load_leaves_as_they_are() {
    for (sentence, said) in [
        ("load orders where status is paid into lake.paid with upsert by id", "stops meeting the condition on status"),
        (
            "load orders where status is paid into lake.paid with upsert by id",
            "rows that are deleted at the source stay",
        ),
        ("copy new and changed orders to lake.orders", "is more than a day behind the latest one"),
        ("copy new and changed customers to lake.customers, cursor joined_at", "a row is found by its joined_at"),
        ("append new orders to lake.orders and check that id is unique", "the check sees new rows alone"),
        ("count orders per day of ordered at into lake.days, replace the day", "for which no row comes any more stays"),
        ("load new and changed events into lake.e with upsert by id", "the largest offset counts"),
    ] {
        let found = drafted(sentence).assumptions;
        assert!(found.iter().any(|one| one.contains(said)), "{sentence}: {said}: {found:#?}");
    }
    let all = drafted("load orders into lake.orders, overwrite").assumptions;
    assert!(!all.iter().any(|one| one.contains("stay")), "{all:#?}");
}

#[test]
fn own_columns_behind_with_are_no_further_columns() {
    for sentence in [
        "load customers with id and name into lake.customers, overwrite",
        "load orders with amount into lake.orders, overwrite",
    ] {
        assert!(!matches!(read(sentence), Outcome::Made(_)), "{sentence}: {:?}", read(sentence));
    }
    let both = spec_of("load orders with the customer's name into lake.orders, overwrite");
    assert!(both.contains("orders.*, customers.name"), "{both}");
}
