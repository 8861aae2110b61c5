//! Global ids of things, as Relay clients expect them: unique over all types, and to be taken as they are.
//!
//! A release's id is its name, a prediction's its UUID; reference images and geocells belong to a release, whose name is part of
//! their ids.

use async_graphql::{Context, ID, Interface, Object};
use geocells::GeocellId;
use storage::ReleaseId;
use uuid::Uuid;

use super::geocell::Geocell;
use super::loaders::{self, ReferenceKey};
use super::prediction::{self, Prediction};
use super::reference::ReferenceImage;
use super::release::Release;
use super::service;
use crate::request_error::{Code, RequestError};

/// Most ids of one request.
const MOST: usize = 100;

/// Something with an id that is unique over all types.
#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "ID", desc = "Its id, unique over all types."))]
pub enum Node {
    /// A release.
    Release(Box<Release>),
    /// A prediction.
    Prediction(Box<Prediction>),
    /// A reference image.
    ReferenceImage(Box<ReferenceImage>),
    /// A geocell.
    Geocell(Box<Geocell>),
}

/// What an id names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GlobalId {
    Release(ReleaseId),
    Prediction(Uuid),
    Reference(ReleaseId, Uuid),
    Geocell(ReleaseId, usize, GeocellId),
}

impl GlobalId {
    pub(super) fn reference(release: &ReleaseId, id: Uuid) -> ID {
        ID(format!("{release}/{id}"))
    }

    pub(super) fn geocell(release: &ReleaseId, level: usize, token: GeocellId) -> ID {
        ID(format!("{release}/{level}/{}", token.token()))
    }

    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [release, level, token] => Some(Self::Geocell(
                ReleaseId::new(*release).ok()?,
                level.parse().ok()?,
                GeocellId::from_token(token).ok()?,
            )),
            [release, id] => Some(Self::Reference(
                ReleaseId::new(*release).ok()?,
                Uuid::parse_str(id).ok()?,
            )),
            [one] => match Uuid::parse_str(one) {
                Ok(id) if id.get_version_num() == 7 => Some(Self::Prediction(id)),
                _ => Some(Self::Release(ReleaseId::new(*one).ok()?)),
            },
            _ => None,
        }
    }
}

/// Checks the id of a reference image that a client sent: its global id, or its UUID alone where the release is known.
pub(super) fn reference_id(id: &str) -> Result<(Option<ReleaseId>, Uuid), RequestError> {
    if let Ok(id) = Uuid::parse_str(id) {
        return Ok((None, id));
    }
    match GlobalId::parse(id) {
        Some(GlobalId::Reference(release, id)) => Ok((Some(release), id)),
        _ => Err(RequestError::new(
            Code::InvalidArgument,
            "the id of a reference image is RELEASE/UUID, as referenceImages gives it",
        )),
    }
}

/// Look-up by global id.
#[derive(Default)]
pub struct NodeQuery;

/// Look-up by global id.
#[Object]
impl NodeQuery {
    /// Whatever has this id; null when nothing has.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id of any type.")] id: ID,
    ) -> async_graphql::Result<Option<Node>> {
        find(ctx, &id).await
    }

    /// As node, for several ids at once, in their order.
    #[graphql(complexity = "20 * child_complexity")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of any types, at most 100.")] ids: Vec<ID>,
    ) -> async_graphql::Result<Vec<Option<Node>>> {
        if ids.len() > MOST {
            let message = format!("{} ids are more than the {MOST} of one request", ids.len());
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        futures::future::try_join_all(ids.iter().map(|id| find(ctx, id))).await
    }
}

async fn find(ctx: &Context<'_>, id: &str) -> async_graphql::Result<Option<Node>> {
    match GlobalId::parse(id) {
        None => Ok(None),
        Some(GlobalId::Release(id)) => {
            let found = loaders::releases(ctx)?.load_one(id).await?;
            Ok(found.map(|release| Node::Release(Box::new(release.into()))))
        }
        Some(GlobalId::Prediction(id)) => {
            let found = prediction::find(ctx, id).await?;
            Ok(found.map(|prediction| Node::Prediction(Box::new(prediction))))
        }
        Some(GlobalId::Reference(release, id)) => {
            let key = ReferenceKey {
                release: release.clone(),
                id,
            };
            let found = loaders::references(ctx)?.load_one(key).await?;
            Ok(found.map(|image| Node::ReferenceImage(Box::new(ReferenceImage::new(&release, &image)))))
        }
        Some(GlobalId::Geocell(release, level, token)) => {
            let index = match service(ctx)?.geocells(&release).await {
                Ok(index) => index,
                Err(error) if error.code == Code::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let found = index.find(token, Some(level));
            Ok(found.map(|record| Node::Geocell(Box::new(Geocell::new(&release, &index, record)))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_all_types_are_told_apart() {
        let release = ReleaseId::new("2026-11").unwrap();
        let image = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"photo");
        let token = GeocellId::from_token("47a1cbd5").unwrap();
        let prediction = Uuid::now_v7();
        for (text, id) in [
            (release.to_string(), GlobalId::Release(release.clone())),
            (prediction.to_string(), GlobalId::Prediction(prediction)),
            (
                GlobalId::reference(&release, image).to_string(),
                GlobalId::Reference(release.clone(), image),
            ),
            (
                GlobalId::geocell(&release, 3, token).to_string(),
                GlobalId::Geocell(release.clone(), 3, token),
            ),
        ] {
            assert_eq!(GlobalId::parse(&text), Some(id), "{text}");
        }
        for bad in ["", "/", "a/b", "a/b/c", "A", "a/1/zz", "a/1/2/3"] {
            assert_eq!(GlobalId::parse(bad), None, "{bad:?}");
        }
        assert_eq!(reference_id(&image.to_string()).unwrap(), (None, image));
        assert!(reference_id("2026-11").is_err());
    }
}
