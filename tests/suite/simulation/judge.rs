//! Comparing the lake with the source. The lake is read by software that shares no code with Headwater.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Berlin;
use serde_json::json;

use crate::support::{World, python};

/// Rows as text, fields divided by `|`, sorted.
pub(super) type Rows = Vec<String>;

/// Tables of the lake, and the columns that are compared. Names of times end in `_at`, and times are microseconds.
const LAKE: [(&str, &[&str]); 6] = [
    ("orders", &["id", "total", "note", "channel", "updated_at"]),
    ("events", &["id", "kind", "seen_at"]),
    ("history", &["id", "name", "segment", "updated_at", "valid_from", "valid_to", "is_current"]),
    ("products", &["id", "name", "price", "deleted_at"]),
    ("prices", &["id", "price", "updated_at"]),
    ("visits", &["id", "seen_at"]),
];

/// All tables of the lake.
pub(super) fn lake(world: &World) -> BTreeMap<String, Rows> {
    let program = "
import deltalake, json, os, pyarrow as pa, sys
tables, result = json.loads(sys.argv[2]), {}
for name, columns in tables.items():
    path = os.path.join(sys.argv[1], name)
    table = deltalake.DeltaTable(path).to_pyarrow_table() if os.path.isdir(path) else pa.table({})
    fields = []
    for column in columns:
        values = table[column] if column in table.column_names else pa.nulls(table.num_rows)
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.timestamp('us', values.type.tz)).cast(pa.int64())
        fields.append(['' if value is None else str(value) for value in values.to_pylist()])
    result[name] = sorted('|'.join(row) for row in zip(*fields))
print(json.dumps(result))";
    let tables = json!(LAKE.iter().copied().collect::<BTreeMap<_, _>>()).to_string();
    serde_json::from_str(&python(program, &[&world.folder.join("lake").display().to_string(), &tables])).unwrap()
}

/// Rows of a table of the source.
pub(super) fn source(world: &World, table: &str, columns: &[&str], condition: &str) -> Rows {
    let text = |column: &&str| match column.ends_with("_at") {
        true => format!("(extract(epoch FROM {column}) * 1000000)::bigint::text"),
        false => format!("coalesce({column}::text, '')"),
    };
    let fields: Vec<String> = columns.iter().map(text).collect();
    let rows = world.query(&format!("SELECT concat_ws('|', {}) FROM {table} WHERE {condition}", fields.join(", ")));
    let mut rows: Rows = rows.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// Demands that a table of the lake holds these rows and no others.
pub(super) fn assert_same(what: &str, lake: &[String], expected: &[String]) {
    let [extra, missing] = [beyond(lake, expected), beyond(expected, lake)];
    assert!(extra.is_empty() && missing.is_empty(), "{what}: the lake has {extra:#?} too many, and lacks {missing:#?}");
}

/// Rows of one side that the other lacks, as often as it lacks them.
fn beyond(rows: &[String], others: &[String]) -> Rows {
    let mut rest: BTreeMap<&String, usize> = BTreeMap::new();
    others.iter().for_each(|row| *rest.entry(row).or_default() += 1);
    let is_extra = |row: &&String| match rest.get_mut(*row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    rows.iter().filter(is_extra).cloned().collect()
}

/// The key of a row.
pub(super) fn id(row: &str) -> &str {
    row.split('|').next().unwrap()
}

/// Orders of the lake: all of the source, and of those that were deleted there none that the last scan had to find.
pub(super) fn judge_orders(
    what: &str,
    lake: &[String],
    source: &[String],
    deleted: &BTreeMap<String, DateTime<Utc>>,
    scanned: DateTime<Utc>,
) {
    let may_stay = |row: &&String| deleted.get(id(row)).is_some_and(|at| *at > scanned);
    let live: Rows = lake.iter().filter(|row| !may_stay(row)).cloned().collect();
    assert_same(&format!("{what}: orders, keys scanned at {scanned}"), &live, source);
    let ids: BTreeSet<&str> = lake.iter().map(|row| id(row)).collect();
    assert_eq!(ids.len(), lake.len(), "{what}: an order is there twice");
}

/// What customers' segments were at some time.
pub(super) type Segments = BTreeMap<String, String>;

/// The history of customers: it holds now what the source holds, held at each time what the source held then, and its versions follow each other.
pub(super) fn judge_history(what: &str, lake: &[String], source: &[String], seen: &[(DateTime<Utc>, Segments)]) {
    let versions: Vec<Vec<&str>> = lake.iter().map(|row| row.split('|').collect()).collect();
    let micros = |text: &str| text.parse::<i64>().unwrap();
    let current = versions.iter().filter(|version| version[6] == "True").map(|version| version[..4].join("|"));
    let mut current: Rows = current.collect();
    current.sort_unstable();
    assert_same(&format!("{what}: customers"), &current, source);
    let mut spans: BTreeMap<&str, Vec<(i64, &str, &str)>> = BTreeMap::new();
    for version in &versions {
        spans.entry(version[0]).or_default().push((micros(version[4]), version[5], version[2]));
    }
    for (id, spans) in &mut spans {
        spans.sort_unstable();
        let follows = spans.windows(2).all(|pair| pair[0].1 == pair[1].0.to_string() && pair[0].2 != pair[1].2);
        assert!(follows && spans.last().unwrap().1.is_empty(), "{what}: versions of customer {id}: {spans:?}");
    }
    for (time, segments) in seen {
        let time_us = time.timestamp_micros();
        let held = spans.iter().filter_map(|(id, spans)| {
            let version = spans.iter().rev().find(|(from, ..)| *from <= time_us)?;
            Some(((*id).to_owned(), version.2.to_owned()))
        });
        assert_eq!(&held.collect::<Segments>(), segments, "{what}: segments as of {time}");
    }
}

/// When a pipeline fires at 02:30 of Berlin, after one time and up to another: at the first 02:30 if there are two, and at 03:00 if there is none.
pub(super) fn nights(after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let night = |day: NaiveDate| {
        let at =
            |hour, minute| Berlin.from_local_datetime(&day.and_time(NaiveTime::from_hms_opt(hour, minute, 0).unwrap()));
        match at(2, 30) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
            LocalResult::None => at(3, 0).unwrap().to_utc(),
        }
    };
    let days = after.date_naive().iter_days().take_while(|day| *day <= until.date_naive());
    days.map(night).filter(|time| *time > after && *time <= until).collect()
}

/// Demands that each hour and each night has one fire and each fire that was not missed a run, and that all runs have succeeded.
pub(super) fn judge_fires(world: &World, from: DateTime<Utc>, until: DateTime<Utc>) {
    let fires = |pipeline: &str| -> BTreeMap<DateTime<Utc>, String> {
        let fires = world.control(&format!(
            "SELECT to_char(f.fire_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), f.outcome FROM fires f
             JOIN schedules s ON s.id = f.schedule_id JOIN pipelines p ON p.id = s.pipeline_id WHERE p.name = '{pipeline}'"
        ));
        let fire = |line: &str| {
            let (at, outcome) = line.split_once('|').unwrap();
            (at.parse().unwrap(), outcome.to_owned())
        };
        fires.lines().map(fire).collect()
    };
    let nightly = fires("nightly");
    assert_eq!(nightly.keys().copied().collect::<Vec<_>>(), nights(from, until));
    assert!(nightly.values().all(|outcome| outcome == "fired"), "{nightly:?}");
    let hourly = fires("hourly");
    let hours: Vec<_> = (1..=(until - from).num_hours()).map(|hour| from + TimeDelta::hours(hour)).collect();
    assert_eq!(hourly.keys().copied().collect::<Vec<_>>(), hours);
    assert!(hourly.values().all(|outcome| ["fired", "coalesced"].contains(&outcome.as_str())), "{hourly:?}");
    let fired = [nightly, hourly].iter().flat_map(BTreeMap::values).filter(|outcome| *outcome == "fired").count();
    assert_eq!(world.control("SELECT count(*) FROM runs"), fired.to_string(), "a run for each fire");
}
