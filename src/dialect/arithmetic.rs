//! `+ - * / %` as PostgreSQL has them: what does not fit is an error and does not wrap, days are counted between dates,
//! intervals are multiplied, a number is never divided by zero.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray, Scalar};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::compute::{CastOptions, cast_with_options, try_binary};
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::encode::{of_data_type, type_name};
use super::function::session_zone;
use super::input;
use crate::error::{Error, UserError, sqlstate};

const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Digits behind the point that a quotient of numerics has at least.
const QUOTIENT: i8 = 16;

/// One of the operators as a function of two arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Arithmetic {
    name: &'static str,
    op: Operator,
    signature: Signature,
}

impl Arithmetic {
    /// Every operator.
    pub(super) fn all() -> Vec<Self> {
        let of = |name, op| Self { name, op, signature: Signature::any(2, Volatility::Immutable) };
        vec![
            of("pg_add", Operator::Plus),
            of("pg_subtract", Operator::Minus),
            of("pg_multiply", Operator::Multiply),
            of("pg_divide", Operator::Divide),
            of("pg_modulo", Operator::Modulo),
        ]
    }
}

/// How an operation is done.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// Both as integers or floats of a type.
    Number(DataType),
    /// A numeric quotient of that scale.
    Quotient(i8),
    /// Days between two dates.
    Days,
    /// A date and a number of days.
    Shift,
    /// A date and a time of day.
    At,
    /// A moment in the session's zone and an interval.
    Moment,
    /// A time of day and an interval, around the clock.
    Clock,
    /// An interval times, or by, a number.
    Scale,
    /// Both sides cast, then by the kernel.
    Kernel(DataType, DataType, DataType),
}

impl Way {
    fn result(&self) -> DataType {
        match self {
            Self::Number(of) | Self::Kernel(.., of) => of.clone(),
            Self::Quotient(scale) => DataType::Decimal128(38, *scale),
            Self::Days => DataType::Int32,
            Self::Shift => DataType::Date32,
            Self::At => MICROS,
            Self::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Clock => DataType::Time64(TimeUnit::Microsecond),
            Self::Scale => INTERVAL,
        }
    }
}

fn symbol(op: Operator) -> &'static str {
    match op {
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        _ => "%",
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn scale_of(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32)
}

fn way(op: Operator, left: &DataType, right: &DataType) -> Result<Way> {
    use DataType::{Date32, Decimal128, Decimal256, Dictionary, Interval, Null, Timestamp};
    if let Dictionary(_, value) = left {
        return way(op, value, right);
    }
    if let Dictionary(_, value) = right {
        return way(op, left, value);
    }
    let undefined = || {
        let name = |data_type: &DataType| type_name(of_data_type(data_type).oid);
        let shown = format!("operator does not exist: {} {} {}", name(left), symbol(op), name(right));
        UserError::new(sqlstate::UNDEFINED_FUNCTION, shown)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    };
    Ok(match (op, left, right) {
        (_, Null, Null) => Way::Number(DataType::Int32),
        (_, Null, other) | (_, other, Null) if !is_date(other) => {
            return way(op, other, other).or_else(|_| Ok(Way::Number(other.clone())));
        }
        (Operator::Minus, Date32, Date32) => Way::Days,
        (Operator::Plus, Date32, number) | (Operator::Plus, number, Date32) if number.is_integer() => Way::Shift,
        (Operator::Minus, Date32, number) if number.is_integer() => Way::Shift,
        (Operator::Plus, Date32, DataType::Time64(_)) | (Operator::Plus, DataType::Time64(_), Date32) => Way::At,
        (Operator::Plus, Date32, Interval(_)) | (Operator::Minus, Date32, Interval(_)) => {
            Way::Kernel(MICROS, INTERVAL, MICROS)
        }
        (Operator::Plus, Interval(_), Date32) => Way::Kernel(INTERVAL, MICROS, MICROS),
        (Operator::Plus | Operator::Minus, Timestamp(_, Some(_)), Interval(_))
        | (Operator::Plus, Interval(_), Timestamp(_, Some(_))) => Way::Moment,
        (Operator::Plus | Operator::Minus, DataType::Time64(_), Interval(_) | DataType::Duration(_))
        | (Operator::Plus, Interval(_) | DataType::Duration(_), DataType::Time64(_)) => Way::Clock,
        (Operator::Minus, DataType::Time64(_), DataType::Time64(_)) => {
            Way::Kernel(DataType::Int64, DataType::Int64, DataType::Duration(TimeUnit::Microsecond))
        }
        (Operator::Multiply, Interval(_) | DataType::Duration(_), number)
        | (Operator::Multiply, number, Interval(_) | DataType::Duration(_))
        | (Operator::Divide, Interval(_) | DataType::Duration(_), number)
            if number.is_numeric() =>
        {
            Way::Scale
        }
        (_, left, right) if left.is_numeric() && right.is_numeric() => {
            let float =
                |data_type: &DataType| matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64);
            let decimal =
                |data_type: &DataType| matches!(data_type, Decimal128(..) | Decimal256(..) | DataType::UInt64);
            if float(left) || float(right) {
                let small = |data_type: &DataType| matches!(data_type, DataType::Float16 | DataType::Float32);
                Way::Number(if small(left) && small(right) { DataType::Float32 } else { DataType::Float64 })
            } else if !decimal(left) && !decimal(right) {
                let width = |data_type: &DataType| {
                    data_type.primitive_width().unwrap_or(8) + usize::from(data_type.is_unsigned_integer())
                };
                Way::Number(match width(left).max(width(right)) {
                    ..=2 => DataType::Int16,
                    3..=4 => DataType::Int32,
                    _ => DataType::Int64,
                })
            } else if op == Operator::Divide {
                Way::Quotient(scale_of(left).max(scale_of(right)).max(QUOTIENT))
            } else {
                kernel(op, left, right)?
            }
        }
        (_, left, right)
            if is_text(left) || is_text(right) || left == &DataType::Boolean || right == &DataType::Boolean =>
        {
            return Err(undefined().into());
        }
        (Operator::Plus, Date32, Date32) => return Err(undefined().into()),
        _ => kernel(op, left, right).map_err(|_| undefined())?,
    })
}

fn kernel(op: Operator, left: &DataType, right: &DataType) -> Result<Way> {
    let coercer = BinaryTypeCoercer::new(left, &op, right);
    let (left, right) = coercer.get_input_types()?;
    // The scale of a product is not more than a numeric can have.
    let result = coercer.get_result_type()?;
    Ok(Way::Kernel(left, right, result))
}

/// The operator that one of our functions is.
pub(super) fn operator(name: &str) -> Option<Operator> {
    Arithmetic::all().into_iter().find(|known| known.name == name).map(|known| known.op)
}

/// What a string or a parameter without a type is next to something of another type.
pub(super) fn unknown_as(op: Operator, other: &DataType) -> DataType {
    match other {
        DataType::Null => DataType::Float64,
        DataType::Interval(_) | DataType::Duration(_) if matches!(op, Operator::Multiply | Operator::Divide) => {
            DataType::Float64
        }
        DataType::Timestamp(..) | DataType::Date32 if op == Operator::Plus => INTERVAL,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Float64,
        other => other.clone(),
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => Ok(way(self.op, left, right)?.result()),
            _ => datafusion::common::internal_err!("{} has two arguments", self.name),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<datafusion::arrow::datatypes::FieldRef> {
        let mut types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let literal = |at: usize| matches!(args.scalar_arguments.get(at), Some(Some(ScalarValue::Utf8(_))));
        if let [left, right] = types.as_mut_slice() {
            if is_text(left) && literal(0) {
                *left = unknown_as(self.op, right);
            } else if is_text(right) && literal(1) {
                *right = unknown_as(self.op, left);
            }
        }
        Ok(super::function::field(self.name, (self.return_type(&types)?, None)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return datafusion::common::internal_err!("{} has two arguments", self.name);
        };
        let zone = session_zone(&args.config_options);
        let constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let (left_constant, right_constant) = (constant(left), constant(right));
        let array = |value: &ColumnarValue| match value {
            ColumnarValue::Scalar(value) => value.to_array(),
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
        };
        let (mut left, mut right) = (array(left)?, array(right)?);
        if is_text(left.data_type()) && left_constant {
            left = from_text(&left, &unknown_as(self.op, right.data_type()), zone)?;
        } else if is_text(right.data_type()) && right_constant {
            right = from_text(&right, &unknown_as(self.op, left.data_type()), zone)?;
        }
        let way = way(self.op, left.data_type(), right.data_type())?;
        let both = left_constant && right_constant;
        let sides = Sides {
            left: (left, left_constant && !both),
            right: (right, right_constant && !both),
            rows: if both { 1 } else { args.number_rows },
        };
        let result = compute(self.op, &way, sides, zone)?;
        let target = args.return_field.data_type();
        let result = if result.data_type() == target { result } else { cast(&result, target)? };
        Ok(if both {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}

fn from_text(array: &ArrayRef, target: &DataType, zone: chrono_tz::Tz) -> Result<ArrayRef> {
    let value = ScalarValue::try_from_array(array, 0)?;
    let Some(Some(text)) = value.try_as_str() else { return Ok(datafusion::arrow::array::new_null_array(target, 1)) };
    let value = input::value(text, of_data_type(target).oid, zone).map_err(external)?;
    if matches!(target, DataType::Decimal128(..) | DataType::Decimal256(..)) {
        return value.to_array();
    }
    value.cast_to(target)?.to_array()
}

fn external(error: Error) -> datafusion::error::DataFusionError {
    match error {
        Error::User(user) => user.into(),
        Error::Engine(engine) => engine,
        other => datafusion::error::DataFusionError::External(Box::new(other)),
    }
}

/// Both sides; whether a side is one value for all rows.
struct Sides {
    left: (ArrayRef, bool),
    right: (ArrayRef, bool),
    rows: usize,
}

impl Sides {
    /// Both as arrays of every row.
    fn whole(&self) -> Result<(ArrayRef, ArrayRef)> {
        let whole = |(array, constant): &(ArrayRef, bool)| {
            if *constant {
                ScalarValue::try_from_array(array, 0)?.to_array_of_size(self.rows)
            } else {
                Ok(Arc::clone(array))
            }
        };
        Ok((whole(&self.left)?, whole(&self.right)?))
    }

    fn cast(self, left: &DataType, right: &DataType) -> Result<Self> {
        let (of_left, of_right) = (cast(&self.left.0, left)?, cast(&self.right.0, right)?);
        Ok(Self { left: (of_left, self.left.1), right: (of_right, self.right.1), rows: self.rows })
    }

    fn kernel(&self, op: Operator) -> Result<ArrayRef, ArrowError> {
        let (left_scalar, right_scalar);
        let left: &dyn Datum = if self.left.1 {
            left_scalar = Scalar::new(Arc::clone(&self.left.0));
            &left_scalar
        } else {
            &self.left.0
        };
        let right: &dyn Datum = if self.right.1 {
            right_scalar = Scalar::new(Arc::clone(&self.right.0));
            &right_scalar
        } else {
            &self.right.0
        };
        match op {
            Operator::Plus => numeric::add(left, right),
            Operator::Minus => numeric::sub(left, right),
            Operator::Multiply => numeric::mul(left, right),
            Operator::Divide => numeric::div(left, right),
            _ => numeric::rem(left, right),
        }
    }
}

fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    Ok(cast_with_options(array, target, &CastOptions { safe: false, ..CastOptions::default() })?)
}

fn out_of_range(data_type: &DataType) -> UserError {
    let message = match data_type {
        DataType::Float32 | DataType::Float64 => "value out of range: overflow".to_owned(),
        other => format!("{} out of range", type_name(of_data_type(other).oid)),
    };
    UserError::new(sqlstate::OUT_OF_RANGE, message)
}

fn divided_by_zero() -> UserError {
    UserError::new(sqlstate::DIVISION_BY_ZERO, "division by zero")
}

fn kernel_error(error: &ArrowError, data_type: &DataType) -> UserError {
    if matches!(error, ArrowError::DivideByZero) { divided_by_zero() } else { out_of_range(data_type) }
}

fn compute(op: Operator, way: &Way, sides: Sides, zone: chrono_tz::Tz) -> Result<ArrayRef> {
    let date_first = is_date(sides.left.0.data_type());
    match way {
        Way::Number(DataType::Float64) => {
            let (left, right) = sides.cast(&DataType::Float64, &DataType::Float64)?.whole()?;
            floats::<Float64Type>(op, left.as_primitive(), right.as_primitive(), f64::is_infinite)
        }
        Way::Number(DataType::Float32) => {
            let (left, right) = sides.cast(&DataType::Float32, &DataType::Float32)?.whole()?;
            floats::<Float32Type>(op, left.as_primitive(), right.as_primitive(), f32::is_infinite)
        }
        Way::Number(data_type) => {
            let sides = sides.cast(data_type, data_type)?;
            sides.kernel(op).map_err(|error| kernel_error(&error, data_type).into())
        }
        Way::Quotient(scale) => quotient(sides, *scale),
        Way::Days => {
            let sides = sides.cast(&DataType::Int32, &DataType::Int32)?;
            sides.kernel(op).map_err(|error| kernel_error(&error, &DataType::Date32).into())
        }
        Way::Shift => {
            let sides = sides.cast(&DataType::Int32, &DataType::Int32)?;
            let days = sides.kernel(op).map_err(|error| kernel_error(&error, &DataType::Date32))?;
            Ok(Arc::new(
                days.as_primitive::<datafusion::arrow::datatypes::Int32Type>().reinterpret_cast::<Date32Type>(),
            ))
        }
        Way::At => {
            let (left, right) = sides.whole()?;
            let (date, time) = if date_first { (left, right) } else { (right, left) };
            let day = cast(&cast(&date, &MICROS)?, &DataType::Int64)?;
            let time = cast(&cast(&time, &DataType::Time64(TimeUnit::Microsecond))?, &DataType::Int64)?;
            cast(&numeric::add(&day, &time)?, &MICROS)
        }
        Way::Moment => in_zone(op, &sides, zone),
        Way::Clock => around(op, &sides),
        Way::Scale => scaled(op, &sides),
        Way::Kernel(left, right, result) => {
            let between_times = matches!(sides.left.0.data_type(), DataType::Time64(_));
            let sides = if between_times && left == &DataType::Int64 {
                let micros = DataType::Time64(TimeUnit::Microsecond);
                sides.cast(&micros, &micros)?
            } else {
                sides
            };
            let sides = sides.cast(left, right)?;
            let array = sides.kernel(op).map_err(|error| kernel_error(&error, result))?;
            cast(&array, result)
        }
    }
}

/// A finite result of finite numbers; division by zero is an error.
fn floats<T>(
    op: Operator,
    left: &PrimitiveArray<T>,
    right: &PrimitiveArray<T>,
    infinite: fn(T::Native) -> bool,
) -> Result<ArrayRef>
where
    T: datafusion::arrow::datatypes::ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp,
{
    let (zero, one) = (T::Native::ZERO, T::Native::ONE);
    let result: PrimitiveArray<T> = try_binary(left, right, |a, b| {
        let value = match op {
            Operator::Plus => a.add_wrapping(b),
            Operator::Minus => a.sub_wrapping(b),
            Operator::Multiply => a.mul_wrapping(b),
            _ if b.is_eq(zero) || b.is_eq(zero.sub_wrapping(zero).mul_wrapping(zero.sub_wrapping(one))) => {
                return Err(ArrowError::DivideByZero);
            }
            Operator::Divide => a.div_wrapping(b),
            _ => a.mod_wrapping(b),
        };
        let vanished = value.is_eq(zero)
            && ((op == Operator::Multiply && !a.is_eq(zero) && !b.is_eq(zero))
                || (op == Operator::Divide && !a.is_eq(zero) && !infinite(b)));
        if (infinite(value) && !infinite(a) && !infinite(b)) || vanished {
            return Err(ArrowError::ArithmeticOverflow(if vanished { "underflow" } else { "overflow" }.to_owned()));
        }
        Ok(value)
    })
    .map_err(|error| match error {
        ArrowError::DivideByZero => divided_by_zero(),
        ArrowError::ArithmeticOverflow(how) => {
            UserError::new(sqlstate::OUT_OF_RANGE, format!("value out of range: {how}"))
        }
        other => UserError::new(sqlstate::INTERNAL, other.to_string()),
    })?;
    Ok(Arc::new(result))
}

fn wide(data_type: &DataType) -> DataType {
    DataType::Decimal256(76, scale_of(data_type))
}

/// A quotient rounded half away from zero at a scale.
fn quotient(sides: Sides, scale: i8) -> Result<ArrayRef> {
    let (of_left, of_right) = (sides.left.0.data_type().clone(), sides.right.0.data_type().clone());
    let (left, right) = sides.cast(&wide(&of_left), &wide(&of_right))?.whole()?;
    let shift = u32::try_from(i32::from(scale) + i32::from(scale_of(&of_right)) - i32::from(scale_of(&of_left)));
    let factor = shift.ok().and_then(|shift| i256::from_i128(10).checked_pow(shift));
    let factor = factor.ok_or_else(|| out_of_range(&of_left))?;
    let left = left.as_primitive::<datafusion::arrow::datatypes::Decimal256Type>();
    let right = right.as_primitive::<datafusion::arrow::datatypes::Decimal256Type>();
    let result: PrimitiveArray<Decimal128Type> = try_binary(left, right, |a, b| {
        if b == i256::ZERO {
            return Err(ArrowError::DivideByZero);
        }
        let overflow = || ArrowError::ArithmeticOverflow(String::new());
        let dividend = a.checked_mul(factor).ok_or_else(overflow)?;
        let (whole, rest) = (dividend.wrapping_div(b), dividend.wrapping_rem(b));
        let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2)).ok_or_else(overflow)?;
        let away = if a.is_negative() == b.is_negative() { i256::ONE } else { i256::MINUS_ONE };
        let rounded = if twice >= b.wrapping_abs() { whole.wrapping_add(away) } else { whole };
        let value = rounded.to_i128().ok_or_else(overflow)?;
        Decimal128Type::validate_decimal_precision(value, 38, scale)?;
        Ok(value)
    })
    .map_err(|error| kernel_error(&error, &DataType::Decimal128(38, scale)))?;
    Ok(Arc::new(result.with_precision_and_scale(38, scale)?))
}

/// A day is as long as it is in the zone of the session.
fn in_zone(op: Operator, sides: &Sides, zone: chrono_tz::Tz) -> Result<ArrayRef> {
    let (left, right) = sides.whole()?;
    let (time, interval) =
        if matches!(left.data_type(), DataType::Timestamp(..)) { (left, right) } else { (right, left) };
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.name().into()));
    let (time, interval) = (cast(&time, &zoned)?, cast(&interval, &INTERVAL)?);
    let moved = if op == Operator::Plus { numeric::add(&time, &interval) } else { numeric::sub(&time, &interval) };
    let moved = moved.map_err(|_| UserError::new("22008", "timestamp out of range"))?;
    cast(&moved, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
}

/// A day has no other day behind it: after midnight it begins again.
fn around(op: Operator, sides: &Sides) -> Result<ArrayRef> {
    let (left, right) = sides.whole()?;
    let (time, span) = if matches!(left.data_type(), DataType::Time64(_)) { (left, right) } else { (right, left) };
    let time = cast(&cast(&time, &DataType::Time64(TimeUnit::Microsecond))?, &DataType::Int64)?;
    let spans = intervals(&span)?;
    let times = time.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
    let moved: PrimitiveArray<datafusion::arrow::datatypes::Time64MicrosecondType> =
        datafusion::arrow::compute::binary(times, spans.as_primitive::<IntervalMonthDayNanoType>(), |time, span| {
            let by = span.nanoseconds / 1000 % 86_400_000_000;
            (if op == Operator::Plus { time + by } else { time - by }).rem_euclid(86_400_000_000)
        })?;
    Ok(Arc::new(moved))
}

/// Months, days and microseconds times a number, what is left of a month as days, of a day as time (`interval_mul`).
fn scaled(op: Operator, sides: &Sides) -> Result<ArrayRef> {
    let (left, right) = sides.whole()?;
    let temporal = |array: &ArrayRef| matches!(array.data_type(), DataType::Interval(_) | DataType::Duration(_));
    let (spans, factors) = if temporal(&left) { (left, right) } else { (right, left) };
    let (spans, factors) = (intervals(&spans)?, cast(&factors, &DataType::Float64)?);
    let factors = factors.as_primitive::<Float64Type>();
    let result: PrimitiveArray<IntervalMonthDayNanoType> =
        try_binary(spans.as_primitive::<IntervalMonthDayNanoType>(), factors, |span, factor| {
            if op == Operator::Divide && factor == 0.0 {
                return Err(ArrowError::DivideByZero);
            }
            let by = |value: f64| if op == Operator::Divide { value / factor } else { value * factor };
            let (months, days) = (by(f64::from(span.months)), by(f64::from(span.days)));
            #[expect(clippy::cast_precision_loss, reason = "a double is what PostgreSQL uses too")]
            let micros = by(span.nanoseconds as f64 / 1000.0);
            let more_days = round6(months.fract() * 30.0);
            let days_all = days.trunc() + more_days.trunc();
            let time = (round6(days.fract()) + more_days.fract()) * 86_400_000_000.0 + micros;
            whole(months.trunc(), days_all, time).ok_or_else(|| ArrowError::ArithmeticOverflow(String::new()))
        })
        .map_err(|error| match error {
            ArrowError::DivideByZero => divided_by_zero(),
            _ => UserError::new("22008", "interval out of range"),
        })?;
    Ok(Arc::new(result))
}

fn round6(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn whole(months: f64, days: f64, micros: f64) -> Option<IntervalMonthDayNano> {
    let small = |value: f64| value.abs() <= f64::from(i32::MAX);
    if !(small(months) && small(days) && micros.abs() < 9e15) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    let (months, days, micros) = (months as i32, days as i32, micros.round() as i64);
    Some(IntervalMonthDayNano::new(months, days, micros * 1000))
}

/// Intervals and durations as intervals; of a duration, whole days are days.
pub(super) fn intervals(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Duration(_) = array.data_type() else { return cast(array, &INTERVAL) };
    let micros = cast(&cast(array, &DataType::Duration(TimeUnit::Microsecond))?, &DataType::Int64)?;
    let micros = micros.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
    let day = 86_400_000_000;
    let spans: PrimitiveArray<IntervalMonthDayNanoType> = micros.unary(|micros| {
        let days = i32::try_from(micros / day).unwrap_or(i32::MAX);
        IntervalMonthDayNano::new(0, days, (micros % day) * 1000)
    });
    Ok(Arc::new(spans))
}

/// How long an interval is, for comparing: a month has thirty days, a day 24 hours (`interval_cmp_value`).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IntervalKey(Signature);

impl IntervalKey {
    pub(super) fn new() -> Self {
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for IntervalKey {
    fn name(&self) -> &'static str {
        "pg_interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args.as_slice(), [ColumnarValue::Scalar(_)]);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [array] = arrays.as_slice() else { return datafusion::common::internal_err!("one argument") };
        let spans = intervals(array)?;
        let lengths: PrimitiveArray<Decimal128Type> = spans.as_primitive::<IntervalMonthDayNanoType>().unary(|span| {
            (i128::from(span.months) * 30 + i128::from(span.days)) * 86_400_000_000_000 + i128::from(span.nanoseconds)
        });
        let lengths = lengths.with_precision_and_scale(38, 0)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(lengths))
        })
    }
}

/// `- x`: what does not fit is an error.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Negate(Signature);

impl Negate {
    pub(super) fn new() -> Self {
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Negate {
    fn name(&self) -> &'static str {
        "pg_negate"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number] if number.is_numeric() && !number.is_unsigned_integer() => Ok(number.clone()),
            [number] if number.is_numeric() => Ok(DataType::Int64),
            [DataType::Null] => Ok(DataType::Int32),
            [DataType::Interval(_) | DataType::Duration(_)] => Ok(INTERVAL),
            [other] => {
                let shown = type_name(of_data_type(other).oid);
                Err(UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("operator does not exist: - {shown}")).into())
            }
            _ => datafusion::common::internal_err!("one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args.as_slice(), [ColumnarValue::Scalar(_)]);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [array] = arrays.as_slice() else { return datafusion::common::internal_err!("one argument") };
        let target = args.return_field.data_type();
        let array = if target == &INTERVAL { intervals(array)? } else { cast(array, target)? };
        let negated = numeric::neg(&array).map_err(|error| kernel_error(&error, target))?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&negated, 0)?)
        } else {
            ColumnarValue::Array(negated)
        })
    }
}
