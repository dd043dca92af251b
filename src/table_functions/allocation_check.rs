//! `allocation_check`: that the parts of every charge sum to it.

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::execution::SendableRecordBatchStream;

use super::arrays::{text, texts};
use super::billing::{ARGUMENTS, Bill, Page};
use super::{Call, Signature, TableFunction};
use crate::canonical_table;
use crate::error::Result;
use crate::model::cell::{Int, Money, Text};
use crate::model::{Partition, RowBuilder};

canonical_table! {
    /// One row a charge.
    "allocation_check", CHECKED, CheckedRow, CheckedBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// Id of the charge.
    origin_id: Text,
    /// Currency of the charge.
    billing_currency: Text,
    /// The charge.
    origin_cost: Money,
    /// Sum of its parts.
    allocated_cost: Money,
    /// What is missing; 0 on every row.
    residual: Money,
    /// How many parts.
    parts: Int,
}

static SIGNATURE: Signature = Signature {
    name: "allocation_check",
    doc: &[
        "For every charge whose period begins in [t0, t1), what allocate_cost makes of it: the parts that it returns",
        "are added up again and set against the charge as it is stored. The residual is 0 on every row.",
    ],
    arguments: &ARGUMENTS,
    columns: CHECKED.columns,
    example: "SELECT count(*) AS charges, count(*) FILTER (WHERE residual <> 0) AS wrong \
              FROM allocation_check('default', '2024-09-01T00:00:00Z', '2024-10-01T00:00:00Z')",
};

/// `allocation_check(rule_set, t0, t1 [, cost])`.
#[derive(Debug)]
pub(super) struct AllocationCheck;

#[async_trait]
impl TableFunction for AllocationCheck {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let mut bill = Bill::open(&call, &["billing_currency"], call.uses("origin_id")).await?;
        let pages = std::mem::take(&mut bill.pages);
        let batches = pages.into_iter().map(|page| check(&mut bill, &page));
        Ok(call.rows(batches.collect::<Result<Vec<_>>>()?))
    }
}

fn check(bill: &mut Bill, page: &Page) -> Result<RecordBatch> {
    let mut sums = vec![(0i128, 0i64); page.amounts.len()];
    for shares in bill.shares(page)? {
        for (charge, part) in shares.charge.values().iter().zip(shares.amount.values()) {
            if let Some((sum, parts)) = sums.get_mut(*charge as usize) {
                *sum = sum.saturating_add(*part);
                *parts += 1;
            }
        }
    }
    let currencies = texts(&page.shown, "billing_currency")?;
    let mut rows = CheckedBuilder::default();
    for (row, (sum, parts)) in sums.into_iter().enumerate() {
        let cost = if page.amounts.is_valid(row) { page.amounts.value(row) } else { 0 };
        rows.append(&CheckedRow {
            origin_id: page.origins.as_ref().and_then(|origins| text(origins, row)).map(Into::into),
            billing_currency: text(&currencies, row).map(Into::into),
            origin_cost: Some(cost),
            allocated_cost: Some(sum),
            residual: Some(cost.saturating_sub(sum)),
            parts: Some(parts),
            ..CheckedRow::default()
        });
    }
    super::own_columns(&mut rows)
}
