//! Which columns of its sources each column of a plan comes from.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Where a column comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The column that it is, if nothing is computed.
    pub(crate) plain: Option<String>,
    /// All columns that go into it.
    pub(crate) of: BTreeSet<String>,
}

/// The columns of a plan by their names, each with its origin. What a plan does that is not followed here counts as computed of everything.
pub(crate) fn of(plan: &LogicalPlan) -> Vec<(String, Origin)> {
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    names.zip(origins(plan)).collect()
}

/// The first of some columns that is computed, or called otherwise than before.
pub(crate) fn computed<'a>(outputs: &'a [(String, Origin)], names: &[&str]) -> Option<&'a str> {
    let asked = outputs.iter().filter(|(name, _)| names.contains(&name.as_str()));
    asked.into_iter().find(|(name, origin)| origin.plain.as_ref() != Some(name)).map(|(name, _)| name.as_str())
}

fn origins(plan: &LogicalPlan) -> Vec<Origin> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let inner = scan.source.get_logical_plan();
            let inner = inner.map(|inner| origins(inner.as_ref()));
            let columns = scan.source.schema();
            let all = inner.unwrap_or_else(|| columns.fields().iter().map(|field| itself(field.name())).collect());
            match &scan.projection {
                Some(chosen) => chosen.iter().filter_map(|index| all.get(*index).cloned()).collect(),
                None => all,
            }
        }
        LogicalPlan::Projection(projection) => {
            let below = origins(&projection.input);
            projection.expr.iter().map(|expr| of_expression(expr, &projection.input, &below)).collect()
        }
        LogicalPlan::SubqueryAlias(alias) => origins(&alias.input),
        LogicalPlan::Filter(filter) => origins(&filter.input),
        LogicalPlan::Sort(sort) => origins(&sort.input),
        LogicalPlan::Limit(limit) => origins(&limit.input),
        LogicalPlan::Extension(extension) => match extension.node.inputs().as_slice() {
            [input] if input.schema() == extension.node.schema() => origins(input),
            _ => everything(plan),
        },
        LogicalPlan::Union(union) => {
            let mut branches = union.inputs.iter().map(|input| origins(input));
            let first = branches.next().unwrap_or_default();
            branches
                .fold(first, |all, branch| all.into_iter().zip(branch).map(|(one, other)| both(one, other)).collect())
        }
        _ => everything(plan),
    }
}

fn itself(name: &str) -> Origin {
    Origin { plain: Some(name.to_owned()), of: BTreeSet::from([name.to_owned()]) }
}

fn both(one: Origin, other: Origin) -> Origin {
    Origin { plain: one.plain.filter(|name| other.plain.as_ref() == Some(name)), of: &one.of | &other.of }
}

fn of_expression(expression: &Expr, input: &LogicalPlan, below: &[Origin]) -> Origin {
    let origin = |column: &Column| {
        let index = input.schema().maybe_index_of_column(column);
        index.and_then(|index| below.get(index).cloned()).unwrap_or_else(|| all(below))
    };
    match expression {
        Expr::Column(column) => origin(column),
        Expr::Alias(alias) => of_expression(&alias.expr, input, below),
        _ => {
            let has_more = expression.exists(|part| Ok(is_subquery(part))).unwrap_or(true);
            let parts = expression.column_refs().into_iter().map(origin);
            let parts = parts.chain(has_more.then(|| all(below)));
            Origin { plain: None, of: parts.flat_map(|part| part.of).collect() }
        }
    }
}

fn is_subquery(expression: &Expr) -> bool {
    matches!(expression, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_))
}

fn all(below: &[Origin]) -> Origin {
    Origin { plain: None, of: below.iter().flat_map(|origin| origin.of.iter().cloned()).collect() }
}

fn everything(plan: &LogicalPlan) -> Vec<Origin> {
    let below: Vec<Origin> = plan.inputs().into_iter().flat_map(origins).collect();
    vec![all(&below); plan.schema().fields().len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use datafusion::prelude::SessionContext;

    use super::*;

    async fn plain(statement: &str) -> Vec<String> {
        let session = SessionContext::new();
        for made in [
            "CREATE TABLE source AS SELECT 1 AS id, 'x' AS note, 'y' AS name, 'c' AS op",
            "CREATE VIEW named AS SELECT id, note AS remark, name FROM source",
        ] {
            session.sql(made).await.unwrap().collect().await.unwrap();
        }
        let plan = session.sql(statement).await.unwrap().into_unoptimized_plan();
        let said = |(name, origin): (String, Origin)| {
            let of: Vec<String> = origin.of.into_iter().collect();
            format!("{name}{}{}", if origin.plain.is_some() { " is " } else { " of " }, of.join(","))
        };
        of(&plan).into_iter().map(said).collect()
    }

    #[tokio::test]
    async fn a_column_that_is_chosen_renamed_or_given_on_is_itself_and_any_other_is_computed() {
        assert_eq!(
            plain("SELECT id, note AS n, upper(name) AS name FROM source").await,
            ["id is id", "n is note", "name of name"]
        );
        assert_eq!(
            plain("SELECT * FROM named WHERE id > 1 ORDER BY id LIMIT 2").await,
            ["id is id", "remark is note", "name is name"]
        );
        assert_eq!(
            plain("SELECT a.id, CASE WHEN a.note = 'x' THEN a.op ELSE 'd' END AS op FROM (SELECT * FROM source) AS a")
                .await,
            ["id is id", "op of note,op"]
        );
        assert_eq!(
            plain("SELECT id, note FROM source UNION ALL SELECT id, name FROM source").await,
            ["id is id", "note of name,note"]
        );
        assert_eq!(plain("SELECT max(note) AS note FROM source GROUP BY id").await, ["note of id,name,note,op"]);
    }
}
