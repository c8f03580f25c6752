//! What a load makes of a table's columns, and the actions of a commit that say so.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::DeltaTable;
use deltalake::kernel::{Action, MetadataExt as _, StructField, StructType};
use headwater_engine::connector::{ColumnChanges, TargetColumn};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::{LoadSchema, WriteMode};

use super::{protocol, table};
use crate::conform::{lake_schema, lake_type, widens};
use crate::contract::Drift;

/// What helps where a type would have to become wider, which needs a table feature that is not written.
const NO_WIDENING: &str = "a Delta table's column keeps its type here: under `schema: evolve` mode overwrite and headwater run NAME --full-refresh replace it, or give the values a new column in a transform";

/// What decides about the columns of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The target, for messages.
    pub label: &'a str,
    pub contract: &'a LoadSchema,
    pub mode: WriteMode,
    pub keys: &'a [String],
    /// The table's partition columns.
    pub partition_by: &'a [String],
}

/// The columns that a table has after a load.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub schema: SchemaRef,
    /// Those that the dataset does not have.
    pub absent: Vec<String>,
    pub changes: ColumnChanges,
    pub notes: Vec<String>,
}

impl Columns {
    /// Those of a table that is made with them.
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, absent: Vec::new(), changes: ColumnChanges::default(), notes: Vec::new() }
    }

    /// The statement that a person would change the table with, in the words of Spark.
    pub(super) fn statement(&self, label: &str) -> Option<String> {
        let listed = |columns: &[TargetColumn]| {
            let columns: Vec<String> =
                columns.iter().map(|column| format!("{} {}", quoted(&column.name), column.kind)).collect();
            columns.join(", ")
        };
        let ColumnChanges { columns_added, columns_retyped, columns_removed } = &self.changes;
        if !columns_retyped.is_empty() || !columns_removed.is_empty() {
            let all: Vec<TargetColumn> = self.schema.fields().iter().map(|field| described(field)).collect();
            return Some(format!("ALTER TABLE {label} REPLACE COLUMNS ({})", listed(&all)));
        }
        (!columns_added.is_empty()).then(|| format!("ALTER TABLE {label} ADD COLUMNS ({})", listed(columns_added)))
    }

    /// Whether these changes are among others that a load was judged by.
    pub(super) fn changes_no_more_than(&self, judged: &ColumnChanges) -> bool {
        let within = |of: &[TargetColumn], all: &[TargetColumn]| of.iter().all(|column| all.contains(column));
        within(&self.changes.columns_added, &judged.columns_added)
            && within(&self.changes.columns_retyped, &judged.columns_retyped)
            && within(&self.changes.columns_removed, &judged.columns_removed)
    }
}

/// What a contract makes of a table's columns for a dataset. The error shows everything that is refused.
pub(super) fn judge(terms: Terms<'_>, incoming: &Schema, table: &Schema) -> Result<Columns> {
    let mut drift = Drift::new(terms.contract);
    let mut columns = Columns::new(Arc::new(Schema::empty()));
    let mut fields: Vec<FieldRef> = Vec::new();
    for column in table.fields() {
        let kept = match incoming.field_with_name(column.name()) {
            Ok(field) => kept(terms, field, column, &mut columns.changes, &mut drift)?,
            Err(_) => left(terms, column, &mut columns, &mut drift),
        };
        fields.extend(kept);
    }
    for field in incoming.fields().iter().filter(|field| table.field_with_name(field.name()).is_err()) {
        let stored = lake_type(field.name(), field.data_type());
        let kind = stored.as_ref().map_or_else(|_| field.data_type().to_string(), type_name);
        if terms.keys.contains(field.name()) {
            drift.refuse(format!("the table has no column {} ({kind}), which is a key", field.name()), None);
        } else if drift.adds(field.name(), &kind, fields.iter().map(|column| column.name().as_str())) {
            let new = stored_field(field)?;
            columns.changes.columns_added.push(described(&new));
            fields.push(new);
        }
    }
    columns.notes = drift.settle(terms.label)?;
    columns.schema = Arc::new(Schema::new(fields));
    Ok(columns)
}

/// A column that comes.
fn kept(
    terms: Terms<'_>,
    field: &Field,
    column: &FieldRef,
    changes: &mut ColumnChanges,
    drift: &mut Drift<'_>,
) -> Result<Option<FieldRef>> {
    let stored = lake_type(field.name(), field.data_type())?;
    if widens(&stored, column.data_type()) {
        return Ok(Some(Arc::clone(column)));
    }
    let name = column.name();
    let (from, to) = (type_name(column.data_type()), type_name(&stored));
    if terms.mode == WriteMode::Overwrite && drift.replaces(name) && !terms.partition_by.contains(name) {
        drift.notes.push(format!(
            "column {name} is {to} now, in the table {from}: the overwrite replaces it (schema: evolve)"
        ));
        let new = stored_field(field)?;
        changes.columns_retyped.push(described(&new));
        return Ok(Some(new));
    }
    let hint = widens(column.data_type(), &stored).then_some(NO_WIDENING);
    drift.refuse(format!("column {name} is {}, in the table {}", field.data_type(), column.data_type()), hint);
    Ok(None)
}

/// A column that does not come.
fn left(terms: Terms<'_>, column: &FieldRef, columns: &mut Columns, drift: &mut Drift<'_>) -> Option<FieldRef> {
    let (name, kind) = (column.name(), type_name(column.data_type()));
    let missing = format!("the dataset has no column {name} ({kind}");
    if terms.partition_by.contains(name) {
        drift.refuse(format!("{missing}), by which the table is partitioned"), None);
    } else if terms.keys.contains(name) {
        drift.refuse(format!("{missing}), which is a key"), None);
    } else if drift.requires(name) {
        drift.leaves(name, &kind);
    } else if terms.mode == WriteMode::Overwrite && drift.replaces(name) {
        drift
            .notes
            .push(format!("column {name} ({kind}) no longer comes: the overwrite leaves it out (schema: evolve)"));
        columns.changes.columns_removed.push(described(column));
    } else if !column.is_nullable() {
        let hint = "compute the column in a transform, or let it be NULL: ALTER TABLE … ALTER COLUMN … DROP NOT NULL";
        drift.refuse(format!("{missing}, NOT NULL)"), Some(hint));
    } else if drift.leaves(name, &kind) {
        columns.absent.push(name.clone());
        return Some(Arc::clone(column));
    }
    None
}

/// A new column as the table keeps it.
fn stored_field(field: &Field) -> Result<FieldRef> {
    let stored = table::as_stored(&lake_schema(&Schema::new(vec![field.clone()]))?)?;
    stored.fields().first().map(Arc::clone).ok_or_else(|| EngineError::bug("a new column was lost"))
}

fn described(field: &Field) -> TargetColumn {
    TargetColumn { name: field.name().clone(), kind: type_name(field.data_type()) }
}

/// The actions that give a table these columns. Columns that stay keep what their table says of them.
pub(super) fn actions(table: &DeltaTable, schema: &Schema) -> Result<Vec<Action>> {
    let bug = |error: String| EngineError::bug(format!("new columns of a table: {error}"));
    let state = table.snapshot().map_err(|error| bug(error.to_string()))?;
    let (there, kept) = (table::arrow_schema(table)?, state.schema());
    let mut fields: Vec<StructField> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let is_kept = there.field_with_name(field.name()).is_ok_and(|old| old.data_type() == field.data_type());
        match kept.field(field.name()).filter(|_| is_kept) {
            Some(old) => fields.push(old.clone()),
            None => fields.extend(table::columns(&Schema::new(vec![Arc::clone(field)]))?),
        }
    }
    let schema = StructType::try_new(fields).map_err(|error| bug(error.to_string()))?;
    let metadata = state.metadata().clone().with_schema(&schema).map_err(|error| bug(error.to_string()))?;
    let protocol = protocol::for_columns(state.protocol(), &schema)?;
    Ok(std::iter::once(Action::Metadata(metadata)).chain(protocol.map(Action::Protocol)).collect())
}

/// A name as Spark reads it.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// The statement that makes a table, in the words of Spark.
pub(super) fn create_statement(label: &str, schema: &Schema, partition_by: &[String]) -> String {
    let column = |field: &FieldRef| format!("{} {}", quoted(field.name()), type_name(field.data_type()));
    let columns: Vec<String> = schema.fields().iter().map(column).collect();
    let partitions: Vec<String> = partition_by.iter().map(|name| quoted(name)).collect();
    let partitions =
        if partitions.is_empty() { String::new() } else { format!(" PARTITIONED BY ({})", partitions.join(", ")) };
    format!("CREATE TABLE {label} ({}) USING DELTA{partitions}", columns.join(", "))
}

/// A type in the words of Spark.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Binary => "BINARY".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".to_owned(),
        DataType::List(item) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", quoted(field.name()), type_name(field.data_type())))
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use headwater_pipelines::spec::Contract;

    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    fn judged(contract: Contract, mode: WriteMode, incoming: &[(&str, DataType)]) -> Result<Columns> {
        let partition_by = ["day".to_owned()];
        let contract = LoadSchema::All(contract);
        let terms =
            Terms { label: "lake.t", contract: &contract, mode, keys: &["id".to_owned()], partition_by: &partition_by };
        let table = [("id", DataType::Int64), ("day", DataType::Date32), ("total", DataType::Int32)];
        judge(terms, &schema(incoming), &schema(&table))
    }

    const KEPT: [(&str, DataType); 2] = [("id", DataType::Int64), ("day", DataType::Date32)];

    fn with(more: &[(&'static str, DataType)]) -> Vec<(&'static str, DataType)> {
        KEPT.into_iter().chain(more.iter().cloned()).collect()
    }

    #[test]
    fn columns_are_added_at_the_end_and_one_that_does_not_come_is_null() {
        let found = judged(Contract::AddColumns, WriteMode::Append, &with(&[("a b", DataType::Utf8)])).unwrap();
        assert_eq!(found.statement("lake.t").unwrap(), "ALTER TABLE lake.t ADD COLUMNS (`a b` STRING)");
        assert_eq!(found.absent, ["total"]);
        let names: Vec<&str> = found.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["id", "day", "total", "a b"]);
    }

    #[test]
    fn what_a_contract_does_not_allow_names_the_way_out() {
        let refused = |contract: Contract, incoming: &[(&str, DataType)]| {
            let error = judged(contract, WriteMode::Append, incoming).unwrap_err();
            format!("{error} | {}", error.hint.as_deref().unwrap_or_default())
        };
        let new = refused(Contract::Freeze, &with(&[("total", DataType::Int32), ("note", DataType::Utf8)]));
        assert!(new.contains("no column note (STRING)") && new.contains("`schema: add_columns`"), "{new}");
        let wide = refused(Contract::Evolve, &with(&[("total", DataType::Int64)]));
        assert!(wide.contains("total is Int64, in the table Int32") && wide.contains("--full-refresh"), "{wide}");
        let key = refused(
            Contract::Evolve,
            &[("day", DataType::Date32), ("total", DataType::Int32), ("ID", DataType::Int64)],
        );
        assert!(key.contains("no column id (BIGINT), which is a key"), "{key}");
        let partition = refused(Contract::Evolve, &[("id", DataType::Int64)]);
        assert!(partition.contains("no column day (DATE), by which the table is partitioned"), "{partition}");
    }

    #[test]
    fn an_overwrite_that_evolves_replaces_all_but_partition_columns() {
        let incoming = with(&[("total", DataType::Utf8), ("note", DataType::Utf8)]);
        let found = judged(Contract::Evolve, WriteMode::Overwrite, &incoming).unwrap();
        let statement = "ALTER TABLE lake.t REPLACE COLUMNS (id BIGINT, day DATE, total STRING, note STRING)";
        assert_eq!(found.statement("lake.t").as_deref(), Some(statement));
        let found = judged(Contract::Evolve, WriteMode::Overwrite, &KEPT).unwrap();
        assert_eq!(found.changes.columns_removed.len(), 1);
        assert!(found.absent.is_empty());
        assert!(judged(Contract::AddColumns, WriteMode::Overwrite, &KEPT).unwrap().changes.is_empty());
        let day = [("id", DataType::Int64), ("day", DataType::Utf8), ("total", DataType::Int32)];
        assert!(judged(Contract::Evolve, WriteMode::Overwrite, &day).is_err());
    }
}
