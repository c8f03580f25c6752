//! Which tables a sentence is about: those that stay go into the request to a model, within a budget of tokens.
//!
//! Names, comments, the glossary and the names of neighbours along keys are scored as documents (BM25, Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75; fields
//! weighed as in BM25F). Then two steps: a short list of tables with one line each, and full columns of the tables that stay.

mod index;

use std::collections::{BTreeMap, BTreeSet};

use index::Index;

use crate::known::{Known, TableId};
use crate::words::tokens;

/// A word of the workspace's glossary and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The word or phrase.
    pub phrase: String,
    /// What it means, in words or SQL; its words are searched too.
    pub meaning: String,
    /// Tables that it is about, by connection and path.
    pub tables: Vec<(String, Vec<String>)>,
}

/// How much may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tables of the short list.
    pub tables: usize,
    /// Tokens of the tables whose columns are shown, each four characters of their text.
    pub tokens: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tables: 60, tokens: 12_000 }
    }
}

/// A table that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The table.
    pub table: TableId,
    /// How well it fits; comparable within one retrieval.
    pub score: f64,
}

/// What did not fit into the budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Tables of the short list whose columns are not shown.
    pub listed: Vec<TableId>,
    /// Tables that are not even listed.
    pub unlisted: usize,
}

/// The tables that a sentence is about, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// Tables whose columns are shown.
    pub shown: Vec<Found>,
    /// What was left out.
    pub left: Left,
}

/// Share of a table's score that its neighbours along keys get: a sentence names customers and countries, and the table between them has neither word.
const HANDED_ON: f64 = 0.3;

impl Retrieval {
    /// Finds the tables that a sentence is about. A catalog that fits into the budget is shown whole.
    pub fn of(sentence: &str, known: &Known, glossary: &[Hint], budget: Budget) -> Self {
        let index = Index::of(known);
        let mut scores = index.scores(&asked(sentence, glossary));
        for table in named_by_terms(sentence, known, glossary) {
            *scores.entry(table).or_default() += index.best_possible();
        }
        let handed: Vec<(TableId, f64)> = scores.iter().map(|(table, score)| (*table, *score)).collect();
        for (table, score) in handed {
            for neighbour in known.neighbours(table) {
                *scores.entry(*neighbour).or_default() += score * HANDED_ON;
            }
        }
        let mut ranked: Vec<Found> = known
            .tables()
            .map(|(table, _)| Found { table, score: scores.get(&table).copied().unwrap_or_default() })
            .collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.table.cmp(&b.table)));
        cut(ranked, known, budget)
    }
}

/// The words of a sentence, and those that the glossary has for its phrases.
fn asked(sentence: &str, glossary: &[Hint]) -> Vec<String> {
    let mut words = tokens(sentence);
    let said = words.clone();
    for term in glossary.iter().filter(|term| holds_phrase(&said, &tokens(&term.phrase))) {
        words.extend(tokens(&term.meaning));
    }
    words
}

fn named_by_terms(sentence: &str, known: &Known, glossary: &[Hint]) -> BTreeSet<TableId> {
    let said = tokens(sentence);
    let terms = glossary.iter().filter(|term| holds_phrase(&said, &tokens(&term.phrase)));
    terms.flat_map(|term| &term.tables).filter_map(|(connection, path)| known.find(connection, path)).collect()
}

fn holds_phrase(words: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && words.windows(phrase.len()).any(|window| window == phrase)
}

/// Takes tables from the top while their text fits.
fn cut(ranked: Vec<Found>, known: &Known, budget: Budget) -> Retrieval {
    let mut left = Left::default();
    let mut shown = Vec::new();
    let mut spent = 0;
    let mut costs = BTreeMap::new();
    for (place, found) in ranked.into_iter().enumerate() {
        let cost = *costs.entry(found.table).or_insert_with(|| tokens_of(known, found.table));
        if place >= budget.tables {
            left.unlisted += 1;
        } else if spent + cost <= budget.tokens {
            spent += cost;
            shown.push(found);
        } else {
            left.listed.push(found.table);
        }
    }
    Retrieval { shown, left }
}

/// What showing a table with its columns costs.
fn tokens_of(known: &Known, table: TableId) -> usize {
    let Some(of) = known.table(table) else { return 0 };
    let columns = known.columns(table).map(|(_, column)| {
        column.name.len() + column.native_type.len() + column.comment.as_deref().map_or(0, str::len) + 12
    });
    let keys = of.table.foreign_keys.len() * 24;
    (of.full_name().len() + of.table.comment.as_deref().map_or(0, str::len) + keys + columns.sum::<usize>()).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::KnownTable;
    use crate::known::tests::{refers, table};

    /// Two thousand tables that look like each other, and a few that a person would ask about.
    fn warehouse() -> Known {
        let mut tables: Vec<KnownTable> = (0..2_000)
            .map(|n| {
                table(
                    &["stage", &format!("log_{}_{n}", ["order", "event", "audit", "price"][n % 4])],
                    &["id", "payload", "created_at"],
                )
            })
            .collect();
        let mut orders = table(&["sales", "orders"], &["id", "customer_id", "amount", "ordered_at"]);
        refers(&mut orders, "customer_id", &["sales", "customers"]);
        let mut customers = table(&["sales", "customers"], &["id", "name", "country_code"]);
        refers(&mut customers, "country_code", &["sales", "countries"]);
        tables.extend([orders, customers, table(&["sales", "countries"], &["code", "region"])]);
        tables.push(table(&["hr", "kst_4711"], &["id", "betrag"]));
        Known::new(tables)
    }

    fn names(sentence: &str, glossary: &[Hint], budget: Budget) -> Vec<String> {
        let known = warehouse();
        let found = Retrieval::of(sentence, &known, glossary, budget).shown;
        found.iter().filter_map(|found| known.table(found.table)).map(|table| table.table.path.join(".")).collect()
    }

    const SMALL: Budget = Budget { tables: 10, tokens: 1_000 };

    #[test]
    fn the_right_tables_come_first_among_two_thousand() {
        let found = names("total amount of the orders per country of the customer", &[], SMALL);
        let first: BTreeSet<&str> = found.iter().take(3).map(String::as_str).collect();
        assert_eq!(first, BTreeSet::from(["sales.customers", "sales.countries", "sales.orders"]));
    }

    #[test]
    fn a_table_between_two_named_ones_is_found_along_its_keys() {
        let found = names("order amounts by region", &[], SMALL);
        assert!(found.iter().take(4).any(|name| name == "sales.customers"), "{found:?}");
    }

    #[test]
    fn the_glossary_leads_to_a_table_that_no_word_names() {
        let term = Hint {
            phrase: "cost centre".to_owned(),
            meaning: "Kostenstelle".to_owned(),
            tables: vec![("shop".to_owned(), vec!["hr".to_owned(), "kst_4711".to_owned()])],
        };
        assert_eq!(names("What did each cost centre spend?", &[term], SMALL)[0], "hr.kst_4711");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let known = warehouse();
        let found = Retrieval::of("orders", &known, &[], Budget { tables: 10, tokens: 60 });
        assert!(!found.shown.is_empty());
        assert_eq!(found.shown.len() + found.left.listed.len(), 10);
        assert_eq!(found.left.unlisted, known.tables().count() - 10);
    }

    #[test]
    fn a_small_catalog_is_shown_whole_whatever_is_asked() {
        let known = Known::new(vec![table(&["public", "a"], &["x"]), table(&["public", "b"], &["y"])]);
        let found = Retrieval::of("nothing of this", &known, &[], Budget::default());
        assert_eq!((found.shown.len(), found.left), (2, Left::default()));
    }
}
