//! A connection to one broker, for questions: what topics there are and where they begin and end. Messages come through librdkafka.
//!
//! librdkafka's safe interface knows no topic ids and reports every reason for a failed connection as the same silence, so these few
//! requests are made here. Protocol: <https://kafka.apache.org/protocol>, Kafka 4.1; every version used is there from Kafka 2.8 on.

use std::sync::Arc;
use std::time::Duration;

use headwater_engine::Result;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use uuid::Uuid;

use super::endpoint::{Endpoint, Mechanism, shown};
use super::failure::Failure;
use super::scram::{Hash, Scram, Unproven};
use super::wire::{In, Malformed, Out};

/// Longer than a slow TLS handshake, short enough for a person who waits.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A broker answers questions from its memory; a controller that is being elected takes some seconds.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Metadata of thousands of topics stay far below it; what claims to be longer is no answer of Kafka's.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// Keys of requests.
pub(super) mod key {
    pub(in super::super) const LIST_OFFSETS: i16 = 2;
    pub(in super::super) const METADATA: i16 = 3;
    pub(super) const SASL_HANDSHAKE: i16 = 17;
    pub(super) const API_VERSIONS: i16 = 18;
    pub(super) const SASL_AUTHENTICATE: i16 = 36;
}

/// What bytes go through.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that has been authenticated, if the listener asks for it.
pub(super) struct Session {
    wire: Box<dyn Wire>,
    /// Number of the next request.
    next: i32,
    /// e.g. `TLS 1.3, certificate verified`.
    pub transport: String,
    /// Versions that the broker knows: key, lowest, highest.
    versions: Vec<(i16, i16, i16)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and authenticates.
    pub(super) async fn open(endpoint: &Endpoint, host: &str, port: u16) -> Result<Self> {
        let address = shown(host, port);
        let failed = |failure: Failure| failure.at(endpoint, &address);
        if endpoint.silence.is_silent(&address) {
            return Err(Failure::Silent.again(endpoint, &address));
        }
        let (wire, transport) = match timeout(CONNECT_TIMEOUT, connect(endpoint, host, port)).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(Failure::Silent)),
        };
        let mut session = Self { wire, next: 0, transport, versions: Vec::new() };
        session.greet().await.map_err(failed)?;
        if endpoint.security.sasl() {
            session.authenticate(endpoint).await.map_err(failed)?;
        }
        Ok(session)
    }

    /// The highest version of a request that both sides know.
    pub(super) fn version(&self, key: i16, lowest: i16, highest: i16) -> Result<i16, Failure> {
        let known = self.versions.iter().find(|(known, ..)| *known == key);
        let common =
            known.map(|(_, low, high)| (lowest.max(*low), highest.min(*high))).filter(|(low, high)| low <= high);
        common.map(|(_, high)| high).ok_or(Failure::Old)
    }

    /// Sends a request with the header of its kind, and returns the answer behind its own header.
    pub(super) async fn ask(&mut self, key: i16, version: i16, flexible: bool, body: &Out) -> Result<Vec<u8>, Failure> {
        match timeout(ANSWER_TIMEOUT, self.exchange(key, version, flexible, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Silent),
        }
    }

    async fn exchange(&mut self, key: i16, version: i16, flexible: bool, body: &Out) -> Result<Vec<u8>, Failure> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut request = Out::default();
        request.int16(key).int16(version).int32(number).string("headwater");
        if flexible {
            request.varint(0);
        }
        request.bytes(&body.0);
        let mut frame = Out::default();
        frame.count(request.0.len()).bytes(&request.0);
        self.wire.write_all(&frame.0).await.map_err(Failure::closed)?;
        self.wire.flush().await.map_err(Failure::closed)?;
        let mut length = [0; 4];
        self.wire.read_exact(&mut length).await.map_err(Failure::closed)?;
        if length[..2] == [0x15, 0x03] {
            return Err(Failure::SpeaksTls);
        }
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=MOST_ANSWER_BYTES).contains(&length) {
            return Err(Failure::Foreign);
        }
        let mut answer = vec![0; length];
        self.wire.read_exact(&mut answer).await.map_err(Failure::closed)?;
        let mut header = In(&answer);
        if header.int32() != Ok(number) {
            return Err(Failure::Foreign);
        }
        if flexible {
            header.tags()?;
        }
        Ok(header.0.to_vec())
    }

    /// Asks for the versions that the broker knows, which every listener answers before anything else.
    async fn greet(&mut self) -> Result<(), Failure> {
        let answer = self.ask(key::API_VERSIONS, 0, false, &Out::default()).await.map_err(Failure::at_greeting)?;
        let mut input = In(&answer);
        let error = input.int16()?;
        let mut versions = Vec::new();
        for _ in 0..input.count()? {
            versions.push((input.int16()?, input.int16()?, input.int16()?));
        }
        self.versions = versions;
        if error == 0 { Ok(()) } else { Err(Failure::Code(error)) }
    }

    /// SASL: agrees on the mechanism, then proves who the user is.
    async fn authenticate(&mut self, endpoint: &Endpoint) -> Result<(), Failure> {
        let mut body = Out::default();
        body.string(endpoint.mechanism.name());
        let answer = self.ask(key::SASL_HANDSHAKE, 1, false, &body).await?;
        let mut input = In(&answer);
        let error = input.int16()?;
        let mut offered = Vec::new();
        for _ in 0..input.count()? {
            offered.push(input.string()?);
        }
        match error {
            0 => {}
            codes::UNSUPPORTED_SASL_MECHANISM => return Err(Failure::Mechanism(offered)),
            codes::ILLEGAL_SASL_STATE => return Err(Failure::NoSasl),
            other => return Err(Failure::Code(other)),
        }
        let hash = match endpoint.mechanism {
            Mechanism::Plain => {
                // RFC 4616.
                return self.token(&format!("\0{}\0{}", endpoint.user, endpoint.password)).await.map(drop);
            }
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha512 => Hash::Sha512,
        };
        let scram = Scram::new(hash, &endpoint.user, Uuid::new_v4().simple().to_string());
        let first = self.token(&scram.first()).await?;
        let (last, expected) = scram.last(&endpoint.password, &first).map_err(|Unproven| Failure::Foreign)?;
        // A server that does not know the password can't answer this.
        if self.token(&last).await? == expected.as_bytes() { Ok(()) } else { Err(Failure::Foreign) }
    }

    /// Sends one message of the mechanism, and returns the server's.
    async fn token(&mut self, token: &str) -> Result<Vec<u8>, Failure> {
        let mut body = Out::default();
        body.count(token.len()).bytes(token.as_bytes());
        let answer = self.ask(key::SASL_AUTHENTICATE, 0, false, &body).await?;
        let mut input = In(&answer);
        let error = input.int16()?;
        input.string()?;
        match error {
            0 => {
                let length = input.count()?;
                Ok(input.take(length)?.to_vec())
            }
            codes::SASL_AUTHENTICATION_FAILED => Err(Failure::Password),
            other => Err(Failure::Code(other)),
        }
    }
}

/// Error codes of answers that are told apart.
pub(super) mod codes {
    pub(in super::super) const UNKNOWN_TOPIC: i16 = 3;
    pub(in super::super) const LEADER_NOT_AVAILABLE: i16 = 5;
    pub(in super::super) const NOT_LEADER: i16 = 6;
    pub(in super::super) const INVALID_TOPIC: i16 = 17;
    pub(in super::super) const TOPIC_DENIED: i16 = 29;
    pub(super) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    pub(super) const ILLEGAL_SASL_STATE: i16 = 34;
    pub(super) const SASL_AUTHENTICATION_FAILED: i16 = 58;
}

impl From<Malformed> for Failure {
    fn from(Malformed: Malformed) -> Self {
        Self::Foreign
    }
}

async fn connect(endpoint: &Endpoint, host: &str, port: u16) -> Result<(Box<dyn Wire>, String), Failure> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(Failure::Unknown)?.collect();
    let stream = TcpStream::connect(addresses.as_slice()).await.map_err(Failure::connecting)?;
    // Small requests are not held back.
    let _ = stream.set_nodelay(true);
    if !endpoint.security.tls() {
        return Ok((Box::new(stream), "TCP, not encrypted".to_owned()));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Name)?;
    let stream = connector(endpoint)?.connect(name, stream).await.map_err(Failure::Tls)?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    Ok((Box::new(stream), format!("{version}, certificate verified")))
}

fn connector(endpoint: &Endpoint) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    match &endpoint.ca {
        Some(path) => {
            let unreadable = |error: String| Failure::Authority(path.display().to_string(), error);
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unreadable("it holds no certificate".to_owned()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.map_err(|_| Failure::Foreign)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
