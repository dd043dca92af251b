//! Known skew, injected and found again.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::attribution::trace::{SpanId, Tree};

const MILLI: i64 = 1_000_000;

/// A delay on the wire: at least `base`, with an exponential tail of 2 ms.
fn delay(random: &mut ChaCha8Rng, base: i64) -> i64 {
    let tail: f64 = random.random();
    base + (-(1.0 - tail).ln() * 2.0 * MILLI as f64) as i64
}

/// A call at true time `at`, timestamps rounded down to microseconds as each side's clock shows them.
fn call(random: &mut ChaCha8Rng, at: i64, base: (i64, i64), clocks: (i64, i64)) -> RpcPair {
    let received = at + delay(random, base.0);
    let done = received + random.random_range(0..20 * MILLI);
    let answered = done + delay(random, base.1);
    let show = |time: i64, clock: i64| (time + clock).div_euclid(1_000) * 1_000;
    RpcPair {
        client: 0,
        server: 1,
        called: (show(at, clocks.0), show(answered, clocks.0)),
        served: (show(received, clocks.1), show(done, clocks.1)),
    }
}

#[test]
fn injected_skew_is_found_and_the_bound_holds() {
    const INSTANCES: u32 = 40;
    let (mut errors, mut held, mut total) = (Vec::new(), 0, 0);
    for seed in 0..20 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let clocks: Vec<i64> = (0..INSTANCES).map(|_| random.random_range(-500 * MILLI..=500 * MILLI)).collect();
        let mut samples = SkewSamples::default();
        for server in 1..INSTANCES {
            // A tree of calls with a few edges more.
            for client in [server / 3, server / 2] {
                let base = (random.random_range(50_000..500_000), random.random_range(50_000..500_000));
                for _ in 0..random.random_range(5..200) {
                    let at = 1_700_000_000_000_000_000 + random.random_range(0..3_600_000 * MILLI);
                    let clock = |instance: u32| clocks[instance as usize];
                    let pair = call(&mut random, at, base, (clock(client), clock(server)));
                    samples.add(&client, &server, &pair);
                }
            }
        }
        let found = samples.solve().offsets_from(&0);
        assert_eq!(found.len(), INSTANCES as usize);
        assert_eq!(found[&0], ClockOffset { offset: 0, bound: 0 });
        for instance in 1..INSTANCES {
            let ClockOffset { offset, bound } = found[&instance];
            let error = (offset - (clocks[instance as usize] - clocks[0])).abs();
            errors.push(error);
            held += usize::from(error <= bound);
            total += 1;
        }
    }
    errors.sort_unstable();
    let p95 = errors[errors.len() * 95 / 100];
    let coverage = f64::from(u32::try_from(held).unwrap()) / f64::from(total);
    eprintln!("skew ±500 ms: p95 error {:.3} ms, bound holds in {:.1} %", p95 as f64 / 1e6, coverage * 100.0);
    assert!(p95 < 2 * MILLI, "p95 error {p95} ns");
    assert!(coverage >= 0.95, "coverage {coverage}");
}

fn pair(called: (i64, i64), served: (i64, i64)) -> RpcPair {
    RpcPair { client: 0, server: 1, called, served }
}

#[test]
fn one_call_bounds_the_offset_by_its_gap() {
    let mut samples = SkewSamples::default();
    // The server's clock is 1,000 ahead: it served [1020, 1060] of a call of [0, 100]. Gap 60, midpoint 990.
    samples.add(&0, &1, &pair((0, 100), (1_020, 1_060)));
    let map = samples.solve();
    // The timestamps are whole multiples of 1 ns only.
    assert_eq!(map.offsets_from(&0)[&1], ClockOffset { offset: 990, bound: 31 });
    assert_eq!(map.offsets_from(&1)[&0], ClockOffset { offset: -990, bound: 31 });
    assert!(!map.offsets_from(&7).contains_key(&1));
}

#[test]
fn coarse_timestamps_widen_the_bound_and_a_server_that_outlives_its_client_says_nothing() {
    let mut samples = SkewSamples::default();
    let milli = |(from, to): (i64, i64)| (from * MILLI, to * MILLI);
    samples.add(&0, &1, &pair(milli((0, 10)), milli((1, 9))));
    samples.add(&0, &1, &pair(milli((0, 10)), milli((100, 200))));
    assert_eq!(samples.solve().offsets_from(&0)[&1], ClockOffset { offset: 0, bound: 1_500_000 });
}

#[test]
fn both_directions_of_an_edge_agree() {
    let mut samples = SkewSamples::default();
    samples.add(&5, &3, &pair((0, 100), (520, 560)));
    // The other way round: 3 calls 5, whose clock is 490 behind.
    samples.add(&3, &5, &pair((500, 620), (20, 100)));
    let found = samples.solve().offsets_from(&5);
    assert_eq!(found[&3], ClockOffset { offset: 500, bound: 21 });
}

#[test]
fn the_tightest_way_counts_over_several_hops() {
    let mut samples = SkewSamples::default();
    // Directly with a gap of 1,000; over instance 1 with gaps of 10 each.
    samples.add(&0, &2, &pair((0, 2_001), (300, 1_301)));
    samples.add(&0, &1, &pair((0, 100), (45, 135)));
    samples.add(&1, &2, &pair((0, 101), (55, 146)));
    let found = samples.solve().offsets_from(&0);
    assert_eq!(found[&1], ClockOffset { offset: 40, bound: 6 });
    assert_eq!(found[&2], ClockOffset { offset: 90, bound: 12 });
}

#[test]
fn only_calls_between_instances_are_pairs() {
    let span = |id: u64, parent: u64, kind, instance| Span {
        id: SpanId::from_bits(id),
        parent: if parent == 0 { SpanId::NONE } else { SpanId::from_bits(parent) },
        kind,
        instance,
        start: 10 * id.cast_signed(),
        duration: 100,
        ..Span::default()
    };
    let spans = [
        span(1, 0, Kind::Client, 0),
        span(2, 1, Kind::Server, 1),
        span(3, 2, Kind::Server, 2),
        span(4, 2, Kind::Client, 1),
        span(5, 4, Kind::Server, 1),
        span(6, 2, Kind::Producer, 1),
        span(7, 6, Kind::Consumer, 3),
    ];
    let mut tree = Tree::default();
    tree.resolve(&spans);
    let mut found = Vec::new();
    rpc_pairs(&spans, &tree, |pair| found.push(pair));
    assert_eq!(found, [RpcPair { client: 0, server: 1, called: (10, 110), served: (20, 120) }]);
}
