//! Types of set operations and recursive queries: what Postgres would not bring together is refused.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::types::{Type, refused};

/// Looks at the set operations of a plan as it was written, before anything is cast.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Union(union) => {
                for input in union.inputs.iter().skip(1) {
                    one_type(&union.inputs[0], input, "UNION")?;
                }
            }
            LogicalPlan::RecursiveQuery(query) => {
                recursion(&query.static_term, &query.recursive_term)?;
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The recursive part must fit the first one: DataFusion casts it, in silence.
fn recursion(first: &LogicalPlan, rest: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Projection(projection) = rest else { return Ok(()) };
    for (field, expr) in first.schema().fields().iter().zip(&projection.expr) {
        let (wanted, expr) = (Type::of(field.data_type()), expr.clone().unalias());
        let Expr::Cast(cast) = &expr else { continue };
        let found = Type::of(&cast.expr.get_type(projection.input.schema())?);
        if wanted.unify(&found).as_ref() != Some(&wanted) {
            return Err(refused(format!(
                "the recursive query begins with {wanted} and goes on with {found}: cast one of them"
            )));
        }
    }
    Ok(())
}

fn one_type(left: &LogicalPlan, right: &LogicalPlan, what: &str) -> Result<()> {
    for (left, right) in left.schema().fields().iter().zip(right.schema().fields()) {
        let (one, other) = (Type::of(left.data_type()), Type::of(right.data_type()));
        let exact = |kind: &Type| matches!(kind, Type::Numeric(..)) || kind.is_integer();
        let mixes = (one.is_float() && exact(&other)) || (other.is_float() && exact(&one));
        if one.unify(&other).is_none() || mixes {
            return Err(refused(format!("{what} can't take both {one} and {other}: cast one of them")));
        }
    }
    Ok(())
}
