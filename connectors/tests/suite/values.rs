//! A value is carried exactly or refused: files compared with Python's own csv and json modules, and with psql's \copy.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray,
};
use headwater_engine::connector::{Connection, SinkRequest};
use headwater_engine::testing::{attempt, stream};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::spec::WriteMode;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{copy, delta, open, path, postgres, read, show, sink, table, with_columns};

/// Tables of one comparison; Python is started once for all of them.
const TABLES: usize = 60;

pub fn python(program: &str, folder: &Path) -> String {
    let python = std::env::var_os("HEADWATER_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python).args(["-c", program]).arg(folder).output().unwrap();
    assert!(done.status.success(), "python: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn files(folder: &Path, settings: Value) -> Arc<dyn Connection> {
    let mut all = json!({ "location": folder.to_str().unwrap() });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    open("files", all)
}

async fn write(connection: &Arc<dyn Connection>, name: &str, batch: RecordBatch) -> Result<()> {
    let request = SinkRequest::new(path(name), WriteMode::Overwrite);
    let sink = connection.sink(&request).await?;
    sink.prepare(&batch.schema()).await?;
    let context = attempt(Uuid::now_v7(), 1);
    let staged = sink.write(&context, stream(batch.schema(), vec![batch])).await?;
    sink.commit(&context, staged).await.map(|_| ())
}

/// A table of texts as rows; `None` is missing.
async fn texts(connection: &Arc<dyn Connection>, name: &str) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for batch in read(table(connection, name).await.unwrap()).await.unwrap() {
        let columns: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string()).collect();
        let cell = |column: &&StringArray, row| column.is_valid(row).then(|| column.value(row).to_owned());
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()));
    }
    rows
}

fn batch_of(rows: &[Vec<Option<String>>]) -> RecordBatch {
    let column =
        |index: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index].clone()).collect::<StringArray>()) };
    RecordBatch::try_from_iter((0..rows[0].len()).map(|index| (format!("c{index}"), column(index)))).unwrap()
}

fn any<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_is_read_as_python_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let expected = python(
        r#"
import csv, json, random, sys
random.seed(11)
pieces = ["", "a", '"', '""', ",", "\r\n", "\n", "\r", "\\", "\\N", "\\.", " b", "c ", "ä😀", "'", ";", "\t", "0", "z" * 70]
tables = []
for n in range(60):
    width = random.randrange(1, 5)
    rows = [["".join(random.choice(pieces) for _ in range(random.randrange(0, 4))) for _ in range(width)] for _ in range(random.randrange(0, 40))]
    with open(f"{sys.argv[1]}/t{n}.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f, quoting=csv.QUOTE_ALL, lineterminator=random.choice(["\n", "\r\n", "\r"]))
        w.writerow([f"c{i}" for i in range(width)])
        w.writerows(rows)
    tables.append(rows)
print(json.dumps(tables))
"#,
        folder.path(),
    );
    let expected: Vec<Vec<Vec<Option<String>>>> = serde_json::from_str(&expected).unwrap();
    let drop = files(folder.path(), json!({}));
    for (number, rows) in expected.iter().enumerate() {
        assert_eq!(&texts(&drop, &format!("t{number}.csv")).await, rows, "table {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_reads_csv_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({}));
    let cell = of("[a\"\\\\,;\r\n'. ü😀0]{0,6}");
    let strategy = (1usize..5).prop_flat_map(|width| vec(vec(cell.clone(), width), 1..20));
    let mut runner = TestRunner::deterministic();
    let mut expected = Vec::new();
    for number in 0..TABLES {
        let rows = any(&mut runner, &strategy);
        write(&drop, &format!("t{number}.csv"), batch_of(&rows)).await.unwrap();
        // Python knows no missing value; a line without a field is one of an empty field.
        let rows = rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>());
        expected.push(rows.collect::<Vec<_>>());
    }
    let program = r#"
import csv, json, sys
tables = []
for n in range(60):
    with open(f"{sys.argv[1]}/t{n}.csv", newline="", encoding="utf-8") as f:
        rows = [row or [""] for row in csv.reader(f)]
        assert rows[0] == [f"c{i}" for i in range(len(rows[0]))]
        tables.append(rows[1:])
print(json.dumps(tables))
"#;
    let found: Vec<Vec<Vec<String>>> = serde_json::from_str(&python(program, folder.path())).unwrap();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psql_and_csv_files_agree_on_what_is_missing() {
    let database = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    let psql = |sql: String| {
        let done =
            Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &database.url, "-c", &sql]).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    database
        .run(
            "CREATE TABLE source (id int, v text, w text);
             INSERT INTO source VALUES (1, '', NULL), (2, NULL, ''), (3, '\"', E'\\\\N'), (4, E'a\\r\\nb', ' c ')",
        )
        .await;
    let drop = files(folder.path(), json!({}));
    let shop = postgres(&database.url);
    psql(format!("\\copy source to '{}' csv header", file.display()));
    copy(table(&drop, "t.csv").await.unwrap(), &sink(&shop, "public.read", WriteMode::Append).await).await.unwrap();
    let rows = |name: &str| format!("SELECT id::int, v, w FROM {name} ORDER BY 1");
    assert_eq!(database.rows(&rows("read")).await, database.rows(&rows("source")).await);
    copy(table(&shop, "public.source").await.unwrap(), &sink(&drop, "t.csv", WriteMode::Overwrite).await)
        .await
        .unwrap();
    database.run("CREATE TABLE written (id int, v text, w text)").await;
    psql(format!("\\copy written from '{}' csv header", file.display()));
    assert_eq!(database.rows(&rows("written")).await, database.rows(&rows("source")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_that_readers_disagree_about_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({}));
    for (text, words) in [
        ("a,b\n1,\"x\n2,y\n", "line 2: the quoted field that begins here is never closed"),
        ("a,b\n\"x\ny\",1\n2\n", "line 4: the record has 1 fields, and the columns are 2"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,a\n1,2\n", "names two columns 'a' in line 1"),
        ("", "is empty: it has no header line"),
        ("\n\n", "is empty: it has no header line"),
    ] {
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let error = match table(&drop, "t.csv").await {
            Ok(table) => read(table).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        assert!(error.message.contains("t.csv") && error.message.contains(words), "{text:?}: {error}");
        assert!(error.hint.is_some(), "{error}");
    }
    std::fs::write(folder.path().join("t.csv"), "a,b\n\n1,2\n\n\n3,4\n\n").unwrap();
    assert_eq!(texts(&drop, "t.csv").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_csv_column_keeps_its_digits_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), "v\n1.239\n").unwrap();
    std::fs::write(folder.path().join("u.csv"), "v\n2024-01-01T10:00:00.123456789+02:00\n").unwrap();
    let drop = files(folder.path(), json!({}));
    for (name, kind, words) in [
        ("t.csv", "decimal(6,2)", Some("more than 2 digits after the point")),
        ("t.csv", "bigint", Some("is not an integer")),
        ("t.csv", "decimal(6,3)", None),
        ("u.csv", "timestamp", Some("has an offset")),
        ("u.csv", "timestamptz", Some("finer than a microsecond")),
    ] {
        let read = read(with_columns(&drop, name, json!({ "v": kind })).await.unwrap()).await;
        match (read, words) {
            (Ok(rows), None) => assert_eq!(show(&rows), ["1.239"]),
            (Err(error), Some(words)) => {
                assert!(error.message.contains("line 2, column v") && error.message.contains(words), "{error}");
            }
            (other, _) => panic!("{name} as {kind}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_are_read_as_python_wrote_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = r#"
import json, random, sys
random.seed(5)
text = lambda: "".join(random.choice(["a", '"', "\\", "\n", "ä", "😀", "\t", "/", "\u2028"]) for _ in range(random.randrange(0, 6)))
rows = [{"i": random.choice([random.randrange(-2**63, 2**63), None]), "f": random.choice([random.random() * 10 ** random.randrange(-30, 30), 2.0]),
         "t": random.choice([text(), None]), "b": random.choice([True, False]), "l": [text() for _ in range(random.randrange(0, 3))],
         "o": random.choice([{"x": random.randrange(0, 9), "y": text()}, None])} for _ in range(500)]
for n, ascii in enumerate([True, False]):
    with open(f"{sys.argv[1]}/t{n}.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=ascii) + "\n" for row in rows)
print(json.dumps(rows))
"#;
    let expected: Vec<Value> = serde_json::from_str(&python(program, folder.path())).unwrap();
    let drop = files(folder.path(), json!({}));
    for name in ["t0.jsonl", "t1.jsonl"] {
        // Written by Headwater and read by Python again, since Rust's own JSON reads doubles only nearly.
        let back = sink(&drop, "back.jsonl", WriteMode::Overwrite).await;
        copy(table(&drop, name).await.unwrap(), &back).await.unwrap();
        let same = python(
            "import json, sys\nread = lambda n: [json.loads(l) for l in open(f'{sys.argv[1]}/{n}', encoding='utf-8')]\n\
             print(read('t0.jsonl') == read('back.jsonl'))",
            folder.path(),
        );
        assert_eq!(same.trim(), "True", "{name} of {} rows", expected.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_json_lines_that_do_not_agree_can_be_read_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"v\":1}\n{\"v\":\"x\"}\n{\"v\":{\"a\": [1,2]}}\n{\"v\":null}\n{\"v\":12345678901234567890.50}\n";
    std::fs::write(folder.path().join("t.jsonl"), lines).unwrap();
    let drop = files(folder.path(), json!({}));
    let error = table(&drop, "t.jsonl").await.unwrap_err();
    assert!(error.message.contains("line 2: field v: a text where lines before have a number"), "{error}");
    std::fs::write(folder.path().join("w.jsonl"), lines.replace("{\"v\"", "{\"id\":7,\"v\"")).unwrap();
    let only = read(with_columns(&drop, "w.jsonl", json!(["id"])).await.unwrap()).await.unwrap();
    assert_eq!(show(&only), ["7"; 5], "a field that is not read need not agree");
    let read = read(with_columns(&drop, "t.jsonl", json!({ "v": "text" })).await.unwrap()).await.unwrap();
    assert_eq!(show(&read), ["1", "12345678901234567890.50", "NULL", "x", "{\"a\": [1,2]}"]);
    std::fs::write(folder.path().join("u.jsonl"), "{\"v\":1.10}\n{\"v\":\"2.5\"}\n").unwrap();
    let typed = async |kind: &str| with_columns(&drop, "u.jsonl", json!({ "v": kind })).await.unwrap();
    assert_eq!(show(&self::read(typed("decimal(4,2)").await).await.unwrap()), ["1.10", "2.50"]);
    let error = self::read(typed("bigint").await).await.unwrap_err();
    assert!(error.message.contains("u.jsonl, line 1: field v: '1.10' is not an integer"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_json_has_no_word_for_is_refused_and_other_values_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let drop = files(folder.path(), json!({}));
    let nan: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
    let error = write(&drop, "nan.jsonl", RecordBatch::try_from_iter([("x", nan)]).unwrap()).await.unwrap_err();
    assert!(error.message.contains("column x holds NaN"), "{error}");
    assert!(!folder.path().join("nan.jsonl").exists());
    let columns: [(&str, ArrayRef); 5] = [
        ("i", Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false]))),
        (
            "d",
            Arc::new(
                Decimal128Array::from(vec![12_345_678_901_234_567_890_i128, -5])
                    .with_precision_and_scale(30, 4)
                    .unwrap(),
            ),
        ),
        ("y", Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice(), b""]))),
        ("t", Arc::new(StringArray::from(vec![Some(""), None]))),
    ];
    for name in ["t.jsonl", "t.csv"] {
        write(&drop, name, RecordBatch::try_from_iter(columns.clone()).unwrap()).await.unwrap();
        let types = json!({ "i": "bigint", "b": "boolean", "d": "decimal(30,4)", "y": "bytea" });
        let back = read(with_columns(&drop, name, types).await.unwrap()).await.unwrap();
        for (index, (column, values)) in columns.iter().enumerate() {
            assert_eq!(back[0].column(index), values, "{name}, column {column}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_names_no_folder_is_refused_as_a_partition_value() {
    let folder = tempfile::tempdir().unwrap();
    let request = SinkRequest { partition_by: vec!["p".to_owned()], ..SinkRequest::new(path("t"), WriteMode::Append) };
    let lake = delta(folder.path());
    let load = async |value: Option<&str>| {
        let columns: [(&str, ArrayRef); 2] =
            [("p", Arc::new(StringArray::from(vec![value]))), ("v", Arc::new(Int64Array::from(vec![1])))];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let sink = lake.sink(&request).await?;
        let context = attempt(Uuid::now_v7(), 1);
        let staged = sink.write(&context, stream(rows.schema(), vec![rows])).await?;
        sink.commit(&context, staged).await
    };
    let error = load(Some("")).await.unwrap_err();
    assert!(error.message.contains("partition column p holds an empty text"), "{error}");
    let error = load(Some(&"x".repeat(300))).await.unwrap_err();
    assert!(error.message.contains("longer than the name of a folder may be"), "{error}");
    load(None).await.unwrap();
    assert_eq!(show(&read(table(&lake, "t").await.unwrap()).await.unwrap()), ["NULL|1"]);
}
