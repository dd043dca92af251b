//! Good files of every source, and the table of those that take any: fixtures, and small ones written here.

use std::path::Path;
use std::sync::Arc;

use ascribe::model;
use datafusion::arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::parquet::arrow::ArrowWriter;
use prost::Message;
use serde_json::json;

/// A file, and the number of its table among [`model::tables`].
pub type Seed = (Vec<u8>, usize);

/// The files of a source.
pub fn of(source: &str) -> Vec<Seed> {
    let files: Vec<Vec<u8>> = match source {
        "otlp" => vec![otlp_json().into_bytes(), otlp_protobuf()],
        "jaeger" => fixtures("crisp", &["1.json", "err_pattern1/err1.json"]),
        "zipkin" => vec![ZIPKIN.into()],
        "cloudtrail" => fixtures("cloudtrail", &["aws.persistence.iam-create-admin-user.json"]),
        "gcp-audit" => fixtures("audit", &["gcp-audit.ndjson"]),
        "azure-activity" => fixtures("audit", &["azure-activity.ndjson"]),
        "k8s-audit" => fixtures("audit", &["k8s-audit.ndjson"]),
        "okta" => fixtures("audit", &["okta.ndjson"]),
        "github-audit" => fixtures("audit", &["github-audit.ndjson"]),
        "ocsf" => vec![OCSF.into(), ocsf_parquet()],
        "focus" => {
            [fixtures("focus", &["azure/Enterprise.csv", "azure/YA.csv"]), vec![focus_csv(), focus_parquet()]].concat()
        }
        "github" => fixtures("github", &["deployment.json", "release.json"]),
        "gitlab" => fixtures("gitlab", &["deployment-event.json", "pipeline-event.json"]),
        "argocd" => vec![ARGOCD.into()],
        "kubernetes" => vec![KUBERNETES.into()],
        "cdevents" => fixtures("cdevents", &["service_deployed.json", "incident_resolved.json"]),
        "alertmanager" => vec![ALERTMANAGER.into()],
        "pagerduty" => vec![PAGERDUTY.into()],
        "openlineage" => vec![OPENLINEAGE.into()],
        "backstage" => vec![BACKSTAGE.into()],
        "codeowners" => vec!["*  @acme/platform\n[Docs][2] @acme/docs\n/cart/ @acme/cart @ann # why\n".into()],
        "openslo" => fixtures("openslo", &["ratio-timeslices.yaml", "timeslices-slo.yaml"]),
        "csv" => return vec![(SPANS.into(), table("spans")), (COSTS.into(), table("costs"))],
        "parquet" => return vec![(tables_parquet(), table("changes"))],
        _ => vec![],
    };
    files.into_iter().map(|file| (file, 0)).collect()
}

fn table(name: &str) -> usize {
    model::tables().iter().position(|table| table.name == name).unwrap()
}

fn fixtures(folder: &str, names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fixtures").join(folder);
    names.iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect()
}

fn otlp_json() -> String {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"doubleValue": 0.5}]}}}]});
    let (trace, span, time) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "1544712660000000000");
    let span = json!({"traceId": trace, "spanId": span, "name": "GET /x", "kind": 2, "startTimeUnixNano": time,
        "endTimeUnixNano": "1544712661000000000", "traceState": "ot=th:c", "status": {"code": 2},
        "events": [{"timeUnixNano": time, "name": "exception", "attributes": []}], "links": [{"traceId": trace, "spanId": span}]});
    let log = json!({"timeUnixNano": time, "severityNumber": 9, "body": {"kvlistValue": {"values": [
        {"key": "k", "value": {"boolValue": true}}]}}, "traceId": trace});
    let buckets = json!({"offset": -3, "bucketCounts": ["1", "2"]});
    let points = json!([
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": time, "asInt": "3"}]}},
        {"name": "s", "sum": {"dataPoints": [{"timeUnixNano": time, "asDouble": 0.1}], "aggregationTemporality": 2}},
        {"name": "h", "histogram": {"dataPoints": [{"timeUnixNano": time, "count": "3", "bucketCounts": ["1", "2"], "explicitBounds": [1.5]}]}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [{"timeUnixNano": time, "count": "3", "scale": 2, "positive": buckets}]}},
        {"name": "q", "summary": {"dataPoints": [{"timeUnixNano": time, "count": "3", "quantileValues": [{"quantile": 0.5, "value": 2}]}]}},
    ]);
    [
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "lib"}, "spans": [span]}]}]}),
        json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [log]}]}]}),
        json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": points}]}]}),
    ]
    .map(|request| request.to_string())
    .join("\n")
}

fn otlp_protobuf() -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /x".into(),
        start_time_unix_nano: 1_544_712_660_000_000_000,
        end_time_unix_nano: 1_544_712_661_000_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span.clone(), span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The first charges of the sample.
fn focus_csv() -> Vec<u8> {
    let [sample] = &fixtures("focus", &["focus-1.0-sample-500.csv"])[..] else { return vec![] };
    sample.split_inclusive(|byte| *byte == b'\n').take(4).collect::<Vec<_>>().concat()
}

fn ocsf_parquet() -> Vec<u8> {
    let name: ArrayRef = texts(&["GetObject"]);
    let api = StructArray::from(vec![(Arc::new(Field::new("operation", DataType::Utf8, true)), name)]);
    parquet([("class_uid", numbers(&[6003])), ("time", numbers(&[1_722_502_800_123])), ("api", Arc::new(api))])
}

fn focus_parquet() -> Vec<u8> {
    let (month, next) = (["2024-09-01T00:00:00Z"; 2], ["2024-10-01T00:00:00Z"; 2]);
    parquet([
        ("BilledCost", texts(&["1.5", "-0.25"])),
        ("BillingCurrency", texts(&["USD", "USD"])),
        ("BillingPeriodStart", texts(&month)),
        ("BillingPeriodEnd", texts(&next)),
        ("ChargePeriodStart", texts(&month)),
        ("ChargePeriodEnd", texts(&next)),
        ("BillingAccountId", texts(&["1", "1"])),
        ("ServiceProviderName", texts(&["AWS", "AWS"])),
        ("Tags", texts(&["{\"team\":\"a\"}", "{}"])),
    ])
}

fn tables_parquet() -> Vec<u8> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("x"), None]);
    lists.append_value([Some("y")]);
    parquet([
        ("change_id", texts(&["a", "b"])),
        ("started_at", texts(&["2024-08-01T09:00:00Z", "2024-08-02"])),
        ("size", numbers(&[1, -1])),
        ("people", Arc::new(lists.finish())),
    ])
}

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

fn numbers(numbers: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(numbers.to_vec()))
}

fn parquet<const N: usize>(columns: [(&str, ArrayRef); N]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

const SPANS: &str = "trace_id,span_id,start_time,duration_nano,adjusted_count,attributes.k,attributes,events\n\
    t1,s1,2024-08-01T09:00:00.5Z,1e3,2.5,v,\"{\"\"a\"\":1}\",\"[{\"\"time_unix_nano\"\":7,\"\"name\"\":\"\"e\"\"}]\"\n\
    t1,s2,2024-08-01,,,,,\n";

const COSTS: &str = "billed_cost,billing_period_start,billing_currency,service_provider_name,tags\n\
    0.000000000001,2024-09-15,USD,AWS,\"{\"\"team\"\":\"\"a\"\"}\"\n-17.25,2024-09-01,EUR,GCP,\n";

const ZIPKIN: &str = r#"[{"traceId":"978883983d506fa5","id":"2","parentId":"1","kind":"CLIENT","name":"get","shared":true,
    "timestamp":1570523661059232,"duration":127115,"localEndpoint":{"serviceName":"a","ipv4":"10.0.0.1"},
    "remoteEndpoint":{"serviceName":"b","port":80},"annotations":[{"timestamp":1570523661059233,"value":"sent"}],
    "tags":{"http.status_code":"500","error":"boom"}}]"#;

const OCSF: &str = r#"{"class_uid":3002,"activity_id":1,"time":1722502800123,"status_id":1,"metadata":{"uid":"e-1",
    "product":{"name":"CloudTrail","vendor_name":"AWS"}},"api":{"operation":"AssumeRole","service":{"name":"sts"},
    "response":{"data":{"credentials":{"accessKeyId":"ASIA2","expiration":"2024-08-01T10:00:00Z"}}}},
    "actor":{"user":{"type":"AssumedRole","uid":"arn:aws:sts::1:assumed-role/ci/run-7","account":{"uid":"1"}},
    "session":{"issuer":"arn:aws:iam::1:role/ci","created_time":1722500000000,"is_mfa":false}},
    "src_endpoint":{"ip":"192.0.2.1"},"resources":[{"uid":"arn:aws:s3:::b/k"}]}"#;

const ARGOCD: &str = r#"{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"cart","namespace":
    "argocd"},"spec":{"project":"shop","source":{"repoURL":"https://example.org/deploy","path":"cart"},"destination":
    {"namespace":"shop"}},"status":{"history":[{"id":1,"revision":"aaa","deployStartedAt":"2024-08-01T09:00:00Z",
    "deployedAt":"2024-08-01T09:01:00Z","initiatedBy":{"username":"ann"}}],"operationState":{"phase":"Succeeded",
    "startedAt":"2024-08-01T09:00:00Z","finishedAt":"2024-08-01T09:01:00Z","syncResult":{"revision":"aaa"}},
    "summary":{"images":["example.org/cart:v1.4"]}}}"#;

const KUBERNETES: &str = r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","uid":"u"},"involvedObject":{"kind":
    "Deployment","namespace":"shop","name":"cart"},"reason":"ScalingReplicaSet","message":
    "Scaled up replica set cart-7d9f to 3 from 1","firstTimestamp":"2024-08-01T08:00:00Z","lastTimestamp":
    "2024-08-01T09:00:00Z"}"#;

const ALERTMANAGER: &str = r#"{"version":"4","status":"firing","externalURL":"http://am","alerts":[{"status":"firing",
    "labels":{"alertname":"Slow","service":"cart","severity":"page"},"annotations":{"summary":"cart is slow"},
    "startsAt":"2026-03-01T10:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"8cf77ec9f54ffc08"}]}"#;

const PAGERDUTY: &str = r#"{"event":{"id":"01BX","event_type":"incident.triggered","resource_type":"incident",
    "occurred_at":"2026-03-01T10:05:00.123Z","data":{"id":"PGR0VU2","type":"incident","status":"triggered",
    "created_at":"2026-03-01T10:00:00Z","title":"A bump","service":{"summary":"checkout"},"priority":{"summary":"P1"}}}}"#;

const OPENLINEAGE: &str = r#"{"eventType":"COMPLETE","eventTime":"2024-08-01T09:00:00.123+02:00","run":{"runId":"r",
    "facets":{"parent":{"run":{"runId":"p"}}}},"job":{"namespace":"airflow","name":"daily"},"inputs":[{"namespace":
    "s3://raw/","name":"/orders"}],"outputs":[{"namespace":"s3://marts","name":"orders","facets":{"columnLineage":
    {"fields":{"total":{"inputFields":[]}}}}}]}"#;

const BACKSTAGE: &str = "kind: Component\nmetadata:\n  name: checkout\n  annotations:\n    acme.io/valid-from: 2024-08-01\n\
    \x20 labels: {cost-center: CC-7}\nspec: {type: service, owner: group:default/team-a, system: shop}\n---\n\
    kind: System\nmetadata: {name: shop}\nspec: {owner: team-c}\n";
