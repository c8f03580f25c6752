//! Columns that a spec names.

use arrow::datatypes::SchemaRef;
use headwater_pipelines::decode::Step;
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{HISTORY_COLUMNS, TaskPath};
use headwater_pipelines::spec::Columns;

use super::Checker;
use crate::columns::settle;
use crate::connector::{BESIDE, SinkRequest};

impl Checker<'_> {
    /// Whether all the columns that an extract names are there.
    pub(super) fn names(&mut self, task: &TaskPath, columns: &Columns, names: &[String]) -> bool {
        let valid: Vec<&str> = names.iter().map(String::as_str).collect();
        let named: Vec<(Step, &String)> = match columns {
            Columns::Only(list) => list.iter().enumerate().map(|(index, name)| (Step::from(index), name)).collect(),
            Columns::Override(map) => map.keys().map(|name| (Step::from(name.as_str()), name)).collect(),
        };
        let mut fine = true;
        for (step, name) in named {
            if let Err(finding) = settle(name, &valid) {
                let steps = [self.steps(task, &["extract", "columns"]), vec![step]].concat();
                self.checked.diagnostics.push(self.document.at_key(&steps, finding));
                fine = false;
            }
        }
        fine
    }

    /// Whether the dataset has the columns that a load names.
    pub(super) fn named_columns(&mut self, task: &TaskPath, request: &SinkRequest, schema: &SchemaRef) -> bool {
        let is_change = request.deletes.as_ref().is_some_and(|deletes| deletes.changes);
        let valid = schema.fields().iter().map(|field| field.name().as_str());
        let valid: Vec<&str> = valid.filter(|name| !is_change || !BESIDE.contains(name)).collect();
        let listed = |field: &'static str, names: &[String]| -> Vec<(Vec<Step>, String)> {
            let steps = self.steps(task, &["load", field]);
            let named = names.iter().enumerate();
            named.map(|(index, name)| ([steps.clone(), vec![Step::from(index)]].concat(), name.clone())).collect()
        };
        // What the load adds is there too.
        let own = |name: &String| request.history.is_some() && HISTORY_COLUMNS.contains(&name.as_str());
        let mut named = listed("partition_by", &request.partition_by);
        named.retain(|(_, name)| !own(name));
        named.extend(listed("keys", &request.keys));
        named.extend(request.history.iter().flat_map(|history| listed("track", &history.track)));
        named.extend(request.order_by.iter().map(|name| (self.steps(task, &["load", "order_by"]), name.clone())));
        named.retain(|(_, name)| !valid.contains(&name.as_str()));
        for (steps, name) in &named {
            let finding = Finding::error(Code::UnknownColumn, format!("there is no column '{name}'"))
                .nearest(name, valid.iter().copied());
            self.add(steps, finding);
        }
        named.is_empty()
    }
}
