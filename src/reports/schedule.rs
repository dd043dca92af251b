//! When a report is due: cron in a time zone.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::error::{Result, UserError};

/// Five cron fields in a time zone of the IANA database.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: Tz,
}

impl FromStr for Schedule {
    type Err = crate::error::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: String| {
            UserError::invalid(format!("\"{text}\" is not a schedule: {why}"))
                .hint("a schedule is five cron fields and a time zone, such as 0 6 2 * * Europe/Berlin")
        };
        let Some((fields, zone)) = text.trim().rsplit_once(char::is_whitespace) else {
            return Err(wrong("it has no time zone".to_owned()).into());
        };
        let zone: Tz = zone.parse().map_err(|_| wrong(format!("{zone} is not a time zone")))?;
        if fields.split_whitespace().count() != 5 {
            return Err(wrong("it does not have five cron fields".to_owned()).into());
        }
        let cron = Cron::from_str(fields).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { text: text.trim().to_owned(), cron, zone })
    }
}

impl Schedule {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first instant after `micros` at which the report is due; none when there never will be one.
    #[must_use]
    pub fn next(&self, micros: i64) -> Option<i64> {
        let after: DateTime<Utc> = DateTime::from_timestamp_micros(micros)?;
        let local = after.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc).timestamp_micros())
    }

    /// The instants in (`after`, `until`], the newest `limit` of them, oldest first.
    #[must_use]
    pub fn due(&self, after: i64, until: i64, limit: usize) -> Vec<i64> {
        let mut due = std::collections::VecDeque::new();
        let mut at = after;
        while let Some(next) = self.next(at).filter(|next| *next <= until) {
            if due.len() == limit {
                due.pop_front();
            }
            due.push_back(next);
            at = next;
        }
        due.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn instants(schedule: &str, after: &str, until: &str) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let due = schedule.due(micros(after), micros(until), 100);
        due.iter().map(|at| DateTime::from_timestamp_micros(*at).unwrap().to_rfc3339()).collect()
    }

    #[test]
    fn local_time_is_kept_across_clock_changes() {
        // Berlin leaves winter time on 29 March 2026 and summer time on 25 October 2026.
        assert_eq!(
            instants("0 6 * * * Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
            ["2026-03-28T05:00:00+00:00", "2026-03-29T04:00:00+00:00", "2026-03-30T04:00:00+00:00"]
        );
    }

    #[test]
    fn a_skipped_hour_runs_once_and_a_doubled_hour_runs_once() {
        assert_eq!(
            instants("30 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]
        );
        assert_eq!(
            instants("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
            ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]
        );
        assert_eq!(
            instants("30 1 * * * America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
            ["2026-11-01T05:30:00+00:00", "2026-11-02T06:30:00+00:00"]
        );
    }

    #[test]
    fn only_the_newest_are_kept() {
        let schedule: Schedule = "0 * * * * UTC".parse().unwrap();
        let due = schedule.due(micros("2026-01-01T00:00:00Z"), micros("2026-01-02T00:00:00Z"), 2);
        assert_eq!(due, [micros("2026-01-01T23:00:00Z"), micros("2026-01-02T00:00:00Z")]);
    }

    #[test]
    fn what_is_not_a_schedule_is_refused() {
        for text in ["", "0 6 * * *", "0 6 * * * Mars/Base", "61 6 * * * UTC", "0 6 * * UTC"] {
            assert_eq!(text.parse::<Schedule>().unwrap_err().sqlstate(), "22023", "{text}");
        }
    }
}
