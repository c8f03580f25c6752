//! Messages to record batches.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use chrono::DateTime;
use headwater_engine::{EngineError, ErrorKind, Result};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use super::json::members::members;
use super::json::store::Store;
use super::json::{Decoder, UNSEEN, base64};
use super::layout::{Column, Fill, Meta};

/// A batch is cut at this size even if it has few rows, so that large messages stay in bounds.
const BATCH_BYTES: usize = 4 << 20;

/// Where a column of the batch is kept until then.
#[derive(Debug, Clone, Copy)]
enum Place {
    Meta(usize),
    Member(usize),
    Value,
}

/// The rows of the next batch.
#[derive(Debug)]
pub(crate) struct Rows {
    label: String,
    schema: SchemaRef,
    places: Vec<Place>,
    metas: Vec<(Meta, Store)>,
    /// Nothing if no member is read: then values are not looked at.
    decoder: Option<Decoder>,
    value: Option<Store>,
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
        most_rows: usize,
    ) -> Result<Self> {
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        let unknown = |column: &Column| {
            EngineError::bug(format!("{label}: column {} has a type that messages do not have", column.field.name()))
        };
        let (mut metas, mut wanted, mut value, mut places) = (Vec::new(), Vec::new(), None, Vec::new());
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
            });
        }
        let decoder = if wanted.is_empty() && known.is_none() { None } else { Decoder::new(&wanted) };
        let decoder = decoder.map(|decoder| decoder.knowing(known));
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { label: label.to_owned(), schema, places, metas, decoder, value, rows: 0, most_rows, bytes: 0 })
    }

    /// Whether the batch has its size.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= BATCH_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a message as a row. An error names topic, partition, offset and reason, and nothing that the message holds.
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<()> {
        let payload = message.payload();
        if let Some(decoder) = &mut self.decoder {
            match payload {
                Some(bytes) => decoder.push(bytes).map_err(|refusal| {
                    let error = broken(&self.label, message, &refusal.to_string());
                    match refusal.reason {
                        // What is no object at all tells nothing about fields.
                        UNSEEN => match members(bytes) {
                            Ok(_) => EngineError { kind: ErrorKind::Unseen, ..error },
                            Err(refusal) => broken(&self.label, message, &refusal.to_string()).hint(hint(None)),
                        },
                        _ => error.hint(hint(refusal.field.as_deref())),
                    }
                })?,
                None => decoder.push_nulls(),
            }
        }
        if let Some(value) = &mut self.value {
            match payload {
                Some(bytes) => value.push_bytes(bytes).map_err(|reason| {
                    broken(&self.label, message, &format!("the value as text: {reason}"))
                        .hint("read it as bytea: `columns: { _value: bytea }`")
                })?,
                None => value.push_null(),
            }
        }
        for (meta, store) in &mut self.metas {
            push_meta(*meta, store, message).map_err(|reason| {
                let (what, hint) = match meta {
                    Meta::Key => ("the key as text", "read it as bytea: `columns: { _key: bytea }`"),
                    Meta::Headers => ("the headers", "leave out the column _headers"),
                    _ => ("its time", "leave out the column _timestamp"),
                };
                broken(&self.label, message, &format!("{what}: {reason}")).hint(hint)
            })?;
        }
        self.rows += 1;
        self.bytes += payload.map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        Ok(())
    }

    /// The rows so far; nothing is left.
    pub(crate) fn take(&mut self) -> Result<RecordBatch> {
        let failed = |error| EngineError::data(format!("reading {}: {error}", self.label));
        let metas: Vec<ArrayRef> =
            self.metas.iter_mut().map(|(_, store)| store.take()).collect::<Result<_, _>>().map_err(failed)?;
        let members = self.decoder.as_mut().map(Decoder::take).transpose().map_err(failed)?.unwrap_or_default();
        let value = self.value.as_mut().map(Store::take).transpose().map_err(failed)?;
        let array = |place: &Place| match place {
            Place::Meta(index) => metas.get(*index).cloned(),
            Place::Member(index) => members.get(*index).cloned(),
            Place::Value => value.clone(),
        };
        let arrays: Option<Vec<ArrayRef>> = self.places.iter().map(array).collect();
        let arrays = arrays.ok_or_else(|| EngineError::bug(format!("reading {}: a column is missing", self.label)))?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| EngineError::bug(format!("reading {}: columns of one batch differ: {error}", self.label)))
    }
}

fn broken(label: &str, message: &BorrowedMessage<'_>, reason: &str) -> EngineError {
    let (partition, offset) = (message.partition(), message.offset());
    EngineError::data(format!("{label}, partition {partition}, offset {offset}: {reason}"))
}

fn hint(field: Option<&str>) -> String {
    match field {
        Some(field) => format!("read the field as it is written: `columns: {{ {field}: json }}`"),
        None => "messages that are no JSON objects are read with format: raw".to_owned(),
    }
}

#[inline]
fn push_meta(meta: Meta, store: &mut Store, message: &BorrowedMessage<'_>) -> Result<(), &'static str> {
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
