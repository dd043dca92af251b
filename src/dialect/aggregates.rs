//! Aggregates that the engine does not have: what `array_agg` gathers, put together by a function of the list.

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ReturnFieldArgs, ScalarUDF};
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectName,
};

use super::function::{Kind, Returns, RowFunction, float};
use super::rewrite::function_name;
use super::sets::items;
use super::tree::{call, string};
use crate::error::{UserError, sqlstate};

const NAMES: [&str; 5] = ["json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "percentile_disc"];

/// Whether a function is an aggregate that only statements of users know.
#[must_use]
pub fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The call of an aggregate in the engine's terms; none if it is another function.
pub(super) fn rewritten(function: &Function, name: &str) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let mut given = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    match name {
        "json_agg" | "jsonb_agg" => {
            let (value, None) = (given.next()??, given.next()) else { return None };
            let whole = if name == "json_agg" { "pg_json_list" } else { "pg_jsonb_list" };
            let element = match row(&value) {
                Some(row) => call("pg_json_row_element", row),
                None => call("pg_json_element", vec![value]),
            };
            let mut gathering = gathering(function, element)?;
            if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) {
                return Some(call(whole, vec![Expr::Function(gathering)]));
            }
            // They may be ordered by themselves only, which is done when all are there.
            let falling = list.clauses.iter().any(|clause| {
                matches!(clause, FunctionArgumentClause::OrderBy(by) if by.iter().any(|by| by.options.asc == Some(false)))
            });
            if let FunctionArguments::List(list) = &mut gathering.args {
                list.clauses.clear();
            }
            let order = string(if falling { "desc" } else { "asc" });
            Some(call(whole, vec![call("pg_json_sorted", vec![Expr::Function(gathering), order])]))
        }
        "json_object_agg" | "jsonb_object_agg" => {
            let (key, value, None) = (given.next()??, given.next()??, given.next()) else { return None };
            let whole = if name == "json_object_agg" { "pg_json_object" } else { "pg_jsonb_object" };
            let entry = call("pg_json_entry", vec![key, value]);
            Some(call(whole, vec![Expr::Function(gathering(function, entry)?)]))
        }
        "percentile_disc" => {
            let [order] = function.within_group.as_slice() else { return None };
            let (fraction, None) = (given.next()??, given.next()) else { return None };
            let mut sorted = gathering(function, order.expr.clone())?;
            sorted.within_group.clear();
            if let FunctionArguments::List(list) = &mut sorted.args {
                list.clauses.push(FunctionArgumentClause::OrderBy(vec![order.clone()]));
            }
            Some(call("pg_percentile_disc", vec![Expr::Function(sorted), fraction]))
        }
        _ => None,
    }
}

/// The same call of `array_agg` with another argument.
fn gathering(function: &Function, argument: Expr) -> Option<Function> {
    let mut gathering = function.clone();
    gathering.name = ObjectName::from(vec![Ident::new("array_agg")]);
    let FunctionArguments::List(list) = &mut gathering.args else { return None };
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))];
    Some(gathering)
}

/// The names and values of an argument that is a whole row.
fn row(value: &Expr) -> Option<Vec<Expr>> {
    let Expr::Function(function) = value else { return None };
    if function_name(function)? != super::rows::NAME {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let part = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(part).collect()
}

/// The element of a sorted list at a fraction, or those at several: the first at or behind which that part of all is.
fn percentile(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let [ScalarValue::List(list), fraction] = arguments else { return Ok(ScalarValue::Null) };
    let sorted = list.value(0);
    // Nulls do not count; they are all at one end.
    let count = sorted.len() - sorted.null_count();
    let first = if sorted.is_empty() || sorted.is_valid(0) { 0 } else { sorted.null_count() };
    let at = |fraction: &ScalarValue| -> Result<ScalarValue> {
        let none = ScalarValue::try_from(sorted.data_type());
        let Some(part) = float(std::slice::from_ref(fraction), 0) else { return none };
        if !(0.0..=1.0).contains(&part) {
            let message = format!("percentile value {part} is not between 0 and 1");
            return Err(UserError::new(sqlstate::OUT_OF_RANGE, message).into());
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a double is what PostgreSQL uses too"
        )]
        let place = ((part * count as f64).ceil() as usize).saturating_sub(1);
        if place < count { ScalarValue::try_from_array(&sorted, first + place) } else { none }
    };
    if !fraction.data_type().is_list() {
        return at(fraction);
    }
    let Some(fractions) = items(fraction).filter(|_| count > 0) else { return Ok(ScalarValue::Null) };
    let found = fractions.iter().map(at).collect::<Result<Vec<_>>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&found, sorted.data_type())))
}

fn percentile_type(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let of = |at: usize| args.arg_fields.get(at).map_or(DataType::Null, |field| field.data_type().clone());
    let item = match of(0) {
        DataType::List(item) => item.data_type().clone(),
        other => other,
    };
    Ok((if of(1).is_list() { DataType::new_list(item, true) } else { item }, None))
}

/// The functions that statements are rewritten to.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![RowFunction::udf("pg_percentile_disc", Returns::Of(percentile_type), true, |_, arguments| {
        percentile(arguments)
    })]
}
