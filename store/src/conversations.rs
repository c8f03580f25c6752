//! Conversations: questions of one person in a row, and the steps of each answer. A client that comes back finds every step.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::ids::{AMBIGUOUS_SHOWN, Beginning};
use crate::{Result, StoreError, Suggest, Workspace};

/// A question that is to be answered.
#[derive(Debug, Clone)]
pub struct NewTurn<'a> {
    /// The conversation that it goes on with; without one it begins another.
    pub conversation: Option<Uuid>,
    /// The person's words, without secrets.
    pub question: &'a str,
    /// How they are read.
    pub reading: &'a Value,
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnKey {
    /// Its conversation.
    pub conversation: Uuid,
    /// Its number in it, from 1.
    pub turn: i32,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: Uuid,
    /// When its first question was asked.
    pub started_at: DateTime<Utc>,
    /// When its last one was.
    pub last_at: DateTime<Utc>,
    /// How many there are.
    pub turns: i32,
    /// The first one.
    pub question: String,
}

/// A question and what happened since.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnRow {
    /// Its number, from 1.
    pub number: i32,
    /// The person's words.
    pub question: String,
    /// How they are read.
    pub reading: Value,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// The steps of its answer, in order.
    pub steps: Vec<StepRow>,
}

/// A step of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Its number in the turn, from 1.
    pub number: i32,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub document: Value,
}

impl Workspace {
    /// Stores a question. Its conversation is the actor's own.
    pub async fn begin_turn(&self, new: &NewTurn<'_>) -> Result<TurnKey> {
        let mut tx = self.durable().begin().await?;
        let person = self.actor().unwrap_or_default();
        let conversation = match new.conversation {
            Some(id) => id,
            None => {
                sqlx::query_scalar!(
                    "INSERT INTO conversations (workspace_id, person) VALUES ($1, $2) RETURNING id",
                    self.id(),
                    person
                )
                .fetch_one(&mut *tx)
                .await?
            }
        };
        let turn = sqlx::query_scalar!(
            "WITH next AS (
                 UPDATE conversations SET turns = turns + 1, last_at = clock_timestamp()
                 WHERE workspace_id = $1 AND id = $2 AND person = $3 RETURNING workspace_id, id, turns)
             INSERT INTO turns (workspace_id, conversation_id, number, question, reading)
             SELECT workspace_id, id, turns, $4, $5 FROM next RETURNING number",
            self.id(),
            conversation,
            person,
            new.question,
            new.reading
        )
        .fetch_optional(&mut *tx)
        .await?;
        let turn = turn.ok_or_else(|| missing(conversation))?;
        tx.commit().await?;
        Ok(TurnKey { conversation, turn })
    }

    /// Stores the next step of an answer. A conversation that was forgotten meanwhile takes none.
    pub async fn add_step(&self, key: TurnKey, document: &Value) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        sqlx::query!(
            "INSERT INTO turn_steps (workspace_id, conversation_id, turn, number, document)
             SELECT t.workspace_id, t.conversation_id, t.number,
                    1 + (SELECT count(*) FROM turn_steps s
                         WHERE s.workspace_id = t.workspace_id AND s.conversation_id = t.conversation_id AND s.turn = t.number)::integer,
                    $4
             FROM turns t WHERE t.workspace_id = $1 AND t.conversation_id = $2 AND t.number = $3
             FOR NO KEY UPDATE",
            self.id(),
            key.conversation,
            key.turn,
            document
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// The actor's conversations, that with the newest question first.
    pub async fn conversations(&self, limit: i64) -> Result<Vec<ConversationRow>> {
        Ok(sqlx::query_as!(
            ConversationRow,
            "SELECT c.id, c.started_at, c.last_at, c.turns, t.question
             FROM conversations c
             JOIN turns t ON t.workspace_id = c.workspace_id AND t.conversation_id = c.id AND t.number = 1
             WHERE c.workspace_id = $1 AND c.person = $2
             ORDER BY c.last_at DESC, c.id DESC LIMIT $3",
            self.id(),
            self.actor().unwrap_or_default(),
            limit
        )
        .fetch_all(self.reads())
        .await?)
    }

    /// The questions of one of the actor's conversations, with all their steps, in order.
    pub async fn turns(&self, conversation: Uuid) -> Result<Vec<TurnRow>> {
        let rows = sqlx::query!(
            r#"SELECT t.number, t.question, t.reading, t.asked_at,
                      s.number AS "step?", s.at AS "at?", s.document AS "document?"
               FROM conversations c
               JOIN turns t ON t.workspace_id = c.workspace_id AND t.conversation_id = c.id
               LEFT JOIN turn_steps s ON s.workspace_id = t.workspace_id AND s.conversation_id = t.conversation_id AND s.turn = t.number
               WHERE c.workspace_id = $1 AND c.id = $2 AND c.person = $3
               ORDER BY t.number, s.number"#,
            self.id(),
            conversation,
            self.actor().unwrap_or_default()
        )
        .fetch_all(self.reads())
        .await?;
        let mut turns: Vec<TurnRow> = Vec::new();
        for row in rows {
            if turns.last().is_none_or(|turn| turn.number != row.number) {
                let (number, question, reading) = (row.number, row.question, row.reading);
                turns.push(TurnRow { number, question, reading, asked_at: row.asked_at, steps: Vec::new() });
            }
            if let (Some(turn), Some(number), Some(at), Some(document)) =
                (turns.last_mut(), row.step, row.at, row.document)
            {
                turn.steps.push(StepRow { number, at, document });
            }
        }
        if turns.is_empty() { Err(missing(conversation)) } else { Ok(turns) }
    }

    /// The actor's only conversation whose id begins like this.
    pub async fn find_conversation(&self, prefix: &str) -> Result<Uuid> {
        let beginning = Beginning::read("conversation", prefix, Suggest::ListConversations)?;
        let found = sqlx::query_scalar!(
            "SELECT id FROM conversations WHERE workspace_id = $1 AND person = $2 AND id >= $3 AND id <= $4 ORDER BY id DESC LIMIT $5",
            self.id(),
            self.actor().unwrap_or_default(),
            beginning.from,
            beginning.to,
            AMBIGUOUS_SHOWN + 1
        )
        .fetch_all(self.reads())
        .await?;
        beginning.only(&found)
    }
}

fn missing(id: Uuid) -> StoreError {
    StoreError::not_found(format!("there is no conversation {id}")).suggest(Suggest::ListConversations)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::testing::database;
    use crate::{Face, Who};

    fn of(workspace: &Workspace, actor: &str) -> Workspace {
        workspace.acting(Who { actor: actor.to_owned(), face: Face::CommandLine })
    }

    fn turn<'a>(conversation: Option<Uuid>, question: &'a str, reading: &'a Value) -> NewTurn<'a> {
        NewTurn { conversation, question, reading }
    }

    #[tokio::test]
    async fn a_conversation_keeps_its_questions_and_their_steps_in_order() {
        let db = database().await;
        let ada = of(&db.store.default_workspace(), "ada");
        let reading = json!({ "on": ["shop"] });
        let first = ada.begin_turn(&turn(None, "count orders", &reading)).await.unwrap();
        ada.add_step(first, &json!("looked")).await.unwrap();
        ada.add_step(first, &json!("answered")).await.unwrap();
        let second = ada.begin_turn(&turn(Some(first.conversation), "per month", &reading)).await.unwrap();
        assert_eq!((first.turn, second.turn), (1, 2));
        let turns = ada.turns(first.conversation).await.unwrap();
        let seen: Vec<(&str, Vec<&Value>)> = turns
            .iter()
            .map(|turn| (turn.question.as_str(), turn.steps.iter().map(|step| &step.document).collect()))
            .collect();
        assert_eq!(
            seen,
            [("count orders", vec![&json!("looked"), &json!("answered")]), ("per month", Vec::<&Value>::new())]
        );
        let listed = ada.conversations(10).await.unwrap();
        assert_eq!((listed[0].turns, listed[0].question.as_str()), (2, "count orders"));
        let prefix = first.conversation.to_string();
        assert_eq!(ada.find_conversation(&prefix[..13]).await.unwrap(), first.conversation);
    }

    #[tokio::test]
    async fn nobody_sees_or_goes_on_with_the_conversation_of_another_person() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let (ada, bob) = (of(&workspace, "ada"), of(&workspace, "bob"));
        let reading = json!({});
        let key = ada.begin_turn(&turn(None, "count orders", &reading)).await.unwrap();
        assert_eq!(bob.conversations(10).await.unwrap(), []);
        assert!(bob.turns(key.conversation).await.is_err());
        assert!(bob.find_conversation(&key.conversation.to_string()).await.is_err());
        assert!(bob.begin_turn(&turn(Some(key.conversation), "per month", &reading)).await.is_err());
        assert_eq!(ada.turns(key.conversation).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_conversation_in_which_nothing_is_asked_any_more_is_forgotten_and_takes_no_step() {
        let db = database().await;
        let ada = of(&db.store.default_workspace(), "ada");
        let reading = json!({});
        let key = ada.begin_turn(&turn(None, "count orders", &reading)).await.unwrap();
        db.store.keep_history(Duration::from_secs(3600)).await.unwrap();
        assert_eq!(ada.conversations(10).await.unwrap().len(), 1);
        db.store.keep_history(Duration::ZERO).await.unwrap();
        assert_eq!(ada.conversations(10).await.unwrap(), []);
        ada.add_step(key, &json!("late")).await.unwrap();
    }
}
