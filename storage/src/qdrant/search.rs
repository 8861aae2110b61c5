//! Searches, so that equal scores come in order of id also where a limit cuts through them.

use qdrant_client::qdrant::{self, QueryBatchPoints};

use super::layout::{self, Graph};
use super::server::{Kind, Server};
use super::{batches, translate};
use crate::vectors::check_vector;
use crate::{CollectionSpec, Error, Hit, Result, SearchRequest, VectorIndex};

/// The collection to be searched, as its metadata describes it.
pub(super) struct Target<'a> {
    /// Its name, or an alias.
    pub(super) collection: &'a str,
    pub(super) spec: &'a CollectionSpec,
    pub(super) graph: Option<Graph>,
}

/// Checks queries and filters.
pub(super) fn check(spec: &CollectionSpec, requests: &[SearchRequest]) -> Result<()> {
    for request in requests {
        let vector = spec
            .vector(&request.vector)
            .ok_or_else(|| Error::Invalid(format!("the collection has no vector {:?}", request.vector)))?;
        check_vector("the query", &request.vector, vector.dimension, &request.query)?;
        if let Some(filter) = &request.filter {
            filter.check()?;
        }
    }
    Ok(())
}

/// One search of a batch that is not answered yet.
struct Pending<'a> {
    /// Where its answer goes.
    at: usize,
    request: &'a SearchRequest,
    filter: Option<qdrant::Filter>,
    exact: bool,
    /// How many answers to ask the server for.
    ask: usize,
}

/// Answers requests that were checked, in their order.
///
/// The server orders equal scores as it likes. An exact search therefore asks for one answer more than its limit: if the last
/// of them has the score at the limit, points of that score may have been left out, and the search is made again with twice as
/// many, until a lower score or the end shows that all of them were seen.
pub(super) async fn run(
    server: &Server,
    target: &Target<'_>,
    requests: &[SearchRequest],
) -> Result<Vec<Vec<Hit>>> {
    let mut answers = vec![Vec::new(); requests.len()];
    let mut pending = Vec::with_capacity(requests.len());
    for (at, request) in requests
        .iter()
        .enumerate()
        .filter(|(_, request)| request.limit > 0)
    {
        let flat = target
            .spec
            .vector(&request.vector)
            .is_some_and(|vector| vector.index == VectorIndex::Flat);
        let exact = request.exact || flat;
        pending.push(Pending {
            at,
            request,
            filter: request.filter.as_ref().map(translate::filter).transpose()?,
            exact,
            ask: request.limit.saturating_add(usize::from(exact)),
        });
    }
    while !pending.is_empty() {
        let mut again = Vec::new();
        let mut waiting = pending.into_iter().peekable();
        while waiting.peek().is_some() {
            let batch: Vec<Pending<'_>> = waiting.by_ref().take(batches::SEARCHES).collect();
            let found = ask(server, target, &batch).await?;
            for (mut search, hits) in batch.into_iter().zip(found) {
                match settle(hits, &search) {
                    Some(hits) => answers[search.at] = hits,
                    None => {
                        search.ask = search.ask.saturating_mul(2);
                        again.push(search);
                    }
                }
            }
        }
        pending = again;
    }
    Ok(answers)
}

/// The answer in order, or `None` where points of the score at the limit may be missing.
fn settle(mut hits: Vec<Hit>, search: &Pending<'_>) -> Option<Vec<Hit>> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    let limit = search.request.limit;
    let all_seen = hits.len() < search.ask;
    if search.exact && !all_seen && hits[limit - 1].score == hits[hits.len() - 1].score {
        return None;
    }
    hits.truncate(limit);
    Some(hits)
}

async fn ask(server: &Server, target: &Target<'_>, batch: &[Pending<'_>]) -> Result<Vec<Vec<Hit>>> {
    let timeout = server.timeout_seconds();
    let query = |search: &Pending<'_>| {
        let params = layout::search(target.graph, search.exact, search.ask, search.filter.is_some());
        translate::query(
            target.collection,
            search.request,
            search.filter.clone(),
            params,
            search.ask,
            timeout,
        )
    };
    let what = format!("collection {}", target.collection);
    let found: Vec<Vec<qdrant::ScoredPoint>> = match batch {
        [one] => {
            let reply = server
                .points(Kind::Read, &what, |mut points| {
                    let request = query(one);
                    async move { points.query(request).await }
                })
                .await?;
            vec![reply.result]
        }
        many => {
            let reply = server
                .points(Kind::Read, &what, |mut points| {
                    let request = QueryBatchPoints {
                        collection_name: target.collection.to_owned(),
                        query_points: many.iter().map(query).collect(),
                        read_consistency: None,
                        timeout: Some(timeout),
                    };
                    async move { points.query_batch(request).await }
                })
                .await?;
            reply.result.into_iter().map(|answer| answer.result).collect()
        }
    };
    if found.len() != batch.len() {
        return Err(Error::Incompatible(format!(
            "the Qdrant server answered {} of {} searches",
            found.len(),
            batch.len()
        )));
    }
    found
        .into_iter()
        .map(|points| points.into_iter().map(translate::hit).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Payload, PointId};

    fn settled(scores: &[(u64, f32)], limit: usize, ask: usize, exact: bool) -> Option<Vec<PointId>> {
        let request = SearchRequest::new("v", vec![1.0], limit);
        let search = Pending {
            at: 0,
            request: &request,
            filter: None,
            exact,
            ask,
        };
        let hits = scores.iter().map(|(id, score)| Hit {
            id: (*id).into(),
            score: *score,
            payload: Payload::new(),
        });
        let hits = settle(hits.collect(), &search)?;
        Some(hits.into_iter().map(|hit| hit.id).collect())
    }

    #[test]
    fn ties_at_the_limit_are_asked_for_again() {
        let ids = |ids: &[u64]| Some(ids.iter().map(|id| PointId::Number(*id)).collect::<Vec<_>>());
        assert_eq!(settled(&[(9, 2.0), (5, 1.0), (3, 1.0)], 2, 3, true), None);
        assert_eq!(
            settled(&[(9, 2.0), (5, 1.0), (3, 1.0)], 2, 3, false),
            ids(&[9, 3])
        );
        assert_eq!(settled(&[(9, 2.0), (5, 1.0), (3, 0.5)], 2, 3, true), ids(&[9, 5]));
        assert_eq!(settled(&[(9, 2.0), (5, 1.0), (3, 1.0)], 2, 6, true), ids(&[9, 3]));
        assert_eq!(settled(&[(9, 1.0), (5, 1.0), (3, 0.5)], 1, 3, true), ids(&[5]));
        assert_eq!(settled(&[], 2, 3, true), ids(&[]));
    }
}
