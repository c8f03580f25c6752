//! Many days of schedules on a clock that the test moves, over a source that changes all the time: rows are inserted, updated and deleted, transactions commit
//! late, a column is added, the clock of Berlin changes, and each day the process is stopped or killed. At each midnight the lake equals the source.
//!
//! `HEADWATER_SIMULATION_DAYS` sets how many days, `HEADWATER_SIMULATION_SEED` what happens in them: even seeds in autumn, odd ones in spring.

mod judge;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use headwater_engine::failpoint::FAILPOINTS;

use crate::clock::Clock;
use crate::cursors::Writer;
use crate::random::{Random, setting};
use crate::support::{Running, World, eventually};
use judge::{Rows, Segments};

/// The clock of Berlin changes in the middle of the days: it goes back, or forward.
const CHANGES: [&str; 2] = ["2025-10-26T00:00:00Z", "2026-03-29T00:00:00Z"];

/// How many hours a transaction stays open that is open for longer than the lookback.
const LONG: i64 = 30;

/// What happens to the process before the next runs.
#[derive(Debug, Clone, Copy)]
enum Restart {
    /// It is told to stop, and starts again.
    Stopped,
    /// It is killed while nothing runs.
    Killed,
    /// It is killed while runs are running.
    KilledAtWork,
    /// It is killed at a failpoint.
    KilledAt(&'static str),
    /// It is away when its schedules fire.
    Away,
}

/// A transaction that stays open.
struct Late {
    writer: Writer,
    /// When it commits, if it is open for longer than the lookback; others commit on their day.
    until: Option<DateTime<Utc>>,
}

/// What the nightly pipeline had to load when it ran last.
#[derive(Default)]
struct Night {
    fired: usize,
    products: Rows,
    /// Unless a transaction that was open has delayed some.
    prices: Option<Rows>,
    /// Ids of products that it has seen at any time.
    known: BTreeSet<String>,
    visits: Rows,
}

struct Simulation {
    clock: Arc<Clock>,
    world: World,
    random: Random,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    serving: Option<Running>,
    late: Option<Late>,
    /// Orders that were deleted at the source, and when.
    deleted: BTreeMap<String, DateTime<Utc>>,
    night: Night,
    segments: Vec<(DateTime<Utc>, Segments)>,
    has_channel: bool,
}

#[test]
fn the_lake_equals_a_changing_source_each_midnight_of_many_days() {
    let days = setting("HEADWATER_SIMULATION_DAYS", 4).cast_signed();
    let seed = setting("HEADWATER_SIMULATION_SEED", 2);
    let change: DateTime<Utc> = CHANGES[usize::from(seed % 2 == 1)].parse().unwrap();
    let mut simulation = Simulation::new(change - TimeDelta::days(days / 2), seed);
    eprintln!("{days} days from {}, seed {seed}", simulation.start);
    for day in 0..days {
        simulation.day(day, days);
    }
    judge::judge_fires(&simulation.world, simulation.start, simulation.midnight());
    simulation.stop_serving("TERM");
}

impl Simulation {
    fn new(start: DateTime<Utc>, seed: u64) -> Self {
        let clock = Arc::new(Clock::new(start));
        let world = World::simulated(&clock);
        world.query(source::TABLES);
        for (name, pipeline) in ["hourly.yaml", "nightly.yaml"].into_iter().zip(source::pipelines(&world)) {
            world.write(name, &pipeline);
            world.succeed(&["apply", name]);
        }
        let mut simulation = Self {
            clock,
            world,
            random: Random::new(seed),
            start,
            now: start,
            serving: None,
            late: None,
            deleted: BTreeMap::new(),
            night: Night::default(),
            segments: Vec::new(),
            has_channel: false,
        };
        simulation.serve("");
        simulation
    }

    fn serve(&mut self, failpoints: &str) {
        let serving = self.world.serve(failpoints);
        eventually("it is ready", || serving.stderr().contains("headwater is ready"));
        self.serving = Some(serving);
    }

    /// Ends the process by a signal.
    fn stop_serving(&mut self, signal: &str) {
        let serving = self.serving.take().unwrap();
        serving.signal(signal);
        let done = serving.wait();
        assert!(done.was_killed() == (signal == "KILL") && (done.was_killed() || done.code() == Some(0)), "{done}");
    }

    /// The last midnight.
    fn midnight(&self) -> DateTime<Utc> {
        self.now.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc()
    }

    /// A day: some hours at which runs come, and the night, changes before each of them, and a restart before one.
    fn day(&mut self, day: i64, days: i64) {
        let midnight = self.start + TimeDelta::days(day);
        // A transaction that is open would keep the column waiting for its locks.
        if day > days / 2 && self.late.is_none() && !self.has_channel {
            self.world.query(source::NEW_COLUMN);
            self.has_channel = true;
        }
        let restart = self.restart();
        let restart_at = self.random.between(1, 24);
        let (mut hour, mut restarted) = (0, false);
        while hour < 24 {
            hour = (hour + self.random.between(1, 7)).min(24);
            let time = midnight + TimeDelta::hours(hour.cast_signed());
            if let Some(night) = judge::nights(self.now, time - TimeDelta::seconds(1)).first() {
                self.change(false, false);
                self.run_at(*night, None);
            }
            let is_long = day == 1 && self.late.is_none();
            self.change(is_long, hour == 24);
            let restart = (!restarted && hour >= restart_at).then_some(restart);
            restarted |= restart.is_some();
            self.run_at(time, restart);
        }
        self.judge();
    }

    /// What happens to the process on this day.
    fn restart(&mut self) -> Restart {
        let point = self.random.one_of(&FAILPOINTS);
        let all = [
            Restart::Stopped,
            Restart::Killed,
            Restart::KilledAtWork,
            Restart::KilledAt(point),
            Restart::KilledAt(point),
            Restart::Away,
        ];
        self.random.one_of(&all)
    }

    /// Moves the clock.
    fn set(&mut self, time: DateTime<Utc>) {
        assert!(time > self.now);
        self.now = time;
        self.clock.set(time);
    }

    /// Changes the source, some minutes after the last runs. Transactions that are open commit late, all but one before the last runs of their day.
    fn change(&mut self, is_long: bool, is_last: bool) {
        let seconds = self.random.between(120, 1_200);
        self.set(self.now + TimeDelta::seconds(seconds.cast_signed()));
        if self.late.is_none() && (is_long || self.random.once_in(3)) {
            let mut writer = Writer::new(&self.world);
            writer.say(&format!("BEGIN; {}", source::late_changes(&mut self.random)));
            self.late = Some(Late { writer, until: is_long.then(|| self.now + TimeDelta::hours(LONG)) });
        }
        let changes = source::changes(&mut self.random, self.has_channel);
        let deleted = self.world.query(&changes);
        self.deleted.extend(deleted.lines().map(|id| (id.to_owned(), self.now)));
        let is_over = match self.late.as_ref().map(|late| late.until) {
            Some(Some(until)) => self.now >= until,
            Some(None) => is_last || self.random.once_in(3),
            None => false,
        };
        if let Some(mut late) = self.late.take_if(|_| is_over) {
            late.writer.say("COMMIT");
        }
    }

    /// Lets an hour come, in which the process perhaps ends, and waits until everything has run.
    fn run_at(&mut self, hour: DateTime<Utc>, restart: Option<Restart>) {
        match restart {
            Some(Restart::Stopped | Restart::Away) => self.stop_serving("TERM"),
            Some(Restart::Killed) => self.stop_serving("KILL"),
            Some(Restart::KilledAt(point)) => {
                self.stop_serving("TERM");
                self.serve(&format!("{point}=kill"));
            }
            Some(Restart::KilledAtWork) | None => {}
        }
        if matches!(restart, Some(Restart::Stopped | Restart::Killed)) {
            self.serve("");
        }
        let late = self.random.below(40);
        self.set(hour + TimeDelta::seconds(late.cast_signed()));
        match restart {
            Some(Restart::Away) => self.serve(""),
            Some(Restart::KilledAtWork) => {
                let running = "SELECT count(*) FROM runs WHERE state = 'running'";
                eventually("runs are running", || self.world.control(running) != "0" || self.is_settled());
                self.stop_serving("KILL");
                self.serve("");
            }
            Some(Restart::KilledAt(_)) => self.serve_until_killed(),
            Some(Restart::Stopped | Restart::Killed) | None => {}
        }
        eventually("all runs have ended", || self.is_settled());
        let failed = "SELECT error_message FROM runs WHERE state <> 'succeeded'";
        assert_eq!(self.world.control(failed), "", "at {hour} after {restart:?}");
        stamp(&self.world.folder, self.now);
        self.remember();
    }

    /// Waits until the process is killed at its failpoint, and starts it anew. If no rows came, it did not get there.
    fn serve_until_killed(&mut self) {
        let mut serving = self.serving.take().unwrap();
        let mut killed = false;
        eventually("the process is killed", || {
            killed = serving.child.try_wait().unwrap().is_some();
            killed || self.is_settled()
        });
        self.serving = Some(serving);
        if killed {
            let done = self.serving.take().unwrap().wait();
            assert!(done.was_killed(), "{done}");
        } else {
            self.stop_serving("TERM");
        }
        self.serve("");
    }

    /// Whether no schedule is due and no run unfinished.
    fn is_settled(&self) -> bool {
        let open =
            "SELECT (SELECT count(*) FROM schedules WHERE next_fire_at IS NULL OR next_fire_at <= clock_timestamp())
                         + (SELECT count(*) FROM runs WHERE state NOT IN ('succeeded', 'failed', 'canceled'))";
        self.world.control(open) == "0"
    }

    /// Notes what the runs that have ended had to load.
    fn remember(&mut self) {
        let nights = judge::nights(self.start, self.now);
        if nights.len() > self.night.fired {
            let (world, night) = (&self.world, &mut self.night);
            night.fired = nights.len();
            night.products = judge::source(world, "products", &["id", "name", "price"], "true");
            let prices = || judge::source(world, "prices", &["id", "price", "updated_at"], "true");
            night.prices = self.late.is_none().then(prices);
            night.known.extend(night.products.iter().map(|row| judge::id(row).to_owned()));
            let before = format!("seen_at < '{}'", nights[nights.len() - 1].to_rfc3339());
            night.visits = judge::source(world, "visits", &["id", "seen_at"], &before);
        }
        // The hourly pipeline has loaded them.
        if self.late.is_none() && self.now.minute() == 0 {
            let segments = judge::source(&self.world, "customers", &["id", "segment"], "true");
            let pair = |row: &String| row.split_once('|').map(|(id, segment)| (id.to_owned(), segment.to_owned()));
            self.segments.push((self.now, segments.iter().filter_map(pair).collect()));
        }
    }

    /// Compares the lake with the source.
    #[allow(clippy::print_stderr, reason = "a simulation of many days shows how far it is")]
    fn judge(&mut self) {
        let what = format!("midnight of {}", self.midnight());
        let lake = judge::lake(&self.world);
        if let Some(prices) = &self.night.prices {
            judge::assert_same(&format!("{what}: prices"), &lake["prices"], prices);
        }
        judge::assert_same(&format!("{what}: visits"), &lake["visits"], &self.night.visits);
        let (live, marked): (Vec<_>, Vec<_>) = lake["products"].iter().partition(|row| row.ends_with('|'));
        let live: Rows = live.into_iter().map(|row| row[..row.len() - 1].to_owned()).collect();
        judge::assert_same(&format!("{what}: products"), &live, &self.night.products);
        assert_eq!(live.len() + marked.len(), self.night.known.len(), "{what}: products that are gone are marked");
        if self.late.is_some() {
            // A transaction that is open delays what others have written since.
            return;
        }
        let world = &self.world;
        let channel = if self.has_channel { "channel" } else { "NULL" };
        let orders = judge::source(world, "orders", &["id", "total", "note", channel, "updated_at"], "true");
        let scanned = "SELECT to_char((position ->> '_keys_scanned')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                       FROM cursors WHERE target = 'lake.orders'";
        let scanned: DateTime<Utc> = world.control(scanned).parse().unwrap();
        // Runs are up to seven hours apart.
        assert!(self.now - scanned < TimeDelta::hours(24 + 7), "{what}: keys were scanned at {scanned}");
        judge::judge_orders(&what, &lake["orders"], &orders, &self.deleted, scanned);
        let events = judge::source(world, "events", &["id", "kind", "seen_at"], "true");
        judge::assert_same(&format!("{what}: events"), &lake["events"], &events);
        let customers = judge::source(world, "customers", &["id", "name", "segment", "updated_at"], "true");
        judge::judge_history(&what, &lake["history"], &customers, &self.segments);
        eprintln!("{what}: {} orders, {} events, {} versions", orders.len(), events.len(), lake["history"].len());
    }
}

/// Gives files that were written since the last time the simulated time: a file system knows the real one alone, and tables forget old files.
fn stamp(folder: &Path, time: DateTime<Utc>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            stamp(&entry.path(), time);
        } else if metadata.is_file() && DateTime::<Utc>::from(metadata.modified().unwrap()) > time {
            let file = std::fs::File::options().append(true).open(entry.path());
            // What is gone meanwhile needs no time.
            file.map(|file| file.set_modified(time.into()).unwrap()).unwrap_or_default();
        }
    }
}
