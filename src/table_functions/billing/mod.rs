//! What `allocate_cost` and `allocation_check` share: the charges of a window, claimed, ready to be split.

mod measured;
mod origin;
mod rule_sets;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal128Builder, Float64Builder, MapArray, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ExprSchemable, LogicalPlan, LogicalPlanBuilder, ident};
use futures::StreamExt;

use super::arrays::{amounts, column, text, texts, times};
use super::{Argument, ArgumentType, Call, owners, timestamp};
use crate::attribution::allocation::{Allocator, Charge, Claim, Claimed, Rule, versions};
use crate::error::{Error, Result, UserError};
use crate::model::cell::{MONEY_PRECISION, MONEY_SCALE};
use crate::model::{CellType, cell};

/// Rows of shares after which a batch is handed on.
const SHARES_PER_BATCH: usize = 32_768;

/// The columns that the rules see beside amount and tags.
const SEEN: [&str; 10] = [
    "billing_currency",
    "billing_account_id",
    "sub_account_id",
    "sub_account_name",
    "provider_service_name",
    "service_category",
    "region_id",
    "resource_id",
    "resource_name",
    "resource_type",
];

/// The costs that can be allocated.
const COSTS: [&str; 4] = ["billed_cost", "effective_cost", "list_cost", "contracted_cost"];

/// The arguments of both functions.
pub(super) const ARGUMENTS: [Argument; 4] = [
    Argument {
        names: &["rule_set"],
        kind: ArgumentType::Text,
        required: true,
        doc: "Name of the rule set in allocation_rules; default always exists.",
    },
    Argument {
        names: &["t0"],
        kind: ArgumentType::Time,
        required: true,
        doc: "Charges whose period begins at or after this time.",
    },
    Argument { names: &["t1"], kind: ArgumentType::Time, required: true, doc: "And before this time." },
    Argument {
        names: &["cost"],
        kind: ArgumentType::Text,
        required: false,
        doc: "Which cost: billed_cost (default), effective_cost, list_cost or contracted_cost.",
    },
];

/// The charges of a window, claimed.
pub(super) struct Bill {
    allocator: Allocator,
    /// One for each batch of charges.
    pub(super) pages: Vec<Page>,
}

/// A batch of charges, with what is needed to split them and to show them.
pub(super) struct Page {
    claims: Vec<Claim>,
    at: TimestampMicrosecondArray,
    /// The cost that is allocated; a charge without one counts as 0.
    pub(super) amounts: Decimal128Array,
    tenants: StringArray,
    services: StringArray,
    /// Ids of the charges, if they were asked for.
    pub(super) origins: Option<StringArray>,
    /// The columns that were asked for.
    pub(super) shown: RecordBatch,
}

/// Parts of the charges of one page.
pub(super) struct Shares {
    /// Row of the charge in its page.
    pub(super) charge: UInt32Array,
    pub(super) owner: ArrayRef,
    pub(super) tenant: ArrayRef,
    pub(super) service: ArrayRef,
    pub(super) amount: Decimal128Array,
    pub(super) method: ArrayRef,
    pub(super) ratio: ArrayRef,
    pub(super) basis: ArrayRef,
    pub(super) quantity: ArrayRef,
}

impl Bill {
    /// Read the charges of the call's window and decide what becomes of each. Of the columns of `costs` those named
    /// `shown` are kept.
    pub(super) async fn open(call: &Call, shown: &[&str], with_origins: bool) -> Result<Self> {
        let (from, to) = call.window(1, 2)?;
        let cost = call.text(3).unwrap_or("billed_cost");
        if !COSTS.contains(&cost) {
            let error = UserError::invalid(format!("there is no cost named \"{cost}\""));
            return Err(error.hint(format!("cost is one of {}", COSTS.join(", "))).into());
        }
        let versions = versions(&rule_sets::load(call, call.text(0).unwrap_or("default")).await?)?;
        let rules: Vec<&Rule> = versions.iter().flat_map(|(_, rules)| rules).collect();
        let plan = charges(call, &rules, (from, to)).await?;
        let measured = measured::load(call, &rules, (from, to)).await?;
        let ownership = Arc::new(owners::load(call.state(), call.task()).await?);
        let conditions: Vec<bool> = rules.iter().map(|rule| rule.condition.is_some()).collect();
        let mut bill = Self { allocator: Allocator::new(versions, ownership, measured), pages: Vec::new() };
        let mut occurrences = HashMap::new();
        let mut batches = call.execute(&plan).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let origins = with_origins.then(|| origin::ids(&batch, &mut occurrences)).transpose()?;
            let page = bill.claim(&batch, cost, &conditions, origins, shown)?;
            bill.pages.push(page);
        }
        Ok(bill)
    }

    fn claim(
        &mut self,
        batch: &RecordBatch,
        cost: &str,
        conditions: &[bool],
        origins: Option<StringArray>,
        shown: &[&str],
    ) -> Result<Page> {
        let seen = SEEN.iter().map(|name| texts(batch, name)).collect::<Result<Vec<_>>>()?;
        let (at, amounts) = (times(batch, "charge_period_start")?, amounts(batch, cost)?);
        let tags = column(batch, "tags", &cell::TextMap::data_type())?;
        let tags = tags.as_map();
        let fits = fitting(batch, conditions)?;
        let (mut tenants, mut services) = (StringBuilder::new(), StringBuilder::new());
        let mut claims = Vec::with_capacity(batch.num_rows());
        let mut pairs = Vec::new();
        let (keys, values) = (tags.keys().as_string::<i32>(), tags.values().as_string::<i32>());
        for row in 0..batch.num_rows() {
            pairs.clear();
            pairs.extend(entries(tags, row).filter_map(|at| Some((text(keys, at)?, text(values, at)?))));
            let amount = if amounts.is_valid(row) { amounts.value(row) } else { 0 };
            let charge = charge(&seen, row, at.value(row), amount, &pairs);
            let fits = |rule: usize| match fits.get(rule) {
                Some(Some(fits)) => fits.is_valid(row) && fits.value(row),
                _ => true,
            };
            claims.push(self.allocator.claim(&charge, &fits));
            let claimed = charge.claimed();
            tenants.append_option(claimed.tenant);
            services.append_option(claimed.service);
        }
        let kept: Vec<usize> = shown.iter().filter_map(|name| batch.schema().index_of(name).ok()).collect();
        let shown = batch.project(&kept)?;
        Ok(Page { claims, at, amounts, tenants: tenants.finish(), services: services.finish(), origins, shown })
    }

    /// The parts of the charges of one page, in batches.
    pub(super) fn shares(&mut self, page: &Page) -> Result<Vec<Shares>> {
        let mut all = Vec::new();
        let mut rows = ShareRows::default();
        for (row, claim) in page.claims.iter().enumerate() {
            let charge = Claimed {
                at: page.at.value(row),
                amount: if page.amounts.is_valid(row) { page.amounts.value(row) } else { 0 },
                tenant: text(&page.tenants, row),
                service: text(&page.services, row),
            };
            let source = u32::try_from(row).unwrap_or(u32::MAX);
            self.allocator.shares(*claim, &charge, |share| {
                rows.charge.push(source);
                rows.owner.append_value(share.owner);
                rows.tenant.append_option(share.tenant);
                rows.service.append_option(share.service);
                rows.amount.append_value(share.amount);
                rows.method.append_value(share.method);
                rows.ratio.append_value(share.ratio);
                rows.basis.append_value(share.basis);
                rows.quantity.append_option(share.quantity);
            });
            if rows.charge.len() >= SHARES_PER_BATCH {
                all.push(rows.finish()?);
            }
        }
        if !rows.charge.is_empty() {
            all.push(rows.finish()?);
        }
        Ok(all)
    }
}

#[derive(Default)]
struct ShareRows {
    charge: Vec<u32>,
    owner: StringBuilder,
    tenant: StringBuilder,
    service: StringBuilder,
    amount: Decimal128Builder,
    method: StringBuilder,
    ratio: Float64Builder,
    basis: StringBuilder,
    quantity: Float64Builder,
}

impl ShareRows {
    fn finish(&mut self) -> Result<Shares> {
        Ok(Shares {
            charge: std::mem::take(&mut self.charge).into(),
            owner: Arc::new(self.owner.finish()),
            tenant: Arc::new(self.tenant.finish()),
            service: Arc::new(self.service.finish()),
            amount: self.amount.finish().with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?,
            method: Arc::new(self.method.finish()),
            ratio: Arc::new(self.ratio.finish()),
            basis: Arc::new(self.basis.finish()),
            quantity: Arc::new(self.quantity.finish()),
        })
    }
}

/// The charges of a window with a column for the condition of each rule that has one.
async fn charges(call: &Call, rules: &[&Rule], (from, to): (i64, i64)) -> Result<LogicalPlan> {
    const STATEMENT: &str = "SELECT * FROM ascribe.public.costs \
                             WHERE charge_period_start >= $from AND charge_period_start < $to";
    let plan = call.plan(STATEMENT, vec![("from", timestamp(from)), ("to", timestamp(to))]).await?;
    let schema = Arc::clone(plan.schema());
    let mut columns: Vec<_> = schema.fields().iter().map(|field| ident(field.name())).collect();
    for (at, rule) in rules.iter().enumerate() {
        let Some(condition) = &rule.condition else { continue };
        let refused = |why: String| {
            Error::from(
                UserError::invalid(format!(
                    "the condition of allocation rule {} cannot be used: {condition}",
                    rule.seq
                ))
                .detail(why)
                .hint("it is a SQL condition on the columns of costs, such as charge_category = 'Tax'"),
            )
        };
        let told = |error: datafusion::error::DataFusionError| refused(Error::from(error).to_string());
        let condition = call.state().create_logical_expr(condition, &schema).map_err(told)?;
        let kind = condition.get_type(&schema).map_err(told)?;
        if !matches!(kind, DataType::Boolean | DataType::Null) {
            return Err(refused(format!("it is {kind}, not true or false")));
        }
        columns.push(condition.alias(condition_column(at)));
    }
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

fn condition_column(rule: usize) -> String {
    format!("__condition_{rule}")
}

fn fitting(batch: &RecordBatch, conditions: &[bool]) -> Result<Vec<Option<BooleanArray>>> {
    let column = |(at, has): (usize, &bool)| {
        let column = has.then(|| column(batch, &condition_column(at), &DataType::Boolean)).transpose()?;
        Ok(column.map(|column| column.as_boolean().clone()))
    };
    conditions.iter().enumerate().map(column).collect()
}

fn entries(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    let end = |at: usize| map.value_offsets().get(at).and_then(|end| usize::try_from(*end).ok()).unwrap_or_default();
    if map.is_valid(row) { end(row)..end(row + 1) } else { 0..0 }
}

fn charge<'a>(
    seen: &'a [StringArray],
    row: usize,
    at: i64,
    amount: i128,
    tags: &'a [(&'a str, &'a str)],
) -> Charge<'a> {
    let column = |at: usize| seen.get(at).and_then(|column| text(column, row));
    Charge {
        at,
        amount,
        currency: column(0).unwrap_or_default(),
        billing_account_id: column(1),
        sub_account_id: column(2),
        sub_account_name: column(3),
        provider_service_name: column(4),
        service_category: column(5),
        region_id: column(6),
        resource_id: column(7),
        resource_name: column(8),
        resource_type: column(9),
        tags,
    }
}
