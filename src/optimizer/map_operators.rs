//! `->>`, `->`, `?`, `?|` and `?&` on maps, as PostgreSQL has them on `jsonb`: `attributes->>'http.route'`.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions::core::get_field;
use datafusion::functions_nested::array_has::{array_has_all_udf, array_has_any_udf, array_has_udf};
use datafusion::functions_nested::map_keys::map_keys;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::dialect;

/// Plans `map ->> key` and `map -> key` as a lookup of the key, null where the map does not have it, and `map ? key` and
/// its kin as a look among the keys.
#[derive(Debug, Default)]
pub struct MapOperators;

impl ExprPlanner for MapOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let map = |expr: &Expr| Ok::<_, DataFusionError>(matches!(expr.get_type(schema)?, DataType::Map(..)));
        let call =
            |function, args| Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, args))));
        match expr.op {
            BinaryOperator::Arrow | BinaryOperator::LongArrow
                if matches!(expr.left.get_type(schema)?, DataType::Map(..) | DataType::Struct(_)) =>
            {
                call(get_field(), vec![expr.left, expr.right])
            }
            BinaryOperator::Question if map(&expr.left)? => {
                call(array_has_udf(), vec![map_keys(expr.left), expr.right])
            }
            BinaryOperator::QuestionPipe if map(&expr.left)? => {
                call(array_has_any_udf(), vec![map_keys(expr.left), texts(expr.right)])
            }
            BinaryOperator::QuestionAnd if map(&expr.left)? => {
                call(array_has_all_udf(), vec![map_keys(expr.left), texts(expr.right)])
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// A list of keys; a literal of no type is one.
fn texts(keys: Expr) -> Expr {
    if matches!(&keys, Expr::Literal(ScalarValue::Utf8(Some(_)), _)) { dialect::as_type(keys, "_text") } else { keys }
}
