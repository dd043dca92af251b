//! Trees and paths against a naive oracle, and what must hold for any input.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// The facts of every span, and the sum of the shares below each root.
pub(super) fn analyze(spans: &[Span]) -> (Vec<SpanFacts>, BTreeMap<u32, i128>) {
    let mut analyzer = Analyzer::default();
    let facts = analyzer.analyze(spans).to_vec();
    let mut sums = BTreeMap::new();
    for fact in &facts {
        *sums.entry(fact.root).or_insert(0) += i128::from(fact.critical_path);
    }
    (facts, sums)
}

/// A span with this id below `parent` (0: none).
fn span(id: u64, parent: u64, start: i64, duration: i64) -> Span {
    let parent = if parent == 0 { SpanId::NONE } else { SpanId::from_bits(parent) };
    Span { id: SpanId::from_bits(id), parent, start, duration, service: 0, ..Span::default() }
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Shares by the definition, children looked up by scanning, one level of the stack a level of the tree.
fn naive_path(spans: &[Span], at: usize, from: i64, to: i64, shares: &mut [i64]) {
    let mut children: Vec<(usize, i64, i64)> = (0..spans.len())
        .filter(|child| spans[*child].parent == spans[at].id)
        .map(|child| (child, spans[child].start.max(from), (spans[child].start + spans[child].length()).min(to)))
        .filter(|(child, from, to)| from < to || (from == to && spans[*child].length() == 0))
        .collect();
    children
        .sort_by_key(|(child, from, to)| (-to, *from, spans[*child].start, -spans[*child].duration, spans[*child].id));
    let mut own = to - from;
    let mut cursor = to;
    let mut later: Option<(i64, i64)> = None;
    for &(child, begin, end) in &children {
        if let Some(later) = later {
            let window = later.0..=end;
            let events: usize = children
                .iter()
                .map(|(_, begin, end)| usize::from(window.contains(begin)) + usize::from(window.contains(end)))
                .sum();
            let skewed = end < later.1 && begin < later.0 && (end - later.0) * 100 < to - from && events == 2;
            if end > later.0 && !skewed {
                continue;
            }
        }
        let given = (end - begin).min(end.min(cursor) - from);
        cursor = end.min(cursor) - given;
        own -= given;
        later = Some((begin, end));
        naive_path(spans, child, end - given, end, shares);
    }
    shares[at] = own;
}

/// Nanoseconds of the span in which no child ran, counted one by one.
fn naive_self_time(spans: &[Span], at: usize) -> i64 {
    let (begin, end) = spans[at].interval();
    let children: Vec<_> = spans.iter().filter(|child| child.parent == spans[at].id).collect();
    let busy = |time: &i64| children.iter().any(|child| child.start <= *time && *time < child.start + child.length());
    i64::try_from((begin..end).filter(|time| !busy(time)).count()).unwrap()
}

/// Trees with unique ids, some of whose spans name a parent that is not there.
fn forest() -> impl Strategy<Value = Vec<Span>> {
    let one = (0_u64..1_000, 0_i64..400, -20_i64..300);
    prop::collection::vec(one, 1..40).prop_map(|rows| {
        let mut spans = Vec::new();
        for (at, (pick, start, duration)) in rows.into_iter().enumerate() {
            let id = at as u64 + 1;
            let parent = if pick % 17 == 0 { 900 + pick } else { pick % id };
            spans.push(span(id, parent, start, duration));
        }
        spans.reverse();
        spans
    })
}

#[test]
fn random_forests_agree_with_the_definition() {
    let check = |spans: Vec<Span>| {
        let (facts, _) = analyze(&spans);
        let mut shares = vec![0; spans.len()];
        for (at, span) in spans.iter().enumerate() {
            let parent = spans.iter().position(|other| other.id == span.parent);
            prop_assert_eq!(facts[at].parent, parent.map_or(NO_ROW, row));
            prop_assert_eq!(facts[at].is_orphan, parent.is_none() && span.parent != SpanId::NONE);
            let depth =
                std::iter::successors(parent, |above| spans.iter().position(|other| other.id == spans[*above].parent));
            prop_assert_eq!(facts[at].depth as usize, depth.clone().count());
            prop_assert_eq!(facts[at].root, row(depth.last().unwrap_or(at)));
            prop_assert_eq!(facts[at].self_time, naive_self_time(&spans, at));
            let children = spans.iter().filter(|other| other.parent == span.id).count();
            prop_assert_eq!(facts[at].child_count as usize, children);
            if parent.is_none() {
                naive_path(&spans, at, span.start, span.start + span.length(), &mut shares);
            }
        }
        let found: Vec<i64> = facts.iter().map(|fact| fact.critical_path).collect();
        prop_assert_eq!(found, shares);
        Ok(())
    };
    runner(2_000).run(&forest(), check).unwrap();
}

/// Anything: ids from a handful, parents that lead anywhere, times up to the ends of what can be stored.
fn garbage() -> impl Strategy<Value = Vec<Span>> {
    let extreme = prop_oneof![8 => -50_i64..50, 1 => Just(i64::MAX), 1 => Just(i64::MIN), 1 => any::<i64>()];
    let one = (1_u64..12, 0_u64..14, extreme.clone(), extreme, 0_usize..6, 0_usize..3, 0_u32..3);
    prop::collection::vec(one, 0..60).prop_map(|rows| {
        const KINDS: [Kind; 6] =
            [Kind::Server, Kind::Consumer, Kind::Internal, Kind::Unspecified, Kind::Client, Kind::Producer];
        const STATUS: [Status; 3] = [Status::Unset, Status::Ok, Status::Error];
        let made = rows.into_iter().map(|(id, parent, start, duration, kind, status, service)| Span {
            kind: KINDS[kind],
            status: STATUS[status],
            service,
            instance: service,
            ..span(id, parent, start, duration)
        });
        made.collect()
    })
}

#[test]
fn whatever_comes_is_conserved_and_every_span_has_one_place() {
    let check = |spans: Vec<Span>| {
        let (facts, sums) = analyze(&spans);
        prop_assert_eq!(facts.len(), spans.len());
        for (root, sum) in &sums {
            let fact = facts[*root as usize];
            prop_assert_eq!(fact.parent, NO_ROW);
            let expected = if fact.is_repeated { 0 } else { spans[*root as usize].length() };
            prop_assert_eq!(*sum, i128::from(expected));
        }
        for (at, fact) in facts.iter().enumerate() {
            prop_assert!(fact.critical_path >= 0 && fact.critical_path <= spans[at].length());
            prop_assert!(fact.self_time >= 0 && fact.self_time <= spans[at].length());
            let above = (fact.parent != NO_ROW).then(|| facts[fact.parent as usize]);
            prop_assert_eq!(fact.depth, above.map_or(0, |above| above.depth + 1));
            prop_assert_eq!(fact.root, above.map_or(row(at), |above| above.root));
            prop_assert!(!fact.is_error_origin || spans[at].is_error());
            prop_assert!(!above.is_some_and(|above| above.is_repeated));
        }
        let children: u32 = facts.iter().map(|fact| fact.child_count).sum();
        prop_assert_eq!(children as usize, facts.iter().filter(|fact| fact.parent != NO_ROW).count());
        let failed = spans.iter().any(Span::is_error);
        prop_assert_eq!(failed, facts.iter().any(|fact| fact.is_error_origin));
        let mut analyzer = Analyzer::default();
        analyzer.analyze(&spans);
        let mut count = 0;
        Calls::default().each(&spans, &analyzer.tree, |_| count += 1);
        // A client span may stand for the call that reached its service and for the one that left it.
        prop_assert!(count <= 2 * spans.len());
        Ok(())
    };
    runner(4_000).run(&garbage(), check).unwrap();
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let check = |(spans, seed): (Vec<Span>, usize)| {
        // Ties between spans that differ in nothing that orders them are out of scope: make starts unique.
        let spans: Vec<Span> =
            spans.iter().enumerate().map(|(at, span)| Span { start: at as i64 * 3 % 61, ..*span }).collect();
        let (facts, _) = analyze(&spans);
        let turn = seed % spans.len().max(1);
        let turned: Vec<Span> = spans[turn..].iter().chain(&spans[..turn]).copied().collect();
        let (other, _) = analyze(&turned);
        for (at, fact) in facts.iter().enumerate() {
            let moved = other[(at + spans.len() - turn) % spans.len()];
            prop_assert_eq!((fact.depth, fact.child_count), (moved.depth, moved.child_count));
            prop_assert_eq!((fact.self_time, fact.critical_path), (moved.self_time, moved.critical_path));
            prop_assert_eq!((fact.is_orphan, fact.is_error_origin), (moved.is_orphan, moved.is_error_origin));
        }
        Ok(())
    };
    runner(2_000).run(&(garbage(), 0_usize..60), check).unwrap();
}

#[test]
fn a_chain_of_100_000_and_a_fan_of_100_000_are_answered() {
    const COUNT: u64 = 100_000;
    let chain: Vec<Span> = (1..=COUNT).rev().map(|id| span(id, id - 1, id as i64, 1_000_000 - 2 * id as i64)).collect();
    let (facts, sums) = analyze(&chain);
    assert_eq!(facts[0].depth, 99_999);
    assert_eq!(facts[0].critical_path, 800_000);
    assert_eq!(facts[99_999].critical_path, 2);
    assert_eq!(sums, BTreeMap::from([(99_999, 999_998)]));

    let mut fan = vec![span(1, 0, 0, 2 * COUNT as i64)];
    fan.extend((0..COUNT).map(|at| span(at + 2, 1, 2 * at as i64, 1)));
    let (facts, sums) = analyze(&fan);
    assert_eq!((facts[0].child_count, facts[0].self_time, facts[0].critical_path), (100_000, 100_000, 100_000));
    assert!(facts[1..].iter().all(|fact| fact.critical_path == 1));
    assert_eq!(sums[&0], 200_000);

    // Everything at once, in parallel, is one child's path.
    let mut parallel = vec![span(1, 0, 0, 100)];
    parallel.extend((0..COUNT).map(|at| span(at + 2, 1, 0, 99)));
    assert_eq!(analyze(&parallel).0.iter().filter(|fact| fact.critical_path > 0).count(), 2);
}

#[test]
fn a_hundred_thousand_spans_with_one_id_take_no_quadratic_time() {
    let mut spans: Vec<Span> = (0..50_000).map(|_| span(7, 0, 0, 10)).collect();
    spans.extend((0..50_000_u64).map(|at| span(at + 100, 7, 0, 5)));
    let (facts, sums) = analyze(&spans);
    assert_eq!(facts.iter().filter(|fact| fact.is_repeated).count(), 49_999);
    assert_eq!(facts.iter().map(|fact| fact.child_count).max(), Some(50_000));
    assert_eq!(sums.values().sum::<i128>(), 10);
    let distinct: Vec<Span> = (0..100_000).map(|at| span(7, 8, at, 10)).collect();
    assert_eq!(analyze(&distinct).0.iter().filter(|fact| fact.is_orphan).count(), 100_000);
}

#[test]
fn broken_links_make_flagged_roots() {
    // 1 is the root, 2 its child, 3 names nobody, 4 itself, 5 → 6 → 7 → 5 a cycle that 6 began first.
    let spans = [
        span(1, 0, 0, 100),
        span(2, 1, 10, 20),
        span(3, 99, 0, 5),
        span(4, 4, 0, 7),
        span(5, 7, 30, 10),
        span(6, 5, 20, 30),
        span(7, 6, 25, 20),
    ];
    let (facts, sums) = analyze(&spans);
    let orphans: Vec<bool> = facts.iter().map(|fact| fact.is_orphan).collect();
    assert_eq!(orphans, [false, false, true, true, false, true, false]);
    let roots: Vec<u32> = facts.iter().map(|fact| fact.root).collect();
    assert_eq!(roots, [0, 0, 2, 3, 5, 5, 5]);
    let depths: Vec<u32> = facts.iter().map(|fact| fact.depth).collect();
    assert_eq!(depths, [0, 1, 0, 0, 2, 0, 1]);
    assert_eq!(sums, BTreeMap::from([(0, 100), (2, 5), (3, 7), (5, 30)]));
}

#[test]
fn a_second_delivery_changes_nothing_but_its_own_row() {
    // 2 came twice, the second time finished.
    let spans = [span(1, 0, 0, 100), span(2, 1, 10, 0), span(2, 1, 10, 60), span(3, 2, 20, 30)];
    let (facts, sums) = analyze(&spans);
    let repeated: Vec<bool> = facts.iter().map(|fact| fact.is_repeated).collect();
    assert_eq!(repeated, [false, true, false, false]);
    let shares: Vec<i64> = facts.iter().map(|fact| fact.critical_path).collect();
    assert_eq!(shares, [40, 0, 30, 30]);
    assert_eq!(facts[3].parent, 2);
    assert_eq!(sums[&0], 100);
}

#[test]
fn spans_with_one_id_are_told_apart_by_service_and_time() {
    let of = |service, span: Span| Span { service, ..span };
    // Two different spans with id 2; children go to the one of their service, then to the one that was running.
    let spans = [
        span(1, 0, 0, 100),
        of(1, span(2, 1, 0, 20)),
        of(2, span(2, 1, 50, 20)),
        of(2, span(3, 2, 5, 5)),
        of(3, span(4, 2, 55, 5)),
        of(3, span(5, 2, 5, 5)),
    ];
    let parents: Vec<u32> = analyze(&spans).0.iter().map(|fact| fact.parent).collect();
    assert_eq!(parents, [NO_ROW, 0, 0, 2, 2, 1]);

    // Zipkin's shared span: the server hangs below the client, the server's work below the server.
    let spans = [
        span(1, 0, 0, 100),
        Span { kind: Kind::Server, ..of(2, span(2, 1, 20, 40)) },
        Span { kind: Kind::Client, ..of(1, span(2, 1, 10, 60)) },
        of(2, span(3, 2, 30, 10)),
    ];
    let (facts, _) = analyze(&spans);
    let parents: Vec<u32> = facts.iter().map(|fact| fact.parent).collect();
    assert_eq!(parents, [NO_ROW, 2, 0, 1]);
    let shares: Vec<i64> = facts.iter().map(|fact| fact.critical_path).collect();
    assert_eq!(shares, [40, 30, 20, 10]);
}

/// Client and server spans of the services 1 → 2 → 3 with these outcomes, each below the one before.
fn call_chain(status: [Status; 5]) -> Vec<bool> {
    let kinds = [Kind::Server, Kind::Client, Kind::Server, Kind::Client, Kind::Server];
    let spans: Vec<Span> = (0..5_u32)
        .map(|at| Span {
            kind: kinds[at as usize],
            status: status[at as usize],
            service: at.div_ceil(2),
            ..span(u64::from(at) + 1, u64::from(at), i64::from(at), 100 - 2 * i64::from(at))
        })
        .collect();
    analyze(&spans).0.iter().map(|fact| fact.is_error_origin).collect()
}

#[test]
fn errors_begin_at_the_last_that_failed() {
    use Status::{Error, Ok, Unset};
    let at = |row: usize| (0..5).map(|other| other == row).collect::<Vec<bool>>();
    // Passed on all the way up.
    assert_eq!(call_chain([Error; 5]), at(4));
    // The client failed, its server did not: a timeout.
    assert_eq!(call_chain([Error, Error, Error, Error, Unset]), at(3));
    // A client that says nothing passes on.
    assert_eq!(call_chain([Error, Unset, Error, Unset, Error]), at(4));
    // A server that answered, or a client that says that it went well, stops it: what fails above began above.
    assert_eq!(call_chain([Error, Error, Unset, Error, Error]), [false, true, false, false, true]);
    assert_eq!(call_chain([Error, Ok, Error, Unset, Unset]), [true, false, true, false, false]);
}

#[test]
fn an_error_lists_the_services_that_it_reached() {
    let kinds = [Kind::Server, Kind::Client, Kind::Server, Kind::Internal, Kind::Client];
    let services = [1, 1, 2, 2, 2];
    let spans: Vec<Span> = (0..5)
        .map(|at| Span {
            kind: kinds[at],
            service: services[at],
            status: if at == 3 { Status::Unset } else { Status::Error },
            ..span(at as u64 + 1, at as u64, 0, 10)
        })
        .collect();
    let mut analyzer = Analyzer::default();
    analyzer.analyze(&spans);
    assert!(analyzer.errors.is_origin(4));
    assert_eq!((analyzer.errors.top(4), analyzer.errors.hops(4)), (0, 3));
    assert_eq!(analyzer.errors.services(&spans, 4).collect::<Vec<_>>(), [1]);
    assert_eq!(analyzer.errors.services(&spans, 0).count(), 0);
    // A consumer's error is its own.
    let message = [
        Span { kind: Kind::Producer, status: Status::Error, ..span(1, 0, 0, 10) },
        Span { kind: Kind::Consumer, status: Status::Error, ..span(2, 1, 5, 10) },
    ];
    let (facts, _) = analyze(&message);
    assert!(facts[0].is_error_origin && facts[1].is_error_origin);
}

fn edges(spans: &[Span]) -> Vec<Call> {
    let mut tree = Tree::default();
    tree.resolve(spans);
    let mut found = Vec::new();
    Calls::default().each(spans, &tree, |call| found.push(call));
    found
}

#[test]
fn calls_are_counted_once_whichever_sides_have_spans() {
    let of = |service, kind, span: Span| Span { service, kind, ..span };
    let call =
        |caller, callee, duration, gap| Call { caller, callee, is_error: false, duration, gap, is_external: false };
    // Both sides.
    let root = of(1, Kind::Server, span(1, 0, 0, 100));
    let client = of(1, Kind::Client, span(2, 1, 10, 60));
    let server = of(2, Kind::Server, span(3, 2, 20, 40));
    assert_eq!(edges(&[root, client, server]), [call(1, 2, 60, Some(20))]);
    // Only the callee's side, below a server or inner span.
    assert_eq!(edges(&[root, of(2, Kind::Server, span(3, 1, 20, 40))]), [call(1, 2, 40, None)]);
    // An inner span between the sides, and a transport's client below a library's.
    let inner = of(1, Kind::Internal, span(4, 2, 12, 50));
    assert_eq!(edges(&[root, client, inner, of(2, Kind::Server, span(3, 4, 20, 40))]), [call(1, 2, 60, Some(20))]);
    let transport = of(1, Kind::Client, span(4, 2, 12, 50));
    assert_eq!(edges(&[root, client, transport, of(2, Kind::Server, span(3, 4, 20, 40))]), [call(1, 2, 50, Some(10))]);
    // A service that calls itself.
    assert_eq!(edges(&[root, client, of(1, Kind::Server, span(3, 2, 20, 40))]), [call(1, 1, 60, Some(20))]);
    // Nobody behind the client: external, whatever it names.
    let external = Span { peer: 9, status: Status::Error, ..client };
    let expected = Call { caller: 1, callee: 9, is_error: true, duration: 60, gap: None, is_external: true };
    assert_eq!(edges(&[root, external]), [expected]);
    // A message: no gap, for nobody waits.
    let producer = of(1, Kind::Producer, span(2, 1, 10, 5));
    let consumer = of(2, Kind::Consumer, span(3, 2, 500, 70));
    assert_eq!(edges(&[root, producer, consumer]), [call(1, 2, 70, None)]);
    // One client span with two servers behind it: two calls, neither of which is the client's duration.
    let second = of(2, Kind::Server, span(5, 2, 62, 5));
    assert_eq!(edges(&[root, client, server, second]), [call(1, 2, 40, None), call(1, 2, 5, None)]);
}

#[test]
fn dependencies_add_up() {
    let mut services = Dictionary::default();
    let (shop, cart) = (services.encode(Some("shop")), services.encode(Some("cart")));
    let mut peers = Dictionary::default();
    let bank = peers.encode(Some("bank"));
    let call =
        |duration, gap, is_error| Call { caller: shop, callee: cart, is_error, duration, gap, is_external: false };
    let external = Call { caller: cart, callee: bank, is_error: false, duration: 7, gap: None, is_external: true };
    let mut all = Dependencies::new(true, true);
    for call in [call(10, Some(1), false), call(30, None, true), external, call(20, Some(3), true)] {
        all.add(&call);
    }
    let rows = all.finish(&services, &peers);
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].caller.as_deref(), rows[0].callee.as_deref()), (Some("cart"), Some("bank")));
    assert!(rows[0].is_external);
    assert_eq!((rows[1].calls, rows[1].errors), (3, 2));
    assert_eq!((rows[1].p50, rows[1].p99, rows[1].gap_p99), (Some(20), Some(30), Some(3)));
}

#[test]
fn operation_shares_are_weighted_by_their_entry_and_unknown_stays_unknown() {
    let mut services = Dictionary::default();
    let (shop, cart) = (services.encode(Some("shop")), services.encode(Some("cart")));
    let trace = |weight, duration| {
        [
            Span { service: shop, name: 0, adjusted_count: weight, ..span(1, 0, 0, 100) },
            Span { service: cart, name: 1, ..span(2, 1, 10, duration) },
            Span { service: cart, name: 1, ..span(3, 2, 10, duration / 2) },
        ]
    };
    let mut names = Dictionary::default();
    names.encode(Some("buy"));
    names.encode(Some("add"));
    let collect = |entry: Option<Code>| {
        let mut stats = OperationStats::new(entry, None, true);
        let mut tree = Tree::default();
        for spans in [trace(4.0, 40), trace(f64::NAN, 60)] {
            tree.resolve(&spans);
            stats.add(&spans, &tree);
        }
        stats.finish(&services, &names)
    };
    let (totals, rows) = collect(None);
    assert_eq!(totals, OperationTotals { requests: 2, duration: 200, weighted_duration: 400.0, unknown_weight: 1 });
    let seen: Vec<_> = rows.iter().map(|row| (row.critical_path, row.weighted_critical_path, row.spans)).collect();
    assert_eq!(seen, [(100, 160.0, 4), (100, 240.0, 2)]);
    assert_eq!((rows[0].requests, rows[0].p50, rows[0].p99, rows[0].unknown_weight), (2, Some(40), Some(60), 1));
    // From the topmost spans of one service: the nested one belongs to the one above it.
    let (totals, rows) = collect(Some(cart));
    assert_eq!((totals.requests, totals.duration), (2, 100));
    assert_eq!((rows.len(), rows[0].critical_path), (1, 100));
}
