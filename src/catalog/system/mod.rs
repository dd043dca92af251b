//! Tables of schema `system` that are computed when they are read: one file each, one line in [`all`].

mod functions;
mod queries;
mod tables;

pub(in crate::catalog) use functions::{Described, arguments_text, scalar_and_aggregate, type_text};

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};

use crate::catalog::Client;
use crate::error::Result;
use crate::model::{Column, RowBuilder, Table};
use crate::storage::Lake;

/// A table that is computed when it is read.
#[async_trait]
pub trait SystemTable: std::fmt::Debug + Send + Sync {
    /// Name, columns and documentation, as for a stored table.
    fn table(&self) -> &'static Table;

    /// Its rows for somebody who asks, as a batch of its own columns.
    ///
    /// # Errors
    /// When the object store cannot be read.
    async fn rows(&self, lake: &Lake, client: &Client) -> Result<RecordBatch>;

    /// SQL name.
    fn name(&self) -> &'static str {
        self.table().name
    }

    /// The rows as a table.
    ///
    /// # Errors
    /// As [`SystemTable::rows`].
    async fn provider(&self, lake: &Lake, client: &Client) -> Result<Arc<dyn TableProvider>> {
        let rows = self.rows(lake, client).await?;
        Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
    }
}

/// Every computed table, in the order of the documentation.
#[must_use]
pub fn all() -> Vec<&'static dyn SystemTable> {
    vec![&functions::Functions, &queries::Queries, &tables::Tables]
}

/// The batch of a builder without the columns that only stored tables have.
fn own_columns<B: RowBuilder>(mut builder: B) -> Result<RecordBatch> {
    let own: &'static [Column] = B::table().columns;
    let batch = builder.finish("", 0);
    Ok(batch.project(&(0..own.len()).collect::<Vec<_>>())?)
}
