//! Tables that others write: Parquet, CSV, JSON and Delta, read where they are and never written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use url::Url;

use super::infallible;
use crate::config;
use crate::error::{self, UserError, sqlstate};
use crate::storage::{self, External, ExternalFormat, Foreign, Lake, StoredColumn};

/// The rows of files of others.
#[derive(Debug)]
struct ExternalTable {
    name: String,
    rows: Arc<dyn TableProvider>,
}

/// The table as it is now.
///
/// # Errors
/// When the object store cannot be set up or read.
pub(super) async fn open(
    state: &SessionState,
    lake: &Lake,
    name: &str,
    external: &External,
) -> error::Result<Arc<dyn TableProvider>> {
    let rows: Arc<dyn TableProvider> = match external.format {
        ExternalFormat::Delta => lake.foreign(&delta_url(external)?).await?,
        _ => Arc::new(listing(state, external)?),
    };
    Ok(Arc::new(ExternalTable { name: name.to_owned(), rows }))
}

/// Complete the definition of a table by what is there: how its files are called, and the columns that it does not say.
///
/// # Errors
/// When nothing is there, it cannot be read, or it is not of one kind.
pub async fn complete(state: &SessionState, lake: &Lake, mut external: External) -> error::Result<External> {
    if external.format == ExternalFormat::Delta {
        let schema = lake.foreign(&delta_url(&external)?).await?.schema();
        external.columns = schema.fields().iter().map(|field| StoredColumn::of(field)).collect::<Result<_, _>>()?;
        return Ok(external);
    }
    let urls = urls(state, &external)?;
    for url in urls.iter().filter(|url| url.is_collection() && url.get_glob().is_none()) {
        check_no_delta(url).await?;
    }
    let files = files(state, &urls).await?;
    let found = extension(&files, &urls, external.format)?;
    let first = external.format.extensions().first().copied().unwrap_or_default();
    external.extension = found.as_deref().unwrap_or(first).to_owned();
    let tabs = external.extension == ".tsv" || external.locations.iter().all(|location| location.ends_with(".tsv"));
    if external.format == ExternalFormat::Csv && tabs {
        external.options.entry("format.delimiter".to_owned()).or_insert_with(|| "\t".to_owned());
    }
    let mut options = options(state, &external)?;
    if external.partitions.is_empty()
        && let Some(url) = urls.first()
    {
        let text = |name: &String| StoredColumn::of(&Field::new(name, DataType::Utf8, true));
        let mixed = |error: DataFusionError| {
            UserError::invalid(format!("the folders at {url} are not of one kind")).detail(error.strip_backtrace())
        };
        let names = options.infer_partitions(state, url).await.map_err(mixed)?;
        let declared = |name: &String| external.columns.iter().find(|column| column.name == *name).cloned();
        let partitions = names.iter().map(|name| declared(name).map_or_else(|| text(name), Ok));
        external.partitions = partitions.collect::<error::Result<_>>()?;
        let of_columns = |name: &StoredColumn| external.partitions.iter().all(|known| known.name != name.name);
        external.columns.retain(of_columns);
        options = self::options(state, &external)?;
    }
    check_folders(&files, &external)?;
    if external.columns.is_empty() {
        if found.is_none() {
            let message = format!("no {} files are at {}", external.format.name(), external.locations.join(", "));
            let of_folders =
                urls.iter().any(|url| url.get_glob().as_ref().is_some_and(|glob| glob.as_str().contains('/')));
            let hint = if of_folders {
                "a pattern leaves out folders called name=value: …/*.csv has those of …/day=2026-01-31/, too"
            } else {
                "a table whose columns are declared may be without files"
            };
            return Err(UserError::new(sqlstate::UNDEFINED_FILE, message).hint(hint).into());
        }
        let mut schemas = Vec::new();
        for url in &urls {
            let wrong = |error: DataFusionError| {
                let message = format!("{url} cannot be read as {}", external.format.name());
                UserError::invalid(message).detail(error.strip_backtrace())
            };
            schemas.push(options.infer_schema(state, url).await.map_err(wrong)?.as_ref().clone());
        }
        let schema = Schema::try_merge(schemas)?;
        external.columns = schema.fields().iter().map(|field| StoredColumn::of(field)).collect::<Result<_, _>>()?;
    }
    for (at, column) in external.columns.iter().chain(&external.partitions).enumerate() {
        if external.columns.iter().chain(&external.partitions).skip(at + 1).any(|other| other.name == column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(UserError::new("42701", message).into());
        }
    }
    listing(state, &external)?;
    Ok(external)
}

fn delta_url(external: &External) -> error::Result<Url> {
    let [location] = external.locations.as_slice() else {
        return Err(UserError::new(sqlstate::NOT_SUPPORTED, "a Delta table has one location").into());
    };
    match Path::new(location).is_absolute() {
        true => Url::from_directory_path(location).map_err(|()| not_a_url(location)),
        false => Url::parse(location).map_err(|_| not_a_url(location)),
    }
}

fn not_a_url(location: &str) -> error::Error {
    UserError::invalid(format!("\"{location}\" is neither a path nor a URL")).into()
}

/// The URL of a location; what a pattern is from its first wildcard on is looked for below the folder before it.
fn url(location: &str) -> error::Result<ListingTableUrl> {
    let folder = match location.find(['*', '?', '[']) {
        Some(at) if !Path::new(location).is_absolute() => location.get(..at).and_then(|before| before.rfind('/')),
        _ => None,
    };
    Ok(match folder.and_then(|at| location.split_at_checked(at + 1)) {
        Some((folder, pattern)) => ListingTableUrl::parse(folder)?.with_glob(pattern)?,
        None => ListingTableUrl::parse(location)?,
    })
}

/// The locations, with their object stores known to the engine.
fn urls(state: &SessionState, external: &External) -> error::Result<Vec<ListingTableUrl>> {
    let urls = external.locations.iter().map(|location| {
        let url = url(location)?;
        let base = Url::parse(url.object_store().as_str()).map_err(|_| not_a_url(location))?;
        let known = state.runtime_env().object_store(url.object_store());
        // The engine has a store of its own for the files of this machine.
        if !known.is_ok_and(|store| Foreign::is(store.as_ref())) {
            state.runtime_env().register_object_store(&base, Foreign::open(&base)?);
        }
        Ok(url)
    });
    let urls = urls.collect::<error::Result<Vec<_>>>()?;
    if urls.iter().any(|url| urls.first().is_some_and(|first| first.object_store() != url.object_store())) {
        let message = "the locations of a table have to be in one object store";
        return Err(UserError::new(sqlstate::NOT_SUPPORTED, message).into());
    }
    Ok(urls)
}

/// Of a Delta table, the files that its log does not name are no rows.
async fn check_no_delta(url: &ListingTableUrl) -> error::Result<()> {
    let base = Url::parse(url.object_store().as_str()).map_err(|_| not_a_url(url.as_str()))?;
    let log = ObjectPath::from(format!("{}/_delta_log", url.prefix()));
    if storage::open_store(&base)?.0.list(Some(&log)).next().await.is_some_and(|found| found.is_ok()) {
        let error = UserError::invalid(format!("{url} is a Delta table"));
        return Err(error.hint("STORED AS DELTATABLE reads what its log says").into());
    }
    Ok(())
}

/// The files that are there, as many as are looked at, each with the URL below which it is.
async fn files(state: &SessionState, urls: &[ListingTableUrl]) -> error::Result<Vec<(ListingTableUrl, ObjectPath)>> {
    let mut found = Vec::new();
    for url in urls {
        let unreadable = |error: DataFusionError| {
            UserError::new(sqlstate::UNDEFINED_FILE, format!("{url} cannot be read")).detail(error.strip_backtrace())
        };
        let store = state.runtime_env().object_store(url)?;
        let files = url.list_all_files(state, store.as_ref(), "").await.map_err(unreadable)?;
        let files: Vec<_> = files.take(config::EXTERNAL_FILES).try_collect().await.map_err(unreadable)?;
        found.extend(files.into_iter().map(|file| (url.clone(), file.location)));
    }
    Ok(found)
}

/// How the names of the files end, nothing where all of them are named one by one or by a pattern; none if there is no file.
fn extension(
    files: &[(ListingTableUrl, ObjectPath)],
    urls: &[ListingTableUrl],
    format: ExternalFormat,
) -> error::Result<Option<String>> {
    let known = format.extensions();
    let named = urls.iter().all(|url| !url.is_collection() || url.get_glob().is_some());
    let (mut found, mut other): (Option<&str>, Option<&ObjectPath>) = (None, None);
    for (url, file) in files {
        let name = check_name(file)?;
        let Some(extension) = known.iter().find(|known| name.ends_with(**known)) else {
            other = other.or(Some(file));
            continue;
        };
        if found.is_some_and(|found| found != *extension) {
            let message = format!("files of several kinds are at {url}");
            return Err(UserError::invalid(message).hint("name the files by a pattern, such as …/*.csv").into());
        }
        found = Some(extension);
    }
    match (found, other) {
        (found, other) if named => Ok(found.or(other.map(|_| "")).map(|_| String::new())),
        (None, Some(other)) => {
            let message = format!("/{other} is not called as {} files are ({})", format.name(), known.join(", "));
            Err(UserError::invalid(message).hint("name the files by a pattern, such as …/*.txt").into())
        }
        (found, _) => Ok(found.map(str::to_owned)),
    }
}

/// A file outside of the folders that are columns would be no row of the table.
fn check_folders(files: &[(ListingTableUrl, ObjectPath)], external: &External) -> error::Result<()> {
    let columns: Vec<&str> = external.partitions.iter().map(|column| column.name.as_str()).collect();
    let of_columns = |(url, file): &&(ListingTableUrl, ObjectPath)| {
        let names = url.strip_prefix(file).into_iter().flatten().map(|part| part.split_once('=').map(|(name, _)| name));
        let names: Vec<Option<&str>> = names.take(columns.len()).collect();
        names.len() == columns.len() && names.iter().zip(&columns).all(|(name, column)| *name == Some(*column))
    };
    match files.iter().find(|file| !of_columns(file)) {
        Some((_, file)) => {
            let message = format!("/{file} is not in folders called {}", columns.join("=…/") + "=…/");
            Err(UserError::invalid(message).hint("PARTITIONED BY names the folders, from the outermost on").into())
        }
        None => Ok(()),
    }
}

/// The name of a file that can be one of a table.
fn check_name(file: &ObjectPath) -> error::Result<&str> {
    let name = file.filename().unwrap_or_default();
    if [".gz", ".zst", ".bz2", ".xz"].iter().any(|compressed| name.ends_with(compressed)) {
        let error = UserError::new(sqlstate::NOT_SUPPORTED, format!("/{file} is compressed as a whole"));
        return Err(error.hint("such files are imported (ascribe import), not read in place").into());
    }
    Ok(name)
}

fn fields(columns: &[StoredColumn]) -> error::Result<Vec<Field>> {
    columns.iter().map(StoredColumn::field).collect()
}

fn options(state: &SessionState, external: &External) -> error::Result<ListingOptions> {
    let kind = external.format.name().to_lowercase();
    let said: HashMap<String, String> = external.options.clone().into_iter().collect();
    let factory = state.get_file_format_factory(&kind);
    let factory = factory.ok_or_else(|| UserError::new(sqlstate::INTERNAL, format!("{kind} files cannot be read")))?;
    let partitions = fields(&external.partitions)?;
    let partitions = partitions.into_iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let wrong = |error: DataFusionError| {
        let detail = error.strip_backtrace();
        UserError::invalid(format!("the options of {} files are not right", external.format.name())).detail(detail)
    };
    let format = factory.create(state, &said).map_err(wrong)?;
    Ok(ListingOptions::new(format).with_file_extension(&external.extension).with_table_partition_cols(partitions))
}

fn listing(state: &SessionState, external: &External) -> error::Result<ListingTable> {
    let urls = urls(state, external)?;
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options(state, external)?)
        .with_schema(Arc::new(Schema::new(fields(&external.columns)?)));
    let cache = state.runtime_env().cache_manager.get_file_statistic_cache();
    Ok(ListingTable::try_new(config)?.with_cache(cache))
}

#[async_trait]
impl TableProvider for ExternalTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        infallible::pushed(self.rows.as_ref(), filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.rows.statistics()
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        _input: Arc<dyn ExecutionPlan>,
        _operation: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let error = UserError::new("42809", format!("cannot insert into \"{}\"", self.name));
        Err(error.detail("others write its files").into())
    }
}
