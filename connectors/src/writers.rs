//! What the writers of data files share: memory, taken from the process' one pool, and the form of their Parquet.

use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

/// A column whose distinct values pass this goes on without a dictionary. A small limit gives up early on columns that are
/// almost unique and keeps the dictionaries that help within the processor's cache.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Parquet in row groups of about so many encoded bytes, which a writer holds in memory until they are written.
pub(crate) fn parquet(row_group_bytes: usize) -> Result<WriterPropertiesBuilder> {
    let level = ZstdLevel::try_new(1).map_err(|error| EngineError::bug(error.to_string()))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(row_group_bytes))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by(format!("headwater {}", env!("CARGO_PKG_VERSION"))))
}

/// How often a load that waits for memory looks again.
const LOOK: Duration = Duration::from_millis(50);

/// Reserves `each` bytes for as many writers as fit, at most `wanted`. While not even one fits, other loads of the process have the
/// memory; this one holds none and waits for them.
pub(crate) async fn reserve(load: &LoadContext, wanted: usize, each: usize) -> Result<(usize, MemoryReservation)> {
    if let MemoryLimit::Finite(limit) = load.memory.memory_limit()
        && limit < each
    {
        let message = format!("a writer needs {} MB and the memory pool has {}", each >> 20, limit >> 20);
        return Err(EngineError::config(message).hint("raise HEADWATER_MEMORY_MB"));
    }
    let memory = MemoryConsumer::new(format!("writers of {}", load.task)).register(&load.memory);
    loop {
        for writers in (1..=wanted.max(1)).rev() {
            if memory.try_grow(writers * each).is_ok() {
                return Ok((writers, memory));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = load.cancel.cancelled() => return Err(EngineError::canceled("the run was canceled")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;

    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use headwater_engine::ErrorKind;
    use headwater_engine::testing::attempt;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_load_that_finds_no_memory_waits_for_the_one_that_has_it() {
        let pool = Arc::new(GreedyMemoryPool::new(100));
        let load = |number| LoadContext { memory: pool.clone(), ..attempt(Uuid::nil(), number) };
        let (writers, held) = reserve(&load(1), 4, 40).await.unwrap();
        assert_eq!(writers, 2);
        let second = load(2);
        let mut waiting = std::pin::pin!(reserve(&second, 2, 40));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        drop(held);
        assert_eq!(waiting.await.unwrap().0, 2);
    }

    #[tokio::test]
    async fn a_pool_that_can_never_hold_a_writer_is_an_error_and_no_wait() {
        let load = LoadContext { memory: Arc::new(GreedyMemoryPool::new(10)), ..attempt(Uuid::nil(), 1) };
        assert_eq!(reserve(&load, 1, 40).await.unwrap_err().kind, ErrorKind::Config);
    }
}
