//! Simulated incidents: every scenario with every seed, scored by kind of answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ascribe::Database;
use ascribe::attribution::confidence::{self, Calibration};
use ascribe::attribution::stats::logit;
use ascribe::simulate::{self, DEFAULT_START, Plan, Scenario};
use futures::StreamExt;
use serde_json::Value;

use crate::{Outcome, Row, Tally, ask, iso, land, questions};

/// Incidents that are worked on at once.
const AT_ONCE: usize = 2;

/// Causes of an answer of which the confidence is judged.
const JUDGED: usize = 10;

/// One incident and what was answered.
#[derive(Debug)]
struct Case {
    scenario: Scenario,
    /// Position of the first right answer.
    rank: Option<usize>,
    /// Confidence, and whether the row was right.
    judged: Vec<(f64, bool)>,
    /// The same for windows in which nothing happened.
    quiet: Vec<Quiet>,
    /// What was ranked first instead, with its reasons.
    miss: Vec<String>,
}

/// What was answered about a window in which nothing happened.
#[derive(Debug)]
struct Quiet {
    /// Whether that was the first answer.
    right: bool,
    /// Confidence, and whether the row said that nothing happened.
    judged: Vec<(f64, bool)>,
    /// What was asked, and what was named.
    told: String,
}

fn is_cause(row: &Row, cause: &Value) -> bool {
    let of = |key: &str| cause[key].as_str().unwrap_or_default();
    if let Some(change) = cause["change_id"].as_str() {
        // The importer puts the origin before the number that a forge gives a deployment.
        return row.id == change || row.id.ends_with(&format!("/{change}"));
    }
    match of("kind") {
        "tenant" => row.kind == "tenant" && row.id == of("subject"),
        _ => matches!(row.kind.as_str(), "dependency" | "service") && row.service == of("service_name"),
    }
}

/// Whether it is asked about in other words.
fn is_other(scenario: Scenario) -> bool {
    matches!(scenario, Scenario::LeakedCiKey | Scenario::CostSpike)
}

/// A lake with the files of the plan, and their truth; made unless the folder has it.
async fn world(plan: &Plan, folder: &Path) -> Outcome<Value> {
    let (files, lake, truth) = (folder.join("files"), folder.join("lake"), folder.join("truth.json"));
    if !truth.exists() {
        std::fs::create_dir_all(folder)?;
        let summary = simulate::run(plan, &files)?;
        let database = Database::open(&lake.display().to_string()).await?;
        for import in simulate::manifest(&files)? {
            let wanted = match import.source {
                "otlp" => !is_other(plan.scenario),
                "cloudtrail" => plan.scenario == Scenario::LeakedCiKey,
                "focus" | "backstage" => plan.scenario == Scenario::CostSpike,
                _ => import.table != Some("scaling_events"),
            };
            if !wanted {
                continue;
            }
            let paths: Vec<String> = import.paths.iter().map(|path| path.display().to_string()).collect();
            land(&database, import.source, &paths, import.table).await?;
        }
        std::fs::copy(&summary.truth, &truth)?;
        std::fs::remove_dir_all(&files)?;
    }
    Ok(serde_json::from_slice(&std::fs::read(truth)?)?)
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            if source.is_dir() {
                folders.push((source, target));
            } else {
                std::fs::copy(source, target)?;
            }
        }
    }
    Ok(())
}

/// Ask about windows before the trouble: of several lengths, about services in turn.
async fn quiet(database: &Database, truth: &Value, plan: &Plan, windows: u64) -> Outcome<Vec<Quiet>> {
    const MINUTE: i64 = 60_000_000;
    let time = |at: &Value| -> Outcome<i64> {
        Ok(chrono::DateTime::parse_from_rfc3339(at.as_str().unwrap_or_default())?.timestamp_micros())
    };
    let (start, onset) = (time(&truth["window"]["start"])?, time(&truth["incident"]["onset"])?);
    let asked = |service: &&Value| service["before"]["requests"].as_u64().unwrap_or_default() > 20;
    let services: Vec<&Value> = truth["services"].as_array().into_iter().flatten().filter(asked).collect();
    let mut found = Vec::new();
    for window in 0..windows {
        let turn = usize::try_from(plan.seed * 31 + window * 7)?;
        let length = [2, 3, 5][turn % 3] * MINUTE;
        let first = start + (onset - start) / 4;
        let last = onset - length - 2 * MINUTE;
        let from = first + (last - first) * i64::try_from(turn % 17)? / 16;
        let Some(service) = services.get(turn % services.len().max(1)) else { break };
        let signal = ["any", "latency", "errors"][(turn / 2) % 3];
        let service = service["service_name"].as_str().unwrap_or_default();
        let question = format!(
            "attribute_incident('{service}', timestamptz '{}', timestamptz '{}', '{signal}')",
            iso(from),
            iso(from + length)
        );
        // A service that nobody asked anything in the window is no case.
        let Ok(rows) = ask(database, &question).await else { continue };
        let Some(first) = rows.first() else { continue };
        let judged = rows.iter().take(JUDGED).filter_map(|row| Some((row.confidence?, row.kind == "none"))).collect();
        let (kind, sure) = (&first.kind, first.confidence.unwrap_or_default());
        let told = format!("{kind} {} ({}) {sure:.3}: {question}", first.id, first.service);
        found.push(Quiet { right: kind == "none", judged, told });
    }
    Ok(found)
}

async fn incident(plan: Plan, kept: Option<PathBuf>, windows: u64) -> Outcome<Case> {
    let scratch = tempfile::tempdir()?;
    let folder = kept.map_or_else(
        || scratch.path().join("world"),
        |kept| kept.join(format!("{}-{}-{}", plan.scenario.name(), plan.seed, plan.spans)),
    );
    let truth = world(&plan, &folder).await?;
    // Answers are written to the lake: a copy, so that the next run finds it as this one did.
    let lake = scratch.path().join("lake");
    copy_all(&folder.join("lake"), &lake)?;
    let database = Database::open(&lake.display().to_string()).await?;
    if is_other(plan.scenario) {
        let answer = match plan.scenario {
            Scenario::LeakedCiKey => questions::leak(&database, &truth).await?,
            _ => questions::cost(&database, &truth).await?,
        };
        let miss = if answer.0 == Some(0) { Vec::new() } else { vec![answer.1] };
        return Ok(Case { scenario: plan.scenario, rank: answer.0, judged: Vec::new(), quiet: Vec::new(), miss });
    }
    let text = |key: &str| truth["incident"][key].as_str().unwrap_or_default();
    let call = format!(
        "attribute_incident('{}', timestamptz '{}', timestamptz '{}', '{}')",
        text("service_name"),
        text("t0"),
        text("t1"),
        text("signal")
    );
    let rows = ask(&database, &call).await?;
    let causes = truth["causes"].as_array().cloned().unwrap_or_default();
    let right = |row: &Row| {
        if causes.is_empty() {
            matches!(row.kind.as_str(), "load" | "none" | "service")
        } else {
            causes.iter().any(|cause| is_cause(row, cause))
        }
    };
    let rank = rows.iter().position(right);
    // What is said of a place is judged with its place: overload elsewhere is not the cause.
    let bottleneck = truth["note"].as_str().and_then(|note| note.split(' ').next()).unwrap_or_default();
    let there = |row: &Row| match causes.as_slice() {
        [] => row.service == bottleneck,
        causes => row.kind != "tenant" || causes.iter().any(|cause| cause["service_name"] == row.service.as_str()),
    };
    let judge = |row: &Row| Some((row.confidence?, right(row) && there(row)));
    let judged = rows.iter().take(JUDGED).filter_map(judge).collect();
    let mut miss = Vec::new();
    if rank != Some(0) {
        miss.push(format!("{} {} causes {}", text("service_name"), text("signal"), causes_in_short(&causes)));
        for (at, row) in rows.iter().enumerate().filter(|(at, _)| *at < 3 || Some(*at) == rank) {
            miss.push(format!("  {} {:.3} {} {} ({})", at + 1, row.score, row.kind, row.id, row.service));
            miss.extend(reasons(&database, &row.attribution).await?);
        }
    }
    let quiet = quiet(&database, &truth, &plan, windows).await?;
    Ok(Case { scenario: plan.scenario, rank, judged, quiet, miss })
}

fn causes_in_short(causes: &[Value]) -> String {
    let short = |cause: &Value| {
        let of = |key: &str| cause[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", of("kind"), of("service_name"), of("change_id"), of("subject"))
    };
    causes.iter().map(short).collect::<Vec<_>>().join(", ")
}

async fn reasons(database: &Database, attribution: &str) -> Outcome<Vec<String>> {
    let sql =
        format!("SELECT round(weight, 2)::text || ' ' || kind || ': ' || statement FROM evidence('{attribution}')");
    let mut reasons = Vec::new();
    for batch in database.sql(&sql).await.unwrap_or_default() {
        let column = datafusion::arrow::compute::cast(batch.column(0), &datafusion::arrow::datatypes::DataType::Utf8)?;
        let texts = column.as_any().downcast_ref::<datafusion::arrow::array::StringArray>().ok_or("not text")?;
        reasons.extend(texts.iter().flatten().map(|text| format!("       {text}")));
    }
    Ok(reasons)
}

/// Expected calibration error, and how many of those at .9 or above are right.
fn calibration(name: &str, cases: &[(f64, bool)]) {
    let sure: Vec<bool> = cases.iter().filter(|case| case.0 >= 0.9).map(|case| case.1).collect();
    println!(
        "{name}: {} judged, calibration error {:.3}; at .9 or above {} of {} right",
        cases.len(),
        confidence::calibration_error(cases),
        sure.iter().filter(|right| **right).count(),
        sure.len()
    );
}

fn summary(cases: &[Case]) {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut all = Tally::default();
    for case in cases {
        tallies.entry(case.scenario.name()).or_default().add(case.rank);
        all.add(case.rank);
    }
    for (scenario, tally) in tallies.iter().chain([(&"all", &all)]) {
        println!("{scenario}: {} incidents, top-1/3/5 {:?}", tally.cases, tally.top);
    }
    let firsts: Vec<(f64, bool)> = cases.iter().filter_map(|case| case.judged.first().copied()).collect();
    let judged: Vec<(f64, bool)> = cases.iter().flat_map(|case| case.judged.iter().copied()).collect();
    calibration("first causes", &firsts);
    calibration("all causes", &judged);
    let quiet: Vec<&Quiet> = cases.iter().flat_map(|case| &case.quiet).collect();
    let mut judged = judged;
    if !quiet.is_empty() {
        let firsts: Vec<(f64, bool)> = quiet.iter().filter_map(|quiet| quiet.judged.first().copied()).collect();
        let named: Vec<f64> = firsts.iter().filter(|first| !first.1).map(|first| first.0).collect();
        println!(
            "quiet windows: {}, of {} that is said first; another cause with at least .5, .75, .9: {:?}",
            quiet.len(),
            quiet.iter().filter(|quiet| quiet.right).count(),
            [0.5, 0.75, 0.9].map(|least| named.iter().filter(|sure| **sure >= least).count())
        );
        calibration("first answers about quiet windows", &firsts);
        judged.extend(quiet.iter().flat_map(|quiet| quiet.judged.iter().copied()));
        calibration("all together", &judged);
    }
    let used = confidence::CALIBRATION;
    let mixed = |of: &[(f64, bool)]| -> Vec<(f64, bool)> {
        of.iter().map(|&(said, right)| ((logit(said) - used.intercept) / used.slope, right)).collect()
    };
    let fitted: Calibration = confidence::fit(&mixed(&judged));
    println!(
        "curve in use {used:?}; fitted to these {fitted:?}, to the first causes {:?}",
        confidence::fit(&mixed(&firsts))
    );
}

/// Ask about every scenario with every seed.
pub async fn run(arguments: &[String]) -> Outcome<()> {
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (first, seeds, spans) = (number(0, 10_000)?, number(1, 3)?, number(2, 20_000)?);
    let mut names = arguments.get(3..).unwrap_or_default();
    let (mut kept, mut windows) = (None, 0);
    while let [flag, value, rest @ ..] = names
        && flag.starts_with("--")
    {
        match flag.as_str() {
            "--lakes" => kept = Some(PathBuf::from(value)),
            "--quiet" => windows = value.parse()?,
            _ => return Err(format!("unknown option {flag}").into()),
        }
        names = rest;
    }
    let chosen: Vec<Scenario> = if names.is_empty() {
        simulate::scenarios().to_vec()
    } else {
        names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?
    };
    let plans = (first..first + seeds)
        .flat_map(|seed| chosen.iter().map(move |&scenario| Plan { scenario, seed, spans, start: DEFAULT_START }));
    let mut cases = Vec::new();
    let mut answers = futures::stream::iter(plans.map(|plan| {
        let (kept, name) = (kept.clone(), format!("{} {}", plan.scenario.name(), plan.seed));
        async move { (name, tokio::spawn(incident(plan, kept, windows)).await) }
    }))
    .buffered(AT_ONCE);
    while let Some((name, answer)) = answers.next().await {
        match answer? {
            Ok(case) => {
                println!("{name}: rank {:?}", case.rank.map(|at| at + 1));
                case.miss.iter().for_each(|line| println!("    {line}"));
                for quiet in case.quiet.iter().filter(|quiet| !quiet.right) {
                    println!("    quiet: {}", quiet.told);
                }
                cases.push(case);
            }
            Err(error) => println!("{name}: {error}"),
        }
    }
    summary(&cases);
    Ok(())
}
