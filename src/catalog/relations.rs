//! Views that users have added to the lake: planned when a statement names them, with nobody's own names in sight.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use tokio::task::JoinSet;

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

tokio::task_local! {
    /// How many views are being planned, one inside of the other.
    static DEPTH: usize;
}

/// A view as it is now. It reads what it reads with the rights of built-in views: who may read the view needs no right to
/// its tables, and sees of them what policies and masks let the asking role see.
pub(super) async fn planned(state: &SessionState, name: &str, view: &UserView) -> Result<Arc<dyn TableProvider>> {
    let depth = DEPTH.try_with(|depth| *depth).unwrap_or(0);
    if depth >= config::VIEW_DEPTH {
        let error = UserError::new("54001", format!("view \"{name}\" is nested too deeply"));
        return Err(error.detail(format!("a view may be made of {} others at most", config::VIEW_DEPTH)).into());
    }
    let planner = state.config().get_extension::<UserViews>();
    let planner = planner.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session plans no views"))?;
    let (definer, asked) = (Rights::definer(state), view.clone());
    let plan = async move { planner.0.plan(&definer, &asked.query, &asked.columns).await };
    // By a task of its own, which has a stack of its own; dropped together with whoever waits for it.
    let mut tasks = JoinSet::new();
    tasks.spawn(DEPTH.scope(depth + 1, plan));
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
