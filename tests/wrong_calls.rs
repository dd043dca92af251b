//! What comes of a wrong call of each table function: a clear error with its code and a hint, or an empty answer that is
//! right; and the connection goes on.

use ascribe::table_functions::ArgumentType;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;
use tokio_postgres::types::ToSql;

use crate::functions::{Case, Given, Null, list, served, signature};
use crate::pgwire::{code, one, simple};

/// What has to come of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    /// An error with this code, and a hint.
    Error(&'static str),
    /// No row.
    Empty,
    /// Rows.
    Rows,
}

use Outcome::{Empty, Error, Rows};

const NO_SUCH_CALL: &str = "42883";
const WRONG_VALUE: &str = "22023";
const NOT_A_TIME: &str = "22007";
const NOT_A_NUMBER: &str = "22P02";

/// Every call of the table is made; what was not as expected is listed at the end.
struct Judge<'c> {
    client: &'c Client,
    failures: Vec<String>,
}

impl Judge<'_> {
    async fn simple(&mut self, sql: &str, expected: Outcome) {
        let found = self.client.simple_query(sql).await;
        let rows = found.map(|messages| {
            messages.iter().filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_))).count()
        });
        self.judge(sql, rows, expected).await;
    }

    async fn extended(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)], expected: Outcome) {
        let found = self.client.query(sql, parameters).await.map(|rows| rows.len());
        self.judge(&format!("{sql} with {parameters:?}"), found, expected).await;
    }

    async fn judge(&mut self, call: &str, found: Result<usize, tokio_postgres::Error>, expected: Outcome) {
        let as_expected = match (&found, expected) {
            (Ok(rows), Empty) => *rows == 0,
            (Ok(rows), Rows) => *rows > 0,
            (Err(error), Error(code)) => error.as_db_error().is_some_and(|error| clear(error, code)),
            _ => false,
        };
        if !as_expected {
            self.failures.push(format!("{call}: {expected:?} was expected, not {found:?}"));
        }
        assert_eq!(one(self.client, "SELECT 1").await, "1", "the connection goes on after {call}");
    }

    fn end(self) {
        assert!(self.failures.is_empty(), "{} calls\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

fn clear(error: &DbError, code: &str) -> bool {
    error.code().code() == code && error.hint().is_some_and(|hint| !hint.is_empty()) && !error.message().contains("::")
}

/// The call with one argument replaced by SQL.
fn with(case: &Case, at: usize, sql: &str) -> String {
    let arguments = case.arguments.iter().enumerate();
    let named = arguments.map(|(other, (name, given))| {
        format!("{name} => {}", if other == at { sql.to_owned() } else { given.plain() })
    });
    format!("SELECT * FROM {}({})", case.function, list(named))
}

/// Functions that are asked for an incident or for a window.
fn of_incidents(function: &str) -> bool {
    ["attribute_incident", "incident_services", "incident_visits"].contains(&function)
}

/// The fullest call of each function.
fn fullest(cases: &[Case]) -> Vec<&Case> {
    let mut found: Vec<&Case> = Vec::new();
    for case in cases {
        match found.iter_mut().find(|known| known.function == case.function) {
            Some(known) if known.arguments.len() < case.arguments.len() => *known = case,
            Some(_) => {}
            None => found.push(case),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_explained() {
    let (fixture, cases) = served().await;
    let client = fixture.connect().await;
    let mut judge = Judge { client: &client, failures: Vec::new() };
    for case in fullest(&cases) {
        let function = case.function;
        let given = list(case.arguments.iter().map(|(_, given)| given.plain()));
        for (arguments, expected) in [
            (String::new(), Error(NO_SUCH_CALL)),
            (format!("{given}, NULL, NULL, 'x', 1, 2, 3"), Error(NO_SUCH_CALL)),
            ("nonsense => 1".to_owned(), Error(NO_SUCH_CALL)),
            (format!("{given}, {} => NULL", case.arguments[0].0), Error(NO_SUCH_CALL)),
            (format!("{} => NULL, 'x'", case.arguments[0].0), Error(NO_SUCH_CALL)),
            ("*".to_owned(), Error(NO_SUCH_CALL)),
            ("(SELECT service_name FROM spans), 1, 2, 3, 4, 5, 6, 7, 8".to_owned(), Error(NO_SUCH_CALL)),
        ] {
            judge.simple(&format!("SELECT * FROM {function}({arguments})"), expected).await;
        }
        for (at, (name, given)) in case.arguments.iter().enumerate() {
            let argument = signature(function).arguments.iter().find(|argument| argument.names.contains(name)).unwrap();
            // The form with a window needs both of its ends.
            let needed = argument.required || (of_incidents(function) && matches!(given, Given::Time(_)));
            if needed {
                judge.simple(&with(case, at, "NULL"), Error(WRONG_VALUE)).await;
                judge.extended(&with(case, at, "$1"), &[&Null], Error(WRONG_VALUE)).await;
            }
            let wrong: &[(&str, &str)] = match argument.kind {
                ArgumentType::Time => &[
                    ("'yesterday-ish'", NOT_A_TIME),
                    ("''", NOT_A_TIME),
                    ("5", NO_SUCH_CALL),
                    ("true", NO_SUCH_CALL),
                    ("interval '1 day'", NO_SUCH_CALL),
                ],
                ArgumentType::Interval => {
                    &[("'an hour'", NOT_A_TIME), ("60", NO_SUCH_CALL), ("interval '-1 minute'", WRONG_VALUE)]
                }
                ArgumentType::Int => {
                    &[("'two'", NOT_A_NUMBER), ("1.5", NO_SUCH_CALL), ("true", NO_SUCH_CALL), ("-1", WRONG_VALUE)]
                }
                ArgumentType::Double => &[("'two'", NOT_A_NUMBER), ("true", NO_SUCH_CALL)],
                ArgumentType::Text => &[("ARRAY['a', 'b']", NO_SUCH_CALL), ("interval '1 day'", NO_SUCH_CALL)],
            };
            for (sql, code) in wrong {
                judge.simple(&with(case, at, sql), Error(code)).await;
            }
        }
    }
    judge.end();
}

/// What an unknown value of each text argument gives. A value that names a thing is looked up; one that only filters
/// what is found gives no rows.
const UNKNOWN: &[(&str, &str, Outcome)] = &[
    ("span_tree", "service", Error(WRONG_VALUE)),
    ("span_tree", "trace_id", Error(WRONG_VALUE)),
    ("trace_tree", "trace_id", Error(WRONG_VALUE)),
    ("critical_path", "trace_id", Error(WRONG_VALUE)),
    ("critical_path_stats", "service", Error(WRONG_VALUE)),
    ("critical_path_stats", "operation", Empty),
    ("error_origin", "trace_id", Error(WRONG_VALUE)),
    ("allocate_cost", "rule_set", Error(WRONG_VALUE)),
    ("allocate_cost", "cost", Error(WRONG_VALUE)),
    ("allocation_check", "rule_set", Error(WRONG_VALUE)),
    ("allocation_check", "cost", Error(WRONG_VALUE)),
    ("assume_role_chain", "event_id", Error(WRONG_VALUE)),
    ("access_attribution", "resource", Error(WRONG_VALUE)),
    ("access_attribution", "principal", Error(WRONG_VALUE)),
    ("version_changes", "service", Error(WRONG_VALUE)),
    ("version_changes", "environment", Empty),
    ("recent_changes", "service", Error(WRONG_VALUE)),
    ("attribute_incident", "service", Error(WRONG_VALUE)),
    ("attribute_incident", "signal", Error(WRONG_VALUE)),
    ("attribute_incident", "environment", Error(WRONG_VALUE)),
    ("incident_services", "service", Error(WRONG_VALUE)),
    ("incident_services", "signal", Error(WRONG_VALUE)),
    ("incident_services", "environment", Error(WRONG_VALUE)),
    ("incident_visits", "service", Error(WRONG_VALUE)),
    ("incident_visits", "signal", Error(WRONG_VALUE)),
    ("incident_visits", "environment", Error(WRONG_VALUE)),
    ("evidence", "attribution_id", Error(WRONG_VALUE)),
    ("deploy_impact", "change_id", Error(WRONG_VALUE)),
];

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_backward_windows_and_the_ends_of_time_are_answered() {
    let (fixture, cases) = served().await;
    let client = fixture.connect().await;
    let mut judge = Judge { client: &client, failures: Vec::new() };
    for case in fullest(&cases) {
        let mut times = Vec::new();
        for (at, (name, given)) in case.arguments.iter().enumerate() {
            if let Given::Text(_) = given {
                let expected =
                    UNKNOWN.iter().find(|(function, argument, _)| (*function, argument) == (case.function, name));
                let Some((.., expected)) = expected else { panic!("UNKNOWN says nothing of {} {name}", case.function) };
                for unknown in ["'no such thing'", "''", "'it''s \"quoted\"; DROP'", "'ä😀'"] {
                    // An empty signal is what incidents have that say none.
                    let expected = if (*name, unknown) == ("signal", "''") { &Rows } else { expected };
                    judge.simple(&with(case, at, unknown), *expected).await;
                }
                judge.extended(&with(case, at, "$1"), &[&"no such thing"], *expected).await;
            }
            if let Given::Time(_) = given {
                times.push(at);
            }
        }
        if let [from, to] = times[..] {
            let mut backward = case.clone();
            let (earlier, later) = (backward.arguments[from].1.clone(), backward.arguments[to].1.clone());
            (backward.arguments[from].1, backward.arguments[to].1) = (later, earlier.clone());
            judge.simple(&with(&backward, from, &backward.arguments[from].1.plain()), Error(WRONG_VALUE)).await;
            // Nothing happens in no time.
            let nothing = if of_incidents(case.function) { Error(WRONG_VALUE) } else { Empty };
            judge.simple(&with(case, to, &earlier.plain()), nothing).await;
        }
        for at in times {
            for edge in ["1677-09-21T00:12:43Z", "0001-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59Z"]
            {
                judge.survives(&with(case, at, &format!("'{edge}'")), &[]).await;
            }
            for micros in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                judge.survives(&with(case, at, "$1"), &[&Given::Instant(micros)]).await;
            }
        }
        for (at, (_, given)) in case.arguments.iter().enumerate() {
            let extremes: &[&str] = match given {
                Given::Interval(_) => &["interval '170000000 months'", "interval '2000000000 days'"],
                Given::Int(_) => &["9223372036854775807"],
                _ => &[],
            };
            for extreme in extremes {
                judge.simple(&with(case, at, extreme), Rows).await;
            }
        }
    }
    judge.end();
}

impl Judge<'_> {
    /// The value may have an answer or not, but no error of ours, and the connection goes on.
    async fn survives(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) {
        if let Err(error) = self.client.query(sql, parameters).await
            && !error.as_db_error().is_some_and(|error| error.code().code().starts_with("22"))
        {
            self.failures.push(format!("{sql} with {parameters:?}: {error:?}"));
        }
        assert_eq!(one(self.client, "SELECT 1").await, "1", "the connection goes on after {sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_of_owner_of_is_explained() {
    let (fixture, _) = served().await;
    let client = fixture.connect().await;
    let mut judge = Judge { client: &client, failures: Vec::new() };
    for (arguments, expected) in [
        ("", Error(NO_SUCH_CALL)),
        ("'service', 'cart'", Error(NO_SUCH_CALL)),
        ("'service', 'cart', now(), 1", Error(NO_SUCH_CALL)),
        ("'service', 'cart', 5", Error(NO_SUCH_CALL)),
        ("1, 'cart', now()", Error(NO_SUCH_CALL)),
        ("kind => 'service', entity => 'cart', nonsense => now()", Error(NO_SUCH_CALL)),
    ] {
        judge.simple(&format!("SELECT owner_of({arguments})"), expected).await;
    }
    judge.end();
    let error = client.simple_query("SELECT owner_of('service', 'cart', 'yesterday-ish')").await.unwrap_err();
    assert_eq!(code(&error), NOT_A_TIME);
    for arguments in
        ["'service', NULL, now()", "'nothing', 'cart', now()", "'service', 'nobody', now()", "'service', 'cart', NULL"]
    {
        assert_eq!(simple(&client, &format!("SELECT owner_of({arguments})")).await, [["NULL"]], "{arguments}");
    }
}
