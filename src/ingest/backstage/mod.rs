//! Backstage catalog files (`catalog-info.yaml`, several documents; or the catalog API's JSON). Lands in `ownership`.
//!
//! Entities with an owner become one row each: Component → `service`, Resource → `resource` (`dataset` or `feature` by
//! its type), API → `api`, System → `system`, Domain → `domain`. An entity without `spec.owner` has the owner of its
//! system if that is in the same file. A `github.com/project-slug` (or gitlab.com, bitbucket.org) adds a row for the
//! repository; where components of different owners share one, its weights are their shares. Groups and users give
//! their page to what they own.
//!
//! `valid_from` and `valid_to` come from annotations of these names (`acme.io/valid-from`), else ownership begins with
//! the import. The rows say what holds from then on; ending what held before is the importer's, which sees the lake.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::json::text;
use super::json_records::Reason;
use super::{Input, Output, Source, times, yaml};
use crate::error::Result;
use crate::model::ownership::OwnershipRow;

/// The whole of an entity, in the smallest units of a weight.
const WHOLE: i128 = 1_000_000_000_000;

/// The source `backstage`.
#[derive(Debug)]
pub struct Backstage;

impl Source for Backstage {
    fn name(&self) -> &'static str {
        "backstage"
    }

    fn doc(&self) -> &'static str {
        "Backstage catalog files (catalog-info.yaml) into ownership"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let documents = yaml::documents(input.reader, output)?;
        let catalog = Catalog::of(&documents, input.now);
        let mut repositories: Vec<Repository<'_>> = Vec::new();
        for document in &documents {
            match catalog.row(document) {
                Ok(Some(row)) => {
                    if let Some(slug) = project_slug(document) {
                        add_repository(&mut repositories, slug, &row);
                    }
                    output.ownership.push(&row);
                }
                Ok(None) => {}
                Err(reason) => output.reject(&reason, &document.to_string()),
            }
        }
        for repository in &repositories {
            repository.rows().iter().for_each(|row| output.ownership.push(row));
        }
        output.checkpoint()
    }
}

/// What documents of one file say about each other.
struct Catalog<'v> {
    systems: BTreeMap<&'v str, &'v str>,
    pages: BTreeMap<Cow<'v, str>, Cow<'v, str>>,
    now: i64,
}

fn name(document: &Value) -> Option<&str> {
    text(document, &["metadata", "name"])
}

impl<'v> Catalog<'v> {
    fn of(documents: &'v [Value], now: i64) -> Self {
        let mut catalog = Self { systems: BTreeMap::new(), pages: BTreeMap::new(), now };
        for document in documents {
            let Some(name) = name(document) else { continue };
            match text(document, &["kind"]) {
                Some("System") => {
                    catalog.systems.extend(text(document, &["spec", "owner"]).map(|owner| (name, owner)));
                }
                Some("Group" | "User") => {
                    let place = text(document, &["metadata", "namespace"]).filter(|place| *place != "default");
                    let reference = place.map_or(Cow::Borrowed(name), |place| Cow::Owned(format!("{place}/{name}")));
                    catalog.pages.extend(page(document).map(|page| (reference, page)));
                }
                _ => {}
            }
        }
        catalog
    }

    /// The row of an entity; none for those that own and are not owned.
    fn row(&self, document: &'v Value) -> Result<Option<OwnershipRow<'v>>, Reason> {
        let kind = text(document, &["kind"]).ok_or("kind is missing")?;
        let kind_of_type = text(document, &["spec", "type"]).unwrap_or_default();
        let entity_kind = match (kind, kind_of_type) {
            ("Group" | "User", _) => return Ok(None),
            ("Component", _) => "service",
            ("Resource", "dataset" | "table") => "dataset",
            ("Resource", "feature" | "feature-flag") => "feature",
            ("Resource", _) => "resource",
            ("API", _) => "api",
            ("System", _) => "system",
            ("Domain", _) => "domain",
            _ => return Err("kind of entity not used".into()),
        };
        let entity = name(document).ok_or("metadata.name is missing")?;
        let system = text(document, &["spec", "system"]).map(short_reference);
        let of_system = || self.systems.get(system.as_deref()?).copied();
        let owner = text(document, &["spec", "owner"]).or_else(of_system).ok_or("spec.owner is missing")?;
        let owner = short_reference(owner);
        let since = instant(document, "valid-from")?;
        let until = instant(document, "valid-to")?;
        if until.is_some_and(|until| until <= since.unwrap_or(self.now)) {
            return Err("valid-to is not after valid-from".into());
        }
        Ok(Some(OwnershipRow {
            entity_kind: Some(entity_kind.into()),
            entity: Some(Cow::Borrowed(entity)),
            on_call: page(document).or_else(|| self.pages.get(&owner).cloned()),
            owner: Some(owner),
            role: Some("primary".into()),
            weight: Some(WHOLE),
            valid_from: Some(since.unwrap_or(self.now)),
            valid_to: until,
            cost_center: yaml::annotation(document, &["cost-center", "cost-centre", "costcenter"]).map(Cow::Borrowed),
            system,
            tier: text(document, &["spec", "tier"])
                .or_else(|| yaml::annotation(document, &["tier", "service-tier", "criticality"]))
                .map(Cow::Borrowed),
            ..OwnershipRow::default()
        }))
    }
}

fn instant(document: &Value, annotation: &str) -> Result<Option<i64>, Reason> {
    let Some(written) = yaml::annotation(document, &[annotation]) else { return Ok(None) };
    times::parse(written).map(Some).ok_or_else(|| Cow::Owned(format!("{annotation} is not an instant")))
}

/// `[kind:][namespace/]name` without its kind and the namespace `default`.
fn short_reference(reference: &str) -> Cow<'_, str> {
    let reference = reference.trim();
    let without_kind = reference.split_once(':').map_or(reference, |(_, rest)| rest);
    Cow::Borrowed(without_kind.strip_prefix("default/").unwrap_or(without_kind))
}

/// Where to page somebody about an entity.
fn page(document: &Value) -> Option<Cow<'_, str>> {
    let annotations = [
        ("pagerduty.com/service-id", "pagerduty:"),
        ("pagerduty.com/integration-key", "pagerduty:"),
        ("opsgenie.com/team", "opsgenie:"),
        ("opsgenie.com/component-selector", "opsgenie:"),
        ("splunk.com/on-call-team", "splunk:"),
    ];
    let known = annotations.iter().find_map(|(name, tool)| {
        text(document, &["metadata", "annotations", name]).map(|id| Cow::Owned(format!("{tool}{}", id.trim())))
    });
    known.or_else(|| yaml::annotation(document, &["on-call", "oncall"]).map(Cow::Borrowed))
}

fn project_slug(document: &Value) -> Option<&str> {
    let names = ["github.com/project-slug", "gitlab.com/project-slug", "bitbucket.org/project-slug"];
    names.iter().find_map(|name| text(document, &["metadata", "annotations", name])).map(str::trim)
}

/// A repository, and the rows of what is built from it.
struct Repository<'v> {
    slug: &'v str,
    owners: Vec<(OwnershipRow<'v>, i128)>,
}

fn add_repository<'v>(repositories: &mut Vec<Repository<'v>>, slug: &'v str, row: &OwnershipRow<'v>) {
    let at = repositories.iter().position(|repository| repository.slug == slug).unwrap_or_else(|| {
        repositories.push(Repository { slug, owners: Vec::new() });
        repositories.len() - 1
    });
    let Some(repository) = repositories.get_mut(at) else { return };
    match repository.owners.iter_mut().find(|(known, _)| known.owner == row.owner) {
        Some((known, count)) => {
            known.valid_from = known.valid_from.min(row.valid_from);
            *count += 1;
        }
        None => repository.owners.push((row.clone(), 1)),
    }
}

impl<'v> Repository<'v> {
    /// Weights in proportion to the entities of each owner; what does not divide goes to the owner of most.
    fn rows(&self) -> Vec<OwnershipRow<'v>> {
        let all: i128 = self.owners.iter().map(|(_, count)| count).sum();
        let most = self.owners.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let first = self.owners.iter().position(|(_, count)| *count == most);
        let share = |count: i128| WHOLE.checked_mul(count).and_then(|part| part.checked_div(all)).unwrap_or_default();
        let rest = WHOLE - self.owners.iter().map(|(_, count)| share(*count)).sum::<i128>();
        let rows = self.owners.iter().enumerate().map(|(at, (row, count))| OwnershipRow {
            entity_kind: Some("repository".into()),
            entity: Some(Cow::Borrowed(self.slug)),
            role: Some(if Some(at) == first { "primary" } else { "secondary" }.into()),
            weight: Some(share(*count) + if Some(at) == first { rest } else { 0 }),
            tier: None,
            ..row.clone()
        });
        rows.collect()
    }
}
