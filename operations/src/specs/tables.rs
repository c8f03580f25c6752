//! What connections can read, for specs that ask for several tables at once.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use headwater_engine::catalog::Catalog;
use headwater_engine::connector::{ColumnInfo, TableInfo};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::tables::{Catalogs, Scale, SourceColumn, SourceTable, expand, new_tables, sources};
use headwater_pipelines::spec::Spec;
use headwater_store::VersionRow;

use super::FileConnections;
use crate::{Operations, Result, catalog};

impl Operations {
    /// The document with one task for each table where it asks for several, by what is there now.
    pub(crate) async fn expand_now(
        &self,
        document: Document,
        names: &BTreeSet<String>,
        files: &FileConnections,
    ) -> Result<Document> {
        let sources = sources(&document, names);
        let stored = sources.iter().filter(|name| !files.contains_key(*name)).cloned().collect();
        let stored = self.stored_settings(&stored).await?;
        let mut catalogs = Catalogs::new();
        for name in sources {
            let Some(settings) = files.get(&name).or_else(|| stored.get(&name)).cloned() else { continue };
            let read = self.engine.catalog(&name, settings).await;
            catalogs.insert(name, read.map(|catalog| tables(&catalog)).map_err(unreachable));
        }
        Ok(expand(document, names, &catalogs))
    }

    /// The same by what was there when the catalogs of its connections were last read.
    pub(crate) async fn expand_on_catalogs(&self, document: Document, names: &BTreeSet<String>) -> Result<Document> {
        let sources = Vec::from_iter(sources(&document, names));
        let mut catalogs = Catalogs::new();
        for (name, snapshot) in self.newest_catalogs(&sources).await? {
            catalogs.insert(name, Ok(tables(&catalog::content(&snapshot)?)));
        }
        Ok(expand(document, names, &catalogs))
    }

    /// Tables that match the patterns of a version and are not in it, by the catalogs as they were last read.
    pub(crate) async fn tables_since(&self, version: &VersionRow) -> Result<Vec<String>> {
        let names = self.connection_names().await?;
        let document = Document::read(version.pipeline.as_str(), version.spec_text.as_str());
        let sources = Vec::from_iter(sources(&document, &names));
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let mut catalogs = Catalogs::new();
        for snapshot in self.workspace.newest_catalogs(&sources).await? {
            catalogs.insert(snapshot.connection.clone(), Ok(tables(&catalog::content(&snapshot)?)));
        }
        let before: Spec = serde_json::from_value(version.spec.clone())?;
        Ok(new_tables(&before, &expand(document, &names, &catalogs)))
    }
}

fn unreachable(error: headwater_engine::EngineError) -> Finding {
    let finding = Finding::error(Code::Unreachable, error.message);
    match error.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn tables(catalog: &Catalog) -> Vec<SourceTable> {
    catalog.tables.iter().map(table).collect()
}

fn table(table: &TableInfo) -> SourceTable {
    SourceTable {
        path: table.path.clone(),
        kind: table.kind.clone(),
        columns: table.columns.iter().map(column).collect(),
        primary_key: table.primary_key(),
        unique_keys: table.unique_keys.clone(),
    }
}

fn column(column: &ColumnInfo) -> SourceColumn {
    let scale = match column.arrow_type.parse::<DataType>() {
        Ok(DataType::Timestamp(..)) => Scale::Timestamp,
        Ok(DataType::Date32 | DataType::Date64) => Scale::Date,
        Ok(DataType::Decimal128(..) | DataType::Decimal256(..)) => Scale::Decimal,
        Ok(kind) if kind.is_integer() => Scale::Integer,
        _ => Scale::Other,
    };
    SourceColumn { name: column.name.clone(), scale, nullable: column.nullable }
}
