//! What an approval is bound to: the bytes of a spec, the schemas of the tables that it reads, and the policy of its connections.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::catalog::{Catalog, CatalogChange};
use headwater_engine::connector::{ColumnInfo, TableInfo};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{self, ExtractSource, Planned, Relation, Work};
use headwater_store::{CatalogSnapshot, ColumnMask, ConnectionRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::origin;
use crate::catalog::{content, difference_in_words, hex};
use crate::{Operations, Result};

/// What an approval is bound to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// SHA-256 of the spec's text, in hexadecimal.
    spec: String,
    /// The connections that the spec uses.
    connections: BTreeMap<String, Ground>,
    /// Number of the approved version that it replaces: the person has to have seen what is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<i32>,
}

/// What counts of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ground {
    connector: String,
    /// The tables that the spec reads, without what no plan depends on: comments and estimates.
    tables: Vec<TableInfo>,
    /// What may be sampled of it.
    samples: String,
    /// Masks of those tables.
    masks: Vec<ColumnMask>,
    /// The variables of the environment that it may resolve.
    variables: Vec<String>,
}

/// A reason why an approval has to be given again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum DraftChange {
    /// The text of the spec.
    Spec,
    /// The approved version of its pipeline.
    Version {
        /// Its number before; absent if there was none.
        before: Option<i32>,
        /// Its number after.
        after: Option<i32>,
    },
    /// A table that it reads.
    Schema {
        /// The connection.
        connection: String,
        /// The table, and what is different about it.
        #[serde(flatten)]
        change: CatalogChange,
    },
    /// What holds for a connection.
    Policy {
        /// The connection.
        connection: String,
        /// `connector`, `samples`, `masks` or `variables`.
        setting: String,
        /// The value before.
        before: String,
        /// The value after.
        after: String,
    },
}

impl DraftChange {
    /// One sentence, without a full stop.
    pub fn in_words(&self) -> String {
        match self {
            Self::Spec => "the spec is another one".to_owned(),
            Self::Version { before, after } => {
                let version =
                    |number: &Option<i32>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
                format!("the pipeline's approved version was {}, is {}", version(before), version(after))
            }
            Self::Schema { connection, change } => {
                format!("{connection}.{}: {}", change.table.join("."), difference_in_words(&change.change))
            }
            Self::Policy { connection, setting, before, after } => {
                format!("{setting} of connection {connection}: was {before}, is {after}")
            }
        }
    }
}

impl Basis {
    /// Number of the approved version that it replaces.
    pub(crate) fn replaces(&self) -> Option<i32> {
        self.replaces
    }

    /// Identifies it.
    pub(crate) fn hash(&self) -> Result<[u8; 32]> {
        Ok(Sha256::digest(serde_json::to_vec(self)?).into())
    }

    /// The same, as people see it.
    pub(crate) fn hash_text(&self) -> Result<String> {
        Ok(hex(&self.hash()?))
    }

    /// Whether a hash is that of the same basis before its spec became the approved version, whatever it replaced.
    pub(crate) fn was_approved_as(&self, hash: &str, current: i32) -> Result<bool> {
        for number in 0..=current {
            let before = Self { replaces: (number > 0).then_some(number), ..self.clone() };
            if before.hash_text()? == hash {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is different in a later one.
    pub(crate) fn changes_to(&self, later: &Self) -> Vec<DraftChange> {
        let mut changes = Vec::new();
        if self.spec != later.spec {
            changes.push(DraftChange::Spec);
        }
        if self.replaces != later.replaces {
            changes.push(DraftChange::Version { before: self.replaces, after: later.replaces });
        }
        let names: BTreeSet<&String> = self.connections.keys().chain(later.connections.keys()).collect();
        for name in names {
            ground_changes(name, self.connections.get(name), later.connections.get(name), &mut changes);
        }
        changes
    }
}

fn ground_changes(name: &str, before: Option<&Ground>, after: Option<&Ground>, changes: &mut Vec<DraftChange>) {
    let tables = |ground: Option<&Ground>| Catalog { tables: ground.map_or_else(Vec::new, |one| one.tables.clone()) };
    let schema = tables(before).changes_to(&tables(after)).into_iter();
    changes.extend(schema.map(|change| DraftChange::Schema { connection: name.to_owned(), change }));
    for (setting, value) in SETTINGS {
        let text = |ground: Option<&Ground>| ground.map_or_else(|| "none".to_owned(), value);
        let (before, after) = (text(before), text(after));
        if before != after {
            let (connection, setting) = (name.to_owned(), (*setting).to_owned());
            changes.push(DraftChange::Policy { connection, setting, before, after });
        }
    }
}

/// A setting of a connection, as a text.
type Setting = (&'static str, fn(&Ground) -> String);

/// The settings that count.
const SETTINGS: &[Setting] = &[
    ("connector", |ground| ground.connector.clone()),
    ("samples", |ground| ground.samples.clone()),
    ("masks", |ground| {
        let masks = ground.masks.iter();
        listed(masks.map(|mask| format!("{}.{} {}", mask.path.join("."), mask.column, mask.mask)).collect())
    }),
    ("variables", |ground| listed(ground.variables.clone())),
];

fn listed(values: Vec<String>) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// What a plan reads of a connection.
#[derive(Default)]
struct Reads<'a> {
    tables: BTreeSet<&'a [String]>,
    /// A statement in the source's own language may read anything.
    everything: bool,
}

impl Reads<'_> {
    /// A spec may leave out the schema of a table.
    fn has(&self, table: &TableInfo) -> bool {
        self.everything || self.tables.iter().any(|path| table.path.ends_with(path))
    }
}

fn reads(planned: &Planned) -> BTreeMap<&str, Reads<'_>> {
    let mut reads: BTreeMap<&str, Reads<'_>> = BTreeMap::new();
    for work in planned.works.values() {
        let relations = work.reads().into_iter().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            Relation::Task(_) => None,
        });
        let extracted = match work {
            Work::Extract { source: ExtractSource::Table(table), .. } => Some(table),
            Work::Extract { source: ExtractSource::Query { connection, .. }, .. } => {
                reads.entry(connection).or_default().everything = true;
                None
            }
            _ => None,
        };
        for table in relations.chain(extracted) {
            reads.entry(&table.connection).or_default().tables.insert(&table.path);
        }
    }
    reads
}

impl Operations {
    /// What an approval of a document is bound to now: its sources are looked at again.
    pub(crate) async fn basis_now(&self, document: &Document) -> Result<Basis> {
        let names = self.connection_names().await?;
        let document = &self.expand_now(document.clone(), &names, &BTreeMap::new()).await?;
        let planned = plan::plan(document, &names);
        let sources: BTreeSet<String> = planned.works.values().flat_map(Work::sources).collect();
        for source in sources.intersection(&names) {
            self.look_at(&self.workspace, source).await?;
        }
        self.basis(document, &planned).await
    }

    /// What an approval of a planned document is bound to, by the catalogs as they were last seen.
    pub(crate) async fn basis(&self, document: &Document, planned: &Planned) -> Result<Basis> {
        let used: BTreeSet<String> = planned.works.values().flat_map(Work::connections).collect();
        let reads = reads(planned);
        let sources: Vec<String> = reads.keys().map(|name| (*name).to_owned()).collect();
        let snapshots = self.workspace.newest_catalogs(&sources).await?;
        let mut connections = BTreeMap::new();
        for row in self.workspace.connections().await?.into_iter().filter(|row| used.contains(&row.name)) {
            let snapshot = snapshots.iter().find(|snapshot| snapshot.connection == row.name);
            let ground = self.ground(&row, reads.get(row.name.as_str()), snapshot).await?;
            connections.insert(row.name, ground);
        }
        let body = origin::body(document.stored_text());
        let replaces = match &document.spec {
            Some(spec) if !self.is_current(&spec.name, &body).await? => {
                super::current_number(&self.workspace, &spec.name).await?
            }
            _ => None,
        };
        Ok(Basis { spec: hex(&Sha256::digest(body.as_bytes())), connections, replaces })
    }

    async fn ground(
        &self,
        row: &ConnectionRow,
        reads: Option<&Reads<'_>>,
        snapshot: Option<&CatalogSnapshot>,
    ) -> Result<Ground> {
        let tables = snapshot.map(content).transpose()?.unwrap_or_default().tables;
        let read = |table: &TableInfo| reads.is_some_and(|reads| reads.has(table));
        let tables: Vec<TableInfo> = tables.into_iter().filter(read).map(bare).collect();
        let rules = self.workspace.sample_rules(&row.name).await?;
        let masks = rules.masks.into_iter().filter(|mask| tables.iter().any(|table| table.path == mask.path)).collect();
        Ok(Ground {
            connector: row.connector.clone(),
            tables,
            samples: rules.policy,
            masks,
            variables: row.variables.clone().unwrap_or_default(),
        })
    }
}

/// A table without what no plan depends on.
fn bare(table: TableInfo) -> TableInfo {
    let columns = table.columns.into_iter().map(|column| ColumnInfo { comment: None, ..column }).collect();
    TableInfo { rows: None, comment: None, columns, ..table }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

    use headwater_engine::catalog::Difference;

    use super::*;

    fn orders(kind: &str) -> TableInfo {
        TableInfo {
            path: vec!["public".to_owned(), "orders".to_owned()],
            kind: "table".to_owned(),
            rows: Some(3),
            comment: Some("what was sold".to_owned()),
            columns: vec![ColumnInfo {
                name: "total".to_owned(),
                native_type: kind.to_owned(),
                arrow_type: "Utf8".to_owned(),
                nullable: true,
                primary_key: None,
                comment: None,
            }],
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
        }
    }

    fn basis(kind: &str) -> Basis {
        let ground = Ground {
            connector: "postgres".to_owned(),
            tables: vec![bare(orders(kind))],
            samples: "none".to_owned(),
            masks: Vec::new(),
            variables: Vec::new(),
        };
        Basis { spec: "1".to_owned(), connections: BTreeMap::from([("shop".to_owned(), ground)]), replaces: None }
    }

    #[test]
    fn a_basis_that_was_stored_has_the_hash_that_it_had() {
        let stored = serde_json::to_value(basis("text")).unwrap();
        let read: Basis = serde_json::from_value(stored).unwrap();
        assert_eq!(read.hash().unwrap(), basis("text").hash().unwrap());
        assert_ne!(read.hash().unwrap(), basis("numeric").hash().unwrap());
    }

    #[test]
    fn comments_and_estimated_rows_do_not_count() {
        let plain = TableInfo { rows: None, comment: None, ..orders("text") };
        assert_eq!(bare(orders("text")), plain);
    }

    #[test]
    fn what_changed_is_said_by_spec_schema_and_policy() {
        let before = basis("numeric(12,2)");
        let mut after = basis("text");
        after.spec = "2".to_owned();
        after.replaces = Some(3);
        after.connections.get_mut("shop").unwrap().samples = "rows".to_owned();
        let words: Vec<String> = before.changes_to(&after).iter().map(DraftChange::in_words).collect();
        assert_eq!(
            words,
            [
                "the spec is another one",
                "the pipeline's approved version was none, is 3",
                "shop.public.orders: column total was numeric(12,2), is text",
                "samples of connection shop: was none, is rows"
            ]
        );
        assert_eq!(before.changes_to(&before), []);
    }

    #[test]
    fn a_connection_that_is_gone_is_a_change() {
        let changes = basis("text").changes_to(&Basis { spec: "1".to_owned(), ..Basis::default() });
        let gone = |change: &DraftChange| matches!(change, DraftChange::Schema { change, .. } if change.change == Difference::TableRemoved);
        assert!(changes.iter().any(gone), "{changes:?}");
        assert!(
            changes.iter().any(|change| change.in_words() == "connector of connection shop: was postgres, is none")
        );
    }
}
