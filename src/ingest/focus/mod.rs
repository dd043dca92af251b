//! Charges after the FOCUS specification, 1.0 to 1.3, as CSV or Parquet; also Azure's cost exports of its own format, see
//! `azure`. Lands in `costs`. What a file does not say of any row is given with `--set BillingCurrency=EUR`.
//!
//! Amounts are taken exactly as written. One that the lake could only hold rounded (more than 12 digits behind the
//! point) rejects its row with that reason, because money is never changed silently; a binary double of a Parquet file
//! counts as its 15 decimal digits.
//!
//! A later delivery replaces an earlier one of the same `export_id` and billing month. It is the column `x_ExportId`
//! (or the one named with `--map export_id=COLUMN`), else `PROVIDER/BILLING_ACCOUNT_ID`. Whoever exports the
//! sub-accounts of one billing account separately should say `--map export_id=SubAccountId`.

mod azure;
mod columns;
mod decode;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use datafusion::arrow::array::Array;

use self::decode::Layout;
use super::{Input, Options, Output, Source, delimited, parquet_file};
use crate::error::Result;

/// A row of a Parquet file has bytes that are not UTF-8, or an instant that no calendar has.
const NO_TEXT: &str = "a value is not a text";

/// The source `focus`.
#[derive(Debug)]
pub struct Focus;

impl Source for Focus {
    fn name(&self) -> &'static str {
        "focus"
    }

    fn doc(&self) -> &'static str {
        "FOCUS 1.0-1.3 charges and Azure's own exports (CSV, Parquet) into costs; a billing month replaces itself"
    }

    fn replaces(&self, _: &Options) -> bool {
        true
    }

    fn takes_set(&self) -> bool {
        true
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        if parquet_file::is_parquet(input.reader)? { from_parquet(input, output) } else { from_csv(input, output) }
    }
}

fn from_csv(input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let mut rows = delimited::Rows::open(input.reader)?;
    let layout = Layout::of(&rows.header, input.options)?;
    while let Some(row) = rows.next_row()? {
        match row {
            Ok(record) => match layout.row(|at| record.get(at)) {
                Ok(row) => output.costs.push(&row),
                Err(reason) => output.reject(&reason, &delimited::sample(record.iter())),
            },
            Err((reason, sample)) => output.reject(reason, &sample),
        }
        output.checkpoint()?;
    }
    Ok(())
}

fn from_parquet(input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let mut file = parquet_file::File::open(input.reader)?;
    let layout = Layout::of(&file.header(), input.options)?;
    while let Some(batch) = file.next_batch()? {
        let cells = batch.columns().iter().map(parquet_file::as_text).collect::<Result<Vec<_>>>()?;
        let lost: BTreeSet<usize> =
            batch.columns().iter().zip(&cells).flat_map(|(column, text)| parquet_file::lost(column, text)).collect();
        for at in 0..batch.num_rows() {
            let cell =
                |column: usize| cells.get(column).filter(|cells| cells.is_valid(at)).map(|cells| cells.value(at));
            let row = if lost.contains(&at) { Err(NO_TEXT.into()) } else { layout.row(cell) };
            match row {
                Ok(row) => output.costs.push(&row),
                Err(reason) => {
                    let row = (0..cells.len()).map(|column| cell(column).unwrap_or_default());
                    output.reject(&reason, &delimited::sample(row));
                }
            }
        }
        output.checkpoint()?;
    }
    Ok(())
}
