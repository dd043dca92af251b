//! From what a user types to the URL of a lake.

use std::path::{Component, Path, PathBuf};
use std::sync::Once;

use url::Url;

use crate::error::{Error, Result, UserError, sqlstate};

static STORES: Once = Once::new();

/// Make `s3://`, `gs://`, `az://` and their variants known to the table format.
pub(super) fn register_stores() {
    STORES.call_once(|| {
        deltalake::aws::register_handlers(None);
        deltalake::azure::register_handlers(None);
        deltalake::gcp::register_handlers(None);
    });
}

/// The URL of a lake, with a slash at its end.
pub(super) fn parse(text: &str) -> Result<Url> {
    if text.trim().is_empty() {
        return Err(invalid(text, "it is empty").into());
    }
    let mut url = match Url::parse(text) {
        // A single letter is a drive, not a scheme.
        Ok(url) if url.scheme().len() > 1 => url,
        _ => directory(text)?,
    };
    match url.scheme() {
        "file" | "s3" | "s3a" | "gs" | "az" | "abfs" | "abfss" | "memory" => {}
        other => return Err(invalid(text, &format!("{other}:// is not a kind of object store")).into()),
    }
    if url.scheme() == "file"
        && let Ok(path) = url.to_file_path()
        && path.exists()
        && !path.is_dir()
    {
        return Err(invalid(text, "it is a file, not a directory").into());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn directory(text: &str) -> Result<Url> {
    let absolute = normalize(&std::path::absolute(text)?);
    std::fs::create_dir_all(&absolute).map_err(|error| {
        UserError::new(sqlstate::IO, format!("cannot make the directory of the lake {}", absolute.display()))
            .detail(error.to_string())
    })?;
    Url::from_directory_path(&absolute).map_err(|()| invalid(text, "it is not a path").into())
}

fn normalize(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

fn invalid(text: &str, why: &str) -> UserError {
    UserError::invalid(format!("cannot open a lake at \"{text}\": {why}"))
        .hint("a lake is a directory, or a URL that begins with s3://, gs:// or az://")
}

/// The object store of a lake cannot be reached.
pub(super) fn unreachable(text: &str, error: &deltalake::DeltaTableError) -> Error {
    UserError::new(sqlstate::IO, format!("cannot open the object store of the lake at \"{text}\""))
        .detail(error.to_string())
        .hint("credentials and endpoints are read from the variables that the provider's own tools use, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_end_with_a_slash_and_paths_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let url = parse(&format!("{}/a/./b/../c", folder.path().display())).unwrap();
        assert!(url.as_str().ends_with("/a/c/"));
        assert!(folder.path().join("a/c").is_dir());
        assert_eq!(parse("s3://bucket/prefix").unwrap().as_str(), "s3://bucket/prefix/");
    }

    #[test]
    fn what_cannot_be_a_lake_is_refused() {
        assert_eq!(parse("").unwrap_err().sqlstate(), "22023");
        assert_eq!(parse("http://example.com/x").unwrap_err().sqlstate(), "22023");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(parse(&format!("file://{}", file.path().display())).is_err());
    }
}
