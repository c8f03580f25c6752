//! A database per test in the test process's cluster, and what stands before it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::server::as_owner;
pub use crate::server::cluster;

/// A PgBouncer in transaction mode before the cluster; it ends with the value.
pub struct Pooler {
    pub port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn pooler() -> Pooler {
    let cluster = cluster();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 8\n\
         ignore_startup_parameters = extra_float_digits\n",
        cluster.socket.display(),
        cluster.port
    );
    // With `auth_type = any` every client comes in as the user that the pooler uses on the server.
    let settings = settings.replace("* = host", "* = user=postgres host");
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, settings).unwrap();
    Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().unwrap();
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
    let program = program.iter().map(Path::new).find(|path| path.exists()).expect("install pgbouncer to run this test");
    let process = as_owner(program).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "pgbouncer did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Pooler { port, process, _folder: folder }
}

/// A database of its own.
pub struct Database {
    pub url: String,
    pub name: String,
    pub client: tokio_postgres::Client,
}

impl Database {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect("postgres", "postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let client = connect("postgres", &name).await;
        Self { url: url("postgres", &name), name, client }
    }

    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?} in {sql}"));
    }

    /// Rows of text values, `-` for NULL.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error:?} in {sql}"));
        let rows = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).unwrap_or("-")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        });
        rows.collect()
    }
}

pub fn url(user: &str, database: &str) -> String {
    let cluster = cluster();
    format!("postgres://{user}@/{database}?host={}&port={}", cluster.socket.display(), cluster.port)
}

/// A session of somebody else.
pub async fn connect(user: &str, database: &str) -> tokio_postgres::Client {
    let cluster = cluster();
    let mut config = tokio_postgres::Config::new();
    config.host_path(&cluster.socket).port(cluster.port).user(user).dbname(database);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
