//! From `f(a, name => b, $1)` in FROM to a plan: first a node that holds the arguments as expressions, so that
//! parameters can still be bound, then, when the plan is optimized, a table whose arguments are constants.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFactor,
};

use super::exec::CallTable;
use super::traces::over_relation;
use super::{ArgumentType, Signature, TableFunction};
use crate::dialect;
use crate::dialect::encode::oid;
use crate::dialect::input;
use crate::dialect::session_zone;
use crate::error::{UserError, sqlstate};

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
            let most = signature.arguments.len();
            return Err(bad_call(signature, format!("it takes {most} arguments at most")));
        };
        if slot.is_some() {
            return Err(bad_call(signature, format!("argument {} is given twice", name_of(signature, at))));
        }
        let value = context.sql_to_expr(value.clone(), &DFSchema::empty())?;
        let kind = signature.arguments.get(at).map_or(ArgumentType::Text, |argument| argument.kind);
        *slot = Some(typed_placeholders(value, kind)?);
    }
    for (slot, argument) in placed.iter().zip(signature.arguments) {
        if argument.required && !has_relation && slot.is_none() {
            let name = argument.names.first().unwrap_or(&"");
            return Err(bad_call(signature, format!("argument {name} is missing")));
        }
    }
    let null =
        |kind: ArgumentType| Expr::Literal(ScalarValue::try_from(&kind.data_type()).unwrap_or(ScalarValue::Null), None);
    let arguments = placed.into_iter().zip(signature.arguments);
    Ok(arguments.map(|(slot, argument)| slot.unwrap_or_else(|| null(argument.kind))).collect())
}

fn name_of(signature: &Signature, at: usize) -> &'static str {
    signature.arguments.get(at).and_then(|argument| argument.names.first()).copied().unwrap_or("")
}

fn position_of(signature: &Signature, name: &str) -> Result<usize> {
    let found = signature.arguments.iter().position(|argument| argument.names.contains(&name));
    found.ok_or_else(|| bad_call(signature, format!("it has no argument named {name}")))
}

fn bad_call(signature: &Signature, why: String) -> DataFusionError {
    UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("cannot call {}: {why}", signature.name))
        .hint(called_as(signature))
        .into()
}

pub(super) fn called_as(signature: &Signature) -> String {
    format!("it is called as {}({})", signature.name, signature.argument_list())
}

/// The value as the type of its argument. What PostgreSQL would not convert in a call is not converted here either: a
/// number is no time, and a list no text. Times without a zone are those that the clocks of the session's show.
fn converted(
    signature: &Signature,
    name: &str,
    value: &ScalarValue,
    kind: ArgumentType,
    zone: Tz,
) -> Result<ScalarValue> {
    let given = value.data_type();
    let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let fits = text
        || match kind {
            ArgumentType::Time => matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
            ArgumentType::Interval => matches!(given, DataType::Interval(_) | DataType::Duration(_)),
            ArgumentType::Int => given.is_integer(),
            ArgumentType::Double => given.is_numeric(),
            ArgumentType::Text => given.is_numeric(),
        };
    if !fits && !value.is_null() {
        let shown = if given.is_temporal() { "another kind of time".to_owned() } else { value.to_string() };
        return Err(bad_call(
            signature,
            format!("argument {name} is of type {} and cannot be {shown}", kind.sql_name()),
        ));
    }
    let found = match (kind, value.try_as_str().flatten()) {
        (ArgumentType::Time, Some(text)) => input::value(text, oid::TIMESTAMPTZ, zone).ok(),
        (ArgumentType::Interval, Some(text)) => input::value(text, oid::INTERVAL, zone).ok(),
        (ArgumentType::Time, None) if !matches!(given, DataType::Timestamp(_, Some(_))) => {
            match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None))? {
                ScalarValue::TimestampMicrosecond(wall, _) => {
                    let micros = wall.and_then(|wall| input::shown_at(wall, zone));
                    Some(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())))
                }
                _ => None,
            }
        }
        _ => Some(value.clone()),
    };
    found.and_then(|found| found.cast_to(&kind.data_type()).ok()).ok_or_else(|| {
        let code = match kind {
            ArgumentType::Time | ArgumentType::Interval => sqlstate::INVALID_TIME,
            _ => sqlstate::INVALID_TEXT,
        };
        UserError::new(code, format!("invalid input syntax for type {}: \"{value}\"", kind.sql_name()))
            .detail(format!("It is argument {name} of {}.", signature.name))
            .hint(called_as(signature))
            .into()
    })
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
        let context = SimplifyContext::builder()
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time())
            .build();
        let simplifier = ExprSimplifier::new(context);
        let zone = session_zone(&config.options());
        let signature = node.function.signature();
        let constants = node.arguments.iter().zip(signature.arguments).map(|(argument, declared)| {
            let name = declared.names.first().unwrap_or(&"");
            let value = simplifier.coerce(argument.clone(), &DFSchema::empty())?;
            let value = match simplifier.simplify(value)? {
                Expr::Literal(value, _) => value,
                other => {
                    return Err(bad_call(signature, format!("argument {name} is not constant: {other}")));
                }
            };
            let now = config.query_execution_start_time().map(|now| now.timestamp_micros());
            let value = match (value.try_as_str().flatten(), now, declared.kind) {
                (Some(text), Some(now), ArgumentType::Time) => {
                    input::dated(text, oid::TIMESTAMPTZ, now, zone).map_or(value.clone(), ScalarValue::from)
                }
                _ => value,
            };
            let value = converted(signature, name, &value, declared.kind, zone)?;
            if declared.required && node.relation.is_none() && value.is_null() {
                return Err(UserError::invalid(format!("{}: argument {name} is null", signature.name))
                    .hint(called_as(signature))
                    .into());
            }
            Ok(value)
        });
        let arguments = constants.collect::<Result<Vec<_>>>()?;
        if let (Some(relation), Some(computation)) = (&node.relation, node.function.computation()) {
            let plan = over_relation(signature, computation, relation.clone(), &arguments)?;
            return Ok(Transformed::yes(plan));
        }
        let table = CallTable { function: node.function, arguments };
        let source = provider_as_source(Arc::new(table));
        let scan = LogicalPlanBuilder::scan(TableReference::bare(signature.name), source, None)?;
        Ok(Transformed::yes(scan.build()?))
    }
}
