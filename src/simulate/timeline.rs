//! Load over time: requests, utilisation and replicas of every service on a grid, and the autoscaler that follows them.

use super::random::Random;
use super::story::{SECOND, Story};
use super::world::World;

/// Distance of the grid, nanoseconds.
pub const STEP: i64 = 10 * SECOND;

/// Utilisation that the autoscaler aims at.
const TARGET: f64 = 0.55;

/// Highest utilisation that a queue is simulated at.
const SATURATED: f64 = 0.97;

/// One decision of the autoscaler.
#[derive(Debug, Clone)]
pub struct Scaling {
    /// When.
    pub at: i64,
    /// Which service.
    pub service: usize,
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// Utilisation that drove it.
    pub utilisation: f64,
}

/// Load of every service on the grid.
#[derive(Debug)]
pub struct Timeline {
    start: i64,
    steps: usize,
    utilisation: Vec<f64>,
    replicas: Vec<u32>,
    usual: Vec<f64>,
    /// What the autoscaler did, in order of time.
    pub scalings: Vec<Scaling>,
}

/// Share of the daily peak at this time of day: low at three in the night, high at three in the afternoon.
#[must_use]
pub fn diurnal(at: i64) -> f64 {
    let hour = at.rem_euclid(86_400 * SECOND) as f64 / (3600 * SECOND) as f64;
    let distance = (hour - 15.0).abs();
    let off = distance.min(24.0 - distance) / 12.0;
    1.0 - 0.65 * off * off * (3.0 - 2.0 * off)
}

impl Timeline {
    /// The load of this story.
    #[must_use]
    pub fn new(seed: u64, world: &World, story: &Story) -> Self {
        let mut random = Random::new(seed, "load");
        let windows = &story.windows;
        let steps = usize::try_from((windows.end - windows.start) / STEP + 120).unwrap_or(0);
        let services = world.services.len();
        let mut timeline = Self {
            start: windows.start,
            steps,
            utilisation: vec![0.0; services * steps],
            replicas: vec![0; services * steps],
            usual: world.services.iter().map(|service| service.utilisation).collect(),
            scalings: Vec::new(),
        };
        let traffic = world.by_service(&world.visits());
        let ratios = story.surges.iter().map(|surge| match surge.entry {
            Some(entry) => {
                let added = world.by_service(&world.visits_of(world.entries[entry].0));
                added.iter().zip(&traffic).map(|(added, usual)| added / usual.max(1e-9)).collect()
            }
            None => vec![1.0; services],
        });
        let ratios: Vec<Vec<f64>> = ratios.collect();
        for service in 0..services {
            timeline.follow(service, world, story, &ratios, &mut random);
        }
        timeline.scalings.sort_by_key(|scaling| (scaling.at, scaling.service));
        timeline
    }

    fn follow(&mut self, at: usize, world: &World, story: &Story, ratios: &[Vec<f64>], random: &mut Random) {
        let service = &world.services[at];
        let mut replicas = service.replicas;
        let (mut above, mut below) = (0, 0);
        let mut drift = 0.0;
        let patience = 3 + random.below(6);
        let base = diurnal(self.start);
        let mut now = self.start - STEP;
        for step in 0..self.steps {
            now += STEP;
            drift = 0.9 * drift + 0.012 * random.normal();
            let surge: f64 = story.surges.iter().zip(ratios).map(|(surge, ratio)| surge.extra(now) * ratio[at]).sum();
            let mut work = service.utilisation * (diurnal(now) / base) * (1.0 + surge) * (1.0 + drift).max(0.5);
            if story.spike.is_some_and(|spike| spike.service == at && now >= story.windows.onset) {
                work *= story.spike.map_or(1.0, |spike| spike.factor);
            }
            let load = work * f64::from(service.replicas);
            let utilisation = load / f64::from(replicas);
            let wanted = ((load / TARGET).ceil() as u32).clamp(service.replicas, service.max_replicas);
            above = if wanted > replicas { above + 1 } else { 0 };
            below = if wanted < replicas { below + 1 } else { 0 };
            let index = at * self.steps + step;
            self.utilisation[index] = utilisation;
            self.replicas[index] = replicas;
            if above >= patience || below >= 30 {
                let pause = SECOND * random.integer(0, 9);
                self.scalings.push(Scaling { at: now + pause, service: at, from: replicas, to: wanted, utilisation });
                replicas = wanted;
                (above, below) = (0, 0);
            }
        }
    }

    fn index(&self, service: usize, at: i64) -> usize {
        let step = usize::try_from((at - self.start).max(0) / STEP).unwrap_or(0).min(self.steps - 1);
        service * self.steps + step
    }

    /// Replicas of the service at this time.
    #[must_use]
    pub fn replicas(&self, service: usize, at: i64) -> u32 {
        self.replicas[self.index(service, at)]
    }

    /// Utilisation of the service at this time; above 1 when requests queue up.
    #[must_use]
    pub fn utilisation(&self, service: usize, at: i64) -> f64 {
        self.utilisation[self.index(service, at)]
    }

    /// Factor by which queueing stretches the work of the service, against its usual load (M/M/1).
    #[must_use]
    pub fn queueing(&self, service: usize, at: i64) -> f64 {
        (1.0 - self.usual[service]) / (1.0 - self.utilisation(service, at).min(SATURATED))
    }
}
