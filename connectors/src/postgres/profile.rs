//! What types don't say of their values, from a bounded look at them: the scale of numerics that declare none, the form of arrays.

use std::collections::{HashMap, HashSet};

use headwater_engine::Result;

use super::names::ident;
use super::patience::{Patience, is_lock, named};
use super::session::{Session, TextRow};
use super::types::{MAX_PRECISION, MIN_BARE_SCALE};

/// Rows that are looked at; enough to meet the usual scale, few enough to answer at once.
const SAMPLE_ROWS: u32 = 10_000;

/// A view may be slow to give its first rows; without an answer the least scale is taken.
const SAMPLE_TIME: &str = "10s";

/// Leaves room for as many digits before the point.
const MAX_SCALE: u8 = MAX_PRECISION - 10;

/// The scale of each column: the largest in the sample, at least [`MIN_BARE_SCALE`]. A value that does not fit fails when it
/// is read, so that a sample that misses it loses nothing.
pub(super) async fn scales(
    session: &Session,
    from: &str,
    columns: &[&str],
    patience: Patience,
) -> Result<HashMap<String, u8>> {
    if columns.is_empty() {
        return Ok(HashMap::new());
    }
    let row = sample(session, from, columns, patience, |name| format!("max(scale({name}))")).await?;
    let scale = |index: usize| {
        let found = row.get(index).cloned().flatten().and_then(|text| text.parse::<u16>().ok()).unwrap_or_default();
        u8::try_from(found).unwrap_or(MAX_SCALE).clamp(MIN_BARE_SCALE, MAX_SCALE)
    };
    Ok(columns.iter().enumerate().map(|(index, name)| ((*name).to_owned(), scale(index))).collect())
}

/// Array columns with values that a list can't hold: of several dimensions, or whose first subscript is not 1. As with scales, a value that the sample
/// misses fails when it is read.
pub(super) async fn odd_arrays(
    session: &Session,
    from: &str,
    columns: &[&str],
    patience: Patience,
) -> Result<HashSet<String>> {
    if columns.is_empty() {
        return Ok(HashSet::new());
    }
    let odd = |name: &str| format!("bool_or(array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1)");
    let row = sample(session, from, columns, patience, odd).await?;
    let is_odd = |index: usize| row.get(index).and_then(Option::as_deref) == Some("t");
    let odd = columns.iter().enumerate().filter(|(index, _)| is_odd(*index));
    Ok(odd.map(|(_, name)| (*name).to_owned()).collect())
}

/// One value for each column, of the first rows; nothing if they take too long. A lock is no slow table: nothing could be read later either.
async fn sample(
    session: &Session,
    from: &str,
    columns: &[&str],
    patience: Patience,
    of: impl Fn(&str) -> String,
) -> Result<TextRow> {
    let names: Vec<String> = columns.iter().map(|name| ident(name)).collect();
    let values: Vec<String> = names.iter().map(|name| of(name)).collect();
    let sql = format!(
        "SELECT {} FROM (SELECT {} FROM {from} LIMIT {SAMPLE_ROWS}) AS sample",
        values.join(", "),
        names.join(", ")
    );
    let begin = format!("BEGIN READ ONLY; {}SET LOCAL statement_timeout = '{SAMPLE_TIME}'", patience.sql());
    session.run("preparing a profile", &begin).await?;
    let answer = session.rows("profiling values", &sql).await;
    session.run("profiling values", "ROLLBACK").await?;
    match answer {
        Ok(rows) => Ok(rows.into_iter().next().unwrap_or_default()),
        Err(error) if is_lock(&error) => Err(named(error, from)),
        Err(error) => {
            tracing::debug!(%error, "no profile of {from}");
            Ok(TextRow::new())
        }
    }
}
