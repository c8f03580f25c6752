//! The rows that a load hands to its target, counted on their way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};

use super::slice::Keys;
use crate::control::TaskProgress;
use crate::failpoint::failpoint;

/// Counts what is handed to the sink.
pub(super) struct Counted {
    input: SendableRecordBatchStream,
    progress: Arc<TaskProgress>,
    first: bool,
    /// Keys that are kept of the rows.
    slice: Option<Arc<Keys>>,
}

impl Counted {
    pub(super) fn over(
        input: SendableRecordBatchStream,
        progress: Arc<TaskProgress>,
        slice: Option<Arc<Keys>>,
    ) -> SendableRecordBatchStream {
        Box::pin(Self { input, progress, first: true, slice })
    }
}

impl Stream for Counted {
    type Item = datafusion::error::Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.input.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(batch))) = &polled {
            self.progress.add(batch.num_rows() as u64, batch.get_array_memory_size() as u64);
            if let Some(Err(error)) = self.slice.as_ref().map(|slice| slice.add(batch)) {
                return Poll::Ready(Some(Err(error)));
            }
            if std::mem::take(&mut self.first)
                && let Err(error) = failpoint("after_first_batch")
            {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        polled
    }
}

impl RecordBatchStream for Counted {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
