//! Conservation on real traces, where they are at hand: `ASCRIBE_SHARED_DATA`, else `../shared/data`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::tests::analyze;
use super::{Kind, NO_ROW, Span, SpanId, Status};

fn shared(path: &str) -> Option<PathBuf> {
    let root =
        crate::config::variable("ASCRIBE_SHARED_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn lines(path: PathBuf) -> impl Iterator<Item = Value> {
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
    reader.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn id(value: &Value) -> SpanId {
    SpanId::of_text(value.as_str().unwrap_or_default().as_bytes())
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Spans, roots, spans with a share, and the sum of naive self times over that of the roots' durations.
fn check(traces: &BTreeMap<String, Vec<Span>>) -> (usize, usize, usize, f64) {
    let (mut spans, mut roots, mut on_path) = (0, 0, 0);
    let (mut naive, mut whole) = (0_i128, 0_i128);
    for (trace, of_trace) in traces {
        let (facts, sums) = analyze(of_trace);
        spans += facts.len();
        for (root, sum) in sums {
            assert_eq!(facts[root as usize].parent, NO_ROW);
            if !facts[root as usize].is_repeated {
                assert_eq!(sum, i128::from(of_trace[root as usize].length()), "trace {trace}");
                whole += sum;
                roots += 1;
            }
        }
        naive += facts.iter().map(|fact| i128::from(fact.self_time)).sum::<i128>();
        on_path += facts.iter().filter(|fact| fact.critical_path > 0).count();
    }
    (spans, roots, on_path, naive as f64 / whole as f64)
}

#[test]
fn train_ticket_is_conserved() {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for case in ["cpu-contacts", "delay-basic", "exception-travel", "return-contacts"] {
        let Some(path) = shared(&format!("trainticket/{case}/traces.otlp.jsonl.gz")) else { return };
        for line in lines(path) {
            for resource in line["resourceSpans"].as_array().unwrap() {
                for span in resource["scopeSpans"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|scope| scope["spans"].as_array().unwrap())
                {
                    let kinds = [Kind::Unspecified, Kind::Internal, Kind::Server, Kind::Client];
                    let start = int(&span["startTimeUnixNano"]);
                    let key = format!("{case}/{}", span["traceId"].as_str().unwrap());
                    traces.entry(key).or_default().push(Span {
                        id: id(&span["spanId"]),
                        parent: id(&span["parentSpanId"]),
                        start,
                        duration: int(&span["endTimeUnixNano"]) - start,
                        kind: kinds.get(usize::try_from(int(&span["kind"])).unwrap()).copied().unwrap_or_default(),
                        status: if int(&span["status"]["code"]) == 2 { Status::Error } else { Status::Unset },
                        ..Span::default()
                    });
                }
            }
        }
    }
    let (spans, roots, on_path, naive) = check(&traces);
    eprintln!(
        "TrainTicket: {} traces, {spans} spans, {roots} roots, {on_path} on paths, self time {naive:.3}",
        traces.len()
    );
    assert!(spans > 50_000 && on_path > traces.len());
}

#[test]
fn death_star_bench_is_conserved() {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for case in ["hotel_reservation", "media_microservices"] {
        let Some(path) = shared(&format!("traces/jaeger/{case}.jaeger.jsonl.gz")) else { return };
        for line in lines(path) {
            for span in line["data"].as_array().unwrap().iter().flat_map(|trace| trace["spans"].as_array().unwrap()) {
                let key = format!("{case}/{}", span["traceID"].as_str().unwrap());
                traces.entry(key).or_default().push(Span {
                    id: id(&span["spanID"]),
                    parent: id(&span["references"][0]["spanID"]),
                    start: int(&span["startTime"]) * 1000,
                    duration: int(&span["duration"]) * 1000,
                    ..Span::default()
                });
            }
        }
    }
    let (spans, roots, on_path, naive) = check(&traces);
    eprintln!(
        "DeathStarBench: {} traces, {spans} spans, {roots} roots, {on_path} on paths, self time {naive:.3}",
        traces.len()
    );
    assert!(traces.len() > 50 && roots >= traces.len() && on_path > traces.len());
}
