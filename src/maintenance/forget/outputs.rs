//! The files of reports: one that names a person is deleted whole. The report can be run again.

use std::sync::Arc;

use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use object_store::ObjectStoreExt;

use super::history::{delete, texts_of};
use crate::error::Result;
use crate::maintenance::vacuum::objects;
use crate::privacy::Person;
use crate::storage::Lake;

/// Delete the files that name a person, or only count them.
pub(super) async fn forget(lake: &Arc<Lake>, person: &Person, dry_run: bool) -> Result<u64> {
    let mut found = 0;
    for meta in objects(lake, "reports").await? {
        let path = meta.location.as_ref();
        let bytes = lake.store().get(&meta.location).await?.bytes().await?;
        let names = if path.ends_with(".parquet") {
            // What is no Parquet file, whatever its name, is looked at as text.
            match ParquetRecordBatchReaderBuilder::try_new(bytes.clone()) {
                Ok(reader) => texts_of(reader, &|text| person.is_in(text))?,
                Err(_) => person.is_in(&String::from_utf8_lossy(&bytes)),
            }
        } else {
            person.is_in(&String::from_utf8_lossy(&bytes))
        };
        if names {
            found += 1;
            if !dry_run {
                delete(lake, path).await?;
            }
        }
    }
    Ok(found)
}
