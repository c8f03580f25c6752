//! Loads of changes: whether their rows say what a change has to say, and whether each of them gets there.

use arrow::datatypes::{DataType, SchemaRef};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{Relation, TaskPath};

use super::Checker;
use super::deletes::Rows;
use crate::connector::{
    MESSAGE_KEY, OPERATION, POSITION, SinkPlan, SinkRequest, UNCHANGED, changed_columns, list_of_names,
};

/// What loads of changes are let through with.
const ACCEPTED: &str = "changes of one topic go through transforms that choose, rename, cast or compute columns and give `_op`, `_position` and `_unchanged` on as they are, and through checks that fail or warn; leave rows out where the target is read";

/// How the names of columns begin that a load makes for itself.
const OWN: &str = "_hw_";

impl Checker<'_> {
    /// Judges a load of changes, or one that takes changes for rows. Whether there is nothing to report.
    pub(super) async fn changes(
        &mut self,
        task: &TaskPath,
        input: &Relation,
        request: &SinkRequest,
        schema: &SchemaRef,
    ) -> bool {
        let steps = self.steps(task, &["load", "changes"]);
        if !request.deletes.as_ref().is_some_and(|deletes| deletes.changes) {
            return self.changes_as_rows(task, request, schema);
        }
        if let Some(message) = no_changes(schema) {
            let hint = "select them in each transform, or read the topic by a connection with `format: debezium`";
            self.add(&steps, Finding::error(Code::BadLoad, message).hint(hint));
            return false;
        }
        let before = self.checked.diagnostics.len();
        let own = schema.fields().iter().find(|field| field.name().starts_with(OWN));
        if let Some(field) = own {
            let message =
                format!("the rows have a column {}, and names that begin with {OWN} are the load's own", field.name());
            self.add(
                &steps,
                Finding::error(Code::BadLoad, message).hint("give it another name with AS in a transform"),
            );
        }
        let key = schema.field_with_name(OPERATION).ok().and_then(|field| field.metadata().get(MESSAGE_KEY));
        if let Some(key) = key.filter(|key| key.split(", ").count() != request.keys.len()) {
            let message = format!("the keys are {}, and those of the messages are {key}", request.keys.join(", "));
            let hint = "changes of one row are in order if the keys of the load are those of the messages: name all of them, or set message.key.columns in Debezium's connector";
            self.add(&self.steps(task, &["load", "keys"]), Finding::error(Code::BadLoad, message).hint(hint));
        }
        if changed_columns(schema).fields().is_empty() {
            self.add(&steps, Finding::error(Code::BadLoad, "the rows have no columns but those about changes"));
        }
        if let Some(why) = self.incomplete(input, Rows::Changes).await {
            let message = format!("a change that is not loaded would leave its row in the target as it was, and {why}");
            self.add(&steps, Finding::error(Code::BadLoad, message).hint(ACCEPTED));
        }
        self.checked.diagnostics.len() == before
    }

    /// Rows that are gone would be written as if they were there.
    fn changes_as_rows(&mut self, task: &TaskPath, request: &SinkRequest, schema: &SchemaRef) -> bool {
        let has = |name: &str| schema.field_with_name(name).is_ok();
        let are_changes = has(OPERATION)
            && schema.field_with_name(UNCHANGED).is_ok_and(|field| same(field.data_type(), &list_of_names()));
        let takes = request.deletes.as_ref().is_none_or(|deletes| deletes.when.is_none());
        if !request.mode.is_keyed() || !are_changes || !takes {
            return true;
        }
        let message =
            "the rows are changes, and a load by keys would write rows that are gone, and columns that were not sent";
        let steps = self.steps(task, &["load", "mode"]);
        let hint = "add `changes: true` with mode upsert; or use mode append, which keeps each change";
        self.add(&steps, Finding::error(Code::BadLoad, message).hint(hint));
        false
    }
}

/// What rows lack that changes have: the columns that are not there, or else the first that has another type.
fn no_changes(schema: &SchemaRef) -> Option<String> {
    let own = [(OPERATION, DataType::Utf8), (POSITION, DataType::Int64), (UNCHANGED, list_of_names())];
    let missing: Vec<&str> =
        own.iter().map(|(name, _)| *name).filter(|name| schema.field_with_name(name).is_err()).collect();
    if !missing.is_empty() {
        let columns = if missing.len() == 1 { "column" } else { "columns" };
        return Some(format!("the rows have no {columns} {}, which changes have", missing.join(", ")));
    }
    own.iter().find_map(|(name, data_type)| {
        let is = schema.field_with_name(name).ok()?.data_type();
        (!same(is, data_type)).then(|| format!("the column {name} of changes is {is}, and not {data_type}"))
    })
}

/// Whether a type is another, whatever its items are called.
fn same(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => one.data_type() == other.data_type(),
        (one, other) => one == other,
    }
}

/// Says in a plan what changes do.
pub(super) fn note(request: &SinkRequest, plan: &mut SinkPlan) {
    let Some(deletes) = request.deletes.as_ref().filter(|deletes| deletes.changes) else { return };
    let done = deletes.done();
    plan.notes.push(format!(
        "of each {} the last change counts; rows that are gone are {done}, and columns that a change did not send stay as they are",
        request.keys.join(", ")
    ));
}
