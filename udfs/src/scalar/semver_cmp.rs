//! `semver_cmp(a, b)`.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::Int32Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::Scalar;
use crate::about::{About, IDENTIFIERS, Kind, Param};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "semver_cmp",
        section: &IDENTIFIERS,
        syntax: "semver_cmp(a, b)",
        description: "-1, 0 or 1 as version `a` precedes, equals or follows `b` by the rules of Semantic Versioning 2.0.0: pre-releases come before their release, \
                      build metadata does not count. Taken as well: a leading `v`, one or two numbers (`1.2` is `1.2.0`), leading zeros (`2026.01.5`). Anything \
                      else, such as a commit hash, has no order and gives null.",
        params: &[Param::new("a", Kind::Text, "A version."), Param::new("b", Kind::Text, "Another.")],
        required: 2,
        example: "
> SELECT a, b, semver_cmp(a, b) AS cmp
  FROM (VALUES ('v1.9.0', '1.10.0'), ('1.0.0', '1.0.0-rc.1'), ('1.0.0-rc.2', '1.0.0-rc.11'), ('1.4.2+a1', '1.4.2+b7'), ('1.4.2', '3f2c9ab')) AS t(a, b);
+------------+-------------+-----+
| a          | b           | cmp |
+------------+-------------+-----+
| v1.9.0     | 1.10.0      | -1  |
| 1.0.0      | 1.0.0-rc.1  | 1   |
| 1.0.0-rc.2 | 1.0.0-rc.11 | -1  |
| 1.4.2+a1   | 1.4.2+b7    | 0   |
| 1.4.2      | 3f2c9ab     |     |
+------------+-------------+-----+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Int32,
    evaluate: |call| {
        let (a, b) = (call.columns[0].text()?, call.columns[1].text()?);
        let compare = |row| Some(Version::parse(a.get(row)?)?.cmp(&Version::parse(b.get(row)?)?) as i32);
        Ok(Arc::new((0..call.rows).map(compare).collect::<Int32Array>()))
    },
    overload: None,
};

struct Version<'a> {
    core: [&'a str; 3],
    pre_release: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (text, None),
        };
        let mut core = ["0"; 3];
        for (i, number) in numbers.split('.').enumerate() {
            *core.get_mut(i)? = Some(number).filter(|n| is_number(n))?;
        }
        let word = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let in_order = |id: &str| !(is_number(id) && id.len() > 1 && id.starts_with('0'));
        let valid = build.is_none_or(|b| b.split('.').all(word))
            && pre_release.is_none_or(|p| p.split('.').all(|id| word(id) && in_order(id)));
        valid.then_some(Self { core, pre_release: pre_release.unwrap_or_default() })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let core = self.core.iter().zip(other.core).map(|(a, b)| compare_numbers(a, b));
        core.fold(Ordering::Equal, Ordering::then).then_with(|| {
            match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
                (false, false) => compare_pre_releases(self.pre_release, other.pre_release),
                (mine, others) => mine.cmp(&others),
            }
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Numbers of any length, by value.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Section 11.4: numbers by value and below words, words by ASCII, more fields above fewer.
fn compare_pre_releases(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) if a.is_none() || b.is_none() => return a.is_some().cmp(&b.is_some()),
            (a, b) => {
                let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
                match (is_number(a), is_number(b)) {
                    (true, true) => compare_numbers(a, b),
                    (false, false) => a.cmp(b),
                    (a, b) => b.cmp(&a),
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}
