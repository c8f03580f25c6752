//! How many sessions this process has with a server at a time.
//!
//! A stage reserves all that it needs before it opens the first one, and waits until it can have them: stages that each held some and waited for more
//! would wait for each other. What it turns out not to need it gives back. Whoever only looks (a check, the catalog) takes a session or two for a moment,
//! which are not counted; a stage hands such a session on to its first reader or its load.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_engine::connector::Demand;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions of a process with one connection's server unless the connection says otherwise.
pub(super) const DEFAULT_SESSIONS: u32 = 8;

/// The session that holds the snapshot which all readers share.
const BESIDE_READERS: u32 = 1;

/// A load's session. One that asks the target what became of a commit takes its place.
const FOR_A_LOAD: u32 = 1;

/// Places by connection. A connection whose limit was changed gets new ones.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    places: Mutex<HashMap<(String, u32), Arc<Semaphore>>>,
}

/// The places of one connection.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    places: Arc<Semaphore>,
    most: u32,
}

/// What a stage has reserved; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Reservation {
    places: OwnedSemaphorePermit,
    /// Sessions for each table that is read.
    readers: usize,
    /// Sessions for tables that need fewer.
    fewer: HashMap<String, usize>,
}

impl Reservation {
    /// Sessions that may read a table at a time.
    pub(super) fn readers(&self, table: &str) -> usize {
        self.fewer.get(table).copied().unwrap_or(self.readers)
    }

    /// Gives back what a table does not need.
    pub(super) fn reduce(&mut self, table: &str, readers: usize) {
        let readers = readers.max(1);
        let unused = self.readers(table).saturating_sub(readers);
        if unused > 0 {
            self.fewer.insert(table.to_owned(), readers);
            drop(self.places.split(unused));
        }
    }
}

impl Quotas {
    pub(super) fn of(&self, connection: &str, most: u32) -> Quota {
        let mut places = self.places.lock();
        let key = (connection.to_owned(), most);
        let places = places.entry(key).or_insert_with(|| Arc::new(Semaphore::new(most as usize)));
        Quota { places: Arc::clone(places), most }
    }
}

impl Quota {
    /// Waits until a stage can have what it needs. One that reads more tables at a time than there are places takes all of them, and a session a table.
    pub(super) async fn reserve(&self, demand: &Demand) -> Option<Reservation> {
        let reads = u32::try_from(demand.reads).unwrap_or(u32::MAX);
        let beside = if reads > 0 { BESIDE_READERS } else { 0 } + if demand.writes { FOR_A_LOAD } else { 0 };
        let parallel = u32::try_from(demand.parallelism).unwrap_or(1).max(1);
        let wanted = reads.saturating_mul(parallel).saturating_add(beside).clamp(1, self.most);
        let places = Arc::clone(&self.places).acquire_many_owned(wanted).await.ok()?;
        let readers = wanted.saturating_sub(beside).checked_div(reads).unwrap_or(1).clamp(1, parallel);
        Some(Reservation { places, readers: readers as usize, fewer: HashMap::new() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use futures::FutureExt;

    use super::*;

    fn demand(reads: usize, writes: bool, parallelism: usize) -> Demand {
        Demand { reads, writes, parallelism }
    }

    #[tokio::test]
    async fn a_stage_gets_all_that_it_needs_at_once_or_waits() {
        let quota = Quotas::default().of("shop", 8);
        let first = quota.reserve(&demand(1, false, 4)).await.unwrap();
        assert_eq!(first.readers("t"), 4);
        assert!(quota.reserve(&demand(1, false, 4)).now_or_never().is_none(), "five of eight places are taken");
        drop(first);
        assert!(quota.reserve(&demand(1, false, 4)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn readers_share_what_a_connection_has() {
        let quota = Quotas::default().of("shop", 8);
        assert_eq!(quota.reserve(&demand(3, false, 4)).await.unwrap().readers("t"), 2);
        assert_eq!(quota.reserve(&demand(1, true, 16)).await.unwrap().readers("t"), 6);
    }

    #[tokio::test]
    async fn a_small_table_leaves_its_readers_to_other_stages() {
        let quota = Quotas::default().of("shop", 8);
        let mut first = quota.reserve(&demand(2, true, 3)).await.unwrap();
        assert!(quota.reserve(&demand(1, true, 1)).now_or_never().is_none());
        first.reduce("t", 1);
        first.reduce("t", 1);
        first.reduce("u", 3);
        assert_eq!((first.readers("t"), first.readers("u")), (1, 3));
        assert!(quota.reserve(&demand(1, false, 1)).now_or_never().is_some(), "two places came back");
        assert!(quota.reserve(&demand(1, true, 1)).now_or_never().is_none(), "and no third one");
    }

    #[tokio::test]
    async fn a_stage_that_reads_more_tables_than_there_are_places_runs_alone() {
        let quota = Quotas::default().of("shop", 8);
        let wide = quota.reserve(&demand(20, false, 4)).await.unwrap();
        assert_eq!(wide.readers("t"), 1);
        assert!(quota.reserve(&demand(0, true, 1)).now_or_never().is_none());
    }

    #[tokio::test]
    async fn all_stages_of_a_process_share_the_places_of_a_connection() {
        let quotas = Quotas::default();
        let _held = quotas.of("shop", 3).reserve(&demand(1, false, 1)).await.unwrap();
        assert!(quotas.of("shop", 3).reserve(&demand(1, false, 1)).now_or_never().is_none());
        assert!(quotas.of("lake", 3).reserve(&demand(1, false, 1)).now_or_never().is_some());
    }
}
