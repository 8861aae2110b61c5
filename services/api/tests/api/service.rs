//! Whole requests against a real release of a tiny planet.

use std::time::Duration;

use crate::common::{Client, World, bytes, code, config, multipart, png_header, read_json, shared};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use geosurge_api::ServeConfig;
use serde_json::{Value, json};

/// Everything that localize can tell.
const ALL: &str = "
    id releaseId createdAt photoSha256 fileName confidence entropy outsideMass cannotTell client
    location { latitude longitude }
    within { kilometres name probability }
    candidates { rank token probability location { latitude longitude }
      path { level token cosine probability }
      geocell { token level photos parent { token level children { token } } } }
    levels { level token photos probability outsideMass location { latitude longitude } }
    credibleRegion { mass areaKm2 tokens geojson }
    references { likeness distanceKilometres
      image { id releaseId location { latitude longitude } capturedAt thumbnailUrl geocell { token } } }
    scene { class name share }
    timings { stage milliseconds }
    release { id status }
    groundTruth { errorKilometres }
    geojson";

/// Leaves the form of a response: values that depend on the planet, the model or the clock are named by their kind, and
/// lists are cut to their first item.
fn form(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.truncate(1);
            items.iter_mut().for_each(form);
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let kind = match name.as_str() {
                    "id" | "prediction" => "[id]",
                    "createdAt" | "recordedAt" | "capturedAt" => "[time]",
                    "photoSha256" => "[sha256]",
                    "thumbnailUrl" => "[url]",
                    "token" | "tokens" => "[token]",
                    "cannotTell" => "[null or text]",
                    "photos" => "[count]",
                    "geometry" => "[geometry]",
                    _ => {
                        form(field);
                        continue;
                    }
                };
                *field = if field.is_array() && name == "tokens" {
                    json!([kind])
                } else {
                    json!(kind)
                };
            }
        }
        Value::Number(number) if number.is_f64() => *value = json!("[number]"),
        _ => {}
    }
}

async fn client() -> Client {
    shared().await.client(config()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_answered_whole_and_recorded() {
    let world = shared().await;
    let client = client().await;
    let mut answer = client.localize("street.jpg", &world.photo, ALL).await;
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    let id = answer["data"]["localize"]["id"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);

    // The candidates are ranked, the geometry is a map's, the probabilities grow with the distance.
    let prediction = &answer["data"]["localize"];
    let within: Vec<f64> = prediction["within"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["probability"].as_f64().unwrap())
        .collect();
    assert_eq!(within.len(), 5);
    assert!(
        within.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9),
        "{within:?}"
    );
    assert_eq!(prediction["candidates"][0]["location"], prediction["location"]);
    assert_eq!(prediction["geojson"]["features"][0]["geometry"]["type"], "Point");
    assert!(!prediction["references"].as_array().unwrap().is_empty());
    let stages: Vec<&str> = prediction["timings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["stage"].as_str().unwrap())
        .collect();
    assert_eq!(
        stages,
        [
            "queue",
            "decode",
            "preprocess",
            "segment",
            "encode",
            "search",
            "references",
            "total"
        ]
    );
    let fresh = answer["data"]["localize"].clone();
    form(&mut answer);
    // Fields that are resolved at once come in the order in which they are done.
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("localize", answer);
    });

    let recorded = client
        .query_with(
            "query($id: ID!) { prediction(id: $id) { id releaseId photoSha256 fileName confidence client levels { level }
               candidates { rank token probability } references { likeness image { id } } credibleRegion { tokens } } }",
            json!({ "id": id }),
        )
        .await;
    let recorded = &recorded["data"]["prediction"];
    assert_eq!(recorded["id"], id.as_str());
    assert_eq!(recorded["client"], "api");
    assert_eq!(recorded["levels"].as_array().unwrap().len(), 3);
    for field in ["photoSha256", "fileName", "releaseId"] {
        assert_eq!(recorded[field], fresh[field], "{field}");
    }
    assert_eq!(
        recorded["credibleRegion"]["tokens"],
        fresh["credibleRegion"]["tokens"]
    );
    let count = |of: &Value, field: &str| of[field].as_array().unwrap().len();
    assert_eq!(count(recorded, "candidates"), count(&fresh, "candidates"));
    assert_eq!(count(recorded, "references"), count(&fresh, "references"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_truth_is_recorded_with_its_error() {
    let world = shared().await;
    let client = client().await;
    let answer = client
        .localize("a.jpg", &world.photo, "id location { latitude longitude }")
        .await;
    let prediction = &answer["data"]["localize"];
    let record = "mutation($id: ID!, $lat: Float!, $lng: Float!) {
        recordGroundTruth(prediction: $id, latitude: $lat, longitude: $lng) { groundTruth { errorKilometres source } } }";
    let place = &prediction["location"];
    let there = json!({ "id": prediction["id"], "lat": place["latitude"], "lng": place["longitude"] });
    let told = client.query_with(record, there).await;
    let truth = &told["data"]["recordGroundTruth"]["groundTruth"];
    assert_eq!(truth["source"], "person", "{told}");
    assert!(truth["errorKilometres"].as_f64().unwrap() < 1e-6);

    let nowhere = client
        .query_with(record, json!({ "id": prediction["id"], "lat": 91.0, "lng": 0.0 }))
        .await;
    assert_eq!(code(&nowhere), "INVALID_ARGUMENT");
    let unknown = json!({ "id": "01920000-0000-7000-8000-000000000000", "lat": 1.0, "lng": 2.0 });
    assert_eq!(code(&client.query_with(record, unknown).await), "NOT_FOUND");
    let listed = client
        .query("{ predictions(first: 500, withGroundTruth: true) { nodes { id groundTruth { source } } } }")
        .await;
    let nodes = listed["data"]["predictions"]["nodes"].as_array().unwrap();
    assert!(
        nodes
            .iter()
            .any(|node| node["id"] == prediction["id"] && node["groundTruth"]["source"] == "person")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_photo_of_a_batch_has_its_own_fate() {
    let world = shared().await;
    let client = client().await;
    let photo = &world.photo;
    let truncated = &photo[..photo.len() / 2];
    let operations = json!({
        "query": "mutation($p: [Upload!]!) { localizeBatch(photos: $p) {
            index fileName prediction { confidence } error { code reason message } } }",
        "variables": { "p": [null, null, null, null] },
    });
    let map = json!({ "a": ["variables.p.0"], "b": ["variables.p.1"], "c": ["variables.p.2"], "d": ["variables.p.3"] });
    let bomb = png_header(30_000, 30_000);
    let files = [
        ("a", "good.jpg", photo.as_slice()),
        ("b", "cut.jpg", truncated),
        ("c", "note.txt", b"no photo at all".as_slice()),
        ("d", "bomb.png", bomb.as_slice()),
    ];
    let (status, answer) = client.upload(&operations, &map, &files).await;
    assert_eq!(status, StatusCode::OK);
    let results = answer["data"]["localizeBatch"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    let codes: Vec<_> = results.iter().map(|one| one["error"]["code"].as_str()).collect();
    assert_eq!(
        codes,
        [None, Some("BAD_IMAGE"), Some("BAD_IMAGE"), Some("TOO_LARGE")]
    );
    assert!(results[0]["prediction"]["confidence"].as_f64().unwrap() > 0.0);
    let names: Vec<_> = results
        .iter()
        .map(|one| one["fileName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["good.jpg", "cut.jpg", "note.txt", "bomb.png"]);
    assert_eq!(results[1]["error"]["reason"], "truncated");
    assert_eq!(results[2]["error"]["reason"], "not-an-image");
    assert!(
        results[3]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("30000 x 30000")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_photos_are_refused_with_a_code() {
    let world = shared().await;
    let client = client().await;
    for (name, content, expected) in [
        ("empty.jpg", Vec::new(), "BAD_IMAGE"),
        ("cut.jpg", world.photo[..200].to_vec(), "BAD_IMAGE"),
        ("page.html", b"<html></html>".to_vec(), "BAD_IMAGE"),
        ("bomb.png", png_header(30_000, 30_000), "TOO_LARGE"),
    ] {
        let answer = client.localize(name, &content, "id").await;
        assert_eq!(code(&answer), expected, "{name}: {answer}");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_above_the_limits_are_refused() {
    let world = shared().await;
    let small = ServeConfig {
        max_upload_bytes: 10_000,
        max_request_bytes: 40_000,
        max_photos: 3,
        ..config()
    };
    let client = world.client(small).await;
    let operations = json!({ "query": "mutation($p: Upload!) { localize(photo: $p) { id } }", "variables": { "p": null } });
    let map = json!({ "0": ["variables.p"] });
    for size in [10_001, 200_000] {
        let zeros = vec![0; size];
        let (status, answer) = client
            .upload(&operations, &map, &[("0", "big.jpg", &zeros)])
            .await;
        assert_eq!(
            (status, code(&answer)),
            (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
            "{size}: {answer}"
        );
    }
    // Without a length in the header the body is counted as it comes.
    let (parts, body) = multipart(&operations, &map, &[("0", "big.jpg", &vec![0; 200_000])]).into_parts();
    let streamed = Request::from_parts(parts, Body::from_stream(body.into_data_stream()));
    let (status, answer) = read_json(client.send(streamed).await).await;
    assert_eq!(
        (status, code(&answer)),
        (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE")
    );

    let long = format!("{{ releases {{ id }} }} # {}", "x".repeat(1 << 20));
    let roomy = world.client(config()).await;
    assert_eq!(code(&roomy.query(&long).await), "TOO_LARGE");

    let many = json!({ "query": "mutation($p: [Upload!]!) { localizeBatch(photos: $p) { index } }",
        "variables": { "p": [null, null, null, null] } });
    let map = json!({ "0": ["variables.p.0", "variables.p.1", "variables.p.2", "variables.p.3"] });
    let (_, answer) = client.upload(&many, &map, &[("0", "a.jpg", b"x")]).await;
    assert_eq!(code(&answer), "TOO_LARGE", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_are_refused() {
    let client = client().await;
    let post = |kind: &str, body: &str| {
        Request::post("/graphql")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let query = json!({ "query": "{ releases { id } }" }).to_string();
    for (request, status, expected) in [
        (
            post("text/plain", &query),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            post("application/x-www-form-urlencoded", "query=x"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            post("application/json", "{"),
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY",
        ),
        (
            post("application/json", &format!("[{query},{query}]")),
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY",
        ),
        (
            post("multipart/form-data", "x"),
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY",
        ),
        (
            post(
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"operations\"\r\nContent-Type: multipart/mixed\r\n\r\n{}\r\n--b--\r\n",
            ),
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY",
        ),
    ] {
        let (found, answer) = read_json(client.send(request).await).await;
        assert_eq!((found, code(&answer)), (status, expected), "{answer}");
    }
    let mut foreign = post("application/json", &query);
    foreign
        .headers_mut()
        .insert(header::ORIGIN, "https://elsewhere.example".parse().unwrap());
    foreign
        .headers_mut()
        .insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
    let (status, answer) = read_json(client.send(foreign).await).await;
    assert_eq!((status, code(&answer)), (StatusCode::FORBIDDEN, "CROSS_ORIGIN"));
    assert_eq!(client.get("/graphql").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_and_dear_queries_are_refused() {
    let client = client().await;
    let deep = format!(
        "{{ geocell(token: \"1\") {{ {} token {} }} }}",
        "parent { ".repeat(20),
        "}".repeat(20)
    );
    let answer = client.query(&deep).await;
    assert_eq!(code(&answer), "INVALID_QUERY");
    assert!(
        answer["errors"][0]["message"].as_str().unwrap().contains("deep"),
        "{answer}"
    );
    let dear =
        "{ geocells(level: 0, first: 500) { nodes { children { children { children { token } } } } } }";
    let answer = client.query(dear).await;
    assert_eq!(code(&answer), "INVALID_QUERY");
    assert!(
        answer["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("complex"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_null_or_named() {
    let client = client().await;
    let nothing = client
        .query(
            "{ release(id: \"other\") { id } geocell(token: \"0000004\") { token }
               prediction(id: \"01920000-0000-7000-8000-000000000000\") { id } }",
        )
        .await;
    assert_eq!(
        nothing["data"],
        json!({ "release": null, "geocell": null, "prediction": null }),
        "{nothing}"
    );
    for (query, expected) in [
        ("{ geocell(token: \"xyz\") { token } }", "INVALID_ARGUMENT"),
        ("{ prediction(id: \"seven\") { id } }", "INVALID_ARGUMENT"),
        ("{ release(id: \"../etc\") { id } }", "INVALID_ARGUMENT"),
        ("{ geocells(level: 99) { nodes { token } } }", "INVALID_ARGUMENT"),
        (
            "{ geocells(level: 0, first: 501) { nodes { token } } }",
            "INVALID_ARGUMENT",
        ),
        (
            "{ geocells(level: 0, after: \"zzz\") { nodes { token } } }",
            "INVALID_ARGUMENT",
        ),
        (
            "{ geocells(level: 0, release: \"other\") { nodes { token } } }",
            "NOT_FOUND",
        ),
        ("{ nonsense }", "INVALID_QUERY"),
    ] {
        assert_eq!(code(&client.query(query).await), expected, "{query}");
    }
    for path in [
        "/references/first/01920000-0000-7000-8000-000000000000/image",
        "/references/other/01920000-0000-7000-8000-000000000000/image",
        "/references/first/seven/image",
        "/references/..%2f..%2fetc/passwd/image",
        "/nothing",
    ] {
        assert_eq!(client.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cover_a_level_and_relatives_fit() {
    let client = client().await;
    let mut tokens = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = client
            .query_with(
                "query($after: String) { geocells(level: 2, first: 3, after: $after) {
                   nodes { token level parent { token level children { token } } outline location { latitude } }
                   pageInfo { hasNextPage endCursor } } }",
                json!({ "after": after }),
            )
            .await;
        let page = &page["data"]["geocells"];
        for cell in page["nodes"].as_array().unwrap() {
            assert_eq!(
                (cell["level"].as_u64(), cell["parent"]["level"].as_u64()),
                (Some(2), Some(1))
            );
            let siblings = cell["parent"]["children"].as_array().unwrap();
            assert!(siblings.iter().any(|one| one["token"] == cell["token"]));
            assert!(cell["outline"]["type"].as_str().unwrap().ends_with("Polygon"));
            tokens.push(cell["token"].as_str().unwrap().to_owned());
        }
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let release = client
        .query("{ activeRelease { id status levels { level geocells } geocells referenceImages } }")
        .await;
    let release = &release["data"]["activeRelease"];
    assert_eq!(
        (release["id"].as_str(), release["status"].as_str()),
        (Some("first"), Some("ACTIVE"))
    );
    assert_eq!(release["levels"][2]["geocells"], tokens.len());
    let sum: u64 = release["levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["geocells"].as_u64().unwrap())
        .sum();
    assert_eq!(release["geocells"], sum);
    let mut unique = tokens.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), tokens.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_images_by_cell_and_by_distance() {
    let world = shared().await;
    let client = client().await;
    let all = client.query("{ referenceImages(first: 500) { nodes { id location { latitude longitude } geocell { token } } } }").await;
    let all = all["data"]["referenceImages"]["nodes"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(all.len(), world.dataset.len());

    let cell = all
        .iter()
        .find_map(|image| image["geocell"]["token"].as_str())
        .unwrap();
    let expected: Vec<&str> = all
        .iter()
        .filter(|image| image["geocell"]["token"] == cell)
        .map(|image| image["id"].as_str().unwrap())
        .collect();
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = client
            .query_with(
                "query($cell: String, $after: String) { referenceImages(cell: $cell, first: 2, after: $after) {
                   nodes { id } pageInfo { hasNextPage endCursor } } }",
                json!({ "cell": cell, "after": after }),
            )
            .await;
        let page = &page["data"]["referenceImages"];
        found.extend(
            page["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|image| image["id"].as_str().unwrap().to_owned()),
        );
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(found, expected);

    let here = &all[0]["location"];
    let near = json!({ "latitude": here["latitude"], "longitude": here["longitude"], "kilometres": 500.0 });
    let answer = client
        .query_with(
            "query($near: Near) { referenceImages(near: $near, first: 500) { nodes { id location { latitude longitude } } } }",
            json!({ "near": near }),
        )
        .await;
    let place = |of: &Value| {
        geocells::LatLng::new(
            of["latitude"].as_f64().unwrap(),
            of["longitude"].as_f64().unwrap(),
        )
        .unwrap()
    };
    let from = place(here);
    let nodes = answer["data"]["referenceImages"]["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    let kilometres: Vec<f64> = nodes
        .iter()
        .map(|one| from.distance(place(&one["location"])).get())
        .collect();
    assert!(kilometres.windows(2).all(|pair| pair[0] <= pair[1]));
    let inside = all
        .iter()
        .filter(|one| from.distance(place(&one["location"])).get() <= 500.0)
        .count();
    assert_eq!(kilometres.len(), inside);
    let both = client
        .query_with(
            "query($near: Near) { referenceImages(cell: \"1\", near: $near) { nodes { id } } }",
            json!({ "near": near }),
        )
        .await;
    assert_eq!(code(&both), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbnails_are_jpegs_of_recorded_files() {
    let client = client().await;
    let answer = client
        .query("{ referenceImages(first: 1) { nodes { thumbnailUrl } } }")
        .await;
    let url = answer["data"]["referenceImages"]["nodes"][0]["thumbnailUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let response = client.get(&url).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "image/jpeg");
    let jpeg = image::load_from_memory_with_format(&bytes(response).await, image::ImageFormat::Jpeg).unwrap();
    assert_eq!((jpeg.width(), jpeg.height()), (32, 32));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_carry_headers_and_load_nothing_from_elsewhere() {
    let client = client().await;
    let built = client.get("/").await.status() == StatusCode::OK;
    for path in [
        "/",
        "/icon.svg",
        "/LICENSES.txt",
        "/map.json",
        "/schema.graphql",
        "/health/live",
    ] {
        let response = client.get(path).await;
        let of_page = ["/", "/icon.svg", "/LICENSES.txt"].contains(&path);
        let wanted = if built || !of_page {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(response.status(), wanted, "{path}");
        let headers = response.headers();
        assert!(
            headers[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let text = String::from_utf8(bytes(response).await).unwrap();
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !outside.contains("src=\"http")
                && !outside.contains("href=\"http")
                && !outside.contains("url(http"),
            "{path}"
        );
    }
    if built {
        let page = String::from_utf8(bytes(client.get("/").await).await).unwrap();
        let script = page
            .split("src=\"/")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap();
        let response = client.get(&format!("/{script}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{script}");
        assert!(
            response.headers()[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
    }
    assert_eq!(
        client.get("/assets/none.js").await.status(),
        StatusCode::NOT_FOUND
    );
    let schema = String::from_utf8(bytes(client.get("/schema.graphql").await).await).unwrap();
    assert_eq!(schema, geosurge_api::sdl());
    let console = client.get("/graphiql").await;
    if console.status() == StatusCode::NOT_FOUND {
        let text = String::from_utf8(bytes(console).await).unwrap();
        assert!(text.contains("make web"), "{text}");
    } else {
        assert_eq!(console.status(), StatusCode::OK);
        for file in [
            "graphiql.js",
            "graphiql.css",
            "react.js",
            "react-dom.js",
            "start.js",
            "start.css",
        ] {
            assert_eq!(
                client.get(&format!("/graphiql/{file}")).await.status(),
                StatusCode::OK,
                "{file}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_introspection_that_graphiql_sends_is_within_the_limits() {
    let query = "query { __schema { queryType { name } mutationType { name } types { ...F } } }
        fragment F on __Type { kind name description
          fields(includeDeprecated: true) { name args { ...I } type { ...T } }
          inputFields { ...I } interfaces { ...T } enumValues { name } possibleTypes { ...T } }
        fragment I on __InputValue { name type { ...T } defaultValue }
        fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
          ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";
    let answer = client().await.query(query).await;
    assert_eq!(answer["errors"], Value::Null, "{}", answer["errors"]);
    assert_eq!(answer["data"]["__schema"]["queryType"]["name"], "Query");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_release_the_service_waits_and_then_switches() {
    let world = World::empty().await;
    let client = world.client(config()).await;
    let refused = client.localize("a.jpg", &world.photo, "id").await;
    assert_eq!(code(&refused), "NO_ACTIVE_RELEASE");
    assert_eq!(
        code(&client.query("{ geocells(level: 0) { nodes { token } } }").await),
        "NO_ACTIVE_RELEASE"
    );
    let (status, ready) = client.get_json("/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready["reason"].as_str().unwrap().contains("no release is active"));
    assert_eq!(client.get_json("/health/live").await.0, StatusCode::OK);

    for (name, seed) in [("first", 1), ("second", 2)] {
        world.build(name, seed).await;
        let answered = answered_by(&client, &world.photo, name).await;
        assert_eq!(answered["data"]["localize"]["release"]["status"], "ACTIVE");
        let (status, summary) = client.get_json("/health").await;
        assert_eq!(
            (status, summary["release"]["id"].as_str()),
            (StatusCode::OK, Some(name))
        );
        assert_eq!(client.get_json("/health/ready").await.0, StatusCode::OK);
    }
}

/// Asks until a release answers; every answer on the way is an answer or the absence of any release.
async fn answered_by(client: &Client, photo: &[u8], release: &str) -> Value {
    for _ in 0..200 {
        let answer = client
            .localize("a.jpg", photo, "releaseId release { status }")
            .await;
        if answer["data"]["localize"]["releaseId"] == release {
            return answer;
        }
        if answer["errors"] != Value::Null {
            assert_eq!(code(&answer), "NO_ACTIVE_RELEASE", "{answer}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("release {release} never answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_instead_of_growing() {
    let world = shared().await;
    let client = world
        .client(ServeConfig {
            queue: 2,
            max_photos: 2,
            batch: 1,
            ..config()
        })
        .await;
    let asks = (0..24).map(|_| client.localize("a.jpg", &world.photo, "id"));
    let answers = futures::future::join_all(asks).await;
    let refused = answers
        .iter()
        .filter(|answer| answer["errors"] != Value::Null)
        .collect::<Vec<_>>();
    assert!(
        !refused.is_empty() && refused.len() < answers.len(),
        "{} refused",
        refused.len()
    );
    assert!(refused.iter().all(|answer| code(answer) == "OVERLOADED"));
    // The places come back.
    assert_eq!(
        client.localize("a.jpg", &world.photo, "id").await["errors"],
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_sent_together_are_answered_like_photos_alone() {
    let world = shared().await;
    let client = client().await;
    let fields = "location { latitude longitude } confidence";
    let alone = client.localize("a.jpg", &world.photo, fields).await;
    let together =
        futures::future::join_all((0..12).map(|_| client.localize("a.jpg", &world.photo, fields))).await;
    let confidence = |answer: &Value| answer["data"]["localize"]["confidence"].as_f64().unwrap();
    for answer in &together {
        assert_eq!(
            answer["data"]["localize"]["location"],
            alone["data"]["localize"]["location"]
        );
        assert!((confidence(answer) - confidence(&alone)).abs() < 1e-4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_cut_off() {
    let world = shared().await;
    let client = world
        .client(ServeConfig {
            timeout: Duration::from_nanos(1),
            ..config()
        })
        .await;
    assert_eq!(
        code(&client.localize("a.jpg", &world.photo, "id").await),
        "TIMEOUT"
    );
}
