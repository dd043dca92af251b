//! What users have added to schema `public`: views, and tables that others write. One document of the lake holds it.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::error::{Result, UserError, sqlstate};

/// All of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relations {
    /// By name.
    pub relations: BTreeMap<String, Relation>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// What it is.
    #[serde(flatten)]
    pub kind: RelationKind,
    /// What `COMMENT ON` says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who made it or changed it last.
    pub changed_by: String,
    /// When, microseconds since the epoch.
    pub changed_at: i64,
}

/// What a relation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RelationKind {
    /// CREATE VIEW.
    View(UserView),
    /// CREATE EXTERNAL TABLE.
    External(External),
}

impl RelationKind {
    /// The columns as they were when the relation was made.
    #[must_use]
    pub fn shape(&self) -> Vec<&StoredColumn> {
        match self {
            Self::View(view) => view.shape.iter().collect(),
            Self::External(external) => external.columns.iter().chain(&external.partitions).collect(),
        }
    }
}

/// A query with a name. It is planned anew by every statement that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The query, in PostgreSQL's meaning.
    pub query: String,
    /// Names of its first columns, where the statement says other ones than the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The relations of schema `public` that the query reads.
    pub reads: BTreeSet<String>,
    /// The columns as they were when the view was made, for whoever lists them. A statement that reads it has those of the day.
    pub shape: Vec<StoredColumn>,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalFormat {
    /// Parquet.
    Parquet,
    /// Lines of values with a delimiter.
    Csv,
    /// An object a line.
    Json,
    /// Delta Lake.
    Delta,
}

impl ExternalFormat {
    /// The word behind STORED AS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Delta => "DELTATABLE",
        }
    }

    /// The format of a word in capitals.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "PARQUET" => Some(Self::Parquet),
            "CSV" => Some(Self::Csv),
            "JSON" | "NDJSON" => Some(Self::Json),
            "DELTATABLE" | "DELTA" => Some(Self::Delta),
            _ => None,
        }
    }

    /// How the names of its files end.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &[".parquet"],
            Self::Csv => &[".csv", ".tsv"],
            Self::Json => &[".json", ".ndjson", ".jsonl"],
            Self::Delta => &[],
        }
    }
}

/// A column of files, or of the names of their folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredColumn {
    /// Name.
    pub name: String,
    /// The type as Arrow spells it.
    pub data_type: String,
    /// Whether it may be null.
    pub nullable: bool,
}

impl StoredColumn {
    /// The column of a field.
    ///
    /// # Errors
    /// When its type has no spelling from which it can be read again.
    pub fn of(field: &Field) -> Result<Self> {
        let column = Self {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        };
        match column.field() {
            Ok(again) if again.data_type() == field.data_type() => Ok(column),
            _ => {
                let message = format!("column \"{}\" is of a type that is not supported", column.name);
                Err(UserError::new(sqlstate::NOT_SUPPORTED, message).detail(column.data_type).into())
            }
        }
    }

    /// The field of the column.
    ///
    /// # Errors
    /// When the type is none that is known.
    pub fn field(&self) -> Result<Field> {
        let data_type: DataType = self.data_type.parse().map_err(|_| {
            let message = format!("column \"{}\" is of a type that is not known", self.name);
            UserError::new(sqlstate::INTERNAL, message).detail(self.data_type.clone())
        })?;
        Ok(Field::new(&self.name, data_type, self.nullable))
    }
}

/// Files that others write, read where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// How the files are written.
    pub format: ExternalFormat,
    /// URLs of files, folders, or patterns of them.
    pub locations: Vec<String>,
    /// How the names of files in folders end.
    pub extension: String,
    /// Columns of the files. Those of a Delta table, which says them itself, are only for whoever lists them.
    pub columns: Vec<StoredColumn>,
    /// Columns of the names of the folders (`day=2026-01-31`), in their order.
    pub partitions: Vec<StoredColumn>,
    /// How the files are read, such as `format.delimiter`.
    pub options: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn types_are_read_as_they_were_written() {
        let texts = Arc::new(Field::new("item", DataType::Utf8View, true));
        let entries = Field::new(
            "entries",
            DataType::Struct(
                vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into(),
            ),
            false,
        );
        for data_type in [
            DataType::Int64,
            DataType::Decimal128(38, 12),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            DataType::FixedSizeBinary(16),
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            DataType::List(texts),
            DataType::Map(Arc::new(entries), false),
            DataType::Struct(vec![Field::new("a b", DataType::Utf8, true)].into()),
        ] {
            let field = Field::new("x", data_type.clone(), true);
            assert_eq!(StoredColumn::of(&field).unwrap().field().unwrap(), field, "{data_type}");
        }
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let column = StoredColumn { name: "x".into(), data_type: "Int64".into(), nullable: true };
        let view = UserView {
            query: "SELECT 1".into(),
            columns: vec!["a".into()],
            reads: ["spans".into()].into(),
            shape: vec![column.clone()],
        };
        let external = External {
            format: ExternalFormat::Csv,
            locations: vec!["s3://b/c/".into()],
            extension: ".csv".into(),
            columns: vec![column],
            partitions: Vec::new(),
            options: [("format.delimiter".into(), ";".into())].into(),
        };
        let relation = |kind| Relation { kind, comment: None, changed_by: "ada".into(), changed_at: 7 };
        let relations = Relations {
            relations: [
                ("v".to_owned(), relation(RelationKind::View(view))),
                ("e".to_owned(), relation(RelationKind::External(external))),
            ]
            .into(),
        };
        let text = serde_json::to_string(&relations).unwrap();
        assert!(text.contains(r#""kind":"view""#) && text.contains(r#""format":"csv""#), "{text}");
        assert_eq!(serde_json::from_str::<Relations>(&text).unwrap(), relations);
    }
}
