//! Types that statements about the catalog name, and the engine does not know.

use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, DataType, Expr, Value};

use super::column_name;
use super::look::parts;
use crate::dialect::tree::{call, cast};

pub(super) fn is_function_column(expr: &Expr) -> bool {
    let functions =
        ["typinput", "typoutput", "typreceive", "typsend", "typanalyze", "typmodin", "typmodout", "typsubscript"];
    column_name(expr).is_some_and(|name| functions.contains(&name.as_str()))
}

pub(super) fn rewritten_cast(inner: &Expr, data_type: &mut DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Custom(name, _) => parts(name).pop()?,
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            if let DataType::Custom(name, _) = element.as_ref() {
                **element = plain(&parts(name).pop()?)?;
            }
            return text_array(inner);
        }
        DataType::Regclass => "regclass".to_owned(),
        _ => return None,
    };
    let literal = matches!(inner, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)));
    match name.as_str() {
        "regclass" | "regtype" | "regproc" | "regprocedure" | "regnamespace" | "regrole" => {
            let base = match name.as_str() {
                "regprocedure" => "regproc",
                "regrole" if !literal => return Some(call("pg_get_userbyid", vec![inner.clone()])),
                other => other,
            };
            let direction = if literal { "in" } else { "out" };
            Some(call(&format!("{base}_{direction}"), vec![inner.clone()]))
        }
        other => {
            *data_type = plain(other)?;
            None
        }
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
    let Expr::Value(value) = inner else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let items = text.strip_prefix('{')?.strip_suffix('}')?;
    let items = items.split(',').filter(|item| !item.is_empty());
    let items =
        items.map(|item| Expr::Value(Value::SingleQuotedString(item.trim().trim_matches('"').to_owned()).into()));
    Some(call("make_array", items.collect()))
}
