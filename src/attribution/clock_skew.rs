//! How far the clocks of service instances are apart, from the calls between them.
//!
//! A synchronous call is an interval on the client's clock that contains one on the server's. So the offset θ (server
//! clock minus client clock) lies between `server end − client end` and `server start − client start`, an interval as
//! wide as the *gap*, the client's duration minus the server's. Calls with the smallest gaps say most: of the smallest
//! tenth of an edge's gaps the median midpoint is the estimate, half the smallest gap plus half the resolution of the
//! timestamps its bound. Between instances that do not call each other, the path with the smallest sum of bounds counts.
//! Stored times are never rewritten.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::trace::{Code, Kind, NULL_CODE, Span, Tree, span_at};

/// The share of the gaps of an edge that is looked at: one in this many.
const KEPT_DIVISOR: usize = 10;

/// Most calls of an edge that are remembered: those with the smallest gaps.
const MAX_KEPT: usize = 8192;

/// Units that timestamps are rounded to, nanoseconds, the coarsest first.
const RESOLUTIONS: [i64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// Both sides of a synchronous call. Times are nanoseconds since the epoch, each on its own side's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcPair {
    /// Instance that called.
    pub client: Code,
    /// Instance that was called.
    pub server: Code,
    /// When the call was sent and answered.
    pub called: (i64, i64),
    /// When it was received and done.
    pub served: (i64, i64),
}

/// The calls between different instances in one trace.
pub fn rpc_pairs(spans: &[Span], tree: &Tree, mut emit: impl FnMut(RpcPair)) {
    for row in tree.order().iter().filter(|row| !tree.is_repeated(**row)) {
        let Some(server) = span_at(spans, *row).filter(|span| span.kind == Kind::Server) else { continue };
        let Some(client) = span_at(spans, tree.parent(*row)).filter(|span| span.kind == Kind::Client) else {
            continue;
        };
        let known = client.instance != NULL_CODE && server.instance != NULL_CODE;
        if known && client.instance != server.instance {
            let (called, served) = (client.interval(), server.interval());
            emit(RpcPair { client: client.instance, server: server.instance, called, served });
        }
    }
}

/// What the calls between two instances say.
#[derive(Debug, Clone)]
struct Edge {
    calls: usize,
    /// Gap, and twice the midpoint (clock of the second instance minus that of the first).
    kept: Vec<(i64, i128)>,
    /// Index of the finest unit that a timestamp needed.
    resolution: usize,
}

impl Edge {
    fn new() -> Self {
        Self { calls: 0, kept: Vec::new(), resolution: 0 }
    }

    fn add(&mut self, gap: i64, twice_midpoint: i128, times: &[i64]) {
        self.calls += 1;
        self.kept.push((gap, twice_midpoint));
        for time in times {
            while RESOLUTIONS.get(self.resolution).is_some_and(|unit| time % unit != 0) {
                self.resolution += 1;
            }
        }
        self.trim();
    }

    fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        self.kept.extend(other.kept);
        self.resolution = self.resolution.max(other.resolution);
        self.trim();
    }

    fn trim(&mut self) {
        if self.kept.len() >= 2 * MAX_KEPT {
            self.kept.select_nth_unstable(MAX_KEPT);
            self.kept.truncate(MAX_KEPT);
        }
    }

    /// Offset and bound.
    fn estimate(&self) -> Option<(i64, i64)> {
        let mut kept = self.kept.clone();
        kept.sort_unstable();
        kept.truncate(self.calls.div_ceil(KEPT_DIVISOR));
        let smallest = kept.first()?.0;
        let mut midpoints: Vec<i128> = kept.iter().map(|(_, midpoint)| *midpoint).collect();
        midpoints.sort_unstable();
        let (low, high) = (midpoints.get((midpoints.len() - 1) / 2)?, midpoints.get(midpoints.len() / 2)?);
        let offset = (low + high).div_euclid(4);
        let unit = RESOLUTIONS.get(self.resolution).copied().unwrap_or(1);
        // Rounded up: a bound must not shrink.
        let bound = (i128::from(smallest) + i128::from(unit) + 1) / 2;
        Some((saturate(offset), saturate(bound)))
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Collects the calls between instances. `I` names an instance.
#[derive(Debug)]
pub struct SkewSamples<I> {
    edges: HashMap<(I, I), Edge>,
}

impl<I> Default for SkewSamples<I> {
    fn default() -> Self {
        Self { edges: HashMap::new() }
    }
}

impl<I: Clone + Ord + std::hash::Hash> SkewSamples<I> {
    /// Add a call from one instance to another. A server that outlives its client proves nothing and is dropped.
    pub fn add(&mut self, client: &I, server: &I, pair: &RpcPair) {
        let (called, served) = (pair.called, pair.served);
        let gap = i128::from(called.1) - i128::from(called.0) - (i128::from(served.1) - i128::from(served.0));
        let Ok(gap) = i64::try_from(gap) else { return };
        if gap < 0 || client == server {
            return;
        }
        let after = i128::from(served.0) - i128::from(called.0);
        let before = i128::from(served.1) - i128::from(called.1);
        let twice_midpoint = after + before;
        let times = [called.0, called.1, served.0, served.1];
        if client < server {
            self.edge((client.clone(), server.clone())).add(gap, twice_midpoint, &times);
        } else {
            self.edge((server.clone(), client.clone())).add(gap, -twice_midpoint, &times);
        }
    }

    /// Add the calls of another part of the traces.
    pub fn merge(&mut self, other: Self) {
        for (key, edge) in other.edges {
            self.edge(key).merge(edge);
        }
    }

    /// The same with other names for the instances: ties are broken by them.
    #[must_use]
    pub fn renamed<J: Clone + Ord + std::hash::Hash>(self, name: impl Fn(&I) -> J) -> SkewSamples<J> {
        let mut renamed = SkewSamples::default();
        for ((first, second), mut edge) in self.edges {
            let (first, second) = (name(&first), name(&second));
            if first < second {
                renamed.edge((first, second)).merge(edge);
            } else {
                edge.kept.iter_mut().for_each(|(_, midpoint)| *midpoint = -*midpoint);
                renamed.edge((second, first)).merge(edge);
            }
        }
        renamed
    }

    fn edge(&mut self, key: (I, I)) -> &mut Edge {
        self.edges.entry(key).or_insert_with(Edge::new)
    }

    /// What the calls say.
    #[must_use]
    pub fn solve(&self) -> ClockMap<I> {
        let mut neighbours: HashMap<I, Vec<(I, i64, i64)>> = HashMap::new();
        for ((first, second), edge) in &self.edges {
            let Some((offset, bound)) = edge.estimate() else { continue };
            neighbours.entry(first.clone()).or_default().push((second.clone(), offset, bound));
            neighbours.entry(second.clone()).or_default().push((first.clone(), -offset, bound));
        }
        for edges in neighbours.values_mut() {
            edges.sort_unstable();
        }
        ClockMap { neighbours }
    }
}

/// The clock of an instance against that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// By how much it is ahead, nanoseconds.
    pub offset: i64,
    /// By how much the offset may be wrong, either way.
    pub bound: i64,
}

/// How far the clocks of the instances that call each other are apart.
#[derive(Debug, Clone)]
pub struct ClockMap<I> {
    neighbours: HashMap<I, Vec<(I, i64, i64)>>,
}

impl<I: Clone + Ord + std::hash::Hash> ClockMap<I> {
    /// The offsets of all instances that calls connect with `root`, itself with 0.
    #[must_use]
    pub fn offsets_from(&self, root: &I) -> HashMap<I, ClockOffset> {
        let mut found: HashMap<I, ClockOffset> = HashMap::new();
        let mut queue = BinaryHeap::from([Reverse((0_i64, 0_u32, root.clone(), 0_i64))]);
        while let Some(Reverse((bound, hops, here, offset))) = queue.pop() {
            if found.contains_key(&here) {
                continue;
            }
            for (next, step, step_bound) in self.neighbours.get(&here).into_iter().flatten() {
                if !found.contains_key(next) {
                    let next_bound = bound.saturating_add(*step_bound);
                    queue.push(Reverse((next_bound, hops + 1, next.clone(), offset.saturating_add(*step))));
                }
            }
            found.insert(here, ClockOffset { offset, bound });
        }
        found
    }
}

#[cfg(test)]
#[path = "clock_skew_tests.rs"]
mod tests;
