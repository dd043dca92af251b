//! `a IS NOT DISTINCT FROM b AND c` is `(a IS NOT DISTINCT FROM b) AND c`; the parser takes everything behind FROM.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator, Value, visit_expressions_mut};

/// Put the parts of a statement's conditions where they belong.
pub(super) fn regroup(statement: &mut Statement) {
    let mut found = false;
    let _ = visit_expressions_mut(statement, |expr| {
        found |= matches!(expr, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..));
        // Children come first, so that a part that came up goes on up.
        if found {
            lift(expr);
        }
        ControlFlow::<()>::Continue(())
    });
}

fn strength(op: &BinaryOperator) -> Option<u8> {
    match op {
        BinaryOperator::Or => Some(1),
        BinaryOperator::And => Some(2),
        _ => None,
    }
}

/// If the last operand of an expression is an AND or OR that binds less, make that the whole.
fn lift(expr: &mut Expr) {
    let own = match expr {
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => 4,
        Expr::UnaryOp { op: UnaryOperator::Not, .. } => 3,
        Expr::BinaryOp { op, .. } => match strength(op) {
            Some(strength) => strength,
            None => return,
        },
        _ => return,
    };
    let Some(last) = last_operand(expr) else { return };
    let Expr::BinaryOp { op, .. } = last.as_ref() else { return };
    if strength(op).is_none_or(|inner| inner >= own) {
        return;
    }
    let inner = std::mem::replace(last.as_mut(), Expr::Value(Value::Null.into()));
    let Expr::BinaryOp { left, op, right } = inner else { return };
    if let Some(last) = last_operand(expr) {
        *last = left;
    }
    // What came in its place may bind less too: `x IS DISTINCT FROM (a AND b) OR c` was `(a AND b)` at first.
    lift(expr);
    let whole = std::mem::replace(expr, Expr::Value(Value::Null.into()));
    *expr = Expr::BinaryOp { left: Box::new(whole), op, right };
}

fn last_operand(expr: &mut Expr) -> Option<&mut Box<Expr>> {
    match expr {
        Expr::IsDistinctFrom(_, last) | Expr::IsNotDistinctFrom(_, last) => Some(last),
        Expr::UnaryOp { expr: last, .. } | Expr::BinaryOp { right: last, .. } => Some(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn regrouped(sql: &str) -> String {
        fn shown(expr: &Expr) -> String {
            match expr {
                Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shown(left), shown(right)),
                Expr::UnaryOp { op, expr } => format!("({op} {})", shown(expr)),
                Expr::IsDistinctFrom(left, right) => format!("({} <> {})", shown(left), shown(right)),
                Expr::IsNotDistinctFrom(left, right) => format!("({} == {})", shown(left), shown(right)),
                other => other.to_string(),
            }
        }
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, &format!("SELECT {sql}")).unwrap().remove(0);
        regroup(&mut statement);
        let Statement::Query(query) = &statement else { panic!("not a query") };
        let datafusion::sql::sqlparser::ast::SelectItem::UnnamedExpr(expr) =
            &query.body.as_select().unwrap().projection[0]
        else {
            panic!("not an expression")
        };
        shown(expr)
    }

    #[test]
    fn conditions_are_grouped_by_how_strongly_they_bind() {
        for (sql, expected) in [
            ("x IS NOT DISTINCT FROM y AND z", "((x == y) AND z)"),
            ("x IS DISTINCT FROM y OR z AND w", "((x <> y) OR (z AND w))"),
            ("a AND x IS NOT DISTINCT FROM y OR z", "((a AND (x == y)) OR z)"),
            ("NOT x IS DISTINCT FROM y AND z", "((NOT (x <> y)) AND z)"),
            ("x IS DISTINCT FROM y AND z OR w", "(((x <> y) AND z) OR w)"),
            ("x IS DISTINCT FROM (y AND z)", "(x <> (y AND z))"),
            ("x IS DISTINCT FROM y = z", "(x <> (y = z))"),
        ] {
            assert_eq!(regrouped(sql), expected, "{sql}");
        }
    }
}
