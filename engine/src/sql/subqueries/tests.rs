//! Rewritten subqueries as text.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn settled(sql: &str) -> String {
    let mut query = headwater_pipelines::sql::parse(sql).unwrap();
    settle(&mut query);
    query.to_string()
}

#[test]
fn exists_beside_where_is_a_count() {
    assert_eq!(
        settled("SELECT NOT EXISTS (SELECT o.a FROM o WHERE o.c = c.id ORDER BY o.a) FROM c"),
        "SELECT ((SELECT count(*) AS \"?value\" FROM o WHERE o.c = c.id) = 0) FROM c"
    );
    let where_ = "SELECT 1 FROM c WHERE EXISTS (SELECT 1 FROM o WHERE o.c > c.id)";
    assert_eq!(settled(where_), where_);
    // What does not depend on its row is read until the first row.
    assert_eq!(
        settled("SELECT EXISTS (SELECT o.a FROM o) FROM c"),
        "SELECT ((SELECT count(*) AS \"?value\" FROM (SELECT o.a FROM o LIMIT 1) AS \"?set\") > 0) FROM c"
    );
}

#[test]
fn rows_that_the_select_list_makes_or_a_grouping_without_rows_are_left_alone() {
    for sql in [
        "SELECT EXISTS (SELECT unnest(o.a) FROM o WHERE o.c = c.id) FROM c",
        "SELECT EXISTS (SELECT 1 FROM o WHERE o.c = c.id GROUP BY ROLLUP (o.a)) FROM c",
        "SELECT EXISTS (SELECT 1 FROM o WHERE o.c = c.id OFFSET 1) FROM c",
        "SELECT EXISTS (SELECT 1 FROM o WHERE o.c = c.id HAVING true) FROM c",
        "SELECT (SELECT o.a FROM o) FROM c",
        "SELECT (SELECT max(o.a) FROM o WHERE o.c = c.id) FROM c",
        "SELECT c.id > ANY(SELECT o.a FROM o GROUP BY o.a) FROM c",
    ] {
        assert_eq!(settled(sql), sql);
    }
}

#[test]
fn the_value_of_a_row_comes_as_an_array() {
    assert_eq!(
        settled("SELECT (SELECT o.a FROM o WHERE o.c = c.id) FROM c"),
        "SELECT {'only': NULL, '': (SELECT array_agg({'one': NULL, '': o.a}) AS \"?value\" FROM o WHERE o.c = c.id)} FROM c"
    );
    assert_eq!(
        settled("SELECT (SELECT o.a AS b FROM o WHERE o.c = c.id ORDER BY b DESC, o.d LIMIT 1) FROM c"),
        "SELECT {'first': NULL, '': (SELECT array_agg({'one': NULL, '': o.a} ORDER BY o.a DESC, o.d) AS \"?value\" FROM o WHERE o.c = c.id)} FROM c"
    );
}

#[test]
fn rows_are_looked_for_by_exists() {
    assert_eq!(
        settled("SELECT 1 FROM c WHERE (c.a, c.b) IN (SELECT o.a, o.b FROM o)"),
        "SELECT 1 FROM c WHERE EXISTS (SELECT 1 AS \"?value\" FROM (SELECT o.a, o.b FROM o) AS \"?set\" (\"?1\", \"?2\") WHERE (\"?set\".\"?1\" = c.a AND \"?set\".\"?2\" = c.b))"
    );
    assert_eq!(
        settled("SELECT 1 FROM c WHERE c.a NOT IN (SELECT o.a FROM o WHERE o.c = c.id)"),
        "SELECT 1 FROM c WHERE NOT EXISTS (SELECT 1 AS \"?value\" FROM o WHERE (o.c = c.id) AND (o.a = c.a) IS NOT FALSE)"
    );
}

#[test]
fn rows_that_are_numbered_for_each_outer_row_are_refused() {
    let ranked = "SELECT row_number() OVER (ORDER BY o.a) AS r FROM o WHERE o.c = c.id";
    for sql in [
        format!("SELECT (SELECT max(s.r) FROM ({ranked}) AS s) FROM c"),
        format!("SELECT 1 FROM c WHERE EXISTS (SELECT 1 FROM ({ranked}) AS s WHERE s.r = 2)"),
        "SELECT 1 FROM c WHERE c.a IN (SELECT s.a FROM (SELECT DISTINCT ON (o.b) o.a FROM o WHERE o.c = c.id) AS s)"
            .to_owned(),
    ] {
        assert!(settled(&sql).contains("refused a window or DISTINCT ON"), "{sql}");
    }
    let alone = "SELECT (SELECT max(s.r) FROM (SELECT row_number() OVER (ORDER BY o.a) AS r, o.c FROM o) AS s WHERE s.c = c.id) FROM c";
    assert_eq!(settled(alone), alone);
}
