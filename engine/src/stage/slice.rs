//! Keys of a backfill's slice. A load by delete_insert replaces all rows of a key, so that a key of two slices would lose the rows of one of them: the
//! control plane refuses the second slice before it commits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use headwater_pipelines::spec::WriteMode;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::control::SliceKeys;
use crate::job::RunContext;

/// Keys that are compared with those of other slices. A load with more replaces single rows rather than parts of a table.
const MOST: usize = 10_000;

/// Characters of a key that a message shows.
const SHOWN: usize = 100;

/// The distinct keys of the rows that a load hands to its target.
#[derive(Debug)]
pub(super) struct Keys {
    names: Vec<String>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    converter: Option<RowConverter>,
    keys: HashMap<Box<[u8]>, (Uuid, String)>,
    /// There are too many of them, or they can't be compared.
    is_given_up: bool,
}

impl Keys {
    /// To be filled if the load is one by delete_insert in a backfill.
    pub(super) fn of(mode: WriteMode, names: &[String], run: &RunContext) -> Option<Arc<Self>> {
        let is_asked = mode == WriteMode::DeleteInsert && run.backfill;
        is_asked.then(|| Arc::new(Self { names: names.to_vec(), seen: Mutex::default() }))
    }

    /// Takes up the keys of a batch.
    pub(super) fn add(&self, batch: &RecordBatch) -> Result<()> {
        let columns: Option<Vec<ArrayRef>> =
            self.names.iter().map(|name| batch.column_by_name(name).cloned()).collect();
        // A target says itself that a key is no column.
        let Some(columns) = columns else { return Ok(()) };
        let seen = &mut *self.seen.lock();
        if seen.is_given_up {
            return Ok(());
        }
        let converter = match &mut seen.converter {
            Some(converter) => converter,
            none => {
                let fields: Vec<SortField> =
                    columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
                if !RowConverter::supports_fields(&fields) {
                    seen.is_given_up = true;
                    return Ok(());
                }
                none.insert(RowConverter::new(fields)?)
            }
        };
        let rows = converter.convert_columns(&columns)?;
        let options = FormatOptions::default().with_null("NULL");
        let values = columns.iter().map(|column| ArrayFormatter::try_new(column, &options));
        let values = values.collect::<std::result::Result<Vec<_>, _>>()?;
        for (index, row) in rows.iter().enumerate() {
            if seen.keys.contains_key(row.as_ref()) {
                continue;
            }
            if seen.keys.len() == MOST {
                *seen = Seen { is_given_up: true, ..Seen::default() };
                break;
            }
            let values: Vec<String> = values.iter().map(|value| value.value(index).to_string()).collect();
            seen.keys.insert(row.as_ref().into(), self.key(&values));
        }
        Ok(())
    }

    /// A hash that all processes agree on, and the key in words.
    fn key(&self, values: &[String]) -> (Uuid, String) {
        let mut hash = Sha256::new();
        for value in values {
            hash.update(value.len().to_be_bytes());
            hash.update(value.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        let pairs = self.names.iter().zip(values).map(|(name, value)| format!("{name} = {value}"));
        let words: String = pairs.collect::<Vec<_>>().join(", ").chars().take(SHOWN).collect();
        (uuid::Builder::from_custom_bytes(bytes).into_uuid(), words)
    }

    /// All of them; `None` if they are not compared.
    pub(super) fn taken(&self, target: &str) -> Option<SliceKeys> {
        let seen = self.seen.lock();
        let keys = || seen.keys.values().cloned().collect();
        (!seen.is_given_up).then(|| SliceKeys { target: target.to_owned(), keys: keys() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn keys(names: &[&str]) -> Keys {
        Keys { names: names.iter().map(|name| (*name).to_owned()).collect(), seen: Mutex::default() }
    }

    fn batch(days: &[&str], ids: &[i64]) -> RecordBatch {
        let days: ArrayRef = Arc::new(StringArray::from(days.to_vec()));
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        RecordBatch::try_from_iter([("day", days), ("id", ids)]).unwrap()
    }

    #[test]
    fn each_key_is_taken_once_and_has_one_hash_everywhere() {
        let (first, second) = (keys(&["day"]), keys(&["day"]));
        first.add(&batch(&["1", "1", "2"], &[1, 2, 3])).unwrap();
        first.add(&batch(&["2"], &[4])).unwrap();
        second.add(&batch(&["2", "3"], &[5, 6])).unwrap();
        let taken = |keys: &Keys| {
            let mut taken = keys.taken("lake.t").unwrap().keys;
            taken.sort_by(|a, b| a.1.cmp(&b.1));
            taken
        };
        let (first, second) = (taken(&first), taken(&second));
        let words: Vec<&str> = first.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["day = 1", "day = 2"]);
        assert_eq!(first[1], second[0]);
        assert_ne!(first[0].0, second[1].0);
    }

    #[test]
    fn keys_of_several_columns_do_not_run_together() {
        let keys = keys(&["day", "id"]);
        assert_ne!(keys.key(&["1".into(), "12".into()]).0, keys.key(&["11".into(), "2".into()]).0);
    }

    #[test]
    fn keys_without_number_are_not_compared() {
        let keys = keys(&["id"]);
        let ids: Vec<i64> = (0..=MOST as i64).collect();
        keys.add(&batch(&vec!["x"; ids.len()], &ids)).unwrap();
        assert!(keys.taken("lake.t").is_none());
        keys.add(&batch(&["x"], &[-1])).unwrap();
        assert!(keys.taken("lake.t").is_none());
    }
}
