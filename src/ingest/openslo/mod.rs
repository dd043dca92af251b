//! OpenSLO documents, `openslo/v1` and `openslo/v1alpha`. Lands in `slos`.
//!
//! An SLO with one objective is one row by its name; with several, one row an objective, named `slo/objective`. An
//! indicator that is referred to is looked up among the SLI documents of the same file. Data sources, services, alert
//! policies, conditions and targets are understood and have no row.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{self, scalar, text};
use super::json_records::Reason;
use super::{Input, Output, Source, yaml};
use crate::error::Result;
use crate::model::Attributes;
use crate::model::ownership::SloRow;

/// The source `openslo`.
#[derive(Debug)]
pub struct OpenSlo;

impl Source for OpenSlo {
    fn name(&self) -> &'static str {
        "openslo"
    }

    fn doc(&self) -> &'static str {
        "OpenSLO v1 and v1alpha documents into slos"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let documents = yaml::documents(input.reader, output)?;
        let of_kind = |kind: &'static str| {
            let named = documents.iter().filter(move |document| text(document, &["kind"]) == Some(kind));
            named.filter_map(|document| Some((text(document, &["metadata", "name"])?, document))).collect()
        };
        let file = File { indicators: of_kind("SLI"), services: of_kind("Service") };
        for document in &documents {
            match file.rows(document) {
                Ok(rows) => rows.iter().for_each(|row| output.slos.push(row)),
                Err(reason) => output.reject(&reason, &document.to_string()),
            }
        }
        output.checkpoint()
    }
}

/// Documents that others refer to.
struct File<'v> {
    indicators: BTreeMap<&'v str, &'v Value>,
    services: BTreeMap<&'v str, &'v Value>,
}

impl<'v> File<'v> {
    fn rows(&self, document: &'v Value) -> Result<Vec<SloRow<'v>>, Reason> {
        let version = text(document, &["apiVersion"]).ok_or("apiVersion is missing")?;
        if !version.starts_with("openslo/") && !version.starts_with("openslo.com/") {
            return Err("the document is not OpenSLO".into());
        }
        match text(document, &["kind"]).ok_or("kind is missing")? {
            "SLO" => {}
            "SLI" | "Service" | "DataSource" | "AlertPolicy" | "AlertCondition" | "AlertNotificationTarget" => {
                return Ok(Vec::new());
            }
            _ => return Err("kind of document not used".into()),
        }
        let name = text(document, &["metadata", "name"]).ok_or("metadata.name is missing")?;
        let objectives = json::at(document, &["spec", "objectives"]).and_then(Value::as_array);
        let objectives = objectives.filter(|list| !list.is_empty()).ok_or("spec.objectives is empty")?;
        let base = self.base(document);
        let rows = objectives.iter().enumerate().map(|(at, objective)| {
            let mut row = base.clone();
            let label = text(objective, &["displayName"]).map_or_else(|| (at + 1).to_string(), str::to_owned);
            let alone = objectives.len() == 1;
            row.slo = Some(if alone { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}/{label}")) });
            row.target = Some(target(objective)?);
            self.add_filters(document, objective, &mut row);
            Ok(row)
        });
        rows.collect()
    }

    /// What the rows of all objectives of an SLO have.
    fn base(&self, document: &'v Value) -> SloRow<'v> {
        let service = text(document, &["spec", "service"]);
        let of_service = || owner(self.services.get(service?)?);
        SloRow {
            service_name: service.map(Cow::Borrowed),
            window: window(document),
            budgeting_method: text(document, &["spec", "budgetingMethod"]).map(Cow::Borrowed),
            owner: owner(document).or_else(of_service).map(Cow::Borrowed),
            labels: labels(document),
            ..SloRow::default()
        }
    }

    fn add_filters(&self, document: &'v Value, objective: &'v Value, row: &mut SloRow<'v>) {
        let spec = &document["spec"];
        let named = text(objective, &["indicatorRef"]).or_else(|| text(spec, &["indicatorRef"]));
        let inline = json::at(objective, &["indicator"]).or_else(|| json::at(spec, &["indicator"]));
        let indicator = inline.or_else(|| self.indicators.get(named?).copied());
        row.indicator =
            inline.and_then(|inline| text(inline, &["metadata", "name"])).or(named).map(Cow::Borrowed).or_else(|| {
                json::at(objective, &["ratioMetrics"]).or(inline).map(|inline| Cow::Owned(inline.to_string()))
            });
        let definition = indicator.map(|indicator| json::at(indicator, &["spec"]).unwrap_or(indicator));
        // v1 has ratioMetric in the indicator, v1alpha ratioMetrics in the objective.
        let ratio = json::at(objective, &["ratioMetrics"])
            .or_else(|| definition.and_then(|definition| json::at(definition, &["ratioMetric"])));
        if let Some(ratio) = ratio {
            let query = |name: &str| json::at(ratio, &[name]).and_then(query_of);
            row.good_filter = query("good")
                .or_else(|| query("bad").map(|bad| Cow::Owned(format!("NOT ({bad})"))))
                .or_else(|| query("raw"));
            row.total_filter = query("total");
        } else if let Some(threshold) = definition.and_then(|definition| json::at(definition, &["thresholdMetric"])) {
            let all = query_of(threshold);
            row.good_filter = match (&all, operator(objective), scalar(objective, &["value"])) {
                (Some(all), Some(operator), Some(value)) => Some(Cow::Owned(format!("{all} {operator} {value}"))),
                _ => all.clone(),
            };
            row.total_filter = all;
        }
    }
}

/// The query of a metric: its text, or all that its source needs as JSON.
fn query_of(metric: &Value) -> Option<Cow<'_, str>> {
    let spec = json::at(metric, &["metricSource", "spec"]).unwrap_or(metric);
    text(spec, &["query"]).map(Cow::Borrowed).or_else(|| Some(Cow::Owned(spec.to_string())))
}

fn operator(objective: &Value) -> Option<&str> {
    Some(match text(objective, &["op"])? {
        "lt" => "<",
        "lte" => "<=",
        "gt" => ">",
        "gte" => ">=",
        other => other,
    })
}

/// The target ratio of an objective.
fn target(objective: &Value) -> Result<f64, Reason> {
    let number = |name: &str| json::at(objective, &[name]).and_then(Value::as_f64);
    let ratio = number("target").or_else(|| number("targetPercent").map(|percent| percent / 100.0));
    let ratio = ratio.ok_or("an objective has no target")?;
    if ratio > 0.0 && ratio < 1.0 { Ok(ratio) } else { Err("a target is not between 0 and 1".into()) }
}

/// v1 writes a duration (`28d`), v1alpha a count and a unit.
fn window(document: &Value) -> Option<Cow<'_, str>> {
    let windows = ["timeWindow", "timeWindows"].iter().find_map(|name| json::at(document, &["spec", name]))?;
    let window = windows.get(0).unwrap_or(windows);
    if let Some(duration) = text(window, &["duration"]) {
        return Some(Cow::Borrowed(duration));
    }
    let unit = match text(window, &["unit"])? {
        "Second" => "s",
        "Minute" => "m",
        "Hour" => "h",
        "Day" => "d",
        "Week" => "w",
        "Month" => "M",
        "Quarter" => "Q",
        "Year" => "Y",
        other => other,
    };
    Some(Cow::Owned(format!("{}{unit}", scalar(window, &["count"])?)))
}

fn owner(document: &Value) -> Option<&str> {
    yaml::annotation(document, &["owner", "team"])
}

fn labels(document: &Value) -> Attributes<'_> {
    let places = ["annotations", "labels"].iter().filter_map(|place| json::at(document, &["metadata", place]));
    places.flat_map(json::attributes).collect()
}
