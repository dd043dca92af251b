//! Operators that depend on the types of their sides: intervals are compared by their length, an untyped string is of the
//! type of the other side, `||` of texts is [`Append`], `->` and its kin read JSON.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::append::Append;
use super::arithmetic::IntervalKey;
use super::cast::{Cast, Target};
use super::encode::oid;
use super::pg_type_of;
use super::unknown::spelled;

/// Plans comparisons, `||` of texts and the operators of JSON.
#[derive(Debug, Default)]
pub struct Operators;

static LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(IntervalKey::new())));
static APPEND: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Append::new())));
static CAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Cast::new())));
static SUBSTRING: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(super::regexp::substring()));
static JSON: LazyLock<Vec<Arc<ScalarUDF>>> =
    LazyLock::new(|| super::json::functions().into_iter().map(Arc::new).collect());

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn json(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Arrow => "pg_json_get",
        BinaryOperator::LongArrow => "pg_json_get_text",
        BinaryOperator::HashArrow => "pg_json_path",
        BinaryOperator::HashLongArrow => "pg_json_path_text",
        BinaryOperator::Question => "pg_json_has",
        BinaryOperator::QuestionPipe => "pg_json_has_any",
        BinaryOperator::QuestionAnd => "pg_json_has_all",
        BinaryOperator::AtArrow => "pg_json_contains",
        _ => return None,
    })
}

fn call(function: &Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
}

fn text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// `pg_cast(expr, 'name')`.
pub(crate) fn as_type(expr: Expr, name: &str) -> Expr {
    call(&CAST, vec![expr, Expr::Literal(ScalarValue::Utf8(Some(name.to_owned())), None)])
}

/// A cast with its arguments.
pub(super) fn recast(args: Vec<Expr>) -> Expr {
    call(&CAST, args)
}

/// The length of an interval, by which intervals are compared.
pub(super) fn length(expr: Expr) -> Expr {
    call(&LENGTH, vec![expr])
}

/// The type of an expression that is of one whose values are texts to the engine.
fn said(expr: &Expr, schema: &DFSchema) -> Option<u32> {
    let (_, field) = expr.to_field(schema).ok()?;
    pg_type_of(&field).filter(|kind| matches!(*kind, oid::UUID | oid::JSONB))
}

fn typed(expr: Expr, other: &DataType, said: Option<u32>) -> Expr {
    let literal = matches!(&expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _));
    match said.map_or_else(|| spelled(other), Target::spelling) {
        Some(name) if literal => as_type(expr, &name),
        _ => expr,
    }
}

impl ExprPlanner for Operators {
    /// In `a.b`, `a` is a relation, whatever columns there are: a part of a column is `(a).b` or `a->>'b'`. Else the name of
    /// an outer relation would be taken for the column of the same name of an inner one.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        _qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let part = nested_names.first().map_or("", String::as_str);
        let column = Column::new(Some(TableReference::bare(field.name().as_str())), part);
        Ok(PlannerResult::Planned(Expr::Column(column)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        // Which of the two a column or a call is, is known when it runs.
        let number = |expr: &Expr| match expr {
            Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Literal(..) | Expr::Placeholder(_)),
            Expr::Literal(value, _) => !text(&value.data_type()),
            Expr::Placeholder(_) => true,
            _ => false,
        };
        Ok(match args.as_slice() {
            [_, from] if !number(from) => PlannerResult::Planned(call(&SUBSTRING, args)),
            _ => PlannerResult::Original(args),
        })
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(name) = json(&expr.op) {
            let document = text(&expr.left.get_type(schema)?);
            return Ok(match JSON.iter().find(|function| function.name() == name) {
                Some(function) if document => PlannerResult::Planned(call(function, vec![expr.left, expr.right])),
                _ => PlannerResult::Original(expr),
            });
        }
        if expr.op == BinaryOperator::StringConcat {
            let (left, right) = (expr.left.get_type(schema)?, expr.right.get_type(schema)?);
            if Append::takes(&left, &right) {
                return Ok(PlannerResult::Planned(call(&APPEND, vec![expr.left, expr.right])));
            }
            // Beside an array a literal is an array.
            return Ok(PlannerResult::Original(match (&left, &right) {
                (DataType::List(_), _) => RawBinaryExpr { right: typed(expr.right, &left, None), ..expr },
                (_, DataType::List(_)) => RawBinaryExpr { left: typed(expr.left, &right, None), ..expr },
                _ => expr,
            }));
        }
        let Some(op) = comparison(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let (left_type, right_type) = (expr.left.get_type(schema)?, expr.right.get_type(schema)?);
        let interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
        let (left_said, right_said) = (said(&expr.left, schema), said(&expr.right, schema));
        let left = typed(expr.left, &right_type, right_said);
        let right = typed(expr.right, &left_type, left_said);
        if (interval(&left_type) || interval(&right_type))
            && interval(&left.get_type(schema)?)
            && interval(&right.get_type(schema)?)
        {
            let compared = BinaryExpr::new(Box::new(length(left)), op, Box::new(length(right)));
            return Ok(PlannerResult::Planned(Expr::BinaryExpr(compared)));
        }
        let zoned = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
        let local = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None) | DataType::Date32);
        let (left, right) = match (&left_type, &right_type) {
            // What a clock shows is compared as the moment at which the session's clock shows it.
            (moment, wall) if zoned(moment) && local(wall) => (left, as_type(right, "timestamptz")),
            (wall, moment) if zoned(moment) && local(wall) => (as_type(left, "timestamptz"), right),
            // A float is not made exact for the sake of a number with a point.
            (float, DataType::Decimal128(..) | DataType::Decimal256(..)) if float.is_floating() => {
                (left, as_type(right, "float8"))
            }
            (DataType::Decimal128(..) | DataType::Decimal256(..), float) if float.is_floating() => {
                (as_type(left, "float8"), right)
            }
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op: expr.op, left, right }))
    }
}
