//! Looking again at what connections can read, so that plans and questions that are made on catalogs are not made on old ones.

use std::sync::Arc;
use std::time::Duration;

use headwater_engine::job::ConnectionSettings;

use crate::control::engine_error;
use crate::start::Shared;

/// How often a catalog that is old is looked for; one is read at a time.
const PAUSE: Duration = Duration::from_secs(60);

/// A catalog that nobody has looked at for this long is old.
const AGE: Duration = Duration::from_secs(86_400);

/// Longest time that reading one takes: a folder with very many files is left to whoever asks for it.
const LONGEST: Duration = Duration::from_secs(300);

/// Reads old catalogs until the task is ended. A worker for a single run leaves them to others.
pub(crate) async fn run(shared: Arc<Shared>) {
    if shared.config.only_run.is_some() {
        return;
    }
    loop {
        tokio::time::sleep(PAUSE).await;
        while refresh_one(&shared).await {}
    }
}

/// Reads one old catalog, if there is any and this worker is the one that took it.
async fn refresh_one(shared: &Shared) -> bool {
    let (workspace_id, name) = match shared.store.claim_stale_catalog(AGE).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return false,
        Err(error) => {
            tracing::debug!(%error, "not asked which catalogs are old");
            return false;
        }
    };
    let workspace = shared.store.workspace(workspace_id);
    let refresh = async {
        let opened = workspace.open_connection(&shared.config.master_key, &name).await.map_err(engine_error)?;
        let settings = ConnectionSettings { connector: opened.connector.clone(), settings: opened.settings.clone() };
        let catalog = shared.runner.catalog(&name, settings).await?;
        let document =
            serde_json::to_value(&catalog).map_err(headwater_store::StoreError::from).map_err(engine_error)?;
        workspace.put_catalog(&opened, &catalog.hash()?, &document).await.map_err(engine_error)
    };
    match tokio::time::timeout(LONGEST, refresh).await {
        Ok(Ok(())) => tracing::debug!(connection = name, "its catalog was read again"),
        Ok(Err(error)) => tracing::warn!(connection = name, %error, "the catalog could not be read again"),
        Err(_) => tracing::warn!(connection = name, "reading the catalog again took too long"),
    }
    true
}
