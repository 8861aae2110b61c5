//! The service's parts, held together for as long as anyone uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use retrieval::{Localizer, OpenOptions};
use storage::{Catalog, ReleaseId, Scope, VectorStore};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::active::{self, Active};
use crate::batches::Batches;
use crate::config::{LiveConfig, ServeConfig};
use crate::details::{Details, RecentDetails};
use crate::diffs::Diffs;
use crate::gallery_index::{GalleryIndex, GalleryIndices};
use crate::geocell_index::{GeocellIndex, GeocellIndices};
use crate::keys::Keys;
use crate::localize::{self, Answered, Photo, Uploads};
use crate::metrics::Metrics;
use crate::queue::Reply;
use crate::rates::Rates;
use crate::request_error::RequestError;
use crate::shadow::{Shadow, ShadowState};
use crate::{Error, Result};

/// Thumbnails made at once.
const THUMBNAILS_AT_ONCE: usize = 2;

/// How often callers that have been quiet are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);

async fn tidy(rates: Arc<Rates>) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        rates.tidy();
    }
}

/// A running service without its HTTP server. Cheap to clone; its background tasks end with the last clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    config: ServeConfig,
    store: Arc<dyn VectorStore>,
    catalog: Arc<dyn Catalog>,
    active: watch::Receiver<Active>,
    uploads: Uploads,
    open: OpenOptions,
    live: ArcSwap<LiveConfig>,
    keys: Keys,
    rates: Arc<Rates>,
    metrics: Arc<Metrics>,
    details: RecentDetails,
    batches: Arc<Batches>,
    diffs: Diffs,
    geocells: GeocellIndices,
    galleries: GalleryIndices,
    websockets: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    thumbnails: Semaphore,
    shadow: Option<Shadow>,
    started: Instant,
    _tasks: JoinSet<()>,
}

impl Service {
    /// Opens the active release and starts watching for the next one. Without an active release the service starts all the
    /// same and answers `NO_ACTIVE_RELEASE` until one is activated.
    ///
    /// # Errors
    /// Settings that cannot work, a store that cannot be read, an active release that cannot be opened.
    pub async fn start(
        config: ServeConfig,
        store: Arc<dyn VectorStore>,
        catalog: Arc<dyn Catalog>,
        open: OpenOptions,
    ) -> Result<Self> {
        config.validate()?;
        if config.require_keys {
            let keys = catalog.api_keys().await?;
            if keys.iter().all(|key| key.revoked_at.is_some()) {
                return Err(Error::NoKeys);
            }
        }
        // Whoever reaches a public address without keys may ask, and change nothing.
        let keyless = match config.address.ip().is_loopback() {
            true => Scope::Admin,
            false => Scope::Analyst,
        };
        let keys = Keys::new(catalog.clone(), config.require_keys, keyless);
        let metrics = Arc::new(Metrics::new());
        let mut tasks = JoinSet::new();
        let rates = Arc::new(Rates::default());
        tasks.spawn(tidy(rates.clone()));
        let shadow = match config.shadow.clone() {
            Some(shadow) => {
                let (store, catalog) = (store.clone(), catalog.clone());
                Some(Shadow::start(&config, shadow, store, catalog, &open, &mut tasks).await?)
            }
            None => None,
        };
        let opener = active::Opener {
            store: store.clone(),
            catalog: catalog.clone(),
            options: open.clone(),
            metrics: metrics.clone(),
        };
        let active = active::watch(opener, config.poll, &mut tasks).await?;
        let uploads = Uploads::start(&config, active.clone(), metrics.clone(), &mut tasks);
        Ok(Self(Arc::new(Parts {
            live: ArcSwap::from_pointee(config.live.clone()),
            websockets: Arc::new(Semaphore::new(config.max_websockets)),
            stopping: watch::Sender::new(false),
            config,
            open,
            keys,
            rates,
            metrics,
            details: RecentDetails::default(),
            batches: Arc::default(),
            diffs: Diffs::default(),
            galleries: GalleryIndices::default(),
            store,
            catalog,
            active,
            uploads,
            geocells: GeocellIndices::default(),
            thumbnails: Semaphore::new(THUMBNAILS_AT_ONCE),
            shadow,
            started: Instant::now(),
            _tasks: tasks,
        })))
    }

    /// The settings.
    pub fn config(&self) -> &ServeConfig {
        &self.0.config
    }

    /// Where releases and predictions are recorded.
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.0.catalog
    }

    /// Where vectors are searched.
    pub fn store(&self) -> &Arc<dyn VectorStore> {
        &self.0.store
    }

    /// The release that answers now, if there is one.
    pub fn localizer(&self) -> Option<Arc<Localizer>> {
        self.0.active.borrow().localizer.clone()
    }

    /// Why the catalog's active release could not be opened, when it could not.
    pub(crate) fn problem(&self) -> Option<String> {
        self.0.active.borrow().problem.clone()
    }

    /// Localises one photo and records the prediction.
    pub(crate) async fn localize(&self, photo: Photo) -> Result<Answered, RequestError> {
        let parts = &self.0;
        let (catalog, shadow) = (parts.catalog.as_ref(), parts.shadow.as_ref());
        let answered = localize::localize(
            &parts.uploads,
            catalog,
            &parts.config,
            shadow,
            &parts.metrics,
            photo,
        )
        .await?;
        parts.details.insert(answered.record.id, answered.details.clone());
        Ok(answered)
    }

    /// Answers one photo without recording anything.
    pub(crate) async fn embed(&self, photo: Photo) -> Result<Reply, RequestError> {
        localize::embed(&self.0.uploads, &self.0.config, photo).await
    }

    /// What is remembered of a fresh answer besides its record.
    pub(crate) fn details(&self, prediction: Uuid) -> Option<Arc<Details>> {
        self.0.details.get(prediction)
    }

    /// Settings that can change while the service runs, as they are now.
    pub(crate) fn live(&self) -> Arc<LiveConfig> {
        self.0.live.load_full()
    }

    /// Changes the settings that can change while the service runs.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work; then the ones before stay.
    pub fn reload(&self, live: LiveConfig) -> Result<()> {
        live.validate()?;
        let before = self.0.live.swap(Arc::new(live));
        if *before != *self.live() {
            tracing::info!(settings = ?self.live(), "settings reloaded");
        }
        Ok(())
    }

    /// How releases are opened.
    pub(crate) fn open_options(&self) -> &OpenOptions {
        &self.0.open
    }

    /// Knows the holders of API keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Counts requests of callers.
    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// Counts and measures.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// How far batches are.
    pub(crate) fn batches(&self) -> &Arc<Batches> {
        &self.0.batches
    }

    /// Comparisons of releases.
    pub(crate) fn diffs(&self) -> &Diffs {
        &self.0.diffs
    }

    /// What answers now, and when that changes.
    pub(crate) fn active(&self) -> watch::Receiver<Active> {
        self.0.active.clone()
    }

    /// Tells readiness checks and WebSockets that the service is about to end.
    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Whether the service is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Completes when the service is about to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Bounds the open WebSockets.
    pub(crate) fn websockets(&self) -> &Arc<Semaphore> {
        &self.0.websockets
    }

    /// Where the reference images of a release are.
    pub(crate) async fn gallery(&self, release: &ReleaseId) -> Result<Arc<GalleryIndex>, RequestError> {
        self.0.galleries.of(self.0.catalog.as_ref(), release).await
    }

    /// Reads the reference images of a release again at their next use.
    pub(crate) async fn forget_gallery(&self, release: &ReleaseId) {
        self.0.galleries.forget(release).await;
    }

    /// The geocells of a release.
    pub(crate) async fn geocells(&self, release: &ReleaseId) -> Result<Arc<GeocellIndex>, RequestError> {
        self.0.geocells.of(self.0.catalog.as_ref(), release).await
    }

    /// Bounds the thumbnails made at once.
    pub(crate) fn thumbnails(&self) -> &Semaphore {
        &self.0.thumbnails
    }

    /// The candidate release that answers a share of the queries unseen, if there is one.
    pub(crate) fn shadow(&self) -> Option<ShadowState> {
        self.0.shadow.as_ref().map(Shadow::state)
    }

    /// Photos accepted and not yet answered.
    pub(crate) fn waiting(&self) -> usize {
        self.0.uploads.waiting()
    }

    /// Since the service started.
    pub(crate) fn uptime(&self) -> std::time::Duration {
        self.0.started.elapsed()
    }
}
