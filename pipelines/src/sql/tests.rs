#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
use super::*;
use crate::plan::TableRef;

struct Names;

impl Scope for Names {
    fn relation(&self, parts: &[String]) -> Result<Relation, Finding> {
        match parts.join(".").as_str() {
            "orders" | "ingest.orders" => Ok(Relation::Task("ingest.orders".to_owned())),
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
        @r#"SELECT "o".id, "orders".total FROM "ingest.orders" AS "orders", "ingest.orders" AS "o""#);
    insta::assert_snapshot!(rewritten("SELECT i.* FROM shop.public.Items i WHERE c = $country"),
        @r#"SELECT "i".* FROM "shop.public.Items" "i" WHERE c = $country"#);
}

#[test]
fn a_common_table_expression_hides_a_task_except_in_its_own_body() {
    insta::assert_snapshot!(rewritten("WITH Orders AS (SELECT * FROM orders) SELECT * FROM ORDERS"),
        @r#"WITH "orders" AS (SELECT * FROM "ingest.orders" AS "orders") SELECT * FROM "orders""#);
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
