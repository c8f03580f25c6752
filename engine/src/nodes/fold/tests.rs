#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use headwater_pipelines::plan::Relation;
use proptest::prelude::*;

use super::super::extension;
use super::{FoldNode, Folding};
use crate::connector::{DELETED, KEPT, PART_BITS, POSITION};
use crate::control::Progress;
use crate::error::EngineError;
use crate::relations::Relations;
use crate::session::{EngineConfig, SessionFactory};

/// A change of a row with a key and two columns; a column that is absent was not sent.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Written(i64, [Option<i64>; 2]),
    Gone(i64),
}

const NAMES: [&str; 2] = ["a", "b"];

fn batch(changes: &[(i64, Change)]) -> RecordBatch {
    let (mut keys, mut gone, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    let mut columns = [Vec::new(), Vec::new()];
    let mut unchanged = ListBuilder::new(StringBuilder::new());
    for (position, change) in changes {
        // The changes of a key are in one part of the source.
        positions.push(*position << PART_BITS);
        let (key, values) = match change {
            Change::Written(key, values) => (key, Some(values)),
            Change::Gone(key) => (key, None),
        };
        keys.push(*key);
        gone.push(values.is_none());
        for (place, column) in columns.iter_mut().enumerate() {
            column.push(values.and_then(|values| values[place]));
        }
        let unsent: Vec<&str> = values
            .iter()
            .flat_map(|values| (0..2).filter(|place| values[*place].is_none()))
            .map(|place| NAMES[place])
            .collect();
        unsent.iter().for_each(|name| unchanged.values().append_value(name));
        unchanged.append(!unsent.is_empty());
    }
    let [a, b] = columns;
    let arrays: [(&str, ArrayRef); 6] = [
        ("k", Arc::new(Int64Array::from(keys))),
        ("a", Arc::new(Int64Array::from(a))),
        ("b", Arc::new(Int64Array::from(b))),
        (DELETED, Arc::new(BooleanArray::from(gone))),
        (POSITION, Arc::new(Int64Array::from(positions))),
        (KEPT, Arc::new(unchanged.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(arrays.map(|(name, array)| (name, array, true))).unwrap()
}

/// What is left of changes in several partitions: of each key whether it is gone, its values, and which of them nobody has sent.
fn folded(partitions: Vec<Vec<RecordBatch>>, folding: Folding) -> Result<Vec<String>, EngineError> {
    let spill = tempfile::tempdir().unwrap();
    let factory = SessionFactory::new(EngineConfig { batch_size: 3, ..EngineConfig::new(spill.path().to_owned()) });
    let session = factory.session(Arc::clone(factory.pool()), true).unwrap();
    let progress = Progress::default();
    let mut relations = Relations::new(session);
    let schema = batch(&[]).schema();
    relations.add_table("changes", Arc::new(MemTable::try_new(schema, partitions).unwrap()), &progress).unwrap();
    let input = relations.plan(&Relation::Task("changes".into())).unwrap();
    let plan = extension(FoldNode { folding: Arc::new(folding), input });
    let run = async {
        let rows = relations.session().execute_logical_plan(plan).await?.collect().await?;
        Ok::<_, DataFusionError>(rows)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batches = runtime.block_on(run).map_err(EngineError::from)?;
    let mut found = Vec::new();
    for batch in batches {
        let number = |name: &str, row: usize| {
            let column = batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
            column.iter().nth(row).unwrap().map_or("-".to_owned(), |value| value.to_string())
        };
        for row in 0..batch.num_rows() {
            if batch.column_by_name(DELETED).unwrap().as_boolean().value(row) {
                found.push(format!("{} gone", number("k", row)));
                continue;
            }
            let unknown = batch.column_by_name(KEPT).unwrap().as_list::<i32>();
            let unknown: Vec<String> = match unknown.is_valid(row) {
                true => {
                    unknown.value(row).as_string::<i32>().iter().map(|name| format!(" {}?", name.unwrap())).collect()
                }
                false => Vec::new(),
            };
            found.push(format!(
                "{} a={} b={}{}",
                number("k", row),
                number("a", row),
                number("b", row),
                unknown.concat()
            ));
        }
    }
    Ok(found)
}

fn folding() -> Folding {
    Folding { keys: vec!["k".to_owned()], computed: BTreeSet::new(), computed_of: BTreeSet::new(), is_whole: false }
}

fn written(key: i64, a: impl Into<Option<i64>>, b: impl Into<Option<i64>>) -> Change {
    Change::Written(key, [a.into(), b.into()])
}

#[test]
fn of_each_key_the_last_change_counts_and_what_it_did_not_send_comes_from_the_ones_before() {
    let changes = [
        (1, written(1, 10, 11)),
        (2, written(2, 20, 21)),
        (5, written(1, 12, None)),
        (6, Change::Gone(2)),
        (7, written(3, None, 31)),
        (8, written(3, None, 32)),
        (9, written(1, None, None)),
    ];
    let expected = ["1 a=12 b=11", "2 gone", "3 a=- b=32 a?"];
    assert_eq!(folded(vec![vec![batch(&changes)]], folding()).unwrap(), expected);
    let partitions = vec![vec![batch(&changes[4..]), batch(&changes[..2])], vec![batch(&changes[2..4])]];
    assert_eq!(folded(partitions, folding()).unwrap(), expected);
}

#[test]
fn a_row_that_was_deleted_before_says_nothing_of_the_one_that_comes_behind_it() {
    let changes = [(1, written(1, 10, 11)), (2, Change::Gone(1)), (3, written(1, 12, None))];
    assert_eq!(folded(vec![vec![batch(&changes)]], folding()).unwrap(), ["1 a=12 b=- b?"]);
}

#[test]
fn a_row_that_nobody_has_sent_whole_is_refused_where_no_target_knows_it() {
    let whole = Folding { is_whole: true, ..folding() };
    let changes = [(1, written(1, 10, None)), (2, written(1, 11, None))];
    let error = folded(vec![vec![batch(&changes)]], whole.clone()).unwrap_err();
    assert!(error.message.contains("column b") && error.message.contains("k = 1"), "{error}");
    let changes = [(1, written(1, 10, 20)), (2, written(1, None, None))];
    assert_eq!(folded(vec![vec![batch(&changes)]], whole).unwrap(), ["1 a=10 b=20"]);
}

#[test]
fn what_is_computed_of_a_column_that_was_not_sent_is_refused() {
    let computed = Folding { computed_of: BTreeSet::from(["b".to_owned()]), ..folding() };
    let changes = [(1, written(7, 1, 2)), (2, written(7, 3, None))];
    let error = folded(vec![vec![batch(&changes)]], computed.clone()).unwrap_err();
    assert!(
        error.message.contains("column b") && error.message.contains("computed") && error.message.contains("k = 7"),
        "{error}"
    );
    let changes = [(1, written(7, 1, 2)), (2, written(7, None, 4))];
    assert_eq!(folded(vec![vec![batch(&changes)]], computed.clone()).unwrap(), ["7 a=1 b=4"]);
    let changes = [(1, written(7, 1, 2)), (2, written(7, 3, None)), (3, written(7, 4, 5))];
    assert_eq!(folded(vec![vec![batch(&changes)]], computed).unwrap(), ["7 a=4 b=5"], "the last one has sent it");
}

#[test]
fn a_computed_column_that_is_called_like_one_that_was_not_sent_is_what_it_is() {
    let computed = Folding { computed: BTreeSet::from(["b".to_owned()]), ..folding() };
    let changes = [(1, written(7, 1, 2)), (2, written(7, 3, None))];
    assert_eq!(folded(vec![vec![batch(&changes)]], computed).unwrap(), ["7 a=3 b=-"]);
}

#[test]
fn changes_of_a_key_that_have_no_order_are_refused() {
    let error = folded(vec![vec![batch(&[(4, written(1, 1, 1))])], vec![batch(&[(4, written(1, 2, 2))])]], folding());
    assert!(error.unwrap_err().message.contains("k = 1"));
    let first = batch(&[(4, written(1, 1, 1)), (5, written(2, 1, 1))]);
    let second = batch(&[(6, written(1, 2, 2))]);
    let elsewhere = Int64Array::from(vec![(6 << PART_BITS) + 1]);
    let mut columns = second.columns().to_vec();
    columns[4] = Arc::new(elsewhere);
    let second = RecordBatch::try_new(second.schema(), columns).unwrap();
    let error = folded(vec![vec![first], vec![second]], folding()).unwrap_err();
    assert!(error.message.contains("several partitions") && error.message.contains("k = 1"), "{error}");
}

#[test]
fn keys_may_be_texts_and_null() {
    let text = RecordBatch::try_from_iter([
        ("k", Arc::new(StringArray::from(vec![Some("x"), None, Some("x"), None])) as ArrayRef),
        (DELETED, Arc::new(BooleanArray::from(vec![false; 4]))),
        (POSITION, Arc::new(Int64Array::from([1, 2, 3, 4].map(|at| at << PART_BITS).to_vec()))),
        (KEPT, batch(&vec![(1, written(1, 1, 1)); 4]).column(5).clone()),
    ])
    .unwrap();
    let mut folder = super::Folder::new(Arc::new(folding()), &text.schema()).unwrap();
    let sorted = [1, 3].map(|row| text.slice(row, 1)).into_iter().rev().chain([text.slice(2, 1), text.slice(0, 1)]);
    let rows: usize = sorted.map(|batch| folder.take(batch).unwrap().num_rows()).sum();
    assert_eq!(rows + folder.finish().unwrap().num_rows(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn folded_changes_are_what_applying_them_one_by_one_leaves(
        steps in prop::collection::vec((0..6_i64, 0..6_u8, 0..100_i64), 1..60),
        size in 1..4_usize,
    ) {
        // What a source sends: a row that is not there is written whole, and one that is there may be sent in part.
        let (mut there, mut model): (BTreeSet<i64>, BTreeMap<i64, Change>) = Default::default();
        let mut partitions: Vec<Vec<(i64, Change)>> = vec![Vec::new(); 3];
        for (position, (key, what, value)) in steps.iter().enumerate() {
            let is_known = there.contains(key) || !model.contains_key(key);
            let change = match what {
                0 => Change::Gone(*key),
                1 if is_known => written(*key, *value, None),
                2 if is_known => written(*key, None, *value),
                3 if is_known => written(*key, None, None),
                _ => written(*key, *value, value + 1),
            };
            match &change {
                Change::Gone(_) => there.remove(key),
                Change::Written(..) => there.insert(*key),
            };
            let next = match (model.get(key), &change) {
                (Some(Change::Written(_, old)), Change::Written(_, new)) => {
                    written(*key, new[0].or(old[0]), new[1].or(old[1]))
                }
                (_, change) => change.clone(),
            };
            model.insert(*key, next);
            // The changes of a key are in one partition.
            let partition = usize::try_from(*key).unwrap() % 3;
            partitions[partition].push((i64::try_from(position).unwrap(), change));
        }
        let cut = |changes: &Vec<(i64, Change)>| changes.chunks(size).map(batch).collect::<Vec<_>>();
        let found = folded(partitions.iter().map(cut).collect(), folding()).unwrap();
        let expected: Vec<String> = model
            .values()
            .map(|change| match change {
                Change::Gone(key) => format!("{key} gone"),
                Change::Written(key, values) => {
                    let shown = values.map(|value| value.map_or("-".to_owned(), |value| value.to_string()));
                    let unknown: String =
                        (0..2).filter(|place| values[*place].is_none()).map(|place| format!(" {}?", NAMES[place])).collect();
                    format!("{key} a={} b={}{unknown}", shown[0], shown[1])
                }
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
