//! A real schema registry for the test process, Apicurio, which ends with it, and a proxy in front of it that fails as it is told.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// Where it answers as Confluent's does.
const PATH: &str = "/apis/ccompat/v7";

/// The registry. It stops and its folder goes when this shell's input ends, which is when the test process does.
struct Apicurio {
    port: u16,
    _shell: Child,
}

/// The jar, which `scripts/registry` fetches and prints.
fn jar() -> PathBuf {
    if let Some(jar) = std::env::var_os("HEADWATER_TEST_REGISTRY") {
        return PathBuf::from(jar);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scripts/registry");
    let done = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(done.status.success(), "scripts/registry could not fetch the registry that this test runs");
    PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
}

fn start() -> Apicurio {
    let folder = std::env::temp_dir().join(format!("hw-apicurio-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (at, jar) = (folder.display(), jar());
    let script = format!(
        "cd {at} && QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT={port} java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
         -Djava.io.tmpdir={at} -jar '{}' >log 2>&1 </dev/null & pid=$!; read line; kill -9 $pid; wait $pid; rm -rf {at}",
        jar.display()
    );
    let mut shell = Command::new("/bin/sh");
    // Its own process group, so that a Ctrl-C for the tests doesn't leave the folder behind.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    while !answers(port) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "Apicurio did not start: {}", log());
        // It gives no other sign.
        std::thread::sleep(Duration::from_millis(50));
    }
    Apicurio { port, _shell: shell }
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        write!(socket, "GET {PATH}/subjects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

fn apicurio() -> u16 {
    static APICURIO: OnceLock<Apicurio> = OnceLock::new();
    APICURIO.get_or_init(start).port
}

/// The address of the registry of this process, which is started at its first use.
pub fn url() -> String {
    format!("http://127.0.0.1:{}{PATH}", apicurio())
}

/// A proxy in front of the registry. It ends when it is dropped.
pub struct Proxy {
    pub url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Statuses of the next answers. Those that are 0 are the registry's own.
    faults: VecDeque<u16>,
    asked: Vec<String>,
}

impl Proxy {
    pub async fn start() -> Self {
        let port = apicurio();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = pass(socket, port, &shared).await;
            }
        });
        Self { url, state, serving }
    }

    /// Answers the next requests with these statuses, in place of the registry. With 0 it answers itself.
    pub fn fail(&self, statuses: &[u16]) -> &Self {
        self.state.lock().unwrap().faults.extend(statuses);
        self
    }

    /// What was asked since the last time, below the registry's path.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Hands a request on, or fails it.
async fn pass(mut socket: tokio::net::TcpStream, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().trim_start_matches(PATH).to_owned();
    let fault = {
        let mut state = state.lock().unwrap();
        state.asked.push(path);
        state.faults.pop_front().filter(|status| *status > 0)
    };
    let answer = match fault {
        Some(status) => {
            let body: Value = json!({ "error_code": u32::from(status) * 100 + 3, "message": "no" });
            let body = body.to_string();
            format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        }
        None => {
            let mut registry = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            registry.write_all(text.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await?;
            let mut answer = Vec::new();
            registry.read_to_end(&mut answer).await?;
            answer
        }
    };
    socket.write_all(&answer).await
}
