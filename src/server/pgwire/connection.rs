//! One connection: what the client sends, in order, each answered before the next is looked at.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::global::BoxedTracer;
use pgwire::messages::response::TransactionStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::accept::Shared;
use super::admission::Admission;
use super::frame::{self, MAX_MESSAGE_BYTES, Message, Violation};
use super::reply::Replies;
use super::session::Session;
use super::stop::{self, Reason, Stops, Watched};
use super::traced::{self, Traced};
use crate::catalog::client::{Activity, Ended};
use crate::clock::Clock;
use crate::config;
use crate::error::{Error, Result, UserError};
use crate::security;
use crate::security::audit::Record;
use crate::server::audit::Audit;
use crate::server::meters::Meters;

/// Messages that are read ahead of the one that is answered.
const READ_AHEAD: usize = 64;

/// What the reading half hands over: a message with the room that it takes.
type Incoming = (Message, OwnedSemaphorePermit);

/// A connection whose client is known.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) replies: Replies,
    pub(super) stops: Arc<Stops>,
    pub(super) clock: Arc<dyn Clock>,
    audit: Option<Arc<Audit>>,
    meters: Arc<Meters>,
    pub(super) admission: Arc<Admission>,
    pub(super) tracer: Arc<BoxedTracer>,
    /// The statement that is prepared or runs.
    pub(super) traced: Option<Traced>,
    /// The text that is worked on, for the place of errors.
    pub(super) text: String,
    /// Characters of it before the statement.
    pub(super) offset: usize,
    /// Where the parser stopped.
    pub(super) position: Option<usize>,
    /// Messages are thrown away until the next Sync.
    skipping: bool,
    /// What the reading half hands over.
    incoming: Option<mpsc::Receiver<Result<Incoming, Violation>>>,
}

impl Connection {
    pub(super) fn new(
        session: Session,
        replies: Replies,
        stops: Arc<Stops>,
        clock: Arc<dyn Clock>,
        shared: &Shared,
    ) -> Self {
        Self {
            session,
            replies,
            stops,
            clock,
            audit: shared.audit.clone(),
            meters: Arc::clone(&shared.meters),
            admission: Arc::clone(&shared.admission),
            tracer: Arc::clone(&shared.tracer),
            traced: None,
            text: String::new(),
            offset: 0,
            position: None,
            skipping: false,
            incoming: None,
        }
    }

    /// Answer until the client goes or the connection is ended.
    pub(super) async fn serve(mut self, socket: impl AsyncRead + Send + Unpin + 'static) -> std::io::Result<()> {
        let (sender, incoming) = mpsc::channel(READ_AHEAD);
        self.incoming = Some(incoming);
        let reader = tokio::spawn(read(socket, sender, Arc::clone(&self.stops)));
        let _reader = AbortOnDrop(reader);
        self.replies.ready(TransactionStatus::Idle)?;
        self.replies.flush().await?;
        loop {
            let (stops, may_rest) = (Arc::clone(&self.stops), self.session.may_rest());
            let message = tokio::select! {
                biased;
                () = stops.ended() => None,
                message = self.receive() => message,
                () = tokio::time::sleep(config::SESSION_REST), if may_rest => {
                    self.session.rest();
                    continue;
                }
            };
            let Some(message) = message else { break };
            match message {
                Ok((Message::Terminate, _)) => return Ok(()),
                Ok((message, room)) => {
                    // One that does not read what it is sent is not waited for.
                    let stops = Arc::clone(&self.stops);
                    let answered = tokio::select! {
                        answered = self.answer(message) => answered,
                        () = stops.overdue() => return Ok(()),
                    };
                    drop(room);
                    answered?;
                }
                Err(violation) => {
                    if let Violation::Malformed(what) = violation {
                        self.replies.error("FATAL", &UserError::new("08P01", what), None)?;
                        self.replies.flush().await?;
                    }
                    return Ok(());
                }
            }
        }
        if self.stops.terminated() {
            self.replies.error("FATAL", &stop::terminated(), None)?;
            tokio::time::timeout(config::TERMINATION_GRACE, self.replies.flush()).await.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Option<Result<Incoming, Violation>> {
        self.incoming.as_mut()?.recv().await
    }

    /// The next part of what a client copies in; none at the end.
    pub(super) async fn copied(&mut self) -> Result<Option<bytes::Bytes>> {
        loop {
            return match self.receive().await {
                Some(Ok((Message::CopyData(bytes), _))) => Ok(Some(bytes)),
                Some(Ok((Message::CopyDone, _))) => Ok(None),
                Some(Ok((Message::Flush | Message::Sync, _))) => continue,
                Some(Ok((Message::CopyFail(why), _))) => {
                    Err(UserError::new("57014", format!("COPY from stdin failed: {why}")).into())
                }
                _ => Err(UserError::new("08P01", "unexpected message during COPY from stdin").into()),
            };
        }
    }

    async fn answer(&mut self, message: Message) -> std::io::Result<()> {
        if self.skipping && !matches!(message, Message::Sync) {
            return Ok(());
        }
        match message {
            Message::Query(sql) => {
                if let Err(error) = self.simple(&sql).await {
                    self.report(&error)?;
                }
                self.ready().await
            }
            Message::Sync => {
                self.skipping = false;
                if self.session.control.open().is_none() {
                    self.session.portals.clear();
                }
                self.ready().await
            }
            Message::Flush => self.replies.flush().await,
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
            Message::Password(_) | Message::Terminate => {
                self.report(&UserError::new("08P01", "unexpected message").into())
            }
            extended => {
                if let Err(error) = self.extended(extended).await {
                    self.skipping = true;
                    self.report(&error)?;
                    self.replies.flush().await?;
                }
                Ok(())
            }
        }
    }

    async fn ready(&mut self) -> std::io::Result<()> {
        self.only_prepared();
        let status = self.session.status();
        self.activity(|activity| {
            activity.state = match status {
                TransactionStatus::Idle => "idle",
                TransactionStatus::Transaction => "idle in transaction",
                TransactionStatus::Error => "idle in transaction (aborted)",
            };
        });
        // Who is about to be told that the connection ends is not told that it goes on.
        if !self.stops.terminated() {
            self.replies.ready(status)?;
        }
        self.replies.flush().await
    }

    /// A statement begins: it can be stopped from now on.
    fn watch(&mut self) -> Watched {
        self.stops.begin();
        Watched::new(Arc::clone(&self.stops), self.session.client.settings.statement_timeout())
    }

    async fn simple(&mut self, sql: &str) -> Result<()> {
        self.begin_activity(sql);
        self.only_prepared();
        let caller = traced::caller(sql);
        self.trace(&caller, sql);
        self.session.portals.remove("");
        self.session.kept.statements.remove("");
        let begun = Instant::now();
        let parsed = self.parse(sql);
        let statements = self.recorded(sql, begun, parsed)?;
        if statements.is_empty() {
            self.traced = None;
            self.replies.empty()?;
        }
        let count = statements.len();
        for (at, statement) in statements.into_iter().enumerate() {
            self.offset = statement.offset;
            self.trace(&caller, &statement.text);
            let watched = self.watch();
            let begun = Instant::now();
            let ran = match self.check_recordable() {
                Ok(()) => self.run_simple(statement.kind, at + 1 == count, &watched).await,
                refused => refused,
            };
            self.record(&statement.text, begun, ran.as_ref().err());
            ran?;
        }
        Ok(())
    }

    async fn extended(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Parse { name, query, kinds } => {
                self.begin_activity(&query);
                self.only_prepared();
                self.trace(&traced::caller(&query), &query);
                let watched = self.watch();
                if name.is_empty() {
                    self.session.kept.statements.remove("");
                }
                let begun = Instant::now();
                let prepared = self.prepare(&query, &kinds, &watched).await;
                let prepared = self.recorded(&query, begun, prepared)?;
                self.session.kept.keep_statement(name, prepared)?;
                self.replies.parse_complete()?;
            }
            Message::Bind(bind) => {
                let watched = self.watch();
                let begun = Instant::now();
                let bound = self.bind(bind, &watched).await;
                let text = self.text.clone();
                self.recorded(&text, begun, bound)?;
                self.replies.bind_complete()?;
            }
            Message::Describe { portal: true, name } => self.describe_portal(&name)?,
            Message::Describe { portal: false, name } => self.describe_statement(&name)?,
            Message::Execute { portal, max_rows } => {
                let prepared = Arc::clone(&self.session.portal(&portal)?.prepared);
                let text = prepared.statement.as_ref().map(|statement| statement.text.as_str());
                self.begin_activity(text.unwrap_or_default());
                self.trace(&prepared.caller, text.unwrap_or_default());
                let watched = self.watch();
                let most = usize::try_from(max_rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
                let begun = Instant::now();
                let ran = match self.check_recordable() {
                    Ok(()) => self.run_portal(&portal, most, &watched).await,
                    refused => refused,
                };
                if let Some(text) = text {
                    self.record(text, begun, ran.as_ref().err());
                }
                ran?;
            }
            Message::Close { portal: true, name } => {
                if self.session.portals.remove(&name).is_none() {
                    self.session.kept.cursors.remove(&name);
                }
                self.replies.close_complete()?;
            }
            Message::Close { portal: false, name } => {
                self.session.kept.statements.remove(&name);
                self.replies.close_complete()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn check_recordable(&self) -> Result<()> {
        match &self.audit {
            Some(audit) => Ok(audit.check_room()?),
            None => Ok(()),
        }
    }

    /// Record a failure before the statement ran; what it does then is recorded when it ran.
    fn recorded<T>(&mut self, sql: &str, begun: Instant, done: Result<T>) -> Result<T> {
        if let Err(error) = &done {
            self.record(sql, begun, Some(error));
        }
        done
    }

    fn record(&mut self, sql: &str, begun: Instant, error: Option<&Error>) {
        let rows = self.replies.take_rows().filter(|_| error.is_none());
        self.trace(&traced::caller(sql), sql);
        let client = &self.session.client;
        let took = begun.elapsed().as_micros().try_into().unwrap_or(i64::MAX);
        let record = Record {
            at: self.clock.now_micros().saturating_sub(took),
            role: client.user().to_owned(),
            address: client.connections.read().get(&client.pid).and_then(|activity| activity.address.clone()),
            application: client.settings.get("application_name").unwrap_or_default(),
            statement: security::redact(sql).chars().take(config::AUDIT_STATEMENT).collect(),
            rows,
            sqlstate: error.map_or("00000", Error::sqlstate).to_owned(),
            duration: took,
            ..Record::default()
        };
        self.meters.ended(&record.sqlstate, took, rows);
        if let Some(traced) = self.traced.take() {
            tracing::info!(
                pid = client.pid,
                role = record.role,
                application_name = record.application,
                operation = traced.operation(),
                sqlstate = record.sqlstate,
                milliseconds = took as f64 / 1e3,
                rows,
                trace_id = traced.trace_id(),
                "statement ended"
            );
            traced.ended(rows, error.map(Error::sqlstate));
        }
        client.connections.end(Ended {
            pid: client.pid,
            role: record.role.clone(),
            application: record.application.clone(),
            address: record.address.clone(),
            statement: record.statement.chars().take(config::SHOWN_STATEMENT).collect(),
            started_at: record.at,
            duration_micros: took,
            rows,
            sqlstate: record.sqlstate.clone(),
            peak_memory: self.session.take_peak_memory().try_into().unwrap_or(i64::MAX),
        });
        if let Some(audit) = &self.audit {
            audit.record(record);
        }
    }

    fn report(&mut self, error: &Error) -> std::io::Result<()> {
        self.session.control.fail();
        if self.stops.terminated() {
            return Ok(());
        }
        let described = security::without_secrets(error.describe(), &self.text);
        let position = self.position.take().or_else(|| place(&self.text, self.offset, &described));
        self.replies.error("ERROR", &described, position)
    }

    fn begin_activity(&mut self, sql: &str) {
        let (now, query) =
            (self.clock.now_micros(), security::redact(sql).chars().take(config::SHOWN_STATEMENT).collect());
        self.activity(|activity| {
            activity.state = "active";
            activity.query = query;
            activity.query_at = Some(now);
        });
    }

    /// Change what `pg_stat_activity` shows of this connection.
    pub(super) fn activity(&self, change: impl FnOnce(&mut Activity)) {
        let client = &self.session.client;
        if let Some(activity) = client.connections.write().get_mut(&client.pid) {
            change(activity);
        }
    }
}

/// Where the name that an error is about stands in the text, from one.
fn place(text: &str, offset: usize, error: &UserError) -> Option<usize> {
    if !matches!(error.code, "42P01" | "42703" | "42883" | "42702") {
        return None;
    }
    let mut words = error.message.split_whitespace();
    let kind = words.next()?;
    let name = match error.message.split('"').nth(1) {
        Some(name) => name,
        None if matches!(kind, "column" | "function") => words.next()?.split('(').next()?,
        None => return None,
    };
    let skipped: usize = text.chars().take(offset).map(char::len_utf8).sum();
    let rest = text.get(skipped..)?;
    let lower = rest.to_lowercase();
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let found = lower.match_indices(&name.to_lowercase()).find(|(at, _)| {
        let before = lower.get(..*at).and_then(|before| before.chars().next_back());
        let after = lower.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })?;
    Some(offset + lower.get(..found.0)?.chars().count() + 1)
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Read messages ahead of their answers, as far as there is room, so that a client that goes is noticed at once.
async fn read(
    mut socket: impl AsyncRead + Send + Unpin,
    sender: mpsc::Sender<Result<Incoming, Violation>>,
    stops: Arc<Stops>,
) {
    let room = Arc::new(Semaphore::new(MAX_MESSAGE_BYTES));
    loop {
        let item = match frame::read_message(&mut socket, MAX_MESSAGE_BYTES).await {
            Ok((message, bytes)) => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let Ok(permit) = Arc::clone(&room).acquire_many_owned(bytes).await else { return };
                Ok((message, permit))
            }
            Err(violation) => {
                if matches!(violation, Violation::Gone) {
                    stops.stop(Reason::Gone);
                }
                Err(violation)
            }
        };
        let last = item.is_err() || matches!(item, Ok((Message::Terminate, _)));
        if sender.send(item).await.is_err() || last {
            return;
        }
    }
}

/// A socket of either kind: plain, or with TLS over it.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for T {}
