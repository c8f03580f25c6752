//! A throwaway Postgres cluster, one per test process, that ends with it; a database per test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub struct Cluster {
    pub socket: PathBuf,
    pub port: u16,
    /// The server stops when this shell's input ends, which is when the test process does.
    _shell: Child,
}

/// Where Debian, Homebrew and others put the server's programs.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(""))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Root may not run a server, so it is started as `postgres`.
fn as_owner(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start)
}

fn start() -> Cluster {
    let folder = PathBuf::from(format!("/tmp/hwpg-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    if is_root() {
        Command::new("chown").arg("postgres").arg(&folder).status().unwrap();
    }
    let data = folder.join("data");
    let bin = binaries();
    let made = as_owner(&bin.join("initdb"))
        .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hba = "local all secret_keeper scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(folder.join("hba"), hba).unwrap();
    certify(&folder);
    let script = format!(
        "{}/postgres -D {data} -k {folder} -h 127.0.0.1 -p {port} -c hba_file={folder}/hba -c fsync=off \
         -c ssl=on -c ssl_cert_file={folder}/server.crt -c ssl_key_file={folder}/server.key \
         -c max_connections=200 -c shared_buffers=64MB >{folder}/log 2>&1 & pid=$!; read line; kill -INT $pid; wait $pid; rm -rf {folder}",
        bin.display(),
        data = data.display(),
        folder = folder.display(),
    );
    let mut shell = as_owner(Path::new("/bin/sh"));
    // Its own process group, so that a Ctrl-C for the tests doesn't leave the folder behind.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let ready = || {
        let mut check = Command::new(bin.join("pg_isready"));
        check.args(["-q", "-p", &port.to_string(), "-h"]).arg(&folder).status().is_ok_and(|status| status.success())
    };
    while !ready() {
        assert!(Instant::now() < deadline, "the server did not start; see {}/log", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::io::stdout().flush().unwrap();
    Cluster { socket: folder, port, _shell: shell }
}

/// An authority and a certificate for 127.0.0.1, so that TLS can be tried to the end.
fn certify(folder: &Path) {
    let script = "cd \"$0\" && printf 'subjectAltName=IP:127.0.0.1' > names &&
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj '/CN=test authority' &&
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1 &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt -extfile names &&
        chmod 600 server.key";
    let made = as_owner(Path::new("/bin/sh")).args(["-c", script]).arg(folder).stderr(Stdio::null()).status().unwrap();
    assert!(made.success(), "openssl could not make certificates");
}

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
