//! What a connection can read, as it was at one moment: compared between two moments, and planned against without reaching the system.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SendableRecordBatchStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::connector::{
    ColumnInfo, Commit, Connection, CursorRequest, Health, LoadContext, Sink, SinkPlan, SinkRequest, Source,
    SourceObject, SourceRequest, Staged, TableInfo, Taken, judge_column,
};
use crate::error::{EngineError, Result};
use crate::job::ConnectionSettings;
use crate::relations::Connections;
use crate::select;
use crate::stage::Engine;

/// Tables with their columns, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Catalog {
    /// The tables.
    pub tables: Vec<TableInfo>,
}

/// A difference between two catalogs of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogChange {
    /// The table's path below the connection.
    pub table: Vec<String>,
    /// What is different.
    #[serde(flatten)]
    pub change: Difference,
}

/// What is different about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Difference {
    /// The table is new.
    TableAdded,
    /// The table is gone, or can no longer be read.
    TableRemoved,
    /// It is another kind of relation.
    KindChanged {
        /// The kind before.
        before: String,
        /// The kind after.
        after: String,
    },
    /// The column is new.
    ColumnAdded {
        /// Its name.
        column: String,
        /// Its type in the source.
        native_type: String,
    },
    /// The column is gone, or can no longer be read.
    ColumnRemoved {
        /// Its name.
        column: String,
    },
    /// The column has another type.
    TypeChanged {
        /// Its name.
        column: String,
        /// The source's type before.
        before: String,
        /// The source's type after.
        after: String,
    },
    /// The column can hold NULL, or no longer.
    NullabilityChanged {
        /// Its name.
        column: String,
        /// Whether it can hold NULL after.
        nullable: bool,
    },
    /// The primary key has other columns.
    PrimaryKeyChanged {
        /// Its columns before, in order.
        before: Vec<String>,
        /// Its columns after, in order.
        after: Vec<String>,
    },
    /// Unique keys or foreign keys differ.
    ConstraintsChanged,
    /// A comment of the table or a column differs.
    CommentChanged {
        /// The column, if it is not the table's own.
        column: Option<String>,
    },
    /// The columns have another order.
    OrderChanged,
}

impl Catalog {
    /// Identifies what a plan depends on: everything but the estimated rows.
    pub fn hash(&self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        for table in &self.tables {
            let described = TableInfo { rows: None, ..table.clone() };
            let bytes = serde_json::to_vec(&described)
                .map_err(|error| EngineError::bug("a table can't be described as JSON").caused_by(error))?;
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        Ok(hash.finalize().into())
    }

    /// What is different in a newer catalog, sorted by table.
    pub fn changes_to(&self, newer: &Self) -> Vec<CatalogChange> {
        let (before, after) = (self.by_path(), newer.by_path());
        let mut changes = BTreeMap::<&[String], Vec<Difference>>::new();
        for (path, table) in &before {
            changes.insert(
                *path,
                match after.get(path) {
                    Some(now) => table_changes(table, now),
                    None => vec![Difference::TableRemoved],
                },
            );
        }
        for path in after.keys().filter(|path| !before.contains_key(*path)) {
            changes.insert(path, vec![Difference::TableAdded]);
        }
        let placed = changes.into_iter().flat_map(|(table, changes)| {
            changes.into_iter().map(move |change| CatalogChange { table: table.to_vec(), change })
        });
        placed.collect()
    }

    fn by_path(&self) -> BTreeMap<&[String], &TableInfo> {
        self.tables.iter().map(|table| (table.path.as_slice(), table)).collect()
    }
}

fn table_changes(before: &TableInfo, after: &TableInfo) -> Vec<Difference> {
    let mut changes = Vec::new();
    if before.kind != after.kind {
        changes.push(Difference::KindChanged { before: before.kind.clone(), after: after.kind.clone() });
    }
    for column in &before.columns {
        match after.columns.iter().find(|now| now.name == column.name) {
            Some(now) => column_changes(column, now, &mut changes),
            None => changes.push(Difference::ColumnRemoved { column: column.name.clone() }),
        }
    }
    let is_new = |column: &&ColumnInfo| !before.columns.iter().any(|old| old.name == column.name);
    changes.extend(after.columns.iter().filter(is_new).map(|column| Difference::ColumnAdded {
        column: column.name.clone(),
        native_type: column.native_type.clone(),
    }));
    let order = |table: &TableInfo, other: &TableInfo| -> Vec<String> {
        let shared = table.columns.iter().filter(|column| other.columns.iter().any(|there| there.name == column.name));
        shared.map(|column| column.name.clone()).collect()
    };
    if order(before, after) != order(after, before) {
        changes.push(Difference::OrderChanged);
    }
    let (old_key, new_key) = (before.primary_key(), after.primary_key());
    if old_key != new_key {
        changes.push(Difference::PrimaryKeyChanged { before: old_key, after: new_key });
    }
    if before.unique_keys != after.unique_keys || before.foreign_keys != after.foreign_keys {
        changes.push(Difference::ConstraintsChanged);
    }
    if before.comment != after.comment {
        changes.push(Difference::CommentChanged { column: None });
    }
    changes
}

fn column_changes(before: &ColumnInfo, after: &ColumnInfo, changes: &mut Vec<Difference>) {
    let column = || before.name.clone();
    if (&before.native_type, &before.arrow_type) != (&after.native_type, &after.arrow_type) {
        let (before, after) = (before.native_type.clone(), after.native_type.clone());
        changes.push(Difference::TypeChanged { column: column(), before, after });
    }
    if before.nullable != after.nullable {
        changes.push(Difference::NullabilityChanged { column: column(), nullable: after.nullable });
    }
    if before.comment != after.comment {
        changes.push(Difference::CommentChanged { column: Some(column()) });
    }
}

impl TableInfo {
    /// Columns of the primary key, in its order.
    pub fn primary_key(&self) -> Vec<String> {
        let mut key: Vec<(u32, &str)> =
            self.columns.iter().filter_map(|column| Some((column.primary_key?, column.name.as_str()))).collect();
        key.sort_unstable();
        key.into_iter().map(|(_, name)| name.to_owned()).collect()
    }

    /// The schema that the table's rows are read with.
    pub fn schema(&self) -> Result<SchemaRef> {
        let field = |column: &ColumnInfo| {
            let kind: DataType = column.arrow_type.parse().map_err(|error| {
                EngineError::bug(format!("'{}' of column {} is no Arrow type", column.arrow_type, column.name))
                    .caused_by(error)
            })?;
            Ok(Field::new(&column.name, kind, column.nullable))
        };
        Ok(Arc::new(Schema::new(self.columns.iter().map(field).collect::<Result<Vec<_>>>()?)))
    }
}

impl Engine {
    /// What a connection can read now.
    pub async fn catalog(&self, name: &str, settings: ConnectionSettings) -> Result<Catalog> {
        let connections = Connections::new(self.registry().clone(), BTreeMap::from([(name.to_owned(), settings)]));
        let asking = connections.asking(name);
        let tables = connections.open(name)?.catalog(true).await;
        drop(asking);
        connections.close().await;
        Ok(Catalog { tables: tables? })
    }
}

/// A connection of which nothing but its catalog is known. It can be planned against and never read or written.
#[derive(Debug)]
pub(crate) struct SnapshotConnection {
    /// Its name.
    pub(crate) name: String,
    /// What it could read.
    pub(crate) catalog: Catalog,
}

impl SnapshotConnection {
    fn only_planned(&self, what: &str) -> EngineError {
        EngineError::config(format!("connection '{}' is planned on its catalog: it can't {what}", self.name))
            .hint("plan without --snapshot")
    }
}

#[async_trait]
impl Connection for SnapshotConnection {
    async fn check(&self) -> Result<Health> {
        Ok(Health {
            version: "a catalog".to_owned(),
            identity: None,
            transport: "none: nothing is reached".to_owned(),
            latency_us: 0,
            tables: self.catalog.tables.len() as u64,
            notes: Vec::new(),
        })
    }

    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>> {
        let shown = |table: &TableInfo| match columns {
            true => table.clone(),
            false => TableInfo { columns: Vec::new(), ..table.clone() },
        };
        Ok(self.catalog.tables.iter().map(shown).collect())
    }

    async fn source(&self, request: &SourceRequest) -> Result<Source> {
        let SourceObject::Table(path) = &request.object else { return Err(self.only_planned("describe a query")) };
        let label = format!("{}.{}", self.name, path.join("."));
        let found = self.catalog.tables.iter().find(|table| table.path == *path).ok_or_else(|| {
            let names: Vec<String> = self.catalog.tables.iter().map(|table| table.path.join(".")).collect();
            let near = headwater_pipelines::diagnostic::nearest_hint(&path.join("."), names.iter().map(String::as_str));
            let missing = EngineError::config(format!("{label} is not in the catalog of the connection"));
            missing.hint(near.unwrap_or_else(|| {
                format!("if it is new, read the catalog again: headwater connections catalog {} --refresh", self.name)
            }))
        })?;
        let schema = found.schema()?;
        if let Some(CursorRequest { cursor, .. }) = &request.cursor
            && let Some(column) = &cursor.column
        {
            let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
            judge_column(cursor, &label, column, &fields)?;
        }
        let table = select::columns(Arc::new(EmptyTable::new(schema)), request.columns.as_ref(), &label)?;
        let is_whole = matches!(found.kind.as_str(), "table" | "partitioned table" | "file");
        let incomplete = (!is_whole).then(|| format!("a {}, which may leave rows out", found.kind));
        Ok(Source { incomplete, ..table.into() })
    }

    async fn sink(&self, _: &SinkRequest) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(UnseenTarget))
    }

    async fn close(&self) {}
}

/// The target of a load that is planned on catalogs: nobody looks at it.
#[derive(Debug)]
struct UnseenTarget;

fn unseen() -> EngineError {
    EngineError::bug("a load was executed on a catalog")
}

#[async_trait]
impl Sink for UnseenTarget {
    async fn prepare(&self, _: &SchemaRef) -> Result<SinkPlan> {
        let note = "the target is not looked at when a plan is made on catalogs".to_owned();
        Ok(SinkPlan { notes: vec![note], ..SinkPlan::default() })
    }

    async fn write(&self, _: &LoadContext, _: SendableRecordBatchStream) -> Result<Staged> {
        Err(unseen())
    }

    async fn commit(&self, _: &LoadContext, _: Staged) -> Result<Commit> {
        Err(unseen())
    }

    async fn taken(&self, _: Uuid) -> Result<Option<Taken>> {
        Err(unseen())
    }

    async fn fence(&self, _: Uuid) -> Result<Option<Taken>> {
        Err(unseen())
    }

    async fn abort(&self, _: &LoadContext, _: Option<Staged>) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::connector::ForeignKey;

    fn column(name: &str, native: &str, arrow: &str) -> ColumnInfo {
        ColumnInfo {
            name: name.to_owned(),
            native_type: native.to_owned(),
            arrow_type: arrow.to_owned(),
            nullable: true,
            primary_key: None,
            comment: None,
        }
    }

    fn table(name: &str, columns: Vec<ColumnInfo>) -> TableInfo {
        TableInfo {
            path: vec!["public".to_owned(), name.to_owned()],
            kind: "table".to_owned(),
            columns,
            ..TableInfo::default()
        }
    }

    fn orders() -> TableInfo {
        table("orders", vec![column("id", "bigint", "Int64"), column("amount", "numeric(12,2)", "Decimal128(12, 2)")])
    }

    fn changes(before: &[TableInfo], after: &[TableInfo]) -> Vec<Difference> {
        let catalog = |tables: &[TableInfo]| Catalog { tables: tables.to_vec() };
        let changes = catalog(before).changes_to(&catalog(after));
        changes.into_iter().map(|change| change.change).collect()
    }

    #[test]
    fn equal_catalogs_differ_in_nothing_whatever_the_estimated_rows() {
        let more = TableInfo { rows: Some(7), ..orders() };
        assert_eq!(changes(&[orders()], std::slice::from_ref(&more)), []);
        let hash = |table: TableInfo| Catalog { tables: vec![table] }.hash().unwrap();
        assert_eq!(hash(orders()), hash(more));
    }

    #[test]
    fn tables_and_columns_that_come_and_go_are_told_apart() {
        let other = table("other", Vec::new());
        assert_eq!(changes(&[orders()], &[orders(), other.clone()]), [Difference::TableAdded]);
        assert_eq!(changes(&[orders(), other], &[orders()]), [Difference::TableRemoved]);
        let mut less = orders();
        less.columns.pop();
        assert_eq!(changes(&[orders()], &[less.clone()]), [Difference::ColumnRemoved { column: "amount".to_owned() }]);
        let native_type = "numeric(12,2)".to_owned();
        assert_eq!(
            changes(&[less], &[orders()]),
            [Difference::ColumnAdded { column: "amount".to_owned(), native_type }]
        );
    }

    #[test]
    fn every_property_of_a_table_that_changes_is_a_change_and_changes_the_hash() {
        type Alter = fn(&mut TableInfo);
        let alterations: [(Alter, &str); 9] = [
            (|table| table.kind = "view".to_owned(), "KindChanged"),
            (|table| table.comment = Some("paid".to_owned()), "CommentChanged"),
            (|table| table.columns[0].comment = Some("key".to_owned()), "CommentChanged"),
            (|table| table.columns[0].nullable = false, "NullabilityChanged"),
            (|table| table.columns[0].primary_key = Some(1), "PrimaryKeyChanged"),
            (|table| table.columns[1].native_type = "numeric(14,2)".to_owned(), "TypeChanged"),
            (|table| table.columns.swap(0, 1), "OrderChanged"),
            (|table| table.unique_keys = vec![vec!["id".to_owned()]], "ConstraintsChanged"),
            (
                |table| {
                    let names = || vec!["id".to_owned()];
                    table.foreign_keys = vec![ForeignKey { columns: names(), table: names(), references: names() }];
                },
                "ConstraintsChanged",
            ),
        ];
        for (alter, expected) in alterations {
            let mut altered = orders();
            alter(&mut altered);
            let found = changes(&[orders()], &[altered.clone()]);
            let [change] = found.as_slice() else { panic!("{expected}: {found:?}") };
            assert!(format!("{change:?}").starts_with(expected), "{expected}: {change:?}");
            let hash = |table: TableInfo| Catalog { tables: vec![table] }.hash().unwrap();
            assert_ne!(hash(orders()), hash(altered), "{expected}");
        }
    }

    #[test]
    fn a_schema_is_read_back_from_the_types_that_a_catalog_shows() {
        let schema = orders().schema().unwrap();
        assert_eq!(schema.field(1).data_type(), &DataType::Decimal128(12, 2));
        let stamped = table("t", vec![column("at", "timestamptz", "Timestamp(µs, \"UTC\")")]);
        assert_eq!(stamped.schema().unwrap().field(0).data_type().to_string(), "Timestamp(µs, \"UTC\")");
    }
}
