//! Metrics of the simulated services: processor, memory, replicas, and request durations as delta histograms.

use super::faults::{Cohort, Target};
use super::otlp::{Exporter, push};
use super::random::mix;
use super::story::{SECOND, Story};
use super::timeline::{STEP, Timeline};
use super::world::World;

/// How often metrics are exported.
pub const EXPORT_EVERY: i64 = 6 * STEP;

/// Upper bounds of the buckets in seconds, as the semantic conventions advise.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Durations observed since the last export.
#[derive(Debug, Clone, Default)]
struct Histogram {
    buckets: [u64; 15],
    sum: f64,
}

/// Collects and exports.
#[derive(Debug)]
pub struct Meter(Vec<Histogram>);

impl Meter {
    /// Nothing observed.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self(vec![Histogram::default(); world.services.len()])
    }

    /// One request to the service.
    pub fn observe(&mut self, service: usize, ms: f64) {
        let histogram = &mut self.0[service];
        let seconds = ms / 1000.0;
        histogram.buckets[BOUNDS.partition_point(|&bound| bound < seconds)] += 1;
        histogram.sum += seconds;
    }

    /// Export every service and start over.
    pub fn export(&mut self, at: i64, world: &World, story: &Story, timeline: &Timeline, exporter: &mut Exporter) {
        for (service, histogram) in self.0.iter_mut().enumerate() {
            let histogram = std::mem::take(histogram);
            let version = match &story.rollouts[service] {
                Some(rollout) if rollout.share(at) > 0.5 => rollout.to,
                Some(rollout) => rollout.from,
                None => 0,
            };
            let replicas = timeline.replicas(service, at);
            let load = timeline.utilisation(service, at).min(1.0);
            for number in 0..replicas {
                let name = story.versions[service][version].as_str();
                let instance = exporter.instance(world, service, (version, name), number);
                let noise = (mix(&[at as u64, service as u64, u64::from(number)]) >> 40) as f64 / 16_777_216.0 - 0.5;
                let busy = (load + hot(story, service, at) + 0.04 * noise).clamp(0.01, 1.0);
                let memory = 240e6 * (1.0 + 0.5 * load + 0.06 * noise);
                exporter.metric(instance, &gauge("process.cpu.utilization", "1", at, busy));
                exporter.metric(instance, &gauge("process.memory.usage", "By", at, memory.floor()));
                if number == 0 {
                    exporter
                        .metric(instance, &gauge("k8s.deployment.available_pods", "{pod}", at, f64::from(replicas)));
                    exporter.metric(instance, &histogram.json(at));
                }
            }
        }
    }
}

/// What effects that burn processor time add to the utilisation.
fn hot(story: &Story, service: usize, at: i64) -> f64 {
    let here = |effect: &&super::faults::Effect| {
        effect.target == Target::Service(service) && effect.latency > 2.0 && effect.from % (2 * SECOND) == 0
    };
    let whole = |effect: &super::faults::Effect| if effect.cohort == Cohort::All { 0.35 } else { 0.15 };
    story.effects.iter().filter(here).map(|effect| whole(effect) * effect.strength(at)).sum()
}

fn gauge(name: &str, unit: &str, at: i64, value: f64) -> String {
    format!(
        "{{\"name\":\"{name}\",\"unit\":\"{unit}\",\"gauge\":{{\"dataPoints\":[{{\"timeUnixNano\":\"{at}\",\"asDouble\":{value}}}]}}}}"
    )
}

impl Histogram {
    fn json(&self, at: i64) -> String {
        let count: u64 = self.buckets.iter().sum();
        let mut out = String::from("{\"name\":\"http.server.request.duration\",\"unit\":\"s\",\"histogram\":{");
        push(&mut out, format_args!("\"aggregationTemporality\":1,\"dataPoints\":[{{\"timeUnixNano\":\"{at}\","));
        push(&mut out, format_args!("\"startTimeUnixNano\":\"{}\",\"count\":\"{count}\",", at - EXPORT_EVERY));
        push(&mut out, format_args!("\"sum\":{},\"bucketCounts\":[", self.sum));
        for (position, bucket) in self.buckets.iter().enumerate() {
            push(&mut out, format_args!("{}\"{bucket}\"", if position > 0 { "," } else { "" }));
        }
        push(&mut out, format_args!("],\"explicitBounds\":{BOUNDS:?}}}]}}}}"));
        out
    }
}
