//! The settings of a client's session, with PostgreSQL's names and meanings.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use parking_lot::RwLock;

use crate::error::{Result, UserError, sqlstate};

/// The version of PostgreSQL whose behaviour clients may count on.
pub const POSTGRES_VERSION: &str = "16.6";

/// What `server_version` says; drivers parse the number at its beginning.
#[must_use]
pub fn server_version() -> String {
    format!("{POSTGRES_VERSION} (Ascribe {})", env!("CARGO_PKG_VERSION"))
}

/// What `version()` says.
#[must_use]
pub fn version() -> String {
    format!("PostgreSQL {POSTGRES_VERSION} (Ascribe {}) on {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

/// What values a setting can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody can change it.
    Fixed,
    /// Anything.
    Text,
    /// on or off.
    Bool,
    /// A whole number between two.
    Int(i64, i64),
    /// A time in milliseconds; a number or a number with a unit.
    Millis,
    /// One of these words; the first are understood, and those behind the bar are not supported.
    OneOf(&'static [&'static str]),
    /// A name of the time zone database.
    Zone,
    /// ISO, with an order of the fields.
    DateStyle,
}

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// Name in PostgreSQL's spelling.
    pub name: &'static str,
    /// Value of a new session.
    pub default: &'static str,
    /// Values that it can have.
    pub kind: Kind,
    /// Whether clients are told when it changes.
    pub report: bool,
    /// What it means.
    pub doc: &'static str,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind, report: bool, doc: &'static str) -> Setting {
    Setting { name, default, kind, report, doc }
}

/// Every setting, by name.
pub static SETTINGS: &[Setting] = &[
    setting("application_name", "", Kind::Text, true, "The name that the client gives itself."),
    setting("bytea_output", "hex", Kind::OneOf(&["hex"]), false, "How bytea is printed."),
    setting("client_encoding", "UTF8", Kind::OneOf(&["utf8", "unicode", "utf-8"]), true, "The client's character set."),
    setting("client_min_messages", "notice", Kind::Text, false, "The least severe message that is sent."),
    setting("DateStyle", "ISO, MDY", Kind::DateStyle, true, "How dates are printed."),
    setting("default_table_access_method", "delta", Kind::Fixed, false, "How tables are stored."),
    setting("default_tablespace", "", Kind::Text, false, "Nothing here has a place of its own."),
    setting("default_transaction_deferrable", "off", Kind::Bool, false, "Whether new transactions are deferrable."),
    setting("default_transaction_isolation", "read committed", Kind::Text, false, "The isolation of new transactions."),
    setting("default_transaction_read_only", "off", Kind::Bool, true, "Whether new transactions only read."),
    setting("extra_float_digits", "1", Kind::Int(-15, 3), false, "Floats are always printed exactly."),
    setting("idle_in_transaction_session_timeout", "0", Kind::Millis, false, "Longest idle time in a transaction."),
    setting("in_hot_standby", "off", Kind::Fixed, true, "Whether this is a standby."),
    setting("integer_datetimes", "on", Kind::Fixed, true, "Times are integers on the wire."),
    setting("IntervalStyle", "postgres", Kind::OneOf(&["postgres"]), true, "How intervals are printed."),
    setting("is_superuser", "off", Kind::Fixed, true, "Whether the user may do everything."),
    setting("jit", "off", Kind::Bool, false, "Queries are not compiled to machine code."),
    setting("lc_collate", "C", Kind::Fixed, false, "Text is ordered by its bytes."),
    setting("lc_ctype", "C", Kind::Fixed, false, "Letters are classified by code point."),
    setting("lc_messages", "C", Kind::Text, false, "The language of messages."),
    setting("lc_monetary", "C", Kind::Text, false, "How money is printed."),
    setting("lock_timeout", "0", Kind::Millis, false, "Longest wait for a lock; nothing here locks."),
    setting("max_identifier_length", "63", Kind::Fixed, false, "Letters in a name."),
    setting("max_index_keys", "32", Kind::Fixed, false, "Columns in an index."),
    setting("row_security", "on", Kind::Bool, false, "Row policies always apply."),
    setting("scram_iterations", "4096", Kind::Fixed, true, "Rounds of SCRAM."),
    setting("search_path", "\"$user\", public", Kind::Text, true, "Schemas that unqualified names are looked for in."),
    setting("server_encoding", "UTF8", Kind::Fixed, true, "The server's character set."),
    setting("server_version", "", Kind::Fixed, true, "The version of the server."),
    setting("server_version_num", "160006", Kind::Fixed, false, "The version of the server as a number."),
    setting("session_authorization", "", Kind::Fixed, true, "The name of the user."),
    setting(
        "standard_conforming_strings",
        "on",
        Kind::OneOf(&["on", "true", "yes", "1"]),
        true,
        "Backslashes in plain strings mean themselves.",
    ),
    setting("statement_timeout", "0", Kind::Millis, false, "Longest time of a statement, milliseconds; 0 is none."),
    setting("synchronous_commit", "on", Kind::Text, false, "A commit is in the object store when it is reported."),
    setting("TimeZone", "UTC", Kind::Zone, true, "The zone that times are shown in."),
    setting("transaction_deferrable", "off", Kind::Bool, false, "Whether this transaction is deferrable."),
    setting("transaction_isolation", "read committed", Kind::Text, false, "The isolation of this transaction."),
    setting("transaction_read_only", "off", Kind::Bool, false, "Whether this transaction only reads."),
    setting("work_mem", "4096", Kind::Text, false, "The engine shares one pool of memory; this is not used."),
];

/// The setting of that name in any spelling.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> UserError {
    UserError::new(sqlstate::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// The settings of one session.
#[derive(Debug)]
pub struct Settings {
    values: RwLock<BTreeMap<String, String>>,
    /// What `RESET` goes back to, where it is not the built-in default.
    defaults: RwLock<BTreeMap<String, String>>,
}

impl Default for Settings {
    fn default() -> Self {
        let defaults = BTreeMap::from([("server_version".to_owned(), server_version())]);
        Self { values: RwLock::default(), defaults: RwLock::new(defaults) }
    }
}

impl Settings {
    /// The value of a setting.
    ///
    /// # Errors
    /// When there is no such setting (42704).
    pub fn get(&self, name: &str) -> Result<String> {
        let key = name.to_ascii_lowercase();
        if let Some(value) = self.values.read().get(&key) {
            return Ok(value.clone());
        }
        if let Some(value) = self.defaults.read().get(&key) {
            return Ok(value.clone());
        }
        Ok(find(name).ok_or_else(|| unknown(name))?.default.to_owned())
    }

    /// Change a setting; gives back its value as `SHOW` shows it.
    ///
    /// # Errors
    /// When there is no such setting, it cannot be changed, or not to that.
    pub fn set(&self, name: &str, value: &str) -> Result<String> {
        let value = check(name, value)?;
        self.values.write().insert(name.to_ascii_lowercase(), value.clone());
        Ok(value)
    }

    /// Set what the connection starts with, and `RESET` goes back to.
    pub fn start(&self, name: &str, value: &str) {
        self.defaults.write().insert(name.to_ascii_lowercase(), value.to_owned());
    }

    /// Back to the default.
    ///
    /// # Errors
    /// When there is no such setting.
    pub fn reset(&self, name: &str) -> Result<()> {
        if find(name).is_none() && !name.contains('.') {
            return Err(unknown(name).into());
        }
        self.values.write().remove(&name.to_ascii_lowercase());
        Ok(())
    }

    /// Every setting with its value and what it means, as SHOW ALL shows them.
    ///
    /// # Errors
    /// None: every setting has a value.
    pub fn all(&self) -> Result<Vec<Vec<String>>> {
        let row =
            |setting: &Setting| Ok(vec![setting.name.to_owned(), self.get(setting.name)?, setting.doc.to_owned()]);
        SETTINGS.iter().map(row).collect()
    }

    /// All that was set.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, String> {
        self.values.read().clone()
    }

    /// Back to what was set at a time.
    pub fn restore(&self, snapshot: BTreeMap<String, String>) {
        *self.values.write() = snapshot;
    }

    /// The zone that times are shown in.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.get("TimeZone").ok().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
    }

    /// The longest time of a statement.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<std::time::Duration> {
        let millis: u64 = self.get("statement_timeout").ok().and_then(|text| millis(&text)).unwrap_or(0);
        (millis > 0).then(|| std::time::Duration::from_millis(millis))
    }
}

/// A time as PostgreSQL shows it: in the largest unit that divides it.
fn show_millis(millis: u64) -> String {
    match millis {
        0 => "0".to_owned(),
        days if days % 86_400_000 == 0 => format!("{}d", days / 86_400_000),
        hours if hours % 3_600_000 == 0 => format!("{}h", hours / 3_600_000),
        minutes if minutes % 60_000 == 0 => format!("{}min", minutes / 60_000),
        seconds if seconds % 1000 == 0 => format!("{}s", seconds / 1000),
        other => format!("{other}ms"),
    }
}

fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..=2_147_483_647.0).contains(&value).then(|| value.round() as u64)
}

fn check(name: &str, value: &str) -> Result<String> {
    let Some(setting) = find(name) else {
        // A name with a dot belongs to an extension and is kept as it is.
        return if name.contains('.') { Ok(value.to_owned()) } else { Err(unknown(name).into()) };
    };
    let bad = || UserError::invalid(format!("invalid value for parameter \"{}\": \"{value}\"", setting.name));
    let lower = value.trim().to_lowercase();
    Ok(match setting.kind {
        Kind::Fixed => {
            let error = UserError::new("55P02", format!("parameter \"{}\" cannot be changed", setting.name));
            return Err(error.into());
        }
        Kind::Text => value.to_owned(),
        Kind::Bool => match lower.as_str() {
            "on" | "true" | "t" | "yes" | "y" | "1" => "on".to_owned(),
            "off" | "false" | "f" | "no" | "n" | "0" => "off".to_owned(),
            _ => return Err(bad().detail("it is on or off").into()),
        },
        Kind::Int(least, most) => {
            let number: i64 = lower.parse().map_err(|_| bad())?;
            if !(least..=most).contains(&number) {
                return Err(bad().detail(format!("it is between {least} and {most}")).into());
            }
            number.to_string()
        }
        Kind::Millis => show_millis(millis(&lower).ok_or_else(|| {
            bad().hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
        })?),
        // A value of a connection string may come in quotes.
        Kind::OneOf(words) if words.contains(&lower.trim_matches('\'')) => setting.default.to_owned(),
        Kind::OneOf(_) => {
            let error =
                UserError::new(sqlstate::NOT_SUPPORTED, format!("{} can only be {}", setting.name, setting.default));
            return Err(error.into());
        }
        Kind::Zone => zone(value).ok_or_else(bad)?.name().to_owned(),
        Kind::DateStyle => date_style(&lower).ok_or_else(bad)?,
    })
}

fn date_style(value: &str) -> Option<String> {
    let mut order = "MDY";
    for word in value.split(',').map(str::trim) {
        match word {
            "iso" | "default" => {}
            "mdy" | "us" | "noneuro" | "noneuropean" => order = "MDY",
            "dmy" | "euro" | "european" => order = "DMY",
            "ymd" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("ISO, {order}"))
}

/// A zone by its name in any spelling, or by whole hours east of Greenwich.
fn zone(name: &str) -> Option<Tz> {
    let name = name.trim();
    let known = match name.to_ascii_lowercase().as_str() {
        "utc" | "gmt" | "z" | "zulu" | "default" | "local" => Some(Tz::UTC),
        _ => chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied(),
    };
    known.or_else(|| {
        let hours: i32 = name.trim_end_matches(":00").parse().ok()?;
        if hours == 0 {
            return Some(Tz::UTC);
        }
        // The database names these zones by hours west.
        format!("Etc/GMT{:+}", -hours).parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_and_shown_like_postgresql_shows_them() {
        let settings = Settings::default();
        assert_eq!(settings.get("timezone").unwrap(), "UTC");
        assert_eq!(settings.set("TimeZone", "europe/berlin").unwrap(), "Europe/Berlin");
        assert_eq!(settings.zone(), Tz::Europe__Berlin);
        assert_eq!(settings.set("timezone", "-7").unwrap(), "Etc/GMT+7");
        assert_eq!(settings.set("statement_timeout", "90000").unwrap(), "90s");
        assert_eq!(settings.statement_timeout(), Some(std::time::Duration::from_secs(90)));
        assert_eq!(settings.set("my.own", "x").unwrap(), "x");
        assert_eq!(settings.set("nothing", "x").unwrap_err().sqlstate(), "42704");
        assert_eq!(settings.get("nothing").unwrap_err().sqlstate(), "42704");
        assert_eq!(settings.set("TimeZone", "Mars/Base").unwrap_err().sqlstate(), "22023");
        assert_eq!(settings.set("server_version", "9").unwrap_err().sqlstate(), "55P02");
        assert_eq!(settings.set("DateStyle", "German").unwrap_err().sqlstate(), "22023");
        settings.reset("TIMEZONE").unwrap();
        assert_eq!(settings.get("TimeZone").unwrap(), "UTC");
    }

    #[test]
    fn versions_agree() {
        assert!(version().starts_with("PostgreSQL 16.6 "));
        assert!(server_version().starts_with("16.6 "));
        let number: u32 = find("server_version_num").unwrap().default.parse().unwrap();
        assert_eq!(format!("{}.{}", number / 10_000, number % 10_000), POSTGRES_VERSION);
    }
}
