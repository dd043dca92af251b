//! The options that functions read from the session.

use std::any::Any;
use std::fmt;

use datafusion::common::{Result, config_err};
use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};

/// What `SHOW` prints in place of a key that is set.
const HIDDEN: &str = "(hidden)";

/// The key of `pseudonymize`, under `ascribe.pseudonym_key` and `ascribe.pseudonym_key_version`.
///
/// In Rust: `SessionConfig::new().with_option_extension(PseudonymOptions::with_key(key, 1)?)`. In SQL, where who may run `SET` is trusted
/// with the key: `SET ascribe.pseudonym_key = '…'`. Listing the options shows only whether there is a key.
#[derive(Clone)]
pub struct PseudonymOptions {
    key: Option<Vec<u8>>,
    version: u32,
}

impl Default for PseudonymOptions {
    fn default() -> Self {
        Self { key: None, version: 1 }
    }
}

impl fmt::Debug for PseudonymOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|_| HIDDEN);
        f.debug_struct("PseudonymOptions").field("key", &key).field("version", &self.version).finish()
    }
}

impl PseudonymOptions {
    /// The shortest key, in bytes: below 128 bits one can be found by trying.
    pub const SHORTEST_KEY: usize = 16;

    /// Options with a key. The version appears in each pseudonym, so that after a change of key old and new ones can be told apart.
    ///
    /// # Errors
    ///
    /// A key of less than [`Self::SHORTEST_KEY`] bytes.
    pub fn with_key(key: impl Into<Vec<u8>>, version: u32) -> Result<Self> {
        let key = key.into();
        if key.len() < Self::SHORTEST_KEY {
            return config_err!(
                "ascribe.pseudonym_key has {} bytes; it needs at least {}",
                key.len(),
                Self::SHORTEST_KEY
            );
        }
        Ok(Self { key: Some(key), version })
    }

    /// The key, if one is set.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The key's version.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }
}

impl ConfigExtension for PseudonymOptions {
    const PREFIX: &'static str = "ascribe";
}

impl ExtensionOptions for PseudonymOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "pseudonym_key" if value.is_empty() => self.key = None,
            "pseudonym_key" => *self = Self::with_key(value, self.version)?,
            "pseudonym_key_version" => match value.parse() {
                Ok(version) => self.version = version,
                Err(_) => return config_err!("ascribe.pseudonym_key_version is a whole number, not {value:?}"),
            },
            other => return config_err!("there is no option ascribe.{other}"),
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![
            ConfigEntry {
                key: "ascribe.pseudonym_key".into(),
                value: self.key.as_ref().map(|_| HIDDEN.into()),
                description: "The key of pseudonymize(), 16 bytes or more. Never shown.",
            },
            ConfigEntry {
                key: "ascribe.pseudonym_key_version".into(),
                value: Some(self.version.to_string()),
                description: "The number in the pseudonyms made with the key; raise it when the key changes.",
            },
        ]
    }
}
