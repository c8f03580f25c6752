//! Files as a lazy table of the engine.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_engine::connector::{CursorRequest, OwnPosition, Reading as Asked, Source};
use headwater_engine::stores::registered;
use headwater_engine::{EngineError, Result, select, type_names};
use headwater_pipelines::spec::Columns;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::data::DataFile;
use super::format::Format;
use super::listing::{self, Selection};
use super::loaded::Loaded;
use super::pinned::Pinned;
use super::scan::{FilesScan, Reading};
use super::window::{self, Window};
use super::{Shared, blocking, csv, infer, json_types, types};
use crate::conform;

/// Opens the files that a path names.
pub(super) async fn open(
    shared: Arc<Shared>,
    path: &[String],
    columns: Option<&Columns>,
    cancel: CancellationToken,
) -> Result<Arc<dyn TableProvider>> {
    let label = format!("{}.{}", shared.name, path.join("."));
    let (path, overrides) = (path.to_vec(), columns.cloned());
    let described = Arc::clone(&shared);
    let (selection, schema) = blocking(move || {
        let selection = listing::select(&described, &path)?;
        let schema = schema(&described, &selection, overrides.as_ref(), None)?;
        Ok::<_, EngineError>((selection, schema))
    })
    .await??;
    table(shared, label, selection, schema, columns, cancel)
}

/// Whether a path stands for any number of files.
pub(super) fn is_pattern(path: &[String]) -> bool {
    path.iter().any(|part| part.contains(['*', '?', '[']))
}

/// What files have as a position.
const OWN_POSITION: OwnPosition =
    OwnPosition { source: "a set of files", unit: "each file", rows: "files", position: "the files that are loaded" };

/// Opens those of the files that a load does not hold yet.
pub(super) async fn open_new(
    shared: Arc<Shared>,
    path: &[String],
    columns: Option<&Columns>,
    request: &CursorRequest,
    cancel: CancellationToken,
) -> Result<Source> {
    let label = format!("{}.{}", shared.name, path.join("."));
    OWN_POSITION.judge(request, &label)?;
    let after = match &request.reading {
        Asked::After(after) => Some(after.as_ref().map(|after| Loaded::read(&label, after)).transpose()?),
        Asked::Judged | Asked::Within(..) => None,
    };
    let whole = path.to_vec();
    let (described, named, overrides, path) = (Arc::clone(&shared), label.clone(), columns.cloned(), path.to_vec());
    let found = blocking(move || {
        let Some(before) = after else { return window::judge(&described, &named, &path).map(|()| None) };
        window::find(&described, &named, &path, overrides.as_ref(), before).map(Some)
    })
    .await??;
    let again = Some("a file that is overwritten or grows at the source");
    let Some(Window { new, schema, position }) = found else {
        return Ok(Source { again, ..open(shared, &whole, columns, cancel).await?.into() });
    };
    let schema = typed(&shared, schema, columns)?;
    let table = match new {
        Some(selection) => table(shared, label, selection, schema, columns, cancel)?,
        None => select::columns(Arc::new(EmptyTable::new(Arc::new(schema))), only(columns), &label)?,
    };
    Ok(Source { position: Some(position), again, ..table.into() })
}

/// A lazy table of files under a schema.
fn table(
    shared: Arc<Shared>,
    label: String,
    selection: Selection,
    schema: Schema,
    columns: Option<&Columns>,
    cancel: CancellationToken,
) -> Result<Arc<dyn TableProvider>> {
    if selection.format == Format::Parquet {
        return select::columns(parquet_table(&selection, schema)?, columns, &label);
    }
    let Selection { files, format } = selection;
    let table = FilesTable { shared, label: label.clone(), format, files, schema: Arc::new(schema), cancel };
    select::columns(Arc::new(table), only(columns), &label)
}

/// Text is read under the types that are asked for; what is left is a projection.
fn only(columns: Option<&Columns>) -> Option<&Columns> {
    columns.filter(|columns| matches!(columns, Columns::Only(_)))
}

/// The schema under which the files are read.
fn schema(
    shared: &Shared,
    selection: &Selection,
    columns: Option<&Columns>,
    before: Option<&Schema>,
) -> Result<Schema> {
    typed(shared, own_schema(shared, selection, columns, before)?, columns)
}

/// The schema that the files have by themselves, given that of files that were read before.
pub(super) fn own_schema(
    shared: &Shared,
    selection: &Selection,
    columns: Option<&Columns>,
    before: Option<&Schema>,
) -> Result<Schema> {
    Ok(match selection.format {
        Format::Csv => {
            let names = same_columns(shared, &selection.files)?;
            match shared.infer {
                true => types::settled(infer::schema(&shared.dialect, &selection.files, &names)?, before),
                false => csv::text_schema(&names),
            }
        }
        Format::Jsonl => {
            // What is not read need not agree, and what has been given a type is read under that.
            let free = |name: &str| match columns {
                Some(Columns::Override(rules)) => rules.contains_key(name),
                Some(Columns::Only(names)) => !names.iter().any(|read| read == name),
                None => false,
            };
            types::completed(json_types::schema(&selection.files, &free)?, before)
        }
        Format::Parquet => parquet_schema(&selection.files)?,
    })
}

/// A schema under the types that are asked for.
fn typed(shared: &Shared, schema: Schema, columns: Option<&Columns>) -> Result<Schema> {
    let Some(Columns::Override(overrides)) = columns else { return Ok(schema) };
    if let Some(name) = overrides.keys().find(|name| schema.field_with_name(name).is_err()) {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(EngineError::config(format!("the files of {} have no column {name}", shared.name))
            .hint(format!("their columns are {}", names.join(", "))));
    }
    let fields = schema.fields().iter().map(|field| match overrides.get(field.name()) {
        Some(rule) => {
            let data_type = type_names::parse(field.name(), select::kind(field.name(), rule)?)?;
            Ok(Field::new(field.name(), data_type, true))
        }
        None => Ok(field.as_ref().clone()),
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>>>()?))
}

/// The columns of CSV files, which must be the same in all of them.
fn same_columns(shared: &Shared, files: &[DataFile]) -> Result<Vec<String>> {
    let mut first: Option<(&DataFile, Vec<String>)> = None;
    for file in files {
        // A file without a byte has no rows, and without a header it need not have columns.
        let names = shared.dialect.columns(file).map_err(|error| file.explained(error))?;
        let Some(names) = names else { continue };
        match &first {
            None => first = Some((file, names)),
            Some((other, columns)) if *columns != names => {
                let (columns, names) = (columns.join(", "), names.join(", "));
                return Err(EngineError::data(format!("{other} has the columns {columns}, and {file} has {names}"))
                    .hint("files that are read together need the same columns in the same order"));
            }
            Some(_) => {}
        }
    }
    first.map(|(_, names)| names).ok_or_else(|| {
        EngineError::data(format!("{} is empty: it has no line that says how many columns there are", files[0]))
    })
}

fn parquet_schema(files: &[DataFile]) -> Result<Schema> {
    let read = |file: &DataFile| file.parquet_schema().map_err(|error| file.explained(error));
    let first = read(&files[0])?;
    for file in &files[1..] {
        let other = read(file)?;
        if plain(&other)? != plain(&first)? {
            return Err(EngineError::data(format!("the columns of {} differ from those of {}", file, files[0]))
                .hint("files that are read together need the same columns and types"));
        }
    }
    plain(&first)
}

/// Types that every later step knows, e.g. text instead of views and dictionaries.
fn plain(schema: &Schema) -> Result<Schema> {
    let fields =
        schema.fields().iter().map(|field| Field::new(field.name(), plain_type(field.name(), field.data_type()), true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_type(column: &str, data_type: &DataType) -> DataType {
    let nested = |field: &FieldRef| Arc::new(Field::new(field.name(), plain_type(column, field.data_type()), true));
    match data_type {
        // Whether a time needs its nanoseconds is seen where it is stored: read as microseconds, it would be cut.
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Nanosecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::List(field) | DataType::LargeList(field) => DataType::List(nested(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        other => conform::lake_type(column, other).unwrap_or_else(|_| other.clone()),
    }
}

fn parquet_table(selection: &Selection, schema: Schema) -> Result<Arc<dyn TableProvider>> {
    let files = &selection.files;
    if files.iter().any(|file| matches!(file, DataFile::Listed(_))) {
        let (store, urls) = Pinned::of(files, address)?;
        return Ok(store.table(parquet_at(urls, schema)?));
    }
    let table = parquet_at(files.iter().map(address).collect::<Result<Vec<_>>>()?, schema)?;
    Ok(match &files[0] {
        DataFile::Stored(object) => registered(table, object),
        _ => table,
    })
}

/// A file's address in a session.
fn address(file: &DataFile) -> Result<Url> {
    match file.plain() {
        DataFile::Stored(object) => Ok(object.session_url_of(object.path())),
        DataFile::Local(path) => {
            Url::from_file_path(path).map_err(|()| EngineError::bug(format!("{file} is not an absolute path")))
        }
        DataFile::Listed(_) => Err(EngineError::bug(format!("{file} was listed twice"))),
    }
}

fn parquet_at(urls: Vec<Url>, schema: Schema) -> Result<Arc<dyn TableProvider>> {
    // Built from urls, so that brackets and stars in names are not taken for globs.
    let urls = urls.into_iter().map(|url| ListingTableUrl::try_new(url, None).map_err(EngineError::from));
    let format = ParquetFormat::default().with_force_view_types(false).with_coerce_int96(Some("us".to_owned()));
    // Files are named one by one, whatever their endings.
    let options = ListingOptions::new(Arc::new(format)).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls.collect::<Result<Vec<_>>>()?)
        .with_listing_options(options)
        .with_schema(Arc::new(schema));
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// Text files.
#[derive(Debug)]
struct FilesTable {
    shared: Arc<Shared>,
    label: String,
    format: Format,
    files: Vec<DataFile>,
    schema: SchemaRef,
    cancel: CancellationToken,
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        let reading = Reading {
            dialect: self.shared.dialect.clone(),
            format: self.format,
            schema: Arc::clone(&self.schema),
            projection: projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect()),
            limit,
            label: self.label.clone(),
            cancel: self.cancel.clone(),
        };
        let readers = state.config().target_partitions().clamp(1, self.files.len());
        let mut partitions = vec![Vec::new(); readers];
        for (index, file) in self.files.iter().enumerate() {
            partitions[index % readers].push(file.clone());
        }
        Ok(Arc::new(FilesScan::new(reading, partitions)?))
    }
}
