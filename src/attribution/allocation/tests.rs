use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::attribution::owners::{OwnershipRecord, WEIGHT_ONE};

#[derive(Debug, PartialEq)]
struct Part {
    owner: String,
    tenant: Option<String>,
    service: Option<String>,
    amount: i128,
    method: &'static str,
    basis: String,
}

fn rule(action: &str) -> RuleRecord {
    RuleRecord { action: Some(action.into()), ..RuleRecord::default() }
}

fn shared(split: &str) -> RuleRecord {
    RuleRecord { split: Some(split.into()), ..rule("shared") }
}

/// Rule 0 takes what has a tag `team`, rule 1 what is left.
fn direct_then(second: RuleRecord) -> Vec<RuleRecord> {
    vec![
        RuleRecord { owner_by: Some("tag:team,owned:service".into()), ..rule("direct") },
        RuleRecord { seq: 1, ..second },
    ]
}

fn allocate(
    records: &[RuleRecord],
    ownership: OwnershipIndex,
    measured: Vec<Consumption>,
    charges: &[Charge<'_>],
) -> Vec<Vec<Part>> {
    let versions = versions(records).unwrap();
    let mut allocator = Allocator::new(versions, Arc::new(ownership), HashMap::from([(1, measured)]));
    let claims: Vec<Claim> = charges.iter().map(|charge| allocator.claim(charge, &|_| true)).collect();
    let mut all = Vec::new();
    for (claim, charge) in claims.into_iter().zip(charges) {
        let mut parts = Vec::new();
        let mut ratio = 0.0;
        allocator.shares(claim, &charge.claimed(), |share| {
            ratio += share.ratio;
            parts.push(Part {
                owner: share.owner.into(),
                tenant: share.tenant.map(Into::into),
                service: share.service.map(Into::into),
                amount: share.amount,
                method: share.method,
                basis: share.basis.into(),
            });
        });
        assert!((ratio - 1.0).abs() < 1e-9, "{parts:?}");
        all.push(parts);
    }
    all
}

fn charge<'a>(amount: i128, currency: &'a str, tags: &'a [(&'a str, &'a str)]) -> Charge<'a> {
    Charge { amount, currency, tags, ..Charge::default() }
}

fn brief(parts: &[Part]) -> Vec<(&str, i128, &str)> {
    parts.iter().map(|part| (part.owner.as_str(), part.amount, part.method)).collect()
}

const RED: [(&str, &str); 1] = [("team", "red")];
const BLUE: [(&str, &str); 1] = [("team", "blue")];

#[test]
fn shared_cost_follows_direct_cost_of_its_own_currency() {
    let charges = [
        charge(300, "USD", &RED),
        charge(100, "USD", &BLUE),
        charge(700, "EUR", &BLUE),
        charge(10, "USD", &[]),
        charge(-10, "USD", &[]),
        charge(9, "EUR", &[]),
        charge(5, "JPY", &[]),
    ];
    let parts = allocate(&direct_then(shared("direct")), OwnershipIndex::default(), vec![], &charges);
    assert_eq!(brief(&parts[0]), vec![("red", 300, "direct")]);
    // 2.5 and 7.5: a tie, and blue is the lower key.
    assert_eq!(brief(&parts[3]), vec![("blue", 3, "proportional"), ("red", 7, "proportional")]);
    assert_eq!(brief(&parts[4]), vec![("blue", -3, "proportional"), ("red", -7, "proportional")]);
    assert_eq!(brief(&parts[5]), vec![("blue", 9, "proportional")]);
    assert_eq!(brief(&parts[6]), vec![(UNALLOCATED, 5, "unallocated")]);
    assert_eq!(parts[6][0].basis, "no direct cost to share by");
}

#[test]
fn an_owner_with_more_credit_than_cost_takes_no_part() {
    let charges = [charge(-50, "USD", &RED), charge(100, "USD", &BLUE), charge(10, "USD", &[])];
    let parts = allocate(&direct_then(shared("direct")), OwnershipIndex::default(), vec![], &charges);
    assert_eq!(brief(&parts[2]), vec![("blue", 10, "proportional")]);
}

#[test]
fn even_and_fixed_splits_over_named_owners() {
    let even = RuleRecord { weights: Some("b,a,c".into()), ..shared("even") };
    let parts = allocate(&direct_then(even), OwnershipIndex::default(), vec![], &[charge(-100, "USD", &[])]);
    assert_eq!(brief(&parts[0]), vec![("a", -34, "even"), ("b", -33, "even"), ("c", -33, "even")]);
    let fixed = RuleRecord { weights: Some("b=0.6,a=0.4".into()), ..shared("fixed") };
    let parts = allocate(&direct_then(fixed), OwnershipIndex::default(), vec![], &[charge(101, "USD", &[])]);
    assert_eq!(brief(&parts[0]), vec![("a", 40, "fixed"), ("b", 61, "fixed")]);
}

#[test]
fn a_pool_is_limited_to_the_same_account() {
    let within = RuleRecord { within: Some("sub_account_id".into()), ..shared("direct") };
    let in_account = |account, charge| Charge { sub_account_id: Some(account), ..charge };
    let charges = [
        in_account("1", charge(1, "USD", &RED)),
        in_account("2", charge(1000, "USD", &BLUE)),
        in_account("1", charge(8, "USD", &[])),
        charge(3, "USD", &[]),
    ];
    let parts = allocate(&direct_then(within), OwnershipIndex::default(), vec![], &charges);
    assert_eq!(brief(&parts[2]), vec![("red", 8, "proportional")]);
    assert_eq!(parts[3][0].basis, "nothing to share within");
}

#[test]
fn owners_are_those_at_the_time_of_the_charge_and_split_it_exactly() {
    let half = Some((WEIGHT_ONE / 2) as i128);
    let owned = |owner, weight, valid_from, valid_to| OwnershipRecord {
        entity_kind: "service",
        entity: "cart",
        owner,
        role: "primary",
        weight,
        valid_from,
        valid_to,
    };
    let ownership = OwnershipIndex::new([
        owned("red", None, None, Some(100)),
        owned("red", half, Some(100), None),
        owned("blue", half, Some(100), None),
    ]);
    let tags = [("service", "cart")];
    let at = |at, amount| Charge { at, ..charge(amount, "USD", &tags) };
    let parts = allocate(&direct_then(rule("unallocated")), ownership, vec![], &[at(99, 5), at(100, 5), at(100, -5)]);
    assert_eq!(brief(&parts[0]), vec![("red", 5, "direct")]);
    assert_eq!(brief(&parts[1]), vec![("blue", 3, "direct"), ("red", 2, "direct")]);
    assert_eq!(brief(&parts[2]), vec![("blue", -3, "direct"), ("red", -2, "direct")]);
    assert_eq!((parts[0][0].service.as_deref(), parts[0][0].basis.as_str()), (Some("cart"), "owned:service"));
}

fn measured(quantities: &[(Option<&str>, f64)]) -> Vec<Consumption> {
    quantities
        .iter()
        .map(|(consumer, quantity)| Consumption { consumer: consumer.map(str::to_owned), quantity: *quantity })
        .collect()
}

#[test]
fn usage_names_the_consumer_and_what_names_nobody_stays_visible() {
    let usage = RuleRecord { basis: Some("bytes".into()), split_by: Some("tenant".into()), ..shared("usage") };
    let consumed = measured(&[(Some("t1"), 3.0), (None, 1.0), (Some("t2"), 0.0)]);
    let parts = allocate(&direct_then(usage), OwnershipIndex::default(), consumed, &[charge(100, "USD", &[])]);
    let found: Vec<_> = parts[0].iter().map(|part| (part.tenant.as_deref(), part.amount)).collect();
    assert_eq!(found, vec![(None, 25), (Some("t1"), 75)]);
    assert!(parts[0].iter().all(|part| part.owner == UNALLOCATED && part.method == "usage"));
}

#[test]
fn the_peak_of_three_services_is_paid_as_in_the_airport_game() {
    let peak = RuleRecord { basis: Some("cores".into()), ..shared("peak") };
    let consumed = measured(&[(Some("a"), 12.0), (Some("b"), 6.0), (Some("c"), 9.0)]);
    let parts = allocate(&direct_then(peak), OwnershipIndex::default(), consumed, &[charge(1200, "USD", &[])]);
    let found: Vec<_> = parts[0].iter().map(|part| (part.service.as_deref().unwrap(), part.amount)).collect();
    assert_eq!(found, vec![("a", 650), ("b", 200), ("c", 350)]);
}

#[test]
fn nothing_measured_allocates_nothing() {
    let demand = RuleRecord { basis: Some("db".into()), ..shared("demand") };
    let parts = allocate(&direct_then(demand), OwnershipIndex::default(), vec![], &[charge(7, "USD", &[])]);
    assert_eq!(brief(&parts[0]), vec![(UNALLOCATED, 7, "unallocated")]);
    assert_eq!(parts[0][0].basis, "no traced demand of db to share by");
}

#[test]
fn a_version_decides_the_charges_from_its_beginning_on() {
    let idle = RuleRecord { valid_from: Some(10), ..rule("idle") };
    let nobody = RuleRecord { valid_from: Some(20), ..rule("unallocated") };
    let at = |at| Charge { at, ..charge(1, "USD", &[]) };
    let parts = allocate(&[nobody, idle], OwnershipIndex::default(), vec![], &[at(9), at(10), at(19), at(20)]);
    let found: Vec<_> = parts.iter().map(|parts| (parts[0].owner.as_str(), parts[0].basis.as_str())).collect();
    assert_eq!(
        found,
        vec![(UNALLOCATED, "no rules in force"), (IDLE, "unused"), (IDLE, "unused"), (UNALLOCATED, "untagged")]
    );
}

#[test]
fn the_built_in_rules_show_what_is_untagged_and_what_is_unowned() {
    let tagged = [("environment", "dev")];
    let unit = [("Business-Unit", "sales")];
    let charges = [charge(1, "USD", &[]), charge(2, "USD", &tagged), charge(3, "USD", &unit)];
    let versions = versions(&default_rules()).unwrap();
    let mut allocator = Allocator::new(versions, Arc::default(), HashMap::new());
    let unconditional: Vec<bool> = allocator.rules().iter().map(|rule| rule.condition.is_none()).collect();
    let claims: Vec<Claim> =
        charges.iter().map(|charge| allocator.claim(charge, &|rule| unconditional[rule])).collect();
    let mut found = Vec::new();
    for (claim, charge) in claims.into_iter().zip(&charges) {
        allocator
            .shares(claim, &charge.claimed(), |share| found.push((share.owner.to_owned(), share.basis.to_owned())));
    }
    let expected = [(UNALLOCATED, "untagged"), (UNALLOCATED, "unowned"), ("sales", "tag:business_unit")];
    assert_eq!(found, expected.map(|(owner, basis)| (owner.to_owned(), basis.to_owned())));
}

fn any_rule() -> impl Strategy<Value = RuleRecord> {
    prop_oneof![
        Just(rule("unallocated")),
        Just(rule("idle")),
        Just(shared("even")),
        Just(shared("direct")),
        Just(RuleRecord { within: Some("region_id".into()), ..shared("direct") }),
        Just(RuleRecord { weights: Some("x=1,y=0.333,z=7".into()), ..shared("fixed") }),
        Just(RuleRecord { basis: Some("m".into()), ..shared("usage") }),
        Just(RuleRecord { basis: Some("m".into()), split_by: Some("tenant".into()), ..shared("peak") }),
    ]
}

proptest! {
    #[test]
    fn whatever_the_rules_the_parts_of_every_charge_sum_to_it(
        second in any_rule(),
        rows in prop::collection::vec(
            (-10i128.pow(22)..10i128.pow(22), 0usize..2, 0usize..5, 0usize..3, 0i64..20), 1..30),
        quantities in prop::collection::vec(prop_oneof![0.0f64..1e9, Just(f64::NAN), Just(-1.0)], 0..5),
        weights in prop::collection::vec(0i128..2 * WEIGHT_ONE as i128, 1..4),
    ) {
        let owners = ["o1", "o2", "o3"];
        let services = ["s0", "s1", "s2", "s3", "s4"];
        let ownership = OwnershipIndex::new(weights.iter().enumerate().flat_map(|(at, weight)| {
            services.iter().take(3).map(move |entity| OwnershipRecord {
                entity_kind: "service", entity, owner: owners[at], role: "", weight: Some(*weight),
                valid_from: Some(at as i64 * 5), valid_to: None,
            })
        }));
        let consumed: Vec<Consumption> = quantities.iter().enumerate()
            .map(|(at, quantity)| Consumption { consumer: services.get(at).map(|s| (*s).to_owned()), quantity: *quantity })
            .collect();
        let tags = [vec![], vec![("team", "red")], vec![("team", "blue")], vec![("service", "s1")], vec![("service", "s4")]];
        let charges: Vec<Charge<'_>> = rows.iter().map(|(amount, currency, tag, region, at)| Charge {
            at: *at, amount: *amount, currency: ["USD", "EUR"][*currency], tags: &tags[*tag],
            region_id: [None, Some("r1"), Some("r2")][*region], ..Charge::default()
        }).collect();
        let all = allocate(&direct_then(second), ownership, consumed, &charges);
        let mut direct_by_currency: BTreeMap<&str, bool> = BTreeMap::new();
        for (parts, charge) in all.iter().zip(&charges) {
            prop_assert!(!parts.is_empty());
            prop_assert_eq!(parts.iter().map(|part| part.amount).sum::<i128>(), charge.amount);
            // A part never has the other sign, nor is larger than the charge.
            prop_assert!(parts.iter().all(|part| part.amount.signum() * charge.amount.signum() >= 0));
            let mut keys: Vec<_> = parts.iter().map(|part| (&part.owner, &part.tenant, &part.service)).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count, "one part a key");
            *direct_by_currency.entry(charge.currency).or_default() |= parts.iter().any(|part| part.method == "direct");
        }
        for (parts, charge) in all.iter().zip(&charges) {
            if parts.iter().any(|part| part.method == "proportional") {
                prop_assert!(direct_by_currency[charge.currency], "shared by the cost of another currency");
            }
        }
    }
}
