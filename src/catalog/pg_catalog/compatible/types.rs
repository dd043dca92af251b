//! Types that statements about the catalog name, and the engine does not know. Among them those of numbers that are written
//! as names: `x_in` reads such a name, `x_out` writes it.

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Query, SelectItem, SetExpr, Value,
};

use super::column_name;
use super::look::parts;
use crate::dialect::tree::{call, cast, string};

/// Whether a column is of type `regproc`.
fn is_function_column(expr: &Expr) -> bool {
    const COLUMNS: [&str; 14] = [
        "typinput",
        "typoutput",
        "typreceive",
        "typsend",
        "typanalyze",
        "typmodin",
        "typmodout",
        "typsubscript",
        "prosupport",
        "amhandler",
        "oprcode",
        "oprrest",
        "oprjoin",
        "aggfnoid",
    ];
    column_name(expr).is_some_and(|name| COLUMNS.contains(&name.as_str()))
}

/// The functions that read and write the names of a type whose values are numbers; none for another type.
fn functions_of(data_type: &DataType) -> Option<(&'static str, &'static str)> {
    let name = match data_type {
        DataType::Custom(name, _) => parts(name).pop()?,
        DataType::Regclass => return Some(("regclass_in", "regclass_out")),
        _ => return None,
    };
    Some(match name.as_str() {
        "regclass" => ("regclass_in", "regclass_out"),
        "regtype" => ("regtype_in", "regtype_out"),
        "regproc" | "regprocedure" => ("regproc_in", "regproc_out"),
        "regnamespace" => ("regnamespace_in", "regnamespace_out"),
        "regrole" => ("regrole_in", "pg_get_userbyid"),
        _ => return None,
    })
}

/// A call of one of our functions by its name, with its arguments.
fn called(expr: &Expr) -> Option<(String, Vec<&Expr>)> {
    match expr {
        Expr::Nested(inner) => called(inner),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => {
            let given = list.args.iter().filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            });
            Some((parts(name).pop()?, given.collect()))
        }
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an expression is known to be a text, so that a cast reads it as a name.
fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_text(inner),
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Text | DataType::Varchar(_)),
        Expr::BinaryOp { op, .. } => *op == BinaryOperator::StringConcat,
        other => called(other).is_some_and(|(name, given)| match name.as_str() {
            "quote_ident" | "format" | "concat" | "pg_concat" => true,
            "pg_cast" => given.get(1).and_then(|target| literal(target)).is_some_and(|target| target == "text"),
            _ => false,
        }),
    }
}

/// The function that writes the name of what [`functions_of`] read.
fn writer(expr: &Expr) -> Option<&'static str> {
    Some(match called(expr)?.0.as_str() {
        "regclass_in" => "regclass_out",
        "regtype_in" => "regtype_out",
        "regproc_in" => "regproc_out",
        "regnamespace_in" => "regnamespace_out",
        "regrole_in" => "pg_get_userbyid",
        _ => return None,
    })
}

/// A number that was read from its name, as the name.
fn written(expr: &Expr) -> Option<Expr> {
    writer(expr).map(|writer| call(writer, vec![expr.clone()]))
}

/// The number whose name an expression is.
fn number(expr: &Expr) -> Option<Expr> {
    let (name, given) = called(expr)?;
    let writes =
        ["regclass_out", "regtype_out", "regproc_out", "regnamespace_out", "pg_get_userbyid"].contains(&name.as_str());
    given.first().filter(|_| writes).map(|of| (*of).clone())
}

/// A cast to or from numbers that are written as names.
pub(super) fn named_cast(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    if let Some((reader, writer)) = functions_of(data_type) {
        // A number that is cast again is the same number.
        let again = writer_of_number(inner);
        let of = again.as_ref().unwrap_or(inner);
        return Some(call(if again.is_none() && is_text(inner) { reader } else { writer }, vec![of.clone()]));
    }
    match data_type {
        textual if is_textual(textual) => written(inner),
        DataType::BigInt(_) | DataType::Int8(_) | DataType::Integer(_) | DataType::Int4(_) | DataType::Int(_) => {
            number(inner).map(|number| cast(number, data_type.clone()))
        }
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            let (reader, _) = functions_of(element)?;
            let items = items(inner)?.into_iter().map(|item| call(reader, vec![string(item)]));
            Some(call("make_array", items.collect()))
        }
        DataType::Custom(name, _) => match parts(name).pop()?.as_str() {
            "oid" | "int8" | "int4" => number(inner).map(|number| cast(number, DataType::BigInt(None))),
            _ => None,
        },
        _ => None,
    }
}

fn is_textual(data_type: &DataType) -> bool {
    match data_type {
        DataType::Text | DataType::Varchar(_) => true,
        DataType::Custom(name, _) => {
            parts(name).pop().is_some_and(|name| ["text", "name", "varchar"].contains(&name.as_str()))
        }
        _ => false,
    }
}

fn writer_of_number(expr: &Expr) -> Option<Expr> {
    number(expr).or_else(|| writer(expr).map(|_| expr.clone()))
}

/// The same of a cast that is a call already.
pub(super) fn named_call(expr: &Expr) -> Option<Expr> {
    let (name, given) = called(expr)?;
    let [inner, target] = given.as_slice() else { return None };
    match literal(target).filter(|_| name == "pg_cast")? {
        "text" | "varchar" | "name" => written(inner),
        "oid" | "int8" | "int4" => number(inner).map(|number| call("pg_cast", vec![number, (*target).clone()])),
        _ => None,
    }
}

/// Make the sides of a comparison numbers where one is a number that has a name and the other is such a name.
pub(super) fn compared(left: &mut Expr, right: &mut Expr) {
    as_number_beside(left, right);
    as_number_beside(right, left);
}

fn as_number_beside(one: &mut Expr, other: &Expr) {
    if writer(other).is_some()
        && let Some(number) = number(one)
    {
        *one = number;
    }
}

/// What a statement gives back of numbers that have names is the names.
pub(super) fn shown(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let all = match called(expr) {
            Some((name, given)) if name == "make_array" && !given.is_empty() => {
                let names: Option<Vec<Expr>> =
                    given.into_iter().map(|one| writer(one).map(|writer| call(writer, vec![one.clone()]))).collect();
                names.map(|names| call("make_array", names))
            }
            _ => writer(expr).map(|writer| call(writer, vec![expr.clone()])),
        };
        if let Some(names) = all {
            *expr = names;
        }
    }
}

pub(super) fn rewritten_cast(inner: &Expr, data_type: &mut DataType) -> Option<Expr> {
    if is_function_column(inner) && is_textual(data_type) {
        return Some(call("regproc_out", vec![inner.clone()]));
    }
    if let Some(named) = named_cast(inner, data_type) {
        return Some(named);
    }
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            if let DataType::Custom(name, _) = element.as_ref() {
                **element = plain(&parts(name).pop()?)?;
            }
            text_array(inner)
        }
        DataType::Custom(name, _) => {
            *data_type = plain(&parts(name).pop()?)?;
            None
        }
        _ => None,
    }
}

fn plain(name: &str) -> Option<DataType> {
    Some(match name {
        "oid" | "xid" | "xid8" | "cid" | "int8" => DataType::BigInt(None),
        "int4" | "integer" => DataType::Integer(None),
        "int2" => DataType::SmallInt(None),
        "bool" => DataType::Boolean,
        "text" | "name" | "char" | "varchar" | "bpchar" | "aclitem" | "pg_node_tree" | "information_schema"
        | "sql_identifier" | "character_data" | "yes_or_no" | "inet" | "json" | "jsonb" => DataType::Text,
        "float8" => DataType::DoublePrecision,
        "float4" => DataType::Real,
        "numeric" => DataType::Numeric(ast::ExactNumberInfo::None),
        "timestamptz" => DataType::Timestamp(None, ast::TimezoneInfo::Tz),
        _ => return None,
    })
}

pub(super) fn array_literal(expr: &Expr) -> Option<Expr> {
    let texts = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None));
    text_array(expr).map(|array| cast(array, texts))
}

/// `'{a,b}'::text[]` as the array that it is.
fn text_array(inner: &Expr) -> Option<Expr> {
    Some(call("make_array", items(inner)?.into_iter().map(string).collect()))
}

/// The elements of a literal that is an array.
fn items(inner: &Expr) -> Option<Vec<&str>> {
    let items = literal(inner)?.strip_prefix('{')?.strip_suffix('}')?;
    let items = items.split(',').filter(|item| !item.is_empty());
    Some(items.map(|item| item.trim().trim_matches('"')).collect())
}
