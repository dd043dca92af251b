//! Which statements compute at a time. Of those that read what is stored there is a number of places, of which no role has
//! all; who comes later waits in the order of arrival. A statement has its place while it computes, not while its client
//! takes the rows. What only asks the catalog needs none, so that tools can always connect and see what goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Result, UserError};

/// Places for each core where nobody says how many.
const PLACES_OF_A_CORE: usize = 4;

/// The places of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    of_role: usize,
    roles: Mutex<HashMap<String, Arc<Semaphore>>>,
    timeout: Duration,
    waiting: AtomicUsize,
}

/// The way of one statement to its place.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    admission: Arc<Admission>,
    role: Arc<Semaphore>,
}

/// The place of a statement, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _role: OwnedSemaphorePermit,
    _server: OwnedSemaphorePermit,
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// So many places, 0 for some by the number of cores; a statement waits so long at most.
    pub(crate) fn new(places: usize, timeout: Duration) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let places = if places == 0 { PLACES_OF_A_CORE * cores } else { places.min(Semaphore::MAX_PERMITS) };
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            of_role: (places * 3 / 4).max(1),
            roles: Mutex::default(),
            timeout,
            waiting: AtomicUsize::new(0),
        })
    }

    /// Where a plan of a role has to wait; nowhere if it asks the catalog only.
    pub(crate) fn queue(self: &Arc<Self>, role: &str, plan: &LogicalPlan) -> Result<Option<Queue>> {
        if !reads_what_is_stored(plan)? {
            return Ok(None);
        }
        let mut roles = self.roles.lock();
        if !roles.contains_key(role) {
            // Those of which nobody has a place, nor waits for one.
            roles.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let own = roles.entry(role.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.of_role)));
        Ok(Some(Queue { admission: Arc::clone(self), role: Arc::clone(own) }))
    }

    /// Statements that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// Wait for a place at the beginning of a statement.
    ///
    /// # Errors
    /// When none is free in time.
    pub(crate) async fn enter(&self) -> Result<Place> {
        let admission = &self.admission;
        let entered = tokio::time::timeout(admission.timeout, self.place()).await;
        entered.unwrap_or_else(|_| {
            let message = format!("the statement has waited for {:?} for others to end", admission.timeout);
            Err(UserError::new("53400", message)
                .hint("system.queries has those that run; ascribe serve --active-statements, --queue-timeout")
                .into())
        })
    }

    /// Wait for a place again, as long as it takes: rows were sent already.
    pub(crate) async fn place(&self) -> Result<Place> {
        let closed = |_| UserError::new("57P03", "the database system is shutting down");
        let admission = &self.admission;
        admission.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&admission.waiting);
        let role = Arc::clone(&self.role).acquire_owned().await.map_err(closed)?;
        let server = Arc::clone(&admission.places).acquire_owned().await.map_err(closed)?;
        Ok(Place { _role: role, _server: server })
    }
}

/// Whether a plan does more than ask the catalog and compute constants.
fn reads_what_is_stored(plan: &LogicalPlan) -> Result<bool> {
    let mut reads = false;
    plan.apply_with_subqueries(|node| {
        reads |= match node {
            LogicalPlan::TableScan(scan) => !matches!(
                (scan.table_name.schema(), scan.table_name.table()),
                (Some("pg_catalog" | "information_schema"), _) | (Some("system"), "queries" | "functions")
            ),
            LogicalPlan::Extension(_) | LogicalPlan::Dml(_) | LogicalPlan::RecursiveQuery(_) => true,
            _ => false,
        };
        Ok(if reads { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(reads)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{LogicalPlanBuilder, LogicalTableSource};

    use super::*;

    fn scan(table: &str) -> LogicalPlan {
        let source = Arc::new(LogicalTableSource::new(Arc::new(datafusion::arrow::datatypes::Schema::empty())));
        LogicalPlanBuilder::scan(table, source, None).unwrap().build().unwrap()
    }

    #[tokio::test]
    async fn no_role_has_all_places_and_who_waits_too_long_is_told() {
        let admission = Admission::new(4, Duration::from_millis(50));
        let queue = |role| admission.queue(role, &scan("public.spans")).unwrap().unwrap();
        let mut ada = Vec::new();
        for _ in 0..3 {
            ada.push(queue("ada").enter().await.unwrap());
        }
        let error = queue("ada").enter().await.unwrap_err();
        assert_eq!(error.sqlstate(), "53400");
        assert!(error.to_string().contains("50ms"), "{error}");
        let bob = queue("bob").enter().await.unwrap();
        assert_eq!(queue("bob").enter().await.unwrap_err().sqlstate(), "53400");
        // In the order of arrival.
        let (first, second) = (queue("ada"), queue("ada"));
        let waiting = tokio::spawn(async move { first.place().await });
        tokio::task::yield_now().await;
        let late = tokio::spawn(async move { second.place().await });
        tokio::task::yield_now().await;
        assert_eq!(admission.waiting(), 2);
        ada.pop();
        let place = waiting.await.unwrap().unwrap();
        assert_eq!((late.is_finished(), admission.waiting()), (false, 1));
        drop((place, bob));
        late.await.unwrap().unwrap();
        drop(ada);
        assert_eq!(admission.waiting(), 0);
        // A role that has gone leaves nothing behind.
        drop(queue("carol"));
        assert_eq!(admission.roles.lock().len(), 1);
    }

    #[test]
    fn the_catalog_waits_for_nobody() {
        let admission = Admission::new(1, Duration::ZERO);
        for table in ["pg_catalog.pg_class", "ascribe.information_schema.tables", "system.queries"] {
            assert!(admission.queue("ada", &scan(table)).unwrap().is_none(), "{table}");
        }
        let both = LogicalPlanBuilder::from(scan("pg_catalog.pg_class"));
        let both = both.cross_join(scan("spans")).unwrap().build().unwrap();
        for plan in [scan("spans"), scan("system.audit"), both] {
            assert!(admission.queue("ada", &plan).unwrap().is_some(), "{plan}");
        }
    }
}
