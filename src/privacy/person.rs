//! Finding a person again: as the identifier itself, in the ways in which it is written inside other texts, and as its
//! pseudonym under any key.
//!
//! What an identifier looks like says where it is looked for. One with an `@`, or of 16 characters and more, means one person
//! wherever it stands, and so does a pseudonym: they are looked for in every text of every table. A shorter one (`ada`,
//! `1042`) may mean anything elsewhere, so it is looked for only where persons are named: in the columns of [`PEOPLE`], and in
//! attributes whose key says so ([`KEYS`]). An identifier counts where it stands by itself: `ada` is neither in
//! `canada` nor in `ada@example.com`.

use sha2::{Digest, Sha256};

use super::keys::Keys;
use super::required;
use super::walk::Fate;
use crate::error::{Result, UserError};
use crate::model::Table;

/// What takes the place of a person where something has to stand.
pub const FORGOTTEN: &str = "forgotten";

/// Characters from which on an identifier is taken to mean one person wherever it stands.
const UNMISTAKABLE: usize = 16;

/// Columns that name persons, by table.
const PEOPLE: &[(&str, &[&str])] = &[
    ("spans", &["user_id"]),
    ("changes", &["actor"]),
    (
        "iam_events",
        &[
            "principal_id",
            "principal_arn",
            "principal_name",
            "session_name",
            "source_identity",
            "federated_subject",
            "issued_principal_arn",
            "resource_ids",
            "raw",
        ],
    ),
    ("ownership", &["owner", "on_call"]),
    ("slos", &["owner"]),
    ("attributions", &["owner"]),
    ("audit", &["role", "statement"]),
];

/// Parts of the keys of attributes that name persons: `enduser.id`, `app.customer-email`, `createdBy`.
const KEYS: &[&str] = &[
    "user",
    "users",
    "username",
    "enduser",
    "usr",
    "uid",
    "email",
    "mail",
    "principal",
    "actor",
    "author",
    "owner",
    "login",
    "person",
    "customer",
    "member",
    "subject",
    "sub",
    "identity",
    "session",
    "caller",
    "initiator",
    "requester",
    "assignee",
    "creator",
    "createdby",
    "operator",
    "approver",
    "reviewer",
];

/// Texts of which the rest is needed: the person in them is replaced, and they are not taken away.
const KEPT: &[(&str, &[&str])] = &[
    ("allocation_rules", &["condition", "owner_by", "weights"]),
    ("ingests", &["origin", "rejections"]),
    ("audit", &["role", "address", "application", "statement"]),
];

/// Columns that are computed of others.
const COMPUTED: &[(&str, &[&str])] = &[("audit", &["node", "previous_hash", "hash"])];

fn listed(list: &[(&str, &[&str])], table: &str, column: &str) -> bool {
    list.iter().any(|(known, columns)| *known == table && columns.contains(&column))
}

/// A person who is to be forgotten.
#[derive(Debug, Clone)]
pub struct Person {
    /// The identifier, and the ways to write it inside of JSON and of URLs.
    written: Vec<String>,
    pseudonyms: Vec<String>,
    unmistakable: bool,
    ignore_case: bool,
    hash: String,
}

impl Person {
    /// Of an identifier as it was sent.
    ///
    /// # Errors
    /// When the text is empty or is what takes the place of persons.
    pub fn new(identifier: &str, keys: Option<&Keys>) -> Result<Self> {
        let identifier = identifier.trim();
        if identifier.is_empty() || identifier == FORGOTTEN {
            return Err(UserError::invalid(format!("\"{identifier}\" identifies nobody")).into());
        }
        let ignore_case = identifier.contains('@');
        let mut pseudonyms: Vec<String> = keys.iter().flat_map(|keys| keys.all(identifier)).collect();
        if ignore_case {
            let lower = identifier.to_lowercase();
            pseudonyms.extend(keys.iter().flat_map(|keys| keys.all(&lower)));
        }
        let json = serde_json::Value::from(identifier).to_string();
        let url: String = url::form_urlencoded::byte_serialize(identifier.as_bytes()).collect();
        let path = url.replace('+', "%20");
        let mut written = vec![identifier.to_owned()];
        for other in [json.trim_matches('"').to_owned(), url, path] {
            if !written.contains(&other) {
                written.push(other);
            }
        }
        if ignore_case {
            written.iter_mut().for_each(|text| text.make_ascii_lowercase());
        }
        let unmistakable = ignore_case || identifier.chars().count() >= UNMISTAKABLE;
        let hash = hex::encode(Sha256::digest(identifier.as_bytes()));
        Ok(Self { written, pseudonyms, unmistakable, ignore_case, hash })
    }

    /// SHA-256 of the identifier, lowercase hex: what the record of the erasure has.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether it is looked for in every text.
    #[must_use]
    pub fn is_unmistakable(&self) -> bool {
        self.unmistakable
    }

    /// Whether a text that may say anything names the person.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.place(text, self.unmistakable).is_some()
    }

    /// Whether a text may name the person, be it in a place that names persons or not.
    #[must_use]
    pub fn may_be_in(&self, text: &str) -> bool {
        let lower = self.ignore_case.then(|| text.to_ascii_lowercase());
        let text = lower.as_deref().unwrap_or(text);
        self.written.iter().chain(&self.pseudonyms).any(|known| text.contains(known.as_str()))
    }

    /// Whether a text names the person, `persons` telling whether it may name persons at all. A pseudonym always does.
    fn place(&self, text: &str, persons: bool) -> Option<(usize, usize)> {
        let pseudonym = self.pseudonyms.iter().find_map(|known| Some((text.find(known.as_str())?, known.len())));
        if pseudonym.is_some() || !persons {
            return pseudonym;
        }
        let lower = self.ignore_case.then(|| text.to_ascii_lowercase());
        let text = lower.as_deref().unwrap_or(text);
        self.written.iter().find_map(|known| {
            let mut found = text.match_indices(known.as_str()).map(|(at, _)| at);
            let at = found.find(|at| ends_before(text, *at) && begins_after(text, at + known.len()))?;
            Some((at, known.len()))
        })
    }

    /// What becomes of a text of a column of a table; `key` is that of an attribute.
    #[must_use]
    pub fn judge(&self, table: &Table, column: &str, key: Option<&str>, text: &str) -> Fate {
        if listed(COMPUTED, table.name, column) {
            return Fate::Stays;
        }
        let named = listed(PEOPLE, table.name, column) || key.is_some_and(names_person);
        let persons = self.unmistakable || named;
        if key.is_some_and(|key| self.place(key, self.unmistakable).is_some()) {
            return Fate::Goes;
        }
        if self.place(text, persons).is_none() {
            return Fate::Stays;
        }
        let keeps = key.is_none() && (required(table, column) || listed(KEPT, table.name, column));
        if keeps { Fate::Becomes(self.without(text, persons)) } else { Fate::Goes }
    }

    /// A text with [`FORGOTTEN`] in the place of the person.
    fn without(&self, text: &str, persons: bool) -> String {
        let mut text = text.to_owned();
        while let Some((at, length)) = self.place(&text, persons) {
            text.replace_range(at..at + length, FORGOTTEN);
        }
        text
    }
}

/// Whether the key of an attribute says that its value names a person.
fn names_person(key: &str) -> bool {
    // Words are set apart by signs, or by a capital: `createdBy` is both `created`, `by` and `createdby`.
    let known = |word: &str| KEYS.contains(&word.to_lowercase().as_str());
    key.split(|letter: char| !letter.is_alphanumeric()).any(|part| {
        let mut words = Vec::new();
        for (at, letter) in part.char_indices() {
            if words.is_empty() || letter.is_uppercase() {
                words.push(at);
            }
        }
        let ends = words.iter().skip(1).copied().chain([part.len()]);
        known(part) || words.iter().zip(ends).any(|(from, to)| part.get(*from..to).is_some_and(known))
    })
}

/// Whether a letter belongs to a word or an address.
fn inside(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '+' | '%' | '@')
}

/// Whether what stands before a place is not part of the same word.
fn ends_before(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let mut letters = before.chars().rev();
    let (last, previous, third) = (letters.next(), letters.next(), letters.next());
    match last {
        None => true,
        // A line break inside of JSON, a sign inside of a URL.
        Some('n' | 'r' | 't' | 'b' | 'f') if previous == Some('\\') => true,
        Some(digit) if third == Some('%') && digit.is_ascii_hexdigit() => true,
        Some('.') => !previous.is_some_and(inside),
        Some(letter) => !inside(letter),
    }
}

/// Whether what stands from a place on is not part of the same word.
fn begins_after(text: &str, at: usize) -> bool {
    let mut letters = text.get(at..).unwrap_or_default().chars();
    let (next, second) = (letters.next(), letters.next());
    match next {
        None => true,
        Some('.') => !second.is_some_and(inside),
        Some('%') => second.is_some_and(|letter| letter.is_ascii_hexdigit()),
        Some(letter) => !inside(letter),
    }
}
