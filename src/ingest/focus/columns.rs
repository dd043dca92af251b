//! The columns of a FOCUS export, and where each lands.
//!
//! Names are compared without case, blanks and punctuation. A column has several names where the specification renamed
//! it; the first is the present one and wins where an export has both.

use std::borrow::Cow;

use crate::ingest::decimal;
use crate::model::Attributes;
use crate::model::cost::CostRow;

type Tags = for<'r, 'a> fn(&'r mut CostRow<'a>) -> &'r mut Attributes<'a>;

/// Where a column lands.
#[derive(Clone, Copy)]
pub enum Target {
    Money(for<'r> fn(&'r mut CostRow<'_>) -> &'r mut Option<i128>),
    Time(for<'r> fn(&'r mut CostRow<'_>) -> &'r mut Option<i64>),
    Quantity(for<'r> fn(&'r mut CostRow<'_>) -> &'r mut Option<f64>),
    Text(for<'r, 'a> fn(&'r mut CostRow<'a>) -> &'r mut Option<Cow<'a, str>>),
    Tags(Tags),
}

/// A column of the specification.
pub struct Column {
    /// Name of the column in the lake, and then the names that exports give it, the best first.
    pub names: &'static [&'static str],
    /// Whether no export and no row can do without it.
    pub required: bool,
    pub target: Target,
}

impl Column {
    /// The name in the specification.
    pub fn id(&self) -> &'static str {
        self.names.get(1).copied().unwrap_or_default()
    }
}

macro_rules! columns {
    ($( $kind:ident $field:ident $(($need:ident))? = $($name:literal)|+; )+) => {
        &[$( Column {
            names: &[stringify!($field), $($name),+],
            required: columns!(@required $($need)?),
            target: Target::$kind(|row| &mut row.$field),
        } ),+]
    };
    (@required required) => { true };
    (@required) => { false };
}

/// Every column that has a place of its own; all others go to `x`.
pub static COLUMNS: &[Column] = columns! {
    Money billed_cost (required) = "BilledCost";
    Money effective_cost = "EffectiveCost";
    Money list_cost = "ListCost";
    Money contracted_cost = "ContractedCost";
    Text billing_currency (required) = "BillingCurrency";
    Time charge_period_start (required) = "ChargePeriodStart";
    Time charge_period_end (required) = "ChargePeriodEnd";
    Time billing_period_start (required) = "BillingPeriodStart";
    Time billing_period_end = "BillingPeriodEnd";
    Text charge_category = "ChargeCategory" | "ChargeType";
    Text charge_class = "ChargeClass";
    Text charge_description = "ChargeDescription";
    Text charge_frequency = "ChargeFrequency";
    Text service_provider_name = "ServiceProviderName" | "ProviderName" | "Provider";
    Text host_provider_name = "HostProviderName" | "PublisherName" | "Publisher";
    Text invoice_issuer_name = "InvoiceIssuerName" | "InvoiceIssuer";
    Text invoice_id = "InvoiceId";
    Text billing_account_id = "BillingAccountId";
    Text billing_account_name = "BillingAccountName";
    Text provider_service_name = "ServiceName";
    Text service_category = "ServiceCategory";
    Text sub_account_id = "SubAccountId";
    Text sub_account_name = "SubAccountName";
    Text region_id = "RegionId" | "Region";
    Text resource_id = "ResourceId";
    Text resource_name = "ResourceName";
    Text resource_type = "ResourceType";
    Text sku_id = "SkuId";
    Quantity consumed_quantity = "ConsumedQuantity" | "UsageQuantity";
    Text consumed_unit = "ConsumedUnit" | "UsageUnit";
    Quantity pricing_quantity = "PricingQuantity";
    Text pricing_unit = "PricingUnit";
    Text commitment_discount_id = "CommitmentDiscountId";
    Text commitment_discount_status = "CommitmentDiscountStatus";
    Text allocated_method_id = "AllocatedMethodId";
    Text allocated_resource_id = "AllocatedResourceId";
    Tags allocated_tags = "AllocatedTags";
    Tags tags = "Tags";
    Text export_id = "x_ExportId" | "ExportId";
};

/// Columns of the specification (1.0 to 1.3) that `costs` has no place for: they are in `x` by these names, and in the
/// view `focus`.
pub static IN_X: &[&str] = &[
    "AllocatedMethodDetails",
    "AllocatedResourceName",
    "AvailabilityZone",
    "BillingAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "CommitmentDiscountCategory",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ContractApplied",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "RegionName",
    "ServiceSubcategory",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountType",
];

/// The name that a column has in `x`: the id of the specification, however an export spells it, or its own.
pub fn name_in_x(name: &str) -> &str {
    let wanted = normalize(name);
    IN_X.iter().find(|id| normalize(id) == wanted).copied().unwrap_or(name)
}

/// A name as names are compared.
pub fn normalize(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Put the text of a cell where its column lands; `time` reads instants.
///
/// # Errors
/// When the text is not what the column holds; the error says in what way.
pub fn set<'a>(
    target: Target,
    row: &mut CostRow<'a>,
    text: &'a str,
    time: fn(&str) -> Option<i64>,
) -> Result<(), Cow<'static, str>> {
    match target {
        Target::Money(of) => {
            let amount = decimal::parse(text).map_err(|error| error.to_string())?;
            of(row).get_or_insert(amount);
        }
        Target::Time(of) => {
            of(row).get_or_insert(time(text).ok_or("not an instant")?);
        }
        Target::Quantity(of) => {
            let quantity = text.parse::<f64>().ok().filter(|quantity| quantity.is_finite()).ok_or("not a number")?;
            of(row).get_or_insert(quantity);
        }
        Target::Text(of) => {
            of(row).get_or_insert(Cow::Borrowed(text));
        }
        // Money is not lost over a tag: what cannot be read as tags stays readable in `x`.
        Target::Tags(of) => match super::tags::parse(text) {
            Some(tags) => *of(row) = tags,
            None => row.x.push((Cow::Borrowed("Tags"), Cow::Borrowed(text))),
        },
    }
    Ok(())
}

/// Whether a row has a value for a column.
pub fn is_set(target: Target, row: &mut CostRow<'_>) -> bool {
    match target {
        Target::Money(of) => of(row).is_some(),
        Target::Time(of) => of(row).is_some(),
        Target::Quantity(of) => of(row).is_some(),
        Target::Text(of) => of(row).is_some(),
        Target::Tags(of) => !of(row).is_empty(),
    }
}
