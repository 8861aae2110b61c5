//! Comparisons of releases, made once and kept.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use datasets::DecodeLimits;
use indexer::diff::{self, Diff, Probe, ProbeOptions};
use retrieval::Localizer;
use storage::ReleaseId;
use tokio::sync::watch;

use crate::request_error::{Code, RequestError};
use crate::service::Service;

/// Comparisons kept.
const KEPT: usize = 64;
/// Photos encoded together.
const BATCH: usize = 8;

/// What two releases are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Reference photographs of the first release.
    Probe,
    /// Queries that both answered.
    Shadow,
}

/// Names a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Comparison {
    pub(crate) from: ReleaseId,
    pub(crate) to: ReleaseId,
    pub(crate) source: Source,
    pub(crate) photos: usize,
}

type Outcome = Option<Result<Arc<Diff>, RequestError>>;

/// The comparisons that were asked for.
#[derive(Default)]
pub(crate) struct Diffs {
    known: Mutex<HashMap<Comparison, watch::Receiver<Outcome>>>,
    /// One at a time: each opens up to two releases.
    turn: tokio::sync::Mutex<()>,
}

/// A comparison, made by a task of its own, so that it goes on where the client did not wait for it.
pub(crate) async fn compare(service: &Service, wanted: Comparison) -> Result<Arc<Diff>, RequestError> {
    let mut receiver = {
        let mut known = service
            .diffs()
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match known.get(&wanted) {
            // A failure, or a task that was lost, is no reason to fail for ever.
            Some(receiver) if !failed(receiver) => receiver.clone(),
            _ => {
                if known.len() >= KEPT {
                    known.retain(|_, receiver| receiver.borrow().is_none());
                }
                let (sender, receiver) = watch::channel(None);
                known.insert(wanted.clone(), receiver.clone());
                let service = service.clone();
                tokio::spawn(async move {
                    let outcome = make(&service, &wanted).await.map(Arc::new);
                    sender.send_replace(Some(outcome));
                });
                receiver
            }
        }
    };
    let outcome = receiver
        .wait_for(Option::is_some)
        .await
        .map_err(|_| RequestError::internal("a comparison ended without a result"))?;
    match &*outcome {
        Some(outcome) => outcome.clone(),
        None => Err(RequestError::internal("a comparison ended without a result")),
    }
}

fn failed(receiver: &watch::Receiver<Outcome>) -> bool {
    matches!(&*receiver.borrow(), Some(Err(_)))
        || receiver.has_changed().is_err() && receiver.borrow().is_none()
}

async fn make(service: &Service, wanted: &Comparison) -> Result<Diff, RequestError> {
    let _turn = service.diffs().turn.lock().await;
    let catalog = service.catalog().as_ref();
    let (pairs, source) = match wanted.source {
        Source::Shadow => {
            for release in [&wanted.from, &wanted.to] {
                catalog.release(release).await?;
            }
            let pairs = diff::from_shadow(&wanted.from, &wanted.to, catalog, wanted.photos).await?;
            (pairs, "queries that both answered".to_owned())
        }
        Source::Probe => {
            let first = open(service, &wanted.from).await?;
            let second = open(service, &wanted.to).await?;
            let probe = Probe {
                dataset: None,
                photos: wanted.photos,
            };
            let options = ProbeOptions {
                batch: BATCH,
                limits: DecodeLimits::default(),
            };
            let go_on = AtomicBool::new(false);
            let pairs = diff::probe(
                &first,
                &second,
                &probe,
                catalog,
                options,
                &indexer::silent,
                &go_on,
            )
            .await?;
            let source = format!(
                "reference photographs of {}, which it was built from",
                wanted.from
            );
            (pairs, source)
        }
    };
    Ok(diff::compare(
        wanted.from.clone(),
        wanted.to.clone(),
        source,
        &pairs,
    )?)
}

async fn open(service: &Service, release: &ReleaseId) -> Result<Arc<Localizer>, RequestError> {
    if let Some(active) = service.localizer()
        && active.release().id == *release
    {
        return Ok(active);
    }
    let (store, catalog) = (service.store().clone(), service.catalog().clone());
    let opened = Localizer::open(Some(release), store, catalog, service.open_options()).await;
    match opened {
        Ok(localizer) => Ok(Arc::new(localizer)),
        Err(error @ retrieval::Error::NotReady { .. }) => {
            Err(RequestError::new(Code::Conflict, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
