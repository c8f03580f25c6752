//! Real object stores, one server of each kind per test process, that end with it; a bucket or container per test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// The account that azurite has, with its published key.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const KEY_ID: &str = "headwater-test";
pub const SECRET: &str = "not-to-be-seen-anywhere";

/// A server and the folder of its data.
pub struct Server {
    pub port: u16,
    pub folder: PathBuf,
    /// The server stops and the folder goes when this shell's input ends, which is when the test process does.
    _shell: Child,
}

/// A bucket or container of its own.
pub struct Bucket {
    pub location: String,
    pub options: Map<String, Value>,
    /// Where the server keeps it.
    pub folder: PathBuf,
}

impl Bucket {
    /// Settings of a connection to a folder of it.
    pub fn settings(&self, folder: &str, further: Value) -> Value {
        let mut settings = json!({ "location": format!("{}/{folder}", self.location), "options": self.options });
        settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        settings
    }
}

/// The S3 server, started at its first use.
pub fn s3() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start_s3("versitygw"))
}

/// Another S3 server, which ends with the value.
pub fn another_s3() -> Server {
    start_s3("versitygw-too")
}

fn start_s3(name: &str) -> Server {
    start(name, |port, folder| {
        format!(
            "ROOT_ACCESS_KEY={KEY_ID} ROOT_SECRET_KEY={SECRET} exec {}/versitygw/versitygw --quiet --port 127.0.0.1:{port} posix {}",
            tools().display(),
            folder.display()
        )
    })
}

/// Azure's emulator, started at its first use.
pub fn azurite() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let run = |port: u16, folder: &Path| {
            format!(
                "exec {}/azurite/node_modules/.bin/azurite-blob --silent --blobHost 127.0.0.1 --blobPort {port} --location {} \
                 --skipApiVersionCheck --disableTelemetry",
                tools().display(),
                folder.display()
            )
        };
        start("azurite", run)
    })
}

/// A new bucket on the S3 server.
pub fn bucket() -> Bucket {
    let server = s3();
    let name = new_name();
    let folder = server.folder.join(&name);
    std::fs::create_dir(&folder).unwrap();
    Bucket { location: format!("s3://{name}"), options: s3_options(server.port), folder }
}

/// Options that reach the S3 server through a port.
pub fn s3_options(port: u16) -> Map<String, Value> {
    let options = json!({
        "endpoint": format!("http://127.0.0.1:{port}"), "allow_http": true, "region": "us-east-1",
        "access_key_id": KEY_ID, "secret_access_key": SECRET,
    });
    options.as_object().unwrap().clone()
}

/// A new container in Azure's emulator.
pub fn container() -> Bucket {
    let server = azurite();
    let name = new_name();
    let done = Command::new("node")
        .args(["-e", MAKE_CONTAINER, ACCOUNT, ACCOUNT_KEY, &server.port.to_string(), &name])
        .output()
        .unwrap();
    assert!(done.status.success(), "making a container: {}", String::from_utf8_lossy(&done.stderr));
    let options = json!({
        "endpoint": format!("http://127.0.0.1:{}/{ACCOUNT}", server.port), "allow_http": true,
        "account": ACCOUNT, "account_key": ACCOUNT_KEY,
    });
    let options = options.as_object().unwrap().clone();
    Bucket { location: format!("az://{name}"), options, folder: server.folder.clone() }
}

/// Our own client makes no containers, so that one signed request is made by hand.
const MAKE_CONTAINER: &str = r#"
const [account, key, port, name] = process.argv.slice(1);
const date = new Date().toUTCString();
const headers = `x-ms-date:${date}\nx-ms-version:2021-08-06`;
const signed = `PUT${"\n".repeat(12)}${headers}\n/${account}/${account}/${name}\nrestype:container`;
const signature = require("crypto").createHmac("sha256", Buffer.from(key, "base64")).update(signed, "utf8").digest("base64");
fetch(`http://127.0.0.1:${port}/${account}/${name}?restype=container`, {
  method: "PUT",
  headers: { "x-ms-date": date, "x-ms-version": "2021-08-06", authorization: `SharedKey ${account}:${signature}` },
}).then(async (answer) => { if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`); });
"#;

fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The folder with the servers' programs, which `scripts/store-servers` installs and prints.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        if let Some(tools) = std::env::var_os("HEADWATER_TEST_TOOLS") {
            return PathBuf::from(tools);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scripts/store-servers");
        let done = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "scripts/store-servers could not install the object stores that this test runs");
        PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
    })
}

fn start(name: &str, run: impl Fn(u16, &Path) -> String) -> Server {
    let folder = std::env::temp_dir().join(format!("hw-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!(
        "({}) >{folder}/log 2>&1 </dev/null & pid=$!; read line; kill $pid; wait $pid; rm -rf {folder}",
        run(port, &data),
        folder = folder.display(),
    );
    let mut shell = Command::new("/bin/sh");
    // Its own process group, so that a Ctrl-C for the tests doesn't leave the folder behind.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{name} did not start: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { port, folder: data, _shell: shell }
}
