//! No field costs a call of the catalog for each item of a list.

use std::collections::BTreeMap;

use crate::common::counting::Counting;
use crate::common::{Client, World, config};
use geosurge_api::router;
use serde_json::{Value, json};

/// What a query may cost, whatever the length of its lists.
const DEAR_FIELDS: &str = "
    predictions: predictions(first: FIRST) { nodes {
      id release { id status accuracy { answers } } groundTruth { errorKilometres }
      references { image { id geocell { token parent { token } references } place { name } } }
      candidates(first: 10) { geocell { token children { token references } path { token } } place { name } }
      levels { geocell { token } } } }
    images: referenceImages(first: FIRST) { nodes { id geocell { token parent { token children { token } } } } }
    cells: geocells(level: 2, first: FIRST) { nodes { token parent { token } children { token } references place { name } outline } }
    releases { id accuracy { answers } levels { geocells } }";

#[tokio::test(flavor = "multi_thread")]
async fn longer_lists_cost_no_more_calls() {
    let world = World::with_release().await;
    let catalog = Counting::new(world.catalog.clone());
    let service = world.service_on(catalog.clone(), config()).await;
    let client = Client {
        router: router(service),
    };
    for number in 0..8 {
        let photo = fs_err::read(world.dataset.image_path(number)).unwrap();
        let answer = client.localize("p.jpg", &photo, "id").await;
        let id = answer["data"]["localize"]["id"].clone();
        let truth =
            "mutation($id: ID!) { recordGroundTruth(prediction: $id, latitude: 1, longitude: 2) { id } }";
        client.query_with(truth, json!({ "id": id })).await;
    }
    let mut costs: Vec<BTreeMap<&str, usize>> = Vec::new();
    // The first time, indices are read.
    for first in [1, 1, 8] {
        let query = format!("{{ {} }}", DEAR_FIELDS.replace("FIRST", &first.to_string()));
        catalog.take();
        let answer = client.query(&query).await;
        assert_eq!(answer["errors"], Value::Null, "{answer}");
        assert_eq!(
            answer["data"]["predictions"]["nodes"].as_array().unwrap().len(),
            first
        );
        costs.push(catalog.take());
    }
    // Look-ups are gathered for some milliseconds, so that a busy machine may make two calls of one; a call for each item of
    // these lists would be dozens.
    let (of_one, of_eight) = (&costs[1], &costs[2]);
    assert_eq!(
        of_one.keys().collect::<Vec<_>>(),
        of_eight.keys().collect::<Vec<_>>()
    );
    for (name, calls) in of_eight {
        assert!(*calls < 8, "{name}: {of_one:?} became {of_eight:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_costs_a_handful_of_calls() {
    let world = World::with_release().await;
    let catalog = Counting::new(world.catalog.clone());
    let service = world.service_on(catalog.clone(), config()).await;
    let client = Client {
        router: router(service),
    };
    let fields = "id release { id } groundTruth { source } references { image { id geocell { token } } }
        candidates(first: 100) { geocell { token references } } levels { geocell { token } } scores(level: 2, first: 500) { geocell { token } }";
    client.localize("p.jpg", &world.photo, fields).await;
    catalog.take();
    let answer = client.localize("p.jpg", &world.photo, fields).await;
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    let calls = catalog.take();
    assert_eq!(calls["record_prediction"], 1);
    assert!(calls.values().sum::<usize>() <= 6, "{calls:?}");
}
