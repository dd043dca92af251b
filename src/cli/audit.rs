//! `ascribe audit`

use std::process::ExitCode;

use ascribe::Database;
use ascribe::error::{Result, UserError, plural};
use ascribe::model::system::AUDIT;
use ascribe::security::audit::{Head, Record, Verification};
use clap::Subcommand;
use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;

use super::{Ended, LakeArgument};

/// Chain by chain, in the order in which the records were made.
const RECORDS: &str = "SELECT node, sequence, \"at\", role, address, application, statement, \"rows\", sqlstate, \
                       duration_micros, previous_hash, hash FROM system.audit ORDER BY node, sequence";

#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check that no record of system.audit was changed, removed or moved; prints where each chain ends
    Verify {
        /// An end that was printed before: it has to be there still; may be given many times
        #[arg(long, value_name = "NODE:NUMBER:HASH")]
        expect: Vec<String>,
        #[command(flatten)]
        lake: LakeArgument,
    },
}

impl Audit {
    pub(super) async fn run(self) -> Ended {
        let Action::Verify { expect, lake } = self.action;
        let database = Database::open(&lake.existing()?).await?;
        let notes = database.lake().notes(&AUDIT, None, u64::MAX).await?.notes;
        let mut heads: Vec<Head> = notes.iter().filter_map(|note| Head::parse(note)).collect();
        for text in &expect {
            heads.push(
                Head::parse(text).ok_or_else(|| UserError::invalid(format!("{text} is not the end of a chain")))?,
            );
        }
        let mut verification = Verification::new(heads);
        let mut rows = database.stream(RECORDS).await?;
        while let Some(batch) = rows.try_next().await? {
            check(&mut verification, &batch)?;
        }
        let (records, erased, ends, findings) = verification.finish();
        for end in &ends {
            println!("{}", end.text());
        }
        for finding in &findings {
            println!("WRONG: {finding}");
        }
        if erased > 0 {
            println!("from {erased} {} a person was erased, as recorded", plural(erased, "record"));
        }
        let (chains, kept) = (ends.len() as u64, plural(records, "record"));
        println!("{records} {kept} in {chains} {}, {} wrong", plural(chains, "chain"), findings.len());
        Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn check(verification: &mut Verification, batch: &RecordBatch) -> Result<()> {
    let text =
        |at: usize| -> Result<StringArray> { Ok(cast(batch.column(at), &DataType::Utf8)?.as_string::<i32>().clone()) };
    let number = |at: usize| -> Result<Int64Array> {
        Ok(cast(batch.column(at), &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    };
    let (nodes, sequences, times, roles, addresses) = (text(0)?, number(1)?, number(2)?, text(3)?, text(4)?);
    let (applications, statements, rows, states) = (text(5)?, text(6)?, number(7)?, text(8)?);
    let (durations, before, hashes) = (number(9)?, text(10)?, text(11)?);
    let said = |column: &StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_owned());
    for row in 0..batch.num_rows() {
        let record = Record {
            node: said(&nodes, row).unwrap_or_default(),
            sequence: sequences.value(row),
            at: times.value(row),
            role: said(&roles, row).unwrap_or_default(),
            address: said(&addresses, row),
            application: said(&applications, row).unwrap_or_default(),
            statement: said(&statements, row).unwrap_or_default(),
            rows: rows.is_valid(row).then(|| rows.value(row)),
            sqlstate: said(&states, row).unwrap_or_default(),
            duration: durations.value(row),
        };
        verification.check(&record, before.value(row), hashes.value(row));
    }
    Ok(())
}
