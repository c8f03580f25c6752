//! CASE, COALESCE and their like: several operands of one type.

use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, InList};
use datafusion::logical_expr::{Expr, Operator};

use super::cast;
use super::compare::compare;
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
    let mut results = unified("CASE", results)?.into_iter().map(|operand| Box::new(opaque(operand)));
    let branches = conditions.into_iter().map(Box::new).zip(results.by_ref()).collect();
    let rest = results.next();
    Ok(Expr::Case(Case::new(None, branches, rest)))
}

/// A branch that is true or false for good: DataFusion would make AND and OR of such a CASE, which compute its other branches
/// for rows that they are not meant for. So it must not see the value.
fn opaque(operand: Operand) -> Expr {
    match &operand.expr {
        Expr::Literal(datafusion::common::ScalarValue::Boolean(_), _) => {
            let body: super::kernel::Body = |columns, _| Ok(std::sync::Arc::clone(&columns[0]));
            Kernel::fixed("as_is", Form::Cast, Type::Bool, body, vec![operand.expr])
        }
        _ => operand.expr,
    }
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
            if !kind.is_float() && !matches!(kind, Type::Interval | Type::Unknown) && value.kind != Type::Char =>
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

/// COALESCE
pub(super) fn coalesce(operands: Vec<Operand>) -> Result<Expr> {
    let operands = unified("COALESCE", operands)?;
    super::functions::of_theirs("coalesce", operands.into_iter().map(|operand| operand.expr).collect())
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
    let are_equal = compare(Operator::Eq, left.clone(), right)?;
    let null = Operand { expr: Expr::Literal(datafusion::common::ScalarValue::Null, None), kind: Type::Unknown };
    let null = cast::implicit(null, &left.kind)?;
    Ok(Expr::Case(Case::new(None, vec![(Box::new(are_equal), Box::new(null.expr))], Some(Box::new(left.expr)))))
}

/// GREATEST and LEAST pass over NULLs.
pub(super) fn extreme(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let operands = unified(name, operands)?;
    if operands.iter().any(|operand| matches!(operand.kind, Type::Interval | Type::Array(_) | Type::Other(_))) {
        return Err(refused(format!("{name} of this type is not supported")));
    }
    super::functions::of_theirs(name, operands.into_iter().map(|operand| operand.expr).collect())
}
