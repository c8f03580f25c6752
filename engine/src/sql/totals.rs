//! What sums are kept in: exact for integers and numerics, the float's own for floats, months, days and time for intervals.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::error::{DataFusionError, Result};

use super::arithmetic::out_of_range;
use super::intervals::{make, parts};
use super::types::{MAX_DIGITS, Type, refused};

/// A running total.
pub(super) trait Total: Copy + Default + Debug + Send + Sync + 'static {
    /// This and another one.
    fn plus(self, other: Self) -> Result<Self>;
    /// This without another one; an exact total loses nothing by it.
    fn minus(self, other: Self) -> Result<Self>;
    /// Calls `add` with the row and the value of each value that is not NULL.
    fn each(values: &ArrayRef, add: impl FnMut(usize, Self) -> Result<()>) -> Result<()>;
    /// Totals as a column, for another stage of the same aggregation.
    fn array(totals: Vec<Option<Self>>, scale: u8) -> ArrayRef;
}

fn each<P: ArrowPrimitiveType>(values: &ArrayRef, mut add: impl FnMut(usize, P::Native) -> Result<()>) -> Result<()> {
    let values = values.as_primitive::<P>();
    if values.null_count() == 0 {
        return values.values().iter().enumerate().try_for_each(|(row, value)| add(row, *value));
    }
    (0..values.len()).filter(|row| values.is_valid(*row)).try_for_each(|row| add(row, values.value(row)))
}

fn unknown(values: &ArrayRef) -> Result<()> {
    match values.data_type() {
        DataType::Null => Ok(()),
        other => Err(refused(format!("there is no sum of {other}"))),
    }
}

impl Total for i128 {
    fn plus(self, other: Self) -> Result<Self> {
        self.checked_add(other).ok_or_else(|| DataFusionError::from(out_of_range("numeric")))
    }

    fn minus(self, other: Self) -> Result<Self> {
        self.checked_sub(other).ok_or_else(|| DataFusionError::from(out_of_range("numeric")))
    }

    fn each(values: &ArrayRef, mut add: impl FnMut(usize, Self) -> Result<()>) -> Result<()> {
        match values.data_type() {
            DataType::Int16 => each::<Int16Type>(values, |row, value| add(row, value.into())),
            DataType::Int32 => each::<Int32Type>(values, |row, value| add(row, value.into())),
            DataType::Int64 => each::<Int64Type>(values, |row, value| add(row, value.into())),
            DataType::Decimal128(_, _) => each::<Decimal128Type>(values, add),
            _ => unknown(values),
        }
    }

    fn array(totals: Vec<Option<Self>>, scale: u8) -> ArrayRef {
        let totals = PrimitiveArray::<Decimal128Type>::from_iter(totals);
        Arc::new(totals.with_data_type(Type::Numeric(MAX_DIGITS, scale).arrow()))
    }
}

impl Total for f64 {
    fn plus(self, other: Self) -> Result<Self> {
        let sum = self + other;
        if sum.is_infinite() && self.is_finite() && other.is_finite() {
            return Err(out_of_range("double precision").into());
        }
        Ok(sum)
    }

    fn minus(self, other: Self) -> Result<Self> {
        self.plus(-other)
    }

    fn each(values: &ArrayRef, mut add: impl FnMut(usize, Self) -> Result<()>) -> Result<()> {
        match values.data_type() {
            DataType::Float32 => each::<Float32Type>(values, |row, value| add(row, value.into())),
            DataType::Float64 => each::<Float64Type>(values, add),
            _ => unknown(values),
        }
    }

    fn array(totals: Vec<Option<Self>>, _: u8) -> ArrayRef {
        Arc::new(PrimitiveArray::<Float64Type>::from_iter(totals))
    }
}

impl Total for f32 {
    fn plus(self, other: Self) -> Result<Self> {
        let sum = self + other;
        if sum.is_infinite() && self.is_finite() && other.is_finite() {
            return Err(out_of_range("real").into());
        }
        Ok(sum)
    }

    fn minus(self, other: Self) -> Result<Self> {
        self.plus(-other)
    }

    fn each(values: &ArrayRef, add: impl FnMut(usize, Self) -> Result<()>) -> Result<()> {
        match values.data_type() {
            DataType::Float32 => each::<Float32Type>(values, add),
            _ => unknown(values),
        }
    }

    fn array(totals: Vec<Option<Self>>, _: u8) -> ArrayRef {
        Arc::new(PrimitiveArray::<Float32Type>::from_iter(totals))
    }
}

/// Months, days and microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span(i64, i64, i64);

impl Span {
    /// As the interval that it is.
    pub(super) fn interval(self) -> Result<IntervalMonthDayNano> {
        Ok(make(self.0, self.1, self.2)?)
    }
}

impl Total for Span {
    fn plus(self, other: Self) -> Result<Self> {
        let sum = |left: i64, right: i64| {
            left.checked_add(right).ok_or_else(|| DataFusionError::from(out_of_range("interval")))
        };
        Ok(Self(sum(self.0, other.0)?, sum(self.1, other.1)?, sum(self.2, other.2)?))
    }

    fn minus(self, other: Self) -> Result<Self> {
        self.plus(Self(-other.0, -other.1, -other.2))
    }

    fn each(values: &ArrayRef, mut add: impl FnMut(usize, Self) -> Result<()>) -> Result<()> {
        match values.data_type() {
            DataType::Interval(_) => each::<IntervalMonthDayNanoType>(values, |row, value| {
                let (months, days, micros) = parts(value);
                add(row, Self(months, days, micros))
            }),
            _ => unknown(values),
        }
    }

    fn array(totals: Vec<Option<Self>>, _: u8) -> ArrayRef {
        let totals = totals.into_iter().map(|total| total.and_then(|total| total.interval().ok()));
        Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from_iter(totals))
    }
}
