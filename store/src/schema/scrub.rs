//! Settings of connections in versions that earlier builds stored: their specs held passwords in clear.

use std::collections::BTreeSet;

use headwater_pipelines::document::Document;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::deadline::{CHORE, Tx};
use crate::{Result, Store};

/// The text of a version that can no longer be read, and so not be masked.
const REMOVED: &str = "# The text held settings of connections and was removed.\n";

/// A version whose spec has settings of connections.
struct Exposed {
    workspace_id: Uuid,
    id: Uuid,
    name: String,
    number: i32,
    spec_text: String,
    spec: String,
}

impl Store {
    /// Takes the settings of connections out of all versions, and names the connections whose secrets were readable, for rotation.
    pub(super) async fn scrub_versions(&self) -> Result<Vec<String>> {
        let mut tx = self.durable().within(CHORE).begin().await?;
        let exposed = sqlx::query_as!(
            Exposed,
            r#"SELECT v.workspace_id, v.id, p.name, v.number, v.spec_text, v.spec::text AS "spec!"
               FROM versions v JOIN pipelines p ON p.workspace_id = v.workspace_id AND p.id = v.pipeline_id
               WHERE EXISTS (SELECT FROM jsonb_each(v.spec::jsonb -> 'connections') AS c (name, settings)
                             WHERE jsonb_typeof(c.settings) = 'object' AND c.settings - 'type' <> '{}')
               ORDER BY p.name, v.number"#
        )
        .fetch_all(&mut *tx)
        .await?;
        if exposed.is_empty() {
            return Ok(Vec::new());
        }
        // Versions are immutable to everything else; the trigger is off for this transaction alone.
        sqlx::query("ALTER TABLE versions DISABLE TRIGGER versions_are_immutable").execute(&mut *tx).await?;
        let mut names = BTreeSet::new();
        for version in exposed {
            names.extend(scrub(&mut tx, &version).await?);
        }
        sqlx::query("ALTER TABLE versions ENABLE TRIGGER versions_are_immutable").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(names.into_iter().collect())
    }
}

/// Masks one version. Its hash was made from the secrets too, so it gets another one, of its id and the masked text.
async fn scrub(tx: &mut Tx, version: &Exposed) -> Result<Vec<String>> {
    let document = Document::read("version", version.spec_text.as_str());
    let text = match document.stored_text() {
        "" => REMOVED,
        masked => masked,
    };
    let mut spec: Value = serde_json::from_str(&version.spec)?;
    let mut names = Vec::new();
    for (name, settings) in spec["connections"].as_object_mut().into_iter().flatten() {
        names.push(format!("{name} (pipeline {}, version {})", version.name, version.number));
        if let Some(settings) = settings.as_object_mut() {
            settings.retain(|field, _| field == "type");
        }
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
    Ok(names)
}
