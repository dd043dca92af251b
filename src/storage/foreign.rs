//! Files of others: read where they are, never written, and without those that are none of theirs yet.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

use super::open_store;

/// An object store as it is read: objects whose names, or those of their folders, begin with `_` or `.` are not listed, for so
/// writers call what is not finished or is about the rest.
#[derive(Debug)]
pub struct Foreign(Arc<dyn ObjectStore>);

impl Foreign {
    /// How the names of such stores begin.
    const NAME: &str = "files of others in ";

    /// The store of a URL.
    ///
    /// # Errors
    /// As [`open_store`].
    pub fn open(url: &Url) -> crate::error::Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(Self(open_store(url)?.0)))
    }

    /// Whether a store is one.
    #[must_use]
    pub fn is(store: &dyn ObjectStore) -> bool {
        store.to_string().starts_with(Self::NAME)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::NAME, self.0)
    }
}

/// Whether an object below a folder is one that is read. `day=_x` is the name of a value.
fn visible(prefix: Option<&Path>, object: &Path) -> bool {
    let inside = prefix.map_or("", Path::as_ref);
    let rest = object.as_ref().strip_prefix(inside).unwrap_or(object.as_ref());
    !rest.split('/').any(|part| part.starts_with(['_', '.']))
}

fn refused<T>() -> Result<T> {
    Err(object_store::Error::NotSupported { source: "files of others are not written".into() })
}

#[async_trait]
impl ObjectStore for Foreign {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refused()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::iter([refused()]).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let below = prefix.cloned();
        let kept = move |object: &ObjectMeta| std::future::ready(visible(below.as_ref(), &object.location));
        self.0.list(prefix).try_filter(kept).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.0.list_with_delimiter(prefix).await?;
        found.objects.retain(|object| visible(prefix, &object.location));
        found.common_prefixes.retain(|folder| visible(prefix, folder));
        Ok(found)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;

    #[tokio::test]
    async fn what_is_not_finished_is_not_listed_and_nothing_is_written() {
        let inner = Arc::new(InMemory::new());
        for name in ["_a/x/1", "_a/x/_SUCCESS", "_a/x/_temporary/2", "_a/x/.3.crc", "_a/x/day=_4/5"] {
            inner.put(&Path::from(name), PutPayload::from_static(b"x")).await.unwrap();
        }
        let store = Foreign(inner);
        let listed = |prefix: &str| {
            let all = store.list(Some(&Path::from(prefix))).map_ok(|object| object.location.to_string());
            async move { all.try_collect::<Vec<_>>().await.unwrap() }
        };
        assert_eq!(listed("_a/x").await, ["_a/x/1", "_a/x/day=_4/5"]);
        assert_eq!(listed("").await, Vec::<String>::new());
        let found = store.list_with_delimiter(Some(&Path::from("_a/x"))).await.unwrap();
        assert_eq!((found.objects.len(), found.common_prefixes), (1, vec![Path::from("_a/x/day=_4")]));
        assert!(store.put(&Path::from("_a/x/6"), PutPayload::new()).await.is_err());
        assert!(store.delete(&Path::from("_a/x/1")).await.is_err());
    }
}
