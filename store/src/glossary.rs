//! What people of a workspace call things, and questions whose statements somebody has checked.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Result, StoreError, Suggest, Workspace};

/// A term and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GlossaryTerm {
    /// The word or phrase; upper and lower case are the same.
    pub term: String,
    /// The connection that has the table.
    pub connection: String,
    /// The table's path below the connection.
    pub path: Vec<String>,
    /// SQL over the table's columns; absent if the term stands for the table itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// A term as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GlossaryRow {
    /// The term.
    #[serde(flatten)]
    pub term: GlossaryTerm,
    /// Who changed it last.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// A question and the statement that answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuestionRow {
    /// The question; upper and lower case are the same.
    pub question: String,
    /// One SELECT over tables named `connection.path`.
    pub sql: String,
    /// Who checked it.
    pub checked_by: Option<String>,
    /// When.
    pub checked_at: DateTime<Utc>,
}

/// What the audit says of a question.
#[derive(Serialize)]
struct Checked<'a> {
    sql: &'a str,
}

impl Workspace {
    /// Adds a term or changes what it stands for.
    pub async fn put_term(&self, term: &GlossaryTerm) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let stored = sqlx::query!(
            "INSERT INTO glossary (workspace_id, term, connection_id, path, expression, changed_by)
             SELECT c.workspace_id, $2, c.id, $4, $5, $6 FROM connections c WHERE c.workspace_id = $1 AND c.name = $3
             ON CONFLICT (workspace_id, lower(term)) DO UPDATE
             SET term = EXCLUDED.term, connection_id = EXCLUDED.connection_id, path = EXCLUDED.path, expression = EXCLUDED.expression,
                 changed_by = EXCLUDED.changed_by, changed_at = clock_timestamp()",
            self.id(),
            term.term,
            term.connection,
            &term.path,
            term.expression,
            self.actor()
        )
        .execute(&mut *tx)
        .await?;
        if stored.rows_affected() == 0 {
            let message = format!("there is no connection named '{}'", term.connection);
            return Err(StoreError::not_found(message).suggest(Suggest::ListConnections));
        }
        self.record(&mut tx, "glossary.set", &term.term, term).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a term.
    pub async fn remove_term(&self, term: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let removed =
            sqlx::query!("DELETE FROM glossary WHERE workspace_id = $1 AND lower(term) = lower($2)", self.id(), term)
                .execute(&mut *tx)
                .await?;
        if removed.rows_affected() == 0 {
            let message = format!("the glossary has no term '{term}'");
            return Err(StoreError::not_found(message).suggest(Suggest::ListGlossary));
        }
        self.record(&mut tx, "glossary.remove", term, &()).await?;
        Ok(tx.commit().await?)
    }

    /// All terms, sorted.
    pub async fn glossary(&self) -> Result<Vec<GlossaryRow>> {
        let rows = sqlx::query!(
            "SELECT g.term, c.name AS connection, g.path, g.expression, g.changed_by, g.changed_at
             FROM glossary g JOIN connections c ON c.workspace_id = g.workspace_id AND c.id = g.connection_id
             WHERE g.workspace_id = $1 ORDER BY lower(g.term)",
            self.id()
        )
        .fetch_all(self.reads())
        .await?;
        let rows = rows.into_iter().map(|row| GlossaryRow {
            term: GlossaryTerm {
                term: row.term,
                connection: row.connection,
                path: row.path,
                expression: row.expression,
            },
            changed_by: row.changed_by,
            changed_at: row.changed_at,
        });
        Ok(rows.collect())
    }

    /// Adds a question whose statement somebody has checked, or replaces its statement.
    pub async fn put_question(&self, question: &str, sql: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        sqlx::query!(
            "INSERT INTO verified_questions (workspace_id, question, sql, checked_by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, lower(question)) DO UPDATE
             SET question = EXCLUDED.question, sql = EXCLUDED.sql, checked_by = EXCLUDED.checked_by, checked_at = clock_timestamp()",
            self.id(),
            question,
            sql,
            self.actor()
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "questions.add", question, &Checked { sql }).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a question.
    pub async fn remove_question(&self, question: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let removed = sqlx::query!(
            "DELETE FROM verified_questions WHERE workspace_id = $1 AND lower(question) = lower($2)",
            self.id(),
            question
        )
        .execute(&mut *tx)
        .await?;
        if removed.rows_affected() == 0 {
            let message = format!("there is no verified question '{question}'");
            return Err(StoreError::not_found(message).suggest(Suggest::ListQuestions));
        }
        self.record(&mut tx, "questions.remove", question, &()).await?;
        Ok(tx.commit().await?)
    }

    /// All questions, sorted.
    pub async fn questions(&self) -> Result<Vec<QuestionRow>> {
        Ok(sqlx::query_as!(
            QuestionRow,
            "SELECT question, sql, checked_by, checked_at FROM verified_questions WHERE workspace_id = $1 ORDER BY lower(question)",
            self.id()
        )
        .fetch_all(self.reads())
        .await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::database;
    use crate::{Face, MasterKey, NewConnection, Who};

    fn term(term: &str, expression: Option<&str>) -> GlossaryTerm {
        GlossaryTerm {
            term: term.to_owned(),
            connection: "shop".to_owned(),
            path: vec!["public".to_owned(), "orders".to_owned()],
            expression: expression.map(str::to_owned),
        }
    }

    async fn shop(workspace: &Workspace) {
        let connection = NewConnection {
            name: "shop".to_owned(),
            connector: "postgres".to_owned(),
            settings: json!({}),
            shown: json!({}),
            variables: Vec::new(),
        };
        workspace.put_connection(&MasterKey::from_bytes(&[3; 32]).unwrap(), &connection).await.unwrap();
    }

    #[tokio::test]
    async fn a_term_is_found_whatever_its_case_and_goes_with_its_connection() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let unknown = workspace.put_term(&term("Revenue", None)).await.unwrap_err();
        assert!(unknown.message.contains("no connection named 'shop'"), "{unknown}");
        shop(&workspace).await;
        workspace.put_term(&term("Revenue", None)).await.unwrap();
        workspace.put_term(&term("REVENUE", Some("sum(amount)"))).await.unwrap();
        let rows = workspace.glossary().await.unwrap();
        assert_eq!(rows.iter().map(|row| &row.term).collect::<Vec<_>>(), [&term("REVENUE", Some("sum(amount)"))]);
        workspace.remove_connection("shop").await.unwrap();
        assert_eq!(workspace.glossary().await.unwrap(), []);
        assert!(workspace.remove_term("revenue").await.is_err());
    }

    #[tokio::test]
    async fn who_checked_a_question_is_kept_with_it() {
        let db = database().await;
        let who = Who { actor: "ada".to_owned(), face: Face::CommandLine };
        let workspace = db.store.default_workspace().acting(who);
        workspace.put_question("How many orders?", "SELECT 1").await.unwrap();
        workspace.put_question("how many ORDERS?", "SELECT count(*) FROM shop.public.orders").await.unwrap();
        let rows = workspace.questions().await.unwrap();
        let seen: Vec<(&str, Option<&str>)> =
            rows.iter().map(|row| (&*row.question, row.checked_by.as_deref())).collect();
        assert_eq!(seen, [("how many ORDERS?", Some("ada"))]);
        workspace.remove_question("How many orders?").await.unwrap();
        assert_eq!(workspace.questions().await.unwrap(), []);
        let actions: Vec<String> = workspace.audit(10).await.unwrap().into_iter().map(|row| row.action).collect();
        assert_eq!(actions, ["questions.remove", "questions.add", "questions.add"]);
    }
}
