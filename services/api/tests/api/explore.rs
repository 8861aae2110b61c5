//! Geocells, reference images, maps, ids and analytics.

use crate::common::{Client, code, config, shared};
use serde_json::{Value, json};

async fn client() -> Client {
    shared().await.client(config()).await
}

fn list<'a>(answer: &'a Value, path: &str) -> &'a Vec<Value> {
    answer
        .pointer(&format!("/data/{path}"))
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("no {path}: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn geocells_are_found_by_level_token_box_and_place() {
    let client = client().await;
    let all = client
        .query("{ geocells(level: 2, first: 500) { totalCount nodes { id token level photos density location { latitude longitude }
             bounds { south west north east } references path { level } } } }")
        .await;
    let cells = list(&all, "geocells/nodes").clone();
    assert_eq!(
        all["data"]["geocells"]["totalCount"].as_u64().unwrap() as usize,
        cells.len()
    );
    let one = &cells[cells.len() / 2];
    let (latitude, longitude) = (&one["location"]["latitude"], &one["location"]["longitude"]);
    assert_eq!(one["path"].as_array().unwrap().len(), 3);

    let token = one["token"].as_str().unwrap();
    let by_token = client
        .query_with(
            "query($t: [String!]) { geocells(tokens: $t) { nodes { token level } } }",
            json!({ "t": [token] }),
        )
        .await;
    let by_token = list(&by_token, "geocells/nodes");
    assert!(
        by_token.iter().any(|cell| cell["level"] == 2) && by_token.iter().all(|cell| cell["token"] == token)
    );

    let at = json!({ "p": { "latitude": latitude, "longitude": longitude } });
    let containing = client
        .query_with(
            "query($p: Point!) { geocells(containing: $p) { nodes { token level } } }",
            at,
        )
        .await;
    let levels: Vec<u64> = list(&containing, "geocells/nodes")
        .iter()
        .map(|cell| cell["level"].as_u64().unwrap())
        .collect();
    assert!(
        levels.contains(&0) && levels.windows(2).all(|pair| pair[0] <= pair[1]),
        "{containing}"
    );

    let boxed = client
        .query_with(
            "query($b: Box!) { geocells(level: 2, box: $b, first: 500) { totalCount nodes { token } } }",
            json!({ "b": one["bounds"] }),
        )
        .await;
    let boxed = list(&boxed, "geocells/nodes");
    assert!(boxed.iter().any(|cell| cell["token"] == token) && boxed.len() <= cells.len());
    assert_eq!(
        code(&client.query("{ geocells { nodes { token } } }").await),
        "INVALID_ARGUMENT"
    );

    // Every reference image lies in one finest cell, so that the counts add up.
    let counted: u64 = cells
        .iter()
        .map(|cell| cell["references"].as_u64().unwrap())
        .sum();
    let images = client.query("{ activeRelease { referenceImages } }").await;
    assert!(
        counted > 0
            && counted
                <= images["data"]["activeRelease"]["referenceImages"]
                    .as_u64()
                    .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_by_geographic_embedding_are_brute_force_ones() {
    let client = client().await;
    let answer = client
        .query("{ geocells(level: 1, first: 3) { nodes { token neighbours(first: 5) { cosine distanceKilometres geocell { token level } } } } }")
        .await;
    for cell in list(&answer, "geocells/nodes") {
        let neighbours = cell["neighbours"].as_array().unwrap();
        assert!(!neighbours.is_empty());
        let cosines: Vec<f64> = neighbours
            .iter()
            .map(|one| one["cosine"].as_f64().unwrap())
            .collect();
        assert!(cosines.windows(2).all(|pair| pair[0] >= pair[1]) && cosines[0] <= 1.0 + 1e-5);
        for one in neighbours {
            assert_eq!(one["geocell"]["level"], 1);
            assert_ne!(one["geocell"]["token"], cell["token"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_features_and_clusters_hold_every_image_once() {
    let client = client().await;
    let map = client
        .query("{ geocellMap(level: 2) { total truncated geojson } }")
        .await;
    let map = &map["data"]["geocellMap"];
    let features = map["geojson"]["features"].as_array().unwrap();
    assert_eq!(map["total"].as_u64().unwrap() as usize, features.len());
    let photos: Vec<u64> = features
        .iter()
        .map(|one| one["properties"]["photos"].as_u64().unwrap())
        .collect();
    assert!(photos.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!(
        features
            .iter()
            .all(|one| one["geometry"]["type"].as_str().unwrap().ends_with("Polygon"))
    );
    let few = client
        .query("{ geocellMap(level: 2, first: 1) { total truncated geojson } }")
        .await;
    assert_eq!(few["data"]["geocellMap"]["truncated"], true);

    let photo = &shared().await.photo;
    let answer = client
        .localize("p.jpg", photo, "id levels { token probability }")
        .await;
    let id = &answer["data"]["localize"]["id"];
    let scored = client
        .query_with(
            "query($id: ID!) { geocellMap(level: 1, prediction: $id) { geojson } }",
            json!({ "id": id }),
        )
        .await;
    let best = &scored["data"]["geocellMap"]["geojson"]["features"][0]["properties"];
    assert_eq!(best["token"], answer["data"]["localize"]["levels"][1]["token"]);

    let all = client.query("{ activeRelease { referenceImages } }").await;
    let all = all["data"]["activeRelease"]["referenceImages"].as_u64().unwrap();
    for zoom in [0, 4, 12] {
        let query = format!(
            "{{ referenceClusters(box: {{ south: -90, west: -180, north: 90, east: 180 }}, zoom: {zoom}) {{
                 total clusters {{ count bounds {{ south north }} sample {{ id thumbnailUrl }} }} }} }}"
        );
        let answer = client.query(&query).await;
        let counted: u64 = list(&answer, "referenceClusters/clusters")
            .iter()
            .map(|one| one["count"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, all, "zoom {zoom}");
        assert_eq!(answer["data"]["referenceClusters"]["total"].as_u64(), Some(all));
    }
    assert_eq!(
        code(
            &client
                .query(
                    "{ referenceClusters(box: { south: 0, west: 0, north: 1, east: 1 }, zoom: 23) { total } }"
                )
                .await
        ),
        "INVALID_ARGUMENT"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_id_leads_back_to_its_thing() {
    let client = client().await;
    let photo = &shared().await.photo;
    let prediction = client.localize("p.jpg", photo, "id").await["data"]["localize"]["id"].clone();
    let things = client
        .query("{ activeRelease { id } geocells(level: 1, first: 1) { nodes { id } } referenceImages(first: 1) { nodes { id thumbnailUrl } } }")
        .await;
    let things = &things["data"];
    let ids = [
        ("Release", things["activeRelease"]["id"].clone()),
        ("Geocell", things["geocells"]["nodes"][0]["id"].clone()),
        (
            "ReferenceImage",
            things["referenceImages"]["nodes"][0]["id"].clone(),
        ),
        ("Prediction", prediction),
    ];
    for (kind, id) in &ids {
        let found = client
            .query_with(
                "query($id: ID!) { node(id: $id) { __typename id } }",
                json!({ "id": id }),
            )
            .await;
        assert_eq!(
            found["data"]["node"],
            json!({ "__typename": kind, "id": id }),
            "{found}"
        );
    }
    let all: Vec<&Value> = ids.iter().map(|(_, id)| id).collect();
    let found = client
        .query_with(
            "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }",
            json!({ "ids": all }),
        )
        .await;
    assert_eq!(list(&found, "nodes").len(), 4);
    for nothing in [
        "",
        "nothing/1/2/3",
        "other",
        "first/0/0000004",
        "other/1/0000004",
        "0192f000-0000-7000-8000-000000000000",
    ] {
        let found = client
            .query_with(
                "query($id: ID!) { node(id: $id) { id } }",
                json!({ "id": nothing }),
            )
            .await;
        assert_eq!(found["data"]["node"], Value::Null, "{nothing}: {found}");
        assert_eq!(found["errors"], Value::Null, "{nothing}: {found}");
    }
    assert_eq!(
        client
            .get(
                things["referenceImages"]["nodes"][0]["thumbnailUrl"]
                    .as_str()
                    .unwrap()
            )
            .await
            .status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_images_by_box_time_and_likeness() {
    let client = client().await;
    let all = client
        .query("{ referenceImages(first: 500) { nodes { id capturedAt location { latitude longitude } } } }")
        .await;
    let all = list(&all, "referenceImages/nodes").clone();
    let north: Vec<&Value> = all
        .iter()
        .filter(|image| image["location"]["latitude"].as_f64().unwrap() >= 0.0)
        .collect();
    let boxed = client
        .query("{ referenceImages(box: { south: 0, west: -180, north: 90, east: 180 }, first: 500) { nodes { id } } }")
        .await;
    assert_eq!(list(&boxed, "referenceImages/nodes").len(), north.len());
    let mut times: Vec<&str> = all
        .iter()
        .filter_map(|image| image["capturedAt"].as_str())
        .collect();
    times.sort_unstable();
    if let Some(middle) = times.get(times.len() / 2) {
        let since = client
            .query_with(
                "query($t: DateTime) { referenceImages(capturedSince: $t, first: 500) { nodes { capturedAt } } }",
                json!({ "t": middle }),
            )
            .await;
        let wanted = times.iter().filter(|time| *time >= middle).count();
        assert_eq!(list(&since, "referenceImages/nodes").len(), wanted);
    }
    let one = all[3]["id"].as_str().unwrap();
    let like = client
        .query_with(
            "query($id: ID!) { similarReferenceImages(image: $id, first: 5) { likeness image { id } } }",
            json!({ "id": one }),
        )
        .await;
    let like = list(&like, "similarReferenceImages");
    assert_eq!(like.len(), 5);
    assert!(like.iter().all(|other| other["image"]["id"] != one));

    let operations = json!({
        "query": "mutation($photo: Upload!) { findSimilarReferenceImages(photo: $photo, first: 4) { likeness image { id geocell { token } } } }",
        "variables": { "photo": null },
    });
    let world = shared().await;
    let own = fs_err::read(world.dataset.image_path(7)).unwrap();
    let found = client
        .upload(
            &operations,
            &json!({ "0": ["variables.photo"] }),
            &[("0", "p.jpg", &own)],
        )
        .await
        .1;
    // A photo of the gallery is most like itself.
    assert!(
        list(&found, "findSimilarReferenceImages")[0]["likeness"]
            .as_f64()
            .unwrap()
            > 0.9999,
        "{found}"
    );
    assert_eq!(
        code(
            &client
                .query("{ similarReferenceImages(image: \"x\") { likeness } }")
                .await
        ),
        "INVALID_ARGUMENT"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_described_and_read() {
    let client = client().await;
    let photo = &shared().await.photo;
    let id = client.localize("p.jpg", photo, "id").await["data"]["localize"]["id"].clone();
    client
        .query_with(
            "mutation($id: ID!) { recordGroundTruth(prediction: $id, latitude: 10, longitude: 20) { id } }",
            json!({ "id": id }),
        )
        .await;
    let views = client
        .query("{ analyticsViews { name about takesRelease takesSince columns { name kind about } } }")
        .await;
    let views = list(&views, "analyticsViews").clone();
    assert!(views.len() >= 15);
    for view in &views {
        let name = view["name"].as_str().unwrap();
        let table = client
            .query_with(
                "query($v: String!) { analytics(view: $v) { view { name } rows truncated } }",
                json!({ "v": name }),
            )
            .await;
        for row in list(&table, "analytics/rows") {
            assert_eq!(
                row.as_array().unwrap().len(),
                view["columns"].as_array().unwrap().len(),
                "{name}"
            );
        }
    }
    let accuracy = client.query("{ analytics(view: \"accuracy\", release: \"first\") { rows } releases { id accuracy { threshold kilometres answers } metrics { name } segmenter activatable } }").await;
    assert_eq!(list(&accuracy, "analytics/rows").len(), 5, "{accuracy}");
    assert_eq!(list(&accuracy, "releases/0/accuracy").len(), 5);
    for bad in [
        "{ analytics(view: \"secrets\") { rows } }",
        "{ analytics(view: \"accuracy\", since: \"2026-01-01\") { rows } }",
        "{ analytics(view: \"accuracy\", first: 0) { rows } }",
    ] {
        assert_eq!(code(&client.query(bad).await), "INVALID_ARGUMENT", "{bad}");
    }
}
