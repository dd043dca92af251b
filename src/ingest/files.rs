//! From what the user names — paths, globs, directories, URLs, standard input — to local files, and from files to
//! plain bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Result, UserError, sqlstate};

/// A file to import.
#[derive(Debug)]
pub(super) struct InputFile {
    /// As the user would name it.
    pub origin: String,
    /// Where it can be read.
    pub path: PathBuf,
    /// Bytes as delivered.
    pub size: u64,
    /// Keeps a spooled copy alive.
    spool: Option<NamedTempFile>,
}

/// Every file that the arguments name, sorted within each argument.
pub(super) async fn expand(arguments: &[String]) -> Result<Vec<InputFile>> {
    let mut files = Vec::new();
    for argument in arguments {
        if argument == "-" {
            files.push(spool_stdin().await?);
        } else if argument.contains("://") && !argument.starts_with("file://") {
            files.extend(fetch(argument).await?);
        } else {
            files.extend(local(&path_of(argument))?);
        }
    }
    Ok(files)
}

/// A file that could be imported.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// As [`expand`] takes it.
    pub origin: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, microseconds since the epoch.
    pub modified: i64,
    /// Whether it is an object of a store, which is there whole or not at all.
    pub is_object: bool,
}

/// What is below a directory or the URL of an object store now; nothing where nothing is yet.
pub(super) async fn list(argument: &str) -> Result<Vec<Listed>> {
    if argument.contains("://") && !argument.starts_with("file://") {
        return list_objects(argument).await;
    }
    let root = path_of(argument);
    let mut paths = Vec::new();
    if Path::new(&root).exists() {
        collect(Path::new(&root), &mut paths)?;
    }
    paths.sort();
    let mut listed = Vec::new();
    for path in paths {
        // A file that is gone by now is none.
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let modified = found.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros();
        let modified = i64::try_from(modified).unwrap_or(i64::MAX);
        listed.push(Listed { origin: path.display().to_string(), size: found.len(), modified, is_object: false });
    }
    Ok(listed)
}

async fn list_objects(argument: &str) -> Result<Vec<Listed>> {
    let url = parsed(argument)?;
    let (store, prefix) = crate::storage::open_store(&url)?;
    let mut listed = Vec::new();
    let mut listing = store.list(Some(&prefix));
    while let Some(found) = listing.next().await {
        let found = found?;
        let (origin, modified) = (origin_of(&url, &found.location), found.last_modified.timestamp_micros());
        listed.push(Listed { origin, size: found.size, modified, is_object: true });
    }
    listed.sort_by(|one, other| one.origin.cmp(&other.origin));
    Ok(listed)
}

fn parsed(argument: &str) -> Result<url::Url> {
    Ok(url::Url::parse(argument)
        .map_err(|error| UserError::invalid(format!("\"{argument}\" is not a URL: {error}")))?)
}

fn origin_of(url: &url::Url, key: &object_store::path::Path) -> String {
    format!("{}://{}/{key}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The path or pattern that an argument names; in a URL a blank is written %20. What is a file as it is written is that
/// file, and a question mark is a pattern's.
fn path_of(argument: &str) -> String {
    let Some(plain) = argument.strip_prefix("file://") else { return argument.to_owned() };
    let decoded = url::Url::parse(argument).ok().filter(|url| url.query().is_none() && !Path::new(plain).exists());
    let decoded = decoded.and_then(|url| url.to_file_path().ok()).map(|path| path.display().to_string());
    decoded.unwrap_or_else(|| plain.to_owned())
}

fn local(argument: &str) -> Result<Vec<InputFile>> {
    let mut paths = Vec::new();
    if Path::new(argument).exists() {
        collect(Path::new(argument), &mut paths)?;
    } else {
        let pattern = glob::glob(argument)
            .map_err(|error| UserError::invalid(format!("\"{argument}\" is not a pattern: {error}")))?;
        for found in pattern {
            let found = found.map_err(|error| UserError::new(sqlstate::IO, error.to_string()))?;
            collect(&found, &mut paths)?;
        }
    }
    if paths.is_empty() {
        return Err(UserError::invalid(format!("there is no file at \"{argument}\"")).into());
    }
    paths.sort();
    paths.into_iter().map(|path| opened(path.display().to_string(), path, None)).collect()
}

/// The files below a directory, hidden ones and what documents a folder aside.
fn collect(root: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        if !path.is_dir() {
            paths.push(path);
            continue;
        }
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?.path();
            let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let documents = ["README", "LICENSE", "NOTICE"].iter().any(|known| name.starts_with(known));
            if !name.starts_with('.') && !documents {
                pending.push(entry);
            }
        }
    }
    Ok(())
}

fn opened(origin: String, path: PathBuf, spool: Option<NamedTempFile>) -> Result<InputFile> {
    let size = std::fs::metadata(&path)
        .map_err(|error| UserError::new(sqlstate::IO, format!("cannot read {origin}")).detail(error.to_string()))?
        .len();
    Ok(InputFile { origin, path, size, spool })
}

async fn spool_stdin() -> Result<InputFile> {
    let spooled = tokio::task::spawn_blocking(|| -> Result<NamedTempFile> {
        let mut spool = NamedTempFile::new()?;
        std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
        spool.flush()?;
        Ok(spool)
    });
    let spool = spooled.await.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))??;
    opened("-".to_owned(), spool.path().to_owned(), Some(spool))
}

/// The objects below a URL, copied to local files.
async fn fetch(argument: &str) -> Result<Vec<InputFile>> {
    let url = parsed(argument)?;
    let (store, prefix) = crate::storage::open_store(&url)?;
    let mut keys = Vec::new();
    if store.head(&prefix).await.is_ok() {
        keys.push(prefix);
    } else {
        let mut listing = store.list(Some(&prefix));
        while let Some(found) = listing.next().await {
            keys.push(found?.location);
        }
    }
    if keys.is_empty() {
        return Err(UserError::invalid(format!("there is no object at \"{argument}\"")).into());
    }
    keys.sort();
    let mut files = Vec::new();
    for key in keys {
        let mut spool = NamedTempFile::new()?;
        let mut body = store.get(&key).await?.into_stream();
        while let Some(bytes) = body.next().await {
            spool.write_all(&bytes?)?;
        }
        spool.flush()?;
        files.push(opened(origin_of(&url, &key), spool.path().to_owned(), Some(spool))?);
    }
    Ok(files)
}

impl InputFile {
    /// SHA-256 of the content, lowercase hex: the same however it was compressed. Of a file that cannot be decompressed,
    /// that of its bytes.
    pub(super) fn hash(&self) -> Result<String> {
        match digest(&mut self.reader(Arc::default())?) {
            Ok(digest) => Ok(digest),
            Err(_) => Ok(digest(&mut self.file()?)?),
        }
    }

    fn file(&self) -> Result<File> {
        let path = self.spool.as_ref().map_or(self.path.as_path(), NamedTempFile::path);
        Ok(File::open(path).map_err(|error| {
            UserError::new(sqlstate::IO, format!("cannot read {}", self.origin)).detail(error.to_string())
        })?)
    }

    /// The content as far as it can be decompressed, and what is said when that is not all of it.
    pub(super) fn readable(&self, read: Arc<AtomicU64>) -> Result<(Box<dyn BufRead>, Damage)> {
        let damage = Damage::default();
        let inner = self.reader(read)?;
        Ok((Box::new(BufReader::with_capacity(1 << 16, Readable { inner, damage: damage.clone() })), damage))
    }

    /// The content, decompressed where its first bytes say gzip or Zstandard; `read` counts delivered bytes.
    pub(super) fn reader(&self, read: Arc<AtomicU64>) -> Result<Box<dyn BufRead>> {
        let mut file = self.file()?;
        let mut magic = Vec::new();
        (&mut file).take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let counted = BufReader::with_capacity(1 << 16, Counted { inner: file, read });
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => {
                Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(counted)))
            }
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::with_buffer(counted)?))
            }
            _ => Box::new(counted),
        })
    }
}

fn digest(from: &mut impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

/// What is wrong with compressed data.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<Mutex<Option<String>>>);

impl Damage {
    /// What was found, if anything was.
    pub(super) fn found(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Ends where decompression fails. A file that cannot be read is another matter, for the next time it may be.
struct Readable {
    inner: Box<dyn BufRead>,
    damage: Damage,
}

impl Read for Readable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.damage.0.lock().is_some() {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Err(error) if error.kind() != ErrorKind::Interrupted && !of_the_file(&error) => {
                *self.damage.0.lock() = Some(error.to_string());
                Ok(0)
            }
            read => read,
        }
    }
}

/// Whether the operating system has said it, not a decompressor.
fn of_the_file(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some()
}

struct Counted {
    inner: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn directories_globs_and_compression() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("b/plain.json");
        std::fs::create_dir_all(plain.parent().unwrap()).unwrap();
        std::fs::write(&plain, b"hello").unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"hello").unwrap();
        std::fs::write(folder.path().join("a.gz"), gz.finish().unwrap()).unwrap();
        std::fs::write(folder.path().join("c.zst"), zstd::encode_all(&b"hello"[..], 1).unwrap()).unwrap();
        std::fs::write(folder.path().join("README.md"), b"not data").unwrap();
        let root = folder.path().display().to_string();
        let files = expand(std::slice::from_ref(&root)).await.unwrap();
        assert_eq!(files.len(), 3);
        for file in &files {
            let mut text = String::new();
            file.reader(Arc::default()).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello", "{}", file.origin);
        }
        assert_eq!(expand(&[format!("{root}/*.gz")]).await.unwrap().len(), 1);
        assert_eq!(expand(&[format!("{root}/none*")]).await.unwrap_err().sqlstate(), "22023");
        let damaged = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let path = folder.path().join(name).display().to_string();
            async move { expand(&[path]).await.unwrap().swap_remove(0) }
        };
        let long: Vec<u8> =
            (0..200_000_u32).flat_map(|number| (number.wrapping_mul(0x9e37_79b9)).to_be_bytes()).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&long).unwrap();
        let (gz, zst) = (gz.finish().unwrap(), zstd::encode_all(&long[..], 1).unwrap());
        for (name, bytes) in [("cut.gz", &gz), ("cut.zst", &zst)] {
            let file = damaged(name, &bytes[..bytes.len() / 2]).await;
            let (mut reader, damage) = file.readable(Arc::default()).unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read.len() > 100_000 && long.starts_with(&read), "{name}: {}", read.len());
            assert!(damage.found().is_some(), "{name}");
        }
        let (mut whole, damage) = damaged("whole.gz", &gz).await.readable(Arc::default()).unwrap();
        assert_eq!((std::io::copy(&mut whole, &mut std::io::sink()).unwrap(), damage.found()), (800_000, None));
        let hash = files.iter().find(|file| file.origin.ends_with("plain.json")).unwrap().hash().unwrap();
        assert!(hash.starts_with("2cf24dba5fb0a30e26e83b2ac5b9e29e"));
    }
}
