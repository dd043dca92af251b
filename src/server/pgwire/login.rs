//! Logging in: by certificate, by SCRAM, or not at all where the lake has no roles. Who fails has to wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;

use super::frame::{self, Message, Violation};
use super::reply::Replies;
use super::tls::{Channel, Tls};
use crate::config;
use crate::error::{UserError, sqlstate};
use crate::security::scram::{self, Exchange, Verifier};
use crate::security::{Directory, Role};

/// The longest message of an exchange, bytes.
const LONGEST: usize = 4096;

/// Who a client says it is.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Address of the client.
    pub address: Option<String>,
}

/// When failed logins have to wait, and how long.
#[derive(Debug, Clone)]
pub struct LoginLimits {
    /// Failures from an address, and of a user, before the next one has to wait.
    pub free: u32,
    /// The first wait; doubled with each further failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long a client may take, for each step.
    pub timeout: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            free: config::LOGIN_FREE_FAILURES,
            first: config::LOGIN_FIRST_WAIT,
            longest: config::LOGIN_LONGEST_WAIT,
            timeout: config::LOGIN_TIMEOUT,
        }
    }
}

/// What stands before a session.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) directory: Arc<Directory>,
    /// Whether somebody is let in without proof where the lake has no roles.
    pub(crate) trust: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) tls_required: bool,
    pub(crate) limits: LoginLimits,
    failures: Mutex<HashMap<String, Failures>>,
    waiting: Semaphore,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Gate {
    pub(crate) fn new(
        directory: Arc<Directory>,
        trust: bool,
        tls: Option<Tls>,
        tls_required: bool,
        limits: LoginLimits,
    ) -> Self {
        let waiting = Semaphore::new(config::LOGIN_WAITING);
        Self { directory, trust, tls, tls_required, limits, failures: Mutex::default(), waiting }
    }

    fn keys(login: &Login) -> [String; 2] {
        [format!("address {}", login.address.as_deref().unwrap_or_default()), format!("user {}", login.user)]
    }

    /// How long a login has to wait, by the failures before it.
    fn wait(&self, login: &Login) -> Duration {
        let failures = self.failures.lock();
        let wait = |key: &String| {
            let known = failures.get(key).filter(|known| known.last.elapsed() < config::LOGIN_MEMORY)?;
            let beyond = known.count.checked_sub(self.limits.free)?;
            let wait = self.limits.first.saturating_mul(1 << beyond.min(20)).min(self.limits.longest);
            wait.checked_sub(known.last.elapsed())
        };
        Self::keys(login).iter().filter_map(wait).max().unwrap_or_default()
    }

    fn failed(&self, login: &Login) {
        let mut failures = self.failures.lock();
        for key in Self::keys(login) {
            if failures.len() >= config::LOGIN_REMEMBERED && !failures.contains_key(&key) {
                let oldest = failures.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| key.clone());
                oldest.and_then(|oldest| failures.remove(&oldest));
            }
            let now = Instant::now();
            let known = failures.entry(key).or_insert(Failures { count: 0, last: now });
            if known.last.elapsed() >= config::LOGIN_MEMORY {
                known.count = 0;
            }
            known.count = known.count.saturating_add(1);
            known.last = now;
        }
    }

    /// The user is forgiven; the address is not, from which others may be tried.
    fn succeeded(&self, login: &Login) {
        let [_, user] = Self::keys(login);
        self.failures.lock().remove(&user);
    }

    /// Let a client in or not.
    ///
    /// # Errors
    /// What it is told when it is not let in; nothing if it is gone.
    pub(super) async fn admit(
        &self,
        login: &Login,
        channel: Option<&Channel>,
        read: &mut (impl AsyncRead + Unpin),
        replies: &mut Replies,
    ) -> Result<(), Option<UserError>> {
        if self.tls_required && channel.is_none() {
            let error = UserError::new(sqlstate::UNAUTHORIZED, "the connection has to be encrypted");
            return Err(Some(error.hint("connect with sslmode=require or stronger")));
        }
        let state = self.directory.current().await.map_err(|error| Some(error.describe()))?;
        if state.roles.is_empty() {
            if self.trust {
                return Ok(());
            }
            let error = UserError::new(sqlstate::UNAUTHORIZED, "nobody can log in: the lake has no roles");
            return Err(Some(error.hint("make one: ascribe role create NAME --superuser --password-stdin")));
        }
        self.delay(login).await?;
        let role = state.roles.get(&login.user);
        if let Some(name) = channel.and_then(|channel| channel.common_name.as_ref()) {
            if *name != login.user || role.is_none() {
                self.failed(login);
                let message = format!("certificate authentication failed for user \"{}\"", login.user);
                return Err(Some(UserError::new(sqlstate::UNAUTHORIZED, message)));
            }
        } else {
            let timeout = self.limits.timeout;
            let proved = tokio::time::timeout(timeout, self.prove(login, role, &state.secret, channel, read, replies));
            match proved.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    self.failed(login);
                    let message = format!("password authentication failed for user \"{}\"", login.user);
                    return Err(Some(UserError::new(sqlstate::WRONG_PASSWORD, message)));
                }
                Ok(Err(refused)) => {
                    self.failed(login);
                    return Err(refused);
                }
                Err(_) => {
                    let message = "canceling authentication due to timeout";
                    return Err(Some(UserError::new(sqlstate::CANCELED, message)));
                }
            }
        }
        self.succeeded(login);
        if !role.is_some_and(|role| role.login) {
            let message = format!("role \"{}\" is not permitted to log in", login.user);
            return Err(Some(UserError::new(sqlstate::UNAUTHORIZED, message)));
        }
        Ok(())
    }

    async fn delay(&self, login: &Login) -> Result<(), Option<UserError>> {
        let wait = self.wait(login);
        if wait.is_zero() {
            return Ok(());
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(Some(UserError::new("53300", "too many failed logins: try again later")));
        };
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Whether the client knows the password.
    async fn prove(
        &self,
        login: &Login,
        role: Option<&Role>,
        secret: &str,
        channel: Option<&Channel>,
        read: &mut (impl AsyncRead + Unpin),
        replies: &mut Replies,
    ) -> Result<bool, Option<UserError>> {
        let told = |error: crate::error::Error| Some(error.describe());
        let binding = channel.map(|channel| &*channel.binding);
        let verifier = role.and_then(|role| Verifier::parse(role.verifier.as_deref()?));
        let verifier = verifier.unwrap_or_else(|| Verifier::mock(secret, &login.user));
        let mut mechanisms = vec![scram::PLAIN.to_owned()];
        if binding.is_some() {
            mechanisms.insert(0, scram::PLUS.to_owned());
        }
        say(replies, Authentication::SASL(mechanisms)).await?;
        let (mechanism, first) = frame::sasl_initial(hear(read).await?).map_err(broken)?;
        let plus = match mechanism.as_str() {
            scram::PLAIN => false,
            scram::PLUS if binding.is_some() => true,
            _ => return Err(Some(UserError::new("08P01", "client selected an invalid SASL authentication mechanism"))),
        };
        let exchange = Exchange::begin(verifier, plus, binding, &first).map_err(told)?;
        let challenge = Bytes::from(exchange.server_first().to_owned());
        say(replies, Authentication::SASLContinue(challenge)).await?;
        let Some(proof) = exchange.finish(&hear(read).await?).map_err(told)? else { return Ok(false) };
        let now = self.directory.clock().now_micros();
        if role.and_then(|role| role.valid_until).is_some_and(|until| until <= now) {
            return Ok(false);
        }
        replies
            .push(&PgWireBackendMessage::Authentication(Authentication::SASLFinal(Bytes::from(proof))))
            .map_err(|_| None)?;
        Ok(true)
    }
}

fn broken(violation: Violation) -> Option<UserError> {
    match violation {
        Violation::Gone => None,
        Violation::Malformed(what) => Some(UserError::new("08P01", what)),
    }
}

async fn say(replies: &mut Replies, message: Authentication) -> Result<(), Option<UserError>> {
    replies.push(&PgWireBackendMessage::Authentication(message)).map_err(|_| None)?;
    replies.flush().await.map_err(|_| None)
}

async fn hear(read: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, Option<UserError>> {
    match frame::read_message(read, LONGEST).await.map_err(broken)?.0 {
        Message::Password(bytes) => Ok(bytes),
        Message::Terminate => Err(None),
        _ => Err(Some(UserError::new("08P01", "expected SASL response"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn failures_make_wait_and_are_bounded() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let limits = LoginLimits { free: 2, first: Duration::from_secs(100), ..LoginLimits::default() };
        let limits = LoginLimits { longest: Duration::from_secs(300), ..limits };
        let gate = Gate::new(Directory::new(store, ManualClock::at(0)), true, None, false, limits);
        let login = |user: &str, address: &str| Login { user: user.to_owned(), address: Some(address.to_owned()) };
        let ada = login("ada", "1.1.1.1");
        let seconds = |login: &Login| gate.wait(login).as_secs_f64().round();
        gate.failed(&ada);
        assert_eq!(seconds(&ada), 0.0);
        let mut waits = Vec::new();
        for _ in 0..4 {
            gate.failed(&ada);
            waits.push(seconds(&ada));
        }
        assert_eq!(waits, [100.0, 200.0, 300.0, 300.0]);
        assert_eq!(seconds(&login("ada", "2.2.2.2")), 300.0);
        assert_eq!(seconds(&login("bob", "1.1.1.1")), 300.0);
        assert_eq!(seconds(&login("bob", "2.2.2.2")), 0.0);
        gate.succeeded(&ada);
        assert_eq!(seconds(&login("ada", "2.2.2.2")), 0.0);
        assert_eq!(seconds(&ada), 300.0);
        for at in 0..config::LOGIN_REMEMBERED {
            gate.failures.lock().insert(format!("user {at}"), Failures { count: 1, last: Instant::now() });
        }
        let before = gate.failures.lock().len();
        gate.failed(&login("new", "new"));
        assert_eq!(gate.failures.lock().len(), before);
        assert!(gate.failures.lock().contains_key("user new"));
    }
}
