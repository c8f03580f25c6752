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
            found.into_iter().reduce(Expr::or).ok_or_else(|| refused("IN needs a list"))
        }
    }
}

/// COALESCE
pub(super) fn coalesce(operands: Vec<Operand>) -> Result<Expr> {
    let mut operands = unified("COALESCE", operands)?;
    let last = operands.pop().ok_or_else(|| refused("COALESCE needs an operand"))?;
    if operands.is_empty() {
        return Ok(last.expr);
    }
    let branches = operands
        .into_iter()
        .map(|operand| (Box::new(Expr::IsNotNull(Box::new(operand.expr.clone()))), Box::new(operand.expr)));
    Ok(Expr::Case(Case::new(None, branches.collect(), Some(Box::new(last.expr)))))
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
    let op = if name == "greatest" { Operator::Gt } else { Operator::Lt };
    let mut operands = unified(name, operands)?.into_iter();
    let first = operands.next().ok_or_else(|| refused(format!("{name} needs an operand")))?;
    let best = operands.try_fold(first, |best, next| -> Result<Operand> {
        let is_better = compare(op, best.clone(), next.clone())?;
        let keeps = is_better.or(Expr::IsNull(Box::new(next.expr.clone())));
        let case = Case::new(None, vec![(Box::new(keeps), Box::new(best.expr))], Some(Box::new(next.expr)));
        Ok(Operand { expr: Expr::Case(case), kind: best.kind })
    })?;
    Ok(best.expr)
}
