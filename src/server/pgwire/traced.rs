//! Spans of statements, by OpenTelemetry's conventions for databases
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/>): one a statement, with a part for each time that
//! it is planned, waits for a place among others, and is executed. Of its text they have the word that it begins with, of its
//! values nothing. They go where the program's tracer provider sends them, which is nowhere unless somebody sets one.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::global::{BoxedSpan, BoxedTracer};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use url::form_urlencoded;

use super::connection::Connection;
use crate::config;

/// What the spans say that the database is.
const SYSTEM: &str = "ascribe";

/// What a statement is called that was only prepared.
const PREPARE: &str = "PREPARE";

/// The words that name what a statement does; no others come into a span or a log.
const OPERATIONS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLOSE",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "INSERT",
    "MERGE",
    "MOVE",
    "PREPARE",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UPDATE",
    "VALUES",
    "WITH",
];

/// Those whose rows go to the client.
const RETURNING: &[&str] = &["EXPLAIN", "FETCH", "SELECT", "TABLE", "VALUES", "WITH"];

/// What a statement does, by its first word, if that is known.
fn operation(text: &str) -> Option<&'static str> {
    let blank = |letter: char| letter.is_whitespace() || letter == '(';
    let mut rest = text.trim_start_matches(blank);
    loop {
        let comment = match rest.get(..2) {
            Some("--") => rest.split_once('\n'),
            Some("/*") => rest.split_once("*/"),
            _ => break,
        };
        rest = comment.map_or("", |(_, behind)| behind.trim_start_matches(blank));
    }
    let word = rest.split(|letter: char| !letter.is_ascii_alphabetic()).next()?;
    OPERATIONS.iter().copied().find(|known| known.eq_ignore_ascii_case(word))
}

/// The span that a statement is asked from, where a comment at its end names one as sqlcommenter does
/// (<https://google.github.io/sqlcommenter/spec/>): `/*traceparent='00-…-…-01'*/`. None is the context of a new trace.
pub(super) fn caller(sql: &str) -> Context {
    let text = sql.trim_end_matches(|letter: char| letter.is_whitespace() || letter == ';');
    let comment = text.strip_suffix("*/").and_then(|text| text.rsplit_once("/*"));
    let Some((_, comment)) = comment else { return Context::new() };
    let tags: HashMap<String, String> = comment
        .split(',')
        .flat_map(|tag| form_urlencoded::parse(tag.trim().as_bytes()))
        .filter(|(name, _)| matches!(&**name, "traceparent" | "tracestate"))
        .map(|(name, value)| (name.into_owned(), value.trim_matches('\'').to_owned()))
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &tags)
}

/// The span of a statement, as its parts know it.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    tracer: Arc<BoxedTracer>,
    context: Context,
}

impl Whole {
    /// A part begins; it ends when it is dropped.
    pub(super) fn part(&self, name: &'static str) -> BoxedSpan {
        self.tracer.start_with_context(name, &self.context)
    }
}

/// A statement that is traced; its span ends with it.
#[derive(Debug)]
pub(super) struct Traced {
    span: BoxedSpan,
    operation: Option<&'static str>,
    whole: Whole,
}

impl Traced {
    /// A statement begins.
    pub(super) fn begin(tracer: &Arc<BoxedTracer>, caller: &Context, text: &str) -> Self {
        let operation = operation(text);
        let builder = tracer.span_builder(operation.unwrap_or(SYSTEM)).with_kind(SpanKind::Server);
        let database = [KeyValue::new("db.system.name", SYSTEM), KeyValue::new("db.namespace", config::DATABASE)];
        let span = builder.with_attributes(database).start_with_context(tracer.as_ref(), caller);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        Self { span, operation, whole: Whole { tracer: Arc::clone(tracer), context } }
    }

    /// What its parts are parts of.
    pub(super) fn whole(&self) -> &Whole {
        &self.whole
    }

    /// What the statement does, if that is known.
    pub(super) fn operation(&self) -> Option<&'static str> {
        self.operation
    }

    /// The trace that it is in, in hexadecimal; none if it is in none.
    pub(super) fn trace_id(&self) -> Option<String> {
        let context = self.span.span_context();
        context.is_valid().then(|| context.trace_id().to_string())
    }

    /// It was prepared and not run.
    pub(super) fn prepared(mut self) {
        self.span.update_name(PREPARE);
        self.set("db.operation.name", PREPARE);
    }

    /// It has run, with the rows that its tag tells and the SQLSTATE of its failure.
    pub(super) fn ended(mut self, rows: Option<i64>, failure: Option<&'static str>) {
        if let Some(operation) = self.operation {
            self.set("db.operation.name", operation);
            if let Some(rows) = rows.filter(|_| RETURNING.contains(&operation)) {
                self.set("db.response.returned_rows", rows);
            }
        }
        if let Some(sqlstate) = failure {
            self.set("db.response.status_code", sqlstate);
            self.set("error.type", sqlstate);
            // No message, for it may have values in it.
            self.span.set_status(Status::error(""));
        }
    }

    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }
}

impl Connection {
    /// A statement is traced from here on, if it is not already.
    pub(super) fn trace(&mut self, caller: &Context, text: &str) {
        self.traced.get_or_insert_with(|| Traced::begin(&self.tracer, caller, text));
    }

    /// What the parts of the statement are parts of.
    pub(super) fn whole(&self) -> Option<&Whole> {
        self.traced.as_ref().map(Traced::whole)
    }

    /// A statement that was prepared does not run now.
    pub(super) fn only_prepared(&mut self) {
        if let Some(traced) = self.traced.take() {
            traced.prepared();
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use parking_lot::Mutex;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_first_word_says_what_a_statement_does() {
        for (text, expected) in [
            ("select 1", Some("SELECT")),
            (" /* a 'b' */ -- c\n\t( (SELECT 1))", Some("SELECT")),
            ("/**/with x as (select 1) table x", Some("WITH")),
            ("insert into t values ('SELECT')", Some("INSERT")),
            ("SELECTED", None),
            ("ada@example.com", None),
            ("/* never ends", None),
            ("-- only this", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(operation(text), expected, "{text}");
        }
        assert!(OPERATIONS.is_sorted());
        assert!(OPERATIONS.contains(&PREPARE) && RETURNING.iter().all(|word| OPERATIONS.contains(word)));
    }

    #[test]
    fn a_comment_at_the_end_names_the_caller() {
        let parent = |sql: &str| {
            let context = caller(sql);
            let span = context.span();
            let found = span.span_context();
            found.is_valid().then(|| format!("{} {} {}", found.trace_id(), found.span_id(), found.is_sampled()))
        };
        let expected = Some("4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 true".to_owned());
        assert_eq!(parent(&format!("SELECT 1 /*traceparent='{PARENT}'*/")), expected);
        let sql =
            format!("SELECT 1 /* a */ /*action='%2Fpay', traceparent='{PARENT}',tracestate='a%3D1%2Cb%3D2'*/ ;\n");
        assert_eq!(parent(&sql), expected);
        assert_eq!(caller(&sql).span().span_context().trace_state().header(), "a=1,b=2");
        let unsampled = PARENT.replace("-01", "-00");
        assert!(
            parent(&format!("SELECT 1 /*traceparent='{unsampled}'*/")).is_some_and(|found| found.ends_with("false"))
        );
        for sql in [
            "SELECT 1".to_owned(),
            "SELECT 1 /* nothing */".to_owned(),
            "*/".to_owned(),
            "SELECT 1 /*traceparent='00-x-y-01'*/".to_owned(),
            "SELECT 1 /*traceparent='00-00000000000000000000000000000000-00f067aa0ba902b7-01'*/".to_owned(),
            format!("SELECT 1 /*traceparent='{PARENT}'*/ + 1"),
        ] {
            assert_eq!(parent(&sql), None, "{sql}");
        }
    }

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().extend(batch);
            Ok(())
        }
    }

    /// A tracer, and the spans that have ended.
    fn tracer() -> (Arc<BoxedTracer>, Kept) {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        (Arc::new(BoxedTracer::new(Box::new(provider.tracer("test")))), kept)
    }

    fn attribute(span: &SpanData, name: &str) -> Option<Value> {
        span.attributes.iter().rfind(|found| found.key.as_str() == name).map(|found| found.value.clone())
    }

    #[test]
    fn parts_are_below_the_statement_and_it_below_its_caller() {
        let (tracer, kept) = tracer();
        let sql = format!("SELECT 'secret' /*traceparent='{PARENT}'*/");
        let traced = Traced::begin(&tracer, &caller(&sql), &sql);
        drop(traced.whole().part("plan"));
        let execute = std::thread::spawn({
            let whole = traced.whole().clone();
            move || drop(whole.part("execute"))
        });
        execute.join().unwrap();
        assert_eq!(traced.trace_id().as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        traced.ended(Some(3), None);
        let spans = kept.0.lock();
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["plan", "execute", "SELECT"]);
        let statement = &spans[2];
        assert_eq!(statement.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").unwrap());
        assert_eq!(statement.span_kind, SpanKind::Server);
        assert_eq!(statement.status, Status::Unset);
        for part in &spans[..2] {
            assert_eq!(part.parent_span_id, statement.span_context.span_id());
            assert_eq!(part.span_context.trace_id(), statement.span_context.trace_id());
        }
        assert_eq!(attribute(statement, "db.system.name"), Some("ascribe".into()));
        assert_eq!(attribute(statement, "db.namespace"), Some("ascribe".into()));
        assert_eq!(attribute(statement, "db.operation.name"), Some("SELECT".into()));
        assert_eq!(attribute(statement, "db.response.returned_rows"), Some(Value::I64(3)));
        assert_eq!(attribute(statement, "error.type"), None);
        assert!(!format!("{:?}", *spans).contains("secret"));
    }

    #[test]
    fn failures_and_what_was_only_prepared() {
        let (tracer, kept) = tracer();
        let begin = |sql: &str| Traced::begin(&tracer, &caller(sql), sql);
        begin("INSERT INTO t VALUES (1)").ended(Some(1), None);
        begin("nonsense").ended(None, Some("42601"));
        begin("SELECT 1").prepared();
        let spans = kept.0.lock();
        let [insert, nonsense, prepared] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(attribute(insert, "db.response.returned_rows"), None);
        assert_eq!((&*nonsense.name, attribute(nonsense, "db.operation.name")), ("ascribe", None));
        assert_eq!(nonsense.status, Status::error(""));
        assert_eq!(attribute(nonsense, "db.response.status_code"), Some("42601".into()));
        assert_eq!(attribute(nonsense, "error.type"), Some("42601".into()));
        assert_eq!((&*prepared.name, attribute(prepared, "db.operation.name")), ("PREPARE", Some("PREPARE".into())));
        assert_eq!(nonsense.parent_span_id, SpanId::INVALID);
    }

    #[test]
    fn without_a_provider_the_trace_of_the_caller_is_known() {
        let tracer = Arc::new(opentelemetry::global::tracer("test"));
        let sql = format!("SELECT 1 /*traceparent='{PARENT}'*/");
        let traced = Traced::begin(&tracer, &caller(&sql), &sql);
        assert_eq!(traced.trace_id().as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(Traced::begin(&tracer, &Context::new(), "SELECT 1").trace_id(), None);
    }
}
