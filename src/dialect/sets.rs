//! ANY and ALL over arrays, subqueries with one row at most, and other functions on arrays and aggregates.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, ReturnFieldArgs, ScalarUDF, Signature, Volatility,
};

use super::encode::{array_of, of_data_type, oid};
use super::function::{Call, Kind, Returns, RowFunction, int, text};
use super::input;
use crate::error::{UserError, sqlstate};

/// The values of a list; none if it is null.
pub(super) fn items(list: &ScalarValue) -> Option<Vec<ScalarValue>> {
    if list.is_null() {
        return None;
    }
    let array = list.to_array().ok()?;
    let DataType::List(_) = array.data_type() else { return None };
    let values = array.as_list::<i32>().value(0);
    (0..values.len()).map(|at| ScalarValue::try_from_array(&values, at).ok()).collect()
}

fn array_values(call: Call, like: &ScalarValue, array: &ScalarValue) -> Result<Option<Vec<ScalarValue>>> {
    if let ScalarValue::Utf8(Some(text)) = array {
        // A string without a type is an array of what it is compared with.
        let kind = array_of(of_data_type(&like.data_type()).oid).unwrap_or(1009);
        let list = input::value(text, kind, call.zone).map_err(|error| error.describe())?;
        return Ok(items(&list));
    }
    Ok(items(array))
}

fn compared(op: &str, left: &ScalarValue, right: &ScalarValue) -> Result<Option<bool>> {
    use std::cmp::Ordering::{Greater, Less};
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
    if matches!(op, "like" | "ilike") {
        let (Some(Some(text)), Some(Some(pattern))) = (left.try_as_str(), right.try_as_str()) else { return Ok(None) };
        return Ok(Some(super::strings::like(text, pattern, op == "ilike")));
    }
    let (left_type, right_type) = (left.data_type(), right.data_type());
    // A float is not made exact.
    let inexact =
        (left_type.is_floating() && right_type.is_decimal()) || (left_type.is_decimal() && right_type.is_floating());
    let coerced = if inexact { Some(DataType::Float64) } else { comparison_coercion(&left_type, &right_type) };
    let coerced = coerced.ok_or_else(|| {
        UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("operator does not exist: {left_type} {op} {right_type}"))
    })?;
    let (left, right) = (left.cast_to(&coerced)?, right.cast_to(&coerced)?);
    let Some(order) = left.partial_cmp(&right) else { return Ok(None) };
    Ok(Some(match op {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order == Less,
        "<=" => order != Greater,
        ">" => order == Greater,
        _ => order != Less,
    }))
}

/// `x op ANY array` and `x op ALL array`. `absent` is what a null array means.
fn quantified(call: Call, arguments: &[ScalarValue], all: bool, absent: Option<bool>) -> Result<ScalarValue> {
    let (Some(op), Some(value), Some(array)) = (text(arguments, 0), arguments.get(1), arguments.get(2)) else {
        return Ok(ScalarValue::Boolean(None));
    };
    let Some(values) = array_values(call, value, array)? else { return Ok(ScalarValue::Boolean(absent)) };
    let mut unknown = false;
    for item in &values {
        match compared(op, value, item)? {
            Some(found) if found != all => return Ok(ScalarValue::Boolean(Some(found))),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(ScalarValue::Boolean((!unknown).then_some(all)))
}

fn element(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let data_type = args.arg_fields.first().map(|field| field.data_type().clone());
    match data_type {
        Some(DataType::List(item)) => Ok((item.data_type().clone(), super::pg_type_of(&item))),
        Some(DataType::Null) | None => Ok((DataType::Null, None)),
        Some(other) => Ok((other, None)),
    }
}

fn only(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(list) = arguments.first() else { return Ok(ScalarValue::Null) };
    let values = items(list).unwrap_or_default();
    match values.as_slice() {
        [] => match list.data_type() {
            DataType::List(item) => ScalarValue::try_from(item.data_type()),
            _ => Ok(ScalarValue::Null),
        },
        [value] => Ok(value.clone()),
        _ => Err(UserError::new("21000", "more than one row returned by a subquery used as an expression").into()),
    }
}

/// The first argument as an exact number with room for the sum, or the mean, of many.
fn exact(args: &ReturnFieldArgs<'_>, mean: bool) -> Result<Kind> {
    let data_type = args.arg_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
    Ok((
        match &data_type {
            of if mean && of.is_integer() => DataType::Decimal128(31, 12),
            DataType::Decimal128(_, scale) if mean && *scale < 12 => DataType::Decimal128(34, 12),
            DataType::Int64 | DataType::UInt64 => DataType::Decimal128(20, 0),
            _ => data_type,
        },
        None,
    ))
}

/// The first argument as it is, in the type with more room.
fn widened(_: Call, arguments: &[ColumnarValue], target: &DataType) -> Result<Option<ArrayRef>> {
    let [ColumnarValue::Array(values)] = arguments else { return Ok(None) };
    Ok(Some(if values.data_type() == target { Arc::clone(values) } else { cast(values, target)? }))
}

fn same_list(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    Ok((args.arg_fields.first().map_or(DataType::Null, |field| field.data_type().clone()), None))
}

fn list_of_first(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let item = args.arg_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
    Ok((DataType::new_list(item, true), None))
}

fn list(values: Vec<ScalarValue>, item: &DataType) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(&values, item))
}

fn item_type(list: &ScalarValue) -> DataType {
    match list.data_type() {
        DataType::List(item) => item.data_type().clone(),
        other => other,
    }
}

fn type_name(args: &[ScalarValue], fields: Option<u32>) -> String {
    let kind =
        fields.unwrap_or_else(|| args.first().map_or(oid::UNKNOWN, |value| of_data_type(&value.data_type()).oid));
    super::encode::full_name(kind)
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let flag = || Returns::Always(DataType::Boolean, None);
    let first = |_: Call, arguments: &[ScalarValue]| Ok(arguments.first().cloned().unwrap_or(ScalarValue::Null));
    vec![
        RowFunction::udf("pg_any", flag(), false, |call, arguments| quantified(call, arguments, false, None)),
        RowFunction::udf("pg_all", flag(), false, |call, arguments| quantified(call, arguments, true, None)),
        // Of the rows of a subquery; no row is no array.
        RowFunction::udf("pg_any_row", flag(), false, |call, arguments| {
            quantified(call, arguments, false, Some(false))
        }),
        RowFunction::udf("pg_all_row", flag(), false, |call, arguments| quantified(call, arguments, true, Some(true))),
        RowFunction::udf("pg_only", Returns::Of(element), false, |_, arguments| only(arguments)),
        RowFunction::with_columns("pg_sum_of", Returns::Of(|args| exact(args, false)), false, widened, first),
        RowFunction::with_columns("pg_mean_of", Returns::Of(|args| exact(args, true)), false, widened, first),
        RowFunction::udf("pg_array_or_empty", Returns::Of(same_list), false, |_, arguments| {
            let Some(value) = arguments.first() else { return Ok(ScalarValue::Null) };
            Ok(if value.is_null() { list(Vec::new(), &item_type(value)) } else { value.clone() })
        }),
        RowFunction::udf("pg_overlap", flag(), true, |_, arguments| {
            let [left, right] = arguments else { return Ok(ScalarValue::Boolean(None)) };
            let (left, right) = (items(left).unwrap_or_default(), items(right).unwrap_or_default());
            let mut found = false;
            for value in &left {
                for other in &right {
                    found |= compared("=", value, other)? == Some(true);
                }
            }
            Ok(ScalarValue::Boolean(Some(found)))
        }),
        RowFunction::udf("pg_array_dims", Returns::Always(DataType::Utf8, None), true, |_, arguments| {
            let mut shown = String::new();
            let mut at = arguments.first().cloned();
            while let Some(values) = at.as_ref().and_then(items).filter(|values| !values.is_empty()) {
                shown.push_str(&format!("[1:{}]", values.len()));
                at = values.into_iter().next();
            }
            Ok(ScalarValue::Utf8(Some(shown).filter(|shown| !shown.is_empty())))
        }),
        RowFunction::udf("trim_array", Returns::Of(same_list), true, |_, arguments| {
            let Some(list_value) = arguments.first() else { return Ok(ScalarValue::Null) };
            let mut values = items(list_value).unwrap_or_default();
            let less = int(arguments, 1).and_then(|count| usize::try_from(count).ok());
            let left = less.and_then(|less| values.len().checked_sub(less)).ok_or_else(|| {
                UserError::new("2202E", format!("number of elements to trim must be between 0 and {}", values.len()))
            })?;
            values.truncate(left);
            Ok(list(values, &item_type(list_value)))
        }),
        RowFunction::udf("array_fill", Returns::Of(list_of_first), false, |_, arguments| {
            let Some(value) = arguments.first() else { return Ok(ScalarValue::Null) };
            let lengths = arguments.get(1).and_then(items).unwrap_or_default();
            let starts = arguments.get(2).and_then(items).unwrap_or_default();
            if lengths.len() > 1 || (0..starts.len()).any(|at| int(&starts, at) != Some(1)) {
                let error = UserError::new(sqlstate::NOT_SUPPORTED, "array_fill makes arrays of one dimension only");
                return Err(error.hint("their elements are counted from one").into());
            }
            let length = int(&lengths, 0).unwrap_or(0);
            let length = usize::try_from(length).ok().filter(|length| *length <= 1_000_000);
            let length = length.ok_or_else(|| UserError::new("54000", "array size exceeds the maximum allowed"))?;
            Ok(list(vec![value.clone(); length], &value.data_type()))
        }),
        RowFunction::udf("pg_typeof", Returns::Always(DataType::Utf8, None), false, |_, arguments| {
            Ok(ScalarValue::Utf8(Some(type_name(arguments, None))))
        }),
    ]
}

/// The first two values as a list: enough to know whether there is one, and which.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtMostTwo(Signature);

impl AtMostTwo {
    pub(super) fn new() -> Self {
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for AtMostTwo {
    fn name(&self) -> &'static str {
        "pg_at_most_two"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(types.first().cloned().unwrap_or(DataType::Null), true))
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let item = fields.first().map_or_else(
            || Field::new_list_field(DataType::Null, true),
            |field| field.as_ref().clone().with_name(Field::LIST_FIELD_DEFAULT_NAME).with_nullable(true),
        );
        Ok(Arc::new(Field::new(self.name(), DataType::List(Arc::new(item)), true)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Two { list: args.return_field.data_type().clone(), values: Vec::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("values", args.return_field.data_type().clone(), true))])
    }
}

#[derive(Debug)]
struct Two {
    list: DataType,
    values: Vec<ScalarValue>,
}

impl Two {
    fn take(&mut self, values: &ArrayRef) -> Result<()> {
        for at in 0..values.len().min(2 - self.values.len().min(2)) {
            self.values.push(ScalarValue::try_from_array(values, at)?);
        }
        Ok(())
    }

    fn listed(&self) -> Result<ScalarValue> {
        let DataType::List(item) = &self.list else { return Ok(ScalarValue::Null) };
        let values = if self.values.is_empty() {
            datafusion::arrow::array::new_empty_array(item.data_type())
        } else {
            ScalarValue::iter_to_array(self.values.clone())?
        };
        let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
        let list = datafusion::arrow::array::ListArray::try_new(Arc::clone(item), offsets, values, None)?;
        Ok(ScalarValue::List(Arc::new(list)))
    }
}

impl Accumulator for Two {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.take(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.listed()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.iter().map(ScalarValue::size).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.listed()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|states| states.as_list_opt::<i32>()) else { return Ok(()) };
        for list in lists.iter().flatten() {
            self.take(&list)?;
        }
        Ok(())
    }
}
