//! `ascribe demo`: a simulated incident and real traces, four questions with their SQL, then a server to ask more.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ascribe::Database;
use ascribe::config::{Config, DEFAULT_LISTEN};
use ascribe::error::{Result, UserError, sqlstate};
use ascribe::ingest::{self, Options, Progress};
use ascribe::server::http::Receive;
use ascribe::simulate::{self, Plan, Scenario};
use ascribe::storage::Lake;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::context::SessionContext;

use super::Ended;
use super::format::Format;
use super::simulate::{generate, land};
use super::sql::run_all;

/// Where the demo's lake is unless told otherwise.
const DEMO_LAKE: &str = "./ascribe-demo";

const SEED: u64 = 52;
const SPANS: u64 = 40_000;

const REAL_TRACES: &[u8] = include_bytes!("../../data/demo/trainticket-traces.otlp.jsonl.gz");

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// A directory, or an s3://, gs:// or az:// URL
    #[arg(long, value_name = "URL", default_value = DEMO_LAKE)]
    lake: String,
    /// Answer the questions and end
    #[arg(long)]
    no_serve: bool,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: String,
}

impl Demo {
    pub(super) async fn run(self) -> Ended {
        let lake = Lake::open(&self.lake, &Config::default())?;
        println!("Landing a simulated company and real TrainTicket traces in {} …", self.lake);
        land_all(&lake).await?;
        let database = Database::over(lake, Config::default())?;
        let session = database.new_session()?;
        for question in questions(&session).await? {
            println!("\n{}\n\n{}\n", question.text, question.sql);
            run_all(&session, &question.sql, Format::Table).await?;
        }
        if self.no_serve {
            return Ok(ExitCode::SUCCESS);
        }
        let nothing = Receive { http: None, grpc: None, ..Receive::default() };
        super::serve::serve(
            database,
            super::serve::Security::default().settings(&self.listen)?,
            nothing,
            super::serve::Background::default(),
        )
        .await
    }
}

async fn land_all(lake: &Arc<Lake>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan { scenario: Scenario::BadDeploy, seed: SEED, spans: SPANS, start: simulate::DEFAULT_START };
    generate(&plan, folder.path()).await?;
    land(lake, folder.path(), false).await?;
    let traces: PathBuf = folder.path().join("trainticket.jsonl.gz");
    std::fs::File::create(&traces)?.write_all(REAL_TRACES)?;
    let otlp = ingest::find("otlp").ok_or_else(|| UserError::new(sqlstate::INTERNAL, "there is no source otlp"))?;
    let paths = [traces.display().to_string()];
    ingest::import(lake, otlp, &paths, &Options::default(), &Arc::<Progress>::default()).await?;
    Ok(())
}

struct Question {
    text: String,
    sql: String,
}

/// The questions, about what is in the lake.
async fn questions(session: &SessionContext) -> Result<Vec<Question>> {
    let incident = one(
        session,
        "SELECT incident_id, service_name FROM incidents WHERE service_name IS NOT NULL ORDER BY started_at LIMIT 1",
    )
    .await?;
    let [incident, service] = incident.as_slice() else { return Err(nothing("incident")) };
    let month = one(
        session,
        "SELECT date_trunc('month', max(charge_period_start)), date_trunc('month', max(charge_period_start)) + interval '1 month'
         FROM costs",
    )
    .await?;
    let [month_start, month_end] = month.as_slice() else { return Err(nothing("bill")) };
    // Somebody with a role that was taken on through another one.
    let access = one(
        session,
        "SELECT e.event_id, e.event_name FROM iam_events e
         WHERE e.principal_type = 'AssumedRole' AND e.outcome = 'success' AND NOT coalesce(e.read_only, false)
           AND e.session_issuer_arn IN (SELECT issued_principal_arn FROM iam_events)
         ORDER BY e.event_time DESC LIMIT 1",
    )
    .await?;
    let access = if access.len() == 2 {
        access
    } else {
        one(
            session,
            "SELECT event_id, event_name FROM iam_events WHERE principal_type = 'AssumedRole' ORDER BY event_time DESC LIMIT 1",
        )
        .await?
    };
    let [event, operation] = access.as_slice() else { return Err(nothing("audit event")) };
    let trace = one(
        session,
        "SELECT trace_id FROM spans WHERE service_namespace = 'train-ticket' AND parent_span_id IS NULL
         ORDER BY duration_nano DESC, trace_id LIMIT 1",
    )
    .await?;
    let [trace] = trace.as_slice() else { return Err(nothing("trace")) };
    Ok(vec![
        Question {
            text: format!("1. Incident {incident}: {service} is in trouble. Which deploy did it, and whose is it?"),
            sql: format!(
                "SELECT rank, cause_kind, cause_id, service_name, owner, lead_time, round(confidence, 3) AS confidence\n\
                 FROM attribute_incident('{incident}')\nORDER BY rank\nLIMIT 5;"
            ),
        },
        Question {
            text: "2. Where did the money of the month go, and does it add up?".to_owned(),
            sql: money(month_start, month_end),
        },
        Question {
            text: format!("3. A role made the call {operation}. Who was behind it?"),
            sql: format!(
                "SELECT hop, principal_arn, session_name, source_identity, link, is_origin\n\
                 FROM assume_role_chain('{event}')\nORDER BY hop;"
            ),
        },
        Question {
            text: "4. What did the slowest real TrainTicket request spend its time on?".to_owned(),
            sql: format!(
                "SELECT service_name, span_name, sum(self_nano) / 1000000 AS milliseconds, round(sum(share), 3) AS share\n\
                 FROM critical_path('{trace}')\nGROUP BY service_name, span_name\nORDER BY share DESC\nLIMIT 8;"
            ),
        },
    ])
}

/// Who pays how much, what of it is a part of something shared, and whether all parts sum to the bill.
fn money(month_start: &str, month_end: &str) -> String {
    let window = format!("'{}', '{month_start}', '{month_end}'", simulate::RULE_SET);
    format!(
        "SELECT owner, billing_currency, sum(allocated_cost) AS cost,\n       \
         sum(allocated_cost) FILTER (WHERE method = 'demand') AS by_traced_demand,\n       \
         sum(allocated_cost) FILTER (WHERE method NOT IN ('direct', 'demand')) AS otherwise_shared\n\
         FROM allocate_cost({window})\nGROUP BY owner, billing_currency\nORDER BY cost DESC;\n\n\
         SELECT billing_currency, count(*) AS charges, sum(origin_cost) AS billed, sum(allocated_cost) AS allocated,\n       \
         count(*) FILTER (WHERE residual <> 0) AS charges_that_do_not_add_up\n\
         FROM allocation_check({window})\nGROUP BY billing_currency\nORDER BY billing_currency;"
    )
}

fn nothing(what: &str) -> ascribe::error::Error {
    UserError::new(sqlstate::INTERNAL, format!("the demo's lake has no {what}")).into()
}

/// The first row of a statement, as text.
async fn one(session: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = session.sql(sql).await?.collect().await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(Vec::new()) };
    let cells = batch.columns().iter().map(|column| {
        let text = cast(column, &DataType::Utf8)?;
        Ok(text.as_string::<i32>().value(0).to_owned())
    });
    cells.collect()
}
