//! `traceparent(text, part)`.

use datafusion::arrow::array::StringBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::{Scalar, text_part};
use crate::about::{About, IDENTIFIERS, Kind, Param};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "traceparent",
        section: &IDENTIFIERS,
        syntax: "traceparent(text, part)",
        description: "One part of a W3C Trace Context `traceparent` header, as text. A header that the specification calls invalid gives null: wrong \
                      length, upper-case hex, version `ff`, a trace or parent id of zeros. Versions above `00` may carry more fields, which are ignored.",
        params: &[
            Param::new("text", Kind::Text, "The header's value."),
            Param::new(
                "part",
                Kind::Text,
                "`version`, `trace_id`, `parent_id`, `flags` (two hex digits), `sampled` or `random` (`true` or `false`).",
            ),
        ],
        required: 2,
        example: "
> SELECT traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'trace_id') AS trace_id,
         traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'sampled') AS sampled,
         traceparent('00-00000000000000000000000000000000-00f067aa0ba902b7-01', 'flags') AS of_invalid;
+----------------------------------+---------+------------+
| trace_id                         | sampled | of_invalid |
+----------------------------------+---------+------------+
| 4bf92f3577b34da6a3ce929d0e0e4736 | true    |            |
+----------------------------------+---------+------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Utf8,
    evaluate: |call| text_part::evaluate(&FUNCTION.about, call, PARTS, Part::parse, write),
    overload: None,
};

const PARTS: &str = "version, trace_id, parent_id, flags, sampled, random";

enum Part {
    Version,
    TraceId,
    ParentId,
    Flags,
    Sampled,
    Random,
}

impl Part {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "version" => Self::Version,
            "trace_id" => Self::TraceId,
            "parent_id" => Self::ParentId,
            "flags" => Self::Flags,
            "sampled" => Self::Sampled,
            "random" => Self::Random,
            _ => return None,
        })
    }
}

struct Header<'a> {
    version: &'a str,
    trace_id: &'a str,
    parent_id: &'a str,
    flags: &'a str,
}

/// Section 3.2 of the recommendation.
fn parse(text: &str) -> Option<Header<'_>> {
    let mut fields = text.splitn(5, '-');
    let mut hex = |length: usize| {
        fields
            .next()
            .filter(|f| f.len() == length && f.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
    };
    let header = Header { version: hex(2)?, trace_id: hex(32)?, parent_id: hex(16)?, flags: hex(2)? };
    let more = fields.next().is_some();
    let zeros = |id: &str| id.bytes().all(|b| b == b'0');
    let valid = header.version != "ff"
        && (!more || header.version != "00")
        && !zeros(header.trace_id)
        && !zeros(header.parent_id);
    valid.then_some(header)
}

fn write(text: &str, part: &Part, out: &mut StringBuilder) -> bool {
    let Some(header) = parse(text) else { return false };
    let flag = |bit: u8| {
        let set = u8::from_str_radix(header.flags, 16).is_ok_and(|flags| flags & bit != 0);
        if set { "true" } else { "false" }
    };
    out.append_value(match part {
        Part::Version => header.version,
        Part::TraceId => header.trace_id,
        Part::ParentId => header.parent_id,
        Part::Flags => header.flags,
        Part::Sampled => flag(1),
        Part::Random => flag(2),
    });
    true
}
