//! Nested loop joins of the engine that let others go on while they look for a pair.
//!
//! They look at one pair after the other until a batch is full, all of it in one poll. Where hardly a pair becomes a row
//! that takes minutes, in which no other task has the thread, and nobody can end the one that has it. What such a join comes
//! back to all the time is its condition, for one batch of pairs after the other. So, once a poll has taken long enough, the
//! condition fails with `Pause`, which no one sees: the join hands it on before it has noted anything about the batch,
//! and asks about the same batch again when it is polled next. From outside it is a join that is not ready yet. Whoever
//! drops it ends it.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};

/// How long a join computes before others have their turn. A runtime whose threads all compute looks for what has come from
/// outside after some sixty turns.
const TURN: Duration = Duration::from_millis(1);

/// The same join with pauses; none if the node is no nested loop join. A hash join does not keep what it was about when its
/// condition fails.
///
/// # Errors
/// When the engine cannot make the join, which is a defect.
pub fn pausing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    with_turns(node, TURN)
}

fn with_turns(node: &Arc<dyn ExecutionPlan>, turn: Duration) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(None) };
    let Some(filter) = interrupted(join.filter()) else { return Ok(None) };
    let join = Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?);
    Ok(Some(Arc::new(PausingExec::new(join, turn))))
}

/// A condition that can be interrupted; none if it can be already.
fn interrupted(filter: Option<&JoinFilter>) -> Option<JoinFilter> {
    let (condition, columns, schema) = match filter {
        Some(filter) if filter.expression().is::<Interrupted>() => return None,
        Some(filter) => {
            (Arc::clone(filter.expression()), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        }
        None => (lit(true), Vec::new(), Arc::new(Schema::empty())),
    };
    Some(JoinFilter::new(Arc::new(Interrupted(condition)), columns, schema))
}

/// Why a condition was not evaluated: others have their turn.
#[derive(Debug)]
struct Pause;

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the join pauses")
    }
}

impl std::error::Error for Pause {}

thread_local! {
    /// The turn of the join that is polled on this thread.
    static NOW: Cell<Option<Turn>> = const { Cell::new(None) };
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    ends: Instant,
    /// Whether the condition was evaluated in it: each turn gets the join a batch further.
    used: bool,
}

impl Turn {
    /// Whether the turn of the join that is polled is over.
    fn is_over() -> bool {
        match NOW.get() {
            Some(turn) if turn.used => Instant::now() >= turn.ends,
            Some(turn) => {
                NOW.set(Some(Self { used: true, ..turn }));
                false
            }
            None => false,
        }
    }
}

/// A condition that fails with [`Pause`] when the turn is over.
#[derive(Debug)]
struct Interrupted(Arc<dyn PhysicalExpr>);

impl PartialEq for Interrupted {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Interrupted {}

impl Hash for Interrupted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PhysicalExpr for Interrupted {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if Turn::is_over() { Err(DataFusionError::External(Box::new(Pause))) } else { self.0.evaluate(batch) }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.pop()) {
            (Some(condition), None) => Ok(Arc::new(Self(condition))),
            _ => internal_err!("a condition that is interrupted is one condition"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

/// Runs a join whose condition is [`Interrupted`].
#[derive(Debug)]
struct PausingExec {
    join: Arc<dyn ExecutionPlan>,
    turn: Duration,
    properties: Arc<PlanProperties>,
}

impl PausingExec {
    fn new(join: Arc<dyn ExecutionPlan>, turn: Duration) -> Self {
        let properties = PlanProperties::clone(join.properties()).with_scheduling_type(SchedulingType::Cooperative);
        Self { join, turn, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PausingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PausingExec")
    }
}

impl ExecutionPlan for PausingExec {
    fn name(&self) -> &'static str {
        "PausingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.join]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(join), None) => Ok(Arc::new(Self::new(join, self.turn))),
            _ => internal_err!("what pauses is one join"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut join = self.join.execute(partition, context)?;
        let (schema, turn) = (join.schema(), self.turn);
        let rows = stream::poll_fn(move |context| poll(&mut join, turn, context));
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
    }
}

/// Poll a join for a turn.
fn poll(
    join: &mut SendableRecordBatchStream,
    turn: Duration,
    context: &mut Context<'_>,
) -> Poll<Option<Result<RecordBatch>>> {
    // A join that is an input of another one has a turn of its own within the other's.
    let outer = NOW.replace(Some(Turn { ends: Instant::now() + turn, used: false }));
    let polled = join.poll_next_unpin(context);
    NOW.set(outer);
    match polled {
        Poll::Ready(Some(Err(DataFusionError::External(error)))) if error.is::<Pause>() => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::Field;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::common::{JoinSide, JoinType};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, col};
    use datafusion::physical_plan::joins::utils::ColumnIndex;
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::SessionConfig;

    use super::*;

    const JOIN_TYPES: [JoinType; 10] = [
        JoinType::Inner,
        JoinType::Left,
        JoinType::Right,
        JoinType::Full,
        JoinType::LeftSemi,
        JoinType::RightSemi,
        JoinType::LeftAnti,
        JoinType::RightAnti,
        JoinType::LeftMark,
        JoinType::RightMark,
    ];

    /// Numbers and their last digits by `modulus`, in batches of so many rows.
    fn numbers(count: i64, modulus: i64, batch: i64) -> Arc<dyn ExecutionPlan> {
        let fields = ["n", "k"].map(|name| Field::new(name, DataType::Int64, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let batches = (0..count).step_by(usize::try_from(batch).unwrap()).map(|from| {
            let values = from..count.min(from + batch);
            let keys: Int64Array = values.clone().map(|value| value % modulus).collect();
            let values: Int64Array = values.collect();
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values), Arc::new(keys)]).unwrap()
        });
        MemorySourceConfig::try_new_exec(&[batches.collect()], Arc::clone(&schema), None).unwrap()
    }

    /// `left.n * 3 + right.n = sum`
    fn filter(sum: i64) -> JoinFilter {
        let fields = ["l", "r"].map(|name| Field::new(name, DataType::Int64, false));
        let schema = Schema::new(fields.to_vec());
        let of = |name: &str| col(name, &schema).unwrap();
        let tripled = binary(of("l"), Operator::Multiply, lit(3_i64), &schema).unwrap();
        let total = binary(tripled, Operator::Plus, of("r"), &schema).unwrap();
        let condition = binary(total, Operator::Eq, lit(sum), &schema).unwrap();
        let columns = [JoinSide::Left, JoinSide::Right].map(|side| ColumnIndex { index: 0, side });
        JoinFilter::new(condition, columns.to_vec(), Arc::new(schema))
    }

    type Sides = (Arc<dyn ExecutionPlan>, Arc<dyn ExecutionPlan>);

    fn nested((left, right): Sides, filter: Option<JoinFilter>, join_type: JoinType) -> Arc<dyn ExecutionPlan> {
        Arc::new(NestedLoopJoinExec::try_new(left, right, filter, &join_type, None).unwrap())
    }

    /// The rows in order, and how often whoever asked for them had to wait.
    fn run(plan: &Arc<dyn ExecutionPlan>) -> (Vec<String>, usize) {
        let context = TaskContext::default().with_session_config(SessionConfig::new().with_batch_size(8));
        let mut rows = plan.execute(0, Arc::new(context)).unwrap();
        let (mut batches, mut waits) = (Vec::new(), 0);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match rows.poll_next_unpin(&mut context) {
                Poll::Ready(Some(batch)) => batches.push(batch.unwrap()),
                Poll::Ready(None) => break,
                Poll::Pending => waits += 1,
            }
        }
        let shown = pretty_format_batches(&batches).unwrap().to_string();
        let mut lines: Vec<String> = shown.lines().map(str::to_owned).collect();
        lines.sort();
        (lines, waits)
    }

    #[test]
    fn a_join_that_pauses_after_every_batch_has_the_same_rows() {
        for join_type in JOIN_TYPES {
            for filter in [Some(filter(60)), None] {
                let sides = || (numbers(40, 4, 40), numbers(30, 3, 5));
                let plain = nested(sides(), filter.clone(), join_type);
                let what = format!("{join_type} {}", filter.is_some());
                let paused = with_turns(&plain, Duration::ZERO).unwrap().unwrap();
                let ((rows, none), (same, waits)) = (run(&plain), run(&paused));
                assert_eq!(rows, same, "{what}");
                // Four lines are a table without rows.
                assert!(rows.len() > 4 || filter.is_none(), "{what}: {rows:?}");
                assert!(none == 0 && waits > 20, "{what}: {waits}");
            }
        }
    }

    #[test]
    fn a_join_in_a_join_pauses_as_well() {
        let pausing = |plan: Arc<dyn ExecutionPlan>| with_turns(&plan, Duration::ZERO).unwrap().unwrap();
        let plain = |pausing: &dyn Fn(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>| {
            let inner = pausing(nested((numbers(40, 4, 40), numbers(30, 3, 5)), Some(filter(60)), JoinType::LeftSemi));
            pausing(nested((numbers(30, 3, 10), inner), Some(filter(60)), JoinType::Inner))
        };
        let ((rows, _), (same, waits)) = (run(&plain(&|plan| plan)), run(&plain(&pausing)));
        assert_eq!(rows, same);
        assert!(waits > 150, "{waits}");
        // What pauses is not made to pause twice.
        assert!(super::pausing(plain(&pausing).children()[0]).unwrap().is_none());
    }

    #[test]
    fn a_plan_shows_the_condition_as_it_is() {
        let join = nested((numbers(4, 4, 4), numbers(3, 3, 3)), Some(filter(60)), JoinType::Inner);
        let shown = displayable(pausing(&join).unwrap().unwrap().as_ref()).indent(false).to_string();
        let lines: Vec<&str> = shown.lines().take(2).collect();
        assert_eq!(
            lines,
            ["PausingExec", "  NestedLoopJoinExec: join_type=Inner, filter=l@0 * 3 + r@1 = 60"],
            "{shown}"
        );
    }

    #[tokio::test]
    async fn a_join_without_rows_lets_go_of_the_thread_and_ends_with_its_task() {
        // A million millions of pairs take hours.
        let sides = || (numbers(1_000_000, 1, 8192), numbers(1_000_000, 1, 8192));
        for plan in [nested(sides(), Some(filter(-1)), JoinType::Inner), nested(sides(), None, JoinType::LeftSemi)] {
            let plan = pausing(&plan).unwrap().unwrap();
            let running = tokio::spawn(collect(plan, Arc::new(TaskContext::default())));
            // The one thread of this test gets here only if the join lets it.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!running.is_finished());
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
        }
    }
}
