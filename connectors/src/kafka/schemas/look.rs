//! What schemas the messages of a topic have, and what follows for its columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_engine::{EngineError, Result};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Language, Mark, Schema, Schemas};
use crate::kafka::cluster::Client;
use crate::kafka::endpoint::Format;
use crate::kafka::guess::{Guess, Kind};
use crate::kafka::json::Reading;
use crate::kafka::layout::{Column, Fill};
use crate::kafka::registry::Found;
use crate::kafka::schemas::shape::Shape;

/// Ids that are kept: messages of something else may begin with a zero too, and each of them has another.
const MOST_IDS: usize = 256;

/// Schemas that were seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Look {
    /// Marks of messages whose schemas were not fetched yet, and partition and offset of one of them.
    marks: BTreeMap<Mark, (i32, i64)>,
    /// By id and the type of values, the latest among them.
    schemas: BTreeMap<(i32, String), Schema>,
    /// The latest of the topic's subject.
    pub latest: Option<Schema>,
    /// What a person should know.
    pub remarks: BTreeSet<String>,
}

impl Look {
    /// Looks at a message. Returns whether it names a schema.
    pub(crate) fn look(&mut self, language: Language, message: &[u8], partition: i32, offset: i64) -> bool {
        let Ok((mark, _)) = Mark::of(language, message) else { return false };
        if self.marks.len() < MOST_IDS {
            self.marks.entry(mark).or_insert((partition, offset));
        }
        true
    }

    /// Takes over what another one knows, which is newer and complete.
    pub(crate) fn join(&mut self, other: Self) {
        self.schemas.extend(other.schemas);
        self.latest = other.latest.or(self.latest.take());
        self.remarks = other.remarks;
    }
}

/// The subject that a topic's values are registered under, unless producers choose another.
fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// Fetches the schemas that messages were found to have, and the latest one, and adds their fields to the guess. A schema that is not to be had is a
/// remark: the message may lie outside of what is read.
pub(crate) async fn complete(client: &Client, topic: &str, mut guess: Guess) -> Result<Guess> {
    let Some(registry) = client.registry.clone() else { return Ok(guess) };
    let (label, topic) = (client.label(topic), topic.to_owned());
    // No other language has any that a message could lack.
    let defaults = if client.endpoint.format == Format::Avro { ", without defaults" } else { "" };
    let work = async move {
        let name = subject(&topic);
        let latest = registry.latest(&name).await?;
        let mut schemas = Vec::new();
        for (Mark { id, path }, (partition, offset)) in std::mem::take(&mut guess.seen.marks) {
            let error = match registry.schema(&name, id).await? {
                Found::Schema(schema) => match schema.at(&path) {
                    Some(schema) => {
                        schemas.push(schema);
                        continue;
                    }
                    None => format!("schema {id} has no message type in the place that the message names"),
                },
                unusable => registry.unusable(id, unusable).message,
            };
            guess.seen.remarks.insert(format!("{label}, partition {partition}, offset {offset}: {error}"));
        }
        match latest {
            Found::Schema(latest) => {
                latest.for_types_of(&schemas).iter().for_each(|schema| guess.add_schema(schema));
                guess.seen.latest = Some(latest);
            }
            Found::Unusable(what) => drop(guess.seen.remarks.insert(format!("{label}: {what}"))),
            Found::Missing => drop(guess.seen.remarks.insert(format!(
                "{label}: the schema registry has no subject {name}: the columns are those of the messages looked at{defaults}"
            ))),
        }
        schemas.iter().for_each(|schema| guess.add_schema(schema));
        Ok(guess)
    };
    client.on_io(work).await
}

impl Guess {
    /// Adds the fields of a schema.
    fn add_schema(&mut self, schema: &Schema) {
        for field in schema.fields() {
            self.add_kind(field.name, Kind::Schema(field.shape.unwrap_or(Shape::Json)));
        }
        let key = (schema.id(), schema.type_name().unwrap_or_default().to_owned());
        self.seen.schemas.insert(key, schema.clone());
    }
}

/// Refuses a type in `columns:` that a field of one of the schemas can't be read as.
pub(crate) fn judge(label: &str, columns: &[Column], look: &Look) -> Result<()> {
    for schema in look.schemas.values() {
        for (index, field) in schema.fields().into_iter().enumerate() {
            let wanted = columns.iter().find_map(|column| match &column.fill {
                Fill::Member(wanted) if wanted.name == field.name => Some(wanted),
                _ => None,
            });
            let Some(wanted) = wanted.filter(|wanted| wanted.reading == Reading::Typed) else { continue };
            if !schema.is_readable(index, wanted) {
                let (name, id) = (field.name, schema.id());
                return Err(EngineError::config(format!(
                    "{label}: field {name} can't be read as {}: its type in schema {id} does not fit",
                    wanted.data_type
                ))
                .hint(format!(
                    "leave it out of `columns:`, or read it as written: `columns: {{ {name}: json }}`, and CAST it in a transform"
                )));
            }
        }
    }
    Ok(())
}

/// Asks the registry from a thread that reads messages.
#[derive(Debug)]
pub(crate) struct Asking {
    pub client: Client,
    pub topic: String,
    pub io: Handle,
    pub cancel: CancellationToken,
}

impl Schemas for Asking {
    fn schema(&self, id: i32) -> Result<Schema> {
        let label = self.client.label(&self.topic);
        let Some(registry) = self.client.registry.clone() else {
            return Err(EngineError::bug(format!("{label} has no schema registry")));
        };
        let (asked, name) = (Arc::clone(&registry), subject(&self.topic));
        let asked = self.client.on_io(async move { asked.schema(&name, id).await });
        let found = self.io.block_on(self.cancel.run_until_cancelled(asked));
        match found.unwrap_or_else(|| Err(EngineError::canceled(format!("reading {label} was canceled"))))? {
            Found::Schema(schema) => Ok(schema),
            unusable => Err(registry.unusable(id, unusable)),
        }
    }
}
