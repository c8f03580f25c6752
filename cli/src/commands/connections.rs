//! `headwater connections`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use headwater_engine::connector::{Connection, Connector, Health, TableInfo};
use headwater_engine::job::ConnectionSettings;
use headwater_engine::relations::Connections;
use serde_json::{Map, Value, json};

use crate::args::ConnectionsCommand;
use crate::context::Context;
use crate::failure::hinted;
use crate::output;

pub(super) async fn connections(context: &Context, command: ConnectionsCommand) -> Result<ExitCode> {
    match command {
        ConnectionsCommand::Add { name, what, settings, url_stdin, no_check } => {
            add(context, &name, &what, settings, url_stdin, no_check).await?;
        }
        ConnectionsCommand::List { json } => list(context, json).await?,
        ConnectionsCommand::Check { name } => {
            let connection = open_stored(context, &name).await?;
            show_health(&name, &connection.check().await?);
            connection.close().await;
        }
        ConnectionsCommand::Catalog { name, columns, json } => {
            let connection = open_stored(context, &name).await?;
            let tables = connection.catalog(columns || json).await?;
            connection.close().await;
            show_catalog(&name, &tables, columns, json)?;
        }
        ConnectionsCommand::Remove { name } => {
            context.workspace.remove_connection(&name).await?;
            output::line(&format!("connection {name} is removed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(
    context: &Context,
    name: &str,
    what: &[String],
    further: Vec<(String, String)>,
    url_stdin: bool,
    no_check: bool,
) -> Result<()> {
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !named {
        return Err(hinted(
            format!("a connection can't be named '{name}'"),
            "begin with a letter; use letters, digits and underscores",
        ));
    }
    let (connector, location) = resolve(context, what, url_stdin)?;
    let spec = connector.spec();
    let mut settings = Map::new();
    settings.extend(location.map(|location| (spec.location.to_owned(), Value::String(location))));
    // A value that reads as JSON is taken as such, so that numbers, booleans and maps can be given.
    settings.extend(further.into_iter().map(|(key, text)| {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (key, value)
    }));
    let mut settings = Value::Object(settings);
    if !no_check {
        match check(context, name, connector, &settings).await {
            Ok(health) => show_health(name, &health),
            Err(error) if asks_for_password(&error) && std::io::stdin().is_terminal() => {
                let password = rpassword::prompt_password(format!("password for {name}: "))
                    .context("the password can't be read")?;
                settings["password"] = Value::String(password);
                show_health(name, &check(context, name, connector, &settings).await?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    context.put_connection(name, spec.name, &settings).await?;
    output::line(&format!("connection {name} is stored, its secrets encrypted"));
    Ok(())
}

fn asks_for_password(error: &headwater_engine::EngineError) -> bool {
    error.message.contains("password")
}

/// The connector and the location that a command line names.
fn resolve<'a>(
    context: &'a Context,
    what: &[String],
    url_stdin: bool,
) -> Result<(&'a Arc<dyn Connector>, Option<String>)> {
    let registry = context.engine.registry();
    let usage = || {
        hinted(
            "which connection?",
            "headwater connections add NAME [CONNECTOR] LOCATION, e.g. postgres://user@host/database",
        )
    };
    let (kind, location) = match (what, url_stdin) {
        ([], true) => (None, Some(read_stdin()?)),
        ([kind], true) => (Some(kind), Some(read_stdin()?)),
        ([location], false) if location.contains("://") => (None, Some(location.clone())),
        ([kind], false) => (Some(kind), None),
        ([kind, location], false) => (Some(kind), Some(location.clone())),
        _ => return Err(usage()),
    };
    let connector = match (kind, &location) {
        (Some(kind), _) => registry.get(kind)?,
        (None, Some(location)) => registry.for_location(location).ok_or_else(|| {
            let names: Vec<&str> = registry.iter().map(|connector| connector.spec().name).collect();
            hinted(
                format!("the location does not say which connector to use ({})", names.join(", ")),
                "headwater connections add NAME CONNECTOR LOCATION",
            )
        })?,
        (None, None) => return Err(usage()),
    };
    Ok((connector, location))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input can't be read")?;
    Ok(text.trim().to_owned())
}

async fn check(
    context: &Context,
    name: &str,
    connector: &Arc<dyn Connector>,
    settings: &Value,
) -> Result<Health, headwater_engine::EngineError> {
    let settings = ConnectionSettings { connector: connector.spec().name.to_owned(), settings: settings.clone() };
    let connections =
        Connections::new(context.engine.registry().clone(), BTreeMap::from([(name.to_owned(), settings)]));
    let health = connections.open(name)?.check().await;
    connections.close().await;
    health
}

async fn open_stored(context: &Context, name: &str) -> Result<Arc<dyn Connection>> {
    let opened = context.workspace.open_connection(&context.key, name).await?;
    let settings = ConnectionSettings { connector: opened.connector, settings: opened.settings };
    let connections =
        Connections::new(context.engine.registry().clone(), BTreeMap::from([(name.to_owned(), settings)]));
    Ok(connections.open(name)?)
}

fn show_health(name: &str, health: &Health) {
    output::line(&format!("{name}: {}", health.version));
    health.identity.iter().for_each(|identity| output::line(&format!("  role       {identity}")));
    output::line(&format!("  transport  {}", health.transport));
    output::line(&format!("  latency    {} µs", output::count(health.latency_us)));
    output::line(&format!("  tables     {}", output::count(health.tables)));
    health.notes.iter().for_each(|note| output::line(&format!("  note       {note}")));
}

async fn list(context: &Context, as_json: bool) -> Result<()> {
    let rows = context.workspace.connections().await?;
    if as_json {
        let rows: Vec<Value> =
            rows.iter().map(|row| json!({ "name": row.name, "type": row.connector, "settings": row.shown })).collect();
        return output::json(&json!({ "connections": rows }));
    }
    let rows = rows.iter().map(|row| {
        let fields = row.shown.as_object().into_iter().flatten();
        let settings: Vec<String> = fields
            .map(|(key, value)| format!("{key} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        [row.name.clone(), row.connector.clone(), settings.join(", ")]
    });
    output::table(&["name", "type", "settings"], rows);
    Ok(())
}

fn show_catalog(name: &str, tables: &[TableInfo], columns: bool, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(&json!({ "tables": tables }));
    }
    let qualified = |table: &TableInfo| format!("{name}.{}", table.path.join("."));
    if columns {
        let rows = tables.iter().flat_map(|table| {
            table.columns.iter().map(move |column| {
                let key = column.primary_key.map(|position| format!("key {position}")).unwrap_or_default();
                let null = if column.nullable { "" } else { "not null" };
                [
                    qualified(table),
                    column.name.clone(),
                    column.native_type.clone(),
                    column.arrow_type.clone(),
                    null.to_owned(),
                    key,
                ]
            })
        });
        output::table(&["table", "column", "type", "read as", "", ""], rows);
    } else {
        let rows = tables.iter().map(|table| {
            [
                qualified(table),
                table.kind.clone(),
                table.rows.map(output::count).unwrap_or_default(),
                table.comment.clone().unwrap_or_default(),
            ]
        });
        output::table(&["table", "kind", "rows, estimated", "comment"], rows);
    }
    Ok(())
}
