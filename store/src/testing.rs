//! Support for tests: one throwaway server for each test process, and a migrated database of its own for each test.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use headwater_pipelines::plan::{Head, PLAN_FORMAT, Plan, PlannedTask, Stage, Work};
use headwater_pipelines::spec::Retry;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::embedded::{PgUser, find_servers};
use crate::{Beside, NewRun, NewVersion, Store, Trigger};

const TEMPLATE: &str = "template_headwater";

/// A migrated database that no other test uses.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Connected to it.
    pub store: Store,
    /// Its URL.
    pub url: String,
}

impl TestDatabase {
    /// Executes a statement on it, on a session of its own.
    pub async fn execute(&self, sql: &str) {
        let mut session = self.session().await;
        session.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect("a statement of the test");
        session.close().await.expect("close");
    }

    /// The one value that a query answers with, as text.
    pub async fn value(&self, sql: &str) -> String {
        let mut session = self.session().await;
        let text = sqlx::query_scalar(AssertSqlSafe(format!("SELECT ({sql})::text")));
        let value: String = text.fetch_one(&mut session).await.expect("a query of the test");
        session.close().await.expect("close");
        value
    }

    async fn session(&self) -> PgConnection {
        let options: sqlx::postgres::PgConnectOptions = self.url.parse().expect("a URL of our own");
        options.options([("search_path", "headwater")]).connect().await.expect("connect to the test's database")
    }
}

/// A fresh, migrated database.
pub async fn database() -> TestDatabase {
    let url = create_database(Some(TEMPLATE)).await;
    let store = Store::connect(&url).await.expect("connect to the test's database");
    TestDatabase { store, url }
}

/// A fresh, migrated database that `fill` has filled, and whose server reports the plan of every statement from then on. `prepare` comes before the rows.
pub async fn explaining_database<F: Future<Output = ()>>(fill: &str, prepare: impl FnOnce(Store) -> F) -> TestDatabase {
    let plain = database().await;
    prepare(plain.store.clone()).await;
    plain.execute(fill).await;
    let name = plain.url.split(['/', '?']).nth(3).expect("a URL of our own").to_owned();
    for setting in [
        "session_preload_libraries = auto_explain",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_analyze = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_format = json",
    ] {
        plain.execute(&format!("ALTER DATABASE {name} SET {setting}")).await;
    }
    plain.store.close().await;
    let store = Store::connect(&plain.url).await.expect("connect to the test's database");
    TestDatabase { store, url: plain.url }
}

/// Statements of a database that reports them, with their plans.
pub fn explained(db: &TestDatabase) -> Vec<(String, serde_json::Value)> {
    let name = db.url.split(['/', '?']).nth(3).expect("a URL of our own");
    let log = std::fs::read_to_string(server().join("log")).expect("the server's log");
    let mut statements = Vec::new();
    // Lines that continue an entry begin with a tab.
    let entries = log.split("\n").fold(Vec::<String>::new(), |mut entries, line| {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => entry.extend(["\n", more]),
            _ => entries.push(line.to_owned()),
        }
        entries
    });
    for entry in entries.iter().filter(|entry| entry.starts_with(&format!("{name} "))) {
        let Some((_, document)) = entry.split_once("plan:\n") else { continue };
        let document: serde_json::Value = serde_json::from_str(document).expect("a plan is JSON");
        statements.push((document["Query Text"].as_str().unwrap_or_default().to_owned(), document));
    }
    statements
}

/// A fresh, empty database: its URL.
pub async fn empty_database() -> String {
    create_database(None).await
}

async fn create_database(template: Option<&str>) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(server).await.expect("start the test server");
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let template = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
    let mut connection = connect(server, "postgres").await;
    connection
        .execute(sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}{template}"))))
        .await
        .expect("make a database");
    connection.close().await.expect("close");
    url(server, &name)
}

fn url(socket_dir: &Path, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", socket_dir.display())
}

async fn connect(socket_dir: &Path, database: &str) -> PgConnection {
    let options: sqlx::postgres::PgConnectOptions = url(socket_dir, database).parse().expect("a URL of our own");
    options.connect().await.expect("connect to the test server")
}

/// The server of this process, started at first use.
fn server() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = start();
        // A runtime of its own: the caller's may be gone before the process is.
        let made = folder.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(make_template(&made));
        });
        thread.join().expect("make the template database");
        folder
    })
}

async fn make_template(folder: &Path) {
    let mut connection = connect(folder, "postgres").await;
    connection
        .execute(sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {TEMPLATE}"))))
        .await
        .expect("make the template");
    connection.close().await.expect("close");
    let store = Store::connect(&url(folder, TEMPLATE)).await.expect("connect to the template");
    store.migrate(Beside::Nothing).await.expect("migrate the template");
    store.close().await;
}

/// Makes a cluster without fsync, starts it, and leaves a shell behind that removes it when this process is gone, however it went.
#[allow(clippy::zombie_processes, reason = "the watcher outlives this process, whose end it waits for")]
fn start() -> PathBuf {
    let server = find_servers().into_iter().next().expect("a Postgres server must be installed for tests");
    let user = PgUser::resolve(None).expect("a user for the test server");
    let folder = PathBuf::from(format!("/tmp/hwtest-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    std::fs::create_dir(&folder).expect("make the test server's folder");
    PgUser::own(user.as_ref(), &folder).expect("give the folder to the server's user");
    let data = folder.join("pg");
    run(crate::embedded::command_as(&server.bin.join("initdb"), user.as_ref())
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions", "-D"])
        .arg(&data));
    let options = format!(
        "-k {} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=500 -c jit=off -c shared_buffers=64MB -c log_line_prefix='%d '",
        folder.display()
    );
    run(crate::embedded::command_as(&server.bin.join("pg_ctl"), user.as_ref())
        .args(["start", "-w", "-s", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(folder.join("log"))
        .arg("-o")
        .arg(options));
    let watch = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.3; done; \
                 kill -QUIT \"$(head -n 1 \"$2/pg/postmaster.pid\")\"; sleep 0.5; rm -rf \"$2\"";
    Command::new("setsid")
        .args(["sh", "-c", watch, "watch"])
        .arg(std::process::id().to_string())
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the watcher");
    folder
}

fn run(command: &mut Command) {
    let output = command.stdout(Stdio::null()).output().expect("run a program of the server");
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}

/// A plan of stages that each consist of one task of the same name (a wait), with the stages they come after.
pub fn plan(pipeline: &str, stages: &[(&str, &[&str])]) -> Plan {
    let mut tasks = Vec::new();
    let mut planned = Vec::new();
    for (name, after) in stages {
        tasks.push(((*name).into(), wait_task(name)));
        planned.push(Stage {
            name: (*name).to_owned(),
            head: Head::Action,
            tasks: vec![(*name).into()],
            staged_inputs: Vec::new(),
            after: after.iter().map(|up| (*up).to_owned()).collect(),
            retry: Retry::default(),
            timeout: None,
            queue: "default".to_owned(),
            labels: Vec::new(),
            priority: 0,
        });
    }
    Plan {
        plan_format: PLAN_FORMAT,
        pipeline: pipeline.to_owned(),
        params: Default::default(),
        stream: None,
        tasks: tasks.into_iter().collect(),
        stages: planned,
    }
}

fn wait_task(stage: &str) -> PlannedTask {
    PlannedTask {
        work: Work::Wait { duration: std::time::Duration::ZERO },
        stages: vec![stage.to_owned()],
        description: None,
    }
}

/// Stores a plan as a version of the default workspace: its id.
pub async fn save(store: &Store, plan: &Plan) -> Uuid {
    let text = serde_json::to_string(plan).expect("a plan is JSON");
    let spec = serde_json::json!({ "name": plan.pipeline });
    let version = NewVersion { spec_text: &text, spec: &spec, plan };
    store.default_workspace().save_version(&version).await.expect("store the version").id
}

/// Makes a manual run of a plan: its id.
pub async fn start_run(store: &Store, plan: &Plan) -> Uuid {
    let run = NewRun {
        version_id: save(store, plan).await,
        params: serde_json::Map::new(),
        trigger: Trigger::Manual,
        interval: None,
        pinned_worker: None,
    };
    store.default_workspace().create_run(&run).await.expect("make the run")
}
