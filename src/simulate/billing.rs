//! Two months of FOCUS charges: tagged and untagged services, shared clusters and stores, commitments, credits,
//! corrections, tax, two currencies. Amounts are integers of 10⁻¹⁰ and multiples of 100, so that percent split them exactly.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{Datelike, Days, Months, NaiveDate};
use serde_json::{Value, json};

use super::ownership::{ACCOUNTS, Ownership};
use super::random::Random;
use super::story::{SECOND, Story};
use super::truth::iso;
use super::webhooks::broken;
use super::world::{TEAMS, World};
use crate::attribution::allocation::{RuleRecord, default_rules};
use crate::error::Result;

const COLUMNS: [&str; 37] = [
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "BillingCurrency",
    "BillingAccountId",
    "BillingAccountName",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ProviderName",
    "PublisherName",
    "InvoiceIssuerName",
    "InvoiceId",
    "ServiceName",
    "ServiceCategory",
    "SubAccountId",
    "SubAccountName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "Tags",
];

/// The account of what nobody owns alone.
const SHARED_ACCOUNT: usize = 4;

/// Shared clusters, and the service that runs on each for all the others.
const CLUSTERS: [(&str, &str); 2] = [("shared-a", "inventory"), ("shared-b", "user-profile")];

/// Name of the rule set that comes with the bill.
pub const RULE_SET: &str = "by-demand";

/// How a service's charges are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tagging {
    Service,
    TeamOnly,
    Missing,
}

/// One charge.
#[derive(Debug, Clone, Default)]
struct Charge {
    billed: i128,
    effective: i128,
    list: i128,
    account: usize,
    category: &'static str,
    class: &'static str,
    description: String,
    service: &'static str,
    service_category: &'static str,
    resource: String,
    sku: &'static str,
    quantity: i64,
    unit: &'static str,
    commitment: &'static str,
    status: &'static str,
    tags: Vec<(&'static str, String)>,
}

/// Sums of the charges as they were made, for the truth.
#[derive(Debug, Default)]
pub struct Billed {
    totals: BTreeMap<(String, &'static str), i128>,
    direct: BTreeMap<(String, &'static str, &'static str), i128>,
    services: BTreeMap<(String, &'static str, &'static str), i128>,
    untagged: BTreeMap<(String, &'static str), i128>,
    rows: u64,
}

impl Billed {
    /// As JSON: exact decimals by period and currency.
    #[must_use]
    pub fn json(&self) -> Value {
        let flat = |sums: &BTreeMap<(String, &'static str), i128>| -> Vec<Value> {
            let row = |((period, currency), sum): (&(String, &str), &i128)| json!({"period": period, "currency": currency, "billed_cost": decimal(*sum)});
            sums.iter().map(row).collect()
        };
        let keyed = |sums: &BTreeMap<(String, &'static str, &'static str), i128>, key: &str| -> Vec<Value> {
            let row = |((period, currency, name), sum): (&(String, &str, &str), &i128)| json!({"period": period, "currency": currency, key: name, "billed_cost": decimal(*sum)});
            sums.iter().map(row).collect()
        };
        json!({
            "rows": self.rows,
            "total": flat(&self.totals),
            "without_service_or_team_tag": flat(&self.untagged),
            "by_tagged_service": keyed(&self.services, "service_name"),
            "by_owner": keyed(&self.direct, "owner"),
        })
    }
}

/// An amount of 10⁻¹⁰ as a decimal.
#[must_use]
pub fn decimal(amount: i128) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, rest) = (amount.unsigned_abs() / 10_000_000_000, amount.unsigned_abs() % 10_000_000_000);
    format!("{sign}{whole}.{rest:010}")
}

fn money(amount: f64) -> i128 {
    (amount * 1e8).round() as i128 * 100
}

fn currency(account: usize) -> &'static str {
    if account == 3 { "EUR" } else { "USD" }
}

struct Ledger<'a> {
    random: Random,
    world: &'a World,
    story: &'a Story,
    ownership: &'a Ownership,
    tagging: Vec<Tagging>,
    rates: Vec<f64>,
    billed: Billed,
}

/// Write `focus/<period>.csv` for the month of the story and the one before it.
///
/// # Errors
/// When the files cannot be written.
pub fn write(
    seed: u64,
    world: &World,
    story: &Story,
    ownership: &Ownership,
    month: NaiveDate,
    directory: &Path,
) -> Result<Billed> {
    let mut random = Random::new(seed, "billing");
    let mut order: Vec<usize> = (0..world.services.len()).collect();
    random.shuffle(&mut order);
    let mut tagging = vec![Tagging::Service; world.services.len()];
    for (position, &service) in order.iter().enumerate() {
        tagging[service] = match position {
            0..3 => Tagging::Missing,
            3..7 => Tagging::TeamOnly,
            _ => Tagging::Service,
        };
    }
    if let Some(spike) = story.spike {
        tagging[spike.service] = Tagging::Service;
    }
    let rates = world.services.iter().map(|_| random.log_normal(3.2, 0.5)).collect();
    let mut ledger = Ledger { random, world, story, ownership, tagging, rates, billed: Billed::default() };
    let directory = directory.join("focus");
    std::fs::create_dir_all(&directory)?;
    for first in [month.checked_sub_months(Months::new(1)), Some(month)].into_iter().flatten() {
        ledger.month(first, &directory.join(format!("{}.csv", first.format("%Y-%m"))))?;
    }
    Ok(ledger.billed)
}

impl Ledger<'_> {
    fn month(&mut self, first: NaiveDate, path: &Path) -> Result<()> {
        let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
        let mut out = csv::Writer::from_path(path).map_err(broken)?;
        out.write_record(COLUMNS).map_err(broken)?;
        let mut day = first;
        while day < next {
            for charge in self.day(day) {
                self.save(&mut out, &charge, day, first, next)?;
            }
            day = day.checked_add_days(Days::new(1)).unwrap_or(next);
        }
        let last = next.checked_sub_days(Days::new(1)).unwrap_or(first);
        for charge in self.closing(first) {
            self.save(&mut out, &charge, last, first, next)?;
        }
        out.flush()?;
        Ok(())
    }

    fn day(&mut self, day: NaiveDate) -> Vec<Charge> {
        let busy = if day.weekday().number_from_monday() > 5 { 0.8 } else { 1.0 };
        let mut charges = Vec::new();
        for service in 0..self.world.services.len() {
            charges.push(self.compute(service, day, busy));
            if self.random.chance(0.35) {
                charges.push(self.network(service, busy));
            }
            if self.random.chance(0.01) {
                charges.push(self.correction(service));
            }
        }
        charges.extend(self.stores(busy));
        charges.extend(self.clusters(busy));
        charges
    }

    fn tags(&self, service: usize) -> Vec<(&'static str, String)> {
        let info = &self.world.services[service];
        let team = ("team", TEAMS[info.team].to_owned());
        match self.tagging[service] {
            Tagging::Service => vec![("service", info.name.to_owned()), team, ("env", "prod".to_owned())],
            Tagging::TeamOnly => vec![team, ("env", "prod".to_owned())],
            Tagging::Missing => Vec::new(),
        }
    }

    fn account(&self, service: usize) -> usize {
        match self.world.services[service].team {
            1 => 1,
            3 => 2,
            4 => 3,
            _ => 0,
        }
    }

    fn compute(&mut self, service: usize, day: NaiveDate, busy: f64) -> Charge {
        let info = &self.world.services[service];
        let began = nanos(day) + 86_400 * SECOND > self.story.windows.onset;
        let factor = match self.story.spike {
            Some(spike) if spike.service == service && began => spike.factor,
            _ => 1.0,
        };
        let hours = (f64::from(info.replicas) * 24.0 * busy * factor * self.random.between(0.95, 1.05)) as i64;
        let list = money(self.rates[service] * hours as f64 / 24.0);
        let covered = service.is_multiple_of(5) && factor <= 1.0;
        Charge {
            billed: if covered { 0 } else { list },
            effective: if covered { list * 7 / 10 / 100 * 100 } else { list },
            list,
            account: self.account(service),
            category: "Usage",
            description: format!("vCPU hours of {}", info.name),
            service: "Amazon Elastic Container Service",
            service_category: "Compute",
            resource: format!(
                "arn:aws:ecs:eu-central-1:{}:service/prod/{}",
                ACCOUNTS[self.account(service)].0,
                info.name
            ),
            sku: "ECSVCPUHOUR",
            quantity: hours,
            unit: "vCPU-Hours",
            commitment: if covered { "sp-0c0ffee" } else { "" },
            status: if covered { "Used" } else { "" },
            tags: self.tags(service),
            ..Charge::default()
        }
    }

    fn network(&mut self, service: usize, busy: f64) -> Charge {
        let gigabytes = (self.random.log_normal(40.0, 0.6) * busy) as i64 + 1;
        let list = money(gigabytes as f64 * 0.09);
        let tags = if self.random.chance(0.3) { Vec::new() } else { self.tags(service) };
        Charge {
            billed: list,
            effective: list,
            list,
            account: self.account(service),
            category: "Usage",
            description: "data transfer out".to_owned(),
            service: "AWS Data Transfer",
            service_category: "Networking",
            sku: "DTOUT",
            quantity: gigabytes,
            unit: "GB",
            tags,
            ..Charge::default()
        }
    }

    fn correction(&mut self, service: usize) -> Charge {
        let amount = -money(self.random.between(0.5, 20.0));
        Charge {
            billed: amount,
            effective: amount,
            list: amount,
            account: self.account(service),
            category: "Usage",
            class: "Correction",
            description: "refund of over-metered hours".to_owned(),
            service: "Amazon Elastic Container Service",
            service_category: "Compute",
            sku: "ECSVCPUHOUR",
            tags: self.tags(service),
            ..Charge::default()
        }
    }

    /// Databases belong to a service or to nobody in particular.
    fn stores(&mut self, busy: f64) -> Vec<Charge> {
        let mut charges = Vec::new();
        for (position, peer) in self.world.peers.iter().enumerate() {
            if peer.external {
                continue;
            }
            let callers = super::faults::callers_of_peer(self.world, position);
            let tags = match (peer.system, callers.as_slice()) {
                ("postgresql", [first, ..]) => {
                    vec![("service", self.world.services[*first].name.to_owned()), ("env", "prod".to_owned())]
                }
                _ => vec![("component", peer.name.to_owned()), ("env", "prod".to_owned())],
            };
            let list = money((18.0 + position as f64 * 3.1) * busy * self.random.between(0.98, 1.02));
            charges.push(Charge {
                billed: list,
                effective: list,
                list,
                account: if peer.name.ends_with("ledger") { 2 } else { 1 },
                category: "Usage",
                description: format!("instance hours of {}", peer.name),
                service: if peer.system == "postgresql" {
                    "Amazon Relational Database Service"
                } else {
                    "Amazon ElastiCache"
                },
                service_category: "Databases",
                resource: format!("arn:aws:rds:eu-central-1:310987654322:db:{}", peer.name),
                sku: "DBHOUR",
                quantity: 24,
                unit: "Hours",
                tags,
                ..Charge::default()
            });
        }
        charges
    }

    /// Shared clusters, which no single team owns.
    fn clusters(&mut self, busy: f64) -> Vec<Charge> {
        let mut charges = Vec::new();
        for (name, workload) in CLUSTERS {
            let list = money(140.0 * busy * self.random.between(0.97, 1.03));
            charges.push(Charge {
                billed: list,
                effective: list,
                list,
                account: SHARED_ACCOUNT,
                category: "Usage",
                description: format!("nodes of {name}, on which {workload} runs"),
                service: "Amazon Elastic Kubernetes Service",
                service_category: "Compute",
                resource: format!("arn:aws:eks:eu-central-1:{}:cluster/{name}", ACCOUNTS[SHARED_ACCOUNT].0),
                sku: "EKSNODEHOUR",
                quantity: 240,
                unit: "Hours",
                tags: vec![
                    ("allocation", "shared".to_owned()),
                    ("cluster", name.to_owned()),
                    ("workload", workload.to_owned()),
                ],
                ..Charge::default()
            });
        }
        charges
    }

    /// What is booked at the end of the month: commitment, credit, support, tax.
    fn closing(&mut self, first: NaiveDate) -> Vec<Charge> {
        let line = |category, amount: i128, account, description: &str| Charge {
            billed: amount,
            effective: amount,
            list: amount,
            account,
            category,
            description: format!("{description} {}", first.format("%B %Y")),
            service: "AWS",
            service_category: "Other",
            ..Charge::default()
        };
        let mut commitment = line("Purchase", money(900.0), 0, "savings plan");
        (commitment.effective, commitment.commitment) = (0, "sp-0c0ffee");
        let mut unused = line("Usage", 0, 0, "unused commitment");
        (unused.effective, unused.commitment, unused.status) = (money(31.5), "sp-0c0ffee", "Unused");
        let credit = -money(self.random.between(200.0, 700.0));
        vec![
            commitment,
            unused,
            line("Credit", credit, 0, "migration credit"),
            line("Adjustment", -money(self.random.between(1.0, 9.0)), 3, "rounding"),
            line("Tax", money(self.random.between(300.0, 420.0)), 0, "VAT"),
            line("Tax", money(self.random.between(90.0, 130.0)), 3, "VAT"),
        ]
    }

    fn save(
        &mut self,
        out: &mut csv::Writer<std::fs::File>,
        charge: &Charge,
        day: NaiveDate,
        first: NaiveDate,
        next: NaiveDate,
    ) -> Result<()> {
        self.sum(charge, day, first);
        let tomorrow = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let stamp = |date: NaiveDate| format!("{}T00:00:00Z", date.format("%Y-%m-%d"));
        let (account, account_name, _) = ACCOUNTS[charge.account];
        let tags: BTreeMap<&str, &str> = charge.tags.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let tags = if tags.is_empty() { String::new() } else { json!(tags).to_string() };
        let usage = charge.category == "Usage" && charge.quantity > 0;
        let quantity = if usage { charge.quantity.to_string() } else { String::new() };
        let resource_name = charge.resource.rsplit(['/', ':']).next().unwrap_or_default();
        let kind = if charge.resource.is_empty() { "" } else { charge.service_category };
        let record: [&str; 37] = [
            &decimal(charge.billed),
            &decimal(charge.effective),
            &decimal(charge.list),
            &decimal(charge.list),
            currency(charge.account),
            "110987654320",
            "Brightcart",
            &stamp(first),
            &stamp(next),
            &stamp(day),
            &stamp(tomorrow),
            charge.category,
            charge.class,
            &charge.description,
            if usage { "Usage-Based" } else { "One-Time" },
            "AWS",
            "Amazon Web Services, Inc.",
            "Amazon Web Services, Inc.",
            &format!("INV-{}", first.format("%Y%m")),
            charge.service,
            charge.service_category,
            account,
            account_name,
            "eu-central-1",
            &charge.resource,
            resource_name,
            kind,
            charge.sku,
            &quantity,
            charge.unit,
            &quantity,
            charge.unit,
            if charge.commitment.is_empty() { "Standard" } else { "Committed" },
            charge.commitment,
            charge.status,
            if charge.commitment.is_empty() { "" } else { "Savings Plan" },
            &tags,
        ];
        out.write_record(record).map_err(broken)
    }

    fn sum(&mut self, charge: &Charge, day: NaiveDate, first: NaiveDate) {
        let period = first.format("%Y-%m").to_string();
        let currency = currency(charge.account);
        self.billed.rows += 1;
        *self.billed.totals.entry((period.clone(), currency)).or_default() += charge.billed;
        let tag = |key| charge.tags.iter().find(|(k, _)| *k == key).map(|(_, value)| value.as_str());
        if let Some(service) = tag("service") {
            let name = self.world.services.iter().find(|s| s.name == service).map_or("", |s| s.name);
            *self.billed.services.entry((period.clone(), currency, name)).or_default() += charge.billed;
            for (team, percent) in self.ownership.of("service", service, nanos(day)) {
                let share = charge.billed * percent / 100;
                *self.billed.direct.entry((period.clone(), currency, TEAMS[team])).or_default() += share;
            }
        } else if let Some(team) = tag("team") {
            let team = TEAMS.iter().find(|t| **t == team).copied().unwrap_or_default();
            *self.billed.direct.entry((period, currency, team)).or_default() += charge.billed;
        } else {
            *self.billed.untagged.entry((period, currency)).or_default() += charge.billed;
        }
    }
}

/// Write the rule set by which the bill is to be split: a shared cluster by the traced demand for what runs on it,
/// everything else as the built-in rule set does.
///
/// # Errors
/// When the file cannot be written.
pub fn write_rules(path: &Path) -> Result<()> {
    let clusters = CLUSTERS.map(|(name, workload)| RuleRecord {
        rule: Some(format!("demand for {workload}")),
        condition: Some(format!("tags['cluster'] = '{name}'")),
        action: Some("shared".to_owned()),
        split: Some("demand".to_owned()),
        basis: Some(workload.to_owned()),
        split_by: Some("service".to_owned()),
        ..RuleRecord::default()
    });
    let mut out = csv::Writer::from_path(path).map_err(broken)?;
    out.write_record([
        "rule_set",
        "seq",
        "rule",
        "condition",
        "action",
        "owner_by",
        "split",
        "basis",
        "split_by",
        "within",
        "weights",
        "valid_from",
    ])
    .map_err(broken)?;
    for (rule, seq) in clusters.into_iter().chain(default_rules()).zip(1..) {
        let texts = [
            rule.rule,
            rule.condition,
            rule.action,
            rule.owner_by,
            rule.split,
            rule.basis,
            rule.split_by,
            rule.within,
            rule.weights,
        ];
        let head = [RULE_SET.to_owned(), seq.to_string()].into_iter();
        let row = head.chain(texts.into_iter().map(Option::unwrap_or_default)).chain([iso(0)]);
        out.write_record(row).map_err(broken)?;
    }
    out.flush()?;
    Ok(())
}

/// Midnight of a day, nanoseconds since the epoch.
#[must_use]
pub fn nanos(day: NaiveDate) -> i64 {
    i64::from(day.to_epoch_days()) * 86_400 * SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(-12_345_678_900), "-1.2345678900");
        assert_eq!(decimal(100), "0.0000000100");
        assert_eq!(decimal(money(900.0)), "900.0000000000");
        assert_eq!(money(0.123_456_789) % 100, 0);
    }
}
