//! The store's answer equals exact inference in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{DIMENSION, World};
use geosurge_retrieval::{EMBEDDING, Error, InferenceOptions, PATH, Scoring, Searcher};
use models::Calibration;
use storage::{
    CollectionName, CollectionSpec, EmbeddedVectorStore, Point, ReleaseId, VectorSpec, VectorStore,
};

async fn load(world: &World, store: &dyn VectorStore, release: &ReleaseId) {
    for (level, partition) in world.hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(release, level);
        let spec = CollectionSpec::new([
            VectorSpec::flat(EMBEDDING, DIMENSION),
            VectorSpec::flat(PATH, DIMENSION),
        ]);
        store.create_collection(&collection, &spec).await.unwrap();
        let points = partition.cells().iter().enumerate().map(|(index, cell)| {
            let (embedding, path) = (
                world.embeddings[level][index].clone(),
                world.paths[level][index].clone(),
            );
            Point::new(cell.id.as_u64(), [(EMBEDDING, embedding), (PATH, path)])
        });
        store.upsert(&collection, points.collect()).await.unwrap();
        store.finish_load(&collection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_answers_as_exact_inference_does() {
    let world = World::new(20);
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn VectorStore> = Arc::new(EmbeddedVectorStore::open(directory.path()).await.unwrap());
    let release = ReleaseId::new("r").unwrap();
    load(&world, store.as_ref(), &release).await;

    let calibration = Calibration {
        scale: 0.4,
        prior_weight: 0.3,
        cannot_tell_below: 0.1,
        ..Calibration::default()
    };
    let searcher = Searcher::new(release, store, world.search_model(calibration));
    searcher.check_levels().await.unwrap();
    let exact = world.exact();
    for scoring in [Scoring::Probability, Scoring::Cosine] {
        for searched in [9, usize::MAX] {
            let options = InferenceOptions {
                scoring,
                searched,
                ..InferenceOptions::default()
            };
            let answers = searcher.answer(&world.queries, &options).await.unwrap();
            for (query, found) in world.queries.iter().zip(&answers) {
                let wanted = exact.infer(query, &calibration, &options).unwrap();
                assert_eq!(found.cell, wanted.cell);
                assert!((found.path_score - wanted.path_score).abs() < 1e-4);
                assert!((found.confidence - wanted.confidence).abs() < 1e-4);
                assert!((found.outside_mass - wanted.outside_mass).abs() < 1e-4);
                assert!((found.entropy - wanted.entropy).abs() < 1e-3);
                assert_eq!(found.certain_best, wanted.certain_best);
                let tokens = |answer: &geosurge_retrieval::Answer| {
                    answer.levels.iter().map(|level| level.token).collect::<Vec<_>>()
                };
                assert_eq!(tokens(found), tokens(&wanted));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lacks_cells_is_refused() {
    let world = World::new(21);
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn VectorStore> = Arc::new(EmbeddedVectorStore::open(directory.path()).await.unwrap());
    let release = ReleaseId::new("r").unwrap();
    load(&world, store.as_ref(), &release).await;
    let last = world.hierarchy.finest().cells()[0].id.as_u64();
    store
        .delete(&CollectionName::level(&release, 2), &[last.into()])
        .await
        .unwrap();
    store
        .finish_load(&CollectionName::level(&release, 2))
        .await
        .unwrap();
    let searcher = Searcher::new(release, store, world.search_model(Calibration::default()));
    assert!(matches!(
        searcher.check_levels().await,
        Err(Error::IncompleteCollection { .. })
    ));

    let nan = searcher
        .answer(&[vec![f32::NAN; DIMENSION]], &InferenceOptions::default())
        .await;
    assert!(matches!(nan, Err(Error::NotFinite)));
    let short = searcher
        .answer(&[vec![1.0; 3]], &InferenceOptions::default())
        .await;
    assert!(matches!(short, Err(Error::Dimension { found: 3, .. })));
}
