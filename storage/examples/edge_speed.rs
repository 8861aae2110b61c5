//! How fast the embedded vector store writes and searches exactly, at the build's optimisation level.
//!
//! `cargo run --release -p geosurge-storage --example edge_speed [-- POINTS DIMENSION]…`
#![allow(clippy::print_stdout, reason = "a measurement to be read")]

use std::path::Path;
use std::time::{Duration, Instant};

use geosurge_storage::{
    CollectionName, CollectionSpec, EmbeddedVectorStore, Error, Point, Result, SearchRequest, VectorSpec,
    VectorStore,
};

const QUERIES: usize = 100;
const BATCH: usize = 1000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let sizes: Vec<(usize, usize)> = match arguments.as_slice() {
        [] => vec![(2_000, 64), (20_000, 64), (2_000, 768), (20_000, 768)],
        pairs => pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
    };
    println!(
        "points   dim   upsert/s   finish ms   reopen ms   exact p50 ms   p95 ms   batch ms/query   disk MB"
    );
    for (points, dimension) in sizes {
        measure(points, dimension).await?;
    }
    Ok(())
}

async fn measure(points: usize, dimension: usize) -> Result<()> {
    let dir = tempfile::tempdir().map_err(|error| Error::io("a temporary directory", error))?;
    let name = CollectionName::new("speed")?;
    let mut state = 1;
    let mut vector = || (0..dimension).map(|_| next(&mut state)).collect::<Vec<f32>>();
    let data: Vec<Vec<f32>> = (0..points).map(|_| vector()).collect();
    let queries: Vec<SearchRequest> = (0..QUERIES)
        .map(|_| SearchRequest::new("v", vector(), 10))
        .collect();

    let store = EmbeddedVectorStore::open(dir.path()).await?;
    store
        .create_collection(&name, &CollectionSpec::new([VectorSpec::flat("v", dimension)]))
        .await?;
    let mut upserting = Duration::ZERO;
    for (number, batch) in data.chunks(BATCH).enumerate() {
        let first = number * BATCH;
        let batch = batch.iter().enumerate().map(|(at, vector)| {
            Point::new((first + at) as u64, [("v", vector.clone())]).with("token", format!("{at:x}"))
        });
        let batch = batch.collect();
        let started = Instant::now();
        store.upsert(&name, batch).await?;
        upserting += started.elapsed();
    }
    let started = Instant::now();
    store.finish_load(&name).await?;
    let finish = started.elapsed();
    drop(store);

    let started = Instant::now();
    let store = EmbeddedVectorStore::open(dir.path()).await?;
    store.count(&name, None).await?;
    let reopen = started.elapsed();

    let mut times = Vec::with_capacity(QUERIES);
    for query in &queries {
        let started = Instant::now();
        store.search(&name, query.clone()).await?;
        times.push(started.elapsed());
    }
    times.sort();
    let started = Instant::now();
    store.search_many(&name, queries).await?;
    let batch = started.elapsed() / QUERIES as u32;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{points:>6} {dimension:>5} {:>10.0} {:>11.1} {:>11.1} {:>14.2} {:>8.2} {:>16.2} {:>9.1}",
        points as f64 / upserting.as_secs_f64(),
        ms(finish),
        ms(reopen),
        ms(times[QUERIES / 2]),
        ms(times[QUERIES * 95 / 100]),
        ms(batch),
        disk_use(dir.path()) as f64 / 1e6,
    );
    Ok(())
}

/// A number between -1 and 1 (xorshift).
fn next(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Bytes of all files below a directory, holes not counted where the system tells.
fn disk_use(dir: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_use(&entry.path()),
            Ok(metadata) => allocated(&metadata),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(unix)]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
