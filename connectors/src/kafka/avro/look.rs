//! What schemas the messages of a topic have, and what follows for its columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_engine::{EngineError, Result};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::registry::Found;
use super::schema::Schema;
use super::{Schemas, decode, schema_id};
use crate::kafka::cluster::Client;
use crate::kafka::guess::{Guess, Kind};
use crate::kafka::json::Reading;
use crate::kafka::layout::{Column, Fill};

/// Ids that are kept: messages of something else may begin with a zero too, and each of them has another.
const MOST_IDS: usize = 256;

/// Schemas that were seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Look {
    /// Ids in messages whose schemas were not fetched yet, and partition and offset of one of them.
    ids: BTreeMap<i32, (i32, i64)>,
    /// By id, the latest among them.
    schemas: BTreeMap<i32, Arc<Schema>>,
    /// The latest of the topic's subject.
    pub latest: Option<Arc<Schema>>,
    /// What a person should know.
    pub remarks: BTreeSet<String>,
}

impl Look {
    /// Looks at a message. Returns whether it names a schema.
    pub(crate) fn look(&mut self, message: &[u8], partition: i32, offset: i64) -> bool {
        let Ok(id) = schema_id(message) else { return false };
        if self.ids.len() < MOST_IDS {
            self.ids.entry(id).or_insert((partition, offset));
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
    let work = async move {
        let name = subject(&topic);
        match registry.latest(&name).await? {
            Found::Schema(schema) => {
                guess.add_schema(&schema);
                guess.avro.latest = Some(schema);
            }
            Found::Unusable(what) => drop(guess.avro.remarks.insert(format!("{label}: {what}"))),
            Found::Missing => drop(guess.avro.remarks.insert(format!(
                "{label}: the schema registry has no subject {name}: the columns are those of the messages looked at, without defaults"
            ))),
        }
        for (id, (partition, offset)) in std::mem::take(&mut guess.avro.ids) {
            match registry.schema(&name, id).await? {
                Found::Schema(schema) => guess.add_schema(&schema),
                unusable => {
                    let error = registry.unusable(id, unusable).message;
                    guess.avro.remarks.insert(format!("{label}, partition {partition}, offset {offset}: {error}"));
                }
            }
        }
        Ok(guess)
    };
    client.on_io(work).await
}

impl Guess {
    /// Adds the fields of a schema.
    fn add_schema(&mut self, schema: &Arc<Schema>) {
        for field in schema.fields() {
            self.add_kind(&field.name, Kind::Avro(super::shape::Shape::of(schema, field.node)));
        }
        self.avro.schemas.insert(schema.id, Arc::clone(schema));
    }
}

/// Refuses a type in `columns:` that a field of one of the schemas can't be read as.
pub(crate) fn judge(label: &str, columns: &[Column], look: &Look) -> Result<()> {
    for schema in look.schemas.values() {
        for field in schema.fields() {
            let wanted = columns.iter().find_map(|column| match &column.fill {
                Fill::Member(wanted) if wanted.name == field.name => Some(wanted),
                _ => None,
            });
            let Some(wanted) = wanted.filter(|wanted| wanted.reading == Reading::Typed) else { continue };
            if !decode::is_readable(schema, field.node, wanted) {
                let (name, id) = (&field.name, schema.id);
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
    fn schema(&self, id: i32) -> Result<Arc<Schema>> {
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
