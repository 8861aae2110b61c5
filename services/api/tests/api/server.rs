//! Listening on a real port, and stopping.

use std::time::Duration;

use crate::common::{config, shared};
use geosurge_api::{Error, ServeConfig, Server, Service};
use retrieval::OpenOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

async fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_until_it_is_told_to_stop() {
    let world = shared().await;
    let config = ServeConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        ..config()
    };
    let server = Server::bind(world.service(config.clone()).await).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    assert!(ask(address).await.unwrap().starts_with("HTTP/1.1 200"));

    let taken = ServeConfig { address, ..config };
    let refused = Server::bind(world.service(taken).await).await.err().unwrap();
    assert!(
        matches!(refused, Error::Listen { .. }) && refused.to_string().contains("--listen"),
        "{refused}"
    );

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(ask(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_is_refused() {
    let world = shared().await;
    let config = ServeConfig {
        address: "0.0.0.0:0".parse().unwrap(),
        ..config()
    };
    let (store, catalog) = (world.store.clone(), world.catalog.clone());
    let refused = Service::start(config, store, catalog, OpenOptions::default())
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, Error::PublicAddress { .. }), "{refused}");
}
