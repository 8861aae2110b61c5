//! The service under load, over loopback: photos a second and latencies beside the bare encoder, overload, memory of a soak.
//!
//! ```text
//! geosurge --data-dir DATA serve --listen 127.0.0.1:8099 &
//! cargo bench --profile release --bench service_load -- load --url http://127.0.0.1:8099 --photos PHOTOS --seconds 20
//! cargo bench --profile release --bench service_load -- overload --url http://127.0.0.1:8099 --photos PHOTOS --seconds 10
//! cargo bench --profile release --bench service_load -- soak --url http://127.0.0.1:8099 --photos PHOTOS --seconds 600
//! cargo bench --profile release --bench service_load -- encoder --checkpoint CHECKPOINT --photos PHOTOS --seconds 20
//! ```
//!
//! A client sends a photo to `POST /localize`, waits for the answer and sends the next one: 1, 8 and 64 of them. `encoder` measures what the
//! same photos cost without a service, decoding included, alone and eight at a time: the difference is the overhead. Clients and service
//! share the machine's cores.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops and prints"
)]

mod client;
mod figures;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use clap::{Parser, Subcommand};
use client::{Outcome, run_clients};
use figures::Figures;
use models::{Checkpoint, Encoder, SegmenterChoice};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// What cargo passes to benches
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(clap::Args)]
struct Service {
    /// Address of a running service
    #[arg(long)]
    url: String,
    /// Folder of photos, or a photo
    #[arg(long)]
    photos: PathBuf,
    /// How long each measurement takes
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Photos a second and latencies at several numbers of clients
    Load {
        #[command(flatten)]
        service: Service,
        /// Clients at once
        #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
        clients: Vec<usize>,
    },
    /// More clients than the queue has places, without patience: what is refused, and how the rest fares
    Overload {
        #[command(flatten)]
        service: Service,
        #[arg(long, default_value_t = 192)]
        clients: usize,
    },
    /// Memory of the service under a steady load
    Soak {
        #[command(flatten)]
        service: Service,
        #[arg(long, default_value_t = 8)]
        clients: usize,
    },
    /// The bare encoder on the same photos
    Encoder {
        #[arg(long)]
        checkpoint: PathBuf,
        #[arg(long)]
        photos: PathBuf,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() {
    // `cargo test --benches` runs it without a command.
    let Some(command) = Arguments::parse().command else {
        return;
    };
    match command {
        Command::Load { service, clients } => load(&service, &clients),
        Command::Overload { service, clients } => overload(&service, clients),
        Command::Soak { service, clients } => soak(&service, clients),
        Command::Encoder {
            checkpoint,
            photos,
            seconds,
        } => encoder(&checkpoint, &photos, Duration::from_secs(seconds)),
    }
}

/// Up to 200 photos of a folder, in the order of their names.
fn photos(path: &Path) -> Arc<Vec<Vec<u8>>> {
    if path.is_file() {
        return Arc::new(vec![fs_err::read(path).unwrap()]);
    }
    let mut files: Vec<PathBuf> = fs_err::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("jpg" | "jpeg" | "png" | "webp"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no photo in {}", path.display());
    Arc::new(
        files
            .iter()
            .take(200)
            .map(|file| fs_err::read(file).unwrap())
            .collect(),
    )
}

fn load(service: &Service, clients: &[usize]) {
    let photos = photos(&service.photos);
    let span = Duration::from_secs(service.seconds);
    run_clients(&service.url, &photos, 1, Duration::from_secs(2));
    println!("clients  photos/s  p50 ms  p99 ms  answered  refused  failed");
    for &count in clients {
        let outcomes = run_clients(&service.url, &photos, count, span);
        println!("{count:7}  {}", Figures::of(&outcomes, span));
    }
}

fn overload(service: &Service, clients: usize) {
    let photos = photos(&service.photos);
    let span = Duration::from_secs(service.seconds);
    let outcomes = run_clients(&service.url, &photos, clients, span);
    println!("clients  photos/s  p50 ms  p99 ms  answered  refused  failed");
    println!("{clients:7}  {}", Figures::of(&outcomes, span));
    let mut refusals: Vec<Duration> = Vec::new();
    let mut advised = Vec::new();
    for outcome in &outcomes {
        if let Outcome::Refused { took, retry_after } = outcome {
            refusals.push(*took);
            advised.push(*retry_after);
        }
    }
    let untold = advised.iter().filter(|seconds| seconds.is_none()).count();
    let seconds: Vec<u64> = advised.into_iter().flatten().collect();
    println!(
        "refusals: p50 {:.1} ms, p99 {:.1} ms; Retry-After {:?} to {:?} s, missing {untold} times",
        figures::quantile(&mut refusals, 0.5),
        figures::quantile(&mut refusals, 0.99),
        seconds.iter().min(),
        seconds.iter().max(),
    );
}

fn soak(service: &Service, clients: usize) {
    let photos = photos(&service.photos);
    let whole = Duration::from_secs(service.seconds);
    let step = (whole / 10).max(Duration::from_secs(1));
    println!("second  resident MiB  photos/s  failed");
    println!("{:6}  {:12.1}", 0, client::resident_mebibytes(&service.url));
    let begun = Instant::now();
    while begun.elapsed() < whole {
        let outcomes = run_clients(&service.url, &photos, clients, step);
        let figures = Figures::of(&outcomes, step);
        println!(
            "{:6}  {:12.1}  {:8.1}  {:6}",
            begun.elapsed().as_secs(),
            client::resident_mebibytes(&service.url),
            figures.a_second,
            figures.failed,
        );
    }
}

fn encoder(checkpoint: &Path, path: &Path, span: Duration) {
    let checkpoint = Checkpoint::open(checkpoint).unwrap();
    let encoder = Encoder::open(&checkpoint, &Device::Cpu, SegmenterChoice::Own).unwrap();
    let photos = photos(path);
    println!("batch  photos/s  ms a photo");
    for batch in [1, 8] {
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < span {
            let images: Vec<_> = (0..batch)
                .map(|offset| {
                    let bytes = &photos[(done + offset) % photos.len()];
                    datasets::decode_bytes(bytes, "photo", &datasets::DecodeLimits::default()).unwrap()
                })
                .collect();
            encoder.encode(&images).unwrap();
            done += batch;
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{batch:5}  {:8.1}  {:10.2}",
            done as f64 / seconds,
            1e3 * seconds / done as f64
        );
    }
}
