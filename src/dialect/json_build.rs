//! JSON that is made of values of any type: `to_json`, `json_build_object` and their kin, and what aggregates build.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::encode::{Style, oid};
use super::function::{Returns, RowFunction, field, session_zone, text};
use super::json::{jsonb, parsed, shown};
use crate::error::UserError;

/// What stands before an element that PostgreSQL begins a line with.
const LINE: &str = "\n ";

/// The arguments of one row as JSON, none for NULL; and their types.
type Body = fn(&[Option<&str>], &[FieldRef]) -> Result<Option<String>>;

/// A function whose arguments are JSON before it sees them.
#[derive(Debug)]
struct Build {
    name: &'static str,
    kind: u32,
    body: Body,
    signature: Signature,
}

impl Build {
    fn udf(name: &'static str, kind: u32, body: Body) -> ScalarUDF {
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, kind, body, signature })
    }
}

impl PartialEq for Build {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Build {}

impl Hash for Build {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field(self.name, (DataType::Utf8, Some(self.kind))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let style = Style { zone: session_zone(&args.config_options) };
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().zip(&args.arg_fields).map(|(argument, field)| {
            let array: ArrayRef = match argument {
                ColumnarValue::Scalar(value) => value.to_array()?,
                ColumnarValue::Array(array) => ArrayRef::clone(array),
            };
            style.jsons(&array, field)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let row = |row: usize| {
            let value = |column: &Vec<Option<String>>| column.get(if column.len() == 1 { 0 } else { row }).cloned();
            let values: Vec<Option<String>> = columns.iter().map(|column| value(column).flatten()).collect();
            let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            (self.body)(&values, &args.arg_fields)
        };
        let built = (0..rows).map(row).collect::<Result<StringArray>>()?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&built, 0)?)
        } else {
            ColumnarValue::Array(std::sync::Arc::new(built))
        })
    }
}

/// JSON in the spelling of `jsonb`.
fn canonical(text: &str) -> Result<String> {
    Ok(jsonb(&parsed(text)?))
}

/// The text of a key that is JSON.
fn key_of(json: &str) -> Result<String> {
    let mut key = String::new();
    super::encode::json_string(&mut key, &shown(&parsed(json)?));
    Ok(key)
}

/// `{"key" : value, …}` of keys and values that take turns.
fn object(values: &[Option<&str>], between: &str) -> Result<String> {
    if !values.len().is_multiple_of(2) {
        return Err(UserError::invalid("argument list must have even number of elements").into());
    }
    let entry = |pair: &[Option<&str>]| {
        let key = pair.first().copied().flatten();
        let key = key.ok_or_else(|| UserError::invalid("argument keys must not be null"))?;
        Ok(format!("{}{between}{}", key_of(key)?, pair.get(1).copied().flatten().unwrap_or("null")))
    };
    Ok(values.chunks(2).map(entry).collect::<Result<Vec<_>>>()?.join(", "))
}

fn built_array(values: &[Option<&str>]) -> String {
    let values: Vec<&str> = values.iter().map(|value| value.unwrap_or("null")).collect();
    format!("[{}]", values.join(", "))
}

/// A row: names and values take turns.
fn row(values: &[Option<&str>]) -> String {
    let entries: Vec<String> = values
        .chunks(2)
        .map(|pair| {
            let part = |at: usize| pair.get(at).copied().flatten().unwrap_or("null");
            format!("{}:{}", part(0), part(1))
        })
        .collect();
    format!("{{{}}}", entries.join(","))
}

/// An element of what `json_agg` builds: arrays and rows begin a line.
fn element(values: &[Option<&str>], fields: &[FieldRef]) -> String {
    let value = values.first().copied().flatten();
    let list = fields.first().is_some_and(|field| field.data_type().is_list());
    match value {
        Some(value) if list => format!("{LINE}{value}"),
        Some(value) => value.to_owned(),
        None => "null".to_owned(),
    }
}

fn entry(values: &[Option<&str>]) -> Result<String> {
    let [Some(key), value] = values else {
        return Err(UserError::invalid("field name must not be null").into());
    };
    Ok(format!("{} : {}", key_of(key)?, value.unwrap_or("null")))
}

/// What is in the brackets of a list that an aggregate has gathered; none if there was no row.
fn gathered(arguments: &[ScalarValue]) -> Result<Option<String>> {
    let Some(ScalarValue::List(list)) = arguments.first() else { return Ok(None) };
    let items = datafusion::arrow::compute::cast(&list.value(0), &DataType::Utf8)?;
    let items: Vec<&str> = items.as_string::<i32>().iter().flatten().collect();
    let size: usize = items.iter().map(|item| item.len() + 2).sum();
    if i128::try_from(size).is_ok_and(|size| size > super::bounded::BYTES) {
        return Err(super::bounded::too_wide().into());
    }
    let inside = items.join(", ");
    Ok(Some(inside.strip_prefix(LINE).map(str::to_owned).unwrap_or(inside)))
}

/// The order of two elements: numbers by their value, all else by the spelling, NULL last.
fn order(one: &str, other: &str) -> Ordering {
    let number = |json: &str| json.parse::<f64>().ok();
    match (number(one), number(other)) {
        (Some(left), Some(right)) => left.total_cmp(&right).then_with(|| one.cmp(other)),
        _ => (one == "null", one).cmp(&(other == "null", other)),
    }
}

/// Elements that are all there in their order, or the other way round.
fn sorted(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(ScalarValue::List(list)) = arguments.first() else { return Ok(ScalarValue::Null) };
    let items = datafusion::arrow::compute::cast(&list.value(0), &DataType::Utf8)?;
    let mut items: Vec<&str> = items.as_string::<i32>().iter().flatten().collect();
    items.sort_by(|one, other| order(one, other));
    if text(arguments, 1) == Some("desc") {
        items.reverse();
    }
    let items: Vec<ScalarValue> = items.into_iter().map(ScalarValue::from).collect();
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8)))
}

/// A function of the list that an aggregate has gathered.
fn collector(name: &'static str, kind: u32, whole: fn(&str) -> Result<String>) -> ScalarUDF {
    RowFunction::udf(name, Returns::Always(DataType::Utf8, Some(kind)), true, move |_, arguments| {
        Ok(ScalarValue::Utf8(gathered(arguments)?.as_deref().map(whole).transpose()?))
    })
}

/// The functions, under the names that statements are rewritten to and those that users call.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        Build::udf("to_json", oid::JSON, |values, _| Ok(values.first().copied().flatten().map(str::to_owned))),
        Build::udf("to_jsonb", oid::JSONB, |values, _| values.first().copied().flatten().map(canonical).transpose()),
        Build::udf("json_build_object", oid::JSON, |values, _| Ok(Some(format!("{{{}}}", object(values, " : ")?)))),
        Build::udf("jsonb_build_object", oid::JSONB, |values, _| {
            canonical(&format!("{{{}}}", object(values, ":")?)).map(Some)
        }),
        Build::udf("json_build_array", oid::JSON, |values, _| Ok(Some(built_array(values)))),
        Build::udf("jsonb_build_array", oid::JSONB, |values, _| canonical(&built_array(values)).map(Some)),
        Build::udf("pg_row_to_json", oid::JSON, |values, _| Ok(Some(row(values)))),
        Build::udf("pg_row_to_jsonb", oid::JSONB, |values, _| canonical(&row(values)).map(Some)),
        Build::udf("pg_json_element", oid::TEXT, |values, fields| Ok(Some(element(values, fields)))),
        Build::udf("pg_json_row_element", oid::TEXT, |values, _| Ok(Some(format!("{LINE}{}", row(values))))),
        Build::udf("pg_json_entry", oid::TEXT, |values, _| entry(values).map(Some)),
        RowFunction::udf(
            "pg_json_sorted",
            Returns::Always(DataType::new_list(DataType::Utf8, true), None),
            true,
            |_, arguments| sorted(arguments),
        ),
        collector("pg_json_list", oid::JSON, |inside| Ok(format!("[{inside}]"))),
        collector("pg_jsonb_list", oid::JSONB, |inside| canonical(&format!("[{inside}]"))),
        collector("pg_json_object", oid::JSON, |inside| Ok(format!("{{ {inside} }}"))),
        collector("pg_jsonb_object", oid::JSONB, |inside| canonical(&format!("{{{inside}}}"))),
    ]
}
