//! An object store that fails as real ones do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// An error, and nothing happened.
    Before,
    /// An error, although it happened.
    After,
    /// Too many requests.
    Throttled,
    /// No answer for long, then an error; whether it happened is open.
    TimedOut(bool),
    /// The connection ends in the middle of the answer.
    Short,
    /// An answer, late.
    Slow,
}

/// Fails so many requests of a thousand, always the same ones for a seed and an order of requests.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    random: Mutex<ChaCha8Rng>,
    per_mille: AtomicU32,
    failed: AtomicU64,
}

impl Faulty {
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> Arc<Self> {
        let random = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Self { inner, random, per_mille: AtomicU32::new(0), failed: AtomicU64::new(0) })
    }

    pub fn fail(&self, per_mille: u32) {
        self.per_mille.store(per_mille, Ordering::SeqCst);
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    fn draw(&self) -> Option<Fault> {
        let mut random = self.random.lock();
        if random.random_range(0..1000) >= self.per_mille.load(Ordering::SeqCst) {
            return None;
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        Some(match random.random_range(0..7) {
            0 => Fault::Before,
            1 => Fault::After,
            2 => Fault::Throttled,
            3 => Fault::TimedOut(false),
            4 => Fault::TimedOut(true),
            5 => Fault::Short,
            _ => Fault::Slow,
        })
    }

    /// What precedes the effect, and whether an error follows it.
    async fn around(&self, location: &Path) -> Result<Option<Error>> {
        let error = |what: &str| {
            let what = format!("{what} at {location}");
            Error::Generic { store: "Faulty", source: what.into() }
        };
        match self.draw() {
            None => Ok(None),
            Some(Fault::Before | Fault::Short) => Err(error("500 Internal Server Error")),
            Some(Fault::Throttled) => Err(error("503 SlowDown")),
            Some(Fault::TimedOut(happens)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if happens { Ok(Some(error("timed out"))) } else { Err(error("timed out")) }
            }
            Some(Fault::After) => Ok(Some(error("connection reset"))),
            Some(Fault::Slow) => {
                tokio::time::sleep(Duration::from_millis(15)).await;
                Ok(None)
            }
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let after = self.around(location).await?;
        let done = self.inner.put_opts(location, payload, options).await?;
        after.map_or(Ok(done), Err)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let after = self.around(location).await?;
        let upload = self.inner.put_multipart_opts(location, options).await?;
        after.map_or(Ok(upload), Err)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let short = match self.draw() {
            Some(Fault::Slow) => {
                tokio::time::sleep(Duration::from_millis(15)).await;
                false
            }
            Some(Fault::Short) => true,
            Some(_) => return Err(Error::Generic { store: "Faulty", source: format!("500 at {location}").into() }),
            None => false,
        };
        let mut found = self.inner.get_opts(location, options).await?;
        if short {
            let GetResult { meta, range, attributes, .. } = found;
            let half = (range.end - range.start) / 2;
            let again =
                GetOptions { range: Some((range.start..range.start + half.max(1)).into()), ..Default::default() };
            let bytes = self.inner.get_opts(location, again).await?.bytes().await?;
            let ends = || Error::Generic { store: "Faulty", source: "the connection ended early".into() };
            let payload = GetResultPayload::Stream(stream::iter([Ok(bytes), Err(ends())]).boxed());
            found = GetResult { payload, meta, range, attributes };
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.draw() {
            None | Some(Fault::Slow) => self.inner.delete_stream(locations),
            Some(Fault::After | Fault::TimedOut(true)) => {
                let failed = |path: Path| Error::Generic { store: "Faulty", source: format!("after {path}").into() };
                self.inner.delete_stream(locations).and_then(move |path| async move { Err(failed(path)) }).boxed()
            }
            Some(_) => locations
                .and_then(|path| async move {
                    Err(Error::Generic { store: "Faulty", source: format!("before {path}").into() })
                })
                .boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        match self.draw() {
            None | Some(Fault::Slow) => listed,
            Some(_) => {
                let ends = || Error::Generic { store: "Faulty", source: "a list ended early".into() };
                listed.take(1).chain(stream::iter([Err(ends())])).boxed()
            }
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.draw() {
            None | Some(Fault::Slow) => self.inner.list_with_offset(prefix, offset),
            Some(_) => stream::iter([Err(Error::Generic { store: "Faulty", source: "503 SlowDown".into() })]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let after = self.around(&prefix.cloned().unwrap_or_default()).await?;
        let listed = self.inner.list_with_delimiter(prefix).await?;
        after.map_or(Ok(listed), Err)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let after = self.around(to).await?;
        self.inner.copy_opts(from, to, options).await?;
        after.map_or(Ok(()), Err)
    }
}
