//! JSON as the values of nested columns: what INSERT and COPY put into maps, and into lists of structures.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, StructArray};
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use serde_json::{Map, Value};

use super::cast::{engine, printed};
use super::encode::of_data_type;
use super::function::{Returns, RowFunction, text};
use super::input;
use super::json::{jsonb, parsed, shown};
use crate::error::UserError;
use crate::model::CellType;
use crate::model::cell::{EventList, LinkList, TextMap};

/// A function and the type that it reads JSON as.
type Reader = (&'static str, fn() -> DataType);

/// The types of nested columns, each with the function that reads a value of one.
const READERS: [Reader; 3] = [
    ("pg_map", <TextMap as CellType>::data_type),
    ("pg_events", <EventList as CellType>::data_type),
    ("pg_links", <LinkList as CellType>::data_type),
];

/// The function that makes values of a nested column out of JSON; none for other columns.
#[must_use]
pub fn reader(column: &DataType) -> Option<&'static str> {
    let of_column = READERS.into_iter().find(|(_, of)| DFSchema::datatype_is_logically_equal(&of(), column));
    of_column.map(|(name, _)| name)
}

/// A text of JSON as a value of a nested type: objects as maps of texts and as structures, in which what is not named is
/// null, arrays as lists.
///
/// # Errors
/// 22P02 when the text is not JSON, 22023 when it is of another form than the type.
pub fn of_json(text: &str, to: &DataType, zone: Tz) -> Result<ScalarValue> {
    value(&parsed(text)?, to, zone)
}

fn value(json: &Value, to: &DataType, zone: Tz) -> Result<ScalarValue> {
    let value = match (to, json) {
        (to, Value::Null) => ScalarValue::try_from(to)?,
        (DataType::Map(..), Value::Object(entries)) => map(entries)?,
        (DataType::Struct(fields), Value::Object(entries)) => structure(entries, fields, zone)?,
        (DataType::List(item), Value::Array(items)) => {
            let items = items.iter().map(|json| value(json, item.data_type(), zone)).collect::<Result<Vec<_>>>()?;
            ScalarValue::List(ScalarValue::new_list(&items, item.data_type(), item.is_nullable()))
        }
        (DataType::Map(..) | DataType::Struct(_), _) => return Err(other("objects", json)),
        (DataType::List(_), _) => return Err(other("arrays", json)),
        _ => input::value(&shown(json), of_data_type(to).oid, zone).map_err(engine)?,
    };
    if value.data_type() == *to { Ok(value) } else { value.cast_to(to) }
}

fn other(kind: &str, json: &Value) -> datafusion::error::DataFusionError {
    UserError::invalid(format!("this column holds JSON {kind} only, not {}", jsonb(json))).into()
}

/// What is no text is written as JSON writes it.
fn map(entries: &Map<String, Value>) -> Result<ScalarValue> {
    let mut builder = TextMap::builder();
    for (key, value) in entries {
        builder.keys().append_value(key);
        builder.values().append_option((!value.is_null()).then(|| shown(value)));
    }
    builder.append(true)?;
    ScalarValue::try_from_array(&TextMap::finish(&mut builder), 0)
}

fn structure(entries: &Map<String, Value>, fields: &Fields, zone: Tz) -> Result<ScalarValue> {
    if let Some(unknown) = entries.keys().find(|key| fields.find(key).is_none()) {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        return Err(UserError::invalid(format!("this column holds no \"{unknown}\""))
            .hint(format!("an object in it has {}", names.join(", ")))
            .into());
    }
    let columns = fields.iter().map(|field| -> Result<ArrayRef> {
        value(entries.get(field.name()).unwrap_or(&Value::Null), field.data_type(), zone)?.to_array()
    });
    let row = StructArray::try_new(fields.clone(), columns.collect::<Result<Vec<_>>>()?, None)?;
    Ok(ScalarValue::Struct(Arc::new(row)))
}

/// The functions that INSERT puts around what goes into a nested column.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let readers = READERS.into_iter().map(|(name, of)| {
        let to = of();
        RowFunction::udf(name, Returns::Always(to.clone(), None), true, move |call, arguments| {
            match (text(arguments, 0), arguments.first()) {
                (Some(text), _) => of_json(text, &to, call.zone),
                (None, Some(value)) if can_cast_types(&value.data_type(), &to) => value.cast_to(&to),
                (None, value) => {
                    let array = value.unwrap_or(&ScalarValue::Null).to_array()?;
                    let printed = ScalarValue::try_from_array(&printed(&array, call.zone)?, 0)?;
                    of_json(printed.try_as_str().flatten().unwrap_or("null"), &to, call.zone)
                }
            }
        })
    });
    readers.collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;

    use super::*;
    use crate::dialect::encode::Style;

    fn read(text: &str, to: &DataType) -> std::result::Result<String, String> {
        let value = of_json(text, to, Tz::UTC).map_err(|error| error.to_string())?;
        assert_eq!(value.data_type(), *to);
        let texts = Style { zone: Tz::UTC }.texts(&value.to_array().unwrap()).unwrap();
        Ok(texts.into_iter().next().flatten().unwrap_or_else(|| "NULL".to_owned()))
    }

    #[test]
    fn what_is_printed_of_a_nested_value_is_read_again() {
        let events = EventList::data_type();
        for (to, text) in [
            (&events, r#"[{"name": "exception", "attributes": {"type": "Timeout"}, "time_unix_nano": 7}]"#),
            (&events, "[]"),
            (&TextMap::data_type(), r#"{"a": "1", "bb": null}"#),
            (&LinkList::data_type(), r#"[{"span_id": "b", "trace_id": "a", "attributes": {}}]"#),
        ] {
            let printed = read(text, to).unwrap();
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(json(&printed), json(text), "{printed}");
        }
        assert_eq!(read("null", &events).unwrap(), "NULL");
        let partly = read(r#"[{"time_unix_nano": "7"}, null]"#, &events).unwrap();
        assert!(partly.contains('7') && partly.contains("null"), "{partly}");
    }

    #[test]
    fn json_of_another_form_is_refused() {
        let (map, events) = (TextMap::data_type(), EventList::data_type());
        for (to, text, why) in [
            (&map, "[1]", "objects only, not [1]"),
            (&map, "{", "invalid input syntax for type json"),
            (&events, "{}", "arrays only, not {}"),
            (&events, "[5]", "objects only, not 5"),
            (&events, r#"[{"nam": "x"}]"#, "holds no \"nam\""),
            (&events, r#"[{"time_unix_nano": "x"}]"#, "invalid input syntax for type bigint"),
            (&events, r#"[{"attributes": 5}]"#, "objects only, not 5"),
        ] {
            let error = read(text, to).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn each_nested_column_has_its_reader() {
        for (name, of) in READERS {
            assert_eq!(reader(&of()), Some(name));
        }
        assert_eq!(reader(&DataType::new_list(DataType::Utf8, true)), None);
        assert_eq!(reader(&DataType::Struct(vec![Field::new("a", DataType::Utf8, true)].into())), None);
        assert_eq!(reader(&DataType::Utf8), None);
    }
}
