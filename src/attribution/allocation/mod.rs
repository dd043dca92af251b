//! Allocation of charges to owners: every charge is split into parts that sum to it exactly.
//!
//! Two passes over the charges. [`Allocator::claim`] decides what each one is and adds up what is direct;
//! [`Allocator::shares`] then splits it. What nobody can be made to pay for is a share of [`UNALLOCATED`] or [`IDLE`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::owners::OwnershipIndex;
use super::split::{airport_shapley, largest_remainder, quantity_weights};

mod charge;
mod rules;
#[cfg(test)]
mod tests;

pub use super::owners::UNALLOCATED;
pub use charge::{Charge, Claimed, service_of, tenant_of};
pub use rules::{Action, Consumer, Field, Measure, OwnerSource, Rule, RuleRecord, Split, default_rules, versions};

/// Owner of capacity that was paid for and not used.
pub const IDLE: &str = "__idle__";

/// How many splits over consumers are kept for the next charge of the same time.
const MAX_CACHED_TARGETS: usize = 4096;

/// What was measured of one consumer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Consumption {
    /// The service or tenant; none where the measurement names nobody.
    pub consumer: Option<String>,
    /// How much; for a peak the highest.
    pub quantity: f64,
}

/// What is to become of a charge; small, because there is one for every charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// To a list of owners, found in a certain way.
    Direct {
        /// Index of the owners.
        owners: u32,
        /// Name of the way.
        basis: u32,
    },
    /// Split by a rule over a pool.
    Shared {
        /// Index of the rule over all versions.
        rule: u32,
        /// Index of the pool, if the split has one.
        pool: Option<u32>,
    },
    /// Not used.
    Idle,
    /// Nobody's, for a reason.
    Unallocated {
        /// Name of the reason.
        reason: u32,
    },
}

/// One part of a charge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share<'a> {
    /// Who pays.
    pub owner: &'a str,
    /// Tenant that consumed, where the split or the charge names one.
    pub tenant: Option<&'a str>,
    /// Service that consumed, where the split or the charge names one.
    pub service: Option<&'a str>,
    /// The part, in units of 10⁻¹².
    pub amount: i128,
    /// direct, even, fixed, proportional, usage, demand, peak, idle or unallocated.
    pub method: &'static str,
    /// Share of the charge before rounding.
    pub ratio: f64,
    /// What the ratio rests on: how the owner was found, what was measured, or why nobody pays.
    pub basis: &'a str,
    /// How much of the basis this share has; for a proportional split the direct cost.
    pub quantity: Option<f64>,
}

#[derive(Debug)]
struct Target {
    owner: Arc<str>,
    tenant: Option<Arc<str>>,
    service: Option<Arc<str>>,
    quantity: Option<f64>,
}

/// Over whom a shared charge is split, by key.
#[derive(Debug)]
struct Targets {
    method: &'static str,
    basis: String,
    entries: Vec<Target>,
    weights: Vec<u128>,
}

/// Allocates the charges of one question.
#[derive(Debug)]
pub struct Allocator {
    /// Since when, the index of the first rule, and how many there are.
    versions: Vec<(i64, usize, usize)>,
    rules: Vec<Arc<Rule>>,
    ownership: Arc<OwnershipIndex>,
    measured: HashMap<usize, Vec<Consumption>>,
    names: Names,
    owners: Vec<Vec<(u32, u128)>>,
    owner_ids: HashMap<OwnersKey, u32>,
    pool_fields: Vec<Option<Field>>,
    pool_ids: HashMap<(usize, u32, u32), u32>,
    pools: Vec<HashMap<u32, i128>>,
    targets: HashMap<(u32, Option<u32>, i64), Arc<Targets>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum OwnersKey {
    Owned(u32),
    Named(u32),
}

#[derive(Debug, Default)]
struct Names {
    ids: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    fn name(&self, id: u32) -> Arc<str> {
        self.names.get(id as usize).map_or_else(|| UNALLOCATED.into(), Arc::clone)
    }

    fn text(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or(UNALLOCATED, |name| &**name)
    }
}

impl Allocator {
    /// An allocator by the versions of a rule set. `measured` has what was consumed, by the index of the rule among
    /// [`Allocator::rules`]; a rule that measures and has nothing there allocates nothing.
    #[must_use]
    pub fn new(
        versions: Vec<(i64, Vec<Rule>)>,
        ownership: Arc<OwnershipIndex>,
        measured: HashMap<usize, Vec<Consumption>>,
    ) -> Self {
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        let mut in_force = Vec::new();
        for (from, version) in versions {
            in_force.push((from, rules.len(), version.len()));
            rules.extend(version.into_iter().map(Arc::new));
        }
        let mut pool_fields = Vec::new();
        for rule in &rules {
            if let Some(within) = pool_of(rule)
                && !pool_fields.contains(&within.cloned())
            {
                pool_fields.push(within.cloned());
            }
        }
        Self {
            versions: in_force,
            rules,
            ownership,
            measured,
            names: Names::default(),
            owners: Vec::new(),
            owner_ids: HashMap::new(),
            pool_fields,
            pool_ids: HashMap::new(),
            pools: Vec::new(),
            targets: HashMap::new(),
        }
    }

    /// The rules of all versions, in the order of their indices.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// First pass: decide what becomes of a charge. `fits` says whether it meets the condition of a rule.
    pub fn claim(&mut self, charge: &Charge<'_>, fits: &dyn Fn(usize) -> bool) -> Claim {
        let Some((first, count)) = self.in_force(charge.at) else {
            return Claim::Unallocated { reason: self.names.intern("no rules in force") };
        };
        for index in first..first + count {
            let Some(rule) = self.rules.get(index).map(Arc::clone) else { break };
            if !fits(index) {
                continue;
            }
            match &rule.action {
                Action::Direct(sources) => {
                    if let Some((owners, basis)) = self.find_owners(charge, sources) {
                        self.count_direct(charge, owners);
                        return Claim::Direct { owners, basis };
                    }
                }
                Action::Shared(_) => {
                    let pool = match pool_of(&rule) {
                        None => None,
                        Some(within) => match self.pool(charge, within) {
                            Some(pool) => Some(pool),
                            None => return Claim::Unallocated { reason: self.names.intern("nothing to share within") },
                        },
                    };
                    return Claim::Shared { rule: u32::try_from(index).unwrap_or(u32::MAX), pool };
                }
                Action::Idle => return Claim::Idle,
                Action::Unallocated => break,
            }
        }
        let reason = if charge.is_tagged() { "unowned" } else { "untagged" };
        Claim::Unallocated { reason: self.names.intern(reason) }
    }

    /// Second pass, after every charge was claimed: the parts of one charge, which sum to its amount.
    pub fn shares(&mut self, claim: Claim, charge: &Claimed<'_>, mut take: impl FnMut(Share<'_>)) {
        let whole = Share {
            owner: UNALLOCATED,
            tenant: charge.tenant,
            service: charge.service,
            amount: charge.amount,
            method: "unallocated",
            ratio: 1.0,
            basis: "",
            quantity: None,
        };
        match claim {
            Claim::Idle => take(Share { owner: IDLE, method: "idle", basis: "unused", ..whole }),
            Claim::Unallocated { reason } => take(Share { basis: self.names.text(reason), ..whole }),
            Claim::Direct { owners, basis } => {
                let owners = self.owners.get(owners as usize).map(Vec::as_slice).unwrap_or_default();
                let weights: Vec<u128> = owners.iter().map(|(_, weight)| *weight).collect();
                let total: u128 = weights.iter().sum();
                let parts = largest_remainder(charge.amount, &weights).unwrap_or_default();
                for ((owner, weight), amount) in owners.iter().zip(parts) {
                    let (owner, basis) = (self.names.text(*owner), self.names.text(basis));
                    let ratio = *weight as f64 / total as f64;
                    let method = if owner == UNALLOCATED { "unallocated" } else { "direct" };
                    take(Share { owner, amount, method, ratio, basis, ..whole });
                }
            }
            Claim::Shared { rule, pool } => {
                let targets = self.targets(rule, pool, charge.at);
                let Some(parts) = largest_remainder(charge.amount, &targets.weights) else {
                    take(Share { basis: &format!("no {} to share by", targets.basis), ..whole });
                    return;
                };
                let total: f64 = targets.weights.iter().map(|weight| *weight as f64).sum();
                for ((target, weight), amount) in targets.entries.iter().zip(&targets.weights).zip(parts) {
                    take(Share {
                        owner: &target.owner,
                        tenant: target.tenant.as_deref(),
                        service: target.service.as_deref(),
                        amount,
                        method: targets.method,
                        ratio: *weight as f64 / total,
                        basis: &targets.basis,
                        quantity: target.quantity,
                    });
                }
            }
        }
    }

    /// The rules in force at an instant: the index of the first of them and how many.
    fn in_force(&self, at: i64) -> Option<(usize, usize)> {
        let version = self.versions.partition_point(|(from, ..)| *from <= at).checked_sub(1)?;
        self.versions.get(version).map(|(_, first, count)| (*first, *count))
    }

    fn find_owners(&mut self, charge: &Charge<'_>, sources: &[OwnerSource]) -> Option<(u32, u32)> {
        sources.iter().find_map(|source| {
            let (owners, basis) = match source {
                OwnerSource::OwnedResource => {
                    (self.owned("resource", [charge.resource_id, charge.resource_name], charge.at)?, "owned:resource")
                }
                OwnerSource::OwnedAccount => (
                    self.owned("account", [charge.sub_account_id, charge.sub_account_name], charge.at)?,
                    "owned:account",
                ),
                OwnerSource::OwnedService => {
                    (self.owned("service", [service_of(charge.tags), None], charge.at)?, "owned:service")
                }
                OwnerSource::OwnedTag => (self.owned_tag(charge, None)?, "owned:tag"),
                OwnerSource::OwnedTagKey(key) => (self.owned_tag(charge, Some(key))?, "owned:tag"),
                OwnerSource::Tag(key) => {
                    let owners = self.named(charge.tag(key)?);
                    return Some((owners, self.names.intern(&format!("tag:{key}"))));
                }
                OwnerSource::Account => (self.named(charge.sub_account_name.or(charge.sub_account_id)?), "account"),
                OwnerSource::Team(name) => (self.named(name), "team"),
            };
            Some((owners, self.names.intern(basis)))
        })
    }

    fn owned(&mut self, kind: &str, entities: [Option<&str>; 2], at: i64) -> Option<u32> {
        let set = entities.into_iter().flatten().find_map(|entity| self.ownership.set_at(kind, entity, at))?;
        self.owned_set(set)
    }

    fn owned_tag(&mut self, charge: &Charge<'_>, only: Option<&str>) -> Option<u32> {
        if !self.ownership.has_kind("tag") {
            return None;
        }
        let mut tags: Vec<(&str, &str)> = charge.tags.to_vec();
        tags.sort_unstable();
        let wanted = tags.iter().filter(|(key, _)| only.is_none_or(|only| charge::same_key(key, only)));
        let set = wanted.into_iter().find_map(|(key, value)| {
            self.ownership.set_at("tag", &format!("{}={}", key.trim(), value.trim()), charge.at)
        })?;
        self.owned_set(set)
    }

    fn owned_set(&mut self, set: u32) -> Option<u32> {
        if let Some(known) = self.owner_ids.get(&OwnersKey::Owned(set)) {
            return Some(*known);
        }
        let owners =
            self.ownership.set(set)?.owners.iter().map(|(name, weight)| (self.names.intern(name), *weight)).collect();
        Some(self.remember(OwnersKey::Owned(set), owners))
    }

    fn named(&mut self, name: &str) -> u32 {
        let name = self.names.intern(name.trim());
        match self.owner_ids.get(&OwnersKey::Named(name)) {
            Some(known) => *known,
            None => self.remember(OwnersKey::Named(name), vec![(name, 1)]),
        }
    }

    fn remember(&mut self, key: OwnersKey, owners: Vec<(u32, u128)>) -> u32 {
        let id = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        self.owners.push(owners);
        self.owner_ids.insert(key, id);
        id
    }

    /// The pool that a charge belongs to: amounts of one currency with the same value of the limiting field.
    fn pool(&mut self, charge: &Charge<'_>, within: Option<&Field>) -> Option<u32> {
        let field = self.pool_fields.iter().position(|known| known.as_ref() == within)?;
        let currency = self.names.intern(charge.currency);
        let value = match within {
            None => u32::MAX,
            Some(within) => self.names.intern(charge.field(within)?),
        };
        let next = u32::try_from(self.pools.len()).unwrap_or(u32::MAX);
        let pool = *self.pool_ids.entry((field, currency, value)).or_insert(next);
        if pool == next {
            self.pools.push(HashMap::new());
        }
        Some(pool)
    }

    fn count_direct(&mut self, charge: &Charge<'_>, owners: u32) {
        for field in 0..self.pool_fields.len() {
            let Some(within) = self.pool_fields.get(field).cloned() else { continue };
            let Some(pool) = self.pool(charge, within.as_ref()) else { continue };
            let Some(owners) = self.owners.get(owners as usize) else { continue };
            let Some(totals) = self.pools.get_mut(pool as usize) else { continue };
            if let [(owner, _)] = owners.as_slice() {
                let total = totals.entry(*owner).or_default();
                *total = total.saturating_add(charge.amount);
                continue;
            }
            let weights: Vec<u128> = owners.iter().map(|(_, weight)| *weight).collect();
            let parts = largest_remainder(charge.amount, &weights).unwrap_or_default();
            for ((owner, _), part) in owners.iter().zip(parts) {
                let total = totals.entry(*owner).or_default();
                *total = total.saturating_add(part);
            }
        }
    }

    fn targets(&mut self, rule: u32, pool: Option<u32>, at: i64) -> Arc<Targets> {
        let found = self.rules.get(rule as usize).map(Arc::clone);
        let split = found.as_ref().and_then(|rule| match &rule.action {
            Action::Shared(split) => Some(split),
            _ => None,
        });
        // Only who owns a consumer depends on the time of the charge.
        let at = if matches!(split, Some(Split::Measured { .. })) { at } else { 0 };
        if let Some(known) = self.targets.get(&(rule, pool, at)) {
            return Arc::clone(known);
        }
        let targets = Arc::new(match split {
            Some(Split::Measured { measure, basis, by }) => {
                self.measured_targets(rule as usize, *measure, basis, *by, at)
            }
            Some(Split::Fixed(weights)) => {
                let entries = weights.iter().map(|(owner, weight)| (owner.as_str().into(), *weight, None));
                Targets::of_owners("fixed", "weights", entries)
            }
            Some(Split::Even { owners, .. }) if !owners.is_empty() => {
                Targets::of_owners("even", "owners", owners.iter().map(|owner| (owner.as_str().into(), 1, None)))
            }
            Some(Split::Even { .. }) => {
                let direct = self.direct_costs(pool);
                Targets::of_owners("even", "direct cost", direct.map(|(owner, cost)| (owner, 1, Some(money(cost)))))
            }
            Some(Split::Direct { .. }) | None => {
                let direct = self.direct_costs(pool);
                let weighted = direct.map(|(owner, cost)| (owner, cost.unsigned_abs(), Some(money(cost))));
                Targets::of_owners("proportional", "direct cost", weighted)
            }
        });
        if self.targets.len() >= MAX_CACHED_TARGETS {
            self.targets.clear();
        }
        self.targets.insert((rule, pool, at), Arc::clone(&targets));
        targets
    }

    /// Positive direct cost by owner. An owner whose credits outweigh the charges takes no part in what is shared,
    /// and neither does what of a charge was nobody's.
    fn direct_costs(&self, pool: Option<u32>) -> impl Iterator<Item = (Arc<str>, i128)> + '_ {
        let totals = pool.and_then(|pool| self.pools.get(pool as usize));
        let pays = |(owner, cost): &(&u32, &i128)| **cost > 0 && self.names.text(**owner) != UNALLOCATED;
        totals.into_iter().flatten().filter(pays).map(|(owner, cost)| (self.names.name(*owner), *cost))
    }

    fn measured_targets(&self, rule: usize, measure: Measure, basis: &str, by: Consumer, at: i64) -> Targets {
        let consumptions = self.measured.get(&rule).map(Vec::as_slice).unwrap_or_default();
        let quantities: Vec<f64> = consumptions.iter().map(|consumption| consumption.quantity).collect();
        let (method, basis, weights) = match measure {
            Measure::Usage => ("usage", format!("usage of {basis}"), quantity_weights(&quantities)),
            Measure::Demand => ("demand", format!("traced demand of {basis}"), quantity_weights(&quantities)),
            Measure::Peak => ("peak", format!("peak of {basis}"), quantity_weights(&airport_shapley(&quantities))),
        };
        type Key<'k> = (Arc<str>, Option<&'k str>);
        let mut merged: BTreeMap<Key<'_>, (u128, f64)> = BTreeMap::new();
        for (consumption, weight) in consumptions.iter().zip(weights).filter(|(_, weight)| *weight > 0) {
            let consumer = consumption.consumer.as_deref();
            let kind = if by == Consumer::Service { "service" } else { "tenant" };
            let owners = consumer.and_then(|consumer| self.ownership.owners_at(kind, consumer, at));
            let nobody = [(UNALLOCATED.to_owned(), 1)];
            let owners = owners.map_or(nobody.as_slice(), |set| set.owners.as_slice());
            // Brings the consumers to one scale: the weights of different owner sets have different totals.
            let total: u128 = owners.iter().map(|(_, weight)| *weight).sum();
            let scaled: Vec<u128> = owners.iter().map(|(_, weight)| *weight).collect();
            let full = i128::try_from(weight << 40).unwrap_or(i128::MAX);
            let parts = largest_remainder(full, &scaled).unwrap_or_default();
            for ((owner, weight), part) in owners.iter().zip(parts) {
                let entry = merged.entry((owner.as_str().into(), consumer)).or_default();
                entry.0 += part.unsigned_abs();
                entry.1 += consumption.quantity * (*weight as f64 / total as f64);
            }
        }
        let mut targets = Targets { method, basis, entries: Vec::new(), weights: Vec::new() };
        for ((owner, consumer), (weight, quantity)) in merged {
            let consumer: Option<Arc<str>> = consumer.map(Into::into);
            let (tenant, service) = if by == Consumer::Service { (None, consumer) } else { (consumer, None) };
            targets.entries.push(Target { owner, tenant, service, quantity: Some(quantity) });
            targets.weights.push(weight);
        }
        targets
    }
}

impl Targets {
    fn of_owners(
        method: &'static str,
        basis: &str,
        entries: impl Iterator<Item = (Arc<str>, u128, Option<f64>)>,
    ) -> Self {
        let mut sorted: Vec<_> = entries.filter(|(_, weight, _)| *weight > 0).collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let weights = sorted.iter().map(|(_, weight, _)| *weight).collect();
        let target = |(owner, _, quantity)| Target { owner, tenant: None, service: None, quantity };
        Self { method, basis: basis.to_owned(), entries: sorted.into_iter().map(target).collect(), weights }
    }
}

/// The pool of a rule that is split by direct cost: what limits it.
fn pool_of(rule: &Rule) -> Option<Option<&Field>> {
    match &rule.action {
        Action::Shared(Split::Direct { within }) => Some(within.as_ref()),
        Action::Shared(Split::Even { owners, within }) if owners.is_empty() => Some(within.as_ref()),
        _ => None,
    }
}

fn money(units: i128) -> f64 {
    units as f64 / 1e12
}
