use proptest::prelude::*;

use super::OpenSlo;
use crate::ingest::testing::{decode, fixture};

const TABLE: &str = "slos";

#[test]
fn real_documents_land() {
    let decoded = decode(&OpenSlo, &fixture("openslo/timeslices-slo.yaml"));
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.column(TABLE, "slo"), ["service-availability/Internal objective", "service-availability/SLA"]);
    assert_eq!(decoded.column(TABLE, "target"), ["0.995", "0.99"]);
    assert_eq!(decoded.column(TABLE, "service_name"), ["web-availability"; 2]);
    assert_eq!(decoded.column(TABLE, "indicator"), ["web-availability"; 2]);
    assert_eq!(decoded.column(TABLE, "window"), ["1m"; 2]);
    assert_eq!(decoded.column(TABLE, "budgeting_method"), ["Timeslices"; 2]);

    let decoded = decode(&OpenSlo, &fixture("openslo/occurences-slo.yaml"));
    assert_eq!(decoded.column(TABLE, "slo"), ["search-slo"]);
    assert_eq!(decoded.column(TABLE, "good_filter"), ["Any < 500"]);
    assert_eq!(decoded.column(TABLE, "total_filter"), ["Any"]);
}

#[test]
fn references_and_the_old_version_are_understood() {
    let text = "
apiVersion: openslo/v1
kind: SLO
metadata: {name: a, labels: {env: [prod, dev]}}
spec:
  service: shop
  indicatorRef: ok
  timeWindow: [{duration: 28d}]
  objectives: [{targetPercent: 99.5}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: ok}
spec: {ratioMetric: {bad: {metricSource: {spec: {query: bad}}}, total: {metricSource: {spec: {a: b}}}}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, annotations: {acme.io/owner: team-a}}
---
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: b}
spec:
  timeWindows: [{unit: Day, count: 7}]
  objectives: [{target: 0.9, ratioMetrics: {good: {source: p, query: g}, total: {source: p, query: t}}}]
";
    let decoded = decode(&OpenSlo, text.as_bytes());
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.column(TABLE, "slo"), ["a", "b"]);
    assert_eq!(decoded.column(TABLE, "target"), ["0.995", "0.9"]);
    assert_eq!(decoded.column(TABLE, "window"), ["28d", "7d"]);
    assert_eq!(decoded.column(TABLE, "good_filter"), ["NOT (bad)", "g"]);
    assert_eq!(decoded.column(TABLE, "total_filter"), [r#"{"a":"b"}"#, "t"]);
    assert_eq!(decoded.column(TABLE, "owner"), ["team-a", ""]);
    assert_eq!(decoded.column(TABLE, "labels"), [r#"{env: ["prod","dev"]}"#, "{}"]);
}

#[test]
fn what_is_no_objective_is_counted_and_the_rest_lands() {
    let slo = |spec: &str| format!("apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: x}}\nspec: {spec}\n---\n");
    let text = [
        slo("{objectives: [{target: 99}]}"),
        slo("{objectives: []}"),
        slo("{objectives: [{op: lt}]}"),
        slo("{objectives: [{target: 0.5}]}"),
        "kind: SLO\n---\napiVersion: v1\nkind: Pod\n---\napiVersion: openslo/v1\nkind: Odd\n---\na: [\n".to_owned(),
    ]
    .concat();
    let decoded = decode(&OpenSlo, text.as_bytes());
    assert_eq!(decoded.column(TABLE, "target"), ["0.5"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("a target is not between 0 and 1", 1),
            ("an objective has no target", 1),
            ("apiVersion is missing", 1),
            ("kind of document not used", 1),
            ("not valid YAML", 1),
            ("spec.objectives is empty", 1),
            ("the document is not OpenSLO", 1),
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[ -~\\n]{0,200}") {
        prop_assert_eq!(decode(&OpenSlo, text.as_bytes()).rows(TABLE), 0);
    }
}
