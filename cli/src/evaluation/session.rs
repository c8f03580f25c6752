//! All cases, one after the other, with lines about how far it is.

use std::time::{Duration, Instant};

use anyhow::Result;
use headwater_assistant::gateway::Recording;

use super::bench::Bench;
use super::drafts::{Trial, millis};
use super::outcome::Outcome;
use super::report::{About, EvaluationReport, Judged, Tried};
use super::suite::{Schema, Suite};
use crate::config::Config;
use crate::output;

/// How often it is said how far it is.
const TELL: Duration = Duration::from_secs(2);

/// An evaluation that is to be made.
pub(crate) struct Evaluation {
    pub(crate) suite: Suite,
    pub(crate) config: Config,
    /// The model that reads the sentences; the assistant's if absent.
    pub(crate) model: Option<String>,
    /// Whether the offline grammar reads them whatever models there are.
    pub(crate) offline: bool,
    /// Whether simple wordings alone are tried.
    pub(crate) simple_alone: bool,
    /// Whether wordings that are not right are listed.
    pub(crate) failures: bool,
    pub(crate) recording: Recording,
}

/// Tries every case in a temporary installation, which is removed at the end and when `stop` comes; then there is no report.
pub(crate) async fn evaluate(
    evaluation: Evaluation,
    stop: impl Future<Output = ()>,
) -> Result<Option<EvaluationReport>> {
    let Evaluation { suite, config, model, offline, simple_alone, failures, recording } = evaluation;
    let start = Instant::now();
    let reads = model.clone().or_else(|| config.assistant.model.clone()).filter(|_| !offline);
    output::error_line("starting a temporary installation");
    let mut bench = Bench::open(config, recording).await?;
    let tried = tokio::select! {
        tried = try_all(&mut bench, &suite, model, offline) => tried.map(Some),
        () = stop => Ok(None),
    };
    let closed = bench.close().await;
    let Some(judged) = tried? else {
        output::error_line("interrupted; the temporary installation is removed");
        return Ok(None);
    };
    closed?;
    let about = About {
        folder: suite.folder.display().to_string(),
        model: reads,
        simple_alone,
        failures,
        cases: suite.schemas.iter().map(|schema| schema.cases.len()).sum(),
        took_ms: millis(start),
    };
    Ok(Some(EvaluationReport::of(about, &judged)))
}

async fn try_all(bench: &mut Bench, suite: &Suite, model: Option<String>, offline: bool) -> Result<Tried> {
    let mut judged = Tried { wordings: Vec::with_capacity(suite.wordings()), later: Vec::new() };
    for schema in &suite.schemas {
        output::error_line(&format!("{}: making its databases", schema.name));
        bench.install(schema).await?;
        let mut progress = Progress::of(schema);
        for (name, case) in &schema.cases {
            let mut trial = Trial::new(bench, schema, (name, case), (model.clone(), offline));
            for (place, wording) in case.wordings.iter().enumerate() {
                let verdict = trial.judge(wording).await;
                progress.add(verdict.outcome);
                judged.wordings.push(Judged {
                    schema: schema.name.clone(),
                    case: name.clone(),
                    wording: place + 1,
                    simple: wording.simple,
                    verdict,
                });
            }
            judged.later.append(&mut trial.later);
        }
        progress.tell();
        bench.remove(schema).await?;
    }
    Ok(judged)
}

/// How far a schema is.
struct Progress<'a> {
    schema: &'a Schema,
    tried: usize,
    right: usize,
    told: Instant,
}

impl<'a> Progress<'a> {
    fn of(schema: &'a Schema) -> Self {
        Self { schema, tried: 0, right: 0, told: Instant::now() }
    }

    fn add(&mut self, outcome: Outcome) {
        self.tried += 1;
        self.right += usize::from(outcome == Outcome::Right);
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell();
        }
    }

    fn tell(&self) {
        let (name, all) = (&self.schema.name, self.schema.wordings());
        output::error_line(&format!(
            "{name}: {} of {} tried, {} right",
            self.tried,
            output::plural(all, "wording"),
            self.right
        ));
    }
}
