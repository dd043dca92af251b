//! `allocate_cost`: every charge of a window split among those who owe it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::billing::{ARGUMENTS, Bill, Page, Shares};
use super::{Call, Signature, TableFunction};
use crate::error::Result;
use crate::model::Column;
use crate::model::cell::{CellType, Double, Money, Text, TextMap, Time};

const fn text(name: &'static str, doc: &'static [&'static str]) -> Column {
    Column { name, doc, data_type: Text::data_type }
}

const fn time(name: &'static str, doc: &'static [&'static str]) -> Column {
    Column { name, doc, data_type: Time::data_type }
}

/// The columns that are those of the charge; the others say what of it goes where.
const OF_THE_CHARGE: std::ops::Range<usize> = 1..18;

const COLUMNS: &[Column] = &[
    text("origin_id", &["Id of the charge that this is a part of; the same whenever the charge is delivered."]),
    text("billing_currency", &["FOCUS BillingCurrency; amounts of different currencies are never added."]),
    time("charge_period_start", &["FOCUS ChargePeriodStart, inclusive."]),
    time("charge_period_end", &["FOCUS ChargePeriodEnd, exclusive."]),
    time("billing_period_start", &["FOCUS BillingPeriodStart, inclusive."]),
    text("billing_account_id", &["FOCUS BillingAccountId."]),
    text("sub_account_id", &["FOCUS SubAccountId."]),
    text("sub_account_name", &["FOCUS SubAccountName."]),
    text("provider_service_name", &["FOCUS ServiceName: the provider's service."]),
    text("service_category", &["FOCUS ServiceCategory."]),
    text("region_id", &["FOCUS RegionId."]),
    text("resource_id", &["FOCUS ResourceId."]),
    text("resource_name", &["FOCUS ResourceName."]),
    text("resource_type", &["FOCUS ResourceType."]),
    text("charge_category", &["FOCUS ChargeCategory: Usage, Purchase, Tax, Credit or Adjustment."]),
    text("charge_class", &["FOCUS ChargeClass: Correction, or null."]),
    text("charge_description", &["FOCUS ChargeDescription."]),
    Column { name: "tags", doc: &["FOCUS Tags."], data_type: TextMap::data_type },
    text("owner", &["Who owes the part; __unallocated__ and __idle__ where nobody can be made to."]),
    text("tenant_id", &["Tenant that consumed, where the split or a tag of the charge names one."]),
    text("service_name", &["Service that consumed, where the split or a tag of the charge names one."]),
    Column {
        name: "allocated_cost",
        doc: &["The part; the parts of a charge sum to it exactly."],
        data_type: Money::data_type,
    },
    text("method", &["direct, even, fixed, proportional, usage, demand, peak, idle or unallocated."]),
    Column { name: "ratio", doc: &["Share of the charge before rounding."], data_type: Double::data_type },
    text("basis", &["What the ratio rests on: how the owner was found, what was measured, or why nobody owes it."]),
    Column {
        name: "basis_quantity",
        doc: &["How much of the basis is the owner's or consumer's, such as its direct cost in the same currency."],
        data_type: Double::data_type,
    },
];

static SIGNATURE: Signature = Signature {
    name: "allocate_cost",
    doc: &[
        "Every charge whose period begins in [t0, t1), split by a rule set; one row a part.",
        "What is shared in proportion is so to the direct cost of the same window.",
    ],
    arguments: &ARGUMENTS,
    columns: COLUMNS,
    example: "SELECT owner, billing_currency, sum(allocated_cost) AS cost \
              FROM allocate_cost('default', '2024-09-01T00:00:00Z', '2024-10-01T00:00:00Z') GROUP BY 1, 2 ORDER BY 3 DESC",
};

/// `allocate_cost(rule_set, t0, t1 [, cost])`.
#[derive(Debug)]
pub(super) struct AllocateCost;

#[async_trait]
impl TableFunction for AllocateCost {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let used: Vec<bool> = COLUMNS.iter().map(|column| call.uses(column.name)).collect();
        let of_charge = COLUMNS.get(OF_THE_CHARGE).unwrap_or_default();
        let shown: Vec<&str> = of_charge.iter().map(|column| column.name).filter(|name| call.uses(name)).collect();
        let mut bill = Bill::open(&call, &shown, call.uses("origin_id")).await?;
        let pages = std::mem::take(&mut bill.pages);
        // A page is split when the reader gets to it, so that the parts are never all in memory.
        let rows = stream::iter(pages.into_iter().flat_map(move |page| match split(&mut bill, &page, &used) {
            Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(super::exec::engine_error(error))],
        }));
        Ok(Box::pin(RecordBatchStreamAdapter::new(call.schema(), rows)))
    }
}

fn split(bill: &mut Bill, page: &Page, used: &[bool]) -> Result<Vec<RecordBatch>> {
    bill.shares(page)?.into_iter().map(|shares| batch(page, shares, used)).collect()
}

fn batch(page: &Page, shares: Shares, used: &[bool]) -> Result<RecordBatch> {
    let rows = shares.charge.len();
    let mut parts = [
        shares.owner,
        shares.tenant,
        shares.service,
        Arc::new(shares.amount),
        shares.method,
        shares.ratio,
        shares.basis,
        shares.quantity,
    ]
    .into_iter();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(COLUMNS.len());
    for (at, (column, used)) in COLUMNS.iter().zip(used).enumerate() {
        let wanted = (column.data_type)();
        let source = match (at, &page.origins) {
            (0, Some(origins)) => Some(Arc::new(origins.clone()) as ArrayRef),
            _ if OF_THE_CHARGE.contains(&at) && *used => page.shown.column_by_name(column.name).cloned(),
            _ => None,
        };
        let part = if at >= OF_THE_CHARGE.end { parts.next() } else { None };
        columns.push(match (source, part) {
            (Some(source), _) => datafusion::arrow::compute::cast(&take(&source, &shares.charge, None)?, &wanted)?,
            (None, Some(part)) => part,
            (None, None) => new_null_array(&wanted, rows),
        });
    }
    Ok(RecordBatch::try_new(SIGNATURE.schema(), columns)?)
}
