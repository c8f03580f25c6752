//! Parquet files as they were listed, for readers that ask for pieces of them: each request is answered by the listed version alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::stream::BoxStream;
use headwater_engine::stores::registered_at;
use headwater_engine::{EngineError, Result};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use url::Url;

use super::data::DataFile;
use super::listed::{Listed, Stamp, changed};

/// The store's name in messages.
const STORE: &str = "files";

/// A store that holds some files in one version each.
#[derive(Debug)]
pub(super) struct Pinned {
    inner: Arc<dyn ObjectStore>,
    files: HashMap<Path, Arc<Listed>>,
    /// The address of the whole store in a session.
    root: Url,
}

impl Pinned {
    /// The store of listed files, and their addresses in it.
    pub(super) fn of(files: &[DataFile], address: impl Fn(&DataFile) -> Result<Url>) -> Result<(Self, Vec<Url>)> {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let bug = |what: String| EngineError::bug(format!("the address of a file: {what}"));
        let root = format!("listed://files.{}/", OPENED.fetch_add(1, Ordering::Relaxed));
        let root = Url::parse(&root).map_err(|error| bug(error.to_string()))?;
        let inner: Arc<dyn ObjectStore> = match files.first().map(DataFile::plain) {
            Some(DataFile::Stored(object)) => Arc::clone(object.objects()),
            _ => Arc::new(LocalFileSystem::new()),
        };
        let (mut urls, mut pinned) = (Vec::with_capacity(files.len()), HashMap::with_capacity(files.len()));
        for file in files {
            let mut url = root.clone();
            url.set_path(address(file)?.path());
            if let DataFile::Listed(listed) = file {
                let path = Path::from_url_path(url.path()).map_err(|error| bug(error.to_string()))?;
                pinned.insert(path, Arc::clone(listed));
            }
            urls.push(url);
        }
        Ok((Self { inner, files: pinned, root }, urls))
    }

    /// A table of files of this store.
    pub(super) fn table(self, table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        let root = self.root.clone();
        registered_at(table, root, Arc::new(self))
    }
}

fn refuse_write<T>() -> object_store::Result<T> {
    Err(Error::NotSupported { source: "files that were listed are read only".into() })
}

/// The file is not what was listed, in words that reach the load whole.
fn refused(file: &DataFile) -> Error {
    let error = EngineError::transient(format!("reading {file}: {}", changed()));
    Error::Generic { store: STORE, source: Box::new(error) }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listed files of {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Pinned {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> object_store::Result<PutResult> {
        refuse_write()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        refuse_write()
    }

    /// Ranges are asked for one by one through this too.
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let Some(listed) = self.files.get(location) else { return self.inner.get_opts(location, options).await };
        let Listed { file, stamp } = listed.as_ref();
        let condition = stamp.condition();
        let options =
            GetOptions { if_match: condition.if_match, if_unmodified_since: condition.if_unmodified_since, ..options };
        let found = self.inner.get_opts(location, options).await.map_err(|error| match error {
            Error::Precondition { .. } | Error::NotFound { .. } => refused(file),
            // A local file that has become shorter lacks the range.
            Error::Generic { .. } if matches!(stamp, Stamp::Local { .. }) => refused(file),
            error => error,
        })?;
        let is_same = match &found.payload {
            GetResultPayload::File(opened, _) => opened.metadata().and_then(|now| stamp.check_local(&now)),
            GetResultPayload::Stream(_) => stamp.check_object(&found.meta),
        };
        is_same.map_err(|_| refused(file))?;
        Ok(found)
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        Box::pin(futures::stream::once(std::future::ready(refuse_write())))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        refuse_write()
    }
}
