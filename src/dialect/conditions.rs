//! Conditions. The engine takes what is no truth value in some places, and refuses it in its own words in others.
//!
//! `rewrite` makes a condition that may be of another type a call of `pg_condition`, which has the name of what it is a
//! condition of. [`super::unknown::Literals`] asks [`checked`] when the plan is analyzed, and leaves the condition alone.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, JoinConstraint, JoinOperator, Select, TableFactor, TableWithJoins, UnaryOperator, Value,
};

use super::encode::{full_name, of_data_type};
use super::rewrite::is_string;
use super::tree::{call, string, taken};
use crate::error::{UserError, sqlstate};

/// The name of the function that a condition is the first argument of.
pub(super) const NAME: &str = "pg_condition";

/// An expression where a condition stands, which is that of `place`. A literal without a type is read as one.
pub(super) fn condition(expr: &mut ast::Expr, place: &str) {
    if let ast::Expr::Nested(inner) = expr {
        condition(inner, place);
    } else if is_string(expr) {
        *expr = call(super::cast::NAME, vec![taken(expr), string("bool")]);
    } else if !is_boolean(expr) {
        *expr = call(NAME, vec![taken(expr), string(place)]);
    }
}

/// Whether an expression is a truth value whatever is in it.
fn is_boolean(expr: &ast::Expr) -> bool {
    use ast::Expr;
    match expr {
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::And
                | BinaryOperator::Or
                | BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        ),
        Expr::Value(value) => matches!(value.value, Value::Boolean(_) | Value::Null),
        Expr::UnaryOp { op: UnaryOperator::Not, .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::Exists { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. } => true,
        _ => false,
    }
}

/// The conditions of a query: of its rows, its groups and its joins.
pub(super) fn of_select(select: &mut Select) {
    if let Some(rows) = &mut select.selection {
        condition(rows, "WHERE");
    }
    if let Some(groups) = &mut select.having {
        condition(groups, "HAVING");
    }
    select.from.iter_mut().for_each(of_joins);
}

fn of_joins(from: &mut TableWithJoins) {
    let factors = std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|join| &mut join.relation));
    for factor in factors {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            of_joins(table_with_joins);
        }
    }
    for join in &mut from.joins {
        if let JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on))
        | JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on))
        | JoinOperator::Right(JoinConstraint::On(on))
        | JoinOperator::RightOuter(JoinConstraint::On(on))
        | JoinOperator::FullOuter(JoinConstraint::On(on)) = &mut join.join_operator
        {
            condition(on, "JOIN/ON");
        }
    }
}

/// `pg_condition(condition, 'place')`: never run.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Condition(Signature);

impl Condition {
    pub(super) fn new() -> Self {
        Self(Signature::any(2, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Condition {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a condition is looked at when the plan is analyzed")
    }
}

/// The condition of a call, whose type is given where it can be told.
pub(super) fn checked(call: &mut ScalarFunction, kind: Option<(DataType, Option<u32>)>) -> Result<Expr> {
    let [condition, Expr::Literal(ScalarValue::Utf8(Some(place)), _)] = call.args.as_mut_slice() else {
        return internal_err!("a condition says what it is one of");
    };
    match kind {
        Some((data_type, said)) if data_type != DataType::Boolean => {
            let name = full_name(said.unwrap_or_else(|| of_data_type(&data_type).oid));
            let message = format!("argument of {place} must be type boolean, not type {name}");
            Err(UserError::new(sqlstate::DATATYPE_MISMATCH, message).into())
        }
        _ => Ok(std::mem::take(condition)),
    }
}
