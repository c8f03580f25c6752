//! CASE, COALESCE and their like: several operands of one type.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, InList};
use datafusion::logical_expr::{Expr, Operator};

use super::cast;
use super::compare::compare;
use super::json;
use super::kernel::{Form, Kernel};
use super::types::{Operand, Type, refused};

/// The operands with the one type that Postgres gives them all.
pub(super) fn unified(what: &str, operands: Vec<Operand>) -> Result<Vec<Operand>> {
    let mut kind = Type::Unknown;
    for operand in &operands {
        kind = kind
            .unify(&operand.kind)
            .ok_or_else(|| refused(format!("{what} can't take both {kind} and {}: cast one of them", operand.kind)))?;
    }
    let kind = if matches!(kind, Type::Unknown | Type::Char) { Type::Text } else { kind };
    operands.into_iter().map(|operand| cast::implicit(operand, &kind)).collect()
}

/// CASE, of an operand or of conditions.
pub(super) fn case(operands: Vec<Operand>, has_operand: bool) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let subject = if has_operand { operands.next() } else { None };
    if subject.as_ref().is_some_and(|subject| nesting_of_cases(&subject.expr) >= MAX_NESTING) {
        return Err(refused("CASE is nested too deeply in its own operand"));
    }
    let mut conditions = Vec::new();
    let mut results = Vec::new();
    while let Some(first) = operands.next() {
        let Some(result) = operands.next() else {
            results.push(first);
            break;
        };
        conditions.push(match &subject {
            Some(subject) => compare(Operator::Eq, subject.clone(), first)?,
            None => cast::implicit(first, &Type::Bool)?.expr,
        });
        results.push(result);
    }
    let results = unified("CASE", results)?;
    let kind = results.first().map_or(Type::Unknown, |operand| operand.kind.clone());
    let is_condition = kind == Type::Bool;
    let flag = |operand: Operand| match is_condition {
        true => Kernel::call("flag", Form::Cast, Type::Int4, flags, vec![operand.expr]),
        false => operand.expr,
    };
    let mut results = results.into_iter().map(|operand| Box::new(flag(operand)));
    let branches = conditions.into_iter().map(Box::new).zip(results.by_ref()).collect();
    let rest = results.next();
    let case = Expr::Case(Case::new(None, branches, rest));
    Ok(match is_condition {
        true => Kernel::call("truth", Form::Cast, Type::Bool, truths, vec![case]),
        false => json::kept(case, &kind),
    })
}

/// A condition as a number. DataFusion makes AND and OR of a CASE whose branches are conditions, which compute its branches
/// for rows that they are not meant for: `CASE WHEN i <> 0 THEN 10 / i > 1 ELSE false END`.
fn flags(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = columns[0].as_boolean().iter().map(|value| value.map(i32::from));
    Ok(Arc::new(values.collect::<Int32Array>()))
}

fn truths(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = columns[0].as_primitive::<Int32Type>().iter().map(|value| value.map(|value| value != 0));
    Ok(Arc::new(values.collect::<BooleanArray>()))
}

/// IN
pub(super) fn within(operands: Vec<Operand>) -> Result<Expr> {
    let mut list = operands.into_iter();
    let value = list.next().ok_or_else(|| refused("IN needs an operand"))?;
    let list: Vec<Operand> = list.collect();
    let kind = list.iter().try_fold(value.kind.clone(), |kind, operand| kind.unify(&operand.kind));
    match kind {
        // A real is compared with several numbers as a real, and with one as a double.
        Some(Type::Float4) if list.len() > 1 => {
            let one = |operand| {
                let expr = cast::convert(operand, &Type::Float4, false)?;
                compare(Operator::Eq, value.clone(), Operand { expr, kind: Type::Float4 })
            };
            let found = list.into_iter().map(one).collect::<Result<Vec<_>>>()?;
            any(found).ok_or_else(|| refused("IN needs a list"))
        }
        Some(kind)
            if !kind.is_float()
                && !kind.is_json()
                && !matches!(kind, Type::Interval | Type::Unknown)
                && !matches!(value.kind, Type::Char | Type::Native(_)) =>
        {
            let one = |operand| cast::implicit(operand, &kind).map(|operand| operand.expr);
            let (value, list) = (one(value)?, list.into_iter().map(one).collect::<Result<Vec<_>>>()?);
            Ok(Expr::InList(InList::new(Box::new(value), list, false)))
        }
        _ => {
            let found = list.into_iter().map(|operand| compare(Operator::Eq, value.clone(), operand));
            let found = found.collect::<Result<Vec<_>>>()?;
            any(found).ok_or_else(|| refused("IN needs a list"))
        }
    }
}

/// Conditions of which one is enough.
pub(super) fn either(operands: Vec<Operand>) -> Result<Expr> {
    let conditions =
        operands.into_iter().map(|operand| cast::implicit(operand, &Type::Bool).map(|operand| operand.expr));
    any(conditions.collect::<Result<_>>()?).ok_or_else(|| refused("IN needs a list"))
}

/// Conditions joined by OR, as a tree that is no deeper than it must be: a list may have thousands.
fn any(mut conditions: Vec<Expr>) -> Option<Expr> {
    while conditions.len() > 1 {
        let mut joined = Vec::with_capacity(conditions.len().div_ceil(2));
        let mut rest = conditions.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => left.or(right),
                None => left,
            });
        }
        conditions = joined;
    }
    conditions.pop()
}

/// COALESCE within COALESCE: DataFusion writes each value twice, and those within it four times.
const MAX_NESTING: usize = 6;

fn nesting_of_cases(expr: &Expr) -> usize {
    let mut inner = 0;
    let _ = expr.apply_children(|child| {
        inner = inner.max(nesting_of_cases(child));
        Ok(TreeNodeRecursion::Continue)
    });
    inner + usize::from(matches!(expr, Expr::Case(_)))
}

fn nesting(expr: &Expr) -> usize {
    let mut inner = 0;
    let _ = expr.apply_children(|child| {
        inner = inner.max(nesting(child));
        Ok(TreeNodeRecursion::Continue)
    });
    let is_one = matches!(expr, Expr::ScalarFunction(call) if call.name() == "coalesce");
    inner + usize::from(is_one)
}

/// COALESCE
pub(super) fn coalesce(operands: Vec<Operand>) -> Result<Expr> {
    let operands = unified("COALESCE", operands)?;
    let kind = operands.first().map_or(Type::Unknown, |operand| operand.kind.clone());
    let operands: Vec<Expr> = operands.into_iter().map(|operand| operand.expr).collect();
    if operands.iter().map(nesting).max().unwrap_or(0) >= MAX_NESTING {
        return Err(refused("COALESCE is nested too deeply: it takes any number of values"));
    }
    Ok(json::kept(super::functions::of_theirs("coalesce", operands)?, &kind))
}

/// NULLIF
pub(super) fn nullif(operands: Vec<Operand>) -> Result<Expr> {
    let [left, right] = <[Operand; 2]>::try_from(operands).map_err(|_| refused("NULLIF has two operands"))?;
    let left = match (&left.kind, &right.kind) {
        (Type::Unknown | Type::Char, _) => cast::implicit(left, &Type::Text)?,
        (l, r @ (Type::Numeric(..) | Type::Float8)) if l.is_integer() || (r.is_float() && l.is_number()) => {
            let kind = l.unify(r).unwrap_or_else(|| l.clone());
            cast::implicit(left, &kind)?
        }
        _ => left,
    };
    let is_plain = !left.kind.is_float() && !left.kind.is_json();
    if left.kind == right.kind && is_plain && !matches!(left.kind, Type::Interval | Type::Array(_)) {
        return super::functions::of_theirs("nullif", vec![left.expr, right.expr]);
    }
    if nesting_of_cases(&left.expr) >= MAX_NESTING {
        return Err(refused("NULLIF is nested too deeply"));
    }
    let are_equal = compare(Operator::Eq, left.clone(), right)?;
    let null = Operand { expr: Expr::Literal(datafusion::common::ScalarValue::Null, None), kind: Type::Unknown };
    let null = cast::implicit(null, &left.kind)?;
    let case = Case::new(None, vec![(Box::new(are_equal), Box::new(null.expr))], Some(Box::new(left.expr)));
    Ok(json::kept(Expr::Case(case), &left.kind))
}

/// GREATEST and LEAST pass over NULLs.
pub(super) fn extreme(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let operands = unified(name, operands)?;
    if operands.iter().any(|operand| {
        operand.kind.is_json() || matches!(operand.kind, Type::Interval | Type::Array(_) | Type::Other(_))
    }) {
        return Err(refused(format!("{name} of this type is not supported")));
    }
    super::functions::of_theirs(name, operands.into_iter().map(|operand| operand.expr).collect())
}
