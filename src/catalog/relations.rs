//! Views that users have added to the lake: planned when a statement names them, with nobody's own names in sight.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use tokio::task::JoinSet;

use super::guarded::Asking;
use super::lake_schema::engine_error;
use crate::config;
use crate::error::{self, UserError, sqlstate};
use crate::security::Rights;
use crate::storage::UserView;

/// How the query of a view becomes a plan. A user wrote it, and what users write is planned above this module.
#[async_trait]
pub trait PlanView: Send + Sync {
    /// The plan of a query of a user's, its columns named as the user sees them, the first ones as told.
    async fn plan(&self, state: &SessionState, query: &str, columns: &[String]) -> error::Result<LogicalPlan>;
}

/// The planner of views of a session.
#[derive(Clone)]
pub struct UserViews(pub Arc<dyn PlanView>);

impl fmt::Debug for UserViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserViews")
    }
}

/// Where in the views of a statement one stands.
#[derive(Debug, Clone, Default)]
struct Nesting {
    /// How many views are being planned, one inside of the other.
    depth: usize,
    /// How many were planned for the outermost one.
    planned: Arc<AtomicUsize>,
}

tokio::task_local! {
    static NESTING: Nesting;
}

/// The session in which the query of a lasting view, or one that is built in, is planned. Who may read the view needs no
/// right to its tables, and sees of them what policies and masks let the asking role see; a policy sees everything.
pub(super) fn session_of(state: &SessionState, asking: Asking) -> SessionState {
    match asking {
        Asking::Role | Asking::Definer => Rights::definer(state),
        Asking::Owner => Rights::owner(state),
    }
}

/// A view as it is now, its query planned in `state`.
pub(super) async fn planned(state: SessionState, name: &str, view: &UserView) -> Result<Arc<dyn TableProvider>> {
    let outer = NESTING.try_with(Nesting::clone).unwrap_or_default();
    let planned = outer.planned.fetch_add(1, Ordering::Relaxed) + 1;
    if outer.depth >= config::VIEW_DEPTH || planned > config::VIEWS_PLANNED {
        let error = UserError::new("54001", format!("view \"{name}\" is nested too deeply"));
        let (deep, many) = (config::VIEW_DEPTH, config::VIEWS_PLANNED);
        return Err(error.detail(format!("views may be {deep} deep and name {many} others at most")).into());
    }
    let nesting = Nesting { depth: outer.depth + 1, planned: outer.planned };
    let planner = state.config().get_extension::<UserViews>();
    let planner = planner.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session plans no views"))?;
    let asked = view.clone();
    let plan = async move { planner.0.plan(&state, &asked.query, &asked.columns).await };
    // By a task of its own, which has a stack of its own; dropped together with whoever waits for it.
    let mut tasks = JoinSet::new();
    tasks.spawn(NESTING.scope(nesting, plan));
    let plan = match tasks.join_next().await {
        Some(Ok(plan)) => plan.map_err(|error| engine_error(in_view(name, error)))?,
        _ => return Err(UserError::new(sqlstate::INTERNAL, format!("view \"{name}\" was not planned")).into()),
    };
    Ok(Arc::new(ViewTable::new(plan, Some(view.query.clone()))))
}

/// An error with the view in which it is: what its query names may be gone since.
fn in_view(name: &str, error: error::Error) -> error::Error {
    let mut told = error.describe();
    if told.detail.is_none() {
        told.detail = Some(format!("It is in the query of view \"{name}\"."));
    }
    told.into()
}
