//! The target of a load: a dataset folder, or one file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use headwater_engine::connector::{ColumnChanges, Commit, LoadContext, Sink, SinkPlan, SinkRequest, Staged, Taken};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::format::{Compression, Format, has_ending, join_parts, of_name};
use super::manifest::{Area, Manifest, Part};
use super::write::{self, Finished, Shape};
use super::{Shared, blocking, io_error, source};
use crate::conform::{self, Caster};
use crate::location::Location;
use crate::writers::{Crew, Held, feed};

/// More writers than this gain nothing on one disk.
const MOST_WRITERS: usize = 4;

/// What one writer may hold: a row group with its pages in work, and in front of an object store three parts of an upload.
const WRITER_MEMORY: usize = 64 << 20;

/// Appends to or overwrites one target.
#[derive(Debug)]
pub(super) struct FilesSink {
    shared: Arc<Shared>,
    path: Vec<String>,
    area: Area,
    shape: Shape,
    mode: WriteMode,
}

/// A hidden file of an attempt. Unless it is kept, it is removed once nobody has it any more: an attempt can end anywhere.
struct Owned {
    area: Area,
    part: Option<Part>,
}

impl Owned {
    fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    /// From now on the file is removed by nobody.
    fn keep(mut self) -> Option<Part> {
        self.part.take()
    }

    /// Removes the file now.
    fn discard(mut self) {
        if let Some(part) = self.part.take() {
            self.area.discard(&part);
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let (Some(part), Ok(runtime)) = (self.part.take(), Handle::try_current()) {
            let area = self.area.clone();
            runtime.spawn_blocking(move || area.discard(&part));
        }
    }
}

/// Hidden files of an attempt.
struct Written {
    files: Vec<Owned>,
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
        if !request.schema.is_frozen() {
            return refuse(
                "the columns of files don't change with a load",
                "leave `schema` out: append refuses other columns, overwrite takes those that come; or load into a table",
            );
        }
        if name.contains(['*', '?', '[']) {
            return refuse("a load can't go into a glob", "name a folder, or one file with overwrite");
        }
        let target = shared.location.join_new(std::slice::from_ref(&name))?;
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
        let area = if has_ending(&name) { file_area(&shared.location, &name) } else { Area::dataset(target) };
        let area = area.map_err(|error| EngineError::config(format!("{label}: {error}")))?;
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

    /// Names the file of a load's writer: as it is hidden, and as it is seen.
    fn names(&self, load: &LoadContext, number: usize) -> (String, String) {
        let ending = match self.shape.compression {
            Compression::None => self.shape.format.extension().to_owned(),
            Compression::Gzip => format!("{}.gz", self.shape.format.extension()),
            Compression::Zstd => format!("{}.zst", self.shape.format.extension()),
        };
        let unique = format!("{}-{}-{number}", load.load_id, load.attempt);
        // Hidden names are of this try alone: a zombie with the same number must not write into it.
        let hidden = format!("{unique}-{}.{ending}", Uuid::new_v4().simple());
        (hidden, self.area.single.clone().unwrap_or_else(|| format!("part-{unique}.{ending}")))
    }

    /// What a writer does, on a thread of its own with a file of its own.
    fn writer(
        &self,
        load: &LoadContext,
        number: usize,
        schema: &SchemaRef,
        held: Held,
        batches: mpsc::Receiver<RecordBatch>,
    ) -> impl FnOnce() -> Result<Owned> + Send + use<> {
        let (hidden, name) = self.names(load, number);
        let (schema, shape, area) = (Arc::clone(schema), self.shape.clone(), self.area.clone());
        let cancel = load.cancel.clone();
        move || {
            let place = area.hide(&hidden, &name).map_err(|error| io_error("writing to", &area.folder, error))?;
            let finished = write::file(&place, &schema, &shape, cancel, &held, batches);
            if finished.is_err() {
                place.discard();
            }
            let Finished { rows, bytes, upload } = finished?;
            Ok(Owned { area, part: Some(Part { hidden, name, rows, bytes, upload }) })
        }
    }

    async fn discard(&self, files: Vec<Owned>) {
        if let Err(error) = blocking(move || files.into_iter().for_each(Owned::discard)).await {
            tracing::debug!(%error, "hidden files could not be removed");
        }
    }
}

/// The area of one file, which has the name in its folder.
fn file_area(location: &Location, name: &str) -> std::io::Result<Area> {
    match name.rsplit_once('/') {
        Some((folder, file)) => Area::file(location.below(folder)?, file.to_owned()),
        None => Area::file(location.clone(), name.to_owned()),
    }
}

fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

#[async_trait]
impl Sink for FilesSink {
    async fn prepare(&self, schema: &SchemaRef) -> Result<SinkPlan> {
        let schema = self.schema(schema)?;
        self.check_existing(&schema).await?;
        let ddl = match &self.area.folder {
            Location::Folder(folder) if !folder.exists() => vec![format!("mkdir {}", folder.display())],
            _ => Vec::new(),
        };
        Ok(SinkPlan { ddl, ..SinkPlan::default() })
    }

    async fn write(&self, load: &LoadContext, input: SendableRecordBatchStream) -> Result<Staged> {
        let schema = self.schema(&input.schema())?;
        let area = self.area.clone();
        blocking(move || area.create()).await?.map_err(|error| io_error("making", &self.area.folder, error))?;
        self.check_existing(&schema).await?;
        let caster = Caster::new(&input.schema(), Arc::clone(&schema))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let wanted = if self.area.single.is_some() { 1 } else { cores.min(MOST_WRITERS) };
        let crew = Crew { most: wanted, each: WRITER_MEMORY };
        let mut tasks = JoinSet::new();
        let open = |held, batches| {
            tasks.spawn_blocking(self.writer(load, tasks.len(), &schema, held, batches));
        };
        let fed = load.cancel.run_until_cancelled(feed(load, input, &caster, crew, open)).await;
        let fed = fed.unwrap_or_else(|| Err(EngineError::canceled(format!("writing {} was canceled", self.label()))));
        let mut files: Vec<Owned> = Vec::new();
        let mut failure = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(file)) => files.push(file),
                Ok(Err(error)) => failure = Some(error),
                Err(error) => failure = Some(EngineError::bug("a writer ended early").caused_by(error)),
            }
        }
        // A writer's error closes its channel, so that the feed's is only its consequence; a cancel is the cause of both.
        let cause = if load.cancel.is_cancelled() { fed.err().or(failure) } else { failure.or(fed.err()) };
        if let Some(error) = cause {
            self.discard(files).await;
            return Err(error);
        }
        let name = |file: &Owned| file.part().map(|part| part.name.clone());
        files.sort_by_key(name);
        // One file says what the columns are, even without a row; more would be noise.
        let first = files.first().and_then(name);
        let rows = |file: &Owned| file.part().map_or(0, |part| part.rows);
        let any = files.iter().any(|file| rows(file) > 0);
        let (kept, empty): (Vec<Owned>, Vec<Owned>) =
            files.into_iter().partition(|file| rows(file) > 0 || (!any && name(file) == first));
        self.discard(empty).await;
        Ok(Staged {
            rows: kept.iter().map(rows).sum(),
            bytes: kept.iter().map(|file| file.part().map_or(0, |part| part.bytes)).sum(),
            files: u64::try_from(kept.len()).unwrap_or_default(),
            changes: None,
            columns: ColumnChanges::default(),
            state: Box::new(Written { files: kept }),
        })
    }

    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit> {
        let written = staged
            .state
            .downcast::<Written>()
            .map_err(|_| EngineError::bug("a load was handed to a sink that did not write it"))?;
        let area = self.area.clone();
        let overwrite = self.mode == WriteMode::Overwrite && area.single.is_none();
        let (load_id, attempt) = (load.load_id, load.attempt);
        let won = blocking(move || {
            // What others have put comes first, so that this load replaces it too.
            area.recover()?;
            let replaces = if overwrite { area.visible()? } else { Vec::new() };
            // Once the manifest is on its way, nobody but its completion may touch the files.
            let files = written.files.into_iter().filter_map(Owned::keep).collect();
            let manifest = Manifest { load_id, attempt, put_at: now_micros(), files, replaces };
            let winner = area.put(&manifest)?;
            area.complete(&winner)?;
            if winner != manifest {
                manifest.files.iter().for_each(|part| area.discard(part));
                return Ok(Commit::Adopted(Taken { attempt: winner.attempt, version: None }));
            }
            Ok::<_, std::io::Error>(Commit::Committed { version: None })
        });
        won.await?.map_err(|error| io_error("committing to", &self.area.folder, error))
    }

    async fn taken(&self, load_id: Uuid) -> Result<Option<Taken>> {
        let area = self.area.clone();
        let manifest = blocking(move || area.settled(load_id)).await?;
        let manifest = manifest.map_err(|error| io_error("asking", &self.area.folder, error))?;
        Ok(manifest.map(|manifest| Taken { attempt: manifest.attempt, version: None }))
    }

    async fn fence(&self, load_id: Uuid) -> Result<Option<Taken>> {
        let area = self.area.clone();
        let fenced = blocking(move || {
            let manifest =
                Manifest { load_id, attempt: 0, put_at: now_micros(), files: Vec::new(), replaces: Vec::new() };
            area.put(&manifest)
        });
        let winner = fenced.await?.map_err(|error| io_error("fencing", &self.area.folder, error))?;
        Ok((winner.attempt != 0).then_some(Taken { attempt: winner.attempt, version: None }))
    }

    async fn abort(&self, _load: &LoadContext, staged: Option<Staged>) {
        if let Some(written) = staged.and_then(|staged| staged.state.downcast::<Written>().ok()) {
            self.discard(written.files).await;
        }
    }
}
