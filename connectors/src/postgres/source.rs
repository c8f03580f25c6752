//! A table or query as a lazy table of the engine.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_engine::connector::{Position, SourceObject, SourceRequest};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::{ColumnOverride, Columns};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::filters::{self, Comparable};
use super::known;
use super::names::ident;
use super::patience::{self, Patience};
use super::profile;
use super::relation::{self, ColumnMeta, Part, Relation};
use super::scan::{CopyScan, Piece, ScanColumn};
use super::session::Session;
use super::types::{BaseType, MIN_BARE_SCALE, Override, ReadAs, Wire};
use super::window::{self, Window};
use super::written::Sight;
use crate::{NATIVE_FORM, NATIVE_TYPE};

/// Blocks of one range: 64 MB, so that ranges of unequal density still even out between readers.
const BLOCKS_PER_RANGE: u64 = 8192;

/// Below this a second reader costs more than it gains: 8 MB.
const BLOCKS_PER_READER: u64 = 1024;

/// What a request names.
struct Opened {
    label: String,
    from: String,
    parts: Vec<Part>,
    lock: Option<String>,
    rows: Option<u64>,
    metas: Vec<ColumnMeta>,
    relation: Option<Relation>,
}

/// A column that is read.
#[derive(Debug, Clone)]
struct Read {
    meta: ColumnMeta,
    read: ReadAs,
    /// The type it is read as, e.g. of an override.
    native: String,
}

/// The lazy table.
pub(super) struct PostgresTable {
    shared: Arc<Shared>,
    /// For messages.
    label: String,
    /// What stands behind FROM for the whole of it.
    from: String,
    parts: Vec<Part>,
    /// LOCK TABLE takes it.
    lock: Option<String>,
    reads: Vec<Read>,
    schema: SchemaRef,
    rows: Option<u64>,
    /// What the rows have to meet, whatever is asked of them.
    conditions: Vec<String>,
    /// Whether they are read in ranges.
    is_split: bool,
    utf8: bool,
    /// Why the rows may not be all that there are.
    incomplete: Option<String>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for PostgresTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTable").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Opened {
    /// Looks at what a request names.
    async fn look(shared: &Shared, session: &Session, object: &SourceObject, patience: Patience) -> Result<Self> {
        let name = &shared.dialer.name;
        match object {
            SourceObject::Table(path) => {
                let (relation, metas) = match shared.known.take(path) {
                    Some(known) => known?,
                    None => known::look(session, name, path, patience).await?,
                };
                let Relation { parts, rows, .. } = relation.clone();
                let lock = relation.is_lockable().then(|| relation.sql());
                let label = format!("{name}.{}", relation.label());
                Ok(Self { label, from: relation.sql(), parts, lock, rows, metas, relation: Some(relation) })
            }
            SourceObject::Query(query) => {
                let from = format!("({}\n) AS q", query.trim().trim_end_matches(';'));
                let metas = describe_query(session, name, &from, patience).await?;
                let parts = vec![Part { sql: from.clone(), blocks: None }];
                let label = format!("the query on {name}");
                Ok(Self { label, from, parts, lock: None, rows: None, metas, relation: None })
            }
        }
    }
}

impl PostgresTable {
    /// Describes what is to be read, without reading a row of it (but for the profile of bare numerics).
    pub(super) async fn open(
        shared: Arc<Shared>,
        session: &Session,
        request: &SourceRequest,
        sight: Sight,
    ) -> Result<(Self, Option<Position>, Vec<String>)> {
        let patience = if sight == Sight::Nothing { shared.patience() } else { Patience::Session };
        let utf8 = shared.known.is_utf8(session).await?;
        let opened = Opened::look(&shared, session, &request.object, patience).await?;
        let Opened { label, from, parts, lock, rows, metas, relation } = opened;
        let window = match &request.cursor {
            Some(cursor) => {
                let found = window::find(session, &label, &from, relation.as_ref(), &metas, cursor, (sight, patience));
                found.await.map_err(|error| patience::named(error, &label))?
            }
            None => Window::default(),
        };
        let chosen = choose(&label, metas, request.columns.as_ref())?;
        let reads = decide(session, &from, chosen, request.columns.as_ref(), patience).await?;
        let schema = Arc::new(Schema::new(reads.iter().map(field).collect::<Vec<_>>()));
        let cancel = request.cancel.clone();
        let Window { conditions, is_bounded, position, notes } = window;
        let rows = rows.filter(|_| !is_bounded);
        let is_split = !is_bounded;
        let incomplete = match &relation {
            Some(relation) => relation.incomplete(),
            None => Some("a query, which may leave rows out".to_owned()),
        };
        let table = Self {
            shared,
            label,
            from,
            parts,
            lock,
            reads,
            schema,
            rows,
            conditions,
            is_split,
            utf8,
            incomplete,
            cancel,
        };
        Ok((table, position, notes))
    }

    /// Why the rows may not be all that there are.
    pub(super) fn incomplete(&self) -> Option<String> {
        self.incomplete.clone()
    }

    fn comparables(&self) -> Vec<Comparable> {
        let comparable = |read: &Read| Comparable {
            name: read.meta.name.clone(),
            wire: read.read.wire.clone(),
            type_oid: read.read.cast.is_none().then_some(read.meta.base.oid),
            bytewise: read.meta.bytewise,
            utf8: self.utf8,
        };
        self.reads.iter().map(comparable).collect()
    }

    /// The statements of a scan, dealt out to at most `readers` partitions.
    fn pieces(&self, readers: usize, limit: Option<usize>) -> Vec<Vec<Piece>> {
        let blocks: u64 = self.parts.iter().filter_map(|part| part.blocks).sum();
        let splits = self.is_split && readers > 1 && limit.is_none() && blocks >= 2 * BLOCKS_PER_READER;
        if !splits {
            return vec![vec![Piece { from: self.from.clone(), range: None }]];
        }
        let wanted = usize::try_from(blocks / BLOCKS_PER_READER).unwrap_or(readers).clamp(1, readers);
        let step = BLOCKS_PER_RANGE.min(blocks.div_ceil(u64::try_from(wanted).unwrap_or(1)));
        let pieces: Vec<Piece> = self.parts.iter().flat_map(|part| ranges(part, step)).collect();
        let mut partitions = vec![Vec::new(); wanted.min(pieces.len()).max(1)];
        let count = partitions.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            partitions[index % count].push(piece);
        }
        partitions
    }

    fn scan_columns(&self, projection: &[usize]) -> Vec<ScanColumn> {
        let reads = projection.iter().map(|index| &self.reads[*index]);
        reads
            .map(|read| ScanColumn {
                name: read.meta.name.clone(),
                sql: expression(&read.meta.name, &read.read),
                wire: read.read.wire.clone(),
                in_key: read.meta.primary_key.is_some(),
            })
            .collect()
    }

    fn statistics_of(&self, projection: &[usize]) -> Statistics {
        let Some(rows) = self.rows.and_then(|rows| usize::try_from(rows).ok()) else {
            let fields: Vec<_> = projection.iter().map(|index| self.schema.field(*index).clone()).collect();
            return Statistics::new_unknown(&Schema::new(fields));
        };
        let width = |read: &Read| read.read.wire.width().or(read.meta.width).unwrap_or(32);
        let width: usize = projection.iter().map(|index| width(&self.reads[*index])).sum();
        Statistics {
            num_rows: Precision::Inexact(rows),
            total_byte_size: Precision::Inexact(rows.saturating_mul(width)),
            column_statistics: vec![ColumnStatistics::new_unknown(); projection.len()],
        }
    }
}

#[async_trait]
impl TableProvider for PostgresTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn EngineSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.reads.len()).collect();
        let projection = projection.unwrap_or(&all);
        let comparables = self.comparables();
        let pushed = filters.iter().map(|filter| {
            filters::to_sql(filter, &comparables)
                .ok_or_else(|| DataFusionError::Internal(format!("filter {filter} was not offered as exact")))
        });
        let pushed = pushed.collect::<datafusion::common::Result<Vec<String>>>()?;
        let mut readers = state.config().target_partitions().min(self.shared.readers(&self.label));
        if readers > 1 && !self.shared.snapshots.importable(&self.shared).await.map_err(DataFusionError::from)? {
            readers = 1;
        }
        let partitions = self.pieces(readers, limit);
        self.shared.reduce(&self.label, partitions.len());
        let schema = Arc::new(self.schema.project(projection)?);
        let columns = self.scan_columns(projection);
        let statistics = self.statistics_of(projection);
        let scan = CopyScan::new(Arc::clone(&self.shared), self.label.clone(), schema, columns, partitions)
            .with_lock(self.lock.clone())
            .with_filters([self.conditions.as_slice(), pushed.as_slice()].concat())
            .with_limit(limit)
            .with_statistics(statistics)
            .with_cancel(self.cancel.clone());
        Ok(Arc::new(scan))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        let comparables = self.comparables();
        let judge = |filter: &&Expr| match filters::to_sql(filter, &comparables) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(judge).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let all: Vec<usize> = (0..self.reads.len()).collect();
        self.rows.map(|_| self.statistics_of(&all))
    }
}

/// Ranges of blocks; the last is open-ended, because the table may have grown.
fn ranges(part: &Part, step: u64) -> Vec<Piece> {
    let Some(blocks) = part.blocks else { return vec![Piece { from: part.sql.clone(), range: None }] };
    let starts = (0..blocks.max(1)).step_by(usize::try_from(step.max(1)).unwrap_or(usize::MAX));
    let piece = |start: u64| {
        let end = start + step;
        let range = match (start, end < blocks) {
            (0, true) => format!("ctid < '({end},0)'::tid"),
            (_, true) => format!("ctid >= '({start},0)'::tid AND ctid < '({end},0)'::tid"),
            (0, false) => return Piece { from: part.sql.clone(), range: None },
            (_, false) => format!("ctid >= '({start},0)'::tid"),
        };
        Piece { from: part.sql.clone(), range: Some(range) }
    };
    starts.map(piece).collect()
}

fn expression(name: &str, read: &ReadAs) -> String {
    match &read.cast {
        Some(cast) => format!("CAST({} AS {cast})", ident(name)),
        None => ident(name),
    }
}

fn field(read: &Read) -> Field {
    let data_type: DataType = read.read.wire.arrow();
    let form = data_type.to_string();
    Field::new(&read.meta.name, data_type, read.meta.nullable)
        .with_metadata([(NATIVE_TYPE.to_owned(), read.native.clone()), (NATIVE_FORM.to_owned(), form)].into())
}

/// The columns of a query, asked of the server without running it.
async fn describe_query(
    session: &Session,
    connection: &str,
    from: &str,
    patience: Patience,
) -> Result<Vec<ColumnMeta>> {
    session.run("preparing to describe the query", &format!("BEGIN READ ONLY; {}", patience.sql())).await?;
    let described = session.describe("describing the query", &format!("SELECT * FROM {from} LIMIT 0")).await;
    session.run("describing the query", "ROLLBACK").await?;
    let columns = described.map_err(|error| patience::named(error, "a table of the query"))?;
    let mut seen = std::collections::HashSet::new();
    for (name, ..) in &columns {
        if !seen.insert(name) {
            return Err(EngineError::config(format!("the query on '{connection}' has two columns named {name}"))
                .hint("give one of them another name with AS"));
        }
    }
    relation::described(session, &columns).await
}

/// The columns asked for, in the order asked for.
fn choose(label: &str, metas: Vec<ColumnMeta>, columns: Option<&Columns>) -> Result<Vec<ColumnMeta>> {
    let missing = |name: &str| {
        let names: Vec<&str> = metas.iter().map(|meta| meta.name.as_str()).collect();
        EngineError::config(format!("{label} has no column {name}"))
            .hint(format!("its columns are {}", names.join(", ")))
    };
    match columns {
        Some(Columns::Only(names)) => names
            .iter()
            .map(|name| metas.iter().find(|meta| meta.name == *name).cloned().ok_or_else(|| missing(name)))
            .collect(),
        Some(Columns::Override(overrides)) => {
            match overrides.keys().find(|name| !metas.iter().any(|meta| meta.name == **name)) {
                Some(name) => Err(missing(name)),
                None => Ok(metas),
            }
        }
        None => Ok(metas),
    }
}

/// Decides how each column is read; profiles bare numerics and arrays that no override names.
async fn decide(
    session: &Session,
    from: &str,
    metas: Vec<ColumnMeta>,
    columns: Option<&Columns>,
    patience: Patience,
) -> Result<Vec<Read>> {
    let wanted = |name: &str| match columns {
        Some(Columns::Override(overrides)) => overrides.get(name),
        _ => None,
    };
    let unnamed = |is: fn(&BaseType) -> bool| -> Vec<&str> {
        let chosen = metas.iter().filter(|meta| is(&meta.base) && wanted(&meta.name).is_none());
        chosen.map(|meta| meta.name.as_str()).collect()
    };
    let scales = profile::scales(session, from, &unnamed(BaseType::is_bare_numeric), patience).await?;
    let odd = profile::odd_arrays(session, from, &unnamed(BaseType::is_array), patience).await?;
    let decide = |meta: ColumnMeta| {
        let read = match wanted(&meta.name) {
            Some(ColumnOverride::Type(text)) => return overridden(meta, text),
            Some(ColumnOverride::Full(rule)) => {
                if rule.mask.is_some() {
                    return Err(EngineError::config(format!("column {}: masks are not supported yet", meta.name)));
                }
                match &rule.kind {
                    Some(text) => return overridden(meta, text),
                    None => meta.base.read_as(MIN_BARE_SCALE),
                }
            }
            // As text it keeps its dimensions and subscripts, and between tables of Postgres its type.
            None if odd.contains(&meta.name) => ReadAs { wire: Wire::Text, cast: Some("text".to_owned()) },
            None => meta.base.read_as(scales.get(&meta.name).copied().unwrap_or(MIN_BARE_SCALE)),
        };
        Ok(Read { native: meta.native.clone(), meta, read })
    };
    metas.into_iter().map(decide).collect()
}

fn overridden(meta: ColumnMeta, text: &str) -> Result<Read> {
    let wanted = Override::parse(&meta.name, text)?;
    let read = wanted.apply(&meta.name, &meta.native, &meta.base)?;
    Ok(Read { meta, read, native: wanted.native })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_block_once_and_stay_open_at_the_end() {
        let part = Part { sql: "t".to_owned(), blocks: Some(25) };
        let found: Vec<_> = ranges(&part, 10).into_iter().filter_map(|piece| piece.range).collect();
        assert_eq!(
            found,
            ["ctid < '(10,0)'::tid", "ctid >= '(10,0)'::tid AND ctid < '(20,0)'::tid", "ctid >= '(20,0)'::tid",]
        );
        assert_eq!(ranges(&Part { sql: "t".to_owned(), blocks: Some(0) }, 10).len(), 1);
    }

    #[test]
    fn a_scan_expression_casts_by_name() {
        let read = ReadAs { wire: Wire::Text, cast: Some("text".to_owned()) };
        assert_eq!(expression("Or\"der", &read), "CAST(\"Or\"\"der\" AS text)");
    }
}
