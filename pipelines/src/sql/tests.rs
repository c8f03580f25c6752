#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
use super::*;
use crate::plan::TableRef;

struct Names;

impl Scope for Names {
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
        let name = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        match name.as_str() {
            "orders" | "ingest.orders" => Ok(Relation::Task("ingest.orders".into())),
            "shop.public.Items" => Ok(Relation::Table(TableRef {
                connection: "shop".to_owned(),
                path: vec!["public".to_owned(), "Items".to_owned()],
            })),
            other => Err(Finding::error(Code::UnknownName, format!("there is no {other}"))),
        }
    }

    fn parameters(&self) -> Vec<&str> {
        vec!["country"]
    }
}

fn rewritten(sql: &str) -> String {
    resolve(sql, &Names).unwrap().sql()
}

#[test]
fn relations_get_their_internal_name_and_stay_visible_under_the_written_one() {
    insta::assert_snapshot!(rewritten("SELECT O.id, ingest.orders.total FROM ingest.orders, orders AS O"),
        @r#"SELECT O.id, "orders".total FROM "ingest.orders" AS "orders", "ingest.orders" AS "O""#);
    insta::assert_snapshot!(rewritten("SELECT i.* FROM shop.public.Items i WHERE c = $country"),
        @r#"SELECT i.* FROM "shop.public.Items" "i" WHERE c = $country"#);
    insta::assert_snapshot!(
        rewritten("SELECT ingest.orders.*, INGEST.ORDERS.id FROM ingest.orders ORDER BY ingest.orders.id"),
        @r#"SELECT "orders".*, "orders".id FROM "ingest.orders" AS "orders" ORDER BY "orders".id"#);
}

#[test]
fn a_common_table_expression_hides_a_task_except_in_its_own_body() {
    insta::assert_snapshot!(rewritten("WITH Orders AS (SELECT * FROM orders) SELECT * FROM ORDERS"),
        @r#"WITH "Orders" AS (SELECT * FROM "ingest.orders" AS "orders") SELECT * FROM "Orders""#);
    let reads = resolve("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b", &Names).unwrap().reads;
    assert!(reads.is_empty());
}

#[test]
fn subqueries_in_expressions_are_resolved() {
    insta::assert_snapshot!(rewritten("SELECT 1 WHERE EXISTS (SELECT 1 FROM orders)"),
        @r#"SELECT 1 WHERE EXISTS (SELECT 1 FROM "ingest.orders" AS "orders")"#);
}

#[test]
fn all_unknown_names_and_parameters_are_found_with_their_places() {
    let findings = resolve("SELECT $land\nFROM ordres\nJOIN nothing.here ON true", &Names).unwrap_err();
    let places: Vec<(u64, u64, usize)> = findings.iter().map(|f| (f.line, f.column, f.length)).collect();
    assert_eq!(places, [(1, 8, 5), (2, 6, 6), (3, 6, 12)]);
}

#[test]
fn broken_syntax_and_other_statements_are_refused_with_their_place() {
    let findings = resolve("SELECT id,\n  FROM orders WHERE", &Names).unwrap_err();
    assert_eq!((findings[0].line, findings[0].finding.code), (2, Code::SqlSyntax), "{findings:?}");
    for sql in ["", "DELETE FROM orders", "SELECT 1; SELECT 2"] {
        assert_eq!(resolve(sql, &Names).unwrap_err()[0].finding.code, Code::SqlStatement, "{sql}");
    }
}

#[test]
fn dotted_names_split_as_in_sql() {
    assert_eq!(split_name("drop.\"2026/*.csv.gz\"").unwrap(), ["drop", "2026/*.csv.gz"]);
    assert_eq!(split_name("a.b.C").unwrap(), ["a", "b", "C"]);
    for wrong in ["", "a.", ".a", "a..b", "\"a", "a\"b\""] {
        assert!(split_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_parameters_of_a_statement_are_found_in_its_code_alone() {
    let used = parameters("SELECT '$not', $interval_start -- $nor_this\n FROM x WHERE d < $since");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["interval_start", "since"]);
}

#[test]
fn statements_that_are_deeper_than_a_stack_are_refused() {
    let chains =
        ["1 + ".repeat(100_000) + "1", "x".to_owned() + &"::int".repeat(100_000), "NOT ".repeat(100_000) + "x"];
    for chain in chains {
        assert_eq!(parse(&format!("SELECT {chain}")).unwrap_err().finding.code, Code::SqlSyntax);
        assert_eq!(condition(&chain, &[]).unwrap_err()[0].finding.code, Code::SqlSyntax);
    }
    let unions = "SELECT 1 UNION ".repeat(50_000) + "SELECT 1";
    assert_eq!(parse(&unions).unwrap_err().finding.code, Code::SqlSyntax);
    let brackets = "(".repeat(100_000);
    assert_eq!(parse(&format!("SELECT {brackets}")).unwrap_err().finding.code, Code::SqlSyntax);
    let list = format!("SELECT 1 WHERE 1 IN ({})", vec!["1"; 100_000].join(", "));
    assert!(parse(&list).is_ok(), "a long list is flat");
}

#[test]
fn a_whole_name_in_a_subquery_means_that_table_though_one_of_the_same_last_name_is_nearer() {
    struct Shops;
    impl Scope for Shops {
        fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
            let path = parts[1..].iter().map(|part| part.text.clone()).collect();
            Ok(Relation::Table(TableRef { connection: parts[0].text.clone(), path }))
        }
        fn parameters(&self) -> Vec<&str> {
            Vec::new()
        }
    }
    let rewritten = |sql: &str| resolve(sql, &Shops).unwrap().sql();
    insta::assert_snapshot!(
        rewritten("SELECT id FROM shop.orders WHERE NOT EXISTS (SELECT 1 FROM crm.orders WHERE orders.id = shop.orders.id)"),
        @r#"SELECT id FROM "shop.orders" AS "shop.orders" WHERE NOT EXISTS (SELECT 1 FROM "crm.orders" AS "crm.orders" WHERE "crm.orders".id = "shop.orders".id)"#);
    insta::assert_snapshot!(
        rewritten("SELECT shop.orders.id FROM shop.orders, crm.orders ORDER BY crm.orders.id"),
        @r#"SELECT "shop.orders".id FROM "shop.orders" AS "shop.orders", "crm.orders" AS "crm.orders" ORDER BY "crm.orders".id"#);
    insta::assert_snapshot!(
        rewritten("SELECT orders.id FROM shop.orders, crm.orders"),
        @r#"SELECT orders.id FROM "shop.orders" AS "shop.orders", "crm.orders" AS "crm.orders""#);
}
