//! Conditions that cannot fail. Only they are asked while files are read: the reader makes words of an error, in which the
//! SQLSTATE is lost, and asks conditions in the order that is cheapest, so that one might fail on a row that another leaves
//! out.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

/// Functions that have a result for all values.
const TOTAL: &[&str] =
    &["array_has", "character_length", "coalesce", "get_field", "lower", "nullif", "starts_with", "strpos", "upper"];

/// Whether a condition has a result for every row.
pub(super) fn never_fails(condition: &Expr, schema: &DFSchema) -> bool {
    matches!(condition.exists(|part| Ok(!is_total(part, schema))), Ok(false))
}

fn is_total(part: &Expr, schema: &DFSchema) -> bool {
    match part {
        Expr::Alias(_) | Expr::Column(_) | Expr::Literal(..) | Expr::Not(_) | Expr::Case(_) | Expr::TryCast(_) => true,
        Expr::Between(_) | Expr::InList(_) | Expr::Like(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => true,
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsUnknown(_) => true,
        Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => true,
        Expr::BinaryExpr(binary) => compares(binary.op),
        Expr::Cast(cast) => cast.expr.get_type(schema).is_ok_and(|from| fits(&from, cast.field.data_type())),
        Expr::ScalarFunction(call) => TOTAL.contains(&call.name()),
        _ => false,
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(op, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Whether every value of a type is one of another.
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{Decimal128, Decimal256, Dictionary, Float32, Float64, LargeUtf8, Utf8, Utf8View};
    let whole = |of: &DataType| of.is_integer().then(|| of.primitive_width()).flatten();
    match (from, to) {
        _ if from == to => true,
        (Dictionary(_, value), _) => fits(value, to),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) | (Float32, Float64) => true,
        (of, Float64) => of.is_integer(),
        // 19 digits have the largest of 64 bits, 20 without a sign.
        (of, Decimal128(precision, scale) | Decimal256(precision, scale)) => {
            of.is_integer() && i16::from(*precision) - i16::from(*scale) >= 20
        }
        _ => match (whole(from), whole(to)) {
            (Some(narrow), Some(wide)) => narrow < wide && (from.is_unsigned_integer() || to.is_signed_integer()),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    #[test]
    fn what_has_a_result_for_every_row_is_told_from_what_may_fail() {
        let fields = vec![Field::new("a", DataType::Int64, true), Field::new("t", DataType::Utf8, true)];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let total = |condition: Expr| never_fails(&condition, &schema);
        assert!(total(col("a").gt(lit(1_i64)).and(col("t").like(lit("x%")))));
        assert!(total(cast(col("a"), DataType::Float64).gt(lit(1.5))));
        assert!(!total((lit(10_i64) / col("a")).gt(lit(1_i64))));
        assert!(!total(cast(col("t"), DataType::Int64).gt(lit(1_i64))));
        assert!(!total(cast(col("a"), DataType::Int32).gt(lit(1_i32)).or(col("t").is_null())));
    }
}
