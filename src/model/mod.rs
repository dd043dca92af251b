//! The canonical tables: names, columns, documentation, and the typed rows that decoders produce. No I/O.
//!
//! Each table is one [`canonical_table!`](crate::canonical_table) declaration, from which come its Arrow schema, its
//! column comments, its row struct and its Arrow builder.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub mod cell;
pub mod change;
pub mod cost;
pub mod identity;
pub mod ownership;
pub mod platform;
pub mod result;
pub mod system;
pub mod telemetry;

pub use cell::{Attributes, CellType, SpanEvent, SpanLink};

/// How the files of a table are laid out in folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// One folder.
    None,
    /// By UTC day of the named column, in the column `date`.
    Day(&'static str),
    /// By first day of the month of the named column, in the column `billing_month`.
    Month(&'static str),
}

impl Partition {
    /// The name of the partition column, if there is one.
    #[must_use]
    pub fn column(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Day(_) => Some("date"),
            Self::Month(_) => Some("billing_month"),
        }
    }
}

/// A column of a canonical table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// SQL name.
    pub name: &'static str,
    /// The documentation, one line an element.
    pub doc: &'static [&'static str],
    /// The Arrow type.
    pub data_type: fn() -> DataType,
}

impl Column {
    /// The documentation as one line.
    #[must_use]
    pub fn comment(&self) -> String {
        join_doc(self.doc)
    }
}

/// A canonical table.
#[derive(Debug)]
pub struct Table {
    /// SQL name.
    pub name: &'static str,
    /// The documentation, one line an element.
    pub doc: &'static [&'static str],
    /// The columns in order, the three that every table has (`source`, `ingested_at`, partition) last.
    pub columns: &'static [Column],
    /// Folder layout.
    pub partition: Partition,
    /// What identifies a row: a second arrival with the same key is the same thing.
    pub key: &'static [&'static str],
    /// Sort order inside a file.
    pub cluster: &'static [&'static str],
    /// Columns with a bloom filter.
    pub bloom: &'static [&'static str],
}

impl Table {
    /// The documentation as one line.
    #[must_use]
    pub fn comment(&self) -> String {
        join_doc(self.doc)
    }

    /// The columns with `ingested_at`, `source` and the partition column.
    #[must_use]
    pub fn all_columns(&self) -> Vec<Column> {
        let mut columns = self.columns.to_vec();
        columns.push(Column {
            name: "ingested_at",
            doc: &["When the row was landed."],
            data_type: cell::Time::data_type,
        });
        columns.push(Column {
            name: "source",
            doc: &["The importer or endpoint that landed the row."],
            data_type: cell::Text::data_type,
        });
        if let Some(name) = self.partition.column() {
            let doc: &'static [&'static str] = match self.partition {
                Partition::Month(_) => &["First day of the billing month; the table is partitioned by it."],
                _ => &["UTC day of the event; the table is partitioned by it."],
            };
            columns.push(Column { name, doc, data_type: || DataType::Date32 });
        }
        columns
    }

    /// The Arrow schema of [`Table::all_columns`]; every column may be null.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.all_columns().iter().map(|column| Field::new(column.name, (column.data_type)(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

fn join_doc(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The canonical tables that users query in schema `public`, in the order of the documentation.
#[must_use]
pub fn tables() -> Vec<&'static Table> {
    vec![
        &telemetry::SPANS,
        &telemetry::LOGS,
        &telemetry::METRIC_POINTS,
        &change::CHANGES,
        &cost::COSTS,
        &cost::ALLOCATION_RULES,
        &identity::IAM_EVENTS,
        &ownership::OWNERSHIP,
        &ownership::SLOS,
        &ownership::INCIDENTS,
        &platform::SCALING_EVENTS,
        &platform::LINEAGE_RUNS,
        &result::ATTRIBUTIONS,
        &result::ATTRIBUTION_EVIDENCE,
    ]
}

/// The tables of schema `system` that are stored in the lake.
#[must_use]
pub fn system_tables() -> Vec<&'static Table> {
    vec![&system::INGESTS, &system::REPORT_RUNS, &system::AUDIT]
}

/// The canonical table of that name, in either schema.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    tables().into_iter().chain(system_tables()).find(|table| table.name == name)
}

/// Rows of one canonical table being collected.
pub trait RowBuilder: Default {
    /// One row.
    type Row<'a>;
    /// The table that the rows belong to.
    fn table() -> &'static Table;
    /// Append one row.
    fn append(&mut self, row: &Self::Row<'_>);
    /// Rows since the last [`RowBuilder::finish`].
    fn len(&self) -> usize;
    /// Bytes of text since the last [`RowBuilder::finish`].
    fn text_bytes(&self) -> usize;
    /// Whether no row was appended since the last [`RowBuilder::finish`].
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The rows as a batch of [`Table::schema`]; `ingested_at` is microseconds since the epoch.
    fn finish(&mut self, source: &str, ingested_at: i64) -> RecordBatch;
}

/// Day of a time in microseconds, as days since the epoch.
#[must_use]
pub fn day_of(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(cell::MICROS_PER_DAY)).unwrap_or(i32::MAX)
}

/// First day of the month of a time in microseconds, as days since the epoch.
#[must_use]
pub fn month_of(micros: i64) -> i32 {
    use chrono::Datelike;
    let day = day_of(micros);
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or(day, |time| day - i32::try_from(time.day0()).unwrap_or_default())
}

/// The columns of a table or of a function's result: documentation, name and type of each.
#[macro_export]
macro_rules! columns {
    ($( $(#[doc = $doc:literal])+ $name:ident: $cell:ty, )+) => {
        &[$( $crate::model::Column {
            name: stringify!($name),
            doc: &[$($doc),+],
            data_type: <$cell as $crate::model::CellType>::data_type,
        } ),+]
    };
}

/// Declare a canonical table: see [`telemetry`] for the shape.
#[macro_export]
macro_rules! canonical_table {
    (
        $(#[doc = $table_doc:literal])+
        $name:literal, $static_name:ident, $row:ident, $builder:ident;
        partition $partition:expr, $partition_of:expr;
        key $key:expr;
        cluster $cluster:expr;
        bloom $bloom:expr;
        $( $(#[doc = $doc:literal])+ $column:ident: $cell:ty, )+
    ) => {
        $(#[doc = $table_doc])+
        pub static $static_name: $crate::model::Table = $crate::model::Table {
            name: $name,
            doc: &[$($table_doc),+],
            columns: $crate::columns! { $( $(#[doc = $doc])+ $column: $cell, )+ },
            partition: $partition,
            key: &$key,
            cluster: &$cluster,
            bloom: &$bloom,
        };

        #[doc = concat!("One row of `", $name, "`.")]
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $row<'a> {
            $( $(#[doc = $doc])+ pub $column: <$cell as $crate::model::CellType>::Cell<'a>, )+
            #[doc(hidden)]
            pub lifetime: std::marker::PhantomData<&'a ()>,
        }

        #[doc = concat!("Collects rows of `", $name, "` into an Arrow batch.")]
        #[allow(missing_debug_implementations, reason = "Arrow's map builder is not Debug")]
        pub struct $builder {
            $( $column: <$cell as $crate::model::CellType>::Builder, )+
            partition: Vec<Option<i32>>,
            text_bytes: usize,
        }

        impl Default for $builder {
            fn default() -> Self {
                Self {
                    $( $column: <$cell as $crate::model::CellType>::builder(), )+
                    partition: Vec::new(),
                    text_bytes: 0,
                }
            }
        }

        impl $crate::model::RowBuilder for $builder {
            type Row<'a> = $row<'a>;
            fn table() -> &'static $crate::model::Table {
                &$static_name
            }
            fn append(&mut self, row: &$row<'_>) {
                $( <$cell as $crate::model::CellType>::append(&mut self.$column, &row.$column); )+
                $( self.text_bytes += <$cell as $crate::model::CellType>::text_bytes(&row.$column); )+
                let partition_of: fn(&$row<'_>) -> Option<i32> = $partition_of;
                self.partition.push(partition_of(row));
            }
            fn len(&self) -> usize {
                self.partition.len()
            }
            fn text_bytes(&self) -> usize {
                self.text_bytes
            }
            fn finish(&mut self, source: &str, ingested_at: i64) -> datafusion::arrow::array::RecordBatch {
                let arrays = vec![$( <$cell as $crate::model::CellType>::finish(&mut self.$column) ),+];
                self.text_bytes = 0;
                $crate::model::assemble(&$static_name, arrays, std::mem::take(&mut self.partition), source, ingested_at)
            }
        }
    };
}

/// Put the columns that every table has behind its own and make a batch of them.
#[doc(hidden)]
#[must_use]
pub fn assemble(
    table: &Table,
    mut arrays: Vec<datafusion::arrow::array::ArrayRef>,
    partition: Vec<Option<i32>>,
    source: &str,
    ingested_at: i64,
) -> RecordBatch {
    use datafusion::arrow::array::{Date32Array, StringArray, TimestampMicrosecondArray};
    let rows = partition.len();
    let ingested = TimestampMicrosecondArray::from_value(ingested_at, rows).with_timezone("UTC");
    arrays.push(Arc::new(ingested));
    arrays.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(source, rows))));
    if table.partition.column().is_some() {
        arrays.push(Arc::new(Date32Array::from(partition)));
    }
    let schema = table.schema();
    // Every array was built with the type that the schema names for it; a unit test of this module covers all tables.
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_builds_a_batch_of_its_own_schema() {
        fn check<B: RowBuilder>()
        where
            for<'a> B::Row<'a>: Default,
        {
            let mut builder = B::default();
            builder.append(&B::Row::default());
            assert_eq!(builder.len(), 1);
            let batch = builder.finish("test", 1_700_000_000_000_000);
            assert_eq!(batch.num_rows(), 1, "{}", B::table().name);
            assert_eq!(batch.schema(), B::table().schema());
            assert!(builder.is_empty());
        }
        check::<telemetry::SpanBuilder>();
        check::<telemetry::LogBuilder>();
        check::<telemetry::MetricPointBuilder>();
        check::<change::ChangeBuilder>();
        check::<cost::CostBuilder>();
        check::<cost::AllocationRuleBuilder>();
        check::<identity::IamEventBuilder>();
        check::<ownership::OwnershipBuilder>();
        check::<ownership::SloBuilder>();
        check::<ownership::IncidentBuilder>();
        check::<platform::ScalingEventBuilder>();
        check::<platform::LineageRunBuilder>();
        check::<result::AttributionBuilder>();
        check::<result::EvidenceBuilder>();
        check::<system::IngestBuilder>();
        check::<system::ReportRunBuilder>();
    }

    #[test]
    fn table_names_are_unique_and_every_column_is_documented() {
        let mut names: Vec<_> = tables().iter().chain(&system_tables()).map(|table| table.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for table in tables().into_iter().chain(system_tables()) {
            let columns = table.all_columns();
            assert!(columns.iter().all(|column| !column.comment().is_empty()), "{}", table.name);
            for named in table.key.iter().chain(table.cluster).chain(table.bloom) {
                assert!(columns.iter().any(|column| column.name == *named), "{}.{named}", table.name);
            }
        }
    }

    #[test]
    fn months_begin_on_their_first_day() {
        let leap_day = 1_709_210_096_000_000; // 2024-02-29T12:34:56Z
        assert_eq!(day_of(leap_day), 19_782);
        assert_eq!(month_of(leap_day), 19_754);
        assert_eq!(day_of(-1), -1);
    }

    #[test]
    fn the_last_member_of_a_key_counts_however_many_there_are() {
        use datafusion::arrow::array::{Array, AsArray};
        for members in [3, 1000] {
            let key = |at: usize| format!("k{}", at % (members - 1));
            let cell: Attributes<'_> = (0..members).map(|at| (key(at).into(), at.to_string().into())).collect();
            let mut builder = cell::TextMap::builder();
            cell::TextMap::append(&mut builder, &cell);
            let map = cell::TextMap::finish(&mut builder);
            let entries = map.as_map().value(0);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            assert_eq!(keys.len(), members - 1);
            let first = keys.iter().position(|key| key == Some("k0")).unwrap();
            assert_eq!(values.value(first), (members - 1).to_string());
            assert_eq!(cell::TextMap::text_bytes(&cell), cell.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>());
        }
    }
}
