//! `headwater ask`: a question becomes one SELECT, which is shown and run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use headwater_assistant::{AnswerReport, AskReport, Asked, Assistant, Chart, MOST_ROWS, StatementReport, Turn};
use headwater_operations::{OperationError, Step};

use super::compile::{ReadingArgs, show_not_understood, show_question, show_refusal};
use super::sql::{self, Interrupted, Ran, SqlFormat};
use crate::context::Context;
use crate::failure::hinted;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The question
    #[arg(required_unless_present = "sql")]
    question: Option<String>,
    /// Connections that it is about [default: those of the question before, or all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    on: Vec<String>,
    /// Go on with a conversation: its id, the beginning of it, or last
    #[arg(long = "in", value_name = "CONVERSATION")]
    conversation: Option<String>,
    /// Run this SELECT instead of making one, e.g. an edited one of the conversation
    #[arg(long, value_name = "SELECT", conflicts_with_all = ["model", "offline"])]
    sql: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Show the statement and do not run it
    #[arg(long)]
    dry_run: bool,
    /// Draw the rows: to FILE.html or FILE.json (Vega-Lite), or without a name here
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "dry_run")]
    chart: Option<PathBuf>,
    /// Format of the rows
    #[arg(long, value_enum, default_value = "table")]
    format: SqlFormat,
    /// Rows to print [default: 200 as a table, all otherwise]
    #[arg(long)]
    limit: Option<usize>,
    /// Seconds that the statement may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

pub(super) async fn ask(context: &Context, args: AskArgs) -> Result<ExitCode> {
    let drawing = args.chart.map(Drawing::of).transpose()?;
    let assistant = context.assistant().await?;
    let actor = &context.actor;
    let conversation = match &args.conversation {
        Some(beginning) => Some(context.operations.find_conversation(actor, beginning).await?),
        None => None,
    };
    let question = args.question.or_else(|| args.sql.clone()).unwrap_or_default();
    let asked: Asked = args.reading.asked(question.clone(), args.on);
    let turn = assistant.begin_turn(actor, asked, conversation).await?;
    let answered = tokio::select! {
        answered = answer(context, &assistant, &turn, args.sql.as_deref()) => answered?,
        () = super::interrupted() => {
            turn.step(Step::Canceled).await?;
            anyhow::bail!("interrupted");
        }
    };
    let statement = match &answered.report {
        AskReport::Statement(statement) => statement,
        other => {
            if args.format == SqlFormat::Json {
                output::json(&answered)?;
            }
            show_other(other);
            return Ok(ExitCode::from(1));
        }
    };
    show(statement);
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = if drawing.is_some() { MOST_ROWS + 1 } else { 0 };
    let ran = run(
        context,
        &turn,
        statement,
        sql::Reading { format: args.format, limit: args.limit, kept, seconds: args.seconds },
    )
    .await?;
    if let Some(drawing) = drawing {
        drawing.draw(&question, &ran)?;
    }
    if args.format == SqlFormat::Table {
        output::error_line("to go on: headwater ask --in last \"…\"");
    }
    Ok(ExitCode::SUCCESS)
}

async fn answer(
    context: &Context,
    assistant: &Assistant,
    turn: &Turn,
    sql: Option<&str>,
) -> Result<AnswerReport, OperationError> {
    match sql {
        Some(sql) => assistant.ask_edited(&context.actor, turn, sql).await,
        None => assistant.ask(&context.actor, turn).await,
    }
}

/// Runs the statement; how it ended is the last step of the turn.
async fn run(context: &Context, turn: &Turn, made: &StatementReport, reading: sql::Reading) -> Result<Ran> {
    let start = Instant::now();
    let within = Duration::from_secs(reading.seconds);
    // Reading rows ends by itself when it is interrupted.
    let ran = tokio::time::timeout(within, sql::run(context, &made.statement.sql, &reading)).await;
    let ran = ran.unwrap_or_else(|_| {
        let message = format!("the statement did not end within {} s", reading.seconds);
        Err(hinted(message, "narrow the question, or allow more with --seconds"))
    });
    let step = match &ran {
        Ok(ran) => {
            let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            Step::Rows { rows: ran.rows, more: ran.more, took_ms }
        }
        Err(error) if error.is::<Interrupted>() => Step::Canceled,
        Err(error) => match error.downcast_ref::<OperationError>() {
            Some(error) => Step::failed(error),
            None => Step::Failed { message: error.to_string(), hint: None },
        },
    };
    turn.step(step).await?;
    ran
}

fn show(made: &StatementReport) {
    let statement = &made.statement;
    if let Some(meaning) = &statement.meaning {
        output::error_line(&format!("understood as: {}", output::shown(meaning)));
    }
    output::error_lines(&statement.sql);
    let assumptions = statement.assumptions.iter();
    assumptions.for_each(|assumption| output::error_line(&format!("assumed: {}", output::shown(assumption))));
    for (connection, catalog) in &statement.catalogs {
        output::error_line(&format!("{connection} as it was at {}", output::time(Some(catalog.seen_at))));
    }
}

pub(super) fn show_other(report: &AskReport) {
    match report {
        AskReport::Question(question) => {
            show_question(question);
            output::error_line("answer with `headwater ask --in last NUMBER`");
        }
        AskReport::Refusal(refusal) => show_refusal(refusal),
        AskReport::NotUnderstood(words) => show_not_understood(words),
        AskReport::Statement(_) => {}
    }
}

/// Where a chart goes.
enum Drawing {
    Terminal,
    Page(PathBuf),
    VegaLite(PathBuf),
}

impl Drawing {
    fn of(path: PathBuf) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            _ if path.as_os_str() == "-" => Ok(Self::Terminal),
            Some("html") => Ok(Self::Page(path)),
            Some("json") => Ok(Self::VegaLite(path)),
            _ => Err(hinted(
                format!("a chart can't be drawn to '{}'", output::shown(&path.display().to_string())),
                "name a file that ends in .html or .json, or put --chart last to see it here",
            )),
        }
    }

    fn draw(&self, question: &str, ran: &Ran) -> Result<()> {
        let Some(chart) = Chart::of(question, &ran.schema, &ran.batches)? else {
            output::error_line(
                "these rows have no chart: it takes 2 to 40 bars or the points of a line, and a number in each row",
            );
            return Ok(());
        };
        let write = |path: &PathBuf, text: String| {
            std::fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))?;
            output::error_line(&format!("chart: {}", path.display()));
            Ok(())
        };
        match self {
            Self::Terminal => {
                output::lines(&chart.text(output::width()));
                Ok(())
            }
            Self::Page(path) => write(path, chart.html()?),
            Self::VegaLite(path) => write(path, chart.vega_lite()),
        }
    }
}
