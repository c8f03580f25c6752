#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::evaluation::case::Top;
use crate::evaluation::value::read;

fn number(text: &str) -> Value {
    read(text, Class::Number)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Rows of a name and a number.
fn rows(rows: &[(&str, &str)]) -> Vec<Row> {
    rows.iter().map(|(name, value)| vec![text(name), number(value)]).collect()
}

fn gold(of: &[(&str, &str)]) -> Gold {
    Gold { columns: vec!["name".to_owned(), "n".to_owned()], classes: vec![Class::Text, Class::Number], rows: rows(of) }
}

fn part() -> Part {
    Part {
        target: None,
        mode: None,
        columns: Vec::new(),
        keys: Vec::new(),
        ordered: false,
        top: None,
        approximate: Vec::new(),
        gold: None,
        gold_second: None,
    }
}

fn table(columns: &[&str], rows: Vec<Row>) -> Table {
    Table { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows }
}

fn answer(gold: &Gold, part: &Part, found: &[(&str, &str)]) -> Option<String> {
    Comparison { gold, part, zone: Tz::UTC }.of_answer(&table(&["a", "b"], rows(found)))
}

#[test]
fn rows_are_a_multiset_unless_their_order_counts() {
    let gold = gold(&[("a", "1"), ("b", "2"), ("b", "2")]);
    assert_eq!(answer(&gold, &part(), &[("b", "2.0"), ("a", "1"), ("b", "2")]), None);
    assert!(answer(&gold, &part(), &[("a", "1"), ("a", "1"), ("b", "2")]).is_some());
    let told = answer(&gold, &part(), &[("b", "2"), ("a", "1")]).unwrap();
    assert_eq!(told, "it has 2 rows, and gold 3: (\"b\", 2) is missing");
    let ordered = Part { ordered: true, ..part() };
    assert_eq!(answer(&gold, &ordered, &[("a", "1"), ("b", "2"), ("b", "2")]), None);
    assert!(answer(&gold, &ordered, &[("b", "2"), ("a", "1"), ("b", "2")]).is_some());
}

#[test]
fn rows_that_differ_are_told_by_their_keys() {
    let by_name = Part { keys: vec!["name".to_owned()], ..part() };
    let told = answer(&gold(&[("a", "1"), ("b", "2")]), &by_name, &[("b", "3"), ("a", "1")]).unwrap();
    assert_eq!(told, "rows differ by name: (\"b\", 3) instead of (\"b\", 2)");
}

#[test]
fn averages_alone_are_approximate() {
    let approximate = Part { approximate: vec!["n".to_owned()], ..part() };
    let gold = gold(&[("a", "1"), ("b", "3000000"), ("b", "0.3333333333")]);
    let near = [("b", "0.333333"), ("a", "1.0000009"), ("b", "3000002")];
    assert_eq!(answer(&gold, &approximate, &near), None);
    assert!(answer(&gold, &part(), &near).is_some());
    assert!(answer(&gold, &approximate, &[("b", "0.33"), ("a", "1"), ("b", "3000000")]).is_some());
}

#[test]
fn rows_that_tie_at_the_end_of_a_top_may_replace_each_other() {
    let gold = gold(&[("a", "9"), ("b", "5"), ("c", "5"), ("d", "5"), ("e", "1")]);
    let top = Part { top: Some(Top { n: 3, by: vec!["n".to_owned()] }), ordered: true, ..part() };
    assert_eq!(answer(&gold, &top, &[("a", "9"), ("d", "5"), ("b", "5")]), None);
    for wrong in [
        &[("a", "9"), ("b", "5")][..],
        &[("b", "5"), ("a", "9"), ("c", "5")],
        &[("a", "9"), ("b", "5"), ("b", "5")],
        &[("a", "9"), ("b", "5"), ("x", "5")],
        &[("a", "9"), ("b", "5"), ("e", "1")],
    ] {
        assert!(answer(&gold, &top, wrong).is_some(), "{wrong:?}");
    }
}

#[test]
fn a_top_of_fewer_rows_has_all_of_them() {
    let top = Part { top: Some(Top { n: 3, by: vec!["n".to_owned()] }), ..part() };
    assert_eq!(answer(&gold(&[("a", "9")]), &top, &[("a", "9")]), None);
    assert!(answer(&gold(&[("a", "9")]), &top, &[]).is_some());
}

#[test]
fn an_answer_may_have_further_columns_anywhere() {
    let gold = gold(&[("a", "1"), ("b", "2")]);
    let part = part();
    let comparison = Comparison { gold: &gold, part: &part, zone: Tz::UTC };
    let wide = |order: [usize; 3]| {
        let row = |name: &str, n: &str| {
            let all = [text(name), number(n), text("more")];
            order.map(|place| all[place].clone()).to_vec()
        };
        table(&["x", "y", "z"], vec![row("b", "2"), row("a", "1")])
    };
    assert_eq!(comparison.of_answer(&wide([0, 1, 2])), None);
    assert_eq!(comparison.of_answer(&wide([2, 0, 1])), None);
    assert_eq!(comparison.of_answer(&wide([0, 2, 1])), None);
    assert!(comparison.of_answer(&wide([1, 0, 2])).is_some(), "the order of the columns counts");
}

#[test]
fn a_target_has_the_columns_of_gold_in_any_order_and_no_others() {
    let gold = gold(&[("a", "1")]);
    let part = part();
    let comparison = Comparison { gold: &gold, part: &part, zone: Tz::UTC };
    let row = || vec![number("1"), text("a")];
    assert_eq!(comparison.of_target(&table(&["n", "name"], vec![row()])), None);
    let told = comparison.of_target(&table(&["n", "Name"], vec![row()])).unwrap();
    assert_eq!(told, "there is no column name; the columns are n, Name");
    let more = table(&["n", "name", "x"], vec![[row(), vec![Value::Null]].concat()]);
    assert_eq!(comparison.of_target(&more).unwrap(), "nobody asked for the column x");
}

#[test]
fn text_is_compared_by_code_points_and_null_is_no_empty_text() {
    let gold = Gold {
        columns: vec!["t".to_owned()],
        classes: vec![Class::Text],
        rows: vec![vec![text("a ")], vec![Value::Null]],
    };
    let part = part();
    let comparison = Comparison { gold: &gold, part: &part, zone: Tz::UTC };
    let of = |values: [Value; 2]| comparison.of_answer(&table(&["t"], values.map(|value| vec![value]).to_vec()));
    assert_eq!(of([Value::Null, text("a ")]), None);
    for wrong in [text("a"), text("A "), Value::Null] {
        assert!(of([wrong, Value::Null]).is_some());
    }
    assert!(of([text("a "), text("")]).is_some());
}
