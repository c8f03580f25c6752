//! A topic as a lazy table of the engine.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_engine::connector::{OwnPosition, Position, Reading, Source, SourceRequest};
use headwater_engine::{EngineError, Result};

use super::cluster::Client;
use super::scan::TopicScan;
use super::topic::{Asked, Topic};

const OWN_POSITION: OwnPosition =
    OwnPosition { source: "a topic", unit: "each offset", rows: "messages", position: "the offsets of all partitions" };

/// Opens a topic: what is new since the position that the request names, or all of it.
pub(super) async fn open(client: &Client, path: &[String], request: &SourceRequest) -> Result<Source> {
    let reading = request.cursor.as_ref().map(|cursor| &cursor.reading);
    if let Some(request) = &request.cursor {
        OWN_POSITION.judge(request, &client.label(&path.join(".")))?;
    }
    let after = match reading {
        Some(Reading::After(after)) => after.as_ref(),
        Some(Reading::Judged | Reading::Within(..)) | None => None,
    };
    let most = request.cursor.as_ref().and_then(|request| request.most);
    let follows = matches!(reading, Some(Reading::After(_)));
    let (columns, cancel) = (request.columns.as_ref(), request.cancel.clone());
    let quarantine = request.quarantine.clone();
    let needs_keys = follows && request.cursor.as_ref().is_some_and(|request| request.by_keys);
    let asked = Asked { columns, after, follows, needs_keys, most, quarantine, cancel };
    let topic = Topic::open(client, path, asked).await?;
    let position = match reading {
        Some(Reading::After(_)) => Some(Position {
            to: serde_json::to_value(&topic.plan.position)
                .map_err(|error| EngineError::bug("a position could not be written").caused_by(error))?,
            shown: topic.plan.shown(),
            must_move: topic.plan.offsets() > 0,
            behind: topic.plan.behind,
        }),
        Some(Reading::Judged | Reading::Within(..)) | None => None,
    };
    let notes = topic.layout.notes.clone();
    let table: Arc<dyn TableProvider> = Arc::new(TopicTable { topic: Arc::new(topic) });
    let incomplete = Some("a topic, which forgets messages".to_owned());
    Ok(Source { position, notes, incomplete, ..table.into() })
}

/// The lazy table.
#[derive(Debug)]
struct TopicTable {
    topic: Arc<Topic>,
}

impl TopicTable {
    fn statistics_of(&self, columns: usize) -> Statistics {
        // Offsets of control records and gaps of compaction are counted too.
        let rows = usize::try_from(self.topic.plan.offsets()).unwrap_or(usize::MAX);
        Statistics {
            num_rows: if rows == 0 { Precision::Exact(0) } else { Precision::Inexact(rows) },
            total_byte_size: Precision::Absent,
            column_statistics: vec![ColumnStatistics::new_unknown(); columns],
        }
    }
}

#[async_trait]
impl TableProvider for TopicTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.topic.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.topic.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let hands = self.topic.deal(state.config().target_partitions());
        let statistics = self.statistics_of(projection.len());
        Ok(Arc::new(TopicScan::new(Arc::clone(&self.topic), projection, hands, limit, statistics)))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics_of(self.topic.schema.fields().len()))
    }
}
