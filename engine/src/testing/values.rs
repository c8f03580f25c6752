//! What goes in comes out.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use super::{Subject, attempt, samples};
use crate::connector::Commit;

pub(super) async fn every_type_comes_back(subject: &Subject) {
    let sample = samples::every_type(subject);
    round_trip(subject, "every_type", sample).await;
}

pub(super) async fn wide_rows_come_back(subject: &Subject) {
    round_trip(subject, "wide", samples::wide()).await;
}

async fn round_trip(subject: &Subject, name: &str, sample: RecordBatch) {
    let schema = sample.schema();
    let commit = subject
        .load(name, WriteMode::Overwrite, &attempt(Uuid::now_v7(), 1), schema.clone(), vec![sample.clone()])
        .await;
    assert!(matches!(commit, Ok(Commit::Committed { .. })), "{name}: {commit:?}");
    let rows = subject.rows(name, &schema).await;
    assert!(!rows.is_empty(), "{name}: nothing came back");
    let found = concat_batches(&rows[0].schema(), &rows).unwrap();
    for (index, field) in schema.fields().iter().enumerate() {
        let back = found.column_by_name(field.name()).unwrap_or_else(|| panic!("{name}: {} is gone", field.name()));
        assert!(
            same_type(back.data_type(), field.data_type()),
            "{name}: {} came back as {}",
            field.name(),
            back.data_type()
        );
        let back = arrow::compute::cast(back, field.data_type()).unwrap();
        // Bits are compared, so that NaN equals itself.
        assert_eq!(&back.to_data(), &sample.column(index).to_data(), "{name}: the values of {}", field.name());
    }
}

/// Lists may call their items what they like.
fn same_type(found: &DataType, expected: &DataType) -> bool {
    match (found, expected) {
        (DataType::List(found), DataType::List(expected)) => same_type(found.data_type(), expected.data_type()),
        _ => found == expected,
    }
}

pub(super) async fn an_empty_input_makes_an_empty_target(subject: &Subject) {
    let schema = samples::ids_schema();
    let commit = subject.load("empty", WriteMode::Overwrite, &attempt(Uuid::now_v7(), 1), schema, vec![]).await;
    assert!(matches!(commit, Ok(Commit::Committed { .. })), "empty: {commit:?}");
    assert!(subject.ids("empty").await.is_empty());
}

pub(super) async fn an_overwrite_replaces_everything(subject: &Subject) {
    let schema = samples::ids_schema();
    for range in [0..5, 5..7, 7..7, 8..9] {
        let batches = vec![samples::ids(range.clone())];
        subject
            .load("replaced", WriteMode::Overwrite, &attempt(Uuid::now_v7(), 1), schema.clone(), batches)
            .await
            .unwrap();
        assert_eq!(subject.ids("replaced").await, range.collect::<Vec<_>>());
    }
}
