//! What every test stands on: the binary, a Postgres, a folder and a control plane of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::Clock;
use crate::link::Link;

/// Nothing that a test starts may take longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a dead worker keeps its stages in these tests.
const LEASE_TIME_MS: &str = "2000";

/// A database with the control plane's schema, which those of the tests are copies of.
const MIGRATED: &str = "migrated";

/// The binary under test, built by cargo for these tests.
pub(crate) fn headwater() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_headwater"))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a Python program with the readers that share no code with Headwater, and gives what it printed.
pub(crate) fn python(program: &str, arguments: &[&str]) -> String {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let path = std::env::var_os("HEADWATER_TEST_PYTHON").map_or_else(
            || {
                let done = Command::new(root().join("scripts/venv")).output().unwrap();
                assert!(done.status.success(), "scripts/venv: {}", String::from_utf8_lossy(&done.stderr));
                PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
            },
            PathBuf::from,
        );
        assert!(path.is_file(), "{} is not a Python: see scripts/venv", path.display());
        path
    });
    // Without the interpreter's teardown, in which a reader's threads can abort the process after everything is printed.
    let program = format!("{program}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)");
    let done = Command::new(python).args(["-c", &program]).args(arguments).output().unwrap();
    assert!(done.status.success(), "python: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A Postgres, run by the binary under test.
pub(crate) struct Server {
    folder: PathBuf,
    socket: String,
    /// psql on the server. When this process ends, however it ends, its input is closed, it leaves, the server stops and the
    /// folder is removed.
    _keeper: Child,
}

/// The server of all tests of this process, started at its first use.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(None).migrated(None))
}

impl Server {
    /// Starts one, perhaps on another clock than the real one.
    fn start(clock: Option<&Clock>) -> Self {
        let folder = tempfile::Builder::new().prefix("hwt").tempdir_in("/tmp").unwrap().keep();
        open_to_all(&folder);
        let script = r#""$0" --data-dir "$1/pg" admin psql -- -X -q -At; unset LD_PRELOAD; rm -rf "$@""#;
        let mut keeper = Command::new("sh");
        clock.into_iter().for_each(|clock| clock.wind(&mut keeper));
        let mut keeper = keeper
            .args(["-c", script])
            .arg(headwater())
            .arg(&folder)
            .args(clock.map(|clock| &clock.folder))
            .env_remove("DATABASE_URL")
            .env_remove("HEADWATER_DATABASE_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let input = keeper.stdin.as_mut().unwrap();
        std::io::Write::write_all(input, b"SHOW unix_socket_directories;\n").unwrap();
        let mut socket = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut socket).unwrap();
        assert!(!socket.trim().is_empty(), "the embedded Postgres did not start");
        Self { folder, socket: socket.trim().to_owned(), _keeper: keeper }
    }

    /// Makes the database with the control plane's schema.
    fn migrated(self, clock: Option<&Clock>) -> Self {
        self.query("postgres", &format!("CREATE DATABASE {MIGRATED}"));
        let mut migrate = Command::new(headwater());
        clock.into_iter().for_each(|clock| clock.wind(&mut migrate));
        let migrated = migrate
            .args(["admin", "migrate", "--database-url", &self.url(MIGRATED)])
            .env("HEADWATER_DATA_DIR", self.folder.join("migrate"))
            .output()
            .unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        self
    }

    /// One on which nobody but the source has transactions.
    fn for_a_source(clock: Option<&Clock>) -> &'static Self {
        let server = Box::leak(Box::new(Self::start(clock)));
        server.query("postgres", "ALTER SYSTEM SET autovacuum = off");
        server.query("postgres", "SELECT pg_reload_conf()");
        server
    }

    /// URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://headwater@localhost/{database}?host={}", self.socket)
    }

    /// Runs statements and gives their rows, fields divided by `|`.
    pub(crate) fn query(&self, database: &str, sql: &str) -> String {
        let done = Command::new("psql")
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            // A control plane's tables are in a schema of their own.
            .env("PGOPTIONS", "-c search_path=headwater,public")
            .output()
            .unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A test's own folder, control plane and source database.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    /// The source database; it is empty.
    pub(crate) source: String,
    /// The control plane's database.
    pub(crate) control: String,
    /// The server of the source.
    source_server: &'static Server,
    /// The server of the control plane.
    pub(crate) control_server: &'static Server,
    /// What its processes run on, if not on the real clock.
    clock: Option<Arc<Clock>>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl World {
    /// A new world.
    pub(crate) fn new() -> Self {
        Self::on(server(), server(), None)
    }

    /// A world whose source has a server of its own, so that transactions of others delay none of its rows.
    pub(crate) fn apart() -> Self {
        Self::on(Server::for_a_source(None), server(), None)
    }

    /// The same on a clock that the test moves: source, control plane and commands.
    pub(crate) fn simulated(clock: &Arc<Clock>) -> Self {
        let control = Box::leak(Box::new(Server::start(Some(clock)).migrated(Some(clock))));
        Self::on(Server::for_a_source(Some(clock)), control, Some(Arc::clone(clock)))
    }

    fn on(source_server: &'static Server, control_server: &'static Server, clock: Option<Arc<Clock>>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = control_server.folder.join(format!("w{number}"));
        std::fs::create_dir(&folder).unwrap();
        let (source, control) = (format!("source{number}"), format!("control{number}"));
        source_server.query("postgres", &format!("CREATE DATABASE {source}"));
        control_server.query("postgres", &format!("CREATE DATABASE {control} TEMPLATE {MIGRATED}"));
        Self { folder, source, control, source_server, control_server, clock }
    }

    /// The source's URL.
    pub(crate) fn url(&self) -> String {
        self.source_server.url(&self.source)
    }

    /// A link to the source's server that can be broken, and the source's URL over it.
    pub(crate) fn link(&self, lose_answer_to: Option<&'static str>) -> (Link, String) {
        let link = Link::new(self.folder.join("link"), Path::new(&self.source_server.socket), lose_answer_to);
        let url = format!("postgres://headwater@localhost/{}?host={}", self.source, link.folder.display());
        (link, url)
    }

    /// Asks the source database.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.source_server.query(&self.source, sql)
    }

    /// Asks the control plane's database.
    pub(crate) fn control(&self, sql: &str) -> String {
        self.control_server.query(&self.control, sql)
    }

    /// A link to the control plane's server, and the control plane's URL over it.
    pub(crate) fn control_link(&self) -> (Link, String) {
        let link = Link::new(self.folder.join("control-link"), Path::new(&self.control_server.socket), None);
        let url = format!("postgres://headwater@localhost/{}?host={}", self.control, link.folder.display());
        (link, url)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// Data files that the commits of a Delta table below `lake` add. A table that is only made has none.
    pub(crate) fn delta_files(&self, table: &str) -> usize {
        let log = self.folder.join("lake").join(table).join("_delta_log");
        let Ok(commits) = std::fs::read_dir(log) else { return 0 };
        let text = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default()
        };
        commits.map(|entry| text(entry).matches("{\"add\":").count()).sum()
    }

    /// A command in the folder, on the own control plane.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(headwater());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_remove("DATABASE_URL")
            .env("HEADWATER_DATABASE_URL", self.control_server.url(&self.control))
            .env("HEADWATER_DATA_DIR", self.folder.join("data"))
            .env("HEADWATER_LEASE_TIME_MS", LEASE_TIME_MS)
            .env("COLUMNS", "120")
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .env_remove("HEADWATER_FAILPOINTS")
            .stdin(Stdio::null());
        self.clock.iter().for_each(|clock| clock.wind(&mut command));
        command
    }

    /// Starts a command.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = |ending: &str| self.folder.join(format!("out{number}.{ending}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Running { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// Starts a scheduler with a worker. Failpoints are written as in `HEADWATER_FAILPOINTS`.
    pub(crate) fn serve(&self, failpoints: &str) -> Running {
        let mut command = self.command(&["serve", "--roles", "scheduler,worker"]);
        command.env("HEADWATER_FAILPOINTS", failpoints);
        self.start(command)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.start(self.command(arguments)).wait()
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert!(done.status.success(), "headwater {}: {done}", arguments.join(" "));
        done.stdout
    }

    /// Runs a command that must succeed, and reads the JSON document that it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.succeed(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", arguments.join(" ")))
    }
}

impl Running {
    /// Waits for the end, which must come in time.
    pub(crate) fn wait(mut self) -> Done {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                let status = self.child.wait().unwrap();
                panic!("it did not end in time: {}", self.done(status));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.done(status)
    }

    /// What it wrote on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Sends a signal, named as `kill` names it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether the process is frozen.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    fn done(&self, status: ExitStatus) -> Done {
        let read = |path| std::fs::read_to_string(path).unwrap();
        Done { status, stdout: read(&self.stdout), stderr: read(&self.stderr) }
    }
}

impl Drop for Running {
    /// A test that ends, or fails, leaves no process behind. One that has ended already is not there to be killed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    /// Whether the process was killed by SIGKILL.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The exit code, if it was not killed.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// Looks again and again until something holds; it must in time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}
