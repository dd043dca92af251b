//! One signal a statement: whoever wants it to end says so here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::client::Stop;
use crate::config;
use crate::error::{UserError, sqlstate};

/// Why a statement ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The client asked for it on another connection.
    Cancelled,
    /// The client is not there any more.
    Gone,
    /// The server ends, or an administrator ended this connection.
    Terminated,
}

impl Reason {
    fn error(self) -> UserError {
        match self {
            Self::Cancelled => UserError::new(sqlstate::CANCELED, "canceling statement due to user request"),
            Self::Gone => UserError::new("08006", "the client is gone"),
            Self::Terminated => terminated(),
        }
    }
}

/// What a client is told whose connection the server ends.
pub(super) fn terminated() -> UserError {
    UserError::new("57P01", "terminating connection due to administrator command")
}

/// The signals of one connection.
#[derive(Debug)]
pub(crate) struct Stops(watch::Sender<Option<Reason>>);

impl Default for Stops {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Stop for Stops {
    fn cancel(&self) {
        self.stop(Reason::Cancelled);
    }

    fn terminate(&self) {
        self.stop(Reason::Terminated);
    }
}

impl Stops {
    pub(super) fn stop(&self, reason: Reason) {
        self.0.send_modify(|now| {
            if matches!(now, None | Some(Reason::Cancelled)) {
                *now = Some(reason);
            }
        });
    }

    /// A new statement begins: a request to cancel meant an older one.
    pub(super) fn begin(&self) {
        self.0.send_if_modified(|now| {
            let stale = *now == Some(Reason::Cancelled);
            if stale {
                *now = None;
            }
            stale
        });
    }

    /// Whether the server ends the connection.
    pub(super) fn terminated(&self) -> bool {
        *self.0.borrow() == Some(Reason::Terminated)
    }

    /// Until the connection itself has to end.
    pub(super) async fn ended(&self) {
        let mut watch = self.0.subscribe();
        let _ = watch.wait_for(|now| matches!(now, Some(Reason::Gone | Reason::Terminated))).await.is_ok();
    }

    /// Until the connection had its time to end by itself.
    pub(super) async fn overdue(&self) {
        self.ended().await;
        tokio::time::sleep(config::TERMINATION_GRACE).await;
    }

    async fn stopped(&self) -> UserError {
        let mut watch = self.0.subscribe();
        match watch.wait_for(Option::is_some).await.map(|now| *now) {
            Ok(Some(reason)) => reason.error(),
            _ => Reason::Terminated.error(),
        }
    }
}

/// A statement under way: its signal and its deadline.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    stops: Arc<Stops>,
    deadline: Option<Instant>,
}

impl Watched {
    pub(super) fn new(stops: Arc<Stops>, timeout: Option<Duration>) -> Self {
        Self { stops, deadline: timeout.map(|timeout| Instant::now() + timeout) }
    }

    /// The work, or why it was given up. The work is dropped then.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, UserError> {
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            error = self.stops.stopped() => Err(error),
            () = late => Err(UserError::new(sqlstate::CANCELED, "canceling statement due to statement timeout")),
            done = work => Ok(done),
        }
    }
}
