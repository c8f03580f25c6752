//! A commented spec to start from, plannable as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use headwater_engine::connector::{MESSAGE_KEY, OPERATION, TableInfo};
use headwater_engine::relations::Connections;
use headwater_pipelines::plan::{ExtractSource, TableRef};
use headwater_pipelines::spec::WriteMode;
use headwater_pipelines::sql::split_name;
use headwater_store::Suggest;
use tokio_util::sync::CancellationToken;

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
        let mut tables = connections.open(connection)?.catalog(false).await?;
        tables.retain(|table| matches(pattern, &table.path));
        let are_topics = connections.spec(connection)?.name == TOPICS;
        let keys = match are_topics && target.writes.contains(&WriteMode::Upsert) {
            true => message_keys(&connections, connection, &tables).await,
            false => BTreeMap::new(),
        };
        connections.close().await;
        if tables.is_empty() {
            return Err(OperationError::not_found(format!("nothing in connection '{connection}' matches '{from}'"))
                .suggest(Suggest::ShowCatalog { connection: connection.clone() }));
        }
        let pipeline = name.unwrap_or_else(|| format!("{connection}_to_{into}"));
        let copy =
            Copy { pipeline: &pipeline, connection, into, connector: target.name, known: &known, are_topics, keys };
        let is_plain = pattern.iter().rev().skip(1).all(|part| !part.contains('*'));
        Ok(if tables.len() > MOST && is_plain && !are_topics {
            copy.whole(from, tables.len())
        } else {
            copy.spec(&tables)
        })
    }
}

/// The columns by which the messages of topics are keyed whose rows are changes of others; none if no message shows them yet. A topic that can't be read is left out.
async fn message_keys(
    connections: &Connections,
    connection: &str,
    topics: &[TableInfo],
) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut keys = BTreeMap::new();
    for topic in topics {
        let table = TableRef { connection: connection.to_owned(), path: topic.path.clone() };
        let read = connections.source(&ExtractSource::Table(table), None, &CancellationToken::new()).await;
        let Ok(schema) = read.map(|read| read.schema()) else { continue };
        let Ok(operation) = schema.field_with_name(OPERATION) else { continue };
        let said = operation.metadata().get(MESSAGE_KEY).map(|said| said.split(", ").map(str::to_owned).collect());
        keys.insert(topic.path.clone(), said.unwrap_or_default());
    }
    keys
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
    /// Whether the tables are topics, of which a run loads what is new.
    are_topics: bool,
    /// The keys of topics whose messages are changes of rows.
    keys: BTreeMap<Vec<String>, Vec<String>>,
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
        match self.are_topics {
            true => writeln!(out, "# Loads what is new in {} of '{connection}' into '{into}'.", topics(tables.len()))?,
            false => writeln!(
                out,
                "# Copies {} of '{connection}' into '{into}', each replaced as a whole.",
                plural(tables.len())
            )?,
        }
        writeln!(out, "# Plan it to check it, run it to try it, apply it to approve it.")?;
        writeln!(out, "name: {pipeline}")?;
        out.push_str(match self.are_topics {
            true => "# stream: { every: 10s }     # goes on by itself once it is applied\n",
            false => "# schedule: { cron: \"0 6 * * *\", timezone: UTC }     # runs every morning once it is applied\n",
        });
        writeln!(out, "tasks:")?;
        writeln!(out, "  {source}:")?;
        writeln!(out, "    group:")?;
        let mut used: Vec<String> = Vec::new();
        for table in tables {
            let name = self.free(&task_name(table), &used);
            let rows = table.rows.map(|rows| format!(", about {} rows", grouped(rows))).unwrap_or_default();
            let hint = match self.are_topics {
                true => "`columns: { id: bigint }` declares types, which a sample only suggests",
                false => "`columns: [a, b]` reads some of its columns only",
            };
            writeln!(out, "      # {}{rows}; {hint}", table.kind)?;
            let from = yaml(&format!("{connection}.{}", path(&table.path)));
            let cursor = if self.are_topics { ", cursor: auto" } else { "" };
            writeln!(out, "      {name}: {{ extract: {{ from: {from}{cursor} }} }}")?;
            used.push(name);
        }
        writeln!(out, "  # Put a transform or a check between the two: a task reads another by its name.")?;
        writeln!(out, "  {target}:")?;
        writeln!(out, "    retry: {{ attempts: 3, backoff: exponential, delay: 10s }}")?;
        writeln!(out, "    group:")?;
        let mut loads: Vec<String> = Vec::new();
        for (name, table) in used.iter().zip(tables) {
            let mode = self.mode(table);
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
            writeln!(out, "        load: {{ input: {source}.{name}, into: {table}, mode: {mode}")?;
            loads.push(load);
        }
        Ok(())
    }

    /// How a table is loaded, behind `mode:`.
    fn mode(&self, table: &TableInfo) -> String {
        match (self.are_topics, self.keys.get(&table.path)) {
            (false, _) => "overwrite }     # or append".to_owned(),
            // Columns of files don't change.
            (true, None) if self.connector == "files" => "append }".to_owned(),
            (true, None) => "append, schema: add_columns }".to_owned(),
            (true, Some(keys)) if keys.is_empty() => {
                "append, schema: add_columns }     # no message shows keys yet: mode upsert with keys and `changes: true` applies changes".to_owned()
            }
            (true, Some(keys)) => {
                let keys: Vec<String> = keys.iter().map(|key| yaml(key)).collect();
                format!(
                    "upsert, keys: [{}], changes: true, schema: add_columns }}     # or append, which keeps each change",
                    keys.join(", ")
                )
            }
        }
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

/// The connector whose tables are topics.
const TOPICS: &str = "kafka";

fn topics(count: usize) -> String {
    if count == 1 { "one topic".to_owned() } else { format!("{count} topics") }
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

/// Words that are no texts in YAML.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// A name as a YAML scalar.
fn yaml(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !WORDS.contains(&name.to_ascii_lowercase().as_str());
    match is_plain {
        true => name.to_owned(),
        // A text of JSON is one of YAML, and shows no control character as it is.
        false if name.contains(char::is_control) => serde_json::Value::from(name).to_string(),
        false => format!("'{}'", name.replace('\'', "''")),
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

    /// A copy of plain tables into a lake.
    fn copy<'a>(connection: &'a str, into: &'a str, known: &'a BTreeSet<String>) -> Copy<'a> {
        let keys = BTreeMap::new();
        Copy { pipeline: "copy", connection, into, connector: "delta", known, are_topics: false, keys }
    }

    /// How many stages the written spec has; it must have no mistakes.
    fn stages(connection: &str, into: &str, connections: &[&str], tables: &[&str]) -> usize {
        let known = connections.iter().map(|name| (*name).to_owned()).collect();
        let copy = copy(connection, into, &known);
        let tables: Vec<TableInfo> = tables.iter().map(|name| table(name)).collect();
        let planned = plan(&Document::read("new.yaml", copy.spec(&tables)), &known);
        assert_eq!(planned.diagnostics, []);
        planned.plan.unwrap().stages.len()
    }

    #[test]
    fn a_topic_is_followed_and_one_of_changes_is_applied_by_the_keys_of_its_messages() {
        let known = ["cdc", "lake"].map(str::to_owned).into();
        let topic =
            |name: &str| TableInfo { path: vec![name.to_owned()], kind: "topic".to_owned(), ..TableInfo::default() };
        let (changes, events) = (topic("shop.public.orders"), topic("clicks"));
        let keys = [(changes.path.clone(), vec!["id".to_owned(), "odd, name".to_owned()])].into();
        let copy = Copy { are_topics: true, keys, ..copy("cdc", "lake", &known) };
        let spec = copy.spec(&[changes, events]);
        assert!(spec.contains("mode: upsert, keys: [id, 'odd, name'], changes: true"), "{spec}");
        assert!(
            spec.contains("into: lake.clicks, mode: append") && spec.matches("cursor: auto").count() == 2,
            "{spec}"
        );
        for spec in [spec.clone(), spec.replace("# stream:", "stream:")] {
            let planned = plan(&Document::read("new.yaml", spec), &known);
            assert_eq!(planned.diagnostics, []);
            assert_eq!(planned.plan.unwrap().stages.len(), 2);
        }
    }

    #[test]
    fn many_tables_are_a_pattern() {
        let known = ["shop", "lake"].map(str::to_owned).into();
        let copy = copy("shop", "lake", &known);
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
        let copy = copy("shop", "lake", &known);
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
