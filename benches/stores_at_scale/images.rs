//! Reference images: written for other programs, loaded, searched exactly, by graph, and within cells.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fs_err::File;
use retrieval::references::{GEOCELL, VISUAL};
use storage::{
    CollectionName, CollectionSpec, Condition, FieldKind, Hit, Point, ReleaseId, SearchRequest, VectorSpec,
    VectorStore,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::world::World;
use super::{DIMENSION, Run, Times, timed};

/// Answers whose recall is measured.
const NEAREST: usize = 10;

/// Writes vectors and cells in NumPy's format.
pub fn write(world: &World, out: &Path, references: usize) {
    fs_err::create_dir_all(out).unwrap();
    let mut vectors = npy(
        &out.join("references.npy"),
        "<f4",
        &format!("({references}, {DIMENSION})"),
    );
    let mut cells = npy(&out.join("cells.npy"), "<u8", &format!("({references},)"));
    for number in 0..references as u64 {
        let (v, cell) = world.image(number);
        for x in v {
            vectors.write_all(&x.to_le_bytes()).unwrap();
        }
        let id = world.hierarchy.finest().cells()[cell].id.as_u64();
        cells.write_all(&id.to_le_bytes()).unwrap();
    }
    vectors.flush().unwrap();
    cells.flush().unwrap();
}

/// A file of NumPy's format, version 1.0, after its head of 128 bytes.
fn npy(path: &Path, kind: &str, shape: &str) -> BufWriter<File> {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    writeln!(file, "{head:<117}").unwrap();
    file
}

pub async fn measure(run: &Run, world: &World, store: &Arc<dyn VectorStore>) {
    let collection = CollectionName::references(&ReleaseId::new("scale").unwrap());
    load(run, store, &collection).await;

    let queries = world.queries(run.queries);
    let few = (run.queries / 6).max(20);
    let mut wanted: Vec<Vec<Hit>> = Vec::new();
    let mut times = Vec::new();
    for (query, _) in queries.iter().take(few) {
        let request = SearchRequest::new(VISUAL, query.clone(), NEAREST);
        let (time, hits) = timed(store.search(&collection, request)).await;
        times.push(time);
        wanted.push(hits.unwrap());
    }
    println!("exact, {few} queries                        {}", Times::of(times));

    let (mut times, mut found) = (Vec::new(), 0);
    for (at, (query, _)) in queries.iter().enumerate() {
        let request = SearchRequest::new(VISUAL, query.clone(), NEAREST).approximate();
        let (time, hits) = timed(store.search(&collection, request)).await;
        times.push(time);
        if let Some(wanted) = wanted.get(at) {
            let is_there = |hit: &&Hit| wanted.iter().any(|other| other.id == hit.id);
            found += hits.unwrap().iter().filter(is_there).count();
        }
    }
    let recall = found as f64 / (few * NEAREST) as f64;
    println!(
        "approximate, recall@{NEAREST} {recall:.4}             {}",
        Times::of(times)
    );

    let mut times = Vec::new();
    for (query, cell) in &queries {
        let token = world.hierarchy.finest().cells()[*cell].id.token();
        let request = SearchRequest::new(VISUAL, query.clone(), NEAREST)
            .filtered(Condition::keyword(GEOCELL, token).into())
            .with_payload();
        times.push(timed(store.search(&collection, request)).await.0);
    }
    println!("exact within one cell                       {}", Times::of(times));
}

async fn load(run: &Run, store: &Arc<dyn VectorStore>, collection: &CollectionName) {
    let vector = match run.flat {
        true => VectorSpec::flat(VISUAL, DIMENSION),
        false => VectorSpec::graph(VISUAL, DIMENSION),
    };
    let spec = CollectionSpec::new([vector]).with_index(GEOCELL, FieldKind::Keyword);
    store.create_collection(collection, &spec).await.unwrap();
    let open = |name: &str| {
        let mut file = BufReader::with_capacity(1 << 20, File::open(run.data.join(name)).unwrap());
        file.read_exact(&mut [0; 128]).unwrap();
        file
    };
    let (mut vectors, mut cells) = (open("references.npy"), open("cells.npy"));
    let started = Instant::now();
    let mut uploads = JoinSet::new();
    for first in (0..run.references).step_by(run.batch) {
        let count = run.batch.min(run.references - first);
        let mut points = Vec::with_capacity(count);
        for number in first..first + count {
            let (mut row, mut id) = (vec![0; 4 * DIMENSION], [0; 8]);
            vectors.read_exact(&mut row).unwrap();
            cells.read_exact(&mut id).unwrap();
            let floats = row
                .chunks_exact(4)
                .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]));
            let cell = geocells::GeocellId::from_u64(u64::from_le_bytes(id)).unwrap();
            let point = Point::new(
                Uuid::from_u128(number as u128),
                [(VISUAL, floats.collect::<Vec<f32>>())],
            )
            .with(GEOCELL, cell.token())
            .with("path", format!("{number:07}.jpg"));
            points.push(point);
        }
        if uploads.len() == run.uploads {
            uploads.join_next().await.unwrap().unwrap();
        }
        let (store, collection) = (Arc::clone(store), collection.clone());
        uploads.spawn(async move { store.upsert(&collection, points).await.unwrap() });
    }
    while let Some(done) = uploads.join_next().await {
        done.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} reference images in {seconds:.1} s, {:.0}/s",
        run.references,
        run.references as f64 / seconds
    );
    let started = Instant::now();
    let points = store.finish_load(collection).await.unwrap();
    println!(
        "finished with {points} after {:.1} s",
        started.elapsed().as_secs_f64()
    );
}
