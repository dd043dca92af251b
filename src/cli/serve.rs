//! `ascribe serve`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ascribe::Database;
use ascribe::config::{
    Config, DEFAULT_LISTEN, DEFAULT_OTLP_GRPC, DEFAULT_OTLP_HTTP, LEAST_MEMORY_MIB, Maintenance, QUEUE_TIMEOUT,
    WATCH_INTERVAL,
};
use ascribe::error::{Result, UserError};
use ascribe::ingest::watch::Watch;
use ascribe::maintenance::{Maintainer, duration};
use ascribe::reports::{self, Scheduler};
use ascribe::server::http::{self, Receive};
use ascribe::server::pgwire::{Tls, TlsFiles, Weights};
use ascribe::server::{self, Serve as Settings};
use tokio::sync::watch;

use super::maintain::Upkeep;
use super::telemetry::Traces;
use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    lake: LakeArgument,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: String,
    /// Where to receive OTLP over HTTP, and webhooks; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_OTLP_HTTP)]
    otlp_http: String,
    /// Where to receive OTLP over gRPC; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_OTLP_GRPC)]
    otlp_grpc: String,
    /// Time between two rounds of looking after the lake, such as 60s; `off` for never
    #[arg(long, value_name = "TIME", default_value = "60s")]
    maintain: String,
    /// Import what is delivered below a directory or URL, such as cloudtrail=s3://my-trail/AWSLogs/; may be given many
    /// times
    #[arg(long, value_name = "SOURCE=URL")]
    watch: Vec<String>,
    /// Time between two looks at what is watched
    #[arg(long, value_name = "TIME", default_value = WATCH_INTERVAL)]
    watch_interval: String,
    #[command(flatten)]
    maintenance: Upkeep,
    #[command(flatten)]
    share: Share,
    #[command(flatten)]
    security: Security,
}

/// How much queries may have of the machine.
#[derive(Debug, clap::Args)]
pub(super) struct Share {
    /// Statements that read what is stored and compute at a time, of which one role has three quarters; four a core, if
    /// nothing is said
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    active_statements: usize,
    /// How many turns a role is given where one of weight 1 is given one, such as dashboards=4, if both wait; 1, if nothing
    /// is said; may be given many times
    #[arg(long, value_name = "ROLE=NUMBER")]
    weight: Vec<String>,
    /// How long a statement waits for others to end, such as 10s; 60s, if nothing is said
    #[arg(long, value_name = "TIME")]
    queue_timeout: Option<String>,
    /// MiB that all queries share
    #[arg(long, value_name = "MIB")]
    memory: Option<usize>,
    /// MiB that the queries of one connection may have of it; half of it, if nothing is said
    #[arg(long, value_name = "MIB")]
    session_memory: Option<usize>,
}

impl Share {
    fn config(&self) -> Result<Config> {
        let defaults = Config::default();
        let bytes = |mib: usize, option: &str| {
            let bytes = mib.checked_mul(1 << 20).filter(|_| mib >= LEAST_MEMORY_MIB);
            let least = || UserError::invalid(format!("{option} {mib}: it has to be {LEAST_MEMORY_MIB} MiB at least"));
            bytes.ok_or_else(least)
        };
        let all = self.memory.map_or(Ok(defaults.memory_limit), |mib| bytes(mib, "--memory"))?;
        let one = self.session_memory.map_or(Ok(all / 2), |mib| bytes(mib, "--session-memory"))?;
        Ok(Config { memory_limit: all, session_memory_limit: one.min(all), ..defaults })
    }
}

/// How clients prove who they are, and how that is kept from others.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Security {
    /// The server's certificate in PEM, followed by those that lead to its root
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The roots of clients' certificates, which they may show instead of a password: the common name is the role
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Refuse connections that are not encrypted
    #[arg(long, requires = "tls_cert")]
    tls_required: bool,
    /// Listen beyond this machine although the lake has no roles: whoever connects may read and write everything
    #[arg(long)]
    trust_everyone_who_can_connect: bool,
}

impl Security {
    pub(super) fn settings(self, listen: &str) -> Result<Settings> {
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::load(TlsFiles { certificate, key, client_roots: self.tls_client_ca })?)
            }
            _ => None,
        };
        Ok(Settings {
            listen: vec![listen.to_owned()],
            tls,
            tls_required: self.tls_required,
            allow_unauthenticated_remote: self.trust_everyone_who_can_connect,
            ..Settings::default()
        })
    }
}

impl Serve {
    pub(super) async fn run(self) -> Ended {
        let database = Database::open_with(&self.lake.url(), self.share.config()?).await?;
        let address = |given: String| (given != "off").then_some(given);
        let (http, grpc) = (address(self.otlp_http), address(self.otlp_grpc));
        let settings = Settings {
            active_statements: self.share.active_statements,
            weights: Weights::parse(&self.share.weight)?,
            queue_timeout: self.share.queue_timeout.as_deref().map_or(Ok(QUEUE_TIMEOUT), duration)?,
            ..self.security.settings(&self.listen)?
        };
        let maintainer = match address(self.maintain) {
            Some(interval) => {
                let settings = Maintenance { interval: duration(&interval)?, ..self.maintenance.resolve()? };
                Some(Maintainer::new(database.lake(), settings)?)
            }
            None => None,
        };
        let interval = duration(&self.watch_interval)?;
        if interval.is_zero() {
            return Err(UserError::invalid("--watch-interval 0s: there is no time between two looks").into());
        }
        let watched = self.watch.iter().map(|given| Watch::new(database.lake(), given));
        let background = Background { maintainer, watched: watched.collect::<Result<_>>()?, interval };
        serve(database, settings, Receive { http, grpc, ..Receive::default() }, background).await
    }
}

/// What a server does beside serving.
#[derive(Debug, Default)]
pub(super) struct Background {
    /// Looks after the lake.
    pub maintainer: Option<Maintainer>,
    /// Prefixes to import from.
    pub watched: Vec<Watch>,
    /// Time between two looks at them.
    pub interval: Duration,
}

/// Serve until told to stop, then land what was received and let running queries end.
pub(super) async fn serve(database: Database, settings: Settings, receive: Receive, background: Background) -> Ended {
    let traces = Traces::start()?;
    let reloading = reload_when_told(settings.tls.clone())?;
    let server = server::serve(database.clone(), settings).await?;
    let receive = Receive { meters: Some(Arc::clone(server.meters())), ..receive };
    let receiving = http::receive(&database, receive).await?;
    let (stop, stopped) = watch::channel(false);
    let Background { maintainer, watched, interval } = background;
    let maintenance = maintainer.map(|maintainer| tokio::spawn(maintainer.run(stopped.clone())));
    let watching: Vec<_> =
        watched.into_iter().map(|watch| tokio::spawn(watch.run(interval, stopped.clone()))).collect();
    let scheduler = tokio::spawn(Scheduler::new(database, reports::all()?).run(stopped));
    let at = server.local_addr();
    println!("\nListening. Connect with:\n\n  psql -h {} -p {} -U ascribe ascribe\n", at.ip(), at.port());
    if let Some(at) = receiving.http_addr() {
        println!(
            "Receiving OTLP over HTTP at http://{at}, and webhooks at http://{at}/webhooks/…; metrics at http://{at}/metrics"
        );
    }
    if let Some(at) = receiving.grpc_addr() {
        println!("Receiving OTLP over gRPC at http://{at}");
    }
    told_to_stop().await?;
    stop.send(true).ok();
    let received = receiving.shutdown().await;
    server.shutdown().await;
    reloading.abort();
    scheduler.await.ok();
    if let Some(maintenance) = maintenance {
        maintenance.await.ok();
    }
    futures::future::join_all(watching).await;
    traces.end().await;
    received?;
    Ok(ExitCode::SUCCESS)
}

/// Look at the files of TLS at each SIGHUP.
fn reload_when_told(tls: Option<Tls>) -> Result<tokio::task::JoinHandle<()>> {
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while told.recv().await.is_some() {
            if let Some(tls) = &tls {
                tls.look().await;
            }
        }
    }))
}

pub(super) async fn told_to_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
