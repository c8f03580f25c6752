//! Two pipelines that load one table at the same time, from sources and cursors of their own: random batches, processes that are killed or fail at named places,
//! retries and reruns. After each round the table holds what a model says, read by software that shares no code with Headwater.
//!
//! `HEADWATER_TWO_PIPELINES_ROUNDS` sets how many rounds, `HEADWATER_TWO_PIPELINES_SEED` repeats what happens in them.

use std::collections::BTreeMap;

use headwater_engine::failpoint::FAILPOINTS;

use crate::random::{Random, setting};
use crate::support::{Done, World, eventually, python};

const SIDES: [&str; 2] = ["east", "west"];

/// What the pipelines load into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Delta,
    Postgres,
}

/// What they do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loads {
    /// Upserts of keys that only one of them has.
    Disjoint,
    /// Upserts of keys some of which both have.
    Overlapping,
    /// Appends.
    Append,
}

/// A row that a pipeline has to load.
#[derive(Debug, Clone)]
struct Row {
    id: u64,
    seq: u64,
    note: String,
    gone: bool,
}

impl Row {
    fn read(line: &str) -> Self {
        let fields: Vec<&str> = line.split('|').collect();
        let number = |field: &str| field.parse().unwrap();
        Self { id: number(fields[0]), seq: number(fields[1]), note: fields[2].to_owned(), gone: fields[3] == "t" }
    }
}

/// The rows of the table by their keys.
type Table = BTreeMap<u64, String>;

struct Pair<'a> {
    world: &'a World,
    target: Target,
    loads: Loads,
    /// The table that they load.
    table: String,
}

impl<'a> Pair<'a> {
    fn new(world: &'a World, target: Target, loads: Loads) -> Self {
        let pair = Self { world, target, loads, table: format!("{loads:?}").to_lowercase() };
        for (side, cursor) in SIDES.into_iter().zip(["seq", "changed_at"]) {
            let name = pair.name(side);
            world.query(&format!(
                "CREATE TABLE {name} (id bigint NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, note text NOT NULL, gone boolean NOT NULL,
                                      changed_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            ));
            world.write(&format!("{name}.yaml"), &pair.spec(&name, cursor));
        }
        pair
    }

    /// The name of one side's pipeline and source.
    fn name(&self, side: &str) -> String {
        format!("{side}_{}", self.table)
    }

    fn spec(&self, name: &str, cursor: &str) -> String {
        let (connection, into) = match self.target {
            Target::Delta => {
                let folder = self.world.folder.join("lake");
                (format!("{{ type: delta, location: \"file://{}\" }}", folder.display()), self.table.clone())
            }
            Target::Postgres => {
                let url = self.world.control_server.url(&self.world.control);
                (format!("{{ type: postgres, url: \"{url}\" }}"), format!("public.{}", self.table))
            }
        };
        let mode = match self.loads {
            Loads::Append => "mode: append",
            Loads::Disjoint | Loads::Overlapping => "mode: upsert, keys: [id], order_by: seq, deleted_when: gone",
        };
        format!(
            "name: {name}\nconnections:\n  source: {{ type: postgres, url: \"{}\" }}\n  target: {connection}\ntasks:\n  \
             rows: {{ extract: {{ from: source.public.{name}, cursor: {cursor} }} }}\n  \
             publish:\n    load: {{ input: rows, into: target.{into}, {mode} }}\n    \
             retry: {{ attempts: 5, backoff: constant, delay: 100ms }}\n",
            self.world.url()
        )
    }

    /// Keys of one side, from one to another.
    fn keys(&self, side: &str) -> (u64, u64) {
        match (self.loads, side) {
            (Loads::Overlapping, "east") => (1, 30),
            (Loads::Overlapping, _) => (21, 50),
            (_, "east") => (1, 25),
            _ => (26, 50),
        }
    }

    /// Writes rows to the source of one side in one transaction, and gives those that a load has to read: new ones, and unless they are appended old ones that change or
    /// are written again as they were.
    fn batch(&self, side: &str, random: &mut Random) -> Vec<Row> {
        const RETURNING: &str = "RETURNING id, seq, note, gone";
        let (name, (low, high)) = (self.name(side), self.keys(side));
        let mut statements = String::new();
        if self.loads != Loads::Append {
            // No row is written twice in the transaction.
            let [changed, rewritten] = [random.between(low, high), random.below(6)];
            statements = format!(
                "UPDATE {name} SET note = note || '!', gone = false, seq = DEFAULT, changed_at = clock_timestamp() WHERE id = {changed} {RETURNING};
                 UPDATE {name} SET note = note WHERE id % 6 = {rewritten} AND id <> {changed} {RETURNING};"
            );
        }
        let row =
            |_| format!("({}, '{side} {}', {})", random.between(low, high), random.below(1_000), random.once_in(5));
        let rows: Vec<String> = (0..self.batch_size()).map(row).collect();
        statements += &format!("INSERT INTO {name} (id, note, gone) VALUES {} {RETURNING}", rows.join(", "));
        self.world.query(&statements).lines().map(Row::read).collect()
    }

    /// How many rows are new in a batch: few, where two loads are to meet now and then.
    fn batch_size(&self) -> u64 {
        if self.loads == Loads::Append { 40 } else { 6 }
    }

    /// Runs a pipeline to its end in process after process, each of which is killed, or has its load fail, at the next place of these.
    fn see_through(&self, side: &str, places: &[String]) {
        let name = self.name(side);
        let mut places = places.iter().map(String::as_str);
        let file = format!("{name}.yaml");
        let mut done = self.process(&["run", &file], places.next());
        // Each place is passed once, and the reruns behind the last one are not disturbed.
        for _ in 0..8 {
            let list = self.world.json(&["runs", "list", "--pipeline", &name, "--limit", "1", "--json"]);
            let run = list["runs"][0].clone();
            if run["state"] == "succeeded" {
                return;
            }
            assert!(done.was_killed() || run["state"] == "failed", "{name}: {done} {run:#}");
            let run = run["run_id"].as_str().unwrap().to_owned();
            done = self.process(&["runs", "rerun", &run], places.next());
        }
        panic!("{name} does not succeed: {done}");
    }

    fn process(&self, arguments: &[&str], failpoint: Option<&str>) -> Done {
        let mut command = self.world.command(arguments);
        command.env("HEADWATER_FAILPOINTS", failpoint.unwrap_or_default());
        self.world.start(command).wait()
    }

    /// Rows of the table as `id|seq|note`, sorted.
    fn contents(&self) -> Vec<String> {
        let text = match self.target {
            Target::Delta => {
                let path = self.world.folder.join("lake").join(&self.table).display().to_string();
                let program = "import deltalake, sys\nfor r in deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist(): print(r['id'], r['seq'], r['note'], sep='|')";
                python(program, &[&path])
            }
            Target::Postgres => self.world.control(&format!("SELECT id, seq, note FROM public.{}", self.table)),
        };
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    }
}

/// Places at which the processes of a pipeline end or fail in one round.
fn places(random: &mut Random) -> Vec<String> {
    let count = random.below(3);
    let place = |_| format!("{}={}", random.one_of(&FAILPOINTS), random.one_of(&["kill", "kill", "error"]));
    (0..count).map(place).collect()
}

/// The table after a load of rows by keys: the last row of each key, unless it says that the key is gone.
fn loaded(table: &Table, rows: &[Row]) -> Table {
    let mut table = table.clone();
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.seq);
    for row in rows {
        match row.gone {
            true => table.remove(&row.id),
            false => table.insert(row.id, text(&row)),
        };
    }
    table
}

fn text(row: &Row) -> String {
    format!("{}|{}|{}", row.id, row.seq, row.note)
}

fn sorted(table: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = table.into_iter().collect();
    rows.sort_unstable();
    rows
}

/// Rounds of two batches that are loaded at the same time. A load is one commit, so that the table is what it is if one of them comes after the other.
#[allow(clippy::print_stderr, reason = "a failure has to be repeated")]
fn rounds(world: &World, target: Target, loads: Loads) {
    let seed = setting("HEADWATER_TWO_PIPELINES_SEED", 1);
    let pair = Pair::new(world, target, loads);
    let mut random = Random::new(seed + loads as u64);
    let (mut table, mut appended) = (Table::new(), Vec::new());
    for round in 0..setting("HEADWATER_TWO_PIPELINES_ROUNDS", 2) {
        let batches = SIDES.map(|side| pair.batch(side, &mut random));
        let places = SIDES.map(|_| places(&mut random));
        let what = format!("seed {seed}, {target:?}, {loads:?}, round {round}, {places:?}");
        eprintln!("{what}");
        std::thread::scope(|scope| {
            for (side, places) in SIDES.into_iter().zip(&places) {
                let pair = &pair;
                scope.spawn(move || pair.see_through(side, places));
            }
        });
        let found = pair.contents();
        if loads == Loads::Append {
            appended.extend(batches.iter().flatten().map(text));
            assert_eq!(found, sorted(appended.clone()), "{what}");
            continue;
        }
        let orders = [[0, 1], [1, 0]].map(|[first, second]| loaded(&loaded(&table, &batches[first]), &batches[second]));
        let order = orders.iter().position(|table| sorted(table.values().cloned()) == found);
        let order = order.unwrap_or_else(|| panic!("{what}: {batches:#?}\nbefore {table:#?}\nfound {found:#?}"));
        table.clone_from(&orders[order]);
    }
}

/// Everything that two pipelines do to one table.
fn all_loads(target: Target) {
    let world = World::apart();
    for loads in [Loads::Disjoint, Loads::Overlapping, Loads::Append] {
        rounds(&world, target, loads);
    }
}

#[test]
fn two_pipelines_that_load_one_delta_table_at_once_leave_what_they_would_one_after_the_other() {
    all_loads(Target::Delta);
}

#[test]
fn two_pipelines_that_load_one_postgres_table_at_once_leave_what_they_would_one_after_the_other() {
    all_loads(Target::Postgres);
}

#[test]
fn rows_that_a_load_finds_as_they_are_and_rows_that_it_replaces_are_from_one_moment() {
    // GIVEN a row of each side in a file of its own
    let world = World::apart();
    let pair = Pair::new(&world, Target::Delta, Loads::Overlapping);
    let files = SIDES.map(|side| format!("{}.yaml", pair.name(side)));
    let write = |side: &str, id: u64| {
        let name = pair.name(side);
        let again = format!("UPDATE {name} SET note = note");
        world.query(&format!("{again}; INSERT INTO {name} (id, note, gone) VALUES ({id}, '{side}', false)"));
    };
    for ((side, file), id) in SIDES.into_iter().zip(&files).zip([1, 2]) {
        write(side, id);
        world.succeed(&["run", file]);
    }
    // WHEN each side writes its own row again as it was and replaces the other's, and the west's load comes between the east's merge and its commit
    write("east", 2);
    write("west", 1);
    let mut command = world.command(&["run", &files[0]]);
    command.env("HEADWATER_FAILPOINTS", "after_write=stop").env("HEADWATER_LEASE_TIME_MS", "3600000");
    let frozen = world.start(command);
    eventually("the process is frozen", || frozen.is_stopped());
    world.succeed(&["run", &files[1]]);
    frozen.signal("CONT");
    let done = frozen.wait();
    assert!(done.status.success(), "{done}");
    // THEN both rows are from the load that came last
    let found = pair.contents();
    let of = |side: &str| found.iter().filter(|row| row.ends_with(side)).count();
    assert!(of("east") == 2 || of("west") == 2, "{found:?}");
}
