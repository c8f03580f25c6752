//! Sums of floats, or of distinct values, over frames of a window that slide. The rows of the frame are kept and added up anew: a float that was taken away
//! again would leave its rounding behind, and infinity or NaN would stay for ever.

use std::collections::{HashSet, VecDeque};
use std::mem::size_of;

use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::groups::Columns;
use super::types::refused;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) rows: VecDeque<ScalarValue>,
    pub(super) input: DataType,
    pub(super) is_distinct: bool,
    pub(super) totals: Box<dyn Columns>,
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values[0].len() {
            self.rows.push_back(ScalarValue::try_from_array(&values[0], row)?);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.drain(..values[0].len().min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut seen = HashSet::new();
        let rows = self.rows.iter().filter(|value| !self.is_distinct || seen.insert((*value).clone())).cloned();
        let rows: Vec<ScalarValue> = rows.collect();
        let values = if rows.is_empty() { new_empty_array(&self.input) } else { ScalarValue::iter_to_array(rows)? };
        self.totals.clear();
        self.totals.add(&values, &vec![0; values.len()], None, 1)?;
        self.totals.current()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(refused("a frame has no state to hand on"))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(refused("a frame has no state to merge"))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.capacity() * size_of::<ScalarValue>() + self.totals.size()
    }
}
