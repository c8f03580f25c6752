//! Secrets in versions that earlier builds stored: their texts and specs held the settings of connections in clear.

use std::collections::BTreeMap;

use headwater_pipelines::document::Document;
use headwater_pipelines::secrets::connections_with_secrets;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::deadline::{CHORE, Tx};
use crate::{Result, Store};

/// The text of a version that can no longer be read, and so not be masked.
const REMOVED: &str = "# The text held settings of connections and was removed.\n";

/// Versions that are in memory at a time.
const BATCH: i64 = 100;

/// A version as it is stored.
struct Version {
    workspace_id: Uuid,
    id: Uuid,
    name: String,
    number: i32,
    spec_text: String,
    spec: String,
}

impl Store {
    /// Takes the settings of connections out of all versions, once: the step is recorded as open until all of it is committed. Names the connections whose
    /// secrets were readable, for rotation.
    pub(super) async fn mask_versions(&self) -> Result<Vec<String>> {
        let mut tx = self.durable().within(CHORE).begin().await?;
        let step = sqlx::query!("DELETE FROM upgrade_steps WHERE name = 'mask_versions'").execute(&mut *tx).await?;
        if step.rows_affected() == 0 {
            return Ok(Vec::new());
        }
        // Versions are immutable to everything else; the trigger is off for this transaction alone.
        sqlx::query("ALTER TABLE versions DISABLE TRIGGER versions_are_immutable").execute(&mut *tx).await?;
        let mut exposed = Vec::new();
        let mut last = Uuid::nil();
        loop {
            let versions = sqlx::query_as!(
                Version,
                r#"SELECT v.workspace_id, v.id, p.name, v.number, v.spec_text, v.spec::text AS "spec!"
                   FROM versions v JOIN pipelines p ON p.workspace_id = v.workspace_id AND p.id = v.pipeline_id
                   WHERE v.id > $1 ORDER BY v.id LIMIT $2"#,
                last,
                BATCH
            )
            .fetch_all(&mut *tx)
            .await?;
            let Some(newest) = versions.last() else { break };
            last = newest.id;
            for version in versions {
                let names = mask(&mut tx, &version).await?;
                let named = |name| format!("{name} (pipeline {}, version {})", version.name, version.number);
                exposed.extend(names.into_iter().map(named));
            }
        }
        sqlx::query("ALTER TABLE versions ENABLE TRIGGER versions_are_immutable").execute(&mut *tx).await?;
        tx.commit().await?;
        exposed.sort();
        Ok(exposed)
    }
}

/// Masks one version and names its connections that wrote out a secret. Its hash was made from the secrets too, so it gets another one, of its id and
/// the masked text.
async fn mask(tx: &mut Tx, version: &Version) -> Result<Vec<String>> {
    let document = Document::read("version", version.spec_text.as_str());
    let mut spec: Value = serde_json::from_str(&version.spec)?;
    let connections = strip(&mut spec);
    let text = match document.stored_text() {
        "" if !connections.is_empty() => REMOVED,
        masked => masked,
    };
    if text == version.spec_text && !connections.values().any(|stripped| *stripped) {
        return Ok(Vec::new());
    }
    // As this build would store it; a secret can stand elsewhere than in a connection.
    if let Some(masked) = document.stored_spec() {
        spec = serde_json::to_value(masked)?;
    }
    sqlx::query!(
        "UPDATE versions SET spec_text = $3, spec = $4::text::json, hash = $5 WHERE workspace_id = $1 AND id = $2",
        version.workspace_id,
        version.id,
        text,
        spec.to_string(),
        &Sha256::new().chain_update(version.id.as_bytes()).chain_update(text).finalize()[..]
    )
    .execute(&mut **tx)
    .await?;
    // A connection that this build no longer reads in the text may have had anything.
    let known = connections_with_secrets(&document);
    let exposed = connections.into_iter().filter(|(name, stripped)| *known.get(name).unwrap_or(stripped));
    Ok(exposed.map(|(name, _)| name).collect())
}

/// Leaves the type of each connection of a spec. Answers their names, each with whether it had other settings.
fn strip(spec: &mut Value) -> BTreeMap<String, bool> {
    let connections = spec.get_mut("connections").and_then(Value::as_object_mut);
    let stripped = connections.into_iter().flatten().map(|(name, settings)| {
        let Some(settings) = settings.as_object_mut() else { return (name.clone(), false) };
        let before = settings.len();
        settings.retain(|field, _| field == "type");
        (name.clone(), settings.len() < before)
    });
    stripped.collect()
}
