//! Which release answers: activation and rollback.

use std::time::Duration;

use async_graphql::{Context, ID, Object, SimpleObject};
use serde_json::json;
use storage::{AuditEntry, Release as Stored, ReleaseId, Scope};

use super::release::{Release, release_id};
use super::{caller, service};
use crate::request_error::{Code, RequestError};
use crate::service::Service;

/// Shares of the request's time that the switch may take.
const SWITCH_SHARE: f64 = 0.8;

/// Which release answers.
#[derive(Default)]
pub struct ReleaseMutation;

/// What a switch did.
#[derive(SimpleObject)]
pub struct ActivatedRelease {
    /// The release that answers now.
    release: Release,
    /// The release that answered before; null where there was none.
    previous: Option<Release>,
    /// Nearer releases that could not be used, of a rollback.
    passed_over: Vec<PassedOver>,
}

/// A release that a rollback could not use.
#[derive(SimpleObject)]
pub struct PassedOver {
    /// The release.
    release_id: ID,
    /// Why not.
    reason: String,
}

/// Which release answers.
#[Object]
impl ReleaseMutation {
    /// Makes a release that is READY or RETIRED the one that answers, and returns when this service answers with it. Requests under way
    /// end with the release before. Needs the scope ADMIN.
    #[graphql(complexity = "50 + child_complexity")]
    async fn activate_release(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The release.")] id: ID,
    ) -> async_graphql::Result<ActivatedRelease> {
        caller(ctx).require(Scope::Admin)?;
        let id = release_id(&id)?;
        let service = service(ctx)?;
        let previous = active(service).await?;
        record(ctx, service, "api.activate", &id).await?;
        let (store, catalog) = (service.store().as_ref(), service.catalog().as_ref());
        let checkpoints = &service.open_options().checkpoints;
        let release = indexer::activate(&id, Some(store), catalog, checkpoints).await;
        let release = release.map_err(RequestError::from)?;
        answers(service, &release.id).await?;
        Ok(ActivatedRelease {
            release: release.into(),
            previous: previous.map(Release::from),
            passed_over: Vec::new(),
        })
    }

    /// Makes the release that answered before the present one answer again. Needs the scope ADMIN.
    #[graphql(complexity = "50 + child_complexity")]
    async fn rollback_release(&self, ctx: &Context<'_>) -> async_graphql::Result<ActivatedRelease> {
        caller(ctx).require(Scope::Admin)?;
        let service = service(ctx)?;
        let previous = active(service).await?;
        if let Some(previous) = &previous {
            record(ctx, service, "api.rollback", &previous.id).await?;
        }
        let (store, catalog) = (service.store().as_ref(), service.catalog().as_ref());
        let checkpoints = &service.open_options().checkpoints;
        let done = indexer::rollback(Some(store), catalog, checkpoints).await;
        let done = done.map_err(RequestError::from)?;
        answers(service, &done.release.id).await?;
        let passed_over = done.passed_over.into_iter().map(|(release, reason)| PassedOver {
            release_id: ID(release.to_string()),
            reason,
        });
        Ok(ActivatedRelease {
            release: done.release.into(),
            previous: previous.map(Release::from),
            passed_over: passed_over.collect(),
        })
    }
}

async fn active(service: &Service) -> Result<Option<Stored>, RequestError> {
    Ok(service.catalog().active_release().await?)
}

/// Writes who asked for a switch; the switch itself has its own entry.
async fn record(
    ctx: &Context<'_>,
    service: &Service,
    action: &str,
    release: &ReleaseId,
) -> Result<(), RequestError> {
    let actor = caller(ctx).name().unwrap_or(&service.config().client);
    let entry = AuditEntry::new(action, format!("release {release}"), json!({})).by(actor);
    Ok(service.catalog().record_audit(&entry).await?)
}

/// Waits until this service answers with a release.
async fn answers(service: &Service, release: &ReleaseId) -> Result<(), RequestError> {
    let mut watched = service.active();
    let switched = watched.wait_for(|active| {
        let answers = active.localizer.as_ref().map(|localizer| &localizer.release().id);
        answers == Some(release) || active.problem.is_some()
    });
    let limit = service
        .config()
        .timeout
        .mul_f64(SWITCH_SHARE)
        .max(Duration::from_millis(1));
    let problem = match tokio::time::timeout(limit, switched).await {
        Ok(Ok(active)) => active.problem.clone(),
        Ok(Err(_)) => Some("the service is stopping".to_owned()),
        Err(_) => {
            let message = format!("release {release} is active, and this service is still opening it");
            return Err(RequestError::new(Code::Timeout, message));
        }
    };
    match problem {
        None => Ok(()),
        Some(problem) => {
            tracing::error!(%problem, %release, "the release that was activated cannot be opened");
            let message = format!(
                "release {release} is active, but this service cannot open it and answers with the one before; its log says why"
            );
            Err(RequestError::new(Code::Unavailable, message))
        }
    }
}
