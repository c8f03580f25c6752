//! When a pipeline runs is the person's to order. A model that writes more than was said is sent back.

use headwater_pipelines::spec::Schedule;

use super::said::Said;

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
    fn a_schedule_and_its_settings_are_asked_for_by_words() {
        let schedule = Schedule { overlap: Overlap::Allow, catchup: Catchup::All, ..Schedule::default() };
        let unasked = |text: &str| unasked(&Said::new(text), &schedule);
        assert_eq!(unasked("load orders into lake.x"), ["schedule", "schedule.overlap", "schedule.catchup"]);
        assert_eq!(unasked("load orders every day, runs may overlap, catch up what was missed"), Vec::<&str>::new());
    }
}
