//! Whether a plan can fill in intervals: known before the first slice runs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveTime;
use headwater_engine::catalog::Catalog;
use headwater_pipelines::plan::{Cursor, ExtractSource, Plan, Relation, TaskPath, Work};
use headwater_pipelines::schedule::Interval;
use headwater_pipelines::spec::WriteMode;

use crate::{OperationError, Result};

/// Refuses what would not replace the rows of a slice; answers with the targets. `catalogs` are what is known of the connections.
pub(super) fn judge(plan: &Plan, catalogs: &BTreeMap<String, Catalog>, slices: &[Interval]) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for (path, task) in &plan.tasks {
        let Work::Load { into, mode, .. } = &task.work else { continue };
        let above = above(plan, path);
        by_interval(plan, path, &above)?;
        by_keys(path, &into.to_string(), *mode)?;
        for task in &above {
            let Some(Work::Extract { source, cursor: Some(cursor), .. }) = plan.tasks.get(*task).map(|task| &task.work)
            else {
                continue;
            };
            by_cursor(task, source, cursor, catalogs, slices)?;
        }
        targets.push(into.to_string());
    }
    if targets.is_empty() {
        return Err(OperationError::invalid(format!(
            "{} loads nothing, so that there is nothing to fill in",
            plan.pipeline
        )));
    }
    Ok(targets)
}

/// The tasks of whose rows those of a task are made, itself included.
fn above<'a>(plan: &'a Plan, path: &'a TaskPath) -> BTreeSet<&'a TaskPath> {
    let (mut found, mut open) = (BTreeSet::from([path]), vec![path]);
    while let Some(task) = open.pop().and_then(|path| plan.tasks.get(path)) {
        for relation in task.work.reads() {
            if let Relation::Task(read) = relation
                && found.insert(read)
            {
                open.push(read);
            }
        }
    }
    found
}

/// A load whose rows depend on no interval would load the same ones in each slice.
fn by_interval(plan: &Plan, path: &TaskPath, above: &BTreeSet<&TaskPath>) -> Result<()> {
    let depends = |work: &Work| {
        matches!(work, Work::Extract { cursor: Some(_), .. })
            || !matches!(work, Work::Check { .. } | Work::Load { .. }) && work.uses_interval()
    };
    if above.iter().filter_map(|task| plan.tasks.get(*task)).any(|task| depends(&task.work)) {
        return Ok(());
    }
    if !plan.uses_interval() && !plan.has_cursors() {
        return Err(same_rows(&plan.pipeline));
    }
    Err(OperationError::invalid(format!("'{path}' reads the same rows in each slice, whatever its interval is"))
        .hint("bind the interval in what it reads, e.g. WHERE at >= $interval_start AND at < $interval_end, or put it into a pipeline of its own"))
}

fn same_rows(pipeline: &str) -> OperationError {
    OperationError::invalid(format!("each run of {pipeline} reads the same rows, whatever its interval"))
        .hint("bind the interval in a statement, e.g. WHERE at >= $interval_start AND at < $interval_end, or give the extract a cursor")
}

fn by_keys(path: &TaskPath, into: &str, mode: WriteMode) -> Result<()> {
    let what = match mode {
        WriteMode::Upsert | WriteMode::InsertNew | WriteMode::DeleteInsert => return Ok(()),
        WriteMode::Overwrite => "each slice would replace the rows of all others",
        WriteMode::Scd2 => "what an older interval says comes too late for a history",
        _ => "rows of a slice that is loaded again would be there twice",
    };
    Err(OperationError::invalid(format!("'{path}' loads into {into} by mode {mode}: {what}"))
        .hint("load by keys: mode upsert, or delete_insert with the column that names the slice"))
}

/// Only a cursor that is a time says which rows are an interval's.
fn by_cursor(
    task: &TaskPath,
    source: &ExtractSource,
    cursor: &Cursor,
    catalogs: &BTreeMap<String, Catalog>,
    slices: &[Interval],
) -> Result<()> {
    let Some(column) = &cursor.column else {
        return Err(OperationError::invalid(format!(
            "'{task}' goes by the position of {}, which has no intervals of time",
            source.connection()
        ))
        .hint("read everything again: headwater run NAME --full-refresh; or leave `cursor` out and bind $interval_start and $interval_end to a column in a transform"));
    };
    let ExtractSource::Table(table) = source else { return Ok(()) };
    let known = catalogs.get(&table.connection).and_then(|catalog| {
        let found = catalog.tables.iter().find(|known| known.path == table.path)?;
        found.columns.iter().find(|known| known.name == *column)
    });
    let Some(kind) = known.map(|known| known.arrow_type.as_str()) else { return Ok(()) };
    if ["Int", "UInt", "Decimal"].iter().any(|number| kind.starts_with(number)) {
        return Err(OperationError::invalid(format!(
            "the cursor {column} of {table} is a number, and a slice is an interval of time"
        ))
        .hint("backfill by a query with $interval_start and $interval_end, or use a time as cursor"));
    }
    let is_day = |(from, to): &Interval| from.time() == NaiveTime::MIN && to.time() == NaiveTime::MIN;
    match slices.iter().find(|slice| kind.starts_with("Date") && !is_day(slice)) {
        Some((from, to)) => Err(OperationError::invalid(format!(
            "the cursor {column} of {table} is a date, and the slice from {from} to {to} does not begin and end with a day of UTC"
        ))
        .hint("cut it by days of UTC: --timezone UTC --every 1d")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use chrono::{TimeZone, Utc};
    use headwater_pipelines::document::Document;
    use headwater_pipelines::plan::plan;

    use super::*;

    /// What is said of a backfill of these tasks by a day of UTC that begins at an hour; nothing if it can run.
    fn judged(tasks: &str, hour: u32) -> String {
        let document = Document::read("p.yaml", format!("name: p\ntasks:\n{tasks}"));
        let connections = ["shop", "events", "dwh"].map(str::to_owned).into();
        let plan = plan(&document, &connections).plan.unwrap();
        let known = r#"{ "tables": [{ "path": ["public", "t"], "kind": "table", "columns": [
            { "name": "id", "native_type": "", "arrow_type": "Int32", "nullable": false },
            { "name": "at", "native_type": "", "arrow_type": "Timestamp(µs, \"UTC\")", "nullable": false },
            { "name": "day", "native_type": "", "arrow_type": "Date32", "nullable": false }
        ] }] }"#;
        let catalogs = [("shop".to_owned(), serde_json::from_str(known).unwrap())].into();
        let at = |day| Utc.with_ymd_and_hms(2026, 1, day, hour, 0, 0).unwrap();
        match judge(&plan, &catalogs, &[(at(1), at(2))]) {
            Ok(_) => String::new(),
            Err(error) => error.message,
        }
    }

    fn copied(extract: &str, load: &str) -> String {
        format!("  a: {{ extract: {{ {extract} }} }}\n  l: {{ load: {{ input: a, into: dwh.public.x, {load} }} }}\n")
    }

    #[test]
    fn what_has_no_intervals_of_time_is_refused_before_the_first_slice() {
        let upsert = "mode: upsert, keys: [id]";
        for (extract, hour, word) in [
            ("from: events.t, cursor: auto", 0, "'a' goes by the position of events"),
            ("from: shop.public.t, cursor: id", 0, "is a number"),
            ("from: shop.public.t, cursor: day", 5, "day of UTC"),
            ("from: shop.public.t", 0, "reads the same rows"),
        ] {
            let told = judged(&copied(extract, upsert), hour);
            assert!(told.contains(word), "{extract}: {told}");
        }
        for extract in [
            "from: shop.public.t, cursor: at",
            "from: shop.public.t, cursor: day",
            "from: shop.public.unknown, cursor: x",
        ] {
            assert_eq!(judged(&copied(extract, upsert), 0), "", "{extract}");
        }
    }

    #[test]
    fn a_load_that_depends_on_no_interval_is_refused_though_another_one_does() {
        let tasks = copied("from: shop.public.t, cursor: at", "mode: upsert, keys: [id]")
            + "  m: { load: { input: shop.public.t, into: dwh.public.y, mode: upsert, keys: [id] } }\n";
        assert!(judged(&tasks, 0).starts_with("'m' reads the same rows in each slice"), "{}", judged(&tasks, 0));
    }

    #[test]
    fn a_mode_that_would_not_replace_a_slice_is_refused() {
        assert!(judged(&copied("from: shop.public.t, cursor: at", "mode: append"), 0).contains("there twice"));
    }
}
