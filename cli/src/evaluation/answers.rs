//! Questions that have to be answered, asked back or refused.

use std::time::Instant;

use anyhow::Result;
use headwater_assistant::{AnswerReport, AskReport, NotUnderstood, Question, StatementReport};
use uuid::Uuid;

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
        self.retrieved(&mut verdict, &wording.text).await?;
        let answer = self.said(&mut verdict, &wording.text, None).await?;
        let conversation = answer.conversation_id;
        let verdict = match (self.case.expects, answer.report) {
            (Expects::Answer, AskReport::Statement(made)) => self.statement(verdict, &made, 0).await?,
            (Expects::Question, AskReport::Question(question)) => {
                self.asked_back(verdict, &question, conversation).await?
            }
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
        };
        if matches!(self.case.expects, Expects::Answer | Expects::Question) {
            self.go_on(&verdict, &wording.language, conversation).await;
        }
        Ok(verdict)
    }

    /// Asks the later questions of the conversation, as long as each has its right answer.
    async fn go_on(&mut self, first: &Verdict, language: &str, conversation: Uuid) {
        let mut goes_on = first.outcome == Outcome::Right;
        for (place, follow_up) in self.case.follow_ups.iter().enumerate() {
            let Some(text) = follow_up.text.get(language).filter(|_| goes_on) else {
                self.later.push(None);
                continue;
            };
            let judged = self.follow_up(text, place, conversation).await;
            let failed = |error| Verdict::on(&Gate::ANSWER).end(Outcome::Error, format!("{error:#}"));
            let verdict = judged.unwrap_or_else(failed);
            goes_on = verdict.outcome == Outcome::Right;
            self.later.push(Some(verdict));
        }
    }

    async fn follow_up(&mut self, text: &str, place: usize, conversation: Uuid) -> Result<Verdict> {
        self.bench.stand(self.schema, self.name, self.case, Data::Plausible).await?;
        let mut verdict = Verdict::on(&Gate::ANSWER);
        let part = self.case.parts().len() + place;
        match self.said(&mut verdict, text, Some(conversation)).await?.report {
            AskReport::Statement(made) => self.statement(verdict, &made, part).await,
            other => Ok(instead(verdict, &other)),
        }
    }

    /// Asks the assistant, and notes what it took.
    async fn said(&self, verdict: &mut Verdict, text: &str, conversation: Option<Uuid>) -> Result<AnswerReport> {
        let start = Instant::now();
        let (assistant, actor) = (&self.bench.assistant, &self.bench.context.actor);
        let turn = assistant.begin_turn(actor, self.asked(text), conversation).await?;
        let answer = assistant.ask(actor, &turn).await;
        verdict.effort.took_ms += millis(start);
        let answer = answer?;
        if let AskReport::Statement(StatementReport { made_by: Some(trail), .. }) = &answer.report {
            verdict.effort.rounds = u64::from(trail.rounds);
            let tokens = trail.input_tokens.zip(trail.output_tokens);
            verdict.effort.tokens = tokens.map(|(input, output)| input.saturating_add(output));
            verdict.effort.cost_nanos = trail.cost_nanos;
        }
        Ok(answer)
    }

    /// Gives the person's answer, and judges what comes then.
    async fn asked_back(&mut self, mut verdict: Verdict, question: &Question, conversation: Uuid) -> Result<Verdict> {
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
        match self.said(&mut verdict, &chosen.text, Some(conversation)).await?.report {
            AskReport::Statement(made) => self.statement(verdict, &made, 0).await,
            other => {
                let judged = instead(verdict, &other);
                let reason = judged.reason.clone().map(|told| format!("after the answer: {told}"));
                Ok(Verdict { reason, ..judged })
            }
        }
    }

    /// Runs a statement on both data sets and compares its rows with the gold of a part.
    async fn statement(&mut self, mut verdict: Verdict, made: &StatementReport, part: usize) -> Result<Verdict> {
        let sql = &made.statement.sql;
        let known = self.bench.context.operations.known_connections(&self.bench.context.actor).await?;
        let wanted = sources::wanted(self.case, &self.schema.name)?;
        // A later question may be about other tables than the first.
        let sources = sources::of_statement(sql)?;
        let other = sources::difference(&wanted, &sources, &known).filter(|_| part < self.case.parts().len());
        let mut told: Vec<String> = other.into_iter().collect();
        for data in Data::ALL {
            if data != Data::Plausible {
                self.bench.stand(self.schema, self.name, self.case, data).await?;
            }
            let golds = self.gold(part, data).await?;
            let table = match self.bench.rows(sql).await {
                Ok(table) => table,
                Err(error) => return Ok(verdict.end(Outcome::Error, format!("{}: {error:#}", data.as_str()))),
            };
            let part = &self.parts[part];
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
