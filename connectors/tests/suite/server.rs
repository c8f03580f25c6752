//! A throwaway Postgres cluster, one per test process, that ends with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
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
pub fn as_owner(program: &Path) -> Command {
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
         -c max_connections=200 -c shared_buffers=64MB -c wal_level=logical >{folder}/log 2>&1 & pid=$!; read line; kill -INT $pid; wait $pid; rm -rf {folder}",
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
