//! Documents as Postgres 15 answers about them; tests/differential asks it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::cmp::Ordering;

use super::changes::{self, Change};
use super::paths::Step;
use super::{columns, contents, numbers, paths, read, value, write};

fn normal(text: &str) -> String {
    write::text(&read::jsonb(text).unwrap())
}

#[test]
fn jsonb_is_written_in_one_way() {
    assert_eq!(normal(r#"{"bb":1,"a":2,"c":3,"a":4}"#), r#"{"a": 4, "c": 3, "bb": 1}"#);
    assert_eq!(normal("[0,-0,-0.00,0e5,1.50e1,1E+2,12e-1]"), "[0, 0, 0.00, 0, 15.0, 100, 1.2]");
    assert_eq!(normal(r#""\u00e4\ud83d\ude00\/\b\u001f""#), "\"\u{e4}\u{1f600}/\\b\\u001f\"");
    assert_eq!(normal("1e400").len(), 401);
}

#[test]
fn what_is_not_json_is_an_error() {
    for text in ["", "[1,]", "01", "1.", ".5", "1a", "truely", "[1]]", r#""\q""#, "{1: 2}", "\"a\tb\"", "1 2"] {
        assert!(read::check(text).is_err() && read::jsonb(text).is_err(), "{text}");
    }
    for text in [r#""\u0000""#, r#""\ud800""#, r#""\ude00""#, "1e131072", "1e-16384"] {
        assert!(read::check(text).is_ok() && read::jsonb(text).is_err(), "{text}");
    }
    assert!(read::jsonb(&"[".repeat(100_000)).unwrap_err().contains("nested"));
}

#[test]
fn json_gives_its_parts_as_they_are_written() {
    let part = |text, path: &[&str]| {
        let steps: Vec<Step<'_>> = path.iter().copied().map(Step::of_path).collect();
        paths::part(text, &steps).unwrap().map(str::to_owned)
    };
    assert_eq!(part(r#"{"a": [1e2,  2.0 ]}"#, &["a"]).as_deref(), Some("[1e2,  2.0 ]"));
    assert_eq!(part(r#"{"a": {"b": 1}, "a": {"c": 2}}"#, &["a", "b"]).as_deref(), Some("1"));
    // The first array of a level says which element is the last.
    assert_eq!(part("[[1, 2], [3]]", &["1", "-1"]), None);
    assert_eq!(part(" 1 ", &[]).as_deref(), Some(" 1"));
    assert_eq!(columns::at("[[1, 2], [3]]", &[Some("1"), Some("-1")], false).unwrap().as_deref(), Some("3"));
}

#[test]
fn documents_compare_by_their_values() {
    let compare = |left, right| value::compare(&read::jsonb(left).unwrap(), &read::jsonb(right).unwrap());
    assert_eq!(compare("[1.0]", "[1.00]"), Ordering::Equal);
    assert_eq!(compare("[]", "null"), Ordering::Less);
    assert_eq!(compare("[1]", "1"), Ordering::Greater);
    assert_eq!(compare(r#"{"b": 1}"#, r#"{"aa": 1}"#), Ordering::Greater);
    assert_eq!(compare("-10", "-9.5"), Ordering::Less);
    let contains = |left, right| contents::contains(&read::jsonb(left).unwrap(), &read::jsonb(right).unwrap());
    assert!(contains("[1, 2, [3]]", "[[3], 1]") && contains("[1]", "1") && !contains("1", "[1]"));
    assert_eq!(write::key(read::jsonb("[1.50, 100, 0.00]").unwrap()), "[1.5, 100, 0]");
}

#[test]
fn numbers_are_rounded_away_from_zero() {
    for (text, whole) in [("2.5", "3"), ("-2.5", "-3"), ("-0.4", "0"), ("99.5", "100"), ("7", "7"), ("0.49", "0")] {
        assert_eq!(numbers::whole(text), whole);
    }
}

#[test]
fn documents_change_under_a_path() {
    let changed = |text, path: &[&str], change| {
        let path: Vec<Option<&str>> = path.iter().copied().map(Some).collect();
        changes::changed(read::jsonb(text).unwrap(), &path, &read::jsonb("9").unwrap(), change)
            .map(|value| write::text(&value))
    };
    assert_eq!(changed(r#"{"a": [1, 2]}"#, &["a", "-9"], Change::Create).unwrap(), r#"{"a": [9, 1, 2]}"#);
    assert_eq!(changed(r#"{"a": [1, 2]}"#, &["a", "5"], Change::Replace).unwrap(), r#"{"a": [1, 2]}"#);
    assert_eq!(changed(r#"{"a": [1, 2]}"#, &["a", "1"], Change::After).unwrap(), r#"{"a": [1, 2, 9]}"#);
    assert_eq!(changed(r#"{"a": [1, 2]}"#, &["a", "0"], Change::Delete).unwrap(), r#"{"a": [2]}"#);
    assert!(changed(r#"{"a": 1}"#, &["a"], Change::Before).is_err());
    assert!(changed("[1]", &["x"], Change::Create).is_err() && changed("1", &["a"], Change::Create).is_err());
}
