//! Variances and deviations of integers and numerics, exact as in Postgres: of a count, a sum and a sum of squares.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, i256};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::{AggregateUDF, Expr};

use super::arithmetic::{self, Op, fitting, out_of_range, quotient_scale, scale_of};
use super::cast;
use super::kernel::{Body, Form, Kernel};
use super::sums;
use super::types::{MAX_DIGITS, Operand, Type, refused};

/// The name of the kernel that marks an argument which is no float.
const EXACT: &str = "exact value";

/// Whether an aggregate is one of these.
pub(super) fn is_one(name: &str) -> bool {
    matches!(name, "stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop")
}

/// An argument that is no float: the value, its square, and the digits of the square behind the point.
pub(super) fn argument(name: &str, operand: Operand) -> Result<Expr> {
    let kind = operand.kind.clone();
    let none = || refused(format!("{name} of {kind} has more digits in Postgres: cast it to double precision"));
    let (precision, scale) = kind.digits().ok_or_else(none)?;
    let number = Type::Numeric(precision, scale);
    let value = cast::implicit(operand, &number)?.expr;
    let factor = || Operand { expr: value.clone(), kind: number.clone() };
    let square = arithmetic::plan(Op::Multiply, factor(), factor())?;
    let digits = i32::from(scale) * 2;
    if square.kind.digits().is_none_or(|(_, scale)| i32::from(scale) != digits) {
        return Err(none());
    }
    let digits = Expr::Literal(ScalarValue::Int32(Some(digits)), None);
    let body: Body = |columns, _| Ok(Arc::clone(&columns[0]));
    Ok(Kernel::call(EXACT, Form::Cast, number, body, vec![value, square.expr, digits]))
}

/// What an argument that is no float was made of.
#[derive(Debug, Clone)]
pub(super) struct Exact {
    value: Expr,
    square: Expr,
    digits: u8,
}

/// The parts of the argument of an aggregate, if it is no float.
pub(super) fn exact(args: &[Expr]) -> Option<Exact> {
    let [Expr::ScalarFunction(call)] = args else { return None };
    let [value, square, Expr::Literal(ScalarValue::Int32(Some(digits)), _)] = call.args.as_slice() else { return None };
    if call.name() != EXACT {
        return None;
    }
    Some(Exact { value: value.clone(), square: square.clone(), digits: u8::try_from(*digits).ok()? })
}

impl Exact {
    /// The aggregate of calls that count and add up.
    pub(super) fn of(self, name: &str, call: impl Fn(Arc<AggregateUDF>, Expr) -> Expr) -> Result<Expr> {
        let (name, body): (&'static str, Body) = match name {
            "var" | "var_samp" => ("var_samp", |columns, kind| made(columns, kind, true, false)),
            "var_pop" => ("var_pop", |columns, kind| made(columns, kind, false, false)),
            "stddev" | "stddev_samp" => ("stddev_samp", |columns, kind| made(columns, kind, true, true)),
            "stddev_pop" => ("stddev_pop", |columns, kind| made(columns, kind, false, true)),
            other => return Err(refused(format!("there is no {other} of numerics here"))),
        };
        let kind = Type::Numeric(MAX_DIGITS, quotient_scale(self.digits));
        let count = call(count_udaf(), self.value.clone());
        let (sum, squares) = (call(sums::sum(), self.value), call(sums::sum(), self.square));
        Ok(Kernel::call(name, Form::Call, kind, body, vec![count, sum, squares]))
    }
}

fn made(columns: &[ArrayRef], kind: &DataType, is_sample: bool, is_root: bool) -> Result<ArrayRef> {
    let counts = columns[0].as_primitive::<Int64Type>();
    let (sums, squares) = (columns[1].as_primitive::<Decimal128Type>(), columns[2].as_primitive::<Decimal128Type>());
    let scale = scale_of(columns[2].data_type());
    let value = |row: usize| -> std::result::Result<Option<i128>, ArrowError> {
        let count = counts.value(row);
        if sums.is_null(row) || squares.is_null(row) || count < 1 || (is_sample && count == 1) {
            return Ok(None);
        }
        let spread = Spread::new(count, sums.value(row), squares.value(row), is_sample)?;
        let found = if is_root { spread.root(scale, scale_of(kind)) } else { spread.mean(scale, scale_of(kind)) };
        fitting(found, MAX_DIGITS).map(Some)
    };
    let values = (0..counts.len()).map(value).collect::<std::result::Result<Vec<_>, ArrowError>>()?;
    Ok(Arc::new(Decimal128Array::from(values).with_data_type(kind.clone())))
}

/// A variance as a quotient.
struct Spread {
    spread: i256,
    divisor: i256,
}

impl Spread {
    fn new(count: i64, sum: i128, squares: i128, is_sample: bool) -> std::result::Result<Self, ArrowError> {
        let (count, sum) = (i256::from_i128(i128::from(count)), i256::from_i128(sum));
        let spread = i256::from_i128(squares).checked_mul(count).zip(sum.checked_mul(sum));
        let spread = spread.and_then(|(squares, square)| squares.checked_sub(square));
        let less = if is_sample { i256::ONE } else { i256::ZERO };
        let divisor = count.wrapping_mul(count.wrapping_sub(less));
        let spread = spread.ok_or_else(|| out_of_range("numeric"))?;
        Ok(Self { spread: if spread.is_negative() { i256::ZERO } else { spread }, divisor })
    }

    /// The quotient with so many digits behind the point, rounded half up; `None` is more than a numeric holds.
    fn mean(&self, scale: u8, digits: u8) -> Option<i128> {
        let scaled = self.spread.checked_mul(ten(u32::from(digits.saturating_sub(scale)))?)?;
        let (quotient, rest) = (scaled.wrapping_div(self.divisor), scaled.wrapping_rem(self.divisor));
        let is_up = rest >= self.divisor.wrapping_sub(rest);
        (if is_up { quotient.wrapping_add(i256::ONE) } else { quotient }).to_i128()
    }

    /// Its root, of as many digits as there is room for.
    fn root(&self, scale: u8, digits: u8) -> Option<i128> {
        let most = u32::from(digits) * 2 - u32::from(scale);
        let ups = (0..=most / 2).map(|less| most - less * 2);
        let mut scaled = ups.filter_map(|up| Some((up, self.spread.checked_mul(ten(up)?)?)));
        let (up, scaled) = scaled.next()?;
        let root = whole_root(scaled.wrapping_div(self.divisor));
        let known = (up + u32::from(scale)) / 2;
        root.checked_mul(ten(u32::from(digits) - known)?)?.to_i128()
    }
}

fn ten(power: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(power)
}

/// The whole part of a root, by Newton's way from above.
fn whole_root(value: i256) -> i256 {
    if !value.is_positive() {
        return i256::ZERO;
    }
    let two = i256::from_i128(2);
    let bits = 256 - value.leading_zeros();
    let mut root = two.wrapping_pow(bits.div_ceil(2));
    loop {
        let next = root.wrapping_add(value.wrapping_div(root)).wrapping_div(two);
        if next >= root {
            return root;
        }
        root = next;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::Int64Array;

    use super::*;

    /// Over numerics with one digit behind the point, to 20 digits.
    fn of(count: i64, sum: i128, squares: i128, is_sample: bool, is_root: bool) -> Option<i128> {
        let decimal = |value: i128, scale: i8| {
            let kind = DataType::Decimal128(38, scale);
            Arc::new(Decimal128Array::from(vec![value]).with_data_type(kind)) as ArrayRef
        };
        let counts = Arc::new(Int64Array::from(vec![count])) as ArrayRef;
        let columns = [counts, decimal(sum, 1), decimal(squares, 2)];
        let found = made(&columns, &DataType::Decimal128(38, 20), is_sample, is_root).unwrap();
        let found = found.as_primitive::<Decimal128Type>();
        found.is_valid(0).then(|| found.value(0))
    }

    #[test]
    fn variances_are_those_of_postgres() {
        // 1.0, 2.0, 3.0 and 4.0: a sum of 10.0, squares of 30.00.
        assert_eq!(of(4, 100, 3000, false, false), Some(125_000_000_000_000_000_000));
        assert_eq!(of(4, 100, 3000, true, false), Some(166_666_666_666_666_666_667));
        assert_eq!(of(4, 100, 3000, false, true), Some(111_803_398_874_989_484_820));
        assert_eq!(of(1, 100, 10_000, true, true), None);
        assert_eq!(of(1, 100, 10_000, false, true), Some(0));
        assert_eq!(of(0, 0, 0, false, false), None);
    }

    #[test]
    fn the_root_of_a_large_variance_has_fewer_digits() {
        let large = 10_i128.pow(18);
        // 10^17 and -10^17: their variance is 10^34.
        let found = of(2, 0, 2 * large * large, false, true);
        assert_eq!(found, Some(10_i128.pow(37)));
    }
}
