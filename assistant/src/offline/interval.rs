//! Periods such as yesterday in a pipeline: the interval of a run, which its schedule has to end where the period does.

use headwater_pipelines::spec::Schedule;

use super::lexer::Token;
use super::period::Period;
use super::selection::{Selection, Test, Unit};
use super::sql;
use super::stop::Stop;
use super::{Setting, literals};

/// The zone that days and months of a pipeline are of: the schedule's, or the workspace's.
pub(super) fn zone_of(schedule: Option<&Schedule>, setting: &Setting<'_>) -> String {
    let own = schedule.filter(|schedule| schedule.cron.is_some()).map(|schedule| schedule.timezone.clone());
    own.map_or_else(|| setting.zone.name().to_owned(), |zone| zone.unwrap_or_else(|| "UTC".to_owned()))
}

/// The bounds of a period in a pipeline: literals if they are fixed, else the run's interval, which must be the period.
pub(super) fn bounds(
    period: Period,
    kind: &str,
    schedule: Option<&Schedule>,
    setting: &Setting<'_>,
) -> Option<(String, String)> {
    let (unit, before) = match period {
        Period::Fixed(..) => return literals(period, kind, setting),
        Period::Relative(unit, before) => (unit, before),
        // Which year's it is would depend on the day of writing.
        Period::Month(_) => return None,
    };
    let cron = schedule?.cron.as_deref()?;
    if before != 1 || cron != cron_at_the_end_of(unit)? {
        return None;
    }
    let zone = zone_of(schedule, setting);
    let local = |name: &str| match (kind.starts_with("Timestamp"), sql::is_zoned(kind)) {
        (true, true) => format!("${name}"),
        // A time without a zone is compared with the clock of the zone; the cast alone would give that of UTC.
        (true, false) => format!("to_local_time(${name} AT TIME ZONE '{zone}')"),
        _ => format!("CAST(${name} AT TIME ZONE '{zone}' AS date)"),
    };
    Some((local("interval_start"), local("interval_end")))
}

fn cron_at_the_end_of(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Day => Some("0 0 * * *"),
        Unit::Week => Some("0 0 * * 1"),
        Unit::Month => Some("0 0 1 * *"),
        Unit::Hour | Unit::Quarter | Unit::Year => None,
    }
}

fn at_the_end_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Week => "every Monday at 0:00",
        Unit::Month => "on the first of every month at 0:00",
        _ => "every day at 0:00",
    }
}

/// A relative period is the interval of a run, which its schedule has to end where the period does.
pub(super) fn no_interval(selection: &Selection, said: &[Token]) -> Stop {
    let relative = selection.conditions.iter().find_map(|condition| match &condition.test {
        Test::During(Period::Relative(unit, before)) => Some((*unit, *before, condition.words.start)),
        _ => None,
    });
    let at = relative.map_or(0, |(_, _, start)| start);
    let token = said.iter().position(|token| token.span.start >= at).unwrap_or(0);
    let expected = match relative {
        Some((unit, 1, _)) => {
            format!("a schedule that runs when the {} ends, e.g. {}", unit.as_str(), at_the_end_of(unit))
        }
        _ => "a fixed period such as in 2026, or the last day, week or month with a schedule that runs when it ends"
            .to_owned(),
    };
    Stop::at(token, expected)
}
