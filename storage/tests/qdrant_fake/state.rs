//! Collections and points of the fake.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use ::qdrant_client::qdrant::alias_operations::Action;
use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::filter;

type Answer<T> = Result<T, Status>;

/// Numbers before UUIDs, as the server orders ids.
type Key = (bool, u128);

#[derive(Default)]
pub(super) struct State {
    collections: BTreeMap<String, Collection>,
    aliases: BTreeMap<String, String>,
}

struct Collection {
    request: CreateCollection,
    schema: HashMap<String, i32>,
    points: BTreeMap<Key, Stored>,
}

struct Stored {
    payload: HashMap<String, Value>,
    vectors: HashMap<String, Vec<f32>>,
}

fn key(id: &Option<PointId>) -> Answer<Key> {
    match id.as_ref().and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Num(number)) => Ok((false, u128::from(*number))),
        Some(PointIdOptions::Uuid(text)) => text
            .parse::<uuid::Uuid>()
            .map(|id| (true, id.as_u128()))
            .map_err(|_| Status::invalid_argument(format!("bad id {text}"))),
        None => Err(Status::invalid_argument("no id")),
    }
}

fn id((is_uuid, number): Key) -> Option<PointId> {
    Some(match is_uuid {
        true => PointId::from(uuid::Uuid::from_u128(number).to_string()),
        false => PointId::from(number as u64),
    })
}

fn done() -> PointsOperationResponse {
    PointsOperationResponse {
        result: Some(UpdateResult {
            operation_id: Some(0),
            status: UpdateStatus::Completed.into(),
        }),
        ..PointsOperationResponse::default()
    }
}

fn changed(result: bool) -> CollectionOperationResponse {
    CollectionOperationResponse { result, time: 0.0 }
}

impl State {
    pub(super) fn lose_points(&mut self, collection: &str, count: usize) {
        let points = &mut self.collections.get_mut(collection).unwrap().points;
        for _ in 0..count {
            points.pop_first();
        }
    }

    fn find(&mut self, name: &str) -> Answer<&mut Collection> {
        let name = self.aliases.get(name).map_or(name, String::as_str).to_owned();
        self.collections
            .get_mut(&name)
            .ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))
    }

    pub(super) fn list(&mut self, _: ListCollectionsRequest) -> Answer<ListCollectionsResponse> {
        let names = self.collections.keys().rev().cloned();
        Ok(ListCollectionsResponse {
            collections: names.map(|name| CollectionDescription { name }).collect(),
            time: 0.0,
        })
    }

    pub(super) fn list_aliases(&mut self, _: ListAliasesRequest) -> Answer<ListAliasesResponse> {
        let pairs = self.aliases.iter().rev();
        let describe = |(alias, collection): (&String, &String)| AliasDescription {
            alias_name: alias.clone(),
            collection_name: collection.clone(),
        };
        Ok(ListAliasesResponse {
            aliases: pairs.map(describe).collect(),
            time: 0.0,
        })
    }

    /// Like the server, action by action: those before a bad one stay.
    pub(super) fn update_aliases(&mut self, request: ChangeAliases) -> Answer<CollectionOperationResponse> {
        for operation in request.actions {
            match operation.action {
                Some(Action::CreateAlias(create)) => {
                    if !self.collections.contains_key(&create.collection_name) {
                        return Err(Status::not_found(create.collection_name));
                    }
                    if self.collections.contains_key(&create.alias_name) {
                        return Err(Status::already_exists(create.alias_name));
                    }
                    self.aliases.insert(create.alias_name, create.collection_name);
                }
                Some(Action::DeleteAlias(delete)) => {
                    self.aliases.remove(&delete.alias_name);
                }
                _ => return Err(Status::invalid_argument("Malformed AliasOperation type")),
            }
        }
        Ok(changed(true))
    }

    pub(super) fn info(&mut self, request: GetCollectionInfoRequest) -> Answer<GetCollectionInfoResponse> {
        let collection = self.find(&request.collection_name)?;
        let schema = |(field, kind): (&String, &i32)| {
            let info = PayloadSchemaInfo {
                data_type: *kind,
                ..PayloadSchemaInfo::default()
            };
            (field.clone(), info)
        };
        Ok(GetCollectionInfoResponse {
            result: Some(CollectionInfo {
                status: CollectionStatus::Green.into(),
                segments_count: 1,
                points_count: Some(collection.points.len() as u64),
                indexed_vectors_count: Some(collection.points.len() as u64),
                payload_schema: collection.schema.iter().map(schema).collect(),
                config: Some(CollectionConfig {
                    metadata: collection.request.metadata.clone(),
                    ..CollectionConfig::default()
                }),
                ..CollectionInfo::default()
            }),
            time: 0.0,
        })
    }

    pub(super) fn create(&mut self, request: CreateCollection) -> Answer<CollectionOperationResponse> {
        let name = request.collection_name.clone();
        if self.collections.contains_key(&name) || self.aliases.contains_key(&name) {
            return Err(Status::already_exists(format!(
                "Collection `{name}` already exists!"
            )));
        }
        let collection = Collection {
            request,
            schema: HashMap::new(),
            points: BTreeMap::new(),
        };
        self.collections.insert(name, collection);
        Ok(changed(true))
    }

    pub(super) fn update(&mut self, request: UpdateCollection) -> Answer<CollectionOperationResponse> {
        let collection = self.find(&request.collection_name)?;
        collection.request.metadata.extend(request.metadata);
        Ok(changed(true))
    }

    pub(super) fn drop(&mut self, request: DeleteCollection) -> Answer<CollectionOperationResponse> {
        let name = request.collection_name;
        self.aliases.retain(|_, collection| *collection != name);
        Ok(changed(self.collections.remove(&name).is_some()))
    }

    pub(super) fn index_field(
        &mut self,
        request: CreateFieldIndexCollection,
    ) -> Answer<PointsOperationResponse> {
        let kind = match request.field_type() {
            FieldType::Keyword => PayloadSchemaType::Keyword,
            FieldType::Integer => PayloadSchemaType::Integer,
            FieldType::Geo => PayloadSchemaType::Geo,
            FieldType::Datetime => PayloadSchemaType::Datetime,
            _ => return Err(Status::unimplemented("field type")),
        };
        let collection = self.find(&request.collection_name)?;
        collection.schema.insert(request.field_name, kind.into());
        Ok(done())
    }

    pub(super) fn upsert(&mut self, request: UpsertPoints) -> Answer<PointsOperationResponse> {
        let collection = self.find(&request.collection_name)?;
        let Some(vectors_config::Config::ParamsMap(spec)) = collection
            .request
            .vectors_config
            .as_ref()
            .and_then(|config| config.config.clone())
        else {
            return Err(Status::invalid_argument("no named vectors"));
        };
        let mut checked = Vec::new();
        for point in request.points {
            let Some(vectors::VectorsOptions::Vectors(named)) =
                point.vectors.and_then(|vectors| vectors.vectors_options)
            else {
                return Err(Status::invalid_argument("no named vectors"));
            };
            let mut vectors = HashMap::new();
            for (name, vector) in named.vectors {
                let Some(vector::Vector::Dense(dense)) = vector.vector else {
                    return Err(Status::invalid_argument("not dense"));
                };
                if spec.map.get(&name).map(|params| params.size) != Some(dense.data.len() as u64) {
                    return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
                }
                vectors.insert(name, dense.data);
            }
            let stored = Stored {
                payload: point.payload,
                vectors,
            };
            checked.push((key(&point.id)?, stored));
        }
        collection.points.extend(checked);
        Ok(done())
    }

    pub(super) fn delete(&mut self, request: DeletePoints) -> Answer<PointsOperationResponse> {
        let collection = self.find(&request.collection_name)?;
        let selector = request.points.and_then(|points| points.points_selector_one_of);
        let Some(PointsSelectorOneOf::Points(list)) = selector else {
            return Err(Status::unimplemented("delete by filter"));
        };
        for id in list.ids {
            collection.points.remove(&key(&Some(id))?);
        }
        Ok(done())
    }

    pub(super) fn get(&mut self, request: GetPoints) -> Answer<GetResponse> {
        let with_vectors = request.with_vectors == Some(true.into());
        let collection = self.find(&request.collection_name)?;
        let mut result = Vec::new();
        for wanted in request.ids.into_iter().rev() {
            let key = key(&Some(wanted))?;
            let found = collection.points.get(&key);
            result.extend(found.map(|stored| retrieved(key, stored, with_vectors)));
        }
        Ok(GetResponse {
            result,
            ..GetResponse::default()
        })
    }

    pub(super) fn count(&mut self, request: CountPoints) -> Answer<CountResponse> {
        let collection = self.find(&request.collection_name)?;
        let points = collection.points.iter();
        let count = points
            .filter(|(key, stored)| filter::meets(request.filter.as_ref(), **key, &stored.payload))
            .count() as u64;
        Ok(CountResponse {
            result: Some(CountResult { count }),
            ..CountResponse::default()
        })
    }

    pub(super) fn scroll(&mut self, request: ScrollPoints) -> Answer<ScrollResponse> {
        let from = match request.offset {
            Some(_) => key(&request.offset)?,
            None => (false, 0),
        };
        let limit = request.limit.unwrap_or(10) as usize;
        let collection = self.find(&request.collection_name)?;
        let mut page: Vec<(&Key, &Stored)> = collection.points.range(from..).take(limit + 1).collect();
        let next = (page.len() > limit).then(|| page.pop()).flatten();
        Ok(ScrollResponse {
            next_page_offset: next.and_then(|(key, _)| id(*key)),
            result: page
                .into_iter()
                .map(|(key, stored)| retrieved(*key, stored, true))
                .collect(),
            ..ScrollResponse::default()
        })
    }

    pub(super) fn query(&mut self, request: QueryPoints) -> Answer<QueryResponse> {
        let collection = self.find(&request.collection_name)?;
        Ok(QueryResponse {
            result: nearest(collection, &request)?,
            ..QueryResponse::default()
        })
    }

    pub(super) fn query_batch(&mut self, request: QueryBatchPoints) -> Answer<QueryBatchResponse> {
        let collection = self.find(&request.collection_name)?;
        let answer = |query| nearest(collection, query).map(|result| BatchResult { result });
        Ok(QueryBatchResponse {
            result: request.query_points.iter().map(answer).collect::<Answer<_>>()?,
            ..QueryBatchResponse::default()
        })
    }
}

fn nearest(collection: &Collection, request: &QueryPoints) -> Answer<Vec<ScoredPoint>> {
    let Some(query::Variant::Nearest(VectorInput {
        variant: Some(vector_input::Variant::Dense(query)),
    })) = request.query.as_ref().and_then(|query| query.variant.as_ref())
    else {
        return Err(Status::unimplemented("query"));
    };
    let with_payload = request.with_payload == Some(true.into());
    let mut scored: Vec<(f32, u64, Key)> = Vec::new();
    for (key, stored) in &collection.points {
        let vector = stored.vectors.get(request.using());
        let vector =
            vector.ok_or_else(|| Status::invalid_argument("Wrong input: Not existing vector name"))?;
        if vector.len() != query.data.len() {
            return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
        }
        if filter::meets(request.filter.as_ref(), *key, &stored.payload) {
            let score = vector.iter().zip(&query.data).map(|(a, b)| a * b).sum();
            let mut order = DefaultHasher::new();
            key.hash(&mut order);
            scored.push((score, order.finish(), *key));
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.truncate(request.limit() as usize);
    let point = |(score, _, key): (f32, u64, Key)| ScoredPoint {
        id: id(key),
        score,
        payload: match with_payload {
            true => collection.points[&key].payload.clone(),
            false => HashMap::new(),
        },
        ..ScoredPoint::default()
    };
    Ok(scored.into_iter().map(point).collect())
}

fn retrieved(key: Key, stored: &Stored, with_vectors: bool) -> RetrievedPoint {
    let named = |(name, data): (&String, &Vec<f32>)| {
        let output = VectorOutput {
            vector: Some(vector_output::Vector::Dense(DenseVector { data: data.clone() })),
            ..VectorOutput::default()
        };
        (name.clone(), output)
    };
    let vectors = NamedVectorsOutput {
        vectors: stored.vectors.iter().map(named).collect(),
    };
    RetrievedPoint {
        id: id(key),
        payload: stored.payload.clone(),
        vectors: with_vectors.then_some(VectorsOutput {
            vectors_options: Some(vectors_output::VectorsOptions::Vectors(vectors)),
        }),
        ..RetrievedPoint::default()
    }
}
