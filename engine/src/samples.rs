//! Samples of a table for whoever has to know what its values look like: behind masks, without personal data, and without values that few rows have.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::connector::TableInfo;
use crate::error::{EngineError, Result};
use crate::job::ConnectionSettings;
use crate::privacy::{Mask, MaskKey, is_private, recognise};
use crate::query::QueryError;
use crate::stage::Engine;

/// Rows that are read of a table.
const READ: usize = 2_000;

/// Reading ends after the batch in which so many bytes were read.
const MOST_BYTES: usize = 16 << 20;

/// A column with more different values among these rows has no list of values.
const MOST_VALUES: usize = 50;

/// Rows that have to have a value before it is shown.
const ENOUGH: usize = 5;

/// Rows that are shown.
const SHOWN: usize = 8;

/// Longer values are cut.
const LONGEST: usize = 80;

/// What may be sampled of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SamplePolicy {
    /// Nothing.
    #[default]
    None,
    /// The distinct values of columns that have few.
    Values,
    /// Those and a few rows.
    Rows,
}

impl SamplePolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::None, Self::Values, Self::Rows];

    /// As it is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Values => "values",
            Self::Rows => "rows",
        }
    }
}

/// What is known of a table's values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableSamples {
    /// Values of columns that have few, the most frequent first.
    pub values: BTreeMap<String, Vec<String>>,
    /// Rows in the order of the table's columns, NULL as null; masked.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Under which rules a table is sampled.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// What may be sampled.
    pub policy: SamplePolicy,
    /// Masks of the table's columns.
    pub masks: &'a BTreeMap<String, Mask>,
    /// For hashes.
    pub key: &'a MaskKey,
}

impl Engine {
    /// Reads the first rows of a table and keeps what may be shown of them. Nothing is read if nothing may be.
    pub async fn sample(
        &self,
        connection: &str,
        settings: ConnectionSettings,
        table: &TableInfo,
        sampling: Sampling<'_>,
    ) -> Result<TableSamples> {
        if sampling.policy == SamplePolicy::None {
            return Ok(TableSamples::default());
        }
        let path = std::iter::once(connection).chain(table.path.iter().map(String::as_str));
        let name: Vec<String> = path.map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
        let cancel = CancellationToken::new();
        let text = format!("SELECT * FROM {} LIMIT {READ}", name.join("."));
        let settings = BTreeMap::from([(connection.to_owned(), settings)]);
        let mut query = self.query(&text, settings, &cancel).await.map_err(|error| match error {
            QueryError::Engine(error) => error,
            QueryError::Statement(_) => EngineError::bug(format!("table {} can't be named", table.path.join("."))),
        })?;
        let read = cells(&mut query.rows).await;
        cancel.cancel();
        query.close().await;
        Ok(read?.samples(sampling))
    }
}

/// The cells of some rows, as text.
#[derive(Debug, Default)]
struct Cells {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

async fn cells(rows: &mut SendableRecordBatchStream) -> Result<Cells> {
    let mut cells = Cells {
        columns: rows.schema().fields().iter().map(|field| field.name().clone()).collect(),
        ..Cells::default()
    };
    let mut read = 0;
    while let Some(batch) = rows.try_next().await.map_err(EngineError::from)? {
        cells.add(&batch)?;
        read += batch.get_array_memory_size();
        if read > MOST_BYTES {
            break;
        }
    }
    Ok(cells)
}

impl Cells {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default().with_null("");
        let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let formatters = formatters.collect::<std::result::Result<Vec<_>, _>>().map_err(DataFusionError::from)?;
        for row in 0..batch.num_rows() {
            let cell = |(column, format): (usize, &ArrayFormatter<'_>)| {
                let is_null = batch.column(column).is_null(row);
                (!is_null).then(|| format.value(row).try_to_string().unwrap_or_default())
            };
            self.rows.push(formatters.iter().enumerate().map(cell).collect());
        }
        Ok(())
    }

    fn samples(&self, sampling: Sampling<'_>) -> TableSamples {
        let counts: Vec<HashMap<&str, usize>> = (0..self.columns.len()).map(|column| self.counts(column)).collect();
        let mut samples = TableSamples::default();
        for (column, counts) in self.columns.iter().zip(&counts) {
            if counts.len() <= MOST_VALUES && !sampling.masks.contains_key(column) && !is_private(column) {
                let values = frequent(counts);
                if !values.is_empty() {
                    samples.values.insert(column.clone(), values);
                }
            }
        }
        if sampling.policy == SamplePolicy::Rows {
            let row = |row: &Vec<Option<String>>| {
                let cells = row.iter().enumerate().map(|(column, value)| {
                    let value = value.as_deref()?;
                    let count = counts[column].get(value).copied().unwrap_or_default();
                    let private = is_private(&self.columns[column]).then_some(Mask::Redact);
                    let mask = sampling.masks.get(&self.columns[column]).copied().or(private);
                    shown(value, count, mask, sampling.key)
                });
                cells.collect()
            };
            samples.rows = self.rows.iter().take(SHOWN).map(row).collect();
        }
        samples
    }

    fn counts(&self, column: usize) -> HashMap<&str, usize> {
        let mut counts = HashMap::new();
        for value in self.rows.iter().filter_map(|row| row[column].as_deref()) {
            *counts.entry(value).or_default() += 1;
        }
        counts
    }
}

/// The values that enough rows have and that are nobody's own, the most frequent first.
fn frequent(counts: &HashMap<&str, usize>) -> Vec<String> {
    let mut values: Vec<(&str, usize)> = counts
        .iter()
        .map(|(value, count)| (*value, *count))
        .filter(|(value, count)| *count >= ENOUGH && !value.is_empty() && recognise(value).is_none())
        .collect();
    values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    values.into_iter().map(|(value, _)| cut(value)).collect()
}

/// A cell as it is shown: behind its column's mask; without one, rounded or hidden if few rows have its value.
fn shown(value: &str, count: usize, mask: Option<Mask>, key: &MaskKey) -> Option<String> {
    match mask {
        Some(mask) => mask.apply(value, key),
        None if recognise(value).is_some() => Mask::Redact.apply(value, key),
        // A number of one digit is rounded to itself.
        None if count < ENOUGH => Mask::Round.apply(value, key).filter(|rounded| !tells(rounded, value)).or(hidden()),
        None => Some(cut(value)),
    }
}

/// Whether a rounded value is the value, or the beginning of it.
fn tells(rounded: &str, value: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let same = number(rounded).zip(number(value)).is_some_and(|(one, other)| (one - other).abs() < f64::EPSILON);
    same || value == rounded || (number(value).is_none() && value.starts_with(rounded))
}

fn hidden() -> Option<String> {
    Some("[hidden]".to_owned())
}

/// Without characters that can't be printed, and no longer than a line.
fn cut(value: &str) -> String {
    let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Cells {
        let row = |n: usize| {
            vec![
                Some(n.to_string()),
                Some(if n.is_multiple_of(3) { "open" } else { "paid" }.to_owned()),
                Some(format!("person{n}@example.com")),
                (n != 1).then(|| if n == 7 { "lost" } else { "found" }.to_owned()),
            ]
        };
        let columns = ["id", "status", "email", "note"].map(str::to_owned);
        Cells { columns: columns.to_vec(), rows: (1..=100).map(row).collect() }
    }

    fn sampled(policy: SamplePolicy, masks: &BTreeMap<String, Mask>) -> TableSamples {
        cells().samples(Sampling { policy, masks, key: &MaskKey::new(b"k") })
    }

    #[test]
    fn only_values_that_enough_rows_have_are_listed() {
        let samples = sampled(SamplePolicy::Values, &BTreeMap::new());
        let listed: Vec<(&str, Vec<&str>)> = samples
            .values
            .iter()
            .map(|(column, values)| (column.as_str(), values.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(listed, [("note", vec!["found"]), ("status", vec!["paid", "open"])]);
        assert_eq!(samples.rows, Vec::<Vec<Option<String>>>::new());
    }

    #[test]
    fn a_row_shows_no_value_of_its_own() {
        let samples = sampled(SamplePolicy::Rows, &BTreeMap::new());
        let row: Vec<Option<&str>> = samples.rows[6].iter().map(Option::as_deref).collect();
        assert_eq!(row, [Some("[hidden]"), Some("paid"), Some("[e-mail address]"), Some("[hidden]")]);
        assert_eq!(samples.rows[0][3], None, "NULL is shown as it is");
    }

    #[test]
    fn a_masked_column_lists_no_values() {
        let masks = BTreeMap::from([("status".to_owned(), Mask::Hash), ("id".to_owned(), Mask::Null)]);
        let samples = sampled(SamplePolicy::Rows, &masks);
        assert!(!samples.values.contains_key("status"));
        assert_eq!(samples.rows[0][0], None);
        assert_eq!(samples.rows[0][1].as_deref().map(str::len), Some(16));
    }
}
