//! Sending rows by COPY.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use futures::{SinkExt, StreamExt};
use headwater_engine::{EngineError, Result};
use tokio::sync::mpsc;

use super::encode;
use super::session::Session;
use super::target::Fit;
use crate::conform::Caster;

/// Rows are sent in pieces of about this size.
const SEND_BYTES: usize = 256 << 10;

/// Buffers that may be waiting to be sent.
const WAITING_BUFFERS: usize = 16;

/// Encodes and sends batches; answers rows and bytes. What is encoded may be some way ahead of what is sent, so that neither waits while the
/// server writes to its disk.
pub(super) async fn copy(
    session: &Session,
    fit: &Fit,
    sql: &str,
    mut input: SendableRecordBatchStream,
) -> Result<(u64, u64)> {
    let caster = Caster::new(&input.schema(), Arc::clone(&fit.schema))?;
    let wires = fit.wires();
    let mut sink = std::pin::pin!(session.copy_in(sql).await?);
    let (full, waiting) = mpsc::channel(WAITING_BUFFERS);
    let encoded = async move {
        let mut buffer = Vec::with_capacity(2 * SEND_BYTES);
        encode::header(&mut buffer);
        while let Some(batch) = input.next().await {
            let batch = caster.cast(&batch.map_err(EngineError::from)?)?;
            fit.check(&batch)?;
            // A large batch is encoded in slices, so that the buffer stays small.
            for start in (0..batch.num_rows()).step_by(1024) {
                let slice = batch.slice(start, 1024.min(batch.num_rows() - start));
                encode::batch(&slice, &wires, &mut buffer)?;
                if buffer.len() >= SEND_BYTES {
                    let ready = std::mem::replace(&mut buffer, Vec::with_capacity(2 * SEND_BYTES));
                    if full.send(ready).await.is_err() {
                        // The server has ended the COPY; finishing asks it why.
                        return Ok(());
                    }
                    // Encoding waits for nothing while there are rows: the buffer is sent first.
                    tokio::task::yield_now().await;
                }
            }
        }
        encode::trailer(&mut buffer);
        let _ = full.send(buffer).await;
        Ok::<(), EngineError>(())
    };
    let sent = async {
        // Owned, so that an encoder whose buffers nobody takes any more is told so.
        let mut waiting: mpsc::Receiver<Vec<u8>> = waiting;
        let mut bytes = 0;
        while let Some(buffer) = waiting.recv().await {
            bytes += u64::try_from(buffer.len()).unwrap_or_default();
            sink.send(Bytes::from(buffer)).await?;
        }
        Ok::<u64, tokio_postgres::Error>(bytes)
    };
    let (sent, encoded) = tokio::join!(sent, encoded);
    encoded?;
    let rows = sink.as_mut().finish().await.map_err(|error| session.failed("writing rows", error))?;
    let bytes = sent.map_err(|error| session.failed("writing rows", error))?;
    session.idle();
    Ok((rows, bytes))
}
