//! Questions: a statement for each, in conversations. Whoever shows a statement runs it.

use chrono_tz::Tz;
use headwater_operations::{Actor, ErrorKind, OpenTurn, OperationError, StatementStep, Step, TurnReport};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::drafts::chosen;
use super::{Asked, Assistant};
use crate::chart::without_words;
use crate::draft::{NotUnderstood, Outcome, Question, Refusal};
use crate::model::{self, Trail};
use crate::offline::{self, Statement};
use crate::seen::{Samples, Seen};

/// The most questions of a conversation: whoever has more begins another.
const MOST_TURNS: usize = 200;

/// Earlier questions that a model is shown.
const SHOWN_TURNS: usize = 6;

/// The document of `ask`, without its rows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AnswerReport {
    /// The conversation that the question is part of.
    pub conversation_id: Uuid,
    /// The question's number in it, from 1.
    pub turn: i32,
    /// What became of it.
    #[serde(flatten)]
    pub report: AskReport,
}

/// What becomes of a question.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AskReport {
    /// The statement that answers it.
    Statement(StatementReport),
    /// Two readings would give different rows.
    Question(Question),
    /// Headwater does not answer this.
    Refusal(Refusal),
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
}

/// A statement that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatementReport {
    /// The statement.
    #[serde(flatten)]
    pub statement: StatementStep,
    /// How a model made it; absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Trail>,
}

/// A question that is stored, with what it is read with.
#[derive(Debug, Clone)]
pub struct Turn {
    open: OpenTurn,
    asked: Asked,
    /// Earlier questions of the conversation, each as a sentence of its own, with their statements.
    earlier: Vec<(String, String)>,
    /// The question as a sentence of its own, if it is the answer to one.
    meaning: Option<String>,
}

impl Turn {
    /// Its conversation.
    pub fn conversation_id(&self) -> Uuid {
        self.open.conversation_id()
    }

    /// Stores what happened after the statement was made.
    pub async fn step(&self, step: Step) -> Result<(), OperationError> {
        self.open.step(step).await
    }
}

impl Assistant {
    /// Stores a question, in a conversation or as the first of a new one. In a conversation it is about the connections and in the zone of the question
    /// before, unless it says others, and may be the number or text of a choice of that.
    pub async fn begin_turn(
        &self,
        actor: &Actor,
        mut asked: Asked,
        conversation: Option<Uuid>,
    ) -> Result<Turn, OperationError> {
        let text = asked.text.clone();
        let (mut earlier, mut meaning) = (Vec::new(), None);
        if let Some(id) = conversation {
            let turns = self.operations.conversation(actor, id).await?.turns;
            if turns.len() >= MOST_TURNS {
                return Err(OperationError::invalid(format!("conversation {id} has {MOST_TURNS} questions already"))
                    .hint("ask without it: that begins another"));
            }
            if let Some(last) = turns.last() {
                go_on(&mut asked, last)?;
                meaning = last.open_question().and_then(|open| Some(chosen(open, &text).ok()?.sentence.clone()));
            }
            let stated = |turn: TurnReport| {
                let StatementStep { sql, meaning, .. } = turn.statement()?.clone();
                Some((meaning.unwrap_or(turn.question), sql))
            };
            earlier = turns.into_iter().filter_map(stated).collect();
        }
        if let Some(sentence) = &meaning {
            asked.text.clone_from(sentence);
        }
        let open = self.operations.begin_turn(actor, conversation, &text, &asked.reading()).await?;
        Ok(Turn { open, asked, earlier, meaning })
    }

    /// Makes a statement of a question.
    pub async fn ask(&self, actor: &Actor, turn: &Turn) -> Result<AnswerReport, OperationError> {
        let report = self.report_of(actor, turn).await;
        self.settle(turn, report).await
    }

    /// Checks a statement that the person has written themselves, as the answer of a question.
    pub async fn ask_edited(&self, actor: &Actor, turn: &Turn, sql: &str) -> Result<AnswerReport, OperationError> {
        let report = self.edited(actor, turn, sql).await;
        self.settle(turn, report).await
    }

    async fn settle(
        &self,
        turn: &Turn,
        report: Result<AskReport, OperationError>,
    ) -> Result<AnswerReport, OperationError> {
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                turn.step(Step::failed(&error)).await?;
                return Err(error);
            }
        };
        turn.step(match &report {
            AskReport::Statement(made) => Step::Statement(made.statement.clone()),
            AskReport::Question(question) => Step::Question(question.clone()),
            AskReport::Refusal(refusal) => Step::Refusal(refusal.clone()),
            AskReport::NotUnderstood(words) => Step::NotUnderstood(words.clone()),
        })
        .await?;
        Ok(AnswerReport { conversation_id: turn.conversation_id(), turn: turn.open.number(), report })
    }

    async fn edited(&self, actor: &Actor, turn: &Turn, sql: &str) -> Result<AskReport, OperationError> {
        self.operations.accept_statement(actor, sql).await?;
        let seen = Seen::of(&self.operations, actor, &turn.asked.on).await?;
        let assumptions = vec!["the statement was written by hand".to_owned()];
        let statement = Statement { sql: sql.to_owned(), tables: Vec::new(), assumptions };
        Ok(AskReport::Statement(seen.report(statement)))
    }

    async fn report_of(&self, actor: &Actor, turn: &Turn) -> Result<AskReport, OperationError> {
        let seen = Seen::of(&self.operations, actor, &turn.asked.on).await?;
        if let Some(sql) = self.verified(actor, &turn.asked.text).await? {
            let assumptions = vec!["a person has checked this statement for this question".to_owned()];
            return Ok(AskReport::Statement(seen.report(Statement { sql, tables: Vec::new(), assumptions })));
        }
        let stated = self.stated(actor, turn, &seen).await?;
        Ok(match stated.outcome {
            Outcome::Made(statement) => {
                let mut report = seen.report(*statement);
                report.statement.meaning = stated.meaning;
                AskReport::Statement(StatementReport { made_by: stated.trail, ..report })
            }
            Outcome::Asked(question) => AskReport::Question(question),
            Outcome::Refused(refusal) => AskReport::Refusal(refusal),
            Outcome::NotUnderstood(words) => AskReport::NotUnderstood(words),
            Outcome::NotYet { quote, .. } => {
                let bug = format!("a question asked for what only pipelines do: '{quote}'");
                return Err(OperationError::new(ErrorKind::Bug, bug));
            }
        })
    }

    async fn stated(&self, actor: &Actor, turn: &Turn, seen: &Seen) -> Result<Stated, OperationError> {
        let Turn { open, asked, earlier, meaning } = turn;
        let Some(gateway) = self.models(asked)? else {
            let before = earlier.last().map(|(question, _)| question.as_str());
            let text = without_words(&asked.text);
            let (outcome, whole) = offline::ask_after(before, text, &seen.setting(asked));
            let whole = whole.filter(|whole| *whole != asked.text);
            return Ok(Stated { outcome, meaning: whole.or_else(|| meaning.clone()), trail: None });
        };
        let Samples { tables, fingerprint } = seen.samples(&self.operations, actor).await?;
        let earlier = &earlier[earlier.len().saturating_sub(SHOWN_TURNS)..];
        let (shown, covers) = asked.without_secrets();
        let (operations, asked, samples) = (&self.operations, &shown, &tables);
        let of = model::Ask { operations, actor, seen, asked, samples, earlier, turn: open };
        let made = model::ask(of, self.opening(gateway, actor, asked, seen, ("ask", &fingerprint))).await;
        self.watcher.done();
        let made = made?;
        if let Outcome::Made(statement) = &made.outcome {
            covers.must_not_be_in(&statement.sql)?;
        }
        Ok(Stated { outcome: made.outcome, meaning: meaning.clone(), trail: Some(made.trail) })
    }

    /// The statement that somebody has checked for exactly this question.
    async fn verified(&self, actor: &Actor, question: &str) -> Result<Option<String>, OperationError> {
        let plain = |text: &str| text.trim_end_matches(['?', '!', '.', ' ']).trim().to_lowercase();
        let questions = self.operations.questions(actor).await?.questions;
        Ok(questions.into_iter().find(|row| plain(&row.question) == plain(question)).map(|row| row.sql))
    }
}

/// What became of a question, and the question as a sentence of its own if the conversation completed it.
struct Stated {
    outcome: Outcome<Statement>,
    meaning: Option<String>,
    trail: Option<Trail>,
}

/// What a question does not say is as in the one before.
fn go_on(asked: &mut Asked, last: &TurnReport) -> Result<(), OperationError> {
    if asked.on.is_empty() {
        asked.on.clone_from(&last.reading.on);
    }
    if asked.zone.is_none() {
        let zone = last.reading.timezone.parse::<Tz>();
        asked.zone = Some(zone.map_err(|_| OperationError::bug("a stored question has no time zone"))?);
    }
    Ok(())
}
