//! One file a command: its arguments, and what it prints.

mod admin;
mod apply;
mod ask;
mod backfills;
mod compile;
mod completions;
mod connections;
mod conversations;
mod cursors;
mod drafts;
mod eval;
mod explain;
mod files;
mod glossary;
mod limits;
mod models;
mod new;
mod pause;
mod pipelines;
mod plan;
mod questions;
mod rehearse;
mod rejects;
mod run;
mod runs;
mod schedules;
mod schema;
mod serve;
mod skill;
mod sql;
mod streams;
mod why;
mod workers;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Args;
use crate::config::Config;
use crate::context::{Context, Opening};

pub(crate) use serve::ServeArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run server, scheduler and worker in one process
    #[command(after_help = "Examples:\n  headwater up\n  headwater up --port 7700 --slots 4")]
    Up(ServeArgs),
    /// Run the given roles in one process
    #[command(
        after_help = "Examples:\n  headwater serve --roles scheduler,worker\n  headwater serve --roles worker --queues default,big --labels gpu,eu"
    )]
    Serve(serve::RoleArgs),
    /// Check a spec against the real schemas, and show stages and DDL
    #[command(after_help = "Examples:\n  headwater plan orders.yaml\n  headwater plan orders.yaml --json")]
    Plan(plan::PlanArgs),
    /// Approve specs as their pipelines' next versions, and store their connections
    #[command(after_help = "Examples:\n  headwater apply orders.yaml\n  headwater apply pipelines/")]
    Apply(apply::ApplyArgs),
    /// Run a spec or an approved pipeline and wait for it
    #[command(after_help = "Examples:\n  headwater run orders.yaml\n  headwater run orders --param country=DE --json")]
    Run(run::RunArgs),
    /// Write a commented spec that copies tables
    #[command(
        after_help = "Examples:\n  headwater new --from shop.public.* --into lake > shop.yaml\n  headwater new --from shop.public.orders --into lake --name orders"
    )]
    New(new::NewArgs),
    /// List, show and remove approved pipelines
    #[command(subcommand)]
    Pipelines(pipelines::PipelinesCommand),
    /// List, show, cancel and rerun runs
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    /// List, preview, pause and resume schedules
    #[command(subcommand)]
    Schedules(schedules::SchedulesCommand),
    /// List, show, pause and resume pipelines that run until stopped
    #[command(subcommand)]
    Streams(streams::StreamsCommand),
    /// Load an interval of the past, slice by slice
    #[command(
        after_help = "Examples:\n  headwater backfill orders --from 2026-01-01 --to 2026-02-01 --dry-run\n  headwater backfill orders --from 2026-01-01 --to 2026-02-01 --every 1d --parallel 4"
    )]
    Backfill(backfills::BackfillArgs),
    /// List, show, pause, resume and cancel backfills
    #[command(subcommand)]
    Backfills(backfills::BackfillsCommand),
    /// List, show and reset how far loads have read their sources
    #[command(subcommand)]
    Cursors(cursors::CursorsCommand),
    /// List, show and discard rows and messages that loads have set aside
    #[command(subcommand)]
    Rejects(rejects::RejectsCommand),
    /// List workers
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// Limit concurrent stages
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Pause a pipeline, a queue or a connection: start no new stages
    #[command(after_help = "Examples:\n  headwater pause queue:default\n  headwater pause pipeline:orders")]
    Pause(pause::PauseArgs),
    /// Resume a pipeline, a queue or a connection
    #[command(after_help = "Examples:\n  headwater resume queue:default\n  headwater resume pipeline:orders")]
    Resume(pause::PauseArgs),
    /// Add, list, check and remove connections
    #[command(subcommand)]
    Connections(connections::ConnectionsCommand),
    /// Say what terms of your language mean: a table, a column, or SQL
    #[command(subcommand)]
    Glossary(glossary::GlossaryCommand),
    /// Keep questions with statements that somebody has checked
    #[command(subcommand)]
    Questions(questions::QuestionsCommand),
    /// Make a draft of a pipeline from a sentence; nothing runs
    #[command(
        after_help = "Examples:\n  headwater compile \"Every weekday at 6:00 in Europe/Berlin load shop.public.orders into lake.orders, overwrite\"\n  headwater compile \"load id and name of customers into lake.customers, overwrite\" -o customers.yaml"
    )]
    Compile(compile::CompileArgs),
    /// List, show, answer, approve and discard drafts
    #[command(subcommand)]
    Drafts(drafts::DraftsCommand),
    /// Answer a question with one read-only SELECT, which is shown
    #[command(
        after_help = "Examples:\n  headwater ask \"count orders per country of the customer\"\n  headwater ask --in last \"only those where status is paid\" --chart orders.html"
    )]
    Ask(ask::AskArgs),
    /// List and show your conversations: what you asked, and how it was answered
    #[command(subcommand)]
    Conversations(conversations::ConversationsCommand),
    /// List and check models, store their keys, show what they cost
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Measure the assistant on cases, in a temporary installation
    #[command(
        after_help = "Examples:\n  headwater eval tests/evaluation/dev --offline\n  headwater eval tests/evaluation/dev --model big --record answers --failures"
    )]
    Eval(eval::EvalArgs),
    /// Run one read-only SELECT across connections
    #[command(
        after_help = "Examples:\n  headwater sql \"SELECT count(*) FROM lake.orders\"\n  headwater sql -f report.sql --format csv"
    )]
    Sql(sql::SqlArgs),
    /// Print the JSON Schema of specs
    #[command(
        after_help = "Examples:\n  headwater schema --model > plan.schema.json\n  headwater schema --connector postgres"
    )]
    Schema(schema::SchemaArgs),
    /// Print a skill file for coding agents: what a spec is, its rules, fields and commands
    #[command(after_help = "Examples:\n  headwater skill > skills/headwater/SKILL.md\n  headwater skill")]
    Skill,
    /// Explain a diagnostic's code
    #[command(after_help = "Examples:\n  headwater explain unknown_column\n  headwater explain --list")]
    Explain(explain::ExplainArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  headwater completions bash > /etc/bash_completion.d/headwater\n  headwater completions zsh"
    )]
    Completions(completions::CompletionsArgs),
    /// Migrate, check and open the control plane
    #[command(subcommand)]
    Admin(admin::AdminCommand),
}

/// Runs the command.
pub(crate) async fn dispatch(args: Args) -> Result<ExitCode> {
    let config = Config::load(&args.global)?;
    match args.command {
        Command::Schema(args) => schema::schema(&args),
        Command::Skill => skill::skill(),
        Command::Explain(args) => explain::explain(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Admin(command) => admin::admin(config, command).await,
        Command::Up(args) => serve::up(config, &args).await,
        Command::Serve(args) => serve::serve(config, &args).await,
        Command::Eval(args) => eval::eval(config, args).await,
        command => {
            let context = Context::open(config, Opening::Use).await?;
            let done = match asks_models(&command) {
                // What is dropped is settled: calls are rows, and what is left of a budget is given back.
                true => tokio::select! {
                    done = with_operations(&context, command) => done,
                    () = interrupted() => Err(anyhow::anyhow!("interrupted")),
                },
                false => with_operations(&context, command).await,
            };
            let closed = context.close().await;
            let code = done?;
            closed?;
            Ok(code)
        }
    }
}

/// Whether a command calls models and has no way of its own to be interrupted.
fn asks_models(command: &Command) -> bool {
    matches!(
        command,
        Command::Compile(_) | Command::Drafts(_) | Command::Models(_) | Command::Runs(runs::RunsCommand::Explain(_))
    )
}

/// Waits for Ctrl-C or the signal to terminate.
async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

async fn with_operations(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        Command::Plan(args) => plan::plan(context, &args).await,
        Command::Apply(args) => apply::apply(context, &args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::New(args) => new::new(context, args).await,
        Command::Pipelines(command) => pipelines::pipelines(context, command).await,
        Command::Runs(command) => runs::runs(context, command).await,
        Command::Backfill(args) => backfills::backfill(context, args).await,
        Command::Backfills(command) => backfills::backfills(context, command).await,
        Command::Streams(command) => streams::streams(context, command).await,
        Command::Cursors(command) => cursors::cursors(context, command).await,
        Command::Rejects(command) => rejects::rejects(context, command).await,
        Command::Schedules(command) => schedules::schedules(context, command).await,
        Command::Workers(command) => workers::workers(context, command).await,
        Command::Limits(command) => limits::limits(context, command).await,
        Command::Pause(args) => pause::pause(context, &args).await,
        Command::Resume(args) => pause::resume(context, &args).await,
        Command::Connections(command) => connections::connections(context, command).await,
        Command::Glossary(command) => glossary::glossary(context, command).await,
        Command::Questions(command) => questions::questions(context, command).await,
        Command::Compile(args) => compile::compile(context, args).await,
        Command::Drafts(command) => drafts::drafts(context, command).await,
        Command::Ask(args) => ask::ask(context, args).await,
        Command::Conversations(command) => conversations::conversations(context, command).await,
        Command::Models(command) => models::models(context, command).await,
        Command::Sql(args) => sql::sql(context, args).await,
        Command::Up(_)
        | Command::Serve(_)
        | Command::Schema(_)
        | Command::Skill
        | Command::Explain(_)
        | Command::Completions(_)
        | Command::Eval(_)
        | Command::Admin(_) => Ok(ExitCode::SUCCESS),
    }
}
