//! Reference images: what a release's store keeps of each, and how an answer's winning cells choose among them.

use std::sync::Arc;

use geocells::{GeocellId, LatLng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::vectors::Condition;
use storage::{
    CollectionName, Filter, Hit, Payload, Point, PointId, ReferenceImage, SearchRequest, StoredPoint,
    VectorStore,
};

use crate::inference::Answer;
use crate::prediction::Reference;
use crate::{Error, Result};

/// Payload field: the file of the photo.
pub const PATH: &str = "path";
/// Payload field: where it was taken, `{"lat": degrees, "lon": degrees}`.
pub const LOCATION: &str = "location";
/// Payload field: S2 token of the finest geocell.
pub const GEOCELL: &str = "geocell";
/// Payload field: when it was taken, RFC 3339; absent where unknown.
pub const CAPTURED_AT: &str = "captured_at";
/// Payload field: a checksum of the visual embedding, as [`checksum`] makes it.
pub const CHECKSUM: &str = "checksum";
/// Name of the vector that photos are compared by.
pub const VISUAL: &str = "visual";

/// Payload field: S2 token of the geocell at a level, `cell_0`, `cell_1`, ….
#[must_use]
pub fn level_field(level: usize) -> String {
    format!("cell_{level}")
}

/// A checksum of a vector, bit for bit: the first 16 hexadecimal digits of the SHA-256 of its numbers in little-endian order.
#[must_use]
pub fn checksum(vector: &[f32]) -> String {
    let mut digest = Sha256::new();
    for number in vector {
        digest.update(number.to_le_bytes());
    }
    let mut text = format!("{:x}", digest.finalize());
    text.truncate(16);
    text
}

/// Whether a stored reference image has the visual embedding that was written. A point from before checksums is taken on trust.
#[must_use]
pub fn is_as_written(point: &StoredPoint) -> bool {
    let vector = point.vectors.get(VISUAL).map_or(&[][..], Vec::as_slice);
    match point.payload.get(CHECKSUM).and_then(Value::as_str) {
        Some(recorded) => checksum(vector) == recorded,
        None => !vector.is_empty(),
    }
}

/// A reference image as a point. `path`: as for [`payload`]; `embedding`: its visual embedding, of length 1.
#[must_use]
pub fn point(image: &ReferenceImage, path: &[GeocellId], embedding: Vec<f32>) -> Point {
    let mut payload = payload(image, path);
    payload.insert(CHECKSUM.into(), checksum(&embedding).into());
    let mut point = Point::new(image.id, [(VISUAL, embedding)]);
    point.payload = payload;
    point
}

/// The payload of a reference image. `path`: its geocells, coarsest first, up to the finest that contains it.
#[must_use]
pub fn payload(image: &ReferenceImage, path: &[GeocellId]) -> Payload {
    let mut payload = Payload::new();
    payload.insert(PATH.into(), image.path.clone().into());
    payload.insert(
        LOCATION.into(),
        json!({"lat": image.location.latitude(), "lon": image.location.longitude()}),
    );
    if let Some(finest) = image.geocell {
        payload.insert(GEOCELL.into(), finest.token().into());
    }
    for (level, cell) in path.iter().enumerate() {
        payload.insert(level_field(level), cell.token().into());
    }
    if let Some(time) = image.captured_at {
        payload.insert(CAPTURED_AT.into(), time.to_rfc3339().into());
    }
    payload
}

/// The cells whose reference images support an answer: the answer's own, then the credible region's, at most `most`.
pub(crate) fn winning_cells(answer: &Answer, most: usize) -> Vec<GeocellId> {
    let own = answer.candidates.first().map(|candidate| candidate.token);
    let region = answer.credible_region.cells.iter().map(|cell| cell.token);
    let mut cells: Vec<GeocellId> = own.into_iter().collect();
    cells.extend(region.filter(|cell| Some(*cell) != own));
    cells.truncate(most);
    cells
}

/// The exact search for the `limit` nearest reference images in some finest cells.
pub(crate) fn request(embedding: &[f32], cells: &[GeocellId], limit: usize) -> SearchRequest {
    let inside = Condition::any_keyword(GEOCELL, cells.iter().map(|cell| cell.token()));
    SearchRequest::new(VISUAL, embedding.to_vec(), limit)
        .filtered(inside.into())
        .with_payload()
}

/// Which reference images may be told.
#[derive(Clone, Default)]
pub struct ReferenceScope {
    /// Conditions on their payloads.
    pub conditions: Vec<Condition>,
    /// Whether their place belongs to an area that no condition can say.
    pub contains: Option<Arc<dyn Fn(LatLng) -> bool + Send + Sync>>,
    /// Not less alike than this cosine.
    pub min_likeness: Option<f64>,
    /// The whole gallery instead of the winning cells.
    pub anywhere: bool,
}

impl std::fmt::Debug for ReferenceScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReferenceScope")
            .field("conditions", &self.conditions)
            .field("contains", &self.contains.is_some())
            .field("min_likeness", &self.min_likeness)
            .field("anywhere", &self.anywhere)
            .finish()
    }
}

/// Most hits that are looked at for images in an area.
const MOST_LOOKED_AT: usize = 20_000;

/// The `limit` nearest reference images in a scope and, where `cells` says so, in some finest cells; with payloads, most alike first.
///
/// # Errors
/// Those of the store, or a reference image whose payload cannot be read.
pub async fn similar(
    store: &dyn VectorStore,
    collection: &CollectionName,
    embedding: &[f32],
    cells: Option<&[GeocellId]>,
    scope: &ReferenceScope,
    limit: usize,
) -> Result<Vec<Hit>> {
    let mut must = scope.conditions.clone();
    if let Some(cells) = cells {
        must.push(Condition::any_keyword(
            GEOCELL,
            cells.iter().map(|cell| cell.token()),
        ));
    }
    let filter = Filter {
        must,
        ..Filter::default()
    };
    // A store cannot tell every area: then more are asked for, until enough of them lie inside.
    let mut asked = match scope.contains {
        Some(_) => limit.saturating_mul(8),
        None => limit,
    };
    loop {
        let mut request = SearchRequest::new(VISUAL, embedding.to_vec(), asked).with_payload();
        if !filter.must.is_empty() {
            request = request.filtered(filter.clone());
        }
        if cells.is_none() {
            request = request.approximate();
        }
        let mut hits = store.search(collection, request).await?;
        let all_seen = hits.len() < asked || asked >= MOST_LOOKED_AT;
        if let Some(least) = scope.min_likeness {
            hits.retain(|hit| f64::from(hit.score) >= least);
        }
        if let Some(contains) = &scope.contains {
            let mut kept = Vec::with_capacity(limit);
            for hit in hits {
                if contains(location(&hit.payload, collection)?) {
                    kept.push(hit);
                }
            }
            hits = kept;
        }
        if all_seen || hits.len() >= limit || scope.contains.is_none() {
            hits.truncate(limit);
            return Ok(hits);
        }
        asked = asked.saturating_mul(8).min(MOST_LOOKED_AT);
    }
}

/// Where a stored reference image was taken.
fn location(payload: &Payload, collection: &CollectionName) -> Result<LatLng> {
    let degrees = |axis: &str| payload.get(LOCATION)?.get(axis)?.as_f64();
    match (degrees("lat"), degrees("lon")) {
        (Some(latitude), Some(longitude)) => Ok(LatLng::new(latitude, longitude)?),
        _ => Err(Error::Payload {
            collection: collection.to_string(),
            field: LOCATION,
        }),
    }
}

/// A hit as a person reads it.
pub(crate) fn reference(hit: &Hit, place: LatLng, collection: &CollectionName) -> Result<Reference> {
    let broken = |field| Error::Payload {
        collection: collection.to_string(),
        field,
    };
    let text = |field: &'static str| {
        hit.payload
            .get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| broken(field))
    };
    let location = location(&hit.payload, collection)?;
    let captured_at = match hit.payload.get(CAPTURED_AT) {
        None => None,
        Some(value) => {
            let time = value.as_str().and_then(|text| text.parse().ok());
            Some(time.ok_or_else(|| broken(CAPTURED_AT))?)
        }
    };
    let PointId::Uuid(id) = hit.id else {
        return Err(broken("id"));
    };
    Ok(Reference {
        id,
        path: text(PATH)?.to_owned(),
        location,
        token: match hit.payload.get(GEOCELL) {
            Some(_) => GeocellId::from_token(text(GEOCELL)?)?,
            // The whole gallery may have images that no geocell contains.
            None => GeocellId::leaf(location),
        },
        likeness: f64::from(hit.score),
        distance_km: location.distance(place).get(),
        captured_at,
    })
}
