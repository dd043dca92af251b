use proptest::prelude::*;

use super::Backstage;
use crate::ingest::testing::decode;

const TABLE: &str = "ownership";

const CATALOG: &str = "
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: checkout
  annotations:
    github.com/project-slug: acme/shop
    pagerduty.com/service-id: P42
    acme.io/valid-from: 2024-08-01T09:00:00Z
    acme.io/valid-to: 2024-09-01
  labels: {acme.io/tier: gold, cost-center: CC-7}
spec: {type: service, owner: group:default/team-a, system: shop}
---
kind: Component
metadata: {name: cart, annotations: {github.com/project-slug: acme/shop}}
spec: {owner: user:jane, tier: '2'}
---
kind: Component
metadata: {name: basket, annotations: {github.com/project-slug: acme/shop}}
spec: {owner: platform/team-b}
---
kind: System
metadata: {name: shop}
spec: {owner: team-c}
---
kind: Resource
metadata: {name: orders-db}
spec: {type: database, system: system:default/shop}
---
kind: Group
metadata: {name: team-b, namespace: platform, annotations: {opsgenie.com/team: B}}
";

#[test]
fn entities_and_their_repository_are_owned() {
    let decoded = decode(&Backstage, CATALOG.as_bytes());
    assert_eq!(decoded.reasons(), []);
    assert_eq!(
        decoded.column(TABLE, "entity_kind"),
        ["service", "service", "service", "system", "resource", "repository", "repository", "repository",]
    );
    assert_eq!(
        decoded.column(TABLE, "entity"),
        ["checkout", "cart", "basket", "shop", "orders-db", "acme/shop", "acme/shop", "acme/shop",]
    );
    assert_eq!(
        decoded.column(TABLE, "owner"),
        ["team-a", "jane", "platform/team-b", "team-c", "team-c", "team-a", "jane", "platform/team-b",]
    );
    assert_eq!(decoded.column(TABLE, "weight")[5..], ["0.333333333334", "0.333333333333", "0.333333333333"]);
    assert_eq!(decoded.column(TABLE, "role")[5..], ["primary", "secondary", "secondary"]);
    let row = |column: &str| decoded.column(TABLE, column)[..3].to_vec();
    assert_eq!(row("on_call"), ["pagerduty:P42", "", "opsgenie:B"]);
    assert_eq!(row("tier"), ["gold", "2", ""]);
    assert_eq!(row("cost_center"), ["CC-7", "", ""]);
    assert_eq!(row("system"), ["shop", "", ""]);
    assert_eq!(row("valid_from"), ["2024-08-01T09:00:00Z", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"]);
    assert_eq!(row("valid_to"), ["2024-09-01T00:00:00Z", "", ""]);
    assert_eq!(decoded.cell(TABLE, "system", 4), "shop");
}

#[test]
fn what_cannot_be_owned_is_counted_and_the_rest_lands() {
    let text = concat!(
        "kind: Component\nmetadata: {name: a}\nspec: {owner: x}\n---\nkind: [\n---\n",
        "kind: Component\nmetadata: {name: b}\n---\nkind: Component\nspec: {owner: x}\n---\nmetadata: {name: c}\n---\n",
        "kind: Template\nmetadata: {name: d}\n---\njust text\n---\n",
        "kind: API\nmetadata: {name: e, annotations: {x/valid-from: soon}}\nspec: {owner: x}\n---\n",
        "kind: API\nmetadata: {name: f, annotations: {x/valid-to: 2020-01-01}}\nspec: {owner: x}\n---\n",
        "- {kind: Domain, metadata: {name: g}, spec: {owner: y}}\n",
    );
    let decoded = decode(&Backstage, text.as_bytes());
    assert_eq!(decoded.column(TABLE, "entity"), ["a", "g"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("kind is missing", 2),
            ("kind of entity not used", 1),
            ("metadata.name is missing", 1),
            ("not valid YAML", 1),
            ("spec.owner is missing", 1),
            ("valid-from is not an instant", 1),
            ("valid-to is not after valid-from", 1),
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[ -~\\n]{0,200}") {
        prop_assert_eq!(decode(&Backstage, text.as_bytes()).rows(TABLE), 0);
    }
}

#[test]
fn brackets_without_end_are_rejected_before_they_are_parsed() {
    let deep = format!("{}\n---\n{}", "{\"a\":".repeat(100_000), "[".repeat(100_000));
    let decoded = decode(&Backstage, deep.as_bytes());
    assert_eq!(decoded.reasons(), [("nested too deeply", 2)]);
}
