use proptest::prelude::*;
use serde_json::{Value, json};

use super::ArgoCd;
use crate::ingest::testing::{decode, of_the_shape};

const TABLE: &str = "changes";

fn application() -> Value {
    let deployed = |id: u32, revision: &str, began: &str, at: &str| {
        json!({"id": id, "revision": revision, "deployStartedAt": began, "deployedAt": at,
            "source": {"repoURL": "https://github.com/acme/deploy", "targetRevision": "HEAD"}, "initiatedBy": {"username": "ann"}})
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "cart-prod", "namespace": "argocd", "labels": {"app.kubernetes.io/name": "cart", "env": "prod"}},
        "spec": {"project": "shop", "source": {"repoURL": "https://github.com/acme/deploy", "targetRevision": "HEAD", "path": "cart"},
            "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"}},
        "status": {
            "history": [
                deployed(1, "aaa", "2024-08-01T09:00:00Z", "2024-08-01T09:01:00Z"),
                deployed(2, "bbb", "2024-08-01T10:00:00Z", "2024-08-01T10:01:00Z"),
                deployed(3, "aaa", "2024-08-01T11:00:00Z", "2024-08-01T11:01:00Z"),
            ],
            "operationState": {"phase": "Succeeded", "startedAt": "2024-08-01T11:00:00Z", "finishedAt": "2024-08-01T11:01:00Z",
                "message": "successfully synced", "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": "aaa"}},
                "syncResult": {"revision": "aaa", "source": {"repoURL": "https://github.com/acme/deploy", "targetRevision": "HEAD"}}},
            "summary": {"images": ["envoyproxy/envoy:v1", "ghcr.io/acme/cart:v1.4"]},
        },
    })
}

#[test]
fn a_resource_tells_its_history_and_a_rollback_is_one() {
    let decoded = decode(&ArgoCd, json!({"kind": "List", "items": [application()]}).to_string().as_bytes());
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (3, vec![]));
    assert_eq!(decoded.column(TABLE, "kind"), ["deploy", "deploy", "rollback"]);
    assert_eq!(decoded.column(TABLE, "revision"), ["aaa", "bbb", "aaa"]);
    assert_eq!(decoded.column(TABLE, "previous_version"), ["", "aaa", "bbb"]);
    assert_eq!(decoded.column(TABLE, "version"), ["aaa", "bbb", "v1.4"]);
    let expected = [
        ("change_id", "argocd/argocd/cart-prod/2024-08-01T11:00:00Z"),
        ("service_name", "cart"),
        ("environment", "prod"),
        ("repository", "https://github.com/acme/deploy"),
        ("artifact_id", "pkg:oci/cart?repository_url=ghcr.io/acme/cart&tag=v1.4"),
        ("status", "succeeded"),
        ("started_at", "2024-08-01T11:00:00Z"),
        ("finished_at", "2024-08-01T11:01:00Z"),
        (
            "attributes",
            "{argocd.application: cart-prod, argocd.project: shop, k8s.namespace.name: shop, \
             k8s.cluster.name: https://kubernetes.default.svc, argocd.automated: true, argocd.message: successfully synced}",
        ),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 2), value, "{column}");
    }
}

#[test]
fn a_notification_tells_its_operation() {
    let mut app = application();
    app["status"]["operationState"]["phase"] = "Running".into();
    let decoded = decode(&ArgoCd, json!({"app": app}).to_string().as_bytes());
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    assert_eq!(decoded.cell(TABLE, "status", 0), "started");
    assert_eq!(decoded.cell(TABLE, "finished_at", 0), "");
    assert_eq!(decoded.cell(TABLE, "change_id", 0), "argocd/argocd/cart-prod/2024-08-01T11:00:00Z");
}

#[test]
fn the_rest_is_counted_by_reason() {
    let mut odd = application();
    odd["status"]["operationState"]["phase"] = "Odd".into();
    let mut without = application();
    without["status"] = json!({});
    let text =
        json!([odd, without, {"kind": "AppProject", "metadata": {"name": "x"}, "spec": {}}, {}, [7]]).to_string();
    assert_eq!(
        decode(&ArgoCd, text.as_bytes()).reasons(),
        [
            ("application not used: it was never synced", 1),
            ("metadata.name is missing", 2),
            ("the phase of the operation is not known", 1),
            ("the record is no Application", 1),
        ]
    );
}

proptest! {
    /// An application has as many rows as it was deployed, so only that each is answered can be said of any.
    #[test]
    fn every_record_is_answered(records in of_the_shape(vec![json!({"app": application()}), application()])) {
        let (mut landed, mut refused) = (0, 0);
        for record in &records {
            let decoded = decode(&ArgoCd, json!([record]).to_string().as_bytes());
            landed += usize::from(decoded.rows(TABLE) > 0);
            refused += usize::from(decoded.not_landed() == 1);
        }
        prop_assert_eq!(landed + refused, records.len());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&ArgoCd, &bytes).rows(TABLE), 0);
    }
}
