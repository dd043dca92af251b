//! Files of several sources in one lake: what one tells of another.

use std::sync::Arc;

use ascribe::Database;
use ascribe::config::Config;
use ascribe::ingest::{self, Options, Progress, Summary};
use ascribe::storage::Lake;
use serde_json::json;

use crate::rows;

struct Fixture {
    folder: tempfile::TempDir,
    lake: Arc<Lake>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&folder.path().join("lake").display().to_string(), &Config::default()).unwrap();
        Self { folder, lake }
    }

    async fn import(&self, source: &str, content: &str, options: &Options) -> Summary {
        let path = self.folder.path().join(source);
        std::fs::write(&path, content).unwrap();
        let (source, paths) = (ingest::find(source).unwrap(), [path.display().to_string()]);
        ingest::import(&self.lake, source, &paths, options, &Arc::<Progress>::default()).await.unwrap()
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        rows(&Database::over(Arc::clone(&self.lake), Config::default()).unwrap(), sql).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_roles_goes_on_in_the_log_of_another_provider() {
    let fixture = Fixture::new();
    let arn = "arn:aws:sts::111111111111:assumed-role/admin/ann";
    let assumed = json!({"Records": [{"eventID": "t-1", "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com",
        "eventTime": "2026-03-01T09:00:00Z", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111111111111:user/ann", "userName": "ann"},
        "responseElements": {"credentials": {"accessKeyId": "ASIA1", "expiration": "2026-03-01T10:00:00Z"}, "assumedRoleUser": {"arn": arn}}}]});
    let deleted = json!({"kind": "Event", "auditID": "k-1", "stage": "ResponseComplete", "verb": "delete", "requestReceivedTimestamp": "2026-03-01T09:30:00Z",
        "user": {"username": "admin", "extra": {"arn": [arn], "accessKeyId": ["ASIA1"], "sessionName": ["ann"]}}, "responseStatus": {"code": 200},
        "objectRef": {"resource": "deployments", "apiGroup": "apps", "apiVersion": "v1", "namespace": "shop", "name": "cart"}});
    fixture.import("cloudtrail", &assumed.to_string(), &Options::default()).await;
    fixture.import("k8s-audit", &deleted.to_string(), &Options::default()).await;
    assert_eq!(
        fixture
            .rows("SELECT hop, principal_arn, link, is_origin, origin_kind FROM assume_role_chain('k-1') ORDER BY hop")
            .await,
        [format!("0|{arn}||false|"), "1|arn:aws:iam::111111111111:user/ann|access_key_id|true|human".to_owned()]
    );
    assert_eq!(
        fixture.rows("SELECT kind, service_name, actor, title FROM changes").await,
        ["infrastructure|cart|admin|delete deployment shop/cart"]
    );

    let sign_in = json!({"time": "2026-03-01T08:00:00Z", "category": "SignInLogs", "operationName": "Sign-in activity", "resultType": "0",
        "properties": {"id": "s-1", "userPrincipalName": "bob@acme.io", "uniqueTokenIdentifier": "token-1"}});
    let written = json!({"time": "2026-03-01T08:10:00Z", "operationName": "Microsoft.Web/sites/write", "resultType": "Success",
        "properties": {"eventDataId": "w-1"}, "identity": {"claims": {"uti": "token-1", "appid": "portal"}}});
    fixture.import("azure-activity", &json!({"records": [sign_in, written]}).to_string(), &Options::default()).await;
    let attributed = "SELECT origin_identity, origin_kind, hops, confidence FROM access_attribution('2026-03-01 08:05Z', '2026-03-01 08:15Z')";
    assert_eq!(fixture.rows(attributed).await, ["bob@acme.io|human|1|1.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_delivered_again_lands_once() {
    let fixture = Fixture::new();
    let event = |id: &str| {
        json!({"eventID": id, "eventName": "ListBuckets", "eventSource": "s3.amazonaws.com", "eventTime": "2026-03-01T09:00:00Z",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111111111111:user/ann"}})
    };
    let trail = fixture.folder.path().join("trail");
    std::fs::create_dir(&trail).unwrap();
    // In one file, and in another one that overlaps with it.
    for (name, ids) in [("1.json", ["a", "b", "a"]), ("2.json", ["b", "c", "c"]), ("3.json", ["a", "b", "c"])] {
        std::fs::write(trail.join(name), json!({"Records": ids.map(event)}).to_string()).unwrap();
    }
    let (source, paths) = (ingest::find("cloudtrail").unwrap(), [trail.display().to_string()]);
    let progress = Arc::<Progress>::default();
    let done = ingest::import(&fixture.lake, source, &paths, &Options::default(), &progress).await.unwrap();
    assert_eq!((done.files, done.rows.get("iam_events"), done.rejections()), (3, Some(&3), 0));
    let again = &done.rejected["not used: it had landed before"];
    assert_eq!((again.count, again.unused), (6, true));
    assert_eq!(fixture.rows("SELECT event_id FROM iam_events ORDER BY 1").await, ["a", "b", "c"]);
    assert_eq!(
        fixture.rows("SELECT sum(rows_landed)::int, sum(rows_rejected)::int FROM system.ingests").await,
        ["3|0"]
    );
    let done = ingest::import(&fixture.lake, source, &paths, &Options::default(), &progress).await.unwrap();
    assert_eq!((done.files, done.skipped.len()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_of_paths_close_their_intervals_and_the_same_file_lands_once() {
    let fixture = Fixture::new();
    let options = Options { set: vec![("repository".into(), "acme/shop".into())], ..Options::default() };
    let summary = fixture.import("codeowners", "* @acme/platform\n/cart/ @acme/team-cart\n", &options).await;
    assert_eq!(summary.rows.get("ownership"), Some(&2));
    let again = fixture.import("codeowners", "* @acme/platform\n/cart/ @acme/team-cart\n", &options).await;
    assert_eq!((again.files, again.skipped.len()), (0, 1));
    fixture.import("codeowners", "* @acme/platform\n/cart/ @acme/team-pay\n", &options).await;
    assert_eq!(
        fixture
            .rows("SELECT entity_kind, entity, owner, valid_to IS NULL FROM ownership ORDER BY entity, valid_from")
            .await,
        [
            "repository|acme/shop|platform|true",
            "path|acme/shop:/cart/|team-cart|false",
            "path|acme/shop:/cart/|team-pay|true",
        ]
    );
}
