//! Facts about visits that can be counted here and selected by anybody: one condition, in two languages.

use super::learn::Learned;
use super::rows::literal;
use crate::attribution::detectors::Phase;
use crate::attribution::visits::{Feature, Visit, Vocabulary};

/// What is said of a visit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Property<'a> {
    /// More nanoseconds of its own than this.
    SelfTimeOver(i64),
    /// More nanoseconds between the client's and the server's clock than this.
    GapOver(i64),
    /// Something of this name is in it.
    Shows(&'a str),
    /// Nothing of this name is in it.
    Lacks(&'a str),
}

/// Visits of an operation of a service during the incident that have a property.
#[derive(Debug)]
pub(super) struct Fact<'a> {
    pub service: u32,
    pub operation: u32,
    pub property: Property<'a>,
}

impl Fact<'_> {
    /// The condition on rows of `incident_visits`.
    pub fn condition(&self, words: &Vocabulary) -> String {
        let property = match self.property {
            Property::SelfTimeOver(nanos) => format!("self_time_nano > {nanos}"),
            Property::GapOver(nanos) => format!("gap_nano > {nanos}"),
            Property::Shows(name) => format!("{} = ANY(seen)", literal(name)),
            Property::Lacks(name) => format!("NOT {} = ANY(seen)", literal(name)),
        };
        format!(
            "phase = 'during' AND in_scope AND service_name = {} AND span_name = {} AND {property}",
            literal(words.services.text(self.service)),
            literal(words.operations.text(self.operation))
        )
    }

    /// Visits of which it holds.
    pub fn count(&self, learned: &Learned) -> usize {
        let words = &learned.loaded.vocabulary;
        let holds: Box<dyn Fn(&Visit) -> bool> = match self.property {
            Property::SelfTimeOver(nanos) => Box::new(move |visit| self_time(visit) > nanos),
            Property::GapOver(nanos) => Box::new(move |visit| gap(visit).is_some_and(|gap| gap > nanos)),
            Property::Shows(name) | Property::Lacks(name) => {
                let shows = matches!(self.property, Property::Shows(_));
                Box::new(move |visit| learned.visits.seen(visit).any(|seen| name_of(words, seen) == name) == shows)
            }
        };
        let concerned = learned.visits.all.iter().filter(|visit| {
            visit.in_scope
                && visit.service == self.service
                && visit.operation == self.operation
                && learned.window.phase(visit.start) == Phase::During
        });
        concerned.filter(|visit| holds(visit)).count()
    }
}

/// Nanoseconds of a visit that none of its calls cover.
pub(in crate::table_functions) fn self_time(visit: &Visit) -> i64 {
    (visit.own * 1e6).round() as i64
}

/// Nanoseconds by which the caller's client span was longer.
pub(in crate::table_functions) fn gap(visit: &Visit) -> Option<i64> {
    visit.has_gap.then(|| (visit.gap * 1e6).round() as i64)
}

/// What is in a visit, by a name for people.
pub(in crate::table_functions) fn name_of(words: &Vocabulary, feature: Feature) -> String {
    match feature {
        Feature::Operation(name) => format!("span: {}", words.operations.text(name)),
        Feature::Failed(name) => format!("failed span: {}", words.operations.text(name)),
        Feature::Call(service) => format!("call: {}", words.services.text(service)),
        Feature::Log(template) => format!("log: {}", fixed_part(words.templates.example(template))),
        Feature::ErrorLog(template) => format!("error log: {}", fixed_part(words.templates.example(template))),
        Feature::Flag(flag, variant) => {
            format!("flag: {}={}", words.flags.text(flag), words.variants.text(variant))
        }
    }
}

/// The longest part of a log line without digits, which is the same in all lines of its template.
fn fixed_part(line: &str) -> String {
    let parts = line.split(|c: char| c.is_ascii_digit());
    let longest = parts.max_by_key(|part| part.trim().chars().count()).unwrap_or("");
    longest.trim().chars().take(48).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_of_a_line_has_no_values() {
        assert_eq!(
            fixed_part("16:48:22 ERROR t.s.Impl#372 [findContactsById] No contacts according to contactsId: 9f1"),
            "[findContactsById] No contacts according to cont"
        );
        assert_eq!(fixed_part(""), "");
    }
}
