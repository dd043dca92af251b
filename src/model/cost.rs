//! Charges, after the FOCUS specification.

use super::cell::{Double, Money, Text, TextMap, Time};
use super::{Partition, month_of};
use crate::canonical_table;

canonical_table! {
    /// One row a charge; the columns are the FOCUS column ids in snake case. An import replaces the billing periods that it covers.
    "costs", COSTS, CostRow, CostBuilder;
    partition Partition::Month("billing_period_start"), |row| row.billing_period_start.map(month_of);
    key [];
    cluster ["charge_period_start", "provider_service_name"];
    bloom ["resource_id"];
    /// FOCUS BilledCost: what the invoice will say.
    billed_cost: Money,
    /// FOCUS EffectiveCost: amortized, after discounts.
    effective_cost: Money,
    /// FOCUS ListCost.
    list_cost: Money,
    /// FOCUS ContractedCost.
    contracted_cost: Money,
    /// FOCUS BillingCurrency, ISO 4217.
    billing_currency: Text,
    /// FOCUS ChargePeriodStart, inclusive.
    charge_period_start: Time,
    /// FOCUS ChargePeriodEnd, exclusive.
    charge_period_end: Time,
    /// FOCUS BillingPeriodStart, inclusive.
    billing_period_start: Time,
    /// FOCUS BillingPeriodEnd, exclusive.
    billing_period_end: Time,
    /// FOCUS ChargeCategory: Usage, Purchase, Tax, Credit or Adjustment.
    charge_category: Text,
    /// FOCUS ChargeClass: Correction, or null.
    charge_class: Text,
    /// FOCUS ChargeDescription.
    charge_description: Text,
    /// FOCUS ChargeFrequency.
    charge_frequency: Text,
    /// FOCUS ServiceProviderName (ProviderName before 1.3).
    service_provider_name: Text,
    /// FOCUS HostProviderName (PublisherName before 1.3).
    host_provider_name: Text,
    /// FOCUS InvoiceIssuerName.
    invoice_issuer_name: Text,
    /// FOCUS InvoiceId.
    invoice_id: Text,
    /// FOCUS BillingAccountId.
    billing_account_id: Text,
    /// FOCUS BillingAccountName.
    billing_account_name: Text,
    /// FOCUS ServiceName: the provider's service, such as Amazon EC2.
    provider_service_name: Text,
    /// FOCUS ServiceCategory.
    service_category: Text,
    /// FOCUS SubAccountId.
    sub_account_id: Text,
    /// FOCUS SubAccountName.
    sub_account_name: Text,
    /// FOCUS RegionId.
    region_id: Text,
    /// FOCUS ResourceId.
    resource_id: Text,
    /// FOCUS ResourceName.
    resource_name: Text,
    /// FOCUS ResourceType.
    resource_type: Text,
    /// FOCUS SkuId.
    sku_id: Text,
    /// FOCUS ConsumedQuantity.
    consumed_quantity: Double,
    /// FOCUS ConsumedUnit.
    consumed_unit: Text,
    /// FOCUS PricingQuantity.
    pricing_quantity: Double,
    /// FOCUS PricingUnit.
    pricing_unit: Text,
    /// FOCUS CommitmentDiscountId.
    commitment_discount_id: Text,
    /// FOCUS CommitmentDiscountStatus.
    commitment_discount_status: Text,
    /// FOCUS AllocatedMethodId.
    allocated_method_id: Text,
    /// FOCUS AllocatedResourceId.
    allocated_resource_id: Text,
    /// FOCUS AllocatedTags.
    allocated_tags: TextMap,
    /// FOCUS Tags.
    tags: TextMap,
    /// Every other column of the export, by the name that it had there.
    x: TextMap,
    /// Which export delivered the charge: an import replaces the billing periods of its own export only.
    export_id: Text,
}
