//! Runs that bring connections along: sealed with the run, used by its attempts and reruns, and gone with it.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{MadeRun, NewRun, RunDraft, insert_run};
use crate::deadline::Tx;
use crate::{MasterKey, NewConnection, Result, StoreError, Workspace};

/// What the audit says of a run that somebody started.
#[derive(Serialize)]
struct Started<'a> {
    pipeline: &'a str,
    version_id: Uuid,
    connections: Vec<&'a str>,
}

/// What makes a request that is repeated find the run that it made the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// 1 to 255 bytes that the caller chose.
    pub key: String,
    /// SHA-256 of what is asked for: the same key with another request is refused.
    pub request: [u8; 32],
}

impl Workspace {
    /// Makes a run, with connections that are its own if it brings any: they stand before stored ones of the same name. With a key that an earlier run
    /// was made with, that run is the answer. A full refresh reads everything and replaces what the targets hold.
    pub async fn start_run(
        &self,
        run: &NewRun,
        own: Option<(&MasterKey, &[NewConnection])>,
        once: Option<&Once>,
        full_refresh: bool,
    ) -> Result<MadeRun> {
        let plan = self.plan(run.version_id).await?;
        let own = own.filter(|(_, connections)| !connections.is_empty());
        let connections = own.iter().flat_map(|(_, own)| own.iter()).map(|own| own.name.as_str()).collect();
        let detail = Started { pipeline: &plan.pipeline, version_id: run.version_id, connections };
        let started = match self.who.as_deref() {
            Some(who) => Some((who, serde_json::to_value(&detail)?)),
            None => None,
        };
        let draft = RunDraft {
            version_id: run.version_id,
            plan: &plan,
            params: Value::Object(run.params.clone()),
            trigger: run.trigger,
            interval: run.interval,
            pinned_worker: run.pinned_worker,
            schedule: None,
            rerun_of: None,
            held: false,
            started,
        };
        let (run_id, queues) = if own.is_none() && once.is_none() && !full_refresh {
            // Nothing but this one statement stands between the request and the first claim.
            insert_run(self.durable(), self.id, &draft).await?
        } else {
            let mut tx = self.durable().begin().await?;
            let made = insert_run(&mut *tx, self.id, &draft).await?;
            if full_refresh {
                sqlx::query!(
                    "UPDATE runs SET full_refresh = true WHERE workspace_id = $1 AND id = $2",
                    self.id,
                    made.0
                )
                .execute(&mut *tx)
                .await?;
            }
            if let Some(once) = once
                && !self.is_first(&mut tx, once, made.0).await?
            {
                drop(tx);
                return self.made_before(once).await;
            }
            for (key, connection) in own.iter().flat_map(|(key, own)| own.iter().map(move |own| (key, own))) {
                self.seal_with_run(&mut tx, key, made.0, connection).await?;
            }
            tx.commit().await?;
            made
        };
        self.store.inner.notifier.ready(queues);
        Ok(MadeRun { run_id, existing: false })
    }

    /// Takes the key for a run; whoever has it and has not committed yet is waited for.
    async fn is_first(&self, tx: &mut Tx, once: &Once, run_id: Uuid) -> Result<bool> {
        let taken = sqlx::query!(
            "INSERT INTO idempotency_keys (workspace_id, key, request, run_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            self.id,
            once.key,
            &once.request,
            run_id
        )
        .execute(&mut **tx)
        .await?;
        Ok(taken.rows_affected() == 1)
    }

    async fn made_before(&self, once: &Once) -> Result<MadeRun> {
        let first = self.run_of(once).await?;
        let run_id = first.ok_or_else(|| StoreError::bug("an idempotency key was taken and is not there"))?;
        Ok(MadeRun { run_id, existing: true })
    }

    /// The run that an earlier request with the key made, if there was one. The same key with another request is refused.
    pub async fn run_of(&self, once: &Once) -> Result<Option<Uuid>> {
        let first = sqlx::query!(
            "SELECT run_id, request FROM idempotency_keys WHERE workspace_id = $1 AND key = $2",
            self.id,
            once.key
        )
        .fetch_optional(self.durable())
        .await?;
        let Some(first) = first else { return Ok(None) };
        if first.request != once.request {
            return Err(StoreError::invalid(format!(
                "the idempotency key '{}' was given for another request, which made run {}",
                once.key, first.run_id
            ))
            .hint("give each request a key of its own, and the same key only when the same request is repeated"));
        }
        Ok(Some(first.run_id))
    }

    async fn seal_with_run(
        &self,
        tx: &mut Tx,
        key: &MasterKey,
        run_id: Uuid,
        connection: &NewConnection,
    ) -> Result<()> {
        let plain = serde_json::to_vec(&connection.settings)?;
        let sealed = key.seal(&self.bound_to_run(run_id, &connection.name), &plain)?;
        sqlx::query!(
            "INSERT INTO run_connections (workspace_id, run_id, name, connector, sealed_for, sealed) VALUES ($1, $2, $3, $4, $2, $5)",
            self.id,
            run_id,
            connection.name,
            connection.connector,
            sealed
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Gives a rerun the connections that the run brought which it does again.
    pub(super) async fn inherit_connections(&self, tx: &mut Tx, from: Uuid, to: Uuid) -> Result<()> {
        sqlx::query!(
            "INSERT INTO run_connections (workspace_id, run_id, name, connector, sealed_for, sealed)
             SELECT workspace_id, $3, name, connector, sealed_for, sealed FROM run_connections
             WHERE workspace_id = $1 AND run_id = $2",
            self.id,
            from,
            to
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::testing::{database, plan, save};
    use crate::{RerunMode, Store, Trigger};

    fn key() -> MasterKey {
        MasterKey::from_bytes(&[3; 32]).unwrap()
    }

    fn shop(url: &str) -> NewConnection {
        NewConnection {
            name: "shop".to_owned(),
            connector: "postgres".to_owned(),
            settings: json!({ "url": url }),
            shown: json!({ "url": "***" }),
            variables: Vec::new(),
        }
    }

    async fn run_with(store: &Store, own: &[NewConnection]) -> Uuid {
        let run = NewRun {
            version_id: save(store, &plan("p", &[("a", &[])])).await,
            params: serde_json::Map::new(),
            trigger: Trigger::Manual,
            interval: None,
            pinned_worker: None,
        };
        store.default_workspace().start_run(&run, Some((&key(), own)), None, false).await.unwrap().run_id
    }

    async fn url_for(workspace: &Workspace, run_id: Uuid) -> Value {
        let opened = workspace.open_connections_for_run(&key(), run_id, &["shop".to_owned()]).await.unwrap();
        opened[0].settings["url"].clone()
    }

    #[tokio::test]
    async fn a_runs_own_connection_serves_it_and_its_reruns_and_no_other_run() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        workspace.put_connection(&key(), &shop("postgres://stored")).await.unwrap();
        let own = run_with(&db.store, &[shop("postgres://own")]).await;
        let other = run_with(&db.store, &[]).await;
        assert_eq!(url_for(&workspace, own).await, "postgres://own");
        assert_eq!(url_for(&workspace, other).await, "postgres://stored");
        workspace.cancel_run(own).await.unwrap();
        let again = workspace.rerun(own, RerunMode::FromFailure, None).await.unwrap().run_id;
        assert_eq!(url_for(&workspace, again).await, "postgres://own");
        workspace.cancel_run(again).await.unwrap();
        let third = workspace.rerun(again, RerunMode::All, None).await.unwrap().run_id;
        assert_eq!(url_for(&workspace, third).await, "postgres://own");
        let stored = workspace.open_connection(&key(), "shop").await.unwrap();
        assert_eq!(stored.settings["url"], "postgres://stored");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_with_one_key_make_one_run_and_another_request_with_it_is_refused() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run = NewRun {
            version_id: save(&db.store, &plan("p", &[("a", &[])])).await,
            params: serde_json::Map::new(),
            trigger: Trigger::Manual,
            interval: None,
            pinned_worker: None,
        };
        let once = Once { key: "order-7".to_owned(), request: [1; 32] };
        let start = || workspace.start_run(&run, None, Some(&once), false);
        let (first, second) = tokio::join!(start(), start());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.run_id, first.existing), (second.run_id, !second.existing));
        assert_eq!(db.value("SELECT count(*) FROM runs").await, "1");
        let other = Once { request: [2; 32], ..once.clone() };
        let refused = workspace.start_run(&run, None, Some(&other), false).await.unwrap_err();
        assert!(refused.message.contains(&first.run_id.to_string()), "{refused}");
    }

    #[tokio::test]
    async fn a_runs_own_connections_are_sealed_and_go_with_the_run() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run_id = run_with(&db.store, &[shop("postgres://app:hunter22@db/shop")]).await;
        let dump = "SELECT string_agg(c::text || encode(sealed, 'escape'), '') FROM run_connections c";
        let dump: String = sqlx::query_scalar(dump).fetch_one(db.store.durable()).await.unwrap();
        assert!(!dump.contains("hunter22"));
        workspace.cancel_run(run_id).await.unwrap();
        assert_eq!(db.store.keep_history(Duration::ZERO).await.unwrap().forgotten, 1);
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM run_connections").fetch_one(db.store.durable()).await.unwrap();
        assert_eq!(left, 0);
    }
}
