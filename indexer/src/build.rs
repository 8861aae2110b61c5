//! A release from a checkpoint and a dataset.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;
use datasets::{Dataset, DecodeLimits};
use geocells::Hierarchy;
use models::{Encoder, Precision, SegmenterChoice};
use retrieval::{Checkpoints, ExactIndex, SearchModel, Searcher};
use serde::Serialize;
use storage::{Catalog, CollectionName, PointId, Release, ReleaseId, ReleaseStatus, VectorStore};
use uuid::Uuid;

use crate::gallery::{self, Gallery, GalleryReport};
use crate::levels::{self, LevelVectors, Target};
use crate::plan::{self, Begun, Source};
use crate::progress::{Report, Stage};
use crate::verify::{self, Expected, Verification};
use crate::{Error, Result, references};

/// How a release is built.
#[derive(Clone)]
pub struct BuildOptions {
    /// The release's id; with `None` the release of the same checkpoint and dataset, or a new one named after the day and
    /// the checkpoint, as in `2026-11-22-1a2b3c4d`.
    pub name: Option<ReleaseId>,
    /// Photos encoded at once.
    pub batch: usize,
    /// Makes the release the active one when it is ready.
    pub activate: bool,
    /// Stops at the first photo that cannot be read, instead of skipping it.
    pub strict: bool,
    /// Reference images whose embeddings are asked as queries to verify the release, at most.
    pub verify_queries: usize,
    /// Where the encoder runs.
    pub device: Device,
    /// Number format of the tower's frozen blocks.
    pub precision: Precision,
    /// Where segmentation maps come from; must be the same at query time.
    pub segmenter: SegmenterChoice,
    /// Photos larger than this are skipped.
    pub limits: DecodeLimits,
    /// Reference images written together: each write is made durable, and a kill costs at most what was not written.
    pub together: usize,
    /// Reference images that are read and encoded again to verify the release, at most.
    pub verify_photos: usize,
    /// Where checkpoints are found.
    pub checkpoints: Checkpoints,
    /// Folder of photographs that were copied for releases, if there is one.
    pub photos: Option<PathBuf>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            name: None,
            batch: 64,
            activate: false,
            strict: false,
            verify_queries: 1000,
            device: Device::Cpu,
            precision: Precision::F32,
            segmenter: SegmenterChoice::default(),
            limits: DecodeLimits::default(),
            together: 1024,
            verify_photos: 4,
            checkpoints: Checkpoints::default(),
            photos: None,
        }
    }
}

/// What a build did.
#[derive(Debug, Clone, Serialize)]
pub struct BuildReport {
    /// The release as the catalog has it now.
    pub release: Release,
    /// Whether an earlier build had finished it, so that nothing was loaded.
    pub already_built: bool,
    /// What became of the photos.
    pub gallery: GalleryReport,
    /// What was verified; `None` when it was built and verified before.
    pub verification: Option<Verification>,
    /// Seconds of the whole build.
    pub seconds: f64,
}

/// Builds a release, or goes on with one that was not finished.
///
/// Geocells of all levels and the dataset's photos go into the store and the catalog; then counts, vectors and up to
/// `verify_queries` answers are compared with the checkpoint, and the release becomes `ready`. Every write can be repeated: a
/// killed build keeps what it loaded, and the same call goes on. A failed verification leaves the release `failed` with its reason,
/// and the next build
/// loads all of it again; so does a finished release whose store has lost points. The photos are streamed: neither pixels nor
/// vectors of the whole gallery are ever in memory.
///
/// `checkpoint`: a folder, or the URL of one in an object store. `cancel` is looked at between batches. While it works, the
/// release is held: nobody else can change it.
///
/// # Errors
/// [`Error::Cancelled`], [`storage::Error::Held`] where another process is changing the release, [`Error::Verification`], [`Error::NoPhotos`], [`Error::BadPhoto`] under `strict`, and those of the
/// checkpoint, the dataset, the store and the catalog.
pub async fn build_release(
    checkpoint: &Path,
    dataset: &Dataset,
    store: Arc<dyn VectorStore>,
    catalog: Arc<dyn Catalog>,
    options: &BuildOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<BuildReport> {
    if options.batch == 0 || options.together == 0 {
        return Err(Error::Invalid(
            "the batch holds no photo; encode and write at least one at once".into(),
        ));
    }
    let started = Instant::now();
    let location = location(checkpoint);
    let model = open(&location, options).await?;
    let source = source(location, dataset, &model);
    // A name that nobody has yet could be taken by two builds at once: whoever holds it first makes the release.
    let id = plan::choose(catalog.as_ref(), options.name.as_ref(), &source).await?;
    let _hold = catalog.hold(&id).await?;
    let mut begun = plan::begin(catalog.as_ref(), &id, &source).await?;
    if plan::is_built(&begun.release) {
        settle(&id, options, store.as_ref(), catalog.as_ref()).await?;
        let searcher = Searcher::new(begun.release.id.clone(), Arc::clone(&store), model.search.clone());
        if let Some(damage) = damage(&searcher).await? {
            tracing::warn!(release = %begun.release.id, %damage, "a finished release has lost data and is built again");
            catalog
                .set_status(&begun.release.id, ReleaseStatus::Failed, Some(&damage))
                .await?;
            begun = plan::begin(catalog.as_ref(), &id, &source).await?;
        }
    }
    let Begun { release, had_failed } = begun;
    tracing::info!(release = %id, photos = dataset.len(), status = %release.status, "building release");

    let reload = had_failed;
    let target = Target {
        release: &id,
        store: store.as_ref(),
        catalog: catalog.as_ref(),
        reload,
        progress,
        cancel,
    };
    let already_built = plan::is_built(&release);
    let (gallery, verification) = if already_built {
        (GalleryReport::default(), None)
    } else {
        let (gallery, verification) =
            load_and_verify(target, &model, dataset, Arc::clone(&store), options).await?;
        let message = format!("verified with {} queries", verification.queries);
        catalog
            .set_status(&id, ReleaseStatus::Ready, Some(&message))
            .await?;
        (gallery, Some(verification))
    };
    let release = if options.activate {
        crate::activate(&id, Some(store.as_ref()), catalog.as_ref(), &options.checkpoints).await?
    } else {
        catalog.release(&id).await?
    };
    Ok(BuildReport {
        release,
        already_built,
        gallery,
        verification,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Ends what was interrupted in a finished release's gallery, so that it is not taken for damage.
async fn settle(
    release: &ReleaseId,
    options: &BuildOptions,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<()> {
    let Some(photos) = &options.photos else {
        return Ok(());
    };
    match references::settle_held(release, photos, store, catalog).await {
        // Real damage is found by the check that follows.
        Err(Error::NotWhole { .. } | Error::Storage(storage::Error::NotFound { .. })) => Ok(()),
        other => other.map(drop),
    }
}

/// What a finished release has lost in the store, in words; `None` when it is whole.
async fn damage(searcher: &Searcher) -> Result<Option<String>> {
    use retrieval::Error::{IncompleteCollection, Storage};
    use storage::Error::{Corrupt, Incomplete, NotFound};
    match searcher.check().await {
        Ok(()) => Ok(None),
        Err(
            lost @ (IncompleteCollection { .. }
            | Storage(NotFound { .. } | Incomplete { .. } | Corrupt { .. })),
        ) => Ok(Some(lost.to_string())),
        Err(other) => Err(other.into()),
    }
}

/// A checkpoint opened for indexing.
pub(crate) struct OpenModel {
    pub(crate) checkpoint: String,
    pub(crate) encoder: Arc<Encoder>,
    pub(crate) hierarchy: Arc<Hierarchy>,
    pub(crate) exact: Arc<ExactIndex>,
    search: SearchModel,
    vectors: Arc<Vec<LevelVectors>>,
}

/// The checkpoint's location as it is recorded: a URL as it is, a folder absolutely.
pub(crate) fn location(checkpoint: &Path) -> String {
    let text = checkpoint.to_string_lossy();
    if retrieval::is_url(&text) {
        return text.into_owned();
    }
    let absolute = std::path::absolute(checkpoint).unwrap_or_else(|_| checkpoint.to_owned());
    absolute.to_string_lossy().into_owned()
}

pub(crate) async fn open(location: &str, options: &BuildOptions) -> Result<OpenModel> {
    let checkpoint = options.checkpoints.open(location).await?;
    let options = options.clone();
    let open = move || -> Result<OpenModel> {
        let encoder = Arc::new(Encoder::open_in(
            &checkpoint,
            &options.device,
            options.segmenter,
            options.precision,
        )?);
        let (geographic, hierarchy) = (retrieval::geographic_of(&checkpoint)?, checkpoint.hierarchy());
        let exact = Arc::new(ExactIndex::of_model(&geographic, hierarchy)?);
        let search = SearchModel::of_model(&geographic, hierarchy, *checkpoint.calibration())?;
        let mut vectors = Vec::with_capacity(exact.cells().depth());
        for level in 0..exact.cells().depth() {
            vectors.push(LevelVectors {
                embedding: exact.embedding_rows(level)?,
                path: exact.path_rows(level)?,
            });
        }
        Ok(OpenModel {
            checkpoint: checkpoint.id().to_owned(),
            encoder,
            hierarchy: Arc::new(hierarchy.clone()),
            exact,
            search,
            vectors: Arc::new(vectors),
        })
    };
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|_| Error::Interrupted)?
}

fn source(location: String, dataset: &Dataset, model: &OpenModel) -> Source {
    Source {
        checkpoint_id: model.checkpoint.clone(),
        checkpoint_path: location,
        dataset_digest: dataset.digest(),
        embedding_dimension: model.exact.dimension(),
        levels: model.exact.cells().depth(),
        store: serde_json::json!({ "distance": "dot", retrieval::SEGMENTER: model.encoder.segmenter_name() }),
    }
}

async fn load_and_verify(
    target: Target<'_>,
    model: &OpenModel,
    dataset: &Dataset,
    store: Arc<dyn VectorStore>,
    options: &BuildOptions,
) -> Result<(GalleryReport, Verification)> {
    let hierarchy = model.hierarchy.as_ref();
    levels::load(target, hierarchy, &model.vectors).await?;

    let gallery = Gallery {
        dataset,
        hierarchy: Arc::clone(&model.hierarchy),
        encoder: Arc::clone(&model.encoder),
        batch: options.batch,
        together: options.together,
        strict: options.strict,
        limits: options.limits,
    };
    gallery::create(target, hierarchy.depth(), model.exact.dimension()).await?;
    let (images, mut report) = gallery::load(target, &gallery).await?;
    if images.is_empty() {
        let first = report.skipped.first();
        return Err(Error::NoPhotos {
            photos: dataset.len(),
            reason: first.map_or_else(|| "it is empty".to_owned(), |first| first.reason.clone()),
        });
    }
    report.removed = finish(target, &images).await?;

    let expected = Expected {
        hierarchy,
        vectors: &model.vectors,
        images: &images,
        model: model.search.clone(),
        exact: Arc::clone(&model.exact),
        calibration: model.search.calibration,
        store,
        queries: options.verify_queries,
        encoder: Arc::clone(&model.encoder),
        photos: options.verify_photos,
        limits: options.limits,
    };
    match verify::verify(target, expected).await {
        Ok(verification) => Ok((report, verification)),
        Err(error) => {
            if matches!(error, Error::Verification { .. }) {
                target
                    .catalog
                    .set_status(target.release, ReleaseStatus::Failed, Some(&error.to_string()))
                    .await?;
            }
            Err(error)
        }
    }
}

/// Ends the load of the reference images, without those that an earlier build loaded from files that have changed since, and those
/// that someone added to a release that is built again. Returns how many of these were recorded.
async fn finish(target: Target<'_>, images: &BTreeSet<Uuid>) -> Result<usize> {
    target.go_on(Stage::Finish)?;
    target.tell(Stage::Finish, 0, 1);
    let collection = CollectionName::references(target.release);
    if target.store.count(&collection, None).await? != images.len() as u64 {
        remove_strangers(target, &collection, images).await?;
    }
    let mut removed = 0;
    if target.catalog.counts(target.release).await?.reference_images != images.len() as u64 {
        removed = remove_unknown_records(target, images).await?;
        tracing::warn!(release = %target.release, removed, "reference images that the dataset does not have were removed");
    }
    target.store.finish_load(&collection).await?;
    target.tell(Stage::Finish, 1, 1);
    Ok(removed)
}

const PAGE: usize = 1000;

async fn remove_strangers(
    target: Target<'_>,
    collection: &CollectionName,
    images: &BTreeSet<Uuid>,
) -> Result<()> {
    let known = |id: &PointId| matches!(id, PointId::Uuid(id) if images.contains(id));
    let mut after = None;
    loop {
        let page = target.store.scroll(collection, after, PAGE).await?;
        let strangers: Vec<PointId> = page
            .points
            .iter()
            .map(|point| point.id)
            .filter(|id| !known(id))
            .collect();
        if !strangers.is_empty() {
            target.store.delete(collection, &strangers).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn remove_unknown_records(target: Target<'_>, images: &BTreeSet<Uuid>) -> Result<usize> {
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = target
            .catalog
            .list_reference_images(target.release, after, PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(removed);
        };
        after = Some(last.id);
        let unknown: Vec<Uuid> = page
            .iter()
            .map(|image| image.id)
            .filter(|id| !images.contains(id))
            .collect();
        if !unknown.is_empty() {
            let deleted = target
                .catalog
                .delete_reference_images(target.release, &unknown, None)
                .await?;
            removed += usize::try_from(deleted).unwrap_or(usize::MAX);
        }
    }
}
