//! The beginning of a connection: what it is for, who it is, what it starts with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use super::connection::{Connection, Socket};
use super::frame::{self, Opening, Violation};
use super::registry::Registry;
use super::reply::Replies;
use super::session::Session;
use super::stop::Reason;
use crate::catalog::settings::{self, Settings};
use crate::catalog::{Client, client::Activity};
use crate::database::Database;
use crate::error::{Error, Result, UserError};

/// A client that has not said who it is after this time is not waited for.
const STARTUP_TIME: Duration = Duration::from_secs(15);

/// Who a client says it is.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Address of the client.
    pub address: Option<String>,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
}

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) registry: Arc<Registry>,
    pub(crate) cpu: Handle,
}

/// Talk with one client to the end.
pub(crate) async fn handle(shared: Shared, socket: Box<dyn Socket>, address: Option<String>) {
    match tokio::time::timeout(STARTUP_TIME, open(socket)).await {
        Ok(Ok(Some((socket, major, minor, parameters)))) => {
            // What goes wrong from here on, the client was told, or is not there to be.
            let _ = converse(shared, socket, address, (major, minor), parameters).await.is_ok();
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

type Opened = (Box<dyn Socket>, u16, u16, Vec<(String, String)>);

/// Negotiate encryption, then read who the client is.
async fn open(mut socket: Box<dyn Socket>) -> std::result::Result<Option<Opened>, Refused> {
    // A client may ask for each kind of encryption once.
    for _ in 0..3 {
        match frame::read_opening(&mut socket).await {
            Ok(Opening::Ssl | Opening::GssEnc) => {
                let refused = socket.write_all(b"N").await;
                if refused.is_err() || socket.flush().await.is_err() {
                    return Err(Refused::Silently);
                }
            }
            Ok(Opening::Cancel { pid, secret }) => return Err(Refused::Cancel { pid, secret }),
            Ok(Opening::Startup { major, minor, parameters }) => return Ok(Some((socket, major, minor, parameters))),
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

async fn converse(
    shared: Shared,
    socket: Box<dyn Socket>,
    address: Option<String>,
    version: (u16, u16),
    parameters: Vec<(String, String)>,
) -> std::io::Result<()> {
    let (read, write) = tokio::io::split(socket);
    let mut replies = Replies::new(Box::new(write));
    let parameters = match start(&mut replies, version, parameters) {
        Ok(parameters) => parameters,
        Err(error) => {
            fatal(&mut replies, &error.describe()).await;
            return Ok(());
        }
    };
    let place = match shared.registry.enter() {
        Ok(place) => place,
        Err(error) => {
            fatal(&mut replies, &error).await;
            return Ok(());
        }
    };
    let login = Login { user: parameters.user.clone(), address, encrypted: false };
    if let Err(error) = shared.registry.authentication.authenticate(&login).await {
        fatal(&mut replies, &error).await;
        return Ok(());
    }
    let client = Arc::new(Client {
        pid: place.pid,
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
            application: client.settings.get("application_name").unwrap_or_default(),
            address: login.address,
            connected_at: clock.now_micros(),
            state: "idle",
            ..Activity::default()
        },
    );
    let context = match shared.database.new_session_for(&client) {
        Ok(context) => context,
        Err(error) => {
            fatal(&mut replies, &error.describe()).await;
            return Ok(());
        }
    };
    replies.push(&PgWireBackendMessage::Authentication(Authentication::Ok))?;
    let key = BackendKeyData::new(place.pid, SecretKey::I32(place.secret));
    let session = Session::new(context, client, shared.cpu);
    session.apply_settings();
    let mut connection = Connection::new(session, replies, Arc::clone(&place.stops), clock);
    connection.report_all().map_err(std::io::Error::other)?;
    connection.replies.push(&PgWireBackendMessage::BackendKeyData(key))?;
    if shared.registry.closing() {
        place.stops.stop(Reason::Terminated);
    }
    connection.serve(read).await
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
        return Err(UserError::new("28000", "no PostgreSQL user name specified in startup packet").into());
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
