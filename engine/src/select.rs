//! Projection and type overrides (`columns:`) for sources that can't do them themselves.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::prelude::Column;
use headwater_pipelines::spec::{ColumnOverride, Columns};

use crate::error::{EngineError, Result};
use crate::type_names;

/// A view on the table with the columns asked for.
pub fn columns(
    table: Arc<dyn TableProvider>,
    columns: Option<&Columns>,
    label: &str,
) -> Result<Arc<dyn TableProvider>> {
    let Some(columns) = columns else { return Ok(table) };
    let schema = table.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let known = |name: &str| match names.contains(&name) {
        true => Ok(()),
        false => Err(EngineError::config(format!("{label} has no column {name}"))
            .hint(format!("its columns are {}", names.join(", ")))),
    };
    let column = |name: &str| Expr::Column(Column::from_name(name));
    let expressions: Vec<Expr> = match columns {
        Columns::Only(wanted) => wanted.iter().map(|name| known(name).map(|()| column(name))).collect::<Result<_>>()?,
        Columns::Override(overrides) => {
            overrides.keys().try_for_each(|name| known(name))?;
            let expression = |name: &&str| match overrides.get(*name) {
                Some(rule) => Ok(cast(column(name), type_names::parse(name, kind(name, rule)?)?).alias(*name)),
                None => Ok(column(name)),
            };
            names.iter().map(expression).collect::<Result<_>>()?
        }
    };
    let plan = LogicalPlanBuilder::scan("source", provider_as_source(table), None)
        .and_then(|builder| builder.project(expressions))
        .and_then(LogicalPlanBuilder::build)
        .map_err(EngineError::from)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The type that an override names.
pub fn kind<'a>(column: &str, rule: &'a ColumnOverride) -> Result<&'a str> {
    match rule {
        ColumnOverride::Type(kind) => Ok(kind),
        ColumnOverride::Full(rule) if rule.mask.is_some() => {
            Err(EngineError::config(format!("column {column}: masks are not supported yet")))
        }
        ColumnOverride::Full(rule) => rule
            .kind
            .as_deref()
            .ok_or_else(|| EngineError::config(format!("column {column}: the override names no type"))),
    }
}
