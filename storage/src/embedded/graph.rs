//! When graphs and short codes are built: by the number of points, since both cost time and pay only for many.

use crate::{CollectionSpec, VectorIndex};

/// Bytes of a vector above which its graph is over codes of one byte a component, as on a server.
const CODES_FROM_BYTES: u64 = 500_000_000;

/// Points outside the graph that are simply compared one by one.
const OUTSIDE_GRAPH: u64 = 10_000;

/// Whether a collection has a vector with a graph.
pub(super) fn has_graph(spec: &CollectionSpec) -> bool {
    spec.vectors
        .iter()
        .any(|vector| vector.index == VectorIndex::Graph)
}

/// Whether so many points get short codes.
pub(super) fn has_codes(spec: &CollectionSpec, points: u64) -> bool {
    let graphs = spec
        .vectors
        .iter()
        .filter(|vector| vector.index == VectorIndex::Graph);
    let largest = graphs.map(|vector| vector.dimension as u64).max();
    largest.is_some_and(|dimension| points.saturating_mul(4 * dimension) >= CODES_FROM_BYTES)
}

/// Whether a collection with `points`, whose graph was built at `indexed` points, is to be optimised. Building anew for each
/// added reference image would take minutes for a large gallery; until a tenth is new they are compared one by one.
pub(super) fn is_due(spec: &CollectionSpec, points: u64, indexed: u64) -> bool {
    !has_graph(spec) || points.abs_diff(indexed) > OUTSIDE_GRAPH.max(indexed / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VectorSpec;

    #[test]
    fn codes_come_with_size_and_never_without_a_graph() {
        let graph = CollectionSpec::new([VectorSpec::graph("v", 768)]);
        assert!(!has_codes(&graph, 100_000));
        assert!(has_codes(&graph, 200_000));
        let flat = CollectionSpec::new([VectorSpec::flat("v", 768)]);
        assert!(!has_codes(&flat, 10_000_000));
    }

    #[test]
    fn a_graph_is_built_when_a_tenth_is_new() {
        let graph = CollectionSpec::new([VectorSpec::graph("v", 768)]);
        assert!(is_due(&graph, 20_000, 0));
        assert!(!is_due(&graph, 1_000_001, 1_000_000));
        assert!(!is_due(&graph, 950_000, 1_000_000));
        assert!(is_due(&graph, 1_200_000, 1_000_000));
        assert!(!is_due(&graph, 9_000, 0));
        let flat = CollectionSpec::new([VectorSpec::flat("v", 768)]);
        assert!(is_due(&flat, 1_000_001, 1_000_000));
    }
}
