//! `Geocell`: one S2 cell of a release's hierarchy.

use std::sync::Arc;

use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, ID, Json, Object, SimpleObject};
use geocells::GeocellId;
use storage::{CollectionName, GeocellRecord, PointId, ReleaseId, SearchRequest};

use super::cursor::{DEFAULT_PAGE, Page, decode, encode, page, page_complexity, page_size};
use super::node::GlobalId;
use super::reference::ReferenceImage;
use super::scalars::{Bounds, GeoJson, Location, Place, Token};
use super::{caller, service};
use crate::area::bounds_of;
use crate::caller::Caller;
use crate::gallery;
use crate::geocell_index::GeocellIndex;
use crate::request_error::RequestError;

/// Most neighbours of a geocell.
const MOST_NEIGHBOURS: i32 = 100;
const IMAGE_OFFSET: &str = "geocell-image";

/// One S2 cell of a release's hierarchy. Its relatives come from memory: asking for them costs no store call.
#[derive(Clone)]
pub struct Geocell {
    release: ReleaseId,
    index: Arc<GeocellIndex>,
    record: Arc<GeocellRecord>,
}

impl Geocell {
    pub(super) fn new(release: &ReleaseId, index: &Arc<GeocellIndex>, record: Arc<GeocellRecord>) -> Self {
        Self {
            release: release.clone(),
            index: index.clone(),
            record,
        }
    }

    pub(super) fn record(&self) -> &GeocellRecord {
        &self.record
    }

    fn relative(&self, record: Arc<GeocellRecord>) -> Self {
        Self::new(&self.release, &self.index, record)
    }
}

/// One S2 cell of a release's hierarchy.
#[Object]
impl Geocell {
    /// Its id, unique over all types.
    pub async fn id(&self, ctx: &Context<'_>) -> ID {
        let seen = caller(ctx).cell(self.record.token);
        GlobalId::geocell(&self.release, self.record.level, seen)
    }

    /// Its S2 token.
    async fn token(&self) -> Token {
        Token(self.record.token)
    }

    /// Level of the hierarchy, 0 the coarsest. A small cell may belong to several levels.
    async fn level(&self) -> usize {
        self.record.level
    }

    /// Position in its level's partition, from 0: its row in the table of geographic embeddings.
    async fn index(&self) -> usize {
        self.record.index
    }

    /// The release it belongs to.
    async fn release_id(&self) -> ID {
        ID(self.release.to_string())
    }

    /// Training photos in it.
    async fn photos(&self) -> u64 {
        self.record.photos
    }

    /// Training photos per 1000 square kilometres.
    async fn density(&self) -> f64 {
        density(&self.record)
    }

    /// Reference images in it now.
    async fn references(&self, ctx: &Context<'_>) -> async_graphql::Result<usize> {
        let gallery = service(ctx)?.gallery(&self.release).await?;
        Ok(gallery.in_cell(self.record.token))
    }

    /// Mean place of its training photos: what is answered when this cell wins.
    async fn location(&self) -> Location {
        self.record.location.into()
    }

    /// What people call that place; null at sea.
    async fn place(&self) -> Option<Place> {
        Place::of(self.record.location)
    }

    /// Its area in square kilometres.
    async fn area_km2(&self) -> f64 {
        self.record.token.area_km2()
    }

    /// The geocell of the next coarser level that contains it; null on level 0.
    async fn parent(&self) -> Option<Geocell> {
        self.index
            .parent(&self.record)
            .map(|record| self.relative(record))
    }

    /// The geocells of the next finer level inside it.
    #[graphql(complexity = "20 * child_complexity")]
    async fn children(&self) -> Vec<Geocell> {
        self.index
            .children(&self.record)
            .into_iter()
            .map(|record| self.relative(record))
            .collect()
    }

    /// The geocells that contain it, from level 0 down to itself.
    #[graphql(complexity = "10 * child_complexity")]
    async fn path(&self) -> Vec<Geocell> {
        let mut path = vec![self.clone()];
        while let Some(record) = path.last().and_then(|cell| self.index.parent(&cell.record)) {
            path.push(self.relative(record));
        }
        path.reverse();
        path
    }

    /// Its outline as a GeoJSON geometry, cut at the 180th meridian.
    async fn outline(&self, ctx: &Context<'_>) -> GeoJson {
        Json(outline(caller(ctx), self.record.token))
    }

    /// The box that holds its outline.
    async fn bounds(&self, ctx: &Context<'_>) -> Bounds {
        bounds_of(caller(ctx).cell(self.record.token)).into()
    }

    /// Cells of the same level with the most alike geographic embeddings, most alike first.
    #[graphql(complexity = "20 + page_complexity(first, child_complexity)")]
    async fn neighbours(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cells told, 1 to 100.", default = 10)] first: i32,
    ) -> async_graphql::Result<Vec<GeocellNeighbour>> {
        let first = match usize::try_from(first) {
            Ok(count) if (1..=MOST_NEIGHBOURS).contains(&first) => count,
            _ => {
                let message = format!("first is {first}, but must lie between 1 and {MOST_NEIGHBOURS}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let store = service(ctx)?.store();
        let collection = CollectionName::level(&self.release, self.record.level);
        let own = PointId::Number(self.record.token.as_u64());
        let point = store.get(&collection, &[own], true).await;
        let point = point.map_err(RequestError::from)?.pop();
        let embedding = point.and_then(|mut point| point.vectors.remove(retrieval::EMBEDDING));
        let Some(embedding) = embedding else {
            let what = format!("the embedding of geocell {}", self.record.token.token());
            return Err(RequestError::not_found(what).into());
        };
        let request = SearchRequest::new(retrieval::EMBEDDING, embedding, first + 1);
        let hits = store.search(&collection, request).await;
        let neighbours = hits.map_err(RequestError::from)?.into_iter().filter_map(|hit| {
            let PointId::Number(number) = hit.id else {
                return None;
            };
            let token = GeocellId::from_u64(number).ok()?;
            let record = self.index.find(token, Some(self.record.level))?;
            (token != self.record.token).then(|| GeocellNeighbour {
                cosine: f64::from(hit.score),
                distance_kilometres: self.record.location.distance(record.location).get(),
                geocell: self.relative(record),
            })
        });
        Ok(neighbours.take(first).collect())
    }

    /// Reference images in it.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    async fn reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
    ) -> async_graphql::Result<Page<ReferenceImage>> {
        let first = page_size(first)?;
        let offset: usize = decode(IMAGE_OFFSET, after)?.map_or(0, |last: usize| last.saturating_add(1));
        let place = gallery::Place::Geocell(self.record.token);
        let chosen = crate::gallery_index::Chosen::default();
        let images = gallery::find(service(ctx)?, &self.release, &place, &chosen, offset, first + 1).await?;
        let items = images
            .iter()
            .map(|image| ReferenceImage::new(&self.release, image))
            .collect();
        Ok(page(items, first, offset > 0, |index, _| {
            encode(IMAGE_OFFSET, offset + index)
        }))
    }
}

/// A geocell whose geographic embedding is like another's.
#[derive(SimpleObject)]
pub struct GeocellNeighbour {
    /// Cosine of the two geographic embeddings, -1 to 1.
    cosine: f64,
    /// Great-circle distance between the two cells' locations, in kilometres.
    distance_kilometres: f64,
    /// The geocell.
    geocell: Geocell,
}

/// How many items a list has in all.
#[derive(SimpleObject)]
pub struct TotalCount {
    /// Items of all pages together.
    pub(super) total_count: usize,
}

/// A page of geocells.
pub(super) type GeocellPage = Connection<String, Geocell, TotalCount>;

/// A page of geocells from a list that holds one more where there is one.
pub(super) fn geocell_page(
    cells: Vec<Geocell>,
    first: usize,
    before: bool,
    total_count: usize,
) -> GeocellPage {
    let more = cells.len() > first;
    let mut page = Connection::with_additional_fields(before, more, TotalCount { total_count });
    let edge = |cell: Geocell| Edge::new(cell_cursor(cell.record()), cell);
    page.edges.extend(cells.into_iter().take(first).map(edge));
    page
}

const GEOCELL: &str = "geocell";

/// The place of a geocell in the order of level and index.
fn cell_cursor(record: &GeocellRecord) -> String {
    encode(GEOCELL, format_args!("{}.{}", record.level, record.index))
}

/// Level and index in a cursor.
pub(super) fn after_cell(cursor: Option<String>) -> Result<Option<(usize, usize)>, RequestError> {
    let text: Option<String> = decode(GEOCELL, cursor)?;
    let Some(text) = text else { return Ok(None) };
    let parts = text.split_once('.');
    let parsed = parts.and_then(|(level, index)| Some((level.parse().ok()?, index.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| {
        RequestError::invalid("after is not a cursor of this list; take endCursor of its last page")
    })
}

/// Training photos per 1000 square kilometres.
pub(super) fn density(record: &GeocellRecord) -> f64 {
    1000.0 * record.photos as f64 / record.token.area_km2()
}

/// The outline of a cell, as the caller may see it, as a GeoJSON geometry.
pub(super) fn outline(caller: &Caller, token: GeocellId) -> serde_json::Value {
    retrieval::cell_polygon(caller.cell(token))
}

/// Checks a token that a client sent.
pub(super) fn geocell_id(token: &str) -> Result<GeocellId, RequestError> {
    GeocellId::from_token(token).map_err(|error| RequestError::invalid(error.to_string()))
}
