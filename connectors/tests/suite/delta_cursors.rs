//! Cursors of Delta tables that Python's deltalake writes: rows that were added, and what changes, vacuums and restores do to a cursor.

use std::path::Path;

use headwater_engine::connector::{Position, Reading};
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::plan::Cursor;

use crate::file_cursors::{asked, auto};
use crate::load::{delta, read, show};
use crate::values::python;

/// Lets Python write the table `t` of a folder.
fn write(folder: &Path, program: &str) {
    let begin = "
import os, sys
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
path = os.path.join(sys.argv[1], 't')
def rows(*ids, note='n'):
    return pa.table({'id': pa.array(ids, pa.int64()), 'note': pa.array([note] * len(ids))})
def append(*ids):
    write_deltalake(path, rows(*ids), mode='append')
def vacuum():
    DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
";
    // Its threads sometimes end badly with the process.
    let end = "sys.stdout.flush()\nos._exit(0)";
    python(&format!("{begin}{program}\n{end}"), folder);
}

async fn window(folder: &Path, after: Option<&Position>, by_keys: bool) -> Result<(Vec<String>, Position)> {
    let reading = Reading::After(after.map(|position| position.to.clone()));
    let found = delta(folder).source(&asked("t", auto(), reading, by_keys)).await?;
    Ok((show(&read(found.table).await?), found.position.unwrap()))
}

/// What is new to a load that appends and to one by keys, which is the same.
async fn both(folder: &Path, after: &Position) -> (Vec<String>, Position) {
    let appended = window(folder, Some(after), false).await.unwrap();
    assert_eq!(window(folder, Some(after), true).await.unwrap(), appended);
    appended
}

/// Nobody goes on from this position.
async fn stopped(folder: &Path, after: &Position) -> EngineError {
    let error = window(folder, Some(after), false).await.unwrap_err();
    let by_keys = window(folder, Some(after), true).await.unwrap_err();
    assert_eq!((error.kind, &error.message), (ErrorKind::Config, &by_keys.message));
    assert!(error.hint.as_ref().unwrap().contains("headwater run NAME --full-refresh"), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_appended_are_read_once_and_an_optimize_in_between_brings_none() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1, 2)\nappend(3)");
    let (rows, first) = window(folder.path(), None, false).await.unwrap();
    assert_eq!((rows, first.shown.as_str()), (vec!["1|n".to_owned(), "2|n".to_owned(), "3|n".to_owned()], "version 1"));
    write(folder.path(), "DeltaTable(path).optimize.compact()");
    let (rows, second) = both(folder.path(), &first).await;
    assert_eq!((rows.len(), second.must_move), (0, true), "logs are cleaned, so that the position goes on");
    write(folder.path(), "append(4)\nappend(5)\nDeltaTable(path).optimize.compact()\nappend(6)");
    let (rows, third) = both(folder.path(), &second).await;
    assert_eq!(rows, ["4|n", "5|n", "6|n"], "rows that were moved into another file are read where they were");
    let (rows, again) = both(folder.path(), &third).await;
    assert!(rows.is_empty() && again.to == third.to && !again.must_move);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_came_in_between_are_null_in_older_rows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1)");
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    let program = "append(2)\nDeltaTable(path).optimize.compact()\n\
                   wide = rows(3).append_column('more', pa.array([True]))\n\
                   write_deltalake(path, wide, mode='append', schema_mode='merge')";
    write(folder.path(), program);
    assert_eq!(both(folder.path(), &first).await.0, ["2|n|NULL", "3|n|true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitioned_tables_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "write_deltalake(path, rows(1, 2, note='a b'), partition_by=['note'])");
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    let appends = "for id in (3, 4): write_deltalake(path, rows(id, note='ü/%'), mode='append')";
    write(folder.path(), &format!("{appends}\nDeltaTable(path).optimize.compact()"));
    assert_eq!(both(folder.path(), &first).await.0, ["3|ü/%", "4|ü/%"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_rows_are_read_again_by_keys_and_refused_to_appends() {
    for change in [
        "DeltaTable(path).delete('id = 1')",
        "DeltaTable(path).update(predicate='id = 1', updates={'note': \"'u'\"})",
        "write_deltalake(path, rows(1, 2, 3), mode='overwrite')",
        "append(3)\nDeltaTable(path).optimize.compact()\nDeltaTable(path).delete('id = 1')",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "append(1, 2)");
        let (_, first) = window(folder.path(), None, true).await.unwrap();
        write(folder.path(), &format!("{change}\nappend(9)"));
        let error = window(folder.path(), Some(&first), false).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{change}: {error}");
        assert!(error.message.contains("rows were changed or deleted in version"), "{change}: {error}");
        let hint = error.hint.unwrap();
        assert!(hint.contains("upsert") && hint.contains("delta.enableChangeDataFeed"), "{hint}");
        let (rows, _) = window(folder.path(), Some(&first), true).await.unwrap();
        let expected: &[&str] = match change {
            _ if change.contains("append(3)") => &["2|n", "3|n", "9|n"],
            _ if change.contains("delete") => &["2|n", "9|n"],
            _ if change.contains("update") => &["1|u", "2|n", "9|n"],
            _ => &["1|n", "2|n", "3|n", "9|n"],
        };
        assert_eq!(rows, expected, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_deleted_as_a_whole_bring_no_rows_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1)\nappend(2)");
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    write(folder.path(), "append(3)\nappend(4)\nDeltaTable(path).delete('id = 1')\nDeltaTable(path).delete('id = 4')");
    let (rows, _) = window(folder.path(), Some(&first), true).await.unwrap();
    assert_eq!(rows, ["3|n"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_change_data_feed_gives_an_append_what_was_inserted_and_updated() {
    let folder = tempfile::tempdir().unwrap();
    let make = "write_deltalake(path, rows(1, 2), configuration={'delta.enableChangeDataFeed': 'true'})";
    write(folder.path(), make);
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    let change = "append(3)\nDeltaTable(path).update(predicate='id = 2', updates={'note': \"'u'\"})\n\
                  DeltaTable(path).delete('id = 1')\nDeltaTable(path).optimize.compact()";
    write(folder.path(), change);
    let (rows, second) = window(folder.path(), Some(&first), false).await.unwrap();
    assert_eq!(rows, ["2|u", "3|n"]);
    let (rows, _) = window(folder.path(), Some(&first), true).await.unwrap();
    assert_eq!(rows, ["2|u", "3|n"], "by keys: rows as they are now");
    let (rows, _) = both(folder.path(), &second).await;
    assert!(rows.is_empty());
    write(folder.path(), "write_deltalake(path, rows(7, 8), mode='overwrite')");
    assert_eq!(both(folder.path(), &second).await.0, ["7|n", "8|n"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_was_off_when_rows_changed_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1, 2)");
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    let change = "DeltaTable(path).update(predicate='id = 2', updates={'note': \"'u'\"})\n\
                  DeltaTable(path).alter.set_table_properties({'delta.enableChangeDataFeed': 'true'})\nappend(3)";
    write(folder.path(), change);
    let error = window(folder.path(), Some(&first), false).await.unwrap_err();
    assert!(error.message.contains("rows were changed or deleted in version 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_vacuumed_before_they_were_read_stop_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1)");
    let (_, first) = window(folder.path(), None, false).await.unwrap();
    write(folder.path(), "append(2)\nvacuum()");
    assert_eq!(both(folder.path(), &first).await.0, ["2|n"], "a vacuum alone takes nothing away");
    write(folder.path(), "DeltaTable(path).optimize.compact()\nvacuum()");
    let error = stopped(folder.path(), &first).await;
    assert!(error.message.contains("removed by a vacuum before its rows were read"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_does_not_reach_back_a_restore_and_another_table_stop_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1)\nappend(2)\nappend(3)");
    let (_, last) = window(folder.path(), None, false).await.unwrap();
    let log = folder.path().join("t/_delta_log");
    let older = Position {
        to: {
            let mut to = last.to.clone();
            to["version"] = 0.into();
            to
        },
        ..last.clone()
    };
    write(folder.path(), "DeltaTable(path).create_checkpoint()");
    std::fs::remove_file(log.join("00000000000000000001.json")).unwrap();
    assert!(stopped(folder.path(), &older).await.message.contains("does not hold version 1 any more"));
    assert!(both(folder.path(), &last).await.0.is_empty(), "what is read already may be cleaned");
    let newer = Position {
        to: {
            let mut to = last.to.clone();
            to["version"] = 9.into();
            to
        },
        ..last.clone()
    };
    assert!(stopped(folder.path(), &newer).await.message.contains("is at version 2, and was read up to version 9"));
    write(folder.path(), "append(4)\nDeltaTable(path).restore(2)");
    assert!(stopped(folder.path(), &last).await.message.contains("restored to an older version, in version 4"));
    std::fs::remove_dir_all(folder.path().join("t")).unwrap();
    write(folder.path(), "append(1)\nappend(2)\nappend(3)\nappend(4)");
    assert!(stopped(folder.path(), &last).await.message.contains("was made again since the last load"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_table_cannot_be_asked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "append(1)");
    let column = Cursor { column: Some("id".to_owned()), ..auto() };
    let error = delta(folder.path()).source(&asked("t", column, Reading::Judged, true)).await.unwrap_err();
    assert!(error.message.contains("a Delta table has no cursor column") && error.hint.unwrap().contains("auto"));
    let now = chrono::Utc::now();
    let within = asked("t", auto(), Reading::Within(now, now), true);
    let error = delta(folder.path()).source(&within).await.unwrap_err();
    assert!(error.message.contains("rows of an interval can't be read"), "{error}");
    let judged = delta(folder.path()).source(&asked("t", auto(), Reading::Judged, false)).await.unwrap();
    assert!(judged.position.is_none() && judged.again.is_none());
}
