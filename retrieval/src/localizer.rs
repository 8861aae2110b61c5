//! A release that is being served: encoder, calibration and index of one checkpoint, opened together or not at all.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use chrono::Utc;
use image::RgbImage;
use models::{Crops, Encoder, Precision, SegmenterChoice};

use places::PlaceNamer;
use storage::{Catalog, Release, ReleaseId, ReleaseStatus, VectorStore};
use uuid::Uuid;

use crate::checkpoints::Checkpoints;
use crate::inference::Answer;
use crate::model::geographic_of;
use crate::prediction::{Prediction, Reference, Timings};
use crate::query::{Detailed, EncodedPhoto, LocalizeOptions, Photo, Question, class_shares};
use crate::searcher::{SearchModel, Searcher};
use crate::{Error, Result};

/// How a release is opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// Where the encoder runs.
    pub device: Device,
    /// Number format of the tower's frozen blocks.
    pub precision: Precision,
    /// Where a query's segmentation map comes from; the release must have been built with the same.
    pub segmenter: SegmenterChoice,
    /// Where checkpoints are found.
    pub checkpoints: Checkpoints,
}

impl Default for OpenOptions {
    /// The CPU, the checkpoint's own segmenter, checkpoints in folders.
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            precision: Precision::F32,
            segmenter: SegmenterChoice::Own,
            checkpoints: Checkpoints::default(),
        }
    }
}

/// Answers photographs with one release.
pub struct Localizer {
    release: Release,
    encoder: Arc<Encoder>,
    searcher: Searcher,
}

impl Localizer {
    /// Opens a release, or the active one with `None`.
    ///
    /// # Errors
    /// [`Error::NoActiveRelease`], [`Error::NotReady`], [`Error::CheckpointMismatch`] where the checkpoint on disk is not
    /// the one that the release was built from, [`Error::IncompleteCollection`] where the store lacks cells, and
    /// those of the checkpoint, the store and the catalog.
    pub async fn open(
        release: Option<&ReleaseId>,
        store: Arc<dyn VectorStore>,
        catalog: Arc<dyn Catalog>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let release = match release {
            Some(id) => catalog.release(id).await?,
            None => catalog.active_release().await?.ok_or(Error::NoActiveRelease)?,
        };
        if matches!(
            release.status,
            ReleaseStatus::Building | ReleaseStatus::Failed | ReleaseStatus::Pruned
        ) {
            let status = release.status.to_string();
            return Err(Error::NotReady {
                release: release.id.to_string(),
                status,
            });
        }
        let places = gallery_sample(&release.id, catalog.as_ref()).await?;
        let checkpoint = options.checkpoints.of_release(&release).await?;
        let (recorded, options) = (release.clone(), options.clone());
        // Names take a moment to load: meanwhile the checkpoint is opened.
        drop(tokio::task::spawn_blocking(PlaceNamer::shared));
        let load = move || {
            let geographic = geographic_of(&checkpoint)?;
            let mut model =
                SearchModel::of_model(&geographic, checkpoint.hierarchy(), *checkpoint.calibration())?;
            model.cells = model.cells.with_places(places);
            let encoder =
                Encoder::open_in(&checkpoint, &options.device, options.segmenter, options.precision)?;
            check_segmenter(&recorded, encoder.segmenter_name())?;
            Ok::<_, Error>((encoder, model))
        };
        let (encoder, model) = tokio::task::spawn_blocking(load)
            .await
            .map_err(|_| Error::Interrupted)??;
        let searcher = Searcher::new(release.id.clone(), store, model);
        searcher.check().await?;
        tracing::info!(release = %release.id, checkpoint = %release.checkpoint_id, segmenter = encoder.segmenter_name(), "release opened");
        Ok(Self {
            release,
            encoder: Arc::new(encoder),
            searcher,
        })
    }

    /// The release.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The part that makes embeddings.
    #[must_use]
    pub fn encoder(&self) -> Arc<Encoder> {
        Arc::clone(&self.encoder)
    }

    /// The part that needs no pixels.
    #[must_use]
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Photos to visual embeddings. It computes on the calling thread for as long as that takes, so call it
    /// from `spawn_blocking`.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode<P: Borrow<Photo>>(&self, photos: &[P]) -> Result<Vec<EncodedPhoto>> {
        self.encode_crops(photos, Crops::One)
    }

    /// As [`Localizer::encode`] with so many views of each photo.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode_crops<P: Borrow<Photo>>(&self, photos: &[P], crops: Crops) -> Result<Vec<EncodedPhoto>> {
        encode(
            &self.encoder,
            photos.iter().map(|photo| photo.borrow().clone()).collect(),
            crops,
        )
    }

    /// Encoded photos to predictions, in their order.
    ///
    /// # Errors
    /// Options without meaning and those of the store.
    pub async fn answer(
        &self,
        photos: Vec<EncodedPhoto>,
        options: &LocalizeOptions,
    ) -> Result<Vec<Prediction>> {
        let question = |photo| Question {
            photo,
            options: *options,
            restriction: None,
            scope: None,
        };
        options.check()?;
        let answered = self
            .answer_each(photos.into_iter().map(question).collect())
            .await?;
        Ok(answered.into_iter().map(|detailed| detailed.prediction).collect())
    }

    /// Questions to predictions, in their order; those that ask alike are searched together.
    ///
    /// # Errors
    /// Options without meaning and those of the store; one bad question fails all.
    pub async fn answer_each(&self, questions: Vec<Question>) -> Result<Vec<Detailed>> {
        for question in &questions {
            question.options.check()?;
        }
        let share = 1e3 / questions.len().max(1) as f64;
        let started = Instant::now();
        let answers = self.search(&questions).await?;
        let search_ms = started.elapsed().as_secs_f64() * share;

        let started = Instant::now();
        let references = self.support(&questions, &answers).await?;
        let references_ms = started.elapsed().as_secs_f64() * share;

        let told = questions.into_iter().zip(answers).zip(references);
        Ok(told
            .map(|((question, answer), references)| {
                let photo = question.photo;
                let mut timings = Timings {
                    search_ms,
                    references_ms,
                    ..photo.timings
                };
                timings.total_ms += search_ms + references_ms;
                let prediction = Prediction {
                    id: Uuid::now_v7(),
                    release: self.release.id.clone(),
                    created_at: Utc::now(),
                    place: PlaceNamer::shared().name(answer.location),
                    location: answer.location,
                    confidence: answer.confidence,
                    within: answer.within,
                    candidates: answer.candidates,
                    levels: answer.levels,
                    credible_region: answer.credible_region,
                    entropy: answer.entropy,
                    outside_mass: answer.outside_mass,
                    scoring: answer.scoring,
                    certain_best: answer.certain_best,
                    references,
                    cannot_tell: answer.cannot_tell,
                    segmentation: photo.segmentation.clone(),
                    timings,
                };
                Detailed {
                    prediction,
                    photo,
                    posteriors: answer.posteriors,
                }
            })
            .collect())
    }

    /// The answers to questions, in their order.
    async fn search(&self, questions: &[Question]) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
        let mut left: Vec<usize> = (0..questions.len()).collect();
        while let Some(&first) = left.first() {
            let of_first = &questions[first];
            if let Some(area) = &of_first.restriction {
                let (searcher, area) = (self.searcher.clone(), Arc::clone(area));
                let (embedding, options) = (of_first.photo.embedding.clone(), of_first.options.inference);
                let infer = move || searcher.model().infer_within(&embedding, &options, &area);
                let answer = tokio::task::spawn_blocking(infer).await;
                answers[first] = Some(answer.map_err(|_| Error::Interrupted)??);
                left.remove(0);
                continue;
            }
            let alike = |index: &usize| {
                let question = &questions[*index];
                question.restriction.is_none() && question.options.inference == of_first.options.inference
            };
            let (together, others): (Vec<usize>, Vec<usize>) = left.into_iter().partition(alike);
            let embeddings: Vec<Vec<f32>> = together
                .iter()
                .map(|index| questions[*index].photo.embedding.clone())
                .collect();
            let found = self
                .searcher
                .answer(&embeddings, &of_first.options.inference)
                .await?;
            for (index, answer) in together.into_iter().zip(found) {
                answers[index] = Some(answer);
            }
            left = others;
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// The reference images of each answer.
    async fn support(&self, questions: &[Question], answers: &[Answer]) -> Result<Vec<Vec<Reference>>> {
        let mut all = Vec::with_capacity(questions.len());
        let plain = |question: &Question, of: &Question| {
            question.scope.is_none()
                && question.options.references == of.options.references
                && question.options.reference_cells == of.options.reference_cells
        };
        let mut at = 0;
        while let Some(question) = questions.get(at) {
            let (limit, cells) = (question.options.references, question.options.reference_cells);
            if let Some(scope) = &question.scope {
                let embedding = &question.photo.embedding;
                let found = self
                    .searcher
                    .references_in(embedding, &answers[at], limit, cells, scope);
                all.push(found.await?);
                at += 1;
                continue;
            }
            let together = questions[at..]
                .iter()
                .take_while(|other| plain(other, question))
                .count();
            let embeddings: Vec<Vec<f32>> = questions[at..at + together]
                .iter()
                .map(|question| question.photo.embedding.clone())
                .collect();
            let found = self
                .searcher
                .references(&embeddings, &answers[at..at + together], limit, cells);
            all.extend(found.await?);
            at += together;
        }
        Ok(all)
    }

    /// Photos to predictions, in their order; all are encoded as one batch.
    ///
    /// # Errors
    /// As [`Localizer::encode`] and [`Localizer::answer`].
    pub async fn localize(&self, photos: Vec<Photo>, options: &LocalizeOptions) -> Result<Vec<Prediction>> {
        let (encoder, crops) = (Arc::clone(&self.encoder), options.crops);
        let encoded = tokio::task::spawn_blocking(move || encode(&encoder, photos, crops));
        let encoded = encoded.await.map_err(|_| Error::Interrupted)??;
        self.answer(encoded, options).await
    }
}

/// The segmenter that a release was built with is recorded under this key of its store settings.
pub const SEGMENTER: &str = "segmenter";

fn check_segmenter(release: &Release, found: &str) -> Result<()> {
    match release.store.get(SEGMENTER).and_then(serde_json::Value::as_str) {
        Some(recorded) if recorded != found => Err(Error::SegmenterMismatch {
            release: release.id.to_string(),
            recorded: recorded.to_owned(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Places of at most [`MOST_SAMPLED`] reference images. They come in the order of their ids, which are digests, so that the
/// first of them are a fair sample.
async fn gallery_sample(release: &ReleaseId, catalog: &dyn Catalog) -> Result<Vec<geocells::LatLng>> {
    let (mut places, mut after) = (Vec::new(), None);
    while places.len() < MOST_SAMPLED {
        let page = catalog.list_reference_images(release, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        places.extend(page.iter().map(|image| image.location));
    }
    Ok(places)
}

const PAGE: usize = 10_000;
const MOST_SAMPLED: usize = 200_000;

fn encode(encoder: &Encoder, photos: Vec<Photo>, crops: Crops) -> Result<Vec<EncodedPhoto>> {
    let (images, decodes): (Vec<RgbImage>, Vec<Duration>) = photos
        .into_iter()
        .map(|photo| (photo.image, photo.decode))
        .unzip();
    let encoded = encoder.encode_crops(&images, crops)?;
    let photos = encoded.len() as u32;
    Ok(encoded
        .into_iter()
        .zip(decodes)
        .map(|(encoded, decode)| encoded_photo(encoded, decode, photos))
        .collect())
}

fn encoded_photo(encoded: models::Encoded, decode: Duration, photos: u32) -> EncodedPhoto {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let mut timings = Timings {
        decode_ms: milliseconds(decode),
        preprocess_ms: milliseconds(encoded.timings.preprocess / photos),
        segment_ms: milliseconds(encoded.timings.segment / photos),
        encode_ms: milliseconds(encoded.timings.encode / photos),
        ..Timings::default()
    };
    timings.total_ms = timings.decode_ms + timings.preprocess_ms + timings.segment_ms + timings.encode_ms;
    let segmentation = encoded
        .segmentation
        .as_ref()
        .map(class_shares)
        .unwrap_or_default();
    EncodedPhoto {
        embedding: encoded.embedding,
        segmentation,
        map: encoded.segmentation,
        timings,
    }
}
