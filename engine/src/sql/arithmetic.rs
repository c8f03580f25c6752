//! Arithmetic with Postgres' types: what does not fit its type is an error, numerics are exact, division by zero is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, PrimitiveArray};
use arrow::compute::kernels::numeric;
use arrow::compute::try_binary;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256,
};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::kernel::{Body, Form, Kernel};
use super::types::{MAX_DIGITS, Operand, Type, refused};
use super::{cast, moments};

/// An operator of arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Op {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// The operator over two operands.
pub(super) fn plan(op: Op, left: Operand, right: Operand) -> Result<Operand> {
    let (left, right) = settled(op, left, right)?;
    let kind = match (&left.kind, &right.kind) {
        (l, r) if l.is_number() && r.is_number() => result(op, l, r)?,
        _ => return moments::plan(op, left, right),
    };
    let (left, right) = match kind {
        Type::Numeric(..) => (numeric_operand(left)?, numeric_operand(right)?),
        _ => (cast::implicit(left, &kind)?, cast::implicit(right, &kind)?),
    };
    let body = body(op, &kind);
    let expr = Kernel::call(op.sign(), Form::Infix, kind.clone(), body, vec![left.expr, right.expr]);
    Ok(Operand { expr, kind })
}

/// A quoted literal beside a number is a number of the same type; beside a moment it is an interval.
fn settled(op: Op, left: Operand, right: Operand) -> Result<(Operand, Operand)> {
    let other = |kind: &Type| match kind {
        Type::Timestamp | Type::Timestamptz if op == Op::Add => Type::Interval,
        Type::Interval if matches!(op, Op::Multiply | Op::Divide) => Type::Float8,
        Type::Unknown => Type::Text,
        kind => kind.clone(),
    };
    match (&left.kind, &right.kind) {
        (Type::Unknown, Type::Unknown) if left.literal().is_some() || right.literal().is_some() => {
            Err(refused(format!("the operator {} is not unique for two quoted values: cast one of them", op.sign())))
        }
        (Type::Unknown, Type::Unknown) => Ok((cast::implicit(left, &Type::Int4)?, cast::implicit(right, &Type::Int4)?)),
        (Type::Unknown, kind) => {
            let kind = other(kind);
            Ok((cast::implicit(left, &kind)?, right))
        }
        (kind, Type::Unknown) => {
            let kind = other(kind);
            Ok((left, cast::implicit(right, &kind)?))
        }
        _ => Ok((left, right)),
    }
}

fn result(op: Op, left: &Type, right: &Type) -> Result<Type> {
    let none = || refused(format!("there is no operator {left} {} {right}", op.sign()));
    if left.is_float() || right.is_float() {
        return match op {
            Op::Modulo => Err(none()),
            _ if *left == Type::Float4 && *right == Type::Float4 => Ok(Type::Float4),
            _ => Ok(Type::Float8),
        };
    }
    if left.is_integer() && right.is_integer() {
        return left.unify(right).ok_or_else(none);
    }
    let (Some((p1, s1)), Some((p2, s2))) = (left.digits(), right.digits()) else { return Err(none()) };
    let (whole1, whole2) = (p1 - s1, p2 - s2);
    let wide = |whole: u8, scale: u8| Type::Numeric(whole.saturating_add(scale).min(MAX_DIGITS), scale);
    match op {
        Op::Add | Op::Subtract => Ok(wide(whole1.max(whole2).saturating_add(1), s1.max(s2))),
        Op::Multiply if s1 + s2 <= MAX_DIGITS => Ok(wide(whole1.saturating_add(whole2), s1 + s2)),
        Op::Multiply => Err(refused(format!(
            "the product has {} digits behind the point, and a numeric holds {MAX_DIGITS}: cast a factor to fewer",
            s1 + s2
        ))),
        Op::Divide => Ok(Type::Numeric(MAX_DIGITS, quotient_scale(s1.max(s2)))),
        Op::Modulo => Ok(wide(whole1.max(whole2), s1.max(s2))),
    }
}

/// Digits behind the point of a quotient or an average; Postgres gives at least 16 significant digits.
const QUOTIENT_SCALE: u8 = 20;

/// Digits behind the point of a quotient of numbers that have at most so many.
pub(super) fn quotient_scale(least: u8) -> u8 {
    least.clamp(QUOTIENT_SCALE, MAX_DIGITS)
}

/// An operand of arithmetic on numerics: integers become numerics without digits behind the point.
fn numeric_operand(operand: Operand) -> Result<Operand> {
    match operand.kind.digits() {
        Some((precision, scale)) => cast::implicit(operand, &Type::Numeric(precision, scale)),
        None => Err(refused(format!("{} is not a number", operand.kind))),
    }
}

fn body(op: Op, kind: &Type) -> Body {
    match (kind, op) {
        (Type::Numeric(..), Op::Add) => |columns, kind| sum(columns, kind, i128::checked_add),
        (Type::Numeric(..), Op::Subtract) => |columns, kind| sum(columns, kind, i128::checked_sub),
        (Type::Numeric(..), Op::Modulo) => remainder,
        (Type::Numeric(..), Op::Multiply) => product,
        (Type::Numeric(..), Op::Divide) => quotient,
        (Type::Float4, op) => match op {
            Op::Add => |columns, _| floats4(columns, |l, r| l + r, Op::Add),
            Op::Subtract => |columns, _| floats4(columns, |l, r| l - r, Op::Subtract),
            Op::Multiply => |columns, _| floats4(columns, |l, r| l * r, Op::Multiply),
            Op::Divide | Op::Modulo => |columns, _| floats4(columns, |l, r| l / r, Op::Divide),
        },
        (Type::Float8, op) => match op {
            Op::Add => |columns, _| floats8(columns, |l, r| l + r, Op::Add),
            Op::Subtract => |columns, _| floats8(columns, |l, r| l - r, Op::Subtract),
            Op::Multiply => |columns, _| floats8(columns, |l, r| l * r, Op::Multiply),
            Op::Divide | Op::Modulo => |columns, _| floats8(columns, |l, r| l / r, Op::Divide),
        },
        (_, Op::Add) => |columns, _| Ok(numeric::add(&columns[0], &columns[1])?),
        (_, Op::Subtract) => |columns, _| Ok(numeric::sub(&columns[0], &columns[1])?),
        (_, Op::Multiply) => |columns, _| Ok(numeric::mul(&columns[0], &columns[1])?),
        (_, Op::Divide) => |columns, _| Ok(numeric::div(&columns[0], &columns[1])?),
        (_, Op::Modulo) => |columns, _| Ok(numeric::rem(&columns[0], &columns[1])?),
    }
}

pub(super) fn out_of_range(what: &str) -> ArrowError {
    ArrowError::ArithmeticOverflow(format!("{what} out of range"))
}

/// 10 to the power of a scale, which is at most 38.
pub(super) fn power_of_ten(exponent: u8) -> i128 {
    10_i128.pow(u32::from(exponent.min(MAX_DIGITS)))
}

/// The scale of a decimal type.
pub(super) fn scale_of(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Decimal128(_, scale) => scale.unsigned_abs(),
        _ => 0,
    }
}

fn precision_of(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Decimal128(precision, _) => *precision,
        _ => MAX_DIGITS,
    }
}

/// The value if it has no more digits than the type.
pub(super) fn fitting(value: Option<i128>, precision: u8) -> std::result::Result<i128, ArrowError> {
    value
        .filter(|value| value.unsigned_abs() < power_of_ten(precision).unsigned_abs())
        .ok_or_else(|| out_of_range("numeric"))
}

fn decimals(
    columns: &[ArrayRef],
    kind: &DataType,
    op: impl Fn(i128, i128) -> std::result::Result<i128, ArrowError>,
) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Decimal128Type>());
    let result: Decimal128Array = try_binary(left, right, op)?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// An operation on numerics of one scale.
fn sum(columns: &[ArrayRef], kind: &DataType, op: fn(i128, i128) -> Option<i128>) -> Result<ArrayRef> {
    let scale = scale_of(kind);
    let factor = |column: &ArrayRef| power_of_ten(scale - scale_of(column.data_type()).min(scale));
    let (up, precision) = ((factor(&columns[0]), factor(&columns[1])), precision_of(kind));
    decimals(columns, kind, |left, right| {
        let scaled = left.checked_mul(up.0).zip(right.checked_mul(up.1));
        fitting(scaled.and_then(|(left, right)| op(left, right)), precision)
    })
}

fn remainder(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let scale = scale_of(kind);
    let factor = |column: &ArrayRef| power_of_ten(scale - scale_of(column.data_type()).min(scale));
    let (up, precision) = ((factor(&columns[0]), factor(&columns[1])), precision_of(kind));
    decimals(columns, kind, |left, right| {
        if right == 0 {
            return Err(ArrowError::DivideByZero);
        }
        let scaled = left.checked_mul(up.0).zip(right.checked_mul(up.1));
        fitting(scaled.and_then(|(left, right)| left.checked_rem(right)), precision)
    })
}

fn product(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let precision = precision_of(kind);
    decimals(columns, kind, |left, right| fitting(left.checked_mul(right), precision))
}

fn quotient(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (left, right) = (scale_of(columns[0].data_type()), scale_of(columns[1].data_type()));
    let up = power_of_ten((scale_of(kind) + right).saturating_sub(left));
    let precision = precision_of(kind);
    decimals(columns, kind, |left, right| fitting(divided(left, up, right)?, precision))
}

/// `value * factor / divisor`, rounded half away from zero; `None` is more than a numeric holds.
pub(super) fn divided(value: i128, factor: i128, divisor: i128) -> std::result::Result<Option<i128>, ArrowError> {
    if divisor == 0 {
        return Err(ArrowError::DivideByZero);
    }
    if let Some(scaled) = value.checked_mul(factor) {
        return Ok(rounded(scaled, divisor));
    }
    let scaled = i256::from_i128(value).wrapping_mul(i256::from_i128(factor));
    let divisor = i256::from_i128(divisor);
    let (quotient, rest) = (scaled.wrapping_div(divisor), scaled.wrapping_rem(divisor));
    let half = rest.wrapping_abs() >= divisor.wrapping_abs().wrapping_sub(rest.wrapping_abs());
    let away = if scaled.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    Ok((if half { quotient.wrapping_add(away) } else { quotient }).to_i128())
}

/// A quotient of integers, rounded half away from zero.
pub(super) fn rounded(value: i128, divisor: i128) -> Option<i128> {
    let (quotient, rest) = (value.checked_div(divisor)?, value.checked_rem(divisor)?);
    let is_half = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    let away = if (value < 0) == (divisor < 0) { 1 } else { -1 };
    if is_half { quotient.checked_add(away) } else { Some(quotient) }
}

fn floats4(columns: &[ArrayRef], op: fn(f32, f32) -> f32, kind: Op) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Float32Type>(), columns[1].as_primitive::<Float32Type>());
    let result: Float32Array = try_binary(left, right, |l, r| {
        let value = op(l, r);
        checked(f64::from(l), f64::from(r), f64::from(value), kind)
            .map(|()| if value.is_nan() { f32::NAN } else { value })
    })?;
    Ok(Arc::new(result))
}

fn floats8(columns: &[ArrayRef], op: fn(f64, f64) -> f64, kind: Op) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Float64Type>(), columns[1].as_primitive::<Float64Type>());
    let result: Float64Array = try_binary(left, right, |l, r| {
        let value = op(l, r);
        // There is one NaN: the processor makes negative ones.
        checked(l, r, value, kind).map(|()| if value.is_nan() { f64::NAN } else { value })
    })?;
    Ok(Arc::new(result))
}

/// What Postgres refuses of a result: a division by zero, infinity or zero out of other finite numbers.
fn checked(left: f64, right: f64, value: f64, op: Op) -> std::result::Result<(), ArrowError> {
    if op == Op::Divide && right == 0.0 && !left.is_nan() {
        return Err(ArrowError::DivideByZero);
    }
    let is_lost = match op {
        Op::Multiply => value == 0.0 && left != 0.0 && right != 0.0,
        Op::Divide => value == 0.0 && left != 0.0 && right.is_finite(),
        _ => false,
    };
    if is_lost {
        return Err(out_of_range("double precision"));
    }
    if value.is_infinite() && left.is_finite() && right.is_finite() {
        return Err(out_of_range("double precision"));
    }
    Ok(())
}

/// The number with its sign changed.
pub(super) fn negative(operand: Operand) -> Result<Operand> {
    let kind = match &operand.kind {
        Type::Unknown => Type::Float8,
        kind if kind.is_number() || *kind == Type::Interval => kind.clone(),
        kind => return Err(refused(format!("there is no operator - {kind}"))),
    };
    let operand = cast::implicit(operand, &kind)?;
    let body: Body = match kind {
        Type::Interval => moments::negative,
        Type::Float4 => |columns, _| {
            let values = columns[0].as_primitive::<Float32Type>();
            Ok(Arc::new(values.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { -value })))
        },
        Type::Float8 => |columns, _| {
            let values = columns[0].as_primitive::<Float64Type>();
            Ok(Arc::new(values.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { -value })))
        },
        _ => |columns, kind| {
            let negative = numeric::neg(columns[0].as_ref())?;
            Ok(match negative.as_primitive_opt::<Decimal128Type>() {
                Some(decimal) => Arc::new(decimal.clone().with_data_type(kind.clone())),
                None => negative,
            })
        },
    };
    Ok(Operand { expr: Kernel::call("-", Form::Prefix, kind.clone(), body, vec![operand.expr]), kind })
}

/// A number without its sign.
pub(super) fn absolute(operand: Operand) -> Result<Operand> {
    let kind = if operand.kind == Type::Unknown { Type::Float8 } else { operand.kind.clone() };
    if !kind.is_number() {
        return Err(refused(format!("there is no function abs({kind})")));
    }
    let operand = cast::implicit(operand, &kind)?;
    let body: Body = match kind {
        Type::Int2 => |columns, _| absolutes::<Int16Type>(columns, i16::checked_abs),
        Type::Int4 => |columns, _| absolutes::<Int32Type>(columns, i32::checked_abs),
        Type::Int8 => |columns, _| absolutes::<Int64Type>(columns, i64::checked_abs),
        Type::Float4 => |columns, _| absolutes::<Float32Type>(columns, |value| Some(value.abs())),
        Type::Float8 => |columns, _| absolutes::<Float64Type>(columns, |value| Some(value.abs())),
        _ => |columns, _| absolutes::<Decimal128Type>(columns, i128::checked_abs),
    };
    Ok(Operand { expr: Kernel::call("abs", Form::Call, kind.clone(), body, vec![operand.expr]), kind })
}

fn absolutes<T: ArrowPrimitiveType>(columns: &[ArrayRef], op: fn(T::Native) -> Option<T::Native>) -> Result<ArrayRef> {
    let column = columns[0].as_primitive::<T>();
    let result: PrimitiveArray<T> = column.try_unary(|value| op(value).ok_or_else(|| out_of_range("integer")))?;
    Ok(Arc::new(result.with_data_type(column.data_type().clone())))
}
