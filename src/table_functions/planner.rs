//! From `f(a, name => b, $1)` in FROM to a plan: first a node that holds the arguments as expressions, so that
//! parameters can still be bound, then, when the plan is optimized, a table whose arguments are constants.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::create_physical_expr;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFactor,
};

use super::arguments::{Arguments, Moment, bad_call, called_as};
use super::exec::{CallTable, engine_error};
use super::traces::over_relation;
use super::{Argument, ArgumentType, Signature, TableFunction};
use crate::dialect;
use crate::dialect::session_zone;
use crate::error::{Error, UserError, plural, sqlstate};

/// The argument that is a relation.
const RELATION: &str = "spans";

/// Plans calls of our table functions in FROM.
#[derive(Debug, Default)]
pub struct FunctionPlanner;

impl RelationPlanner for FunctionPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (name, arguments, alias): (&ObjectName, &[FunctionArg], Option<TableAlias>) = match &relation {
            TableFactor::Table { name, args: Some(given), alias, .. } => (name, &given.args, alias.clone()),
            TableFactor::Function { lateral: false, name, args, alias, .. } => (name, args, alias.clone()),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let Some(function) = function_of(name, context) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let signature = function.signature();
        let (relation, arguments) = relation_of(function, arguments, context)?;
        let arguments = place(signature, &arguments, relation.is_some(), context)?;
        let schema = match (&relation, function.computation()) {
            (Some(relation), Some(computation)) => computation.schema(relation.schema().as_arrow())?,
            _ => signature.schema(),
        };
        let schema = DFSchema::try_from_qualified_schema(TableReference::bare(signature.name), &schema)?;
        let node = CallNode { function, arguments, relation, schema: Arc::new(schema) };
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn function_of(name: &ObjectName, context: &dyn RelationPlannerContext) -> Option<&'static dyn TableFunction> {
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(|ident| context.normalize_ident(ident.clone()))).collect();
    match parts?.as_slice() {
        [function] => super::find(function),
        [schema, function] if schema == "public" => super::find(function),
        _ => None,
    }
}

/// The relation among the arguments of a function over traces, which stands first or is called `spans`, and the others.
fn relation_of(
    function: &dyn TableFunction,
    given: &[FunctionArg],
    context: &mut dyn RelationPlannerContext,
) -> Result<(Option<LogicalPlan>, Vec<FunctionArg>)> {
    let mut others = given.to_vec();
    if function.computation().is_none() {
        return Ok((None, others));
    }
    let is_relation = |(position, argument): (usize, &FunctionArg)| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if position == 0 => dialect::relation(value).is_some(),
        FunctionArg::Named { name, .. } => name.value.eq_ignore_ascii_case(RELATION),
        FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), .. } => name.value.eq_ignore_ascii_case(RELATION),
        _ => false,
    };
    let Some(at) = given.iter().enumerate().position(is_relation) else { return Ok((None, others)) };
    let (FunctionArg::Unnamed(value)
    | FunctionArg::Named { arg: value, .. }
    | FunctionArg::ExprNamed { arg: value, .. }) = others.remove(at);
    let query = match &value {
        FunctionArgExpr::Expr(value) => dialect::relation(value),
        _ => None,
    };
    let Some(query) = query else {
        return Err(bad_call(function.signature(), format!("argument {RELATION} is a relation, not {value}")));
    };
    let derived = TableFactor::Derived { lateral: false, subquery: Box::new(query.clone()), alias: None, sample: None };
    Ok((Some(context.plan(derived)?), others))
}

/// The arguments in the order of the signature; null where none was given. Those over a relation need no window.
fn place(
    signature: &Signature,
    given: &[FunctionArg],
    has_relation: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Expr>> {
    let mut placed: Vec<Option<Expr>> = vec![None; signature.arguments.len()];
    let mut named_seen = false;
    for (position, argument) in given.iter().enumerate() {
        let (at, value) = match argument {
            FunctionArg::Unnamed(value) => {
                if named_seen {
                    return Err(bad_call(signature, "a positional argument follows a named one".to_owned()));
                }
                (position, value)
            }
            FunctionArg::Named { name, arg, .. } => {
                named_seen = true;
                (position_of(signature, &context.normalize_ident(name.clone()))?, arg)
            }
            FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), arg, .. } => {
                named_seen = true;
                (position_of(signature, &context.normalize_ident(name.clone()))?, arg)
            }
            FunctionArg::ExprNamed { name, .. } => {
                return Err(bad_call(signature, format!("{name} is not the name of an argument")));
            }
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(bad_call(signature, format!("{value} is not a value")));
        };
        let Some(slot) = placed.get_mut(at) else {
            let most = signature.arguments.len() as u64;
            return Err(bad_call(signature, format!("it takes {most} {} at most", plural(most, "argument"))));
        };
        if slot.is_some() {
            return Err(bad_call(signature, format!("argument {} is given twice", name_of(signature, at))));
        }
        let value = context.sql_to_expr(value.clone(), &DFSchema::empty()).map_err(looks_outside)?;
        if refers_outside(&value) {
            return Err(correlated(signature));
        }
        let kind = signature.arguments.get(at).map_or(ArgumentType::Text, |argument| argument.kind);
        *slot = Some(typed_placeholders(value, kind)?);
    }
    for (slot, argument) in placed.iter().zip(signature.arguments) {
        if argument.required && !has_relation && slot.is_none() {
            return Err(bad_call(signature, format!("argument {} is missing", argument.name())));
        }
    }
    let null =
        |kind: ArgumentType| Expr::Literal(ScalarValue::try_from(&kind.data_type()).unwrap_or(ScalarValue::Null), None);
    let arguments = placed.into_iter().zip(signature.arguments);
    Ok(arguments.map(|(slot, argument)| slot.unwrap_or_else(|| null(argument.kind))).collect())
}

fn name_of(signature: &Signature, at: usize) -> &'static str {
    signature.arguments.get(at).map_or("", Argument::name)
}

fn position_of(signature: &Signature, name: &str) -> Result<usize> {
    let found = signature.arguments.iter().position(|argument| argument.names.contains(&name));
    found.ok_or_else(|| bad_call(signature, format!("it has no argument named {name}")))
}

/// Whether a value is another one for each row of the query around the call.
fn refers_outside(value: &Expr) -> bool {
    let found = value.exists(|part| {
        Ok(match part {
            Expr::OuterReferenceColumn(..) => true,
            Expr::ScalarSubquery(query) => !query.outer_ref_columns.is_empty(),
            _ => false,
        })
    });
    found.unwrap_or(false)
}

const ONCE: &str = "arguments are computed once, before the call: give values, or subqueries that stand for themselves";

fn correlated(signature: &Signature) -> DataFusionError {
    let message = format!("an argument of {} cannot refer to the query around it", signature.name);
    UserError::new(sqlstate::NOT_SUPPORTED, message).hint(ONCE).into()
}

/// A column that is not there may be one of another relation in FROM.
fn looks_outside(error: DataFusionError) -> DataFusionError {
    let error = Error::from(error);
    let told = error.describe();
    if told.code == sqlstate::UNDEFINED_COLUMN && told.hint.is_none() {
        return told.hint(ONCE).into();
    }
    engine_error(error)
}

/// Give parameters whose type nothing says the type of the argument that they stand in.
fn typed_placeholders(value: Expr, kind: ArgumentType) -> Result<Expr> {
    let data_type = kind.data_type();
    let value = value.transform_down(|expr| {
        Ok(match expr {
            Expr::Cast(mut cast) => {
                if let Expr::Placeholder(placeholder) = cast.expr.as_mut() {
                    set_type(placeholder, cast.field.data_type());
                }
                Transformed::no(Expr::Cast(cast))
            }
            Expr::Placeholder(mut placeholder) => {
                set_type(&mut placeholder, &data_type);
                Transformed::no(Expr::Placeholder(placeholder))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(value.data)
}

fn set_type(placeholder: &mut Placeholder, data_type: &DataType) {
    if placeholder.field.is_none() {
        placeholder.field = Some(Arc::new(Field::new(&placeholder.id, data_type.clone(), true)));
    }
}

/// A call whose arguments are still expressions.
#[derive(Debug, Clone)]
struct CallNode {
    function: &'static dyn TableFunction,
    arguments: Vec<Expr>,
    /// What it is computed over, if that is not the lake.
    relation: Option<LogicalPlan>,
    schema: DFSchemaRef,
}

impl CallNode {
    fn key(&self) -> (&'static str, &[Expr], Option<&LogicalPlan>) {
        (self.function.signature().name, &self.arguments, self.relation.as_ref())
    }
}

impl PartialEq for CallNode {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for CallNode {}

impl PartialOrd for CallNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.key().partial_cmp(&other.key())
    }
}

impl Hash for CallNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for CallNode {
    fn name(&self) -> &'static str {
        "TableFunction"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.relation.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.arguments.clone()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableFunction: {}(", self.function.signature().name)?;
        for (at, argument) in self.arguments.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{argument}")?;
        }
        f.write_str(")")
    }

    fn with_exprs_and_inputs(&self, arguments: Vec<Expr>, mut relations: Vec<LogicalPlan>) -> Result<Self> {
        Ok(Self { arguments, relation: relations.pop(), ..self.clone() })
    }
}

/// The value of an expression that looks at no row; the simplifier keeps one that fails and does not say why.
fn evaluated(expr: &Expr) -> Result<Option<ScalarValue>> {
    let looks = |part: &Expr| {
        matches!(
            part,
            Expr::Column(_)
                | Expr::Placeholder(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
        )
    };
    if expr.is_volatile() || expr.exists(|part| Ok(looks(part)))? {
        return Ok(None);
    }
    let (schema, properties) = (DFSchema::empty(), ExecutionProps::new());
    let physical = create_physical_expr(expr, &schema, &properties, &PhysicalPlanningContext::default())?;
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::clone(schema.inner()), Vec::new(), &one)?;
    Ok(Some(match physical.evaluate(&row)? {
        ColumnarValue::Scalar(value) => value,
        ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0)?,
    }))
}

/// Turns calls whose arguments are constant by now into tables, so that the rules behind it push projections down.
#[derive(Debug, Default)]
pub struct ResolveTableFunctions;

impl OptimizerRule for ResolveTableFunctions {
    fn name(&self) -> &'static str {
        "resolve_table_functions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Extension(extension) = &plan else { return Ok(Transformed::no(plan)) };
        let Some(node) = extension.node.as_any().downcast_ref::<CallNode>() else { return Ok(Transformed::no(plan)) };
        let signature = node.function.signature();
        let moment = Moment {
            zone: session_zone(&config.options()),
            now: config.query_execution_start_time().map(|now| now.timestamp_micros()),
        };
        let arguments = if node.arguments.iter().any(asks) {
            Arguments::Asked(question(&node.arguments)?, moment)
        } else {
            let context = SimplifyContext::builder()
                .with_config_options(config.options())
                .with_query_execution_start_time(config.query_execution_start_time())
                .build();
            let simplifier = ExprSimplifier::new(context);
            let constants = node.arguments.iter().enumerate().map(|(at, argument)| {
                match simplifier.simplify(simplifier.coerce(argument.clone(), &DFSchema::empty())?)? {
                    Expr::Literal(value, _) => Ok(value),
                    other => match evaluated(&other)? {
                        Some(value) => Ok(value),
                        None => {
                            let name = name_of(signature, at);
                            Err(bad_call(signature, format!("argument {name} is not constant: {other}")))
                        }
                    },
                }
            });
            let values = moment.settle(signature, constants.collect::<Result<Vec<_>>>()?, node.relation.is_some())?;
            if let (Some(relation), Some(computation)) = (&node.relation, node.function.computation()) {
                let plan = over_relation(signature, computation, relation.clone(), &values)?;
                return Ok(Transformed::yes(plan));
            }
            Arguments::Known(values)
        };
        if node.relation.is_some() {
            let message = format!("{}: beside a relation the other arguments cannot be subqueries", signature.name);
            return Err(UserError::new(sqlstate::NOT_SUPPORTED, message).hint(called_as(signature)).into());
        }
        let table = CallTable { function: node.function, arguments };
        let source = provider_as_source(Arc::new(table));
        let scan = LogicalPlanBuilder::scan(TableReference::bare(signature.name), source, None)?;
        Ok(Transformed::yes(scan.build()?))
    }
}

/// Whether an argument is known only when a query in it has run.
fn asks(argument: &Expr) -> bool {
    argument.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_)))).unwrap_or(false)
}

/// The query that has the arguments as its one row.
fn question(arguments: &[Expr]) -> Result<LogicalPlan> {
    let named = arguments.iter().enumerate().map(|(at, argument)| argument.clone().alias(format!("argument_{at}")));
    LogicalPlanBuilder::empty(true).project(named)?.build()
}
