//! Values that the server casts: they pass through a temporary table, in a type that every value of the wanted type has a form in.

use headwater_engine::{EngineError, Result};

use super::names::{ident, literal};
use super::relation::text;
use super::session::Session;
use super::target::{Cast, Fit, Written};
use super::types::Wire;

/// The temporary table.
pub(super) const INCOMING: &str = "_hw_incoming";

/// The statement that makes it.
pub(super) fn create(fit: &Fit, into: &str) -> String {
    let declared: Vec<String> = fit
        .columns
        .iter()
        .map(|column| match (&column.cast, &column.wire) {
            (None, _) => ident(&column.name),
            (Some(_), wire) => format!("CAST(NULL AS {}) AS {}", carrier(wire), ident(&column.name)),
        })
        .collect();
    format!("CREATE TEMP TABLE {INCOMING} ON COMMIT DROP AS SELECT {} FROM {into} WITH NO DATA", declared.join(", "))
}

/// The type in which the temporary table holds a column.
fn carrier(wire: &Wire) -> &'static str {
    match wire {
        Wire::Int8 => "bigint",
        Wire::Array(_) => "text[]",
        _ => "text",
    }
}

/// The value under its type. A list is read from its text, since there is no cast between the items of all types.
fn value(column: &Written, cast: &Cast) -> String {
    let name = ident(&column.name);
    match column.wire {
        Wire::Array(_) => format!("CAST(CAST({name} AS text) AS {})", cast.to),
        _ => format!("CAST({name} AS {})", cast.to),
    }
}

/// The statement that moves the rows into the target. What the column's type limits is judged by an assignment, which refuses where a cast would cut.
pub(super) fn insert(fit: &Fit, into: &str) -> String {
    let values: Vec<String> = fit
        .columns
        .iter()
        .map(|column| match &column.cast {
            Some(cast) => value(column, cast),
            None => ident(&column.name),
        })
        .collect();
    let columns = fit.names();
    format!("INSERT INTO {into} ({columns}) OVERRIDING SYSTEM VALUE SELECT {} FROM {INCOMING}", values.join(", "))
}

/// The statement that makes room for other rows in the same transaction.
pub(super) fn clear() -> String {
    format!("DROP TABLE IF EXISTS {INCOMING}")
}

/// Refuses values that even an assignment changes: it rounds times and intervals to the column's precision.
pub(super) async fn refuse_changed(session: &Session, fit: &Fit) -> Result<()> {
    for column in &fit.columns {
        let Some(cast) = column.cast.as_ref().filter(|cast| cast.to != cast.native) else { continue };
        let whole = format!("CAST({} AS text)", value(column, cast));
        let limited = format!("CAST(CAST({} AS {}) AS text)", value(column, cast), cast.native);
        let sql = format!(
            "SELECT {whole}, {} FROM {INCOMING} WHERE {whole} IS DISTINCT FROM {limited} LIMIT 1",
            literal(&column.name)
        );
        if let Some(row) = session.rows("comparing the values with their type", &sql).await?.first() {
            return Err(EngineError::data(format!(
                "column {}: the value '{}' is not one of {}",
                column.name,
                text(row, 0)?,
                cast.native
            ))
            .hint("change the value in a transform, where it is visible, or the column's type"));
        }
    }
    Ok(())
}
