//! Scores of tables for the words of a sentence.

use std::collections::{BTreeMap, HashMap};

use crate::known::{Known, KnownTable, TableId};
use crate::words::tokens;

/// How soon more of the same word stops to count, and how much the length of a document does.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What a word counts in the name of a table, of a column, and in a comment.
const IN_TABLE: f64 = 4.0;
const IN_COLUMN: f64 = 1.5;
const IN_COMMENT: f64 = 1.0;

/// Where words stand in the catalog.
#[derive(Debug)]
pub(super) struct Index {
    /// Tables that hold a word, with its weight there.
    holders: HashMap<String, Vec<(TableId, f64)>>,
    /// The length of each table's document, in weighed words.
    lengths: BTreeMap<TableId, f64>,
    average: f64,
}

impl Index {
    pub(super) fn of(known: &Known) -> Self {
        let mut holders: HashMap<String, Vec<(TableId, f64)>> = HashMap::new();
        let mut lengths = BTreeMap::new();
        for (id, table) in known.tables() {
            let document = document(table);
            lengths.insert(id, document.values().sum());
            for (word, weight) in document {
                holders.entry(word).or_default().push((id, weight));
            }
        }
        let average = lengths.values().sum::<f64>() / lengths.len().max(1) as f64;
        Self { holders, lengths, average: average.max(1.0) }
    }

    /// The score of each table that holds one of the words at least.
    pub(super) fn scores(&self, words: &[String]) -> BTreeMap<TableId, f64> {
        let mut scores = BTreeMap::new();
        let mut distinct = words.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for word in &distinct {
            let Some(holders) = self.holders.get(word) else { continue };
            let rarity = self.rarity(holders.len());
            for (table, weight) in holders {
                let length = self.lengths.get(table).copied().unwrap_or(self.average);
                let damped = weight * (K1 + 1.0) / (weight + K1 * (1.0 - B + B * length / self.average));
                *scores.entry(*table).or_default() += rarity * damped;
            }
        }
        scores
    }

    /// What a word that only one table holds could give it at most.
    pub(super) fn best_possible(&self) -> f64 {
        self.rarity(1) * (K1 + 1.0)
    }

    fn rarity(&self, holders: usize) -> f64 {
        let (all, holders) = (self.lengths.len() as f64, holders as f64);
        (1.0 + (all - holders + 0.5) / (holders + 0.5)).ln()
    }
}

/// The words of a table and their weights.
fn document(table: &KnownTable) -> BTreeMap<String, f64> {
    let mut words = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for word in tokens(text) {
            *words.entry(word).or_default() += weight;
        }
    };
    add(table.name(), IN_TABLE);
    // The schema and the connection are said of many tables, and less by each.
    table.table.path.iter().rev().skip(1).for_each(|part| add(part, IN_COMMENT));
    add(&table.connection, IN_COMMENT);
    add(table.table.comment.as_deref().unwrap_or_default(), IN_COMMENT);
    for column in &table.table.columns {
        add(&column.name, IN_COLUMN);
        add(column.comment.as_deref().unwrap_or_default(), IN_COMMENT);
    }
    words
}
