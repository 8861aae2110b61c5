//! Releases are switched under load: no request fails, and no answer is of two releases.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{Client, World, config};
use geosurge_api::ServeConfig;
use serde_json::{Value, json};

const SWITCHES: usize = 50;
const CLIENTS: usize = 32;

/// Every part of an answer that says or implies a release.
const ANSWER: &str = "releaseId release { id }
    candidates(first: 100) { token path { token } geocell { releaseId token } }
    levels { token geocell { releaseId } }
    scores(level: 2, first: 2000) { token geocell { releaseId } }
    credibleRegion { tokens } references { image { releaseId id } }";

/// The finest tokens of each release, which differ in their partition.
async fn tokens(client: &Client, release: &str) -> HashSet<String> {
    let query =
        format!("{{ geocells(level: 2, first: 500, release: \"{release}\") {{ nodes {{ token }} }} }}");
    let answer = client.query(&query).await;
    let nodes = answer["data"]["geocells"]["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| node["token"].as_str().unwrap().to_owned())
        .collect()
}

/// Why an answer is of two releases, if it is.
fn mixed(answer: &Value, cells: &BTreeMap<String, HashSet<String>>) -> Option<String> {
    let release = answer["releaseId"].as_str()?;
    let own = &cells[release];
    let mut releases = vec![answer["release"]["id"].as_str()?];
    for list in ["candidates", "levels", "scores"] {
        for item in answer[list].as_array()? {
            releases.push(item["geocell"]["releaseId"].as_str()?);
        }
    }
    for reference in answer["references"].as_array()? {
        releases.push(reference["image"]["releaseId"].as_str()?);
    }
    if let Some(other) = releases.iter().find(|other| **other != release) {
        return Some(format!("{other} in an answer of {release}"));
    }
    let finest = answer["candidates"]
        .as_array()?
        .iter()
        .chain(answer["scores"].as_array()?);
    let strangers = finest
        .filter(|item| !own.contains(item["token"].as_str().unwrap_or_default()))
        .count();
    let region = answer["credibleRegion"]["tokens"].as_array()?;
    let strange = region
        .iter()
        .filter(|token| !own.contains(token.as_str().unwrap_or_default()))
        .count();
    (strangers + strange > 0).then(|| format!("{strangers} strange cells, {strange} in the region"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_switches_under_32_clients_fail_and_mix_nothing() {
    let world = World::with_release().await;
    world.build_coarser("second", 2).await;
    let config = ServeConfig {
        poll: Duration::from_millis(20),
        ..config()
    };
    let client = world.client(config).await;
    let mut cells = BTreeMap::new();
    for release in ["first", "second"] {
        cells.insert(release.to_owned(), tokens(&client, release).await);
    }
    assert_ne!(
        cells["first"], cells["second"],
        "the releases must be told apart by their cells"
    );
    let cells = Arc::new(cells);
    let done = Arc::new(AtomicBool::new(false));
    let answered: Arc<[AtomicUsize; 2]> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (client, done, cells, answered) =
                (client.clone(), done.clone(), cells.clone(), answered.clone());
            let photo = fs_err::read(world.dataset.image_path(number)).unwrap();
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let answer = client.localize("p.jpg", &photo, ANSWER).await;
                    assert_eq!(answer["errors"], Value::Null, "{answer}");
                    let told = &answer["data"]["localize"];
                    assert_eq!(mixed(told, &cells), None, "{told}");
                    let second = usize::from(told["releaseId"] == "second");
                    answered[second].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let switch = "mutation($id: ID!) { activateRelease(id: $id) { release { id } } }";
    for number in 0..SWITCHES {
        let to = ["second", "first"][number % 2];
        let switched = client.query_with(switch, json!({ "id": to })).await;
        assert_eq!(
            switched["data"]["activateRelease"]["release"]["id"], to,
            "{switched}"
        );
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let [first, second] = [0, 1].map(|index| answered[index].load(Ordering::Relaxed));
    assert!(
        first >= CLIENTS && second >= CLIENTS,
        "{first} and {second} answers"
    );
}
