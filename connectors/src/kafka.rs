//! Kafka: topics to read, as bounded tables.
//!
//! Reads: what was committed when the table was opened, from the stored position on or from the beginning: a window of offsets for each partition, read exactly,
//! whatever is produced meanwhile. JSON objects are decoded straight into columns; a message that does not fit fails the read with topic, partition and
//! offset. No consumer group is joined and nothing is committed to the brokers: the position travels with the load.
//! Messages of Avro, Protobuf and JSON Schema are decoded the same way, with schemas of a registry that answers as Confluent's does. Change events of Debezium are decoded
//! to the rows that they are about.
//! Limits: Kafka 2.8 or newer, or a server that speaks its protocol with topic ids; SASL PLAIN and SCRAM; topics can't be written. Columns: see
//! `layout.rs`; types of JSON: see `json.rs`; of messages with schemas: see `schemas.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_engine::connector::{
    Connection, Connector, ConnectorSpec, Health, Sink, SinkRequest, Source, SourceObject, SourceRequest, TableInfo,
};
use headwater_engine::{EngineError, Result};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::settings;

mod avro;
mod check;
mod cluster;
mod consume;
mod debezium;
mod endpoint;
mod failure;
mod guess;
mod json;
mod json_schema;
mod layout;
mod position;
mod protobuf;
mod read;
mod registry;
mod rows;
mod scan;
mod schemas;
mod scram;
mod session;
mod silence;
mod source;
mod topic;
mod wire;

use cluster::Client;
use endpoint::{Endpoint, Settings};
use guess::Guesses;
use registry::Kept;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    summary: "Kafka 2.8 or newer, and servers that speak its protocol",
    location: "bootstrap",
    schemes: &["kafka"],
    example: "type: kafka\nbootstrap: \"broker-1.example.com:9093,broker-2.example.com:9093\"\nsecurity: sasl_tls\nuser: headwater\npassword: \"${KAFKA_PASSWORD}\"\n",
    reads: true,
    queries: false,
    rejects: true,
    writes: &[],
};

/// The connector.
#[derive(Debug)]
pub(crate) struct Kafka {
    /// Where sockets are driven.
    io: Option<Handle>,
    guesses: Arc<Guesses>,
    /// Schemas of messages.
    schemas: Arc<Kept>,
}

impl Kafka {
    /// A connector whose questions are asked on the runtime that it is made on.
    pub(crate) fn new() -> Self {
        Self { io: Handle::try_current().ok(), guesses: Arc::default(), schemas: Arc::default() }
    }
}

impl Connector for Kafka {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).into()
    }

    fn redact(&self, settings: &Value) -> Value {
        settings::redact(settings, &self.secrets(settings))
    }

    fn secrets(&self, settings: &Value) -> Vec<String> {
        let text = |key: &str| settings.get(key).and_then(Value::as_str);
        let login = text("bootstrap").into_iter().flat_map(endpoint::logins_in);
        login
            .chain(text("password"))
            .chain(registry::settings::secrets(settings))
            .filter(|secret| !secret.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn open(&self, name: &str, settings: &Value) -> Result<Arc<dyn Connection>> {
        let settings: Settings = settings::read(name, &SPEC, settings)?;
        let endpoint = Endpoint::resolve(name, &settings)?;
        let (guesses, schemas) = (Arc::clone(&self.guesses), Arc::clone(&self.schemas));
        Ok(Arc::new(KafkaConnection { client: Client::new(endpoint, self.io.clone(), guesses, schemas) }))
    }
}

/// One opened connection. It holds no socket between questions.
#[derive(Debug)]
struct KafkaConnection {
    client: Client,
}

#[async_trait]
impl Connection for KafkaConnection {
    async fn check(&self) -> Result<Health> {
        check::check(&self.client).await
    }

    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>> {
        check::catalog(&self.client, columns).await
    }

    async fn source(&self, request: &SourceRequest) -> Result<Source> {
        let SourceObject::Table(path) = &request.object else {
            let what = format!("connection '{}' can't run queries", self.client.endpoint.name);
            return Err(EngineError::config(what).hint("read a topic with `from`, and filter it in a transform"));
        };
        source::open(&self.client, path, request).await
    }

    async fn sink(&self, _: &SinkRequest) -> Result<Arc<dyn Sink>> {
        let what = format!("connection '{}' can't be written: topics are read only", self.client.endpoint.name);
        Err(EngineError::config(what).hint("load into a connection of type postgres, delta or files"))
    }

    async fn close(&self) {}
}
