//! What the engine's errors mean to a user: SQLSTATE and the wording of PostgreSQL, which clients match on.

use ascribe_udfs::Failure;
use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::{Error, UserError, sqlstate};

/// An engine error in PostgreSQL's words.
#[must_use]
pub fn describe(error: &DataFusionError) -> UserError {
    match root(error) {
        Root::User(user) => user.clone(),
        Root::Ours(ours) => ours.describe(),
        Root::Arrow(error) => arrow(error),
        Root::Function(failure) => UserError::invalid(failure.to_string()),
        Root::Engine(error) => engine(error),
    }
}

enum Root<'a> {
    User(&'a UserError),
    Ours(&'a Error),
    Arrow(&'a ArrowError),
    Function(&'a Failure),
    Engine(&'a DataFusionError),
}

/// The error inside all wrappers: contexts, shared errors, Arrow's and the engine's boxes around each other.
fn root(error: &DataFusionError) -> Root<'_> {
    let mut error = error;
    loop {
        error = match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(all) => match all.first() {
                Some(first) => first,
                None => return Root::Engine(error),
            },
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                ArrowError::ExternalError(boxed) => match boxed.downcast_ref::<DataFusionError>() {
                    Some(nested) => nested,
                    None => return given(boxed.as_ref()).unwrap_or(Root::Arrow(inner)),
                },
                other => return Root::Arrow(other),
            },
            DataFusionError::External(boxed) => {
                if let Some(given) = given(boxed.as_ref()) {
                    return given;
                }
                if let Some(arrow) = boxed.downcast_ref::<ArrowError>() {
                    return Root::Arrow(arrow);
                }
                match boxed.downcast_ref::<DataFusionError>() {
                    Some(nested) => nested,
                    None => return Root::Engine(error),
                }
            }
            other => return Root::Engine(other),
        };
    }
}

/// An error of ours that was given to the engine.
fn given<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<Root<'a>> {
    let failure = || error.downcast_ref().map(Root::Function);
    error.downcast_ref().map(Root::User).or_else(|| error.downcast_ref().map(Root::Ours)).or_else(failure)
}

fn engine(error: &DataFusionError) -> UserError {
    match error {
        DataFusionError::SQL(parser, _) => syntax(parser),
        DataFusionError::SchemaError(schema, _) => schema_error(schema),
        DataFusionError::Plan(message) => plan(first_line(message)),
        DataFusionError::NotImplemented(message) => not_implemented(first_line(message)),
        DataFusionError::ResourcesExhausted(message) => UserError::new(sqlstate::OUT_OF_MEMORY, "out of memory")
            .detail(first_line(message))
            .hint("let the query read less, or give it more: ascribe serve --memory MIB --session-memory MIB"),
        DataFusionError::ParquetError(error) => UserError::new(sqlstate::CORRUPTED, first_line(&error.to_string())),
        DataFusionError::Configuration(message) => UserError::invalid(first_line(message)),
        DataFusionError::ObjectStore(error) => UserError::new(sqlstate::IO, first_line(&error.to_string())),
        DataFusionError::IoError(error) => UserError::new(sqlstate::IO, first_line(&error.to_string())),
        DataFusionError::Execution(message) => execution(first_line(message)),
        DataFusionError::Internal(message) if message.contains("Cannot run range queries on datatype") => {
            UserError::new(sqlstate::NOT_SUPPORTED, "a window cannot be ordered by a map or a list")
                .hint("order by a member: attributes->>'key'; or say ROWS BETWEEN …")
        }
        // The engine computes VALUES before it runs anything.
        DataFusionError::Internal(message) if message.contains("evaluated before the subquery was executed") => {
            UserError::new(sqlstate::NOT_SUPPORTED, "a subquery among VALUES is not supported")
                .hint("write it as INSERT INTO … SELECT …")
        }
        // It waits for functions in lists of results and in conditions only.
        DataFusionError::Internal(message) if message.contains("async functions should not be called directly") => {
            UserError::new(sqlstate::NOT_SUPPORTED, "pg_sleep is not supported here").hint("SELECT pg_sleep(1)")
        }
        DataFusionError::Internal(message) if message.contains("accumulator not implemented for type") => {
            let message = sql_types(&first_line(message));
            UserError::new(sqlstate::UNDEFINED_FUNCTION, "the function has no such form").detail(message)
        }
        DataFusionError::External(inner) => UserError::new(sqlstate::INTERNAL, first_line(&inner.to_string())),
        other => UserError::new(sqlstate::INTERNAL, first_line(&other.strip_backtrace())),
    }
}

fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split("\n\nbacktrace").next().unwrap_or_default();
    let prefixes =
        ["Error during planning: ", "Execution error: ", "This feature is not implemented: ", "External error: "];
    let mut line = line.trim();
    while let Some(rest) = prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)) {
        line = rest;
    }
    line.to_owned()
}

/// A parser's complaint; the position, if the message has one, is taken out by whoever knows the text.
fn syntax(error: &ParserError) -> UserError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return UserError::new("54001", "stack depth limit exceeded").hint("the statement is nested too deeply");
        }
    };
    let message = message.split(" at Line:").next().unwrap_or(message);
    if let Some((expected, found)) = message.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) {
        let near = if found == "EOF" { "at end of input".to_owned() } else { format!("at or near \"{found}\"") };
        return UserError::new(sqlstate::SYNTAX, format!("syntax error {near}")).detail(format!("expected {expected}"));
    }
    UserError::new(sqlstate::SYNTAX, format!("syntax error: {message}"))
}

fn schema_error(error: &SchemaError) -> UserError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            if let Some(relation) = &field.relation
                && !valid_fields.is_empty()
                && !valid_fields
                    .iter()
                    .any(|known| known.relation.as_ref().is_some_and(|of| of.table() == relation.table()))
            {
                let message = format!("missing FROM-clause entry for table \"{}\"", relation.table());
                return UserError::new(sqlstate::UNDEFINED_TABLE, message);
            }
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => format!("\"{}\"", field.name),
            };
            let error = UserError::new(sqlstate::UNDEFINED_COLUMN, format!("column {name} does not exist"));
            match nearest(&field.name, valid_fields.iter().map(|known| known.name.as_str())) {
                Some(near) => error.hint(format!("Perhaps you meant to reference the column \"{near}\".")),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            UserError::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            UserError::new("42701", format!("column \"{name}\" specified more than once"))
        }
    }
}

/// The known name that differs in the fewest letters, if it differs in a third of them at most.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| datafusion::common::utils::datafusion_strsim::levenshtein(name, other);
    let (distance, best) = known.map(|other| (distance(other), other)).min()?;
    (distance <= name.len().div_ceil(3)).then_some(best)
}

fn quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1)
}

fn plan(message: String) -> UserError {
    if message.starts_with("table '") && message.ends_with("not found") {
        let name = quoted(&message).unwrap_or_default();
        let name = name.strip_prefix("ascribe.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        return UserError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"));
    }
    if message.starts_with("Invalid function") || message.starts_with("table function") && message.contains("not found")
    {
        let name = quoted(&message).unwrap_or_default().to_owned();
        return UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
            .hint("No function matches the given name. \\df lists the functions.");
    }
    // What a function says of its arguments comes as words in the engine's own.
    if let Some((head, why)) = message.split_once(" user-defined coercion failed with: ") {
        let name = quoted(head).unwrap_or_default();
        return UserError::new(sqlstate::UNDEFINED_FUNCTION, sql_types(&first_line(why)))
            .hint(format!("\\df {name} shows how it is called"));
    }
    if let Some((why, names)) = message.split_once(". Valid parameters are: ") {
        return UserError::new(sqlstate::UNDEFINED_FUNCTION, why).hint(format!("its parameters are {names}"));
    }
    if message.contains("No function matches the given name and argument types")
        || message.contains("Failed to coerce arguments")
    {
        return UserError::new(sqlstate::UNDEFINED_FUNCTION, sql_types(&message))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.");
    }
    if message.contains("Cannot coerce")
        || message.contains("Cannot infer common argument type")
        || message.contains("cannot be converted to")
    {
        return UserError::new(sqlstate::DATATYPE_MISMATCH, sql_types(&message))
            .hint("You might need to add explicit type casts.");
    }
    if message.contains("must appear in the GROUP BY clause")
        || message.contains("could not be resolved from available columns")
    {
        return UserError::new("42803", message);
    }
    if let Some((code, words)) =
        PLANS.iter().find(|(part, ..)| message.contains(part)).map(|(_, code, words)| (*code, *words))
    {
        let error = UserError::new(code, if words.is_empty() { message.clone() } else { words.to_owned() });
        return if words.is_empty() { error } else { error.detail(message) };
    }
    UserError::new("42000", message)
}

/// A part of what the engine says when it cannot plan a statement, the code, and PostgreSQL's words if they are always the
/// same.
const PLANS: [(&str, &str, &str); 12] = [
    ("Projections require unique expression names", "42701", ""),
    ("should only return one column", sqlstate::SYNTAX, "subquery must return only one column"),
    ("Aggregate function calls cannot be nested", "42803", "aggregate function calls cannot be nested"),
    ("Aggregate functions are not allowed in the WHERE", "42803", "aggregate functions are not allowed in WHERE"),
    (
        "queries have different number of columns",
        sqlstate::SYNTAX,
        "each UNION query must have the same number of columns",
    ),
    ("Order by column out of bounds", "42P10", "ORDER BY position is not in select list"),
    ("For SELECT DISTINCT, ORDER BY", "42P10", "for SELECT DISTINCT, ORDER BY expressions must appear in select list"),
    ("LIMIT must be >= 0", "2201W", "LIMIT must not be negative"),
    ("OFFSET must be >=", "2201X", "OFFSET must not be negative"),
    ("failed to match any signature", sqlstate::UNDEFINED_FUNCTION, ""),
    ("expects", sqlstate::UNDEFINED_FUNCTION, ""),
    ("does not support zero arguments", sqlstate::UNDEFINED_FUNCTION, ""),
];

/// Type names as SQL has them, in place of the engine's own.
fn sql_types(message: &str) -> String {
    const NAMES: [(&str, &str); 14] = [
        ("Utf8View", "text"),
        ("LargeUtf8", "text"),
        ("Utf8", "text"),
        ("Int64", "bigint"),
        ("Int32", "integer"),
        ("Int16", "smallint"),
        ("UInt64", "numeric"),
        ("Float64", "double precision"),
        ("Float32", "real"),
        ("Boolean", "boolean"),
        ("Date32", "date"),
        ("Timestamp(µs, \"UTC\")", "timestamptz"),
        ("Timestamp(ns)", "timestamp"),
        ("Interval(MonthDayNano)", "interval"),
    ];
    NAMES.iter().fold(message.to_owned(), |text, (ours, sql)| text.replace(ours, sql))
}

fn not_implemented(message: String) -> UserError {
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        return UserError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.to_lowercase()));
    }
    if message.contains("Physical plan does not support logical expression") {
        return UserError::new(
            sqlstate::NOT_SUPPORTED,
            "a subquery that looks at the outer query like this is not supported",
        )
        .detail(message)
        .hint("compare for equality only, or write it as a join");
    }
    UserError::new(sqlstate::NOT_SUPPORTED, message)
}

fn execution(message: String) -> UserError {
    // A function that looks at the types of its arguments itself.
    if let Some((_, why)) = message.split_once("' user-defined coercion failed with: ") {
        return UserError::new(sqlstate::UNDEFINED_FUNCTION, first_line(why));
    }
    let lower = message.to_lowercase();
    let known = [
        ("square root of a negative", "2201F"),
        ("negative substring length", "22011"),
        ("negative count not allowed", "22011"),
        ("field position must not be zero", sqlstate::INVALID_PARAMETER),
    ];
    if let Some((_, code)) = known.iter().find(|(part, _)| lower.contains(part)) {
        return UserError::new(code, message);
    }
    if let Some(name) = message.strip_prefix("relation \"").and_then(|rest| rest.strip_suffix("\" already exists")) {
        return UserError::new("42P07", format!("relation \"{name}\" already exists"));
    }
    if lower.contains("overflow") || lower.contains("out of range") {
        return UserError::new(sqlstate::OUT_OF_RANGE, message);
    }
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        return UserError::new(sqlstate::DIVISION_BY_ZERO, "division by zero");
    }
    if message.starts_with("Error parsing") || message.contains("Cannot cast") || message.contains("Invalid timestamp")
    {
        return invalid_text(&message);
    }
    UserError::new(sqlstate::INTERNAL, message)
}

fn arrow(error: &ArrowError) -> UserError {
    match error {
        ArrowError::DivideByZero => UserError::new(sqlstate::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(message) => {
            UserError::new(sqlstate::OUT_OF_RANGE, "value out of range").detail(first_line(message))
        }
        ArrowError::ParseError(message) => invalid_text(&first_line(message)),
        ArrowError::CastError(message) => {
            let message = first_line(message);
            if message.starts_with("Can't cast value") || message.contains("overflow") {
                return UserError::new(sqlstate::OUT_OF_RANGE, "value out of range").detail(sql_types(&message));
            }
            if message.contains("not supported") {
                return UserError::new("42846", sql_types(&message));
            }
            invalid_text(&message)
        }
        ArrowError::InvalidArgumentError(message) if message.contains("precision") || message.contains("Overflow") => {
            UserError::new(sqlstate::OUT_OF_RANGE, "numeric field overflow").detail(first_line(message))
        }
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => execution(first_line(message)),
        ArrowError::NotYetImplemented(message) => UserError::new(sqlstate::NOT_SUPPORTED, first_line(message)),
        ArrowError::IoError(message, _) => UserError::new(sqlstate::IO, first_line(message)),
        other => UserError::new(sqlstate::INTERNAL, first_line(&other.to_string())),
    }
}

/// "Cannot cast string 'x' to value of Int64 type" and its kin.
fn invalid_text(message: &str) -> UserError {
    let named = sql_types(message);
    if message.starts_with("Overflow converting") || message.contains("exceeds the representable i64 range") {
        return UserError::new("22008", "timestamp out of range").detail(named);
    }
    if let Some(value) = message.strip_prefix("Error parsing timestamp from '").and_then(|rest| rest.split('\'').next())
    {
        return UserError::new("22007", format!("invalid input syntax for type timestamp: \"{value}\""));
    }
    let parts = named.strip_prefix("Cannot cast string '").and_then(|rest| rest.split_once("' to value of "));
    if let Some((value, kind)) = parts {
        let kind = kind.trim_end_matches(" type");
        return UserError::new(sqlstate::INVALID_TEXT, format!("invalid input syntax for type {kind}: \"{value}\""));
    }
    if let Some(rest) = named.strip_prefix("Invalid input syntax for type interval") {
        return UserError::new("22007", format!("invalid input syntax for type interval{rest}"));
    }
    UserError::new(sqlstate::INVALID_TEXT, named)
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn broken_files_and_settings_of_the_engine_have_codes_of_their_own() {
        let broken = ParquetError::EOF("the footer is cut off".into());
        let broken = DataFusionError::Context("reading".into(), Box::new(broken.into()));
        assert_eq!(describe(&broken), UserError::new("XX001", "EOF: the footer is cut off"));
        let setting = DataFusionError::Configuration("no option is called so\n\nbacktrace: …".into());
        assert_eq!(describe(&setting), UserError::new("22023", "no option is called so"));
    }
}
