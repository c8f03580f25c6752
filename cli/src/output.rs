//! Everything that is printed.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{ColumnConstraint, ContentArrangement, Table};
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

/// Standard output, which remembers that its reader went away: what writes through it reports that in its own words.
pub(crate) struct Standard;

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        noting_the_end(std::io::stdout().lock().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        noting_the_end(std::io::stdout().lock().flush())
    }
}

fn noting_the_end<T>(written: std::io::Result<T>) -> std::io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        CLOSED.store(true, Ordering::Relaxed);
    }
    written
}

/// A line on standard output. A reader that went away ends the process quietly, as other tools do.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(PIPE_CLOSED.into());
    }
}

/// A line on standard error.
pub(crate) fn error_line(text: &str) {
    // If standard error is gone, nobody is left to read it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// One JSON document on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// One of many JSON documents, on a line of its own.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// A table that fits the terminal. Ids and times are not broken: they are there to be copied.
pub(crate) fn table<R: IntoIterator<Item = String>>(header: &[&str], rows: impl IntoIterator<Item = R>) {
    let mut table = Table::new();
    table.load_preset(PRESET);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
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
    line(&table.trim_fmt());
}

/// Whether a cell is an id or a time.
fn is_whole(cell: &str) -> bool {
    uuid::Uuid::try_parse(cell).is_ok() || chrono::NaiveDateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%SZ").is_ok()
}

/// A text of others', whose control characters do nothing to the terminal, and none of whose signs reorders or hides others.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() || is_invisible(c) { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// A text of others' that has lines.
pub(crate) fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// Whether a sign has no width or turns the direction of writing: Unicode's default-ignorable format characters, and its separators of lines.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
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
    fn text_of_others_neither_moves_the_cursor_nor_turns_the_direction_of_writing() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c\u{200b}d é 日本"), "a\\u{1b}[2Jb\\u{202e}c\\u{200b}d é 日本");
        assert_eq!(shown_lines("SELECT 1\nFROM \u{7}t"), "SELECT 1\nFROM \\u{7}t");
    }
}
