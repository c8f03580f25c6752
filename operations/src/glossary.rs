//! The workspace's own words, and questions with statements that somebody has checked.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::catalog::Catalog;
use headwater_engine::query::QueryError;
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_store::{GlossaryRow, GlossaryTerm, QuestionRow, Suggest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::content;
use crate::query::problems;
use crate::{Action, Actor, OperationError, Operations, Result};

/// A term that is to be added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTerm {
    /// The word or phrase.
    pub term: String,
    /// The table that it is, or is about, as a spec names it: `connection.schema.table`.
    pub table: String,
    /// SQL over the table's columns, if it does not stand for the table itself.
    pub expression: Option<String>,
}

/// The document of `glossary list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GlossaryReport {
    /// Terms, sorted.
    pub terms: Vec<GlossaryRow>,
}

/// The document of `questions list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuestionsReport {
    /// Questions, sorted.
    pub questions: Vec<QuestionRow>,
}

impl Operations {
    /// The workspace's terms.
    pub async fn glossary(&self, actor: &Actor) -> Result<GlossaryReport> {
        Ok(GlossaryReport { terms: self.permit(actor, Action::ReadCatalog)?.glossary().await? })
    }

    /// Adds or changes a term. Its table has to be in the newest catalog, and its SQL has to fit the table.
    pub async fn set_term(&self, actor: &Actor, set: SetTerm) -> Result<GlossaryTerm> {
        let workspace = self.permit(actor, Action::ChangeGlossary)?;
        let term = set.term.split_whitespace().collect::<Vec<_>>().join(" ");
        must_fit("a term", &term, 200)?;
        let (connection, path) = self.must_be_table(&set.table).await?;
        if let Some(expression) = &set.expression {
            // In brackets it is one value, and without SELECT of no other table.
            if expression.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word == "select") {
                return Err(OperationError::invalid(
                    "a term's SQL is an expression over the columns of its table, without SELECT",
                ));
            }
            self.must_plan(&format!("SELECT (\n{expression}\n) AS term\nFROM {}", set.table), Some(expression)).await?;
        }
        let term = GlossaryTerm { term, connection, path, expression: set.expression };
        workspace.put_term(&term).await?;
        Ok(term)
    }

    /// Removes a term.
    pub async fn remove_term(&self, actor: &Actor, term: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeGlossary)?.remove_term(term).await?)
    }

    /// Questions with statements that somebody has checked.
    pub async fn questions(&self, actor: &Actor) -> Result<QuestionsReport> {
        Ok(QuestionsReport { questions: self.permit(actor, Action::ReadCatalog)?.questions().await? })
    }

    /// Adds a question with the statement that answers it, or replaces the statement. The statement has to plan on the newest catalogs.
    pub async fn add_question(&self, actor: &Actor, question: &str, sql: &str) -> Result<()> {
        let workspace = self.permit(actor, Action::ChangeGlossary)?;
        must_fit("a question", question, 2_000)?;
        self.must_plan(sql, None).await?;
        Ok(workspace.put_question(question, sql).await?)
    }

    /// Removes a question.
    pub async fn remove_question(&self, actor: &Actor, question: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeGlossary)?.remove_question(question).await?)
    }

    /// The connection and path of a table of the newest catalogs.
    async fn must_be_table(&self, name: &str) -> Result<(String, Vec<String>)> {
        let mut parts = headwater_pipelines::sql::split_name(name)
            .map_err(|error| OperationError::invalid(format!("'{name}' is no name of a table: {}", error.message)))?;
        if parts.len() < 2 {
            return Err(OperationError::invalid(format!("'{name}' names no table of a connection"))
                .hint("write connection.schema.table")
                .suggest(Suggest::ListConnections));
        }
        let path = parts.split_off(1);
        let connection = parts.remove(0);
        let found = self.newest_catalogs(std::slice::from_ref(&connection)).await?;
        let catalog = found.values().map(content).next().transpose()?.unwrap_or_default();
        if catalog.tables.iter().any(|table| table.path == path) {
            return Ok((connection, path));
        }
        let names: Vec<String> = catalog.tables.iter().map(|table| table.path.join(".")).collect();
        let missing = OperationError::not_found(format!("connection {connection} has no table {}", path.join(".")));
        let missing = match nearest_hint(&path.join("."), names.iter().map(String::as_str)) {
            Some(near) => missing.hint(near),
            None => missing,
        };
        Err(missing.suggest(Suggest::ShowCatalog { connection }))
    }

    /// Plans a statement on the newest catalogs. `shown` is the part of it that a person wrote, if that isn't all.
    async fn must_plan(&self, sql: &str, shown: Option<&str>) -> Result<()> {
        let catalogs = self.planning_catalogs().await?;
        match self.engine.describe(sql, catalogs).await {
            Ok(_) => Ok(()),
            Err(QueryError::Engine(error)) => Err(error.into()),
            Err(QueryError::Statement(findings)) => {
                let text =
                    shown.map_or_else(|| sql.to_owned(), |expression| format!("SELECT (\n{expression}\n) AS term"));
                Err(OperationError::problems(vec![problems(&text, findings)]))
            }
        }
    }

    /// The newest catalog of every connection that has one, with its connector.
    pub(crate) async fn planning_catalogs(&self) -> Result<BTreeMap<String, (String, Catalog)>> {
        let connectors: BTreeMap<String, String> =
            self.workspace.connections().await?.into_iter().map(|row| (row.name, row.connector)).collect();
        let names: Vec<String> = connectors.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let mut catalogs = BTreeMap::new();
        for snapshot in self.workspace.newest_catalogs(&names).await? {
            let Some(connector) = connectors.get(&snapshot.connection) else { continue };
            catalogs.insert(snapshot.connection.clone(), (connector.clone(), content(&snapshot)?));
        }
        Ok(catalogs)
    }
}

fn must_fit(what: &str, text: &str, most: usize) -> Result<()> {
    if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        let message = format!("{what} has 1 to {most} characters, all of which can be printed");
        return Err(OperationError::invalid(message));
    }
    Ok(())
}
