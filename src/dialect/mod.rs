//! What PostgreSQL means where the engine means something else: statements are rewritten (`rewrite`) into calls of
//! functions that are defined here; values are read (`input`) and printed (`encode`) as PostgreSQL does it.
//!
//! Only what a client asks for goes through it. The views and functions that are built in are in the engine's own terms.

mod aggregates;
mod append;
mod arithmetic;
mod assignment;
mod bounded;
mod bytes;
mod calls;
mod cast;
mod chain;
mod conditions;
mod distinct_from;
mod domains;
pub mod encode;
pub mod function;
pub mod input;
mod json;
mod json_build;
mod json_parts;
mod lateral;
mod limits;
mod moment;
mod names;
mod nested;
mod numbers;
mod operators;
mod regexp;
mod relations;
mod rewrite;
mod rows;
mod scalar_relations;
mod series;
mod set_returning;
mod sets;
mod sleep;
mod steps;
mod strings;
mod subqueries;
mod table_query;
mod temporal;
mod to_char;
pub(crate) mod tree;
mod unknown;

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::sql::sqlparser::ast::{DataType as SqlType, ExactNumberInfo};

use crate::error::Result;

pub use assignment::assignable;
pub(crate) use calls::is_renamed;
pub use cast::{Target, assigned};
pub(crate) use function::session_zone;
pub use names::{Names, column_names, folded, shown};
pub use nested::{of_json, reader};
pub use operators::Operators;
pub(crate) use operators::as_type;
pub use relations::relation;
pub use rewrite::{
    literal_as, name_without_schema, oid_of, rewrite, rewrite_names, said_of_parameters, say_parameters,
};
pub use scalar_relations::scalar_relations;
pub use subqueries::subqueries_as_values;
pub use table_query::table_queries;
pub use unknown::analyzer_rules;

/// Metadata of a field that names its PostgreSQL type by OID, where the Arrow type alone does not say it.
pub const PG_TYPE: &str = "pg_type";

/// The OID of the PostgreSQL type that a field says it has.
#[must_use]
pub fn pg_type_of(field: &Field) -> Option<u32> {
    field.metadata().get(PG_TYPE)?.parse().ok()
}

/// Whether the engine reads a cast to a type as it is meant, so that a parameter's type can be taken from it. To the engine
/// every numeric has a scale.
pub(crate) fn native(data_type: &SqlType) -> bool {
    !matches!(
        data_type,
        SqlType::Uuid
            | SqlType::JSON
            | SqlType::JSONB
            | SqlType::Custom(..)
            | SqlType::Numeric(ExactNumberInfo::None)
            | SqlType::Decimal(ExactNumberInfo::None)
    )
}

/// The type that a call says that a parameter at a place in it has: what it is cast to, what stands on the other side of an
/// operator, or what the function takes there.
#[must_use]
pub fn operand_type(name: &str, at: usize, others: &[DataType], constant: Option<&str>) -> Option<DataType> {
    if let Some(op) = arithmetic::operator(name) {
        return others.first().map(|other| arithmetic::unknown_as(op, other));
    }
    Some(match (name, at) {
        (conditions::NAME, 0) => DataType::Boolean,
        (cast::NAME, _) => input::data_type(Target::parse(constant?)?.oid).ok()?,
        (chain::NAME, _) => {
            let known = others.iter().find(|other| !matches!(other, DataType::Utf8 | DataType::Null));
            known.cloned().unwrap_or(DataType::Float64)
        }
        // Behind the operator that they compare by.
        ("pg_any" | "pg_all", 2) => DataType::new_list(others.get(1)?.clone(), true),
        ("pg_any" | "pg_all", 1) => match others.get(1)? {
            DataType::List(of) => of.data_type().clone(),
            _ => return None,
        },
        ("pg_round" | "pg_trunc", 1) => DataType::Int32,
        ("pg_to_timestamp", 0) if others.is_empty() => DataType::Float64,
        // Seconds come last, and are fractions.
        ("pg_make_interval", 6) => DataType::Float64,
        ("pg_make_interval", _) => DataType::Int32,
        ("pg_percentile_disc", 1) => DataType::Float64,
        ("date_bin", 0) => input::data_type(encode::oid::INTERVAL).ok()?,
        ("date_bin", _) => match others.iter().find(|of| matches!(of, DataType::Timestamp(..))) {
            Some(DataType::Timestamp(_, None)) => input::data_type(encode::oid::TIMESTAMP).ok()?,
            _ => input::data_type(encode::oid::TIMESTAMPTZ).ok()?,
        },
        _ => return None,
    })
}

/// Make the functions known to a session.
///
/// # Errors
/// When the registry refuses one, which is a defect of ours.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in FUNCTIONS.iter() {
        registry.register_udf(Arc::clone(function))?;
    }
    bounded::register(registry)?;
    registry.register_udaf(Arc::clone(&AT_MOST_TWO))?;
    Ok(())
}

// Made once, for each connection has a session.
static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| functions().into_iter().map(Arc::new).collect());
static AT_MOST_TWO: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(sets::AtMostTwo::new())));

fn functions() -> Vec<ScalarUDF> {
    let mut functions: Vec<ScalarUDF> =
        arithmetic::Arithmetic::all().into_iter().map(ScalarUDF::new_from_impl).collect();
    functions.push(ScalarUDF::new_from_impl(arithmetic::Negate::new()));
    functions.push(ScalarUDF::new_from_impl(arithmetic::IntervalKey::new()));
    functions.push(ScalarUDF::new_from_impl(append::Append::new()));
    functions.push(ScalarUDF::new_from_impl(cast::Cast::new()));
    functions.push(ScalarUDF::new_from_impl(unknown::Unknown::new()));
    functions.push(ScalarUDF::new_from_impl(conditions::Condition::new()));
    functions.push(sleep::function());
    functions.push(ScalarUDF::new_from_impl(chain::Chain::new()));
    functions.extend(aggregates::functions());
    functions.extend(bytes::functions());
    functions.extend(json::functions());
    functions.extend(json_build::functions());
    functions.extend(json_parts::functions());
    functions.extend(nested::functions());
    functions.extend(numbers::functions());
    functions.extend(domains::functions());
    functions.extend(regexp::functions());
    functions.extend(sets::functions());
    functions.extend(steps::functions());
    functions.extend(strings::functions());
    functions.extend(temporal::functions());
    functions
}
