//! Live ingest over real sockets: what is answered is in the lake, once.

pub(crate) mod client;
mod kill;
mod otlp;
mod upkeep;
mod webhooks;

use std::time::Duration;

use ascribe::Database;
use ascribe::config::Live;
use ascribe::error::Result;
use ascribe::server::http::{Receive, Receiving, Secrets, receive};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

use crate::rows;

/// A receiver on free ports over a lake of its own.
struct Fixture {
    _folder: tempfile::TempDir,
    database: Database,
    receiving: Receiving,
}

impl Fixture {
    async fn start(live: Live) -> Self {
        Self::start_with(live, None, Secrets { github: None, gitlab: None, pagerduty: None }).await
    }

    async fn start_with(live: Live, token: Option<&str>, secrets: Secrets) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), live, token, secrets).await.unwrap()
    }

    async fn in_folder(folder: tempfile::TempDir, live: Live, token: Option<&str>, secrets: Secrets) -> Result<Self> {
        let database = Database::open(&folder.path().display().to_string()).await?;
        let free = || Some("127.0.0.1:0".to_owned());
        let token = token.map(str::to_owned);
        let options = Receive { http: free(), grpc: free(), token, secrets, live, ..Receive::default() };
        let receiving = receive(&database, options).await?;
        Ok(Self { _folder: folder, database, receiving })
    }

    fn http(&self) -> std::net::SocketAddr {
        self.receiving.http_addr().unwrap()
    }

    async fn count(&self, sql: &str) -> i64 {
        let rows = self.database.sql(sql).await.unwrap();
        rows[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.database, sql).await
    }
}

fn quick() -> Live {
    Live { flush_interval: Duration::from_millis(20), ..Live::default() }
}
