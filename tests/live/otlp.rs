//! OTLP: encodings, answers, limits, many senders.

use std::time::{Duration, Instant};

use ascribe::config::Live;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::task::JoinSet;

use super::client::{JSON, PROTOBUF, Sender, encoded, gzip, post, spans};
use super::{Fixture, quick, rows};

const SPAN_JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
    "scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","name":"add",
    "startTimeUnixNano":"1770000000000000000","endTimeUnixNano":"1770000000250000000"BROKEN}]}]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_and_compression_lands_and_is_seen_at_once() {
    let fixture = Fixture::start(quick()).await;
    let at = fixture.http();
    let json = SPAN_JSON.replace("BROKEN", "");
    let zstd = zstd::encode_all(&encoded(10..15)[..], 3).unwrap();
    let zipped_json = gzip(json.replace("EEE19B7EC3C1B174", "EEE19B7EC3C1B175").as_bytes());
    for (headers, body) in [
        (vec![PROTOBUF], encoded(0..5)),
        (vec![PROTOBUF, ("content-encoding", "gzip")], gzip(&encoded(5..10))),
        (vec![PROTOBUF, ("content-encoding", "zstd")], zstd),
        (vec![("content-type", "Application/JSON; charset=utf-8")], json.into_bytes()),
        (vec![JSON, ("content-encoding", "gzip")], zipped_json),
    ] {
        let answer = post(at, "/v1/traces", &headers, &body).await;
        let json = headers[0].1.to_lowercase().starts_with("application/json");
        assert_eq!((answer.status, answer.text().as_str()), (200, if json { "{}" } else { "" }), "{headers:?}");
        assert_eq!(answer.header("content-type"), Some(if json { JSON.1 } else { PROTOBUF.1 }));
    }
    let sql = "SELECT service_name, count(*), count(DISTINCT span_id), max(duration_nano), min(source) FROM spans \
        GROUP BY 1 ORDER BY 1";
    assert_eq!(fixture.rows(sql).await, ["cart|2|2|250000000|otlp", "checkout|15|15|500000000|otlp"]);
    let sql = "SELECT http_route, attributes['k'], span_kind FROM spans WHERE span_name = 'operation 6' LIMIT 1";
    assert_eq!(fixture.rows(sql).await, ["/pay|v|SERVER"]);
    fixture.receiving.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_lands_compressed_or_not() {
    let fixture = Fixture::start(quick()).await;
    let target = format!("http://{}", fixture.receiving.grpc_addr().unwrap());
    let mut client = TraceServiceClient::connect(target.clone()).await.unwrap();
    let answer = client.export(spans(0..3)).await.unwrap().into_inner();
    assert_eq!(answer, ExportTraceServiceResponse::default());
    for (at, encoding) in [(3, tonic::codec::CompressionEncoding::Gzip), (6, tonic::codec::CompressionEncoding::Zstd)] {
        let mut client = TraceServiceClient::connect(target.clone()).await.unwrap().send_compressed(encoding);
        client.export(spans(at..at + 3)).await.unwrap();
    }
    let mut broken = spans(9..11);
    broken.resource_spans[0].scope_spans[0].spans[0].trace_id.clear();
    let partial = client.export(broken).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(partial.error_message, "span without a trace id of 16 bytes that are not all zero (1)");
    assert_eq!(fixture.count("SELECT count(DISTINCT span_id) FROM spans").await, 10);
    assert_eq!(fixture.count("SELECT count(*) FROM spans").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_record_is_rejected_alone_and_counted() {
    let fixture = Fixture::start(quick()).await;
    let at = fixture.http();
    let broken = SPAN_JSON.replace("BROKEN", r#"},{"traceId":"","spanId":"EEE19B7EC3C1B176","name":"x""#);
    let answer = post(at, "/v1/traces", &[JSON], broken.as_bytes()).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &told["partialSuccess"]["rejectedSpans"]), (200, &"1".into()));
    assert_eq!(fixture.count("SELECT count(*) FROM spans").await, 1);
    // Counts of rejections are there when the answer is.
    let sql = "SELECT importer, origin, rows_landed, rows_rejected FROM system.ingests";
    assert_eq!(fixture.rows(sql).await, ["otlp|/v1/traces|1|1"]);
    let point = |value: &str| format!(r#"{{"timeUnixNano":"1770000000000000000","asDouble":{value}}}"#);
    let metric = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{},{},{}]}}}}]}}]}}]}}"#,
        point("1.5"),
        point("\"no number\""),
        point("2.5")
    );
    let answer = post(at, "/v1/metrics", &[JSON], metric.as_bytes()).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["partialSuccess"]["rejectedDataPoints"], "1", "{told}");
    assert_eq!(fixture.rows("SELECT value FROM metric_points ORDER BY 1").await, ["1.5", "2.5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_a_status() {
    let fixture = Fixture::start(Live { request_bytes: 100_000, ..quick() }).await;
    let at = fixture.http();
    let long = encoded(0..2000);
    let bomb = gzip(&vec![0; 5_000_000]);
    assert!(long.len() > 100_000 && bomb.len() < 100_000);
    let cut = &encoded(0..2)[..40];
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16);
    let cases: [Case<'_>; 8] = [
        (&[PROTOBUF], &long, 413),
        (&[PROTOBUF, ("content-encoding", "gzip")], &bomb, 413),
        (&[PROTOBUF], cut, 400),
        (&[JSON], b"{\"resourceSpans\":[", 400),
        (&[PROTOBUF, ("content-encoding", "gzip")], b"not gzip", 400),
        (&[PROTOBUF, ("content-encoding", "br")], b"", 415),
        (&[("content-type", "text/plain")], b"", 415),
        (&[], b"", 415),
    ];
    for (headers, body, status) in cases {
        let answer = post(at, "/v1/traces", headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {}", answer.text());
        assert!(answer.header("retry-after").is_none() && !answer.body.is_empty());
    }
    let answer = post(at, "/v1/traces", &[JSON], b"[1]").await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told, serde_json::json!({ "code": 3, "message": "the request is not a JSON object" }));
    let mut get = Sender::connect(at).await.unwrap();
    assert_eq!(get.send("GET", "/v1/traces", &[], b"").await.unwrap().status, 405);
    assert_eq!(get.send("GET", "/healthz", &[], b"").await.unwrap().text(), "ok\n");
    assert_eq!(get.send("GET", "/readyz", &[], b"").await.unwrap().status, 200);
    let Fixture { receiving, database, _folder } = fixture;
    receiving.shutdown().await.unwrap();
    let sql = "SELECT sum(rows_rejected), sum(rows_landed) FROM system.ingests WHERE origin = '/v1/traces'";
    assert_eq!(rows(&database, sql).await, ["4|0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_where_one_is_set() {
    let none = ascribe::server::http::Secrets { github: None, gitlab: None, pagerduty: None };
    let fixture = Fixture::start_with(quick(), Some("s3cret"), none).await;
    let at = fixture.http();
    assert_eq!(post(at, "/v1/traces", &[PROTOBUF], &encoded(0..1)).await.status, 401);
    assert_eq!(
        post(at, "/v1/traces", &[PROTOBUF, ("authorization", "Bearer s3cre")], &encoded(0..1)).await.status,
        401
    );
    let shown = [PROTOBUF, ("authorization", "Bearer s3cret")];
    assert_eq!(post(at, "/v1/traces", &shown, &encoded(0..1)).await.status, 200);
    let target = format!("http://{}", fixture.receiving.grpc_addr().unwrap());
    let refused = TraceServiceClient::connect(target).await.unwrap().export(spans(1..2)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert_eq!(fixture.count("SELECT count(*) FROM spans").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_and_every_acknowledged_span_is_there_once() {
    let fixture = Fixture::start(Live { flush_interval: Duration::from_millis(100), ..Live::default() }).await;
    let at = fixture.http();
    let mut senders = JoinSet::new();
    for sender in 0..64_u64 {
        senders.spawn(async move {
            let mut connection = Sender::connect(at).await.unwrap();
            let mut acknowledged = 0;
            for request in 0..10 {
                let first = (sender * 10 + request) * 20;
                let body = encoded(first..first + 20);
                // Every third request is sent twice, as after a lost answer.
                for _ in 0..=u64::from(request % 3 == 0) {
                    let answer = connection.send("POST", "/v1/traces", &[PROTOBUF], &body).await.unwrap();
                    assert_eq!(answer.status, 200);
                }
                acknowledged += 20;
            }
            acknowledged
        });
    }
    let acknowledged: i64 = senders.join_all().await.into_iter().sum();
    assert_eq!(acknowledged, 64 * 200);
    assert_eq!(fixture.count("SELECT count(*) FROM spans").await, acknowledged);
    assert_eq!(fixture.count("SELECT count(DISTINCT span_id) FROM spans").await, acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_turns_away_and_takes_again() {
    let live = Live { buffer_bytes: 64 << 10, flush_interval: Duration::from_secs(2), ..Live::default() };
    let fixture = Fixture::start(live).await;
    let at = fixture.http();
    let waiting = tokio::spawn(async move { post(at, "/v1/traces", &[PROTOBUF], &encoded(0..500)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let body = encoded(500..900);
    assert!(body.len() > 32 << 10 && body.len() < 64 << 10, "{}", body.len());
    let refused = post(at, "/v1/traces", &[PROTOBUF], &body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    let target = format!("http://{}", fixture.receiving.grpc_addr().unwrap());
    let mut client = TraceServiceClient::connect(target).await.unwrap();
    let status = client.export(spans(500..900)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(post(at, "/v1/traces", &[PROTOBUF], &body).await.status, 200);
    assert_eq!(fixture.count("SELECT count(*) FROM spans").await, 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lands_and_answers_what_was_received() {
    let live = Live { flush_interval: Duration::from_secs(600), ..Live::default() };
    let fixture = Fixture::start(live).await;
    let at = fixture.http();
    let senders: Vec<_> = (0..8_u64)
        .map(|sender| {
            tokio::spawn(
                async move { post(at, "/v1/traces", &[PROTOBUF], &encoded(sender * 10..sender * 10 + 10)).await },
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let Fixture { receiving, database, _folder } = fixture;
    receiving.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    for sender in senders {
        assert_eq!(sender.await.unwrap().status, 200);
    }
    assert_eq!(rows(&database, "SELECT count(*) FROM spans").await, ["80"]);
    assert!(Sender::connect(at).await.is_err());
}
