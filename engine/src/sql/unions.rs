//! Types of set operations and recursive queries: what Postgres would not bring together is refused.

use arrow::datatypes::Field;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

use super::types::{Operand, Type, refused};
use crate::NATIVE_TYPE;

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
            LogicalPlan::Aggregate(aggregate) => grouped(&aggregate.group_expr, aggregate.input.schema())?,
            LogicalPlan::Distinct(Distinct::On(distinct)) => grouped(&distinct.on_expr, distinct.input.schema())?,
            LogicalPlan::Distinct(Distinct::All(input)) => {
                for field in input.schema().fields() {
                    no_document(field)?;
                }
            }
            // INTERSECT, EXCEPT and joins with USING compare columns by name or place.
            LogicalPlan::Join(join) => {
                for (left, right) in &join.on {
                    let left = Operand::new(left.clone(), join.left.schema())?;
                    let right = Operand::new(right.clone(), join.right.schema())?;
                    same_kind(&left.kind, &right.kind, "this join or set operation")?;
                }
            }
            _ => {}
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::InSubquery(within) = expr {
                    membership(node, within)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether a field holds json or jsonb.
fn document(field: &Field) -> Option<&str> {
    let native = field.metadata().get(NATIVE_TYPE).map(String::as_str);
    native.filter(|native| matches!(*native, "json" | "jsonb") && Type::of(field.data_type()) == Type::Text)
}

/// Documents that are equal may be written in several ways, and DataFusion groups texts.
fn no_document(field: &Field) -> Result<()> {
    match document(field) {
        Some(kind) => Err(refused(format!("{kind} can't be grouped and made distinct here: cast it to text"))),
        None => Ok(()),
    }
}

fn grouped(keys: &[Expr], schema: &DFSchema) -> Result<()> {
    let keys = keys.iter().flat_map(|key| match key {
        Expr::GroupingSet(set) => set.distinct_expr(),
        key => vec![key],
    });
    keys.filter_map(|key| key.to_field(schema).ok()).try_for_each(|(_, field)| no_document(&field))
}

/// The types of IN, which DataFusion brings together in its own way.
fn membership(node: &LogicalPlan, within: &InSubquery) -> Result<()> {
    let inputs = node.inputs();
    let schema = inputs.first().map_or_else(|| node.schema(), |input| input.schema());
    let value = Operand::new(within.expr.as_ref().clone(), schema)?;
    let subquery = &within.subquery.subquery;
    let column = Expr::Column(Column::from(subquery.schema().qualified_field(0)));
    let found = Operand::new(column, subquery.schema())?;
    same_kind(&value.kind, &found.kind, "IN")
}

/// Whether DataFusion compares two columns as Postgres does, without a cast that is written.
fn same_kind(left: &Type, right: &Type, what: &str) -> Result<()> {
    let is_fine = match (left, right) {
        (Type::Char | Type::Native(_), _) | (_, Type::Char | Type::Native(_)) => false,
        (left, right) if left == right => *left != Type::Interval,
        (left, right) if left.is_number() && right.is_number() => left.is_float() == right.is_float(),
        (Type::Unknown, _) | (_, Type::Unknown) => true,
        _ => false,
    };
    if is_fine {
        return Ok(());
    }
    Err(refused(format!("{what} can't compare {left} and {right} here: cast both to one type, char(n) to text")))
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
        if document(left) != document(right) {
            return Err(refused(format!("{what} can't take a document and something else: cast both to one type")));
        }
        let exact = |kind: &Type| matches!(kind, Type::Numeric(..)) || kind.is_integer();
        let mixes = (one.is_float() && exact(&other)) || (other.is_float() && exact(&one));
        let moments = one.is_moment() && other.is_moment() && one != other;
        if one.unify(&other).is_none() || mixes || moments {
            return Err(refused(format!("{what} can't take both {one} and {other}: cast one of them")));
        }
    }
    Ok(())
}
