//! How the server keeps a collection: vectors, graphs, short codes.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    AcornSearchParams, BinaryQuantization, CreateCollection, CreateFieldIndexCollection, Disabled, Distance,
    FieldType, HnswConfigDiff, OptimizersConfigDiff, PayloadSchemaType, QuantizationConfigDiff,
    QuantizationSearchParams, QuantizationType, ScalarQuantization, SearchParams, UpdateCollection,
    VectorParams, VectorParamsDiff, VectorParamsDiffMap, VectorParamsMap, VectorsConfig, VectorsConfigDiff,
    quantization_config_diff, vectors_config, vectors_config_diff,
};
use serde::{Deserialize, Serialize};

use super::options::{Layout, Quantization};
use crate::{CollectionSpec, FieldKind, IndexedField, VectorIndex};

/// Neighbours of a point in a graph, and candidates kept while it is built: more find more and cost more.
const GRAPH_NEIGHBOURS: u64 = 16;
const GRAPH_BUILD_WIDTH: u64 = 128;

/// Candidates that a search by graph keeps.
const GRAPH_SEARCH_WIDTH: usize = 128;

/// Kilobytes of vectors in a segment above which it gets a graph.
pub(super) const GRAPH_FROM_KB: u64 = 10_000;

/// Kilobytes of a vector above which it gets short codes: below, the vectors themselves are small enough.
const CODES_FROM_KB: u64 = 500_000;

/// How graphs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Graph {
    /// Over the vectors.
    Plain,
    /// Over one byte a component.
    Scalar,
    /// Over one bit a component.
    Binary,
}

impl Graph {
    /// The graph for so many points; `None` for collections without one.
    pub(super) fn choose(spec: &CollectionSpec, points: u64, wanted: Quantization) -> Option<Self> {
        let dimension = graphs(spec).map(|(_, dimension)| dimension).max()?;
        let kilobytes = points.saturating_mul(dimension) * 4 / 1000;
        Some(match wanted {
            Quantization::None => Graph::Plain,
            Quantization::Scalar => Graph::Scalar,
            Quantization::Binary => Graph::Binary,
            Quantization::Auto if kilobytes < CODES_FROM_KB => Graph::Plain,
            Quantization::Auto => Graph::Scalar,
        })
    }

    /// How many times the answers are compared by their vectors after the codes have chosen.
    fn oversampling(self) -> f64 {
        match self {
            Graph::Plain | Graph::Scalar => 2.0,
            Graph::Binary => 4.0,
        }
    }
}

fn graphs(spec: &CollectionSpec) -> impl Iterator<Item = (&String, u64)> {
    let graph = spec
        .vectors
        .iter()
        .filter(|vector| vector.index == VectorIndex::Graph);
    graph.map(|vector| (&vector.name, vector.dimension as u64))
}

/// Creates a collection without any graph: those are built once, when its load is finished.
#[expect(
    deprecated,
    reason = "servers before 1.18 do not know the newer name of on_disk_payload"
)]
pub(super) fn create(name: &str, spec: &CollectionSpec, layout: &Layout) -> CreateCollection {
    let vectors = spec.vectors.iter().map(|vector| {
        let has_graph = vector.index == VectorIndex::Graph;
        let hnsw = match has_graph {
            true => HnswConfigDiff {
                m: Some(GRAPH_NEIGHBOURS),
                ef_construct: Some(GRAPH_BUILD_WIDTH),
                ..HnswConfigDiff::default()
            },
            false => HnswConfigDiff {
                m: Some(0),
                ..HnswConfigDiff::default()
            },
        };
        let params = VectorParams {
            size: vector.dimension as u64,
            distance: Distance::Dot.into(),
            hnsw_config: Some(hnsw),
            on_disk: (has_graph && layout.vectors_on_disk).then_some(true),
            ..VectorParams::default()
        };
        (vector.name.clone(), params)
    });
    let map = vectors.collect();
    CreateCollection {
        collection_name: name.to_owned(),
        vectors_config: Some(VectorsConfig {
            config: Some(vectors_config::Config::ParamsMap(VectorParamsMap { map })),
        }),
        optimizers_config: Some(OptimizersConfigDiff {
            indexing_threshold: Some(0),
            ..OptimizersConfigDiff::default()
        }),
        shard_number: layout.shards,
        replication_factor: layout.replicas,
        write_consistency_factor: layout.write_consistency,
        on_disk_payload: Some(layout.payload_on_disk),
        ..CreateCollection::default()
    }
}

/// Turns graphs on, with the codes of choice.
#[expect(
    deprecated,
    reason = "servers before 1.18 do not know the newer name of always_ram"
)]
pub(super) fn build(name: &str, spec: &CollectionSpec, graph: Graph) -> UpdateCollection {
    use quantization_config_diff::Quantization as Codes;
    let codes = match graph {
        Graph::Plain => Codes::Disabled(Disabled {}),
        Graph::Scalar => Codes::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8.into(),
            quantile: Some(0.99),
            always_ram: Some(true),
            ..ScalarQuantization::default()
        }),
        Graph::Binary => Codes::Binary(BinaryQuantization {
            always_ram: Some(true),
            ..BinaryQuantization::default()
        }),
    };
    let changes = graphs(spec).map(|(vector, _)| {
        let params = VectorParamsDiff {
            quantization_config: Some(QuantizationConfigDiff {
                quantization: Some(codes),
            }),
            ..VectorParamsDiff::default()
        };
        (vector.clone(), params)
    });
    let map: HashMap<_, _> = changes.collect();
    UpdateCollection {
        collection_name: name.to_owned(),
        vectors_config: Some(VectorsConfigDiff {
            config: Some(vectors_config_diff::Config::ParamsMap(VectorParamsDiffMap {
                map,
            })),
        }),
        optimizers_config: Some(OptimizersConfigDiff {
            indexing_threshold: Some(GRAPH_FROM_KB),
            ..OptimizersConfigDiff::default()
        }),
        ..UpdateCollection::default()
    }
}

/// How a search runs. Exact ones compare with every vector; others use graph and codes, and compare the best by their vectors.
pub(super) fn search(graph: Option<Graph>, exact: bool, limit: usize, filtered: bool) -> SearchParams {
    if exact {
        return SearchParams {
            exact: Some(true),
            quantization: Some(QuantizationSearchParams {
                ignore: Some(true),
                ..QuantizationSearchParams::default()
            }),
            ..SearchParams::default()
        };
    }
    let graph = graph.unwrap_or(Graph::Plain);
    SearchParams {
        hnsw_ef: Some(GRAPH_SEARCH_WIDTH.max(limit) as u64),
        exact: Some(false),
        quantization: Some(QuantizationSearchParams {
            ignore: Some(false),
            rescore: Some(true),
            oversampling: Some(graph.oversampling()),
        }),
        // Without it a filter that few neighbours meet leaves parts of the graph unreached.
        acorn: filtered.then_some(AcornSearchParams {
            enable: Some(true),
            max_selectivity: None,
        }),
        ..SearchParams::default()
    }
}

/// Indexes a payload field.
pub(super) fn field_index(name: &str, index: &IndexedField) -> CreateFieldIndexCollection {
    let kind = match index.kind {
        FieldKind::Keyword => FieldType::Keyword,
        FieldKind::Integer => FieldType::Integer,
        FieldKind::Geo => FieldType::Geo,
        FieldKind::Datetime => FieldType::Datetime,
    };
    CreateFieldIndexCollection {
        collection_name: name.to_owned(),
        wait: Some(true),
        field_name: index.field.clone(),
        field_type: Some(kind.into()),
        ..CreateFieldIndexCollection::default()
    }
}

/// True where the server's index is of that kind.
pub(super) fn is_index_of(kind: FieldKind, stored: PayloadSchemaType) -> bool {
    stored
        == match kind {
            FieldKind::Keyword => PayloadSchemaType::Keyword,
            FieldKind::Integer => PayloadSchemaType::Integer,
            FieldKind::Geo => PayloadSchemaType::Geo,
            FieldKind::Datetime => PayloadSchemaType::Datetime,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::VectorSpec;

    fn references() -> CollectionSpec {
        CollectionSpec::new([VectorSpec::graph("visual", 768)])
    }

    #[test]
    fn geocells_get_no_graph_and_loads_build_none() {
        let spec = CollectionSpec::new([VectorSpec::flat("embedding", 768), VectorSpec::flat("path", 768)]);
        assert_eq!(Graph::choose(&spec, 64_000, Quantization::Scalar), None);
        let layout = Layout {
            shards: Some(3),
            replicas: Some(2),
            write_consistency: Some(2),
            ..Layout::default()
        };
        let request = create("c", &spec, &layout);
        assert_eq!(request.optimizers_config.unwrap().indexing_threshold, Some(0));
        assert_eq!(
            (
                request.shard_number,
                request.replication_factor,
                request.write_consistency_factor
            ),
            (Some(3), Some(2), Some(2))
        );
        let Some(vectors_config::Config::ParamsMap(vectors)) = request.vectors_config.unwrap().config else {
            panic!("named vectors expected");
        };
        for name in ["embedding", "path"] {
            let params = &vectors.map[name];
            assert_eq!((params.size, params.distance()), (768, Distance::Dot));
            assert_eq!(params.hnsw_config.unwrap().m, Some(0));
        }
    }

    #[test]
    fn codes_are_chosen_by_size() {
        let choose = |points, wanted| Graph::choose(&references(), points, wanted);
        assert_eq!(choose(10_000, Quantization::Auto), Some(Graph::Plain));
        assert_eq!(choose(1_000_000, Quantization::Auto), Some(Graph::Scalar));
        assert_eq!(choose(1_000_000, Quantization::None), Some(Graph::Plain));
        assert_eq!(choose(10, Quantization::Binary), Some(Graph::Binary));
        let request = build("c", &references(), Graph::Scalar);
        let Some(vectors_config_diff::Config::ParamsMap(vectors)) = request.vectors_config.unwrap().config
        else {
            panic!("named vectors expected");
        };
        let codes = vectors.map["visual"].quantization_config.unwrap().quantization;
        assert!(matches!(
            codes,
            Some(quantization_config_diff::Quantization::Scalar(_))
        ));
    }

    #[test]
    fn exact_searches_use_neither_graph_nor_codes() {
        let exact = search(Some(Graph::Scalar), true, 10, true);
        assert_eq!(exact.exact, Some(true));
        assert_eq!(exact.quantization.unwrap().ignore, Some(true));
        let wide = search(Some(Graph::Binary), false, 300, true);
        assert_eq!((wide.hnsw_ef, wide.exact), (Some(300), Some(false)));
        assert_eq!(wide.quantization.unwrap().oversampling, Some(4.0));
        assert_eq!(wide.acorn.unwrap().enable, Some(true));
        assert!(search(None, false, 1, false).acorn.is_none());
    }
}
