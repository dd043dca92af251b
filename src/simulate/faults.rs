//! What goes wrong, and how much of it the rest of the company feels: effects at one place, and their expected
//! propagation up the call graph (used to choose an alerting service that really suffers).

use super::world::{Callee, World};

/// Chance that a failed required call fails its caller too.
pub const PROPAGATION: f64 = 0.95;

/// Where an effect sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A service.
    Service(usize),
    /// A peer.
    Peer(usize),
}

/// Which requests it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cohort {
    /// All of them.
    All,
    /// Those served by this version (index into the versions of the service).
    Version(usize),
    /// Those for which this flag is on.
    Flag(usize),
}

/// Trouble at one place for some time.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Where.
    pub target: Target,
    /// For which requests.
    pub cohort: Cohort,
    /// Only these operations; empty means all.
    pub operations: Vec<usize>,
    /// From when, nanoseconds since the epoch.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// How long it takes to reach full strength.
    pub ramp: i64,
    /// Added probability of an error.
    pub error_rate: f64,
    /// Factor on the time of its own work.
    pub latency: f64,
    /// `error.type` of the errors.
    pub error_type: &'static str,
    /// Whether the answers are wrong but look right: not the target but its callers report the errors.
    pub silent: bool,
    /// Log template of the errors; `{}` is replaced by an id.
    pub message: &'static str,
}

impl Effect {
    /// How strong it is at this time, between 0 and 1.
    #[must_use]
    pub fn strength(&self, at: i64) -> f64 {
        if at < self.from || at >= self.to {
            return 0.0;
        }
        if self.ramp <= 0 {
            return 1.0;
        }
        ((at - self.from) as f64 / self.ramp as f64).min(1.0)
    }

    /// Whether the operation is among those that it hits.
    #[must_use]
    pub fn hits(&self, operation: usize) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }
}

/// Mean trouble per place, for the expectation.
#[derive(Debug, Clone)]
pub struct Stress {
    /// Added error probability per operation.
    pub error: Vec<f64>,
    /// Latency factor per operation.
    pub latency: Vec<f64>,
    /// Added error probability per peer.
    pub peer_error: Vec<f64>,
    /// Latency factor per peer.
    pub peer_latency: Vec<f64>,
}

impl Stress {
    /// No trouble.
    #[must_use]
    pub fn none(world: &World) -> Self {
        Self {
            error: vec![0.0; world.operations.len()],
            latency: vec![1.0; world.operations.len()],
            peer_error: vec![0.0; world.peers.len()],
            peer_latency: vec![1.0; world.peers.len()],
        }
    }

    /// Add the mean of an effect that hits a share of the requests.
    pub fn add(&mut self, world: &World, effect: &Effect, share: f64) {
        let latency = 1.0 + share * (effect.latency - 1.0);
        match effect.target {
            Target::Service(service) => {
                for (at, operation) in world.operations.iter().enumerate() {
                    if operation.service == service && effect.hits(at) {
                        self.error[at] += share * effect.error_rate;
                        self.latency[at] *= latency;
                    }
                }
            }
            Target::Peer(peer) => {
                self.peer_error[peer] += share * effect.error_rate;
                self.peer_latency[peer] *= latency;
            }
        }
    }
}

/// Expected failure probability and mean milliseconds of every service under the stress, weighted by its traffic.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Probability that a request to the service fails.
    pub error: Vec<f64>,
    /// Mean duration of a request to the service, milliseconds.
    pub ms: Vec<f64>,
}

/// Expectation of every service under the stress.
#[must_use]
pub fn expect(world: &World, stress: &Stress, visits: &[f64]) -> Expectation {
    let count = world.operations.len();
    let (mut fail, mut ms) = (vec![0.0; count], vec![0.0; count]);
    for (at, operation) in world.operations.iter().enumerate() {
        let mut survive = 1.0 - (world.services[operation.service].base_error + stress.error[at]).min(1.0);
        let mut total = operation.self_ms * 1.1 * stress.latency[at];
        for step in &operation.steps {
            let mut longest: f64 = 0.0;
            for edge in step {
                let (failure, time) = match edge.callee {
                    Callee::Operation(callee) => (fail[callee], ms[callee] + 0.8),
                    Callee::Peer(peer, _) => {
                        (stress.peer_error[peer], world.peers[peer].median_ms * 1.1 * stress.peer_latency[peer])
                    }
                    Callee::Topic(_) => (0.0, 0.8),
                };
                let final_failure = (0..edge.retries).fold(failure, |power, _| power * failure);
                if !edge.optional {
                    survive *= 1.0 - edge.probability * PROPAGATION * final_failure;
                }
                let attempts = 1.0 + if edge.retries > 0 { failure } else { 0.0 };
                longest = longest.max(edge.probability * attempts * time.min(edge.timeout_ms));
            }
            total += longest;
        }
        fail[at] = 1.0 - survive;
        ms[at] = total;
    }
    let weigh = |values: &[f64]| -> Vec<f64> {
        let products: Vec<f64> = values.iter().zip(visits).map(|(value, visits)| value * visits).collect();
        let sums = world.by_service(&products);
        sums.iter().zip(world.by_service(visits)).map(|(sum, visits)| sum / visits.max(1e-12)).collect()
    };
    Expectation { error: weigh(&fail), ms: weigh(&ms) }
}

/// Services of which some operation calls the peer directly.
#[must_use]
pub fn callers_of_peer(world: &World, peer: usize) -> Vec<usize> {
    let mut callers: Vec<usize> = world
        .operations
        .iter()
        .filter(|o| o.steps.iter().flatten().any(|e| matches!(e.callee, Callee::Peer(p, _) if p == peer)))
        .map(|operation| operation.service)
        .collect();
    callers.sort_unstable();
    callers.dedup();
    callers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_at_payment_is_expected_upstream_and_nowhere_else() {
        let world = World::new(5).unwrap();
        let visits = world.visits();
        let quiet = expect(&world, &Stress::none(&world), &visits);
        let at = |name: &str| world.services.iter().position(|s| s.name == name).unwrap();
        let effect = Effect {
            target: Target::Service(at("payment")),
            cohort: Cohort::All,
            operations: vec![],
            from: 0,
            to: 10,
            ramp: 0,
            error_rate: 0.9,
            latency: 1.0,
            error_type: "x",
            silent: false,
            message: "x",
        };
        let mut stress = Stress::none(&world);
        stress.add(&world, &effect, 0.5);
        let loud = expect(&world, &stress, &visits);
        let rise = |name: &str| loud.error[at(name)] - quiet.error[at(name)];
        assert!(rise("payment") > 0.4 && rise("checkout") > 0.1, "{} {}", rise("payment"), rise("checkout"));
        assert!(rise("payment") >= rise("checkout") && rise("checkout") >= rise("api-gateway"));
        assert_eq!(rise("search"), 0.0);
    }

    #[test]
    fn strength_ramps_up_and_ends() {
        let mut effect = Effect {
            target: Target::Peer(0),
            cohort: Cohort::All,
            operations: vec![],
            from: 100,
            to: 200,
            ramp: 50,
            error_rate: 0.0,
            latency: 2.0,
            error_type: "",
            silent: false,
            message: "",
        };
        assert_eq!([99, 100, 125, 150, 199, 200].map(|at| effect.strength(at)), [0.0, 0.0, 0.5, 1.0, 1.0, 0.0]);
        effect.ramp = 0;
        assert_eq!(effect.strength(100), 1.0);
    }
}
