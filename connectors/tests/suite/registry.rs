//! A schema registry for tests, as Confluent's answers: it has what it is given, and fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The registry. It ends when it is dropped.
pub struct Registry {
    pub url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Answers by path and query.
    answers: BTreeMap<String, Value>,
    /// Statuses of the next answers, with the seconds of `Retry-After`.
    faults: VecDeque<(u16, Option<u32>)>,
    /// What `Authorization` has to be.
    login: Option<String>,
    subjects: Vec<String>,
    asked: Vec<String>,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                answer(socket, &shared).await;
            }
        });
        Self { url, state, serving }
    }

    /// Registers the next version of a subject.
    pub fn register(&self, subject: &str, version: u32, id: i32, schema: &Value, references: &Value) -> &Self {
        let mut state = self.state.lock().unwrap();
        let text = schema.to_string();
        let answer =
            json!({ "subject": subject, "version": version, "id": id, "schema": text, "references": references });
        state.answers.insert(format!("/subjects/{subject}/versions/{version}"), answer.clone());
        state.answers.insert(format!("/subjects/{subject}/versions/latest"), answer);
        let answer = json!({ "schema": text, "references": references });
        state.answers.insert(format!("/schemas/ids/{id}?subject={subject}"), answer);
        if !state.subjects.contains(&subject.to_owned()) {
            state.subjects.push(subject.to_owned());
        }
        drop(state);
        self
    }

    /// Answers something else to a question.
    pub fn put(&self, path: &str, answer: Value) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// Asks for user and password, of which this is the header's value.
    pub fn ask_for(&self, login: &str) {
        self.state.lock().unwrap().login = Some(login.to_owned());
    }

    /// Answers with a status instead, once; with 0 it closes the connection.
    pub fn fail(&self, status: u16, after: Option<u32>) -> &Self {
        self.state.lock().unwrap().faults.push_back((status, after));
        self
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut socket: TcpStream, state: &Mutex<State>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            // Who begins a TLS handshake here is answered in plain text.
            Ok(0x16) if request.is_empty() => {
                let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                return;
            }
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let (status, after, body) = reply(&request, &mut state.lock().unwrap());
    if status == 0 {
        return;
    }
    let after = after.map_or(String::new(), |seconds| format!("Retry-After: {seconds}\r\n"));
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{after}\r\n", body.len());
    let _ = socket.write_all((head + &body).as_bytes()).await;
}

fn reply(request: &str, state: &mut State) -> (u16, Option<u32>, String) {
    let path = request.split(' ').nth(1).unwrap().to_owned();
    state.asked.push(path.clone());
    let sent = request.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
    if state.login.is_some() && sent != state.login {
        return (401, None, json!({ "error_code": 401, "message": "Unauthorized" }).to_string());
    }
    if let Some((status, after)) = state.faults.pop_front() {
        return (status, after, json!({ "error_code": u32::from(status) * 100 + 1, "message": "no" }).to_string());
    }
    if path == "/subjects" {
        return (200, None, json!(state.subjects).to_string());
    }
    match state.answers.get(&path) {
        Some(Value::String(text)) => (200, None, text.clone()),
        Some(answer) => (200, None, answer.to_string()),
        None => (404, None, json!({ "error_code": 40403, "message": "not found" }).to_string()),
    }
}
