//! The `headwater` command.

mod args;
mod commands;
mod config;
mod context;
mod evaluation;
mod executor;
mod failure;
mod fold;
mod logging;
mod output;
#[cfg(test)]
mod rooms;
mod thinking;
mod waiting;
mod watch;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Two TLS providers are linked; naming one keeps rustls from guessing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = args::Args::parse();
    logging::start(args.global.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("the runtime could not start")),
    };
    let done = runtime.block_on(commands::dispatch(args));
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match done {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
