//! Which values may be put into columns of another type.

use super::encode::{element_of, oid};

/// Whether PostgreSQL puts values of a type into a column of another one without being told to, by their OIDs: its casts
/// `AS ASSIGNMENT` and `AS IMPLICIT`, and whatever there is as text. A text is read as anything, which is more than
/// PostgreSQL does.
#[must_use]
pub fn assignable(from: u32, to: u32) -> bool {
    let text = |kind: u32| matches!(kind, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR);
    let whole = |kind: u32| matches!(kind, oid::INT2 | oid::INT4 | oid::INT8);
    let number = |kind: u32| whole(kind) || matches!(kind, oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC);
    let day = |kind: u32| matches!(kind, oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ);
    if from == to || text(from) || text(to) {
        return true;
    }
    match (element_of(from), element_of(to)) {
        (Some(from), Some(to)) => assignable(from, to),
        (None, None) => {
            (number(from) && number(to))
                || (day(from) && day(to))
                || (whole(from) && to == oid::OID)
                || (from == oid::OID && matches!(to, oid::INT4 | oid::INT8))
                || (matches!(from, oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL) && to == oid::TIME)
                || matches!((from, to), (oid::TIME, oid::INTERVAL) | (oid::JSON, oid::JSONB) | (oid::JSONB, oid::JSON))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_cast_for_assignment_is_told_from_what_has_not() {
        let (texts, numbers, whole) = (1009, 1231, 1016);
        for (from, to, expected) in [
            (oid::INT8, oid::INT4, true),
            (oid::NUMERIC, oid::FLOAT8, true),
            (oid::INT8, oid::TEXT, true),
            (oid::JSONB, oid::TEXT, true),
            (texts, oid::TEXT, true),
            (oid::TIMESTAMPTZ, oid::DATE, true),
            (oid::DATE, oid::TIMESTAMPTZ, true),
            (oid::TIMESTAMPTZ, oid::TIME, true),
            (oid::JSON, oid::JSONB, true),
            (whole, numbers, true),
            (oid::TEXT, oid::TIMESTAMPTZ, true),
            (oid::BOOL, oid::INT4, false),
            (oid::INT4, oid::BOOL, false),
            (oid::INT8, oid::TIMESTAMPTZ, false),
            (oid::DATE, oid::TIME, false),
            (oid::INTERVAL, oid::INT8, false),
            (oid::INT4, oid::JSONB, false),
            (oid::JSONB, oid::INT4, false),
            (whole, oid::INT8, false),
            (oid::INT8, whole, false),
            (oid::JSONB, texts, false),
            (oid::UUID, oid::BYTEA, false),
        ] {
            assert_eq!(assignable(from, to), expected, "{from} to {to}");
        }
    }
}
