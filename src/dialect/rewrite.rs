//! Statements in PostgreSQL's meaning turned into statements that mean the same to the engine.
//!
//! Literals get PostgreSQL's types, casts and arithmetic become calls of the functions of this module's neighbours.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, Ident, LimitClause, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Statement,
    TableFactor, UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::conditions::condition;
use super::encode::{Style, oid};
use super::names;
use super::tree::{call, cast, string, taken};
use super::{bytes, conditions, distinct_from, lateral, limits, rows, subqueries};
use crate::error::{UserError, sqlstate};

/// Rewrite a statement of a user's. `is_aggregate` knows the aggregate functions.
///
/// # Errors
/// When it asks for what cannot be given PostgreSQL's meaning.
pub fn rewrite(statement: &mut Statement, is_aggregate: &dyn Fn(&str) -> bool) -> Result<(), UserError> {
    distinct_from::regroup(statement);
    without_schemas(statement);
    let calls_value = names_value(statement) && !super::set_returning::brings_value(statement);
    let is_aggregate = &|name: &str| is_aggregate(name) || super::aggregates::is_aggregate(name);
    let named = rows::named(statement);
    let mut rewrite = Rewrite { is_aggregate, depth: 0, calls_value, named, wrong: None };
    let _ = VisitMut::visit(statement, &mut rewrite);
    if let Statement::Insert(insert) = statement
        && let Some(source) = &mut insert.source
    {
        unknown_in_insert(source);
    }
    // Only now, since two names of one function are one name to the engine.
    names::distinct_names(statement);
    rewrite.wrong.map_or(Ok(()), Err)
}

/// To the engine a function has no schema.
fn without_schemas(statement: &mut Statement) {
    let _ = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && let Some(name) = name_without_schema(&function.name)
        {
            function.name = name;
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The name of a function without the schema that it says, if that is one of those that functions are in.
#[must_use]
pub fn name_without_schema(name: &ObjectName) -> Option<ObjectName> {
    let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
    match parts?.as_slice() {
        [schema, name] if ["pg_catalog", "public"].contains(&super::folded(schema).as_str()) => {
            Some(ObjectName::from(vec![(*name).clone()]))
        }
        _ => None,
    }
}

/// What a statement about the catalog needs.
pub fn rewrite_names(statement: &mut Statement) {
    distinct_from::regroup(statement);
    names::distinct_names(statement);
    let _ = VisitMut::visit(statement, &mut limits::Limits);
    let _ = visit_expressions_mut(statement, |expr| {
        own_escape(expr);
        if let Some(better) = subqueries::of_literal(expr) {
            *expr = better;
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A pattern with an escape character of its own, in the spelling with backslashes.
fn own_escape(expr: &mut Expr) {
    if let Expr::Like { escape_char, pattern, .. } | Expr::ILike { escape_char, pattern, .. } = expr
        && let Some(escape) = escape_char.take()
    {
        **pattern = call("like_escape", vec![taken(pattern), Expr::Value(escape)]);
    }
}

/// Whether a statement uses the name that the engine gives the column of `generate_series`.
fn names_value(statement: &Statement) -> bool {
    let mut found = false;
    let _ = ast::visit_expressions(statement, |expr| {
        found |= match expr {
            Expr::Identifier(name) => name.value.eq_ignore_ascii_case("value"),
            Expr::CompoundIdentifier(parts) => {
                parts.last().is_some_and(|name| name.value.eq_ignore_ascii_case("value"))
            }
            _ => false,
        };
        ControlFlow::<()>::Continue(())
    });
    found
}

struct Rewrite<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    depth: usize,
    calls_value: bool,
    named: rows::Named,
    wrong: Option<UserError>,
}

/// The OIDs of the types that a statement casts its parameters to, by their places from nought; a parameter that is cast to
/// several has the first.
#[must_use]
pub fn said_of_parameters(statement: &Statement) -> BTreeMap<usize, u32> {
    let mut said = BTreeMap::new();
    let _ = ast::visit_expressions(statement, |expr| {
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && let Expr::Value(value) = inner.as_ref()
            && let Value::Placeholder(name) = &value.value
            && let Some(at) =
                name.trim_start_matches('$').parse::<usize>().ok().and_then(|number| number.checked_sub(1))
            && let Some(oid) = oid_of(data_type)
        {
            said.entry(at).or_insert(oid);
        }
        ControlFlow::<()>::Continue(())
    });
    said
}

/// The OID of a type that a statement names; none if there is no such type.
#[must_use]
pub fn oid_of(data_type: &DataType) -> Option<u32> {
    super::cast::Target::parse(&target(data_type)?).map(|target| target.oid)
}

/// A literal of no type as one of a type, by its OID; none if it has a type, or the type is text.
#[must_use]
pub fn literal_as(expr: &Expr, kind: u32) -> Option<Expr> {
    let target = super::cast::Target::spelling(kind).filter(|_| is_string(expr) && kind != oid::TEXT)?;
    Some(call("pg_cast", vec![expr.clone(), string(target)]))
}

/// Give parameters the types that the engine has no types of its own for, as the client says: `kinds` are OIDs by number.
pub fn say_parameters(statement: &mut Statement, kinds: &[u32]) {
    let type_of = |expr: &Expr| {
        let Expr::Value(value) = expr else { return None };
        let Value::Placeholder(name) = &value.value else { return None };
        let number: usize = name.trim_start_matches('$').parse().ok()?;
        match *kinds.get(number.checked_sub(1)?)? {
            oid::UUID => Some(DataType::Uuid),
            oid::JSON => Some(DataType::JSON),
            oid::JSONB => Some(DataType::JSONB),
            _ => None,
        }
    };
    // A cast names its column, which a parameter does not.
    if let Statement::Query(query) = statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && type_of(expr).is_some()
            {
                *item = SelectItem::ExprWithAlias { expr: taken(expr), alias: Ident::with_quote('"', "?column?") };
            }
        }
    }
    let _ = visit_expressions_mut(statement, |expr| {
        if let Some(data_type) = type_of(expr) {
            *expr = cast(taken(expr), data_type);
        }
        ControlFlow::<()>::Continue(())
    });
}

pub(super) fn function_name(function: &Function) -> Option<String> {
    let parts: Vec<&Ident> = function.name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    match parts.as_slice() {
        [name] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// A number with PostgreSQL's type: integer, bigint, or numeric with the digits that it is written with.
fn number(text: &str) -> Option<Expr> {
    let raw = Expr::Value(Value::Number(text.to_owned(), false).into());
    if text.parse::<i32>().is_ok() {
        return Some(cast(raw, DataType::Integer(None)));
    }
    if text.parse::<i64>().is_ok() {
        return Some(raw);
    }
    use datafusion::arrow::datatypes::DataType as Arrow;
    let value = super::input::numeric_text(text)?;
    let (Arrow::Decimal128(precision, scale) | Arrow::Decimal256(precision, scale)) = value.data_type() else {
        return None;
    };
    // Without an exponent.
    let plain = Style { zone: chrono_tz::Tz::UTC }.texts(&value.to_array().ok()?).ok()?.pop().flatten()?;
    let info = ExactNumberInfo::PrecisionAndScale(u64::from(precision), i64::from(scale));
    Some(cast(string(plain), DataType::Numeric(info)))
}

/// The digits of a number that [`number`] made.
pub(super) fn digits(expr: &Expr) -> Option<&str> {
    let inner = match expr {
        Expr::Cast { expr, data_type: DataType::Integer(None) | DataType::Numeric(_), .. } => expr.as_ref(),
        other => other,
    };
    match inner {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text),
            Value::SingleQuotedString(text)
                if matches!(expr, Expr::Cast { data_type: DataType::Numeric(_), .. })
                    && text.parse::<f64>().is_ok() =>
            {
                Some(text)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Numbers that are no values but places and counts are the engine's own again.
pub(super) fn raw(expr: &mut Expr) {
    if let Some(text) = digits(expr) {
        *expr = Expr::Value(Value::Number(text.to_owned(), false).into());
    }
}

/// Whether a number is written with a point.
fn is_exact(expr: &Expr) -> bool {
    digits(expr).is_some() && matches!(expr, Expr::Cast { data_type: DataType::Numeric(_), .. })
}

/// Numbers among values that become one type: with a point they are numeric only among each other, since the engine would
/// make everything else numeric too.
fn agree(mut items: Vec<&mut Expr>) {
    if items.iter().any(|expr| digits(expr).is_none() && !is_untyped(expr)) {
        items.iter_mut().filter(|expr| is_exact(expr)).for_each(|expr| raw(expr));
    }
    unknown(items);
}

/// What has no type beside casts to a type that the engine has no type of its own for is cast too: to the engine it would be
/// another one than they are.
fn as_cast(items: Vec<&mut Expr>) {
    let target = items.iter().find_map(|item| {
        let Expr::Function(function) = &**item else { return None };
        let ast::FunctionArguments::List(list) = &function.args else { return None };
        match list.args.as_slice() {
            [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(target)))]
                if function_name(function).as_deref() == Some(super::cast::NAME) =>
            {
                let target = target.value.clone().into_string()?;
                super::cast::Target::parse(&target)?.named().map(|_| target)
            }
            _ => None,
        }
    });
    if let Some(target) = target {
        for item in items.into_iter().filter(|item| is_untyped(item)) {
            *item = call(super::cast::NAME, vec![taken(item), string(target.clone())]);
        }
    }
}

/// Whether PostgreSQL looks beside a value for its type.
fn is_untyped(expr: &Expr) -> bool {
    is_string(expr) || matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// Strings among values that become one type are of no type yet, unless all are.
fn unknown(items: Vec<&mut Expr>) {
    if items.iter().all(|expr| is_untyped(expr)) {
        return;
    }
    items.into_iter().for_each(as_unknown);
}

fn as_unknown(expr: &mut Expr) {
    if is_string(expr) {
        *expr = call(super::unknown::NAME, vec![taken(expr)]);
    }
}

/// The literal that became a call of `pg_unknown`.
fn as_written(expr: &mut Expr) {
    if let Expr::Function(function) = &*expr
        && function_name(function).as_deref() == Some(super::unknown::NAME)
        && let ast::FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(literal))] = list.args.as_slice()
    {
        *expr = literal.clone();
    }
}

fn item(item: &mut SelectItem) -> Option<&mut Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Strings in the lists of queries whose rows become those of one.
fn unknown_in_branches(body: &mut SetExpr) {
    let (mut left, mut selects) = (vec![body], Vec::new());
    while let Some(body) = left.pop() {
        match body {
            SetExpr::SetOperation { left: one, right: other, .. } => left.extend([&mut **one, &mut **other]),
            SetExpr::Query(query) => left.push(&mut query.body),
            SetExpr::Select(select) => selects.push(&mut select.projection),
            _ => {}
        }
    }
    // What a star stands for is not known here, so that there may be anything beside a string.
    let stars = selects.iter_mut().any(|items| items.iter_mut().any(|one| item(one).is_none()));
    let width = selects.iter().map(|items| items.len()).max().unwrap_or(0);
    for at in 0..width {
        let beside: Vec<&mut Expr> = selects.iter_mut().filter_map(|items| item(items.get_mut(at)?)).collect();
        if stars { beside.into_iter().for_each(as_unknown) } else { unknown(beside) }
    }
}

/// Strings in the list of a query whose rows are inserted.
fn unknown_in_insert(source: &mut Query) {
    match source.body.as_mut() {
        SetExpr::Select(select) => select.projection.iter_mut().filter_map(item).for_each(as_unknown),
        // What stands beside them in other rows does not matter to them.
        SetExpr::Values(values) => values.rows.iter_mut().flat_map(|row| row.iter_mut()).for_each(as_written),
        _ => {}
    }
}

/// The same of all numbers in an expression, but not of those of a query in it.
fn raw_inside(expr: &mut Expr) {
    struct Raw(usize);
    impl VisitorMut for Raw {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.0 == 0 {
                raw(expr);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(expr, &mut Raw(0));
}

pub(super) fn is_string(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_)))
}

/// The spelling of a type that [`super::cast::Target`] reads; none for one that the engine knows better.
fn target(data_type: &DataType) -> Option<String> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        let inner = target(element)?;
        return Some(if inner.starts_with('_') { inner } else { format!("_{inner}") });
    }
    let name = names::sql_name(data_type);
    let text = data_type.to_string();
    let modifiers = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    let quoted_char = matches!(data_type, DataType::Custom(..)) && name == "bpchar" && text.contains('"');
    let name = if quoted_char { "char" } else { name.as_str() };
    let spelled = match (name, modifiers) {
        // CHARACTER is CHARACTER(1).
        ("bpchar", None) if !matches!(data_type, DataType::Custom(..)) => "bpchar(1)".to_owned(),
        ("float8", Some(bits)) if bits.trim().parse::<u8>().is_ok_and(|bits| bits < 25) => "float4".to_owned(),
        ("float8" | "float4", _) => name.to_owned(),
        (_, Some(inside)) => format!("{name}({inside})"),
        (_, None) => name.to_owned(),
    };
    super::cast::Target::parse(&spelled).map(|_| spelled)
}

impl Rewrite<'_> {
    fn refuse(&mut self, error: UserError) {
        self.wrong.get_or_insert(error);
    }

    fn binary(&mut self, left: &mut Expr, op: &BinaryOperator, right: &mut Expr) -> Option<Expr> {
        let name = match op {
            BinaryOperator::Plus => "pg_add",
            BinaryOperator::Minus => "pg_subtract",
            BinaryOperator::Multiply => "pg_multiply",
            BinaryOperator::Divide => "pg_divide",
            BinaryOperator::Modulo => "pg_modulo",
            BinaryOperator::PGOverlap => "pg_overlap",
            BinaryOperator::Overlaps => {
                let error = UserError::new(sqlstate::NOT_SUPPORTED, "OVERLAPS is not supported");
                self.refuse(error.hint("compare the ends: a.begin < b.end AND b.begin < a.end"));
                return None;
            }
            BinaryOperator::And | BinaryOperator::Or => {
                [left, right].into_iter().for_each(|side| condition(side, &op.to_string()));
                return None;
            }
            _ => return None,
        };
        Some(super::chain::chained(name, left, right))
    }

    fn unary(op: UnaryOperator, inner: &mut Expr) -> Option<Expr> {
        Some(match op {
            UnaryOperator::Minus => match digits(inner) {
                Some(text) => number(&format!("-{text}"))?,
                None => call("pg_negate", vec![taken(inner)]),
            },
            UnaryOperator::Plus => taken(inner),
            UnaryOperator::Not => {
                condition(inner, "NOT");
                return None;
            }
            UnaryOperator::PGAbs => call("abs", vec![taken(inner)]),
            UnaryOperator::PGSquareRoot => call("pg_sqrt", vec![call("pg_cast", vec![taken(inner), string("float8")])]),
            UnaryOperator::PGCubeRoot => call("cbrt", vec![call("pg_cast", vec![taken(inner), string("float8")])]),
            UnaryOperator::BitwiseNot => Expr::BinaryOp {
                left: Box::new(taken(inner)),
                op: BinaryOperator::BitwiseXor,
                right: Box::new(number("-1")?),
            },
            _ => return None,
        })
    }

    fn cast(inner: &mut Expr, data_type: &DataType) -> Option<Expr> {
        // The type of a parameter is read off its cast.
        if limits::is_parameter(inner) && super::native(data_type) {
            return None;
        }
        let target = target(data_type)?;
        // A number is of the type at once, and has not to fit an integer before.
        if digits(inner).is_some() && matches!(target.as_str(), "int4" | "int8" | "float8") {
            if target == "int4" && matches!(inner, Expr::Cast { data_type: DataType::Integer(None), .. }) {
                return Some(taken(inner));
            }
            if matches!(inner, Expr::Cast { data_type: DataType::Integer(None), .. }) {
                raw(inner);
                // To the engine FLOAT is the shorter one.
                return (target == "float8").then(|| cast(taken(inner), DataType::DoublePrecision));
            }
        }
        Some(call("pg_cast", vec![taken(inner), string(target)]))
    }

    fn rewritten(&mut self, expr: &mut Expr) -> Option<Expr> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => number(text),
                Value::UnicodeStringLiteral(text) => Some(string(text.clone())),
                _ => None,
            },
            Expr::UnaryOp { op, expr: inner } => Self::unary(*op, inner),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, .. } => {
                Self::cast(inner, data_type)
            }
            Expr::TypedString(typed) => {
                let target = target(&typed.data_type)?;
                let text = typed.value.value.clone().into_string()?;
                Some(call("pg_cast", vec![string(text), string(target)]))
            }
            Expr::Interval(interval) => {
                raw_inside(&mut interval.value);
                let field = interval.last_field.as_ref().or(interval.leading_field.as_ref());
                let unit = field.map(|field| format!(":{}", field.to_string().to_lowercase())).unwrap_or_default();
                is_string(&interval.value)
                    .then(|| call("pg_cast", vec![taken(&mut interval.value), string(format!("interval{unit}"))]))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                Some(call("timezone", vec![taken(time_zone), taken(timestamp)]))
            }
            Expr::Extract { field, expr: inner, .. } => {
                let field = field.to_string().to_lowercase();
                Some(call("pg_extract", vec![string(field.trim_matches(['\'', '"'])), taken(inner)]))
            }
            Expr::Like { .. } | Expr::ILike { .. } => Self::like(expr),
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                let mut given = vec![taken(pattern)];
                given.extend(escape_char.take().map(Expr::Value));
                let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
                let right = Box::new(call("pg_similar_pattern", given));
                Some(Expr::BinaryOp { left: Box::new(taken(expr)), op, right })
            }
            Expr::AnyOp { left, compare_op, right, .. } => subqueries::quantified("pg_any", left, compare_op, right),
            Expr::AllOp { left, compare_op, right } => subqueries::quantified("pg_all", left, compare_op, right),
            Expr::Subquery(query) => subqueries::scalar(query, self.is_aggregate),
            Expr::Case { operand, conditions, else_result, .. } => {
                let results = conditions.iter_mut().map(|when| &mut when.result);
                agree(results.chain(else_result.iter_mut().map(|expr| &mut **expr)).collect());
                if let Some(operand) = operand {
                    let whens = conditions.iter_mut().map(|when| &mut when.condition);
                    unknown(std::iter::once(&mut **operand).chain(whens).collect());
                } else {
                    conditions.iter_mut().for_each(|when| condition(&mut when.condition, "CASE/WHEN"));
                }
                None
            }
            Expr::InList { expr: inner, list, .. } => {
                agree(std::iter::once(&mut **inner).chain(list).collect());
                None
            }
            Expr::Between { expr: inner, low, high, .. } => {
                agree([inner, low, high].into_iter().map(|expr| &mut **expr).collect());
                None
            }
            Expr::Array(array) => {
                unknown(array.elem.iter_mut().collect());
                None
            }
            Expr::Substring { expr: of, substring_from, substring_for, .. } => {
                bytes::substring(of, substring_from.as_deref_mut(), substring_for.as_deref_mut())
            }
            Expr::Ceil { expr: inner, .. } => Some(call("pg_ceil", vec![taken(inner)])),
            Expr::Floor { expr: inner, .. } => Some(call("pg_floor", vec![taken(inner)])),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let ast::AccessExpr::Subscript(ast::Subscript::Index { index }) = access
                        && digits(index).is_some_and(|text| text.starts_with('-'))
                    {
                        // There is no such element; the engine would count from the end.
                        *index = number("0")?;
                    }
                }
                None
            }
            Expr::Function(function) => {
                if let Some(array) = subqueries::array(function, self.is_aggregate) {
                    return Some(array);
                }
                if let Some(rows) = &mut function.filter {
                    condition(rows, "FILTER");
                }
                if let Some(ast::WindowType::WindowSpec(window)) = &mut function.over {
                    raw_frame(window);
                }
                let alike = ["coalesce", "greatest", "least", "nullif"];
                if function_name(function).is_some_and(|name| alike.contains(&name.as_str())) {
                    agree(super::calls::expressions(function));
                }
                super::calls::rewritten(function)
            }
            _ => None,
        }
    }

    fn like(whole: &mut Expr) -> Option<Expr> {
        let name = if matches!(whole, Expr::ILike { .. }) { "ilike" } else { "like" };
        if let Expr::Like { pattern, expr, any: true, negated: false, .. }
        | Expr::ILike { pattern, expr, any: true, negated: false, .. } = whole
        {
            return Some(call("pg_any", vec![string(name), taken(expr), taken(pattern)]));
        }
        own_escape(whole);
        None
    }
}

/// How far a frame goes is a count.
fn raw_frame(window: &mut ast::WindowSpec) {
    let Some(frame) = &mut window.window_frame else { return };
    let bounds = std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound);
    for bound in bounds {
        if let ast::WindowFrameBound::Preceding(Some(count)) | ast::WindowFrameBound::Following(Some(count)) = bound {
            raw(count);
        }
    }
}

impl VisitorMut for Rewrite<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        if let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent)
            && let Some(count) = fetch.quantity
        {
            let offset = match query.limit_clause.take() {
                Some(LimitClause::LimitOffset { offset, .. }) => offset,
                _ => None,
            };
            query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(count), offset, limit_by: vec![] });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        if matches!(query.body.as_ref(), SetExpr::SetOperation { .. }) {
            unknown_in_branches(&mut query.body);
        }
        if let SetExpr::Values(values) = query.body.as_mut() {
            let width = values.rows.first().map_or(0, |row| row.len());
            for at in 0..width {
                as_cast(values.rows.iter_mut().filter_map(|row| row.get_mut(at)).collect());
                agree(values.rows.iter_mut().filter_map(|row| row.get_mut(at)).collect());
            }
        }
        if let Some(order) = &mut query.order_by
            && let ast::OrderByKind::Expressions(items) = &mut order.kind
        {
            items.iter_mut().for_each(|item| raw(&mut item.expr));
        }
        limits::read(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        if let Err(error) = lateral::check(select) {
            self.refuse(error);
        }
        rows::spelled(select, &self.named);
        super::set_returning::name_values(select);
        subqueries::in_projection(select, self.is_aggregate);
        if self.depth > 1 {
            names::name_inner(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        conditions::of_select(select);
        super::set_returning::look_before(select);
        for window in &mut select.named_window {
            if let ast::NamedWindowExpr::WindowSpec(window) = &mut window.1 {
                raw_frame(window);
            }
        }
        if let ast::GroupByExpr::Expressions(items, _) = &mut select.group_by {
            for item in items {
                match item {
                    Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                        sets.iter_mut().flatten().for_each(raw);
                    }
                    other => raw(other),
                }
            }
        }
        if let Some(ast::Distinct::On(items)) = &mut select.distinct {
            items.iter_mut().for_each(raw);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor
            && let Some(own) = name_without_schema(name)
        {
            *name = own;
        }
        super::relations::hide(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if super::set_returning::in_from(factor, self.calls_value) {
            return ControlFlow::Continue(());
        }
        super::series::rewritten(factor, self.calls_value, |argument| {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
            | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } = argument
                && super::relations::relation(expr).is_none()
            {
                raw_inside(expr);
            }
        });
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // Before the subquery is looked at, which is not one value here.
        let better = match expr {
            Expr::AnyOp { left, compare_op, right, .. } if matches!(right.as_ref(), Expr::Subquery(_)) => {
                subqueries::quantified("pg_any", left, compare_op, right)
            }
            Expr::AllOp { left, compare_op, right } if matches!(right.as_ref(), Expr::Subquery(_)) => {
                subqueries::quantified("pg_all", left, compare_op, right)
            }
            _ => None,
        };
        if let Some(better) = better {
            *expr = better;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(better) = self.rewritten(expr) {
            *expr = better;
        }
        ControlFlow::Continue(())
    }
}
