//! How a name in SQL finds its table and column: exactly, then in lower case, then case-insensitively if that is unique.
//!
//! DataFusion can fold names or not, and neither finds `"orderId"` under the name `orderId`. So names are settled here, on
//! the syntax tree and against the real schemas, and every mistake of a statement is found in one go.

use std::collections::BTreeMap;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Query};
use headwater_pipelines::casing::{self, Meaning, quoted_forms};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::sql::SqlFinding;

mod expressions;
#[cfg(test)]
mod hostile;
mod rows;
mod scopes;
mod titles;

pub(crate) use expressions::is_unsettled;
pub(crate) use rows::rows;

use scopes::Walk;

/// Column names of the relations a statement reads, by internal name.
pub type Relations = BTreeMap<String, Vec<String>>;

/// The column that an unquoted name means.
pub fn settle(name: &str, columns: &[&str]) -> Result<String, Finding> {
    match casing::settle(name, false, columns.iter().copied()) {
        Meaning::One(column) => Ok(column.to_owned()),
        Meaning::Nothing => {
            let finding = Finding::error(Code::UnknownColumn, format!("there is no column '{name}'"));
            Err(finding.nearest(name, columns.iter().copied()))
        }
        Meaning::Several(names) => Err(ambiguous(name, &names)),
    }
}

fn ambiguous(name: &str, names: &[&str]) -> Finding {
    let finding = Finding::error(Code::AmbiguousColumn, format!("'{name}' could be {}", quoted_forms(names)));
    finding.hint("write the column in double quotes with its exact case")
}

/// Settles all columns of a condition over one relation.
pub fn settle_expr(expr: &mut Expr, columns: &[&str]) -> Vec<SqlFinding> {
    let none = Relations::new();
    let mut walk = Walk::new(&none);
    walk.condition(expr, columns);
    walk.findings
}

/// Settles all names of a statement. What is unknown is reported and becomes NULL, so that planning can go on and find
/// other mistakes without repeating this one.
pub fn settle_query(query: &mut Query, relations: &Relations) -> Vec<SqlFinding> {
    let mut walk = Walk::new(relations);
    walk.query(query);
    walk.findings
}

/// The part of a planning error that a user can use.
pub fn planning_message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let first = text.lines().next().unwrap_or_default();
    let prefixes = ["Error during planning: ", "type_coercion", "caused by", "Schema error: ", "SQL error: "];
    let mut rest = if first.trim() == "type_coercion" { text.lines().nth(2).unwrap_or(first) } else { first };
    while let Some(shorter) = prefixes.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter.trim_start();
    }
    let rest = rest.trim_end_matches('.');
    // A word in capitals stays one.
    if rest.chars().nth(1).is_some_and(char::is_uppercase) {
        return rest.to_owned();
    }
    let mut characters = rest.chars();
    let start: String = characters.next().into_iter().flat_map(char::to_lowercase).collect();
    start + characters.as_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn settled(sql: &str) -> (String, Vec<String>) {
        let mut query = headwater_pipelines::sql::parse(sql).unwrap();
        let relations = Relations::from([
            ("orders".to_owned(), vec!["id".to_owned(), "orderTotal".to_owned(), "Ab".to_owned(), "aB".to_owned()]),
            ("customers".to_owned(), vec!["id".to_owned(), "name".to_owned()]),
        ]);
        let findings = settle_query(&mut query, &relations);
        let told = findings.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.finding.message)).collect();
        (query.to_string(), told)
    }

    #[test]
    fn a_name_matches_exactly_then_in_lower_case_then_by_letters_if_one_column_does() {
        let (sql, findings) = settled("SELECT ID, ordertotal, Ab FROM orders");
        assert_eq!(sql, "SELECT \"id\", \"orderTotal\", \"Ab\" FROM orders");
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(settled("SELECT ab FROM orders").1, ["1:8 'ab' could be \"Ab\" or \"aB\""]);
    }

    #[test]
    fn every_unknown_column_of_a_statement_is_found_in_its_own_table() {
        let (_, findings) = settled("SELECT o.name,\n  c.name, totl FROM orders o JOIN customers c ON c.id = o.idd");
        assert_eq!(
            findings,
            ["2:59 'o' has no column 'idd'", "1:10 'o' has no column 'name'", "2:11 there is no column 'totl'"]
        );
    }

    #[test]
    fn names_that_the_statement_introduces_are_known() {
        let (_, findings) = settled(
            "WITH t (x) AS (SELECT id FROM orders) SELECT x + 1 AS y, t.x, d.z FROM t, (SELECT name AS z FROM customers) d ORDER BY y",
        );
        assert_eq!(findings, Vec::<String>::new());
    }

    fn fine(sql: &str) -> String {
        let (settled, findings) = settled(sql);
        assert_eq!(findings, Vec::<String>::new(), "{sql}");
        settled
    }

    #[test]
    fn columns_of_subqueries_and_common_table_expressions_follow_the_same_rule() {
        assert_eq!(
            fine("SELECT t.ID, T.NAME FROM (SELECT id, name FROM customers) t"),
            "SELECT \"t\".\"id\", \"t\".\"name\" FROM (SELECT \"id\", \"name\" FROM customers) t"
        );
        assert_eq!(
            fine("WITH Names AS (SELECT name AS FullName FROM customers) SELECT n.fullname FROM \"Names\" AS N"),
            "WITH Names AS (SELECT \"name\" AS FullName FROM customers) SELECT \"N\".\"FullName\" FROM \"Names\" AS N"
        );
        fine("SELECT X FROM (SELECT * FROM (SELECT id AS x FROM orders) a) b");
        fine("SELECT N FROM (VALUES (1), (2)) AS v (n)");
        fine("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT N + 1 FROM r WHERE n < 5) SELECT R.N FROM r");
    }

    #[test]
    fn qualified_stars_order_and_grouping_follow_the_same_rule() {
        assert_eq!(fine("SELECT O.* FROM orders AS o"), "SELECT \"o\".* FROM orders AS o");
        assert_eq!(
            fine("SELECT ORDERTOTAL AS Total FROM orders ORDER BY TOTAL, ID"),
            "SELECT \"orderTotal\" AS Total FROM orders ORDER BY \"Total\", \"id\""
        );
        assert_eq!(
            fine("SELECT NAME, count(*) FROM customers GROUP BY NAME HAVING count(ID) > 1"),
            "SELECT \"name\", count(*) AS \"count\" FROM customers GROUP BY \"customers\".\"name\" HAVING count(\"id\") > 1"
        );
        fine("SELECT id FROM orders UNION SELECT id FROM customers ORDER BY ID");
        fine("SELECT o.id FROM orders o JOIN customers c USING (ID)");
    }

    #[test]
    fn a_column_is_looked_for_in_the_tables_of_its_own_query_and_of_those_around_it() {
        fine("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE C.ID = O.ID AND ORDERTOTAL > 1)");
        let told = |sql: &str| settled(sql).1;
        assert_eq!(told("SELECT name FROM orders"), ["1:8 there is no column 'name'"]);
        assert_eq!(
            told("SELECT id FROM orders WHERE id IN (SELECT x FROM customers)"),
            ["1:43 there is no column 'x'"]
        );
        assert_eq!(told("SELECT t.total FROM (SELECT id FROM orders) t"), ["1:10 't' has no column 'total'"]);
        assert_eq!(told("SELECT x.id FROM orders o"), ["1:8 there is no table 'x' in this FROM clause"]);
        assert_eq!(told("SELECT t.idd FROM (SELECT idd FROM orders) t"), ["1:27 there is no column 'idd'"]);
    }

    #[test]
    fn a_column_of_an_outer_query_is_written_with_its_table() {
        assert_eq!(
            fine("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = ordertotal AND id > 1)"),
            "SELECT \"id\" FROM orders o WHERE EXISTS (SELECT 1 AS \"?column?\" FROM customers c WHERE \"c\".\"id\" = \"o\".\"orderTotal\" AND \"id\" > 1)"
        );
        // A table of the same name is in between.
        assert_eq!(
            fine("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers o WHERE ordertotal = 1)"),
            "SELECT \"id\" FROM orders o WHERE EXISTS (SELECT 1 AS \"?column?\" FROM customers o WHERE \"orderTotal\" = 1)"
        );
        assert_eq!(
            fine("SELECT (id, ordertotal) IN (SELECT id, 1 FROM customers) AS x FROM orders"),
            "SELECT (\"orders\".\"id\", \"orders\".\"orderTotal\") IN (SELECT \"id\", 1 AS \"?column?\" FROM customers) AS x FROM orders"
        );
    }

    #[test]
    fn quoted_names_match_exactly() {
        assert_eq!(settled("SELECT \"ID\" FROM orders").1, ["1:8 there is no column \"ID\""]);
        assert_eq!(settled("SELECT \"O\".id FROM orders o").1, ["1:8 there is no table 'O' in this FROM clause"]);
        fine("SELECT \"Ab\", \"aB\" FROM orders");
    }
}
