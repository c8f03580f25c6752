#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Field;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn chart(question: &str, columns: Vec<(&str, ArrayRef)>) -> Option<Chart> {
    let batch = batch(columns);
    Chart::of(question, &batch.schema(), &[batch]).unwrap()
}

fn countries() -> (&'static str, ArrayRef) {
    ("country", Arc::new(StringArray::from(vec![Some("DE"), Some("SE"), None])))
}

fn counts() -> (&'static str, ArrayRef) {
    ("orders", Arc::new(Int64Array::from(vec![10, 5, -2])))
}

fn days() -> (&'static str, ArrayRef) {
    ("day", Arc::new(Date32Array::from(vec![2, 0, 1])))
}

#[test]
fn groups_are_bars_in_the_order_of_the_rows_and_days_a_line_in_order_of_time() {
    let bars = chart("orders per country", vec![countries(), counts()]).unwrap();
    assert_eq!((bars.kind, bars.x.as_str(), bars.y.as_str()), (ChartKind::Bar, "country", "orders"));
    let labels: Vec<&str> = bars.points.iter().map(|point| point.label.as_str()).collect();
    assert_eq!(labels, ["DE", "SE", "NULL"]);
    let line = chart("orders per day", vec![days(), counts()]).unwrap();
    assert_eq!(line.kind, ChartKind::Line);
    let labels: Vec<&str> = line.points.iter().map(|point| point.label.as_str()).collect();
    assert_eq!(labels, ["1970-01-01", "1970-01-02", "1970-01-03"]);
}

#[test]
fn days_with_groups_are_a_line_for_each_group() {
    let line = chart("orders per day and country", vec![days(), countries(), counts()]).unwrap();
    assert_eq!((line.kind, line.series.as_deref()), (ChartKind::Line, Some("country")));
}

#[test]
fn the_question_may_say_which_chart_it_wants() {
    let kind = |question: &str| chart(question, vec![days(), counts()]).unwrap().kind;
    assert_eq!(kind("orders per day"), ChartKind::Line);
    assert_eq!(kind("orders per day as a bar chart"), ChartKind::Bar);
    assert_eq!(kind("Bestellungen pro Tag als Balkendiagramm"), ChartKind::Bar);
    assert_eq!(kind("sales of the bar per day"), ChartKind::Line);
    // Names stand nowhere along a line.
    assert_eq!(chart("orders per country as a line chart", vec![countries(), counts()]).unwrap().kind, ChartKind::Bar);
}

#[test]
fn words_that_say_how_an_answer_is_drawn_are_no_part_of_the_question() {
    assert_eq!(without_words("orders per day as a bar chart?"), "orders per day");
    assert_eq!(without_words("Umsatz pro Tag, als Balkendiagramm"), "Umsatz pro Tag");
    assert_eq!(without_words("orders per day"), "orders per day");
}

#[test]
fn a_single_row_rows_without_a_number_and_too_many_bars_have_no_chart() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert_eq!(chart("count orders", vec![("orders", one)]), None);
    assert_eq!(chart("countries", vec![countries()]), None);
    let many: ArrayRef = Arc::new(StringArray::from((0..41).map(|n| n.to_string()).collect::<Vec<_>>()));
    let numbers: ArrayRef = Arc::new(Int64Array::from((0..41).collect::<Vec<_>>()));
    assert_eq!(chart("many", vec![("name", many), ("n", numbers)]), None);
}

#[test]
fn values_that_are_no_numbers_are_left_out() {
    let values: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]));
    assert_eq!(chart("sum per country", vec![countries(), ("sum", values)]), None, "one number is left");
    let decimals: ArrayRef =
        Arc::new(Decimal128Array::from(vec![150, 200, 250]).with_precision_and_scale(10, 2).unwrap());
    let values: Vec<f64> =
        chart("sum", vec![countries(), ("sum", decimals)]).unwrap().points.iter().map(|point| point.value).collect();
    assert_eq!(values, [1.5, 2.0, 2.5]);
}

#[test]
fn hours_of_a_zone_stand_where_their_instants_are() {
    let hours = TimestampMicrosecondArray::from(vec![3_600_000_000, 0, 7_200_000_000]).with_timezone("Europe/Berlin");
    let line = chart("orders per hour", vec![("hour", Arc::new(hours)), counts()]).unwrap();
    let places: Vec<f64> = line.points.iter().filter_map(|point| point.place).collect();
    assert_eq!(places, [0.0, 3600.0, 7200.0]);
}

#[test]
fn a_page_needs_no_network_and_no_text_of_a_row_is_markup() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["</script><script>alert(1)</script>", "a & b"]));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let page = chart("<img src=x onerror=alert(1)>", vec![("name", names), ("n", values)]).unwrap().html().unwrap();
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(!page.contains("<img") && page.contains("default-src 'none'"), "{page}");
    assert!(page.contains("&lt;/script") && page.contains("<svg"), "{page}");
}

#[test]
fn a_document_of_vega_lite_has_the_rows_and_says_what_is_along_which_axis() {
    let bars = chart("orders per country", vec![countries(), counts()]).unwrap();
    insta::assert_snapshot!(bars.vega_lite());
}

#[test]
fn a_terminal_shows_a_bar_for_each_row_without_control_characters() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["\u{1b}[31mred", "a name that is longer than its room is"]));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![-5, 10]));
    let text = chart("x", vec![("name", names), ("n", values)]).unwrap().text(60);
    let lines: Vec<&str> = text.lines().collect();
    let bar = |line: &str, sign: char| line.chars().filter(|c| *c == sign).count();
    assert_eq!((lines.len(), lines[0]), (3, "  n"));
    assert!(lines[1].starts_with("   [31mred ") && lines[1].ends_with(" -5"), "{text}");
    assert!(lines[2].starts_with("  a name that is longer t… █") && lines[2].ends_with("█ 10"), "{text}");
    assert_eq!(bar(lines[1], '░') * 2, bar(lines[2], '█'), "half as long");
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{text}");
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    assert_eq!(Chart::of("x", &schema, &[]).unwrap(), None);
}
