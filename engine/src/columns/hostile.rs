//! Settling names never panics, whatever the statement.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::{Relations, settle_query};

const WORDS: [&str; 46] = [
    "SELECT",
    "FROM",
    "WHERE",
    "id",
    "ID",
    "o.id",
    "O.Id",
    "a.b.c",
    "\"Ab\"",
    "ab",
    "*",
    "o.*",
    ",",
    "(",
    ")",
    "AS",
    "o",
    "orders",
    "customers",
    "JOIN",
    "ON",
    "USING (id)",
    "WITH",
    "RECURSIVE",
    "t (x)",
    "UNION",
    "ALL",
    "ORDER BY",
    "GROUP BY",
    "HAVING",
    "LIMIT",
    "1",
    "$p",
    "=",
    "AND",
    "EXISTS",
    "IN",
    "LATERAL",
    "VALUES (1)",
    "unnest(id)",
    "count(*)",
    "OVER (PARTITION BY id)",
    "CASE WHEN id THEN 1 END",
    "generate_series(1, 2)",
    "NATURAL",
    "* EXCEPT (id)",
];

fn config() -> Config {
    let given = Config::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(20_261_125),
        fixed => fixed,
    };
    Config { cases: 4_000, rng_seed, failure_persistence: None, ..given }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn settling_a_statement_of_random_words_does_not_panic_and_settles_once(
        start in prop::sample::select(vec!["SELECT", "SELECT id FROM orders o", "WITH t AS (SELECT id FROM orders) SELECT"]),
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 1..30),
    ) {
        let text = format!("{start} {}", words.join(" "));
        if let Ok(mut query) = headwater_pipelines::sql::parse(&text) {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let relations = Relations::from([
                ("orders".to_owned(), names(&["id", "Ab", "aB"])),
                ("customers".to_owned(), names(&["id", "name"])),
            ]);
            if settle_query(&mut query, &relations).is_empty() {
                let once = query.to_string();
                prop_assert_eq!(settle_query(&mut query, &relations), vec![], "{}", once);
                prop_assert_eq!(query.to_string(), once);
            }
        }
    }
}
