//! The rows of the catalog's tables, from what there really is.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::TableType;

use super::objects::{
    DATABASE, FUNCTIONS, OWNER, OWNER_NAME, PG_CATALOG, PUBLIC, RELATIONS, SCHEMAS, SYSTEM, TYPES, oid, type_modifier,
    type_oid,
};
use super::privileges;
use super::table::{Cell, Row};
use crate::catalog::Client;
use crate::catalog::settings::SETTINGS;
use crate::dialect::encode::{PROCEDURES, Procedure};
use crate::security::Access;

/// A relation with its columns, whoever made it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) oid: i64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) temporary: bool,
    pub(super) definition: Option<String>,
    /// What users say of what users have made.
    pub(super) comment: Option<String>,
    /// Whether others write it.
    pub(super) external: bool,
    pub(super) columns: Vec<SeenColumn>,
}

#[derive(Debug, Clone)]
pub(super) struct SeenColumn {
    pub(super) name: String,
    pub(super) type_oid: i64,
    pub(super) modifier: i64,
}

/// The columns of a schema.
pub(super) fn columns_of(schema: &SchemaRef) -> Vec<SeenColumn> {
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| SeenColumn {
        name: field.name().clone(),
        type_oid: crate::catalog::pg_type_of(field).map_or_else(|| type_oid(field.data_type()), i64::from),
        modifier: type_modifier(field.data_type()),
    };
    schema.fields().iter().map(column).collect()
}

/// `relkind` of a kind of table.
pub(super) fn relkind(kind: TableType) -> &'static str {
    if kind == TableType::View { "v" } else { "r" }
}

fn schema_oid(name: &str) -> i64 {
    SCHEMAS.iter().find(|(known, ..)| *known == name).map_or(0, |(_, oid, _)| *oid)
}

/// The rows of a table.
pub(super) fn rows(table: &str, relations: &[Seen], client: &Client) -> Vec<Row> {
    match table {
        "pg_namespace" => {
            SCHEMAS.iter().map(|(name, oid, _)| vec![("oid", (*oid).into()), ("nspname", (*name).into())]).collect()
        }
        "pg_class" => relations.iter().map(|relation| class(client, relation)).collect(),
        "pg_attribute" => relations.iter().flat_map(|relation| attributes(client, relation)).collect(),
        "pg_type" => types(),
        "pg_proc" => functions(),
        "pg_description" => descriptions(relations),
        "pg_database" => vec![vec![("oid", DATABASE.into()), ("datname", "ascribe".into())]],
        "pg_shdescription" => vec![],
        "pg_get_keywords" => datafusion::sql::sqlparser::keywords::ALL_KEYWORDS
            .iter()
            .map(|word| vec![("word", word.to_lowercase().into())])
            .collect(),
        "pg_tablespace" => vec![
            vec![("oid", 1663.into()), ("spcname", "pg_default".into())],
            vec![("oid", 1664.into()), ("spcname", "pg_global".into())],
        ],
        "pg_roles" | "pg_authid" => privileges::roles(client).into_iter().map(privileges::role_row).collect(),
        "pg_user" => {
            let users = privileges::roles(client).into_iter().filter(|(_, _, role)| role.login);
            users.map(privileges::user_row).collect()
        }
        "pg_auth_members" => privileges::members(client),
        "pg_policies" => privileges::policies(client),
        "pg_am" => vec![vec![("oid", 2.into()), ("amname", "delta".into())]],
        "pg_collation" => vec![
            vec![("oid", 100.into()), ("collname", "default".into()), ("collprovider", "d".into())],
            vec![
                ("oid", 950.into()),
                ("collname", "C".into()),
                ("collprovider", "c".into()),
                ("collcollate", "C".into()),
                ("collctype", "C".into()),
            ],
        ],
        "pg_language" => vec![vec![("oid", 12.into()), ("lanname", "internal".into())]],
        "pg_settings" => settings(client),
        "pg_stat_activity" => activity(client),
        "pg_stat_database" => {
            let connections = i64::try_from(client.connections.read().len()).unwrap_or(0);
            vec![vec![
                ("datid", DATABASE.into()),
                ("datname", crate::config::DATABASE.into()),
                ("numbackends", connections.into()),
            ]]
        }
        "pg_tables" => relations
            .iter()
            .filter(|relation| relation.kind == "r")
            .map(|relation| {
                vec![("schemaname", relation.schema.clone().into()), ("tablename", relation.name.clone().into())]
            })
            .collect(),
        "pg_views" => relations
            .iter()
            .filter(|relation| relation.kind == "v")
            .map(|relation| {
                vec![
                    ("schemaname", relation.schema.clone().into()),
                    ("viewname", relation.name.clone().into()),
                    ("definition", relation.definition.clone().into()),
                ]
            })
            .collect(),
        _ => vec![],
    }
}

fn class(client: &Client, relation: &Seen) -> Row {
    let count = i64::try_from(relation.columns.len()).unwrap_or(0);
    let table = relation.kind == "r";
    vec![
        ("oid", relation.oid.into()),
        ("relname", relation.name.clone().into()),
        ("relnamespace", schema_oid(&relation.schema).into()),
        ("relam", Cell::Int(if table { 2 } else { 0 })),
        ("relkind", relation.kind.into()),
        ("relnatts", count.into()),
        ("relhasrules", (relation.kind == "v").into()),
        ("relpersistence", if relation.temporary { "t" } else { "p" }.into()),
        ("relreplident", if table { "d" } else { "n" }.into()),
        ("relacl", privileges::acl(client, &relation.schema, &relation.name, None)),
    ]
}

fn attributes(client: &Client, relation: &Seen) -> Vec<Row> {
    let row = |(at, column): (usize, &SeenColumn)| -> Row {
        let known = TYPES.iter().find(|known| known.oid == column.type_oid);
        let length = known.map_or(-1, |known| known.length);
        vec![
            ("attrelid", relation.oid.into()),
            ("attname", column.name.clone().into()),
            ("atttypid", column.type_oid.into()),
            ("attlen", length.into()),
            ("attnum", i64::try_from(at + 1).unwrap_or(0).into()),
            ("atttypmod", column.modifier.into()),
            ("attndims", Cell::Int(i64::from(known.is_none()))),
            ("attbyval", (1..=8).contains(&length).into()),
            ("attacl", privileges::acl(client, &relation.schema, &relation.name, Some(&column.name))),
            ("attstorage", if length > 0 { "p" } else { "x" }.into()),
            ("attcollation", Cell::Int(if matches!(column.type_oid, 25 | 1009) { 100 } else { 0 })),
        ]
    };
    relation.columns.iter().enumerate().map(row).collect()
}

/// The function that does something for a type; none is nought. The younger types have an underscore in their names.
fn function_of(of: &str, what: &str) -> Cell {
    let known = Procedure::named(&format!("{of}{what}")).or_else(|| Procedure::named(&format!("{of}_{what}")));
    Cell::Int(known.map_or(0, |known| i64::from(known.oid)))
}

/// The functions by which values of a type are read and printed. Drivers tell types by them.
fn functions_of(name: &str) -> Row {
    vec![
        ("typinput", function_of(name, "in")),
        ("typoutput", function_of(name, "out")),
        ("typreceive", function_of(name, "recv")),
        ("typsend", function_of(name, "send")),
        ("typsubscript", function_of(name, "subscript_handler")),
        ("typanalyze", function_of(name, "typanalyze")),
    ]
}

fn types() -> Vec<Row> {
    let mut rows = Vec::new();
    for known in TYPES {
        let collation = if known.category == "S" { 100 } else { 0 };
        let modifiers = || -> Row {
            vec![
                ("typmodin", function_of(known.name, "typmodin")),
                ("typmodout", function_of(known.name, "typmodout")),
                ("typcollation", Cell::Int(collation)),
            ]
        };
        let scalar: Row = vec![
            ("oid", known.oid.into()),
            ("typname", known.name.into()),
            ("typlen", known.length.into()),
            ("typbyval", (1..=8).contains(&known.length).into()),
            ("typtype", if known.category == "P" { "p" } else { "b" }.into()),
            ("typcategory", known.category.into()),
            ("typarray", known.array.into()),
        ];
        rows.push([scalar, modifiers(), functions_of(known.name)].concat());
        if known.array != 0 {
            let array: Row = vec![
                ("oid", known.array.into()),
                ("typname", format!("_{}", known.name).into()),
                ("typlen", (-1).into()),
                ("typcategory", "A".into()),
                ("typelem", known.oid.into()),
                ("typstorage", "x".into()),
            ];
            rows.push([array, modifiers(), functions_of("array")].concat());
        }
    }
    rows
}

fn functions() -> Vec<Row> {
    let row = |function: &super::objects::Function| -> Row {
        let count = function.argument_count;
        let texts = |types: &[i64]| types.iter().map(ToString::to_string).collect::<Vec<_>>();
        let modes = (0..function.types.len()).map(|at| if at < count { "i" } else { "t" }.to_owned());
        let number = |count: usize| Cell::Int(i64::try_from(count).unwrap_or(0));
        let mut row: Row = vec![
            ("oid", function.oid.into()),
            ("proname", function.name.clone().into()),
            ("pronamespace", PUBLIC.into()),
            ("prokind", function.kind.into()),
            ("proretset", function.returns_set.into()),
            ("pronargs", number(count)),
            ("pronargdefaults", number(function.optional)),
            ("prorettype", function.result_type.into()),
            ("proargtypes", texts(function.types.get(..count).unwrap_or_default()).join(" ").into()),
            ("proargnames", Cell::Texts(function.names.iter().map(ToString::to_string).collect())),
        ];
        // As PostgreSQL has it, only where there is more than arguments.
        if function.returns_set {
            row.push(("proallargtypes", Cell::Texts(texts(&function.types))));
            row.push(("proargmodes", Cell::Texts(modes.collect())));
        }
        row
    };
    FUNCTIONS.iter().map(row).chain(PROCEDURES.iter().map(procedure)).collect()
}

/// A function of PostgreSQL's own.
fn procedure(known: &Procedure) -> Row {
    let types: Vec<String> = known.arguments.iter().map(ToString::to_string).collect();
    vec![
        ("oid", i64::from(known.oid).into()),
        ("proname", known.name.into()),
        ("pronamespace", PG_CATALOG.into()),
        ("prokind", "f".into()),
        ("proisstrict", true.into()),
        ("pronargs", i64::try_from(types.len()).unwrap_or(0).into()),
        ("prorettype", i64::from(known.result).into()),
        ("proargtypes", types.join(" ").into()),
        ("prosrc", known.name.into()),
    ]
}

fn descriptions(relations: &[Seen]) -> Vec<Row> {
    let row = |class: i64, object: i64, part: i64, text: &str| -> Row {
        vec![
            ("objoid", object.into()),
            ("classoid", class.into()),
            ("objsubid", part.into()),
            ("description", text.into()),
        ]
    };
    let mut rows: Vec<Row> = SCHEMAS.iter().map(|(_, oid, text)| row(2615, *oid, 0, text)).collect();
    rows.extend(FUNCTIONS.iter().map(|function| row(1255, function.oid, 0, &function.comment)));
    let said = |relation: &Seen| relation.comment.as_ref().map(|text| row(1259, relation.oid, 0, text));
    rows.extend(relations.iter().filter_map(said));
    for relation in RELATIONS.iter().filter(|known| relations.iter().any(|seen| seen.oid == known.oid)) {
        if !relation.comment.is_empty() {
            rows.push(row(1259, relation.oid, 0, &relation.comment));
        }
        for (at, column) in relation.columns.iter().flatten().enumerate() {
            rows.push(row(1259, relation.oid, i64::try_from(at + 1).unwrap_or(0), &column.comment()));
        }
    }
    rows
}

/// The OID of a user.
pub(super) fn user_oid(name: &str) -> i64 {
    if name == OWNER_NAME { OWNER } else { oid("role", "", name) }
}

fn settings(client: &Client) -> Vec<Row> {
    use crate::catalog::settings::Kind;
    let row = |setting: &crate::catalog::settings::Setting| -> Row {
        let value = client.settings.get(setting.name).unwrap_or_default();
        let kind = match setting.kind {
            Kind::Bool => "bool",
            Kind::Int(..) | Kind::Millis => "integer",
            Kind::OneOf(_) => "enum",
            _ => "string",
        };
        vec![
            ("name", setting.name.into()),
            ("setting", value.into()),
            ("unit", Cell::from((setting.kind == Kind::Millis).then_some("ms"))),
            ("short_desc", setting.doc.into()),
            ("context", if setting.kind == Kind::Fixed { "internal" } else { "user" }.into()),
            ("vartype", kind.into()),
            ("boot_val", setting.default.into()),
            ("reset_val", setting.default.into()),
        ]
    };
    SETTINGS.iter().map(row).collect()
}

fn activity(client: &Client) -> Vec<Row> {
    let connections = client.connections.read();
    let known = client.guard.as_ref().map(|guard| guard.known());
    // What others ask is theirs, as in PostgreSQL.
    let shown = |activity: &crate::catalog::client::Activity| {
        let own = activity.user == client.user();
        if own || known.as_ref().is_none_or(Access::everything) {
            activity.query.clone()
        } else {
            "<insufficient privilege>".to_owned()
        }
    };
    let row = |(pid, activity): (&i32, &crate::catalog::client::Activity)| -> Row {
        vec![
            ("pid", i64::from(*pid).into()),
            ("usesysid", user_oid(&activity.user).into()),
            ("usename", activity.user.clone().into()),
            ("application_name", activity.application.clone().into()),
            ("client_addr", activity.address.clone().into()),
            ("backend_start", activity.connected_at.into()),
            ("query_start", activity.query_at.into()),
            ("state_change", activity.query_at.into()),
            ("state", activity.state.into()),
            ("query", shown(activity).into()),
        ]
    };
    connections.iter().map(row).collect()
}

/// The OID of a schema, for those who only know its name.
pub(super) fn namespace(name: &str) -> Option<i64> {
    Some(schema_oid(name)).filter(|oid| *oid != 0)
}

/// Whether an unqualified name means something of this schema.
pub(super) fn visible(schema: &str) -> bool {
    schema_oid(schema) != SYSTEM && schema != "information_schema"
}

/// Whether a table never has rows.
pub(super) fn always_empty(table: &str) -> bool {
    const SOME: &[&str] = &[
        "pg_namespace",
        "pg_class",
        "pg_attribute",
        "pg_type",
        "pg_proc",
        "pg_description",
        "pg_database",
        "pg_tablespace",
        "pg_roles",
        "pg_user",
        "pg_am",
        "pg_collation",
        "pg_language",
        "pg_settings",
        "pg_stat_activity",
        "pg_stat_database",
        "pg_tables",
        "pg_views",
        "pg_authid",
        "pg_auth_members",
        "pg_policies",
        "pg_get_keywords",
    ];
    !SOME.contains(&table)
}
