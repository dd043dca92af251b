//! Catalog tables as they are written down: columns with PostgreSQL's types, rows of plain cells.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;

use crate::catalog::PG_TYPE;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// A one-letter code, `"char"`.
    Char,
    Name,
    Text,
    Varchar,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Oid,
    /// A function by its OID, which is printed as its name.
    Regproc,
    Time,
    Texts,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Char | Self::Name | Self::Text | Self::Varchar => DataType::Utf8,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid | Self::Regproc => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Time => <crate::model::cell::Time as crate::model::CellType>::data_type(),
            Self::Texts => DataType::new_list(DataType::Utf8, true),
        }
    }

    fn oid(self) -> Option<&'static str> {
        match self {
            Self::Char => Some("18"),
            Self::Name => Some("19"),
            Self::Regproc => Some("24"),
            Self::Oid => Some("26"),
            Self::Varchar => Some("1043"),
            _ => None,
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Texts(Vec<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row: the columns that are not what they always are.
pub(super) type Row = Vec<(&'static str, Cell)>;

/// A column with what it is where a row does not say.
pub(super) type Column = (&'static str, Kind, Default);

/// What a column is where a row does not say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    Null,
    Yes,
    No,
    Int(i64),
    Text(&'static str),
}

/// A table of the catalog.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
}

impl Table {
    pub(super) fn schema(&self) -> SchemaRef {
        let field = |(name, kind, _): &Column| {
            let field = Field::new(*name, kind.data_type(), true);
            match kind.oid() {
                Some(oid) => field.with_metadata(HashMap::from([(PG_TYPE.to_owned(), oid.to_owned())])),
                None => field,
            }
        };
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    pub(super) fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|column| build(column, rows)).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn build((name, kind, default): &Column, rows: &[Row]) -> Result<ArrayRef> {
    let usual = match default {
        Default::Null => Cell::Null,
        Default::Yes => Cell::Bool(true),
        Default::No => Cell::Bool(false),
        Default::Int(value) => Cell::Int(*value),
        Default::Text(text) => Cell::from(*text),
    };
    let cells: Vec<&Cell> =
        rows.iter().map(|row| row.iter().find(|(known, _)| known == name).map_or(&usual, |(_, cell)| cell)).collect();
    let int = |cell: &Cell| if let Cell::Int(value) = cell { Some(*value) } else { None };
    let text = |cell: &&Cell| if let Cell::Text(text) = cell { Some(text.clone()) } else { None };
    Ok(match kind {
        Kind::Bool => {
            let value = |cell: &&Cell| if let Cell::Bool(value) = cell { Some(*value) } else { None };
            Arc::new(cells.iter().map(value).collect::<BooleanArray>())
        }
        Kind::Char | Kind::Name | Kind::Text | Kind::Varchar => {
            Arc::new(cells.iter().map(text).collect::<StringArray>())
        }
        Kind::Int2 => Arc::new(
            cells.iter().map(|cell| int(cell).and_then(|value| i16::try_from(value).ok())).collect::<Int16Array>(),
        ),
        Kind::Int4 => Arc::new(
            cells.iter().map(|cell| int(cell).and_then(|value| i32::try_from(value).ok())).collect::<Int32Array>(),
        ),
        Kind::Int8 | Kind::Oid | Kind::Regproc => Arc::new(cells.iter().map(|cell| int(cell)).collect::<Int64Array>()),
        Kind::Float4 => {
            let value = |cell: &&Cell| int(cell).and_then(|value| i16::try_from(value).ok()).map(f32::from);
            Arc::new(cells.iter().map(value).collect::<Float32Array>())
        }
        Kind::Float8 => {
            let value = |cell: &&Cell| int(cell).and_then(|value| i32::try_from(value).ok()).map(f64::from);
            Arc::new(cells.iter().map(value).collect::<Float64Array>())
        }
        Kind::Time => {
            let times: Int64Array = cells.iter().map(|cell| int(cell)).collect();
            datafusion::arrow::compute::cast(&times, &kind.data_type())?
        }
        Kind::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::Texts(texts) => lists.append_value(texts.iter().map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
    })
}
