//! What only the person can order: how rows are written, and when. A model that writes more than was said is asked about or sent back.

use headwater_pipelines::spec::{Schedule, WriteMode};

use super::said::Said;

/// Words for modes.
const OVERWRITE: &[&str] = &[
    "overwrite",
    "overwriting",
    "overwritten",
    "replace",
    "replacing",
    "replaced",
    "refresh",
    "refreshed",
    "rewrite",
    "rewritten",
    "reload",
    "rebuild",
    "truncate",
    "snapshot",
    "überschreibe",
    "überschreiben",
    "überschrieben",
    "ersetze",
    "ersetzen",
    "ersetzt",
    "neu",
];
const APPEND: &[&str] = &[
    "append",
    "appending",
    "appended",
    "add",
    "adding",
    "added",
    "insert",
    "anhänge",
    "anhängen",
    "angehängt",
    "hinzufügen",
    "hinzugefügt",
    "ergänze",
    "ergänzen",
    "dazu",
];

/// Words that say when something runs.
const TIMES: &[&str] = &[
    "every",
    "each",
    "daily",
    "hourly",
    "weekly",
    "monthly",
    "yearly",
    "quarterly",
    "nightly",
    "night",
    "morning",
    "evening",
    "noon",
    "midnight",
    "minute",
    "hour",
    "day",
    "week",
    "weekday",
    "weekend",
    "month",
    "o'clock",
    "am",
    "pm",
    "cron",
    "schedule",
    "scheduled",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "jede",
    "jeden",
    "jeder",
    "jedes",
    "täglich",
    "stündlich",
    "wöchentlich",
    "monatlich",
    "nachts",
    "morgens",
    "abends",
    "mittags",
    "uhr",
    "stunde",
    "tag",
    "woche",
    "werktag",
    "werktags",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
    "montags",
    "dienstags",
    "mittwochs",
    "donnerstags",
    "freitags",
    "samstags",
    "sonntags",
    "monat",
];

/// Words that ask for settings of a schedule.
const OVERLAP: &[&str] = &[
    "overlap",
    "overlapping",
    "parallel",
    "concurrent",
    "concurrently",
    "simultaneously",
    "queue",
    "wait",
    "skip",
    "gleichzeitig",
    "warten",
];
const CATCHUP: &[&str] = &["catchup", "catch", "missed", "backfill", "nachholen", "verpasst", "verpasste"];
const JITTER: &[&str] = &["jitter", "spread", "random", "verteilt"];

/// What the words say of a load's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModeSaid {
    /// It is this one.
    Yes,
    /// It is another one.
    Other,
    /// Nothing.
    Nothing,
}

/// Whether the words say this mode.
pub(super) fn says_mode(said: &Said, mode: &str) -> ModeSaid {
    let (overwrite, append) = (said.has(OVERWRITE), said.has(APPEND));
    let is = |own: WriteMode| serde_json::to_value(own).is_ok_and(|value| value == mode);
    match (overwrite, append) {
        (false, false) => ModeSaid::Nothing,
        (true, _) if is(WriteMode::Overwrite) => ModeSaid::Yes,
        (_, true) if is(WriteMode::Append) => ModeSaid::Yes,
        _ => ModeSaid::Other,
    }
}

/// Settings of a schedule that no word asks for.
pub(crate) fn unasked(said: &Said, schedule: &Schedule) -> Vec<&'static str> {
    let mut unasked = Vec::new();
    if !said.has(TIMES) {
        unasked.push("schedule");
    }
    let plain = Schedule::default();
    if schedule.overlap != plain.overlap && !said.has(OVERLAP) {
        unasked.push("schedule.overlap");
    }
    if (schedule.catchup != plain.catchup || schedule.max_catchup.is_some()) && !said.has(CATCHUP) {
        unasked.push("schedule.catchup");
    }
    if schedule.jitter.is_some() && !said.has(JITTER) {
        unasked.push("schedule.jitter");
    }
    unasked
}

#[cfg(test)]
mod tests {
    use headwater_pipelines::spec::{Catchup, Overlap};

    use super::*;

    #[test]
    fn a_mode_is_said_by_words_of_its_own() {
        let says = |text: &str, mode: &str| says_mode(&Said::new(text), mode);
        assert_eq!(says("append the orders to lake.sales", "append"), ModeSaid::Yes);
        assert_eq!(says("append the orders to lake.sales", "overwrite"), ModeSaid::Other);
        assert_eq!(says("ersetze jeden Tag lake.sales", "overwrite"), ModeSaid::Yes);
        assert_eq!(says("Hänge die Bestellungen an", "append"), ModeSaid::Nothing);
        assert_eq!(says("load the orders to lake.sales", "overwrite"), ModeSaid::Nothing);
    }

    #[test]
    fn a_schedule_and_its_settings_are_asked_for_by_words() {
        let schedule = Schedule { overlap: Overlap::Allow, catchup: Catchup::All, ..Schedule::default() };
        let unasked = |text: &str| unasked(&Said::new(text), &schedule);
        assert_eq!(unasked("load orders into lake.x"), ["schedule", "schedule.overlap", "schedule.catchup"]);
        assert_eq!(unasked("load orders every day, runs may overlap, catch up what was missed"), Vec::<&str>::new());
    }
}
