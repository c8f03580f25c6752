//! A link to the Postgres server that a test can break: a socket whose sessions are passed on until they are told not to be.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The server's socket, as clients look for it in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// The link. It lives as long as the process.
pub(crate) struct Link {
    /// The folder that holds its socket.
    pub(crate) folder: PathBuf,
    faults: Faults,
}

/// What the sessions of a link share.
#[derive(Clone, Default)]
struct Faults {
    /// The answer to the first message with this text is lost, and the session with it.
    lose_answer_to: Option<&'static str>,
    /// It was lost.
    lost: Arc<AtomicBool>,
    /// Sessions pass nothing on, and stay open.
    black_hole: Arc<AtomicBool>,
    /// Sessions that are new get no answer either.
    dark: Arc<AtomicBool>,
    /// Times that everything which was open then stopped passing anything on, for good.
    darkened: Arc<AtomicU64>,
    /// Sessions end, and no new one is accepted.
    cut: Arc<AtomicBool>,
    /// Both ends of every open session, to end them by.
    sessions: Arc<Mutex<HashMap<u64, (UnixStream, UnixStream)>>>,
}

impl Link {
    /// A link in a folder of its own to the socket in another one.
    pub(crate) fn new(folder: PathBuf, server: &Path, lose_answer_to: Option<&'static str>) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let faults = Faults { lose_answer_to, ..Faults::default() };
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        let server = server.join(SOCKET);
        let shared = faults.clone();
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for client in listener.incoming() {
                if shared.dark.load(Ordering::SeqCst) {
                    unanswered.push(client);
                    continue;
                }
                unanswered.clear();
                // A server that is away refuses, as it would without the link.
                match UnixStream::connect(&server) {
                    Ok(server) if !shared.cut.load(Ordering::SeqCst) => shared.pass_on(client.unwrap(), server),
                    _ => drop(client),
                }
            }
        });
        Self { folder, faults }
    }

    /// From now on the open sessions pass nothing on; new ones do, until they are told the same.
    pub(crate) fn swallow(&self) {
        self.faults.black_hole.store(true, Ordering::SeqCst);
    }

    /// Packets are dropped: open sessions never pass anything on again, and new ones get no answer until the link is mended.
    pub(crate) fn go_dark(&self) {
        self.faults.dark.store(true, Ordering::SeqCst);
        self.faults.darkened.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends every session and accepts none until the link is mended.
    pub(crate) fn cut(&self) {
        self.faults.cut.store(true, Ordering::SeqCst);
        for (_, (client, server)) in self.faults.sessions.lock().unwrap().drain() {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        }
    }

    /// Accepts sessions again.
    pub(crate) fn mend(&self) {
        self.faults.cut.store(false, Ordering::SeqCst);
        self.faults.dark.store(false, Ordering::SeqCst);
    }
}

impl Faults {
    fn pass_on(&self, client: UnixStream, server: UnixStream) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
        self.sessions.lock().unwrap().insert(number, ends);
        let losing = Arc::new(AtomicBool::new(false));
        let opened_before = !self.black_hole.load(Ordering::SeqCst);
        let epoch = self.darkened.load(Ordering::SeqCst);
        let (faults, flag) = (self.clone(), Arc::clone(&losing));
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            faults.copy(from_client, to_server, (opened_before, epoch), |chunk| {
                let hit = faults.lose_answer_to.is_some_and(|text| contains(chunk, text.as_bytes()));
                if hit && !faults.lost.swap(true, Ordering::SeqCst) {
                    flag.store(true, Ordering::SeqCst);
                }
                true
            });
        });
        let faults = self.clone();
        thread::spawn(move || {
            faults.copy(server, client, (opened_before, epoch), |_| !losing.load(Ordering::SeqCst));
            faults.sessions.lock().unwrap().remove(&number);
        });
    }

    /// Passes on what comes, until either end closes or a chunk may not pass.
    fn copy(
        &self,
        mut from: UnixStream,
        mut to: UnixStream,
        (opened_before, epoch): (bool, u64),
        may_pass: impl Fn(&[u8]) -> bool,
    ) {
        let swallowed =
            || opened_before && self.black_hole.load(Ordering::SeqCst) || self.darkened.load(Ordering::SeqCst) != epoch;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if swallowed() {
                loop {
                    thread::park();
                }
            }
            if !may_pass(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        if swallowed() {
            return std::mem::forget((from, to));
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

fn contains(chunk: &[u8], text: &[u8]) -> bool {
    chunk.windows(text.len()).any(|window| window == text)
}
