//! Where findings of checking belong in the file, and what failures of connections are reported as.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_pipelines::decode::Step;
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{ExtractSource, Relation, Work};
use headwater_pipelines::spec::WriteMode;
use headwater_pipelines::sql::SqlFinding;

use super::Checker;
use crate::connector::Expected;
use crate::error::{EngineError, ErrorKind};

impl Checker<'_> {
    /// Settings of the file's own connections, each reported at the option that is wrong and not where the connection is used.
    pub(super) fn settings(&mut self) {
        for (name, _) in self.document.connections() {
            let Some(Err(error)) = self.connections.knows(name).then(|| self.connections.open(name)) else { continue };
            let option = error.setting.as_deref().into_iter().flat_map(|setting| setting.split('.'));
            let steps: Vec<Step> = ["connections", name].into_iter().chain(option).map(Step::from).collect();
            self.unreachable.insert(name.clone());
            self.checked.diagnostics.push(self.document.at_key(&steps, reported(Code::Unreachable, error)));
        }
    }

    /// Tells connections which tables are going to be opened. One that fails says so again when a table is opened.
    pub(super) async fn expect(&self) {
        let mut tables: BTreeMap<&str, Expected> = BTreeMap::new();
        for work in self.planned.works.values() {
            let named = match work {
                Work::Extract { source: ExtractSource::Table(table), .. } => Some((table, false)),
                Work::Load { into, mode, .. } => Some((into, *mode == WriteMode::Overwrite)),
                _ => None,
            };
            let read = work.reads().into_iter().filter_map(|relation| match relation {
                Relation::Table(table) => Some((table, false)),
                Relation::Task(_) => None,
            });
            for (table, is_replaced) in named.into_iter().chain(read) {
                let expected = tables.entry(&table.connection).or_default();
                let paths = if is_replaced { &mut expected.replaced } else { &mut expected.opened };
                paths.insert(table.path.clone());
            }
        }
        let is_several = |expected: &Expected| expected.opened.len() + expected.replaced.len() > 1;
        let several = tables.into_iter().filter(|(_, expected)| is_several(expected));
        for (name, expected) in several.filter(|(name, _)| !self.unreachable.contains(*name)) {
            let Ok(connection) = self.connections.open(name) else { continue };
            let _asking = self.connections.asking(name);
            if let Err(error) = connection.expect(&expected).await {
                tracing::debug!(connection = name, %error, "tables are looked at one by one");
            }
        }
    }

    /// Reports a connection that can't be used once, and everything else where it was asked for.
    pub(super) async fn failed(&mut self, code: Code, connection: &str, steps: &[Step], error: EngineError) {
        if self.unreachable.contains(connection) {
            return;
        }
        let (code, error) = match self.usable(connection).await {
            Ok(()) if error.kind == ErrorKind::Transient => (Code::Unreachable, error),
            Ok(()) => (code, error),
            Err(cause) => {
                self.unreachable.insert(connection.to_owned());
                (Code::Unreachable, cause)
            }
        };
        self.add(steps, reported(code, error));
    }

    async fn usable(&self, connection: &str) -> crate::Result<()> {
        let _asking = self.connections.asking(connection);
        self.connections.open(connection)?.check().await.map(|_| ())
    }

    /// Where a transform names a relation.
    pub(super) fn place_in_statement(&self, task: &str, relation: &str) -> Option<Span> {
        self.planned.queries.get(task).and_then(|resolved| resolved.place_of(relation))
    }

    pub(super) fn add(&mut self, steps: &[Step], finding: Finding) {
        let placed = match self.within {
            Some(span) => {
                let found = SqlFinding::new(span, finding);
                self.document.at_text(steps, found.line, found.column, found.length, found.finding)
            }
            None => self.document.at(steps, finding),
        };
        self.checked.diagnostics.push(placed);
    }

    pub(super) fn steps(&self, task: &str, fields: &[&str]) -> Vec<Step> {
        let start = self.planned.steps.get(task).cloned().unwrap_or_default();
        start.into_iter().chain(fields.iter().map(|field| Step::from(*field))).collect()
    }
}

fn reported(code: Code, error: EngineError) -> Finding {
    let finding = Finding::error(code, error.message);
    match error.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
