//! `->>` and `->` on maps, as PostgreSQL has them on `jsonb`: `attributes->>'http.route'`.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Plans `map ->> key` and `map -> key` as a lookup of the key; null where the map does not have it.
#[derive(Debug, Default)]
pub struct MapOperators;

impl ExprPlanner for MapOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let lookup = matches!(expr.op, BinaryOperator::Arrow | BinaryOperator::LongArrow);
        if !lookup || !matches!(expr.left.get_type(schema)?, DataType::Map(..) | DataType::Struct(_)) {
            return Ok(PlannerResult::Original(expr));
        }
        let call = ScalarFunction::new_udf(get_field(), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
