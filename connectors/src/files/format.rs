//! Formats and compressions, told by a file's name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Delimited text.
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How a text file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Format {
    /// The usual ending.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Format and compression that a file's name tells.
pub(super) fn of_name(name: &str) -> (Option<Format>, Compression) {
    let lower = name.to_ascii_lowercase();
    let (stem, compression) = match lower.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Compression::Gzip),
        Some((stem, "zst")) => (stem, Compression::Zstd),
        _ => (lower.as_str(), Compression::None),
    };
    let format = stem.rsplit_once('.').and_then(|(_, extension)| Format::of_extension(extension));
    (format, compression)
}

/// Whether a name has an ending that tells a format or a compression.
pub(super) fn has_ending(name: &str) -> bool {
    let (format, compression) = of_name(name);
    format.is_some() || compression != Compression::None
}

/// Joins the parts of a table's path. An unquoted `report.parquet` arrives as two parts, the second of which is an ending.
pub(super) fn join_parts(path: &[String]) -> String {
    let mut joined = String::new();
    for (index, part) in path.iter().enumerate() {
        let ends = Format::of_extension(part).is_some() || matches!(part.as_str(), "gz" | "zst");
        if index > 0 {
            joined.push(if ends { '.' } else { '/' });
        }
        joined.push_str(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        assert_eq!(of_name("a/b.CSV.gz"), (Some(Format::Csv), Compression::Gzip));
        assert_eq!(of_name("x.ndjson"), (Some(Format::Jsonl), Compression::None));
        assert_eq!(of_name("orders"), (None, Compression::None));
    }

    #[test]
    fn an_unquoted_ending_is_joined_with_a_dot() {
        let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert_eq!(join_parts(&parts(&["report", "parquet"])), "report.parquet");
        assert_eq!(join_parts(&parts(&["2026", "orders", "csv", "gz"])), "2026/orders.csv.gz");
        assert_eq!(join_parts(&parts(&["2026/*.csv"])), "2026/*.csv");
    }
}
