//! How far each visit is from what is usual for its operation.

use std::collections::HashMap;

use super::{EXPECTED, Phase, RARE, Signal, USUAL_SCALES, Window};
use crate::attribution::stats::Usual;
use crate::attribution::visits::{Feature, NONE, Visit, Visits, Vocabulary};

/// Visits of an operation before the incident that it takes to know what is usual.
const KNOWN: f64 = 3.0;
/// A visit that lacks something expected but took another known path instead is a little suspicious only.
const OTHER_PATH: f64 = 0.2;
/// A visit that lacks something expected and has nothing in its place.
const VANISHED: f64 = 0.8;
/// A callee's delay beyond this share of the caller's duration explains what is odd about the caller.
const EXPLAINS: f64 = 0.5;

/// What is usual for an operation of a service.
#[derive(Debug, Default)]
pub(super) struct Normal {
    weight: f64,
    pub own: Usual,
    pub gap: Usual,
    /// Share of the visits that have the feature.
    pub features: HashMap<Feature, f64>,
}

/// What is unusual about one visit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Odd {
    /// Whether it is known what is usual for its operation.
    pub known: bool,
    /// Milliseconds of its own beyond what is usual.
    pub latency: f64,
    /// Milliseconds between the client's and the server's clock beyond what is usual.
    pub gap: f64,
    /// How odd its structure is, 0…1.
    structure: f64,
    /// Strongest structural oddity among what it called.
    pub(super) below: f64,
}

impl Odd {
    /// How odd its structure is beyond that of what it called.
    #[must_use]
    pub fn own_structure(&self) -> f64 {
        (self.structure - self.below).max(0.0)
    }

    /// Whether anything is unusual.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.latency > 0.0 || self.gap > 0.0 || self.own_structure() > 0.0
    }

    /// Whether it counts against the group of visits that it belongs to, given what was noticed.
    #[must_use]
    pub fn counts(&self, signal: Signal) -> bool {
        let (slow, broken) = (self.latency > 0.0, self.own_structure() > 0.5);
        match signal {
            Signal::Any => slow || broken,
            Signal::Latency => slow,
            Signal::Errors => broken,
        }
    }
}

type Key = (u32, u32);

pub(super) fn normals(visits: &Visits, window: &Window) -> HashMap<Key, Normal> {
    #[derive(Default)]
    struct Sample {
        own: Vec<f64>,
        gap: Vec<f64>,
        weight: f64,
        features: HashMap<Feature, f64>,
    }
    let mut samples: HashMap<Key, Sample> = HashMap::new();
    for visit in visits.all.iter().filter(|visit| visit.in_scope && window.phase(visit.start) == Phase::Before) {
        let sample = samples.entry((visit.service, visit.operation)).or_default();
        sample.own.push(visit.own);
        sample.weight += 1.0;
        if visit.has_gap {
            sample.gap.push(visit.gap);
        }
        for feature in visits.features(visit) {
            *sample.features.entry(*feature).or_default() += 1.0;
        }
    }
    samples
        .into_iter()
        .map(|(key, mut sample)| {
            let own = Usual::of(&mut sample.own, 0.15, 1.0);
            let gap = Usual::of(&mut sample.gap, 0.15, 1.0);
            let features = sample.features.into_iter().map(|(feature, seen)| (feature, seen / sample.weight)).collect();
            (key, Normal { weight: sample.weight, own, gap, features })
        })
        .collect()
}

/// Which features mean that something failed.
pub(super) struct ErrorLike {
    operations: Vec<bool>,
}

/// Words in the name of a span that handles or reports a failure.
const ERROR_WORDS: [&str; 5] = ["error", "exception", "fail", "fault", "timeout"];

impl ErrorLike {
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let names = &vocabulary.operations;
        let operations = (0..names.len())
            .map(|number| {
                let name = names.text(u32::try_from(number).unwrap_or(NONE)).to_ascii_lowercase();
                // "default" contains "fault".
                ERROR_WORDS.iter().any(|word| name.replace("default", "").contains(word))
            })
            .collect();
        Self { operations }
    }

    pub fn is(&self, feature: Feature) -> bool {
        match feature {
            Feature::ErrorLog(_) | Feature::Failed(_) => true,
            Feature::Operation(name) => self.operations.get(name as usize).copied().unwrap_or(false),
            Feature::Call(_) | Feature::Log(_) | Feature::Flag(..) => false,
        }
    }
}

pub(super) fn odd(visits: &Visits, visit: &Visit, normal: Option<&Normal>, error_like: &ErrorLike) -> Odd {
    let Some(normal) = normal.filter(|normal| normal.weight >= KNOWN && visit.in_scope) else { return Odd::default() };
    let mut odd = Odd { known: true, ..Odd::default() };
    let beyond = |value: f64, usual: &Usual| {
        let excess = value - usual.median;
        if excess > USUAL_SCALES * usual.scale { excess } else { 0.0 }
    };
    odd.latency = beyond(visit.own, &normal.own);
    if visit.has_gap {
        odd.gap = beyond(visit.gap, &normal.gap);
    }
    let sureness = normal.weight / (normal.weight + KNOWN);
    let seen = visits.features(visit);
    let share = |feature: &Feature| normal.features.get(feature).copied().unwrap_or(0.0);
    let new_error = seen.iter().any(|feature| error_like.is(*feature) && share(feature) <= RARE);
    let missing = normal.features.iter().filter(|(feature, share)| {
        **share >= EXPECTED && !error_like.is(**feature) && seen.binary_search(feature).is_err()
    });
    let missing = missing.count();
    let instead = seen.iter().filter(|feature| !error_like.is(**feature) && share(feature) <= 0.5).count();
    odd.structure = if new_error {
        sureness
    } else if missing > instead {
        sureness * VANISHED
    } else if missing > 0 {
        sureness * OTHER_PATH
    } else {
        0.0
    };
    odd
}

/// A caller's odd structure is its own only as far as nothing that it called was odd.
pub(super) fn explain_away(visits: &Visits, odds: &mut [Odd]) {
    for at in (0..visits.all.len()).rev() {
        let visit = &visits.all[at];
        let Some(caller) = visit.caller.map(|caller| caller as usize) else { continue };
        let odd = odds[at];
        let slow = odd.latency.max(odd.gap) > EXPLAINS * visits.all[caller].duration;
        let explains = odd.structure.max(odd.below).max(if slow { 1.0 } else { 0.0 });
        odds[caller].below = odds[caller].below.max(explains);
    }
}
