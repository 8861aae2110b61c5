//! The release that answers, and the switch to the next one.
//!
//! The catalog says which release is active, and when that changes: at once where it can, otherwise it is asked every second or
//! so. A new release is opened and warmed while the old one goes on answering, then takes over in one step. Whoever holds the old one finishes with it.

use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use retrieval::{LocalizeOptions, Localizer, OpenOptions};
use storage::{Catalog, ReleaseId, VectorStore};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Result;
use crate::metrics::Metrics;

/// After a release could not be opened, it is tried again every so many polls.
const RETRY_EVERY: u32 = 10;

/// What answers now.
#[derive(Clone, Default)]
pub(crate) struct Active {
    /// The opened release; none before the first activation.
    pub(crate) localizer: Option<Arc<Localizer>>,
    /// Why the release that should be active is not.
    pub(crate) problem: Option<String>,
}

impl Active {
    fn release(&self) -> Option<&ReleaseId> {
        self.localizer.as_ref().map(|localizer| &localizer.release().id)
    }
}

/// What it takes to open a release.
pub(crate) struct Opener {
    pub(crate) store: Arc<dyn VectorStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) options: OpenOptions,
    pub(crate) metrics: Arc<Metrics>,
}

impl Opener {
    /// Points the vector store's aliases at the active release, for those who activate without reaching the store. The service
    /// itself never goes by them, so that a failure is no reason to stop.
    async fn follow_aliases(&self) {
        if let Err(error) = indexer::follow_aliases(self.store.as_ref(), self.catalog.as_ref()).await {
            tracing::warn!(%error, "the vector store's aliases do not follow the active release");
        }
    }

    /// Opens a release and answers a grey photo with it, so that the first real one finds everything loaded.
    async fn open(&self, release: &ReleaseId) -> retrieval::Result<Arc<Localizer>> {
        let (store, catalog) = (self.store.clone(), self.catalog.clone());
        let localizer = Localizer::open(Some(release), store, catalog, &self.options).await?;
        let grey = RgbImage::from_pixel(64, 64, image::Rgb([128; 3]));
        localizer
            .localize(vec![grey.into()], &LocalizeOptions::default())
            .await?;
        Ok(Arc::new(localizer))
    }

    /// Tells the gauges what answers.
    fn measure(&self, localizer: Option<&Arc<Localizer>>) {
        let metrics = &self.metrics;
        metrics
            .release_ready
            .set(f64::from(u8::from(localizer.is_some())));
        let counts = localizer
            .and_then(|localizer| localizer.release().counts)
            .unwrap_or_default();
        metrics.release_geocells.set(counts.geocells as f64);
        metrics
            .release_reference_images
            .set(counts.reference_images as f64);
    }
}

/// Opens the active release and starts the task that follows the catalog.
pub(crate) async fn watch(
    opener: Opener,
    poll: Duration,
    tasks: &mut JoinSet<()>,
) -> Result<watch::Receiver<Active>> {
    let seen = opener.catalog.changes().await?;
    opener.follow_aliases().await;
    let localizer = match opener.catalog.active_release().await? {
        Some(release) => Some(opener.open(&release.id).await?),
        None => None,
    };
    opener.measure(localizer.as_ref());
    let (sender, receiver) = watch::channel(Active {
        localizer,
        problem: None,
    });
    tasks.spawn(follow(opener, poll, seen, sender));
    Ok(receiver)
}

async fn follow(opener: Opener, poll: Duration, mut seen: u64, sender: watch::Sender<Active>) {
    let mut unopened_for = 0_u32;
    loop {
        let changes = match opener.catalog.wait_for_change(seen, poll).await {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(%error, "cannot ask the catalog for changes");
                tokio::time::sleep(poll).await;
                continue;
            }
        };
        if sender.borrow().problem.is_some() {
            unopened_for += 1;
        }
        if changes == seen && (unopened_for == 0 || !unopened_for.is_multiple_of(RETRY_EVERY)) {
            continue;
        }
        match switch(&opener, &sender).await {
            Ok(()) => (seen, unopened_for) = (changes, 0),
            Err(error) => {
                opener.metrics.release_failures.increment(1);
                tracing::error!(%error, "cannot open the active release; the one before goes on answering");
                sender.send_modify(|active| active.problem = Some(error.to_string()));
                (seen, unopened_for) = (changes, unopened_for.max(1));
            }
        }
    }
}

/// Makes the catalog's active release the one that answers.
async fn switch(opener: &Opener, sender: &watch::Sender<Active>) -> retrieval::Result<()> {
    opener.follow_aliases().await;
    let wanted = opener.catalog.active_release().await?.map(|release| release.id);
    if sender.borrow().release() == wanted.as_ref() {
        sender.send_modify(|active| active.problem = None);
        return Ok(());
    }
    let localizer = match &wanted {
        Some(release) => Some(opener.open(release).await?),
        None => None,
    };
    opener.measure(localizer.as_ref());
    opener.metrics.release_switches.increment(1);
    let before = sender.send_replace(Active {
        localizer,
        problem: None,
    });
    let name = |release: Option<&ReleaseId>| release.map_or_else(|| "none".to_owned(), ToString::to_string);
    tracing::info!(
        from = name(before.release()),
        to = name(wanted.as_ref()),
        "release switched"
    );
    Ok(())
}
