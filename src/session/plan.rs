//! From a statement in PostgreSQL's meaning to a plan: parameters typed, columns named as PostgreSQL names them.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    Expr as Logical, ExprSchemable, LogicalPlan, Statement as PlanStatement, TypeSignature,
};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Expr, Ident, Statement as Ast, TimezoneInfo, Value,
    visit_expressions,
};

use super::{explain, insert, kinds};
use crate::catalog::pg_catalog;
use crate::dialect::{self, Names, encode};
use crate::error::{Error, Result, UserError, sqlstate};

/// A query that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    /// The columns as the client sees them.
    pub(crate) schema: SchemaRef,
    /// Types of the parameters by number.
    pub(crate) types: Vec<Option<DataType>>,
}

impl Planned {
    /// The same, of a statement whose parameters nobody gives.
    pub(crate) fn without_parameters(self) -> Result<Self> {
        if self.types.is_empty() { Ok(self) } else { Err(no_parameter(self.types.len())) }
    }
}

fn no_parameter(number: usize) -> Error {
    UserError::new("42P02", format!("there is no parameter ${number}")).into()
}

/// The number of the highest parameter.
pub(crate) fn parameter_count(statement: &Ast) -> usize {
    let mut most = 0;
    let _ = visit_expressions(statement, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            most = most.max(name.trim_start_matches('$').parse().unwrap_or(0));
        }
        ControlFlow::<()>::Continue(())
    });
    most
}

/// Plan a statement; `declared` are the types that the client gave its parameters, by number.
pub(crate) async fn plan(state: &SessionState, statement: &Ast, declared: &[Option<DataType>]) -> Result<Planned> {
    pg_catalog::check_places(statement)?;
    let mut statement = statement.clone();
    let names = dialect::column_names(&statement);
    to_engine(state, &mut statement)?;
    if let Ast::Insert(insert) = &mut statement {
        insert::complete(state, insert).await?;
    }
    let count = parameter_count(&statement);
    if count > 65_535 {
        return Err(no_parameter(count));
    }
    let mut types: Vec<Option<DataType>> = (0..count).map(|at| declared.get(at).cloned().flatten()).collect();
    let plan = if types.iter().all(Option::is_some) {
        typed(state, &statement, &types).await?
    } else {
        let inferred = match untyped(state, &statement).await {
            Ok(plan) => inferred_types(&plan)?,
            // A call whose overload depends on the parameter: text, as PostgreSQL takes an unknown literal.
            Err(_) => HashMap::new(),
        };
        for (at, slot) in types.iter_mut().enumerate() {
            let found = inferred.get(&format!("${}", at + 1)).cloned();
            *slot = slot.take().or(found).or(Some(DataType::Utf8));
        }
        typed(state, &statement, &types).await?
    };
    if explain::is(&plan) {
        return Ok(Planned { schema: explain::schema(), plan, types });
    }
    // Types of CASE, UNION and their kin are settled when the plan is analyzed.
    let settled = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let fields = settled.schema().as_arrow().clone();
    let fields =
        Schema::new_with_metadata(kinds::told(&plan, fields.fields().iter().cloned()), fields.metadata().clone());
    Ok(Planned { schema: rename(&fields, &names), plan, types })
}

/// The SQL spelling of an Arrow type, by which the planner is told a parameter's type.
fn sql_type(data_type: &DataType) -> SqlType {
    match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => SqlType::SmallInt(None),
        DataType::Int32 | DataType::UInt16 => SqlType::Integer(None),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => SqlType::BigInt(None),
        DataType::Float16 | DataType::Float32 => SqlType::Real,
        DataType::Float64 => SqlType::DoublePrecision,
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            SqlType::Numeric(ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => SqlType::Bytea,
        DataType::Date32 | DataType::Date64 => SqlType::Date,
        DataType::Time32(_) | DataType::Time64(_) => SqlType::Time(None, TimezoneInfo::None),
        DataType::Timestamp(_, None) => SqlType::Timestamp(Some(6), TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => SqlType::Timestamp(Some(6), TimezoneInfo::Tz),
        DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval { fields: None, precision: None },
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(sql_type(element.data_type())), None))
        }
        DataType::Dictionary(_, value) => sql_type(value),
        _ => SqlType::Text,
    }
}

/// A statement in PostgreSQL's meaning as one that means the same to the engine.
pub(super) fn to_engine(state: &SessionState, statement: &mut Ast) -> Result<()> {
    let scalars = state.scalar_functions();
    dialect::scalar_relations(statement, &|name| {
        (scalars.contains_key(name) || dialect::is_renamed(name)) && !state.table_functions().contains_key(name)
    });
    if pg_catalog::reads_catalog(statement) {
        dialect::rewrite_names(statement);
    } else {
        dialect::rewrite(statement, &|name| state.aggregate_functions().contains_key(name))?;
    }
    pg_catalog::compatible(statement);
    Ok(())
}

async fn untyped(state: &SessionState, statement: &Ast) -> Result<LogicalPlan> {
    Ok(state.statement_to_plan(EngineStatement::Statement(Box::new(statement.clone()))).await?)
}

/// With every parameter's type given, which the planner takes from a PREPARE around the statement.
async fn typed(state: &SessionState, statement: &Ast, types: &[Option<DataType>]) -> Result<LogicalPlan> {
    if types.is_empty() {
        return untyped(state, statement).await;
    }
    let data_types = types.iter().map(|data_type| sql_type(data_type.as_ref().unwrap_or(&DataType::Utf8))).collect();
    let prepare = Ast::Prepare { name: Ident::new("p"), data_types, statement: Box::new(statement.clone()) };
    match untyped(state, &prepare).await? {
        LogicalPlan::Statement(PlanStatement::Prepare(prepare)) => Ok(Arc::unwrap_or_clone(prepare.input)),
        other => Ok(other),
    }
}

/// What the plan says about its parameters' types.
fn inferred_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let known = plan.get_parameter_types()?;
    let mut types: HashMap<String, DataType> =
        known.into_iter().filter_map(|(name, data_type)| Some((name, plain(data_type?)))).collect();
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                said_by_cast(expr, &mut types);
                array_of_operand(expr, &schema, &mut types);
                said_by_operator(expr, &schema, &mut types);
                wanted_by_function(expr, &schema, &mut types);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}

/// A parameter of `$1::int4` is of the type that it is cast to.
fn said_by_cast(expr: &Logical, types: &mut HashMap<String, DataType>) {
    if let Logical::Cast(cast) = expr
        && let Logical::Placeholder(parameter) = cast.expr.as_ref()
    {
        types.insert(parameter.id.clone(), plain(cast.field.data_type().clone()));
    }
}

/// A parameter of `x = any($1)` is an array of the type of `x`, one of `$1 = any(x)` an element of `x`.
fn array_of_operand(expr: &Logical, schema: &DFSchema, types: &mut HashMap<String, DataType>) {
    let Logical::ScalarFunction(call) = expr else { return };
    match call.args.as_slice() {
        _ if call.name() != "array_has" => {}
        [Logical::Placeholder(array), operand] => {
            if let Ok(data_type) = operand.get_type(schema) {
                types.insert(array.id.clone(), DataType::new_list(plain(data_type), true));
            }
        }
        [array, Logical::Placeholder(element)] => {
            if let Ok(DataType::List(item) | DataType::LargeList(item)) = array.get_type(schema) {
                types.insert(element.id.clone(), plain(item.data_type().clone()));
            }
        }
        _ => {}
    }
}

/// A parameter that is an argument of a function which says itself what it takes, such as `owner_of`, is of that type.
fn wanted_by_function(expr: &Logical, schema: &DFSchema, types: &mut HashMap<String, DataType>) {
    let Logical::ScalarFunction(call) = expr else { return };
    if call.func.signature().type_signature != TypeSignature::UserDefined {
        return;
    }
    let given: Vec<DataType> =
        call.args.iter().map(|argument| argument.get_type(schema).unwrap_or(DataType::Null)).collect();
    let Ok(wanted) = call.func.coerce_types(&given) else { return };
    for (argument, wanted) in call.args.iter().zip(wanted) {
        if let Logical::Placeholder(parameter) = argument
            && parameter.field.is_none()
            && wanted != DataType::Null
        {
            types.entry(parameter.id.clone()).or_insert_with(|| plain(wanted));
        }
    }
}

/// A parameter of an operator, of a cast that became a call, or of a function that takes one type only.
fn said_by_operator(expr: &Logical, schema: &DFSchema, types: &mut HashMap<String, DataType>) {
    let Logical::ScalarFunction(call) = expr else { return };
    for (at, argument) in call.args.iter().enumerate() {
        let Logical::Placeholder(parameter) = argument else { continue };
        let others = call.args.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<DataType> = others.filter_map(|(_, other)| other.get_type(schema).ok()).map(plain).collect();
        let constant = call.args.get(1).and_then(|argument| match argument {
            Logical::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        });
        if let Some(data_type) = dialect::operand_type(call.name(), at, &others, constant) {
            types.entry(parameter.id.clone()).or_insert(data_type);
        }
    }
}

/// The type that a client would use for it.
fn plain(data_type: DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(*value),
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other,
    }
}

/// The arguments of EXECUTE as values of the parameters, whose types are given by their OIDs.
pub(crate) fn assigned(values: Vec<ScalarValue>, kinds: &[u32], zone: Tz) -> Result<Vec<ScalarValue>> {
    let assign = |(at, (value, kind)): (usize, (ScalarValue, &u32))| {
        let from = encode::of_data_type(&value.data_type()).oid;
        dialect::assigned(value, *kind, zone).map_err(|error| {
            let error = Error::from(error);
            if error.sqlstate() != "42846" {
                return error;
            }
            let (from, to) = (encode::type_name(from), encode::type_name(*kind));
            let message = format!("parameter ${} of type {from} cannot be coerced to the expected type {to}", at + 1);
            UserError::new(sqlstate::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .into()
        })
    };
    values.into_iter().zip(kinds).enumerate().map(assign).collect()
}

/// The types of parameters for values of them: the scale of a numeric is that of the value.
pub(crate) fn scaled<'a>(
    types: &[Option<DataType>],
    values: impl Iterator<Item = Option<&'a ScalarValue>>,
) -> Vec<Option<DataType>> {
    let scaled = types.iter().zip(values).map(|(known, value)| match (known, value) {
        (Some(DataType::Decimal128(..)), Some(value)) if !value.is_null() => Some(value.data_type()),
        _ => known.clone(),
    });
    scaled.collect()
}

/// Put values in the place of parameters.
pub(crate) fn bind(planned: Planned, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if values.is_empty() {
        return Ok(planned.plan);
    }
    let fields = planned.plan.get_parameter_types()?;
    let values = values.into_iter().enumerate().map(|(at, value)| {
        match fields.get(&format!("${}", at + 1)).and_then(Option::as_ref) {
            Some(wanted) if *wanted != value.data_type() => value.cast_to(wanted).map_err(|_| {
                UserError::new(
                    sqlstate::DATATYPE_MISMATCH,
                    format!("parameter ${} cannot be a value of its type", at + 1),
                )
                .into()
            }),
            _ => Ok(value),
        }
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    Ok(planned.plan.replace_params_with_values(&ParamValues::from(values))?)
}

fn rename(schema: &Schema, names: &Names) -> SchemaRef {
    let fields = schema.fields();
    let width = fields.len();
    let renamed = fields.iter().enumerate().map(|(at, field)| match names.of(at, width) {
        Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
        None => Arc::new(field.as_ref().clone().with_name(dialect::shown(field.name()))),
    });
    Arc::new(Schema::new_with_metadata(renamed.collect::<Vec<_>>(), schema.metadata().clone()))
}
