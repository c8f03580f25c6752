//! What a load of changes makes of its rows: of each key the last, whether it is gone, and which of its columns the target keeps.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit};
use headwater_pipelines::plan::{DELETED_AT, Deletes};

use super::build::Built;
use crate::connector::{
    AS_IT_IS, BESIDE, DELETED, GONE, KEPT, OPERATION, POSITION, SAID, UNCHANGED, list_of_names, moment,
};
use crate::error::{EngineError, Result};
use crate::lineage;
use crate::nodes::{FoldNode, Folding, extension};

/// Folds the changes that a load is given. One that replaces its target leaves out what is gone, and has to know every column.
pub(super) fn fold(built: &mut Built, deletes: &Deletes, keys: &[String], is_refresh: bool) -> Result<()> {
    let input = std::mem::take(&mut built.plan);
    let outputs = lineage::of(&input);
    if let Some(name) = lineage::computed(&outputs, &SAID) {
        return Err(EngineError::config(format!("the column {name} of changes is computed")).hint(AS_IT_IS));
    }
    let (computed, computed_of) = computed(&outputs);
    let own = input.schema().columns().into_iter().filter(|column| !BESIDE.contains(&column.name.as_str()));
    let mut columns: Vec<Expr> = own.map(Expr::Column).collect();
    let beside = [
        ident(OPERATION).eq(lit(GONE)).is_true().alias(DELETED),
        cast(ident(POSITION), DataType::Int64).alias(POSITION),
        cast(ident(UNCHANGED), list_of_names()).alias(KEPT),
    ];
    let changes = LogicalPlanBuilder::from(input).project(columns.iter().cloned().chain(beside))?.build()?;
    let folding = Folding { keys: keys.to_vec(), computed, computed_of, is_whole: is_refresh };
    columns = changes.schema().columns().into_iter().take(columns.len()).map(Expr::Column).collect();
    let mut folded = LogicalPlanBuilder::from(extension(FoldNode { folding: Arc::new(folding), input: changes }));
    if deletes.is_soft() {
        columns.push(lit(ScalarValue::try_from(&moment())?).alias(DELETED_AT));
    }
    match is_refresh {
        true => folded = folded.filter(ident(DELETED).is_not_true())?,
        false => columns.extend([ident(DELETED), ident(KEPT)]),
    }
    built.plan = folded.project(columns)?.build()?;
    Ok(())
}

/// Columns that are computed or called otherwise than at the source, and the source's columns that go into them: where one was not sent, nobody knows those.
fn computed(outputs: &[(String, lineage::Origin)]) -> (BTreeSet<String>, BTreeSet<String>) {
    let computed = outputs.iter().filter(|(name, origin)| origin.plain.as_ref() != Some(name));
    let names = computed.clone().map(|(name, _)| name.clone());
    (names.collect(), computed.flat_map(|(_, origin)| origin.of.iter().cloned()).collect())
}
