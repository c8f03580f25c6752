//! `headwater connections`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use headwater_operations::{
    AddConnection, AddedConnection, CatalogChange, CatalogDiffReport, CatalogReport, ConnectionReport, HealthReport,
    Mask, OperationError, SamplePolicy, SampledReport, SnapshotReport, TableInfo, TableSamples, difference_in_words,
};
use serde_json::Value;

use crate::args::parse_pair;
use crate::context::Context;
use crate::failure::hinted;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Add or replace a connection, and check it
    #[command(
        after_help = "Examples:\n  headwater connections add lake delta file:///srv/lake\n  headwater connections add shop postgres://app@db.example.com/shop"
    )]
    Add(AddArgs),
    /// List connections
    #[command(after_help = "Examples:\n  headwater connections list\n  headwater connections list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check that a connection works
    #[command(after_help = "Examples:\n  headwater connections check shop\n  headwater connections check lake --json")]
    Check {
        /// Name of the connection
        name: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List the tables that a connection can read, as they were last seen
    #[command(
        after_help = "Examples:\n  headwater connections catalog shop --columns\n  headwater connections catalog shop --refresh --diff"
    )]
    Catalog {
        /// Name of the connection
        name: String,
        /// Include the columns of each table
        #[arg(long, conflicts_with = "diff")]
        columns: bool,
        /// Read the catalog again first
        #[arg(long)]
        refresh: bool,
        /// Show what has changed instead: since the state before, or since the state of this number
        #[arg(long, value_name = "NUMBER", num_args = 0..=1, require_equals = true)]
        diff: Option<Option<i32>>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Say what may be sampled of a connection's values: nothing, values of columns with few, or rows too
    #[command(
        after_help = "Examples:\n  headwater connections samples shop values\n  headwater connections samples shop none"
    )]
    Samples {
        /// Name of the connection
        name: String,
        /// none, values or rows
        #[arg(value_parser = parse_policy)]
        policy: SamplePolicy,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Mask a column in samples, or end its mask
    #[command(
        after_help = "Examples:\n  headwater connections mask shop.public.customers.email hash\n  headwater connections mask shop.public.customers.email none"
    )]
    Mask {
        /// connection.schema.table.column
        column: String,
        /// hash, partial, redact, round, null, or none to end it
        #[arg(value_parser = parse_mask)]
        mask: MaskArg,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove a connection that no approved pipeline uses
    #[command(after_help = "Examples:\n  headwater connections remove old_shop\n  headwater connections list")]
    Remove {
        /// Name of the connection
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Name by which specs refer to the connection
    name: String,
    /// LOCATION, or CONNECTOR LOCATION; the connector is optional if the location's scheme names it
    #[arg(value_name = "CONNECTOR LOCATION", num_args = 0..=2)]
    what: Vec<String>,
    /// Additional setting of the connector, KEY=VALUE; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_pair)]
    settings: Vec<(String, String)>,
    /// Read the location from standard input, which keeps it out of the process list
    #[arg(long)]
    url_stdin: bool,
    /// Store the connection even if the check fails
    #[arg(long)]
    no_check: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn connections(context: &Context, command: ConnectionsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        ConnectionsCommand::Add(args) => add(context, args).await?,
        ConnectionsCommand::List { json } => {
            let report = operations.connections(actor).await?;
            if json { output::json(&report)? } else { list(&report.connections) }
        }
        ConnectionsCommand::Check { name, json } => {
            let report = operations.check_connection(actor, &name).await?;
            if json { output::json(&report)? } else { show_health(&report) }
        }
        ConnectionsCommand::Catalog { name, diff: Some(since), refresh, json, .. } => {
            let report = operations.catalog_diff(actor, &name, since, refresh).await?;
            if json { output::json(&report)? } else { show_changes(&report) }
        }
        ConnectionsCommand::Catalog { name, columns, refresh, json, diff: None } => {
            let report = operations.catalog(actor, &name, refresh).await?;
            match (json, columns) {
                (true, _) => output::json(&report)?,
                (false, true) => show_columns(&report),
                (false, false) => show_tables(&report),
            }
        }
        ConnectionsCommand::Samples { name, policy, json } => {
            let report = operations.set_samples(actor, &name, policy).await?;
            if json { output::json(&report)? } else { show_sampled(&report) }
        }
        ConnectionsCommand::Mask { column, mask: MaskArg(mask), json } => {
            let report = operations.set_mask(actor, &column, mask).await?;
            if json { output::json(&report)? } else { show_sampled(&report) }
        }
        ConnectionsCommand::Remove { name } => {
            operations.remove_connection(actor, &name).await?;
            output::line(&format!("connection {name} is removed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(context: &Context, args: AddArgs) -> Result<()> {
    let (name, json) = (args.name.clone(), args.json);
    let mut request = request(args)?;
    let added = match add_once(context, &request).await {
        Err(error) if error.needs_password && std::io::stdin().is_terminal() => {
            let password =
                rpassword::prompt_password(format!("password for {name}: ")).context("the password can't be read")?;
            request.settings.insert("password".to_owned(), Value::String(password));
            add_once(context, &request).await?
        }
        answer => answer?,
    };
    if json {
        return output::json(&added);
    }
    added.health.iter().for_each(show_health);
    output::line(&format!("connection {} is stored, its secrets encrypted", added.name));
    if !added.users.is_empty() {
        output::line(&format!("it replaces the one that approved pipelines use: {}", added.users.join(", ")));
    }
    if !added.variables.is_empty() {
        output::line(&format!("it resolves {} where it is opened", added.variables.join(", ")));
    }
    Ok(())
}

/// A mask, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskArg(Option<Mask>);

fn parse_mask(text: &str) -> Result<MaskArg, String> {
    match Mask::parse(text) {
        None if text != "none" => Err("the masks are hash, partial, redact, round, null and none".to_owned()),
        mask => Ok(MaskArg(mask)),
    }
}

fn parse_policy(text: &str) -> Result<SamplePolicy, String> {
    let found = SamplePolicy::ALL.into_iter().find(|policy| policy.as_str() == text);
    found.ok_or_else(|| "the policies are none, values and rows".to_owned())
}

fn show_sampled(SampledReport { connection, policy, masks, sampled }: &SampledReport) {
    let tables = output::plural(*sampled, "table");
    output::line(&format!("{connection}: samples {}, {tables} sampled", policy.as_str()));
    for (column, mask) in masks {
        output::line(&format!("  {column}  {}", mask.as_str()));
    }
}

async fn add_once(context: &Context, request: &AddConnection) -> Result<AddedConnection, OperationError> {
    context.operations.add_connection(&context.actor, request.clone()).await
}

/// What the command line asks for.
fn request(args: AddArgs) -> Result<AddConnection> {
    let (connector, location) = match (args.what.as_slice(), args.url_stdin) {
        ([], true) => (None, Some(read_stdin()?)),
        ([kind], true) => (Some(kind.clone()), Some(read_stdin()?)),
        ([location], false) if location.contains("://") => (None, Some(location.clone())),
        ([kind], false) => (Some(kind.clone()), None),
        ([kind, location], false) => (Some(kind.clone()), Some(location.clone())),
        _ => {
            return Err(hinted(
                "the connection's location is missing",
                "headwater connections add NAME [CONNECTOR] LOCATION, e.g. postgres://user@host/database",
            ));
        }
    };
    // A value that reads as JSON is taken as such, so that numbers, booleans and maps can be given.
    let settings = args.settings.into_iter().map(|(key, text)| {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (key, value)
    });
    Ok(AddConnection { name: args.name, connector, location, settings: settings.collect(), check: !args.no_check })
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input can't be read")?;
    Ok(text.trim().to_owned())
}

fn show_health(HealthReport { name, health }: &HealthReport) {
    output::line(&format!("{name}: {}", health.version));
    health.identity.iter().for_each(|identity| output::line(&format!("  role       {identity}")));
    output::line(&format!("  transport  {}", health.transport));
    output::line(&format!("  latency    {} µs", output::count(health.latency_us)));
    output::line(&format!("  tables     {}", output::count(health.tables)));
    health.notes.iter().for_each(|note| output::line(&format!("  note       {note}")));
}

fn list(connections: &[ConnectionReport]) {
    let rows = connections.iter().map(|row| {
        let fields = row.settings.as_object().into_iter().flatten();
        let settings: Vec<String> = fields
            .map(|(key, value)| format!("{key} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        [row.name.clone(), row.connector.clone(), settings.join(", ")]
    });
    output::table(&["name", "type", "settings"], rows);
}

fn qualified(connection: &str, table: &TableInfo) -> String {
    format!("{connection}.{}", table.path.join("."))
}

fn show_state(connection: &str, state: &SnapshotReport) {
    output::line(&format!("{connection} as it was at {} (state {})", output::time(Some(state.seen_at)), state.number));
}

fn show_changes(CatalogDiffReport { connection, before, after, changes }: &CatalogDiffReport) {
    show_state(connection, before);
    show_state(connection, after);
    if changes.is_empty() {
        output::line("  no difference");
    }
    for CatalogChange { table, change } in changes {
        output::line(&format!("  {connection}.{}: {}", table.join("."), difference_in_words(change)));
    }
}

fn show_columns(CatalogReport { connection, snapshot, tables, samples }: &CatalogReport) {
    show_state(connection, snapshot);
    let rows = tables.iter().flat_map(|table| {
        table.columns.iter().map(move |column| {
            [
                qualified(connection, table),
                column.name.clone(),
                column.native_type.clone(),
                column.arrow_type.clone(),
                if column.nullable { String::new() } else { "not null".to_owned() },
                column.primary_key.map(|position| format!("key {position}")).unwrap_or_default(),
                values_of(samples, table, &column.name),
            ]
        })
    });
    output::table(&["table", "column", "type", "read as", "", "", "values"], rows);
}

/// The first values of a column that has few.
fn values_of(samples: &BTreeMap<String, TableSamples>, table: &TableInfo, column: &str) -> String {
    let values = samples.get(&table.path.join(".")).and_then(|samples| samples.values.get(column));
    values.map(|values| values.iter().take(6).cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn show_tables(CatalogReport { connection, snapshot, tables, .. }: &CatalogReport) {
    show_state(connection, snapshot);
    let rows = tables.iter().map(|table| {
        [
            qualified(connection, table),
            table.kind.clone(),
            table.rows.map(output::count).unwrap_or_default(),
            table.comment.clone().unwrap_or_default(),
        ]
    });
    output::table(&["table", "kind", "rows, estimated", "comment"], rows);
}
