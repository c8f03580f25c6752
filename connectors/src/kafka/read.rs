//! Windows to record batches, on the thread that asks for them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use headwater_engine::rejects::{Origin, Quarantine};
use headwater_engine::{EngineError, ErrorKind, Result};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::consume::{Consumption, Flow};
use super::endpoint::Format;
use super::guess::Guess;
use super::layout::Column;
use super::position::Window;
use super::rows::{Messages, Reads, Rows, place};
use super::schemas::Rules;
use super::schemas::look::{Asking, complete};

/// What one reader does.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub consumption: Consumption,
    /// For messages.
    pub label: String,
    /// The columns that are wanted, in order.
    pub columns: Vec<Column>,
    /// Members that messages may have; any if absent.
    pub known: Option<Arc<HashSet<Vec<u8>>>>,
    /// What reading messages with schemas needs.
    pub rules: Rules,
    /// Where messages go that can't be read; without it they end the read.
    pub quarantine: Option<Arc<Quarantine>>,
    /// Format debezium: whether a message without a key is refused.
    pub needs_keys: bool,
    pub windows: Vec<Window>,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Rows in all.
    pub limit: Option<usize>,
}

impl Read {
    /// Sends every batch, and waits while nobody takes them: librdkafka stops fetching once its queue is full. Ends early when the
    /// receiver is dropped or the read is canceled.
    pub(crate) fn run<E>(&self, io: &Handle, output: &Sender<std::result::Result<RecordBatch, E>>) -> Result<()> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(());
        }
        let format = self.consumption.client.endpoint.format;
        let mut rows =
            Rows::new(&self.label, &self.columns, self.known.clone(), self.messages(io), self.batch_rows.max(1))?;
        let mut flow = Flow::More;
        // Set behind a message with members that nobody knew of: all of them are learned before the load begins again.
        let mut learned: Option<(EngineError, Guess)> = None;
        self.consumption.run(&self.windows, io, &|| output.is_closed(), &mut |message| {
            if learned.is_none() {
                match rows.push(message) {
                    Ok(true) => {}
                    // What is no change is no row.
                    Ok(false) => return Ok(Flow::More),
                    Err(error) if error.kind == ErrorKind::Unseen => learned = Some((error, Guess::default())),
                    Err(error) => return self.set_aside(message, error).map(|()| Flow::More),
                }
            }
            if let Some((_, guess)) = &mut learned {
                guess.look_at(format, message);
                return Ok(Flow::More);
            }
            left -= 1;
            if rows.is_full() {
                flow = self.send(rows.take()?, output)?;
            }
            Ok(if left == 0 { Flow::Enough } else { flow })
        })?;
        if let Some((error, guess)) = learned {
            self.learn(guess, io)?;
            return Err(error);
        }
        if rows.len() > 0 && flow == Flow::More {
            self.send(rows.take()?, output)?;
        }
        Ok(())
    }

    /// Sets a message aside that can't be read. What is no fault of the message still ends the read.
    fn set_aside(&self, message: &BorrowedMessage<'_>, error: EngineError) -> Result<()> {
        let Some(quarantine) = self.quarantine.as_ref().filter(|_| error.kind == ErrorKind::Data) else {
            return Err(error);
        };
        let (partition, offset) = (message.partition(), message.offset());
        let place = place(&self.label, partition, offset);
        let reason = error.message.strip_prefix(&place).unwrap_or(&error.message);
        quarantine.reject(1);
        let origin = Origin::Message { topic: self.label.clone(), partition, offset };
        quarantine.keep(origin, reason.to_owned(), message.payload());
        quarantine.explain(reason, || Ok(error.message.clone()))
    }

    fn messages(&self, io: &Handle) -> Messages {
        let Consumption { client, topic, cancel, .. } = &self.consumption;
        let format = client.endpoint.format;
        if let Some(language) = format.language() {
            let (client, topic, cancel) = (client.clone(), topic.clone(), cancel.clone());
            let asking = Arc::new(Asking { client, topic, io: io.clone(), cancel });
            return Messages::Schemas(language, self.rules.clone(), asking);
        }
        match format {
            Format::Debezium => {
                Messages::Changes(Reads { truncates: client.endpoint.truncates, needs_keys: self.needs_keys })
            }
            _ => Messages::Json,
        }
    }

    /// Keeps what was seen for the load that begins again.
    fn learn(&self, guess: Guess, io: &Handle) -> Result<()> {
        let Consumption { client, topic, topic_id, cancel, .. } = &self.consumption;
        let completed = io.block_on(cancel.run_until_cancelled(complete(client, topic, guess)));
        let canceled = || Err(EngineError::canceled(format!("reading {} was canceled", self.label)));
        client.guesses.learn(&client.guess_key(topic_id), completed.unwrap_or_else(canceled)?);
        Ok(())
    }

    /// Waits for room. A cancel ends the wait.
    fn send<E>(&self, batch: RecordBatch, output: &Sender<std::result::Result<RecordBatch, E>>) -> Result<Flow> {
        if let Some(quarantine) = &self.quarantine {
            quarantine.pass(batch.num_rows() as u64);
        }
        let sent = self.consumption.cancel.run_until_cancelled(output.send(Ok(batch)));
        match futures::executor::block_on(sent) {
            Some(Ok(())) => Ok(Flow::More),
            // Nobody listens any more.
            Some(Err(_)) => Ok(Flow::Enough),
            None => Err(EngineError::canceled(format!("reading {} was canceled", self.label))),
        }
    }
}
