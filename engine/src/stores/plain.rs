//! Errors of object stores in plain words.
//!
//! A server may answer with what was signed, and an address may end in a signature: neither belongs into a message or a log.
//! The wrapper stands between the client and everything else, DataFusion and Delta included, so that no error escapes it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::options::Client;

/// A client whose errors are plain.
pub(super) fn plain<T: ObjectStore + MultipartStore>(store: T) -> Client {
    let store = Arc::new(Plain(store));
    (Arc::clone(&store) as Arc<dyn ObjectStore>, store)
}

/// What went wrong, without what the server was sent.
pub(super) fn words(error: &Error) -> String {
    let text = match error {
        Error::Generic { source, .. }
        | Error::NotFound { source, .. }
        | Error::AlreadyExists { source, .. }
        | Error::Precondition { source, .. }
        | Error::NotModified { source, .. }
        | Error::PermissionDenied { source, .. }
        | Error::Unauthenticated { source, .. } => with_causes(source.as_ref()),
        other => other.to_string(),
    };
    shorten(&text)
}

/// The last cause often says what the first error leaves out, e.g. that a connection was refused.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn shorten(text: &str) -> String {
    let between = |start: &str, end: &str| Some(text.split_once(start)?.1.split_once(end)?.0);
    let (spoken, answer) = match text.find('<') {
        Some(start) => (&text[..start], between("<Code>", "</Code>")),
        None => (text, None),
    };
    // A query may hold a signature.
    let without_query = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address.to_owned(),
        _ => word.to_owned(),
    };
    let spoken: Vec<String> = spoken.split_whitespace().map(without_query).collect();
    let spoken = spoken.join(" ");
    let message = between("<Message>", "</Message>").and_then(|message| message.lines().next()).unwrap_or_default();
    match answer {
        Some(code) => format!("{} {code} {message}", spoken.trim_end()).trim_end().to_owned(),
        None => spoken.trim_end_matches([':', ' ']).to_owned(),
    }
}

/// Stands for the path of a listing, which an error of the client doesn't know.
const LISTING: &str = "(listing)";

/// The client sorts the answers to most requests by what a caller can act on, but not those to listings.
fn sorted(store: &'static str, words: String) -> Error {
    let has_status = |status: &str| words.contains(&format!("status code: {status}"));
    let path = LISTING.to_owned();
    if has_status("401") {
        Error::Unauthenticated { path, source: words.into() }
    } else if has_status("403") {
        Error::PermissionDenied { path, source: words.into() }
    } else if has_status("404") {
        Error::NotFound { path, source: words.into() }
    } else {
        Error::Generic { store, source: words.into() }
    }
}

/// The words alone are kept as the source, so that no chain of causes says more.
fn cleaned(error: Error) -> Error {
    let words = words(&error);
    match error {
        Error::Generic { store, .. } => sorted(store, words),
        Error::NotFound { path, .. } => Error::NotFound { path, source: words.into() },
        Error::AlreadyExists { path, .. } => Error::AlreadyExists { path, source: words.into() },
        Error::Precondition { path, .. } => Error::Precondition { path, source: words.into() },
        Error::NotModified { path, .. } => Error::NotModified { path, source: words.into() },
        Error::PermissionDenied { path, .. } => Error::PermissionDenied { path, source: words.into() },
        Error::Unauthenticated { path, .. } => Error::Unauthenticated { path, source: words.into() },
        // The others come from the client itself and quote no server.
        other => other,
    }
}

#[derive(Debug)]
struct Plain<T>(T);

impl<T: ObjectStore> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for Plain<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await.map_err(cleaned)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(location, options).await.map_err(cleaned)?;
        Ok(Box::new(PlainUpload(upload)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.0.get_opts(location, options).await.map_err(cleaned)?;
        found.payload = match found.payload {
            GetResultPayload::Stream(bytes) => {
                GetResultPayload::Stream(bytes.map(|bytes| bytes.map_err(cleaned)).boxed())
            }
            file => file,
        };
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await.map_err(cleaned)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations).map(|path| path.map_err(cleaned)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix).map(|found| found.map_err(cleaned)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset).map(|found| found.map_err(cleaned)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await.map_err(cleaned)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await.map_err(cleaned)
    }
}

#[async_trait]
impl<T: MultipartStore> MultipartStore for Plain<T> {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.0.create_multipart(path).await.map_err(cleaned)
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, data: PutPayload) -> Result<PartId> {
        self.0.put_part(path, id, index, data).await.map_err(cleaned)
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.0.complete_multipart(path, id, parts).await.map_err(cleaned)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.0.abort_multipart(path, id).await.map_err(cleaned)
    }
}

#[derive(Debug)]
struct PlainUpload(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for PlainUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.0.put_part(data).map(|put| put.map_err(cleaned)).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.0.complete().await.map_err(cleaned)
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await.map_err(cleaned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_and_what_an_address_ends_in_are_left_out() {
        let answer = "Error performing PUT https://x.blob.core.windows.net/c/a?sv=1&sig=hush in 2ms - Server returned non-2xx \
                      status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>It \
                      does not match.</Message><StringToSign>hush</StringToSign></Error>";
        let error = cleaned(Error::PermissionDenied { path: "a".to_owned(), source: answer.into() });
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush"), "{text}");
        for part in
            ["https://x.blob.core.windows.net/c/a in", "403 Forbidden", "SignatureDoesNotMatch It does not match."]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_refused_listing_is_sorted_like_other_requests() {
        let source = "Error performing list request: Server returned non-2xx status code: 403 Forbidden: ".into();
        assert!(matches!(cleaned(Error::Generic { store: "S3", source }), Error::PermissionDenied { .. }));
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        assert_eq!(shorten("connection refused (os error 111)"), "connection refused (os error 111)");
    }
}
