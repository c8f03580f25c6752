//! What a person can ask of the assistant.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_operations::{
    Actor, Against, ErrorKind, KnownConnection, OperationError, Operations, PlanReport, Problems, SnapshotReport,
    SpecFile,
};
use headwater_pipelines::write;
use schemars::JsonSchema;
use serde::Serialize;

use crate::draft::{Drafted, NotUnderstood, Outcome, Question, Refusal, Requirement};
use crate::known::{Known, KnownTable};
use crate::offline::{self, Setting, Statement, Term};

/// The assistant on the operations of a workspace. It makes drafts and statements; it applies and runs nothing.
#[derive(Debug, Clone)]
pub struct Assistant {
    operations: Operations,
}

/// What a sentence or a question is read with.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The sentence or question.
    pub text: String,
    /// The connections that it is about; empty for all.
    pub on: Vec<String>,
    /// The zone that days are of.
    pub zone: Tz,
    /// The moment of asking.
    pub now: DateTime<Utc>,
}

/// The document of `compile`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CompileReport {
    /// A draft that plans, or one with mistakes.
    Draft(Box<DraftReport>),
    /// Two readings would load different rows.
    Question(Question),
    /// Headwater does not do this.
    Refusal(Refusal),
    /// It does not execute yet.
    NotYet {
        /// What, as specs call it.
        feature: String,
        /// The words that asked for it.
        quote: String,
    },
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
}

/// A draft.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DraftReport {
    /// The spec as a file.
    pub text: String,
    /// What each part of the sentence became.
    pub requirements: Vec<Requirement>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// What planning it on the catalogs found.
    pub plan: PlanReport,
    /// Whether it can run.
    pub valid: bool,
    /// Its problems, with the text that they are in.
    #[serde(skip)]
    #[schemars(skip)]
    pub problems: Problems,
}

/// The document of `ask`, without its rows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AskReport {
    /// The statement that answers the question.
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
    /// One SELECT over tables named `connection.path`.
    pub sql: String,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// The catalogs that it was made on, by connection.
    pub catalogs: BTreeMap<String, SnapshotReport>,
}

impl Assistant {
    /// On these operations.
    pub fn new(operations: Operations) -> Self {
        Self { operations }
    }

    /// Makes a draft of a sentence and plans it on the stored catalogs.
    pub async fn compile(&self, actor: &Actor, asked: &Asked) -> Result<CompileReport, OperationError> {
        let seen = self.seen(actor, &asked.on).await?;
        let drafted = match offline::compile(&asked.text, &seen.setting(asked)) {
            Outcome::Made(drafted) => drafted,
            Outcome::Asked(question) => return Ok(CompileReport::Question(question)),
            Outcome::Refused(refusal) => return Ok(CompileReport::Refusal(refusal)),
            Outcome::NotYet { feature, quote } => return Ok(CompileReport::NotYet { feature, quote }),
            Outcome::NotUnderstood(words) => return Ok(CompileReport::NotUnderstood(words)),
        };
        let Drafted { spec, comments, requirements, assumptions } = *drafted;
        let text = write::yaml(&spec, &comments);
        let file = SpecFile { name: format!("{}.yaml", spec.name), bytes: text.clone().into_bytes() };
        let planned = self.operations.plan(actor, vec![file], Against::Catalogs).await?.pop();
        let planned = planned.ok_or_else(|| OperationError::new(ErrorKind::Bug, "a draft was planned as nothing"))?;
        Ok(CompileReport::Draft(Box::new(DraftReport {
            text,
            requirements,
            assumptions,
            plan: planned.report,
            valid: planned.valid,
            problems: planned.problems,
        })))
    }

    /// Makes a statement of a question. Whoever shows it runs it.
    pub async fn ask(&self, actor: &Actor, asked: &Asked) -> Result<AskReport, OperationError> {
        let seen = self.seen(actor, &asked.on).await?;
        if let Some(sql) = self.verified(actor, &asked.text).await? {
            let assumptions = vec!["a person has checked this statement for this question".to_owned()];
            return Ok(AskReport::Statement(seen.report(Statement { sql, tables: Vec::new(), assumptions })));
        }
        Ok(match offline::ask(&asked.text, &seen.setting(asked)) {
            Outcome::Made(statement) => AskReport::Statement(seen.report(*statement)),
            Outcome::Asked(question) => AskReport::Question(question),
            Outcome::Refused(refusal) => AskReport::Refusal(refusal),
            Outcome::NotUnderstood(words) => AskReport::NotUnderstood(words),
            Outcome::NotYet { quote, .. } => {
                let bug = format!("a question asked for what only pipelines do: '{quote}'");
                return Err(OperationError::new(ErrorKind::Bug, bug));
            }
        })
    }

    /// The statement that somebody has checked for exactly this question.
    async fn verified(&self, actor: &Actor, question: &str) -> Result<Option<String>, OperationError> {
        let plain = |text: &str| text.trim_end_matches(['?', '!', '.', ' ']).trim().to_lowercase();
        let questions = self.operations.questions(actor).await?.questions;
        Ok(questions.into_iter().find(|row| plain(&row.question) == plain(question)).map(|row| row.sql))
    }

    /// The catalogs of the connections that are asked about.
    async fn seen(&self, actor: &Actor, on: &[String]) -> Result<Seen, OperationError> {
        let all = self.operations.known_connections(actor).await?;
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
        let terms = self.operations.glossary(actor).await?.terms.into_iter().map(|row| row.term);
        // A term with SQL is not a table.
        let terms = terms
            .filter(|term| term.expression.is_none())
            .filter_map(|term| Some(Term { table: known.find(&term.connection, &term.path)?, phrase: term.term }));
        Ok(Seen { terms: terms.collect(), known, targets, connections })
    }
}

/// What the asking person may read and write.
struct Seen {
    known: Known,
    targets: Vec<String>,
    terms: Vec<Term>,
    connections: Vec<KnownConnection>,
}

impl Seen {
    fn setting(&self, asked: &Asked) -> Setting<'_> {
        let Self { known, targets, terms, .. } = self;
        Setting { known, targets, terms, zone: asked.zone, now: asked.now }
    }

    fn report(&self, statement: Statement) -> StatementReport {
        let read = statement.tables.iter().filter_map(|id| self.known.table(*id)).map(|table| &table.connection);
        let snapshot = |name: &String| {
            let known = self.connections.iter().find(|known| known.name == *name)?;
            Some((name.clone(), known.snapshot.clone()?))
        };
        StatementReport {
            catalogs: read.filter_map(snapshot).collect(),
            sql: statement.sql,
            assumptions: statement.assumptions,
        }
    }
}
