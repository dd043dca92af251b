use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::config::Config;

fn request(gate: &Buffer, spans: std::ops::Range<u64>, name: &str) -> Request {
    let span = |id: u64| Span {
        trace_id: u128::from(id + 1).to_be_bytes().into(),
        span_id: (id + 1).to_be_bytes().into(),
        name: name.to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: spans.map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let body: Bytes = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into();
    let content = Content::Otlp(Signal::Traces, Encoding::Protobuf);
    let identities = vec![Identity::of(&content.kind(), &body)];
    Request { content, origin: "/v1/traces", body, identities, held: gate.enter().unwrap() }
}

fn open(folder: &tempfile::TempDir) -> (Arc<Lake>, Arc<Buffer>) {
    let lake = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
    let live = Live { flush_interval: Duration::from_millis(20), ..Live::default() };
    let buffer = Buffer::new(&lake, live);
    (lake, buffer)
}

async fn rows(lake: &Arc<Lake>) -> usize {
    lake.files(&telemetry::SPANS).await.unwrap().iter().map(|file| file.rows.unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_lands_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, buffer) = open(&folder);
    let first = buffer.land(request(&buffer, 0..10, "a")).await.unwrap();
    assert_eq!((first.rows, first.repeated), (10, false));
    assert!(buffer.land(request(&buffer, 0..10, "a")).await.unwrap().repeated);
    // Other requests that hold some of the same spans.
    let overlapping = buffer.land(request(&buffer, 5..12, "a")).await.unwrap();
    assert!(!overlapping.repeated);
    assert_eq!(rows(&lake).await, 12);
    let at_once = [buffer.land(request(&buffer, 20..22, "b")), buffer.land(request(&buffer, 20..22, "b"))];
    futures::future::join_all(at_once).await.into_iter().for_each(|landed| drop(landed.unwrap()));
    assert_eq!(rows(&lake).await, 14);
    buffer.close().await.unwrap();
    assert_eq!(buffer.land(request(&buffer, 0..1, "late")).await, Err(Refusal::Closing));

    let (lake, buffer) = open(&folder);
    assert!(buffer.land(request(&buffer, 0..10, "a")).await.unwrap().repeated);
    assert!(buffer.land(request(&buffer, 20..22, "b")).await.unwrap().repeated);
    assert_eq!(buffer.land(request(&buffer, 30..31, "a")).await.unwrap().rows, 1);
    assert_eq!(rows(&lake).await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_see_what_others_landed() {
    let folder = tempfile::tempdir().unwrap();
    let ((lake, one), (_, other)) = (open(&folder), open(&folder));
    one.land(request(&one, 0..3, "a")).await.unwrap();
    assert!(other.land(request(&other, 0..3, "a")).await.unwrap().repeated);
    other.land(request(&other, 3..5, "a")).await.unwrap();
    assert!(one.land(request(&one, 3..5, "a")).await.unwrap().repeated);
    assert_eq!(rows(&lake).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_keeps_nothing_and_the_next_try_lands() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, buffer) = open(&folder);
    // No table can be made where a file is in the way.
    std::fs::write(folder.path().join("tables"), b"").unwrap();
    let failed = buffer.land(request(&buffer, 0..3, "a")).await;
    assert!(matches!(failed, Err(Refusal::Failed(_))), "{failed:?}");
    std::fs::remove_file(folder.path().join("tables")).unwrap();
    let landed = buffer.land(request(&buffer, 0..3, "a")).await.unwrap();
    assert_eq!((landed.rows, landed.repeated), (3, false));
    assert_eq!(rows(&lake).await, 3);
}
