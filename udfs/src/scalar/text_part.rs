//! The shape that functions share which take a text apart and return one of its fields, named by the second argument.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::common::Result;

use super::Call;
use crate::about::About;

/// Reads the field's name once if it is constant, then writes each row's field. `write` returns false for a text that
/// has no such field or is malformed, having written nothing.
pub(super) fn evaluate<'a, F>(
    about: &About,
    call: &'a Call,
    names: &str,
    parse: impl Fn(&'a str) -> Option<F>,
    write: impl Fn(&str, &F, &mut StringBuilder) -> bool,
) -> Result<ArrayRef> {
    let (texts, fields) = (call.columns[0].text()?, call.columns[1].text()?);
    let parse = |row| {
        fields.get(row).map(|name| {
            parse(name).ok_or_else(|| about.error(format_args!("there is no part {name:?}; there are {names}")))
        })
    };
    let constant = if fields.is_scalar() { parse(0).transpose()? } else { None };
    let mut out = StringBuilder::with_capacity(call.rows, call.rows * 16);
    for row in 0..call.rows {
        let own = if fields.is_scalar() { None } else { parse(row).transpose()? };
        let written = match (texts.get(row), constant.as_ref().or(own.as_ref())) {
            (Some(text), Some(field)) => write(text, field, &mut out),
            _ => false,
        };
        if !written {
            out.append_null();
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Appends a part, if there is one and it is not empty.
pub(super) fn append(part: Option<&str>, out: &mut StringBuilder) -> bool {
    match part {
        Some(part) if !part.is_empty() => {
            out.append_value(part);
            true
        }
        _ => false,
    }
}
