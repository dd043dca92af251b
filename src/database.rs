//! The embedded API: open a lake, ask in SQL, get Arrow.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;

use crate::catalog::Client;
use crate::config::Config;
use crate::error::Result;
use crate::security::Directory;
use crate::session;
use crate::storage::Lake;

/// An engine over one lake.
#[derive(Clone)]
pub struct Database {
    lake: Arc<Lake>,
    roles: Arc<Directory>,
    runtime: Arc<RuntimeEnv>,
    config: Config,
    session: SessionContext,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("lake", &self.lake.url().as_str()).finish_non_exhaustive()
    }
}

impl Database {
    /// Open the lake at a directory or an `s3://`, `gs://`, `az://` URL, with the default settings.
    ///
    /// # Errors
    /// When the URL cannot be understood or the object store cannot be reached.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, Config::default()).await
    }

    /// The same with settings of the caller's.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_with(url: &str, config: Config) -> Result<Self> {
        let lake = Lake::open(url, &config)?;
        // Names of views are known from the start; that the store cannot be read is told by whoever reads it.
        lake.relations().current().await.ok();
        Self::over(lake, config)
    }

    /// An engine over a lake that is open already.
    ///
    /// # Errors
    /// When the spill directory cannot be made.
    pub fn over(lake: Arc<Lake>, config: Config) -> Result<Self> {
        let runtime = session::runtime(&config)?;
        let session = session::new(&lake, &runtime, &config)?;
        let roles = Directory::new(lake.store(), Arc::clone(lake.clock()));
        Ok(Self { lake, roles, runtime, config, session })
    }

    /// The answer to a statement, whole. It means what it means over the wire: whole numbers divide to whole numbers, a
    /// number with a point is exact, columns are called as PostgreSQL calls them. All who ask here share one session, with its
    /// settings, views and transaction; [`Database::new_session`] makes one of its own.
    ///
    /// # Errors
    /// When the statement is wrong, or its execution fails.
    pub async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        Ok(self.stream(sql).await?.try_collect().await?)
    }

    /// The answer to a statement, as it comes.
    ///
    /// # Errors
    /// When the statement is wrong or cannot be started; the stream ends with the error of a failed execution.
    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        Ok(session::answer_text(&self.session, sql).await?.stream())
    }

    /// A session of its own over the same lake and the same memory: its settings and views are nobody else's.
    ///
    /// # Errors
    /// When a built-in definition is broken, which is a defect of ours.
    pub fn new_session(&self) -> Result<SessionContext> {
        session::new(&self.lake, &self.runtime, &self.config)
    }

    /// A session that belongs to a client's connection: `current_user`, settings and `pg_stat_activity` are the client's.
    ///
    /// # Errors
    /// As [`Database::new_session`].
    pub fn new_session_for(&self, client: &Arc<Client>) -> Result<SessionContext> {
        session::new_for(&self.lake, &self.runtime, &self.config, client)
    }

    /// Memory that queries have, and that they share, bytes.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        (self.runtime.memory_pool.reserved(), self.config.memory_limit)
    }

    /// Roles, what was granted to them, row policies and masks.
    #[must_use]
    pub fn roles(&self) -> &Arc<Directory> {
        &self.roles
    }

    /// The lake.
    #[must_use]
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }
}
