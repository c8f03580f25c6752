//! Which tables a result reads, and which it has to.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use headwater_operations::KnownConnection;
use headwater_pipelines::casing::{Meaning, settle};
use headwater_pipelines::diagnostic::Finding;
use headwater_pipelines::plan::{Relation, TableRef};
use headwater_pipelines::sql::{Part, Scope, resolve, split_name};

use super::case::Case;

/// Divides the parts of a path where they are compared as one name; no name has it.
const DIVIDER: &str = "\u{1}";

/// The tables that a case wants to be read.
pub(super) fn wanted(case: &Case, schema: &str) -> Result<BTreeSet<TableRef>> {
    let table = |source: &String| {
        let path = split_name(source).map_err(|finding| anyhow!("sources: {}", finding.message))?;
        Ok(match path.split_first() {
            Some((first, rest)) if first == "lake" && rest.len() == 1 && case.lake_tables.contains_key(&rest[0]) => {
                TableRef { connection: first.clone(), path: rest.to_vec() }
            }
            _ => TableRef { connection: schema.to_owned(), path },
        })
    };
    case.sources.iter().map(table).collect()
}

/// The tables that a statement reads.
pub(super) fn of_statement(sql: &str) -> Result<BTreeSet<TableRef>> {
    let resolved = resolve(sql, &Anything).map_err(|findings| {
        let first = findings.first().map(|found| found.finding.message.clone()).unwrap_or_default();
        anyhow!("the statement can't be read: {first}")
    })?;
    let tables = resolved.reads.into_iter().map(|relation| match relation {
        Relation::Table(table) => Ok(table),
        Relation::Task(_) => Err(anyhow!("a statement reads a task")),
    });
    tables.collect()
}

/// What is different about the tables that are read.
pub(super) fn difference(
    wanted: &BTreeSet<TableRef>,
    read: &BTreeSet<TableRef>,
    known: &[KnownConnection],
) -> Option<String> {
    let read: BTreeSet<TableRef> = read.iter().map(|table| settled(table, known)).collect();
    let missing: Vec<String> = wanted.difference(&read).map(ToString::to_string).collect();
    let further: Vec<String> = read.difference(wanted).map(ToString::to_string).collect();
    let mut told = Vec::new();
    if !missing.is_empty() {
        told.push(format!("it does not read {}", missing.join(", ")));
    }
    if !further.is_empty() {
        told.push(format!("it reads {}, which nobody asked for", further.join(", ")));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// A table by the name that its catalog has: the case of what stands without quotes is free, and a schema may be left out.
fn settled(table: &TableRef, known: &[KnownConnection]) -> TableRef {
    let tables = known.iter().filter(|known| known.name == table.connection).flat_map(|known| &known.tables);
    let paths: Vec<&Vec<String>> = tables.map(|table| &table.path).collect();
    let behind = |path: &[String]| path[path.len().saturating_sub(table.path.len())..].join(DIVIDER);
    let names: Vec<String> = paths.iter().map(|path| behind(path)).collect();
    let Meaning::One(found) = settle(&table.path.join(DIVIDER), false, names.iter().map(String::as_str)) else {
        return table.clone();
    };
    let mut fitting = paths.iter().zip(&names).filter(|(_, name)| *name == found).map(|(path, _)| *path);
    let in_public = |path: &&Vec<String>| path.first().is_some_and(|schema| schema == "public");
    let path = fitting.clone().find(in_public).or_else(|| fitting.next());
    TableRef { path: path.cloned().unwrap_or_else(|| table.path.clone()), ..table.clone() }
}

/// Outside of a pipeline every name is that of a connection's table.
struct Anything;

impl Scope for Anything {
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
        let mut names = parts.iter().map(|part| part.text.clone());
        let connection = names.next().unwrap_or_default();
        Ok(Relation::Table(TableRef { connection, path: names.collect() }))
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// The connection and table of a target such as `lake.orders`.
pub(super) fn target(name: &str) -> Result<TableRef> {
    let parts = split_name(name).map_err(|finding| anyhow!("target: {}", finding.message))?;
    let (connection, path) = parts.split_first().context("a target has no name")?;
    Ok(TableRef { connection: connection.clone(), path: path.to_vec() })
}

#[cfg(test)]
mod tests {
    use headwater_operations::TableInfo;

    use super::*;

    fn known(paths: &[&[&str]]) -> Vec<KnownConnection> {
        let table = |path: &&[&str]| TableInfo {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            kind: "table".to_owned(),
            rows: None,
            comment: None,
            columns: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
        };
        vec![KnownConnection {
            name: "shop".to_owned(),
            is_readable: true,
            is_writable: false,
            snapshot: None,
            tables: paths.iter().map(table).collect(),
        }]
    }

    fn tables(names: &[&str]) -> BTreeSet<TableRef> {
        names.iter().map(|name| target(name).unwrap()).collect()
    }

    #[test]
    fn a_statement_reads_what_its_subqueries_read() {
        let sql = "SELECT 1 FROM shop.public.orders o JOIN lake.views v ON true WHERE EXISTS (SELECT 1 FROM shop.\"M\".\"X\")";
        assert_eq!(of_statement(sql).unwrap(), tables(&["shop.public.orders", "lake.views", "shop.M.X"]));
    }

    #[test]
    fn tables_that_are_missing_and_those_nobody_asked_for_are_named() {
        let known = known(&[&["public", "orders"], &["public", "customers"]]);
        let wanted = tables(&["shop.public.orders"]);
        assert_eq!(difference(&wanted, &tables(&["shop.public.Orders"]), &known), None);
        assert_eq!(difference(&wanted, &tables(&["shop.orders"]), &known), None);
        let told = difference(&wanted, &tables(&["shop.public.customers"]), &known).unwrap();
        assert_eq!(told, "it does not read shop.public.orders; it reads shop.public.customers, which nobody asked for");
    }

    #[test]
    fn tables_whose_names_differ_in_case_alone_are_two() {
        let known = known(&[&["public", "load"], &["public", "Load"]]);
        assert!(difference(&tables(&["shop.public.load"]), &tables(&["shop.public.Load"]), &known).is_some());
    }
}
