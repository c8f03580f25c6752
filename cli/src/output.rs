//! Everything that is printed. Names and texts of sources reach a terminal through here alone, and do nothing to it.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use headwater_operations::Problems;
pub(crate) use headwater_pipelines::diagnostic::shown;
use headwater_pipelines::diagnostic::{acts, shown_lines};
use serde::Serialize;

/// Lines above, under the header and below; lines between rows would double the height of every list.
const PRESET: &str = "  ──════     ──────";

/// The exit code after a reader has closed its pipe: that of a program which SIGPIPE ends.
pub(crate) const PIPE_CLOSED: u8 = 141;

/// Whether the reader of standard output has closed its pipe.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of standard output has closed its pipe (`| head`).
pub(crate) fn pipe_is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Standard output for documents, which remembers that its reader went away: what writes through it reports that in its own words. A file
/// gets each byte as it is, a terminal none that acts on it.
pub(crate) struct Standard;

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut out = std::io::stdout().lock();
        noting_the_end(match out.is_terminal() {
            false => out.write(bytes),
            true => out.write_all(&inert(bytes)).map(|()| bytes.len()),
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        noting_the_end(std::io::stdout().lock().flush())
    }
}

/// Bytes of a document without those that begin escape sequences. (Characters of several bytes may come in two pieces.)
fn inert(bytes: &[u8]) -> Vec<u8> {
    let inert =
        |byte: &u8| if byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t') { b'?' } else { *byte };
    bytes.iter().map(inert).collect()
}

fn noting_the_end<T>(written: std::io::Result<T>) -> std::io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        CLOSED.store(true, Ordering::Relaxed);
    }
    written
}

/// A line on standard output.
pub(crate) fn line(text: &str) {
    print(&shown(text));
}

/// Lines on standard output: a text whose line breaks are meant.
pub(crate) fn lines(text: &str) {
    print(&shown_lines(text));
}

/// A document that is there to be kept, such as a spec: a file gets it as it is.
pub(crate) fn document(text: &str) {
    if std::io::stdout().is_terminal() { lines(text) } else { print(text) }
}

/// A line on standard error.
pub(crate) fn error_line(text: &str) {
    print_error(&shown(text));
}

/// Lines on standard error: a text whose line breaks are meant.
pub(crate) fn error_lines(text: &str) {
    print_error(&shown_lines(text));
}

/// A line on standard error in words of others, whose further lines stand so far in that they pass for none of ours.
pub(crate) fn error_of(label: &str, text: &str) {
    error_lines(&format!("{label}{}", text.trim_end().replace('\n', "\n        ")));
}

/// Findings on standard error, with excerpts of the text and, on a terminal, colours.
pub(crate) fn findings(problems: &Problems) {
    // Rendered text holds no sign of others' that acts on a terminal.
    print_error(problems.render(color(), width().min(120)).trim_end());
}

/// Asks on standard error, and leaves the cursor behind the question.
pub(crate) fn ask(question: &str) -> std::io::Result<()> {
    let mut out = std::io::stderr().lock();
    write!(out, "{} ", shown(question))?;
    out.flush()
}

/// Prints on standard output as it is. A reader that went away ends the process quietly, as other tools do.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(PIPE_CLOSED.into());
    }
}

fn print_error(text: &str) {
    // If standard error is gone, nobody is left to read it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// One JSON document on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&escaped(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// One of many JSON documents, on a line of its own.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    print(&escaped(&serde_json::to_string(value)?));
    Ok(())
}

/// JSON in which what acts on a terminal is escaped. Such a sign can only be in a string; those of ASCII are escaped already, but for DEL.
fn escaped(json: &str) -> String {
    let escape = |c: char| match c {
        c if c == '\n' || !acts(c) => c.to_string(),
        c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json.chars().map(escape).collect()
}

/// A table that fits the terminal. Ids and times are not broken: they are there to be copied.
pub(crate) fn table<R: IntoIterator<Item = String>>(header: &[&str], rows: impl IntoIterator<Item = R>) {
    let mut table = Table::new();
    table.load_preset(PRESET);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(header.iter().map(|name| shown(name)));
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    let mut whole = BTreeSet::new();
    for row in rows {
        let row: Vec<String> = row.into_iter().map(|cell| shown(&cell)).collect();
        whole.extend(row.iter().enumerate().filter(|(_, cell)| is_whole(cell)).map(|(index, _)| index));
        table.add_row(row);
    }
    for (_, column) in table.column_iter_mut().enumerate().filter(|(index, _)| whole.contains(index)) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    print(&table.trim_fmt());
}

/// Whether a cell is an id or a time.
fn is_whole(cell: &str) -> bool {
    uuid::Uuid::try_parse(cell).is_ok() || chrono::NaiveDateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%SZ").is_ok()
}

/// Whether standard error shows colours.
pub(crate) fn color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Columns of the terminal; 100 elsewhere.
pub(crate) fn width() -> usize {
    Table::new().width().map_or(100, usize::from)
}

/// `1 file`, `2 files`.
pub(crate) fn plural(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or_default();
    format!("{} {what}{}", self::count(count), if count == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub(crate) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or_default().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `12.3 MB`.
pub(crate) fn bytes(number: impl TryInto<u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut size = number.try_into().unwrap_or_default() as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" { format!("{size} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// `1.2 s`, `350 ms`.
pub(crate) fn duration(time: chrono::TimeDelta) -> String {
    let ms = time.num_milliseconds().max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A time to the second, in UTC.
pub(crate) fn time(time: Option<chrono::DateTime<chrono::Utc>>) -> String {
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1_234_567u64), "1,234,567");
        assert_eq!(count(12u64), "12");
        assert_eq!(bytes(999u64), "999 B");
        assert_eq!(bytes(1_500_000u64), "1.5 MB");
        assert_eq!(duration(chrono::TimeDelta::milliseconds(61_500)), "1 min 1 s");
        assert_eq!(duration(chrono::TimeDelta::milliseconds(1_250)), "1.2 s");
    }

    #[test]
    fn a_json_document_stays_the_same_value_and_acts_on_no_terminal() {
        let value = std::collections::BTreeMap::from([("name", "a\u{1b}[2J\u{9b}8m\u{7f}\u{202e}\u{e0041}\nb é")]);
        let text = escaped(&serde_json::to_string_pretty(&value).unwrap_or_default());
        assert!(text.lines().all(|line| !line.chars().any(acts)), "{text}");
        assert!(text.contains('é') && text.lines().count() == 3, "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), serde_json::to_value(&value).ok());
    }

    #[test]
    fn a_document_on_a_terminal_begins_no_escape_sequence() {
        assert_eq!(inert("a,\u{1b}[2J\té\r\n".as_bytes()), "a,?[2J\té\r\n".as_bytes());
    }
}
