//! The server's calls, tried again where that can help.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::qdrant_client::QdrantClient;
use qdrant_client::qdrant::{
    ChangeAliases, CollectionInfo, CreateCollection, CreateFieldIndexCollection, DeleteCollection,
    GetCollectionInfoRequest, HealthCheckRequest, ListAliasesRequest, ListCollectionsRequest,
    PointsOperationResponse, UpdateCollection, UpdateStatus,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::channel::{self, Key};
use super::fault;
use super::options::QdrantOptions;
use crate::{Error, Result};

/// The oldest servers that have what is used: metadata of collections, and filters within graph searches.
pub(super) const OLDEST: &str = "version 1.16 or newer";
const OLDEST_VERSION: (u64, u64) = (1, 16);

type Service = InterceptedService<Channel, Key>;
/// The client of the calls on points.
pub(super) type Points = PointsClient<Service>;

/// A server, reached over one connection.
#[derive(Clone, Debug)]
pub(super) struct Server {
    url: String,
    points: Points,
    collections: CollectionsClient<Service>,
    root: QdrantClient<Service>,
    timeout: Duration,
    retry_reads: Duration,
    retry_writes: Duration,
}

/// Whether a call only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

impl Server {
    pub(super) fn new(options: &QdrantOptions) -> Result<Self> {
        options.check()?;
        let url = channel::address(&options.url)?.to_string();
        let key = Key(options.api_key.as_ref().map(|key| key.0.clone()));
        let service = InterceptedService::new(channel::open(options)?, key);
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            points: PointsClient::new(service.clone()).max_decoding_message_size(usize::MAX),
            collections: CollectionsClient::new(service.clone()).max_decoding_message_size(usize::MAX),
            root: QdrantClient::new(service),
            timeout: options.timeout,
            retry_reads: options.retry_reads,
            retry_writes: options.retry_writes,
        })
    }

    /// The server's own time limit of a request, in seconds.
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout.as_secs().max(1)
    }

    /// Makes a call on points. `what` names the thing asked for in errors; `call` is made again after a failure that may pass,
    /// so that it has to be one that can be repeated.
    pub(super) async fn points<T, F>(
        &self,
        kind: Kind,
        what: &str,
        mut call: impl FnMut(Points) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.repeat(kind, what, || call(self.points.clone())).await
    }

    /// Makes a change of points, which is complete when this returns.
    pub(super) async fn change<F>(&self, what: &str, mut call: impl FnMut(Points) -> F) -> Result<()>
    where
        F: Future<Output = Result<Response<PointsOperationResponse>, Status>>,
    {
        let attempt = || {
            let change = call(self.points.clone());
            async move {
                let response = change.await?;
                let status = response.get_ref().result.as_ref().map(|result| result.status());
                match status {
                    Some(UpdateStatus::Completed) => Ok(response),
                    Some(UpdateStatus::WaitTimeout) => Err(Status::deadline_exceeded("the write is queued")),
                    other => Err(Status::unavailable(format!("the write has the status {other:?}"))),
                }
            }
        };
        self.repeat(Kind::Write, what, attempt).await.map(|_| ())
    }

    /// The server's version, if it is one that can be used.
    pub(super) async fn version(&self) -> Result<String> {
        let reply = self
            .repeat(Kind::Read, "the server", || {
                let mut root = self.root.clone();
                async move { root.health_check(HealthCheckRequest {}).await }
            })
            .await?;
        check_version(&reply.version, &self.url)?;
        Ok(reply.version)
    }

    /// The names of all collections.
    pub(super) async fn collections(&self) -> Result<Vec<String>> {
        let reply = self
            .repeat(Kind::Read, "the collections", || {
                let mut collections = self.collections.clone();
                async move { collections.list(ListCollectionsRequest {}).await }
            })
            .await?;
        Ok(reply.collections.into_iter().map(|entry| entry.name).collect())
    }

    /// All aliases with their collections.
    pub(super) async fn aliases(&self) -> Result<Vec<(String, String)>> {
        let reply = self
            .repeat(Kind::Read, "the aliases", || {
                let mut collections = self.collections.clone();
                async move { collections.list_aliases(ListAliasesRequest {}).await }
            })
            .await?;
        let pair = |entry: qdrant_client::qdrant::AliasDescription| (entry.alias_name, entry.collection_name);
        Ok(reply.aliases.into_iter().map(pair).collect())
    }

    /// What the server says of a collection; `None` where there is none.
    pub(super) async fn info(&self, collection: &str) -> Result<Option<CollectionInfo>> {
        let what = format!("collection {collection}");
        let reply = self
            .repeat(Kind::Read, &what, || {
                let mut collections = self.collections.clone();
                let request = GetCollectionInfoRequest {
                    collection_name: collection.to_owned(),
                };
                async move { collections.get(request).await }
            })
            .await;
        match reply {
            Ok(reply) => Ok(reply.result),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a collection.
    pub(super) async fn create(&self, request: &CreateCollection) -> Result<()> {
        let what = format!("collection {}", request.collection_name);
        self.repeat(Kind::Write, &what, || {
            let (mut collections, mut request) = (self.collections.clone(), request.clone());
            request.timeout = Some(self.timeout_seconds());
            async move { collections.create(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Changes how a collection is kept, or its metadata.
    pub(super) async fn update(&self, request: &UpdateCollection) -> Result<()> {
        let what = format!("collection {}", request.collection_name);
        self.repeat(Kind::Write, &what, || {
            let (mut collections, mut request) = (self.collections.clone(), request.clone());
            request.timeout = Some(self.timeout_seconds());
            async move { collections.update(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Indexes a payload field.
    pub(super) async fn index_field(&self, request: &CreateFieldIndexCollection) -> Result<()> {
        let what = format!("collection {}", request.collection_name);
        self.change(&what, |mut points| {
            let request = request.clone();
            async move { points.create_field_index(request).await }
        })
        .await
    }

    /// Deletes a collection; one that is not there is no error.
    pub(super) async fn delete(&self, collection: &str) -> Result<()> {
        let what = format!("collection {collection}");
        let deleted = self
            .repeat(Kind::Write, &what, || {
                let mut collections = self.collections.clone();
                let request = DeleteCollection {
                    collection_name: collection.to_owned(),
                    timeout: Some(self.timeout_seconds()),
                };
                async move { collections.delete(request).await }
            })
            .await;
        match deleted {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes aliases, all of them before any other request sees one.
    pub(super) async fn change_aliases(&self, request: &ChangeAliases) -> Result<()> {
        self.repeat(Kind::Write, "a collection that an alias shall name", || {
            let (mut collections, mut request) = (self.collections.clone(), request.clone());
            request.timeout = Some(self.timeout_seconds());
            async move { collections.update_aliases(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Tries a call until it succeeds, fails for good, or patience ends; the pauses grow and are jittered.
    async fn repeat<T, F>(&self, kind: Kind, what: &str, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let patience = match kind {
            Kind::Read => self.retry_reads,
            Kind::Write => self.retry_writes,
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times();
        let started = Instant::now();
        (|| call())
            .retry(pauses)
            .when(|status: &Status| fault::is_retryable(status) && started.elapsed() < patience)
            .adjust(|status, pause| pause.map(|pause| fault::retry_after(status).unwrap_or(pause)))
            .notify(|status, pause| {
                let (code, reason) = (status.code(), fault::chain(status));
                tracing::warn!(url = %self.url, what, ?code, reason, ?pause, "request to Qdrant failed and is repeated");
            })
            .await
            .map(Response::into_inner)
            .map_err(|status| {
                tracing::debug!(url = %self.url, what, code = ?status.code(), message = status.message(), "request failed");
                fault::explain(&status, &self.url, what)
            })
    }
}

fn check_version(version: &str, url: &str) -> Result<()> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        tracing::warn!(
            url,
            version,
            "the Qdrant server has a version that cannot be read"
        );
        return Ok(());
    };
    if (major, minor) < OLDEST_VERSION || major > OLDEST_VERSION.0 {
        return Err(Error::Incompatible(format!(
            "the Qdrant server at {url} has version {version}: use {OLDEST} of the same major version"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::cell::Cell;

    use tonic::Code;

    use super::*;

    fn server() -> Server {
        let mut options = QdrantOptions::new("http://127.0.0.1:1");
        options.retry_reads = Duration::from_secs(2);
        options.retry_writes = Duration::from_secs(30);
        Server::new(&options).unwrap()
    }

    #[test]
    fn versions_are_checked() {
        for good in ["1.16.0", "1.19.0", "1.20.1-dev", "v1.18.2", "nightly"] {
            check_version(good, "url").unwrap();
        }
        for bad in ["1.15.9", "0.11.0", "2.0.0"] {
            let error = check_version(bad, "url").unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("1.16"), "{error}");
        }
    }

    #[tokio::test]
    async fn calls_are_repeated_until_they_succeed() {
        let calls = Cell::new(0);
        let answer = server()
            .repeat(Kind::Write, "x", || {
                calls.set(calls.get() + 1);
                let answer = match calls.get() {
                    1..4 => Err(Status::unavailable("restarting")),
                    _ => Ok(Response::new(7)),
                };
                async move { answer }
            })
            .await;
        assert_eq!((answer.unwrap(), calls.get()), (7, 4));
    }

    #[tokio::test]
    async fn what_cannot_pass_is_not_repeated() {
        let calls = Cell::new(0);
        let answer: Result<u8> = server()
            .repeat(Kind::Write, "x", || {
                calls.set(calls.get() + 1);
                async { Err(Status::new(Code::InvalidArgument, "no")) }
            })
            .await;
        assert!(matches!(answer.unwrap_err(), Error::Invalid(_)));
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let started = Instant::now();
        let error = server().version().await.unwrap_err();
        assert!(
            matches!(error, Error::Unavailable(_)) && error.is_transient(),
            "{error}"
        );
        assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
        assert!(error.to_string().contains("GEOSURGE_QDRANT_URL"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
