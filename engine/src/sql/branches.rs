//! One type for each column of UNION, where DataFusion would choose another than Postgres: dates beside timestamps, floats
//! beside numerics, quoted literals beside anything.
//!
//! Only of a statement's own UNION: what is computed of one in FROM has the type of its first branch already.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Distinct, Expr, Limit, LogicalPlan, Projection, Sort, Union};

use super::cast;
use super::types::{Operand, Type};

/// The plan of a statement with one type for each column of its UNION.
pub(crate) fn aligned(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) if sort.expr.iter().all(|key| matches!(key.expr, Expr::Column(_))) => {
            let input = Arc::new(aligned(Arc::unwrap_or_clone(sort.input))?);
            Ok(LogicalPlan::Sort(Sort { expr: sort.expr, input, fetch: sort.fetch }))
        }
        LogicalPlan::Limit(limit) => {
            let input = Arc::new(aligned(Arc::unwrap_or_clone(limit.input))?);
            Ok(LogicalPlan::Limit(Limit { skip: limit.skip, fetch: limit.fetch, input }))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(aligned(Arc::unwrap_or_clone(input))?))))
        }
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter().map(|input| aligned(input.as_ref().clone()));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            match targets(&inputs)? {
                Some(targets) => {
                    let cast = inputs.iter().map(|input| Ok(Arc::new(brought(input, &targets)?)));
                    let cast = cast.collect::<Result<Vec<_>>>()?;
                    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(cast)?))
                }
                None if union.inputs.iter().zip(&inputs).all(|(before, after)| **before == *after) => {
                    Ok(LogicalPlan::Union(union))
                }
                None => {
                    let inputs = inputs.into_iter().map(Arc::new).collect();
                    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
                }
            }
        }
        other => Ok(other),
    }
}

/// The types to which columns are cast, if there are any.
fn targets(inputs: &[LogicalPlan]) -> Result<Option<Vec<Option<Type>>>> {
    let width = inputs.first().map_or(0, |input| input.schema().fields().len());
    if inputs.iter().any(|input| input.schema().fields().len() != width) {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(width);
    for place in 0..width {
        let operands = inputs.iter().map(|input| operand(input, place)).collect::<Result<Vec<_>>>()?;
        found.push(target(&operands));
    }
    Ok(found.iter().any(Option::is_some).then_some(found))
}

fn target(operands: &[Operand]) -> Option<Type> {
    let kind = operands.iter().try_fold(Type::Unknown, |kind, operand| kind.unify(&operand.kind))?;
    let is_exact = |kind: &Type| kind.is_integer() || matches!(kind, Type::Numeric(..));
    let is_known = !matches!(kind, Type::Unknown | Type::Text | Type::Char | Type::Native(_) | Type::Other(_));
    let differs = |operand: &Operand| {
        operand.literal().is_some() && operand.kind == Type::Unknown
            || kind.is_moment() && operand.kind != kind
            || kind.is_float() && is_exact(&operand.kind)
    };
    (is_known && operands.iter().any(differs)).then_some(kind)
}

/// A column of a branch: a quoted literal is still one.
fn operand(input: &LogicalPlan, place: usize) -> Result<Operand> {
    if let LogicalPlan::Projection(projection) = input
        && let Some(expr) = projection.expr.get(place).map(|expr| expr.clone().unalias())
        && matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), None))
    {
        return Ok(Operand { expr, kind: Type::Unknown });
    }
    let column = input.schema().columns().swap_remove(place);
    Operand::new(Expr::Column(column), input.schema())
}

/// A branch whose columns have these types.
fn brought(input: &LogicalPlan, targets: &[Option<Type>]) -> Result<LogicalPlan> {
    let mut listed = Vec::with_capacity(targets.len());
    for (place, target) in targets.iter().enumerate() {
        let (relation, field) = input.schema().qualified_field(place);
        listed.push(match target {
            Some(kind) => {
                let value = cast::convert(operand(input, place)?, kind, false)?;
                value.alias_qualified(relation.cloned(), field.name())
            }
            None => Expr::Column(input.schema().columns().swap_remove(place)),
        });
    }
    Ok(LogicalPlan::Projection(Projection::try_new(listed, Arc::new(input.clone()))?))
}
