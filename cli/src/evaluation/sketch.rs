//! What a draft's spec says: loads, sources, rules, and what nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use headwater_operations::FieldReport;
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{ExtractSource, Relation, TableRef, TaskPath, Work, plan};
use headwater_pipelines::spec::{LoadTask, OnDelete, OnFailure, Rule, Schedule, Task, WriteMode};

use super::case::{Case, Part};
use super::sources;

/// A spec, taken apart.
pub(super) struct Sketch {
    pub(super) loads: Vec<(TableRef, WriteMode)>,
    pub(super) reads: BTreeSet<TableRef>,
    pub(super) rules: Vec<FoundRule>,
    pub(super) schedule: Option<Schedule>,
    /// Features that `needs` and `not_yet` of cases name, as far as the spec has them.
    features: BTreeSet<&'static str>,
    /// Tasks that lead to no load.
    idle: Vec<String>,
}

/// A rule of a draft.
#[derive(Debug, Clone)]
pub(super) struct FoundRule {
    pub(super) rule: Rule,
    pub(super) on_failure: OnFailure,
    /// The check that it stands in.
    pub(super) task: String,
}

impl Sketch {
    /// Takes a draft's text apart; `connections` are the names of the stored ones.
    pub(super) fn of(text: &str, connections: &BTreeSet<String>) -> Result<Self> {
        let document = Document::read("draft.yaml", text);
        let spec = document.spec.as_ref().context("the draft is no spec")?;
        let works = plan(&document, connections).works;
        let mut sketch = Self {
            loads: Vec::new(),
            reads: BTreeSet::new(),
            rules: Vec::new(),
            schedule: spec.schedule.clone(),
            features: features(spec.tasks.values())
                .into_iter()
                .chain(spec.stream.is_some().then_some("stream"))
                .collect(),
            idle: idle(&works),
        };
        for (path, work) in &works {
            sketch.add(path, work);
        }
        Ok(sketch)
    }

    fn add(&mut self, path: &TaskPath, work: &Work) {
        for relation in work.reads() {
            if let Relation::Table(table) = relation {
                self.reads.insert(table.clone());
            }
        }
        match work {
            Work::Extract { source: ExtractSource::Table(table), .. } => {
                self.reads.insert(table.clone());
            }
            Work::Extract { source: ExtractSource::Query { connection, query }, .. } => {
                // A statement in the source's own language is no table that could be compared.
                self.reads.insert(TableRef { connection: connection.clone(), path: vec![query.clone()] });
            }
            Work::Load { into, mode, .. } => {
                self.loads.push((into.clone(), *mode));
                self.features.insert(mode.as_str());
            }
            Work::Check { rules, on_failure, .. } => {
                let found =
                    |rule: &Rule| FoundRule { rule: rule.clone(), on_failure: *on_failure, task: path.to_string() };
                self.rules.extend(rules.iter().map(found));
            }
            Work::Transform { .. } | Work::Wait { .. } | Work::Group => {}
        }
    }

    /// What is different about the loads: a target that is missing, a mode.
    pub(super) fn loads_difference(&self, parts: &[Part]) -> Result<Option<String>> {
        for part in parts {
            let name = part.target.as_deref().context("a draft's case has no target")?;
            let target = sources::target(name)?;
            let Some((_, mode)) = self.loads.iter().find(|(into, _)| *into == target) else {
                return Ok(Some(format!("nothing is loaded into {name}")));
            };
            if let Some(wanted) = part.mode.filter(|wanted| wanted != mode) {
                return Ok(Some(format!("{name} is loaded in mode {mode} instead of {wanted}")));
            }
        }
        Ok(None)
    }

    /// Loads and tasks that nobody asked for.
    pub(super) fn unasked(&self, case: &Case, parts: &[Part]) -> Result<Vec<String>> {
        let targets: Vec<TableRef> =
            parts.iter().filter_map(|part| part.target.as_deref()).map(sources::target).collect::<Result<_>>()?;
        let mut told = Vec::new();
        let mut seen = BTreeSet::new();
        for (into, _) in &self.loads {
            if !targets.contains(into) || !seen.insert(into) {
                told.push(format!("nobody asked for a load into {into}"));
            }
        }
        told.extend(self.idle.iter().map(|task| format!("nobody asked for the task {task}")));
        let extra = self.features.iter().filter(|feature| EXTRAS.contains(feature));
        let is_wanted = |feature: &&&str| case.not_yet.iter().chain(&case.needs).any(|wanted| wanted == **feature);
        let extra = extra.filter(|feature| !is_wanted(feature));
        told.extend(extra.map(|feature| format!("nobody asked for {feature}")));
        Ok(told)
    }

    /// The first of some features that the spec lacks: then it is a weaker draft.
    pub(super) fn lacks<'a>(&self, features: &'a [String]) -> Option<&'a String> {
        features.iter().find(|feature| !self.features.contains(feature.as_str()))
    }
}

/// Features that are tasks or fields of their own, and never a way to do something else.
const EXTRAS: [&str; 9] = ["cursor", "deletes", "stream", "http", "notify", "command", "approve", "pipeline", "wait"];

fn features<'a>(tasks: impl Iterator<Item = &'a Task>) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for task in tasks {
        let set = [
            ("cursor", task.extract.as_ref().is_some_and(|extract| extract.cursor.is_some())),
            ("deletes", task.load.as_ref().is_some_and(deletes)),
            ("http", task.http.is_some()),
            ("notify", task.notify.is_some()),
            ("command", task.command.is_some()),
            ("approve", task.approve.is_some()),
            ("pipeline", task.pipeline.is_some()),
            ("wait", task.wait.is_some()),
        ];
        found.extend(set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name));
        found.extend(task.group.iter().flat_map(|group| features(group.values())));
    }
    found
}

/// Whether a load deletes or marks rows that are gone at the source.
fn deletes(load: &LoadTask) -> bool {
    load.on_delete.is_some_and(|what| what != OnDelete::Ignore) || load.deleted_when.is_some() || load.deletes.is_some()
}

/// Datasets that nothing reads.
fn idle(works: &BTreeMap<TaskPath, Work>) -> Vec<String> {
    let read: BTreeSet<&TaskPath> = works
        .values()
        .flat_map(Work::reads)
        .filter_map(|relation| match relation {
            Relation::Task(path) => Some(path),
            Relation::Table(_) => None,
        })
        .collect();
    let is_dataset = |work: &Work| matches!(work, Work::Extract { .. } | Work::Transform { .. });
    let idle = works.iter().filter(|(path, work)| is_dataset(work) && !read.contains(path));
    idle.map(|(path, _)| path.to_string()).collect()
}

/// Columns of a check's rows, with their types, from the draft's plan.
pub(super) fn columns_of<'a>(schemas: &'a BTreeMap<String, Vec<FieldReport>>, task: &str) -> &'a [FieldReport] {
    schemas.get(task).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = "name: paid
tasks:
  orders: { extract: { from: shop.public.orders } }
  spare: { transform: SELECT 1 AS one FROM shop.public.customers }
  paid: { transform: SELECT * FROM orders }
  checked: { check: { input: paid, rules: [ { unique: [id] } ] } }
  load: { load: { input: checked, into: lake.paid, mode: append } }
";

    fn sketch(text: &str) -> Sketch {
        Sketch::of(text, &BTreeSet::from(["shop".to_owned(), "lake".to_owned()])).unwrap()
    }

    #[test]
    fn a_draft_is_taken_apart() {
        let sketch = sketch(DRAFT);
        assert_eq!(sketch.loads, [(sources::target("lake.paid").unwrap(), WriteMode::Append)]);
        let reads = ["shop.public.customers", "shop.public.orders"].map(|name| sources::target(name).unwrap());
        assert_eq!(sketch.reads, BTreeSet::from(reads));
        assert_eq!(sketch.rules.len(), 1);
        assert_eq!(sketch.idle, ["spare"]);
    }

    #[test]
    fn a_draft_without_what_does_not_execute_is_a_weaker_one() {
        let wanted = |name: &str| vec![name.to_owned()];
        assert_eq!(sketch(DRAFT).lacks(&wanted("append")), None);
        assert_eq!(sketch(DRAFT).lacks(&wanted("upsert")), Some(&"upsert".to_owned()));
        let later = format!("{DRAFT}  tell: {{ notify: {{ connection: slack, message: done }}, needs: [load] }}\n");
        assert_eq!(sketch(&later).lacks(&wanted("notify")), None);
        assert_eq!(sketch(&later).lacks(&wanted("http")), Some(&"http".to_owned()));
    }
}
