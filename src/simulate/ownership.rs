//! Who owns what over time: services that change hands, one with two owners, accounts and tenants.

use std::path::Path;

use super::random::Random;
use super::story::SECOND;
use super::truth::iso;
use super::world::{TEAMS, World};
use crate::error::Result;

/// One interval of ownership.
#[derive(Debug, Clone)]
pub struct Owned {
    /// service or account.
    pub kind: &'static str,
    /// What is owned.
    pub entity: String,
    /// Index into [`TEAMS`].
    pub team: usize,
    /// Percent.
    pub weight: i128,
    /// From, nanoseconds.
    pub from: i64,
    /// Until.
    pub to: Option<i64>,
}

/// The ownership of everything.
#[derive(Debug)]
pub struct Ownership(pub Vec<Owned>);

/// Sub accounts of the bill: id, name and the team that owns what nobody else does, if there is one.
pub const ACCOUNTS: [(&str, &str, Option<usize>); 5] = [
    ("210987654321", "shop-prod", Some(5)),
    ("310987654322", "shop-data", Some(1)),
    ("410987654323", "shop-payments", Some(3)),
    ("510987654324", "shop-eu", Some(4)),
    ("710987654326", "shop-shared", None),
];

impl Ownership {
    /// Two services change hands within the month that begins at `month`, one has two owners.
    #[must_use]
    pub fn new(seed: u64, world: &World, month: i64) -> Self {
        let mut random = Random::new(seed, "ownership");
        let mut order: Vec<usize> = (0..world.services.len()).collect();
        random.shuffle(&mut order);
        let long_ago = month - 400 * 86_400 * SECOND;
        let mut owned = Vec::new();
        let mut push = |kind, entity: &str, team, weight, from, to| {
            owned.push(Owned { kind, entity: entity.to_owned(), team, weight, from, to });
        };
        for (at, service) in world.services.iter().enumerate() {
            let position = order.iter().position(|&o| o == at).unwrap_or(usize::MAX);
            let other = (service.team + 1 + random.below(TEAMS.len() - 1)) % TEAMS.len();
            if position < 2 {
                let handover = month + random.integer(5, 24) * 86_400 * SECOND;
                push("service", service.name, other, 100, long_ago, Some(handover));
                push("service", service.name, service.team, 100, handover, None);
            } else if position == 2 {
                push("service", service.name, service.team, 60, long_ago, None);
                push("service", service.name, other, 40, long_ago, None);
            } else {
                push("service", service.name, service.team, 100, long_ago, None);
            }
        }
        for (account, _, team) in ACCOUNTS {
            if let Some(team) = team {
                push("account", account, team, 100, long_ago, None);
            }
        }
        Self(owned)
    }

    /// Owners at this time, with their percent.
    #[must_use]
    pub fn of(&self, kind: &str, entity: &str, at: i64) -> Vec<(usize, i128)> {
        let covers = |owned: &&Owned| {
            owned.kind == kind && owned.entity == entity && owned.from <= at && owned.to.is_none_or(|to| at < to)
        };
        self.0.iter().filter(covers).map(|owned| (owned.team, owned.weight)).collect()
    }

    /// The history as rows of the table `ownership`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let mut out =
            String::from("entity_kind,entity,owner,role,weight,valid_from,valid_to,on_call,cost_center,system,tier\n");
        for owned in &self.0 {
            let owner = TEAMS[owned.team];
            let role = if owned.weight >= 50 { "primary" } else { "secondary" };
            let to = owned.to.map(iso).unwrap_or_default();
            out.push_str(
                &format!(
                    "{},{},{owner},{role},0.{:02},{},{to},{owner}-oncall,CC-{},shop,{}\n",
                    owned.kind,
                    owned.entity,
                    owned.weight,
                    iso(owned.from),
                    4100 + owned.team,
                    if owned.team == 5 { "2" } else { "1" },
                )
                .replace(",0.100,", ",1,"),
            );
        }
        std::fs::write(path, out)?;
        Ok(())
    }

    /// Today's owners as a Backstage catalog.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_backstage(&self, world: &World, path: &Path) -> Result<()> {
        let mut out = String::new();
        for team in TEAMS {
            out.push_str(&format!(
                "---\napiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: {team}\nspec:\n  type: team\n  children: []\n"
            ));
        }
        for service in &world.services {
            // A catalog has one owner a component: what two teams share is only in the history.
            if self.0.iter().any(|owned| owned.entity == service.name && owned.weight < 100) {
                continue;
            }
            let owner = TEAMS[service.team];
            let name = service.name;
            out.push_str(&format!(
                "---\napiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n  annotations:\n    github.com/project-slug: {}/{name}\n    pagerduty.com/service-id: {owner}-oncall\nspec:\n  type: service\n  lifecycle: production\n  owner: group:default/{owner}\n  system: shop\n",
                super::world::ORGANISATION
            ));
        }
        std::fs::write(path, out)?;
        Ok(())
    }
}
