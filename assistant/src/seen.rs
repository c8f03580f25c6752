//! What the asking person may read and write, and what their words mean here.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::samples::TableSamples;
use headwater_operations::{Actor, ErrorKind, KnownConnection, OperationError, Operations, StatementStep};
use sha2::{Digest as _, Sha256};

use crate::face::{Asked, StatementReport};
use crate::known::{Known, KnownTable, TableId};
use crate::offline::{Setting, Statement, Term};
use crate::retrieval::Hint;

/// The catalogs of the connections that are asked about, with the workspace's words.
pub(crate) struct Seen {
    pub(crate) known: Known,
    /// Connections that can be written to.
    pub(crate) targets: Vec<String>,
    /// Terms that stand for a table.
    pub(crate) terms: Vec<Term>,
    /// All terms, for retrieval and for models.
    pub(crate) hints: Vec<Hint>,
    pub(crate) connections: Vec<KnownConnection>,
}

/// Samples by connection and path.
pub(crate) struct Samples {
    pub(crate) tables: BTreeMap<(String, String), TableSamples>,
    /// Identifies them, in hexadecimal: other samples or masks are another policy.
    pub(crate) fingerprint: String,
}

impl Seen {
    /// What can be seen of these connections; of all if none is named.
    pub(crate) async fn of(operations: &Operations, actor: &Actor, on: &[String]) -> Result<Self, OperationError> {
        let all = operations.known_connections(actor).await?;
        if let Some(unknown) = on.iter().find(|name| !all.iter().any(|known| known.name == **name)) {
            let message = format!("there is no connection named '{unknown}'");
            return Err(OperationError::new(ErrorKind::NotFound, message));
        }
        let connections: Vec<KnownConnection> =
            all.into_iter().filter(|known| on.is_empty() || on.contains(&known.name)).collect();
        let tables = connections.iter().filter(|connection| connection.is_readable).flat_map(|connection| {
            let named = |table: &_| KnownTable { connection: connection.name.clone(), table: Clone::clone(table) };
            connection.tables.iter().map(named)
        });
        let targets = connections.iter().filter(|known| known.is_writable).map(|known| known.name.clone());
        let (known, targets) = (Known::new(tables.collect()), targets.collect());
        let (mut terms, mut hints) = (Vec::new(), Vec::new());
        for term in operations.glossary(actor).await?.terms.into_iter().map(|row| row.term) {
            let Some(table) = known.find(&term.connection, &term.path) else { continue };
            let name = known.table(table).map(KnownTable::full_name).unwrap_or_default();
            let meaning = term.expression.as_ref().map_or_else(|| name.clone(), |sql| format!("{sql} of {name}"));
            // A term with SQL is not a table.
            if term.expression.is_none() {
                terms.push(Term { table, phrase: term.term.clone() });
            }
            hints.push(Hint { phrase: term.term, meaning, tables: vec![(term.connection, term.path)] });
        }
        Ok(Self { known, targets, terms, hints, connections })
    }

    /// What the offline compiler reads with.
    pub(crate) fn setting(&self, asked: &Asked) -> Setting<'_> {
        let Self { known, targets, terms, .. } = self;
        Setting { known, targets, terms, zone: asked.zone(), now: asked.now }
    }

    /// The samples of the tables. Only what the connections' rules allow is stored.
    pub(crate) async fn samples(&self, operations: &Operations, actor: &Actor) -> Result<Samples, OperationError> {
        let mut tables = BTreeMap::new();
        let mut hasher = Sha256::new();
        for connection in self.connections.iter().filter(|connection| connection.snapshot.is_some()) {
            for (path, sampled) in operations.catalog(actor, &connection.name, false).await?.samples {
                hasher.update(serde_json::to_vec(&(&connection.name, &path, &sampled)).unwrap_or_default());
                tables.insert((connection.name.clone(), path), sampled);
            }
        }
        Ok(Samples { tables, fingerprint: hex::encode(hasher.finalize()) })
    }

    /// Identifies what can be seen, in hexadecimal: an answer that was given to other catalogs is none.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for connection in &self.connections {
            let hash = connection.snapshot.as_ref().map_or("", |snapshot| snapshot.hash.as_str());
            hasher.update(format!("{:?} {hash} {}\n", connection.name, connection.is_writable));
        }
        hex::encode(hasher.finalize())
    }

    /// A statement with the catalogs that it was made on.
    pub(crate) fn report(&self, statement: Statement) -> StatementReport {
        let read: BTreeSet<&String> = statement
            .tables
            .iter()
            .filter_map(|id: &TableId| self.known.table(*id))
            .map(|table| &table.connection)
            .collect();
        let snapshot = |name: &String| {
            let known = self.connections.iter().find(|known| known.name == *name)?;
            Some((name.clone(), known.snapshot.clone()?))
        };
        let statement = StatementStep {
            catalogs: read.into_iter().filter_map(snapshot).collect(),
            sql: statement.sql,
            meaning: None,
            assumptions: statement.assumptions,
        };
        StatementReport { statement, made_by: None }
    }
}
