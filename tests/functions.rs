//! Every table function, and `owner_of`, as clients call them: by position and by name, as literals, expressions and
//! parameters, in both protocols; and what comes of wrong arguments.

use std::collections::{BTreeMap, BTreeSet};

use ascribe::model::Column;
use ascribe::simulate::{DEFAULT_START, Plan, Scenario};
use ascribe::table_functions::{self, ArgumentType, Signature};
use datafusion::arrow::datatypes::DataType;
use tokio_postgres::Client;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::company::{self, Company};
use crate::pgwire::{Fixture, one, simple};

/// The value of an argument, of the type that the function declares.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Text(String),
    /// RFC 3339.
    Time(String),
    /// Minutes.
    Interval(i64),
    Int(i64),
    /// Microseconds since PostgreSQL's epoch; the first and the last number are -infinity and infinity.
    Instant(i64),
}

use Given::{Instant, Int, Interval, Text, Time};

impl Given {
    /// As people write it: a time as a string.
    pub(crate) fn plain(&self) -> String {
        match self {
            Text(text) | Time(text) => format!("'{text}'"),
            Interval(minutes) => format!("interval '{minutes} minutes'"),
            Int(value) => value.to_string(),
            Instant(micros) => format!("timestamptz '2000-01-01T00:00:00Z' + interval '{micros} microseconds'"),
        }
    }

    /// With its type.
    fn typed(&self) -> String {
        match self {
            Time(time) => format!("timestamptz '{time}'"),
            Interval(minutes) => format!("'{minutes} minutes'::interval"),
            Int(value) => format!("{value}::bigint"),
            Text(_) => format!("{}::text", self.plain()),
            Instant(_) => self.plain(),
        }
    }

    /// Something that has to be computed first.
    fn computed(&self) -> String {
        match self {
            Text(text) => {
                let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
                format!("'{}' || '{}'", &text[..half], &text[half..])
            }
            Time(time) => {
                format!("timestamptz '{time}' - interval '1 hour' + (now() - (now() - interval '60 minutes'))")
            }
            Interval(minutes) => format!("interval '{} minutes' + interval '1 minute'", minutes - 1),
            Int(value) => format!("{} + 1", value - 1),
            Instant(_) => self.plain(),
        }
    }

    pub(crate) fn sql_type(&self) -> &'static str {
        match self {
            Text(_) => ArgumentType::Text.sql_name(),
            Time(_) | Instant(_) => ArgumentType::Time.sql_name(),
            Interval(_) => ArgumentType::Interval.sql_name(),
            Int(_) => ArgumentType::Int.sql_name(),
        }
    }

    fn micros(time: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp_micros()
    }
}

/// Microseconds between the Unix epoch and PostgreSQL's.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Given {
    fn to_sql(&self, kind: &Type, out: &mut bytes::BytesMut) -> Encoded {
        match self {
            Text(text) => text.to_sql(kind, out),
            Int(value) => value.to_sql(kind, out),
            Time(time) => {
                out.extend_from_slice(&(Self::micros(time) - POSTGRES_EPOCH).to_be_bytes());
                Ok(IsNull::No)
            }
            Instant(micros) => {
                out.extend_from_slice(&micros.to_be_bytes());
                Ok(IsNull::No)
            }
            Interval(minutes) => {
                out.extend_from_slice(&(minutes * 60_000_000).to_be_bytes());
                out.extend_from_slice(&[0; 8]);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut bytes::BytesMut) -> Encoded {
        let wanted = match self {
            Text(_) => Type::TEXT,
            Time(_) | Instant(_) => Type::TIMESTAMPTZ,
            Interval(_) => Type::INTERVAL,
            Int(_) => Type::INT8,
        };
        if *kind != wanted {
            return Err(format!("the server wants {kind} for {self:?}").into());
        }
        self.to_sql(kind, out)
    }
}

/// A value in the text format, as psycopg and JDBC send what they have no type for.
#[derive(Debug)]
struct Untyped(String);

impl ToSql for Untyped {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Encoded {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut bytes::BytesMut) -> Encoded {
        self.to_sql(kind, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
}

/// A null of whatever type is wanted.
#[derive(Debug)]
pub(crate) struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut bytes::BytesMut) -> Encoded {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut bytes::BytesMut) -> Encoded {
        self.to_sql(kind, out)
    }
}

/// A call that has an answer.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) function: &'static str,
    /// In the order of the signature, without gaps.
    pub(crate) arguments: Vec<(&'static str, Given)>,
}

fn case(function: &'static str, arguments: &[(&'static str, Given)]) -> Case {
    Case { function, arguments: arguments.to_vec() }
}

/// At least one call of every function, every argument given in one of them.
async fn cases(company: &Company) -> Vec<Case> {
    let text = |value: &str| Text(value.to_owned());
    let incident = |key: &str| company.truth["incident"][key].as_str().unwrap().to_owned();
    let (t0, t1) = (Time(incident("t0")), Time(incident("t1")));
    let start = Time(company.truth["window"]["start"].as_str().unwrap().to_owned());
    let end = Time(company.truth["window"]["end"].as_str().unwrap().to_owned());
    let service = Text(incident("service_name"));
    let change = text(company.truth["causes"][0]["change_id"].as_str().unwrap());
    let trace = Text(
        company
            .one("SELECT trace_id FROM spans WHERE status_code = 'ERROR' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
            .await,
    );
    let traced =
        format!("SELECT service_name FROM spans WHERE trace_id = {} AND parent_span_id IS NULL", trace.plain());
    let traced = Text(company.one(&traced).await);
    let operation = format!(
        "SELECT span_name FROM spans WHERE service_name = {} AND parent_span_id IS NULL \
         AND start_time >= {} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
        traced.plain(),
        start.typed()
    );
    let operation = Text(company.one(&operation).await);
    let event = "SELECT event_id FROM iam_events WHERE session_issuer_arn IN (SELECT issued_principal_arn FROM iam_events) \
                 OR principal_type = 'AssumedRole' ORDER BY event_time DESC LIMIT 1";
    let event = Text(company.one(event).await);
    let resource = "SELECT resource_ids[1] FROM iam_events WHERE principal_type = 'AssumedRole' \
                    AND event_name = 'UpdateService' AND event_time >= '2026-03-17T00:00:00Z' ORDER BY event_id LIMIT 1";
    let resource = Text(company.one(resource).await);
    let principal = format!(
        "SELECT principal_arn FROM iam_events WHERE event_name = 'UpdateService' AND resource_ids[1] = {} AND event_time >= '2026-03-17T00:00:00Z' ORDER BY event_id LIMIT 1",
        resource.plain()
    );
    let principal = Text(company.one(&principal).await);
    let incident_id = text(&incident("incident_id"));
    let attribution = format!("SELECT attribution_id FROM attribute_incident({}) WHERE rank = 1", incident_id.plain());
    let attribution = Text(company.one(&attribution).await);
    let (day, next) = (Time("2026-03-17T00:00:00Z".to_owned()), Time("2026-03-18T00:00:00Z".to_owned()));
    let window = [("t0", start.clone()), ("t1", end.clone())];
    let with = |more: &[(&'static str, Given)]| [&window[..], more].concat();
    let bill = [("rule_set", text("default")), ("t0", day.clone()), ("t1", next.clone())];
    let effective = [&bill[..], &[("cost", text("effective_cost"))]].concat();
    let calls = [("t0", day), ("t1", next)];
    let asked = [
        ("service", service.clone()),
        ("t0", t0),
        ("t1", t1),
        ("signal", text(&incident("signal"))),
        ("environment", text("prod")),
    ];
    vec![
        case("span_tree", &window),
        case("span_tree", &with(&[("service", traced.clone()), ("trace_id", trace.clone()), ("margin", Interval(5))])),
        case("trace_tree", &[("trace_id", trace.clone())]),
        case("critical_path", &[("trace_id", trace.clone())]),
        case("critical_path_stats", &window),
        case("critical_path_stats", &with(&[("service", traced), ("operation", operation), ("margin", Interval(5))])),
        case("service_dependencies", &window),
        case("service_dependencies", &with(&[("margin", Interval(5))])),
        case("error_origin", &[("trace_id", trace)]),
        case("error_origins", &window),
        case("error_origins", &with(&[("margin", Interval(5))])),
        case("allocate_cost", &bill),
        case("allocate_cost", &effective),
        case("allocation_check", &bill),
        case("allocation_check", &effective),
        case("assume_role_chain", &[("event_id", event)]),
        case("access_attribution", &calls),
        case("access_attribution", &[&calls[..], &[("resource", resource), ("principal", principal)]].concat()),
        case("version_changes", &window),
        case("version_changes", &with(&[("service", service.clone()), ("environment", text("prod"))])),
        case("recent_changes", &[("service", service.clone()), ("at", end.clone())]),
        case(
            "recent_changes",
            &[("service", service.clone()), ("at", end), ("lookback", Interval(300)), ("hops", Int(2))],
        ),
        case("attribute_incident", &[("incident_id", incident_id.clone())]),
        case("incident_services", &[("incident_id", incident_id.clone())]),
        case("incident_visits", &[("incident_id", incident_id)]),
        case("attribute_incident", &asked),
        case("incident_services", &asked),
        case("incident_visits", &asked),
        case("evidence", &[("attribution_id", attribution)]),
        case("deploy_impact", &[("change_id", change.clone())]),
        case("deploy_impact", &[("change_id", change), ("before", Interval(20)), ("after", Interval(4))]),
    ]
}

pub(crate) fn signature(name: &str) -> &'static Signature {
    table_functions::find(name).unwrap_or_else(|| panic!("{name} is not a table function")).signature()
}

/// Whoever registers a function or gives it a further argument has to say here how it is called.
fn nothing_is_forgotten(cases: &[Case]) {
    for function in table_functions::all() {
        let signature = function.signature();
        let given: BTreeSet<&str> = cases
            .iter()
            .filter(|case| case.function == signature.name)
            .flat_map(|case| case.arguments.iter().map(|(name, _)| *name))
            .collect();
        for argument in signature.arguments {
            let named = argument.names.iter().any(|name| given.contains(name));
            assert!(named, "tests/functions.rs has no call of {} with argument {}", signature.name, argument.names[0]);
        }
    }
}

fn select(case: &Case, arguments: &str) -> String {
    let text = |column: &Column| match (column.data_type)() {
        DataType::Map(..) => format!("map_keys({0})::text || map_values({0})::text", column.name),
        _ => format!("{}::text", column.name),
    };
    format!("SELECT {} FROM {}({arguments})", list(signature(case.function).columns.iter().map(text)), case.function)
}

pub(crate) fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

type Rows = Vec<Vec<String>>;

fn sorted(mut rows: Rows) -> Rows {
    rows.sort();
    rows
}

async fn extended(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Rows {
    let rows = client.query(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let cell = |row: &tokio_postgres::Row, at| row.get::<_, Option<String>>(at).unwrap_or_else(|| "NULL".to_owned());
    rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect()).collect()
}

/// The answers of all forms of a call, by form.
async fn answers(client: &Client, case: &Case) -> Vec<(&'static str, Rows)> {
    let arguments = &case.arguments;
    let named = |value: fn(&Given) -> String| {
        list(arguments.iter().rev().map(move |(name, given)| format!("{name} => {}", value(given))))
    };
    let positional = |value: fn(&Given) -> String| list(arguments.iter().map(|(_, given)| value(given)));
    let mut found = Vec::new();
    for (form, arguments) in [
        ("literals by position", positional(Given::plain)),
        ("literals by name", named(Given::plain)),
        ("typed literals by position", positional(Given::typed)),
        ("typed literals by name", named(Given::typed)),
        ("expressions by position", positional(Given::computed)),
        ("expressions by name", named(Given::computed)),
    ] {
        found.push((form, simple(client, &select(case, &arguments)).await));
    }
    let numbered = || (0..arguments.len()).map(|at| (&arguments[at], at + 1));
    let parameters: Vec<&(dyn ToSql + Sync)> = arguments.iter().map(|(_, given)| given as _).collect();
    for (form, arguments) in [
        ("parameters by position", list(numbered().map(|(_, at)| format!("${at}")))),
        ("parameters by name", list(numbered().rev().map(|((name, _), at)| format!("{name} => ${at}")))),
        ("cast parameters", list(numbered().map(|((_, given), at)| format!("${at}::{}", given.sql_type())))),
    ] {
        found.push((form, extended(client, &select(case, &arguments), &parameters).await));
    }
    let untyped: Vec<Untyped> = arguments
        .iter()
        .map(|(_, given)| match given {
            Text(text) | Time(text) => Untyped(text.clone()),
            Interval(minutes) => Untyped(format!("{minutes} minutes")),
            Int(value) | Instant(value) => Untyped(value.to_string()),
        })
        .collect();
    let untyped: Vec<&(dyn ToSql + Sync)> = untyped.iter().map(|value| value as _).collect();
    let sql = select(case, &list(numbered().map(|((name, _), at)| format!("{name} => ${at}"))));
    found.push(("parameters as text", extended(client, &sql, &untyped).await));
    let (first, rest) = (&arguments[0], &arguments[1..]);
    let mixed = rest.iter().zip(1..).map(|((name, _), at)| format!("{name} => ${at}"));
    let sql = select(case, &list(std::iter::once(first.1.typed()).chain(mixed)));
    found.push(("a literal, then parameters by name", extended(client, &sql, &parameters[1..]).await));
    found
}

pub(crate) async fn served() -> (Fixture, Vec<Case>) {
    let plan = Plan { scenario: Scenario::BadDeploy, seed: 3, spans: 1500, start: DEFAULT_START };
    let company = company::land(&plan, &[]).await;
    let cases = cases(&company).await;
    nothing_is_forgotten(&cases);
    (Fixture::over(company.folder, company.database).await, cases)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_answers_the_same_however_it_is_called() {
    let (fixture, cases) = served().await;
    let client = fixture.connect().await;
    let mut whole = BTreeMap::new();
    for case in &cases {
        let answers = answers(&client, case).await;
        let (_, first) = &answers[0];
        assert!(!first.is_empty(), "{case:?} has no answer");
        for (form, rows) in &answers {
            assert_eq!(sorted(rows.clone()), sorted(first.clone()), "{} with {form}", case.function);
        }
        let arguments = list(case.arguments.iter().map(|(_, given)| given.plain()));
        let starred = simple(&client, &format!("SELECT * FROM public.{}({arguments}) AS t", case.function)).await;
        assert_eq!(starred.len(), first.len(), "{}", case.function);
        assert_eq!(starred[0].len(), signature(case.function).columns.len());
        whole.entry(case.function).or_insert_with(|| first.len());
    }
    // Every name of an argument means the same.
    for case in &cases {
        let signature = signature(case.function);
        for (at, argument) in signature.arguments.iter().enumerate().take(case.arguments.len()) {
            for name in argument.names {
                let arguments = case.arguments.iter().enumerate().map(|(other, (known, given))| {
                    format!("{} => {}", if other == at { name } else { known }, given.plain())
                });
                let sql = format!("SELECT count(*) FROM {}({})", case.function, list(arguments));
                assert_ne!(one(&client, &sql).await, "0", "{sql}");
            }
        }
    }
    assert_eq!(whole.len(), table_functions::all().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_of_answers_the_same_however_it_is_called() {
    let (fixture, _) = served().await;
    let client = fixture.connect().await;
    let entity = simple(
        &client,
        "SELECT entity, owner FROM ownership WHERE entity_kind = 'service' AND valid_to IS NULL ORDER BY weight DESC, 1 LIMIT 1",
    )
    .await
    .remove(0);
    let arguments = [
        ("kind", Text("service".to_owned())),
        ("entity", Text(entity[0].clone())),
        ("at", Time("2026-03-20T00:00:00Z".to_owned())),
    ];
    let mut found = Vec::new();
    for value in [Given::plain, Given::typed, Given::computed] {
        let positional = list(arguments.iter().map(|(_, given)| value(given)));
        let named = list(arguments.iter().rev().map(|(name, given)| format!("{name} => {}", value(given))));
        for arguments in [positional, named] {
            found.push(one(&client, &format!("SELECT owner_of({arguments})")).await);
        }
    }
    let parameters: Vec<&(dyn ToSql + Sync)> = arguments.iter().map(|(_, given)| given as _).collect();
    for sql in [
        "SELECT owner_of($1, $2, $3)",
        "SELECT owner_of(kind => $1, at => $3, entity => $2)",
        "SELECT owner_of($1::text, $2::text, $3::timestamptz)",
        "SELECT owner_of($1, e, $3) FROM (VALUES ($2::text)) AS t(e)",
    ] {
        found.push(extended(&client, sql, &parameters).await.remove(0).remove(0));
    }
    assert_eq!(found, vec![entity[1].clone(); found.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_functions_of_values_run() {
    let (fixture, _) = served().await;
    let client = fixture.connect().await;
    let examples = simple(
        &client,
        "SELECT function_name, example FROM system.functions WHERE kind <> 'table' AND function_name <> 'owner_of'",
    )
    .await;
    assert!(examples.len() > 15, "{examples:?}");
    for example in examples {
        assert!(example[1].trim_end().ends_with(';'), "{example:?}");
        let rows = simple(&client, &example[1]).await;
        assert!(!rows.is_empty(), "{example:?}");
    }
}
