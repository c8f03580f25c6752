//! Questions that have to be answered, asked back or refused.

use std::time::Instant;

use anyhow::Result;
use headwater_assistant::{AskReport, NotUnderstood, Question, StatementReport};

use super::bench::Data;
use super::case::{Expects, Wording};
use super::compare::Comparison;
use super::drafts::{Trial, millis};
use super::outcome::{Gate, Outcome, Verdict, refused};
use super::{choice, sources};

impl Trial<'_> {
    pub(super) async fn ask(&mut self, wording: &Wording, gates: &[Gate]) -> Result<Verdict> {
        self.bench.stand(self.schema, self.name, self.case, Data::Plausible).await?;
        let mut verdict = Verdict::on(gates);
        let report = self.said(&mut verdict, &wording.text).await?;
        Ok(match (self.case.expects, report) {
            (Expects::Answer, AskReport::Statement(statement)) => self.statement(verdict, &statement).await?,
            (Expects::Question, AskReport::Question(question)) => self.asked_back(verdict, &question).await?,
            (Expects::Question, AskReport::Statement(_)) => {
                verdict.end(Outcome::SilentWrong, "it was answered without the question".to_owned())
            }
            (Expects::Refusal, AskReport::Refusal(refusal)) => {
                verdict.set(Gate::RightRefusal, true);
                let other = self.case.refusal.filter(|wanted| *wanted != refusal.reason);
                verdict.end(
                    Outcome::Right,
                    other.map(|wanted| format!("the reason is {:?} instead of {wanted:?}", refusal.reason)),
                )
            }
            (_, other) => instead(verdict, &other),
        })
    }

    /// Asks the assistant, and notes what it took.
    async fn said(&self, verdict: &mut Verdict, text: &str) -> Result<AskReport> {
        let start = Instant::now();
        let report = self.bench.assistant.ask(&self.bench.context.actor, &self.asked(text)).await;
        verdict.effort.took_ms += millis(start);
        let report = report?;
        if let AskReport::Statement(StatementReport { made_by: Some(trail), .. }) = &report {
            verdict.effort.rounds = u64::from(trail.rounds);
            let tokens = trail.input_tokens.zip(trail.output_tokens);
            verdict.effort.tokens = tokens.map(|(input, output)| input.saturating_add(output));
            verdict.effort.cost_nanos = trail.cost_nanos;
        }
        Ok(report)
    }

    /// Gives the person's answer, and judges what comes then.
    async fn asked_back(&mut self, mut verdict: Verdict, question: &Question) -> Result<Verdict> {
        let Some(asking) = &self.case.question else { return Ok(verdict) };
        if !choice::asks_about(question, &asking.about) {
            return Ok(verdict.end(Outcome::AskedNeedlessly, format!("something else was asked: {}", question.text)));
        }
        verdict.set(Gate::MustAsk, true);
        let Some(chosen) = choice::chosen(question, &asking.answer).and_then(|place| question.choices.get(place))
        else {
            let told = format!("no one choice is the answer '{}': {}", asking.answer, question.text);
            return Ok(verdict.end(Outcome::AskedNeedlessly, told));
        };
        match self.said(&mut verdict, &chosen.sentence).await? {
            AskReport::Statement(statement) => self.statement(verdict, &statement).await,
            other => {
                let judged = instead(verdict, &other);
                let reason = judged.reason.clone().map(|told| format!("after the answer: {told}"));
                Ok(Verdict { reason, ..judged })
            }
        }
    }

    /// Runs a statement on both data sets and compares its rows with gold's.
    async fn statement(&mut self, mut verdict: Verdict, statement: &StatementReport) -> Result<Verdict> {
        let known = self.bench.context.operations.known_connections(&self.bench.context.actor).await?;
        let wanted = sources::wanted(self.case, &self.schema.name)?;
        let mut told: Vec<String> =
            sources::difference(&wanted, &sources::of_statement(&statement.sql)?, &known).into_iter().collect();
        for data in Data::ALL {
            if data != Data::Plausible {
                self.bench.stand(self.schema, self.name, self.case, data).await?;
            }
            let golds = self.gold(0, data).await?;
            let table = match self.bench.rows(&statement.sql).await {
                Ok(table) => table,
                Err(error) => return Ok(verdict.end(Outcome::Error, format!("{}: {error:#}", data.as_str()))),
            };
            let part = &self.parts[0];
            let difference = Comparison { gold: &golds.first, part, zone: self.case.zone() }.of_answer(&table);
            let gate = if data == Data::Plausible { Gate::RightAnswer } else { Gate::RightAnswerOnHostileData };
            verdict.set(gate, difference.is_none());
            told.extend(difference.map(|difference| format!("{}: {difference}", data.as_str())));
        }
        Ok(match told.is_empty() {
            true => verdict.right(),
            false => verdict.end(Outcome::SilentWrong, told.join("; ")),
        })
    }
}

/// What came instead of an answer.
fn instead(verdict: Verdict, report: &AskReport) -> Verdict {
    match report {
        AskReport::Statement(_) => verdict.end(Outcome::SilentWrong, "it was answered".to_owned()),
        AskReport::Question(question) => {
            verdict.end(Outcome::AskedNeedlessly, format!("it was asked: {}", question.text))
        }
        AskReport::Refusal(refusal) => verdict.end(Outcome::RefusedNeedlessly, refused(refusal)),
        AskReport::NotUnderstood(NotUnderstood { quote, expected, .. }) => {
            verdict.end(Outcome::NotUnderstood, format!("'{quote}' was not understood; expected {expected}"))
        }
    }
}
