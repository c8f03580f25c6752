//! Scripts of cases on the server of an evaluation, through `psql`.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs a script, stops at its first mistake, and gives what it printed. Commands of psql's own, which could run programs, are refused.
pub(super) async fn psql(url: &str, script: &str) -> Result<String> {
    if let Some(line) = own_command(script) {
        bail!("line {line} of a script has a backslash, which is a command to psql: cases are SQL alone");
    }
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
    // Neither settings of the person's own servers nor their keys have a place here.
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
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

/// The first line with a backslash outside of texts, comments and the data of a COPY.
fn own_command(script: &str) -> Option<usize> {
    let mut rest = script;
    let mut copies = false;
    let line = |rest: &str| script[..script.len() - rest.len()].matches('\n').count() + 1;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\\' => return Some(line(rest)),
            '\'' => {
                text_length(rest, rest.len() < script.len() && ends_in_escape(&script[..script.len() - rest.len()]))
            }
            '"' => 1 + rest[1..].find('"').map_or(rest.len() - 1, |at| at + 1),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '$' => dollar_length(rest),
            ';' => {
                let statement = &script[..script.len() - rest.len()];
                let statement = statement.rsplit(';').next().unwrap_or_default().to_lowercase();
                copies = statement.trim_start().starts_with("copy") && statement.trim_end().ends_with("stdin");
                1
            }
            '\n' if copies => {
                copies = false;
                rest.find("\n\\.").map_or(rest.len(), |at| at + 3)
            }
            other => other.len_utf8(),
        };
        rest = &rest[skipped.max(1).min(rest.len())..];
    }
    None
}

/// Whether a text that begins here has escapes: `E'…'`.
fn ends_in_escape(before: &str) -> bool {
    before.ends_with(['e', 'E']) && !before[..before.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The length of a text in quotes.
fn text_length(text: &str, has_escapes: bool) -> usize {
    let mut signs = text.char_indices().skip(1);
    while let Some((at, c)) = signs.next() {
        match c {
            '\\' if has_escapes => {
                signs.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a text between two tags such as `$$` or `$body$`; 1 if none begins here.
fn dollar_length(text: &str) -> usize {
    let Some(end) = text[1..].find('$') else { return 1 };
    let tag = &text[..end + 2];
    if !tag[1..=end].chars().all(|c| c.is_alphanumeric() || c == '_') {
        return 1;
    }
    text[tag.len()..].find(tag).map_or(text.len(), |at| at + 2 * tag.len())
}

/// A name as SQL quotes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_psql_are_found_and_backslashes_of_data_are_not() {
        for script in [
            "\\! id",
            "SELECT 1 \\! id",
            "SELECT 1;\n\\copy t TO PROGRAM 'id'",
            "SELECT 'a\\'; \\! id",
            "COPY t FROM stdin;\n1\n\\.\n\\! id",
        ] {
            assert!(own_command(script).is_some(), "{script}");
        }
        for script in [
            "SELECT 'a\\b', E'it\\'s', \"a\\b\"",
            "-- a \\ comment\nSELECT 1 /* \\ */",
            "DO $$ BEGIN PERFORM '\\'; END $$; DO $x$ \\ $x$",
            "COPY t FROM stdin;\n\\N\ta\\tb\n\\.\nSELECT 1",
            "SELECT $1, 5 $ 3",
        ] {
            assert_eq!(own_command(script), None, "{script}");
        }
    }
}
