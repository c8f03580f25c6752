//! Charts in a terminal: a bar for each row.

use super::Chart;

/// Columns of a label.
const LABEL: usize = 24;

/// Parts of a full block, from an eighth.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A row for each value: its label, a bar from 0, the value. Bars of negative values are lighter.
pub(super) fn text(chart: &Chart, width: usize) -> String {
    let label = |point: &super::Point| match &point.series {
        Some(series) => format!("{} / {series}", plain(&point.label)),
        None => plain(&point.label),
    };
    let labels: Vec<String> = chart.points.iter().map(|point| cut(&plain(&label(point)))).collect();
    let widest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let values: Vec<String> = chart.points.iter().map(|point| number(point.value)).collect();
    let longest = values.iter().map(String::len).max().unwrap_or(0);
    let room = width.saturating_sub(widest + longest + 6).max(8);
    let (low, high) = chart.range();
    let most = high.max(-low);
    let rows = chart.points.iter().zip(labels.iter().zip(&values)).map(|(point, (label, value))| {
        let pad = " ".repeat(widest - label.chars().count());
        format!("  {label}{pad} {} {value}", bar(point.value / most, room))
    });
    let rows: Vec<String> = rows.collect();
    format!("  {}\n{}", plain(&chart.y), rows.join("\n"))
}

/// A bar of a share of the room, to an eighth of a column.
fn bar(share: f64, room: usize) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a terminal's width")]
    let eighths = (share.abs().min(1.0) * (room * 8) as f64).round() as usize;
    let full = if share < 0.0 { '░' } else { '█' };
    let mut bar: String = std::iter::repeat_n(full, eighths / 8).collect();
    if share >= 0.0
        && let Some(part) = (eighths % 8).checked_sub(1)
    {
        bar.push(EIGHTHS[part]);
    }
    bar
}

fn cut(text: &str) -> String {
    match text.chars().count() > LABEL {
        true => text.chars().take(LABEL - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Others' text, whose control characters do nothing to the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value with at most two places behind the point.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
