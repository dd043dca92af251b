//! What the catalog is about: schemas, relations, functions, types, each with an OID that is always the same.

use std::sync::LazyLock;

use ascribe_udfs::Form;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::catalog::system::{Described, arguments_text, scalar_and_aggregate, type_text};
use crate::catalog::{system, views};
use crate::model;
use crate::table_functions;

/// `pg_catalog`, as in PostgreSQL.
pub(super) const PG_CATALOG: i64 = 11;
/// `public`, as in PostgreSQL.
pub(super) const PUBLIC: i64 = 2200;
/// `information_schema`.
pub(super) const INFORMATION_SCHEMA: i64 = 13_000;
/// `system`.
pub(super) const SYSTEM: i64 = 16_384;
/// The one database.
pub(super) const DATABASE: i64 = 16_385;
/// The owner of everything.
pub(super) const OWNER: i64 = 10;
/// The name of the owner.
pub(super) const OWNER_NAME: &str = "ascribe";

/// Schemas with their OIDs and documentation.
pub(super) const SCHEMAS: [(&str, i64, &str); 4] = [
    ("pg_catalog", PG_CATALOG, "system catalog schema"),
    ("public", PUBLIC, "the canonical tables, the built-in views and the attribution functions"),
    ("information_schema", INFORMATION_SCHEMA, "the catalog as the SQL standard has it"),
    ("system", SYSTEM, "what the engine knows of itself"),
];

/// OIDs of the catalog tables that descriptions belong to: PostgreSQL's own.
pub(super) const CLASSES: [(&str, i64); 5] =
    [("pg_class", 1259), ("pg_proc", 1255), ("pg_namespace", 2615), ("pg_type", 1247), ("pg_database", 1262)];

/// The OID of something that PostgreSQL does not have: derived from its kind and name, above all of PostgreSQL's own.
pub(super) fn oid(kind: &str, schema: &str, name: &str) -> i64 {
    // FNV-1a.
    let hash = [kind, schema, name]
        .iter()
        .flat_map(|part| part.bytes().chain([0]))
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    20_000 + i64::from(hash % 2_000_000_000)
}

/// A table or view that every session has.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: i64,
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) view: Option<&'static str>,
    pub(super) comment: String,
    pub(super) columns: Option<Vec<model::Column>>,
}

/// Every table and view that every session has.
pub(super) static RELATIONS: LazyLock<Vec<Relation>> = LazyLock::new(|| {
    let table = |schema: &'static str, table: &'static model::Table, columns: Vec<model::Column>| Relation {
        oid: oid("relation", schema, table.name),
        schema,
        name: table.name,
        view: None,
        comment: table.comment(),
        columns: Some(columns),
    };
    let mut all: Vec<Relation> =
        model::tables().into_iter().map(|known| table("public", known, known.all_columns())).collect();
    all.extend(model::system_tables().into_iter().map(|known| table("system", known, known.all_columns())));
    all.extend(system::all().into_iter().map(|known| table("system", known.table(), known.table().columns.to_vec())));
    all.extend(views().into_iter().map(|view| Relation {
        oid: oid("relation", "public", view.name),
        schema: "public",
        name: view.name,
        view: Some(view.sql),
        comment: view.comment(),
        columns: None,
    }));
    let tables = super::tables::all().filter(|table| !table.name.starts_with("pg_get_"));
    all.extend(tables.map(|table| {
        Relation {
            oid: CLASSES
                .iter()
                .find(|(class, _)| *class == table.name)
                .map_or_else(|| oid("relation", "pg_catalog", table.name), |(_, oid)| *oid),
            schema: "pg_catalog",
            name: table.name,
            view: None,
            comment: String::new(),
            columns: None,
        }
    }));
    all
});

/// A function that users call.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) oid: i64,
    pub(super) name: String,
    /// f, a or w.
    pub(super) kind: &'static str,
    pub(super) returns_set: bool,
    pub(super) arguments: String,
    /// Names and types of the arguments, and behind them of the columns that it returns.
    pub(super) names: Vec<&'static str>,
    pub(super) types: Vec<i64>,
    pub(super) argument_count: usize,
    /// How many of the arguments may be left out.
    pub(super) optional: usize,
    pub(super) result: String,
    pub(super) result_type: i64,
    pub(super) comment: String,
}

/// The attribution functions; one that is called in several ways is there several times.
pub(super) static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let tables = table_functions::all().into_iter().map(|function| {
        let signature = function.signature();
        let column = |column: &model::Column| {
            let data_type = (column.data_type)();
            format!("{} {}", column.name, format_type(type_oid(&data_type), type_modifier(&data_type)))
        };
        let columns: Vec<String> = signature.columns.iter().map(column).collect();
        let (given, returned) = (signature.arguments, signature.columns);
        Function {
            oid: oid("function", "public", signature.name),
            name: signature.name.to_owned(),
            kind: "f",
            returns_set: true,
            arguments: signature.argument_list(),
            names: given.iter().map(table_functions::Argument::name).chain(returned.iter().map(|of| of.name)).collect(),
            types: given
                .iter()
                .map(|argument| i64::from(argument.kind.oid()))
                .chain(returned.iter().map(|column| type_oid(&(column.data_type)())))
                .collect(),
            argument_count: given.len(),
            optional: given.iter().filter(|argument| !argument.required).count(),
            result: format!("TABLE({})", columns.join(", ")),
            result_type: RECORD,
            comment: signature.comment(),
        }
    });
    tables.chain(scalar_and_aggregate().into_iter().flat_map(others)).collect()
});

/// The OID of the type of a row.
const RECORD: i64 = 2249;

/// A function that is no table function, in each way to call it.
fn others(function: Described) -> Vec<Function> {
    let Described { kind, name, forms, documentation } = function;
    let kind = match kind {
        "aggregate" => "a",
        "window" => "w",
        _ => "f",
    };
    let of = |(at, form): (usize, &Form)| Function {
        oid: oid("function", "public", &if at == 0 { name.clone() } else { format!("{name}/{at}") }),
        name: name.clone(),
        kind,
        returns_set: false,
        arguments: arguments_text(form),
        names: form.parameters.iter().map(|parameter| parameter.name).collect(),
        types: form.parameters.iter().map(|parameter| type_oid(&parameter.data_type)).collect(),
        argument_count: form.parameters.len(),
        optional: form.parameters.iter().filter(|parameter| !parameter.required).count(),
        result: type_text(&form.returns),
        result_type: type_oid(&form.returns),
        comment: documentation.description.clone(),
    };
    forms.iter().enumerate().map(of).collect()
}

/// A type of PostgreSQL's that values here can have.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) oid: i64,
    pub(super) name: &'static str,
    /// As `format_type` has it.
    pub(super) sql: &'static str,
    pub(super) array: i64,
    pub(super) length: i64,
    pub(super) category: &'static str,
}

const fn kind(
    oid: i64,
    name: &'static str,
    sql: &'static str,
    array: i64,
    length: i64,
    category: &'static str,
) -> Type {
    Type { oid, name, sql, array, length, category }
}

/// Every type; an array is named after its element.
pub(super) const TYPES: &[Type] = &[
    kind(16, "bool", "boolean", 1000, 1, "B"),
    kind(17, "bytea", "bytea", 1001, -1, "U"),
    kind(18, "char", "\"char\"", 1002, 1, "Z"),
    kind(19, "name", "name", 1003, 64, "S"),
    kind(20, "int8", "bigint", 1016, 8, "N"),
    kind(21, "int2", "smallint", 1005, 2, "N"),
    kind(22, "int2vector", "int2vector", 1006, -1, "A"),
    kind(23, "int4", "integer", 1007, 4, "N"),
    kind(24, "regproc", "regproc", 1008, 4, "N"),
    kind(25, "text", "text", 1009, -1, "S"),
    kind(26, "oid", "oid", 1028, 4, "N"),
    kind(30, "oidvector", "oidvector", 1013, -1, "A"),
    kind(114, "json", "json", 199, -1, "U"),
    kind(700, "float4", "real", 1021, 4, "N"),
    kind(701, "float8", "double precision", 1022, 8, "N"),
    kind(705, "unknown", "unknown", 0, -2, "X"),
    kind(1042, "bpchar", "character", 1014, -1, "S"),
    kind(1043, "varchar", "character varying", 1015, -1, "S"),
    kind(1082, "date", "date", 1182, 4, "D"),
    kind(1083, "time", "time without time zone", 1183, 8, "D"),
    kind(1114, "timestamp", "timestamp without time zone", 1115, 8, "D"),
    kind(1184, "timestamptz", "timestamp with time zone", 1185, 8, "D"),
    kind(1186, "interval", "interval", 1187, 16, "T"),
    kind(1700, "numeric", "numeric", 1231, -1, "N"),
    kind(2205, "regclass", "regclass", 2210, 4, "N"),
    kind(2206, "regtype", "regtype", 2211, 4, "N"),
    kind(2249, "record", "record", 2287, -1, "P"),
    kind(2275, "cstring", "cstring", 1263, -2, "P"),
    kind(2276, "any", "\"any\"", 0, 4, "P"),
    kind(2277, "anyarray", "anyarray", 0, -1, "P"),
    kind(2278, "void", "void", 0, 4, "P"),
    kind(2281, "internal", "internal", 0, 8, "P"),
    kind(2283, "anyelement", "anyelement", 0, 4, "P"),
    kind(2950, "uuid", "uuid", 2951, 16, "U"),
    kind(3802, "jsonb", "jsonb", 3807, -1, "U"),
    kind(4089, "regnamespace", "regnamespace", 4090, 4, "N"),
    kind(4096, "regrole", "regrole", 4097, 4, "N"),
];

/// The OID of the type of a column.
pub(super) fn type_oid(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => 21,
        DataType::Int32 | DataType::UInt16 => 23,
        DataType::Int64 | DataType::UInt32 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => 1700,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            zone,
        ) => {
            if zone.is_some() {
                1184
            } else {
                1114
            }
        }
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Dictionary(_, value) => type_oid(value),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            let element = type_oid(element.data_type());
            if TYPES.iter().any(|known| known.array == element && element != 0) {
                return element;
            }
            TYPES.iter().find(|known| known.oid == element && element != 3802).map_or(3802, |known| known.array)
        }
        DataType::Struct(_) | DataType::Map(..) => 3802,
        _ => 25,
    }
}

/// Precision and scale of a numeric, as `atttypmod` has them.
pub(super) fn type_modifier(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (i64::from(*precision) << 16 | i64::from(*scale)) + 4
        }
        _ => -1,
    }
}

/// The type of the elements of an array type.
pub(super) fn array_element(oid: i64) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.array == oid && oid != 0)
}

/// `format_type`.
pub(super) fn format_type(oid: i64, modifier: i64) -> String {
    if let Some(known) = TYPES.iter().find(|known| known.oid == oid) {
        if oid == 1700 && modifier >= 4 {
            return format!("numeric({},{})", (modifier - 4) >> 16, (modifier - 4) & 0xffff);
        }
        return known.sql.to_owned();
    }
    match array_element(oid) {
        Some(element) => format!("{}[]", element.sql),
        None if oid == 0 => "-".to_owned(),
        None => "???".to_owned(),
    }
}

/// The OID of a type by either of its names.
pub(super) fn type_by_name(name: &str) -> Option<i64> {
    let name = name.trim().trim_start_matches("pg_catalog.").to_lowercase();
    if let Some(element) = name.strip_suffix("[]").or_else(|| name.strip_prefix('_')) {
        return TYPES.iter().find(|known| known.name == element || known.sql == element).map(|known| known.array);
    }
    let short = match name.as_str() {
        "int" => "int4",
        "float" => "float8",
        "string" => "text",
        "decimal" => "numeric",
        other => other,
    };
    TYPES.iter().find(|known| known.name == short || known.sql == short).map(|known| known.oid)
}

/// The relation of an OID.
pub(super) fn relation(oid: i64) -> Option<&'static Relation> {
    RELATIONS.iter().find(|relation| relation.oid == oid)
}

/// The relation of a name, qualified or not.
pub(super) fn relation_by_name(name: &str) -> Option<&'static Relation> {
    let unquoted = name.trim().replace('"', "");
    let mut parts = unquoted.rsplit('.');
    let (name, schema) = (parts.next().unwrap_or_default(), parts.next());
    let order = ["pg_catalog", "public"];
    match schema {
        Some(schema) => RELATIONS.iter().find(|known| known.name == name && known.schema == schema),
        None => {
            order.iter().find_map(|schema| RELATIONS.iter().find(|known| known.name == name && known.schema == *schema))
        }
    }
}
