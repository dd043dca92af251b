//! What is asked of the functions about incidents: a service and a window, or an incident that names both.

use datafusion::common::ScalarValue;

use super::metrics;
use super::rows::{literal, text_at, texts, time_at, time_literal, times};
use crate::attribution::detectors::Signal;
use crate::error::{Result, UserError};
use crate::table_functions::{Argument, ArgumentType, Call, timestamp};

/// The arguments of the functions about incidents, of which [`asked`] makes a question.
pub(in crate::table_functions) static ARGUMENTS: [Argument; 5] = [
    Argument {
        names: &["incident_id", "service", "incident", "service_name"],
        kind: ArgumentType::Text,
        required: true,
        doc: "Id of a row of incidents; with t0 and t1, the service that alerted.",
    },
    Argument { names: &["t0", "from"], kind: ArgumentType::Time, required: false, doc: "Begin of the incident." },
    Argument { names: &["t1", "to"], kind: ArgumentType::Time, required: false, doc: "End of the incident." },
    Argument {
        names: &["signal"],
        kind: ArgumentType::Text,
        required: false,
        doc: "What was noticed: latency, errors or any; default: what the incident says, else any.",
    },
    Argument {
        names: &["environment"],
        kind: ArgumentType::Text,
        required: false,
        doc: "Only what happened in this environment (or names none); default: that of the incident, else all.",
    },
];

/// Microseconds in a second.
pub(in crate::table_functions) const SECOND: i64 = 1_000_000;

/// What is asked about.
#[derive(Debug, Clone)]
pub(in crate::table_functions) struct Question {
    /// Service that alerted.
    pub service: String,
    /// Its environment, if the incident names one.
    pub environment: Option<String>,
    /// Begin of the incident, microseconds.
    pub from: i64,
    /// End of the incident, microseconds.
    pub to: i64,
    /// What was noticed.
    pub signal: Signal,
}

impl Question {
    pub(super) fn environment_filter(&self) -> &'static str {
        if self.environment.is_some() { " AND coalesce(environment, $environment) = $environment" } else { "" }
    }

    /// The same condition without a parameter.
    pub(super) fn environment_literal(&self) -> String {
        self.environment.as_ref().map_or_else(String::new, |environment| {
            self.environment_filter().replace("$environment", &literal(environment))
        })
    }

    pub(super) fn parameters(&self, from: i64, to: i64) -> Vec<(&'static str, ScalarValue)> {
        let mut parameters = vec![("from", timestamp(from)), ("to", timestamp(to))];
        if let Some(environment) = &self.environment {
            parameters.push(("environment", ScalarValue::Utf8(Some(environment.clone()))));
        }
        parameters
    }

    /// The arguments that ask the same.
    pub(super) fn arguments(&self) -> String {
        let mut text = format!("{}, {}, {}", literal(&self.service), time_literal(self.from), time_literal(self.to));
        let signal = match self.signal {
            Signal::Any => "any",
            Signal::Latency => "latency",
            Signal::Errors => "errors",
        };
        text.push_str(&format!(", {}", literal(signal)));
        if let Some(environment) = &self.environment {
            text.push_str(&format!(", {}", literal(environment)));
        }
        text
    }
}

fn signal(call: &Call, text: Option<&str>) -> Result<Signal> {
    let name = text.unwrap_or_default().to_ascii_lowercase();
    let hint = match name.as_str() {
        "" | "any" => return Ok(Signal::Any),
        "latency" => return Ok(Signal::Latency),
        "errors" | "error" | "availability" => return Ok(Signal::Errors),
        "cost" => {
            "allocate_cost(rule_set, t0, t1) tells whose the cost is, its sums of two periods what grew, and \
             recent_changes(service, t1, '1 day') what was changed before; with signal => 'any' what the telemetry of the time shows is compared all the same"
        }
        "security" => {
            "access_attribution(t0, t1) tells who was behind each access; with signal => 'any' what the telemetry of \
             the time shows is compared all the same"
        }
        _ => {
            return Err(UserError::invalid(format!("{}: unknown signal {name}", call.name()))
                .hint("latency, errors or any")
                .into());
        }
    };
    Err(UserError::invalid(format!(
        "{}: durations and failures do not tell what caused trouble with {name}",
        call.name()
    ))
    .hint(hint)
    .into())
}

/// The question that a call asks, and what the answer is filed under.
///
/// # Errors
/// When there is no such incident, or nothing is known of the service in the window.
pub(in crate::table_functions) async fn asked(call: &Call) -> Result<(Question, String)> {
    let Some(name) = call.text(0).filter(|name| !name.is_empty()) else {
        return Err(UserError::invalid(format!("{}: the first argument is null or empty", call.name()))
            .hint("give the id of an incident, or a service and a window")
            .into());
    };
    if call.time(1).is_none() && call.time(2).is_none() {
        return incident(call, name).await;
    }
    let (from, to) = call.window(1, 2)?;
    if from == to {
        return Err(UserError::invalid(format!("{}: the window is empty", call.name())).hint("t1 is exclusive").into());
    }
    // Spans and evidence count nanoseconds since 1970, which ends there.
    if from < i64::MIN / 1000 || to > i64::MAX / 1000 {
        return Err(UserError::invalid(format!("{}: the window is out of range", call.name()))
            .hint("give times between 1678 and 2261")
            .into());
    }
    let environment = call.text(4).map(str::to_owned);
    let signal = signal(call, call.text(3))?;
    let question = Question { service: name.to_owned(), environment, from, to, signal };
    known_service(call, &question).await?;
    Ok((question, format!("{name} {from} {to}")))
}

async fn known_service(call: &Call, question: &Question) -> Result<()> {
    let Question { service, from, to, .. } = question;
    let mut parameters = question.parameters(*from, *to);
    parameters.retain(|(name, _)| *name == "environment");
    parameters.push(("service", ScalarValue::Utf8(Some(service.clone()))));
    let sql = format!(
        "SELECT min(start_time), max(start_time) FROM spans WHERE service_name = $service{}",
        question.environment_filter()
    );
    let mut seen = None;
    for batch in call.collect(&sql, parameters).await? {
        let (first, last) = (times(&batch, 0)?, times(&batch, 1)?);
        seen = seen.or(time_at(&first, 0).zip(time_at(&last, 0)));
    }
    if seen.is_some_and(|(first, last)| last >= *from && first < *to) || metrics::known(call, question).await? {
        return Ok(());
    }
    let place =
        question.environment.as_ref().map_or_else(String::new, |environment| format!(" in environment {environment}"));
    let Some((first, last)) = seen else {
        return Err(UserError::invalid(format!("{}: no spans of a service named {service}{place}", call.name()))
            .detail("There are no metrics of its requests in the window either.")
            .hint("SELECT DISTINCT service_name, environment FROM spans shows the services that there are")
            .into());
    };
    let show = |at: i64| chrono::DateTime::from_timestamp_micros(at).map_or_else(String::new, |t| t.to_rfc3339());
    Err(UserError::invalid(format!("{}: no spans of {service} in the window", call.name()))
        .detail(format!("There are spans of it from {} to {}.", show(first), show(last)))
        .hint("look at the window, and at the time zone of its literals")
        .into())
}

/// How long an incident without an end is taken to last.
const OPEN_INCIDENT: i64 = 1800 * SECOND;

async fn incident(call: &Call, id: &str) -> Result<(Question, String)> {
    let sql = "SELECT service_name, environment, started_at, detected_at, resolved_at, signal FROM incidents \
               WHERE incident_id = $id ORDER BY ingested_at DESC LIMIT 1";
    let batches = call.collect(sql, vec![("id", ScalarValue::Utf8(Some(id.to_owned())))]).await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Err(UserError::invalid(format!("{}: there is no incident {id}", call.name()))
            .detail("Looked for that incident_id in the table incidents.")
            .hint(
                "SELECT incident_id, title FROM incidents lists them; or ask with a service and a window: \
                   attribute_incident(service, t0, t1)",
            )
            .into());
    };
    let (services, environments) = (texts(batch, 0)?, texts(batch, 1)?);
    let (started, detected, resolved) = (times(batch, 2)?, times(batch, 3)?, times(batch, 4)?);
    let signals = texts(batch, 5)?;
    let (Some(service), Some(from)) = (text_at(&services, 0), time_at(&started, 0).or_else(|| time_at(&detected, 0)))
    else {
        return Err(UserError::invalid(format!("{}: incident {id} names no service or no start", call.name()))
            .hint("set service_name and started_at in the table incidents")
            .into());
    };
    let now = call.lake()?.clock().now_micros();
    let to = time_at(&resolved, 0).unwrap_or_else(|| now.min(from.saturating_add(OPEN_INCIDENT)));
    let question = Question {
        service: service.to_owned(),
        environment: call.text(4).or_else(|| text_at(&environments, 0)).map(str::to_owned),
        from,
        to: to.max(from + 1),
        signal: signal(call, call.text(3).or_else(|| text_at(&signals, 0)))?,
    };
    known_service(call, &question).await?;
    Ok((question, id.to_owned()))
}
