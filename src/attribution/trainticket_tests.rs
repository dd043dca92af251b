use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};

use super::anomaly::ResourceSeries;
use super::detectors::{Detector, Signal, Window, contribution, detect};
use super::visits::{LogLine, NONE, Side, Span, Vocabulary, fold};
use serde_json::Value;

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn lines(path: &str) -> Option<impl Iterator<Item = Value>> {
    let file = std::fs::File::open(path).ok()?;
    let reader = BufReader::new(flate2::read::MultiGzDecoder::new(file));
    Some(reader.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

fn attribute<'a>(resource: &'a Value, key: &str) -> &'a str {
    resource["resource"]["attributes"]
        .as_array()
        .and_then(|all| all.iter().find(|a| a["key"] == key))
        .and_then(|a| a["value"]["stringValue"].as_str())
        .unwrap_or("")
}

fn nanos(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

fn run(case: &str, print: bool) -> Option<Vec<String>> {
    let dir = format!("/work/shared/data/trainticket/{case}");
    let mut vocabulary = Vocabulary::default();
    let mut spans = Vec::new();
    for line in lines(&format!("{dir}/traces.otlp.jsonl.gz"))? {
        for resource in line["resourceSpans"].as_array().unwrap() {
            let service = vocabulary.services.number(attribute(resource, "service.name"));
            for scope in resource["scopeSpans"].as_array().unwrap() {
                for span in scope["spans"].as_array().unwrap() {
                    let trace = span["traceId"].as_str().unwrap();
                    let parent = span["parentSpanId"].as_str().unwrap_or("");
                    let (start, end) = (nanos(&span["startTimeUnixNano"]), nanos(&span["endTimeUnixNano"]));
                    spans.push(Span {
                        trace: hash(&[trace]),
                        id: hash(&[trace, span["spanId"].as_str().unwrap()]),
                        parent: if parent.is_empty() { 0 } else { hash(&[trace, parent]) },
                        service,
                        operation: vocabulary.operations.number(span["name"].as_str().unwrap()),
                        version: NONE,
                        tenant: NONE,
                        peer: NONE,
                        side: if span["kind"] == 3 { Side::Caller } else { Side::Other },
                        error: span["status"]["code"] == 2,
                        start,
                        duration: (end - start).max(0),
                        weight: 1.0,
                    });
                }
            }
        }
    }
    let mut logs = Vec::new();
    for line in lines(&format!("{dir}/logs.otlp.jsonl.gz"))? {
        for resource in line["resourceLogs"].as_array().unwrap() {
            let service = vocabulary.services.number(attribute(resource, "service.name"));
            for scope in resource["scopeLogs"].as_array().unwrap() {
                for log in scope["logRecords"].as_array().unwrap() {
                    let error = log["severityNumber"].as_i64().unwrap_or(9) >= 17;
                    let body = log["body"]["stringValue"].as_str().unwrap_or("");
                    logs.push(LogLine {
                        span: hash(&[log["traceId"].as_str().unwrap_or(""), log["spanId"].as_str().unwrap_or("")]),
                        template: vocabulary.templates.of((service, error), body),
                        error,
                    });
                }
            }
        }
    }
    let mut starts: Vec<i64> = spans.iter().map(|span| span.start).collect();
    starts.sort_unstable();
    let from = starts.windows(2).max_by_key(|pair| pair[1] - pair[0]).map(|pair| pair[1]).unwrap();
    let window = Window { before: starts[0], until: from, from, to: *starts.last().unwrap() + 1 };
    let mut resources: HashMap<u32, Vec<ResourceSeries>> = HashMap::new();
    for line in lines(&format!("{dir}/metrics.otlp.jsonl.gz"))? {
        for resource in line["resourceMetrics"].as_array().unwrap() {
            let service = vocabulary.services.number(attribute(resource, "service.name"));
            for metric in resource["scopeMetrics"].as_array().unwrap().iter().flat_map(|s| s["metrics"].as_array().unwrap()) {
                let name = metric["name"].as_str().unwrap();
                if !name.contains("cpu") && !name.contains("memory") {
                    continue;
                }
                let all = resources.entry(service).or_default();
                let at = all.iter().position(|s| s.metric == name).unwrap_or_else(|| {
                    all.push(ResourceSeries { metric: name.to_owned(), ..ResourceSeries::default() });
                    all.len() - 1
                });
                for point in metric["gauge"]["dataPoints"].as_array().into_iter().chain(metric["sum"]["dataPoints"].as_array()).flatten() {
                    let value = point["asDouble"].as_f64().unwrap_or_default();
                    if nanos(&point["timeUnixNano"]) < from { all[at].before.push(value) } else { all[at].during.push(value) }
                }
            }
        }
    }
    let alerting = vocabulary.services.find("ts-gateway-service");
    let visits = fold(&spans, &logs, alerting);
    let findings = detect(&visits, &vocabulary, &window, Signal::Any, &resources);
    if print {
        let start = window.from;
        eprintln!("== {case} onset {:?} {:?}", findings.outcome.onset.map(|t| (t - start) / 1_000_000_000), findings.outcome);
        for suspect in findings.suspects.iter().take(5) {
            let parts: Vec<String> = [Detector::Latency, Detector::Gap, Detector::Structure, Detector::Resource]
                .iter().map(|d| format!("{d:?} {:.3}", contribution(suspect, *d, Signal::Any))).collect();
            eprintln!("  {:.3} {} {parts:?}", suspect.strength, vocabulary.services.text(suspect.service));
        }
        for reason in &findings.suspects[0].reasons { eprintln!("      {reason:?}"); }
    }
    Some(findings.suspects.iter().map(|s| vocabulary.services.text(s.service).to_owned()).collect())
}

#[test]
fn prints() {
    for case in ["return-contacts", "exception-travel", "cpu-contacts", "delay-basic"] {
        run(case, true);
    }
}
