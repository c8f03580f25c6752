//! Names that make a sentence mean two things: it is read as all of it says, or asked about, and never guessed.

use super::*;

fn traps() -> Known {
    let mut customers = typed(
        &["public", "customers"],
        &["id int key", "name text", "country text?", "newsletter bool", "status text", "region_id int"],
    );
    refers(&mut customers, "region_id", &["public", "regions"]);
    let regions = typed(&["public", "regions"], &["id int key", "label text", "note text", "name text"]);
    let mut orders =
        typed(&["public", "orders"], &["id int key", "customer_id int", "status text", "vip text", "label text"]);
    refers(&mut orders, "customer_id", &["public", "customers"]);
    let mut items = typed(&["public", "order_items"], &["order_id int", "product_id int", "stock int"]);
    refers(&mut items, "order_id", &["public", "orders"]);
    refers(&mut items, "product_id", &["public", "products"]);
    let products = typed(&["public", "products"], &["id int key", "stock int", "min_stock int"]);
    let inventory = typed(&["public", "inventory"], &["item text", "count int"]);
    let payments = typed(&["public", "payments"], &["amount num", "iso_currency_code text"]);
    let mut sales = typed(&["sales"], &["product_id int?", "quantity int", "seen naive"]);
    sales.connection = "lake".to_owned();
    sales.table.columns[2].arrow_type = "Timestamp(µs)".to_owned();
    Known::new(vec![customers, regions, orders, items, products, inventory, payments, sales])
}

fn outcome_of(question: &str) -> Outcome<Statement> {
    let known = traps();
    let now = "2026-03-31T22:30:00Z".parse().unwrap();
    let targets = ["lake".to_owned()];
    ask(question, &Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::Europe::Berlin, now })
}

fn draft_of(sentence: &str) -> Outcome<Drafted> {
    let known = traps();
    let now = "2026-03-31T22:30:00Z".parse().unwrap();
    let targets = ["lake".to_owned(), "shop".to_owned()];
    compile(sentence, &Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::Europe::Berlin, now })
}

fn statement_of(question: &str) -> String {
    match outcome_of(question) {
        Outcome::Made(statement) => statement.sql,
        other => panic!("{question}: {other:?}"),
    }
}

#[test]
fn a_column_that_is_true_or_false_is_a_condition_behind_with() {
    assert!(statement_of("name of customers with newsletter").contains("WHERE customers.newsletter"));
}

#[test]
fn words_of_the_grammar_and_columns_are_no_values_of_a_list() {
    for question in [
        "count customers where country is DE or empty",
        "count customers where country is not DE or missing",
        "count customers where country is one of DE, SE and empty",
        "count orders where status is open or vip",
    ] {
        assert!(!matches!(outcome_of(question), Outcome::Made(_)), "{question}");
    }
    assert!(statement_of("count orders where status is open or 'vip'").contains("IN ('open', 'vip')"));
}

#[test]
fn a_word_that_folds_may_be_the_first_of_a_columns_name() {
    let sql = statement_of("min stock of the product of order items");
    assert!(sql.contains("min_stock") && !sql.contains("min("), "{sql}");
    assert!(statement_of("minimum stock of order items").contains("min(order_items.stock)"));
}

#[test]
fn a_column_called_count_is_not_the_number_of_rows() {
    for question in ["top 1 item of inventory by count", "count of inventory per item"] {
        assert!(!matches!(outcome_of(question), Outcome::Made(_)), "{question}");
    }
    assert!(statement_of("sum of count of inventory per item").contains("sum(inventory.count)"));
}

#[test]
fn a_condition_behind_rows_that_must_not_be_there_is_not_silently_of_the_others() {
    let question = "name of customers without orders where status is paid";
    assert!(!matches!(outcome_of(question), Outcome::Made(_)), "{question}");
    let own = statement_of("name of customers without orders where country is DE");
    assert!(own.contains("country = 'DE'"), "{own}");
}

#[test]
fn a_column_of_one_table_that_the_rows_refer_to_is_found_however_far_it_is() {
    assert!(statement_of("count orders where note is x").contains("regions.note"));
}

#[test]
fn the_nearest_of_two_tables_is_not_taken_silently() {
    let Outcome::Made(statement) = outcome_of("count orders where name is North") else { panic!("it is understood") };
    assert!(statement.sql.contains("customers.name"), "{}", statement.sql);
    assert!(statement.assumptions.contains(&"name is that of customers, which is nearer than regions".to_owned()));
}

#[test]
fn rows_without_a_partner_along_a_key_that_is_assumed_are_asked_about() {
    let sentence = "load quantity and stock of the product of lake.sales into lake.sales_stock, overwrite";
    assert!(matches!(draft_of(sentence), Outcome::Asked(_)), "{:?}", draft_of(sentence));
}

#[test]
fn currencies_are_asked_about_however_their_column_is_called() {
    assert!(matches!(outcome_of("sum of amount of payments"), Outcome::Asked(_)));
}

#[test]
fn a_quote_of_a_checked_value_stays() {
    let sentence = "load orders into lake.o, overwrite, and check that label is one of \"rock 'n'\" and b";
    let Outcome::Made(drafted) = draft_of(sentence) else { panic!("{:?}", draft_of(sentence)) };
    let yaml = headwater_pipelines::write::yaml(&drafted.spec, &drafted.comments);
    assert!(yaml.contains("rock 'n'"), "{yaml}");
}

#[test]
fn a_day_of_a_time_without_a_zone_is_that_of_the_schedules_zone() {
    let sentence =
        "every day at 0:00 in Europe/Berlin load quantity of lake.sales where seen is yesterday into lake.day, append";
    let Outcome::Made(drafted) = draft_of(sentence) else { panic!("{:?}", draft_of(sentence)) };
    let yaml = headwater_pipelines::write::yaml(&drafted.spec, &drafted.comments);
    assert!(yaml.contains("to_local_time($interval_start AT TIME ZONE 'Europe/Berlin')"), "{yaml}");
}

#[test]
fn a_source_is_no_target_under_whatever_name() {
    for target in ["shop.public.orders", "shop.orders", "shop.\"orders\""] {
        let sentence = format!("load orders where status is paid into {target}, overwrite");
        assert!(!matches!(draft_of(&sentence), Outcome::Made(_)), "{sentence}");
    }
}

#[test]
fn what_is_said_behind_several_loads_is_not_put_on_the_last_alone() {
    let both = "copy orders to lake.a and customers to lake.b, overwrite all of them";
    assert!(matches!(draft_of(both), Outcome::Made(_)), "{:?}", draft_of(both));
    for more in ["check that id is unique", "skip rows without a status", "warn if status is open"] {
        let sentence = format!("{both}, {more}");
        assert!(!matches!(draft_of(&sentence), Outcome::Made(_)), "{sentence}");
    }
}

#[test]
fn rows_that_a_denied_value_leaves_out_for_want_of_one_are_named() {
    let Outcome::Made(statement) = outcome_of("count customers where country is not DE") else {
        panic!("it is understood")
    };
    assert!(statement.assumptions.contains(&"rows without a value in country are left out".to_owned()));
}

#[test]
fn a_column_with_an_adjective_behind_it_is_no_condition() {
    let sentence = "load customers with name masked into lake.n, overwrite";
    assert!(!matches!(draft_of(sentence), Outcome::Made(_)), "{:?}", draft_of(sentence));
}

#[test]
fn a_column_that_is_true_or_false_behind_its_table_is_a_condition_and_no_column_to_show() {
    for question in ["Welche Customers sind newsletter?", "customers newsletter"] {
        match outcome_of(question) {
            Outcome::Made(statement) => {
                assert!(statement.sql.contains("WHERE customers.newsletter"), "{question}: {}", statement.sql)
            }
            other => assert!(matches!(other, Outcome::NotUnderstood(_) | Outcome::Asked(_)), "{question}: {other:?}"),
        }
    }
}
