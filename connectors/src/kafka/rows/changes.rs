//! Change events as rows.

use arrow::array::{ListBuilder, StringBuilder};
use headwater_engine::{EngineError, Result};
use rdkafka::message::{BorrowedMessage, Message};

use super::{Members, broken, place};
use crate::kafka::debezium::{self, Change, Event, Operation};
use crate::kafka::endpoint::Truncates;
use crate::kafka::json::{Decoder, LeftOut, Refusal};

/// How change events are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    /// What a truncate does.
    pub truncates: Truncates,
    /// Set if an event without a key is refused: it may be in any partition, without an order, and does not say which row it changes.
    pub needs_keys: bool,
}

/// What a message is to a table.
pub(super) enum Said<'a> {
    /// A row of its own.
    Row,
    /// A change of a row.
    Change(Change<'a>),
    Nothing,
}

/// Looks at what a message is.
pub(super) fn said<'m>(members: &Members, label: &str, message: &'m BorrowedMessage<'_>) -> Result<Said<'m>> {
    let Members::Changes(_, reads) = members else { return Ok(Said::Row) };
    let Some(bytes) = message.payload() else { return Ok(Said::Nothing) };
    match debezium::read(bytes) {
        Ok(Event::Change(_)) if reads.needs_keys && message.key().is_none() => {
            let what = "the event has no key: nothing says which row it changes, and in which order";
            Err(broken(label, message, what)
                .hint("give the table a primary key, or name its columns in Debezium's message.key.columns; mode append keeps such events as they are"))
        }
        Ok(Event::Change(change)) => Ok(Said::Change(change)),
        Ok(Event::Truncate) if reads.truncates == Truncates::Fail => {
            let place = place(label, message.partition(), message.offset());
            Err(EngineError::config(format!("{place}the table was truncated at the source"))
                .hint("empty the target, then pass over the event: set `truncates: ignore` on the connection; or let Debezium leave truncates out: skipped.operations=t"))
        }
        Ok(Event::Truncate | Event::Other) => Ok(Said::Nothing),
        Err(refusal) => {
            let error = broken(label, message, &refusal.to_string());
            Err(error.hint(match refusal.reason {
                debezium::NO_KEY => {
                    "the table has neither a primary key nor REPLICA IDENTITY FULL: give it one of them"
                }
                _ => "messages that are no change events of Debezium are read with format: json",
            }))
        }
    }
}

/// Adds the row of a change. What a row was created with was sent, unless its key is a new one.
pub(super) fn push_change(
    decoder: &mut Decoder,
    unsent: Option<&mut ListBuilder<StringBuilder>>,
    change: &Change<'_>,
) -> Result<(), Refusal> {
    let left_out = match (change.operation, &unsent) {
        (Operation::Delete, _) | (Operation::Update, Some(_)) => LeftOut::Noted,
        (Operation::Update, None) => LeftOut::Refused(UNSENT),
        (Operation::Read | Operation::Create, _) => LeftOut::Refused(UNSENT_BY_KEY),
    };
    let at = change.at;
    let names =
        decoder.push_change(change.row, left_out).map_err(|refusal| Refusal { at: at + refusal.at, ..refusal })?;
    if let Some(unsent) = unsent {
        let mut is_known = false;
        for name in names {
            unsent.values().append_value(name);
            is_known = true;
        }
        unsent.append(is_known);
    }
    Ok(())
}

/// Why a value is refused that was not sent.
pub(super) const UNSENT: &str = "the value was not sent, because the change has left it as it was, and the column `_unchanged`, which says so, is not read";

/// The same of a row that has got another key: the row with its old key is gone.
pub(super) const UNSENT_BY_KEY: &str =
    "the value was not sent, because the change of the row's key has left it as it was";
