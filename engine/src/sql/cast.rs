//! Casts as Postgres does them: they round where Postgres rounds, and what does not fit is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Cast, Expr};

use super::arithmetic::{fitting, out_of_range, power_of_ten, rounded, scale_of};
use super::kernel::{Body, Form, Kernel};
use super::types::{MAX_DIGITS, Operand, Type, refused};
use super::{json, lists, names, periods, text};

/// Digits behind the point of a numeric that is written without them and made of a type that says nothing about them.
pub(super) const BARE_SCALE: u8 = 16;

/// A cast that is written.
pub(super) fn explicit(operand: Operand, type_name: &str, is_try: bool) -> Result<Operand> {
    let target = names::parse(type_name)?;
    let kind = match (&target.kind, &operand.kind) {
        (names::Kind::Numeric, Type::Numeric(precision, scale)) => Type::Numeric(*precision, *scale),
        (names::Kind::Numeric, kind) if kind.is_integer() => {
            let (precision, scale) = kind.digits().unwrap_or((MAX_DIGITS, 0));
            Type::Numeric(precision, scale)
        }
        (names::Kind::Numeric, Type::Unknown) => text::literal_numeric(operand.literal().unwrap_or("0"))?,
        (names::Kind::Numeric, _) => Type::Numeric(MAX_DIGITS, BARE_SCALE),
        (names::Kind::Is(kind), _) => kind.clone(),
    };
    if !is_castable(&operand.kind, &kind) {
        return Err(refused(format!("there is no cast of {} to {kind}", operand.kind)));
    }
    if is_try && (operand.kind.is_json() || kind.is_json()) {
        return Err(refused("TRY_CAST does not go with json and jsonb"));
    }
    let operand = match operand.kind.is_jsonb() && (kind == Type::Bool || kind.is_number()) {
        true => json::number_or_condition(operand, &kind),
        false => operand,
    };
    let is_bare =
        matches!(target.kind, names::Kind::Numeric) && (operand.kind.is_float() || operand.kind == Type::Text);
    if is_bare && is_try {
        return Err(refused("TRY_CAST to numeric needs its digits: write numeric(p, s)"));
    }
    let expr = match (&operand.kind, &kind) {
        _ if is_bare => Kernel::call(
            "numeric",
            Form::Typed,
            kind.clone(),
            |columns, kind| bare(&columns[0], kind),
            vec![operand.expr],
        ),
        (Type::Unknown, Type::Text) => Expr::Cast(Cast::new(Box::new(operand.expr), DataType::Utf8)),
        (Type::Unknown, _) if is_try => convert(Operand { kind: Type::Text, ..operand }, &kind, true)?,
        _ => convert(operand, &kind, is_try)?,
    };
    let expr = match target.length {
        Some(length) => {
            let (name, body) = shortened(&target)?;
            Kernel::call(name, Form::Typed, kind.clone(), body, vec![expr, number(length)])
        }
        None => expr,
    };
    Ok(Operand { expr, kind })
}

/// A numeric without digits of its own, of a float or a text: one that needs more digits than it gets is an error.
fn bare(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let texts = match column.data_type() {
        DataType::Float32 => text::digits(column, 6)?,
        DataType::Float64 => text::digits(column, 15)?,
        _ => Arc::clone(column),
    };
    text::exactly(&texts, scale_of(kind))?;
    text::parsed(&texts, kind)
}

fn number(value: i32) -> Expr {
    Expr::Literal(ScalarValue::Int32(Some(value)), None)
}

/// What fits a value into its length. Each has a name of its own, because kernels of one name are one function.
fn shortened(target: &names::Name) -> Result<(&'static str, Body)> {
    match (&target.kind, target.is_padded) {
        (names::Kind::Is(Type::Text), false) => Ok(("varchar", text::shortened)),
        (names::Kind::Is(Type::Text), true) => Ok(("char", text::padded)),
        (names::Kind::Is(Type::Timestamp | Type::Timestamptz), _) => Ok(("digits", super::moments::rounded)),
        _ => Err(refused("this type takes no length")),
    }
}

fn is_castable(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Other(_), _) | (_, Type::Other(_)) => from == to,
        (from, to) if from == to => true,
        (Type::Native(name), Type::Interval) => name.starts_with("interval"),
        (Type::Native(name), Type::Time) => name.starts_with("time") && !name.contains("with time zone"),
        (from, to) if from.is_jsonb() && (*to == Type::Bool || to.is_number()) => true,
        (from, to) if from.is_json() && to.is_json() => true,
        (Type::Native(_), to) => *to == Type::Text,
        (Type::Unknown | Type::Text | Type::Char, _) | (_, Type::Text | Type::Char) => true,
        (from, to) if from.is_number() && to.is_number() => true,
        (Type::Bool, Type::Int4) | (Type::Int4, Type::Bool) => true,
        (Type::Timestamp | Type::Timestamptz, Type::Time) => true,
        (Type::Time, Type::Interval) | (Type::Interval, Type::Time) => true,
        (Type::Array(from), Type::Array(to)) => is_castable(from, to),
        (from, to) => from.is_moment() && to.is_moment(),
    }
}

/// A conversion that needs no cast in Postgres.
pub(super) fn implicit(operand: Operand, kind: &Type) -> Result<Operand> {
    if !is_implicit(&operand.kind, kind) {
        return Err(refused(format!("expected {kind}, found {}: cast it", operand.kind)));
    }
    Ok(Operand { expr: convert(operand, kind, false)?, kind: kind.clone() })
}

/// Whether Postgres converts without a cast that is written.
pub(super) fn is_implicit(from: &Type, kind: &Type) -> bool {
    match (from, kind) {
        (from, kind) if from == kind => true,
        (Type::Unknown, _) => true,
        (from, to) if from.is_integer() && to.is_number() => from.digits() <= to.digits() || !to.is_integer(),
        (Type::Numeric(..), Type::Numeric(..)) => true,
        (Type::Numeric(..), to) => to.is_float(),
        (Type::Float4, Type::Float8) | (Type::Date, Type::Timestamp | Type::Timestamptz) => true,
        (Type::Timestamp, Type::Timestamptz) | (Type::Char, Type::Text) => true,
        (Type::Array(from), Type::Array(to)) => {
            **from == Type::Unknown || matches!((from.as_ref(), to.as_ref()), (Type::Numeric(..), Type::Numeric(..)))
        }
        _ => false,
    }
}

/// A list whose elements have the type, or a quoted literal of one.
pub(super) fn explicit_list(operand: Operand, element: &Type) -> Result<Expr> {
    convert(operand, &Type::Array(Box::new(element.clone())), false)
}

/// A text that is known to be a value of the type.
pub(super) fn read(expr: Expr, kind: &Type) -> Expr {
    Kernel::call("read", Form::Call, kind.clone(), |columns, kind| array(&columns[0], kind), vec![expr])
}

/// The expression with the other type.
pub(super) fn convert(operand: Operand, kind: &Type, is_try: bool) -> Result<Expr> {
    if operand.kind.is_json() || kind.is_json() {
        return json::change(operand, kind);
    }
    if operand.kind == Type::Char && *kind == Type::Text {
        return Ok(Kernel::call("trimmed", Form::Call, Type::Text, text::without_blanks, vec![operand.expr]));
    }
    if operand.kind == Type::Char && *kind != Type::Char {
        let text = convert(operand, &Type::Text, is_try)?;
        return convert(Operand { expr: text, kind: Type::Text }, kind, is_try);
    }
    if let Type::Native(_) = operand.kind {
        return convert(Operand { kind: Type::Text, ..operand }, kind, is_try);
    }
    if operand.kind == *kind && *kind != Type::Text {
        return Ok(operand.expr);
    }
    if operand.kind == Type::Unknown {
        return constant(&operand, kind);
    }
    if is_plain(&operand.kind, kind) {
        return Ok(Expr::Cast(Cast::new(Box::new(operand.expr), kind.arrow())));
    }
    let (name, body): (_, Body) = match is_try {
        true => ("try_cast", |columns, kind| Ok(tried(&columns[0], kind))),
        false => ("cast", |columns, kind| array(&columns[0], kind)),
    };
    Ok(Kernel::call(name, Form::Typed, kind.clone(), body, vec![operand.expr]))
}

/// A quoted literal as a value of its type.
fn constant(operand: &Operand, kind: &Type) -> Result<Expr> {
    let arrow = kind.arrow();
    let value = match operand.literal() {
        None => ScalarValue::try_from(&arrow)?,
        Some(literal) if *kind == Type::Text || *kind == Type::Unknown => ScalarValue::from(literal),
        Some(literal) => {
            let column: ArrayRef = Arc::new(StringArray::from(vec![literal]));
            ScalarValue::try_from_array(&array(&column, &arrow)?, 0)?
        }
    };
    Ok(Expr::Literal(value, None))
}

/// Conversions that DataFusion does exactly so, and looks through where it pushes filters down.
fn is_plain(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Int2, Type::Int4 | Type::Int8) | (Type::Int4, Type::Int8) | (Type::Float4, Type::Float8) => true,
        (from, to) if from.is_integer() && to.is_float() => true,
        (from, Type::Numeric(precision, scale)) if from.is_integer() => {
            from.digits().is_some_and(|(digits, _)| precision - scale >= digits)
        }
        (Type::Numeric(p1, s1), Type::Numeric(p2, s2)) => s1 <= s2 && p1 - s1 <= p2 - s2,
        (Type::Date, Type::Timestamp | Type::Timestamptz) | (Type::Timestamp, Type::Timestamptz) => true,
        (Type::Timestamptz, Type::Timestamp) => true,
        (Type::Text, Type::Text) => true,
        _ => false,
    }
}

/// The values that can be cast; NULL for the others.
fn tried(column: &ArrayRef, kind: &DataType) -> ArrayRef {
    if let Ok(whole) = array(column, kind) {
        return whole;
    }
    let one = |row| array(&column.slice(row, 1), kind).unwrap_or_else(|_| new_null_array(kind, 1));
    let rows: Vec<ArrayRef> = (0..column.len()).map(one).collect();
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    concat(&rows).unwrap_or_else(|_| new_null_array(kind, column.len()))
}

/// A column's values as another type.
pub(super) fn array(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let from = Type::of(column.data_type());
    let to = Type::of(kind);
    match (&from, &to) {
        (Type::Array(_), Type::Array(_)) => lists::converted(column, kind),
        (Type::Text, _) => text::parsed(column, kind),
        (_, Type::Text) => text::written(column),
        (Type::Int2, _) => integers::<Int16Type>(column, kind),
        (Type::Int4, Type::Bool) => Ok(Arc::new(arrow::array::BooleanArray::from_iter(
            column.as_primitive::<Int32Type>().iter().map(|value| value.map(|value| value != 0)),
        ))),
        (Type::Int4, _) => integers::<Int32Type>(column, kind),
        (Type::Int8, _) => integers::<Int64Type>(&plain(column, &DataType::Int64)?, kind),
        (Type::Numeric(..), _) => numerics(column, kind),
        (Type::Float4, Type::Numeric(..)) => {
            // Postgres goes through the six digits that a real holds for sure.
            text::parsed(&text::digits(column, 6)?, kind)
        }
        (Type::Float8, Type::Numeric(..)) => text::parsed(&text::digits(column, 15)?, kind),
        (Type::Float4 | Type::Float8, _) => floats(column, kind),
        (Type::Timestamp | Type::Timestamptz, Type::Date) => {
            let moments = plain(column, &Type::Timestamp.arrow())?;
            let days = moments.as_primitive::<TimestampMicrosecondType>().try_unary::<_, Date32Type, _>(|micros| {
                i32::try_from(micros.div_euclid(86_400_000_000)).map_err(|_| out_of_range("date"))
            })?;
            Ok(Arc::new(days))
        }
        (Type::Time, Type::Interval) => periods::of_times(column),
        (Type::Interval, Type::Time) => periods::times_of(column),
        _ => plain(column, kind),
    }
}

/// DataFusion's own cast; what does not fit is an error.
fn plain(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    Ok(arrow::compute::cast_with_options(column, kind, &options)?)
}

fn integers<T: ArrowPrimitiveType>(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef>
where
    T::Native: Into<i128> + Copy,
{
    let column = column.as_primitive::<T>();
    match kind {
        DataType::Int16 => Ok(Arc::new(column.try_unary::<_, Int16Type, _>(|value| {
            i16::try_from(value.into()).map_err(|_| out_of_range("smallint"))
        })?)),
        DataType::Int32 => {
            Ok(Arc::new(column.try_unary::<_, Int32Type, _>(|value| {
                i32::try_from(value.into()).map_err(|_| out_of_range("integer"))
            })?))
        }
        DataType::Decimal128(precision, _) => {
            let up = power_of_ten(scale_of(kind));
            let result: Decimal128Array =
                column.try_unary(|value| fitting(value.into().checked_mul(up), *precision))?;
            Ok(Arc::new(result.with_data_type(kind.clone())))
        }
        _ => plain(&(Arc::new(column.clone()) as ArrayRef), kind),
    }
}

fn numerics(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let from = scale_of(column.data_type());
    let column = column.as_primitive::<Decimal128Type>();
    let whole = |value: i128| rounded(value, power_of_ten(from));
    match kind {
        DataType::Int16 => Ok(Arc::new(column.try_unary::<_, Int16Type, _>(|value| {
            whole(value).and_then(|value| i16::try_from(value).ok()).ok_or_else(|| out_of_range("smallint"))
        })?)),
        DataType::Int32 => Ok(Arc::new(column.try_unary::<_, Int32Type, _>(|value| {
            whole(value).and_then(|value| i32::try_from(value).ok()).ok_or_else(|| out_of_range("integer"))
        })?)),
        DataType::Int64 => Ok(Arc::new(column.try_unary::<_, Int64Type, _>(|value| {
            whole(value).and_then(|value| i64::try_from(value).ok()).ok_or_else(|| out_of_range("bigint"))
        })?)),
        DataType::Decimal128(precision, _) => {
            let to = scale_of(kind);
            let result: Decimal128Array = column.try_unary(|value| {
                let value = match to >= from {
                    true => value.checked_mul(power_of_ten(to - from)),
                    false => rounded(value, power_of_ten(from - to)),
                };
                fitting(value, *precision)
            })?;
            Ok(Arc::new(result.with_data_type(kind.clone())))
        }
        // The nearest float of the decimal text: a quotient of two floats would round twice.
        _ => text::parsed(&text::written(&(Arc::new(column.clone()) as ArrayRef))?, kind),
    }
}

fn floats(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let wide = plain(column, &DataType::Float64)?;
    let wide = wide.as_primitive::<Float64Type>();
    // Ties go to the even number, as in C's rint. The limits are exact as floats, or the first that is beyond.
    let within = |value: f64, low: f64, end: f64, what: &str| {
        let whole = value.round_ties_even();
        if whole >= low && whole < end { Ok(whole) } else { Err(out_of_range(what)) }
    };
    match kind {
        #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
        DataType::Int16 => Ok(Arc::new(wide.try_unary::<_, Int16Type, _>(|value| {
            within(value, -32_768.0, 32_768.0, "smallint").map(|whole| whole as i16)
        })?)),
        #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
        DataType::Int32 => Ok(Arc::new(wide.try_unary::<_, Int32Type, _>(|value| {
            within(value, -2_147_483_648.0, 2_147_483_648.0, "integer").map(|whole| whole as i32)
        })?)),
        #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
        DataType::Int64 => Ok(Arc::new(wide.try_unary::<_, Int64Type, _>(|value| {
            within(value, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, "bigint").map(|whole| whole as i64)
        })?)),
        #[allow(clippy::cast_possible_truncation, reason = "infinity out of a finite value is looked for")]
        DataType::Float32 => Ok(Arc::new(wide.try_unary::<_, Float32Type, _>(|value| {
            let narrow = value as f32;
            let is_lost = (narrow.is_infinite() && value.is_finite()) || (narrow == 0.0 && value != 0.0);
            if is_lost { Err(out_of_range("real")) } else { Ok(narrow) }
        })?)),
        _ => plain(column, kind),
    }
}
