//! Log templates: which log lines are the same statement with other values in it.
//!
//! A line becomes its words without those that carry digits (times, ids, amounts); lines of one group whose words
//! agree position by position for the most part are one template, after the idea of Drain (He et al., ICWS 2017).

use std::collections::HashMap;
use std::hash::Hash;

/// Words of a line that are compared.
const WORDS: usize = 12;
/// Characters of a line that are looked at: the statement comes before its payload.
const CHARS: usize = 400;
/// Share of the words that must agree.
const SIMILAR: f64 = 0.6;
/// Templates kept a group; a group with more takes the most similar one there is.
const MAX_TEMPLATES: usize = 500;

/// Words that logging frameworks put into every line, whatever it says.
const BOILERPLATE: [&str; 11] =
    ["traceid", "spanid", "trace_id", "span_id", "trace", "info", "debug", "warn", "warning", "error", "fatal"];

fn words(line: &str) -> Vec<&str> {
    let end = line.char_indices().nth(CHARS).map_or(line.len(), |(at, _)| at);
    line[..end]
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '#'))
        .filter(|word| !word.is_empty() && !word.chars().any(|c| c.is_ascii_digit()))
        .filter(|word| word.len() < 40 && !BOILERPLATE.iter().any(|known| word.eq_ignore_ascii_case(known)))
        .take(WORDS)
        .collect()
}

/// The words of a template.
type Words = Vec<Box<str>>;

/// The templates seen so far, by group (a service and whether the line is an error).
#[derive(Debug)]
pub struct Templates<G> {
    groups: HashMap<G, Vec<(Words, u32)>>,
    examples: Vec<String>,
}

impl<G> Default for Templates<G> {
    fn default() -> Self {
        Self { groups: HashMap::new(), examples: Vec::new() }
    }
}

impl<G: Eq + Hash> Templates<G> {
    /// The number of the template that the line belongs to; a new one if it resembles none.
    pub fn of(&mut self, group: G, line: &str) -> u32 {
        let words = words(line);
        let templates = self.groups.entry(group).or_default();
        let mut best: Option<(f64, u32)> = None;
        for (known, number) in templates.iter() {
            let longest = known.len().max(words.len());
            let same = known.iter().zip(&words).filter(|(a, b)| ***a == ***b).count();
            let similarity = if longest == 0 { 1.0 } else { same as f64 / longest as f64 };
            if best.is_none_or(|(most, _)| similarity > most) {
                best = Some((similarity, *number));
            }
        }
        if let Some((similarity, number)) = best
            && (similarity >= SIMILAR || templates.len() >= MAX_TEMPLATES)
        {
            return number;
        }
        let number = u32::try_from(self.examples.len()).unwrap_or(u32::MAX);
        templates.push((words.into_iter().map(Box::from).collect(), number));
        self.examples.push(line.chars().take(160).collect());
        number
    }

    /// The line that a template was first seen in, shortened.
    #[must_use]
    pub fn example(&self, template: u32) -> &str {
        self.examples.get(template as usize).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_make_templates_but_words_do() {
        let mut templates = Templates::default();
        let a = templates.of(1, "16:48:22.883 INFO [findContactsById][Find contacts][id: 7f-22]");
        let b = templates.of(1, "16:49:01.002 INFO [findContactsById][Find contacts][id: 8a-01]");
        let c = templates.of(1, "16:49:01.002 INFO [findContactsById][No contacts according to contactsId: 9]");
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_ne!(templates.of(2, "16:48:22.883 INFO [findContactsById][Find contacts][id: 7f-22]"), a);
        assert!(templates.example(c).contains("No contacts"));
    }

    #[test]
    fn lines_without_words_are_one_template() {
        let mut templates = Templates::default();
        assert_eq!(templates.of((), "1 2 3"), templates.of((), "44"));
    }
}
