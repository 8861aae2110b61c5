//! Partitions 4.7 million photos into the paper's seven levels, beside a plain sort of the same leaf ids.
//!
//! `cargo bench -p geosurge-geocells --bench partition -- [COORDS.csv]`
//!
//! The places are drawn from the CSV file (or `GEOSURGE_BENCH_COORDINATES`, or the 100,000 of the shared data folder) with a jitter
//! of about a kilometre; without a file, from clusters of cities. `GEOSURGE_BENCH_POINTS` sets their number. On Linux the processor time
//! of all threads stands beside the elapsed time: on a busy machine it is the steadier measure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops and prints"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use geosurge_geocells::{GeocellId, Hierarchy, LatLng, PartitionConfig, read_coordinates};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

const RUNS: usize = 5;
const MP16_PHOTOS: usize = 4_723_695;

fn main() {
    // `cargo test --all-targets` runs benches too, without this flag: then a small run shows that it works.
    let full = std::env::args().any(|argument| argument == "--bench");
    let photos = std::env::var("GEOSURGE_BENCH_POINTS")
        .ok()
        .map(|number| number.parse().unwrap());
    let photos = photos.unwrap_or(if full { MP16_PHOTOS } else { 20_000 });
    let (source, seeds) = seeds();
    let points = resample(&seeds, photos);
    println!(
        "{photos} photos drawn from {source}, {} threads",
        rayon::current_num_threads()
    );

    let config = PartitionConfig::default();
    let mut times = Vec::new();
    let mut hierarchy = None;
    for _ in 0..if full { RUNS } else { 1 } {
        let (ids_time, ids) = timed(|| -> Vec<u64> {
            let leaf = |&place| GeocellId::leaf(place).as_u64();
            points.iter().map(leaf).collect()
        });
        let mut unsorted = ids.clone();
        let (sort_time, ()) = timed(|| unsorted.sort_unstable());
        let mut unsorted = ids;
        let (parallel_sort_time, ()) = timed(|| unsorted.par_sort_unstable());
        let (build_time, built) = timed(|| Hierarchy::build(&points, &config).unwrap());
        times.push([ids_time, sort_time, parallel_sort_time, build_time]);
        hierarchy = Some(built);
    }

    let [ids, sort, parallel_sort, build] = [0, 1, 2, 3].map(|column| median(&times, column));
    println!("median of {} runs        elapsed ms   CPU ns/photo", times.len());
    let rows = [
        ("leaf ids one by one", ids),
        ("sort_unstable of the ids", sort),
        ("par_sort_unstable of the ids", parallel_sort),
        ("Hierarchy::build", build),
    ];
    for (name, time) in rows {
        let elapsed = time.elapsed.as_secs_f64() * 1e3;
        let processor = time.processor.as_secs_f64() * 1e9 / photos as f64;
        println!("  {name:<28} {elapsed:>6.0} {processor:>14.1}");
    }
    let ratio = |build: Duration, sort: Duration| build.as_secs_f64() / sort.as_secs_f64();
    println!(
        "  build / sort_unstable        {:>6.2} {:>14.2}",
        ratio(build.elapsed, sort.elapsed),
        ratio(build.processor, sort.processor)
    );
    for level in hierarchy.unwrap().levels() {
        let outside = level.unlocated().unwrap();
        println!(
            "  t_max {:>6}: {:>6} cells, {outside:>6} photos in none",
            level.t_max(),
            level.len()
        );
    }
}

#[derive(Clone, Copy)]
struct Time {
    elapsed: Duration,
    /// Of all threads; zero where the system does not tell.
    processor: Duration,
}

fn timed<T>(work: impl FnOnce() -> T) -> (Time, T) {
    let (started, processor) = (Instant::now(), processor_time());
    let result = std::hint::black_box(work());
    let time = Time {
        elapsed: started.elapsed(),
        processor: processor_time().saturating_sub(processor),
    };
    (time, result)
}

fn processor_time() -> Duration {
    let threads = fs_err::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds = |thread: fs_err::DirEntry| -> Option<u64> {
        let numbers = fs_err::read_to_string(thread.path().join("schedstat")).ok()?;
        numbers.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(nanoseconds).sum())
}

fn median(times: &[[Time; 4]], column: usize) -> Time {
    let middle = |part: fn(&Time) -> Duration| {
        let mut column: Vec<Duration> = times.iter().map(|run| part(&run[column])).collect();
        column.sort();
        column[column.len() / 2]
    };
    Time {
        elapsed: middle(|time| time.elapsed),
        processor: middle(|time| time.processor),
    }
}

fn seeds() -> (String, Vec<LatLng>) {
    let argument = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let given = argument
        .or_else(|| std::env::var("GEOSURGE_BENCH_COORDINATES").ok())
        .map(PathBuf::from);
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared =
        std::env::var_os("GEOSURGE_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let sample = shared.join("data/partition/mp16_sample_100k.csv");
    let path = given.or_else(|| sample.exists().then_some(sample));
    let Some(path) = path else {
        return ("clusters of cities".into(), cities(100_000));
    };
    let points = read_coordinates(&path).unwrap().points;
    let name = path.file_name().unwrap().to_string_lossy();
    (format!("{} places of {name}", points.len()), points)
}

/// Places around 2,000 cities whose sizes fall off as 1/rank.
fn cities(count: usize) -> Vec<LatLng> {
    let mut rng = SmallRng::seed_from_u64(1);
    let centres: Vec<LatLng> = (0..2000)
        .map(|_| LatLng::new(rng.random_range(-55.0..65.0), rng.random_range(-180.0..180.0)).unwrap())
        .collect();
    (0..count)
        .map(|_| {
            let rank = 2000_f64.powf(rng.random::<f64>()) as usize - 1;
            jitter(&mut rng, centres[rank], 0.2)
        })
        .collect()
}

fn resample(seeds: &[LatLng], count: usize) -> Vec<LatLng> {
    let mut rng = SmallRng::seed_from_u64(2);
    (0..count)
        .map(|_| {
            let seed = seeds[rng.random_range(0..seeds.len())];
            jitter(&mut rng, seed, 0.01)
        })
        .collect()
}

/// A place up to about `2 * degrees` away, near ones likelier.
fn jitter(rng: &mut SmallRng, place: LatLng, degrees: f64) -> LatLng {
    let mut offset = || degrees * (rng.random_range(-1.0..1.0_f64) + rng.random_range(-1.0..1.0));
    let latitude = (place.latitude() + offset()).clamp(-90.0, 90.0);
    let longitude = (place.longitude() + offset()).clamp(-180.0, 180.0);
    LatLng::new(latitude, longitude).unwrap()
}
