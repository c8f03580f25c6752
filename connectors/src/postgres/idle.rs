//! Sessions between two stages. To open one costs a server more than a small load does, so that a session whose stage has ended well waits a little for
//! the next stage that uses the same connection.
//!
//! Whoever takes one gets it as it was opened: settings are reset, and it has the name of its new owner, by which it can be ended from outside. A stage
//! opens a new session only if none waits, so a process never has more than its stages have had at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::endpoint::Endpoint;
use super::session::{Dialer, Session};

/// How long a session waits for its next stage.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server's process grows with what it has looked at.
const OLDEST: Duration = Duration::from_secs(600);

/// How long a waiting session may take to answer before a new one is opened.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The waiting sessions of a process.
#[derive(Debug, Default)]
pub(super) struct Idle {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    sessions: Vec<One>,
    /// Somebody looks after those that have waited long enough.
    is_watched: bool,
}

#[derive(Debug)]
struct One {
    connection: String,
    endpoint: Endpoint,
    since: Instant,
    session: Session,
}

impl Idle {
    /// A session that waits for this connection, as if it were new.
    pub(super) async fn take(&self, dialer: &Dialer) -> Option<Session> {
        while let Some(session) = self.newest(dialer) {
            session.join(dialer);
            let renewed = tokio::time::timeout(ANSWER_TIMEOUT, session.renew(dialer)).await;
            if matches!(renewed, Ok(Ok(()))) {
                return Some(session);
            }
        }
        None
    }

    /// Takes a session that is in no transaction.
    pub(super) fn put(self: &Arc<Self>, dialer: &Dialer, session: Session) {
        let Some(io) = dialer.io.as_ref().filter(|_| session.is_reusable(OLDEST)) else { return };
        session.leave();
        let (connection, endpoint) = (dialer.name.clone(), dialer.endpoint.clone());
        let mut waiting = self.waiting.lock();
        waiting.sessions.push(One { connection, endpoint, since: Instant::now(), session });
        if !std::mem::replace(&mut waiting.is_watched, true) {
            self.watch(io);
        }
    }

    fn newest(&self, dialer: &Dialer) -> Option<Session> {
        let mut waiting = self.waiting.lock();
        let fits = |one: &One| {
            one.connection == dialer.name && one.endpoint == dialer.endpoint && one.since.elapsed() < PATIENCE
        };
        let place = waiting.sessions.iter().rposition(|one| fits(one) && one.session.is_open())?;
        Some(waiting.sessions.remove(place).session)
    }

    fn watch(self: &Arc<Self>, io: &Handle) {
        let idle = Arc::downgrade(self);
        io.spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE / 2).await;
                let Some(idle) = idle.upgrade() else { return };
                let mut waiting = idle.waiting.lock();
                waiting.sessions.retain(|one| one.since.elapsed() < PATIENCE && one.session.is_open());
                if waiting.sessions.is_empty() {
                    waiting.is_watched = false;
                    return;
                }
            }
        });
    }
}
