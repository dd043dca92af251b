//! The beginning of a connection: what it is for, who it is, what it starts with.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opentelemetry::global::BoxedTracer;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::admission::Admission;
use super::connection::{Connection, Socket};
use super::frame::{self, Opening, Violation};
use super::login::{Gate, Login};
use super::registry::Registry;
use super::reply::Replies;
use super::session::Session;
use super::stop::{Reason, Stops};
use super::tls::Channel;
use crate::catalog::settings::{self, Settings};
use crate::catalog::{Client, client::Activity};
use crate::database::Database;
use crate::error::{Error, Result, UserError, sqlstate};
use crate::security::audit::Record;
use crate::security::{Access, Guard};
use crate::server::audit::Audit;
use crate::server::meters::Meters;

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) audit: Option<Arc<Audit>>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) tracer: Arc<BoxedTracer>,
    pub(crate) cpu: Handle,
}

/// Talk with one client to the end.
pub(crate) async fn handle(shared: Shared, socket: TcpStream, address: Option<String>) {
    match tokio::time::timeout(shared.gate.limits.timeout, open(socket, &shared.gate)).await {
        Ok(Ok(Some(opened))) => {
            // What goes wrong from here on, the client was told, or is not there to be.
            let _ = converse(shared, opened, address).await.is_ok();
        }
        Ok(Ok(None)) | Err(_) => {}
        Ok(Err(Refused::Cancel { pid, secret })) => shared.registry.cancel(pid, &secret),
        Ok(Err(Refused::Silently)) => {}
    }
}

enum Refused {
    Cancel { pid: i32, secret: Bytes },
    Silently,
}

/// A connection whose client has said what it wants.
struct Opened {
    socket: Box<dyn Socket>,
    channel: Option<Channel>,
    version: (u16, u16),
    parameters: Vec<(String, String)>,
}

/// Negotiate encryption, then read who the client is.
async fn open(stream: TcpStream, gate: &Gate) -> std::result::Result<Option<Opened>, Refused> {
    let mut first = [0];
    let mut channel = None;
    let begins_with_tls = match &gate.tls {
        // The first byte of a handshake (RFC 8446, section 5.1), which no other packet begins with.
        Some(tls) if stream.peek(&mut first).await.is_ok() && first == [0x16] => Some(tls),
        _ => None,
    };
    let mut socket: Box<dyn Socket> = Box::new(stream);
    if let Some(tls) = begins_with_tls {
        let (secured, known) = tls.accept(socket, true).await.map_err(|_| Refused::Silently)?;
        (socket, channel) = (secured, Some(known));
    }
    // A client may ask for each kind of encryption once.
    for _ in 0..3 {
        match frame::read_opening(&mut socket).await {
            Ok(Opening::Ssl) if channel.is_none() && gate.tls.is_some() => {
                let Some(tls) = &gate.tls else { continue };
                if socket.write_all(b"S").await.is_err() || socket.flush().await.is_err() {
                    return Err(Refused::Silently);
                }
                let (secured, known) = tls.accept(socket, false).await.map_err(|_| Refused::Silently)?;
                (socket, channel) = (secured, Some(known));
            }
            Ok(Opening::Ssl | Opening::GssEnc) => {
                let refused = socket.write_all(b"N").await;
                if refused.is_err() || socket.flush().await.is_err() {
                    return Err(Refused::Silently);
                }
            }
            Ok(Opening::Cancel { pid, secret }) => return Err(Refused::Cancel { pid, secret }),
            Ok(Opening::Startup { major, minor, parameters }) => {
                return Ok(Some(Opened { socket, channel, version: (major, minor), parameters }));
            }
            Err(Violation::Gone) => return Err(Refused::Silently),
            Err(Violation::Malformed(what)) => {
                let (_, write) = tokio::io::split(socket);
                fatal(&mut Replies::new(Box::new(write)), &UserError::new("08P01", what)).await;
                return Err(Refused::Silently);
            }
        }
    }
    Ok(None)
}

async fn fatal(replies: &mut Replies, error: &UserError) {
    // If this cannot be said either, there is nobody to say it to.
    let _ = replies.error("FATAL", error, None).is_ok() && replies.flush().await.is_ok();
}

async fn converse(shared: Shared, opened: Opened, address: Option<String>) -> std::io::Result<()> {
    let Opened { socket, channel, version, parameters } = opened;
    let (mut read, write) = tokio::io::split(socket);
    let mut replies = Replies::new(Box::new(write));
    let parameters = match start(&mut replies, version, parameters) {
        Ok(parameters) => parameters,
        Err(error) => {
            fatal(&mut replies, &error.describe()).await;
            return Ok(());
        }
    };
    let application = parameters.settings.get("application_name").unwrap_or_default();
    let login = Login { user: parameters.user.clone(), address };
    let place = match shared.registry.enter() {
        Ok(place) => place,
        Err(error) => {
            shared.meters.login(false);
            log_refusal(&login, &application, error.code);
            fatal(&mut replies, &error).await;
            return Ok(());
        }
    };
    let admitted = shared.gate.admit(&login, channel.as_ref(), &mut read, &mut replies).await;
    let admitted = admitted.and_then(|()| room(&shared, &login.user).map_err(Some));
    shared.meters.login(admitted.is_ok());
    let outcome = match &admitted {
        Ok(()) => "00000",
        Err(refused) => refused.as_ref().map_or("08006", |error| error.code),
    };
    if let Some(audit) = &shared.audit {
        audit.record(Record {
            at: shared.database.lake().clock().now_micros(),
            role: login.user.clone(),
            address: login.address.clone(),
            application: application.clone(),
            statement: "CONNECT".to_owned(),
            sqlstate: outcome.to_owned(),
            ..Record::default()
        });
    }
    if let Err(error) = admitted {
        log_refusal(&login, &application, outcome);
        if let Some(error) = error {
            fatal(&mut replies, &error).await;
        }
        return Ok(());
    }
    let everything = Access::of(shared.gate.directory.known(), &login.user).everything();
    parameters.settings.start("is_superuser", if everything { "on" } else { "off" });
    let client = Arc::new(Client {
        pid: place.pid,
        guard: Some(Arc::new(Guard::new(&shared.gate.directory, &parameters.user))),
        user: parameters.user,
        settings: parameters.settings,
        connections: Arc::clone(&shared.registry.connections),
        ..Client::default()
    });
    let clock = Arc::clone(shared.database.lake().clock());
    client.connections.write().insert(
        place.pid,
        Activity {
            user: client.user().to_owned(),
            application: application.clone(),
            address: login.address.clone(),
            connected_at: clock.now_micros(),
            state: "idle",
            stop: Some(Arc::<Stops>::clone(&place.stops)),
            ..Activity::default()
        },
    );
    replies.push(&PgWireBackendMessage::Authentication(Authentication::Ok))?;
    let key = BackendKeyData::new(place.pid, SecretKey::I32(place.secret));
    let session = Session::new(shared.database.clone(), client, shared.cpu.clone());
    let mut connection = Connection::new(session, replies, Arc::clone(&place.stops), clock, &shared);
    connection.report_all().map_err(std::io::Error::other)?;
    connection.replies.push(&PgWireBackendMessage::BackendKeyData(key))?;
    if shared.registry.closing() {
        place.stops.stop(Reason::Terminated);
    }
    let opened = Instant::now();
    tracing::info!(
        pid = place.pid,
        peer = login.address,
        role = login.user,
        application_name = application,
        "connection opened"
    );
    let served = connection.serve(read).await;
    tracing::info!(
        pid = place.pid,
        peer = login.address,
        role = login.user,
        seconds = opened.elapsed().as_secs_f64(),
        "connection closed"
    );
    served
}

fn log_refusal(login: &Login, application: &str, sqlstate: &str) {
    tracing::warn!(peer = login.address, role = login.user, application_name = application, sqlstate, "login failed");
}

/// Whether a role may have one more connection.
fn room(shared: &Shared, user: &str) -> std::result::Result<(), UserError> {
    let Some(most) = shared.gate.directory.known().roles.get(user).and_then(|role| role.connections) else {
        return Ok(());
    };
    let own = shared.registry.connections.read().values().filter(|activity| activity.user == user).count();
    if own >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(UserError::new("53300", format!("too many connections for role \"{user}\"")));
    }
    Ok(())
}

struct Start {
    user: String,
    settings: Settings,
}

/// What a startup packet says, checked.
fn start(replies: &mut Replies, version: (u16, u16), parameters: Vec<(String, String)>) -> Result<Start> {
    let (major, minor) = version;
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(UserError::new("08P01", message).into());
    }
    let unknown: Vec<String> =
        parameters.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if minor > 0 || !unknown.is_empty() {
        let negotiate = NegotiateProtocolVersion::new(3 << 16, unknown);
        replies.push(&PgWireBackendMessage::NegotiateProtocolVersion(negotiate))?;
    }
    let settings = Settings::default();
    let mut user = String::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => user = value,
            // There is one database; tools insist on one name or another of it.
            "database" => {}
            "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
            "replication" => return Err(UserError::new("0A000", "replication is not supported").into()),
            "options" => options(&settings, &value)?,
            name if name.starts_with("_pq_.") => {}
            name if settings::find(name).is_some() => {
                let shown = settings.set(name, &value)?;
                settings.start(name, &shown);
            }
            name => {
                let error = UserError::new("42704", format!("unrecognized configuration parameter \"{name}\""));
                return Err(Error::from(error));
            }
        }
    }
    if user.is_empty() {
        return Err(
            UserError::new(sqlstate::UNAUTHORIZED, "no PostgreSQL user name specified in startup packet").into()
        );
    }
    settings.start("session_authorization", &user);
    settings.restore(std::collections::BTreeMap::new());
    Ok(Start { user, settings })
}

/// `-c name=value` and `--name=value`, as in `PGOPTIONS`.
fn options(settings: &Settings, text: &str) -> Result<()> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            ' ' | '\t' => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let assignment = match word.as_str() {
            "-c" => words.next().unwrap_or_default(),
            other => other.strip_prefix("--").or_else(|| other.strip_prefix("-c")).unwrap_or_default().to_owned(),
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(
                UserError::new("42601", format!("invalid command-line argument for server process: {word}")).into()
            );
        };
        let name = name.replace('-', "_");
        let shown = settings.set(&name, value)?;
        settings.start(&name, &shown);
    }
    Ok(())
}
