//! What the writers of data files share: memory of the process' one pool, how batches reach them, and the form of their Parquet.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use futures::StreamExt;
use headwater_engine::connector::LoadContext;
use headwater_engine::memory::StagePool;
use headwater_engine::{EngineError, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use tokio::sync::mpsc;

use crate::conform::Caster;

/// A column whose distinct values pass this goes on without a dictionary. A small limit gives up early on columns that are
/// almost unique and keeps the dictionaries that help within the processor's cache.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Reservations grow and shrink in steps of this size; one is enough for a load of few rows.
const STEP: usize = 1 << 20;

/// A writer may grow to this size while the pool is full, so that its row groups stay worth reading.
const SMALL: usize = 4 << 20;

/// How often a load that waits for memory looks again.
const LOOK: Duration = Duration::from_millis(50);

/// Batches that may wait for a writer.
const WAITING_BATCHES: usize = 2;

/// Parquet in row groups of about so many encoded bytes, which a writer holds in memory until they are written.
pub(crate) fn parquet(row_group_bytes: usize) -> Result<WriterPropertiesBuilder> {
    let level = ZstdLevel::try_new(1).map_err(|error| EngineError::bug(error.to_string()))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(row_group_bytes))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by(format!("headwater {}", env!("CARGO_PKG_VERSION"))))
}

/// The writers that a load may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    /// How many at most.
    pub most: usize,
    /// What each may hold, in bytes.
    pub each: usize,
}

/// Hands batches to whichever writer is free next; returns the rows.
///
/// The first writer is opened when its first batch is there (or the input is empty, since some targets want a file all the same), another one when all
/// are busy and the pool has room for all that it may hold.
pub(crate) async fn feed(
    load: &LoadContext,
    mut input: SendableRecordBatchStream,
    caster: &Caster,
    crew: Crew,
    mut open: impl FnMut(Held, mpsc::Receiver<RecordBatch>),
) -> Result<u64> {
    let mut writers: Vec<mpsc::Sender<RecordBatch>> = Vec::new();
    let mut opened = |held| {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        open(held, receiver);
        sender
    };
    let (mut rows, mut next) = (0, 0);
    while let Some(batch) = input.next().await {
        let batch = caster.cast(&batch.map_err(EngineError::from)?)?;
        if batch.num_rows() == 0 {
            continue;
        }
        rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        if writers.is_empty() {
            writers.push(opened(Held::first(load, crew.each).await?));
        }
        next = (next + 1) % writers.len();
        let free = (0..writers.len()).map(|step| (next + step) % writers.len());
        match free.into_iter().find(|index| writers[*index].capacity() > 0) {
            Some(free) => next = free,
            None if writers.len() < crew.most => {
                if let Some(held) = Held::another(load, crew.each) {
                    next = writers.len();
                    writers.push(opened(held));
                }
            }
            None => {}
        }
        if writers[next].send(batch).await.is_err() {
            return Err(EngineError::transient("a writer ended early"));
        }
    }
    if writers.is_empty() {
        writers.push(opened(Held::first(load, crew.each).await?));
    }
    Ok(rows)
}

/// The bytes of a batch's own rows, whatever else its buffers hold.
pub(crate) fn size_of(batch: &RecordBatch) -> usize {
    let size = |column: &Arc<dyn Array>| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum()
}

/// What one writer holds of the pool. It follows what the writer really has in memory, and never waits for more: a writer that can't grow writes out what
/// it has gathered. So the progress of a load does not depend on what others hold, and loads can't wait for each other.
#[derive(Debug)]
pub(crate) struct Held {
    pool: Arc<StagePool>,
    memory: MemoryReservation,
    most: usize,
}

impl Held {
    fn none(load: &LoadContext, most: usize) -> Self {
        let pool: Arc<dyn MemoryPool> = Arc::clone(&load.memory) as Arc<dyn MemoryPool>;
        let memory = MemoryConsumer::new(format!("writers of {}", load.task)).register(&pool);
        Self { pool: Arc::clone(&load.memory), memory, most }
    }

    /// For a load's first writer: a step, which is there but when many loads have passed the pool's limit by their small writers. This one has none
    /// and waits for them. A load whose own plan holds memory does not wait, since it might wait for itself.
    async fn first(load: &LoadContext, most: usize) -> Result<Self> {
        if let MemoryLimit::Finite(limit) = load.memory.memory_limit()
            && limit < STEP
        {
            let message = format!("a writer needs {} MB and the memory pool has {limit} bytes", STEP >> 20);
            return Err(EngineError::config(message).hint("raise HEADWATER_MEMORY_MB"));
        }
        let held = Self::none(load, most);
        if load.memory.held() > 0 {
            held.settle(0);
        } else if !held.follow(0) {
            load.progress.wait_for(Some("memory for writers".to_owned()));
            let canceled = load.cancel.run_until_cancelled(held.granted()).await.is_none();
            load.progress.wait_for(None);
            if canceled {
                return Err(EngineError::canceled("the run was canceled"));
            }
        }
        Ok(held)
    }

    async fn granted(&self) {
        while !self.follow(0) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// For one more writer, if it could grow to the most that it may hold.
    fn another(load: &LoadContext, most: usize) -> Option<Self> {
        let held = Self::none(load, most);
        (held.may_hold(most) && held.follow(0)).then_some(held)
    }

    /// What is reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.size()
    }

    /// Whether the writer may hold so much now.
    pub(crate) fn may_hold(&self, bytes: usize) -> bool {
        let wanted = in_steps(bytes);
        let more = wanted.saturating_sub(self.memory.size());
        more == 0 || (bytes <= self.most && self.pool.reserved().saturating_add(more) <= self.line(wanted))
    }

    /// Reserves what the writer holds. If there is not so much, nothing changes, and the writer has to write out what it has gathered.
    pub(crate) fn follow(&self, bytes: usize) -> bool {
        let may = self.may_hold(bytes);
        if may {
            self.settle(bytes);
        }
        may
    }

    /// Reserves what the writer holds and can't do without.
    pub(crate) fn settle(&self, bytes: usize) {
        self.memory.resize(in_steps(bytes));
    }

    /// What may be reserved of the pool in all when a writer has grown to this size. Large writers leave a quarter of it, so that the build side of a join
    /// finds room; small ones may pass its limit, because sorts and joins of other stages can keep all of it for long.
    fn line(&self, wanted: usize) -> usize {
        match self.pool.memory_limit() {
            MemoryLimit::Finite(limit) if wanted <= SMALL => limit + limit / 4,
            MemoryLimit::Finite(limit) => limit - limit / 4,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        }
    }
}

fn in_steps(bytes: usize) -> usize {
    bytes.max(1).div_ceil(STEP).saturating_mul(STEP)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use headwater_engine::ErrorKind;
    use headwater_engine::testing::attempt;
    use uuid::Uuid;

    use super::*;

    const MB: usize = 1 << 20;

    fn pool(bytes: usize) -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(bytes))
    }

    fn load(pool: &Arc<dyn MemoryPool>) -> LoadContext {
        LoadContext { memory: Arc::new(StagePool::new(Arc::clone(pool))), ..attempt(Uuid::nil(), 1) }
    }

    fn operator(pool: &Arc<dyn MemoryPool>, bytes: usize) -> MemoryReservation {
        let memory = MemoryConsumer::new("operator").register(pool);
        memory.grow(bytes);
        memory
    }

    #[tokio::test]
    async fn a_writer_grows_while_there_is_memory_and_holds_what_it_had_when_there_is_none() {
        let pool = pool(16 * MB);
        let load = load(&pool);
        let held = Held::first(&load, 10 * MB).await.unwrap();
        assert_eq!(held.bytes(), MB);
        assert!(held.follow(9 * MB + 1));
        assert_eq!(held.bytes(), 10 * MB);
        assert!(!held.follow(10 * MB + 1), "that is more than it may have");
        assert_eq!(held.bytes(), 10 * MB);
        held.settle(0);
        assert_eq!(pool.reserved(), MB);
        let others = operator(&pool, 15 * MB);
        assert!(!held.follow(5 * MB));
        assert!(held.follow(4 * MB), "a small writer may pass the limit");
        drop((held, others));
        assert_eq!((pool.reserved(), load.memory.held()), (0, 0));
    }

    #[tokio::test]
    async fn another_writer_needs_room_for_all_that_it_may_hold() {
        let pool = pool(64 * MB);
        let load = load(&pool);
        let first = Held::first(&load, 40 * MB).await.unwrap();
        assert_eq!(Held::another(&load, 40 * MB).unwrap().bytes(), MB);
        assert!(first.follow(30 * MB));
        assert!(Held::another(&load, 40 * MB).is_none());
    }

    #[tokio::test]
    async fn a_load_that_waits_for_memory_says_so_and_goes_on_when_it_is_there() {
        let pool = pool(8 * MB);
        let held = operator(&pool, 10 * MB);
        let load = load(&pool);
        let mut waiting = std::pin::pin!(Held::first(&load, 40 * MB));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert_eq!(load.progress.waiting().now.as_deref(), Some("memory for writers"));
        drop(held);
        assert_eq!(waiting.await.unwrap().bytes(), MB);
        assert_eq!(load.progress.waiting().now, None);
    }

    #[tokio::test]
    async fn a_load_that_is_canceled_while_it_waits_for_memory_ends() {
        let pool = pool(8 * MB);
        let _held = operator(&pool, 10 * MB);
        let load = load(&pool);
        let mut waiting = std::pin::pin!(Held::first(&load, 40 * MB));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        load.cancel.cancel();
        assert_eq!(waiting.await.unwrap_err().kind, ErrorKind::Canceled);
    }

    #[tokio::test]
    async fn a_load_never_waits_for_memory_that_its_own_plan_holds() {
        let pool = pool(8 * MB);
        let load = load(&pool);
        let stage: Arc<dyn MemoryPool> = Arc::clone(&load.memory) as Arc<dyn MemoryPool>;
        let _sort = operator(&stage, 10 * MB);
        assert_eq!(Held::first(&load, 40 * MB).await.unwrap().bytes(), MB);
    }

    #[tokio::test]
    async fn a_pool_that_can_never_hold_a_writer_is_an_error_and_no_wait() {
        let load = load(&pool(10));
        assert_eq!(Held::first(&load, 40).await.unwrap_err().kind, ErrorKind::Config);
    }
}
