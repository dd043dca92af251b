//! Planning: from the parsed join to the logical node, and from that to the physical one.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Column, DFSchema, JoinSide, JoinType, Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Extension, LogicalPlan, LogicalPlanBuilder, Operator, UserDefinedLogicalNode,
};
use datafusion::physical_expr::expressions::BinaryExpr as Binary;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, TableFactor, TableWithJoins};

use super::exec::{AsofJoinExec, Parts};
use super::logical::{AsofJoin, is_of};
use super::syntax::is_asof;
use crate::error::{UserError, sqlstate};
use crate::operators::bounds::{Bound, Found, bound_of, narrowed, on_side, side_of, without_casts};
use crate::operators::join::{Mode, is_small};

/// Plans `(a ASOF JOIN b …)` in FROM.
#[derive(Debug, Default)]
pub struct PlanAsofRelations;

impl RelationPlanner for PlanAsofRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (mut joins, alias) = match relation {
            TableFactor::NestedJoin { table_with_joins, alias } if is_asof(&table_with_joins) => {
                (table_with_joins, alias)
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let Some(join) = joins.joins.pop() else { return internal_err!("an ASOF join without a right side") };
        let JoinOperator::AsOf { match_condition, constraint } = join.join_operator else {
            return internal_err!("an ASOF join is another one");
        };
        let left = context.plan(rest(*joins))?;
        let right = context.plan(join.relation)?;
        let both = left.schema().join(right.schema())?;
        let condition = context.sql_to_expr(match_condition, &both)?;
        check_match(&condition, left.schema(), right.schema())?;
        let (mut on, mut filters, mut using) = (vec![], vec![], vec![]);
        match constraint {
            JoinConstraint::On(expression) => {
                for part in split_conjunction_owned(context.sql_to_expr(expression, &both)?) {
                    if is_key(&part, left.schema(), right.schema()) { on.push(part) } else { filters.push(part) }
                }
            }
            JoinConstraint::Using(names) => {
                for name in names {
                    let name = key_name(&name, context)?;
                    let (of_left, of_right) = (column(&left, &name)?, column(&right, &name)?);
                    on.push(Expr::Column(of_left).eq(Expr::Column(of_right.clone())));
                    using.push(of_right);
                }
            }
            JoinConstraint::Natural => return Err(refused("ASOF JOIN cannot be NATURAL").into()),
            JoinConstraint::None => {}
        }
        let node = AsofJoin::try_new(left, right, condition, on, filters, join.global)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        let plan = if using.is_empty() { plan } else { without(plan, &using)? };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// What is left of the join.
fn rest(joins: TableWithJoins) -> TableFactor {
    if joins.joins.is_empty() {
        return joins.relation;
    }
    TableFactor::NestedJoin { table_with_joins: Box::new(joins), alias: None }
}

fn refused(why: impl Into<String>) -> UserError {
    UserError::new(sqlstate::SYNTAX, why)
        .hint("write l ASOF JOIN r MATCH_CONDITION (l.time >= r.time) ON l.key = r.key; >, <= and < are possible too")
}

fn check_match(condition: &Expr, left: &DFSchema, right: &DFSchema) -> Result<()> {
    let Expr::BinaryExpr(BinaryExpr { left: first, op, right: second }) = condition else {
        return Err(refused("MATCH_CONDITION of an ASOF JOIN must be a single comparison").into());
    };
    if !matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) {
        return Err(refused("MATCH_CONDITION of an ASOF JOIN requires <, <=, > or >=").into());
    }
    if !is_of(first, left) {
        return Err(refused("the left operand of MATCH_CONDITION must read the left side of the ASOF JOIN only").into());
    }
    if !is_of(second, right) {
        let why = "the right operand of MATCH_CONDITION must read the right side of the ASOF JOIN only";
        return Err(refused(why).into());
    }
    Ok(())
}

fn is_key(condition: &Expr, left: &DFSchema, right: &DFSchema) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left: first, op: Operator::Eq, right: second }) => {
            (is_of(first, left) && is_of(second, right)) || (is_of(first, right) && is_of(second, left))
        }
        _ => false,
    }
}

fn key_name(name: &ObjectName, context: &dyn RelationPlannerContext) -> Result<String> {
    match name.0.as_slice() {
        [part] => match part.as_ident() {
            Some(name) => Ok(context.normalize_ident(name.clone())),
            None => Err(refused(format!("{name} is not the name of a column")).into()),
        },
        _ => Err(refused(format!("USING takes the names of columns, not {name}")).into()),
    }
}

fn column(plan: &LogicalPlan, name: &str) -> Result<Column> {
    let (qualifier, field) = plan.schema().qualified_field_with_unqualified_name(name)?;
    Ok(Column::new(qualifier.cloned(), field.name()))
}

/// A plan without some of its columns.
fn without(plan: LogicalPlan, dropped: &[Column]) -> Result<LogicalPlan> {
    let kept = plan.schema().columns().into_iter().filter(|column| !dropped.contains(column)).map(Expr::Column);
    let kept: Vec<Expr> = kept.collect();
    LogicalPlanBuilder::from(plan).project(kept)?.build()
}

/// Makes physical plans of ASOF joins.
#[derive(Debug, Default)]
pub struct PlanAsofJoins;

#[async_trait]
impl ExtensionPlanner for PlanAsofJoins {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<AsofJoin>() else { return Ok(None) };
        let [left, right] = inputs else { return internal_err!("an ASOF join has two inputs") };
        // The side that is collected, the right one, stands first in the conditions, as in all our joins.
        let both = node.right.schema().join(node.left.schema())?;
        let condition = |expression: &Expr| -> Result<JoinFilter> {
            let expression = planner.create_physical_expr(expression, &both, session, context)?;
            filter_of(expression, node, &both)
        };
        let mut on = Vec::new();
        for key in &node.on {
            on.push(key_of(&condition(key)?, key)?);
        }
        let time = condition(&node.condition)?;
        let (build, probe) = (right.schema(), left.schema());
        let Some(time) = bound_of(time.expression(), &time, &build, &probe)? else {
            return Err(not_ordered(node).into());
        };
        let (mut tolerance, mut rest) = (None, Vec::new());
        for filter in &node.filters {
            let filter = condition(filter)?;
            for part in split_conjunction(filter.expression()) {
                match bound_of(part, &filter, &build, &probe)? {
                    Some(bound) if tolerance.is_none() && limits(&time, &bound) => tolerance = Some(inner(bound)),
                    _ => rest.push((Arc::clone(part), filter.clone())),
                }
            }
        }
        let monotone = rest.iter().all(|(part, filter)| grows_with_distance(part, filter, &time));
        let filter = match rest.first() {
            None => None,
            Some((_, filter)) => {
                let parts = rest.iter().map(|(part, _)| Arc::clone(part));
                Some(narrowed(filter, conjunction(parts))?)
            }
        };
        let mode = if on.is_empty() || is_small(right, session.config().options()) {
            Mode::Broadcast
        } else {
            Mode::Partitioned
        };
        let parts = Parts {
            on,
            backward: matches!(time, Found::Start(_)),
            time: inner(time),
            tolerance,
            filter,
            monotone,
            join_type: if node.inner { JoinType::Inner } else { JoinType::Left },
            mode,
            projection: None,
        };
        Ok(Some(Arc::new(AsofJoinExec::try_new(Arc::clone(left), Arc::clone(right), parts)?)))
    }
}

fn not_ordered(node: &AsofJoin) -> UserError {
    UserError::new(sqlstate::NOT_SUPPORTED, format!("an ASOF JOIN cannot order by {}", node.condition))
        .hint("times, dates, numbers and decimals of up to 18 digits can be ordered by")
}

/// A condition over the rows of the right side and those of the left.
fn filter_of(expression: Arc<dyn PhysicalExpr>, node: &AsofJoin, both: &DFSchema) -> Result<JoinFilter> {
    let width = node.right.schema().fields().len();
    let columns = (0..both.fields().len()).map(|at| match at.checked_sub(width) {
        None => ColumnIndex { index: at, side: JoinSide::Left },
        Some(index) => ColumnIndex { index, side: JoinSide::Right },
    });
    Ok(JoinFilter::new(expression, columns.collect(), Arc::clone(both.inner())))
}

type Key = (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>);

/// The key of the left side and that of the right.
fn key_of(filter: &JoinFilter, shown: &Expr) -> Result<Key> {
    if let Some(equality) = filter.expression().downcast_ref::<Binary>()
        && *equality.op() == Operator::Eq
    {
        let (first, second) = (equality.left(), equality.right());
        match (side_of(first, filter), side_of(second, filter)) {
            (Some(JoinSide::Left), Some(JoinSide::Right)) => {
                return Ok((on_side(second, filter)?, on_side(first, filter)?));
            }
            (Some(JoinSide::Right), Some(JoinSide::Left)) => {
                return Ok((on_side(first, filter)?, on_side(second, filter)?));
            }
            _ => {}
        }
    }
    internal_err!("{shown} is not an equality between the sides of an ASOF join")
}

fn inner(found: Found) -> Bound {
    match found {
        Found::Start(bound) | Found::End(bound) => bound,
    }
}

/// Whether a bound limits how far away the match may be.
fn limits(time: &Found, other: &Found) -> bool {
    match (time, other) {
        (Found::Start(time), Found::End(other)) | (Found::End(time), Found::Start(other)) => {
            time.build.eq(&other.build) && !other.build_open && !other.probe_open
        }
        _ => false,
    }
}

/// Whether a condition is on the distance in time, and false of everything further away if it is false of a row:
/// `l.t - r.t <= …`.
fn grows_with_distance(condition: &Arc<dyn PhysicalExpr>, filter: &JoinFilter, time: &Found) -> bool {
    let Some(comparison) = condition.downcast_ref::<Binary>() else { return false };
    let (distance, limit) = match comparison.op() {
        Operator::Lt | Operator::LtEq => (comparison.left(), comparison.right()),
        Operator::Gt | Operator::GtEq => (comparison.right(), comparison.left()),
        _ => return false,
    };
    let columns = collect_columns(limit);
    let Some(difference) = without_casts(distance).downcast_ref::<Binary>() else { return false };
    if !columns.is_empty() || *difference.op() != Operator::Minus {
        return false;
    }
    let (near, far, bound) = match time {
        Found::Start(bound) => (difference.right(), difference.left(), bound),
        Found::End(bound) => (difference.left(), difference.right(), bound),
    };
    let same = on_side(near, filter).is_ok_and(|near| without_casts(&near) == without_casts(&bound.build));
    same && side_of(near, filter) == Some(JoinSide::Left) && side_of(far, filter) != Some(JoinSide::Left)
}
