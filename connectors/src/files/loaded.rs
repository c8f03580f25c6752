//! Which files a load holds, as it is kept between runs.

use arrow::datatypes::Schema;
use aws_lc_rs::digest::{SHA256, digest};
use headwater_engine::connector::Position;
use headwater_engine::{EngineError, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listed::Stamp;

/// A position names each file of a listing, so that it has to end somewhere: at about 5 MB.
pub(super) const MOST_FILES: usize = 200_000;

/// Bytes that stand for a file. Among 200,000 files two share them by chance once in 10^18 times.
const KEY: usize = 12;

/// What stands for a file: its name below the connection's location, its size, and its etag or time.
pub(super) type Key = [u8; KEY];

/// The key of a file.
pub(super) fn key(name: &str, stamp: &Stamp) -> Key {
    let hash = digest(&SHA256, format!("{name}\0{}", stamp.text()).as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(&hash.as_ref()[..KEY]);
    key
}

/// Files that a load holds, of those that were there when it was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    /// In order.
    pub files: Vec<Key>,
    /// Their columns, as the last of them had them.
    pub columns: Schema,
}

/// The same as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// All keys in hexadecimal digits, one behind the other.
    files: String,
    columns: Schema,
}

impl Loaded {
    /// Reads a stored position.
    pub(super) fn read(label: &str, value: &Value) -> Result<Self> {
        let wrong = || {
            EngineError::config(format!("{label}: the stored position is not one of files"))
                .hint("load everything again: headwater run NAME --full-refresh")
        };
        let stored: Stored = serde_json::from_value(value.clone()).map_err(|error| wrong().caused_by(error))?;
        let files = from_hex(&stored.files).ok_or_else(wrong)?;
        Ok(Self { files, columns: stored.columns })
    }

    pub(super) fn has(&self, file: &Key) -> bool {
        self.files.binary_search(file).is_ok()
    }

    /// The position behind these files; `last` is the name of one of them.
    pub(super) fn position(self, last: Option<&str>) -> Result<Position> {
        let shown = match (self.files.len(), last) {
            (1, Some(last)) => format!("1 file, {last}"),
            (count, Some(last)) => format!("{count} files, the last {last}"),
            (_, None) => "no files".to_owned(),
        };
        let digits: String = self.files.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        let to = serde_json::to_value(Stored { files: digits, columns: self.columns })
            .map_err(|error| EngineError::bug("a position could not be written").caused_by(error))?;
        Ok(Position { to, shown, must_move: false, behind: 0 })
    }
}

fn from_hex(digits: &str) -> Option<Vec<Key>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2 * KEY) {
        return None;
    }
    let key = |start: usize| {
        let mut key = Key::default();
        for (index, byte) in key.iter_mut().enumerate() {
            let at = start + 2 * index;
            *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        }
        Some(key)
    };
    let mut keys = (0..digits.len()).step_by(2 * KEY).map(key).collect::<Option<Vec<Key>>>()?;
    keys.sort_unstable();
    Some(keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use arrow::datatypes::{DataType, Field};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_position_comes_back_from_what_is_stored() {
        let stamp = Stamp::Local { size: 3, modified: 7, inode: 9 };
        let mut files: Vec<Key> = ["a.csv", "b.csv"].iter().map(|name| key(name, &stamp)).collect();
        files.sort_unstable();
        let loaded = Loaded { files, columns: Schema::new(vec![Field::new("id", DataType::Utf8, true)]) };
        let position = loaded.clone().position(Some("b.csv")).unwrap();
        assert_eq!(position.shown, "2 files, the last b.csv");
        assert_eq!(position.to["files"].as_str().unwrap().len(), 48);
        let back = Loaded::read("drop.x", &position.to).unwrap();
        assert_eq!(back, loaded);
        assert!(back.has(&key("a.csv", &stamp)) && !back.has(&key("c.csv", &stamp)));
    }

    #[test]
    fn what_is_no_position_is_refused_with_a_way_out() {
        let columns = json!({ "fields": [], "metadata": {} });
        for wrong in [
            json!(7),
            json!({ "files": "" }),
            json!({ "files": "00", "columns": columns }),
            json!({ "files": "zz".repeat(12), "columns": columns }),
            json!({ "files": "é".repeat(12), "columns": columns }),
        ] {
            let error = Loaded::read("drop.x", &wrong).unwrap_err();
            assert!(error.hint.unwrap().contains("--full-refresh"), "{wrong}");
        }
    }
}
