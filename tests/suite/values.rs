//! A value is carried exactly or refused: files that other systems wrote, end to end.

use crate::support::{World, python};

/// A spec that loads a file of the world's folder into the Delta table `lake.copied`.
fn spec(world: &World, file: &str, transform: &str) -> String {
    let folder = world.folder.display();
    format!(
        "name: copy\nconnections:\n  drop: {{ type: files, location: \"file://{folder}\" }}\n  \
         lake: {{ type: delta, location: \"file://{folder}/lake\" }}\ntasks:\n  rows: {{ extract: {{ from: 'drop.\"{file}\"' }} }}\n  \
         fitted: {{ transform: \"{transform}\" }}\n  publish: {{ load: {{ input: fitted, into: lake.copied, mode: overwrite }} }}\n"
    )
}

#[test]
fn times_of_parquet_files_arrive_at_their_year_and_with_all_their_digits() {
    let world = World::new();
    let write = "import datetime as d, pyarrow as pa, pyarrow.parquet as pq, sys
days = [d.datetime(2006, 1, 2, 7, 4, 5, 123456), d.datetime(9999, 12, 31, 23, 59, 59, 999999), d.datetime(1, 1, 1)]
pq.write_table(pa.table({'id': [1, 2, 3], 'at': pa.array(days, pa.timestamp('us'))}), sys.argv[1] + '/int96.parquet',
               use_deprecated_int96_timestamps=True, store_schema=False)
nanos = lambda name, last: pq.write_table(pa.table({'id': [1], 'at': pa.array([1704067200 * 10**9 + last], pa.timestamp('ns'))}), sys.argv[1] + '/' + name)
nanos('whole.parquet', 123456000)
nanos('fine.parquet', 123456789)";
    let folder = world.folder.to_str().unwrap();
    python(write, &[folder]);
    let lake = format!("{folder}/lake/copied");
    let copied = || {
        let read = "import deltalake, sys
print(*(str(r['at'].replace(tzinfo=None)) for r in deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().sort_by('id').to_pylist()), sep=', ')";
        python(read, &[&lake])
    };
    for (file, transform, expected) in [
        (
            "int96.parquet",
            "SELECT * FROM rows",
            "2006-01-02 07:04:05.123456, 9999-12-31 23:59:59.999999, 0001-01-01 00:00:00",
        ),
        ("whole.parquet", "SELECT * FROM rows", "2024-01-01 00:00:00.123456"),
        ("fine.parquet", "SELECT id, date_trunc('microsecond', at) AS at FROM rows", "2024-01-01 00:00:00.123456"),
    ] {
        world.write("copy.yaml", &spec(&world, file, transform));
        world.succeed(&["run", "copy.yaml"]);
        assert_eq!(copied(), expected, "{file}");
    }
    world.write("copy.yaml", &spec(&world, "fine.parquet", "SELECT * FROM rows"));
    let done = world.run(&["run", "copy.yaml"]);
    assert_eq!(done.code(), Some(1), "{done}");
    let printed = format!("{}{}", done.stdout, done.stderr);
    assert!(
        printed.contains("finer than a microsecond") && printed.contains("date_trunc('microsecond', at)"),
        "{done}"
    );
}

#[test]
fn a_condition_on_floats_behind_columns_keeps_nan_which_the_statistics_of_files_leave_out() {
    let world = World::new();
    let folder = world.folder.display();
    let write = "import deltalake, pyarrow as pa, pyarrow.parquet as pq, sys
rows = pa.table({'id': [1, 2, 3], 'x': [0.5, float('nan'), 0.25], 'note': ['a', 'b', 'c']})
pq.write_table(rows, sys.argv[1] + '/floats.parquet')
deltalake.write_deltalake(sys.argv[1] + '/lake/floats', rows)";
    python(write, &[&folder.to_string()]);
    for from in ["lake.floats", "'drop.\"floats.parquet\"'"] {
        let spec = format!(
            "name: copy\nconnections:\n  drop: {{ type: files, location: \"file://{folder}\" }}\n  \
             lake: {{ type: delta, location: \"file://{folder}/lake\" }}\ntasks:\n  rows: {{ extract: {{ from: {from}, columns: [id, x] }} }}\n  \
             large: {{ transform: \"SELECT id FROM rows WHERE x > 1\" }}\n  publish: {{ load: {{ input: large, into: lake.copied, mode: overwrite }} }}\n"
        );
        world.write("copy.yaml", &spec);
        world.succeed(&["run", "copy.yaml"]);
        let read = "import deltalake, sys
print(deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table()['id'].to_pylist())";
        assert_eq!(python(read, &[&format!("{folder}/lake/copied")]), "[2]", "{from}");
    }
}
