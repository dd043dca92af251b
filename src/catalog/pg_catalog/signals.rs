//! `pg_cancel_backend` and `pg_terminate_backend`: connections end what other connections do.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, SetExpr, Statement as Ast, Visit, Visitor, visit_expressions,
};

use super::functions::{Arguments, boolean, int};
use crate::catalog::Client;
use crate::catalog::client::{Activity, Stop};
use crate::dialect::folded;
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

/// Whether a call is in a statement where it is made for the rows that the statement returns, and no others: conditions are
/// looked at for more rows than pass, and what is selected is computed before rows are put in order and counted.
///
/// # Errors
/// 0A000 where it is elsewhere.
pub(crate) fn check_places(statement: &Ast) -> Result<(), UserError> {
    match statement.visit(&mut Places) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = "connections are ended in the select list of a query without ORDER BY, LIMIT and DISTINCT";
            Err(UserError::new(sqlstate::NOT_SUPPORTED, message)
                .hint("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE … ORDER BY … LIMIT …) AS s"))
        }
    }
}

struct Places;

impl Visitor for Places {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let chosen = query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some();
        body(&query.body, chosen)
    }
}

fn body(part: &SetExpr, chosen: bool) -> ControlFlow<()> {
    match part {
        SetExpr::Select(select) => {
            if chosen || select.distinct.is_some() {
                ends_none(&select.projection)?;
            }
            ends_none(&select.selection)?;
            ends_none(&select.having)?;
            ends_none(&select.group_by)
        }
        SetExpr::SetOperation { left, right, .. } => {
            body(left, true)?;
            body(right, true)
        }
        _ => ControlFlow::Continue(()),
    }
}

fn ends_none(part: &impl Visit) -> ControlFlow<()> {
    visit_expressions(part, |expr| match expr {
        Expr::Function(call) if is_signal(&call.name) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

fn is_signal(name: &ObjectName) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|name| ["pg_cancel_backend", "pg_terminate_backend"].iter().any(|known| folded(name) == *known))
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
