//! Loads that keep history: whether their rows have room for it, and since when they hold.

use arrow::datatypes::{DataType, SchemaRef};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{HISTORY_COLUMNS, TaskPath};

use super::Checker;
use crate::connector::{SinkPlan, SinkRequest};

impl Checker<'_> {
    /// Judges how a load keeps history. Whether there is nothing to report.
    pub(super) fn history(&mut self, task: &TaskPath, request: &SinkRequest, schema: &SchemaRef) -> bool {
        if request.history.is_none() {
            return true;
        }
        let before = self.checked.diagnostics.len();
        let is_own = |name: &str| HISTORY_COLUMNS.iter().any(|own| own.eq_ignore_ascii_case(name));
        for field in schema.fields().iter().filter(|field| is_own(field.name())) {
            let message = format!("the rows have a column {}, as one that the history adds", field.name());
            let steps = self.steps(task, &["load", "mode"]);
            self.add(
                &steps,
                Finding::error(Code::BadLoad, message).hint("give it another name with AS in a transform"),
            );
        }
        let by = request.order_by.as_deref().and_then(|name| schema.field_with_name(name).ok());
        if let Some(field) = by.filter(|field| !is_time(field.data_type())) {
            let message =
                format!("the column {} is {}, and a version holds since a time", field.name(), field.data_type());
            let steps = self.steps(task, &["load", "order_by"]);
            let hint = "name a date or a timestamp, or remove it: versions hold since the run then";
            self.add(&steps, Finding::error(Code::BadLoad, message).hint(hint));
        }
        self.checked.diagnostics.len() == before
    }
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

/// Says in a plan what opens a version.
pub(super) fn note(request: &SinkRequest, plan: &mut SinkPlan) {
    let Some(history) = &request.history else { return };
    let what = match (history.track.as_slice(), &request.order_by) {
        ([], None) => "any column".to_owned(),
        ([], Some(column)) => format!("any column but {column}"),
        (track, _) => track.join(", "),
    };
    let since = match &request.order_by {
        Some(column) => column.as_str(),
        None => "the end of the run's data interval, or the time of the load",
    };
    let gone = if request.deletes.is_some() { "" } else { "; rows that are gone at the source stay current" };
    plan.notes.push(format!("a change of {what} opens a version that holds since {since}{gone}"));
}
