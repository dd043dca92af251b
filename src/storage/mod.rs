//! The lake: canonical tables as Delta tables in an object store. Knows no query engine beyond a table provider.
//!
//! A table is made by its first write. A write is one Delta commit: all of its rows are there, or none.

mod audit;
mod commit;
mod door;
mod file;
mod foreign;
mod location;
mod log;
mod notes;
mod readers;
mod relations;
mod stats;
mod upkeep;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::kernel::StructType;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::document::Document;
use crate::error::{Result, UserError, sqlstate};
use crate::model::{self, Table};

pub use audit::{Journal, Linked, write_audit};
pub use commit::{RowChange, Swap};
pub use door::Door;
pub use file::{FileWriter, NewFile, read_file};
pub use foreign::Foreign;
pub use log::{LoggedFile, Problem, Removed, State, TableLog, object_of};
pub use notes::Notes;
pub use readers::Pin;
pub use relations::{External, ExternalFormat, Relation, RelationKind, Relations, StoredColumn, UserView};
pub use stats::Statistics;
pub use upkeep::Upkeep;
pub use write::{Commit, DataFile, Outcome, Replace, TableWriter};

/// The object store of a URL, and the path inside it. Credentials are read from the provider's own variables.
///
/// # Errors
/// When the URL names a kind of store that is not supported, or the store cannot be set up.
pub fn open_store(url: &Url) -> Result<(Arc<dyn ObjectStore>, Path)> {
    location::register_stores();
    let mut root = url.clone();
    root.set_path("/");
    let store = DeltaTableBuilder::from_url(root)?
        .build_storage()
        .map_err(|error| location::unreachable(url.as_str(), &error))?
        .object_store(None);
    let path = Path::from_url_path(url.path())
        .map_err(|error| UserError::invalid(format!("{url} is not the URL of an object: {error}")))?;
    Ok((store, path))
}

/// A table of others as it was read last.
#[derive(Debug, Clone)]
struct DeltaOfOthers {
    delta: DeltaTable,
    /// The first entry of its log, by which a table that was made anew at the same place is told; none if it is cleaned up.
    first: Option<ObjectMeta>,
}

impl DeltaOfOthers {
    async fn load(url: &Url) -> Result<Self> {
        location::register_stores();
        let delta = DeltaTableBuilder::from_url(url.clone())?.load().await.map_err(|error| match error {
            DeltaTableError::NotATable(_) => {
                UserError::new(sqlstate::UNDEFINED_FILE, format!("there is no Delta table at {url}"))
                    .detail(error.to_string())
                    .into()
            }
            error => crate::error::Error::from(error),
        })?;
        let first = Self::first(&delta).await;
        Ok(Self { delta, first })
    }

    async fn first(delta: &DeltaTable) -> Option<ObjectMeta> {
        let path = Path::from("_delta_log/00000000000000000000.json");
        delta.log_store().object_store(None).head(&path).await.ok()
    }

    /// The same table with what was committed since; none if it has to be read anew.
    async fn newest(mut self) -> Option<Self> {
        let same = Self::first(&self.delta).await == self.first;
        (same && self.delta.update_state().await.is_ok()).then_some(self)
    }
}

fn over(
    url: Url,
    options: &HashMap<String, String>,
    backend: Option<&Arc<dyn ObjectStore>>,
) -> Result<DeltaTableBuilder> {
    let builder = DeltaTableBuilder::from_url(url.clone())?.with_storage_options(options.clone());
    Ok(match backend {
        Some(store) => builder.with_storage_backend(Arc::clone(store), url),
        None => builder,
    })
}

/// A lake, opened. Cheap to share; every method sees the newest committed state.
#[derive(Debug)]
pub struct Lake {
    root: Url,
    options: HashMap<String, String>,
    tables: HashMap<&'static str, Mutex<Option<DeltaTable>>>,
    store: Arc<dyn ObjectStore>,
    backend: Option<Arc<dyn ObjectStore>>,
    readers: readers::Readers,
    relations: Document<Relations>,
    /// Tables of others, as they were read last, by their URLs.
    foreign: Mutex<HashMap<String, DeltaOfOthers>>,
    clock: Arc<dyn Clock>,
    /// Keys of pseudonyms that the program was given; else those of the environment count.
    keys: Option<String>,
    /// The rules and keys that this process recorded last.
    noted: Mutex<Option<Vec<(String, i64)>>>,
}

impl Lake {
    /// Open the lake at a directory or an `s3://`, `gs://`, `az://` URL. A directory is made where there is none.
    ///
    /// # Errors
    /// When the URL cannot be understood or names a kind of store that is not supported.
    pub fn open(url: &str, config: &Config) -> Result<Arc<Self>> {
        Self::open_with_clock(url, config, Arc::new(SystemClock))
    }

    /// The same with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub fn open_with_clock(url: &str, config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        location::register_stores();
        let root = location::parse(url)?;
        Self::build(root, config, None, clock)
    }

    /// The same over an object store of the caller's, which holds the lake at the path of the URL.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn open_over(
        url: &str,
        backend: Arc<dyn ObjectStore>,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        location::register_stores();
        Self::build(location::parse(url)?, config, Some(backend), clock)
    }

    fn build(
        root: Url,
        config: &Config,
        backend: Option<Arc<dyn ObjectStore>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let options = config.storage_options.clone();
        let store = over(root.clone(), &options, backend.as_ref())?
            .build_storage()
            .map_err(|error| location::unreachable(root.as_str(), &error))?
            .object_store(None);
        let all = model::tables().into_iter().chain(model::system_tables());
        let tables = all.map(|table| (table.name, Mutex::new(None))).collect();
        let (readers, keys, noted) = (readers::Readers::default(), config.pseudonym_keys.clone(), Mutex::new(None));
        let relations = Document::new(Arc::clone(&store), "relations");
        let foreign = Mutex::default();
        Ok(Arc::new(Self { root, options, tables, store, backend, readers, relations, foreign, clock, keys, noted }))
    }

    fn builder(&self, url: Url) -> Result<DeltaTableBuilder> {
        over(url, &self.options, self.backend.as_ref())
    }

    /// The URL of the lake, with a slash at its end.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.root
    }

    /// The object store, with the lake as its root.
    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// The views and external tables that users have added.
    #[must_use]
    pub fn relations(&self) -> &Document<Relations> {
        &self.relations
    }

    /// The clock of the lake.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The newest committed state of a table; none before its first write.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn snapshot(&self, table: &'static Table) -> Result<Option<DeltaTable>> {
        let mut known = self.slot(table)?.lock().await;
        self.refresh(table, &mut known).await?;
        Ok(known.clone())
    }

    fn slot(&self, table: &'static Table) -> Result<&Mutex<Option<DeltaTable>>> {
        self.tables.get(table.name).ok_or_else(|| {
            UserError::new(sqlstate::UNDEFINED_TABLE, format!("the lake has no table {}", table.name)).into()
        })
    }

    async fn refresh(&self, table: &'static Table, known: &mut Option<DeltaTable>) -> Result<()> {
        if let Some(delta) = known {
            let Err(error) = delta.update_state().await else { return Ok(()) };
            // The log that leads on from what is known may be cleaned up: then the table is read anew.
            let Ok(fresh) = self.builder(self.table_url(table)?)?.load().await else { return Err(error.into()) };
            *known = Some(fresh);
            return Ok(());
        }
        let log = Path::from(format!("tables/{}/_delta_log", table.name));
        if self.store.list(Some(&log)).next().await.transpose()?.is_none() {
            return Ok(());
        }
        *known = Some(self.builder(self.table_url(table)?)?.load().await?);
        Ok(())
    }

    fn table_url(&self, table: &Table) -> Result<Url> {
        let path = format!("tables/{}/", table.name);
        self.root.join(&path).map_err(|error| UserError::invalid(format!("lake URL {}: {error}", self.root)).into())
    }

    /// A provider of the rows of the newest committed state, and what keeps its files while it is read.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn provider(&self, table: &'static Table) -> Result<(Arc<dyn TableProvider>, Option<Arc<Pin>>)> {
        let Some(delta) = self.snapshot(table).await? else {
            return Ok((Arc::new(EmptyTable::new(table.schema())), None));
        };
        let pin = delta.version().map(|version| self.pin(table, version));
        let scan = delta.table_provider().build().await?;
        Ok((Arc::new(scan), pin))
    }

    /// A provider of the rows of a Delta table that others write, wherever it is, as of its newest version.
    ///
    /// # Errors
    /// When there is no such table, or the object store cannot be read.
    pub async fn foreign(&self, url: &Url) -> Result<Arc<dyn TableProvider>> {
        let read = self.foreign.lock().await.get(url.as_str()).cloned();
        let read = match read {
            Some(read) => read.newest().await,
            None => None,
        };
        let read = match read {
            Some(read) => read,
            None => DeltaOfOthers::load(url).await?,
        };
        let scan = read.delta.table_provider().build().await?;
        let mut known = self.foreign.lock().await;
        if known.len() >= config::FOREIGN_TABLES {
            known.clear();
        }
        known.insert(url.as_str().to_owned(), read);
        Ok(Arc::new(scan))
    }

    /// The version of a table's newest state; none before its first write.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn version(&self, table: &'static Table) -> Result<Option<u64>> {
        Ok(self.snapshot(table).await?.and_then(|delta| delta.version()))
    }

    /// Whether a commit to the table carried this transaction id, so that its rows are there already.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn has_transaction(&self, table: &'static Table, id: &str) -> Result<bool> {
        Ok(self.transaction_number(table, id).await?.is_some())
    }

    /// The number that a commit gave an id last.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn transaction_number(&self, table: &'static Table, id: &str) -> Result<Option<i64>> {
        let Some(delta) = self.snapshot(table).await? else { return Ok(None) };
        Ok(delta.snapshot()?.transaction_version(delta.log_store().as_ref(), id).await?)
    }

    /// The files of the newest state, with their statistics.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn files(&self, table: &'static Table) -> Result<Vec<DataFile>> {
        let Some(delta) = self.snapshot(table).await? else { return Ok(Vec::new()) };
        write::active_files(&delta)
    }

    /// All rows of a small table, without its partition column.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn read(&self, table: &'static Table) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for file in self.files(table).await? {
            let path = Path::from(format!("tables/{}/{}", table.name, file.path));
            let bytes = self.store.get(&path).await?.bytes().await?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(DeltaTableError::from)?;
            for batch in reader.build().map_err(DeltaTableError::from)? {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }

    /// Begin a write to a table. Nothing is visible before [`TableWriter::commit`].
    ///
    /// # Errors
    /// When the object store cannot be written, or the rules of privacy cannot be applied ([`Lake::door`]).
    pub async fn writer(self: &Arc<Self>, table: &'static Table) -> Result<TableWriter> {
        let door = self.door(table).await?;
        let mut known = self.slot(table)?.lock().await;
        self.refresh(table, &mut known).await?;
        if known.is_none() {
            *known = Some(self.create(table).await?);
        }
        let store = known.as_ref().map(|delta| delta.log_store().object_store(None));
        let store = store.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "a table vanished while it was opened"))?;
        Ok(TableWriter::new(Arc::clone(self), table, store, door))
    }

    async fn create(&self, table: &'static Table) -> Result<DeltaTable> {
        let url = self.table_url(table)?;
        if let Ok(folder) = url.to_file_path() {
            std::fs::create_dir_all(folder)?;
        }
        let delta = self.builder(url)?.build()?;
        let schema: StructType =
            deltalake::kernel::engine::arrow_conversion::TryIntoKernel::try_into_kernel(table.schema().as_ref())?;
        let created = delta
            .create()
            .with_table_name(table.name)
            .with_comment(table.comment())
            .with_columns(schema.fields().cloned())
            .with_partition_columns(table.partition.column())
            .with_save_mode(SaveMode::Ignore)
            .await;
        match created {
            Ok(delta) => Ok(delta),
            // Another writer created it between our look and our commit.
            Err(DeltaTableError::VersionAlreadyExists(_) | DeltaTableError::Transaction { .. }) => {
                Ok(self.builder(self.table_url(table)?)?.load().await?)
            }
            Err(error) => Err(error.into()),
        }
    }
}
