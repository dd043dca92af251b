//! `a + b - c + …` as one call. Each expression's name spells out all that is in it, and the engine asks every expression
//! for its name at every level: the cost of a long chain of calls of two arguments grows with the cube of its length.

use std::sync::LazyLock;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::arithmetic::Arithmetic;
use super::rewrite::function_name;
use super::tree::{call, string, taken};

/// The name of the function.
pub(super) const NAME: &str = "pg_chain";

/// Calls inside each other that are left as they are.
const SHORT: usize = 8;

/// The functions that are chained, each with its letter.
const OPERATORS: [(&str, char); 5] =
    [("pg_add", '+'), ("pg_subtract", '-'), ("pg_multiply", '*'), ("pg_divide", '/'), ("pg_modulo", '%')];

/// The letter and both sides of a call of an operator.
fn sides(expr: &mut Expr) -> Option<(char, [&mut Expr; 2])> {
    let Expr::Function(function) = expr else { return None };
    let name = function_name(function)?;
    let (_, letter) = OPERATORS.iter().find(|(known, _)| *known == name)?;
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match list.args.as_mut_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(left)), FunctionArg::Unnamed(FunctionArgExpr::Expr(right))] => {
            Some((*letter, [left, right]))
        }
        _ => None,
    }
}

fn is_long(expr: &mut Expr) -> bool {
    let mut at = expr;
    for _ in 0..SHORT {
        match sides(at) {
            Some((_, [left, _])) => at = left,
            None => return false,
        }
    }
    true
}

/// A call of an operator, or what becomes of it behind many others.
pub(super) fn chained(name: &str, left: &mut Expr, right: &mut Expr) -> Expr {
    let letter = OPERATORS.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter);
    if let Some(letter) = letter {
        if let Some(chain) = chain_of(left) {
            extend(chain, letter, taken(right));
            return taken(left);
        }
        if is_long(left) {
            return unrolled(left, letter, taken(right));
        }
    }
    call(name, vec![taken(left), taken(right)])
}

fn chain_of(expr: &mut Expr) -> Option<&mut Function> {
    match expr {
        Expr::Function(function) if function_name(function).as_deref() == Some(NAME) => Some(function),
        _ => None,
    }
}

fn extend(chain: &mut Function, letter: char, right: Expr) {
    let FunctionArguments::List(list) = &mut chain.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) = list.args.first_mut()
        && let Value::SingleQuotedString(letters) = &mut value.value
    {
        letters.push(letter);
    }
    list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(right)));
}

fn unrolled(left: &mut Expr, letter: char, right: Expr) -> Expr {
    let (mut letters, mut operands) = (vec![letter], vec![right]);
    let mut first = taken(left);
    while let Some((letter, [left, right])) = sides(&mut first) {
        letters.push(letter);
        operands.push(taken(right));
        first = taken(left);
    }
    operands.push(first);
    operands.push(string(letters.into_iter().rev().collect::<String>()));
    operands.reverse();
    call(NAME, operands)
}

static ARITHMETIC: LazyLock<Vec<Arithmetic>> = LazyLock::new(Arithmetic::all);

fn operator(letter: char) -> Result<&'static Arithmetic> {
    let name = OPERATORS.iter().find(|(_, known)| *known == letter).map(|(name, _)| *name);
    match ARITHMETIC.iter().find(|operator| Some(operator.name()) == name) {
        Some(operator) => Ok(operator),
        None => internal_err!("{letter} is no operator"),
    }
}

/// `pg_chain('+-', a, b, c)` is `a + b - c`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Chain(Signature);

impl Chain {
    pub(super) fn new() -> Self {
        Self(Signature::variadic_any(Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Chain {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("a chain says its type by its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let letters = args.scalar_arguments.first().copied().flatten().and_then(|value| value.try_as_str().flatten());
        let (Some(letters), Some(first)) = (letters, args.arg_fields.get(1)) else {
            return internal_err!("a chain names its operators");
        };
        let (mut field, mut constant) = (FieldRef::clone(first), args.scalar_arguments.get(1).copied().flatten());
        let rest = args.arg_fields.iter().zip(args.scalar_arguments).skip(2);
        for (letter, (next, value)) in letters.chars().zip(rest) {
            field = operator(letter)?.return_field_from_args(ReturnFieldArgs {
                arg_fields: &[field, FieldRef::clone(next)],
                scalar_arguments: &[constant, *value],
            })?;
            constant = None;
        }
        Ok(field)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let letters = match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        let mut operands = args.args.into_iter().zip(args.arg_fields).skip(1);
        let (Some(letters), Some((mut value, mut field))) = (letters, operands.next()) else {
            return internal_err!("a chain names its operators");
        };
        for (letter, (next, next_field)) in letters.chars().zip(operands) {
            let operator = operator(letter)?;
            let constant = |value: &ColumnarValue| match value {
                ColumnarValue::Scalar(value) => Some(value.clone()),
                ColumnarValue::Array(_) => None,
            };
            let (left, right) = (constant(&value), constant(&next));
            let arg_fields = vec![field, next_field];
            field = operator.return_field_from_args(ReturnFieldArgs {
                arg_fields: &arg_fields,
                scalar_arguments: &[left.as_ref(), right.as_ref()],
            })?;
            value = operator.invoke_with_args(ScalarFunctionArgs {
                args: vec![value, next],
                arg_fields,
                number_rows: args.number_rows,
                return_field: FieldRef::clone(&field),
                config_options: std::sync::Arc::clone(&args.config_options),
            })?;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        crate::dialect::rewrite(&mut statement, &|_| false).unwrap();
        statement.to_string()
    }

    #[test]
    fn long_chains_are_one_call_in_their_order() {
        assert_eq!(rewritten("SELECT a + b - c"), "SELECT pg_subtract(pg_add(a, b), c)");
        assert_eq!(
            rewritten("SELECT a + b - c + d + e + f - g + h + i * j - k + l"),
            "SELECT pg_chain('+-+++-++-+', a, b, c, d, e, f, g, h, pg_multiply(i, j), k, l)"
        );
        assert_eq!(rewritten(&format!("SELECT a{}", " / a".repeat(400))).matches("pg_").count(), 1);
    }
}
