//! Reference images changed through the service, and a candidate release that answers unseen.

use std::time::Duration;

use crate::common::{Client, World, code, config};
use geosurge_api::{ServeConfig, ShadowConfig};
use serde_json::{Value, json};
use storage::{AuditFilter, PredictionFilter, Shadows};

const ADD: &str = "mutation($images: [NewReferenceImage!]!) { addReferenceImages(images: $images) {
    index fileName image { id releaseId location { latitude longitude } thumbnailUrl } duplicateOf { id } error { code message reason } } }";

/// A file's name, its bytes and the place that is given for it.
type Upload<'a> = (&'a str, &'a [u8], Option<(f64, f64)>);

/// Adds photos at places (by their EXIF without one).
async fn add(client: &Client, photos: &[Upload<'_>]) -> Value {
    let images: Vec<Value> = photos
        .iter()
        .map(|(_, _, place)| match place {
            Some((latitude, longitude)) => {
                json!({ "photo": null, "latitude": latitude, "longitude": longitude })
            }
            None => json!({ "photo": null }),
        })
        .collect();
    let names: Vec<String> = (0..photos.len()).map(|index| index.to_string()).collect();
    let map: serde_json::Map<String, Value> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (name.clone(), json!([format!("variables.images.{index}.photo")])))
        .collect();
    let files: Vec<(&str, &str, &[u8])> = names
        .iter()
        .zip(photos)
        .map(|(field, (name, bytes, _))| (field.as_str(), *name, *bytes))
        .collect();
    let operations = json!({ "query": ADD, "variables": { "images": images } });
    client.upload(&operations, &Value::Object(map), &files).await.1
}

fn with_photos(world: &World) -> ServeConfig {
    ServeConfig {
        photos: Some(world.photos()),
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_added_reference_image_supports_the_next_answer_until_it_is_removed() {
    let world = World::with_release().await;
    let client = world.client(with_photos(&world)).await;
    let fields = "candidates { location { latitude longitude } } references { likeness image { id } }";
    let answer = client.localize("query.jpg", &world.photo, fields).await;
    let place = &answer["data"]["localize"]["candidates"][0]["location"];
    let place = (
        place["latitude"].as_f64().unwrap(),
        place["longitude"].as_f64().unwrap(),
    );

    let added = add(
        &client,
        &[
            ("new.jpg", &world.photo, Some(place)),
            ("text.jpg", b"no image", Some(place)),
            ("no-place.jpg", &world.photo, None),
            ("again.jpg", &world.photo, Some(place)),
        ],
    )
    .await;
    let results = added["data"]["addReferenceImages"].as_array().unwrap();
    let id = results[0]["image"]["id"].as_str().unwrap();
    assert_eq!(results[0]["image"]["releaseId"], "first");
    assert_eq!(results[1]["error"]["code"], "BAD_IMAGE");
    assert_eq!(results[2]["error"]["reason"], "no-gps", "{added}");
    assert_eq!(results[3]["duplicateOf"]["id"], id);
    let twice = add(&client, &[("new.jpg", &world.photo, Some((1.0, 2.0)))]).await;
    assert_eq!(twice["data"]["addReferenceImages"][0]["duplicateOf"]["id"], id);

    let answer = client.localize("query.jpg", &world.photo, fields).await;
    let nearest = &answer["data"]["localize"]["references"][0];
    assert_eq!(nearest["image"]["id"], id, "{answer}");
    assert!(nearest["likeness"].as_f64().unwrap() > 0.999);
    let thumbnail = results[0]["image"]["thumbnailUrl"].as_str().unwrap();
    assert_eq!(client.get(thumbnail).await.status(), 200);

    let remove = format!(
        "mutation {{ removeReferenceImages(ids: [\"{id}\", \"00000000-0000-0000-0000-000000000007\"]) {{ releaseId removed unknown }} }}"
    );
    let removed = client.query(&remove).await;
    let removed = &removed["data"]["removeReferenceImages"];
    assert_eq!(removed["removed"], json!([id]));
    assert_eq!(removed["unknown"].as_array().unwrap().len(), 1);
    let answer = client.localize("query.jpg", &world.photo, fields).await;
    assert!(
        !answer["data"]["localize"]["references"].to_string().contains(id),
        "{answer}"
    );
    assert_eq!(client.get(thumbnail).await.status(), 404);
    let copies = fs_err::read_dir(world.photos().join("first")).unwrap().count();
    assert_eq!(copies, 0);
    let log = world
        .catalog
        .audit(&AuditFilter::default(), None, 2)
        .await
        .unwrap();
    assert_eq!(log[0].action, "references.removed");
    assert_eq!(log[0].actor.as_deref(), Some("api"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_service_of_this_machine_with_a_folder_changes_reference_images() {
    let world = World::with_release().await;
    let public = ServeConfig {
        address: "0.0.0.0:0".parse().unwrap(),
        allow_public: true,
        ..with_photos(&world)
    };
    for (config, word) in [(public, "other machines"), (config(), "no folder")] {
        let client = world.client(config).await;
        let refused = add(&client, &[("new.jpg", &world.photo, Some((1.0, 2.0)))]).await;
        assert_eq!(code(&refused), "FORBIDDEN", "{refused}");
        assert!(
            refused["errors"][0]["message"].as_str().unwrap().contains(word),
            "{refused}"
        );
        let refused = client
            .query("mutation { removeReferenceImages(ids: []) { removed } }")
            .await;
        assert_eq!(code(&refused), "FORBIDDEN");
    }
    let client = world.client(with_photos(&world)).await;
    let half = json!({ "query": ADD, "variables": { "images": [{ "photo": null, "latitude": 1.0 }] } });
    let map = json!({ "0": ["variables.images.0.photo"] });
    let refused = client
        .upload(&half, &map, &[("0", "a.jpg", &world.photo)])
        .await
        .1;
    assert_eq!(code(&refused), "INVALID_ARGUMENT", "{refused}");
}

fn shadowing(release: &str, share: f64, queue: usize) -> ServeConfig {
    ServeConfig {
        shadow: Some(ShadowConfig {
            release: release.parse().unwrap(),
            share,
            queue,
        }),
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_answers_unseen_and_is_compared() {
    let world = World::with_release().await;
    let candidate = world.build_ready("candidate", 2).await;
    let client = world.client(shadowing("candidate", 1.0, 64)).await;
    for index in 0..6 {
        let photo = fs_err::read(world.dataset.image_path(index)).unwrap();
        let answer = client.localize("a.jpg", &photo, "id releaseId").await;
        assert_eq!(answer["data"]["localize"]["releaseId"], "first");
        let id = answer["data"]["localize"]["id"].as_str().unwrap();
        if index < 3 {
            let truth = world.dataset.photos()[index].location;
            let record = format!(
                "mutation {{ recordGroundTruth(prediction: \"{id}\", latitude: {}, longitude: {}) {{ id }} }}",
                truth.latitude(),
                truth.longitude()
            );
            client.query(&record).await;
        }
    }
    let mut shadow = Value::Null;
    for _ in 0..100 {
        shadow = client.get_json("/health").await.1["shadow"].clone();
        if shadow["recorded"] == 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        shadow,
        json!({ "release": "candidate", "share": 1.0, "recorded": 6, "dropped": 0, "failed": 0 })
    );

    // Clients never see them.
    let listed = client
        .query("{ predictions(first: 50) { edges { node { releaseId } } } }")
        .await;
    let text = listed.to_string();
    assert!(
        text.matches("first").count() == 6 && !text.contains("candidate"),
        "{text}"
    );

    let first = "first".parse().unwrap();
    let pairs = indexer::diff::from_shadow(&first, &candidate, world.catalog.as_ref(), 100)
        .await
        .unwrap();
    assert_eq!(pairs.len(), 6);
    assert_eq!(pairs.iter().filter(|pair| pair.truth.is_some()).count(), 3);
    let diff = indexer::diff::compare(first, candidate.clone(), "queries", &pairs).unwrap();
    assert_eq!((diff.photos, diff.same_geocell.len()), (6, 3));
    assert_eq!(diff.accuracy_a.unwrap().n, 3);

    // Once it is active there is nothing to compare any more.
    world.catalog.activate(&candidate).await.unwrap();
    for _ in 0..100 {
        if client.get_json("/health").await.1["release"]["id"] == "candidate" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.localize("a.jpg", &world.photo, "id").await;
    let only = PredictionFilter {
        shadows: Shadows::Only,
        ..PredictionFilter::default()
    };
    assert_eq!(
        world.catalog.predictions(&only, None, 100).await.unwrap().len(),
        6
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_cannot_keep_up_is_left_behind() {
    let world = World::with_release().await;
    world.build_ready("candidate", 2).await;
    let client = world.client(shadowing("candidate", 1.0, 1)).await;
    let asked = 24;
    let answers =
        futures::future::join_all((0..asked).map(|_| client.localize("a.jpg", &world.photo, "id"))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer["data"]["localize"]["id"].is_string())
    );
    let total = |shadow: &Value| {
        ["recorded", "dropped", "failed"]
            .iter()
            .map(|key| shadow[key].as_u64().unwrap())
            .sum::<u64>()
    };
    let mut shadow = Value::Null;
    for _ in 0..200 {
        shadow = client.get_json("/health").await.1["shadow"].clone();
        if total(&shadow) == asked {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(total(&shadow), asked, "{shadow}");
    assert_eq!(shadow["failed"], 0);
    assert!(shadow["dropped"].as_u64().unwrap() > 0, "{shadow}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_must_exist_and_its_share_make_sense() {
    let world = World::with_release().await;
    for (config, word) in [
        (shadowing("absent", 0.5, 8), "absent"),
        (shadowing("first", 0.0, 8), "shadow.share"),
        (shadowing("first", 1.5, 8), "shadow.share"),
        (shadowing("first", 0.5, 0), "shadow.queue"),
    ] {
        let started = world.try_service(config).await;
        let error = started.err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}
