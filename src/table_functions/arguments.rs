//! The arguments of a call as values: known when the statement is planned, or asked for when it runs.

use chrono_tz::Tz;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::LogicalPlan;

use super::{Argument, ArgumentType, Signature};
use crate::dialect::encode::oid;
use crate::dialect::input;
use crate::error::{Error, UserError, sqlstate};

/// What a call is given.
#[derive(Debug)]
pub(super) enum Arguments {
    /// A value for each argument.
    Known(Vec<ScalarValue>),
    /// The query whose one row has them, for at least one of them is a subquery.
    Asked(LogicalPlan, Moment),
}

/// When and where a statement is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The zone of the session.
    pub(super) zone: Tz,
    /// Microseconds since the epoch, if it is known.
    pub(super) now: Option<i64>,
}

impl Moment {
    /// The values as those of the arguments. Beside a relation none is required.
    pub(super) fn settle(
        self,
        signature: &Signature,
        values: Vec<ScalarValue>,
        has_relation: bool,
    ) -> Result<Vec<ScalarValue>> {
        let settle = |(value, declared): (ScalarValue, &Argument)| {
            let value = self.converted(signature, declared, &value)?;
            if declared.required && !has_relation && value.is_null() {
                let message = format!("{}: argument {} is null", signature.name, declared.name());
                return Err(UserError::invalid(message).hint(called_as(signature)).into());
            }
            Ok(value)
        };
        values.into_iter().zip(signature.arguments).map(settle).collect()
    }

    /// The same of the one row of a query.
    pub(super) fn settle_row(self, signature: &Signature, row: &[RecordBatch]) -> Result<Vec<ScalarValue>> {
        let Some(row) = row.iter().find(|batch| batch.num_rows() > 0) else {
            return datafusion::common::internal_err!("the arguments of a call are one row");
        };
        let values = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        self.settle(signature, values.collect::<Result<_>>()?, false)
    }

    /// The value as the type of its argument. What PostgreSQL would not convert in a call is not converted here either: a
    /// number is no time, and a list no text. Times without a zone are those that the clocks of the session's show.
    fn converted(self, signature: &Signature, declared: &Argument, value: &ScalarValue) -> Result<ScalarValue> {
        let (kind, given) = (declared.kind, value.data_type());
        if let DataType::Dictionary(_, inner) = &given {
            return self.converted(signature, declared, &value.cast_to(inner)?);
        }
        let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let fits = text
            || match kind {
                ArgumentType::Time => matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
                ArgumentType::Interval => matches!(given, DataType::Interval(_) | DataType::Duration(_)),
                ArgumentType::Int => given.is_integer(),
                ArgumentType::Double | ArgumentType::Text => given.is_numeric(),
            };
        if !fits && !value.is_null() {
            let shown = if given.is_temporal() { "another kind of time".to_owned() } else { value.to_string() };
            let why = format!("argument {} is of type {} and cannot be {shown}", declared.name(), kind.sql_name());
            return Err(bad_call(signature, why));
        }
        let read = |error: Error| {
            let told = error.describe();
            let detail = told.detail.clone().unwrap_or_default();
            let of = format!("It is argument {} of {}.", declared.name(), signature.name);
            DataFusionError::from(told.detail(format!("{of} {detail}").trim_end()).hint(called_as(signature)))
        };
        let value = match (value.try_as_str().flatten(), kind.oid()) {
            (Some(_), oid::TEXT) | (None, _) => value.clone(),
            (Some(text), oid) => match self.now {
                Some(now) => input::value_at(text, oid, self.zone, now),
                None => input::value(text, oid, self.zone),
            }
            .map_err(read)?,
        };
        let value = match value.data_type() {
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 if kind == ArgumentType::Time => {
                match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None))? {
                    ScalarValue::TimestampMicrosecond(wall, _) => {
                        let micros = wall.and_then(|wall| input::shown_at(wall, self.zone));
                        ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()))
                    }
                    other => other,
                }
            }
            _ => value,
        };
        value.cast_to(&kind.data_type()).map_err(|_| {
            let message = format!("value \"{value}\" is out of range for type {}", kind.sql_name());
            read(UserError::new(sqlstate::OUT_OF_RANGE, message).into())
        })
    }
}

pub(super) fn bad_call(signature: &Signature, why: String) -> DataFusionError {
    UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("cannot call {}: {why}", signature.name))
        .hint(called_as(signature))
        .into()
}

pub(super) fn called_as(signature: &Signature) -> String {
    format!("it is called as {}({})", signature.name, signature.argument_list())
}
