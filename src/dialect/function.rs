//! Functions that are computed row by row from plain values.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::new_empty_array;
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
pub(super) fn session_zone(options: &ConfigOptions) -> Tz {
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

/// A function that is computed row by row.
pub struct RowFunction {
    name: &'static str,
    returns: Returns,
    /// Null if any argument is null.
    strict: bool,
    body: Body,
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
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, returns, strict, body: Arc::new(body), signature })
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
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
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
