//! A chart of an answer, chosen from the shape of its rows unless the question says which.

mod page;
mod terminal;
mod vega;

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampSecondArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampSecondType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

pub use page::DrawingError;

/// The most rows that are drawn.
pub const MOST_ROWS: usize = 1_000;

/// The most bars of a chart.
const MOST_BARS: usize = 40;

/// The most lines of a chart.
const MOST_SERIES: usize = 10;

/// Kinds of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    /// A bar for each row.
    Bar,
    /// A line along time or numbers; one for each series.
    Line,
}

/// A chart of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    kind: ChartKind,
    /// The question.
    title: String,
    /// Names of the columns.
    x: String,
    y: String,
    series: Option<String>,
    points: Vec<Point>,
}

/// A row of a chart.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    label: String,
    /// Where it stands along a line: seconds since 1970 of a time, or a number.
    place: Option<f64>,
    value: f64,
    series: Option<String>,
}

impl Chart {
    /// The chart of these rows; `None` if they have no shape that one shows, e.g. a single row or no number.
    pub fn of(title: &str, schema: &Schema, batches: &[RecordBatch]) -> Result<Option<Self>, ArrowError> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let Some(shape) = Shape::of(schema, wanted(title)).filter(|_| (2..=MOST_ROWS).contains(&rows)) else {
            return Ok(None);
        };
        let mut points = Vec::with_capacity(rows);
        for batch in batches {
            shape.read(batch, &mut points)?;
        }
        let name = |column: usize| schema.field(column).name().clone();
        let mut chart = Self {
            kind: shape.kind,
            title: title.to_owned(),
            x: name(shape.x),
            y: name(shape.y),
            series: shape.series.map(name),
            points,
        };
        Ok(chart.settle().then_some(chart))
    }

    /// As a page that needs nothing else.
    pub fn html(&self) -> Result<String, DrawingError> {
        page::html(self)
    }

    /// As a document of Vega-Lite, with its rows.
    pub fn vega_lite(&self) -> String {
        vega::document(self)
    }

    /// As text of this many columns.
    pub fn text(&self, width: usize) -> String {
        terminal::text(self, width)
    }

    /// Whether it can be drawn. Lines are put in order; too many series become none.
    fn settle(&mut self) -> bool {
        let series: BTreeSet<&Option<String>> = self.points.iter().map(|point| &point.series).collect();
        if self.kind == ChartKind::Line && series.len() > MOST_SERIES {
            return false;
        }
        if self.kind == ChartKind::Line {
            self.points.retain(|point| point.place.is_some());
            self.points.sort_by(|one, other| one.place.unwrap_or(0.0).total_cmp(&other.place.unwrap_or(0.0)));
        }
        let most = if self.kind == ChartKind::Bar { MOST_BARS } else { MOST_ROWS };
        (2..=most).contains(&self.points.len())
    }

    /// The smallest and the largest value, with 0 between them.
    fn range(&self) -> (f64, f64) {
        let values = || self.points.iter().map(|point| point.value);
        let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        if low == high { (low, low + 1.0) } else { (low, high) }
    }
}

/// A question without the words at its end that say how its answer is drawn.
pub(crate) fn without_words(question: &str) -> &str {
    const ENDS: [&str; 10] = [
        "as a bar chart",
        "as bar chart",
        "as bars",
        "as a line chart",
        "as line chart",
        "as a line",
        "as a chart",
        "als balkendiagramm",
        "als liniendiagramm",
        "als diagramm",
    ];
    let plain = question.trim_end_matches(['?', '!', '.', ' ']);
    let lower = plain.to_lowercase();
    // Lower case of ASCII words alone keeps their length.
    let end = ENDS.iter().find(|end| lower.ends_with(*end) && plain.is_char_boundary(plain.len() - end.len()));
    end.map_or(question, |end| plain[..plain.len() - end.len()].trim_end_matches([',', ' ']))
}

/// The kind that a question asks for.
fn wanted(question: &str) -> Option<ChartKind> {
    let words: Vec<String> = crate::words::tokens(question);
    let says = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let is_chart = says(&["chart", "plot", "graph", "diagram", "diagramm"]);
    if says(&["balken", "balkendiagramm"]) || (is_chart && says(&["bar"])) {
        return Some(ChartKind::Bar);
    }
    (says(&["liniendiagramm"]) || (is_chart && says(&["line"]))).then_some(ChartKind::Line)
}

/// Which columns are drawn, and how.
struct Shape {
    kind: ChartKind,
    x: usize,
    y: usize,
    series: Option<usize>,
}

impl Shape {
    fn of(schema: &Schema, wanted: Option<ChartKind>) -> Option<Self> {
        let of = |test: fn(&DataType) -> bool| -> Vec<usize> {
            let fields = schema.fields().iter().enumerate();
            fields.filter(|(_, field)| test(field.data_type())).map(|(place, _)| place).collect()
        };
        let (numbers, times) = (of(DataType::is_numeric), of(is_time));
        let mut words = of(is_word);
        let (x, y) = match (times.first(), words.first(), numbers.as_slice()) {
            (Some(time), _, [.., number]) => (*time, *number),
            (None, Some(word), [.., number]) => (*word, *number),
            // Numbers alone: the first is what the others are of, e.g. a year.
            (None, None, [first, .., last]) => (*first, *last),
            _ => return None,
        };
        // The first number is what was asked for first.
        let y = numbers.iter().copied().find(|number| *number != x).unwrap_or(y);
        words.retain(|word| *word != x);
        let along = times.contains(&x) || numbers.contains(&x);
        let kind = wanted.filter(|kind| along || *kind == ChartKind::Bar).unwrap_or(match times.contains(&x) {
            true => ChartKind::Line,
            false => ChartKind::Bar,
        });
        Some(Self { kind, x, y, series: words.first().copied() })
    }

    fn read(&self, batch: &RecordBatch, points: &mut Vec<Point>) -> Result<(), ArrowError> {
        let labels = texts(batch.column(self.x))?;
        let series = self.series.map(|column| texts(batch.column(column))).transpose()?;
        let values = cast(batch.column(self.y), &DataType::Float64)?;
        let places = places(batch.column(self.x))?;
        let (values, places) = (values.as_primitive::<Float64Type>(), places.as_primitive::<Float64Type>());
        for (row, label) in labels.into_iter().enumerate() {
            let value = if values.is_valid(row) { values.value(row) } else { f64::NAN };
            if !value.is_finite() {
                continue;
            }
            let place = places.is_valid(row).then(|| places.value(row));
            points.push(Point { label, place, value, series: series.as_ref().map(|series| series[row].clone()) });
        }
        Ok(())
    }
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

fn is_word(kind: &DataType) -> bool {
    kind.is_string() || matches!(kind, DataType::Boolean | DataType::Utf8View)
}

/// Where rows stand along a line; NULL for what stands nowhere.
fn places(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    match column.data_type() {
        kind if kind.is_numeric() => cast(column, &DataType::Float64),
        DataType::Timestamp(_, Some(_)) => {
            let utc = cast(column, &DataType::Timestamp(TimeUnit::Second, Some("UTC".into())))?;
            seconds_of(&utc.as_primitive::<TimestampSecondType>().clone().with_timezone_opt(None::<&str>))
        }
        kind if is_time(kind) => seconds_of(cast(column, &seconds)?.as_primitive::<TimestampSecondType>()),
        _ => Ok(new_null_array(&DataType::Float64, column.len())),
    }
}

fn seconds_of(times: &TimestampSecondArray) -> Result<ArrayRef, ArrowError> {
    cast(&cast(times, &DataType::Int64)?, &DataType::Float64)
}

fn texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len()).map(|row| formatter.value(row).try_to_string()).collect()
}

#[cfg(test)]
mod tests;
