//! The vector stores at the size of MP-16: a hierarchy of tens of thousands of geocells, and up to a million reference images.
//!
//! ```text
//! cargo bench --profile release --bench stores_at_scale -- data --out DIR --references 1000000
//! cargo bench --profile release --bench stores_at_scale -- run --data DIR --references 1000000 embedded STORE_DIR
//! cargo bench --profile release --bench stores_at_scale -- run --data DIR --references 1000000 server http://127.0.0.1:6334
//! ```
//!
//! `data` writes `references.npy` (unit vectors, `[images, 768]`) and `cells.npy` (each image's finest cell), which another
//! program can load; benches/upload.py does so with Qdrant's Python client. Everything is drawn from fixed seeds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops and prints"
)]

mod hierarchy;
mod images;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use storage::qdrant::Quantization;
use storage::{EmbeddedVectorStore, QdrantOptions, QdrantVectorStore, VectorStore};
use world::World;

/// Numbers in an embedding.
const DIMENSION: usize = 768;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// What cargo passes to benches
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Write the reference images' vectors
    Data {
        #[arg(long)]
        out: PathBuf,
        #[arg(long, default_value_t = 1_000_000)]
        references: usize,
    },
    /// Load and search a store
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// Folder that `data` wrote
    #[arg(long)]
    data: PathBuf,
    /// How many of its reference images to load; 0 for geocells only
    #[arg(long, default_value_t = 0)]
    references: usize,
    /// Leave the geocells out
    #[arg(long)]
    no_cells: bool,
    /// Searches measured one after another
    #[arg(long, default_value_t = 300)]
    queries: usize,
    /// Uploads under way at once
    #[arg(long, default_value_t = 4)]
    uploads: usize,
    /// Points of one upload
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Give the reference images no graph
    #[arg(long)]
    flat: bool,
    /// Short codes of the graph, on a server
    #[arg(long, default_value = "auto")]
    quantization: Codes,
    /// Process whose memory is shown; this one by default
    #[arg(long)]
    pid: Option<u32>,
    /// Folder whose size is shown
    #[arg(long)]
    disk: Option<PathBuf>,
    #[command(subcommand)]
    store: Store,
}

#[derive(Subcommand)]
enum Store {
    /// In this process
    Embedded {
        dir: PathBuf,
    },
    Server {
        url: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Codes {
    Auto,
    None,
    Scalar,
    Binary,
}

#[tokio::main]
async fn main() {
    match Arguments::parse().command {
        Some(Command::Data { out, references }) => images::write(&World::new(), &out, references),
        Some(Command::Run(run)) => measure(&run).await,
        None => {
            println!("nothing to do: give `data` or `run` (see the head of benches/stores_at_scale/main.rs)")
        }
    }
}

async fn measure(run: &Run) {
    let (store, disk): (Arc<dyn VectorStore>, _) = match &run.store {
        Store::Embedded { dir } => {
            fs_err::create_dir_all(dir).unwrap();
            (
                Arc::new(EmbeddedVectorStore::open(dir).await.unwrap()),
                Some(dir.clone()),
            )
        }
        Store::Server { url } => {
            let mut options = QdrantOptions::new(url);
            options.prefix = "scale_".into();
            options.timeout = Duration::from_secs(120);
            options.layout.quantization = match run.quantization {
                Codes::Auto => Quantization::Auto,
                Codes::None => Quantization::None,
                Codes::Scalar => Quantization::Scalar,
                Codes::Binary => Quantization::Binary,
            };
            (
                Arc::new(QdrantVectorStore::connect(&options).await.unwrap()),
                run.disk.clone(),
            )
        }
    };
    println!("{}", store.health().await.unwrap().engine);
    let world = World::new();
    let room = |what: &str| {
        let memory = resident(run.pid.unwrap_or_else(std::process::id));
        let disk = disk.as_deref().map_or(0, bytes_below);
        println!("{what}: {} MB resident, {} MB on disk", memory >> 20, disk >> 20);
    };
    room("at the start");
    if !run.no_cells {
        hierarchy::measure(run, &world, &store).await;
        room("with geocells");
    }
    if run.references > 0 {
        images::measure(run, &world, &store).await;
        room("with reference images");
    }
}

/// Median and 99th percentile.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at =
            |share: usize| self.0[(self.0.len() * share / 100).min(self.0.len() - 1)].as_secs_f64() * 1e3;
        write!(f, "p50 {:8.2} ms  p99 {:8.2} ms", at(50), at(99))
    }
}

/// One call and its time.
async fn timed<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let started = Instant::now();
    let value = call.await;
    (started.elapsed(), value)
}

/// Resident memory of a process, in bytes; 0 where the system does not tell.
fn resident(pid: u32) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Bytes that all files below a folder take.
fn bytes_below(dir: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs_err::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
