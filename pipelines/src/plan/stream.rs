//! What a pipeline that follows its sources can't hold.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::tree::Tree;
use super::{Head, Stage, TaskPath, Work, cursor};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::duration;
use crate::plan::Relation;
use crate::spec::{Spec, Stream};

/// Shorter pauses are all overhead; longer ones are a schedule.
const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

/// What is wrong with the block itself, by field.
pub(super) fn problems(spec: &Spec, stream: &Stream) -> Vec<(&'static str, Finding)> {
    let mut found = Vec::new();
    if let Some(every) = stream.every.filter(|every| !EVERY.contains(every)) {
        let message = format!("a stream can't commit every {}", duration::format(every));
        found.push(("every", Finding::error(Code::BadStream, message).hint("choose 100ms to 1h, e.g. 10s")));
    }
    if stream.rows == Some(0) {
        found.push(("rows", Finding::error(Code::BadStream, "a batch has at least one row")));
    }
    if spec.schedule.is_some() {
        let finding = Finding::error(Code::BadStream, "a pipeline has a schedule or a stream, and not both");
        found.push(("", finding.hint("remove `stream` to run at times, or `schedule` to run until stopped")));
    }
    found
}

/// What a stream can't do of what the plan holds, by the place of a field.
pub(super) fn findings(
    works: &BTreeMap<TaskPath, Work>,
    stages: &[Stage],
    tree: &Tree<'_>,
) -> Vec<(Vec<Step>, Finding)> {
    let mut found = Vec::new();
    let mut add = |path: &str, message: String, hint: &str| {
        let steps = tree.tasks.get(path).map(|placed| placed.steps.clone()).unwrap_or_default();
        found.push((steps, Finding::error(Code::BadStream, message).hint(hint)));
    };
    for stage in stages {
        let name = stage.name.as_str();
        let work = &works[name];
        match work {
            Work::Load { input, .. } => {
                let reads_new =
                    matches!(input, Relation::Task(input) if !cursor::cursored_above(input, works).is_empty());
                if !reads_new {
                    add(
                        name,
                        format!(
                            "the load '{name}' follows no cursor, and would load the same rows again in each batch"
                        ),
                        "give the extract above it a `cursor`, e.g. `cursor: auto`, or move the load to a pipeline with a schedule",
                    );
                }
                if let Some(first) = stage.after.iter().find(|after| is_action(stages, after)) {
                    add(
                        name,
                        format!("'{name}' waits for '{first}', which ends only when the stream is stopped"),
                        "remove it from `needs`",
                    );
                }
            }
            work if stage.head == Head::Dataset => add(
                name,
                format!(
                    "the {} '{name}' is computed once for several loads, and a stream has no end at which to do so",
                    work.kind()
                ),
                "let each load read from an extract of its own",
            ),
            work => add(
                name,
                format!("a stream can't hold the {} task '{name}'", work.kind()),
                "a stream holds extracts, transforms, checks and loads; move other tasks to a pipeline with a schedule",
            ),
        }
    }
    found
}

fn is_action(stages: &[Stage], name: &str) -> bool {
    stages.iter().any(|stage| stage.name == name && stage.head == Head::Action)
}
