//! How a column name in SQL finds its column: exactly, then in lower case, then case-insensitively if that is unique.
//!
//! DataFusion can fold names or not, and neither finds `"orderId"` under the name `orderId`. So names are settled here, on
//! the syntax tree and against the real schemas, and every mistake of a statement is found in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::sql::SqlFinding;

/// Column names of the relations a statement reads, by internal name.
pub type Relations = BTreeMap<String, Vec<String>>;

/// The column that a name means.
pub fn settle(name: &str, columns: &[&str]) -> Result<String, Finding> {
    if columns.contains(&name) {
        return Ok(name.to_owned());
    }
    let lower = name.to_lowercase();
    if columns.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let mut alike: Vec<&str> = columns.iter().copied().filter(|column| column.to_lowercase() == lower).collect();
    alike.sort_unstable();
    alike.dedup();
    match alike.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => {
            let finding = Finding::error(Code::UnknownColumn, format!("there is no column '{name}'"));
            Err(finding.nearest(name, columns.iter().copied()))
        }
        several => {
            let quoted: Vec<String> = several.iter().map(|column| format!("\"{column}\"")).collect();
            let finding = Finding::error(Code::AmbiguousColumn, format!("'{name}' could be {}", quoted.join(" or ")));
            Err(finding.hint("write the column in double quotes with its exact case"))
        }
    }
}

/// Settles all columns of a condition over one relation.
pub fn settle_expr(expr: &mut Expr, columns: &[&str]) -> Vec<SqlFinding> {
    let known = columns.iter().map(|column| (*column).to_owned()).collect();
    let mut settler = Settler { known, aliases: BTreeMap::new(), findings: Vec::new() };
    let _ = expr.visit(&mut settler);
    settler.findings
}

/// Settles all columns of a statement. What is unknown is reported and becomes NULL, so that planning can go on and find
/// other mistakes without repeating this one.
pub fn settle_query(query: &mut Query, relations: &Relations) -> Vec<SqlFinding> {
    let mut names = Names::default();
    let _ = query.visit(&mut names);
    let mut known: BTreeSet<String> = names.introduced;
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (alias, internal) in names.tables {
        match relations.get(&internal) {
            Some(columns) => {
                known.extend(columns.iter().cloned());
                aliases.entry(alias).or_default().extend(columns.iter().cloned());
            }
            // A common table expression: its columns are among the introduced names.
            None => drop(aliases.remove(&alias)),
        }
    }
    let mut settler = Settler { known: known.into_iter().collect(), aliases, findings: Vec::new() };
    let _ = query.visit(&mut settler);
    settler.findings
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
    let mut characters = rest.trim_end_matches('.').chars();
    let start: String = characters.next().into_iter().flat_map(char::to_lowercase).collect();
    start + characters.as_str()
}

/// Tables by alias, and names that the statement itself introduces.
#[derive(Default)]
struct Names {
    tables: Vec<(String, String)>,
    introduced: BTreeSet<String>,
}

impl Names {
    fn alias(&mut self, alias: &TableAlias) {
        self.introduced.extend(alias.columns.iter().map(|column| column.name.value.clone()));
    }
}

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.alias(&cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => {
                    self.introduced.insert(alias.value.clone());
                }
                // DataFusion names an aggregate or function without alias by its text: `count(*)`.
                SelectItem::UnnamedExpr(Expr::Function(function)) => {
                    self.introduced.insert(function.to_string());
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let internal =
                    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default();
                let visible = alias.as_ref().map_or_else(|| internal.clone(), |alias| alias.name.value.clone());
                self.tables.push((visible.clone(), internal));
                self.introduced.insert(visible);
                if let Some(alias) = alias {
                    self.alias(alias);
                }
            }
            TableFactor::Derived { alias: Some(alias), .. } => self.alias(alias),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Settler {
    known: Vec<String>,
    aliases: BTreeMap<String, Vec<String>>,
    findings: Vec<SqlFinding>,
}

impl Settler {
    /// Settles one identifier; an unknown one is reported.
    fn ident(&mut self, ident: &mut Ident, table: Option<&str>) -> bool {
        let columns: Vec<&str> = match table.and_then(|table| self.aliases.get(table)) {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            None => self.known.iter().map(String::as_str).collect(),
        };
        let settled = match ident.quote_style {
            Some(_) if columns.contains(&ident.value.as_str()) => Ok(ident.value.clone()),
            Some(_) => {
                let message = format!("there is no column \"{}\"", ident.value);
                Err(Finding::error(Code::UnknownColumn, message).nearest(&ident.value, columns.iter().copied()))
            }
            None => settle(&ident.value, &columns),
        };
        match settled {
            Ok(value) => {
                *ident = Ident { value, quote_style: Some('"'), span: ident.span };
                true
            }
            Err(mut finding) => {
                if let Some(table) = table {
                    finding.message =
                        finding.message.replacen("there is no column", &format!("'{table}' has no column"), 1);
                }
                self.findings.push(SqlFinding::new(ident.span, finding));
                false
            }
        }
    }
}

impl VisitorMut for Settler {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let known = match expr {
            Expr::Identifier(ident) => self.ident(ident, None),
            Expr::CompoundIdentifier(parts) => match parts.as_mut_slice() {
                // A qualifier that is no table of ours is a struct column or a derived table: planning judges it.
                [table, column] if self.aliases.contains_key(&table.value) => {
                    let table = table.value.clone();
                    self.ident(column, Some(&table))
                }
                _ => true,
            },
            _ => true,
        };
        if !known {
            *expr = Expr::Value(Value::Null.with_empty_span());
        }
        ControlFlow::Continue(())
    }
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
            ["1:10 'o' has no column 'name'", "2:11 there is no column 'totl'", "2:59 'o' has no column 'idd'"]
        );
    }

    #[test]
    fn names_that_the_statement_introduces_are_known() {
        let (_, findings) = settled(
            "WITH t (x) AS (SELECT id FROM orders) SELECT x + 1 AS y, t.x, d.z FROM t, (SELECT name AS z FROM customers) d ORDER BY y",
        );
        assert_eq!(findings, Vec::<String>::new());
    }
}
