//! Blame flow over a call graph: for systems that are known by metrics a service and edge, not by traces.
//!
//! Blame 1 on the alerting node flows from callers to callees in topological order, groups of mutually calling
//! services taken as one. A node never gives more than it has, so that the blame of all nodes sums to 1.

/// What is known about a node.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Node {
    /// How much it is out of the ordinary: excess latency or excess errors, at least 0.
    pub excess: f64,
    /// Whether it had traffic before the incident; a node without cannot be judged and gives its blame back.
    pub known: bool,
    /// Whether it is known from its callers only; such a node gives half of its blame back.
    pub inferred: bool,
}

/// A caller and a callee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Calling node.
    pub caller: usize,
    /// Called node.
    pub callee: usize,
    /// Share of the callee's requests that come from this caller, 0…1.
    pub share: f64,
}

/// Blame of every node, summing to 1 when the alerting node exists.
#[must_use]
pub fn blame_flow(nodes: &[Node], edges: &[Edge], alerting: usize) -> Vec<f64> {
    let mut kept = vec![0.0; nodes.len()];
    if alerting >= nodes.len() {
        return kept;
    }
    let valid: Vec<Edge> = edges.iter().copied().filter(|e| e.caller < nodes.len() && e.callee < nodes.len()).collect();
    let (group_of, groups) = components(nodes.len(), &valid);
    let excess: Vec<f64> = groups
        .iter()
        .map(|members| members.iter().map(|&node| nodes[node].excess.max(0.0)).fold(0.0, f64::max))
        .collect();
    let mut held = vec![0.0; groups.len()];
    held[group_of[alerting]] = 1.0;
    let mut out: Vec<Vec<Edge>> = vec![Vec::new(); groups.len()];
    for edge in valid.iter().filter(|edge| group_of[edge.caller] != group_of[edge.callee]) {
        out[group_of[edge.caller]].push(*edge);
    }
    // Tarjan finishes a group only after everything that it reaches: callers come last.
    for group in (0..groups.len()).rev() {
        if held[group] <= 0.0 {
            continue;
        }
        let wants: Vec<(usize, f64)> = out[group]
            .iter()
            .filter(|edge| nodes[edge.callee].known)
            .map(|edge| {
                let callee = &nodes[edge.callee];
                let carried = callee.excess.max(0.0) * edge.share.clamp(0.0, 1.0);
                let part = if excess[group] > 0.0 { (carried / excess[group]).min(1.0) } else { 0.0 };
                (group_of[edge.callee], if callee.inferred { part / 2.0 } else { part })
            })
            .collect();
        let scale = 1.0 / wants.iter().map(|want| want.1).sum::<f64>().max(1.0);
        let has = held[group];
        for (callee, part) in wants {
            held[callee] += has * part * scale;
            held[group] -= has * part * scale;
        }
    }
    for (members, held) in groups.iter().zip(held) {
        let total: f64 = members.iter().map(|&node| nodes[node].excess.max(0.0)).sum();
        for &node in members {
            let part = if total > 0.0 { nodes[node].excess.max(0.0) / total } else { 1.0 / members.len() as f64 };
            kept[node] = held.max(0.0) * part;
        }
    }
    kept
}

/// Strongly connected components, callees before callers (Tarjan 1972, with an explicit stack).
fn components(count: usize, edges: &[Edge]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut callees: Vec<Vec<usize>> = vec![Vec::new(); count];
    for edge in edges {
        callees[edge.caller].push(edge.callee);
    }
    let unseen = usize::MAX;
    let (mut index, mut low) = (vec![unseen; count], vec![0; count]);
    let mut group_of = vec![unseen; count];
    let (mut groups, mut path): (Vec<Vec<usize>>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut next = 0;
    for root in 0..count {
        if index[root] != unseen {
            continue;
        }
        let mut work = vec![(root, 0)];
        while let Some((node, at)) = work.pop() {
            if at == 0 {
                index[node] = next;
                low[node] = next;
                next += 1;
                path.push(node);
            }
            if let Some(&callee) = callees[node].get(at) {
                work.push((node, at + 1));
                if index[callee] == unseen {
                    work.push((callee, 0));
                } else if group_of[callee] == unseen {
                    low[node] = low[node].min(index[callee]);
                }
                continue;
            }
            if let Some(&(caller, _)) = work.last() {
                low[caller] = low[caller].min(low[node]);
            }
            if low[node] == index[node] {
                let start = path.iter().rposition(|&on| on == node).unwrap_or(0);
                let members = path.split_off(start);
                for &member in &members {
                    group_of[member] = groups.len();
                }
                groups.push(members);
            }
        }
    }
    (group_of, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(excess: f64) -> Node {
        Node { excess, known: true, inferred: false }
    }

    fn edge(caller: usize, callee: usize, share: f64) -> Edge {
        Edge { caller, callee, share }
    }

    #[test]
    fn blame_runs_to_the_deepest_node_that_explains_it() {
        let blame = blame_flow(
            &[node(100.0), node(99.0), node(95.0), node(0.0)],
            &[edge(0, 1, 1.0), edge(1, 2, 1.0), edge(0, 3, 1.0)],
            0,
        );
        assert!(blame[2] > 0.9 && blame[3] == 0.0, "{blame:?}");
    }

    #[test]
    fn a_callee_that_others_call_more_explains_less() {
        let blame = blame_flow(&[node(100.0), node(100.0)], &[edge(0, 1, 0.1)], 0);
        assert!((blame[1] - 0.1).abs() < 1e-12 && (blame[0] - 0.9).abs() < 1e-12);
    }

    #[test]
    fn unknown_nodes_return_blame_and_inferred_ones_half() {
        let unknown = Node { known: false, ..node(100.0) };
        assert_eq!(blame_flow(&[node(100.0), unknown], &[edge(0, 1, 1.0)], 0), [1.0, 0.0]);
        let inferred = Node { inferred: true, ..node(100.0) };
        assert_eq!(blame_flow(&[node(100.0), inferred], &[edge(0, 1, 1.0)], 0), [0.5, 0.5]);
    }

    #[test]
    fn circles_share_by_their_excess() {
        let nodes = [node(10.0), node(30.0), node(10.0)];
        let blame = blame_flow(&nodes, &[edge(0, 1, 1.0), edge(1, 2, 1.0), edge(2, 1, 1.0)], 0);
        assert!((blame[1] - 0.75).abs() < 1e-9 && (blame[2] - 0.25).abs() < 1e-9, "{blame:?}");
    }

    #[test]
    fn a_long_chain_does_not_need_a_deep_stack() {
        let nodes = vec![node(1.0); 100_000];
        let edges: Vec<Edge> = (1..nodes.len()).map(|at| edge(at - 1, at, 1.0)).collect();
        let blame = blame_flow(&nodes, &edges, 0);
        assert!((blame[99_999] - 1.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn blame_sums_to_one(
            excess in prop::collection::vec((0.0..100.0_f64, any::<bool>(), any::<bool>()), 1..12),
            raw in prop::collection::vec((0_usize..12, 0_usize..12, 0.0..1.0_f64), 0..40),
        ) {
            let nodes: Vec<Node> =
                excess.iter().map(|&(excess, known, inferred)| Node { excess, known, inferred }).collect();
            let edges: Vec<Edge> = raw.iter().map(|&(a, b, share)| edge(a, b, share)).collect();
            let blame = blame_flow(&nodes, &edges, 0);
            prop_assert!((blame.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(blame.iter().all(|&value| value >= 0.0));
        }
    }
}
