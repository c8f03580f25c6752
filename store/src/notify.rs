//! Wake-ups. NOTIFY only makes things quick; polling makes them certain.
//!
//! Notifications are sent after the commit and on a connection of their own, because Postgres serialises all transactions that
//! notify: inside a finish they would queue up behind each other.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::deadline::{Db, HOT};
use crate::{Result, Store, StoreError, StoreErrorKind};

const READY: &str = "headwater_ready";
const CANCEL: &str = "headwater_cancel";

/// Notifications are sent at once, and then at most this often.
const PAUSE: Duration = Duration::from_millis(5);

/// A listener that heard nothing for this long asks its session whether it lives: a peer that vanished says nothing either.
const QUIET: Duration = Duration::from_secs(5);

/// What a worker is woken by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakeup {
    /// Something of this queue is ready.
    Ready(String),
    /// Somebody asked to cancel this run.
    Canceled(Uuid),
    /// The connection was lost for a while: anything may have happened.
    Reconnected,
}

#[derive(Debug)]
enum Notice {
    Send { channel: &'static str, payload: String },
    Flush(oneshot::Sender<()>),
}

/// Sends notifications from a task of its own.
#[derive(Debug)]
pub(crate) struct Notifier {
    notices: mpsc::UnboundedSender<Notice>,
    _task: AbortOnDropHandle<()>,
}

impl Notifier {
    #[allow(clippy::disallowed_methods, reason = "the task is owned and ends with the notifier")]
    pub(crate) fn start(db: Db) -> Self {
        let (notices, received) = mpsc::unbounded_channel();
        Self { notices, _task: AbortOnDropHandle::new(tokio::spawn(send(db, received))) }
    }

    pub(crate) fn ready(&self, queues: impl IntoIterator<Item = String>) {
        for payload in queues {
            // The task ends only with the store, and then nobody is left to be woken by it.
            let _ = self.notices.send(Notice::Send { channel: READY, payload });
        }
    }

    pub(crate) fn canceled(&self, run_id: Uuid) {
        let _ = self.notices.send(Notice::Send { channel: CANCEL, payload: run_id.to_string() });
    }

    /// Waits until everything handed over so far was sent.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.notices.send(Notice::Flush(done)).is_ok() {
            let _ = wait.await;
        }
    }
}

async fn send(db: Db, mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(first) = notices.recv().await {
        let mut pairs = BTreeSet::new();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(notice) = next {
            match notice {
                Notice::Send { channel, payload } => drop(pairs.insert((channel, payload))),
                Notice::Flush(done) => waiting.push(done),
            }
            next = notices.try_recv().ok();
        }
        if !pairs.is_empty() {
            let channels: Vec<String> = pairs.iter().map(|(channel, _)| (*channel).to_owned()).collect();
            let payloads: Vec<String> = pairs.into_iter().map(|(_, payload)| payload).collect();
            let sent = sqlx::query!(
                "SELECT pg_notify(n.channel, n.payload) FROM unnest($1::text[], $2::text[]) AS n (channel, payload)",
                &channels,
                &payloads
            )
            .fetch_all(&db)
            .await;
            if let Err(error) = sent {
                tracing::warn!(error = %error, "notification not sent; workers will find the work by polling");
            }
        }
        for done in waiting {
            let _ = done.send(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A subscription to wake-ups.
#[derive(Debug)]
pub struct Listener {
    inner: PgListener,
}

impl Store {
    /// Subscribes to wake-ups on a connection of its own.
    pub async fn listen(&self) -> Result<Listener> {
        // A pool of one: its connection is the listener's and is never put back.
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).acquire_timeout(HOT);
        let pool = pool.connect_lazy_with(self.inner.options.clone());
        let listening = async {
            let mut inner = PgListener::connect_with(&pool).await?;
            inner.listen_all([READY, CANCEL]).await?;
            Ok::<_, StoreError>(inner)
        };
        let inner = match tokio::time::timeout(HOT, listening).await {
            Ok(inner) => inner?,
            Err(_) => {
                return Err(StoreError::new(StoreErrorKind::Unavailable, "the listener's session does not answer"));
            }
        };
        Ok(Listener { inner })
    }
}

impl Listener {
    /// Waits for the next wake-up. An error means that the database can't be reached now: subscribe anew.
    pub async fn next(&mut self) -> Result<Wakeup> {
        loop {
            let Ok(received) = tokio::time::timeout(QUIET, self.inner.try_recv()).await else {
                self.prove().await?;
                continue;
            };
            let Some(notification) = received? else { return Ok(Wakeup::Reconnected) };
            match notification.channel() {
                READY => return Ok(Wakeup::Ready(notification.payload().to_owned())),
                _ => match notification.payload().parse() {
                    Ok(run_id) => return Ok(Wakeup::Canceled(run_id)),
                    Err(_) => tracing::warn!(payload = notification.payload(), "notification is not a run's id"),
                },
            }
        }
    }

    /// Fails if the session doesn't answer in time. Notifications that come meanwhile are kept for the next wait.
    async fn prove(&mut self) -> Result<()> {
        let answer = tokio::time::timeout(QUIET, sqlx::Executor::execute(&mut self.inner, "SELECT 1"));
        match answer.await {
            Ok(answer) => Ok(answer.map(drop)?),
            Err(_) => Err(StoreError::new(StoreErrorKind::Unavailable, "the listener's session does not answer")),
        }
    }
}
