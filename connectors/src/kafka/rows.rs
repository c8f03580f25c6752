//! Messages to record batches.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono::DateTime;
use headwater_engine::connector::PART_BITS;
use headwater_engine::{EngineError, ErrorKind, Result};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use super::debezium::Change;
use super::json::members::members;
use super::json::store::Store;
use super::json::{Decoder, Refusal, UNSEEN, Wanted, base64};
use super::layout::{Column, Fill, Meta};
use super::schemas::{self, Language, Records, Rules, Schemas};
use super::{avro, json_schema, protobuf};

mod changes;

pub(crate) use changes::Reads;
use changes::{Said, UNSENT, UNSENT_BY_KEY, push_change, said};

/// A batch is cut at this size even if it has few rows, so that large messages stay in bounds.
const BATCH_BYTES: usize = 4 << 20;

/// Where a column of the batch is kept until then.
#[derive(Debug, Clone, Copy)]
enum Place {
    Meta(usize),
    Member(usize),
    Value,
    Unsent,
}

/// How messages are written, and what reading them needs.
#[derive(Debug)]
pub(crate) enum Messages {
    /// Or not at all, if no column is a member.
    Json,
    Schemas(Language, Rules, Arc<dyn Schemas>),
    Changes(Reads),
}

/// Columns of members.
#[derive(Debug)]
enum Members {
    /// No member is read: then values are not looked at.
    Ignored,
    Json(Decoder),
    Records(Box<dyn Records>),
    /// Of the rows that change events are about.
    Changes(Decoder, Reads),
}

impl Members {
    fn new(wanted: &[Wanted], known: Option<Arc<HashSet<Vec<u8>>>>, messages: Messages) -> Option<Self> {
        if wanted.is_empty() && known.is_none() && !matches!(messages, Messages::Changes(_)) {
            return Some(Self::Ignored);
        }
        match messages {
            Messages::Changes(reads) => {
                Decoder::new(wanted).map(|decoder| Self::Changes(decoder.knowing(known), reads))
            }
            Messages::Json => Decoder::new(wanted).map(|decoder| Self::Json(decoder.knowing(known))),
            Messages::Schemas(language, rules, schemas) => {
                let records: Box<dyn Records> = match language {
                    Language::Avro => Box::new(avro::Decoder::new(wanted, known, rules, schemas)?),
                    Language::Protobuf => Box::new(protobuf::Decoder::new(wanted, known, rules, schemas)?),
                    Language::JsonSchema => Box::new(json_schema::Decoder::new(wanted, known, rules, schemas)?),
                };
                Some(Self::Records(records))
            }
        }
    }

    fn push_nulls(&mut self) {
        match self {
            Self::Ignored => {}
            Self::Json(decoder) | Self::Changes(decoder, _) => decoder.push_nulls(),
            Self::Records(records) => records.push_nulls(),
        }
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        match self {
            Self::Ignored => Ok(Vec::new()),
            Self::Json(decoder) | Self::Changes(decoder, _) => decoder.take(),
            Self::Records(records) => records.take(),
        }
    }
}

/// The rows of the next batch.
#[derive(Debug)]
pub(crate) struct Rows {
    label: String,
    schema: SchemaRef,
    places: Vec<Place>,
    metas: Vec<(Meta, Store)>,
    decoder: Members,
    value: Option<Store>,
    /// Names of columns that a change has left out.
    unsent: Option<ListBuilder<StringBuilder>>,
    /// Rows so far.
    rows: usize,
    most_rows: usize,
    /// Bytes of keys and values so far.
    bytes: usize,
}

impl Rows {
    /// Empty columns; `most_rows` is the size of a batch.
    /// Members besides the known ones, if those are given, are refused.
    pub(crate) fn new(
        label: &str,
        columns: &[Column],
        known: Option<Arc<HashSet<Vec<u8>>>>,
        messages: Messages,
        most_rows: usize,
    ) -> Result<Self> {
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        let unknown = |column: &Column| {
            EngineError::bug(format!("{label}: column {} has a type that messages do not have", column.field.name()))
        };
        let (mut metas, mut wanted, mut value, mut places) = (Vec::new(), Vec::new(), None, Vec::new());
        let mut unsent = None;
        for column in columns {
            let store = || Store::new(column.field.data_type()).ok_or_else(|| unknown(column));
            places.push(match &column.fill {
                Fill::Meta(meta) => {
                    metas.push((*meta, store()?));
                    Place::Meta(metas.len() - 1)
                }
                Fill::Member(member) => {
                    store()?;
                    wanted.push(member.clone());
                    Place::Member(wanted.len() - 1)
                }
                Fill::Value => {
                    value = Some(store()?);
                    Place::Value
                }
                Fill::Unsent => {
                    unsent = Some(ListBuilder::new(StringBuilder::new()));
                    Place::Unsent
                }
            });
        }
        // All types were looked at above.
        let decoder = Members::new(&wanted, known, messages).unwrap_or(Members::Ignored);
        let schema = Arc::new(Schema::new(fields));
        let label = label.to_owned();
        Ok(Self { label, schema, places, metas, decoder, value, unsent, rows: 0, most_rows, bytes: 0 })
    }

    /// Whether the batch has its size.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= BATCH_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a message as a row, if it is one. An error names topic, partition, offset and reason, and nothing that the message holds; then the rows are as
    /// they were.
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<bool> {
        let change = match said(&self.decoder, &self.label, message)? {
            Said::Row => None,
            Said::Change(change) => Some(change),
            Said::Nothing => return Ok(false),
        };
        let pushed = self.push_apart(message, change.as_ref());
        if let Err(error) = pushed.and_then(|()| self.push_members(message, change.as_ref())) {
            self.metas
                .iter_mut()
                .map(|(_, store)| store)
                .chain(&mut self.value)
                .for_each(|store| store.truncate(self.rows));
            return Err(error);
        }
        self.rows += 1;
        self.bytes += message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        Ok(true)
    }

    /// Adds the members of a message, or nothing.
    fn push_members(&mut self, message: &BorrowedMessage<'_>, change: Option<&Change<'_>>) -> Result<()> {
        match (&mut self.decoder, message.payload()) {
            (Members::Ignored, _) => Ok(()),
            (Members::Changes(decoder, _), _) => {
                let Some(change) = change else { return Ok(()) };
                push_change(decoder, self.unsent.as_mut(), change)
                    .map_err(|refusal| refused_change(&self.label, message, change.row, refusal))
            }
            (members, None) => {
                members.push_nulls();
                Ok(())
            }
            (Members::Json(decoder), Some(bytes)) => {
                decoder.push(bytes).map_err(|refusal| refused_json(&self.label, message, bytes, refusal))
            }
            (Members::Records(records), Some(bytes)) => {
                records.push(bytes).map_err(|refusal| refused(&self.label, message, refusal))
            }
        }
    }

    /// Adds what a message has besides its members: its value as it is, and where it comes from.
    fn push_apart(&mut self, message: &BorrowedMessage<'_>, change: Option<&Change<'_>>) -> Result<()> {
        if let Some(value) = &mut self.value {
            match message.payload() {
                Some(bytes) => value.push_bytes(bytes).map_err(|reason| {
                    broken(&self.label, message, &format!("the value as text: {reason}"))
                        .hint("read it as bytea: `columns: { _value: bytea }`")
                })?,
                None => value.push_null(),
            }
        }
        for (meta, store) in &mut self.metas {
            push_meta(*meta, store, message, change).map_err(|reason| {
                let (what, hint) = match meta {
                    Meta::Key => ("the key as text", "read it as bytea: `columns: { _key: bytea }`"),
                    Meta::Headers => ("the headers", "leave out the column _headers"),
                    _ => ("its time", "leave out the column _timestamp"),
                };
                broken(&self.label, message, &format!("{what}: {reason}")).hint(hint)
            })?;
        }
        Ok(())
    }

    /// The rows so far; nothing is left.
    pub(crate) fn take(&mut self) -> Result<RecordBatch> {
        let failed = |error| EngineError::data(format!("reading {}: {error}", self.label));
        let metas: Vec<ArrayRef> =
            self.metas.iter_mut().map(|(_, store)| store.take()).collect::<Result<_, _>>().map_err(failed)?;
        let members = self.decoder.take().map_err(failed)?;
        let value = self.value.as_mut().map(Store::take).transpose().map_err(failed)?;
        let unsent: Option<ArrayRef> = self.unsent.as_mut().map(|names| Arc::new(names.finish()) as ArrayRef);
        let array = |place: &Place| match place {
            Place::Meta(index) => metas.get(*index).cloned(),
            Place::Member(index) => members.get(*index).cloned(),
            Place::Value => value.clone(),
            Place::Unsent => unsent.clone(),
        };
        let arrays: Option<Vec<ArrayRef>> = self.places.iter().map(array).collect();
        let arrays = arrays.ok_or_else(|| EngineError::bug(format!("reading {}: a column is missing", self.label)))?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| EngineError::bug(format!("reading {}: columns of one batch differ: {error}", self.label)))
    }
}

/// What an error of JSON comes to.
fn refused_json(label: &str, message: &BorrowedMessage<'_>, object: &[u8], refusal: Refusal) -> EngineError {
    let error = broken(label, message, &refusal.to_string());
    let hint = |field: Option<&str>| hint(field, "messages that are no JSON objects");
    match refusal.reason {
        // What is no object at all tells nothing about fields.
        UNSEEN => match members(object) {
            Ok(_) => EngineError { kind: ErrorKind::Unseen, ..error },
            Err(refusal) => broken(label, message, &refusal.to_string()).hint(hint(None)),
        },
        UNSENT => error.hint("select `_unchanged` in each transform, or let the source send all columns: ALTER TABLE … REPLICA IDENTITY FULL"),
        UNSENT_BY_KEY => error.hint("let the source send all columns: ALTER TABLE … REPLICA IDENTITY FULL; `on_reject: quarantine` passes over what was sent before"),
        _ => error.hint(hint(refusal.field.as_deref())),
    }
}

/// The same of the row of a change event.
fn refused_change(label: &str, message: &BorrowedMessage<'_>, object: &[u8], refusal: Refusal) -> EngineError {
    let is_of_field = refusal.field.is_some() && ![UNSENT, UNSENT_BY_KEY].contains(&refusal.reason);
    let error = refused_json(label, message, object, refusal);
    match is_of_field {
        true => error.hint("set decimal.handling.mode=string and time.precision.mode=isostring in the connector, and declare a type that holds every value; docs/debezium.md says which"),
        false => error,
    }
}

fn broken(label: &str, message: &BorrowedMessage<'_>, reason: &str) -> EngineError {
    EngineError::data(format!("{}{reason}", place(label, message.partition(), message.offset())))
}

/// What an error about a message begins with.
pub(crate) fn place(label: &str, partition: i32, offset: i64) -> String {
    format!("{label}, partition {partition}, offset {offset}: ")
}

/// What an error of a message with a schema comes to: the registry's keep their kinds.
fn refused(label: &str, message: &BorrowedMessage<'_>, refusal: schemas::Refusal) -> EngineError {
    let error = broken(label, message, &refusal.to_string());
    match refusal {
        schemas::Refusal::Unseen { .. } => EngineError { kind: ErrorKind::Unseen, ..error },
        schemas::Refusal::Message { field, .. } => {
            error.hint(hint(field.as_deref(), "messages that no serializer of a schema registry has written"))
        }
        schemas::Refusal::Schema(cause) => EngineError { message: error.message, ..cause },
    }
}

fn hint(field: Option<&str>, others: &str) -> String {
    match field {
        Some(field) => format!("read the field as it is written: `columns: {{ {field}: json }}`"),
        None => format!("{others} are read with format: raw"),
    }
}

#[inline]
fn push_meta(
    meta: Meta,
    store: &mut Store,
    message: &BorrowedMessage<'_>,
    change: Option<&Change<'_>>,
) -> Result<(), &'static str> {
    match meta {
        Meta::Partition => store.push_i32(message.partition()),
        Meta::Offset => store.push_i64(message.offset()),
        Meta::Timestamp => match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) if millis >= 0 => {
                let time = DateTime::from_timestamp_millis(millis).ok_or("it is no date that a timestamp can hold")?;
                store.push_i64(time.timestamp_micros());
            }
            _ => store.push_null(),
        },
        Meta::Key => match message.key() {
            Some(key) => store.push_bytes(key)?,
            None => store.push_null(),
        },
        Meta::Headers => match message.headers().filter(|headers| headers.count() > 0) {
            Some(headers) => {
                // rdkafka panics at a name that is not UTF-8, and has no other way to ask for it.
                let text = std::panic::catch_unwind(AssertUnwindSafe(|| headers_text(headers)));
                store.push_bytes(text.map_err(|_| "the name of a header is not UTF-8")?.as_bytes())?;
            }
            None => store.push_null(),
        },
        Meta::Tombstone => store.push_bool(message.payload().is_none()),
        Meta::Position => {
            let part = i64::from(message.partition());
            if part >> PART_BITS != 0 {
                return Err("a topic of change events has at most 4,096 partitions");
            }
            store.push_i64((message.offset() << PART_BITS) | part);
        }
        Meta::Operation => match change {
            Some(change) => store.push_bytes(change.operation.as_str().as_bytes())?,
            None => store.push_null(),
        },
    }
    Ok(())
}

/// A list, since a header may be there several times.
fn headers_text(headers: &impl Headers) -> String {
    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
        let value = match header.value.map(std::str::from_utf8) {
            None => serde_json::json!({ "key": header.key, "value": null }),
            Some(Ok(text)) => serde_json::json!({ "key": header.key, "value": text }),
            Some(Err(_)) => {
                serde_json::json!({ "key": header.key, "base64": base64::encode(header.value.unwrap_or_default()) })
            }
        };
        value.to_string()
    };
    let texts: Vec<String> = headers.iter().map(header).collect();
    format!("[{}]", texts.join(","))
}
