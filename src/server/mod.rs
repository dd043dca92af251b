//! Serving a database to clients over the network.

mod audit;
pub mod http;
mod meters;
pub mod pgwire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::audit::Audit;
pub use self::meters::Meters;
use self::pgwire::{Admission, Gate, LoginLimits, Registry, Shared, Tls, Weights};
use crate::config;
use crate::database::Database;
use crate::error::{Result, UserError, sqlstate};

/// How a database is served.
#[derive(Debug)]
pub struct Serve {
    /// Addresses to listen at, `host:port`; port 0 is any free one.
    pub listen: Vec<String>,
    /// Connections at a time.
    pub max_connections: usize,
    /// Listen beyond this machine although the lake has no roles, so that clients prove nothing.
    pub allow_unauthenticated_remote: bool,
    /// TLS, where clients may ask for it. Its files are looked at every [`config::TLS_INTERVAL`]; [`Tls::look`] does so at
    /// once.
    pub tls: Option<Tls>,
    /// Whether they have to.
    pub tls_required: bool,
    /// When failed logins have to wait.
    pub login: LoginLimits,
    /// Whether every statement is recorded in `system.audit`.
    pub audit: bool,
    /// How long connections may take to end when the server does.
    pub grace: Duration,
    /// Statements that read what is stored and compute at a time; 0 is four a core. One role has three quarters of them.
    pub active_statements: usize,
    /// Whose turn it is among those that wait.
    pub weights: Weights,
    /// How long a statement waits for others to end.
    pub queue_timeout: Duration,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: vec![config::DEFAULT_LISTEN.to_owned()],
            max_connections: 1000,
            allow_unauthenticated_remote: false,
            tls: None,
            tls_required: false,
            login: LoginLimits::default(),
            audit: true,
            grace: Duration::from_secs(5),
            active_statements: 0,
            weights: Weights::default(),
            queue_timeout: config::QUEUE_TIMEOUT,
        }
    }
}

/// A server that listens. It goes on until [`Server::shutdown`] or until it is dropped.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    registry: Arc<Registry>,
    meters: Arc<Meters>,
    recording: Option<JoinHandle<()>>,
    end_audit: watch::Sender<bool>,
    grace: Duration,
    #[expect(dead_code, reason = "its threads end when it is dropped")]
    cpu: Computing,
}

/// The threads that compute; they end with the server, without waiting for what runs on them.
#[derive(Debug)]
struct Computing(Option<tokio::runtime::Runtime>);

impl Drop for Computing {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serve a database over the Postgres protocol. Returns as soon as it listens.
///
/// # Errors
/// When an address cannot be listened at, or is reachable from beyond this machine and clients prove nothing.
pub async fn serve(database: Database, options: Serve) -> Result<Server> {
    if options.tls_required && options.tls.is_none() {
        return Err(UserError::invalid("TLS is required, but the server has no certificate").into());
    }
    let directory = database.roles();
    let has_roles = !directory.current().await?.roles.is_empty();
    let mut trust = true;
    let mut listeners = Vec::new();
    for address in &options.listen {
        let listener = TcpListener::bind(address.as_str())
            .await
            .map_err(|error| UserError::new(sqlstate::IO, format!("cannot listen at {address}: {error}")))?;
        let local = listener.local_addr()?;
        if !local.ip().is_loopback() && !options.allow_unauthenticated_remote {
            if !has_roles {
                return Err(UserError::new(
                    sqlstate::UNAUTHORIZED,
                    format!("refusing to listen at {local}: clients would not have to prove who they are"),
                )
                .detail("the lake has no roles")
                .hint(
                    "make the first one: ascribe role create NAME --superuser --password-stdin; or listen at 127.0.0.1; \
                     or say --trust-everyone-who-can-connect",
                )
                .into());
            }
            trust = false;
        }
        listeners.push((listener, local));
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("ascribe-compute")
        .thread_stack_size(config::STACK_BYTES)
        .enable_all()
        .build()?;
    let registry = Registry::new(options.max_connections);
    let directory = Arc::clone(database.roles());
    let (stop, stopped) = watch::channel(false);
    let fresh = options.tls.clone().map(|tls| tokio::spawn(keep_fresh(tls, stopped.clone())));
    let gate = Arc::new(Gate::new(directory, trust, options.tls, options.tls_required, options.login));
    let (end_audit, audit_ends) = watch::channel(false);
    let audit = options.audit.then(|| Audit::new(database.lake()));
    let recording = audit.clone().map(|audit| tokio::spawn(audit.run(audit_ends)));
    let admission = Admission::new(options.active_statements, options.weights, options.queue_timeout);
    let meters = Arc::new(Meters::new(&registry.connections, &admission));
    let shared = Shared {
        database,
        registry: Arc::clone(&registry),
        gate,
        audit,
        meters: Arc::clone(&meters),
        admission,
        tracer: Arc::new(opentelemetry::global::tracer("ascribe")),
        cpu: runtime.handle().clone(),
    };
    let addresses: Vec<_> = listeners.iter().map(|(_, local)| *local).collect();
    tracing::info!(?addresses, "listening");
    let accepting = listeners
        .into_iter()
        .map(|(listener, _)| tokio::spawn(accept(listener, shared.clone(), stopped.clone(), options.grace)));
    let tasks = accepting.chain(fresh).collect();
    let cpu = Computing(Some(runtime));
    Ok(Server { addresses, stop, tasks, registry, meters, recording, end_audit, grace: options.grace, cpu })
}

impl Server {
    /// The first address that it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Every address that it listens at.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What is counted of its statements and connections, for [`http::Receive::meters`].
    #[must_use]
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Accept nobody any more, stop what runs, tell the clients, and end.
    pub async fn shutdown(mut self) {
        tracing::info!("shutting down");
        // Receivers are gone only if the tasks have ended by themselves.
        let _ = self.stop.send(true).is_ok();
        self.registry.close();
        for task in self.tasks.drain(..) {
            let _ = task.await.is_ok();
        }
        // Only now, when nothing is done any more that is to be recorded.
        let _ = self.end_audit.send(true).is_ok();
        if let Some(recording) = self.recording.take() {
            let _ = tokio::time::timeout(self.grace, recording).await.is_ok();
        }
        // Dropping the rest ends the threads that compute.
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.registry.close();
        for task in &self.tasks {
            task.abort();
        }
        if let Some(recording) = &self.recording {
            recording.abort();
        }
    }
}

/// Look at the files of TLS until the server ends.
async fn keep_fresh(tls: Tls, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            () = tokio::time::sleep(config::TLS_INTERVAL) => tls.look().await,
        }
    }
}

async fn accept(listener: TcpListener, shared: Shared, mut stopped: watch::Receiver<bool>, grace: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, address)) => {
                    // Without it small answers wait for an acknowledgement; a socket that cannot do it works all the same.
                    let _ = socket.set_nodelay(true).is_ok();
                    connections.spawn(pgwire::handle(shared.clone(), socket, Some(address.ip().to_string())));
                }
                // Out of file descriptors, most likely: those who are served already will give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(grace, ended).await.is_ok();
}
