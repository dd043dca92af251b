//! Receiving over the network what live ingest lands: OTLP over HTTP and gRPC, and webhooks.

mod body;
mod grpc;
mod otlp;
mod status;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::status::No;
pub use self::webhooks::Secrets;
use crate::config::{self, Live};
use crate::database::Database;
use crate::error::{Result, UserError, sqlstate};
use crate::ingest::buffer::{Buffer, Content};
use crate::ingest::mapped::Mapped;
use crate::model::system::INGESTS;
use crate::server::meters::{self, Meters};

/// What is received, and where.
#[derive(Debug)]
pub struct Receive {
    /// Where OTLP over HTTP and webhooks are received, `host:port`; nowhere if it is none.
    pub http: Option<String>,
    /// Where OTLP over gRPC is received.
    pub grpc: Option<String>,
    /// What senders of telemetry have to show.
    pub token: Option<String>,
    /// What senders of webhooks sign with.
    pub secrets: Secrets,
    /// How requests gather.
    pub live: Live,
    /// What a server counts, to be shown at `/metrics` as well.
    pub meters: Option<Arc<Meters>>,
    /// How long requests may take to be answered when the server ends.
    pub grace: Duration,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            http: Some(config::DEFAULT_OTLP_HTTP.to_owned()),
            grpc: Some(config::DEFAULT_OTLP_GRPC.to_owned()),
            token: config::variable(config::INGEST_TOKEN_VARIABLE),
            secrets: Secrets::default(),
            live: Live::default(),
            meters: None,
            grace: config::LIVE_GRACE,
        }
    }
}

/// A receiver that listens. It goes on until [`Receiving::shutdown`] or until it is dropped.
#[derive(Debug)]
pub struct Receiving {
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    buffer: Arc<Buffer>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    grace: Duration,
}

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Arc<Buffer>,
    database: Database,
    token: Option<String>,
    secrets: Secrets,
    meters: Option<Arc<Meters>>,
}

impl Receiver {
    /// Whether a sender of telemetry shows the token.
    fn admit(&self, headers: &HeaderMap) -> Result<(), No> {
        let Some(token) = &self.token else { return Ok(()) };
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match shown {
            Some(shown) if same(shown, token.as_bytes()) => Ok(()),
            _ => Err(No::Unauthenticated("the request has to show the token: Authorization: Bearer …")),
        }
    }

    /// Count a request that its sender must not repeat.
    fn note(&self, no: &No, content: Content, origin: &'static str, bytes: usize) {
        if let No::Malformed(why) = no {
            self.buffer.refuse(content, origin, bytes, why);
        }
    }
}

/// Whether two secrets are the same; how long that takes tells nothing about them.
fn same(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

/// The media type of a request without its parameters, in lowercase.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Receive into the lake of a database. Returns as soon as it listens.
///
/// # Errors
/// When an address cannot be listened at, or is reachable from beyond this machine and senders prove nothing, or the
/// lake's `webhooks.yaml` is not understood.
pub async fn receive(database: &Database, options: Receive) -> Result<Receiving> {
    let http = listen(options.http.as_deref(), "--otlp-http", &options).await?;
    let grpc = listen(options.grpc.as_deref(), "--otlp-grpc", &options).await?;
    // Better no server than one that refuses whatever it receives.
    database.lake().privacy_rules().await?;
    let mapped = Mapped::of(database.lake()).await?;
    let buffer = Buffer::new(database.lake(), options.live);
    let shared = Arc::new(Receiver {
        buffer: Arc::clone(&buffer),
        database: database.clone(),
        token: options.token,
        secrets: options.secrets,
        meters: options.meters,
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = Vec::new();
    let at = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
    let (http_at, grpc_at) = (at(&http)?, at(&grpc)?);
    let served = [(http, http_router(&shared, &mapped)), (grpc, grpc_router(&shared))];
    for (listener, router) in served {
        let Some(listener) = listener else { continue };
        let mut stopped = stopped.clone();
        let until = async move {
            // Both an order and the end of who could give one.
            stopped.wait_for(|stopped| *stopped).await.map(drop).unwrap_or_default();
        };
        let serving = axum::serve(listener, router).with_graceful_shutdown(until);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "a receiver ended");
            }
        }));
    }
    Ok(Receiving { http: http_at, grpc: grpc_at, buffer, stop, tasks, grace: options.grace })
}

async fn listen(address: Option<&str>, option: &str, options: &Receive) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        UserError::new(sqlstate::IO, format!("cannot receive telemetry at {address}: {error}"))
            .hint(format!("say another address with {option}, or {option} off"))
    })?;
    let local = listener.local_addr()?;
    if !local.ip().is_loopback() && options.token.is_none() {
        let message = format!("refusing to receive telemetry at {local}: anybody could write to the lake");
        let hint = format!("set {} to a token that senders have to show", config::INGEST_TOKEN_VARIABLE);
        return Err(UserError::new("28000", message).hint(hint).into());
    }
    Ok(Some(listener))
}

fn http_router(shared: &Arc<Receiver>, mapped: &[&'static Mapped]) -> Router {
    let mut router = Router::new();
    for (path, signal) in otlp::ENDPOINTS {
        router = router.route(path, post(otlp::export).with_state((Arc::clone(shared), path, signal)));
    }
    for (path, endpoint) in webhooks::endpoints(mapped) {
        router = router.route(path, post(webhooks::deliver).with_state((Arc::clone(shared), path, endpoint)));
    }
    router
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(Arc::clone(shared)))
        .route("/metrics", get(metrics).with_state(Arc::clone(shared)))
}

fn grpc_router(shared: &Arc<Receiver>) -> Router {
    let mut router = Router::new();
    for (method, signal) in grpc::METHODS {
        router = router.route(method, post(grpc::export).with_state((Arc::clone(shared), method, signal)));
    }
    router.fallback(grpc::unknown)
}

/// What the server counts, for those who show the token.
async fn metrics(State(receiver): State<Arc<Receiver>>, headers: HeaderMap) -> Response {
    if receiver.admit(&headers).is_err() {
        return (StatusCode::UNAUTHORIZED, "the request has to show the token: Authorization: Bearer …\n")
            .into_response();
    }
    match meters::render(receiver.meters.as_deref(), &receiver.buffer, &receiver.database) {
        Ok(text) => ([(CONTENT_TYPE, meters::MEDIA_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether requests can land: the lake answers, and the server is not about to end.
async fn ready(State(receiver): State<Arc<Receiver>>) -> (StatusCode, String) {
    if receiver.buffer.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "about to end\n".to_owned());
    }
    match receiver.database.lake().version(&INGESTS).await {
        Ok(_) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => {
            tracing::warn!(%error, "the lake does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the lake does not answer\n".to_owned())
        }
    }
}

impl Receiving {
    /// Where OTLP over HTTP and webhooks are received.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where OTLP over gRPC is received.
    #[must_use]
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Accept nobody any more, land and answer what was received, and end.
    ///
    /// # Errors
    /// When what was counted cannot be committed; what was answered is.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.send_replace(true);
        self.buffer.drain();
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let answered = futures::future::join_all(tasks);
        if tokio::time::timeout(self.grace, answered).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.buffer.close().await
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
