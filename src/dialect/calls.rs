//! Calls of functions that the engine has under another name, with another type, or with another meaning.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value,
};

use super::rewrite::{digits, function_name};
use super::tree::{call, cast, string};
use super::{aggregates, domains, limits, set_returning};

/// Names that the engine has under another.
const RENAMED: &[(&str, &str)] = &[
    ("ceil", "pg_ceil"),
    ("ceiling", "pg_ceil"),
    ("floor", "pg_floor"),
    ("mod", "pg_modulo"),
    ("every", "bool_and"),
    ("variance", "var_samp"),
    ("date_part", "pg_date_part"),
    ("date_trunc", "pg_date_trunc"),
    ("to_char", "pg_to_char"),
    ("to_date", "pg_to_date"),
    ("to_timestamp", "pg_to_timestamp"),
    ("round", "pg_round"),
    ("concat", "pg_concat"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("array_dims", "pg_array_dims"),
    ("length", "pg_length"),
    ("char_length", "pg_length"),
    ("character_length", "pg_length"),
    ("octet_length", "pg_octet_length"),
    ("quote_literal", "pg_quote_literal"),
    ("log", "pg_log"),
    ("chr", "pg_chr"),
    ("trunc", "pg_trunc"),
    ("div", "pg_div"),
    ("row_to_json", "to_json"),
];

/// Functions that are of integer where the engine has a wider type.
const INTEGERS: &[&str] = &[
    "array_length",
    "cardinality",
    "array_ndims",
    "array_position",
    "regexp_count",
    "ntile",
    "strpos",
    "bit_length",
    "ascii",
];

/// Functions over windows that are of bigint where the engine has an unsigned type.
const BIGINTS: &[&str] = &["row_number", "rank", "dense_rank"];

fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// The arguments that are expressions.
pub(super) fn expressions(function: &mut Function) -> Vec<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else { return Vec::new() };
    list.args
        .iter_mut()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// Literals among the arguments of functions that take numbers are read as the numbers that they take: seconds are
/// fractions, where there are any.
fn read_numbers(function: &mut Function, seconds: Option<usize>) {
    for (at, argument) in expressions(function).into_iter().enumerate() {
        read_number(argument, seconds == Some(at));
    }
}

fn read_number(argument: &mut Expr, fraction: bool) {
    if let Expr::Value(value) = argument
        && matches!(value.value, Value::SingleQuotedString(_))
    {
        *argument = call("pg_cast", vec![argument.clone(), string(if fraction { "float8" } else { "int4" })]);
    }
}

/// A parameter at a place where the engine asks for a constant is of the type that PostgreSQL has there.
fn type_parameter(function: &mut Function, place: usize, data_type: DataType) {
    if let Some(argument) = expressions(function).into_iter().nth(place)
        && limits::is_parameter(argument)
    {
        *argument = cast(argument.clone(), data_type);
    }
}

/// A function that returns a set, as the elements of the array that it is to the engine.
fn unnested(function: &Function, name: &str) -> Option<Expr> {
    let integer = |expr: &Expr| matches!(expr, Expr::Cast { data_type: DataType::Integer(None), .. });
    let given = arguments(function)?;
    // A parameter is what stands beside it.
    let beside = if given.iter().any(|expr| integer(expr)) { DataType::Integer(None) } else { DataType::BigInt(None) };
    let typed = |expr: &Expr| {
        let parameter = limits::is_parameter(expr) && name == "generate_series";
        if parameter { cast(expr.clone(), beside.clone()) } else { expr.clone() }
    };
    let given: Vec<Expr> = given.into_iter().map(typed).collect();
    let integers = given.iter().all(integer);
    let big = |expr: Expr| cast(expr, DataType::BigInt(None));
    let series = if name == "generate_subscripts" {
        let one = Expr::Value(Value::Number("1".to_owned(), false).into());
        call("generate_series", vec![one, big(call("cardinality", vec![given.into_iter().next()?]))])
    } else if integers {
        call("generate_series", given.into_iter().map(big).collect())
    } else {
        call("generate_series", given)
    };
    let integers = integers || name == "generate_subscripts";
    Some(call("unnest", vec![if integers { call("pg_cast", vec![series, string("_int4")]) } else { series }]))
}

fn wrap_argument(function: &mut Function, name: &str) {
    if let FunctionArguments::List(list) = &mut function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_mut_slice()
    {
        let inner = argument.clone();
        *argument = call(name, vec![inner]);
    }
}

/// Whether a function is known under another name.
pub(crate) fn is_renamed(name: &str) -> bool {
    RENAMED.iter().any(|(known, _)| *known == name)
}

/// The call in the engine's terms; none where it is the same.
pub(super) fn rewritten(function: &mut Function) -> Option<Expr> {
    let name = function_name(function)?;
    if let Some(aggregate) = aggregates::rewritten(function, &name) {
        return Some(aggregate);
    }
    if let Some(ours) = domains::name_of(&name) {
        read_numbers(function, Some(0));
        function.name = ObjectName::from(vec![Ident::new(ours)]);
        return None;
    }
    if let Some((_, ours)) = RENAMED.iter().find(|(known, _)| *known == name) {
        function.name = ObjectName::from(vec![Ident::new(*ours)]);
        return None;
    }
    match name.as_str() {
        // The engine counts nanoseconds, and has none before 1677 or after 2262.
        "now" | "current_timestamp" | "transaction_timestamp" => {
            return Some(call("pg_cast", vec![Expr::Function(function.clone()), string("timestamptz")]));
        }
        // A sum of bigints, and a mean of any integers, is numeric.
        "sum" => wrap_argument(function, "pg_sum_of"),
        "avg" => wrap_argument(function, "pg_mean_of"),
        // Of a constant it is the count of rows, which the engine has under that name only once.
        "count" if arguments(function).is_some_and(|given| given.iter().all(|expr| digits(expr).is_some())) => {
            if let FunctionArguments::List(list) = &mut function.args
                && list.duplicate_treatment.is_none()
                && list.args.len() == 1
            {
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
            }
        }
        "gen_random_uuid" => {
            function.name = ObjectName::from(vec![Ident::new("uuid")]);
            return Some(call("pg_cast", vec![Expr::Function(function.clone()), string("uuid")]));
        }
        "lag" | "lead" | "nth_value" => type_parameter(function, 1, DataType::Integer(None)),
        "percentile_cont" => type_parameter(function, 0, DataType::DoublePrecision),
        "make_interval" => return make_interval(function),
        "make_date" => read_numbers(function, None),
        "make_time" => read_numbers(function, Some(2)),
        "make_timestamp" => read_numbers(function, Some(5)),
        "generate_series" | "generate_subscripts" if !by_steps(function) => return unnested(function, &name),
        "unnest" => {
            // A set in it is unnested already.
            let inner = arguments(function)?.first().copied()?.clone();
            let again = matches!(&inner, Expr::Function(inner) if function_name(inner).as_deref() == Some("unnest"));
            return again.then_some(inner);
        }
        "array_positions" => {
            let found = Expr::Function(function.clone());
            return Some(call("pg_cast", vec![found, string("_int4")]));
        }
        "array_length" if arguments(function)?.len() == 2 => {
            let length = cast(Expr::Function(function.clone()), DataType::Integer(None));
            let none = Expr::Value(Value::Number("0".to_owned(), false).into());
            return Some(call("nullif", vec![length, cast(none, DataType::Integer(None))]));
        }
        known if INTEGERS.contains(&known) => {
            return Some(cast(Expr::Function(function.clone()), DataType::Integer(None)));
        }
        known if BIGINTS.contains(&known) && function.over.is_some() => {
            return Some(cast(Expr::Function(function.clone()), DataType::BigInt(None)));
        }
        _ => return set_returning::in_list(&name, &arguments(function)?),
    }
    None
}

fn by_steps(function: &Function) -> bool {
    arguments(function).is_some_and(|given| set_returning::by_steps(&given))
}

/// `make_interval(days => 10, hours => 2)`, by name or by place.
fn make_interval(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let units = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let mut values: Vec<Expr> = vec![Expr::Value(Value::Number("0".to_owned(), false).into()); 7];
    for (at, argument) in list.args.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (at, value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
            | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (units.iter().position(|unit| name.value.eq_ignore_ascii_case(unit))?, value)
            }
            _ => return None,
        };
        let number = values.get_mut(place)?;
        *number = value.clone();
        read_number(number, place == units.len() - 1);
    }
    Some(call("pg_make_interval", values))
}
