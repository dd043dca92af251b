//! `CAST` as PostgreSQL has it: text is read by the type's input function, numbers are rounded to the nearest, what does
//! not fit is an error, times go through the session's zone, text is what a value is printed as.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, TimestampMicrosecondArray, new_empty_array,
};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::encode::{Style, array_of, element_of, of_data_type, oid, type_name};
use super::function::{field, session_zone};
use super::{input, moment};
use crate::error::{Error, UserError, sqlstate};

const DAY: i64 = 86_400_000_000;

/// The name of the function that a cast becomes.
pub(super) const NAME: &str = "pg_cast";

/// `pg_cast(value, 'type')`: what a cast in a statement becomes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Cast(Signature);

impl Cast {
    pub(super) fn new() -> Self {
        Self(Signature::any(2, Volatility::Stable))
    }
}

/// A type that a statement names: `numeric(10,2)`, `varchar(3)`, `_int4`, `interval:day`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// OID of the type.
    pub oid: u32,
    /// What stands in brackets.
    pub modifiers: Vec<i64>,
    /// The unit of an interval's number that has none.
    pub unit: String,
}

/// Types by the name that `pg_type` has for them.
const NAMES: [(&str, u32); 22] = [
    ("bool", oid::BOOL),
    ("bytea", oid::BYTEA),
    ("char", oid::CHAR),
    ("name", oid::NAME),
    ("oid", oid::OID),
    ("int8", oid::INT8),
    ("int2", oid::INT2),
    ("int4", oid::INT4),
    ("text", oid::TEXT),
    ("json", oid::JSON),
    ("float4", oid::FLOAT4),
    ("float8", oid::FLOAT8),
    ("bpchar", oid::BPCHAR),
    ("varchar", oid::VARCHAR),
    ("date", oid::DATE),
    ("time", oid::TIME),
    ("timestamp", oid::TIMESTAMP),
    ("timestamptz", oid::TIMESTAMPTZ),
    ("interval", oid::INTERVAL),
    ("numeric", oid::NUMERIC),
    ("uuid", oid::UUID),
    ("jsonb", oid::JSONB),
];

impl Target {
    /// A target from its spelling; none for a type that is not known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, unit) = text.split_once(':').unwrap_or((text, ""));
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        let modifiers: Vec<i64> =
            rest.trim_end_matches(')').split(',').filter_map(|part| part.trim().parse().ok()).collect();
        let scalar = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, oid)| *oid);
        let oid = match name.strip_prefix('_') {
            Some(element) => array_of(scalar(element)?)?,
            None => scalar(name)?,
        };
        Some(Self { oid, modifiers, unit: unit.to_owned() })
    }

    /// The spelling of a type by its OID; none for one that is not known.
    #[must_use]
    pub fn spelling(kind: u32) -> Option<String> {
        let scalar = |kind: u32| NAMES.iter().find(|(_, known)| *known == kind).map(|(name, _)| *name);
        match element_of(kind) {
            Some(element) => scalar(element).map(|name| format!("_{name}")),
            None => scalar(kind).map(str::to_owned),
        }
    }

    fn element(&self) -> Option<Self> {
        element_of(self.oid).map(|oid| Self { oid, modifiers: self.modifiers.clone(), unit: String::new() })
    }

    /// The type of a cast of values of a type; of a constant text a numeric has the digits that it is written with.
    fn data_type(&self, from: &DataType, constant: Option<&str>) -> Result<DataType, UserError> {
        if let Some(element) = self.element() {
            let inner = match from {
                DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
                    inner.data_type()
                }
                other => other,
            };
            let item = if element.oid == oid::NUMERIC && element.modifiers.is_empty() && is_text(inner) {
                match constant.map(|text| input::value(text, self.oid, Tz::UTC)) {
                    Some(Ok(ScalarValue::List(list))) => list.value_type(),
                    _ => element.data_type(inner, None)?,
                }
            } else {
                element.data_type(inner, None)?
            };
            return Ok(DataType::new_list(item, true));
        }
        if self.oid != oid::NUMERIC {
            return input::data_type(self.oid).map_err(|error| error.describe());
        }
        Ok(match (self.modifiers.as_slice(), from) {
            ([precision, rest @ ..], _) => {
                let precision = u8::try_from(*precision).ok().filter(|digits| (1..=76).contains(digits));
                let precision = precision.ok_or_else(|| {
                    UserError::invalid(format!(
                        "NUMERIC precision {} must be between 1 and 76",
                        self.modifiers.first().copied().unwrap_or(0)
                    ))
                })?;
                let scale = i8::try_from(rest.first().copied().unwrap_or(0)).unwrap_or(0);
                if precision > 38 {
                    DataType::Decimal256(precision, scale)
                } else {
                    DataType::Decimal128(precision, scale)
                }
            }
            ([], DataType::Decimal128(..) | DataType::Decimal256(..)) => from.clone(),
            ([], from) if from.is_integer() => DataType::Decimal128(20, 0),
            ([], _) => match constant.and_then(|text| input::numeric_text(text.trim())) {
                Some(value) => value.data_type(),
                None => DataType::Decimal128(38, 10),
            },
        })
    }

    /// The OID, where the Arrow type does not say it.
    pub(super) fn named(&self) -> Option<u32> {
        let element = element_of(self.oid).unwrap_or(self.oid);
        let unsaid = [oid::VARCHAR, oid::BPCHAR, oid::NAME, oid::CHAR, oid::OID, oid::UUID, oid::JSON, oid::JSONB]
            .contains(&element);
        unsaid.then_some(self.oid)
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

/// An error of ours inside one of the engine's.
pub(super) fn engine(error: Error) -> DataFusionError {
    match error {
        Error::User(user) => user.into(),
        Error::Engine(engine) => engine,
        other => DataFusionError::External(Box::new(other)),
    }
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("a cast says its type by its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let text =
            |at: usize| args.scalar_arguments.get(at).copied().flatten().and_then(|value| value.try_as_str().flatten());
        let (Some(target), Some(from)) = (text(1).and_then(Target::parse), args.arg_fields.first()) else {
            return Err(UserError::new(sqlstate::UNDEFINED_OBJECT, "type does not exist").into());
        };
        let data_type = target.data_type(from.data_type(), text(0))?;
        Ok(field(NAME, (data_type, target.named())))
    }

    fn simplify(&self, mut args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let (Some(value), Some(target), Some(now)) =
            (literal(args.first()), literal(args.get(1)), context.query_execution_start_time())
        else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let zone = session_zone(context.config_options());
        let target = Target::parse(target).map(|target| target.oid);
        let dated = target.and_then(|oid| input::dated(value, oid, now.timestamp_micros(), zone));
        Ok(match (dated, args.first_mut()) {
            (Some(dated), Some(first)) => {
                *first = Expr::Literal(ScalarValue::Utf8(Some(dated)), None);
                ExprSimplifyResult::Simplified(super::operators::recast(args))
            }
            _ => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let target = match args.args.get(1) {
            Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten().and_then(Target::parse),
            _ => None,
        };
        let (Some(target), Some(value)) = (target, args.args.first()) else {
            return datafusion::common::internal_err!("a cast names a type");
        };
        let (array, constant) = match value {
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
            ColumnarValue::Array(array) => (Arc::clone(array), false),
        };
        let zone = session_zone(&args.config_options);
        let result = convert(&array, &target, args.return_field.data_type(), zone)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}

/// A value as it is put where one of another type is wanted, by its OID: only what is lost by rounding is converted, so
/// that a text is no time and a truth no number.
///
/// # Errors
/// 42846, or when it does not fit.
pub fn assigned(value: ScalarValue, kind: u32, zone: Tz) -> Result<ScalarValue> {
    let (from, target) = (value.data_type(), Target { oid: kind, modifiers: Vec::new(), unit: String::new() });
    let texts = matches!(kind, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR);
    if value.is_null() || of_data_type(&from).oid == kind {
        return Ok(value);
    }
    let apart = is_text(&from) || from == DataType::Boolean || kind == oid::BOOL;
    if apart && !texts {
        return Err(cannot(&from, &target));
    }
    let to = target.data_type(&from, None)?;
    ScalarValue::try_from_array(&convert(&value.to_array()?, &target, &to, zone)?, 0)
}

/// What values are printed as, texts as they are.
pub(super) fn printed(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    if array.data_type() == &DataType::Null {
        return Ok(datafusion::arrow::array::new_null_array(&DataType::Utf8, array.len()));
    }
    let text = Target { oid: oid::TEXT, modifiers: Vec::new(), unit: String::new() };
    convert(array, &text, &DataType::Utf8, zone)
}

/// Values as those of another type.
fn convert(array: &ArrayRef, target: &Target, to: &DataType, zone: Tz) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, value) => return convert(&plain_cast(array, value)?, target, to, zone),
        from if is_text(from) => return from_text(array, target, to, zone),
        _ => {}
    }
    if let Some(element) = target.element() {
        return elements(array, &element, to, zone);
    }
    match target.oid {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR | oid::JSON | oid::JSONB | oid::UUID => {
            to_text(array, target, zone)
        }
        _ => to_value(array, target, to, zone),
    }
}

fn from_text(array: &ArrayRef, target: &Target, to: &DataType, zone: Tz) -> Result<ArrayRef> {
    let texts = plain_cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    if target.oid == oid::TEXT {
        return Ok(Arc::new(texts.clone()));
    }
    let value = |text: Option<&str>| match text {
        Some(text) => read(text, target, to, zone),
        None => ScalarValue::try_from(to),
    };
    let values = texts.iter().map(value).collect::<Result<Vec<_>>>()?;
    if values.is_empty() { Ok(new_empty_array(to)) } else { ScalarValue::iter_to_array(values) }
}

/// A text as a value of a type.
fn read(text: &str, target: &Target, to: &DataType, zone: Tz) -> Result<ScalarValue> {
    let value = match target.oid {
        oid::INTERVAL => input::interval(text, &target.unit).map_err(engine)?,
        oid::VARCHAR | oid::BPCHAR | oid::CHAR | oid::NAME => ScalarValue::Utf8(Some(limited(text, target))),
        oid::NUMERIC => return numeric(&input::value(text, oid::NUMERIC, zone).map_err(engine)?, to),
        _ => input::value(text, target.oid, zone).map_err(engine)?,
    };
    let value = rounded_time(value, target);
    if value.data_type() == *to { Ok(value) } else { value.cast_to(to) }
}

/// The text of an argument that is a literal.
fn literal(expr: Option<&Expr>) -> Option<&str> {
    match expr {
        Some(Expr::Literal(value, _)) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Refuse a cast of a literal that is none of its type. PostgreSQL reads literals when it plans, so that they are wrong
/// whether a row is there to be compared with them or not.
pub(super) fn check_literal(args: &[Expr], zone: Tz) -> Result<()> {
    let (Some(text), Some(target)) = (literal(args.first()), literal(args.get(1)).and_then(Target::parse)) else {
        return Ok(());
    };
    // What is in brackets is no part of the literal: whether it fits is seen when the value is used.
    let target = Target { modifiers: Vec::new(), ..target };
    // What day it is does not matter.
    let dated = input::dated(text, target.oid, 0, zone);
    read(dated.as_deref().unwrap_or(text), &target, &target.data_type(&DataType::Utf8, Some(text))?, zone).map(|_| ())
}

fn numeric(value: &ScalarValue, to: &DataType) -> Result<ScalarValue> {
    value.cast_to_with_options(to, &CastOptions { safe: false, ..CastOptions::default() }).map_err(|_| field_overflow())
}

fn field_overflow() -> DataFusionError {
    UserError::new(sqlstate::OUT_OF_RANGE, "numeric field overflow").into()
}

/// With the digits of a second that the type has.
fn rounded_time(value: ScalarValue, target: &Target) -> ScalarValue {
    match (value, target.modifiers.first()) {
        (ScalarValue::TimestampMicrosecond(Some(micros), zone), Some(digits)) => {
            ScalarValue::TimestampMicrosecond(Some(round_to(micros, *digits)), zone)
        }
        (ScalarValue::Time64Microsecond(Some(micros)), Some(digits)) => {
            ScalarValue::Time64Microsecond(Some(round_to(micros, *digits)))
        }
        (value, _) => value,
    }
}

fn round_to(micros: i64, digits: i64) -> i64 {
    let unit = u32::try_from(6 - digits.clamp(0, 6)).ok().and_then(|places| 10_i64.checked_pow(places)).unwrap_or(1);
    if micros.unsigned_abs() > u64::MAX / 4 {
        return micros;
    }
    (micros + unit / 2).div_euclid(unit) * unit
}

/// `char(n)` is filled up, `varchar(n)` cut off.
fn limited(text: &str, target: &Target) -> String {
    let most = match (target.oid, target.modifiers.first()) {
        (oid::NAME, _) => 63,
        (oid::CHAR, _) => 1,
        (oid::BPCHAR, None) => return text.trim_end_matches(' ').to_owned(),
        (_, None) => return text.to_owned(),
        (_, Some(most)) => usize::try_from(*most).unwrap_or(0),
    };
    let mut cut: String = text.chars().take(most).collect();
    if target.oid == oid::BPCHAR {
        let missing = most.saturating_sub(cut.chars().count());
        cut.extend(std::iter::repeat_n(' ', missing));
    }
    cut
}

fn to_text(array: &ArrayRef, target: &Target, zone: Tz) -> Result<ArrayRef> {
    let style = Style { zone };
    if matches!(target.oid, oid::JSON | oid::JSONB | oid::UUID) {
        let known = of_data_type(array.data_type()).oid;
        if known != oid::JSONB {
            return Err(cannot(array.data_type(), target));
        }
    }
    let texts = if array.data_type() == &DataType::Boolean {
        let words = array.as_boolean().iter().map(|value| value.map(|value| if value { "true" } else { "false" }));
        words.map(|word| word.map(str::to_owned)).collect()
    } else {
        style.texts(array)?
    };
    Ok(Arc::new(texts.iter().map(|text| text.as_deref().map(|text| limited(text, target))).collect::<StringArray>()))
}

fn cannot(from: &DataType, target: &Target) -> DataFusionError {
    let message = format!("cannot cast type {} to {}", type_name(of_data_type(from).oid), type_name(target.oid));
    UserError::new("42846", message).into()
}

fn out_of_range(target: &Target) -> DataFusionError {
    UserError::new(sqlstate::OUT_OF_RANGE, format!("{} out of range", type_name(target.oid))).into()
}

fn plain_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    Ok(cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })?)
}

fn elements(array: &ArrayRef, element: &Target, to: &DataType, zone: Tz) -> Result<ArrayRef> {
    let (DataType::List(item), DataType::List(_)) = (to, array.data_type()) else {
        return Err(cannot(array.data_type(), element));
    };
    let list = array.as_list::<i32>();
    let values = if matches!(list.values().data_type(), DataType::List(_)) {
        // Dimensions below are kept.
        return plain_cast(array, to);
    } else {
        convert(list.values(), element, item.data_type(), zone)?
    };
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
}

fn micros(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let DataType::Timestamp(_, zone) = array.data_type() else {
        let array = plain_cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        return Ok(array.as_primitive::<TimestampMicrosecondType>().clone());
    };
    let array = plain_cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
    Ok(array.as_primitive::<TimestampMicrosecondType>().clone())
}

fn to_value(array: &ArrayRef, target: &Target, to: &DataType, zone: Tz) -> Result<ArrayRef> {
    use DataType::{Boolean, Date32, Decimal128, Decimal256, Float16, Float32, Float64, Interval, Timestamp};
    let from = array.data_type();
    let number = matches!(target.oid, oid::INT2 | oid::INT4 | oid::INT8 | oid::OID);
    match from {
        Float16 | Float32 | Float64 if number => return float_to_int(array, target, to),
        Decimal128(..) | Decimal256(..) if number => {
            // To a scale of nothing first, which rounds, then to the integer.
            let whole = plain_cast(array, &Decimal256(76, 0)).map_err(|_| out_of_range(target))?;
            return plain_cast(&whole, to).map_err(|_| out_of_range(target));
        }
        from if from.is_integer() && number => return plain_cast(array, to).map_err(|_| out_of_range(target)),
        Boolean if target.oid != oid::INT4 && target.oid != oid::BOOL => return Err(cannot(from, target)),
        from if target.oid == oid::BOOL && from != &Boolean && from != &DataType::Int32 => {
            return Err(cannot(from, target));
        }
        from if target.oid == oid::NUMERIC && from.is_numeric() => {
            return plain_cast(array, to).map_err(|_| field_overflow());
        }
        Timestamp(..) | Date32 => return moment_to(array, target, zone).and_then(|array| plain_cast(&array, to)),
        DataType::Duration(_) if target.oid == oid::INTERVAL => return super::arithmetic::intervals(array),
        Interval(_) if target.oid == oid::TIME => return Err(cannot(from, target)),
        _ => {}
    }
    let temporal =
        |kind: u32| matches!(kind, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL);
    let known = of_data_type(from).oid;
    let alike = known == target.oid
        || (from.is_numeric() && to.is_numeric())
        || (temporal(known) && temporal(target.oid))
        || matches!((known, target.oid), (oid::INT4, oid::BOOL) | (oid::BOOL, oid::INT4));
    if !alike || !can_cast_types(from, to) {
        return Err(cannot(from, target));
    }
    plain_cast(array, to)
}

fn float_to_int(array: &ArrayRef, target: &Target, to: &DataType) -> Result<ArrayRef> {
    let floats = plain_cast(array, &DataType::Float64)?;
    let rounded: Int64Array = floats.as_primitive::<Float64Type>().try_unary::<_, Int64Type, _>(|value| {
        let value = value.round_ties_even();
        // Both ends are exact as doubles.
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
            return Err(out_of_range(target));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
        let value = value as i64;
        Ok(value)
    })?;
    plain_cast(&(Arc::new(rounded) as ArrayRef), to).map_err(|_| out_of_range(target))
}

/// Dates and timestamps as dates, times and timestamps, with or without a zone.
fn moment_to(array: &ArrayRef, target: &Target, zone: Tz) -> Result<ArrayRef> {
    let from_zoned = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    if !matches!(target.oid, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ)
        || (array.data_type() == &DataType::Date32 && target.oid == oid::TIME)
    {
        return Err(cannot(array.data_type(), target));
    }
    if array.data_type() == &DataType::Date32 && target.oid == oid::DATE {
        return Ok(Arc::clone(array));
    }
    let to_zoned = target.oid == oid::TIMESTAMPTZ;
    let endless = |micros: i64| micros == i64::MAX || micros == i64::MIN;
    let moved = |micros: i64| match (from_zoned, to_zoned) {
        _ if endless(micros) => micros,
        (true, false) => moment::to_wall(zone, micros).unwrap_or(micros),
        (false, true) => moment::to_utc(zone, micros).unwrap_or(micros),
        _ => micros,
    };
    let digits = target.modifiers.first().copied();
    let times = micros(array)?;
    let times: TimestampMicrosecondArray =
        times.unary(|micros| digits.map_or_else(|| moved(micros), |digits| round_to(moved(micros), digits)));
    Ok(match target.oid {
        oid::DATE => {
            let days = times.unary::<_, datafusion::arrow::datatypes::Date32Type>(|micros| {
                i32::try_from(micros.div_euclid(DAY)).unwrap_or(if micros < 0 { i32::MIN } else { i32::MAX })
            });
            Arc::new(days)
        }
        oid::TIME => Arc::new(
            times.unary::<_, datafusion::arrow::datatypes::Time64MicrosecondType>(|micros| micros.rem_euclid(DAY)),
        ),
        oid::TIMESTAMPTZ => Arc::new(times.with_timezone("UTC")),
        _ => Arc::new(times.with_timezone_opt::<Arc<str>>(None)),
    })
}
