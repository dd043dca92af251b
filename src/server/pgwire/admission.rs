//! Which statements compute at a time. Of those that read what is stored there is a number of places, of which no role has
//! all; who comes later waits until it is its turn. A statement has its place while it computes, not while its client
//! takes the rows. What only asks the catalog needs none, so that tools can always connect and see what goes on.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::turns::{Turns, Weights};
use crate::error::{Result, UserError};

/// Places for each core where nobody says how many.
const PLACES_OF_A_CORE: usize = 4;

/// The places of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    turns: Mutex<Turns<oneshot::Sender<Place>>>,
    timeout: Duration,
}

/// The way of one statement to its place.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    admission: Arc<Admission>,
    role: Arc<str>,
}

/// The place of a statement, given to the next one when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Queue);

impl Drop for Place {
    fn drop(&mut self) {
        let Queue { admission, role } = &self.0;
        admission.turns.lock().release(role);
        admission.give();
    }
}

/// One who waits, and leaves when it is dropped; a place that it was given meanwhile goes with it.
struct Waiting<'a> {
    queue: &'a Queue,
    number: u64,
    given: oneshot::Receiver<Place>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.admission.turns.lock().leave(&self.queue.role, self.number);
    }
}

impl Admission {
    /// So many places, 0 for some by the number of cores; a statement waits so long at most.
    pub(crate) fn new(places: usize, weights: Weights, timeout: Duration) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let places = if places == 0 { PLACES_OF_A_CORE * cores } else { places };
        let of_role = (places.saturating_mul(3) / 4).max(1);
        Arc::new(Self { turns: Mutex::new(Turns::new(places, of_role, weights)), timeout })
    }

    /// Where a plan of a role has to wait; nowhere if it asks the catalog only.
    pub(crate) fn queue(self: &Arc<Self>, role: &str, plan: &LogicalPlan) -> Result<Option<Queue>> {
        let reads = reads_what_is_stored(plan)?;
        Ok(reads.then(|| Queue { admission: Arc::clone(self), role: role.into() }))
    }

    /// Statements that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.lock().waiting()
    }

    /// Give the places that are free to those whose turn it is.
    fn give(self: &Arc<Self>) {
        loop {
            let Some((role, next)) = self.turns.lock().give() else { return };
            // Who has gone meanwhile gives it back, by dropping it.
            drop(next.send(Place(Queue { admission: Arc::clone(self), role })));
        }
    }
}

impl Queue {
    /// Wait for a place at the beginning of a statement.
    ///
    /// # Errors
    /// When it is not its turn in time.
    pub(crate) async fn enter(&self) -> Result<Place> {
        let admission = &self.admission;
        let entered = tokio::time::timeout(admission.timeout, self.place()).await;
        entered.unwrap_or_else(|_| {
            let message = format!("the statement has waited for {:?} for others to end", admission.timeout);
            Err(UserError::new("53400", message)
                .hint("system.queries has those that run; ascribe serve --active-statements, --weight, --queue-timeout")
                .into())
        })
    }

    /// Wait for a place again, as long as it takes: rows were sent already.
    pub(crate) async fn place(&self) -> Result<Place> {
        let (place, given) = oneshot::channel();
        let number = self.admission.turns.lock().wait(&self.role, place);
        let mut waiting = Waiting { queue: self, number, given };
        self.admission.give();
        let given = (&mut waiting.given).await;
        given.map_err(|_| UserError::new("57P03", "the database system is shutting down").into())
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
        let admission = Admission::new(4, Weights::default(), Duration::from_millis(50));
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
    }

    #[tokio::test]
    async fn a_place_goes_to_the_next_by_weight_and_not_to_who_has_gone() {
        let weights = Weights::parse(&["ada=2".to_owned()]).unwrap();
        let admission = Admission::new(1, weights, Duration::from_secs(3600));
        let queue = |role| admission.queue(role, &scan("public.spans")).unwrap().unwrap();
        let place = queue("carol").enter().await.unwrap();
        let order = Arc::new(Mutex::new(String::new()));
        let mut waiting = Vec::new();
        for (at, role) in ["gone", "bob", "bob", "bob", "ada", "ada", "ada", "ada"].into_iter().enumerate() {
            let (queue, order) = (queue(role), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let place = queue.enter().await.unwrap();
                order.lock().push_str(&role[..1]);
                drop(place);
            }));
            tokio::task::yield_now().await;
            assert_eq!(admission.waiting(), at + 1);
        }
        let gone = waiting.remove(0);
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(admission.waiting(), 7);
        drop(place);
        for statement in waiting {
            statement.await.unwrap();
        }
        assert_eq!((order.lock().as_str(), admission.waiting()), ("baabaab", 0));
        // Who has a place and goes before it knows of it gives it to the next.
        let (first, second) = (queue("ada"), queue("bob"));
        let place = queue("carol").place().await.unwrap();
        let mut given = Box::pin(first.place());
        assert!(futures::poll!(&mut given).is_pending());
        drop(place);
        drop(given);
        drop(second.place().await.unwrap());
    }

    #[test]
    fn the_catalog_waits_for_nobody() {
        let admission = Admission::new(1, Weights::default(), Duration::ZERO);
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
