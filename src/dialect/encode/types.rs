//! Which PostgreSQL type an Arrow type is.

use datafusion::arrow::datatypes::{DataType, Field};

use crate::dialect::pg_type_of;

/// OIDs of the built-in types (`pg_type.dat` of PostgreSQL).
pub mod oid {
    #![allow(missing_docs, reason = "each is named after its type")]
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const REGPROC: u32 = 24;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const REGCLASS: u32 = 2205;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// Scalar types with the arrays of them.
const ARRAYS: [(u32, u32); 22] = [
    (oid::BOOL, 1000),
    (oid::BYTEA, 1001),
    (oid::CHAR, 1002),
    (oid::NAME, 1003),
    (oid::INT2, 1005),
    (oid::INT4, 1007),
    (oid::TEXT, 1009),
    (oid::BPCHAR, 1014),
    (oid::VARCHAR, 1015),
    (oid::INT8, 1016),
    (oid::FLOAT4, 1021),
    (oid::FLOAT8, 1022),
    (oid::OID, 1028),
    (oid::TIMESTAMP, 1115),
    (oid::DATE, 1182),
    (oid::TIME, 1183),
    (oid::TIMESTAMPTZ, 1185),
    (oid::INTERVAL, 1187),
    (oid::NUMERIC, 1231),
    (oid::UUID, 2951),
    (oid::JSONB, 3807),
    (oid::JSON, 199),
];

/// The array of a scalar type.
#[must_use]
pub fn array_of(element: u32) -> Option<u32> {
    ARRAYS.iter().find(|(scalar, _)| *scalar == element).map(|(_, array)| *array)
}

/// The element of an array type.
#[must_use]
pub fn element_of(array: u32) -> Option<u32> {
    ARRAYS.iter().find(|(_, known)| *known == array).map(|(scalar, _)| *scalar)
}

/// A type as `RowDescription` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// Bytes of a value, or -1.
    pub size: i16,
    /// Precision and scale of a numeric, or -1.
    pub modifier: i32,
}

/// The type of a column. A field that says its PostgreSQL type in its metadata is of that type (`oid`, `name`, `"char"`).
#[must_use]
pub fn pg_type(field: &Field) -> PgType {
    if let Some(named) = pg_type_of(field) {
        return PgType { oid: named, size: size_of(named), modifier: -1 };
    }
    of_data_type(field.data_type())
}

/// The type of values of an Arrow type.
#[must_use]
pub fn of_data_type(data_type: &DataType) -> PgType {
    let oid = oid_of(data_type);
    let modifier = match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => ((i32::from(*precision) << 16) | i32::from((*scale).max(0))) + 4,
        _ => -1,
    };
    PgType { oid, size: size_of(oid), modifier }
}

fn oid_of(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => oid::INT2,
        DataType::Int32 | DataType::UInt16 => oid::INT4,
        DataType::Int64 | DataType::UInt32 => oid::INT8,
        DataType::Float16 | DataType::Float32 => oid::FLOAT4,
        DataType::Float64 => oid::FLOAT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => oid::NUMERIC,
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => oid::TEXT,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => oid::BYTEA,
        DataType::Date32 | DataType::Date64 => oid::DATE,
        DataType::Time32(_) | DataType::Time64(_) => oid::TIME,
        DataType::Timestamp(_, None) => oid::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => oid::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => oid::INTERVAL,
        DataType::Dictionary(_, value) => oid_of(value),
        DataType::RunEndEncoded(_, value) => oid_of(value.data_type()),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => list_oid(element),
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => oid::JSONB,
    }
}

/// An array of scalars is an array, and so is one of arrays: PostgreSQL has one type for all dimensions. Lists of structs
/// and maps are JSON.
fn list_oid(element: &Field) -> u32 {
    let inner = pg_type(element).oid;
    match inner {
        oid::JSONB if pg_type_of(element).is_none() => oid::JSONB,
        array if element_of(array).is_some() => array,
        scalar => array_of(scalar).unwrap_or(oid::JSONB),
    }
}

fn size_of(oid: u32) -> i16 {
    match oid {
        oid::BOOL | oid::CHAR => 1,
        oid::INT2 => 2,
        oid::INT4 | oid::FLOAT4 | oid::OID | oid::DATE | oid::REGPROC | oid::REGCLASS => 4,
        oid::INT8 | oid::FLOAT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => 8,
        oid::INTERVAL | oid::UUID => 16,
        oid::NAME => 64,
        _ => -1,
    }
}

/// The name of a type, arrays as `text[]`.
#[must_use]
pub fn full_name(kind: u32) -> String {
    match element_of(kind) {
        Some(element) => format!("{}[]", type_name(element)),
        None => type_name(kind).to_owned(),
    }
}

/// The name of a scalar type as messages have it.
#[must_use]
pub fn type_name(kind: u32) -> &'static str {
    match kind {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::OID => "oid",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::DATE => "date",
        oid::TIME => "time without time zone",
        oid::TIMESTAMP => "timestamp without time zone",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::INTERVAL => "interval",
        oid::UUID => "uuid",
        oid::JSON => "json",
        oid::JSONB => "jsonb",
        _ => "text",
    }
}
