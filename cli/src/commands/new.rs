//! `headwater new`: a commented spec to start from, plannable as it is.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use headwater_engine::connector::TableInfo;
use headwater_engine::relations::Connections;
use headwater_pipelines::sql::split_name;

use crate::context::Context;
use crate::failure::hinted;
use crate::output;

pub(super) async fn new(context: &Context, from: &str, into: &str, name: Option<String>) -> Result<ExitCode> {
    let parts = split_name(from)
        .map_err(|finding| hinted(finding.message, "headwater new --from shop.public.* --into lake"))?;
    let (connection, pattern) =
        parts.split_first().ok_or_else(|| hinted("which tables?", "--from connection.schema.*"))?;
    let names = [connection.clone(), into.to_owned()].into();
    let connections = Connections::new(context.engine.registry().clone(), context.settings(&names).await?);
    let target = connections.spec(into)?;
    if target.writes.is_empty() {
        return Err(hinted(
            format!("connection '{into}' can't be written"),
            "choose another one: headwater connections list",
        ));
    }
    let mut tables = connections.open(connection)?.catalog(false).await?;
    connections.close().await;
    tables.retain(|table| matches(pattern, &table.path));
    if tables.is_empty() {
        return Err(hinted(
            format!("nothing in connection '{connection}' matches '{from}'"),
            format!("headwater connections catalog {connection}"),
        ));
    }
    let pipeline = name.unwrap_or_else(|| format!("{connection}_to_{into}"));
    output::line(spec(&pipeline, connection, into, target.name, &tables)?.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// `*` stands for any characters within one part; fewer parts match the end of a path.
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

fn spec(pipeline: &str, connection: &str, into: &str, connector: &str, tables: &[TableInfo]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "# Copies {} of '{connection}' into '{into}', each replaced as a whole.", plural(tables.len()))?;
    writeln!(
        out,
        "# Check it with `headwater plan FILE`, run it with `headwater run FILE`, approve it with `headwater apply FILE`."
    )?;
    writeln!(out, "name: {pipeline}")?;
    writeln!(out, "# schedule: {{ cron: \"0 6 * * *\", timezone: UTC }}     # runs every morning once it is applied")?;
    writeln!(out, "tasks:")?;
    writeln!(out, "  source:")?;
    writeln!(out, "    group:")?;
    let mut used: Vec<String> = Vec::new();
    for table in tables {
        let name = task_name(table, &used);
        let rows = table.rows.map(|rows| format!(", about {} rows", output::count(rows))).unwrap_or_default();
        writeln!(out, "      # {}{rows}; `columns: [a, b]` reads some of its columns only", table.kind)?;
        writeln!(
            out,
            "      {name}: {{ extract: {{ from: {} }} }}",
            yaml(&format!("{connection}.{}", path(&table.path)))
        )?;
        used.push(name);
    }
    writeln!(out, "  # Put a transform or a check between the two: a task reads another by its name.")?;
    writeln!(out, "  target:")?;
    writeln!(out, "    retry: {{ attempts: 3, backoff: exponential, delay: 10s }}")?;
    writeln!(out, "    group:")?;
    for (name, table) in used.iter().zip(tables) {
        let table = match connector {
            "postgres" => format!("{into}.{}", path(&table.path)),
            _ => format!("{into}.{}", path(&table.path[table.path.len().saturating_sub(1)..])),
        };
        writeln!(out, "      load_{name}:")?;
        writeln!(
            out,
            "        load: {{ input: source.{name}, into: {}, mode: overwrite }}     # or append",
            yaml(&table)
        )?;
    }
    Ok(out)
}

fn plural(count: usize) -> String {
    if count == 1 { "one table".to_owned() } else { format!("{count} tables") }
}

/// A task's name that no other task has.
fn task_name(table: &TableInfo, used: &[String]) -> String {
    let last = table.path.last().map_or("table", String::as_str);
    let clean: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).take(50).collect();
    let base = if clean.starts_with(|c: char| c.is_ascii_alphabetic()) { clean } else { format!("t_{clean}") };
    let taken = |name: &String| used.contains(name);
    std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}_{n}"))).find(|name| !taken(name)).unwrap_or(base)
}

/// The path as a dotted name; parts that need it in double quotes.
fn path(parts: &[String]) -> String {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    parts
        .iter()
        .map(|part| if plain(part) { part.clone() } else { format!("\"{part}\"") })
        .collect::<Vec<_>>()
        .join(".")
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
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
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
    fn a_generated_spec_reads_without_mistakes_whatever_the_tables_are_called() {
        let table = |name: &str| TableInfo {
            path: vec!["public".to_owned(), name.to_owned()],
            kind: "table".to_owned(),
            rows: Some(1_000),
            comment: None,
            columns: Vec::new(),
        };
        let text = spec(
            "copy",
            "shop",
            "lake",
            "delta",
            &[table("orders"), table("Orders"), table("select"), table("my table, with: {all}")],
        )
        .unwrap_or_default();
        let document = headwater_pipelines::document::Document::read("new.yaml", text);
        let planned = headwater_pipelines::plan::plan(&document, &["shop".to_owned(), "lake".to_owned()].into());
        assert_eq!(planned.diagnostics, []);
        assert_eq!(planned.plan.map(|plan| plan.stages.len()), Some(4));
    }
}
