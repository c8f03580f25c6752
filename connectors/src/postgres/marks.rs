//! The table that remembers how often cursors have moved, in the schema of their loads' target: a load moves its cursors in its own transaction.

use std::collections::BTreeMap;

use headwater_engine::connector::Mark;
use headwater_engine::{EngineError, Result};
use uuid::Uuid;

use super::names::{literal, path};
use super::session::Session;

const CURSORS: &str = "_headwater_cursors";

/// Makes the table if it isn't there. Two sessions that make it at once collide in the catalog; then it is there.
pub(super) async fn ensure(session: &Session, schema: &str) -> Result<()> {
    if exists(session, schema).await? {
        return Ok(());
    }
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (
           cursor_id uuid PRIMARY KEY, generation bigint NOT NULL, load_id uuid NOT NULL, moved_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        path(&[schema, CURSORS])
    );
    match session.run("making the table of cursors", &sql).await {
        Ok(()) => Ok(()),
        Err(_) if exists(session, schema).await? => Ok(()),
        Err(error) => Err(error),
    }
}

async fn exists(session: &Session, schema: &str) -> Result<bool> {
    let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(&path(&[schema, CURSORS])));
    Ok(session.value("looking for the table of cursors", &sql).await?.as_deref() == Some("t"))
}

/// How often cursors have moved.
pub(super) async fn generations(session: &Session, schema: &str, cursors: &[Uuid]) -> Result<BTreeMap<Uuid, i64>> {
    if cursors.is_empty() || !exists(session, schema).await? {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<String> = cursors.iter().map(|id| format!("'{id}'")).collect();
    let sql = format!(
        "SELECT cursor_id, generation FROM {} WHERE cursor_id IN ({})",
        path(&[schema, CURSORS]),
        ids.join(", ")
    );
    let read = |row: &Vec<Option<String>>| match row.as_slice() {
        [Some(id), Some(generation)] => Some((id.parse().ok()?, generation.parse().ok()?)),
        _ => None,
    };
    let rows = session.rows("asking how often cursors have moved", &sql).await?;
    let read =
        rows.iter().map(|row| read(row).ok_or_else(|| EngineError::bug("the table of cursors holds no numbers")));
    read.collect()
}

/// Moves the cursors of a load in its transaction, in which nobody else can move them afterwards.
pub(super) async fn advance(
    session: &Session,
    schema: &str,
    load_id: Uuid,
    marks: &[Mark],
    target: &str,
) -> Result<()> {
    for mark in marks {
        let Mark { id, to, .. } = mark;
        // The row is locked before it is looked at; it is made for a cursor that has not moved yet.
        let lock = format!(
            "INSERT INTO {} AS c (cursor_id, generation, load_id) VALUES ('{id}', -1, '{load_id}')
             ON CONFLICT (cursor_id) DO UPDATE SET load_id = EXCLUDED.load_id RETURNING generation",
            path(&[schema, CURSORS])
        );
        let found = session.value("locking the cursor", &lock).await?;
        let found = found.and_then(|found| found.parse::<i64>().ok()).filter(|found| *found >= 0);
        mark.check(found, target)?;
        let moved = format!(
            "UPDATE {} SET generation = {to}, moved_at = clock_timestamp() WHERE cursor_id = '{id}'",
            path(&[schema, CURSORS])
        );
        session.run("moving the cursor", &moved).await?;
    }
    Ok(())
}
