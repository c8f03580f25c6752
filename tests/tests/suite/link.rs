//! A link to the Postgres server that a test can break: a socket whose sessions are passed on until they are told not to be.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The server's socket, as clients look for it in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// The link. It lives as long as the process.
pub(crate) struct Link {
    /// The folder that holds its socket.
    pub(crate) folder: PathBuf,
    black_hole: Arc<AtomicBool>,
}

/// What the sessions of a link share.
#[derive(Clone)]
struct Faults {
    /// The answer to the first message with this text is lost, and the session with it.
    lose_answer_to: Option<&'static str>,
    /// It was lost.
    lost: Arc<AtomicBool>,
    /// Sessions pass nothing on, and stay open.
    black_hole: Arc<AtomicBool>,
}

impl Link {
    /// A link in a folder of its own to the socket in another one.
    pub(crate) fn new(folder: PathBuf, server: &Path, lose_answer_to: Option<&'static str>) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let black_hole = Arc::new(AtomicBool::new(false));
        let faults = Faults { lose_answer_to, lost: Arc::default(), black_hole: Arc::clone(&black_hole) };
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        let server = server.join(SOCKET);
        thread::spawn(move || {
            for client in listener.incoming() {
                faults.pass_on(client.unwrap(), UnixStream::connect(&server).unwrap());
            }
        });
        Self { folder, black_hole }
    }

    /// From now on the open sessions pass nothing on; new ones do, until they are told the same.
    pub(crate) fn swallow(&self) {
        self.black_hole.store(true, Ordering::SeqCst);
    }
}

impl Faults {
    fn pass_on(&self, client: UnixStream, server: UnixStream) {
        let losing = Arc::new(AtomicBool::new(false));
        let opened_before = !self.black_hole.load(Ordering::SeqCst);
        let (faults, flag) = (self.clone(), Arc::clone(&losing));
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            faults.copy(from_client, to_server, opened_before, |chunk| {
                let hit = faults.lose_answer_to.is_some_and(|text| contains(chunk, text.as_bytes()));
                if hit && !faults.lost.swap(true, Ordering::SeqCst) {
                    flag.store(true, Ordering::SeqCst);
                }
                true
            });
        });
        let faults = self.clone();
        thread::spawn(move || faults.copy(server, client, opened_before, |_| !losing.load(Ordering::SeqCst)));
    }

    /// Passes on what comes, until either end closes or a chunk may not pass.
    fn copy(&self, mut from: UnixStream, mut to: UnixStream, opened_before: bool, may_pass: impl Fn(&[u8]) -> bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if opened_before && self.black_hole.load(Ordering::SeqCst) {
                loop {
                    thread::park();
                }
            }
            if !may_pass(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        if opened_before && self.black_hole.load(Ordering::SeqCst) {
            return std::mem::forget((from, to));
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

fn contains(chunk: &[u8], text: &[u8]) -> bool {
    chunk.windows(text.len()).any(|window| window == text)
}
