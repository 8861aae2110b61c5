//! The service's parts, held together for as long as anyone uses them.

use std::sync::Arc;
use std::time::Instant;

use retrieval::{LocalizeOptions, Localizer, OpenOptions};
use storage::{Catalog, ReleaseId, VectorStore};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::Result;
use crate::active::{self, Active};
use crate::config::ServeConfig;
use crate::geocell_index::{GeocellIndex, GeocellIndices};
use crate::localize::{self, Answered, Photo, Queue};
use crate::request_error::RequestError;
use crate::shadow::{Shadow, ShadowState};

/// Thumbnails made at once.
const THUMBNAILS_AT_ONCE: usize = 2;

/// A running service without its HTTP server. Cheap to clone; its background tasks end with the last clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    config: ServeConfig,
    store: Arc<dyn VectorStore>,
    catalog: Arc<dyn Catalog>,
    active: watch::Receiver<Active>,
    queue: Queue,
    geocells: GeocellIndices,
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
        let mut tasks = JoinSet::new();
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
            options: open,
        };
        let active = active::watch(opener, config.poll, &mut tasks).await?;
        let queue = Queue::start(&config, active.clone(), LocalizeOptions::default(), &mut tasks);
        Ok(Self(Arc::new(Parts {
            config,
            store,
            catalog,
            active,
            queue,
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
        let catalog = parts.catalog.as_ref();
        localize::localize(&parts.queue, catalog, &parts.config, parts.shadow.as_ref(), photo).await
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
        self.0.queue.waiting()
    }

    /// Since the service started.
    pub(crate) fn uptime(&self) -> std::time::Duration {
        self.0.started.elapsed()
    }
}
