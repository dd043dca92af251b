//! Charges, after the FOCUS specification.

use super::cell::{Double, Int, Money, Text, TextMap, Time};
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

canonical_table! {
    /// Rules by which charges are allocated. A rule set is what has its name; the rows of it with the same valid_from are one version, in force until the next version begins. The first rule in seq order that fits a charge decides it.
    "allocation_rules", ALLOCATION_RULES, AllocationRuleRow, AllocationRuleBuilder;
    partition Partition::None, |_| None;
    key ["rule_set", "valid_from", "seq"];
    cluster ["rule_set", "valid_from", "seq"];
    bloom [];
    /// Name of the rule set. The set default always exists; rows with that name replace the built-in one.
    rule_set: Text,
    /// Order in which the rules of a version are tried.
    seq: Int,
    /// Name of the rule, for people.
    rule: Text,
    /// SQL condition on the columns of costs that a charge must meet, such as charge_category = 'Tax'; null fits every charge.
    condition: Text,
    /// direct (to its owners; a charge that has none goes on to the next rule), shared, idle or unallocated.
    action: Text,
    /// For direct: where owners are looked for, in order and separated by commas. owned:resource, owned:account, owned:service, owned:tag and owned:tag=KEY ask the ownership table; tag:KEY, account and team:NAME name the owner themselves.
    owner_by: Text,
    /// For shared: even, fixed, direct (in proportion to direct cost), usage, demand (traced) or peak (airport Shapley).
    split: Text,
    /// For usage and peak: the metric. For demand: the service whose traced work is shared.
    basis: Text,
    /// For usage, demand and peak: who consumes, service (default) or tenant.
    split_by: Text,
    /// For even and direct: column or tag:KEY that must be the same in the shared and in the direct charges, such as sub_account_id.
    within: Text,
    /// For fixed: owner=weight, separated by commas. For even: the owners; without any, those that have direct cost.
    weights: Text,
    /// From when the version of the rule set is in force, by the beginning of the charge; null is since ever.
    valid_from: Time,
}
