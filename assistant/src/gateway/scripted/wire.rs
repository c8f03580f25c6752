//! As much of HTTP/1.1 as clients of models use.

use std::io::{Error, ErrorKind, Result};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::settings::Provider;

/// More bytes of headers than any client sends.
const LONGEST_HEAD: usize = 32 << 10;

/// A request whose body was read.
pub(super) struct Received {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    /// `None` if it was longer than allowed.
    pub(super) body: Option<Vec<u8>>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn provider(&self) -> Provider {
        if self.path.ends_with("/messages") { Provider::Anthropic } else { Provider::OpenAi }
    }
}

pub(super) struct Connection {
    socket: TcpStream,
    /// Bytes that were read and not used.
    held: Vec<u8>,
}

impl Connection {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, held: Vec::new() }
    }

    /// The next request; `None` when the client has closed the connection between two.
    pub(super) async fn read(&mut self, longest_body: usize) -> Result<Option<Received>> {
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.held.len() > LONGEST_HEAD {
                return Err(invalid("the head is too long"));
            }
            if !self.fill().await? {
                return if self.held.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        };
        let head: Vec<u8> = self.held.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| invalid("the head is not text"))?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or("").split(' ');
        let (Some(method), Some(path), Some("HTTP/1.1"), None) =
            (first.next(), first.next(), first.next(), first.next())
        else {
            return Err(invalid("the request line is not one of HTTP/1.1"));
        };
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header has no colon"))?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter(|line| !line.is_empty()).map(header).collect::<Result<Vec<_>>>()?;
        let mut request = Received { method: method.to_owned(), path: path.to_owned(), headers, body: None };
        let length = request.header("content-length").unwrap_or("0");
        let length: usize = length.parse().map_err(|_| invalid("the length is not a number"))?;
        while self.held.len() < length {
            if !self.fill().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let body: Vec<u8> = self.held.drain(..length).collect();
        request.body = (length <= longest_body).then_some(body);
        Ok(Some(request))
    }

    async fn fill(&mut self) -> Result<bool> {
        let mut bytes = [0; 16 << 10];
        let read = self.socket.read(&mut bytes).await?;
        self.held.extend_from_slice(&bytes[..read]);
        Ok(read > 0)
    }

    /// Writes a complete answer. Returns that the connection may go on.
    pub(super) async fn whole(
        &mut self,
        status: u16,
        kind: &str,
        retry_after: Option<&str>,
        body: &[u8],
    ) -> Result<bool> {
        let mut head =
            format!("HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        if let Some(after) = retry_after {
            head.push_str(&format!("retry-after: {after}\r\n"));
        }
        head.push_str("\r\n");
        self.socket.write_all(&[head.as_bytes(), body].concat()).await?;
        Ok(true)
    }

    /// Writes an error as the provider words it.
    pub(super) async fn error(
        &mut self,
        provider: Provider,
        status: u16,
        retry_after: Option<&str>,
        message: &str,
        code: &str,
    ) -> Result<bool> {
        let body = match provider {
            Provider::OpenAi => json!({"error": {"message": message, "type": "error", "param": null, "code": code}}),
            Provider::Anthropic => json!({"type": "error", "error": {"type": code, "message": message}}),
        };
        self.json(status, retry_after, &body).await
    }

    pub(super) async fn json(&mut self, status: u16, retry_after: Option<&str>, body: &Value) -> Result<bool> {
        self.whole(status, "application/json", retry_after, body.to_string().as_bytes()).await
    }

    /// Starts a stream of events.
    pub(super) async fn start_stream(&mut self) -> Result<()> {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
        self.socket.write_all(head.as_bytes()).await
    }

    /// Writes a part of a stream.
    pub(super) async fn part(&mut self, text: &str) -> Result<()> {
        self.socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
    }

    /// Ends a stream. Returns that the connection may go on.
    pub(super) async fn end_stream(&mut self) -> Result<bool> {
        self.socket.write_all(b"0\r\n\r\n").await?;
        Ok(true)
    }

    /// Does nothing until the client hangs up, which is an error.
    pub(super) async fn hang(&mut self) -> Result<bool> {
        while self.fill().await? {}
        Err(ErrorKind::ConnectionAborted.into())
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}
