//! Any table of the lake from CSV or Parquet: `--table T`, columns by the same name, by `--map target=source` or `--set target=value`.
//!
//! - Values are converted to the type of the column, and only if nothing is lost: 1.5 is no bigint, an amount with more
//!   than 12 digits behind the point is no numeric(38,12). A value that does not convert rejects its row.
//! - Maps, lists and structures are JSON text in CSV. A column `attributes.KEY` is one member of the table's map, and
//!   so is every column that has no other place; tables without a map ignore those.
//! - An empty CSV field is null. An instant without a zone is UTC.
//! - What identifies a row, and the time by which its table is partitioned, must be there. `*_unix_nano` and its
//!   timestamp stand in for each other. Ownership without role, weight or valid_from is primary, whole and from now on;
//!   costs without export_id get the one that the source `focus` would give.

mod cells;
pub(super) mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use self::plan::Plan;
use super::{BYTES_PER_BATCH, Input, Options, Output, Source, delimited, parquet_file};
use crate::error::Result;
use crate::model::cost::COSTS;

/// Rows of a CSV file that are converted at a time.
const ROWS: usize = 8192;

/// The source `csv`.
#[derive(Debug)]
pub struct Csv;

/// The source `parquet`.
#[derive(Debug)]
pub struct Parquet;

/// Charges replace those of the same export and month, whatever source they come by.
fn of_charges(options: &Options) -> bool {
    options.table.as_deref() == Some(COSTS.name)
}

impl Source for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn doc(&self) -> &'static str {
        "Delimited text with a header into the table of --table, columns by name or --map target=source"
    }

    fn replaces(&self, options: &Options) -> bool {
        of_charges(options)
    }

    fn is_generic(&self) -> bool {
        true
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let mut rows = delimited::Rows::open(input.reader)?;
        let plan = Plan::of(&rows.header, input.options, input.now)?;
        let mut builders: Vec<StringBuilder> = rows.header.iter().map(|_| StringBuilder::new()).collect();
        let (mut pending, mut bytes) = (0, 0);
        while let Some(row) = rows.next_row()? {
            match row {
                Ok(record) => {
                    for (builder, field) in builders.iter_mut().zip(record.iter()) {
                        builder.append_option((!field.is_empty()).then_some(field));
                    }
                    pending += 1;
                    bytes += record.as_slice().len();
                }
                Err((reason, sample)) => output.reject(reason, &sample),
            }
            if pending == ROWS || bytes >= BYTES_PER_BATCH {
                land(&plan, &mut builders, output)?;
                (pending, bytes) = (0, 0);
            }
        }
        land(&plan, &mut builders, output)
    }
}

fn land(plan: &Plan, builders: &mut [StringBuilder], output: &mut Output<'_>) -> Result<()> {
    let columns: Vec<ArrayRef> = builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
    plan.land(&columns, output, |row| sample(&columns, row))
}

impl Source for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn doc(&self) -> &'static str {
        "Parquet into the table of --table, columns by name or --map target=source"
    }

    fn replaces(&self, options: &Options) -> bool {
        of_charges(options)
    }

    fn is_generic(&self) -> bool {
        true
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let mut file = parquet_file::File::open(input.reader)?;
        let plan = Plan::of(&file.header(), input.options, input.now)?;
        while let Some(batch) = file.next_batch()? {
            plan.land(batch.columns(), output, |row| sample(batch.columns(), row))?;
        }
        Ok(())
    }
}

fn sample(columns: &[ArrayRef], row: usize) -> String {
    let options = FormatOptions::default().with_display_error(true);
    let fields = columns.iter().map(|column| match ArrayFormatter::try_new(column.as_ref(), &options) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(_) => String::new(),
    });
    delimited::sample(fields)
}
