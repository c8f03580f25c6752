//! Aggregates and functions of windows: which there are, what they take, and the types that Postgres gives them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::planner::{RawAggregateExpr, RawWindowExpr};
use datafusion::logical_expr::{Cast, Expr};

use super::cast;
use super::json;
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};

/// What an aggregate takes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    Anything,
    /// What has an order: no conditions.
    Ordered,
    /// Numbers and intervals.
    Summable,
    Floats,
    Integers,
    Conditions,
    Texts,
}

fn takes(name: &str) -> Option<Takes> {
    Some(match name {
        "count" | "array_agg" | "first_value" | "last_value" | "nth_value" | "lag" | "lead" | "ntile"
        | "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "grouping" | "json_agg"
        | "jsonb_agg" => Takes::Anything,
        "min" | "max" => Takes::Ordered,
        "sum" | "avg" => Takes::Summable,
        "stddev" | "stddev_pop" | "stddev_samp" | "var_pop" | "var_samp" | "corr" | "covar_pop" | "covar_samp"
        | "regr_avgx" | "regr_avgy" | "regr_count" | "regr_intercept" | "regr_r2" | "regr_slope" | "regr_sxx"
        | "regr_sxy" | "regr_syy" => Takes::Floats,
        "bit_and" | "bit_or" | "bit_xor" => Takes::Integers,
        "bool_and" | "bool_or" => Takes::Conditions,
        "string_agg" => Takes::Texts,
        _ => return None,
    })
}

/// An argument of an aggregate, as its name and its place say: `sum 0`.
pub(super) fn argument(what: &str, operands: Vec<Operand>) -> Result<Expr> {
    let (name, place) = what.split_once(' ').unwrap_or((what, "0"));
    let operand = operands.into_iter().next().ok_or_else(|| refused(format!("{name} needs an argument")))?;
    let takes = takes(name).ok_or_else(|| refused(format!("there is no aggregate {name} here")))?;
    if place != "0" && matches!(name, "lag" | "lead" | "nth_value" | "ntile") {
        return further(name, place, operand);
    }
    if name == "string_agg" && place == "1" && operand.literal().is_none() {
        return Err(refused("string_agg takes a quoted separator"));
    }
    let none = |kind: &Type| refused(format!("there is no aggregate {name}({kind})"));
    if matches!(name, "json_agg" | "jsonb_agg") {
        return json::piece(name, operand);
    }
    if operand.kind.is_json() && takes == Takes::Anything {
        return document(name, operand);
    }
    let kind = match (takes, &operand.kind) {
        (_, Type::Char) => Type::Text,
        (Takes::Anything, _) => return Ok(operand.expr),
        (
            Takes::Ordered,
            Type::Native(_) | Type::Bool | Type::Array(_) | Type::Bytea | Type::Other(_) | Type::Interval,
        ) => {
            return Err(none(&operand.kind));
        }
        (Takes::Ordered, Type::Unknown) | (Takes::Texts, Type::Unknown) => Type::Text,
        (Takes::Ordered, kind) => kind.clone(),
        (Takes::Summable, kind) if kind.is_number() || *kind == Type::Interval => kind.clone(),
        (Takes::Floats, kind) if kind.is_float() => Type::Float8,
        (Takes::Floats, kind) if kind.is_number() => {
            return Err(refused(format!("{name} of {kind} has more digits in Postgres: cast it to double precision")));
        }
        (Takes::Integers, kind) if kind.is_integer() => kind.clone(),
        (Takes::Conditions, Type::Bool | Type::Unknown) => Type::Bool,
        (Takes::Texts, Type::Text) => Type::Text,
        (_, kind) => return Err(none(kind)),
    };
    let is_extreme = takes == Takes::Ordered;
    let operand = cast::implicit(operand, &kind)?;
    if is_extreme && kind.is_float() {
        return Ok(ordered(operand));
    }
    Ok(operand.expr)
}

/// A document as an argument: counted it may be, once for each value that is equal to Postgres.
fn document(name: &str, operand: Operand) -> Result<Expr> {
    match name {
        "count" if operand.kind.is_jsonb() => Ok(json::key(operand.expr)),
        "count" => Ok(json::counted(operand.expr)),
        _ => Err(refused(format!("{name} of {} is not supported: cast it to text", operand.kind))),
    }
}

/// Offsets and defaults of functions of windows.
fn further(name: &str, place: &str, operand: Operand) -> Result<Expr> {
    match (&operand.expr, place) {
        (Expr::Literal(ScalarValue::Int32(Some(0)), _), "1") if name == "nth_value" => {
            Err(refused("the rows of nth_value are counted from 1"))
        }
        (Expr::Literal(ScalarValue::Int32(Some(offset)), _), "1") => {
            Ok(Expr::Literal(ScalarValue::Int64(Some(i64::from(*offset))), None))
        }
        (Expr::Literal(ScalarValue::Int32(_), _), _) => Ok(operand.expr),
        (Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, _), "2") => Ok(operand.expr),
        (_, "1") => Err(refused(format!("{name} takes a number as its offset"))),
        _ => Err(refused(format!("{name} takes a whole number, a quoted value or NULL as its default"))),
    }
}

/// Whether these are the arguments of `count(*)`, which DataFusion's own planner knows.
#[expect(deprecated, reason = "the planner says so of * in an argument")]
pub(super) fn is_count_of_rows(args: &[Expr]) -> bool {
    args.is_empty() || args.iter().any(|arg| matches!(arg, Expr::Wildcard { .. }))
}

/// Names of the kernels that make a float comparable as an integer, and back.
const ORDERED: [&str; 2] = ["ordered4", "ordered8"];

/// A float as an integer of the same order, NaN above all: DataFusion's grouped min and max pass over NaN.
fn ordered(operand: Operand) -> Expr {
    let is_single = operand.kind == Type::Float4;
    let name = ORDERED[usize::from(!is_single)];
    let body: Body = |columns, _| {
        let wide = arrow::compute::cast(&columns[0], &DataType::Float64)?;
        let values = wide.as_primitive::<Float64Type>();
        Ok(Arc::new(values.unary::<_, Int64Type>(|value| {
            let bits = if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }.cast_signed();
            bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
        })))
    };
    Kernel::call(name, Form::Cast, Type::Int8, body, vec![operand.expr])
}

fn ordered_kind(args: &[Expr]) -> Option<Type> {
    match args {
        [Expr::ScalarFunction(call)] if call.name() == ORDERED[0] => Some(Type::Float4),
        [Expr::ScalarFunction(call)] if call.name() == ORDERED[1] => Some(Type::Float8),
        _ => None,
    }
}

/// The float that an ordered integer stands for.
fn unordered(call: Expr, kind: Option<Type>) -> Expr {
    let Some(kind) = kind else { return call };
    let body: Body = |columns, kind| {
        let values = columns[0].as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| {
            let bits = value ^ ((value >> 63).cast_unsigned() >> 1).cast_signed();
            f64::from_bits(bits.cast_unsigned())
        });
        let wide: ArrayRef = Arc::new(values);
        Ok(arrow::compute::cast(&wide, kind)?)
    };
    Kernel::call("unordered", Form::Cast, kind, body, vec![call])
}

/// The call of an aggregate, under the name that the statement uses.
pub(super) fn aggregate(raw: RawAggregateExpr) -> Result<Expr> {
    let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
    if distinct && order_by.is_empty() && matches!(func.name(), "array_agg" | "string_agg") {
        return Err(refused(format!("{}(DISTINCT …) needs ORDER BY: its order says what comes out", func.name())));
    }
    if distinct && args.iter().any(json::is_counted) {
        return Err(refused("json has no equality, so that it can't be DISTINCT: cast it to jsonb or text"));
    }
    let kind = ordered_kind(&args);
    let call = AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment);
    Ok(unordered(Expr::AggregateFunction(call), kind))
}

/// The call of a function of windows, with the type that Postgres gives it.
pub(super) fn window(raw: RawWindowExpr) -> Result<Expr> {
    let RawWindowExpr { func_def, args, partition_by, order_by, window_frame, filter, null_treatment, distinct } = raw;
    let kind = match func_def.name() {
        "row_number" | "rank" | "dense_rank" => Some(Type::Int8),
        "ntile" => Some(Type::Int4),
        _ => None,
    };
    let extreme = ordered_kind(&args);
    let params = WindowFunctionParams { args, partition_by, order_by, window_frame, filter, null_treatment, distinct };
    let call = Expr::WindowFunction(Box::new(WindowFunction { fun: func_def, params }));
    Ok(match kind {
        Some(kind) => Expr::Cast(Cast::new(Box::new(call), kind.arrow())),
        None => unordered(call, extreme),
    })
}
