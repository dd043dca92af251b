//! CODEOWNERS files of GitHub and GitLab. Lands in `ownership`.
//!
//! The file does not say which repository it is of: `--set repository=OWNER/NAME` does. The owners of the rule that fits
//! every file (`*`) own the entity `OWNER/NAME` of kind `repository`; those of any other rule own `OWNER/NAME:PATTERN` of
//! kind `path`, the pattern as it is written.
//!
//! - Of two rules with the same pattern the later one counts, as for the sites; in GitLab that is so within a section,
//!   and the owners of all sections count together. A rule without owners has those of its section.
//! - Owners of one rule own equal parts; the first is primary. What does not divide goes to it.
//! - `@acme/team-a` owns in a repository of `acme` as `team-a`, the name that it has in a catalog; people and teams of
//!   others keep their name without the `@`, addresses are as they are.
//! - A rule without any owner takes ownership away, and an exclusion (`!pattern`) takes files out of its section:
//!   neither says who owns anything, so they are not used.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Read};

use super::{Input, Options, Output, Source};
use crate::error::{Result, UserError};
use crate::model::ownership::OwnershipRow;

/// Longest file that is read, in bytes: GitHub's own limit.
pub const MAX_FILE_BYTES: u64 = 3 << 20;

/// The whole of an entity, in the smallest units of a weight.
const WHOLE: i128 = 1_000_000_000_000;

/// The source `codeowners`.
#[derive(Debug)]
pub struct CodeOwners;

impl Source for CodeOwners {
    fn name(&self) -> &'static str {
        "codeowners"
    }

    fn doc(&self) -> &'static str {
        "CODEOWNERS of GitHub and GitLab into ownership; needs --set repository=OWNER/NAME"
    }

    fn takes_set(&self) -> bool {
        true
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let repository = repository(input.options)?;
        let text = read(input.reader)?;
        let mut rules = Rules::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if let Err(reason) = rules.add(line) {
                output.reject(reason, line);
            }
        }
        let has_text = text.lines().any(|line| !words_of(line).is_empty());
        if has_text && rules.lines == 0 {
            return Err(UserError::invalid("the file has no rule of a CODEOWNERS file").into());
        }
        for (pattern, owners) in rules.owners() {
            land(&repository, &pattern, &owners, input.now, output);
        }
        output.checkpoint()
    }
}

fn repository(options: &Options) -> Result<String> {
    let wrong = options.set.iter().find(|(target, _)| target != "repository");
    if let Some((target, _)) = wrong {
        return Err(UserError::invalid(format!("--set {target} says nothing to the source codeowners")).into());
    }
    let named = options.set.iter().rev().map(|(_, value)| value.trim_matches('/').to_owned()).next();
    let hint = "Say --set repository=OWNER/NAME, as deploys and other ownership name it.";
    Ok(named
        .ok_or_else(|| UserError::invalid("a CODEOWNERS file does not say which repository it is of").hint(hint))?)
}

fn read(reader: &mut dyn BufRead) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(
            UserError::invalid("the file is longer than 3 MiB, the most that a CODEOWNERS file may have").into()
        );
    }
    Ok(String::from_utf8(bytes)
        .map_err(|_| UserError::invalid("the file is not UTF-8, so it is no CODEOWNERS file"))?)
}

/// The rules of a file, by section and pattern.
#[derive(Debug, Default)]
struct Rules {
    /// Sections in order, the part before the first one included.
    sections: Vec<Section>,
    /// Lines that were rules, or failed to be.
    lines: usize,
}

#[derive(Debug, Default)]
struct Section {
    owners: Vec<String>,
    rules: BTreeMap<String, Vec<String>>,
    /// Patterns in the order in which they came.
    order: Vec<String>,
}

impl Rules {
    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let mut words = words_of(line);
        if words.is_empty() {
            return Ok(());
        }
        if let Some(rest) = section_rest(line) {
            let owners = words_of(rest);
            let valid = owners.iter().all(|owner| is_owner(owner));
            self.sections.push(Section { owners, ..Section::default() });
            return if valid { Ok(()) } else { Err("an owner is neither @name nor an address") };
        }
        self.lines += 1;
        let pattern = words.remove(0);
        if pattern.starts_with('!') {
            return Err("rule not used: it excludes files");
        }
        if !words.iter().all(|owner| is_owner(owner)) {
            return Err("an owner is neither @name nor an address");
        }
        if self.sections.is_empty() {
            self.sections.push(Section::default());
        }
        let Some(section) = self.sections.last_mut() else { return Ok(()) };
        let owners = if words.is_empty() { section.owners.clone() } else { words };
        let known = section.rules.insert(pattern.clone(), owners.clone());
        if known.is_none() {
            section.order.push(pattern);
        }
        if owners.is_empty() { Err("rule not used: it has no owner") } else { Ok(()) }
    }

    /// Patterns and their owners over all sections, in the order of the file.
    fn owners(self) -> Vec<(String, Vec<String>)> {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        let (mut places, mut known) = (HashMap::new(), HashSet::new());
        for mut section in self.sections {
            for pattern in section.order {
                let owners = section.rules.remove(&pattern).unwrap_or_default();
                let at = *places.entry(pattern.clone()).or_insert_with(|| {
                    all.push((pattern, Vec::new()));
                    all.len() - 1
                });
                let Some((_, listed)) = all.get_mut(at) else { continue };
                listed.extend(owners.into_iter().filter(|owner| known.insert((at, owner.clone()))));
            }
        }
        all
    }
}

/// What follows the head of a section: `[Name]`, `^[Name]`, `[Name][2]`.
fn section_rest(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix('^').unwrap_or(line);
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    // A character class in a pattern goes on behind its bracket.
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((count, rest)) if count.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => rest,
    };
    (!name.is_empty() && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(rest)
}

/// The words of a line up to a comment; a blank or `#` behind a backslash is part of a word.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            '#' if word.is_empty() => break,
            letter if letter.is_whitespace() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            letter => word.push(letter),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

fn is_owner(word: &str) -> bool {
    let inside = |name: &str| !name.is_empty() && !name.contains(['"', '{', '}', '[', ']', ',']);
    match word.strip_prefix('@') {
        // GitLab names roles with two: @@maintainer.
        Some(name) => inside(name.trim_start_matches('@')),
        None => word.split_once('@').is_some_and(|(name, domain)| inside(name) && inside(domain)),
    }
}

/// The owner as other sources name it.
fn name_of<'o>(owner: &'o str, repository: &str) -> &'o str {
    let Some(name) = owner.strip_prefix('@') else { return owner };
    let group = repository.split('/').next().unwrap_or_default();
    match name.split_once('/') {
        Some((of, team)) if of.eq_ignore_ascii_case(group) && !team.is_empty() => team,
        _ => name,
    }
}

fn land(repository: &str, pattern: &str, owners: &[String], now: i64, output: &mut Output<'_>) {
    let count = owners.len() as i128;
    let whole = matches!(pattern, "*" | "/" | "**" | "/**");
    let entity = if whole { repository.to_owned() } else { format!("{repository}:{pattern}") };
    for (at, owner) in owners.iter().enumerate() {
        let share = WHOLE / count;
        let rest = if at == 0 { WHOLE - share * count } else { 0 };
        output.ownership.push(&OwnershipRow {
            entity_kind: Some(if whole { "repository" } else { "path" }.into()),
            entity: Some(Cow::Borrowed(&entity)),
            owner: Some(Cow::Borrowed(name_of(owner, repository))),
            role: Some(if at == 0 { "primary" } else { "secondary" }.into()),
            weight: Some(share + rest),
            valid_from: Some(now),
            ..OwnershipRow::default()
        });
    }
}
