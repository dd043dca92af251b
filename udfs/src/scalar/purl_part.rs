//! `purl_part(purl, field)`.

use std::borrow::Cow;

use datafusion::arrow::array::StringBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Scalar, text_part};
use crate::about::{About, IDENTIFIERS, Kind, Param};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "purl_part",
        section: &IDENTIFIERS,
        syntax: "purl_part(purl, field)",
        description: "One field of a package URL, `pkg:type/namespace/name@version?qualifiers#subpath`, percent-decoded. Null if the text is no package URL or has no such \
                      field. Type and qualifier keys come in lower case, and so do the names that their type declares case-insensitive (bitbucket, composer, github, pypi; \
                      in pypi `_` becomes `-`).",
        params: &[
            Param::new("purl", Kind::Text, "The package URL."),
            Param::new(
                "field",
                Kind::Text,
                "`type`, `namespace`, `name`, `version`, `subpath`, `qualifiers` (all of them, in canonical form) or `qualifiers.KEY`.",
            ),
        ],
        required: 2,
        example: "
> SELECT field, purl_part('pkg:npm/%40acme/web-ui@4.2.0-rc%2B1?arch=arm64&checksum=sha256:de4d#dist/main.js', field) AS part
  FROM (VALUES ('type'), ('namespace'), ('name'), ('version'), ('qualifiers'), ('qualifiers.arch'), ('subpath')) AS t(field);
+-----------------+---------------------------------+
| field           | part                            |
+-----------------+---------------------------------+
| type            | npm                             |
| namespace       | @acme                           |
| name            | web-ui                          |
| version         | 4.2.0-rc+1                      |
| qualifiers      | arch=arm64&checksum=sha256:de4d |
| qualifiers.arch | arm64                           |
| subpath         | dist/main.js                    |
+-----------------+---------------------------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Utf8,
    evaluate: |call| text_part::evaluate(&FUNCTION.about, call, FIELDS, Field::parse, write),
    overload: None,
};

const FIELDS: &str = "type, namespace, name, version, qualifiers, qualifiers.KEY, subpath";

enum Field<'a> {
    Type,
    Namespace,
    Name,
    Version,
    Qualifiers,
    Qualifier(&'a str),
    Subpath,
}

impl<'a> Field<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "namespace" => Self::Namespace,
            "name" => Self::Name,
            "version" => Self::Version,
            "qualifiers" => Self::Qualifiers,
            "subpath" => Self::Subpath,
            _ => Self::Qualifier(name.strip_prefix("qualifiers.").filter(|key| !key.is_empty())?),
        })
    }
}

/// The fields, not yet decoded.
struct Purl<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    version: Option<&'a str>,
    qualifiers: &'a str,
    subpath: &'a str,
}

impl<'a> Purl<'a> {
    /// The specification's steps, from the right.
    fn parse(text: &'a str) -> Option<Self> {
        let (rest, subpath) = text.rsplit_once('#').unwrap_or((text, ""));
        let (rest, qualifiers) = rest.rsplit_once('?').unwrap_or((rest, ""));
        let (scheme, rest) = rest.split_once(':')?;
        let (kind, rest) = rest.trim_start_matches('/').split_once('/')?;
        let rest = rest.trim_matches('/');
        // An `@` that begins a segment is a scope that was not encoded, as in pkg:npm/@acme/web-ui.
        let at = rest.rfind('@').filter(|i| *i > 0 && rest.as_bytes()[i - 1] != b'/');
        let (path, version) = at.map_or((rest, None), |i| (&rest[..i], Some(&rest[i + 1..])));
        let (namespace, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        let kind_letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
        let valid = scheme.eq_ignore_ascii_case("pkg")
            && !name.is_empty()
            && kind.bytes().all(kind_letters)
            && kind.starts_with(|c: char| c.is_ascii_alphabetic());
        valid.then_some(Self { kind, namespace, name, version, qualifiers, subpath })
    }

    fn is_one_of(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|k| k.eq_ignore_ascii_case(self.kind))
    }

    /// Namespace and name in their type's canonical case.
    fn canonical(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        if self.is_one_of(&["bitbucket", "composer", "github"]) {
            Cow::Owned(name.to_lowercase())
        } else if self.is_one_of(&["pypi"]) {
            Cow::Owned(name.to_lowercase().replace('_', "-"))
        } else {
            name
        }
    }

    fn qualifiers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.qualifiers.split('&').filter_map(|q| q.split_once('=')).filter(|(k, v)| !k.is_empty() && !v.is_empty())
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Segments decoded and joined again; `skip` names those that do not count.
fn path<'a>(text: &'a str, skip: &[&str]) -> Option<Cow<'a, str>> {
    if !text.contains(['%', '.']) && !text.contains("//") {
        return Some(Cow::Borrowed(text.trim_matches('/')));
    }
    let segments = text.split('/').map(decode).collect::<Option<Vec<_>>>()?;
    let kept: Vec<&str> = segments.iter().map(AsRef::as_ref).filter(|s| !s.is_empty() && !skip.contains(s)).collect();
    Some(Cow::Owned(kept.join("/")))
}

/// Besides letters and digits the specification leaves these as they are.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':').remove(b'/');

fn canonical_qualifiers(purl: &Purl) -> Option<String> {
    let mut all = purl
        .qualifiers()
        .map(|(key, value)| Some((key.to_ascii_lowercase(), decode(value)?)))
        .collect::<Option<Vec<_>>>()?;
    all.sort();
    let pairs: Vec<_> = all.iter().map(|(k, v)| format!("{k}={}", utf8_percent_encode(v, ENCODED))).collect();
    Some(pairs.join("&"))
}

fn write(text: &str, field: &Field, out: &mut StringBuilder) -> bool {
    let Some(purl) = Purl::parse(text) else { return false };
    let part = match field {
        Field::Type => Some(Cow::Owned(purl.kind.to_ascii_lowercase())),
        Field::Namespace => path(purl.namespace, &[]).map(|n| purl.canonical(n)),
        Field::Name => decode(purl.name).map(|n| purl.canonical(n)),
        Field::Version => purl.version.and_then(decode),
        Field::Qualifiers => canonical_qualifiers(&purl).map(Cow::Owned),
        Field::Qualifier(key) => {
            purl.qualifiers().find(|(k, _)| k.eq_ignore_ascii_case(key)).and_then(|(_, v)| decode(v))
        }
        Field::Subpath => path(purl.subpath, &[".", ".."]),
    };
    text_part::append(part.as_deref(), out)
}
