#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use headwater_pipelines::spec::{Range, Values};
use serde_json::Value as Json;

use super::*;

fn columns() -> Vec<FieldReport> {
    let field =
        |(name, kind): (&str, &str)| FieldReport { name: name.to_owned(), kind: kind.to_owned(), nullable: true };
    [("Id", "Int64"), ("state", "Utf8"), ("amount", "Decimal128(12, 2)"), ("day", "Date32"), ("paid", "Boolean")]
        .map(field)
        .to_vec()
}

fn sql_forms(rule: &Rule) -> Vec<String> {
    forms(rule, &columns())
        .into_iter()
        .map(|form| match form {
            Form::Condition(sql) => sql,
            Form::Unique(columns) => format!("unique {columns:?}"),
        })
        .collect()
}

#[test]
fn rules_have_one_form_however_they_are_written() {
    let not_null = Rule { not_null: Some(vec!["id".to_owned(), "state".to_owned()]), ..Rule::default() };
    assert_eq!(sql_forms(&not_null), ["\"Id\" IS NOT NULL", "\"state\" IS NOT NULL"]);
    let values =
        Values { column: "state".to_owned(), values: vec![Json::from("a"), Json::from("it's"), Json::from(5)] };
    let accepted = Rule { accepted_values: Some(values), ..Rule::default() };
    assert_eq!(sql_forms(&accepted), ["\"state\" IN ('a', 'it''s', 5)"]);
    let range = Range { column: "amount".to_owned(), min: Some(Json::from(1)), max: Some(Json::from(5)) };
    assert_eq!(sql_forms(&Rule { range: Some(range), ..Rule::default() }), ["\"amount\" >= 1 AND \"amount\" <= 5"]);
}

#[test]
fn a_key_is_the_same_in_any_order() {
    let unique = |names: [&str; 2]| {
        let rule = Rule { unique: Some(names.map(str::to_owned).to_vec()), ..Rule::default() };
        forms(&rule, &columns())
    };
    assert_eq!(unique(["id", "state"]), unique(["state", "Id"]));
}

#[test]
fn conditions_are_tried_on_null_and_their_literals_and_what_is_beside_them() {
    let sql = comparison("amount BETWEEN 1 AND 5", "amount >= 1 AND \"amount\" <= 5", &columns()).unwrap();
    for value in ["NULL", "-1", "0", "1", "5", "6"] {
        assert!(sql.contains(&format!("(CAST({value} AS DOUBLE PRECISION))")), "{value}: {sql}");
    }
    assert!(
        sql.ends_with(
            "WHERE coalesce((amount BETWEEN 1 AND 5), true) <> coalesce((amount >= 1 AND \"amount\" <= 5), true)"
        ),
        "{sql}"
    );
    assert!(sql.contains("AS t0(\"amount\")") && !sql.contains("t1"), "{sql}");
}

#[test]
fn values_have_the_type_of_their_column() {
    let literals = |of: &[&str]| of.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    let values = values_of(Some("Utf8"), &literals(&["iO"]));
    assert!(
        values.contains(&"CAST('iO' AS VARCHAR)".to_owned()) && values.contains(&"CAST('-1' AS VARCHAR)".to_owned())
    );
    let days = values_of(Some("Date32"), &literals(&["2026-03-01"]));
    assert_eq!(days.len(), 4, "NULL, the day, and the days beside it: {days:?}");
    assert_eq!(values_of(Some("Boolean"), &literals(&[])).len(), 3);
    assert!(values_of(None, &literals(&["5"])).contains(&"CAST(5 AS DOUBLE PRECISION)".to_owned()));
}

#[test]
fn a_condition_without_columns_or_of_too_many_is_not_compared() {
    assert_eq!(comparison("1 = 1", "true", &columns()), None);
    assert_eq!(comparison("amount >", "amount > 1", &columns()), None);
}
