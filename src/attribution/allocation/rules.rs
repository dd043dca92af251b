//! Rule sets: which charges are direct, shared or idle, and how shared ones are split.

use crate::error::UserError;

/// One row of `allocation_rules`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleRecord {
    /// Order in its version.
    pub seq: i64,
    /// Name for people.
    pub rule: Option<String>,
    /// SQL condition; none fits every charge. It is evaluated elsewhere.
    pub condition: Option<String>,
    /// direct, shared, idle or unallocated.
    pub action: Option<String>,
    /// Where owners are looked for.
    pub owner_by: Option<String>,
    /// Split method.
    pub split: Option<String>,
    /// Metric or service.
    pub basis: Option<String>,
    /// service or tenant.
    pub split_by: Option<String>,
    /// Column or tag that limits the pool.
    pub within: Option<String>,
    /// Owners and weights.
    pub weights: Option<String>,
    /// Since when, microseconds; none is since ever.
    pub valid_from: Option<i64>,
}

/// A rule that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Order in its version.
    pub seq: i64,
    /// SQL condition; none fits every charge.
    pub condition: Option<String>,
    /// What happens to the charges that it fits.
    pub action: Action,
}

/// What a rule does with a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To its owners, looked for in this order; to the next rule if there is none.
    Direct(Vec<OwnerSource>),
    /// Split among several.
    Shared(Split),
    /// Paid for and not used.
    Idle,
    /// Deliberately nobody's.
    Unallocated,
}

/// Where the owner of a charge is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerSource {
    /// Ownership of the resource, by its id or else its name.
    OwnedResource,
    /// Ownership of the account, by its id or else its name.
    OwnedAccount,
    /// Ownership of the service that a tag names.
    OwnedService,
    /// Ownership of any tag, written key=value, in the order of the keys.
    OwnedTag,
    /// Ownership of this tag.
    OwnedTagKey(String),
    /// The value of this tag is the owner.
    Tag(String),
    /// The account's name, or else its id, is the owner.
    Account,
    /// This owner.
    Team(String),
}

/// How a shared charge is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// Evenly, over these owners or else over all in the pool.
    Even {
        /// The owners; empty for those with direct cost in the pool.
        owners: Vec<String>,
        /// What limits the pool.
        within: Option<Field>,
    },
    /// By these weights.
    Fixed(Vec<(String, u128)>),
    /// In proportion to the direct cost of the owners in the pool.
    Direct {
        /// What limits the pool.
        within: Option<Field>,
    },
    /// By what was measured of consumers.
    Measured {
        /// What was measured.
        measure: Measure,
        /// The metric or the service.
        basis: String,
        /// Who consumes.
        by: Consumer,
    },
}

/// What is measured of consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The amount of a metric.
    Usage,
    /// Weighted self time of a service along the traces of the consumer.
    Demand,
    /// The highest value of a metric; split as in the airport game.
    Peak,
}

/// Who consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// A service, whose owners pay.
    Service,
    /// A tenant.
    Tenant,
}

/// A column that may limit a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `billing_account_id`
    BillingAccount,
    /// `sub_account_id`
    SubAccount,
    /// `region_id`
    Region,
    /// `provider_service_name`
    ProviderService,
    /// `service_category`
    ServiceCategory,
    /// `resource_type`
    ResourceType,
    /// A tag.
    Tag(String),
}

/// Tag keys that name the owner themselves, in the built-in rule set.
const OWNER_TAGS: [&str; 6] = ["owner", "team", "squad", "cost_center", "costcenter", "business_unit"];

/// The built-in rule set `default`.
///
/// Unused commitments are idle; what is marked as shared, and taxes and support that nobody owns, are shared in
/// proportion to direct cost; everything else is its owner's by the ownership table, a tag or the account.
#[must_use]
pub fn default_rules() -> Vec<RuleRecord> {
    let tags = OWNER_TAGS.map(|key| format!("tag:{key}")).join(",");
    let owner_by = format!("owned:resource,owned:tag,owned:service,{tags},owned:account");
    let shared_tags = OWNER_TAGS
        .iter()
        .chain(&["allocation"])
        .map(|key| format!("lower(tags['{key}']) = 'shared'"))
        .collect::<Vec<_>>();
    let rule = |seq, name: &str, condition: Option<&str>, action: &str| RuleRecord {
        seq,
        rule: Some(name.to_owned()),
        condition: condition.map(str::to_owned),
        action: Some(action.to_owned()),
        ..RuleRecord::default()
    };
    let in_proportion = |record: RuleRecord| RuleRecord { split: Some("direct".to_owned()), ..record };
    vec![
        rule(
            10,
            "unused capacity",
            Some("commitment_discount_status = 'Unused' OR resource_name = '__idle__' OR lower(tags['idle']) = 'true'"),
            "idle",
        ),
        in_proportion(rule(20, "marked as shared", Some(&shared_tags.join(" OR ")), "shared")),
        RuleRecord { owner_by: Some(owner_by), ..rule(30, "owned", None, "direct") },
        in_proportion(rule(
            40,
            "taxes and support",
            Some("charge_category = 'Tax' OR provider_service_name ILIKE '%support%'"),
            "shared",
        )),
        rule(50, "untagged and unowned", None, "unallocated"),
    ]
}

/// The versions of a rule set: since when (microseconds), and the rules in order.
///
/// # Errors
/// When a rule cannot be understood.
pub fn versions(records: &[RuleRecord]) -> Result<Vec<(i64, Vec<Rule>)>, UserError> {
    let mut sorted: Vec<&RuleRecord> = records.iter().collect();
    sorted.sort_by_cached_key(|record| (record.valid_from.unwrap_or(i64::MIN), record.seq, record.rule.clone()));
    let mut versions: Vec<(i64, Vec<Rule>)> = Vec::new();
    for record in sorted {
        let from = record.valid_from.unwrap_or(i64::MIN);
        let rule = Rule::parse(record)?;
        match versions.last_mut() {
            Some((last, rules)) if *last == from => rules.push(rule),
            _ => versions.push((from, vec![rule])),
        }
    }
    Ok(versions)
}

impl Rule {
    /// Understand a row of `allocation_rules`.
    ///
    /// # Errors
    /// When a value is not one that its column can have.
    pub fn parse(record: &RuleRecord) -> Result<Self, UserError> {
        let action = match word(record.action.as_deref()).as_str() {
            "direct" => Action::Direct(owner_sources(record)?),
            "shared" => Action::Shared(split(record)?),
            "idle" => Action::Idle,
            "unallocated" => Action::Unallocated,
            _ => {
                return Err(refused(record, "action", record.action.as_deref(), "direct, shared, idle or unallocated"));
            }
        };
        let condition = record.condition.clone().filter(|condition| !condition.trim().is_empty());
        Ok(Self { seq: record.seq, condition, action })
    }
}

fn word(text: Option<&str>) -> String {
    text.unwrap_or_default().trim().to_lowercase()
}

fn refused(record: &RuleRecord, column: &str, value: Option<&str>, wanted: &str) -> UserError {
    let name = record.rule.as_deref().unwrap_or("unnamed");
    let value = value.map_or_else(|| "null".to_owned(), |value| format!("\"{value}\""));
    UserError::invalid(format!("allocation rule {} ({name}) has {column} {value}", record.seq))
        .hint(format!("{column} is {wanted}."))
}

fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn owner_sources(record: &RuleRecord) -> Result<Vec<OwnerSource>, UserError> {
    let sources = listed(record.owner_by.as_deref()).map(|item| {
        let lower = item.to_lowercase();
        let rest = |prefix: &str| {
            lower.starts_with(prefix).then(|| item.get(prefix.len()..)).flatten().filter(|rest| !rest.is_empty())
        };
        Some(match lower.as_str() {
            "owned:resource" => OwnerSource::OwnedResource,
            "owned:account" => OwnerSource::OwnedAccount,
            "owned:service" => OwnerSource::OwnedService,
            "owned:tag" => OwnerSource::OwnedTag,
            "account" => OwnerSource::Account,
            _ => {
                if let Some(key) = rest("owned:tag=") {
                    OwnerSource::OwnedTagKey(key.to_owned())
                } else if let Some(key) = rest("tag:") {
                    OwnerSource::Tag(key.to_owned())
                } else {
                    OwnerSource::Team(rest("team:")?.to_owned())
                }
            }
        })
    });
    let sources: Option<Vec<_>> = sources.collect();
    sources.filter(|sources| !sources.is_empty()).ok_or_else(|| {
        let wanted = "a list of owned:resource, owned:account, owned:service, owned:tag, owned:tag=KEY, tag:KEY, account and team:NAME";
        refused(record, "owner_by", record.owner_by.as_deref(), wanted)
    })
}

fn split(record: &RuleRecord) -> Result<Split, UserError> {
    let measured = |measure| {
        let basis = record.basis.clone().filter(|basis| !basis.trim().is_empty());
        let wanted = if measure == Measure::Demand { "the name of a service" } else { "the name of a metric" };
        let basis = basis.ok_or_else(|| refused(record, "basis", None, wanted))?;
        Ok(Split::Measured { measure, basis: basis.trim().to_owned(), by: consumer(record)? })
    };
    match word(record.split.as_deref()).as_str() {
        "even" => Ok(Split::Even { owners: owners(record), within: within(record)? }),
        "fixed" => Ok(Split::Fixed(weights(record)?)),
        "direct" => Ok(Split::Direct { within: within(record)? }),
        "usage" => measured(Measure::Usage),
        "demand" => measured(Measure::Demand),
        "peak" => measured(Measure::Peak),
        _ => Err(refused(record, "split", record.split.as_deref(), "even, fixed, direct, usage, demand or peak")),
    }
}

fn consumer(record: &RuleRecord) -> Result<Consumer, UserError> {
    match word(record.split_by.as_deref()).as_str() {
        "" | "service" => Ok(Consumer::Service),
        "tenant" => Ok(Consumer::Tenant),
        _ => Err(refused(record, "split_by", record.split_by.as_deref(), "service or tenant")),
    }
}

fn within(record: &RuleRecord) -> Result<Option<Field>, UserError> {
    let name = word(record.within.as_deref());
    Ok(Some(match name.as_str() {
        "" => return Ok(None),
        "billing_account_id" => Field::BillingAccount,
        "sub_account_id" => Field::SubAccount,
        "region_id" => Field::Region,
        "provider_service_name" => Field::ProviderService,
        "service_category" => Field::ServiceCategory,
        "resource_type" => Field::ResourceType,
        _ => match name.strip_prefix("tag:").filter(|key| !key.is_empty()) {
            Some(key) => Field::Tag(key.to_owned()),
            None => {
                let wanted = "billing_account_id, sub_account_id, region_id, provider_service_name, service_category, resource_type or tag:KEY";
                return Err(refused(record, "within", record.within.as_deref(), wanted));
            }
        },
    }))
}

fn owners(record: &RuleRecord) -> Vec<String> {
    let name = |item: &str| item.split('=').next().unwrap_or(item).trim().to_owned();
    let mut owners: Vec<String> = listed(record.weights.as_deref()).map(name).collect();
    owners.sort_unstable();
    owners.dedup();
    owners
}

fn weights(record: &RuleRecord) -> Result<Vec<(String, u128)>, UserError> {
    let wanted = "a list of OWNER=WEIGHT with weights such as 0.25, at least one above 0";
    let error = || refused(record, "weights", record.weights.as_deref(), wanted);
    let mut weights = std::collections::BTreeMap::new();
    for item in listed(record.weights.as_deref()) {
        let (owner, weight) = item.rsplit_once('=').ok_or_else(error)?;
        let weight = decimal(weight.trim()).ok_or_else(error)?;
        if weights.insert(owner.trim().to_owned(), weight).is_some() {
            return Err(error());
        }
    }
    if weights.values().all(|weight| *weight == 0) {
        return Err(error());
    }
    Ok(weights.into_iter().collect())
}

/// A decimal number that is not negative, in units of 10⁻¹².
fn decimal(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || whole.len() > 20
        || fraction.len() > 12
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    format!("{whole}{fraction:0<12}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(split: &str) -> RuleRecord {
        RuleRecord { action: Some("shared".into()), split: Some(split.into()), ..RuleRecord::default() }
    }

    #[test]
    fn the_built_in_rules_are_understood() {
        let versions = versions(&default_rules()).unwrap();
        assert_eq!(versions.len(), 1);
        let actions: Vec<_> = versions[0].1.iter().map(|rule| std::mem::discriminant(&rule.action)).collect();
        assert_eq!(actions.len(), 5);
        let Action::Direct(sources) = &versions[0].1[2].action else { panic!("the third rule is direct") };
        assert_eq!(sources.first(), Some(&OwnerSource::OwnedResource));
        assert_eq!(sources.last(), Some(&OwnerSource::OwnedAccount));
        assert!(sources.contains(&OwnerSource::Tag("business_unit".into())));
    }

    #[test]
    fn weights_are_exact_decimals() {
        let record = RuleRecord { weights: Some(" b=0.25, a = 0.75".into()), ..shared("fixed") };
        let Action::Shared(Split::Fixed(weights)) = Rule::parse(&record).unwrap().action else { panic!("fixed") };
        assert_eq!(weights, vec![("a".to_owned(), 750_000_000_000), ("b".to_owned(), 250_000_000_000)]);
        for wrong in ["a", "a=x", "a=-1", "a=0", "a=1,a=2", "a=1e3", ""] {
            let record = RuleRecord { weights: Some(wrong.into()), ..shared("fixed") };
            assert!(Rule::parse(&record).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named_with_what_would_be() {
        let record = RuleRecord { seq: 7, rule: Some("net".into()), ..shared("fairly") };
        let error = Rule::parse(&record).unwrap_err();
        assert_eq!(error.message, "allocation rule 7 (net) has split \"fairly\"");
        assert_eq!(error.hint.as_deref(), Some("split is even, fixed, direct, usage, demand or peak."));
        assert!(Rule::parse(&RuleRecord { action: None, ..record }).is_err());
        assert!(Rule::parse(&shared("usage")).is_err(), "usage needs a metric");
        let direct =
            RuleRecord { action: Some("direct".into()), owner_by: Some("tag:".into()), ..RuleRecord::default() };
        assert!(Rule::parse(&direct).is_err());
    }

    #[test]
    fn versions_are_in_order_of_time_and_rules_in_order_of_seq() {
        let idle =
            |seq, valid_from| RuleRecord { seq, valid_from, action: Some("idle".into()), ..RuleRecord::default() };
        let versions = versions(&[idle(2, Some(5)), idle(1, Some(5)), idle(9, None)]).unwrap();
        let shape: Vec<_> =
            versions.iter().map(|(from, rules)| (*from, rules.iter().map(|r| r.seq).collect::<Vec<_>>())).collect();
        assert_eq!(shape, vec![(i64::MIN, vec![9]), (5, vec![1, 2])]);
    }
}
