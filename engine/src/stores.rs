//! Object stores: the one place that opens them, with one set of option names, for connectors and for staging.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::error::{EngineError, ErrorKind, Result};

mod options;
mod plain;
mod registered;

use options::Kind;

pub use options::StoreOptions;
pub use registered::{registered, registered_at};

/// Schemes of locations in object stores.
pub const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// A folder of an object store, opened.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    /// The location as it is shown, without a final slash.
    shown: String,
    /// The server and whether it is reached by HTTPS.
    server: String,
    is_encrypted: bool,
    objects: Arc<dyn ObjectStore>,
    uploads: Arc<dyn MultipartStore>,
    /// The folder's path in the bucket.
    path: Path,
    /// The root of the bucket under a name that no other opened store has: two connections may use one bucket name on two servers.
    session_root: Url,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.shown).finish()
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Opens a location such as `s3://bucket/folder`, without touching the network. `owner` begins the messages, e.g. `connection 'lake'`.
pub fn open(owner: &str, location: &Url, options: &Map<String, Value>) -> Result<Store> {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let wrong = |what: &str, hint: &str| EngineError::config(format!("{owner}: {what}")).hint(hint);
    let kind = Kind::of(location.scheme()).ok_or_else(|| {
        wrong(&format!("{}:// locations can't be opened", location.scheme()), "use file://, s3://, gs:// or az://")
    })?;
    let example = format!("write {}://bucket/folder, and all else as `options`", kind.scheme());
    let bucket = location.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or_else(|| wrong("the location names no bucket", &example))?;
    let is_plain = location.username().is_empty()
        && location.password().is_none()
        && location.port().is_none()
        && location.query().is_none()
        && location.fragment().is_none();
    if !is_plain {
        return Err(wrong("the location holds more than a bucket and a folder", &example));
    }
    let path = Path::from_url_path(location.path()).map_err(|error| wrong(&error.to_string(), &example))?;
    let options = StoreOptions::read(owner, kind, options)?;
    let (objects, uploads) = options.client(owner, kind, bucket)?;
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let session_root = Url::parse(&format!("{}://{bucket}.{number}/", kind.scheme()))
        .map_err(|error| wrong(&format!("'{bucket}' is not a bucket's name: {error}"), &example))?;
    Ok(Store {
        kind,
        shown: format!("{}://{bucket}/{path}", kind.scheme()).trim_end_matches('/').to_owned(),
        server: options.endpoint().map_or_else(String::new, |endpoint| format!(" at {endpoint}")),
        is_encrypted: !options.is_plain_http(),
        objects,
        uploads,
        path,
        session_root,
    })
}

impl Store {
    /// The objects of the whole bucket.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Uploads whose parts are there before they become an object.
    pub fn uploads(&self) -> &Arc<dyn MultipartStore> {
        &self.uploads
    }

    /// The folder's path in the bucket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is, e.g. `S3 at http://localhost:9000`.
    pub fn server(&self) -> String {
        let name = match self.kind {
            Kind::S3 => "S3",
            Kind::Google => "Google Cloud Storage",
            Kind::Azure => "Azure Blob Storage",
        };
        format!("{name}{}", self.server)
    }

    /// How it is reached.
    pub fn transport(&self) -> &'static str {
        if self.is_encrypted { "HTTPS" } else { "HTTP, not encrypted" }
    }

    /// A folder or object below; the name may hold slashes and is taken as it is.
    pub fn join(&self, name: &str) -> Result<Self> {
        let path = self.below(name)?;
        Ok(Self { path, shown: format!("{}/{name}", self.shown), ..self.clone() })
    }

    /// The path of an object below; the name may hold slashes and is taken as it is.
    pub fn below(&self, name: &str) -> Result<Path> {
        let whole = format!("{}/{name}", self.path);
        Path::parse(whole).map_err(|error| EngineError::config(format!("'{name}' is not a name in {self}: {error}")))
    }

    /// The folder's address in a DataFusion session, with a final slash. It is unique to the opened store; [`registered`] makes
    /// it known.
    pub fn session_url(&self) -> Url {
        let mut url = self.session_url_of(&self.path);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    }

    /// The address of an object of the bucket in a DataFusion session.
    pub fn session_url_of(&self, path: &Path) -> Url {
        let mut url = self.session_root.clone();
        let escaped: Vec<String> = path.as_ref().split('/').map(escape).collect();
        url.set_path(&format!("/{}", escaped.join("/")));
        url
    }

    /// Puts an object if there is none of that name; says whether it did.
    pub async fn put_new(&self, path: &Path, bytes: Vec<u8>) -> object_store::Result<bool> {
        match self.objects.put_opts(path, PutPayload::from(bytes), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reaches the store and reads the first name of the folder.
    pub async fn reach(&self) -> Result<()> {
        let first = self.objects.list(Some(&self.path)).next().await;
        first.transpose().map(drop).map_err(|error| self.failed("reading", error))
    }

    /// Whether anything is below the folder.
    pub async fn is_empty(&self) -> object_store::Result<bool> {
        Ok(self.objects.list(Some(&self.path)).try_next().await?.is_none())
    }

    /// Proves that an object that is there is not put again, which every commit relies on. `false` means that nothing may be
    /// written here, so that nothing could be tried.
    pub async fn prove_put_if_absent(&self) -> Result<bool> {
        let probe = self.below(&format!(".headwater-probe-{}", Uuid::new_v4().simple()))?;
        let first = self.put_new(&probe, b"first".to_vec()).await;
        match first {
            Ok(true) => {}
            Ok(false) => return Err(self.without_put_if_absent("a new object was refused as if it were there")),
            Err(Error::PermissionDenied { .. }) => return Ok(false),
            Err(error @ (Error::NotImplemented { .. } | Error::NotSupported { .. })) => {
                return Err(self.without_put_if_absent(&plain::words(&error)));
            }
            Err(error) => return Err(self.failed("writing to", error)),
        }
        let second = self.put_new(&probe, b"second".to_vec()).await;
        if let Err(error) = self.objects.delete(&probe).await {
            tracing::warn!(store = self.shown, object = probe.as_ref(), error = %plain::words(&error), "a probe could not be deleted");
        }
        match second {
            Ok(false) => Ok(true),
            Ok(true) => Err(self.without_put_if_absent("an object that was there was put again")),
            Err(error) => Err(self.without_put_if_absent(&plain::words(&error))),
        }
    }

    fn without_put_if_absent(&self, what: &str) -> EngineError {
        EngineError::config(format!("{self} does not support conditional writes (put if absent): {what}")).hint(
            "commits rely on them: use a store that honours `If-None-Match: *`, e.g. AWS S3, Cloudflare R2, MinIO or versitygw in a \
             current version, Azure Blob Storage or Google Cloud Storage",
        )
    }

    /// Puts an error of the store into words, e.g. `reading s3://bucket/folder: …`.
    pub fn failed(&self, doing: &str, error: Error) -> EngineError {
        let (kind, hint) = match &error {
            Error::NotFound { .. } => (
                ErrorKind::Config,
                Some("does the bucket exist, is the endpoint its own, and is the access key known there?".to_owned()),
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                (ErrorKind::Config, Some(format!("check the credentials: {}", self.kind.credentials())))
            }
            Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
                (ErrorKind::Config, None)
            }
            Error::AlreadyExists { .. } | Error::Precondition { .. } => (ErrorKind::Conflict, None),
            _ => (ErrorKind::Transient, Some("is the store up, and can this machine reach it?".to_owned())),
        };
        let failed = EngineError::new(kind, format!("{doing} {self}: {}", plain::words(&error)));
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

/// A part of a path as a part of an address.
fn escape(part: &str) -> String {
    // What has a meaning in an address, or in a glob, which listings would take it for.
    const MEANING: [char; 9] = ['%', '?', '#', '*', '[', ']', '{', '}', '\\'];
    let mut escaped = String::with_capacity(part.len());
    for character in part.chars() {
        if character.is_ascii() && !character.is_ascii_graphic() || MEANING.contains(&character) {
            escaped.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn store(location: &str) -> Result<Store> {
        let options = json!({ "access_key_id": "a", "secret_access_key": "hush", "region": "us-east-1" });
        open("connection 'lake'", &Url::parse(location).unwrap(), options.as_object().unwrap())
    }

    #[test]
    fn a_location_is_a_bucket_and_a_folder() {
        let lake = store("s3://acme/lake%20one/").unwrap();
        assert_eq!((lake.to_string().as_str(), lake.path().as_ref()), ("s3://acme/lake one", "lake one"));
        let orders = lake.join("by country/orders").unwrap();
        assert_eq!(orders.path().as_ref(), "lake one/by country/orders");
        assert!(orders.session_url().path().ends_with("/lake%20one/by%20country/orders/"), "{}", orders.session_url());
        assert_eq!(Path::from_url_path(orders.session_url().path()).unwrap(), *orders.path());
        for wrong in ["s3:///x", "s3://key:secret@acme/x", "s3://acme/x?region=y", "ftp://acme/x"] {
            assert!(store(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_stores_of_one_name_are_told_apart_in_a_session() {
        let (one, two) = (store("s3://acme/x").unwrap(), store("s3://acme/x").unwrap());
        assert_ne!(one.session_url().host_str(), two.session_url().host_str());
    }

    #[test]
    fn a_store_shows_no_secret() {
        assert!(!format!("{:?}", store("s3://acme/x").unwrap()).contains("hush"));
    }
}
