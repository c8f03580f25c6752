//! The scale of numerics that don't declare one, from a bounded look at their values.

use std::collections::HashMap;

use headwater_engine::Result;

use super::names::ident;
use super::session::Session;
use super::types::{MAX_PRECISION, MIN_BARE_SCALE};

/// Rows that are looked at; enough to meet the usual scale, few enough to answer at once.
const SAMPLE_ROWS: u32 = 10_000;

/// A view may be slow to give its first rows; without an answer the least scale is taken.
const SAMPLE_TIME: &str = "10s";

/// Leaves room for as many digits before the point.
const MAX_SCALE: u8 = MAX_PRECISION - 10;

/// The scale of each column: the largest in the sample, at least [`MIN_BARE_SCALE`]. A value that does not fit fails when it
/// is read, so that a sample that misses it loses nothing.
pub(super) async fn scales(session: &Session, from: &str, columns: &[&str]) -> Result<HashMap<String, u8>> {
    if columns.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<String> = columns.iter().map(|name| ident(name)).collect();
    let largest: Vec<String> = names.iter().map(|name| format!("max(scale({name}))")).collect();
    let sql = format!(
        "SELECT {} FROM (SELECT {} FROM {from} LIMIT {SAMPLE_ROWS}) AS sample",
        largest.join(", "),
        names.join(", ")
    );
    session
        .run("preparing a profile", &format!("BEGIN READ ONLY; SET LOCAL statement_timeout = '{SAMPLE_TIME}'"))
        .await?;
    let answer = session.rows("profiling numerics", &sql).await;
    session.run("profiling numerics", "ROLLBACK").await?;
    let row = match answer {
        Ok(rows) => rows.into_iter().next().unwrap_or_default(),
        Err(error) => {
            tracing::debug!(%error, "no profile; numerics get the least scale");
            Vec::new()
        }
    };
    let scale = |index: usize| {
        let found = row.get(index).cloned().flatten().and_then(|text| text.parse::<u16>().ok()).unwrap_or_default();
        u8::try_from(found).unwrap_or(MAX_SCALE).clamp(MIN_BARE_SCALE, MAX_SCALE)
    };
    Ok(columns.iter().enumerate().map(|(index, name)| ((*name).to_owned(), scale(index))).collect())
}
