//! Visual embeddings to answers and reference images, through a vector store.

use std::sync::Arc;

use futures::future::try_join_all;
use geocells::GeocellId;
use models::Calibration;
use storage::{CollectionName, CollectionState, Hit, PointId, ReleaseId, SearchRequest, VectorStore};

use crate::cells::CellTable;
use crate::exact::{LevelMatches, Scored};
use crate::inference::{Answer, Evidence, InferenceOptions, infer};
use crate::prediction::Reference;
use crate::references::ReferenceScope;
use crate::restriction::Restriction;
use crate::{Error, Result, references};

/// Name of the vector that a level's cells are searched by: the path embedding.
pub const PATH: &str = "path";
/// Name of the vector that holds a cell's own geographic embedding.
pub const EMBEDDING: &str = "embedding";

/// Searches one release's collections.
///
/// The store is asked for the nearest path embeddings, one exact search a level; the checkpoint's own tables explain the match.
#[derive(Clone)]
pub struct Searcher {
    release: ReleaseId,
    store: Arc<dyn VectorStore>,
    model: Arc<SearchModel>,
}

/// What a searcher needs of the checkpoint that its release was built from.
#[derive(Debug, Clone)]
pub struct SearchModel {
    /// Cells and the spread of the finest.
    pub cells: CellTable,
    /// Geographic embeddings and temperatures.
    pub matches: LevelMatches,
    /// What validation photos taught about confidence.
    pub calibration: Calibration,
}

impl Searcher {
    /// A searcher of the collections of `release`.
    #[must_use]
    pub fn new(release: ReleaseId, store: Arc<dyn VectorStore>, model: SearchModel) -> Self {
        Self {
            release,
            store,
            model: Arc::new(model),
        }
    }

    /// The release.
    #[must_use]
    pub fn release(&self) -> &ReleaseId {
        &self.release
    }

    /// Cells, embeddings and calibration.
    #[must_use]
    pub fn model(&self) -> &SearchModel {
        &self.model
    }

    /// Checks that nothing is missing: each level has a point for every cell, and no load of reference images was interrupted.
    ///
    /// # Errors
    /// [`Error::IncompleteCollection`] naming the collection, or those of the store.
    pub async fn check(&self) -> Result<()> {
        self.check_levels().await?;
        let collection = CollectionName::references(&self.release);
        let info = self.store.collection(&collection).await?;
        let found = usize::try_from(info.points).unwrap_or(usize::MAX);
        self.require(
            &collection,
            // Photos may be added while others are answered.
            info.searchable && found > 0,
            found.max(1),
            found,
        )
    }

    /// Checks that each level has a point for every cell.
    ///
    /// # Errors
    /// [`Error::IncompleteCollection`] naming the collection, or those of the store.
    pub async fn check_levels(&self) -> Result<()> {
        for level in 0..self.model.cells.depth() {
            let collection = CollectionName::level(&self.release, level);
            let info = self.store.collection(&collection).await?;
            let found = usize::try_from(info.points).unwrap_or(usize::MAX);
            let expected = self.model.cells.level(level).len();
            let complete = info.state == CollectionState::Complete && found == expected;
            self.require(&collection, complete, expected, found)?;
        }
        Ok(())
    }

    fn require(
        &self,
        collection: &CollectionName,
        complete: bool,
        expected: usize,
        found: usize,
    ) -> Result<()> {
        if complete {
            return Ok(());
        }
        let (release, collection) = (self.release.to_string(), collection.to_string());
        Err(Error::IncompleteCollection {
            release,
            collection,
            expected,
            found,
        })
    }

    /// The answers to unit visual embeddings, in their order.
    ///
    /// # Errors
    /// An embedding of another dimension or with a number that is not finite, options without meaning, and those of the store.
    pub async fn answer(&self, embeddings: &[Vec<f32>], options: &InferenceOptions) -> Result<Vec<Answer>> {
        options.check()?;
        for embedding in embeddings {
            let (expected, found) = (self.model.matches.dimension(), embedding.len());
            if found != expected {
                return Err(Error::Dimension { expected, found });
            }
            if embedding.iter().any(|x| !x.is_finite()) {
                return Err(Error::NotFinite);
            }
        }
        let depth = self.model.cells.depth();
        let mut tops: Vec<Vec<Vec<Scored>>> = vec![Vec::with_capacity(depth); embeddings.len()];
        // All levels at once: on a server this takes one journey there and back instead of seven.
        let levels = (0..depth).map(|level| self.search_level(level, embeddings, options.searched));
        for level in try_join_all(levels).await? {
            for (query, top) in level.into_iter().enumerate() {
                tops[query].push(top);
            }
        }
        let (model, embeddings, options) = (Arc::clone(&self.model), embeddings.to_vec(), *options);
        let infer_all = move || {
            embeddings
                .iter()
                .zip(&tops)
                .map(|(v, tops)| model.infer(v, tops, &options, None))
                .collect()
        };
        tokio::task::spawn_blocking(infer_all)
            .await
            .map_err(|_| Error::Interrupted)?
    }

    async fn search_level(
        &self,
        level: usize,
        embeddings: &[Vec<f32>],
        searched: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        let collection = CollectionName::level(&self.release, level);
        let limit = searched.min(self.model.cells.level(level).len());
        let requests = embeddings
            .iter()
            .map(|v| SearchRequest::new(PATH, v.clone(), limit))
            .collect();
        let answers = self.store.search_many(&collection, requests).await?;
        let mut tops = Vec::with_capacity(answers.len());
        for hits in answers {
            if hits.len() != limit {
                let (release, collection) = (self.release.to_string(), collection.to_string());
                let (expected, found) = (limit, hits.len());
                return Err(Error::IncompleteCollection {
                    release,
                    collection,
                    expected,
                    found,
                });
            }
            let scored = |hit: &Hit| self.scored(level, &collection, hit);
            tops.push(hits.iter().map(scored).collect::<Result<_>>()?);
        }
        Ok(tops)
    }

    fn scored(&self, level: usize, collection: &CollectionName, hit: &Hit) -> Result<Scored> {
        let unknown = |token: String| Error::UnknownCell {
            collection: collection.to_string(),
            token,
            level,
        };
        let PointId::Number(number) = hit.id else {
            return Err(unknown(hit.id.to_string()));
        };
        let id = GeocellId::from_u64(number)?;
        let cell = self
            .model
            .cells
            .find(level, id)
            .ok_or_else(|| unknown(id.token()))?;
        Ok(Scored {
            cell,
            score: hit.score,
        })
    }

    /// The nearest reference images of each answer, inside at most `cells` of its winning cells, most alike first.
    ///
    /// # Errors
    /// Those of the store, or a reference image whose payload cannot be read.
    pub async fn references(
        &self,
        embeddings: &[Vec<f32>],
        answers: &[Answer],
        limit: usize,
        cells: usize,
    ) -> Result<Vec<Vec<Reference>>> {
        if limit == 0 {
            return Ok(vec![Vec::new(); answers.len()]);
        }
        let collection = CollectionName::references(&self.release);
        let request = |(embedding, answer): (&Vec<f32>, &Answer)| {
            references::request(embedding, &references::winning_cells(answer, cells), limit)
        };
        let requests = embeddings.iter().zip(answers).map(request).collect();
        let found = self.store.search_many(&collection, requests).await?;
        let read = |(hits, answer): (Vec<Hit>, &Answer)| {
            hits.iter()
                .map(|hit| references::reference(hit, answer.location, &collection))
                .collect()
        };
        found.into_iter().zip(answers).map(read).collect()
    }

    /// The nearest reference images of one answer within a scope, most alike first.
    ///
    /// # Errors
    /// Those of the store, or a reference image whose payload cannot be read.
    pub async fn references_in(
        &self,
        embedding: &[f32],
        answer: &Answer,
        limit: usize,
        cells: usize,
        scope: &ReferenceScope,
    ) -> Result<Vec<Reference>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let collection = CollectionName::references(&self.release);
        let winning = (!scope.anywhere).then(|| references::winning_cells(answer, cells));
        let hits = references::similar(
            self.store.as_ref(),
            &collection,
            embedding,
            winning.as_deref(),
            scope,
            limit,
        );
        hits.await?
            .iter()
            .map(|hit| references::reference(hit, answer.location, &collection))
            .collect()
    }
}

impl SearchModel {
    fn infer(
        &self,
        embedding: &[f32],
        tops: &[Vec<Scored>],
        options: &InferenceOptions,
        restriction: Option<&Restriction>,
    ) -> Result<Answer> {
        let cosines = self.matches.cosines(embedding)?;
        let evidence = Evidence {
            tops,
            cosines: &cosines,
            matches: &self.matches,
            restriction,
        };
        infer(&self.cells, &evidence, &self.calibration, options)
    }

    /// The answer given that the photo was taken in an area. Every cell that reaches into it is scored, here and not by a store: the
    /// nearest cells of a store may all lie elsewhere.
    ///
    /// # Errors
    /// An embedding of another dimension or with a number that is not finite, options without meaning.
    pub fn infer_within(
        &self,
        embedding: &[f32],
        options: &InferenceOptions,
        restriction: &Restriction,
    ) -> Result<Answer> {
        options.check()?;
        crate::posterior::check_calibration(&self.calibration)?;
        let cosines = self.matches.cosines(embedding)?;
        let temperatures = self.matches.temperatures();
        let top = |level| restriction.top(&self.cells, &cosines, temperatures, self.calibration.scale, level);
        let tops: Vec<Vec<Scored>> = (0..self.cells.depth()).map(top).collect();
        self.infer(embedding, &tops, options, Some(restriction))
    }
}
