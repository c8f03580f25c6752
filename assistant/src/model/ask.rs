//! A question becomes a SELECT: ids from the model, names, checks and planning by code.

use std::collections::BTreeMap;

use headwater_engine::samples::TableSamples;
use headwater_operations::{Actor, OpenTurn, Operations, Step};

use super::show::Shown;
use super::{ASK, Made, ModelError, Opening, Rounds, Talk, answered, choices, data};
use crate::draft::{Outcome, Question};
use crate::face::Asked;
use crate::gateway::{Shape, Turn, Why};
use crate::known::TableId;
use crate::offline::Statement;
use crate::retrieval::{Budget, Retrieval};
use crate::seen::Seen;
use crate::typed::{AskOutcome, AskReply, Fault, Form, ModelStatement, Phase, column_word, statement};

/// Everything that a question needs.
pub(crate) struct Ask<'a> {
    pub(crate) operations: &'a Operations,
    pub(crate) actor: &'a Actor,
    pub(crate) seen: &'a Seen,
    pub(crate) asked: &'a Asked,
    pub(crate) samples: &'a BTreeMap<(String, String), TableSamples>,
    /// Earlier questions of the conversation, with their statements.
    pub(crate) earlier: &'a [(String, String)],
    /// Where its steps are kept.
    pub(crate) turn: &'a OpenTurn,
}

enum Judged {
    Settled(Outcome<Statement>),
    Faulty(Vec<Fault>),
}

/// Makes a statement of a question.
pub(crate) async fn ask(of: Ask<'_>, opening: Opening<'_>) -> Result<Made<Statement>, ModelError> {
    let Ask { seen, asked, earlier, .. } = &of;
    let words: Vec<&str> = earlier.iter().map(|(question, _)| question.as_str()).chain([asked.text.as_str()]).collect();
    let found = Retrieval::of(&words.join("\n"), &seen.known, &seen.hints, Budget::default());
    let shown: Vec<TableId> = found.shown.iter().map(|found| found.table).collect();
    let form = Form::of::<AskReply>();
    let shape = Shape { name: "answer".to_owned(), schema: form.strict() };
    let mut talk = Talk::new(opening, Why::Ask, ASK, shape, vec![Turn::user(of.turn(&found))]);
    talk.trail.shown_tables = shown.len();
    talk.trail.left_out_tables = found.left.listed.len() + found.left.unlisted;
    let (shown_tables, left_out_tables) = (talk.trail.shown_tables, talk.trail.left_out_tables);
    of.turn.step(Step::Asking { shown_tables, left_out_tables }).await?;
    let mut rounds = Rounds::new();
    loop {
        let document = talk.answer().await?;
        let judged = match form.read::<AskReply>(&document) {
            Ok(reply) => of.judge(reply, &shown).await?,
            Err(fault) => Judged::Faulty(vec![fault]),
        };
        match judged {
            Judged::Settled(outcome) => return Ok(Made { outcome, trail: talk.trail }),
            Judged::Faulty(faults) if rounds.may_repair(&faults) => {
                let said = faults.iter().map(|fault| format!("{}: {}", fault.at, fault.message)).collect();
                of.turn.step(Step::Repairing { faults: said }).await?;
                talk.object(&document, &faults);
            }
            Judged::Faulty(faults) => return Err(talk.unusable(faults)),
        }
    }
}

impl Ask<'_> {
    fn turn(&self, found: &Retrieval) -> String {
        let Self { seen, asked, samples, earlier, .. } = self;
        let shown = Shown { known: &seen.known, found, targets: &[], hints: &seen.hints, samples, column: column_word };
        let now = asked.now.with_timezone(&asked.zone()).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let turns =
            earlier.iter().map(|(question, sql)| format!("<earlier>\n{}\n{}\n</earlier>\n", data(question), data(sql)));
        format!(
            "{}The workspace's zone is {}; now it is {now}. Weeks begin on Monday.\n{}<prompt>\n{}\n</prompt>",
            shown.catalog(),
            asked.zone().name(),
            turns.collect::<String>(),
            asked.text
        )
    }

    async fn judge(&self, reply: AskReply, shown: &[TableId]) -> Result<Judged, ModelError> {
        let ModelStatement { sql, assumptions } = match reply.outcome {
            AskOutcome::Statement(statement) => statement,
            AskOutcome::Question(question) => {
                let sentence = |text: &str| answered(&self.asked.text, text);
                return Ok(match choices(&question.choices, "choices", sentence) {
                    Ok(choices) => Judged::Settled(Outcome::Asked(Question { text: question.text, choices })),
                    Err(fault) => Judged::Faulty(vec![fault]),
                });
            }
            AskOutcome::Refusal(refusal) => return Ok(Judged::Settled(Outcome::Refused(refusal))),
        };
        let (sql, tables) = match statement(&sql, &self.seen.known, shown) {
            Ok(made) => made,
            Err(faults) => return Ok(Judged::Faulty(faults)),
        };
        let findings = self.operations.check_statement(self.actor, &sql).await?;
        if findings.is_empty() {
            return Ok(Judged::Settled(Outcome::Made(Box::new(Statement { sql, tables, assumptions }))));
        }
        let fault = |finding: &headwater_pipelines::sql::SqlFinding| {
            let at = format!("sql, line {}", finding.line);
            Fault::new(Phase::Types, finding.finding.code.as_str(), &at, &finding.finding.message)
        };
        Ok(Judged::Faulty(findings.iter().map(fault).collect()))
    }
}
