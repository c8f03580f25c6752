//! One file a command.

mod admin;
mod apply;
mod connections;
mod fleet;
mod new;
mod plan;
mod reference;
mod run;
mod runs;
mod schedules;
mod serve;
mod sql;
mod why;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::{Args, Command, Role};
use crate::config::Config;
use crate::context::{Context, Opening};

/// Runs the command.
pub(crate) async fn dispatch(args: Args) -> Result<ExitCode> {
    let config = Config::load(&args.global)?;
    match args.command {
        Command::Schema { connector } => reference::schema(connector.as_deref()),
        Command::Explain { code, list } => reference::explain(code.as_deref(), list),
        Command::Completions { shell } => reference::completions(shell),
        Command::Admin(command) => admin::admin(config, command).await,
        Command::Up(serve) => {
            serve::serve(config.serving(&serve), &[Role::Server, Role::Scheduler, Role::Worker]).await
        }
        Command::Serve { roles, serve } => serve::serve(config.serving(&serve), &roles).await,
        command => {
            let context = Context::open(config, Opening::Use).await?;
            let done = with_store(&context, command).await;
            let closed = context.close().await;
            let code = done?;
            closed?;
            Ok(code)
        }
    }
}

async fn with_store(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        Command::Plan { file, json } => plan::plan(context, &file, json).await,
        Command::Apply { path } => apply::apply(context, &path).await,
        Command::Run(args) => run::run(context, args).await,
        Command::New { from, into, name } => new::new(context, &from, &into, name).await,
        Command::Runs(command) => runs::runs(context, command).await,
        Command::Schedules(command) => schedules::schedules(context, command).await,
        Command::Workers(command) => fleet::workers(context, command).await,
        Command::Limits(command) => fleet::limits(context, command).await,
        Command::Pause { scope } => fleet::pause(context, &scope).await,
        Command::Resume { scope } => fleet::resume(context, &scope).await,
        Command::Connections(command) => connections::connections(context, command).await,
        Command::Sql { query, format, output, limit, json } => {
            sql::sql(context, &query, format, output, limit, json).await
        }
        Command::Up(_)
        | Command::Serve { .. }
        | Command::Schema { .. }
        | Command::Explain { .. }
        | Command::Completions { .. }
        | Command::Admin(_) => Ok(ExitCode::SUCCESS),
    }
}
