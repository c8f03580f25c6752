//! The target of a load: a dataset folder, or one file.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use headwater_engine::connector::{Commit, LoadContext, Sink, SinkPlan, SinkRequest, Staged, Taken};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::format::{Compression, Format, has_ending, join_parts, of_name};
use super::manifest::{Area, Manifest, Part};
use super::write::{self, Shape};
use super::{Shared, blocking, io_error, source};
use crate::conform::{self, Caster};
use crate::location;

/// More writers than this gain nothing on one disk.
const MOST_WRITERS: usize = 4;

/// What one writer is reckoned to hold.
const WRITER_MEMORY: usize = 48 << 20;

/// Batches that may wait for a writer.
const WAITING_BATCHES: usize = 2;

/// Appends to or overwrites one target.
#[derive(Debug)]
pub(super) struct FilesSink {
    shared: Arc<Shared>,
    path: Vec<String>,
    area: Area,
    shape: Shape,
    mode: WriteMode,
}

/// Hidden files of an attempt.
struct Hidden {
    parts: Vec<Part>,
}

impl FilesSink {
    pub(super) fn new(shared: Arc<Shared>, request: &SinkRequest) -> Result<Self> {
        let name = join_parts(&request.path);
        let label = format!("{}.{name}", shared.name);
        let refuse = |what: &str, hint: &str| Err(EngineError::config(format!("{label}: {what}")).hint(hint));
        if !super::SPEC.writes.contains(&request.mode) {
            return refuse(&format!("mode {} is not supported yet", request.mode), "use append or overwrite");
        }
        if !request.partition_by.is_empty() {
            return refuse(
                "partition_by is not supported for files yet",
                "load into a Delta table, which can be partitioned",
            );
        }
        if name.contains(['*', '?', '[']) {
            return refuse("a load can't go into a glob", "name a folder, or one file with overwrite");
        }
        let target = location::join(&shared.folder, std::slice::from_ref(&name))?;
        let (found, compression) = of_name(&name);
        let Some(format) = found.or(shared.format).or((!has_ending(&name)).then_some(Format::Parquet)) else {
            return refuse(
                "the format is unknown",
                "end the name in .csv, .jsonl or .parquet, or set `format` on the connection",
            );
        };
        if format == Format::Parquet && compression != Compression::None {
            return refuse("a Parquet file is compressed inside", "leave .gz or .zst out");
        }
        if format == Format::Csv && shared.dialect.encoding != encoding_rs::UTF_8 {
            return refuse("only UTF-8 is written", "leave `encoding` out of the connection that is written to");
        }
        let area = match (has_ending(&name), target.parent(), target.file_name().and_then(|name| name.to_str())) {
            (true, Some(folder), Some(file)) => Area::file(folder.to_owned(), file.to_owned()),
            _ => Area::dataset(target),
        };
        if area.single.is_some() && request.mode == WriteMode::Append {
            return refuse(
                "rows can't be appended to one file",
                "use overwrite, or a name without ending for a folder of files",
            );
        }
        let shape = Shape { format, compression, dialect: shared.dialect.clone() };
        Ok(Self { shared, path: request.path.clone(), area, shape, mode: request.mode })
    }

    fn label(&self) -> String {
        format!("{}.{}", self.shared.name, self.path.join("."))
    }

    /// The schema that is written.
    fn schema(&self, incoming: &Schema) -> Result<SchemaRef> {
        let schema = conform::lake_schema(incoming)?;
        let nested = |data_type: &DataType| matches!(data_type, DataType::List(_) | DataType::Struct(_));
        match schema.fields().iter().find(|field| nested(field.data_type())) {
            Some(field) if self.shape.format == Format::Csv => Err(EngineError::config(format!(
                "column {} of type {} can't be written as CSV",
                field.name(),
                field.data_type()
            ))
            .hint("write Parquet or JSON lines, or turn it into text in a transform")),
            _ => Ok(Arc::new(schema)),
        }
    }

    /// An appended file has the columns of those that are there.
    async fn check_existing(&self, schema: &Schema) -> Result<()> {
        let area = self.area.clone();
        let files =
            blocking(move || area.files()).await?.map_err(|error| io_error("listing", &self.area.folder, error))?;
        if self.mode != WriteMode::Append || files.is_empty() {
            return Ok(());
        }
        let there = source::open(Arc::clone(&self.shared), &self.path, None, CancellationToken::new()).await?.schema();
        if self.shape.format == Format::Parquet {
            return conform::match_table(&self.label(), schema, &there);
        }
        let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        // JSON lines without a line tell no columns.
        if names(schema) == names(&there) || there.fields().is_empty() {
            return Ok(());
        }
        Err(EngineError::config(format!(
            "the files of {} have the columns {}, and the dataset has {}",
            self.label(),
            names(&there).join(", "),
            names(schema).join(", ")
        ))
        .hint("select the same columns in the same order in a transform"))
    }

    /// Starts the writers, each on a thread of its own with a file of its own.
    fn start(
        &self,
        load: &LoadContext,
        schema: &SchemaRef,
        writers: usize,
    ) -> (JoinSet<Result<Part>>, Vec<mpsc::Sender<RecordBatch>>) {
        let mut tasks = JoinSet::new();
        let mut inputs = Vec::new();
        for number in 0..writers {
            let ending = match self.shape.compression {
                Compression::None => self.shape.format.extension().to_owned(),
                Compression::Gzip => format!("{}.gz", self.shape.format.extension()),
                Compression::Zstd => format!("{}.zst", self.shape.format.extension()),
            };
            let unique = format!("{}-{}-{number}", load.load_id, load.attempt);
            // Hidden names are of this try alone: a zombie with the same number must not write into it.
            let hidden = format!("{unique}-{}.{ending}", Uuid::new_v4().simple());
            let name = self.area.single.clone().unwrap_or_else(|| format!("part-{unique}.{ending}"));
            let path = self.area.hidden(&hidden);
            let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
            let (schema, shape) = (Arc::clone(schema), self.shape.clone());
            tasks.spawn_blocking(move || {
                let finished = write::file(&path, &schema, &shape, receiver);
                if finished.is_err() {
                    remove(&path);
                }
                let finished = finished?;
                Ok(Part { hidden, name, rows: finished.rows, bytes: finished.bytes })
            });
            inputs.push(sender);
        }
        (tasks, inputs)
    }

    fn remove_parts(&self, parts: &[Part]) {
        parts.iter().for_each(|part| remove(&self.area.hidden(&part.hidden)));
    }
}

/// Removes a hidden file; one that can't be removed now is never seen.
fn remove(path: &PathBuf) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "a hidden file could not be removed");
    }
}

/// Hands batches to whichever writer is free next.
async fn feed(
    mut input: SendableRecordBatchStream,
    caster: &Caster,
    writers: Vec<mpsc::Sender<RecordBatch>>,
) -> Result<()> {
    let mut next = 0;
    while let Some(batch) = input.next().await {
        let batch = caster.cast(&batch.map_err(EngineError::from)?)?;
        if batch.num_rows() == 0 {
            continue;
        }
        next = (next + 1) % writers.len();
        let chosen =
            (0..writers.len()).map(|step| (next + step) % writers.len()).find(|index| writers[*index].capacity() > 0);
        if writers[chosen.unwrap_or(next)].send(batch).await.is_err() {
            return Err(EngineError::transient("a writer ended early"));
        }
    }
    Ok(())
}

fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

#[async_trait]
impl Sink for FilesSink {
    async fn prepare(&self, schema: &SchemaRef) -> Result<SinkPlan> {
        let schema = self.schema(schema)?;
        self.check_existing(&schema).await?;
        let ddl = match self.area.folder.exists() {
            true => Vec::new(),
            false => vec![format!("mkdir {}", self.area.folder.display())],
        };
        Ok(SinkPlan { ddl, notes: Vec::new() })
    }

    async fn write(&self, load: &LoadContext, input: SendableRecordBatchStream) -> Result<Staged> {
        let schema = self.schema(&input.schema())?;
        let area = self.area.clone();
        blocking(move || area.create()).await?.map_err(|error| io_error("making", &self.area.folder, error))?;
        self.check_existing(&schema).await?;
        let caster = Caster::new(&input.schema(), Arc::clone(&schema))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let wanted = if self.area.single.is_some() { 1 } else { cores.min(MOST_WRITERS) };
        let (writers, _memory) = crate::writers::reserve(load, wanted, WRITER_MEMORY).await?;
        let (mut tasks, inputs) = self.start(load, &schema, writers);
        let fed = load.cancel.run_until_cancelled(feed(input, &caster, inputs)).await;
        let fed = fed.unwrap_or_else(|| Err(EngineError::canceled(format!("writing {} was canceled", self.label()))));
        let mut parts = Vec::new();
        let mut failure = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(part)) => parts.push(part),
                Ok(Err(error)) => failure = Some(error),
                Err(error) => failure = Some(EngineError::bug("a writer ended early").caused_by(error)),
            }
        }
        // A writer's error closes its channel, so that the feed's is only its consequence.
        if let Some(error) = failure.or(fed.err()) {
            self.remove_parts(&parts);
            return Err(error);
        }
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        // One file says what the columns are, even without a row; more would be noise.
        let first = parts.iter().map(|part| part.name.clone()).next();
        let any = parts.iter().any(|part| part.rows > 0);
        let keep = |part: &Part| part.rows > 0 || (!any && Some(&part.name) == first.as_ref());
        let (kept, empty): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(keep);
        self.remove_parts(&empty);
        Ok(Staged {
            rows: kept.iter().map(|part| part.rows).sum(),
            bytes: kept.iter().map(|part| part.bytes).sum(),
            files: u64::try_from(kept.len()).unwrap_or_default(),
            state: Box::new(Hidden { parts: kept }),
        })
    }

    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit> {
        let hidden = staged
            .state
            .downcast::<Hidden>()
            .map_err(|_| EngineError::bug("a load was handed to a sink that did not write it"))?;
        let area = self.area.clone();
        let overwrite = self.mode == WriteMode::Overwrite && area.single.is_none();
        let (load_id, attempt, parts) = (load.load_id, load.attempt, hidden.parts.clone());
        let won = blocking(move || {
            // What others have put comes first, so that this load replaces it too.
            area.recover()?;
            let replaces = if overwrite { area.visible()? } else { Vec::new() };
            let manifest = Manifest { load_id, attempt, put_at: now_micros(), files: parts, replaces };
            area.put(&manifest)?;
            let winner = area.manifest(load_id)?.ok_or_else(|| std::io::Error::other("a manifest vanished"))?;
            area.complete(&winner)?;
            Ok::<_, std::io::Error>((winner.files == manifest.files, winner.attempt))
        });
        let (ours, winner) = won.await?.map_err(|error| io_error("committing to", &self.area.folder, error))?;
        if ours {
            return Ok(Commit::Committed { version: None });
        }
        self.remove_parts(&hidden.parts);
        Ok(Commit::Adopted(Taken { attempt: winner, version: None }))
    }

    async fn taken(&self, load_id: Uuid) -> Result<Option<Taken>> {
        let area = self.area.clone();
        let manifest = blocking(move || area.manifest(load_id)).await?;
        let manifest = manifest.map_err(|error| io_error("asking", &self.area.folder, error))?;
        Ok(manifest.map(|manifest| Taken { attempt: manifest.attempt, version: None }))
    }

    async fn fence(&self, load_id: Uuid) -> Result<Option<Taken>> {
        let area = self.area.clone();
        let fenced = blocking(move || {
            let manifest =
                Manifest { load_id, attempt: 0, put_at: now_micros(), files: Vec::new(), replaces: Vec::new() };
            area.put(&manifest)?;
            area.manifest(load_id)
        });
        let winner = fenced.await?.map_err(|error| io_error("fencing", &self.area.folder, error))?;
        Ok(winner.filter(|winner| winner.attempt != 0).map(|winner| Taken { attempt: winner.attempt, version: None }))
    }

    async fn abort(&self, _load: &LoadContext, staged: Option<Staged>) {
        if let Some(hidden) = staged.and_then(|staged| staged.state.downcast::<Hidden>().ok()) {
            self.remove_parts(&hidden.parts);
        }
    }
}
