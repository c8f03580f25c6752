//! Charts as documents of Vega-Lite: the part of it that Headwater writes.

use serde::Serialize;

use super::{Chart, ChartKind};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    title: &'a str,
    data: Data<'a>,
    mark: &'static str,
    encoding: Encoding<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    values: Vec<Value<'a>>,
}

#[derive(Serialize)]
struct Value<'a> {
    x: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<f64>,
    y: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'a str>,
}

#[derive(Serialize)]
struct Encoding<'a> {
    x: Channel<'a>,
    y: Channel<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<Channel<'a>>,
}

#[derive(Serialize)]
struct Channel<'a> {
    field: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    /// Absent: Vega-Lite's own order. `null`: the order of the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<Option<&'static str>>,
}

/// The chart with its rows.
pub(super) fn document(chart: &Chart) -> String {
    let is_line = chart.kind == ChartKind::Line;
    let values = chart.points.iter().map(|point| Value {
        x: &point.label,
        place: point.place.filter(|_| is_line),
        y: point.value,
        series: point.series.as_deref(),
    });
    // Labels of times are ISO 8601, which Vega-Lite reads as times.
    let is_number = is_line && chart.points.iter().all(|point| point.label.parse::<f64>().is_ok());
    let along = match (is_line, is_number) {
        (true, true) => Channel { field: "place", kind: "quantitative", title: &chart.x, sort: None },
        (true, false) => Channel { field: "x", kind: "temporal", title: &chart.x, sort: None },
        (false, _) => Channel { field: "x", kind: "nominal", title: &chart.x, sort: Some(None) },
    };
    let value = Channel { field: "y", kind: "quantitative", title: &chart.y, sort: None };
    let (x, y) = if is_line { (along, value) } else { (value, along) };
    let color = chart.series.as_deref();
    let document = Document {
        schema: "https://vega.github.io/schema/vega-lite/v5.json",
        title: &chart.title,
        data: Data { values: values.collect() },
        mark: if is_line { "line" } else { "bar" },
        encoding: Encoding {
            x,
            y,
            color: color.map(|title| Channel { field: "series", kind: "nominal", title, sort: None }),
        },
    };
    // Texts and finite numbers alone: that can't fail.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
