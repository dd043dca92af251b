//! The column types of the canonical tables: what a decoder hands over, and the Arrow array that it becomes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Decimal128Builder, Float64Builder, Int32Builder, Int64Builder, ListBuilder,
    MapBuilder, MapFieldNames, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// A free attribute set. Later duplicates of a key win when it is written.
pub type Attributes<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Microseconds since the epoch in one day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Digits behind the point of every stored amount of money.
pub const MONEY_SCALE: i8 = 12;

/// Total digits of every stored amount of money.
pub const MONEY_PRECISION: u8 = 38;

/// A column type: what one row carries (`Cell`), how rows become an array (`Builder`).
pub trait CellType {
    /// The value of one row; its default is null (or empty, for a map).
    type Cell<'a>: Default + Clone + std::fmt::Debug + PartialEq;
    /// The Arrow builder that collects the cells.
    type Builder;
    /// The Arrow type of the column.
    fn data_type() -> DataType;
    /// An empty builder.
    fn builder() -> Self::Builder;
    /// Append one cell.
    fn append(builder: &mut Self::Builder, cell: &Self::Cell<'_>);
    /// Bytes of text in a cell. An array of text has room for 2 GiB of it.
    fn text_bytes(_cell: &Self::Cell<'_>) -> usize {
        0
    }
    /// The collected array; the builder is empty afterwards.
    fn finish(builder: &mut Self::Builder) -> ArrayRef;
}

macro_rules! primitive_cell {
    ($(#[$doc:meta])* $name:ident, $native:ty, $builder:ty, $data_type:expr, $new:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl CellType for $name {
            type Cell<'a> = Option<$native>;
            type Builder = $builder;
            fn data_type() -> DataType {
                $data_type
            }
            fn builder() -> $builder {
                $new
            }
            fn append(builder: &mut $builder, cell: &Self::Cell<'_>) {
                builder.append_option(*cell);
            }
            fn finish(builder: &mut $builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    };
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn money() -> DataType {
    DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE)
}

primitive_cell!(
    /// `timestamptz`: microseconds since the epoch, UTC.
    Time, i64, TimestampMicrosecondBuilder, utc(), TimestampMicrosecondBuilder::new().with_data_type(utc())
);
primitive_cell!(
    /// `bigint`.
    Int, i64, Int64Builder, DataType::Int64, Int64Builder::new()
);
primitive_cell!(
    /// `integer`.
    Int4, i32, Int32Builder, DataType::Int32, Int32Builder::new()
);
primitive_cell!(
    /// `double precision`.
    Double, f64, Float64Builder, DataType::Float64, Float64Builder::new()
);
primitive_cell!(
    /// `boolean`.
    Bool, bool, BooleanBuilder, DataType::Boolean, BooleanBuilder::new()
);
primitive_cell!(
    /// `numeric(38,12)`, as an integer count of 10⁻¹².
    Money, i128, Decimal128Builder, money(), Decimal128Builder::new().with_data_type(money())
);

/// `text`.
#[derive(Debug)]
pub struct Text;

impl CellType for Text {
    type Cell<'a> = Option<Cow<'a, str>>;
    type Builder = StringBuilder;
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn builder() -> StringBuilder {
        StringBuilder::new()
    }
    fn append(builder: &mut StringBuilder, cell: &Self::Cell<'_>) {
        builder.append_option(cell.as_deref());
    }
    fn text_bytes(cell: &Self::Cell<'_>) -> usize {
        cell.as_deref().map_or(0, str::len)
    }
    fn finish(builder: &mut StringBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}

/// `map<text,text>`; an absent map is an empty one.
#[derive(Debug)]
pub struct TextMap;

/// The Arrow builder of a [`TextMap`].
pub type TextMapBuilder = MapBuilder<StringBuilder, StringBuilder>;

fn map_builder() -> TextMapBuilder {
    // The names that the Delta protocol implementation gives to the entries of a map.
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
        .with_keys_field(Field::new("key", DataType::Utf8, false))
        .with_values_field(Field::new("value", DataType::Utf8, true))
}

fn bytes_of_map(cell: &Attributes<'_>) -> usize {
    cell.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn append_map(builder: &mut TextMapBuilder, cell: &Attributes<'_>) {
    // Looking through the rest for each member is the fastest as long as there are few.
    let many = cell.len() > 64;
    let last: HashMap<&str, usize> =
        if many { cell.iter().enumerate().map(|(at, (key, _))| (key.as_ref(), at)).collect() } else { HashMap::new() };
    for (at, (key, value)) in cell.iter().enumerate() {
        let overwritten = if many {
            last.get(key.as_ref()) != Some(&at)
        } else {
            cell.get(at + 1..).is_some_and(|rest| rest.iter().any(|(later, _)| later == key))
        };
        if !overwritten {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
    }
    // Keys and values were appended in pairs, which is all that `append` checks.
    builder.append(true).unwrap_or_default();
}

impl CellType for TextMap {
    type Cell<'a> = Attributes<'a>;
    type Builder = TextMapBuilder;
    fn data_type() -> DataType {
        let key = Field::new("key", DataType::Utf8, false);
        let value = Field::new("value", DataType::Utf8, true);
        let entries = Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
        DataType::Map(Arc::new(entries), false)
    }
    fn builder() -> TextMapBuilder {
        map_builder()
    }
    fn append(builder: &mut TextMapBuilder, cell: &Self::Cell<'_>) {
        append_map(builder, cell);
    }
    fn text_bytes(cell: &Self::Cell<'_>) -> usize {
        bytes_of_map(cell)
    }
    fn finish(builder: &mut TextMapBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}

fn element(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("element", data_type, true))
}

macro_rules! list_cell {
    (
        $(#[$doc:meta])* $name:ident, $native:ty, $values:ty, $data_type:expr,
        |$builder:ident, $item:ident| $append:expr, $bytes:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl CellType for $name {
            type Cell<'a> = Option<Vec<$native>>;
            type Builder = ListBuilder<$values>;
            fn data_type() -> DataType {
                DataType::List(element($data_type))
            }
            fn builder() -> Self::Builder {
                ListBuilder::new(<$values>::new()).with_field(element($data_type))
            }
            fn append(builder: &mut Self::Builder, cell: &Self::Cell<'_>) {
                for $item in cell.iter().flatten() {
                    let $builder = builder.values();
                    $append;
                }
                builder.append(cell.is_some());
            }
            fn text_bytes<'a>(cell: &Self::Cell<'a>) -> usize {
                let bytes: fn(&$native) -> usize = $bytes;
                cell.iter().flatten().map(bytes).sum()
            }
            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    };
}

list_cell!(
    /// `text[]`.
    TextList, Cow<'a, str>, StringBuilder, DataType::Utf8, |builder, item| builder.append_value(item), |text| text.len()
);
list_cell!(
    /// `double precision[]`.
    DoubleList, f64, Float64Builder, DataType::Float64, |builder, item| builder.append_value(*item), |_| 0
);
list_cell!(
    /// `bigint[]`.
    IntList, i64, Int64Builder, DataType::Int64, |builder, item| builder.append_value(*item), |_| 0
);

/// One event of a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanEvent<'a> {
    /// When it happened, nanoseconds since the epoch.
    pub time_unix_nano: i64,
    /// `event.name`.
    pub name: Cow<'a, str>,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

/// One link from a span to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanLink<'a> {
    /// Trace id of the linked span, lowercase hex.
    pub trace_id: Cow<'a, str>,
    /// Id of the linked span, lowercase hex.
    pub span_id: Cow<'a, str>,
    /// Attributes of the link.
    pub attributes: Attributes<'a>,
}

/// `list<struct<time_unix_nano,name,attributes>>`.
#[derive(Debug)]
pub struct EventList;

/// `list<struct<trace_id,span_id,attributes>>`.
#[derive(Debug)]
pub struct LinkList;

fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("attributes", TextMap::data_type(), true),
    ])
}

fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::Utf8, true),
        Field::new("span_id", DataType::Utf8, true),
        Field::new("attributes", TextMap::data_type(), true),
    ])
}

fn struct_list(fields: Fields, columns: Vec<Box<dyn ArrayBuilder>>) -> ListBuilder<StructBuilder> {
    let item = element(DataType::Struct(fields.clone()));
    ListBuilder::new(StructBuilder::new(fields, columns)).with_field(item)
}

impl CellType for EventList {
    type Cell<'a> = Vec<SpanEvent<'a>>;
    type Builder = ListBuilder<StructBuilder>;
    fn data_type() -> DataType {
        DataType::List(element(DataType::Struct(event_fields())))
    }
    fn builder() -> Self::Builder {
        let columns: Vec<Box<dyn ArrayBuilder>> =
            vec![Box::new(Int64Builder::new()), Box::new(StringBuilder::new()), Box::new(map_builder())];
        struct_list(event_fields(), columns)
    }
    fn append(builder: &mut Self::Builder, cell: &Self::Cell<'_>) {
        for event in cell {
            let row = builder.values();
            if let Some(times) = row.field_builder::<Int64Builder>(0) {
                times.append_value(event.time_unix_nano);
            }
            if let Some(names) = row.field_builder::<StringBuilder>(1) {
                names.append_value(&event.name);
            }
            if let Some(attributes) = row.field_builder::<TextMapBuilder>(2) {
                append_map(attributes, &event.attributes);
            }
            row.append(true);
        }
        builder.append(true);
    }
    fn text_bytes(cell: &Self::Cell<'_>) -> usize {
        cell.iter().map(|event| event.name.len() + bytes_of_map(&event.attributes)).sum()
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}

impl CellType for LinkList {
    type Cell<'a> = Vec<SpanLink<'a>>;
    type Builder = ListBuilder<StructBuilder>;
    fn data_type() -> DataType {
        DataType::List(element(DataType::Struct(link_fields())))
    }
    fn builder() -> Self::Builder {
        let columns: Vec<Box<dyn ArrayBuilder>> =
            vec![Box::new(StringBuilder::new()), Box::new(StringBuilder::new()), Box::new(map_builder())];
        struct_list(link_fields(), columns)
    }
    fn append(builder: &mut Self::Builder, cell: &Self::Cell<'_>) {
        for link in cell {
            let row = builder.values();
            if let Some(ids) = row.field_builder::<StringBuilder>(0) {
                ids.append_value(&link.trace_id);
            }
            if let Some(ids) = row.field_builder::<StringBuilder>(1) {
                ids.append_value(&link.span_id);
            }
            if let Some(attributes) = row.field_builder::<TextMapBuilder>(2) {
                append_map(attributes, &link.attributes);
            }
            row.append(true);
        }
        builder.append(true);
    }
    fn text_bytes(cell: &Self::Cell<'_>) -> usize {
        cell.iter().map(|link| link.trace_id.len() + link.span_id.len() + bytes_of_map(&link.attributes)).sum()
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
