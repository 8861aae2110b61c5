//! API keys: who may do what, how often, and how exactly places are told.

use crate::common::{Client, World, code, config, multipart, read_json, shared};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use geosurge_api::{Error, LiveConfig, ServeConfig};
use serde_json::{Value, json};
use storage::{ApiKey, Scope};

fn asking() -> ServeConfig {
    ServeConfig {
        require_keys: true,
        ..config()
    }
}

/// A service that asks for keys; there is one already, without which it would not start.
async fn asked(world: &World, config: ServeConfig) -> Client {
    key(world, Scope::Reader, |_| ()).await;
    world.client(config).await
}

/// A key of the shared world, with changes.
async fn key(world: &World, scope: Scope, change: impl FnOnce(&mut ApiKey)) -> (String, ApiKey) {
    let (text, sha256) = geosurge_api::new_key();
    let mut key = ApiKey::new(format!("{scope} of a test"), sha256, scope);
    change(&mut key);
    world.catalog.insert_api_key(&key, None).await.unwrap();
    (text, key)
}

async fn ask(client: &Client, key: Option<&str>, query: &str, variables: Value) -> (StatusCode, Value) {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let body = json!({ "query": query, "variables": variables }).to_string();
    read_json(client.send(request.body(body.into()).unwrap()).await).await
}

async fn localize(client: &Client, key: &str, fields: &str, options: Value) -> Value {
    let query = format!(
        "mutation($p: Upload!, $o: LocalizeOptions) {{ localize(photo: $p, options: $o) {{ {fields} }} }}"
    );
    let operations = json!({ "query": query, "variables": { "p": null, "o": options } });
    let photo = &shared().await.photo;
    let mut request = multipart(
        &operations,
        &json!({ "0": ["variables.p"] }),
        &[("0", "p.jpg", photo)],
    );
    let value = format!("Bearer {key}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    read_json(client.send(request).await).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_but_the_need_for_one_is_told() {
    let world = shared().await;
    let (text, _) = key(world, Scope::Reader, |_| ()).await;
    let client = asked(world, asking()).await;
    let (status, told) = ask(
        &client,
        None,
        "{ viewer { keysRequired key { name } scope } service { version } }",
        json!({}),
    )
    .await;
    assert_eq!(
        (status, &told["data"]["viewer"]["keysRequired"]),
        (StatusCode::OK, &json!(true)),
        "{told}"
    );
    for query in [
        "{ releases { id } }",
        "{ viewer { scope } releases { id } }",
        "{ ...on Query { releases { id } } }",
        "{ __schema { types { name } } }",
    ] {
        let (status, refused) = ask(&client, None, query, json!({})).await;
        assert_eq!(
            (status, code(&refused)),
            (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            "{query}"
        );
    }
    for wrong in ["gsk_wrong", "secret", "", &format!("{text}x")] {
        let (status, refused) = ask(&client, Some(wrong), "{ releases { id } }", json!({})).await;
        assert_eq!(
            (status, code(&refused)),
            (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            "{wrong}"
        );
    }
    let basic = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Basic dTpw")
        .body(Body::from("{}"))
        .unwrap();
    let refused = client.send(basic).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers().contains_key(header::WWW_AUTHENTICATE));
    for path in [
        "/references/first/01920000-0000-7000-8000-000000000000/image",
        "/metrics",
        "/predictions/x/scores/0",
    ] {
        assert_eq!(
            client.get(path).await.status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    for path in ["/", "/health", "/health/live", "/health/ready"] {
        assert_eq!(client.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let (status, told) = ask(
        &client,
        Some(&text),
        "{ viewer { key { name } scope } releases { id } }",
        json!({}),
    )
    .await;
    assert_eq!(
        (status, &told["data"]["viewer"]["scope"]),
        (StatusCode::OK, &json!("READER")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_permits_its_own() {
    let world = shared().await;
    let with_photos = ServeConfig {
        photos: Some(world.photos()),
        ..asking()
    };
    let client = asked(world, with_photos).await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, key(world, scope, |_| ()).await.0));
    }
    let cases = [
        ("{ releases { id } }", Scope::Reader),
        ("{ predictions(first: 1) { nodes { id } } }", Scope::Analyst),
        ("{ analytics(view: \"volume\") { rows } }", Scope::Analyst),
        (
            "{ releaseDiff(from: \"first\", to: \"none\", source: SHADOW) { photos } }",
            Scope::Analyst,
        ),
        (
            "mutation { removeReferenceImages(ids: []) { removed } }",
            Scope::Contributor,
        ),
        (
            "mutation { activateRelease(id: \"none\") { release { id } } }",
            Scope::Admin,
        ),
        ("{ auditLog(first: 1) { nodes { action } } }", Scope::Admin),
    ];
    for (query, needed) in cases {
        for (scope, text) in &keys {
            let (_, told) = ask(&client, Some(text), query, json!({})).await;
            let forbidden = told["errors"][0]["extensions"]["code"] == "FORBIDDEN";
            assert_eq!(forbidden, *scope < needed, "{query} with {scope}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_their_own_predictions_alone() {
    let world = shared().await;
    let client = asked(world, asking()).await;
    let (mine, _) = key(world, Scope::Reader, |key| key.name = "mine".to_owned()).await;
    let (other, _) = key(world, Scope::Reader, |key| key.name = "min".to_owned()).await;
    let answer = localize(&client, &mine, "id client", json!({ "client": "tab 1" })).await;
    assert_eq!(answer["data"]["localize"]["client"], "mine/tab 1", "{answer}");
    let id = &answer["data"]["localize"]["id"];
    let query = "query($id: ID!) { prediction(id: $id) { id } node(id: $id) { id } }";
    let (_, told) = ask(&client, Some(&mine), query, json!({ "id": id })).await;
    assert_eq!(told["data"]["prediction"]["id"], *id, "{told}");
    let (_, told) = ask(&client, Some(&other), query, json!({ "id": id })).await;
    assert_eq!(code(&told), "FORBIDDEN");
    let truth = "mutation($id: ID!) { recordGroundTruth(prediction: $id, latitude: 1, longitude: 2) { id } }";
    let (_, told) = ask(&client, Some(&other), truth, json!({ "id": id })).await;
    assert_eq!(code(&told), "FORBIDDEN");
    let (_, told) = ask(&client, Some(&mine), truth, json!({ "id": id })).await;
    assert_eq!(told["errors"], Value::Null, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coarse_key_learns_no_exact_place_anywhere() {
    const KM: f64 = 400.0;
    let world = shared().await;
    let client = asked(world, asking()).await;
    let (exact, _) = key(world, Scope::Analyst, |_| ()).await;
    let (coarse, _) = key(world, Scope::Analyst, |key| key.coarsen_km = Some(KM)).await;
    let fields = "id place { region locality } location { latitude longitude } geojson
        candidates { token location { latitude longitude } path { token } geocell { id token outline location { latitude } bounds { south } } }
        levels { token location { latitude longitude } } scores(level: 2) { token } credibleRegion { tokens geojson }
        references { image { location { latitude longitude } geocell { token } } }";
    let all = [
        localize(&client, &exact, fields, json!({})).await,
        localize(&client, &coarse, fields, json!({})).await,
    ];
    let [exact_answer, coarse_answer] = all;
    assert_eq!(coarse_answer["errors"], Value::Null, "{coarse_answer}");
    let text = coarse_answer.to_string();
    // No exact coordinate, and no token of a fine cell, of the exact answer is anywhere in the coarse one.
    let mut secrets = Vec::new();
    collect(&exact_answer, "", &mut secrets);
    let fine: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    assert!(fine.len() > 30, "{}", fine.len());
    let leaked: Vec<_> = fine
        .iter()
        .filter(|secret| text.contains(secret.as_str()))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_eq!(
        coarse_answer["data"]["localize"]["place"]["locality"],
        Value::Null
    );
    let id = coarse_answer["data"]["localize"]["id"].as_str().unwrap();
    let (_, refused) = ask(
        &client,
        Some(&coarse),
        "{ analytics(view: \"predictions\") { rows } }",
        json!({}),
    )
    .await;
    assert_eq!(code(&refused), "FORBIDDEN");
    let request = Request::get(format!("/predictions/{id}/scores/2"))
        .header(header::AUTHORIZATION, format!("Bearer {coarse}"));
    let scores = read_json(client.send(request.body(Body::empty()).unwrap()).await)
        .await
        .1
        .to_string();
    assert!(!fine.iter().any(|secret| scores.contains(secret.as_str())));
}

/// Coordinates with many digits and tokens of cells finer than some 500 km.
fn collect(value: &Value, name: &str, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, into)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| collect(field, name, into)),
        Value::Number(number)
            if (name == "latitude" || name == "longitude") && number.to_string().len() > 8 =>
        {
            into.push(number.to_string());
        }
        Value::String(text) if name == "token" || name == "tokens" => {
            let cell = geocells::GeocellId::from_token(text).unwrap();
            if cell.s2_level() > 5 {
                into.push(format!("\"{text}\""));
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_rates_that_photos_count_in() {
    let world = shared().await;
    let client = asked(world, asking()).await;
    let (slow, _) = key(world, Scope::Reader, |key| key.requests_per_minute = Some(3)).await;
    for _ in 0..3 {
        let (status, _) = ask(&client, Some(&slow), "{ viewer { scope } }", json!({})).await;
        assert_eq!(status, StatusCode::OK);
    }
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    request = request.header(header::AUTHORIZATION, format!("Bearer {slow}"));
    let refused = client
        .send(
            request
                .body("{\"query\":\"{ viewer { scope } }\"}".into())
                .unwrap(),
        )
        .await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = refused.headers()[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    let (_, refused) = read_json(refused).await;
    assert_eq!(code(&refused), "RATE_LIMITED");
    assert_eq!(refused["errors"][0]["extensions"]["retryAfterSeconds"], seconds);

    let (batches, _) = key(world, Scope::Reader, |key| key.requests_per_minute = Some(4)).await;
    let operations = json!({
        "query": "mutation($p: [Upload!]!) { localizeBatch(photos: $p) { prediction { id } error { code } } }",
        "variables": { "p": vec![Value::Null; 3] },
    });
    let map = json!({ "0": ["variables.p.0"], "1": ["variables.p.1"], "2": ["variables.p.2"] });
    let photo = &world.photo;
    let files: Vec<(&str, &str, &[u8])> = ["0", "1", "2"]
        .iter()
        .map(|field| (*field, "p.jpg", photo.as_slice()))
        .collect();
    let send = || {
        let mut request = multipart(&operations, &map, &files);
        request.headers_mut().insert(
            header::AUTHORIZATION,
            format!("Bearer {batches}").parse().unwrap(),
        );
        client.send(request)
    };
    assert_eq!(send().await.status(), StatusCode::OK);
    // One of four is left, and three photos are three.
    assert_eq!(send().await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_within_seconds_and_uses_are_remembered() {
    let world = shared().await;
    let client = asked(world, asking()).await;
    let (text, made) = key(world, Scope::Reader, |_| ()).await;
    let (status, _) = ask(&client, Some(&text), "{ viewer { scope } }", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let used = async {
        loop {
            let found = world
                .catalog
                .api_key_by_sha256(&made.sha256)
                .await
                .unwrap()
                .unwrap();
            if found.last_used_at.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), used)
        .await
        .unwrap();
    world
        .catalog
        .revoke_api_key(made.id, chrono::Utc::now(), None)
        .await
        .unwrap();
    let refused = async {
        loop {
            let (status, _) = ask(&client, Some(&text), "{ viewer { scope } }", json!({})).await;
            if status == StatusCode::UNAUTHORIZED {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(8), refused)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_nobody_could_use_does_not_start() {
    let world = World::empty().await;
    let refused = world.try_service(asking()).await.err().unwrap();
    assert!(matches!(refused, Error::NoKeys), "{refused}");
    assert!(refused.to_string().contains("geosurge keys create"));
    let (_, sha256) = geosurge_api::new_key();
    let key = ApiKey::new("the first", sha256, Scope::Reader);
    world.catalog.insert_api_key(&key, None).await.unwrap();
    world.try_service(asking()).await.unwrap();
    world
        .catalog
        .revoke_api_key(key.id, chrono::Utc::now(), None)
        .await
        .unwrap();
    assert!(matches!(
        world.try_service(asking()).await.err().unwrap(),
        Error::NoKeys
    ));
    let public = ServeConfig {
        address: "0.0.0.0:0".parse().unwrap(),
        ..config()
    };
    assert!(matches!(
        world.try_service(public).await.err().unwrap(),
        Error::PublicAddress { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_while_the_service_runs() {
    let world = shared().await;
    let service = world.service(config()).await;
    let client = Client {
        router: geosurge_api::router(service.clone()),
    };
    let schema = "{ __schema { queryType { name } } }";
    assert_eq!(
        client.query(schema).await["data"]["__schema"]["queryType"]["name"],
        "Query"
    );
    assert_eq!(client.get("/schema.graphql").await.status(), StatusCode::OK);
    let strict = LiveConfig {
        introspection: false,
        graphiql: false,
        cors_origins: vec!["https://maps.example".to_owned()],
        ..LiveConfig::default()
    };
    let wrong = LiveConfig {
        cors_origins: vec!["*".to_owned()],
        ..strict.clone()
    };
    assert!(service.reload(wrong).is_err());
    assert_eq!(
        client.get("/schema.graphql").await.status(),
        StatusCode::OK,
        "a bad setting changes nothing"
    );
    service.reload(strict).unwrap();
    assert_eq!(client.query(schema).await["data"]["__schema"], Value::Null);
    assert_eq!(
        client.get("/schema.graphql").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(client.get("/graphiql").await.status(), StatusCode::NOT_FOUND);

    let preflight = |origin: &str| {
        Request::options("/graphql")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type",
            )
            .body(Body::empty())
            .unwrap()
    };
    let allowed = client.send(preflight("https://maps.example")).await;
    assert_eq!(
        allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://maps.example"
    );
    let other = client.send(preflight("https://evil.example")).await;
    assert!(!other.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    let from = |origin: &str| {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let request = request
            .header(header::ORIGIN, origin)
            .header(header::HOST, "geo.example");
        request
            .body(Body::from("{\"query\":\"{ viewer { scope } }\"}"))
            .unwrap()
    };
    assert_eq!(
        client.send(from("https://maps.example")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        client.send(from("https://evil.example")).await.status(),
        StatusCode::FORBIDDEN
    );
}
