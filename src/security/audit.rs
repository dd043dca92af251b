//! The chain of what was done: each record has the hash of the one before, so that one that was changed, removed or moved
//! is found.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a chain begins with in the place of the hash of a record before.
pub const BEGIN: &str = "";

/// What was done, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The run of a server that the chain belongs to.
    pub node: String,
    /// Number in the chain, from one.
    pub sequence: i64,
    /// When, microseconds since the epoch.
    pub at: i64,
    /// Who.
    pub role: String,
    /// From where.
    pub address: Option<String>,
    /// `application_name`.
    pub application: String,
    /// The statement, without passwords; CONNECT for a login.
    pub statement: String,
    /// Rows that were sent or written, if it ended.
    pub rows: Option<i64>,
    /// How it ended: 00000, or the code of its error.
    pub sqlstate: String,
    /// How long it took, microseconds.
    pub duration: i64,
}

impl Record {
    /// The hash of the record behind another one: SHA-256 of all fields, each with its length in front; lowercase hex.
    #[must_use]
    pub fn hash(&self, previous: &str) -> String {
        let mut hasher = Sha256::new();
        let mut add = |field: Option<&str>| match field {
            Some(text) => {
                hasher.update((text.len() as u64 + 1).to_be_bytes());
                hasher.update(text.as_bytes());
            }
            None => hasher.update(0_u64.to_be_bytes()),
        };
        add(Some(previous));
        add(Some(&self.node));
        add(Some(&self.sequence.to_string()));
        add(Some(&self.at.to_string()));
        add(Some(&self.role));
        add(self.address.as_deref());
        add(Some(&self.application));
        add(Some(&self.statement));
        add(self.rows.map(|rows| rows.to_string()).as_deref());
        add(Some(&self.sqlstate));
        add(Some(&self.duration.to_string()));
        hex::encode(hasher.finalize())
    }
}

/// The end of a chain at some moment, kept beside the records: without it nobody could tell that the last ones are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub node: String,
    /// The number of its last record.
    pub sequence: i64,
    /// The hash of that record.
    pub hash: String,
}

impl Head {
    /// The head as text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}:{}:{}", self.node, self.sequence, self.hash)
    }

    /// The head of a text of [`Head::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, hash) = text.rsplit_once(':')?;
        let (node, sequence) = rest.rsplit_once(':')?;
        Some(Self { node: node.to_owned(), sequence: sequence.parse().ok()?, hash: hash.to_owned() })
    }
}

/// A record from which a person was erased, as it is afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Erased {
    /// Its chain.
    pub node: String,
    /// Its number there.
    pub sequence: i64,
    /// What its hash would be now.
    pub hash: String,
}

/// What stands before such records in the statement that announces them.
const ERASED: &str = "; changes in system.audit ";

impl Erased {
    /// Records as the end of the statement that announces them.
    #[must_use]
    pub fn text(records: &[Self]) -> String {
        let one = |record: &Self| format!("{}:{}:{}", record.node, record.sequence, record.hash);
        format!("{ERASED}{}", records.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    /// What a record announces. A client may call itself as it likes and send any text, but of a statement that is none it is
    /// told an error, and its record has its address.
    fn parse(record: &Record) -> impl Iterator<Item = Self> {
        let announces = record.application == "forget"
            && record.address.is_none()
            && record.sqlstate == "00000"
            && record.statement.starts_with("FORGET sha256:");
        let list = record.statement.split_once(ERASED).filter(|_| announces).map_or("", |(_, list)| list);
        list.split(' ').filter_map(Head::parse).map(|Head { node, sequence, hash }| Self { node, sequence, hash })
    }
}

/// Something that is wrong.
#[derive(Debug)]
struct Finding {
    what: String,
    /// The record as it is, if it was changed.
    changed: Option<Erased>,
}

/// Checks records, read chain by chain in the order of their numbers.
#[derive(Debug, Default)]
pub struct Verification {
    heads: BTreeMap<(String, i64), String>,
    last: Option<Head>,
    ends: Vec<Head>,
    findings: Vec<Finding>,
    erased: Vec<Erased>,
    records: u64,
}

impl Verification {
    /// Check against heads that are known from elsewhere, too.
    #[must_use]
    pub fn new(heads: Vec<Head>) -> Self {
        let heads = heads.into_iter().map(|head| ((head.node, head.sequence), head.hash)).collect();
        Self { heads, ..Self::default() }
    }

    /// Check the next record, with the two hashes that stand beside it.
    pub fn check(&mut self, record: &Record, previous: &str, hash: &str) {
        self.records += 1;
        self.erased.extend(Erased::parse(record));
        let place = format!("node {}, record {}", record.node, record.sequence);
        let same = self.last.as_ref().is_some_and(|last| last.node == record.node);
        if !same {
            self.ends.extend(self.last.take());
        }
        let (expected_sequence, expected_previous) = match &self.last {
            Some(last) => (last.sequence + 1, last.hash.clone()),
            None => (1, BEGIN.to_owned()),
        };
        if record.sequence < expected_sequence {
            self.find(format!("{place}: the number is there more than once"));
        } else if record.sequence > expected_sequence {
            let missing = record.sequence - expected_sequence;
            self.find(format!(
                "{place}: {missing} {} missing",
                if missing == 1 { "record before it is" } else { "records before it are" }
            ));
        } else if previous != expected_previous {
            self.find(format!("{place}: the record before it is another one"));
        }
        let is = record.hash(previous);
        if is != hash {
            let changed = Some(Erased { node: record.node.clone(), sequence: record.sequence, hash: is });
            self.findings.push(Finding { what: format!("{place}: it was changed"), changed });
        }
        if let Some(known) = self.heads.remove(&(record.node.clone(), record.sequence))
            && known != hash
        {
            self.find(format!("{place}: it is not the one that was written"));
        }
        self.last = Some(Head { node: record.node.clone(), sequence: record.sequence, hash: hash.to_owned() });
    }

    fn find(&mut self, what: String) {
        self.findings.push(Finding { what, changed: None });
    }

    /// How many records there are and from how many of them a person was erased as recorded, where the chains end, and what is
    /// wrong with them.
    #[must_use]
    pub fn finish(mut self) -> (u64, u64, Vec<Head>, Vec<String>) {
        self.ends.extend(self.last.take());
        let mut gone: BTreeMap<String, i64> = BTreeMap::new();
        for (node, sequence) in std::mem::take(&mut self.heads).into_keys() {
            let end = self.ends.iter().find(|end| end.node == node).map_or(0, |end| end.sequence);
            if sequence > end {
                gone.entry(node).and_modify(|most| *most = sequence.max(*most)).or_insert(sequence);
            }
        }
        for (node, sequence) in gone {
            self.find(format!("node {node}, record {sequence}: it and maybe others at the end are missing"));
        }
        let announced: HashSet<Erased> = self.erased.drain(..).collect();
        let before = self.findings.len();
        self.findings.retain(|finding| finding.changed.as_ref().is_none_or(|changed| !announced.contains(changed)));
        let erased = (before - self.findings.len()) as u64;
        (self.records, erased, self.ends, self.findings.into_iter().map(|finding| finding.what).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(node: &str, count: i64) -> Vec<(Record, String, String)> {
        let mut previous = BEGIN.to_owned();
        let record = |sequence: i64| {
            let statement = format!("select {sequence}");
            Record { node: node.to_owned(), sequence, statement, rows: Some(1), ..Record::default() }
        };
        let link = |sequence: i64| {
            let record = record(sequence);
            let hash = record.hash(&previous);
            let before = std::mem::replace(&mut previous, hash.clone());
            (record, before, hash)
        };
        (1..=count).map(link).collect()
    }

    fn findings(records: &[(Record, String, String)], heads: Vec<Head>) -> Vec<String> {
        let mut verification = Verification::new(heads);
        for (record, previous, hash) in records {
            verification.check(record, previous, hash);
        }
        verification.finish().3
    }

    #[test]
    fn what_was_tampered_with_is_found_and_where() {
        let whole: Vec<_> = chain("a", 4).into_iter().chain(chain("b", 3)).collect();
        let head = Head { node: "b".to_owned(), sequence: 3, hash: whole[6].2.clone() };
        assert_eq!(Head::parse(&head.text()), Some(head.clone()));
        assert!(findings(&whole, vec![head.clone()]).is_empty());

        let mut changed = whole.clone();
        changed[1].0.rows = None;
        assert_eq!(findings(&changed, vec![]), ["node a, record 2: it was changed"]);
        // Whoever changes a record and its hash breaks the next one.
        changed[1].2 = changed[1].0.hash(&changed[1].1);
        assert_eq!(findings(&changed, vec![]), ["node a, record 3: the record before it is another one"]);

        // Unless it was announced: then the record is as it was left, and the hashes are those of before.
        let left = whole[1].0.clone();
        let left = Record { statement: "forgotten".to_owned(), ..left };
        let hash = left.hash(&whole[1].1);
        let announced = Erased { node: left.node.clone(), sequence: left.sequence, hash };
        let statement = format!("FORGET sha256:00{}", Erased::text(std::slice::from_ref(&announced)));
        let announcing = |application: &str, sqlstate: &str, address: Option<&str>| {
            let (application, sqlstate) = (application.to_owned(), sqlstate.to_owned());
            let record = Record {
                node: "c".to_owned(),
                sequence: 1,
                application,
                statement: statement.clone(),
                sqlstate,
                address: address.map(str::to_owned),
                ..Record::default()
            };
            let hash = record.hash(BEGIN);
            (record, BEGIN.to_owned(), hash)
        };
        let mut erased = whole.clone();
        erased[1].0 = left;
        let with = |mut records: Vec<_>, record| {
            records.push(record);
            findings(&records, vec![head.clone()])
        };
        for not in [
            announcing("psql", "00000", None),
            announcing("forget", "42601", None),
            announcing("forget", "00000", Some("127.0.0.1:5")),
        ] {
            assert_eq!(with(erased.clone(), not), ["node a, record 2: it was changed"]);
        }
        assert!(with(erased.clone(), announcing("forget", "00000", None)).is_empty());
        erased[1].0.statement = "another".to_owned();
        assert_eq!(with(erased, announcing("forget", "00000", None)), ["node a, record 2: it was changed"]);

        let mut removed = whole.clone();
        removed.remove(2);
        assert_eq!(findings(&removed, vec![]), ["node a, record 4: 1 record before it is missing"]);
        let first: Vec<_> = whole.iter().skip(1).cloned().collect();
        assert_eq!(findings(&first, vec![]), ["node a, record 2: 1 record before it is missing"]);

        let mut swapped = whole.clone();
        let (one, two) = (swapped[0].0.sequence, swapped[1].0.sequence);
        (swapped[0].0.sequence, swapped[1].0.sequence) = (two, one);
        swapped.swap(0, 1);
        assert!(findings(&swapped, vec![]).contains(&"node a, record 1: it was changed".to_owned()));

        let mut twice = whole.clone();
        twice.insert(2, twice[1].clone());
        assert_eq!(findings(&twice, vec![]), ["node a, record 2: the number is there more than once"]);

        let end: Vec<_> = whole.iter().take(6).cloned().collect();
        let gone = ["node b, record 3: it and maybe others at the end are missing"];
        assert_eq!(findings(&end, vec![head.clone()]), gone);
        let none: Vec<_> = whole.iter().take(4).cloned().collect();
        assert_eq!(findings(&none, vec![head.clone()]), gone);

        let mut rewritten = chain("a", 4);
        rewritten.extend(chain("b", 2));
        let mut last = rewritten[5].0.clone();
        last.sequence = 3;
        last.statement = "another".to_owned();
        let (previous, hash) = (rewritten[5].2.clone(), last.hash(&rewritten[5].2));
        rewritten.push((last, previous, hash));
        assert_eq!(findings(&rewritten, vec![head]), ["node b, record 3: it is not the one that was written"]);
    }
}
