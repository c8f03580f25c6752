//! Comparisons. They stay DataFusion's own expressions, so that filters reach sources; only their operands are cast.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::kernel::{Form, Kernel};
use super::types::{MAX_DIGITS, Operand, Type, has_labels, refused};
use super::{cast, json, moments};

/// Compares two operands.
pub(super) fn compare(op: Operator, left: Operand, right: Operand) -> Result<Expr> {
    if let Some(compared) = json::compared(op, &left, &right)? {
        return Ok(compared);
    }
    let (left, right) = comparable(op, left, right)?;
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
}

/// IS DISTINCT FROM
pub(super) fn distinct(operands: Vec<Operand>) -> Result<Expr> {
    let [left, right] = <[Operand; 2]>::try_from(operands).map_err(|_| refused("IS DISTINCT FROM has two operands"))?;
    compare(Operator::IsDistinctFrom, left, right)
}

/// `=` of operands of which each value equals one value alone: rows that are grouped by one are those that are equal to it.
pub(super) fn exactly(operands: Vec<Operand>) -> Result<Expr> {
    let [left, right] = <[Operand; 2]>::try_from(operands).map_err(|_| refused("= has two operands"))?;
    let is_exact = |kind: &Type| kind.is_integer() || matches!(kind, Type::Numeric(..));
    let is_fine = left.kind == right.kind || (is_exact(&left.kind) && is_exact(&right.kind));
    if !is_fine || matches!(left.kind, Type::Native(_)) {
        return Err(refused(format!("LATERAL with a limit can't join {} and {}: cast one", left.kind, right.kind)));
    }
    compare(Operator::Eq, left, right)
}

/// AND, OR
pub(super) fn logic(op: Operator, left: Operand, right: Operand) -> Result<Expr> {
    let side = |operand: Operand| match operand.kind {
        Type::Bool | Type::Unknown => Ok(Box::new(cast::implicit(operand, &Type::Bool)?.expr)),
        kind => Err(refused(format!("{op} needs conditions; this is {kind}"))),
    };
    Ok(Expr::BinaryExpr(BinaryExpr::new(side(left)?, op, side(right)?)))
}

/// BETWEEN
pub(super) fn between(operands: Vec<Operand>) -> Result<Expr> {
    let [value, low, high] = <[Operand; 3]>::try_from(operands).map_err(|_| refused("BETWEEN has three operands"))?;
    let (from, low) = comparable(Operator::GtEq, value.clone(), low)?;
    let (to, high) = comparable(Operator::LtEq, value, high)?;
    if from == to {
        return Ok(Expr::Between(Between::new(Box::new(from), false, Box::new(low), Box::new(high))));
    }
    let compare = |left, op, right| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    Ok(compare(from, Operator::GtEq, low).and(compare(to, Operator::LtEq, high)))
}

fn comparable(op: Operator, left: Operand, right: Operand) -> Result<(Expr, Expr)> {
    let none = |left: &Operand, right: &Operand| {
        refused(format!("there is no operator {} {op} {}: cast one side", left.kind, right.kind))
    };
    let equals = matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom);
    let kind = match (&left.kind, &right.kind) {
        (Type::Unknown, Type::Unknown) => Type::Text,
        (Type::Char, Type::Char | Type::Unknown) | (Type::Unknown, Type::Char) => Type::Text,
        (Type::Float4, Type::Float4) => Type::Float4,
        (l, r) if l.is_float() && r.is_number() || r.is_float() && l.is_number() => Type::Float8,
        // These two DataFusion compares exactly, and moves the cast to the literal.
        (l, r) if l.is_number() && r.is_number() => return Ok((left.expr, right.expr)),
        (Type::Native(one), Type::Unknown) | (Type::Unknown, Type::Native(one)) if equals && has_labels(one) => {
            Type::Text
        }
        (Type::Native(one), Type::Native(other)) if equals && one == other && has_labels(one) => Type::Text,
        (Type::Native(_), _) | (_, Type::Native(_)) => return Err(none(&left, &right)),
        (l, r) => l.unify(r).ok_or_else(|| none(&left, &right))?,
    };
    let is_padded = left.kind == Type::Char || right.kind == Type::Char;
    // A quoted literal is a char(n), too, beside one; a text keeps its blanks.
    let trims = (left.kind != Type::Text, right.kind != Type::Text);
    let (left, right) = (labelled(left), labelled(right));
    let (left, right) = (cast::implicit(left, &kind)?, cast::implicit(right, &kind)?);
    if is_padded {
        return Ok((
            if trims.0 { trimmed(left) } else { left.expr },
            if trims.1 { trimmed(right) } else { right.expr },
        ));
    }
    match kind {
        Type::Float4 | Type::Float8 if !is_plain(&left.expr) && !is_plain(&right.expr) => {
            Ok((one_zero(left), one_zero(right)))
        }
        Type::Interval => Ok((length(left), length(right))),
        Type::Array(_) if !matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom) => {
            Err(refused("arrays are compared by = and <> alone"))
        }
        _ => Ok((left.expr, right.expr)),
    }
}

/// A float that neither is zero nor NaN compares as in Postgres with whatever is on the other side.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => *value != 0.0 && !value.is_nan(),
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => *value != 0.0 && !value.is_nan(),
        Expr::Literal(ScalarValue::Int32(Some(value)), _) => *value != 0,
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_plain(&cast.expr),
        _ => false,
    }
}

/// Arrow orders -0 before 0 and tells NaNs apart; to Postgres there is one of each.
fn one_zero(operand: Operand) -> Expr {
    Kernel::call("one_zero", Form::Call, operand.kind, zeros, vec![operand.expr])
}

fn zeros(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    Ok(match kind {
        DataType::Float32 => Arc::new(
            columns[0]
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
        ),
        _ => Arc::new(
            columns[0]
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        ),
    })
}

/// The text of a label.
fn labelled(operand: Operand) -> Operand {
    match operand.kind {
        Type::Native(_) => Operand { kind: Type::Text, ..operand },
        _ => operand,
    }
}

fn trimmed(operand: Operand) -> Expr {
    Kernel::call("trimmed", Form::Call, Type::Text, super::text::without_blanks, vec![operand.expr])
}

/// A float as the key of an order: -0 and 0 are equal, and so are all NaNs; bytes as text, which is ordered alike.
pub(super) fn key(operand: Operand) -> Result<Expr> {
    match &operand.kind {
        Type::Native(name) => Err(refused(format!("{name} is read as text and has another order: cast it"))),
        Type::Float4 | Type::Float8 => Ok(one_zero(operand)),
        // A frame by RANGE adds to the key, which must not end at the type's own limit.
        Type::Int2 | Type::Int4 => cast::convert(operand, &Type::Int8, false),
        Type::Bytea | Type::Char => cast::convert(operand, &Type::Text, false),
        Type::Interval => Ok(length(operand)),
        _ => Ok(operand.expr),
    }
}

fn length(operand: Operand) -> Expr {
    Kernel::call("length", Form::Call, Type::Numeric(MAX_DIGITS, 0), moments::lengths, vec![operand.expr])
}
