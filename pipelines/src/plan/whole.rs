//! What is judged of a document as a whole, and the plan that comes of it.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::graph::TaskGraph;
use super::{
    Plan, Planned, PlannedTask, Planner, TableRef, Work, cursor, deletes, has_errors, rejects, stages, stream,
};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::document::Document;
use crate::path::TaskPath;
use crate::spec::WriteMode;

/// Two loads that replace one table: whichever ends first, its rows are lost.
pub(super) fn overwritten_twice(document: &Document, planned: &mut Planned) {
    let mut targets: HashMap<&TableRef, &TaskPath> = HashMap::new();
    for (task, work) in &planned.works {
        let Work::Load { into, mode: WriteMode::Overwrite, .. } = work else { continue };
        let Some(first) = targets.insert(into, task) else { continue };
        let steps = planned.steps.get(task).into_iter().flatten().cloned();
        let steps: Vec<Step> = steps.chain(["load", "into"].map(Step::from)).collect();
        let finding = Finding::error(Code::SameTarget, format!("the load '{first}' overwrites {into} too"));
        let finding = finding.hint("name another table, or let one load read the UNION ALL of both inputs");
        planned.diagnostics.push(document.at(&steps, finding));
    }
}

impl Planner<'_> {
    /// Judges what only the whole shows, and cuts it into stages.
    pub(super) fn cut(&mut self, graph: &TaskGraph, order: &[TaskPath]) {
        if has_errors(&self.planned.diagnostics) {
            return;
        }
        let mut found = cursor::findings(&self.planned.works, self.tree, graph, order);
        found.extend(deletes::findings(&self.planned.works, self.tree));
        if !found.is_empty() {
            found.into_iter().for_each(|(steps, finding)| self.add(&steps, finding));
            return;
        }
        let stages = stages::cut(self.tree, &self.planned.works, graph, order);
        let mut found = rejects::findings(&self.planned.works, &stages, self.tree);
        if self.spec.stream.is_some() {
            found.extend(stream::findings(&self.planned.works, &stages, self.tree));
        }
        if !found.is_empty() {
            found.into_iter().for_each(|(steps, finding)| self.add(&steps, finding));
            return;
        }
        let mut homes: HashMap<&TaskPath, Vec<String>> = HashMap::new();
        for stage in &stages {
            stage.tasks.iter().for_each(|task| homes.entry(task).or_default().push(stage.name.clone()));
        }
        let mut tasks = IndexMap::new();
        for (path, placed) in &self.tree.tasks {
            let Some(work) = self.planned.works.get(path) else { continue };
            let homes = homes.remove(path).unwrap_or_default();
            tasks.insert(
                path.clone(),
                PlannedTask { work: work.clone(), stages: homes, description: placed.task.description.clone() },
            );
        }
        let plan = Plan {
            plan_format: stages::format_of(&self.planned.works, &stages, self.spec.stream.is_some()),
            pipeline: self.spec.name.clone(),
            params: self.spec.params.clone(),
            stream: self.spec.stream.clone(),
            tasks,
            stages,
        };
        if self.spec.stream.is_some() && plan.uses_interval() {
            let message = "a statement uses $interval_start or $interval_end, and a stream has no data interval";
            let finding = Finding::error(Code::BadStream, message).hint("filter by columns of the rows");
            self.planned.diagnostics.push(self.document.at_key(&[Step::from("stream")], finding));
        }
        self.planned.plan = Some(plan);
    }
}
