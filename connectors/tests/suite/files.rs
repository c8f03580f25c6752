//! Files as they come from elsewhere.

use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::DataType;
use headwater_engine::ErrorKind;
use headwater_engine::connector::Connection;
use headwater_pipelines::spec::WriteMode;
use serde_json::{Value, json};

use crate::load::{copy, open, read, request, show, sink, table, with_columns};

fn drop_folder(folder: &tempfile::TempDir, extra: Value) -> Arc<dyn Connection> {
    let mut settings = json!({ "location": folder.path().to_str().unwrap() });
    settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    open("files", settings)
}

async fn rows(connection: &Arc<dyn Connection>, name: &str) -> headwater_engine::Result<Vec<String>> {
    let object = headwater_engine::connector::SourceObject::Table(vec![name.to_owned()]);
    Ok(show(&read(connection.source(&request(object)).await?.table).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_options_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "\u{feff}id;name\n1;'x;y'\n2;\\N\n").unwrap();
    let drop = drop_folder(&folder, json!({ "delimiter": ";", "quote": "'", "null": "\\N" }));
    assert_eq!(rows(&drop, "a.csv").await.unwrap(), ["1|x;y", "2|NULL"]);
    std::fs::write(folder.path().join("b.csv"), b"gr\xFCn;1\n").unwrap();
    let bare = drop_folder(&folder, json!({ "delimiter": ";", "header": false, "encoding": "windows-1252" }));
    assert_eq!(rows(&bare, "b.csv").await.unwrap(), ["grün|1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_glob_reads_packed_files_together() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("2026")).unwrap();
    for name in ["x", "y"] {
        let file = std::fs::File::create(folder.path().join(format!("2026/{name}.csv.gz"))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        writeln!(gzip, "id\n{name}").unwrap();
        gzip.finish().unwrap();
    }
    let drop = drop_folder(&folder, json!({}));
    assert_eq!(rows(&drop, "2026/*.csv.gz").await.unwrap(), ["x", "y"]);
    let missing = rows(&drop, "2025/*.csv.gz").await.unwrap_err();
    assert!(missing.hint.unwrap().contains("2026/x.csv.gz"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_is_text_unless_typed_or_inferred() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "zip,n,day\n01099,1,2026-01-01\n80331,2,2026-01-02\n").unwrap();
    let types = |table: &Arc<dyn datafusion::catalog::TableProvider>| {
        table.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    let text = drop_folder(&folder, json!({}));
    assert_eq!(types(&table(&text, "a.csv").await.unwrap()), [DataType::Utf8, DataType::Utf8, DataType::Utf8]);
    let typed = with_columns(&text, "a.csv", json!({ "n": "decimal(4,1)" })).await.unwrap();
    assert_eq!(types(&typed), [DataType::Utf8, DataType::Decimal128(4, 1), DataType::Utf8]);
    assert_eq!(show(&read(typed).await.unwrap())[0], "01099|1.0|2026-01-01");
    let inferred = drop_folder(&folder, json!({ "infer": true }));
    assert_eq!(types(&table(&inferred, "a.csv").await.unwrap()), [DataType::Utf8, DataType::Int64, DataType::Date32]);
    let only = with_columns(&text, "a.csv", json!(["day", "zip"])).await.unwrap();
    assert_eq!(show(&read(only).await.unwrap())[0], "2026-01-01|01099");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_row_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "id,n\n1,2\n3\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "id,n\n1,2\n3,x\n").unwrap();
    std::fs::write(folder.path().join("c.jsonl"), "{\"id\": 1}\n\n{\"id\": \n").unwrap();
    let drop = drop_folder(&folder, json!({}));
    let short = rows(&drop, "a.csv").await.unwrap_err();
    assert_eq!(short.kind, ErrorKind::Data);
    assert!(short.message.contains("a.csv") && short.message.contains("line 3"), "{short}");
    let typed = with_columns(&drop, "b.csv", json!({ "n": "integer" })).await.unwrap();
    let wrong = read(typed).await.unwrap_err();
    assert!(
        wrong.message.contains("b.csv") && wrong.message.contains("line 3") && wrong.message.contains('x'),
        "{wrong}"
    );
    let json = rows(&drop, "c.jsonl").await.unwrap_err();
    assert!(json.message.contains("c.jsonl, line 3"), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwritten_file_is_exactly_that_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "id\n1\n2\n").unwrap();
    let drop = drop_folder(&folder, json!({}));
    for name in ["report.parquet", "report.csv.gz", "report.jsonl"] {
        let target = sink(&drop, name, WriteMode::Overwrite).await;
        for _ in 0..2 {
            copy(table(&drop, "a.csv").await.unwrap(), &target).await.unwrap();
        }
        assert!(folder.path().join(name).is_file(), "{name}");
        assert_eq!(rows(&drop, name).await.unwrap(), ["1", "2"]);
    }
    let visible: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(visible.len(), 4, "{visible:?}");
}
