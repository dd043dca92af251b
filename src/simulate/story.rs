//! What happens in one simulated stretch of time: windows, rollouts, flags, changes, surges, and the truth about them.

use super::faults::Effect;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// Stretches of time, nanoseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// First request.
    pub start: i64,
    /// When the trouble began.
    pub onset: i64,
    /// When it ended.
    pub over: i64,
    /// Last request.
    pub end: i64,
}

impl Windows {
    /// Length of the incident.
    #[must_use]
    pub fn incident(&self) -> i64 {
        self.over - self.onset
    }
}

/// A version coming (and perhaps going).
#[derive(Debug, Clone)]
pub struct Rollout {
    /// When it begins.
    pub at: i64,
    /// Version before, index into the versions of the service.
    pub from: usize,
    /// Version after.
    pub to: usize,
    /// Share of the canary until `full_at`; 1 without one.
    pub canary: f64,
    /// How long instances take to be replaced.
    pub ramp: i64,
    /// When a canary is promoted.
    pub full_at: Option<i64>,
    /// When it is rolled back.
    pub back_at: Option<i64>,
}

impl Rollout {
    /// Share of the requests that the new version serves at this time.
    #[must_use]
    pub fn share(&self, at: i64) -> f64 {
        let progress = |since: i64| ((at - since) as f64 / self.ramp.max(1) as f64).clamp(0.0, 1.0);
        let promoted = self.full_at.map_or(0.0, progress);
        let share = (progress(self.at) * self.canary).max(promoted);
        share * (1.0 - self.back_at.map_or(0.0, progress))
    }
}

/// A feature flag of a service.
#[derive(Debug, Clone)]
pub struct Flag {
    /// `feature_flag.key`.
    pub key: String,
    /// Service that evaluates it.
    pub service: usize,
    /// Whether evaluations are log records; otherwise they are events of the span.
    pub in_logs: bool,
    /// Share of `on` from this time on, ascending.
    pub shares: Vec<(i64, f64)>,
}

impl Flag {
    /// Share of requests for which the flag is on.
    #[must_use]
    pub fn share(&self, at: i64) -> f64 {
        self.shares.iter().rev().find(|(from, _)| *from <= at).map_or(0.0, |(_, share)| *share)
    }
}

/// More traffic than usual.
#[derive(Debug, Clone, Copy)]
pub struct Surge {
    /// From when.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// Added requests as a multiple of the usual total.
    pub extra: f64,
    /// The tenant that they come from; all of them by share when there is none.
    pub tenant: Option<usize>,
    /// Position among the entries; as usual when there is none.
    pub entry: Option<usize>,
}

impl Surge {
    /// Added requests at this time, as a multiple of the usual total.
    #[must_use]
    pub fn extra(&self, at: i64) -> f64 {
        let edge = (self.to - self.from) as f64 / 12.0;
        if at < self.from || at >= self.to {
            return 0.0;
        }
        self.extra * ((at - self.from).min(self.to - at) as f64 / edge.max(1.0)).min(1.0)
    }
}

/// How a change reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// GitHub deployment webhooks.
    GitHub,
    /// CDEvents.
    CdEvents,
    /// A table of changes, for kinds that no webhook expresses.
    Table,
}

/// A recorded change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its id: the deployment's number for GitHub, the event's id otherwise.
    pub id: String,
    /// deploy, rollback, config, feature_flag, migration or provider.
    pub kind: &'static str,
    /// Service or peer that was changed.
    pub target: String,
    /// Version after.
    pub version: Option<String>,
    /// Version before.
    pub previous: Option<String>,
    /// Commit.
    pub revision: String,
    /// Run of the pipeline.
    pub run: i64,
    /// Who.
    pub actor: String,
    /// succeeded or failed.
    pub status: &'static str,
    /// When it began to act.
    pub started: i64,
    /// When it was complete; none while it lasts.
    pub finished: Option<i64>,
    /// One line.
    pub title: String,
    /// How it is reported.
    pub via: Via,
}

/// Why it happened.
#[derive(Debug, Clone)]
pub struct Cause {
    /// primary or contributing.
    pub role: &'static str,
    /// deploy, config, feature_flag, migration, provider, dependency, tenant, credential.
    pub kind: &'static str,
    /// Id of the change.
    pub change: Option<String>,
    /// Service or peer that is at fault.
    pub service: Option<String>,
    /// Tenant, flag or credential: what the kind is about.
    pub subject: Option<String>,
    /// Since when.
    pub since: i64,
}

/// The incident as alerting saw it.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// Service that alerted.
    pub service: String,
    /// errors, latency, cost or security.
    pub signal: &'static str,
    /// Alert window, from.
    pub t0: i64,
    /// Alert window, to.
    pub t1: i64,
    /// When somebody noticed.
    pub detected: i64,
}

/// Replicas of a service that multiply from some day on.
#[derive(Debug, Clone, Copy)]
pub struct CostSpike {
    /// The service.
    pub service: usize,
    /// How many times as many replicas.
    pub factor: f64,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Story {
    /// Stretches of time.
    pub windows: Windows,
    /// Trouble, injected and incidental.
    pub effects: Vec<Effect>,
    /// Surges of traffic.
    pub surges: Vec<Surge>,
    /// Versions per service.
    pub versions: Vec<Vec<String>>,
    /// Rollout per service, at most one within the telemetry.
    pub rollouts: Vec<Option<Rollout>>,
    /// Flags.
    pub flags: Vec<Flag>,
    /// All recorded changes.
    pub changes: Vec<Change>,
    /// The incident.
    pub incident: Incident,
    /// Its causes; empty when no change caused it.
    pub causes: Vec<Cause>,
    /// What else the truth should say.
    pub note: String,
    /// A cost spike, in that scenario.
    pub spike: Option<CostSpike>,
    /// The pipeline run of which the credentials leaked, in that scenario.
    pub leak: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_waits_is_promoted_and_rolled_back() {
        let rollout =
            Rollout { at: 100, from: 0, to: 1, canary: 0.2, ramp: 10, full_at: Some(200), back_at: Some(300) };
        let shares: Vec<f64> = [99, 105, 110, 199, 205, 210, 305, 310].map(|at| rollout.share(at)).into();
        assert_eq!(shares, [0.0, 0.1, 0.2, 0.2, 0.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn a_surge_rises_and_falls() {
        let surge = Surge { from: 0, to: 1200, extra: 2.0, tenant: None, entry: None };
        assert_eq!([0, 50, 100, 600, 1150, 1200].map(|at| surge.extra(at)), [0.0, 1.0, 2.0, 2.0, 1.0, 0.0]);
    }
}
