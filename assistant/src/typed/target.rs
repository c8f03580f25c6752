//! Where a load writes: the person's own words say it, or the person is asked.

use serde_json::{Map, Value};

use super::compile::Frame;
use super::directed::destinations;
use super::fault::Fault;
use super::said::Said;
use super::schema::target_id;
use crate::draft::{Choice, Question};
use crate::known::KnownTable;

/// What the words of a prompt say about a target.
pub(super) enum Target {
    /// It is this one.
    Into(String),
    /// It is this one, by an assumption.
    Assumed(String, String),
    /// Nobody said it.
    Asked(Question),
}

/// Resolves the `into` of an answer's load.
pub(super) fn resolve(into: &Map<String, Value>, input: &str, frame: &Frame<'_>, at: &str) -> Result<Target, Fault> {
    let text = |field: &str| into.get(field).and_then(Value::as_str).unwrap_or_default();
    let place = (0..frame.targets.len()).find(|place| target_id(*place) == text("connection"));
    let Some(connection) = place.and_then(|place| frame.targets.get(place)) else {
        let ids = (0..frame.targets.len()).map(target_id);
        return Err(Fault::name("unknown_target", at, "there is no such connection to write to").candidates(ids));
    };
    let table = text("table");
    if table.is_empty() || headwater_pipelines::sql::split_name(table).is_err() {
        return Err(Fault::name("bad_target", at, "expected the name of a table"));
    }
    let target = format!("{connection}.{table}");
    if frame.base.targets.contains_key(&target) {
        return Ok(Target::Into(target));
    }
    let destinations = destinations(frame.said.text(), frame.targets);
    let here: Vec<&Said> = destinations.iter().filter(|said| said.names(connection)).collect();
    if here.is_empty() {
        return Ok(Target::Asked(which_connection(frame, input)));
    }
    let path = headwater_pipelines::sql::split_name(table).unwrap_or_default();
    if here.iter().any(|said| path.iter().all(|part| said.names(part))) {
        return Ok(Target::Into(target));
    }
    if frame.known.tables().any(|(_, known)| is_at(known, connection, &path)) {
        return Ok(Target::Asked(whether_existing(frame, &target)));
    }
    let assumption = format!("the rows go to {target}, a table that does not exist yet: nobody named it");
    Ok(Target::Assumed(target, assumption))
}

/// Whether a known table is the one that a load's path names. A path of one part is in the target's own schema.
fn is_at(known: &KnownTable, connection: &str, path: &[String]) -> bool {
    known.connection == connection && known.table.path.ends_with(path)
}

fn which_connection(frame: &Frame<'_>, input: &str) -> Question {
    let choice = |connection: &String| frame.choice(connection, &format!("into {connection}"));
    Question { text: format!("Where should {input} be written?"), choices: frame.targets.iter().map(choice).collect() }
}

fn whether_existing(frame: &Frame<'_>, target: &str) -> Question {
    let choices: Vec<Choice> = vec![frame.choice(&format!("yes, into {target}"), &format!("into {target}"))];
    Question { text: format!("{target} exists, and you did not name it. Should it be written?"), choices }
}
