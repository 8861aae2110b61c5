//! Who asks, and what the service is.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::{caller, service};

/// Who asks, and what the service is.
#[derive(Default)]
pub struct ViewerQuery;

/// What a caller may do; each scope permits what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "storage::Scope")]
pub enum Scope {
    /// Localise photos, look at releases, geocells and reference images, and at its own predictions.
    Reader,
    /// Everyone's predictions, analytics, comparisons of releases, ground truth.
    Analyst,
    /// Add and remove reference images.
    Contributor,
    /// Activate releases and roll back, read the audit log.
    Admin,
}

/// Who asks.
#[derive(SimpleObject)]
pub struct Viewer {
    /// Whether this service asks for API keys.
    keys_required: bool,
    /// The caller's key; null without one.
    key: Option<ViewerKey>,
    /// What the caller may do.
    scope: Scope,
    /// Places are told to about so many kilometres; null for exactly.
    coarsen_kilometres: Option<f64>,
}

/// The caller's API key, without the key itself.
#[derive(SimpleObject)]
pub struct ViewerKey {
    /// Its id.
    id: ID,
    /// Its name.
    name: String,
    /// Requests a minute; null for the service's usual rate.
    requests_per_minute: Option<u32>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

/// The service.
#[derive(SimpleObject)]
pub struct ServiceInfo {
    /// Version of the program.
    version: &'static str,
    /// Whose data the names of places are; to be shown wherever they are.
    attribution: &'static str,
    /// What a request may hold.
    limits: Limits,
}

/// What a request may hold.
#[derive(SimpleObject)]
pub struct Limits {
    /// Most bytes of one photo.
    max_upload_bytes: usize,
    /// Most bytes of a request, all its photos together.
    max_request_bytes: usize,
    /// Most pixels of one photo.
    max_pixels: u64,
    /// Most photos of one request.
    max_photos: usize,
    /// Photos that may wait; more are refused with the code OVERLOADED.
    queue: usize,
    /// Photos that wait now.
    queued: usize,
    /// Longest time for a request, in seconds.
    timeout_seconds: f64,
    /// Formats of photos that are read.
    formats: Vec<&'static str>,
}

/// A country.
#[derive(SimpleObject)]
pub struct Country {
    /// Its code of two capital letters (ISO 3166-1; XK for Kosovo).
    code: &'static str,
    /// Its usual English name.
    name: &'static str,
}

/// Formats of photos that are read.
const FORMATS: [&str; 6] = ["jpeg", "png", "webp", "tiff", "gif", "bmp"];

/// Who asks, and what the service is.
#[Object]
impl ViewerQuery {
    /// Who asks. Answered without an API key too.
    async fn viewer(&self, ctx: &Context<'_>) -> async_graphql::Result<Viewer> {
        let caller = caller(ctx);
        Ok(Viewer {
            keys_required: service(ctx)?.keys().required(),
            key: caller.key.as_ref().map(|key| ViewerKey {
                id: ID(key.id.to_string()),
                name: key.name.clone(),
                requests_per_minute: key.requests_per_minute,
                created_at: key.created_at,
            }),
            scope: caller.scope.into(),
            coarsen_kilometres: caller.key.as_ref().and_then(|key| key.coarsen_km),
        })
    }

    /// The service and its limits.
    async fn service(&self, ctx: &Context<'_>) -> async_graphql::Result<ServiceInfo> {
        let service = service(ctx)?;
        let config = service.config();
        Ok(ServiceInfo {
            version: env!("CARGO_PKG_VERSION"),
            attribution: retrieval::ATTRIBUTION,
            limits: Limits {
                max_upload_bytes: config.max_upload_bytes,
                max_request_bytes: config.max_request_bytes,
                max_pixels: config.max_pixels,
                max_photos: config.max_photos,
                queue: config.queue,
                queued: service.waiting(),
                timeout_seconds: config.timeout.as_secs_f64(),
                formats: FORMATS.to_vec(),
            },
        })
    }

    /// The countries that an area can be made of.
    #[graphql(complexity = "10 * child_complexity")]
    async fn countries(&self) -> Vec<Country> {
        places::countries()
            .map(|(code, name)| Country { code, name })
            .collect()
    }
}
