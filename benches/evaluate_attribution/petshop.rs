//! The issues of PetShop: metrics of services every five minutes and a graph of who calls whom, no traces.
//!
//! They are landed as a user's own metrics would be: one CSV of points under the names of OpenTelemetry's conventions.
//! The fault-free stretch was recorded at another time; its end is shifted to just before the issue.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use ascribe::Database;
use serde_json::Value;

use crate::{Outcome, Tally, ask, iso, land, services};

/// Seconds between two measurements.
const STEP: i64 = 300;

/// Measurements of the fault-free stretch that are landed.
const BASELINE: usize = 60;

/// By service and time in seconds: requests, mean latency in seconds, availability in percent.
type Table = BTreeMap<(String, i64), [Option<f64>; 3]>;

fn read(path: &Path) -> Outcome<Table> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path)?;
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let [names, metrics, statistics, _, values @ ..] = rows.as_slice() else { return Err("too few lines".into()) };
    let mut table = Table::new();
    for row in values {
        let time = row.get(0).unwrap_or_default().parse::<f64>()? as i64;
        for (at, value) in row.iter().enumerate().skip(1) {
            let column = match (metrics.get(at), statistics.get(at)) {
                (Some("requests"), _) => 0,
                (Some("latency"), Some("Average")) => 1,
                (Some("availability"), _) => 2,
                _ => continue,
            };
            let name = names.get(at).unwrap_or_default().to_owned();
            table.entry((name, time)).or_default()[column] = value.parse().ok();
        }
    }
    Ok(table)
}

/// X-Ray invents a node for what it knows from its callers only.
fn is_virtual(name: &str) -> bool {
    name.ends_with("_remote")
}

/// Points of what was measured: requests that succeeded and requests that failed, with their durations.
fn points(table: &Table, shift: i64, out: &mut String) -> Outcome<()> {
    for ((name, time), [requests, latency, availability]) in table {
        let Some(requests) = requests.filter(|requests| *requests > 0.0) else { continue };
        let failed = (requests * (100.0 - availability.unwrap_or(100.0)) / 100.0).round();
        let at = iso((time + shift) * 1_000_000);
        for (count, error) in [(requests - failed, ""), (failed, "error")] {
            let sum = latency.map_or_else(String::new, |latency| (latency * count).to_string());
            let (metric, service, node) = if is_virtual(name) {
                ("traces_service_graph_request_server", "", "server")
            } else {
                ("http.server.request.duration", name.as_str(), "")
            };
            let server = if service.is_empty() { name } else { "" };
            writeln!(out, "{at},{metric},summary,s,delta,,{count},{sum},{service},,{server},{node},{error}")?;
        }
    }
    Ok(())
}

fn graph(path: &Path, time: i64, out: &mut String) -> Outcome<()> {
    let mut reader = csv::Reader::from_path(path)?;
    let header = reader.headers()?.clone();
    let at = iso(time * 1_000_000);
    for row in reader.records() {
        let row = row?;
        let caller = row.get(0).unwrap_or_default();
        for (column, value) in row.iter().enumerate().skip(1).filter(|(_, value)| value.starts_with('1')) {
            let callee = header.get(column).ok_or_else(|| format!("{value} has no column"))?;
            let node = if is_virtual(callee) { "server" } else { "" };
            writeln!(out, "{at},traces_service_graph_request_total,sum,,delta,,,,,{caller},{callee},{node},")?;
        }
    }
    Ok(())
}

async fn issue(level: &Path, folder: &Path) -> Outcome<Option<usize>> {
    let target: Value = serde_json::from_slice(&std::fs::read(folder.join("target.json"))?)?;
    let (odd, mut usual) = (read(&folder.join("metrics.csv"))?, read(&level.join("noissue/metrics.csv"))?);
    let times = |table: &Table| table.keys().map(|key| key.1).collect::<std::collections::BTreeSet<i64>>();
    let (first, last) = times(&odd).first().copied().zip(times(&odd).last().copied()).ok_or("no measurement")?;
    let kept: Vec<i64> = times(&usual).into_iter().rev().take(BASELINE).collect();
    usual.retain(|key, _| kept.contains(&key.1));
    let shift = first - STEP - kept.first().copied().ok_or("no fault-free measurement")?;
    let mut text = String::from(
        "time,metric_name,metric_kind,unit,temporality,value,count,sum,service_name,client,server,virtual_node,error.type\n",
    );
    points(&usual, shift, &mut text)?;
    points(&odd, 0, &mut text)?;
    graph(&level.join("graph.csv"), first, &mut text)?;
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("points.csv");
    std::fs::write(&file, text)?;
    let database = Database::open(&scratch.path().join("lake").display().to_string()).await?;
    land(&database, "csv", &[file.display().to_string()], Some("metric_points")).await?;
    let signal = if target["target"]["metric"] == "availability" { "errors" } else { "latency" };
    let call = format!(
        "attribute_incident('{}', timestamptz '{}', timestamptz '{}', '{signal}')",
        target["target"]["node"].as_str().unwrap_or_default(),
        iso(first * 1_000_000),
        iso((last + STEP) * 1_000_000)
    );
    let rows = ask(&database, &call).await?;
    let wanted = target["root_cause"]["node"].as_str().unwrap_or_default();
    let rank = services(&rows).iter().position(|service| *service == wanted);
    println!("{} {signal}: {wanted} at {:?}", folder.display(), rank.map(|at| at + 1));
    for row in rows.iter().take(3) {
        println!("      {:.3} {} {} ({})", row.score, row.kind, row.id, row.service);
    }
    Ok(rank)
}

/// Ask about every training issue below the directory, at every level of traffic.
pub async fn run(directory: &Path) -> Outcome<()> {
    let mut all = Tally::default();
    let mut levels: Vec<_> = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
    levels.retain(|level| level.join("train").is_dir());
    levels.sort();
    for level in levels {
        let mut tally = Tally::default();
        let mut issues: Vec<_> =
            std::fs::read_dir(level.join("train"))?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
        issues.sort();
        for folder in issues {
            let rank = issue(&level, &folder).await?;
            tally.add(rank);
            all.add(rank);
        }
        println!("{}: {} issues, top-1/3/5 {:?}", level.display(), tally.cases, tally.top);
    }
    println!("petshop: {} issues, top-1/3/5 {:?}", all.cases, all.top);
    Ok(())
}
