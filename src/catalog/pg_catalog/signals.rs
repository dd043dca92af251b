//! `pg_cancel_backend` and `pg_terminate_backend`: connections end what other connections do.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};

use super::functions::{Arguments, boolean, int};
use crate::catalog::Client;
use crate::catalog::client::{Activity, Stop};
use crate::error::{UserError, sqlstate};
use crate::security::Access;

/// What is done to a connection, in the words of PostgreSQL's errors.
struct Signal {
    object: &'static str,
    action: &'static str,
    superusers: &'static str,
    send: fn(&dyn Stop),
}

const CANCEL: Signal =
    Signal { object: "query", action: "canceled", superusers: "cancel superuser query", send: |stop| stop.cancel() };

const TERMINATE: Signal = Signal {
    object: "process",
    action: "terminated",
    superusers: "terminate superuser process",
    send: |stop| stop.terminate(),
};

/// `pg_cancel_backend(pid)`
pub(super) fn cancel(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    signal(client, arguments, &CANCEL)
}

/// `pg_terminate_backend(pid, timeout)`. It does not wait, so the timeout can only be 0.
pub(super) fn terminate(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    match int(arguments, 1) {
        Some(timeout) if timeout < 0 => {
            Err(UserError::new(sqlstate::OUT_OF_RANGE, "\"timeout\" must not be negative").into())
        }
        Some(timeout) if timeout > 0 => {
            let error = UserError::new(sqlstate::NOT_SUPPORTED, "pg_terminate_backend does not wait");
            Err(error.hint("ask pg_stat_activity whether the connection is still there").into())
        }
        _ => signal(client, arguments, &TERMINATE),
    }
}

/// Whether there is such a connection.
fn signal(client: &Client, arguments: Arguments<'_>, signal: &Signal) -> Result<ScalarValue> {
    let pid = int(arguments, 0).and_then(|pid| i32::try_from(pid).ok());
    let Some(found) = pid.and_then(|pid| client.connections.read().get(&pid).cloned()) else { return boolean(false) };
    check(client, &found, signal)?;
    if let Some(stop) = &found.stop {
        (signal.send)(stop.as_ref());
    }
    boolean(found.stop.is_some())
}

/// Whoever has the privileges of a role ends what it does; what superusers do, only superusers end.
fn check(client: &Client, found: &Activity, signal: &Signal) -> Result<(), UserError> {
    let Some(asking) = client.guard.as_ref().map(|guard| guard.known()) else { return Ok(()) };
    if asking.everything() {
        return Ok(());
    }
    let Signal { object, action, superusers, .. } = signal;
    let refused = |message: String| Err(UserError::new(sqlstate::PERMISSION, message));
    if Access::of(Arc::clone(asking.state()), &found.user).everything() {
        return refused(format!("must be a superuser to {superusers}"));
    }
    if found.user != client.user() && !asking.is_member(&found.user) {
        return refused(format!(
            "must be a member of the role whose {object} is being {action} or member of pg_signal_backend"
        ));
    }
    Ok(())
}
