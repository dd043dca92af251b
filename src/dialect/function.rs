//! Functions that are computed row by row from plain values.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::PG_TYPE;

/// What a function knows besides its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The zone that times are shown in.
    pub zone: Tz,
}

/// The zone of a session.
pub(crate) fn session_zone(options: &ConfigOptions) -> Tz {
    options.execution.time_zone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// A type with the OID of the PostgreSQL type that it stands for, where the type alone does not say it.
pub type Kind = (DataType, Option<u32>);

type Body = Arc<dyn Fn(Call, &[ScalarValue]) -> Result<ScalarValue> + Send + Sync>;

/// The type that a function returns.
#[derive(Debug, Clone)]
pub enum Returns {
    /// Always the same.
    Always(DataType, Option<u32>),
    /// One that depends on the arguments.
    Of(fn(&ReturnFieldArgs<'_>) -> Result<Kind>),
}

/// Whole columns at once, where that is possible for the arguments; none where it has to go row by row. The result is of
/// the type that is given.
pub type Columns = fn(Call, &[ColumnarValue], &DataType) -> Result<Option<ArrayRef>>;

/// A function that is computed row by row, or column by column where it knows how.
pub struct RowFunction {
    name: &'static str,
    returns: Returns,
    /// Null if any argument is null.
    strict: bool,
    body: Body,
    columns: Option<Columns>,
    signature: Signature,
}

impl RowFunction {
    /// A function; a strict one is null where an argument is null.
    pub fn udf(
        name: &'static str,
        returns: Returns,
        strict: bool,
        body: impl Fn(Call, &[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self::new(name, returns, strict, None, body))
    }

    /// A function that does something: it is called when the statement runs and not before, once for each row.
    pub fn action(
        name: &'static str,
        returns: Returns,
        strict: bool,
        body: impl Fn(Call, &[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let mut function = Self::new(name, returns, strict, None, body);
        function.signature.volatility = Volatility::Volatile;
        ScalarUDF::new_from_impl(function)
    }

    /// A function with a way to compute whole columns, which has to give what the rows would.
    pub fn with_columns(
        name: &'static str,
        returns: Returns,
        strict: bool,
        columns: Columns,
        body: impl Fn(Call, &[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self::new(name, returns, strict, Some(columns), body))
    }

    fn new(
        name: &'static str,
        returns: Returns,
        strict: bool,
        columns: Option<Columns>,
        body: impl Fn(Call, &[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) -> Self {
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        Self { name, returns, strict, body: Arc::new(body), columns, signature }
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A field of a kind.
pub(super) fn field(name: &str, (data_type, oid): Kind) -> FieldRef {
    let field = Field::new(name, data_type, true);
    Arc::new(match oid {
        Some(oid) => field.with_metadata([(PG_TYPE.to_owned(), oid.to_string())].into()),
        None => field,
    })
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("{} says its type by its arguments", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kind = match &self.returns {
            Returns::Always(data_type, oid) => (data_type.clone(), *oid),
            Returns::Of(of) => of(&args)?,
        };
        Ok(field(self.name, kind))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let call = Call { zone: session_zone(&args.config_options) };
        let target = args.return_field.data_type().clone();
        let constant = self.signature.volatility != Volatility::Volatile
            && args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if let (Some(columns), false) = (self.columns, constant)
            && let Some(column) = columns(call, &args.args, &target)?
        {
            return Ok(ColumnarValue::Array(column));
        }
        let rows = if constant { 1 } else { args.number_rows };
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let arguments = args.args.iter().map(|argument| match argument {
                ColumnarValue::Scalar(value) => Ok(plain(value.clone())),
                ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row).map(plain),
            });
            let arguments = arguments.collect::<Result<Vec<_>>>()?;
            values.push(if self.strict && arguments.iter().any(ScalarValue::is_null) {
                ScalarValue::try_from(&target)?
            } else {
                let value = (self.body)(call, &arguments)?;
                if value.data_type() == target { value } else { value.cast_to(&target)? }
            });
        }
        if constant {
            return Ok(ColumnarValue::Scalar(values.pop().unwrap_or(ScalarValue::Null)));
        }
        if values.is_empty() {
            return Ok(ColumnarValue::Array(new_empty_array(&target)));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}

/// A value out of its dictionary; every kind of string as the first.
fn plain(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Dictionary(_, inner) => plain(*inner),
        ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => ScalarValue::Utf8(text),
        ScalarValue::BinaryView(bytes) | ScalarValue::LargeBinary(bytes) => ScalarValue::Binary(bytes),
        other => other,
    }
}

/// The text of an argument; none if it is null or of another type.
#[must_use]
pub fn text(arguments: &[ScalarValue], at: usize) -> Option<&str> {
    match arguments.get(at)? {
        ScalarValue::Utf8(text) => text.as_deref(),
        _ => None,
    }
}

/// An argument as a whole number; none if it is null or no number.
#[must_use]
pub fn int(arguments: &[ScalarValue], at: usize) -> Option<i64> {
    match arguments.get(at)?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(value) => value,
        _ => None,
    }
}

/// An argument as a float; none if it is null or no number.
#[must_use]
pub fn float(arguments: &[ScalarValue], at: usize) -> Option<f64> {
    match arguments.get(at)?.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(value) => value,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use datafusion::arrow::array::{Array, Decimal128Array, Float64Array, Int64Array, TimestampMicrosecondArray};

    use super::*;

    /// What a function gives for columns, at once and for each row alone.
    fn both(function: &ScalarUDF, arguments: &[ColumnarValue], rows: usize, zone: &str) -> [Vec<ScalarValue>; 2] {
        let mut options = ConfigOptions::new();
        options.execution.time_zone = Some(zone.to_owned());
        let options = Arc::new(options);
        let fields: Vec<FieldRef> =
            arguments.iter().map(|argument| Arc::new(Field::new("a", argument.data_type(), true))).collect();
        let constants: Vec<Option<&ScalarValue>> = arguments
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Scalar(value) => Some(value),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let return_field = function
            .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants })
            .unwrap();
        let call = |args: Vec<ColumnarValue>, number_rows| {
            let (arg_fields, return_field) = (fields.clone(), Arc::clone(&return_field));
            let config_options = Arc::clone(&options);
            let args = ScalarFunctionArgs { args, arg_fields, number_rows, return_field, config_options };
            function.invoke_with_args(args).unwrap().into_array(number_rows).unwrap()
        };
        let whole = call(arguments.to_vec(), rows);
        let alone = |row: usize| {
            let arguments = arguments.iter().map(|argument| match argument {
                ColumnarValue::Array(array) => ColumnarValue::Scalar(ScalarValue::try_from_array(array, row).unwrap()),
                constant @ ColumnarValue::Scalar(_) => constant.clone(),
            });
            ScalarValue::try_from_array(&call(arguments.collect(), 1), 0).unwrap()
        };
        let at = |row: usize| ScalarValue::try_from_array(&whole, row).unwrap();
        [(0..rows).map(at).collect(), (0..rows).map(alone).collect()]
    }

    #[test]
    fn what_does_something_does_it_for_each_row() {
        let calls = Arc::new(AtomicI64::new(0));
        let counted = Arc::clone(&calls);
        let function = RowFunction::action("act", Returns::Always(DataType::Int64, None), true, move |_, _| {
            Ok(ScalarValue::from(counted.fetch_add(1, Ordering::Relaxed)))
        });
        let call = |argument: ScalarValue, number_rows| {
            let args = ScalarFunctionArgs {
                arg_fields: vec![Arc::new(Field::new("a", argument.data_type(), true))],
                args: vec![ColumnarValue::Scalar(argument)],
                number_rows,
                return_field: Arc::new(Field::new("act", DataType::Int64, true)),
                config_options: Arc::new(ConfigOptions::new()),
            };
            let ColumnarValue::Array(values) = function.invoke_with_args(args).unwrap() else { panic!("one value") };
            values.to_data()
        };
        assert_eq!(call(ScalarValue::from(7_i64), 3), Int64Array::from(vec![0_i64, 1, 2]).to_data());
        assert_eq!(call(ScalarValue::Int64(None), 2), Int64Array::from(vec![None::<i64>; 2]).to_data());
        assert_eq!(call(ScalarValue::from(7_i64), 0).len(), 0);
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        assert_eq!(function.signature().volatility, Volatility::Volatile);
    }

    #[test]
    fn columns_give_what_their_rows_give() {
        let functions: Vec<ScalarUDF> =
            [super::super::numbers::functions(), super::super::sets::functions(), super::super::temporal::functions()]
                .concat();
        let find = |name: &str| functions.iter().find(|function| function.name() == name).unwrap();
        let day = 86_400_000_000_i64;
        // Both changes of the clocks of 2024 in Berlin, a leap day, years before Christ, infinities.
        let moments = vec![
            Some(0),
            None,
            Some(1_711_846_799_999_999),
            Some(1_711_846_800_000_001),
            Some(1_729_983_599_000_000),
            Some(1_729_990_800_000_123),
            Some(1_709_210_096_789_000),
            Some(-62_200_000_000_000_000),
            Some(-day * 3 - 1),
            Some(i64::MAX),
            Some(i64::MIN),
        ];
        let rows = moments.len();
        let wall = TimestampMicrosecondArray::from(moments);
        let zoned = wall.clone().with_timezone("UTC");
        let text = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
        for times in [Arc::new(wall) as ArrayRef, Arc::new(zoned) as ArrayRef] {
            for name in ["pg_date_trunc", "pg_extract", "pg_date_part"] {
                for unit in
                    ["second", "hours", "day", "week", "month", "quarter", "year", "century", "dow", "epoch", "isoyear"]
                {
                    if name == "pg_date_trunc" && matches!(unit, "dow" | "epoch" | "isoyear") {
                        continue;
                    }
                    for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu"] {
                        let arguments = [text(unit), ColumnarValue::Array(Arc::clone(&times))];
                        let [whole, alone] = both(find(name), &arguments, rows, zone);
                        assert_eq!(whole, alone, "{name} {unit} {zone} {}", times.data_type());
                    }
                }
            }
        }
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(2.5), Some(-2.5), None, Some(1e300), Some(0.125)]));
        let exact = Decimal128Array::from(vec![Some(25), Some(-25), None, Some(1_234_567), Some(5)]);
        let exact: ArrayRef = Arc::new(exact.with_precision_and_scale(20, 2).unwrap());
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), None, Some(i64::MIN), Some(0)]));
        for name in ["pg_round", "pg_trunc", "pg_sum_of", "pg_mean_of"] {
            for values in [&floats, &exact, &whole] {
                let digits = if name.ends_with("of") { vec![None] } else { vec![None, Some(0_i64), Some(1), Some(-2)] };
                for digits in digits {
                    let mut arguments = vec![ColumnarValue::Array(Arc::clone(values))];
                    arguments.extend(digits.map(|digits| ColumnarValue::Scalar(ScalarValue::from(digits))));
                    let [whole, alone] = both(find(name), &arguments, 5, "UTC");
                    assert_eq!(whole, alone, "{name} {digits:?} {}", values.data_type());
                }
            }
        }
    }
}
