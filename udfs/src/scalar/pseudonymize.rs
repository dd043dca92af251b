//! `pseudonymize(value, purpose)`.

use std::fmt::{self, Write};
use std::sync::Arc;

use datafusion::arrow::array::StringBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Volatility;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Call, Scalar};
use crate::about::{About, IDENTIFIERS, Kind, Param};
use crate::config::PseudonymOptions;

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "pseudonymize",
        section: &IDENTIFIERS,
        syntax: "pseudonymize(value, purpose)",
        description: "A pseudonym that stands for a value everywhere and that nobody without the key can trace back: `p`, the key's version, `_` and 128 bits in hex of \
                      HMAC-SHA-256. The same value gets unrelated pseudonyms for different purposes, so that data sets made for different purposes cannot be joined by \
                      them. The key is the option `ascribe.pseudonym_key` (16 bytes or more; without it the function fails); raise `ascribe.pseudonym_key_version` \
                      when it changes.",
        params: &[
            Param::new("value", Kind::Key, "What to hide; null stays null."),
            Param::new("purpose", Kind::Text, "What the pseudonym is for, such as `billing`."),
        ],
        required: 2,
        example: "
> SET ascribe.pseudonym_key = 'an example, never a real key';
> SELECT pseudonymize('ada@example.com', 'billing') AS billing, pseudonymize('ada@example.com', 'support') AS support;
+-------------------------------------+-------------------------------------+
| billing                             | support                             |
+-------------------------------------+-------------------------------------+
| p1_e60070253552be3befba43fa94232847 | p1_92bc89dca40ef12defe9626a8c35392f |
+-------------------------------------+-------------------------------------+
",
    },
    // The key is a setting.
    volatility: Volatility::Stable,
    returns: |_| DataType::Utf8,
    evaluate: |call| {
        let keys = Keys::of(call)?;
        let (values, purposes) = (call.columns[0].text()?, call.columns[1].text()?);
        let constant = if purposes.is_scalar() { purposes.get(0).map(|p| keys.purpose(p)).transpose()? } else { None };
        let mut out = StringBuilder::with_capacity(call.rows, call.rows * 40);
        for row in 0..call.rows {
            let (Some(value), Some(purpose)) = (values.get(row), purposes.get(row)) else {
                out.append_null();
                continue;
            };
            let mac = match &constant {
                Some(mac) => mac.clone(),
                None => keys.purpose(purpose)?,
            };
            append(mac, keys.version, value, &mut out).map_err(|e| FUNCTION.about.error(e))?;
            out.append_value("");
        }
        Ok(Arc::new(out.finish()))
    },
    overload: None,
};

/// Separates these keys from other uses of the same secret, and this construction from later ones.
const DOMAIN: &[u8] = b"ascribe pseudonym 1\0";

/// Pseudonyms of one key for one purpose, made outside of a query: the same as those of `pseudonymize(value, purpose)` with the option
/// `ascribe.pseudonym_key` set to the key and `ascribe.pseudonym_key_version` to its version.
#[derive(Clone)]
pub struct Pseudonyms {
    mac: Hmac<Sha256>,
    version: u32,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Pseudonyms {
    /// Of a key and its version.
    ///
    /// # Errors
    ///
    /// A key of less than [`PseudonymOptions::SHORTEST_KEY`] bytes.
    pub fn new(key: &[u8], version: u32, purpose: &str) -> Result<Self> {
        PseudonymOptions::with_key(key, version)?;
        Ok(Self { mac: Keys { root: mac(key)?, version }.purpose(purpose)?, version })
    }

    /// The pseudonym of a value.
    #[must_use]
    pub fn of(&self, value: &str) -> String {
        let mut out = String::with_capacity(40);
        // Writing to a text does not fail.
        append(self.mac.clone(), self.version, value, &mut out).unwrap_or_default();
        out
    }

    /// Whether a text has the form of a pseudonym, of whatever key.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        let digits = |text: &str, set: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(set);
        text.strip_prefix('p').and_then(|rest| rest.split_once('_')).is_some_and(|(version, tag)| {
            let lowercase_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            version.len() <= 10 && digits(version, u8::is_ascii_digit) && tag.len() == 32 && digits(tag, lowercase_hex)
        })
    }
}

struct Keys {
    root: Hmac<Sha256>,
    version: u32,
}

impl Keys {
    fn of(call: &Call) -> Result<Self> {
        let options = call.config.extensions.get::<PseudonymOptions>();
        let Some((key, version)) = options.and_then(|o| Some((o.key()?, o.version()))) else {
            return Err(DataFusionError::Configuration(
                "pseudonymize needs a key: set the option ascribe.pseudonym_key, 16 bytes or more".into(),
            ));
        };
        Ok(Self { root: mac(key)?, version })
    }

    /// A key of its own for each purpose.
    fn purpose(&self, purpose: &str) -> Result<Hmac<Sha256>> {
        let mut derived = self.root.clone();
        derived.update(DOMAIN);
        derived.update(purpose.as_bytes());
        mac(&derived.finalize().into_bytes())
    }
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>> {
    Hmac::new_from_slice(key).map_err(|e| FUNCTION.about.error(e))
}

fn append(mut mac: Hmac<Sha256>, version: u32, value: &str, out: &mut impl Write) -> fmt::Result {
    mac.update(value.as_bytes());
    let tag = mac.finalize().into_bytes();
    write!(out, "p{version}_")?;
    tag.iter().take(16).try_for_each(|byte| write!(out, "{byte:02x}"))
}
