//! width_bucket, and the greatest divisor and the least multiple of numerics.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int32Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, i256};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::arithmetic::{fitting, power_of_ten, scale_of};
use super::cast;
use super::functions::Takes::{Float8, Int4, Numeric};
use super::functions::gives::int4;
use super::functions::{Function, ours};
use super::number_functions::gcd;
use super::rows::made;
use super::types::{MAX_DIGITS, Operand, Type, refused};
use super::width_buckets::of_floats;

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("width_bucket", &[Float8, Float8, Float8, Int4], int4, |c, _| {
        let float = |index: usize, row: usize| c[index].as_primitive::<Float64Type>().value(row);
        let counts = c[3].as_primitive::<Int32Type>();
        let found = made(c, |row| of_floats(float(0, row), float(1, row), float(2, row), counts.value(row)))?;
        Ok(Arc::new(Int32Array::from(found)))
    }),
    ours("width_bucket", &[Numeric, Numeric, Numeric, Int4], int4, |c, _| buckets(c)),
    ours("gcd", &[Numeric, Numeric], finest, |c, kind| whole(c, kind, |a, b| Some(gcd(a, b)))),
    ours("lcm", &[Numeric, Numeric], finest, |c, kind| {
        whole(c, kind, |a, b| if a == 0 || b == 0 { Some(0) } else { (a / gcd(a, b)).checked_mul(b).map(i128::abs) })
    }),
];

/// The operands of width_bucket: beside a numeric, other exact numbers are numerics.
pub(super) fn settled(operands: Vec<Operand>) -> Result<Vec<Operand>> {
    let (numbers, _) = operands.split_at(operands.len().saturating_sub(1));
    let has_float = numbers.iter().any(|operand| operand.kind.is_float());
    if has_float || !numbers.iter().any(|operand| matches!(operand.kind, Type::Numeric(..))) {
        return Ok(operands);
    }
    let last = operands.len() - 1;
    let all = operands.into_iter().enumerate().map(|(index, operand)| match operand.kind.digits() {
        Some((precision, scale)) if index < last => cast::implicit(operand, &Type::Numeric(precision, scale)),
        None if index < last => Err(refused("the bounds of width_bucket are numbers: cast them")),
        _ => Ok(operand),
    });
    all.collect()
}

fn finest(operands: &[Operand]) -> Type {
    let scales = operands.iter().filter_map(|operand| operand.kind.digits()).map(|(_, scale)| scale);
    Type::Numeric(MAX_DIGITS, scales.max().unwrap_or(0))
}

/// The two numbers of a row in units of the last place of the result.
fn whole(columns: &[ArrayRef], kind: &DataType, op: fn(i128, i128) -> Option<i128>) -> Result<ArrayRef> {
    let scale = scale_of(kind);
    let number = |index: usize, row: usize| {
        let column = columns[index].as_primitive::<Decimal128Type>();
        let up = power_of_ten(scale.saturating_sub(scale_of(columns[index].data_type())));
        column.value(row).checked_mul(up).ok_or_else(|| "a number is out of the range of numeric".to_owned())
    };
    let found = made(columns, |row| {
        let value = op(number(0, row)?, number(1, row)?);
        fitting(value, MAX_DIGITS).map_err(|error: ArrowError| error.to_string())
    })?;
    Ok(Arc::new(Decimal128Array::from(found).with_data_type(kind.clone())))
}

/// Buckets between numerics, counted exactly.
fn buckets(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let scale = columns[..3].iter().map(|column| scale_of(column.data_type())).max().unwrap_or(0);
    let number = |index: usize, row: usize| {
        let up = power_of_ten(scale - scale_of(columns[index].data_type()));
        let value = columns[index].as_primitive::<Decimal128Type>().value(row);
        i256::from_i128(value).wrapping_mul(i256::from_i128(up))
    };
    let counts = columns[3].as_primitive::<Int32Type>();
    let found = made(columns, |row| {
        let (value, low, high, count) = (number(0, row), number(1, row), number(2, row), counts.value(row));
        if count <= 0 {
            return Err("the count of buckets is positive".to_owned());
        }
        if low == high {
            return Err("the bounds of buckets are not equal".to_owned());
        }
        let beyond = || count.checked_add(1).ok_or_else(|| "the bucket is out of the range of integer".to_owned());
        let is_rising = low < high;
        match is_rising {
            true if value < low => return Ok(0),
            false if value > low => return Ok(0),
            true if value >= high => return beyond(),
            false if value <= high => return beyond(),
            _ => {}
        }
        let (part, all) = (value.wrapping_sub(low).wrapping_abs(), high.wrapping_sub(low).wrapping_abs());
        let part = part.checked_mul(i256::from_i128(count.into())).ok_or("a bound is out of the range of numeric")?;
        let bucket = part.wrapping_div(all);
        let bucket = bucket.to_i128().and_then(|bucket| i32::try_from(bucket).ok()).unwrap_or(count);
        Ok(bucket.min(count - 1) + 1)
    })?;
    Ok(Arc::new(Int32Array::from(found)))
}
