//! Clients that send one photo after the other.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;

/// What became of one request.
pub(crate) enum Outcome {
    Answered(Duration),
    /// The queue was full.
    Refused {
        took: Duration,
        retry_after: Option<u64>,
    },
    Failed,
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .new_agent()
}

/// So many clients for so long; each begins with another photo. A refused client waits a twentieth of a second.
pub(crate) fn run_clients(
    url: &str,
    photos: &Arc<Vec<Vec<u8>>>,
    clients: usize,
    span: Duration,
) -> Vec<Outcome> {
    let until = Instant::now() + span;
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let (address, photos) = (format!("{url}/localize"), photos.clone());
            thread::spawn(move || {
                let agent = agent();
                let mut outcomes = Vec::new();
                let mut next = number;
                while Instant::now() < until {
                    let outcome = send(&agent, &address, &photos[next % photos.len()]);
                    if matches!(outcome, Outcome::Refused { .. }) {
                        thread::sleep(Duration::from_millis(50));
                    }
                    outcomes.push(outcome);
                    next += 1;
                }
                outcomes
            })
        })
        .collect();
    threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect()
}

fn send(agent: &Agent, address: &str, photo: &[u8]) -> Outcome {
    let begun = Instant::now();
    let response = agent
        .post(address)
        .header("content-type", "image/jpeg")
        .send(photo);
    let Ok(mut response) = response else {
        return Outcome::Failed;
    };
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let read = response.body_mut().read_to_string();
    match (status, read) {
        (200, Ok(_)) => Outcome::Answered(begun.elapsed()),
        (503 | 429, Ok(_)) => Outcome::Refused {
            took: begun.elapsed(),
            retry_after,
        },
        _ => Outcome::Failed,
    }
}

/// Resident memory of the service, by its metrics.
pub(crate) fn resident_mebibytes(url: &str) -> f64 {
    let mut response = agent().get(format!("{url}/metrics")).call().unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("geosurge_resident_memory_bytes "))
        .expect("the metric");
    bytes.trim().parse::<f64>().unwrap() / f64::from(1 << 20)
}
