//! A prompt becomes a draft: contract and typed plan from the model, everything else by code.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::samples::TableSamples;
use headwater_operations::{Actor, Against, ErrorKind, OperationError, Operations, PlanReport, SpecFile};
use headwater_pipelines::spec::Spec;
use headwater_pipelines::write;

use super::show::Shown;
use super::{COMPILE, Made, ModelError, Opening, Rounds, Talk, answered, choices, data, increments, sources, verify};
use crate::draft::{Choice, Drafted, Outcome, Question};
use crate::face::Asked;
use crate::gateway::{Shape, Turn, Why};
use crate::known::TableId;
use crate::retrieval::{Budget, Retrieval};
use crate::seen::Seen;
use crate::typed::{
    Compiled, Contract, Fault, Frame, Ids, Lifted, MissingFeature, Phase, PlanOutcome, Reply, Said, TypedPlan,
    compile as to_spec, lift, reply_schema,
};

/// Everything that compiling a prompt needs.
pub(crate) struct Compile<'a> {
    pub(crate) operations: &'a Operations,
    pub(crate) actor: &'a Actor,
    pub(crate) seen: &'a Seen,
    pub(crate) asked: &'a Asked,
    pub(crate) samples: &'a BTreeMap<(String, String), TableSamples>,
    /// The spec that the prompt changes, if it changes one.
    pub(crate) base: Option<&'a Spec>,
}

/// The best that there was so far.
struct Best {
    drafted: Box<Drafted>,
    faults: Vec<Fault>,
}

/// Makes a draft of a prompt.
pub(crate) async fn compile(of: Compile<'_>, opening: Opening<'_>) -> Result<Made<Drafted>, ModelError> {
    let Compile { seen, asked, .. } = &of;
    let said = Said::new(&asked.text);
    let found = Retrieval::of(&asked.text, &seen.known, &seen.hints, Budget::default());
    let lifted = of.base.map(|base| lift(base, &seen.known, &seen.targets));
    let shown: Vec<TableId> = found.shown.iter().map(|found| found.table).collect();
    let ids =
        Ids::of(&seen.known, &shown, seen.targets.len(), lifted.as_ref().is_some_and(|lifted| !lifted.kept.is_empty()));
    let shape = Shape { name: "draft".to_owned(), schema: reply_schema(&ids) };
    let mut talk =
        Talk::new(opening, Why::Compile, COMPILE, shape, vec![Turn::user(of.first_turn(&found, lifted.as_ref()))]);
    talk.trail.shown_tables = shown.len();
    talk.trail.left_out_tables = found.left.listed.len() + found.left.unlisted;
    let mut rounds = Rounds::new();
    let mut best: Option<Best> = None;
    loop {
        let document = talk.answer().await?;
        let read = match Reply::read(&document) {
            Ok(reply) => of.judge(reply, &said, lifted.as_ref()).await?,
            Err(fault) => Judged::Faulty(None, vec![fault]),
        };
        let (drafted, faults) = match read {
            Judged::Settled(outcome) => return Ok(Made { outcome, trail: talk.trail }),
            Judged::Faulty(drafted, faults) => (drafted, faults),
        };
        if let Some(drafted) = drafted
            && best.as_ref().is_none_or(|best| weight(&faults) < weight(&best.faults))
        {
            best = Some(Best { drafted, faults: faults.clone() });
        }
        if !rounds.may_repair(&faults) {
            let Some(Best { mut drafted, faults }) = best else { return Err(talk.unusable(faults)) };
            drafted.faults = faults;
            return Ok(Made { outcome: Outcome::Made(drafted), trail: talk.trail });
        }
        talk.object(&document, &faults);
    }
}

/// Facts as data: each a text in quotes, in which nothing ends the element.
fn facts(facts: &[String]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let lines = facts.iter().map(|fact| data(fact));
    format!("<facts>\n{}\n</facts>\n", lines.collect::<Vec<_>>().join("\n"))
}

/// Errors weigh more than what is unmet.
fn weight(faults: &[Fault]) -> (usize, usize) {
    let unmet = faults.iter().filter(|fault| fault.phase == Phase::Meaning).count();
    (faults.len() - unmet, unmet)
}

/// What an answer is worth.
enum Judged {
    Settled(Outcome<Drafted>),
    Faulty(Option<Box<Drafted>>, Vec<Fault>),
}

impl Compile<'_> {
    fn first_turn(&self, found: &Retrieval, lifted: Option<&Lifted>) -> String {
        let Self { seen, asked, samples, .. } = self;
        let shown = Shown {
            known: &seen.known,
            found,
            targets: &seen.targets,
            hints: &seen.hints,
            samples,
            column: |id| id.to_string(),
        };
        let now = asked.now.with_timezone(&asked.zone()).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let base = lifted.map(|lifted| {
            let reply = Reply::write(Contract::default(), lifted.plan.clone());
            let reply = reply.to_string().replace('<', "\\u003c");
            format!("<pipeline>\n{reply}\n</pipeline>\nThe prompt changes this pipeline. Answer with the whole pipeline after the change.\n")
        });
        format!(
            "{}The workspace's zone is {}; now it is {now}.\n{}{}<prompt>\n{}\n</prompt>",
            shown.catalog(),
            asked.zone().name(),
            base.unwrap_or_default(),
            asked.edit.as_ref().map(|edit| facts(&edit.facts)).unwrap_or_default(),
            asked.text
        )
    }

    async fn judge(&self, reply: Reply, said: &Said, lifted: Option<&Lifted>) -> Result<Judged, ModelError> {
        let Reply { contract, outcome, .. } = reply;
        let plan = match outcome {
            PlanOutcome::Draft(plan) => plan,
            PlanOutcome::Question(question) => {
                let sentence = |text: &str| answered(said.text(), text);
                return Ok(match choices(&question.choices, "question.choices", sentence) {
                    Ok(choices) => Judged::Settled(Outcome::Asked(Question { text: question.text, choices })),
                    Err(fault) => Judged::Faulty(None, vec![fault]),
                });
            }
            PlanOutcome::Refusal(refusal) => return Ok(Judged::Settled(Outcome::Refused(refusal))),
            PlanOutcome::NotYet(missing) => return Ok(not_yet(said, &missing.quote, missing.feature)),
        };
        let none = Lifted::default();
        let frame = Frame { known: &self.seen.known, targets: &self.seen.targets, said, base: lifted.unwrap_or(&none) };
        let compiled = match to_spec(&plan, &contract, &frame) {
            Ok(compiled) => compiled,
            Err(faults) => return Ok(Judged::Faulty(None, faults)),
        };
        self.check(compiled, &plan, &contract, said, lifted).await
    }

    async fn check(
        &self,
        compiled: Compiled,
        plan: &TypedPlan,
        contract: &Contract,
        said: &Said,
        lifted: Option<&Lifted>,
    ) -> Result<Judged, ModelError> {
        if let Some(question) = compiled.question {
            return Ok(Judged::Settled(Outcome::Asked(question)));
        }
        let Compiled { spec, comments, requirements, mut assumptions, not_understood, .. } = compiled;
        let report = self.planned(&spec).await?;
        let mut faults = verify::planned(&report);
        if faults.is_empty() && lifted.is_none() {
            faults = verify::meaning(plan, contract, &spec, &report);
        }
        if faults.is_empty() {
            faults = increments::faults(plan, contract, &spec, &self.seen.known);
        }
        assumptions.extend(increments::assumptions(&spec, &self.seen.known));
        if faults.is_empty() {
            faults = verify::own_targets(&spec);
        }
        if faults.is_empty() {
            let stays = self.base.and_then(|base| base.schedule.as_ref());
            faults = verify::schedule(plan, contract, said, (stays, self.asked.zone()));
        }
        if faults.is_empty()
            && let Some(question) = self.unled(&spec, said, lifted)
        {
            return Ok(Judged::Settled(Outcome::Asked(question)));
        }
        let drafted = Drafted { spec, comments, requirements, assumptions, not_understood, faults: Vec::new() };
        Ok(match faults.is_empty() {
            true => Judged::Settled(Outcome::Made(Box::new(drafted))),
            false => Judged::Faulty(Some(Box::new(drafted)), faults),
        })
    }

    async fn planned(&self, spec: &Spec) -> Result<PlanReport, OperationError> {
        let text = write::yaml(spec, &write::Comments::default());
        let file = SpecFile { name: format!("{}.yaml", spec.name), bytes: text.into_bytes() };
        let planned = self.operations.plan(self.actor, vec![file], Against::Catalogs).await?.pop();
        let planned = planned.ok_or_else(|| OperationError::new(ErrorKind::Bug, "a draft was planned as nothing"))?;
        Ok(planned.report)
    }

    /// A table that no word of the person leads to is asked about.
    fn unled(&self, spec: &Spec, said: &Said, lifted: Option<&Lifted>) -> Option<Question> {
        let known = &self.seen.known;
        let named: BTreeSet<String> =
            verify::flat(&spec.tasks).values().filter_map(|task| task.extract.as_ref()?.from.clone()).collect();
        let earlier: BTreeSet<&str> =
            lifted.iter().flat_map(|lifted| &lifted.plan.tasks).filter_map(|task| task["from"].as_str()).collect();
        let read = known
            .tables()
            .filter(|(id, table)| named.contains(&table.full_name()) && !earlier.contains(id.to_string().as_str()));
        let read: BTreeSet<TableId> = read.map(|(id, _)| id).collect();
        let targets =
            verify::flat(&spec.tasks).values().filter_map(|task| Some(task.load.as_ref()?.into.clone())).collect();
        let unled = sources::not_led_to(&read, &targets, known, said, &self.seen.hints);
        let names: Vec<String> =
            unled.iter().filter_map(|id| known.table(*id)).map(|table| table.full_name()).collect();
        let listed = names.join(" and ");
        (!names.is_empty()).then(|| Question {
            text: format!("Your words do not name {listed}. Should it be read?"),
            choices: vec![Choice {
                text: format!("yes, read {listed}"),
                sentence: format!("{}\n(read {listed})", said.text()),
            }],
        })
    }
}

fn not_yet(said: &Said, quote: &str, feature: MissingFeature) -> Judged {
    match said.find(quote) {
        Some(place) => Judged::Settled(Outcome::NotYet {
            feature: feature.as_str().to_owned(),
            quote: said.text()[place].to_owned(),
        }),
        None => Judged::Faulty(
            None,
            vec![Fault::new(Phase::Meaning, "not_quoted", "outcome.quote", "these words are not in the prompt")],
        ),
    }
}
