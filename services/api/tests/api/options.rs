//! What may be asked about a photo, and what is told afterwards.

use crate::common::{Client, bytes, code, config, shared};
use axum::http::StatusCode;
use serde_json::{Value, json};

async fn client() -> Client {
    shared().await.client(config()).await
}

/// The localize mutation with options and the fields wanted.
async fn localize(client: &Client, options: Value, fields: &str) -> Value {
    let query = format!(
        "mutation($photo: Upload!, $options: LocalizeOptions) {{ localize(photo: $photo, options: $options) {{ {fields} }} }}"
    );
    let operations = json!({ "query": query, "variables": { "photo": null, "options": options } });
    let map = json!({ "0": ["variables.photo"] });
    let photo = &shared().await.photo;
    client.upload(&operations, &map, &[("0", "p.jpg", photo)]).await.1
}

fn numbers(value: &Value) -> (f64, f64) {
    (
        value["latitude"].as_f64().unwrap(),
        value["longitude"].as_f64().unwrap(),
    )
}

const ANSWER: &str = "id confidence outsideMass restricted scoring detailed
    location { latitude longitude }
    candidates { token probability location { latitude longitude } }
    levels { level token location { latitude longitude } }
    within { probability }
    credibleRegion { mass tokens }
    references { image { id location { latitude longitude } } }";

#[tokio::test(flavor = "multi_thread")]
async fn an_area_holds_the_whole_answer() {
    let client = client().await;
    let free = localize(&client, json!({}), ANSWER).await;
    let free = &free["data"]["localize"];
    assert_eq!(
        (&free["restricted"], &free["detailed"]),
        (&json!(false), &json!(true))
    );
    // A box round the candidate that lies farthest from the answer.
    let here = numbers(&free["location"]);
    let apart = |one: &Value| {
        let there = numbers(&one["location"]);
        (there.0 - here.0).abs() + (there.1 - here.1).abs()
    };
    let candidates = free["candidates"].as_array().unwrap();
    let other = candidates
        .iter()
        .max_by(|a, b| apart(a).total_cmp(&apart(b)))
        .unwrap();
    assert!(apart(other) > 2.0, "{free}");
    let (latitude, longitude) = numbers(&other["location"]);
    let (south, north) = ((latitude - 0.8).max(-90.0), (latitude + 0.8).min(90.0));
    let (west, east) = ((longitude - 0.8).max(-180.0), (longitude + 0.8).min(180.0));
    let inside = |value: &Value| {
        let (latitude, longitude) = numbers(&value["location"]);
        (south..=north).contains(&latitude) && (west..=east).contains(&longitude)
    };
    let ring = json!([
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south]
    ]);
    let areas = [
        json!({ "box": { "south": south, "west": west, "north": north, "east": east } }),
        json!({ "polygon": { "type": "Polygon", "coordinates": [ring] } }),
    ];
    let mut answers = Vec::new();
    for area in areas {
        let answer = localize(&client, json!({ "within": area, "candidates": 100 }), ANSWER).await;
        assert_eq!(answer["errors"], Value::Null, "{answer}");
        let answer = answer["data"]["localize"].clone();
        assert_eq!(answer["restricted"], true, "{answer}");
        assert!(inside(&answer), "{answer}");
        let candidates = answer["candidates"].as_array().unwrap();
        assert!(candidates.iter().all(inside) && !candidates.is_empty());
        assert!(answer["levels"].as_array().unwrap().iter().all(inside));
        // All cells of the area were scored, so that the probabilities are exact and sum to 1.
        assert_eq!(answer["outsideMass"], 0.0);
        let sum: f64 = candidates
            .iter()
            .map(|one| one["probability"].as_f64().unwrap())
            .sum();
        assert!(sum <= 1.0 + 1e-9);
        answers.push(answer["candidates"].clone());
    }
    assert_eq!(
        answers[0].as_array().unwrap().len(),
        answers[1].as_array().unwrap().len()
    );
    let whole =
        json!({ "within": { "box": { "south": -90.0, "west": -180.0, "north": 90.0, "east": 180.0 } } });
    let whole = localize(&client, whole, ANSWER).await;
    // The whole Earth is no restriction: the same cells with the same probabilities.
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4;
    for (one, other) in whole["data"]["localize"]["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .zip(free["candidates"].as_array().unwrap())
    {
        assert_eq!(one["token"], other["token"]);
        assert!(close(&one["probability"], &other["probability"]), "{one} {other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn countries_restrict_and_unknown_ones_are_named() {
    let client = client().await;
    let names = client.query("{ countries { code name } }").await;
    assert!(names["data"]["countries"].as_array().unwrap().len() > 240);
    // The countries of the gallery's own photos, so that one of them holds a cell.
    let images = client
        .query("{ referenceImages(first: 200) { nodes { place { countryCode } } } }")
        .await;
    let nodes = images["data"]["referenceImages"]["nodes"]
        .as_array()
        .unwrap()
        .clone();
    let code_of = nodes
        .iter()
        .find_map(|node| node["place"]["countryCode"].as_str())
        .expect("a photo on land");
    let fields = "location { latitude longitude } place { countryCode } restricted";
    let answer = localize(&client, json!({ "within": { "countries": [code_of] } }), fields).await;
    assert_eq!(
        answer["data"]["localize"]["place"]["countryCode"], code_of,
        "{answer}"
    );

    for (within, expected) in [
        (json!({ "countries": ["Atlantis"] }), "Atlantis"),
        (json!({ "countries": [] }), "name 1 to"),
        (
            json!({ "box": { "south": 10.0, "west": 0.0, "north": -10.0, "east": 1.0 } }),
            "south",
        ),
        (
            json!({ "polygon": { "type": "Point", "coordinates": [0, 0] } }),
            "Polygon",
        ),
        (
            json!({ "box": { "south": -90.0, "west": 0.0, "north": -89.99, "east": 0.01 } }),
            "no geocell",
        ),
    ] {
        let answer = localize(&client, json!({ "within": within }), "id").await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT", "{answer}");
        assert!(
            answer["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains(expected),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scoring_crops_and_counts_are_options() {
    let client = client().await;
    let cosine = localize(&client, json!({ "scoring": "COSINE", "candidates": 3 }), ANSWER).await;
    let cosine = &cosine["data"]["localize"];
    assert_eq!(cosine["scoring"], "COSINE");
    assert_eq!(cosine["candidates"].as_array().unwrap().len(), 3);
    let one = localize(&client, json!({}), "candidates { path { cosine } }").await;
    let ten = localize(
        &client,
        json!({ "tenCrop": true, "references": 0 }),
        "candidates { path { cosine } } references { likeness }",
    )
    .await;
    assert_eq!(ten["data"]["localize"]["references"], json!([]));
    let first = |answer: &Value| answer["data"]["localize"]["candidates"][0]["path"][0]["cosine"].clone();
    assert_ne!(first(&one), first(&ten), "ten views are another embedding");
    for (options, expected) in [
        (json!({ "candidates": 0 }), "candidates"),
        (json!({ "candidates": 101 }), "candidates"),
        (json!({ "references": -1 }), "references"),
        (json!({ "credibleMass": 1.0 }), "mass"),
        (
            json!({ "referenceFilter": { "minLikeness": 2.0 } }),
            "minLikeness",
        ),
        (json!({ "client": "x".repeat(65) }), "client"),
    ] {
        let answer = localize(&client, options.clone(), "id").await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT", "{options} {answer}");
        assert!(
            answer["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains(expected),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_images_are_filtered_and_ordered() {
    let client = client().await;
    let fields = "references { likeness distanceKilometres image { location { latitude longitude } } }
        byDistance: references(order: DISTANCE) { distanceKilometres }";
    let anywhere = localize(
        &client,
        json!({ "references": 100, "referenceFilter": { "anywhere": true } }),
        fields,
    )
    .await;
    let anywhere = &anywhere["data"]["localize"];
    let all = anywhere["references"].as_array().unwrap();
    assert_eq!(all.len(), 100);
    let of = |list: &Value, name: &str| -> Vec<f64> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one[name].as_f64().unwrap())
            .collect()
    };
    assert!(
        of(&anywhere["references"], "likeness")
            .windows(2)
            .all(|pair| pair[0] >= pair[1])
    );
    assert!(
        of(&anywhere["byDistance"], "distanceKilometres")
            .windows(2)
            .all(|pair| pair[0] <= pair[1])
    );
    let least = all[5]["likeness"].as_f64().unwrap() - 1e-9;
    for filter in [
        json!({ "anywhere": true, "minLikeness": least }),
        json!({ "anywhere": true, "within": { "box": { "south": 0.0, "west": -180.0, "north": 90.0, "east": 180.0 } } }),
        json!({ "anywhere": true, "within": { "polygon": { "type": "Polygon", "coordinates":
            [[[-180.0, 0.0], [180.0, 0.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, 0.0]]] } } }),
    ] {
        let north = filter["within"].is_object();
        let answer = localize(
            &client,
            json!({ "references": 100, "referenceFilter": filter }),
            fields,
        )
        .await;
        assert_eq!(answer["errors"], Value::Null, "{answer}");
        let told = answer["data"]["localize"]["references"].as_array().unwrap();
        if north {
            let wanted: Vec<&Value> = all
                .iter()
                .filter(|one| numbers(&one["image"]["location"]).0 >= 0.0)
                .collect();
            assert!(told.len() >= wanted.len(), "{answer}");
            assert!(told.iter().all(|one| numbers(&one["image"]["location"]).0 >= 0.0));
        } else {
            assert_eq!(told.len(), 6, "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_and_regions_are_told_as_long_as_they_are_kept() {
    let client = client().await;
    let fields = "id levels { level token probability photos } credibleRegion { mass }
        narrow: credibleRegion(mass: 0.3) { mass wanted tokens } wide: credibleRegion(mass: 0.99) { mass tokens areaKm2 }
        l0: scores(level: 0) { rank probability token geocell { level outline } }
        l2: scores(level: 2, first: 3) { probability token }
        segmentation { overlayUrl }";
    let answer = localize(&client, json!({}), fields).await;
    let told = &answer["data"]["localize"];
    let narrow = told["narrow"]["tokens"].as_array().unwrap().len();
    let wide = told["wide"]["tokens"].as_array().unwrap().len();
    assert!(narrow >= 1 && wide >= narrow, "{answer}");
    assert!(told["narrow"]["mass"].as_f64().unwrap() >= 0.3 - 1e-9);
    // The best cell by its path is not always the most probable one: the posterior has a prior.
    let of_level = told["l0"].as_array().unwrap();
    let best = of_level
        .iter()
        .find(|one| one["token"] == told["levels"][0]["token"])
        .unwrap();
    assert_eq!(best["probability"], told["levels"][0]["probability"]);
    let sum: f64 = told["l0"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    assert_eq!(told["l2"].as_array().unwrap().len(), 3);
    // The model of these tests has no segmenter.
    assert_eq!(told["segmentation"], Value::Null);

    let id = told["id"].as_str().unwrap();
    let scores = client.get_json(&format!("/predictions/{id}/scores/0")).await.1;
    assert_eq!(
        scores["features"][0]["properties"]["token"],
        told["l0"][0]["token"]
    );
    let overlay = client.get(&format!("/predictions/{id}/segmentation.png")).await;
    assert_eq!(overlay.status(), StatusCode::NOT_FOUND);

    // From the record, by the same service, and by one that was started later.
    let query = format!(
        "{{ prediction(id: \"{id}\") {{ detailed levels {{ token photos }} restricted scores(level: 0) {{ token }} }} }}"
    );
    let again = client.query(&query).await;
    assert_eq!(
        again["data"]["prediction"]["scores"].as_array().unwrap().len(),
        told["l0"].as_array().unwrap().len()
    );
    assert_eq!(again["data"]["prediction"]["levels"][0]["photos"], Value::Null);
    let later = self::client().await;
    let gone = later.query(&query).await;
    assert_eq!(code(&gone), "EXPIRED");
    let rest = later
        .query(&format!(
            "{{ prediction(id: \"{id}\") {{ detailed credibleRegion {{ mass }} levels {{ token }} }} }}"
        ))
        .await;
    assert_eq!(rest["data"]["prediction"]["detailed"], false);
    assert_eq!(
        rest["data"]["prediction"]["credibleRegion"]["mass"],
        told["credibleRegion"]["mass"]
    );
    let gone = later.get(&format!("/predictions/{id}/scores/0")).await;
    assert_eq!(gone.status(), StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_may_post_a_photo() {
    let world = shared().await;
    let client = client().await;
    let post = |path: &str, kind: &str, body: Vec<u8>| {
        axum::http::Request::post(path)
            .header("content-type", kind)
            .body(axum::body::Body::from(body))
            .unwrap()
    };
    let answer = client
        .send(post(
            "/localize?candidates=2&client=shell",
            "image/jpeg",
            world.photo.clone(),
        ))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = serde_json::from_slice(&bytes(answer).await).unwrap();
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(answer["client"], "shell");
    let boxed = "/localize?within=-180,-90,180,90&format=geojson&tenCrop=false&scoring=cosine";
    let geojson = client
        .send(post(boxed, "application/octet-stream", world.photo.clone()))
        .await;
    let geojson: Value = serde_json::from_slice(&bytes(geojson).await).unwrap();
    assert_eq!(geojson["type"], "FeatureCollection");

    let mut form =
        b"--b\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n".to_vec();
    form.extend_from_slice(&world.photo);
    form.extend_from_slice(b"\r\n--b--\r\n");
    let answer = client
        .send(post("/localize", "multipart/form-data; boundary=b", form))
        .await;
    let answer: Value = serde_json::from_slice(&bytes(answer).await).unwrap();
    assert_eq!(answer["fileName"], "a.jpg");

    for (path, kind, body, status, expected) in [
        (
            "/localize",
            "image/jpeg",
            b"no photo".to_vec(),
            StatusCode::BAD_REQUEST,
            "BAD_IMAGE",
        ),
        (
            "/localize",
            "text/html",
            b"<p>".to_vec(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "/localize?within=1,2,3",
            "image/png",
            Vec::new(),
            StatusCode::BAD_REQUEST,
            "INVALID_ARGUMENT",
        ),
        (
            "/localize?wihtin=1,2,3,4",
            "image/png",
            Vec::new(),
            StatusCode::BAD_REQUEST,
            "INVALID_ARGUMENT",
        ),
        (
            "/localize?format=kml",
            "image/png",
            Vec::new(),
            StatusCode::BAD_REQUEST,
            "INVALID_ARGUMENT",
        ),
        (
            "/localize",
            "multipart/form-data; boundary=b",
            b"--b--\r\n".to_vec(),
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY",
        ),
    ] {
        let refused = client.send(post(path, kind, body)).await;
        assert_eq!(refused.status(), status, "{path}");
        let refused: Value = serde_json::from_slice(&bytes(refused).await).unwrap();
        assert_eq!(code(&refused), expected, "{path}");
    }
}
