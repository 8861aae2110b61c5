//! Reference images by how alike they are.

use async_graphql::{Context, ID, Object, SimpleObject, Upload};
use retrieval::references::similar;
use storage::{CollectionName, PointId, ReleaseId};
use uuid::Uuid;

use super::cursor::page_complexity;
use super::loaders::{self, ReferenceKey};
use super::mutation::file_name;
use super::options::{MOST_REFERENCES, ReferenceFilter};
use super::query::reference_of;
use super::reference::ReferenceImage;
use super::service;
use crate::localize::Photo;
use crate::queue::{Priority, Wanted};
use crate::request_error::RequestError;

/// Reference images that are like another one.
#[derive(Default)]
pub struct SimilarQuery;

/// Reference images that are like a photo.
#[derive(Default)]
pub struct SimilarMutation;

/// A reference image that is like a photo.
#[derive(SimpleObject)]
pub struct SimilarReferenceImage {
    /// Cosine of the two visual embeddings, -1 to 1.
    likeness: f64,
    /// The reference image.
    image: ReferenceImage,
}

/// Reference images that are like another one.
#[Object]
impl SimilarQuery {
    /// The reference images that are most like another one, most alike first. findSimilarReferenceImages takes a photo.
    #[graphql(complexity = "50 + page_complexity(first, child_complexity)")]
    async fn similar_reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of a reference image.")] image: ID,
        #[graphql(desc = "Which reference images may be told.")] filter: Option<ReferenceFilter>,
        #[graphql(desc = "Images told, 1 to 100.", default = 20)] first: i32,
        #[graphql(desc = "Release of an image whose id is a UUID alone; the active one when left out.")]
        release: Option<ID>,
    ) -> async_graphql::Result<Vec<SimilarReferenceImage>> {
        let service = service(ctx)?;
        let (release, id) = reference_of(service, &image, release).await?;
        let collection = CollectionName::references(&release);
        let point = service.store().get(&collection, &[PointId::Uuid(id)], true).await;
        let point = point.map_err(RequestError::from)?.pop();
        let embedding = point.and_then(|mut point| point.vectors.remove(retrieval::references::VISUAL));
        let embedding = embedding.ok_or_else(|| RequestError::not_found(format!("reference image {id}")))?;
        find(ctx, &release, &embedding, Some(id), filter, first).await
    }
}

/// Reference images that are like a photo.
#[Object]
impl SimilarMutation {
    /// The reference images of the active release that are most like a photo, most alike first. Nothing is recorded; it is a mutation
    /// because uploads belong to mutations alone.
    #[graphql(complexity = "50 + page_complexity(first, child_complexity)")]
    async fn find_similar_reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The photo, by the GraphQL multipart request specification.")] photo: Upload,
        #[graphql(desc = "Which reference images may be told.")] filter: Option<ReferenceFilter>,
        #[graphql(desc = "Images told, 1 to 100.", default = 20)] first: i32,
    ) -> async_graphql::Result<Vec<SimilarReferenceImage>> {
        let mut wanted = Wanted::usual();
        wanted.options.references = 0;
        let photo = Photo {
            name: file_name(ctx, &photo)?,
            bytes: photo.value(ctx)?.content,
            client: None,
            wanted,
            priority: Priority::Interactive,
        };
        let reply = service(ctx)?.embed(photo).await?;
        let release = reply.localizer.release().id.clone();
        find(
            ctx,
            &release,
            &reply.detailed.photo.embedding,
            None,
            filter,
            first,
        )
        .await
    }
}

async fn find(
    ctx: &Context<'_>,
    release: &ReleaseId,
    embedding: &[f32],
    own: Option<Uuid>,
    filter: Option<ReferenceFilter>,
    first: i32,
) -> async_graphql::Result<Vec<SimilarReferenceImage>> {
    let first = match usize::try_from(first) {
        Ok(count) if (1..=MOST_REFERENCES).contains(&first) => count,
        _ => {
            let message = format!("first is {first}, but must lie between 1 and {MOST_REFERENCES}");
            return Err(RequestError::invalid(message).into());
        }
    };
    let scope = filter.unwrap_or_default().check()?;
    let collection = CollectionName::references(release);
    let store = service(ctx)?.store().as_ref();
    let hits = similar(store, &collection, embedding, None, &scope, first + 1).await;
    let hits = hits.map_err(RequestError::from)?.into_iter();
    let others = hits.filter_map(|hit| match hit.id {
        PointId::Uuid(id) if Some(id) != own => Some((id, f64::from(hit.score))),
        _ => None,
    });
    let others: Vec<(Uuid, f64)> = others.take(first).collect();
    let key = |id: Uuid| ReferenceKey {
        release: release.clone(),
        id,
    };
    let keys = others.iter().map(|(id, _)| key(*id));
    let images = loaders::references(ctx)?.load_many(keys).await?;
    let told = others.into_iter().filter_map(|(id, likeness)| {
        Some(SimilarReferenceImage {
            likeness,
            image: ReferenceImage::new(release, images.get(&key(id))?),
        })
    });
    Ok(told.collect())
}
