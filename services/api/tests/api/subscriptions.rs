//! What clients are told as it happens, over real WebSockets.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::{Client, World, code, config};
use futures::{SinkExt, StreamExt};
use geosurge_api::{ServeConfig, Server, Service, router};
use serde_json::{Value, json};
use storage::{ApiKey, NewRelease, ReleaseId, ReleaseStatus, Scope};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A listening service; it stops when this is dropped.
struct Running {
    address: SocketAddr,
    service: Service,
    _stop: oneshot::Sender<()>,
}

async fn listen(world: &World, config: ServeConfig) -> Running {
    let config = ServeConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        ..config
    };
    let service = world.service(config).await;
    let server = Server::bind(service.clone()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    Running {
        address,
        service,
        _stop: stop,
    }
}

async fn connect(address: SocketAddr, payload: Value) -> Socket {
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = connect_async(request).await.unwrap();
    send(
        &mut socket,
        json!({ "type": "connection_init", "payload": payload }),
    )
    .await;
    socket
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

async fn subscribe(socket: &mut Socket, id: &str, query: &str) {
    send(
        socket,
        json!({ "id": id, "type": "subscribe", "payload": { "query": query } }),
    )
    .await;
}

/// The next message that is not a ping, or the code of closing.
async fn next(socket: &mut Socket) -> Result<Value, u16> {
    let wait = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("nothing came")
}

async fn acknowledged(address: SocketAddr) -> Socket {
    let mut socket = connect(address, json!({})).await;
    assert_eq!(next(&mut socket).await.unwrap()["type"], "connection_ack");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_followed_from_before_it_is_sent() {
    let world = World::with_release().await;
    let running = listen(&world, config()).await;
    let mut socket = acknowledged(running.address).await;
    subscribe(
        &mut socket,
        "1",
        "subscription { batchProgress(batch: \"trip\") { total answered refused finished latest } }",
    )
    .await;
    let first = next(&mut socket).await.unwrap();
    assert_eq!(first["payload"]["data"]["batchProgress"]["total"], 0, "{first}");

    let operations = json!({
        "query": "mutation($p: [Upload!]!) { localizeBatch(photos: $p, batch: \"trip\") { error { code } } }",
        "variables": { "p": vec![Value::Null; 4] },
    });
    let map = json!({ "0": ["variables.p.0"], "1": ["variables.p.1"], "2": ["variables.p.2"], "3": ["variables.p.3"] });
    let photo = world.photo.as_slice();
    let files = [
        ("0", "a", photo),
        ("1", "b", b"no photo"),
        ("2", "c", photo),
        ("3", "d", photo),
    ];
    let client = Client {
        router: router(running.service.clone()),
    };
    let (_, answer) = client.upload(&operations, &map, &files).await;
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    let mut last = Value::Null;
    loop {
        let message = next(&mut socket).await.unwrap();
        if message["type"] == "complete" {
            break;
        }
        last = message["payload"]["data"]["batchProgress"].clone();
    }
    assert_eq!(
        (
            &last["total"],
            &last["answered"],
            &last["refused"],
            &last["finished"]
        ),
        (&json!(4), &json!(3), &json!(1), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_and_rollback_are_told_and_done() {
    let world = World::with_release().await;
    world.build_ready("second", 2).await;
    let running = listen(&world, config()).await;
    let client = Client {
        router: router(running.service.clone()),
    };
    let mut socket = acknowledged(running.address).await;
    subscribe(
        &mut socket,
        "r",
        "subscription { releaseChanges { active { id } previousActive answering releases { id status } } }",
    )
    .await;
    let told = next(&mut socket).await.unwrap();
    let told = &told["payload"]["data"]["releaseChanges"];
    assert_eq!(
        (&told["active"]["id"], &told["previousActive"]),
        (&json!("first"), &Value::Null)
    );

    let switch = "mutation { activateRelease(id: \"second\") { release { id status } previous { id } } }";
    let done = client.query(switch).await;
    assert_eq!(
        done["data"]["activateRelease"]["release"],
        json!({ "id": "second", "status": "ACTIVE" }),
        "{done}"
    );
    assert_eq!(done["data"]["activateRelease"]["previous"]["id"], "first");
    let answer = client.localize("p.jpg", &world.photo, "releaseId").await;
    assert_eq!(answer["data"]["localize"]["releaseId"], "second");
    let told = next(&mut socket).await.unwrap();
    let told = &told["payload"]["data"]["releaseChanges"];
    assert_eq!(
        (&told["active"]["id"], &told["previousActive"]),
        (&json!("second"), &json!("first")),
        "{told}"
    );

    let diff = client.query("{ releaseDiff(from: \"first\", to: \"second\", photos: 12) { photos from { id } to { id } agreement { name share } sameGeocell { level share } moved { unchanged } regions { token moved } } }").await;
    let diff = &diff["data"]["releaseDiff"];
    assert_eq!(diff["photos"], 12, "{diff}");
    assert_eq!(
        (&diff["from"]["id"], &diff["to"]["id"]),
        (&json!("first"), &json!("second"))
    );
    assert_eq!(diff["sameGeocell"].as_array().unwrap().len(), 3);

    let back = client
        .query("mutation { rollbackRelease { release { id } previous { id } passedOver { reason } } }")
        .await;
    assert_eq!(
        back["data"]["rollbackRelease"]["release"]["id"], "first",
        "{back}"
    );
    for (query, expected) in [
        (
            "mutation { activateRelease(id: \"none\") { release { id } } }",
            "NOT_FOUND",
        ),
        (
            "mutation { activateRelease(id: \"../x\") { release { id } } }",
            "INVALID_ARGUMENT",
        ),
    ] {
        assert_eq!(code(&client.query(query).await), expected);
    }
    let log = client
        .query("{ auditLog { nodes { action subject actor } } }")
        .await;
    let actions: Vec<&str> = log["data"]["auditLog"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    for wanted in ["release.activate", "api.activate", "api.rollback"] {
        assert!(actions.contains(&wanted), "{actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_followed_to_its_end() {
    let world = World::empty().await;
    let running = listen(&world, config()).await;
    let id = ReleaseId::new("new").unwrap();
    let new = NewRelease {
        id: id.clone(),
        checkpoint_id: "c0ffee".into(),
        checkpoint_path: "none".into(),
        embedding_dimension: 8,
        levels: 3,
        dataset_digest: "da7a".into(),
        store: json!({}),
    };
    world.catalog.create_release(new).await.unwrap();
    let mut socket = acknowledged(running.address).await;
    subscribe(
        &mut socket,
        "b",
        "subscription { buildProgress(release: \"new\") { release { id status } geocells finished } }",
    )
    .await;
    let first = next(&mut socket).await.unwrap();
    assert_eq!(
        first["payload"]["data"]["buildProgress"]["release"]["status"], "BUILDING",
        "{first}"
    );
    world
        .catalog
        .set_status(&id, ReleaseStatus::Failed, Some("stopped"))
        .await
        .unwrap();
    let last = next(&mut socket).await.unwrap();
    assert_eq!(
        last["payload"]["data"]["buildProgress"]["finished"], true,
        "{last}"
    );
    assert_eq!(next(&mut socket).await.unwrap()["type"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_need_what_requests_need() {
    let world = World::with_release().await;
    let (text, sha256) = geosurge_api::new_key();
    world
        .catalog
        .insert_api_key(&ApiKey::new("socket", sha256, Scope::Reader), None)
        .await
        .unwrap();
    let asking = ServeConfig {
        require_keys: true,
        ..config()
    };
    let running = listen(&world, asking).await;
    let mut nobody = connect(running.address, json!({})).await;
    assert_eq!(next(&mut nobody).await.unwrap_err(), 4403);
    let mut someone = connect(
        running.address,
        json!({ "Authorization": format!("Bearer {text}") }),
    )
    .await;
    assert_eq!(next(&mut someone).await.unwrap()["type"], "connection_ack");
    subscribe(&mut someone, "1", "subscription { nonsense }").await;
    let wrong = next(&mut someone).await.unwrap();
    assert_eq!(
        wrong["payload"]["errors"][0]["extensions"]["code"], "INVALID_QUERY",
        "{wrong}"
    );
    send(
        &mut someone,
        json!({ "id": "q", "type": "subscribe", "payload": { "query": "{ viewer { scope } }" } }),
    )
    .await;
    let mut told = next(&mut someone).await.unwrap();
    if told["type"] == "complete" {
        told = next(&mut someone).await.unwrap();
    }
    assert_eq!(told["payload"]["data"]["viewer"]["scope"], "READER", "{told}");

    let mut request = format!("ws://{}/graphql", running.address)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    request
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    assert!(connect_async(request).await.is_err());
}
