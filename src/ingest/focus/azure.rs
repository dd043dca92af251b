//! Azure's own cost exports, "actual cost", whose columns are not those of FOCUS: what each column means there.
//!
//! Sources: "Azure usage and charges file terms", "Understand usage details fields", and FinOps toolkit's table from
//! these columns to FOCUS. Names differ by kind of agreement and by portal language, which writes
//! `Ressourcengruppe (ResourceGroup)`.
//!
//! - A row is of a day: the charge period is that day, UTC. Days are written `2021-02-02` or `02/02/2021` (month first).
//! - Exports of subscriptions that are paid as they go do not say the billing period: it is the month of the day.
//! - The end of the billing period is its last day there, the first day behind it in FOCUS.
//! - A charge that no reservation or savings plan is part of costs effectively what is billed.

use chrono::{Datelike, NaiveDate};

use crate::ingest::times;
use crate::model::cost::CostRow;

const DAY: i64 = 86_400_000_000;

/// FOCUS columns, and names of Azure's that mean them, the best first, in lowercase.
const NAMES: [(&str, &[&str]); 18] = [
    ("BilledCost", &["costinbillingcurrency", "pretaxcost", "cost", "extendedcost"]),
    ("ListCost", &["paygcostinbillingcurrency"]),
    ("BillingCurrency", &["billingcurrencycode", "billingcurrency", "currency"]),
    ("ChargePeriodStart", &["usagedatetime", "date", "usagedate"]),
    ("BillingPeriodStart", &["billingperiodstartdate"]),
    ("BillingPeriodEnd", &["billingperiodenddate"]),
    ("ChargeDescription", &["productname", "product"]),
    ("ChargeFrequency", &["frequency"]),
    ("ServiceName", &["metercategory"]),
    ("ServiceCategory", &["servicefamily"]),
    ("SubAccountId", &["subscriptionid", "subscriptionguid"]),
    ("SubAccountName", &["subscriptionname"]),
    ("RegionId", &["resourcelocation", "location"]),
    ("ResourceId", &["instanceid", "instancename"]),
    ("ConsumedQuantity", &["quantity"]),
    ("ConsumedUnit", &["unitofmeasure"]),
    ("InvoiceId", &["invoiceno"]),
    ("CommitmentDiscountId", &["benefitid", "reservationid"]),
];

/// The name of a column, without its translation.
pub fn own_name(name: &str) -> &str {
    let inner = name.trim().strip_suffix(')').and_then(|name| name.rsplit_once('(')).map(|(_, inner)| inner);
    inner.unwrap_or(name)
}

/// Whether names, as they are compared, are those of such an export.
pub fn is_native(names: &[String]) -> bool {
    let has = |name: &str| names.iter().any(|known| known == name);
    !has("billedcost") && (has("costinbillingcurrency") || has("pretaxcost"))
}

/// The FOCUS column that a name means, and how good a name it is.
pub fn meaning(name: &str) -> Option<(&'static str, usize)> {
    NAMES.iter().find_map(|(id, names)| names.iter().position(|known| *known == name).map(|rank| (*id, rank)))
}

/// An instant as these exports write it.
pub fn time(text: &str) -> Option<i64> {
    times::parse(text).or_else(|| {
        let date = text.split([' ', 'T']).next()?;
        let date =
            NaiveDate::parse_from_str(date, "%m/%d/%Y").ok().filter(|date| (1000..=9999).contains(&date.year()))?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
    })
}

/// What follows from what a row says.
pub fn complete(row: &mut CostRow<'_>) {
    row.billing_period_end = row.billing_period_end.and_then(|last| last.checked_add(DAY));
    if let Some(start) = row.charge_period_start {
        row.charge_period_end = row.charge_period_end.or_else(|| start.checked_add(DAY));
        row.billing_period_start =
            row.billing_period_start.or_else(|| Some(i64::from(crate::model::month_of(start)) * DAY));
    }
    if row.commitment_discount_id.is_none() {
        row.effective_cost = row.effective_cost.or(row.billed_cost);
    }
    row.service_provider_name.get_or_insert("Microsoft".into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_month_first() {
        let day = times::parse("2021-02-03");
        for text in ["2021-02-03", "02/03/2021", "2/3/2021", "2021-02-03T00:00:00Z", "02/03/2021 00:00"] {
            assert_eq!(time(text), day, "{text}");
        }
        for none in ["", "13/02/2021", "02/03/21", "soon"] {
            assert_eq!(time(none), None, "{none}");
        }
    }

    #[test]
    fn translations_are_left_aside() {
        assert_eq!(own_name("Ressourcengruppe (ResourceGroup)"), "ResourceGroup");
        assert_eq!(own_name("ServiceName"), "ServiceName");
        assert_eq!(own_name(")"), ")");
    }
}
