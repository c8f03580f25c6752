//! A model server for tests: it answers what a closure says, over the interfaces of OpenAI and Anthropic, and refuses what they refuse.
//!
//! It serves `/v1/chat/completions` and `/v1/messages` on a port of its own, streamed or not, and keeps every request that it has seen.

mod memory;
mod rules;
mod wire;
mod written;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::ladder::Step;
use super::request::Usage;
use super::settings::Provider;

pub use memory::{ManualClock, MemoryLedger};
pub use rules::outside_subset;

/// A request that the server has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whose interface was used.
    pub provider: Provider,
    /// Which way to a document it asks for.
    pub step: Step,
    /// What the model is to do.
    pub system: String,
    /// Role and text of each turn.
    pub turns: Vec<(String, String)>,
    /// The schema, if it was sent as one.
    pub schema: Option<Value>,
    /// The whole body.
    pub body: Value,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Script {
    /// A document.
    Json(Value),
    /// Any text, in the place of the document.
    Text(String),
    /// The model refuses in these words.
    Refusal(String),
    /// The provider's filter stops the answer.
    Filtered,
    /// The answer is cut at its longest length.
    Length(String),
    /// The stream ends after this text without its marker.
    Cut(String),
    /// An error inside of the stream, after this text.
    Overloaded(String),
    /// An error.
    Status {
        /// Its status.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<String>,
        /// What it says.
        message: String,
        /// Its machine-readable code.
        code: String,
    },
    /// A page that no model server would send, with status 200.
    Page(String),
    /// Bytes without end.
    Endless,
    /// Nothing at all.
    Hang,
    /// This text, and then nothing.
    HangAfter(String),
    /// This text, one piece after each pause.
    Trickle(String, Duration),
}

impl Script {
    /// An error without anything special.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, message: "scripted".to_owned(), code: String::new() }
    }

    /// A limit that ends after a time.
    #[must_use]
    pub fn limited(retry_after: &str) -> Self {
        let retry_after = Some(retry_after.to_owned());
        Self::Status { status: 429, retry_after, message: "slow down".to_owned(), code: "rate_limit_error".to_owned() }
    }
}

/// What a server can and wants.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The key that it takes; any or none if absent.
    pub key: Option<String>,
    /// Steps of the ladder that it has.
    pub steps: Vec<Step>,
    /// Whether it takes `stream_options`.
    pub counts_streams: bool,
    /// Whether it takes `max_completion_tokens` alone, as reasoning models do, or `max_tokens` alone.
    pub limits_completion: bool,
    /// Whether it ends its streams with their usage.
    pub sends_usage: bool,
    /// Whether it keeps the requests that it has seen.
    pub keeps: bool,
    /// Tokens that it counts for each answer.
    pub usage: Usage,
    /// The longest body, in bytes.
    pub longest_body: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            key: None,
            steps: vec![Step::Strict, Step::Tool, Step::Object, Step::Text],
            counts_streams: true,
            limits_completion: false,
            sends_usage: true,
            keeps: true,
            usage: Usage { input: 100, cached: 40, cache_write: 0, output: 20, reasoning: 0 },
            longest_body: 4 << 20,
        }
    }
}

type Closure = dyn Fn(&Seen) -> Script + Send + Sync;

struct State {
    rules: Rules,
    script: Box<Closure>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// Requests so far, and clients that hung up during an answer.
    counts: watch::Sender<(usize, usize)>,
}

/// A server that runs until it is dropped.
pub struct Scripted {
    url: String,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

impl Scripted {
    /// Starts a server on a free port of this machine.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start(
        rules: Rules,
        script: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let (counts, _) = watch::channel((0, 0));
        let state = Arc::new(State {
            rules,
            script: Box::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            counts,
        });
        let serving = TaskTracker::new().spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { url, state, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Requests that were read so far, those that were refused included.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }

    /// Connections that were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests were read.
    pub async fn reads(&self, requests: usize) {
        // The sender lives as long as this does.
        let _ = self.state.counts.subscribe().wait_for(|(seen, _)| *seen >= requests).await;
    }

    /// Waits until a client has hung up during an answer.
    pub async fn is_hung_up(&self) {
        let _ = self.state.counts.subscribe().wait_for(|(_, hung_up)| *hung_up > 0).await;
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(converse(socket, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request after the other until the client or a script ends the connection.
async fn converse(socket: TcpStream, state: Arc<State>) {
    let _ = socket.set_nodelay(true);
    let mut connection = wire::Connection::new(socket);
    while let Ok(Some(request)) = connection.read(state.rules.longest_body).await {
        let answered = match rules::read(&request, &state.rules) {
            Ok(seen) => {
                if state.rules.keeps {
                    state.seen.lock().push(seen.clone());
                }
                state.counts.send_modify(|(seen, _)| *seen += 1);
                let script = (state.script)(&seen);
                written::answer(&mut connection, &seen, script, &state.rules).await
            }
            Err(refused) => {
                if let Some(seen) = refused.seen {
                    state.seen.lock().push(*seen);
                }
                state.counts.send_modify(|(seen, _)| *seen += 1);
                connection.error(request.provider(), refused.status, None, &refused.message, refused.code).await
            }
        };
        match answered {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                state.counts.send_modify(|(_, hung_up)| *hung_up += 1);
                return;
            }
        }
    }
}
