//! Tables that arriving rows change rather than lengthen: the whole of a small table is made anew of what it holds.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;

use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::model::Table;
use crate::storage::{Commit, Lake, Outcome, Replace};

/// Put in the place of a table's rows what `change` makes of them, unless it makes nothing. Where another writer commits
/// between the reading and the writing, it is all done again with what that one left.
pub(super) async fn rewrite(
    lake: &Arc<Lake>,
    table: &'static Table,
    commit: &Commit,
    mut change: impl FnMut(Vec<RecordBatch>) -> Result<Option<Vec<RecordBatch>>>,
) -> Result<()> {
    for _ in 0..config::COMMIT_RETRIES {
        let mut writer = lake.writer(table).await?;
        let version = lake.version(table).await?;
        let Some(batches) = change(lake.read(table).await?)? else { return Ok(()) };
        for batch in batches {
            writer.write(batch).await?;
        }
        let commit = Commit { replace: vec![Replace::All], after: Some(version), ..commit.clone() };
        if writer.commit(commit).await? != Outcome::Superseded {
            return Ok(());
        }
    }
    let message = format!("other writers of {} were faster every time", table.name);
    Err(UserError::new(sqlstate::CONFLICT, message).hint("try again").into())
}
