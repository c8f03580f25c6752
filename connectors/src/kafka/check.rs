//! What a cluster is like, for people.

use arrow::datatypes::Schema;
use headwater_engine::connector::{ColumnInfo, Health, TableInfo};
use headwater_engine::{NATIVE_TYPE, Result};

use super::cluster::{Client, Cluster};
use super::endpoint::Security;
use super::session::Session;
use super::topic::{Asked, Topic};

/// Brokers whose addresses are tried: enough to see that `advertised.listeners` is wrong.
const TRIED_BROKERS: usize = 5;

/// Topics whose messages are looked at for their columns; those of the others are left out.
const LOOKED_AT: usize = 200;

/// Reaches the cluster and its brokers. An error is that of the first broker in the settings; brokers that the cluster names and that can't be
/// reached are notes, unless all of them are.
pub(crate) async fn check(client: &Client) -> Result<Health> {
    let cluster = client.cluster().await?;
    let topics = cluster.topics.iter().filter(|topic| topic.is_public()).count();
    let mut notes = unreachable(client, &cluster).await?;
    let endpoint = &client.endpoint;
    if endpoint.security == Security::SaslPlaintext {
        notes.push("the password is sent unencrypted".to_owned());
    }
    if let Some(registry) = client.registry.clone() {
        let address = registry.address().to_owned();
        if registry.is_open() {
            notes.push(format!("the password of the schema registry {address} is sent unencrypted"));
        }
        notes.push(match client.on_io(async move { registry.subjects().await }).await? {
            Some(1) => format!("schema registry {address}: 1 subject"),
            Some(count) => format!("schema registry {address}: {count} subjects"),
            None => format!("schema registry {address}: the user may not list its subjects"),
        });
    }
    if topics == 0 {
        notes.push("no topic can be seen: there is none, or the user may not DESCRIBE any".to_owned());
    }
    let brokers = cluster.brokers.len();
    let brokers = if brokers == 1 { "1 broker".to_owned() } else { format!("{brokers} brokers") };
    Ok(Health {
        version: format!("Kafka, {brokers}, cluster {}", cluster.id),
        identity: endpoint.security.sasl().then(|| endpoint.user.clone()),
        transport: cluster.transport,
        latency_us: cluster.latency_us,
        tables: u64::try_from(topics).unwrap_or(u64::MAX),
        notes,
    })
}

/// Tries the addresses by which brokers are known to each other, and by which messages are fetched.
async fn unreachable(client: &Client, cluster: &Cluster) -> Result<Vec<String>> {
    let (mut notes, mut first, mut tried) = (Vec::new(), None, 0);
    for (number, (host, port)) in cluster.brokers.iter().take(TRIED_BROKERS) {
        let (endpoint, host, port) = (client.endpoint.clone(), host.clone(), *port);
        tried += 1;
        if let Err(error) = client.on_io(async move { Session::open(&endpoint, &host, port).await.map(drop) }).await {
            notes.push(format!("broker {number}: {}", error.message));
            first.get_or_insert(error);
        }
    }
    match first {
        Some(error) if notes.len() == tried => Err(error),
        _ => Ok(notes),
    }
}

/// The topics, without the brokers' own. Rows are offsets that are there, which are at least as many as messages.
pub(crate) async fn catalog(client: &Client, columns: bool) -> Result<Vec<TableInfo>> {
    let cluster = client.cluster().await?;
    let bounds = client.all_bounds(&cluster).await?;
    // Each topic would wait for a registry that does not answer.
    let columns = columns
        && match client.registry.clone() {
            Some(registry) => client.on_io(async move { registry.subjects().await }).await.is_ok(),
            None => true,
        };
    let mut tables = Vec::new();
    for topic in cluster.topics.iter().filter(|topic| topic.is_public()) {
        let rows = bounds.get(&topic.name).map(|bounds| {
            bounds.values().map(|bounds| u64::try_from(bounds.high - bounds.low).unwrap_or_default()).sum()
        });
        let path = vec![topic.name.clone()];
        let described = match columns && tables.len() < LOOKED_AT {
            true => match Topic::open(client, &path, Asked::default()).await {
                Ok(topic) => column_infos(&topic.schema),
                // A topic that can't be read is still listed; reading it says what is wrong.
                Err(_) => Vec::new(),
            },
            false => Vec::new(),
        };
        let partitions = topic.partitions().len();
        let kind =
            if partitions == 1 { "topic, 1 partition".to_owned() } else { format!("topic, {partitions} partitions") };
        tables.push(TableInfo { path, kind, rows, columns: described, ..TableInfo::default() });
    }
    Ok(tables)
}

fn column_infos(schema: &Schema) -> Vec<ColumnInfo> {
    let info = |field: &std::sync::Arc<arrow::datatypes::Field>| ColumnInfo {
        name: field.name().clone(),
        native_type: field.metadata().get(NATIVE_TYPE).cloned().unwrap_or_else(|| field.data_type().to_string()),
        arrow_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
        primary_key: None,
        comment: None,
    };
    schema.fields().iter().map(info).collect()
}
