//! Scripts of cases on the server of an evaluation, through `psql`.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs a script, stops at its first mistake, and gives what it printed.
pub(super) async fn psql(url: &str, script: &str) -> Result<String> {
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
    // Settings of the person's own servers have no place here.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    command.env("PGCLIENTENCODING", "UTF8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("psql could not be started; is the Postgres client installed?")?;
    let input = child.stdin.take().context("psql has no standard input")?;
    let script = script.to_owned();
    let write = async move {
        let mut input = input;
        // psql that stops at a mistake closes its input: its own message says why.
        let _ = input.write_all(script.as_bytes()).await;
    };
    let ((), done) = tokio::join!(write, child.wait_with_output());
    let done = done.context("psql could not be waited for")?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).context("psql printed what is not UTF-8")
}

/// A name as SQL quotes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
