//! The critical-path cases of CRISP: the shares that its rules give, worked out by hand.

use std::collections::BTreeMap;

use super::tests::analyze;
use super::{Analyzer, Dictionary, Span, SpanId, Status};

/// A case as spans (microseconds as they are), with the dictionaries of services and operations.
struct Case {
    spans: Vec<Span>,
    ids: Vec<String>,
    services: Dictionary,
    names: Dictionary,
}

fn load(name: &str) -> Case {
    let path = format!("data/fixtures/crisp/{name}.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut case =
        Case { spans: Vec::new(), ids: Vec::new(), services: Dictionary::default(), names: Dictionary::default() };
    for trace in json["data"].as_array().unwrap() {
        for span in trace["spans"].as_array().unwrap() {
            let process = span["processID"].as_str().unwrap();
            let failed = span["tags"].as_array().into_iter().flatten().any(|tag| match tag["key"].as_str() {
                Some("error") => true,
                Some("http.status_code") => tag["value"].as_i64().is_some_and(|code| code >= 400),
                _ => false,
            });
            let parent = span["references"][0]["spanID"].as_str().unwrap_or_default();
            case.ids.push(span["spanID"].as_str().unwrap().to_owned());
            case.spans.push(Span {
                id: SpanId::of_text(span["spanID"].as_str().unwrap().as_bytes()),
                parent: SpanId::of_text(parent.as_bytes()),
                start: span["startTime"].as_i64().unwrap(),
                duration: span["duration"].as_i64().unwrap(),
                status: if failed { Status::Error } else { Status::Unset },
                service: case.services.encode(trace["processes"][process]["serviceName"].as_str()),
                name: case.names.encode(span["operationName"].as_str()),
                ..Span::default()
            });
        }
    }
    case
}

/// `[service] operation share` of every operation on the path, as CRISP groups them.
fn shares(name: &str) -> String {
    let case = load(name);
    let mut analyzer = Analyzer::default();
    analyzer.analyze(&case.spans);
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for step in analyzer.path.steps(&analyzer.tree, analyzer.tree.main_root().unwrap()) {
        let span = case.spans[step.row as usize];
        *sums.entry(case.services.text(span.service).unwrap().to_owned()).or_default() += step.self_time;
    }
    let parts: Vec<String> = sums.iter().map(|(service, share)| format!("{service}={share}")).collect();
    parts.join(" ")
}

#[test]
fn the_shares_are_those_of_the_paper() {
    for (case, expected) in [
        // A root alone; one child; a child that covers its parent; a grandchild.
        ("1", "S1=100"),
        ("2", "S1=50 S2=50"),
        ("3", "S1=0 S2=100"),
        ("4", "S1=50 S2=40 S3=10"),
        // Children one after the other.
        ("5", "S1=40 S2=60"),
        ("6", "S1=40 S2=20 S3=10 S4=30"),
        // Children that outlive their parents are cut; one that starts after its parent's end is off the path.
        ("7", "S1=10 S2=80 S3=10"),
        ("8", "S1=40 S2=10 S3=50"),
        ("9", "S1=70 S4=30"),
        // Overlaps below 1 % are sequences, and every child keeps its whole duration.
        ("10", "S1=400 S2=200 S3=100 S4=300"),
        ("11", "S1=70 S2=30"),
        // A child that ran beside the last to return is not waited for.
        ("12", "S1=40 S2=40 S4=20"),
        ("13", "S1=40 S2=40 S4=20"),
        ("14", "S1=35 S2=20 S4=25"),
        ("15", "S1=35 S2=10 S3=10 S4=10 S5=10 S6=10 S7=15"),
        ("16", "S1=50 S2=10 S4=10 S5=10 S6=20 S7=10"),
        ("17", "S1=40 S2=30 S3=20 S4=10"),
        ("18", "S1=50 S2=70 S3=10 S4=10 S5=10 S6=40 S7=30 S8=20 S9=10"),
        ("19", "S1=0 S2=200 S3=100 S4=300"),
        ("20", "S1=0 S2=200 S3=100 S4=300"),
        ("21", "S1=0 S2=200 S3=100 S4=300"),
        ("22", "S1=150 S2=150"),
        ("23", "S1=100 S2=300 S3=300"),
        ("24", "S1=100 S2=300 S3=300"),
        ("25", "S1=100 S2=300 S3=300"),
        ("err_pattern1/err1", "S1=70 S2=30"),
        ("err_pattern1/err2", "S1=70 S2=30"),
        ("err_pattern2/err1", "S1=70 S2=30"),
        ("err_pattern2/err2", "S1=70 S2=30"),
        ("err_pattern3/err1", "S1=0 S2=70 S3=30"),
        ("err_pattern3/err2", "S1=0 S2=70 S3=30"),
        ("err_pattern4/err1", "S1=0 S2=70 S3=30"),
        ("err_pattern4/err2", "S1=0 S2=70 S3=30"),
    ] {
        assert_eq!(shares(case), expected, "case {case}");
    }
}

/// The origins of errors, each with the spans that its error was passed on to.
fn origins(name: &str) -> String {
    let case = load(name);
    let mut analyzer = Analyzer::default();
    analyzer.analyze(&case.spans);
    let mut found = Vec::new();
    for row in 0..u32::try_from(case.spans.len()).unwrap() {
        if analyzer.errors.is_origin(row) {
            let top = &case.ids[analyzer.errors.top(row) as usize];
            found.push(format!("{}>{top}", case.ids[row as usize]));
        }
    }
    found.join(" ")
}

#[test]
fn errors_begin_where_the_paper_says() {
    for (case, expected) in [
        ("1", ""),
        ("11", "B>B"),
        ("err_pattern1/err1", "B>A"),
        ("err_pattern2/err1", "B>B"),
        ("err_pattern2/err2", "A>A"),
        ("err_pattern3/err1", "C>B"),
        ("err_pattern4/err1", "B>B"),
        ("err_pattern4/err2", "C>B"),
        ("17", "C>A D>A"),
        ("18", "D>B E>B H>H I>I"),
        ("22", "B>B C>C D>D"),
        ("24", "C>C D>D E>E G>F H>F I>F"),
        ("25", "C>C D>D E>E F>F"),
    ] {
        assert_eq!(origins(case), expected, "case {case}");
    }
}

#[test]
fn every_case_is_conserved() {
    for number in 1..=25 {
        let case = load(&number.to_string());
        let (_, sums) = analyze(&case.spans);
        for (root, sum) in sums {
            assert_eq!(sum, i128::from(case.spans[root as usize].length()), "case {number}");
        }
    }
}
