//! `information_schema`: the catalog as the SQL standard has it (PostgreSQL, chapter 37), of the same relations and types as
//! `pg_catalog`. What a role may not see at all is not in it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;

use super::objects::{FUNCTIONS, Function, OWNER_NAME, SCHEMAS, TYPES, array_element, format_type};
use super::provider::PgCatalog;
use super::rows::{Seen, SeenColumn};
use super::table::Default::{Null, Text as Usually};
use super::table::Kind::{Int4, Name, Time, Varchar};
use super::table::{Cell, Default, Row, Table};

/// The schema.
pub(in crate::catalog) struct InformationSchema(Arc<PgCatalog>);

impl fmt::Debug for InformationSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InformationSchema").finish_non_exhaustive()
    }
}

impl InformationSchema {
    pub(super) fn new(catalog: &Arc<PgCatalog>) -> Self {
        Self(Arc::clone(catalog))
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = TABLES.iter().find(|table| table.name == name) else { return Ok(None) };
        let relations = match name {
            "tables" | "columns" | "views" => self.0.visible_relations().await,
            _ => Vec::new(),
        };
        let batch = table.batch(&rows(name, &relations))?;
        Ok(Some(Arc::new(MemTable::try_new(table.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|table| table.name == name)
    }
}

fn rows(table: &str, relations: &[Seen]) -> Vec<Row> {
    match table {
        "schemata" => SCHEMAS
            .iter()
            .map(|(name, ..)| vec![("schema_name", (*name).into()), ("schema_owner", OWNER_NAME.into())])
            .collect(),
        "character_sets" => vec![vec![("character_set_name", "UTF8".into())]],
        "tables" => relations.iter().map(relation).collect(),
        "columns" => relations.iter().flat_map(columns).collect(),
        "views" => relations.iter().filter(|relation| relation.kind == "v").map(view).collect(),
        "routines" => {
            let functions = FUNCTIONS.iter().filter(|function| function.kind == "f");
            functions.map(routine).collect()
        }
        _ => Vec::new(),
    }
}

fn yes(value: bool) -> Cell {
    if value { "YES" } else { "NO" }.into()
}

/// Whether rows can be added to a relation.
fn takes_rows(relation: &Seen) -> bool {
    relation.kind == "r" && relation.schema == "public" && !relation.temporary && !relation.external
}

fn relation(relation: &Seen) -> Row {
    let kind = match (relation.kind, relation.temporary) {
        ("v", _) => "VIEW",
        (_, true) => "LOCAL TEMPORARY",
        _ => "BASE TABLE",
    };
    vec![
        ("table_schema", relation.schema.clone().into()),
        ("table_name", relation.name.clone().into()),
        ("table_type", kind.into()),
        ("is_insertable_into", yes(takes_rows(relation))),
    ]
}

fn view(relation: &Seen) -> Row {
    vec![
        ("table_schema", relation.schema.clone().into()),
        ("table_name", relation.name.clone().into()),
        ("view_definition", relation.definition.clone().into()),
        ("is_insertable_into", "NO".into()),
    ]
}

fn columns(relation: &Seen) -> Vec<Row> {
    let column = |(at, column): (usize, &SeenColumn)| {
        let number = i64::try_from(at + 1).unwrap_or(0);
        let mut row: Row = vec![
            ("table_schema", relation.schema.clone().into()),
            ("table_name", relation.name.clone().into()),
            ("column_name", column.name.clone().into()),
            ("ordinal_position", number.into()),
            ("dtd_identifier", number.to_string().into()),
            ("is_updatable", yes(takes_rows(relation))),
        ];
        row.extend(of_type(column.type_oid, column.modifier));
        row
    };
    relation.columns.iter().enumerate().map(column).collect()
}

/// What the standard says of a type.
fn of_type(oid: i64, modifier: i64) -> Row {
    let int = Cell::Int;
    if let Some(element) = array_element(oid) {
        return vec![("data_type", "ARRAY".into()), ("udt_name", format!("_{}", element.name).into())];
    }
    let name = TYPES.iter().find(|known| known.oid == oid).map_or("text", |known| known.name);
    let mut row: Row = vec![("data_type", format_type(oid, -1).into()), ("udt_name", name.into())];
    let number = |precision: i64, radix: i64, scale: Option<i64>| -> Row {
        vec![
            ("numeric_precision", int(precision)),
            ("numeric_precision_radix", int(radix)),
            ("numeric_scale", scale.into()),
        ]
    };
    row.extend(match name {
        "int2" => number(16, 2, Some(0)),
        "int4" => number(32, 2, Some(0)),
        "int8" => number(64, 2, Some(0)),
        "float4" => number(24, 2, None),
        "float8" => number(53, 2, None),
        "numeric" if modifier >= 4 => number((modifier - 4) >> 16, 10, Some((modifier - 4) & 0xffff)),
        "numeric" => vec![("numeric_precision_radix", int(10))],
        "date" => vec![("datetime_precision", int(0))],
        "time" | "timestamp" | "timestamptz" | "interval" => vec![("datetime_precision", int(6))],
        "text" | "varchar" => vec![("character_octet_length", int(1 << 30))],
        _ => Vec::new(),
    });
    row
}

fn routine(function: &Function) -> Row {
    let Function { name, oid, result, returns_set, .. } = function;
    vec![
        ("specific_name", format!("{name}_{oid}").into()),
        ("routine_name", name.clone().into()),
        ("data_type", if *returns_set { "record".to_owned() } else { result.clone() }.into()),
    ]
}

/// The one database.
const CATALOG: Default = Usually(crate::config::DATABASE);

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
static TABLES: &[Table] = &[
    Table {
        name: "schemata",
        columns: &[
            ("catalog_name", Name, CATALOG), ("schema_name", Name, Null), ("schema_owner", Name, Usually("ascribe")),
            ("default_character_set_catalog", Name, Null), ("default_character_set_schema", Name, Null),
            ("default_character_set_name", Name, Null), ("sql_path", Varchar, Null),
        ],
    },
    Table {
        name: "character_sets",
        columns: &[
            ("character_set_catalog", Name, Null), ("character_set_schema", Name, Null),
            ("character_set_name", Name, Null), ("character_repertoire", Name, Usually("UCS")),
            ("form_of_use", Name, Usually("UTF8")), ("default_collate_catalog", Name, CATALOG),
            ("default_collate_schema", Name, Usually("pg_catalog")), ("default_collate_name", Name, Usually("C")),
        ],
    },
    Table {
        name: "tables",
        columns: &[
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("table_type", Varchar, Null), ("self_referencing_column_name", Name, Null),
            ("reference_generation", Varchar, Null), ("user_defined_type_catalog", Name, Null),
            ("user_defined_type_schema", Name, Null), ("user_defined_type_name", Name, Null),
            ("is_insertable_into", Varchar, Null), ("is_typed", Varchar, Usually("NO")),
            ("commit_action", Varchar, Null),
        ],
    },
    Table {
        name: "columns",
        columns: &[
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("column_name", Name, Null), ("ordinal_position", Int4, Null), ("column_default", Varchar, Null),
            ("is_nullable", Varchar, Usually("YES")), ("data_type", Varchar, Null),
            ("character_maximum_length", Int4, Null), ("character_octet_length", Int4, Null),
            ("numeric_precision", Int4, Null), ("numeric_precision_radix", Int4, Null), ("numeric_scale", Int4, Null),
            ("datetime_precision", Int4, Null), ("interval_type", Varchar, Null), ("interval_precision", Int4, Null),
            ("character_set_catalog", Name, Null), ("character_set_schema", Name, Null),
            ("character_set_name", Name, Null), ("collation_catalog", Name, Null), ("collation_schema", Name, Null),
            ("collation_name", Name, Null), ("domain_catalog", Name, Null), ("domain_schema", Name, Null),
            ("domain_name", Name, Null), ("udt_catalog", Name, CATALOG), ("udt_schema", Name, Usually("pg_catalog")),
            ("udt_name", Name, Null), ("scope_catalog", Name, Null), ("scope_schema", Name, Null),
            ("scope_name", Name, Null), ("maximum_cardinality", Int4, Null), ("dtd_identifier", Name, Null),
            ("is_self_referencing", Varchar, Usually("NO")), ("is_identity", Varchar, Usually("NO")),
            ("identity_generation", Varchar, Null), ("identity_start", Varchar, Null),
            ("identity_increment", Varchar, Null), ("identity_maximum", Varchar, Null),
            ("identity_minimum", Varchar, Null), ("identity_cycle", Varchar, Usually("NO")),
            ("is_generated", Varchar, Usually("NEVER")), ("generation_expression", Varchar, Null),
            ("is_updatable", Varchar, Null),
        ],
    },
    Table {
        name: "views",
        columns: &[
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("view_definition", Varchar, Null), ("check_option", Varchar, Usually("NONE")),
            ("is_updatable", Varchar, Usually("NO")), ("is_insertable_into", Varchar, Null),
            ("is_trigger_updatable", Varchar, Usually("NO")), ("is_trigger_deletable", Varchar, Usually("NO")),
            ("is_trigger_insertable_into", Varchar, Usually("NO")),
        ],
    },
    Table {
        name: "table_constraints",
        columns: &[
            ("constraint_catalog", Name, Null), ("constraint_schema", Name, Null), ("constraint_name", Name, Null),
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("constraint_type", Varchar, Null), ("is_deferrable", Varchar, Null),
            ("initially_deferred", Varchar, Null), ("enforced", Varchar, Null), ("nulls_distinct", Varchar, Null),
        ],
    },
    Table {
        name: "key_column_usage",
        columns: &[
            ("constraint_catalog", Name, Null), ("constraint_schema", Name, Null), ("constraint_name", Name, Null),
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("column_name", Name, Null), ("ordinal_position", Int4, Null),
            ("position_in_unique_constraint", Int4, Null),
        ],
    },
    Table {
        name: "constraint_column_usage",
        columns: &[
            ("table_catalog", Name, CATALOG), ("table_schema", Name, Null), ("table_name", Name, Null),
            ("column_name", Name, Null), ("constraint_catalog", Name, Null), ("constraint_schema", Name, Null),
            ("constraint_name", Name, Null),
        ],
    },
    Table {
        name: "referential_constraints",
        columns: &[
            ("constraint_catalog", Name, Null), ("constraint_schema", Name, Null), ("constraint_name", Name, Null),
            ("unique_constraint_catalog", Name, Null), ("unique_constraint_schema", Name, Null),
            ("unique_constraint_name", Name, Null), ("match_option", Varchar, Null), ("update_rule", Varchar, Null),
            ("delete_rule", Varchar, Null),
        ],
    },
    Table {
        name: "table_privileges",
        columns: &[
            ("grantor", Name, Null), ("grantee", Name, Null), ("table_catalog", Name, CATALOG),
            ("table_schema", Name, Null), ("table_name", Name, Null), ("privilege_type", Varchar, Null),
            ("is_grantable", Varchar, Null), ("with_hierarchy", Varchar, Null),
        ],
    },
    Table {
        name: "routines",
        columns: &[
            ("specific_catalog", Name, CATALOG), ("specific_schema", Name, Usually("public")),
            ("specific_name", Name, Null), ("routine_catalog", Name, CATALOG),
            ("routine_schema", Name, Usually("public")), ("routine_name", Name, Null),
            ("routine_type", Varchar, Usually("FUNCTION")), ("module_catalog", Name, Null),
            ("module_schema", Name, Null), ("module_name", Name, Null), ("udt_catalog", Name, CATALOG),
            ("udt_schema", Name, Usually("pg_catalog")), ("udt_name", Name, Null), ("data_type", Varchar, Null),
            ("character_maximum_length", Int4, Null), ("character_octet_length", Int4, Null),
            ("character_set_catalog", Name, Null), ("character_set_schema", Name, Null),
            ("character_set_name", Name, Null), ("collation_catalog", Name, Null), ("collation_schema", Name, Null),
            ("collation_name", Name, Null), ("numeric_precision", Int4, Null),
            ("numeric_precision_radix", Int4, Null), ("numeric_scale", Int4, Null),
            ("datetime_precision", Int4, Null), ("interval_type", Varchar, Null), ("interval_precision", Int4, Null),
            ("type_udt_catalog", Name, Null), ("type_udt_schema", Name, Null), ("type_udt_name", Name, Null),
            ("scope_catalog", Name, Null), ("scope_schema", Name, Null), ("scope_name", Name, Null),
            ("maximum_cardinality", Int4, Null), ("dtd_identifier", Name, Null),
            ("routine_body", Varchar, Usually("EXTERNAL")), ("routine_definition", Varchar, Null),
            ("external_name", Varchar, Null), ("external_language", Varchar, Null),
            ("parameter_style", Varchar, Null), ("is_deterministic", Varchar, Null),
            ("sql_data_access", Varchar, Null), ("is_null_call", Varchar, Null), ("sql_path", Varchar, Null),
            ("schema_level_routine", Varchar, Null), ("max_dynamic_result_sets", Int4, Null),
            ("is_user_defined_cast", Varchar, Null), ("is_implicitly_invocable", Varchar, Null),
            ("security_type", Varchar, Null), ("as_locator", Varchar, Usually("NO")), ("created", Time, Null),
            ("last_altered", Time, Null), ("new_savepoint_level", Varchar, Null), ("is_udt_dependent", Varchar, Null),
        ],
    },
    Table {
        name: "parameters",
        columns: &[
            ("specific_catalog", Name, CATALOG), ("specific_schema", Name, Usually("public")),
            ("specific_name", Name, Null), ("ordinal_position", Int4, Null),
            ("parameter_mode", Varchar, Usually("IN")), ("is_result", Varchar, Usually("NO")),
            ("as_locator", Varchar, Usually("NO")), ("parameter_name", Name, Null), ("data_type", Varchar, Null),
            ("character_maximum_length", Int4, Null), ("character_octet_length", Int4, Null),
            ("character_set_catalog", Name, Null), ("character_set_schema", Name, Null),
            ("character_set_name", Name, Null), ("collation_catalog", Name, Null), ("collation_schema", Name, Null),
            ("collation_name", Name, Null), ("numeric_precision", Int4, Null),
            ("numeric_precision_radix", Int4, Null), ("numeric_scale", Int4, Null),
            ("datetime_precision", Int4, Null), ("interval_type", Varchar, Null), ("interval_precision", Int4, Null),
            ("udt_catalog", Name, CATALOG), ("udt_schema", Name, Usually("pg_catalog")), ("udt_name", Name, Null),
            ("scope_catalog", Name, Null), ("scope_schema", Name, Null), ("scope_name", Name, Null),
            ("maximum_cardinality", Int4, Null), ("dtd_identifier", Name, Null), ("parameter_default", Varchar, Null),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_as_the_standard_calls_them() {
        let cell = |oid: i64, modifier: i64, name: &str| {
            of_type(oid, modifier).into_iter().find(|(known, _)| *known == name).map(|(_, cell)| cell)
        };
        assert_eq!(cell(1185, -1, "data_type"), Some("ARRAY".into()));
        assert_eq!(cell(1185, -1, "udt_name"), Some("_timestamptz".into()));
        assert_eq!(cell(1184, -1, "data_type"), Some("timestamp with time zone".into()));
        assert_eq!(cell(1700, (38 << 16 | 12) + 4, "data_type"), Some("numeric".into()));
        assert_eq!(cell(1700, (38 << 16 | 12) + 4, "numeric_precision"), Some(Cell::Int(38)));
        assert_eq!(cell(1700, (38 << 16 | 12) + 4, "numeric_scale"), Some(Cell::Int(12)));
        assert_eq!(cell(701, -1, "numeric_precision"), Some(Cell::Int(53)));
        assert_eq!(cell(701, -1, "numeric_scale"), Some(Cell::Null));
        assert_eq!(cell(3802, -1, "udt_name"), Some("jsonb".into()));
    }
}
