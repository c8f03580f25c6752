//! Runs that bring connections along: sealed with the run, used by its attempts and reruns, and gone with it.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{NewRun, RunDraft, insert_run};
use crate::deadline::Tx;
use crate::{MasterKey, NewConnection, Result, Workspace};

/// What the audit says of a run that somebody started.
#[derive(Serialize)]
struct Started<'a> {
    pipeline: &'a str,
    version_id: Uuid,
    connections: Vec<&'a str>,
}

impl Workspace {
    /// Makes a run, with connections that are its own if it brings any: they stand before stored ones of the same name.
    pub async fn start_run(&self, run: &NewRun, own: Option<(&MasterKey, &[NewConnection])>) -> Result<Uuid> {
        let plan = self.plan(run.version_id).await?;
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
        };
        let mut tx = self.durable().begin().await?;
        let (run_id, queues) = insert_run(&mut *tx, self.id, &draft).await?;
        let mut connections = Vec::new();
        if let Some((key, own)) = own {
            for connection in own {
                self.seal_with_run(&mut tx, key, run_id, connection).await?;
                connections.push(connection.name.as_str());
            }
        }
        let started = Started { pipeline: &plan.pipeline, version_id: run.version_id, connections };
        self.record(&mut tx, "runs.start", &run_id.to_string(), &started).await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(run_id)
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
        store.default_workspace().start_run(&run, Some((&key(), own))).await.unwrap()
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
