//! Rows that violate a rule, and the others.

use arrow::array::{Array, BooleanArray, UInt64Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use serde_json::value::RawValue;

use super::{Test, example, verdict};
use crate::error::EngineError;
use crate::printed::json_rows;
use crate::rejects::{Origin, Quarantine};

/// The rows that violate no rule. The others are set aside, each once with all its rules; `None` for a second reading of the same rows, which counts nothing.
pub(super) fn split(tests: &[Test], batch: RecordBatch, aside: Option<(&Quarantine, &str)>) -> Result<RecordBatch> {
    let mut verdicts: Vec<(&str, BooleanArray)> = Vec::with_capacity(tests.len());
    let quarantine = aside.map(|(quarantine, _)| quarantine);
    for test in tests {
        // A plan refuses rules about several rows.
        if let Test::Row { label, violation } = test {
            let verdict = verdict(label, violation, &batch)?;
            if verdict.true_count() == 0 {
                continue;
            }
            if let Some(quarantine) = quarantine {
                let words = || Ok(format!("rule {label} is violated, e.g. {}", example(violation, &verdict, &batch)?));
                quarantine.explain::<DataFusionError>(label, words)?;
            }
            verdicts.push((label, verdict));
        }
    }
    if verdicts.is_empty() {
        quarantine.into_iter().for_each(|quarantine| quarantine.pass(batch.num_rows() as u64));
        return Ok(batch);
    }
    let (mut passes, mut rejected) = (Vec::with_capacity(batch.num_rows()), Vec::new());
    for row in 0..batch.num_rows() {
        let is_rejected = verdicts.iter().any(|(_, verdict)| is_true(verdict, row));
        passes.push(!is_rejected);
        if is_rejected {
            rejected.push(row);
        }
    }
    if let Some((quarantine, dataset)) = aside {
        quarantine.pass((batch.num_rows() - rejected.len()) as u64);
        set_aside(&batch, &rejected, &verdicts, quarantine, dataset)?;
    }
    Ok(filter_record_batch(&batch, &BooleanArray::from(passes))?)
}

/// Counts rows of a batch, and keeps as many as there is room for.
fn set_aside(
    batch: &RecordBatch,
    rejected: &[usize],
    verdicts: &[(&str, BooleanArray)],
    quarantine: &Quarantine,
    dataset: &str,
) -> Result<()> {
    quarantine.reject(rejected.len() as u64);
    let kept = &rejected[..rejected.len().min(quarantine.room())];
    let places: UInt64Array = kept.iter().map(|row| *row as u64).collect();
    let texts = json_rows(&take_record_batch(batch, &places)?)?;
    let texts: Vec<Box<RawValue>> = serde_json::from_slice(&texts)
        .map_err(|error| DataFusionError::from(EngineError::bug("rows can't be set aside as JSON").caused_by(error)))?;
    for (row, text) in kept.iter().zip(texts) {
        let labels: Vec<&str> =
            verdicts.iter().filter(|(_, verdict)| is_true(verdict, *row)).map(|(label, _)| *label).collect();
        let reason = match labels.as_slice() {
            [label] => format!("rule {label} is violated"),
            labels => format!("rules {} are violated", labels.join(", ")),
        };
        quarantine.keep(Origin::Row { dataset: dataset.to_owned() }, reason, Some(text.get().as_bytes()));
    }
    Ok(())
}

/// Whether a row violates a rule; NULL does not.
fn is_true(verdict: &BooleanArray, row: usize) -> bool {
    verdict.is_valid(row) && verdict.value(row)
}
