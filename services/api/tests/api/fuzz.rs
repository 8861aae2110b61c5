//! Whatever a client sends, it gets an answer with a code: no panic, no fault of the service.

use std::sync::LazyLock;

use crate::common::{Client, bytes, config, multipart, shared};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

static WORLD: LazyLock<(Runtime, Client)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = runtime.block_on(async { shared().await.client(config()).await });
    (runtime, client)
});

/// Sends a request and checks the form of what comes back.
fn send(request: Request<Body>) -> Result<(StatusCode, Value), TestCaseError> {
    let (runtime, client) = &*WORLD;
    let (status, body) = runtime.block_on(async {
        let response = client.send(request).await;
        (response.status(), bytes(response).await)
    });
    let text = String::from_utf8_lossy(&body).into_owned();
    prop_assert!(!status.is_server_error(), "{status}: {text}");
    let value: Value =
        serde_json::from_slice(&body).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    if let Some(errors) = value["errors"].as_array() {
        for error in errors {
            let code = error["extensions"]["code"].as_str();
            prop_assert!(code.is_some_and(|code| code != "INTERNAL"), "{text}");
        }
    }
    Ok((status, value))
}

fn post(kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/graphql")
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}

/// Every field of the query type, with arguments of any kind.
fn field() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "node",
        "nodes",
        "viewer",
        "service",
        "countries",
        "release",
        "releases",
        "activeRelease",
        "geocell",
        "geocells",
        "referenceImages",
        "referenceImage",
        "similarReferenceImages",
        "prediction",
        "predictions",
        "geocellMap",
        "referenceClusters",
        "releaseDiff",
        "analyticsViews",
        "analytics",
        "auditLog",
        "__schema",
        "__typename",
        "nonsense",
    ]);
    let arguments = prop::collection::vec((argument_name(), literal()), 0..5);
    let selection = prop::sample::select(vec![
        "",
        "{ id }",
        "{ __typename }",
        "{ nodes { id } }",
        "{ nodes { id parent { id } neighbours(first: 3) { cosine } } }",
        "{ edges { cursor node { __typename } } pageInfo { endCursor } }",
        "{ total geojson }",
        "{ ...on Release { id } }",
        "{ id ...F }",
        "{ view { name } rows }",
        "{ token outline bounds { south } references path { token } }",
    ]);
    (names, arguments, selection).prop_map(|(name, arguments, selection)| {
        let arguments: Vec<String> = arguments
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let arguments = if arguments.is_empty() {
            String::new()
        } else {
            format!("({})", arguments.join(", "))
        };
        format!("{name}{arguments} {selection}")
    })
}

fn argument_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "id",
        "ids",
        "level",
        "token",
        "tokens",
        "box",
        "containing",
        "near",
        "first",
        "after",
        "release",
        "cell",
        "zoom",
        "view",
        "since",
        "until",
        "capturedSince",
        "image",
        "photo",
        "filter",
        "from",
        "to",
        "source",
        "photos",
        "prediction",
        "cannotTell",
        "photoSha256",
        "cached",
    ])
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-10_i32..20).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("SHADOW".to_owned()),
        Just("$variable".to_owned()),
        "[a-z0-9/_.:-]{0,24}".prop_map(|text| json!(text).to_string()),
        any::<String>().prop_map(|text| json!(text).to_string()),
        Just("\"first\"".to_owned()),
        Just("\"2026-01-01T00:00:00Z\"".to_owned()),
        Just("[\"first\", \"47a1cbd5\", \"first/0/1\"]".to_owned()),
        (-200.0..200.0_f64, -200.0..200.0_f64)
            .prop_map(|(a, b)| format!("{{ south: {a}, west: {b}, north: {b}, east: {a} }}")),
        (-100.0..100.0_f64, -400.0..400.0_f64)
            .prop_map(|(a, b)| format!("{{ latitude: {a}, longitude: {b} }}")),
        (-90.0..90.0_f64, any::<f64>())
            .prop_filter("finite", |(_, b)| b.is_finite())
            .prop_map(|(a, b)| format!("{{ latitude: {a}, longitude: {a}, kilometres: {b:e} }}")),
    ]
}

/// Values of any form.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "box",
            "polygon",
            "countries",
            "type",
            "coordinates",
            "south",
            "west",
            "within",
            "scoring",
            "client"
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_answered(fields in prop::collection::vec(field(), 1..4), tail in ".{0,12}") {
        let query = format!("query($variable: ID) {{ {} }} fragment F on Release {{ status }} {tail}", fields.join("\n"));
        send(post("application/json", json!({ "query": query, "variables": {} }).to_string()))?;
        let query = format!("{{ {} }}", fields.iter().enumerate().map(|(index, field)| format!("f{index}: {field}")).collect::<Vec<_>>().join(" "));
        send(post("application/json", json!({ "query": query }).to_string()))?;
    }

    #[test]
    fn any_text_and_any_json_is_answered(text in any::<Vec<u8>>(), value in json_value(), operation in json_value()) {
        send(post("application/json", text))?;
        send(post("application/json", value.to_string()))?;
        send(post("application/json", json!({ "query": "{ viewer { scope } }", "variables": value, "operationName": operation }).to_string()))?;
    }

    #[test]
    fn any_options_are_answered(options in json_value(), area in json_value()) {
        let query = "mutation($p: Upload!, $o: LocalizeOptions) { localize(photo: $p, options: $o) { id } }";
        for options in [options, json!({ "within": area.clone() }), json!({ "within": { "polygon": area } })] {
            let operations = json!({ "query": query, "variables": { "p": null, "o": options } });
            send(multipart(&operations, &json!({ "0": ["variables.p"] }), &[("0", "p", b"no photo")]))?;
        }
    }

    #[test]
    fn any_multipart_is_answered(
        operations in json_value(), map in json_value(), head in "[ -~]{0,60}", content in any::<Vec<u8>>(), kind in "[ -~]{0,40}",
        cut in 0.0..1.0_f64,
    ) {
        send(multipart(&operations, &map, &[("0", "a", &content)]))?;
        let real = json!({ "query": "mutation($p: Upload!) { localize(photo: $p) { id } }", "variables": { "p": null } });
        send(multipart(&real, &map, &[("0", "a", &content)]))?;
        let mut body = format!("--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{real}\r\n--b\r\n{head}\r\n").into_bytes();
        body.extend_from_slice(format!("Content-Disposition: form-data; name=\"0\"; filename=\"x\"\r\nContent-Type: {kind}\r\n\r\n").as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n--b--\r\n");
        body.truncate((body.len() as f64 * cut) as usize);
        send(post("multipart/form-data; boundary=b", body.clone()))?;
        let localize = Request::post("/localize").header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
        send(localize.body(body.into()).unwrap())?;
    }

    #[test]
    fn any_upload_is_answered(content in any::<Vec<u8>>(), magic in prop::sample::select(vec![&b"\xff\xd8\xff\xe0"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBPVP8 ", b"II*\0", b"BM"])) {
        let mut photo = magic.to_vec();
        photo.extend_from_slice(&content);
        let real = json!({ "query": "mutation($p: Upload!) { localize(photo: $p) { id } }", "variables": { "p": null } });
        send(multipart(&real, &json!({ "0": ["variables.p"] }), &[("0", "a", &photo)]))?;
        let localize = Request::post("/localize").header(header::CONTENT_TYPE, "image/png");
        send(localize.body(photo.into()).unwrap())?;
    }
}
