//! Totals by group, and the values that sum and avg make of them.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::EmitTo;

use super::arithmetic::{divided, fitting, out_of_range, power_of_ten, scale_of};
use super::moments::times;
use super::totals::{Span, Total};
use super::types::MAX_DIGITS;

/// What becomes of a total.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) is_average: bool,
    pub(super) result: DataType,
    /// Digits behind the point of the totals.
    pub(super) scale: u8,
}

/// Totals by group, whatever they are made of.
pub(super) trait Columns: Send + Sync + std::fmt::Debug {
    fn add(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()>;
    fn merge(&mut self, totals: &ArrayRef, counts: &Int64Array, groups: &[usize], count: usize) -> Result<()>;
    /// Takes values out of the only group again. Exact totals alone can do so.
    fn take(&mut self, values: &ArrayRef) -> Result<()>;
    fn results(&mut self, emit: EmitTo) -> Result<ArrayRef>;
    /// The only group's value so far.
    fn current(&self) -> Result<ScalarValue>;
    fn states(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>>;
    /// Each row as a state of its own.
    fn rows(&self, values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>>;
    fn clear(&mut self);
    fn size(&self) -> usize;
}

/// A total and a count of values for each group.
#[derive(Debug)]
pub(super) struct Totals<T> {
    totals: Vec<T>,
    counts: Vec<i64>,
    rule: Rule,
}

impl<T: Total> Totals<T> {
    pub(super) fn new(rule: Rule) -> Self {
        Self { totals: Vec::new(), counts: Vec::new(), rule }
    }

    fn grow(&mut self, count: usize) {
        self.totals.resize(count, T::default());
        self.counts.resize(count, 0);
    }
}

impl<T: Total> Columns for Totals<T>
where
    Self: Results<T>,
{
    fn add(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.grow(count);
        let (totals, counts) = (&mut self.totals, &mut self.counts);
        T::each(values, |row, value| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                let group = groups[row];
                totals[group] = totals[group].plus(value)?;
                counts[group] += 1;
            }
            Ok(())
        })
    }

    fn merge(&mut self, totals: &ArrayRef, counts: &Int64Array, groups: &[usize], count: usize) -> Result<()> {
        self.grow(count);
        let (sums, numbers) = (&mut self.totals, &mut self.counts);
        T::each(totals, |row, value| {
            let group = groups[row];
            sums[group] = sums[group].plus(value)?;
            numbers[group] += counts.value(row);
            Ok(())
        })
    }

    fn take(&mut self, values: &ArrayRef) -> Result<()> {
        self.grow(1);
        let (totals, counts) = (&mut self.totals, &mut self.counts);
        T::each(values, |_, value| {
            totals[0] = totals[0].minus(value)?;
            counts[0] -= 1;
            Ok(())
        })
    }

    fn current(&self) -> Result<ScalarValue> {
        let total = self.totals.first().copied().unwrap_or_default();
        let count = self.counts.first().copied().unwrap_or_default();
        ScalarValue::try_from_array(&self.finished(vec![total], &[count])?, 0)
    }

    fn results(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let totals = emit.take_needed(&mut self.totals);
        let counts = emit.take_needed(&mut self.counts);
        self.finished(totals, &counts)
    }

    fn states(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let totals = emit.take_needed(&mut self.totals);
        let counts = emit.take_needed(&mut self.counts);
        let some = totals.into_iter().zip(&counts).map(|(total, count)| (*count > 0).then_some(total));
        Ok(vec![T::array(some.collect(), self.rule.scale), Arc::new(Int64Array::from(counts))])
    }

    fn rows(&self, values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut single = Self::new(self.rule.clone());
        let groups: Vec<usize> = (0..values.len()).collect();
        single.add(values, &groups, filter, groups.len())?;
        single.states(EmitTo::All)
    }

    fn clear(&mut self) {
        self.totals.clear();
        self.counts.clear();
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<T>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// Totals as the aggregate's values.
pub(super) trait Results<T> {
    fn finished(&self, totals: Vec<T>, counts: &[i64]) -> Result<ArrayRef>;
}

fn column<P: ArrowPrimitiveType, T>(
    totals: Vec<T>,
    counts: &[i64],
    kind: &DataType,
    value: impl Fn(T, i64) -> Result<P::Native>,
) -> Result<ArrayRef> {
    let values = totals.into_iter().zip(counts).map(|(total, count)| match count {
        0 => Ok(None),
        count => value(total, *count).map(Some),
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(PrimitiveArray::<P>::from_iter(values).with_data_type(kind.clone())))
}

impl Results<i128> for Totals<i128> {
    fn finished(&self, totals: Vec<i128>, counts: &[i64]) -> Result<ArrayRef> {
        let kind = &self.rule.result;
        match kind {
            DataType::Int64 => column::<Int64Type, _>(totals, counts, kind, |total, _| {
                i64::try_from(total).map_err(|_| DataFusionError::from(out_of_range("bigint")))
            }),
            _ if self.rule.is_average => {
                let up = power_of_ten(scale_of(kind) - self.rule.scale);
                column::<Decimal128Type, _>(totals, counts, kind, |total, count| {
                    Ok(fitting(divided(total, up, i128::from(count))?, MAX_DIGITS)?)
                })
            }
            _ => column::<Decimal128Type, _>(totals, counts, kind, |total, _| Ok(fitting(Some(total), MAX_DIGITS)?)),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a count of rows is exact as a float, or as near as Postgres has it")]
impl Results<f64> for Totals<f64> {
    fn finished(&self, totals: Vec<f64>, counts: &[i64]) -> Result<ArrayRef> {
        let is_average = self.rule.is_average;
        column::<Float64Type, _>(totals, counts, &self.rule.result, |total, count| {
            Ok(if is_average { total / count as f64 } else { total })
        })
    }
}

impl Results<f32> for Totals<f32> {
    fn finished(&self, totals: Vec<f32>, counts: &[i64]) -> Result<ArrayRef> {
        column::<Float32Type, _>(totals, counts, &self.rule.result, |total, _| Ok(total))
    }
}

#[allow(clippy::cast_precision_loss, reason = "a count of rows is exact as a float, or as near as Postgres has it")]
impl Results<Span> for Totals<Span> {
    fn finished(&self, totals: Vec<Span>, counts: &[i64]) -> Result<ArrayRef> {
        let is_average = self.rule.is_average;
        column::<IntervalMonthDayNanoType, _>(totals, counts, &self.rule.result, |total, count| {
            let interval = total.interval()?;
            Ok(if is_average { times(interval, 1.0 / count as f64)? } else { interval })
        })
    }
}
