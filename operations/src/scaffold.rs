//! A commented spec to start from, plannable as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use headwater_engine::connector::TableInfo;
use headwater_engine::relations::Connections;
use headwater_pipelines::sql::split_name;
use headwater_store::Suggest;

use crate::{Action, Actor, OperationError, Operations, Result};

/// More tables than this are not written one by one.
const MOST: usize = 20;

impl Operations {
    /// A spec that copies the tables of a pattern (`connection.path`, with `*` as a wildcard) into another connection.
    pub async fn scaffold(&self, actor: &Actor, from: &str, into: &str, name: Option<String>) -> Result<String> {
        self.permit(actor, Action::ReadCatalog)?;
        let parts = split_name(from).map_err(|finding| {
            OperationError::invalid(finding.message).hint("write connection.path, e.g. shop.public.*")
        })?;
        let (connection, pattern) = parts.split_first().ok_or_else(|| {
            OperationError::invalid("no tables are named").hint("write connection.path, e.g. shop.public.*")
        })?;
        if connection == into {
            return Err(OperationError::invalid(format!("the tables of '{into}' would be loaded onto themselves"))
                .hint("name another connection as --into; a spec written by hand can load into other tables of the same connection"));
        }
        let known = self.connection_names().await?;
        for name in [connection.as_str(), into] {
            if !known.contains(name) {
                self.workspace.open_connection(&self.key, name).await?;
            }
        }
        let names = [connection.clone(), into.to_owned()].into();
        let connections = Connections::new(self.engine.registry().clone(), self.stored_settings(&names).await?);
        let target = connections.spec(into)?;
        if target.writes.is_empty() {
            return Err(OperationError::invalid(format!("connection '{into}' can't be written"))
                .hint("choose another one")
                .suggest(Suggest::ListConnections));
        }
        let catalog = connections.open(connection)?.catalog(false).await;
        connections.close().await;
        let mut tables = catalog?;
        tables.retain(|table| matches(pattern, &table.path));
        if tables.is_empty() {
            return Err(OperationError::not_found(format!("nothing in connection '{connection}' matches '{from}'"))
                .suggest(Suggest::ShowCatalog { connection: connection.clone() }));
        }
        let pipeline = name.unwrap_or_else(|| format!("{connection}_to_{into}"));
        let copy = Copy { pipeline: &pipeline, connection, into, connector: target.name, known: &known };
        let is_plain = pattern.iter().rev().skip(1).all(|part| !part.contains('*'));
        Ok(if tables.len() > MOST && is_plain { copy.whole(from, tables.len()) } else { copy.spec(&tables) })
    }
}

/// `*` stands for any characters within one part; a pattern has as many parts as the path.
fn matches(pattern: &[String], path: &[String]) -> bool {
    let part = |pattern: &str, text: &str| {
        let mut rest = text;
        let mut pieces = pattern.split('*').peekable();
        let first = pieces.next().unwrap_or_default();
        let Some(behind) = rest.strip_prefix(first) else { return false };
        rest = behind;
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                return rest.ends_with(piece);
            }
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.is_empty()
    };
    pattern.len() == path.len() && pattern.iter().zip(path).all(|(pattern, text)| part(pattern, text))
}

/// A copy of tables that is to be written down.
struct Copy<'a> {
    pipeline: &'a str,
    connection: &'a str,
    into: &'a str,
    connector: &'a str,
    /// Names of all connections, which no task or group may have.
    known: &'a BTreeSet<String>,
}

impl Copy<'_> {
    fn spec(&self, tables: &[TableInfo]) -> String {
        let mut out = String::new();
        // Writing into a String can't fail.
        let _ = self.write(&mut out, tables);
        out
    }

    fn write(&self, out: &mut String, tables: &[TableInfo]) -> std::fmt::Result {
        let Self { pipeline, connection, into, .. } = self;
        let (source, target) = (self.free("source", &[]), self.free("target", &[]));
        writeln!(out, "# Copies {} of '{connection}' into '{into}', each replaced as a whole.", plural(tables.len()))?;
        writeln!(out, "# Plan it to check it, run it to try it, apply it to approve it.")?;
        writeln!(out, "name: {pipeline}")?;
        writeln!(
            out,
            "# schedule: {{ cron: \"0 6 * * *\", timezone: UTC }}     # runs every morning once it is applied"
        )?;
        writeln!(out, "tasks:")?;
        writeln!(out, "  {source}:")?;
        writeln!(out, "    group:")?;
        let mut used: Vec<String> = Vec::new();
        for table in tables {
            let name = self.free(&task_name(table), &used);
            let rows = table.rows.map(|rows| format!(", about {} rows", grouped(rows))).unwrap_or_default();
            writeln!(out, "      # {}{rows}; `columns: [a, b]` reads some of its columns only", table.kind)?;
            let from = yaml(&format!("{connection}.{}", path(&table.path)));
            writeln!(out, "      {name}: {{ extract: {{ from: {from} }} }}")?;
            used.push(name);
        }
        writeln!(out, "  # Put a transform or a check between the two: a task reads another by its name.")?;
        writeln!(out, "  {target}:")?;
        writeln!(out, "    retry: {{ attempts: 3, backoff: exponential, delay: 10s }}")?;
        writeln!(out, "    group:")?;
        let mut loads: Vec<String> = Vec::new();
        for (name, table) in used.iter().zip(tables) {
            let alike = tables.iter().filter(|other| other.path.last() == table.path.last()).count();
            let table = match self.connector {
                "postgres" => format!("{into}.{}", path(&table.path)),
                // Tables of one name in two schemas are two tables in a target without schemas.
                _ if alike > 1 => format!("{into}.{}", path(&[table.path.join("_")])),
                _ => format!("{into}.{}", path(&table.path[table.path.len().saturating_sub(1)..])),
            };
            let load = self.free(&format!("load_{name}"), &loads);
            writeln!(out, "      {load}:")?;
            let table = yaml(&table);
            writeln!(
                out,
                "        load: {{ input: {source}.{name}, into: {table}, mode: overwrite }}     # or append"
            )?;
            loads.push(load);
        }
        Ok(())
    }

    /// The same for more tables than anybody wants to read.
    fn whole(&self, from: &str, count: usize) -> String {
        let Self { pipeline, connection, into, connector, .. } = self;
        let (source, target) = (self.free("source", &[]), self.free("target", &[]));
        let name = if *connector == "postgres" { "\"{{ schema }}\".\"{{ table }}\"" } else { "\"{{ table }}\"" };
        format!(
            "# Copies about {count} tables of '{connection}' into '{into}', each replaced as a whole.\n\
             # Plan it to check it, run it to try it, apply it to approve it.\n\
             name: {pipeline}\n\
             # schedule: {{ cron: \"0 6 * * *\", timezone: UTC }}     # runs every morning once it is applied\n\
             tasks:\n  {source}:\n    extract:\n      tables: {tables}     # tables; views are read if they are named\n      \
             # exclude: [audit_*]\n      # cursor: auto     # new rows alone, where a table has a column for that; needs another mode\n  \
             {target}:\n    retry: {{ attempts: 3, backoff: exponential, delay: 10s }}\n    load:\n      input: {source}\n      \
             into: {into}.{name}\n      mode: overwrite     # without it: upsert where a table has a key\n",
            tables = yaml(from),
        )
    }

    /// The name, or one with a number, that no connection and no other task of the group has.
    fn free(&self, name: &str, used: &[String]) -> String {
        let taken = |name: &String| self.known.contains(name) || used.contains(name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }
}

fn plural(count: usize) -> String {
    if count == 1 { "one table".to_owned() } else { format!("{count} tables") }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A name that a task may have.
fn task_name(table: &TableInfo) -> String {
    let last = table.path.last().map_or("table", String::as_str);
    let clean: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).take(50).collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic()) { clean } else { format!("t_{clean}") }
}

/// The path as a dotted name; parts that need it in double quotes.
fn path(parts: &[String]) -> String {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let quoted = |part: &String| if plain(part) { part.clone() } else { format!("\"{}\"", part.replace('"', "\"\"")) };
    parts.iter().map(quoted).collect::<Vec<_>>().join(".")
}

/// A name as a YAML scalar.
fn yaml(name: &str) -> String {
    if name.contains(['"', '{', '}', ',', '#', ':', '*', ' ']) {
        format!("'{}'", name.replace('\'', "''"))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use headwater_pipelines::document::Document;
    use headwater_pipelines::plan::plan;

    use super::*;

    fn parts(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn table(name: &str) -> TableInfo {
        TableInfo {
            path: vec!["public".to_owned(), name.to_owned()],
            kind: "table".to_owned(),
            rows: Some(1_000),
            ..TableInfo::default()
        }
    }

    /// How many stages the written spec has; it must have no mistakes.
    fn stages(connection: &str, into: &str, connections: &[&str], tables: &[&str]) -> usize {
        let known = connections.iter().map(|name| (*name).to_owned()).collect();
        let copy = Copy { pipeline: "copy", connection, into, connector: "delta", known: &known };
        let tables: Vec<TableInfo> = tables.iter().map(|name| table(name)).collect();
        let planned = plan(&Document::read("new.yaml", copy.spec(&tables)), &known);
        assert_eq!(planned.diagnostics, []);
        planned.plan.unwrap().stages.len()
    }

    #[test]
    fn many_tables_are_a_pattern() {
        let known = ["shop", "lake"].map(str::to_owned).into();
        let copy = Copy { pipeline: "copy", connection: "shop", into: "lake", connector: "delta", known: &known };
        let document = Document::read("new.yaml", copy.whole("shop.public.*", 300));
        assert_eq!(document.diagnostics, []);
        let found = plan(&document, &known).diagnostics;
        let told: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(told, ["the tables of 'source' are not known, because the catalog of shop was not read"]);
    }

    #[test]
    fn a_star_stands_for_any_characters_of_one_part() {
        assert!(matches(&parts("public.*"), &parts("public.orders")));
        assert!(matches(&parts("public.ord*s"), &parts("public.orders")));
        assert!(!matches(&parts("public.ord*x"), &parts("public.orders")));
        assert!(!matches(&parts("public.*"), &parts("other.orders")));
        assert!(!matches(&parts("*"), &parts("public.orders")));
    }

    #[test]
    fn a_spec_plans_whatever_the_tables_are_called() {
        let tables = ["orders", "Orders", "select", "my table, with: {all}"];
        assert_eq!(stages("shop", "lake", &["shop", "lake"], &tables), 4);
    }

    #[test]
    fn tables_of_one_name_in_two_schemas_are_loaded_into_two_tables() {
        let known = ["shop", "lake"].map(str::to_owned).into();
        let copy = Copy { pipeline: "copy", connection: "shop", into: "lake", connector: "delta", known: &known };
        let other = TableInfo { path: vec!["other".to_owned(), "orders".to_owned()], ..table("orders") };
        let spec = copy.spec(&[table("orders"), other]);
        assert!(spec.contains("into: lake.public_orders,") && spec.contains("into: lake.other_orders,"), "{spec}");
    }

    #[test]
    fn a_spec_plans_whatever_the_connections_are_called() {
        let connections = ["source", "target", "source_2", "orders", "load_items"];
        assert_eq!(stages("source", "target", &connections, &["orders", "items"]), 2);
    }
}
