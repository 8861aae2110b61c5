//! Hierarchical inference: one search of path embeddings, seven searches and a join, and in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use retrieval::{EMBEDDING, InferenceOptions, PATH, Searcher};
use storage::{
    CollectionName, CollectionSpec, FieldKind, Hit, Point, PointId, ReleaseId, SearchRequest, VectorSpec,
    VectorStore,
};
use tokio::task::JoinSet;

use super::world::World;
use super::{DIMENSION, Run, Times, timed};

/// Cells that the join takes from each level, and that a service retrieves for its posterior.
const RETRIEVED: usize = 1024;

pub async fn measure(run: &Run, world: &World, store: &Arc<dyn VectorStore>) {
    let release = ReleaseId::new("scale").unwrap();
    load(run, world, store, &release).await;

    let queries = world.queries(run.queries);
    let exact = world.exact();
    let finest = world.paths.len() - 1;
    let collection = CollectionName::level(&release, finest);
    let cell_of = |hit: &Hit| match hit.id {
        PointId::Number(id) => world
            .hierarchy
            .finest()
            .index_of(geocells::GeocellId::from_u64(id).unwrap()),
        PointId::Uuid(_) => None,
    };

    let mut wanted = Vec::new();
    let mut times = Vec::new();
    for (query, _) in &queries {
        let started = Instant::now();
        let query = Tensor::from_slice(query, (1, DIMENSION), &Device::Cpu).unwrap();
        wanted.push(exact.best(&query).unwrap()[0].cell);
        times.push(started.elapsed());
    }
    println!(
        "in memory, the best of the finest cells       {}",
        Times::of(times)
    );

    let (mut times, mut same) = (Vec::new(), 0);
    for ((query, _), wanted) in queries.iter().zip(&wanted) {
        let request = SearchRequest::new(PATH, query.clone(), 1);
        let (time, hits) = timed(store.search(&collection, request)).await;
        times.push(time);
        same += usize::from(cell_of(&hits.unwrap()[0]) == Some(*wanted));
    }
    print(
        &format!(
            "one search of path embeddings, {same}/{} as in memory",
            queries.len()
        ),
        times,
    );

    let (mut times, mut same) = (Vec::new(), 0);
    for ((query, _), wanted) in queries.iter().zip(&wanted) {
        let (time, best) = timed(join(world, store, &release, query)).await;
        times.push(time);
        same += usize::from(best == Some(*wanted));
    }
    print(
        &format!(
            "{} searches and a join, {same}/{} as in memory",
            finest + 1,
            queries.len()
        ),
        times,
    );

    let options = InferenceOptions::default();
    let (calibration, searcher) = {
        let model = world.search_model();
        (
            model.calibration,
            Searcher::new(release, Arc::clone(store), model),
        )
    };
    let (mut stored, mut memory, mut same) = (Vec::new(), Vec::new(), 0);
    for (query, _) in &queries {
        let (time, answers) = timed(searcher.answer(std::slice::from_ref(query), &options)).await;
        stored.push(time);
        let started = Instant::now();
        let answer = exact.infer(query, &calibration, &options).unwrap();
        memory.push(started.elapsed());
        same += usize::from(answers.unwrap()[0].cell == answer.cell);
    }
    print(
        &format!(
            "whole answer from the store, {same}/{} as in memory",
            queries.len()
        ),
        stored,
    );
    print("whole answer in memory", memory);
}

fn print(what: &str, times: Vec<Duration>) {
    println!("{what:<60} {}", Times::of(times));
}

async fn load(run: &Run, world: &World, store: &Arc<dyn VectorStore>, release: &ReleaseId) {
    let started = Instant::now();
    let mut cells = 0;
    for (level, partition) in world.hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(release, level);
        let spec = CollectionSpec::new([
            VectorSpec::flat(EMBEDDING, DIMENSION),
            VectorSpec::flat(PATH, DIMENSION),
        ])
        .with_index("token", FieldKind::Keyword);
        store.create_collection(&collection, &spec).await.unwrap();
        let mut uploads = JoinSet::new();
        for (number, batch) in partition.cells().chunks(run.batch).enumerate() {
            let points = batch.iter().enumerate().map(|(at, cell)| {
                let index = number * run.batch + at;
                let vectors = [
                    (EMBEDDING, world.embeddings[level][index].clone()),
                    (PATH, world.paths[level][index].clone()),
                ];
                Point::new(cell.id.as_u64(), vectors)
                    .with("token", cell.id.token())
                    .with("photos", cell.photos)
            });
            if uploads.len() == run.uploads {
                uploads.join_next().await.unwrap().unwrap();
            }
            let (store, collection, points) = (Arc::clone(store), collection.clone(), points.collect());
            uploads.spawn(async move { store.upsert(&collection, points).await.unwrap() });
        }
        while let Some(done) = uploads.join_next().await {
            done.unwrap();
        }
        cells += store.finish_load(&collection).await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{cells} geocells with two vectors in {seconds:.1} s, {:.0}/s",
        cells as f64 / seconds
    );
}

/// The best path among the cells that each level's own search retrieved: what a store without path embeddings is asked to do.
async fn join(
    world: &World,
    store: &Arc<dyn VectorStore>,
    release: &ReleaseId,
    query: &[f32],
) -> Option<usize> {
    let mut levels: Vec<HashMap<usize, f32>> = Vec::new();
    for (level, partition) in world.hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(release, level);
        let limit = RETRIEVED.min(partition.len());
        let request = SearchRequest::new(EMBEDDING, query.to_vec(), limit);
        let hits = store.search(&collection, request).await.unwrap();
        let scored = hits.iter().filter_map(|hit| match hit.id {
            PointId::Number(id) => {
                let id = geocells::GeocellId::from_u64(id).ok()?;
                Some((partition.index_of(id)?, hit.score))
            }
            PointId::Uuid(_) => None,
        });
        levels.push(scored.collect());
    }
    let product = |finest: usize| -> Option<f32> {
        let path = world.hierarchy.path(finest);
        let scores = path
            .iter()
            .zip(&levels)
            .map(|(cell, level)| level.get(cell).copied());
        scores.sum()
    };
    let scored = levels
        .last()?
        .keys()
        .filter_map(|cell| Some((*cell, product(*cell)?)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(cell, _)| cell)
}
