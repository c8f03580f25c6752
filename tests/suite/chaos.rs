//! A fleet under faults: workers and schedulers die, freeze and lose their network, Postgres restarts and drops its sessions. In the
//! end every run is terminal, and the targets hold exactly the rows of the runs that succeeded, as other software reads them.
//!
//! `HEADWATER_CHAOS_SECONDS` sets how long it goes on, `HEADWATER_CHAOS_SEED` repeats the order of the faults.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::link::Link;
use crate::support::{eventually, headwater, python};

/// How long a silent process keeps its stages.
const LEASE_TIME: Duration = Duration::from_secs(2);

/// Everything must be well again this long after the last fault.
const HEALED_WITHIN: Duration = Duration::from_secs(15);

/// Rows that every run appends to each target.
const ROWS: u64 = 2_000;

const WORKERS: usize = 3;
const SCHEDULERS: usize = 2;

/// The one Postgres: control plane, source and target. It can be killed and started again.
struct Server {
    folder: PathBuf,
    bin: PathBuf,
    process: Child,
}

impl Server {
    fn new(folder: PathBuf) -> Self {
        let bin = headwater_store::embedded::find_servers().into_iter().next().expect("a Postgres server").bin;
        std::fs::create_dir(&folder).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let data = folder.join("data").display().to_string();
        let made = as_server(&bin.join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync", "-D", &data])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let process = Self::start(&bin, &folder);
        let server = Self { folder, bin, process };
        server.wait_until_ready();
        server
    }

    fn start(bin: &Path, folder: &Path) -> Child {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        as_server(&bin.join("postgres"))
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-c", "listen_addresses=", "-c", "max_connections=300", "-c", "jit=off"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Ends it without a word, as a power cut would, and starts it again.
    fn restart(&mut self) {
        let pid_file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid_file.lines().next().unwrap().to_owned();
        assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
        self.process.wait().unwrap();
        self.process = Self::start(&self.bin, &self.folder);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let start = Instant::now();
        while self.ask("postgres", "SELECT 1").is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "Postgres does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, database: &str, sql: &str) -> Option<String> {
        let done = Command::new("psql")
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(url(&self.folder, database))
            .env("PGOPTIONS", "-c search_path=headwater,public")
            .output()
            .unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap().trim().to_owned())
    }

    fn query(&self, database: &str, sql: &str) -> String {
        self.ask(database, sql).unwrap_or_else(|| panic!("{sql}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("pkill").args(["-QUIT", "-P", &self.process.id().to_string()]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of the server, which refuses root.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}

fn url(socket: &Path, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", socket.display())
}

/// The processes, and what they share.
struct Fleet {
    folder: PathBuf,
    server: Server,
    link: Link,
    processes: Vec<Member>,
    seed: u64,
}

/// A process and what it was started as.
struct Member {
    child: Child,
    role: &'static str,
}

impl Fleet {
    fn new(folder: &Path, seed: u64) -> Self {
        let server = Server::new(folder.join("pg"));
        for database in ["control", "shop"] {
            server.query("postgres", &format!("CREATE DATABASE {database}"));
        }
        let link = Link::new(folder.join("link"), &server.folder, None);
        let mut fleet = Self { folder: folder.to_owned(), server, link, processes: Vec::new(), seed };
        fleet.prepare();
        for role in std::iter::repeat_n("worker", WORKERS).chain(std::iter::repeat_n("scheduler", SCHEDULERS)) {
            fleet.start(role);
        }
        fleet
    }

    /// A table to read, and a pipeline that fires every second and loads it into a Delta and a Postgres table.
    fn prepare(&self) {
        self.server.query(
            "shop",
            &format!(
                "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL);
                 INSERT INTO orders SELECT i, i / 4.0 FROM generate_series(1, {ROWS}) i"
            ),
        );
        let spec = format!(
            "name: copies\nschedule: {{ every: 1s, catchup: all, overlap: allow }}\n\
             connections:\n  shop: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{}/lake\" }}\n\
             tasks:\n  first: {{ wait: 1ms }}\n  second: {{ wait: 1ms, needs: [first] }}\n  third: {{ wait: 1ms, needs: [second] }}\n  stamped: {{ transform: \"SELECT $run_id AS run_id, id, amount FROM shop.public.orders\" }}\n\
             {}{}",
            url(&self.server.folder, "shop"),
            self.folder.display(),
            load("to_lake", "lake.copies"),
            load("to_shop", "shop.public.copies"),
        );
        std::fs::write(self.folder.join("copies.yaml"), spec).unwrap();
        self.headwater(&["admin", "migrate"]);
        self.headwater(&["apply", "copies.yaml"]);
    }

    fn command(&self, socket: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(headwater());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("HEADWATER_DATABASE_URL", url(socket, "control"))
            .env("HEADWATER_DATA_DIR", self.folder.join("data"))
            .env("HEADWATER_LEASE_TIME_MS", LEASE_TIME.as_millis().to_string())
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// A command of a person, who is not behind the link.
    fn headwater(&self, arguments: &[&str]) -> String {
        let done = self.command(&self.server.folder, arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn start(&mut self, role: &'static str) {
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{role}.log"))).unwrap();
        let child = self
            .command(&self.link.folder, &["serve", "--roles", role])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.processes.push(Member { child, role });
    }

    /// The next number of the seed's sequence (splitmix64), below a bound.
    fn random(&mut self, bound: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    /// Does something bad, and says what.
    fn fault(&mut self) -> &'static str {
        let victim = self.random(self.processes.len());
        match self.random(11) {
            0..=3 => {
                self.kill(victim);
                "a process is killed"
            }
            4 | 5 => {
                self.processes[victim].signal("-STOP");
                std::thread::sleep(LEASE_TIME * 2);
                self.processes[victim].signal("-CONT");
                "a process was frozen for longer than its lease"
            }
            6 | 7 => {
                self.server.query(
                    "postgres",
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ('control', 'shop')",
                );
                "Postgres ends all sessions"
            }
            8 => {
                self.server.restart();
                "Postgres is restarted"
            }
            9 => {
                self.link.cut();
                std::thread::sleep(LEASE_TIME);
                self.link.mend();
                "the network was cut"
            }
            _ => {
                self.link.go_dark();
                std::thread::sleep(LEASE_TIME);
                self.link.mend();
                "the network swallowed everything for a while, and what was open for good"
            }
        }
    }

    /// Kills a process and starts another one in its place.
    fn kill(&mut self, victim: usize) {
        let mut member = self.processes.remove(victim);
        member.child.kill().unwrap();
        member.child.wait().unwrap();
        self.start(member.role);
    }

    /// Kills all workers, one of them in the middle of a load for certain: its source lets it wait.
    fn kill_workers_at_work(&mut self) {
        let mut locker = Command::new("psql")
            .args(["-X", "-q", "-c", "BEGIN; LOCK TABLE orders; SELECT pg_sleep(600)"])
            .arg(url(&self.server.folder, "shop"))
            .env("PGAPPNAME", "locker")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stuck = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'";
        eventually("a worker waits for its source", || self.server.query("shop", stuck) != "0");
        (0..WORKERS).for_each(|_| self.kill(0));
        self.server
            .query("shop", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'locker'");
        locker.wait().unwrap();
    }

    fn control(&self, sql: &str) -> String {
        self.server.query("control", sql)
    }

    /// What is not yet as it should be.
    fn unwell(&self) -> String {
        self.control(
            "SELECT concat_ws(', ', count(*) FILTER (WHERE state NOT IN ('succeeded', 'failed', 'canceled')) || ' unfinished runs',
                    (SELECT count(*) FROM leases) || ' leases', (SELECT count(*) FROM ready) || ' ready',
                    (SELECT count(*) FROM wakes) || ' waits') FROM runs",
        )
    }

    /// Waits until every run has ended and nothing is held any more.
    fn heal(&self) -> Duration {
        let start = Instant::now();
        loop {
            let unwell = self.unwell();
            if unwell == "0 unfinished runs, 0 leases, 0 ready, 0 waits" {
                return start.elapsed();
            }
            assert!(start.elapsed() < HEALED_WITHIN, "{HEALED_WITHIN:?} after the last fault there are {unwell}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Member {
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.processes {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn load(task: &str, into: &str) -> String {
    format!(
        "  {task}:\n    load: {{ input: stamped, into: {into}, mode: append }}\n    \
         retry: {{ attempts: 50, backoff: constant, delay: 200ms }}\n"
    )
}

/// Rows by run, as `run|rows|sum`.
fn by_run(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('|')).map(|(run, rest)| (run.to_owned(), rest.to_owned())).collect()
}

#[test]
fn a_fleet_under_faults_loses_nothing_doubles_nothing_and_heals() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = setting("HEADWATER_CHAOS_SECONDS").unwrap_or(30);
    let seed = setting("HEADWATER_CHAOS_SEED").unwrap_or(1);
    eprintln!("seed {seed}");
    let folder = tempfile::Builder::new().prefix("hwchaos").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut fleet = Fleet::new(folder.path(), seed);
    let start = Instant::now();
    let mut faults = BTreeMap::new();
    fleet.kill_workers_at_work();
    while start.elapsed() < Duration::from_secs(seconds) {
        let pause = 500 + fleet.random(1_500);
        std::thread::sleep(Duration::from_millis(pause as u64));
        *faults.entry(fleet.fault()).or_insert(0) += 1;
    }
    fleet.headwater(&["schedules", "pause", "copies"]);
    let healed = fleet.heal();
    eprintln!("{faults:?}; healed in {healed:?}");
    judge(&fleet);
}

/// Compares the targets with the runs, and the fires with the clock.
#[allow(clippy::print_stderr, reason = "a fleet that failed is told by what became of its runs")]
fn judge(fleet: &Fleet) {
    let states = fleet.control("SELECT state, count(*) FROM runs GROUP BY 1 ORDER BY 1");
    eprintln!("runs: {states:?}");
    let failures =
        "SELECT count(*), error_message FROM runs WHERE error_message IS NOT NULL GROUP BY 2 ORDER BY 1 DESC";
    eprintln!("failures:\n{}", fleet.control(failures));
    let expected = format!("{ROWS}|{}", fleet.server.query("shop", "SELECT sum(amount) FROM orders"));
    let loaded = |task: &str| -> BTreeMap<String, String> {
        let runs = fleet.control(&format!(
            "SELECT r.id FROM runs r JOIN stage_runs s ON s.run_id = r.id WHERE s.stage = '{task}' AND s.state = 'succeeded'"
        ));
        runs.lines().map(|run| (run.to_owned(), expected.clone())).collect()
    };
    let delta = python(
        "import sys, deltalake\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().group_by('run_id')\n\
         for r in t.aggregate([('id', 'count'), ('amount', 'sum')]).to_pylist(): print(r['run_id'], r['id_count'], r['amount_sum'], sep='|')",
        &[&fleet.folder.join("lake/copies").display().to_string()],
    );
    assert_eq!(by_run(&delta), loaded("to_lake"), "Delta");
    let shop = fleet.server.query("shop", "SELECT run_id, count(DISTINCT id), sum(amount) FROM copies GROUP BY 1");
    assert_eq!(by_run(&shop), loaded("to_shop"), "Postgres");
    let gaps = fleet.control(
        "SELECT count(*), count(*) FILTER (WHERE outcome <> 'fired'), count(DISTINCT run_id),
                extract(epoch FROM max(fire_at) - min(fire_at))::int + 1 FROM fires",
    );
    let fires: Vec<&str> = gaps.split('|').collect();
    assert_eq!(fires, [fires[0], "0", fires[0], fires[0]], "fires, others than fired, runs, seconds");
    assert_eq!(fleet.control("SELECT count(*) FROM runs"), fires[0], "one run for every second");
    assert_ne!(fleet.control("SELECT count(*) FROM attempts WHERE state = 'lost'"), "0", "no attempt was lost");
    // Their own source may have been away, but not us.
    let ours = "SELECT count(*) FROM runs WHERE error_message LIKE '%control plane%'";
    assert_eq!(fleet.control(ours), "0", "a run failed because the control plane was away");
}
