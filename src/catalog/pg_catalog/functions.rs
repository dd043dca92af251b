//! The functions that clients call about the catalog and the session. Each is a row of a table: name, type, body.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::FunctionRegistry;

use super::objects::{self, FUNCTIONS, OWNER, OWNER_NAME, SCHEMAS};
use super::privileges::{About, has_role, may, role_name};
use super::rows as catalog_rows;
use super::signals;
use crate::catalog::client::Added;
use crate::catalog::{Client, settings};
use crate::config::SCHEMA;
use crate::dialect::encode::Procedure;
use crate::dialect::function::{self, RowFunction};
use crate::error::{UserError, sqlstate};
use crate::security::Object;

pub(super) type Arguments<'a> = &'a [ScalarValue];
type Body = fn(&Client, Arguments<'_>) -> Result<ScalarValue>;

#[derive(Debug, Clone, Copy)]
enum Returns {
    Text,
    Name,
    Bool,
    Oid,
    Int4,
    Int8,
    Time,
    Texts,
    Ints,
    /// Rows of an element and its place.
    Numbered,
    /// Rows of `aclexplode`.
    Privileges,
}

fn rows(columns: &[(&str, DataType)]) -> DataType {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    DataType::new_list(DataType::Struct(fields.collect::<Vec<_>>().into()), true)
}

impl Returns {
    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Name => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Oid | Self::Int8 => DataType::Int64,
            Self::Int4 => DataType::Int32,
            Self::Time => <crate::model::cell::Time as crate::model::CellType>::data_type(),
            Self::Texts => DataType::new_list(DataType::Utf8, true),
            Self::Ints => DataType::new_list(DataType::Int32, true),
            Self::Numbered => rows(&[("x", DataType::Int64), ("n", DataType::Int64)]),
            Self::Privileges => rows(&[
                ("grantor", DataType::Int64),
                ("grantee", DataType::Int64),
                ("privilege_type", DataType::Utf8),
                ("is_grantable", DataType::Boolean),
            ]),
        }
    }

    fn kind(self) -> function::Returns {
        let oid = match self {
            Self::Oid => Some(26),
            Self::Name => Some(19),
            _ => None,
        };
        function::Returns::Always(self.data_type(), oid)
    }
}

pub(super) fn int(arguments: Arguments<'_>, at: usize) -> Option<i64> {
    match arguments.get(at)? {
        ScalarValue::Utf8(Some(text)) => text.trim().parse().ok(),
        other => match other.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(value) => value,
            _ => None,
        },
    }
}

pub(super) fn text(arguments: Arguments<'_>, at: usize) -> Option<String> {
    match arguments.get(at)?.cast_to(&DataType::Utf8).ok()? {
        ScalarValue::Utf8(text) => text,
        _ => None,
    }
}

fn texts(arguments: Arguments<'_>, at: usize) -> Option<Vec<Option<String>>> {
    let array = arguments.get(at).filter(|value| !value.is_null())?.to_array().ok()?;
    let array = datafusion::arrow::compute::cast(&array, &DataType::new_list(DataType::Utf8, true)).ok()?;
    let values = array.as_list::<i32>().value(0);
    Some(values.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect())
}

/// Elements of an array; none if there are none.
fn length(arguments: Arguments<'_>) -> Option<i64> {
    texts(arguments, 0).and_then(|values| i64::try_from(values.len()).ok()).filter(|length| *length > 0)
}

fn string(value: impl Into<Option<String>>) -> Result<ScalarValue> {
    Ok(ScalarValue::Utf8(value.into()))
}

pub(super) fn boolean(value: bool) -> Result<ScalarValue> {
    Ok(ScalarValue::Boolean(Some(value)))
}

fn number(value: impl Into<Option<i64>>) -> Result<ScalarValue> {
    Ok(ScalarValue::Int64(value.into()))
}

fn quote(name: &str) -> String {
    let plain = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn undefined(name: &str) -> UserError {
    UserError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

/// The names of types whose OIDs stand in a text, as an oidvector does.
fn oidvectortypes(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(vector) = text(arguments, 0) else { return string(None) };
    let names =
        vector.split_whitespace().filter_map(|oid| oid.parse::<i64>().ok()).map(|oid| objects::format_type(oid, -1));
    string(names.collect::<Vec<_>>().join(", "))
}

/// A name or a number that stands for a relation.
pub(super) fn relation_oid(client: &Client, name: &str) -> Option<i64> {
    let added = || {
        let plain = name.trim();
        let plain = plain.strip_prefix("public.").unwrap_or(plain);
        let plain = match plain.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => plain.to_lowercase(),
        };
        client.added(|known| known == plain).map(|added| added_oid(&added.name))
    };
    let built_in = || objects::relation_by_name(name).map(|relation| relation.oid);
    name.trim().parse().ok().or_else(built_in).or_else(added)
}

fn added_oid(name: &str) -> i64 {
    objects::oid("relation", SCHEMA, name)
}

/// A relation of users by its number.
pub(super) fn added(client: &Client, oid: i64) -> Option<Added> {
    client.added(|name| added_oid(name) == oid)
}

/// Whether the role may know what a relation of users is made of.
fn seen(client: &Client, added: &Added) -> bool {
    let object = Object::relation(SCHEMA, &added.name);
    let guard = client.guard.as_ref().filter(|_| added.relation.is_some());
    guard.is_none_or(|guard| {
        let access = guard.known();
        access.everything() || access.has_any(&object)
    })
}

fn relation_name(client: &Client, oid: i64) -> String {
    match objects::relation(oid) {
        Some(relation) if catalog_rows::visible(relation.schema) => quote(relation.name),
        Some(relation) => format!("{}.{}", quote(relation.schema), quote(relation.name)),
        None if oid == 0 => "-".to_owned(),
        None => added(client, oid).map_or_else(|| oid.to_string(), |added| quote(&added.name)),
    }
}

pub(super) fn function(oid: Option<i64>) -> Option<&'static objects::Function> {
    let oid = oid?;
    FUNCTIONS.iter().find(|function| function.oid == oid)
}

/// What a function returns.
fn result_of(oid: i64) -> Option<String> {
    let procedure = || Procedure::of(oid).map(|known| objects::format_type(i64::from(known.result), -1));
    function(Some(oid)).map(|known| known.result.clone()).or_else(procedure)
}

/// What a function is called with.
fn arguments_of(oid: i64) -> Option<String> {
    let named = |kind: &u32| objects::format_type(i64::from(*kind), -1);
    let procedure = || Procedure::of(oid).map(|known| known.arguments.iter().map(named).collect::<Vec<_>>().join(", "));
    function(Some(oid)).map(|known| known.arguments.clone()).or_else(procedure)
}

fn obj_description(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(oid) = int(arguments, 0) else { return string(None) };
    let relation =
        objects::relation(oid).map(|relation| relation.comment.clone()).filter(|comment| !comment.is_empty());
    let schema = || SCHEMAS.iter().find(|(_, known, _)| *known == oid).map(|(.., comment)| (*comment).to_owned());
    let of_users = || added(client, oid).filter(|added| seen(client, added))?.relation?.comment;
    let function = || function(Some(oid)).map(|function| function.comment.clone());
    string(relation.or_else(of_users).or_else(function).or_else(schema))
}

fn col_description(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let (Some(oid), Some(at)) = (int(arguments, 0), int(arguments, 1)) else { return string(None) };
    let columns = objects::relation(oid).and_then(|relation| relation.columns.as_ref());
    let at = usize::try_from(at).ok().and_then(|at| at.checked_sub(1));
    string(columns.zip(at).and_then(|(columns, at)| columns.get(at)).map(crate::model::Column::comment))
}

fn array_to_string(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let (Some(values), Some(separator)) = (texts(arguments, 0), text(arguments, 1)) else { return string(None) };
    let null = text(arguments, 2);
    let shown: Vec<String> = values.into_iter().filter_map(|value| value.or_else(|| null.clone())).collect();
    string(shown.join(&separator))
}

fn size_pretty(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(bytes) = int(arguments, 0) else { return string(None) };
    let (mut size, mut unit) = (bytes, "bytes");
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if size.abs() < 10_240 {
            break;
        }
        size = (size + 512) / 1024;
        unit = next;
    }
    string(format!("{size} {unit}"))
}

fn current_setting(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return string(None) };
    let lenient = matches!(arguments.get(1), Some(ScalarValue::Boolean(Some(true))));
    match client.settings.get(&name) {
        Ok(value) => string(value),
        Err(_) if lenient => string(None),
        Err(error) => Err(datafusion::error::DataFusionError::External(Box::new(error))),
    }
}

/// `set_config(name, value, is_local)`. What is local to a transaction is undone with it only if it is rolled back.
fn set_config(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else {
        return Err(UserError::new("22004", "SET requires parameter name").into());
    };
    let changed = match text(arguments, 1) {
        Some(value) => client.settings.set(&name, &value),
        None => client.settings.reset(&name).and_then(|()| client.settings.get(&name)),
    };
    string(changed.map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?)
}

/// The elements of an array with their places, for the clients that take keys apart.
fn numbered(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let values = texts(arguments, 0).unwrap_or_default();
    let (mut places, mut elements) = (Vec::new(), Vec::new());
    for (at, value) in values.into_iter().enumerate() {
        elements.push(value.and_then(|text| text.parse::<i64>().ok()));
        places.push(i64::try_from(at + 1).ok());
    }
    rows_of(
        Returns::Numbered,
        vec![
            Arc::new(datafusion::arrow::array::Int64Array::from(elements)),
            Arc::new(datafusion::arrow::array::Int64Array::from(places)),
        ],
    )
}

/// No privilege is granted to anybody by name.
fn privileges(_: &Client, _: Arguments<'_>) -> Result<ScalarValue> {
    rows_of(Returns::Privileges, vec![])
}

fn rows_of(returns: Returns, columns: Vec<datafusion::arrow::array::ArrayRef>) -> Result<ScalarValue> {
    let DataType::List(item) = returns.data_type() else { return Ok(ScalarValue::Null) };
    let DataType::Struct(fields) = item.data_type() else { return Ok(ScalarValue::Null) };
    let rows: datafusion::arrow::array::ArrayRef = if columns.is_empty() {
        datafusion::arrow::array::new_empty_array(item.data_type())
    } else {
        Arc::new(datafusion::arrow::array::StructArray::try_new(fields.clone(), columns, None)?)
    };
    let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([rows.len()]);
    let list = datafusion::arrow::array::ListArray::try_new(Arc::clone(&item), offsets, rows, None)?;
    Ok(ScalarValue::List(Arc::new(list)))
}

fn parse_ident(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return Ok(ScalarValue::Null) };
    let parts = name.split('.').map(|part| match part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => part.trim().to_lowercase(),
    });
    let parts: Vec<ScalarValue> = parts.map(|part| ScalarValue::Utf8(Some(part))).collect();
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&parts, &DataType::Utf8)))
}

fn regclass_in(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return number(None) };
    number(relation_oid(client, &name).ok_or_else(|| undefined(&name))?)
}

fn regtype_in(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return number(None) };
    let oid = name.trim().parse().ok().or_else(|| objects::type_by_name(&name));
    number(oid.ok_or_else(|| UserError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist")))?)
}

fn regproc_in(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return number(None) };
    let short = name.rsplit('.').next().unwrap_or(&name).split('(').next().unwrap_or_default();
    let ours = || FUNCTIONS.iter().find(|known| known.name == short).map(|known| known.oid);
    let procedure = || Procedure::named(short).map(|known| i64::from(known.oid));
    let oid = name.trim().parse().ok().or_else(ours).or_else(procedure);
    number(
        oid.ok_or_else(|| UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("function \"{name}\" does not exist")))?,
    )
}

fn regnamespace_in(_: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(name) = text(arguments, 0) else { return number(None) };
    let oid = name.trim().parse().ok().or_else(|| catalog_rows::namespace(&name));
    number(oid.ok_or_else(|| UserError::new("3F000", format!("schema \"{name}\" does not exist")))?)
}

fn user_by_id(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    string(int(arguments, 0).map(|oid| match oid {
        OWNER => OWNER_NAME.to_owned(),
        other if other == catalog_rows::user_oid(client.user()) => client.user().to_owned(),
        other => role_name(client, other).unwrap_or_else(|| format!("unknown (OID={other})")),
    }))
}

const fn nothing(_: &Client, _: Arguments<'_>) -> Result<ScalarValue> {
    Ok(ScalarValue::Null)
}

const FUNCTIONS_OF_CATALOG: &[(&str, Returns, Body)] = &[
    ("version", Returns::Text, |_, _| string(settings::version())),
    ("current_schema", Returns::Name, |_, _| string("public".to_owned())),
    ("current_database", Returns::Name, |_, _| string("ascribe".to_owned())),
    ("current_catalog", Returns::Name, |_, _| string("ascribe".to_owned())),
    ("current_user", Returns::Name, |client, _| string(client.user().to_owned())),
    ("session_user", Returns::Name, |client, _| string(client.user().to_owned())),
    ("user", Returns::Name, |client, _| string(client.user().to_owned())),
    ("current_role", Returns::Name, |client, _| string(client.user().to_owned())),
    ("current_setting", Returns::Text, current_setting),
    ("set_config", Returns::Text, set_config),
    ("pg_numbered", Returns::Numbered, numbered),
    ("pg_privileges", Returns::Privileges, privileges),
    ("parse_ident", Returns::Texts, parse_ident),
    ("pg_backend_pid", Returns::Int4, |client, _| number(i64::from(client.pid))),
    // Nobody waits for another's lock.
    ("pg_blocking_pids", Returns::Ints, |_, a| {
        Ok(match int(a, 0) {
            Some(_) => ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Int32)),
            None => ScalarValue::Null,
        })
    }),
    ("oidvectortypes", Returns::Text, oidvectortypes),
    ("pg_is_in_recovery", Returns::Bool, |_, _| boolean(false)),
    ("pg_is_other_temp_schema", Returns::Bool, |_, _| boolean(false)),
    ("pg_my_temp_schema", Returns::Oid, |_, _| number(0)),
    ("inet_server_addr", Returns::Text, nothing),
    ("inet_client_addr", Returns::Text, nothing),
    ("inet_server_port", Returns::Int4, nothing),
    ("pg_postmaster_start_time", Returns::Time, nothing),
    ("pg_conf_load_time", Returns::Time, nothing),
    ("pg_table_is_visible", Returns::Bool, |_, a| {
        boolean(int(a, 0).and_then(objects::relation).is_none_or(|relation| catalog_rows::visible(relation.schema)))
    }),
    ("pg_function_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_type_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_operator_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_collation_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_conversion_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_opclass_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_ts_config_is_visible", Returns::Bool, |_, _| boolean(true)),
    ("pg_relation_is_publishable", Returns::Bool, |_, _| boolean(false)),
    ("format_type", Returns::Text, |_, a| {
        string(int(a, 0).map(|oid| objects::format_type(oid, int(a, 1).unwrap_or(-1))))
    }),
    ("pg_get_userbyid", Returns::Name, user_by_id),
    ("obj_description", Returns::Text, obj_description),
    ("shobj_description", Returns::Text, nothing),
    ("col_description", Returns::Text, col_description),
    ("pg_get_expr", Returns::Text, nothing),
    ("pg_get_indexdef", Returns::Text, nothing),
    ("pg_get_constraintdef", Returns::Text, nothing),
    ("pg_get_triggerdef", Returns::Text, nothing),
    ("pg_get_ruledef", Returns::Text, nothing),
    ("pg_get_partkeydef", Returns::Text, nothing),
    ("pg_get_serial_sequence", Returns::Text, nothing),
    ("pg_get_statisticsobjdef_columns", Returns::Text, nothing),
    ("pg_get_functiondef", Returns::Text, nothing),
    ("pg_get_viewdef", Returns::Text, |client, a| {
        let Some(oid) = int(a, 0).or_else(|| relation_oid(client, &text(a, 0)?)) else { return string(None) };
        let built_in = objects::relation(oid).and_then(|relation| relation.view).map(str::to_owned);
        string(built_in.or_else(|| added(client, oid).filter(|added| seen(client, added))?.query))
    }),
    ("pg_get_function_result", Returns::Text, |_, a| string(int(a, 0).and_then(result_of))),
    ("pg_get_function_arguments", Returns::Text, |_, a| string(int(a, 0).and_then(arguments_of))),
    ("pg_get_function_identity_arguments", Returns::Text, |_, a| {
        string(int(a, 0).and_then(arguments_of).map(|known| known.replace(" DEFAULT NULL", "")))
    }),
    ("pg_get_function_sqlbody", Returns::Text, nothing),
    ("pg_encoding_to_char", Returns::Name, |_, a| {
        string(int(a, 0).map(|code| if code == 6 { "UTF8" } else { "" }.to_owned()))
    }),
    ("pg_char_to_encoding", Returns::Int4, |_, a| {
        number(text(a, 0).map(|name| if name.eq_ignore_ascii_case("utf8") { 6 } else { -1 }))
    }),
    ("getdatabaseencoding", Returns::Name, |_, _| string("UTF8".to_owned())),
    ("pg_client_encoding", Returns::Name, |_, _| string("UTF8".to_owned())),
    ("pg_size_pretty", Returns::Text, size_pretty),
    ("pg_database_size", Returns::Int8, nothing),
    ("pg_table_size", Returns::Int8, nothing),
    ("pg_relation_size", Returns::Int8, nothing),
    ("pg_total_relation_size", Returns::Int8, nothing),
    ("pg_tablespace_location", Returns::Text, |_, _| string(String::new())),
    ("pg_relation_filenode", Returns::Oid, nothing),
    ("pg_partition_ancestors", Returns::Oid, |_, a| number(int(a, 0))),
    ("pg_advisory_unlock_all", Returns::Text, |_, _| string(String::new())),
    ("pg_is_wal_replay_paused", Returns::Bool, |_, _| boolean(false)),
    ("array_upper", Returns::Int4, |_, a| number(length(a))),
    ("array_lower", Returns::Int4, |_, a| number(length(a).map(|_| 1))),
    ("pg_stat_get_numscans", Returns::Int8, |_, _| number(0)),
    ("array_to_string", Returns::Text, array_to_string),
    ("quote_ident", Returns::Text, |_, a| string(text(a, 0).map(|name| quote(&name)))),
    ("quote_literal", Returns::Text, |_, a| string(text(a, 0).map(|text| format!("'{}'", text.replace('\'', "''"))))),
    ("has_table_privilege", Returns::Bool, |client, a| may(client, a, About::Table)),
    ("has_any_column_privilege", Returns::Bool, |client, a| may(client, a, About::AnyColumn)),
    ("has_column_privilege", Returns::Bool, |client, a| may(client, a, About::Column)),
    ("has_schema_privilege", Returns::Bool, |client, a| may(client, a, About::Other)),
    ("has_database_privilege", Returns::Bool, |client, a| may(client, a, About::Other)),
    ("has_function_privilege", Returns::Bool, |client, a| may(client, a, About::Function)),
    ("has_tablespace_privilege", Returns::Bool, |_, _| boolean(false)),
    ("pg_has_role", Returns::Bool, has_role),
    ("to_regclass", Returns::Text, |client, a| {
        string(text(a, 0).and_then(|name| relation_oid(client, &name)).map(|oid| relation_name(client, oid)))
    }),
    ("to_regtype", Returns::Text, |_, a| {
        string(text(a, 0).and_then(|name| objects::type_by_name(&name)).map(|oid| objects::format_type(oid, -1)))
    }),
    ("regclass_in", Returns::Oid, regclass_in),
    ("regclass_out", Returns::Text, |client, a| string(int(a, 0).map(|oid| relation_name(client, oid)))),
    ("regtype_in", Returns::Oid, regtype_in),
    ("regtype_out", Returns::Text, |_, a| string(int(a, 0).map(|oid| objects::format_type(oid, -1)))),
    ("regproc_in", Returns::Oid, regproc_in),
    ("regproc_out", Returns::Text, |_, a| {
        string(
            int(a, 0)
                .map(|oid| match (function(Some(oid)), Procedure::of(oid)) {
                    (Some(known), _) => known.name.clone(),
                    (None, Some(known)) => known.name.to_owned(),
                    (None, None) if oid == 0 => "-".to_owned(),
                    (None, None) => oid.to_string(),
                })
                .or_else(|| text(a, 0)),
        )
    }),
    ("regnamespace_in", Returns::Oid, regnamespace_in),
    ("regnamespace_out", Returns::Text, |_, a| {
        string(int(a, 0).map(|oid| {
            SCHEMAS
                .iter()
                .find(|(_, known, _)| *known == oid)
                .map_or_else(|| oid.to_string(), |(name, ..)| (*name).to_owned())
        }))
    }),
    ("regrole_in", Returns::Oid, |_, a| number(text(a, 0).map(|name| catalog_rows::user_oid(&name)))),
    ("current_schemas", Returns::Texts, |_, a| {
        let all = matches!(a.first(), Some(ScalarValue::Boolean(Some(true))));
        let names = ["pg_catalog", "public"]
            .into_iter()
            .skip(usize::from(!all))
            .map(|name| ScalarValue::Utf8(Some(name.to_owned())));
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&names.collect::<Vec<_>>(), &DataType::Utf8)))
    }),
];

/// Functions that do something, each time that they are called; they are null where an argument is null.
const ACTIONS: &[(&str, Returns, Body)] = &[
    ("pg_cancel_backend", Returns::Bool, signals::cancel),
    ("pg_terminate_backend", Returns::Bool, signals::terminate),
];

/// Make the functions known to a session.
pub(super) fn register(registry: &mut dyn FunctionRegistry, client: &Arc<Client>) -> Result<()> {
    for (name, returns, body) in FUNCTIONS_OF_CATALOG {
        let client = Arc::clone(client);
        let udf = RowFunction::udf(name, returns.kind(), false, move |_, arguments| body(&client, arguments));
        registry.register_udf(Arc::new(udf))?;
    }
    for (name, returns, body) in ACTIONS {
        let client = Arc::clone(client);
        let udf = RowFunction::action(name, returns.kind(), true, move |_, arguments| body(&client, arguments));
        registry.register_udf(Arc::new(udf))?;
    }
    Ok(())
}
