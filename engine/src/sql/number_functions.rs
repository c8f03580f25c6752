//! Functions of numbers. Those of numerics are exact; those whose value Postgres computes to more digits than a float has are
//! refused for numerics, with the cast that helps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::{try_binary, try_unary};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float64Type, Int16Type, Int32Type, Int64Type, i256,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::arithmetic::{fitting, out_of_range, power_of_ten, rounded, scale_of};
use super::cast;
use super::functions::Takes::{Float8, Int4, Int8, Numeric};
use super::functions::gives::{float8, int4, int8};
use super::functions::{Function, ours};
use super::kernel::{Body, Form, Kernel};
use super::types::{MAX_DIGITS, Operand, Type, refused};

/// A numeric without digits behind the point.
fn whole(operands: &[Operand]) -> Type {
    let digits = operands.first().and_then(|operand| operand.kind.digits());
    let (precision, scale) = digits.unwrap_or((MAX_DIGITS, 0));
    Type::Numeric((precision - scale).saturating_add(1).min(MAX_DIGITS), 0)
}

fn widest(_: &[Operand]) -> Type {
    Type::Numeric(MAX_DIGITS, 0)
}

/// All of them.
pub(super) const FUNCTIONS: &[Function] =
    &[
        ours("ceil", &[Numeric], whole, |c, kind| {
            digits(c, kind, |value, unit| value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0))
        }),
        ours("ceil", &[Float8], float8, |c, _| floats(c, |value| Ok(value.ceil()))),
        ours("ceiling", &[Numeric], whole, |c, kind| {
            digits(c, kind, |value, unit| value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0))
        }),
        ours("ceiling", &[Float8], float8, |c, _| floats(c, |value| Ok(value.ceil()))),
        ours("floor", &[Numeric], whole, |c, kind| digits(c, kind, i128::div_euclid)),
        ours("floor", &[Float8], float8, |c, _| floats(c, |value| Ok(value.floor()))),
        ours("round", &[Numeric], whole, |c, kind| digits(c, kind, |value, unit| rounded(value, unit).unwrap_or(0))),
        ours("round", &[Float8], float8, |c, _| floats(c, |value| Ok(value.round_ties_even()))),
        ours("trunc", &[Numeric], whole, |c, kind| digits(c, kind, |value, unit| value / unit)),
        ours("trunc", &[Float8], float8, |c, _| floats(c, |value| Ok(value.trunc()))),
        ours("sign", &[Numeric], |_| Type::Numeric(1, 0), |c, kind| digits(c, kind, |value, _| value.signum())),
        ours("sign", &[Float8], float8, |c, _| {
            floats(c, |value| {
                Ok(if value > 0.0 {
                    1.0
                } else if value < 0.0 {
                    -1.0
                } else {
                    0.0
                })
            })
        }),
        ours("sqrt", &[Numeric], |_| Type::Numeric(MAX_DIGITS, ROOT_SCALE), roots),
        ours("sqrt", &[Float8], float8, |c, _| {
            floats(c, |value| {
                if value < 0.0 { Err(no_value("the square root of a negative number")) } else { Ok(value.sqrt()) }
            })
        }),
        ours("|/", &[Float8], float8, |c, _| {
            floats(c, |value| {
                if value < 0.0 { Err(no_value("the square root of a negative number")) } else { Ok(value.sqrt()) }
            })
        }),
        ours("cbrt", &[Float8], float8, |c, _| floats(c, |value| Ok(value.cbrt()))),
        ours("exp", &[Float8], float8, |c, _| floats(c, |value| in_range(value, value.exp()))),
        ours("ln", &[Float8], float8, |c, _| floats(c, |value| logarithm(value, f64::ln))),
        ours("log", &[Float8], float8, |c, _| floats(c, |value| logarithm(value, f64::log10))),
        ours("log10", &[Float8], float8, |c, _| floats(c, |value| logarithm(value, f64::log10))),
        ours("power", &[Float8, Float8], float8, |c, _| two_floats(c, power)),
        ours("pow", &[Float8, Float8], float8, |c, _| two_floats(c, power)),
        ours("degrees", &[Float8], float8, |c, _| floats(c, |value| in_range(value, value.to_degrees()))),
        ours("radians", &[Float8], float8, |c, _| floats(c, |value| in_range(value, value.to_radians()))),
        ours("pi", &[], float8, |_, _| Ok(Arc::new(arrow::array::Float64Array::from(vec![std::f64::consts::PI])))),
        ours("sin", &[Float8], float8, |c, _| floats(c, |value| angle(value, f64::sin))),
        ours("cos", &[Float8], float8, |c, _| floats(c, |value| angle(value, f64::cos))),
        ours("tan", &[Float8], float8, |c, _| floats(c, |value| angle(value, f64::tan))),
        ours("cot", &[Float8], float8, |c, _| floats(c, |value| angle(value, |value| 1.0 / value.tan()))),
        ours("asin", &[Float8], float8, |c, _| floats(c, |value| ratio(value, f64::asin))),
        ours("acos", &[Float8], float8, |c, _| floats(c, |value| ratio(value, f64::acos))),
        ours("atan", &[Float8], float8, |c, _| floats(c, |value| Ok(value.atan()))),
        ours("atan2", &[Float8, Float8], float8, |c, _| two_floats(c, |y, x| Ok(y.atan2(x)))),
        ours("sinh", &[Float8], float8, |c, _| floats(c, |value| Ok(value.sinh()))),
        ours("cosh", &[Float8], float8, |c, _| floats(c, |value| Ok(value.cosh()))),
        ours("tanh", &[Float8], float8, |c, _| floats(c, |value| Ok(value.tanh()))),
        ours("gcd", &[Int4, Int4], int4, |c, _| {
            integers::<Int32Type>(c, |a, b| i32::try_from(gcd(a.into(), b.into())).ok())
        }),
        ours("gcd", &[Int8, Int8], int8, |c, _| {
            integers::<Int64Type>(c, |a, b| i64::try_from(gcd(a.into(), b.into())).ok())
        }),
        ours("lcm", &[Int4, Int4], int4, |c, _| {
            integers::<Int32Type>(c, |a, b| i32::try_from(lcm(a.into(), b.into())).ok())
        }),
        ours("lcm", &[Int8, Int8], int8, |c, _| {
            integers::<Int64Type>(c, |a, b| i64::try_from(lcm(a.into(), b.into())).ok())
        }),
        ours("factorial", &[Int8], widest, factorial),
        ours("div", &[Numeric, Numeric], widest, quotients),
        ours("~", &[Int4], int4, |c, _| {
            Ok(Arc::new(c[0].as_primitive::<Int32Type>().unary::<_, Int32Type>(|value| !value)))
        }),
        ours("~", &[Int8], int8, |c, _| {
            Ok(Arc::new(c[0].as_primitive::<Int64Type>().unary::<_, Int64Type>(|value| !value)))
        }),
    ];

/// Digits behind the point of a square root.
const ROOT_SCALE: u8 = 18;

/// Square roots, rounded to the last digit.
fn roots(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let up = i256::from_i128(power_of_ten(2 * ROOT_SCALE - scale_of(columns[0].data_type()).min(2 * ROOT_SCALE)));
    let result: Decimal128Array = columns[0].as_primitive::<Decimal128Type>().try_unary(|value| {
        if value < 0 {
            return Err(no_value("the square root of a negative number"));
        }
        let wanted = i256::from_i128(value).wrapping_mul(up);
        if wanted == i256::ZERO {
            return Ok(0);
        }
        // Newton's iteration from above ends at the whole part of the root.
        let two = i256::from_i128(2);
        let mut root = i256::from_i128(i128::MAX);
        loop {
            let next = root.wrapping_add(wanted.wrapping_div(root)).wrapping_div(two);
            if next >= root {
                break;
            }
            root = next;
        }
        let rest = wanted.wrapping_sub(root.wrapping_mul(root));
        let rounded = if rest > root { root.wrapping_add(i256::ONE) } else { root };
        fitting(rounded.to_i128(), MAX_DIGITS)
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// A numeric to a small whole power is a product; other powers, logarithms and exponentials of numerics have more digits in
/// Postgres than a float has.
pub(super) fn of_numeric(name: &str, operands: &[Operand]) -> Result<Option<Expr>> {
    let is_numeric = |operand: &Operand| matches!(operand.kind, Type::Numeric(..));
    if !operands.iter().any(is_numeric) || operands.iter().any(|operand| operand.kind.is_float()) {
        return Ok(None);
    }
    if let ("power" | "pow", [base, Operand { expr: Expr::Literal(ScalarValue::Int32(Some(times @ 1..=4)), _), .. }]) =
        (name, operands)
    {
        let mut product = base.clone();
        for _ in 1..*times {
            product = super::arithmetic::plan(super::arithmetic::Op::Multiply, product, base.clone())?;
        }
        return Ok(Some(product.expr));
    }
    Err(refused(format!("{name} of a numeric has more digits in Postgres: cast it to double precision")))
}

fn no_value(what: &str) -> ArrowError {
    ArrowError::CastError(format!("{what} is no number"))
}

type Checked = std::result::Result<f64, ArrowError>;

fn floats(columns: &[ArrayRef], op: fn(f64) -> Checked) -> Result<ArrayRef> {
    let one = |value| op(value).map(|value| if value.is_nan() { f64::NAN } else { value });
    let result: PrimitiveArray<Float64Type> = try_unary(columns[0].as_primitive::<Float64Type>(), one)?;
    Ok(Arc::new(result))
}

fn two_floats(columns: &[ArrayRef], op: fn(f64, f64) -> Checked) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Float64Type>(), columns[1].as_primitive::<Float64Type>());
    let result: PrimitiveArray<Float64Type> = try_binary(left, right, op)?;
    Ok(Arc::new(result))
}

/// Infinity out of a finite number, or zero out of another one, is out of range.
fn in_range(from: f64, value: f64) -> Checked {
    if from.is_finite() && (value.is_infinite() || (value == 0.0 && from != 0.0)) {
        return Err(out_of_range("double precision"));
    }
    Ok(value)
}

fn logarithm(value: f64, op: fn(f64) -> f64) -> Checked {
    if value == 0.0 {
        return Err(no_value("the logarithm of zero"));
    }
    if value < 0.0 {
        return Err(no_value("the logarithm of a negative number"));
    }
    Ok(op(value))
}

fn power(base: f64, exponent: f64) -> Checked {
    if base == 0.0 && exponent < 0.0 {
        return Err(no_value("zero to a negative power"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(no_value("a negative number to a power that is not whole"));
    }
    let value = base.powf(exponent);
    let is_lost = base.is_finite() && exponent.is_finite() && (value.is_infinite() || (value == 0.0 && base != 0.0));
    if is_lost { Err(out_of_range("double precision")) } else { Ok(value) }
}

fn angle(value: f64, op: fn(f64) -> f64) -> Checked {
    if value.is_infinite() { Err(no_value("the function of an infinite angle")) } else { Ok(op(value)) }
}

fn ratio(value: f64, op: fn(f64) -> f64) -> Checked {
    if value.abs() > 1.0 { Err(no_value("the angle of a ratio beyond 1")) } else { Ok(op(value)) }
}

/// A numeric without digits behind the point, made of the value and its unit.
fn digits(columns: &[ArrayRef], kind: &DataType, op: fn(i128, i128) -> i128) -> Result<ArrayRef> {
    let unit = power_of_ten(scale_of(columns[0].data_type()));
    let result: Decimal128Array = columns[0].as_primitive::<Decimal128Type>().unary(|value| op(value, unit));
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// round and trunc to a number of digits.
pub(super) fn to_places(name: &str, value: Operand, places: Operand) -> Result<Expr> {
    if value.kind.is_float() {
        return Err(refused(format!(
            "there is no function {name}({}, integer): cast the value to numeric",
            value.kind
        )));
    }
    let kind = match value.kind.digits() {
        Some((precision, scale)) => Type::Numeric(precision, scale),
        None => return Err(refused(format!("there is no function {name}({}, {})", value.kind, places.kind))),
    };
    let Type::Numeric(precision, scale) = kind else { return Err(refused("round takes a number")) };
    let literal = match &places.expr {
        Expr::Literal(ScalarValue::Int32(Some(places)), _) => Some(*places),
        _ => None,
    };
    let wanted = literal.map_or(scale, |places| u8::try_from(places.clamp(0, i32::from(MAX_DIGITS))).unwrap_or(0));
    let result = Type::Numeric((precision - scale).saturating_add(wanted).saturating_add(1).min(MAX_DIGITS), wanted);
    let body: Body = match name {
        "round" => |c, kind| places_of(c, kind, rounded),
        _ => |c, kind| places_of(c, kind, i128::checked_div),
    };
    let name = if name == "round" { "round" } else { "trunc" };
    let (value, places) = (cast::implicit(value, &kind)?, cast::implicit(places, &Type::Int4)?);
    Ok(Kernel::call(name, Form::Call, result, body, vec![value.expr, places.expr]))
}

fn places_of(columns: &[ArrayRef], kind: &DataType, op: fn(i128, i128) -> Option<i128>) -> Result<ArrayRef> {
    let (from, to) = (i32::from(scale_of(columns[0].data_type())), i32::from(scale_of(kind)));
    let up = |digits: i32| u8::try_from(digits.clamp(0, i32::from(MAX_DIGITS))).map_or(1, power_of_ten);
    let (values, places) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Int32Type>());
    let result: Decimal128Array = try_binary(values, places, |value, places| {
        // To a unit of 10^-places, and from there to the scale of the result.
        let places = places.clamp(-i32::from(MAX_DIGITS), from);
        let unit = from - places;
        let value = if unit > i32::from(MAX_DIGITS) { Some(0) } else { op(value, up(unit)) };
        let value = match to - places {
            more if more >= 0 => value.and_then(|value| value.checked_mul(up(more))),
            fewer => value.and_then(|value| rounded(value, up(-fewer))),
        };
        fitting(value, MAX_DIGITS)
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

fn integers<T: ArrowPrimitiveType>(
    columns: &[ArrayRef],
    op: fn(T::Native, T::Native) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let result: PrimitiveArray<T> =
        try_binary(columns[0].as_primitive::<T>(), columns[1].as_primitive::<T>(), |a, b| {
            op(a, b).ok_or_else(|| out_of_range("integer"))
        })?;
    Ok(Arc::new(result))
}

/// `#`: the bits in which two integers differ.
pub(super) fn different_bits(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    fn of<T: ArrowPrimitiveType>(columns: &[ArrayRef]) -> Result<ArrayRef>
    where
        T::Native: std::ops::BitXor<Output = T::Native>,
    {
        let (left, right) = (columns[0].as_primitive::<T>(), columns[1].as_primitive::<T>());
        let result: PrimitiveArray<T> = try_binary(left, right, |left, right| Ok(left ^ right))?;
        Ok(Arc::new(result))
    }
    match kind {
        DataType::Int16 => of::<Int16Type>(columns),
        DataType::Int32 => of::<Int32Type>(columns),
        _ => of::<Int64Type>(columns),
    }
}

/// The greatest divisor of both.
pub(super) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs() }
}

fn factorial(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let values = columns[0].as_primitive::<Int64Type>();
    let result = values.try_unary::<_, Decimal128Type, ArrowError>(|value| {
        if value < 0 {
            return Err(no_value("the factorial of a negative number"));
        }
        // 33! has 37 digits, 34! 39.
        let product = (1..=i128::from(value.min(40))).try_fold(1_i128, i128::checked_mul);
        fitting(product.filter(|_| value < 40), MAX_DIGITS)
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// The whole part of a quotient.
fn quotients(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (left, right) = (scale_of(columns[0].data_type()), scale_of(columns[1].data_type()));
    let scale = left.max(right);
    let (up, down) = (power_of_ten(scale - left), power_of_ten(scale - right));
    let (a, b) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Decimal128Type>());
    let result: Decimal128Array = try_binary(a, b, |a, b| {
        if b == 0 {
            return Err(ArrowError::DivideByZero);
        }
        let parts = a.checked_mul(up).zip(b.checked_mul(down));
        fitting(parts.and_then(|(a, b)| a.checked_div(b)), MAX_DIGITS)
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}
