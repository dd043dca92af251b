//! What may be known of persons: rules at the door of the lake, and forgetting.

mod door;
mod forget;

use std::path::Path;
use std::sync::Arc;

use ascribe::config::Config;
use ascribe::model::Table;
use ascribe::storage::{Commit, Lake};
use datafusion::arrow::array::RecordBatch;

/// Two keys, the second from July on.
pub const KEYS: &str =
    "keys: [{id: 1, key: 'never a real key, one'}, {id: 2, from: 2026-07-01, key: 'never a real key, two'}]";

/// 2026-06-30, noon.
pub const JUNE: i64 = 1_782_820_800_000_000;

pub const DAY: i64 = 86_400_000_000;

/// A lake with rules.
pub fn open(folder: &Path, rules: Option<&str>, keys: Option<&str>) -> Arc<Lake> {
    if let Some(rules) = rules {
        std::fs::write(folder.join("privacy.yaml"), rules).unwrap();
    }
    let config = Config { pseudonym_keys: keys.map(str::to_owned), ..Config::default() };
    Lake::open(&folder.display().to_string(), &config).unwrap()
}

pub async fn land(lake: &Arc<Lake>, table: &'static Table, batch: RecordBatch) {
    let mut writer = lake.writer(table).await.unwrap();
    writer.write(batch).await.unwrap();
    writer.commit(Commit::default()).await.unwrap();
}
