//! Published weights through the command: a tower that training starts from, segmenters that write maps for training, and
//! models that are fetched, listed and checked.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../hub/tests/fake/mod.rs"]
mod fake;
mod support;

use std::path::{Path, PathBuf};

use fake::FakeHub;
use serde_json::Value;
use support::{fail, first_photo, geosurge, index, last_json, lines_of, render, succeed, train};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models/tests/fixtures")
        .join(name)
}

/// The tests' tiny configuration with the tower of `fixtures/clip/whole`.
fn config(dir: &Path, tower: &Path, precision: &str, segmenter: &str) -> PathBuf {
    let text = fs_err::read_to_string(support::tiny_config()).unwrap();
    let text = text
        .replace("image_size = 32", "image_size = 28")
        .replace("patch_size = 8", "patch_size = 7")
        .replace("layers = 1", "layers = 4")
        .replace(
            "kind = \"compact\"\nsteps = 10\nbatch_size = 16\nlearning_rate = 3e-3",
            segmenter,
        );
    assert!(text.contains(segmenter) && text.contains("layers = 4"));
    let path = dir.join("config.toml");
    fs_err::write(
        &path,
        format!(
            "{text}\n[pretrained]\ndirectory = \"{}\"\nprecision = \"{precision}\"\n",
            tower.display()
        ),
    )
    .unwrap();
    path
}

/// A proxy that leads every tunnel to one address; returns its own.
fn proxy_to(address: String) -> std::net::SocketAddr {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    line.clear();
                }
                let mut client = client;
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .unwrap();
                let mut hub = std::net::TcpStream::connect(address).unwrap();
                let (mut from_hub, mut to_client) = (hub.try_clone().unwrap(), client);
                std::thread::spawn(move || std::io::copy(&mut from_hub, &mut to_client));
                let _ = std::io::copy(&mut reader, &mut hub);
            });
        }
    });
    own
}

#[test]
fn training_starts_from_a_published_tower_and_answers_in_ten_crops() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    render(dir, 240, 48, 4);
    // By its name, as pulled: from a folder that was carried here.
    succeed(
        geosurge(dir)
            .args(["models", "pull", "openai/tiny", "--from"])
            .arg(fixture("clip/whole")),
    );
    let path = config(
        dir,
        Path::new("openai/tiny"),
        "bf16",
        "kind = \"compact\"\nsteps = 10\nbatch_size = 16\nlearning_rate = 3e-3",
    );
    train(dir, &path);
    let read = |name: &str| fs_err::read(dir.join("run/checkpoint").join(name)).unwrap();
    let provenance: Value = serde_json::from_slice(&read("provenance.json")).unwrap();
    assert_eq!(provenance["tower"]["name"], "openai/tiny");
    assert_eq!(
        provenance["tower"]["files"]["model.safetensors"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    // Frozen blocks are the published ones to the bit, in f32; the last was trained.
    let device = candle_core::Device::Cpu;
    let load = |path: PathBuf| candle_core::safetensors::load(path, &device).unwrap();
    let published = load(fixture("clip/whole/model.safetensors"));
    let trained = load(dir.join("run/checkpoint/model.safetensors"));
    let values = |tensors: &std::collections::HashMap<String, candle_core::Tensor>, name: &str| {
        tensors[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    for name in [
        "vision_model.embeddings.class_embedding",
        "vision_model.encoder.layers.2.mlp.fc1.weight",
    ] {
        assert_eq!(values(&published, name), values(&trained, name), "{name}");
    }
    let name = "vision_model.encoder.layers.3.mlp.fc1.weight";
    assert_ne!(values(&published, name), values(&trained, name));

    index(dir);
    let photo = first_photo(dir);
    let one = last_json(&succeed(geosurge(dir).args(["localize", "--json"]).arg(&photo)));
    let ten = last_json(&succeed(
        geosurge(dir)
            .args(["localize", "--json", "--ten-crop"])
            .arg(&photo),
    ));
    assert_ne!(one["entropy"], ten["entropy"]);
    let judged = last_json(&succeed(geosurge(dir).args([
        "eval",
        "run/checkpoint",
        "planet",
        "--json",
        "--ten-crop",
    ])));
    assert_eq!(
        (judged["crops"].as_u64(), judged["photos"].as_u64()),
        (Some(10), Some(240))
    );

    // A folder of another tower is refused before anything is decoded, with what to write.
    let path = config(dir, &fixture("clip/tower"), "f32", "kind = \"none\"");
    let said = fail(
        geosurge(dir)
            .args(["train", "--dataset", "planet", "--out", "other", "--config"])
            .arg(&path),
    );
    assert!(said.contains("model.image_size is 28 and must be 40"), "{said}");
    let path = config(dir, Path::new("openai/absent"), "f32", "kind = \"none\"");
    let said = fail(
        geosurge(dir)
            .args(["train", "--dataset", "planet", "--out", "other", "--config"])
            .arg(&path),
    );
    assert!(said.contains("geosurge models pull openai/absent"), "{said}");
}

#[test]
fn a_published_segmenter_writes_maps_that_training_reads() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    render(dir, 120, 48, 4);
    let model = fixture("segmenters/segformer-a");
    let segment = |shard: &str| {
        let mut command = geosurge(dir);
        command
            .args([
                "segment",
                "--dataset",
                "planet",
                "--out",
                "planet/maps",
                "--json",
                "--shard",
                shard,
                "--model",
            ])
            .arg(&model);
        command
    };
    assert_eq!(lines_of(&succeed(&mut segment("1/2"))).len(), 60);
    let second = lines_of(&succeed(&mut segment("2/2")));
    assert_eq!(second.len(), 60);
    for line in &second {
        let map = datasets::decode_segmentation(dir.join(line["map"].as_str().unwrap())).unwrap();
        assert_eq!(map.dimensions(), (48, 48));
        let overlay = image::open(dir.join(line["overlay"].as_str().unwrap())).unwrap();
        assert!(overlay.height() > 48, "there is a legend");
    }
    // The manifest names the maps now, and a model learns from them.
    let dataset = datasets::Dataset::open(dir.join("planet")).unwrap();
    for index in 0..dataset.len() {
        let map = dataset.segmentation_path(index).unwrap();
        assert!(
            map.is_file() && map.to_str().unwrap().contains("planet/maps/"),
            "{}",
            map.display()
        );
    }
    let tower = fixture("clip/whole");
    let path = config(dir, &tower, "f32", "kind = \"precomputed\"");
    train(dir, &path);
    // A release that was built with the segmenter answers with it, and with no other.
    let with = |arguments: &[&str]| {
        let mut command = geosurge(dir);
        command.args(arguments).arg("--segmenter").arg(&model);
        command
    };
    let built = [
        "index",
        "run/checkpoint",
        "planet",
        "--name",
        "first",
        "--activate",
        "--json",
    ];
    succeed(&mut with(&built));
    let photo = dataset.image_path(0);
    let answer = last_json(&succeed(&mut with(&[
        "localize",
        "--json",
        photo.to_str().unwrap(),
    ])));
    assert!(!answer["segmentation"].as_array().unwrap().is_empty(), "{answer}");
    let said = fail(geosurge(dir).args(["localize", photo.to_str().unwrap()]));
    assert!(said.contains("segformer-"), "{said}");
    let judged = last_json(&succeed(&mut with(&[
        "eval",
        "run/checkpoint",
        "planet",
        "--json",
    ])));
    assert_eq!(judged["photos"], 120);
    // Statistics cover every pixel.
    let file = fs_err::File::open(dir.join("planet/maps/classes-1-of-2.parquet")).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file.into_parts().0).unwrap();
    let rows = parquet::file::reader::FileReader::get_row_iter(&reader, None).unwrap();
    let mut pixels = 0;
    for row in rows {
        pixels += parquet::record::RowAccessor::get_long(&row.unwrap(), 4).unwrap();
    }
    assert_eq!(pixels, 60 * 48 * 48);
}

#[test]
fn photographs_of_one_name_and_repeated_runs_overwrite_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, colour) in [
        ("a/x.png", 40_u8),
        ("b/x.png", 200),
        ("b/x.jpg", 90),
        ("b/y.png", 120),
    ] {
        let path = dir.join("photos").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([colour, (x * 6) as u8, (y * 8) as u8]))
            .save(&path)
            .unwrap();
    }
    fs_err::write(dir.join("photos/b/broken.png"), b"not a photograph").unwrap();
    let model = fixture("segmenters/segformer-a");
    let segment = || {
        let mut command = geosurge(dir);
        command
            .args(["segment", "photos", "--json", "--out", "maps", "--model"])
            .arg(&model);
        command.output().unwrap()
    };
    let output = segment();
    assert_eq!(output.status.code(), Some(1), "one could not be read");
    let lines = lines_of(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(lines.len(), 5);
    assert_eq!(lines.iter().filter(|line| line["error"].is_object()).count(), 1);
    let mut maps: Vec<&str> = lines.iter().filter_map(|line| line["map"].as_str()).collect();
    maps.sort_unstable();
    assert_eq!(
        maps,
        [
            "maps/a/x.png",
            "maps/b/x.jpg.png",
            "maps/b/x.png.png",
            "maps/y.png"
        ]
    );
    // The second run does nothing but the broken one, and the maps keep their bytes and times.
    let stamp = |name: &str| fs_err::metadata(dir.join(name)).unwrap().modified().unwrap();
    let before: Vec<_> = maps.iter().map(|map| stamp(map)).collect();
    // A photograph that changed is done again, and what a killed process left half written does not matter.
    let journal = dir.join("maps/journal.jsonl");
    let text = fs_err::read_to_string(&journal).unwrap();
    fs_err::write(&journal, &text[..text.len() - 40]).unwrap();
    image::RgbImage::new(20, 30)
        .save(dir.join("photos/a/x.png"))
        .unwrap();
    segment();
    let after: Vec<_> = maps.iter().map(|map| stamp(map)).collect();
    assert_ne!(before[0], after[0]);
    assert_eq!(image::open(dir.join(maps[0])).unwrap().width(), 20);
    assert!(
        before.iter().zip(&after).filter(|(a, b)| a == b).count() >= 2,
        "what was whole is kept"
    );
    segment();
    let third: Vec<_> = maps.iter().map(|map| stamp(map)).collect();
    assert_eq!(after, third);
    let said = fail(geosurge(dir).args(["segment", "photos", "--out", "maps", "--model", "nvidia/absent"]));
    assert!(said.contains("geosurge models pull nvidia/absent"), "{said}");
    let output = geosurge(dir)
        .args(["segment", "photos", "--out", "maps", "--shard", "5/4"])
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("3/16"));
}

#[test]
fn models_are_pulled_from_a_hub_listed_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let files: Vec<(&str, Vec<u8>)> = ["config.json", "preprocessor_config.json", "model.safetensors"]
        .map(|name| (name, fs_err::read(fixture("clip/whole").join(name)).unwrap()))
        .to_vec();
    let hub = FakeHub::start(&files);
    let command = |arguments: &[&str]| {
        let mut command = geosurge(dir);
        command
            .env("HF_ENDPOINT", &hub.address)
            .env("HF_HOME", dir.join("hf"))
            .env_remove("HF_TOKEN")
            .args(arguments);
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HF_HUB_CACHE",
        ] {
            command.env_remove(name);
        }
        command
    };
    let pulled = last_json(&succeed(&mut command(&["models", "pull", fake::NAME, "--json"])));
    assert_eq!(pulled["pulled"]["record"]["commit"], fake::COMMIT);
    assert_eq!(pulled["verified"]["missing"], serde_json::json!([]));
    let listed = lines_of(&succeed(&mut command(&["models", "list", "--json"])));
    let here: Vec<&Value> = listed.iter().filter(|line| line["here"].is_object()).collect();
    assert_eq!(here.len(), 1);
    assert_eq!(here[0]["name"], fake::NAME);
    assert!(
        listed
            .iter()
            .any(|line| line["name"] == "openai/clip-vit-large-patch14-336")
    );
    let table = succeed(&mut command(&["models", "list"]));
    assert!(
        table.contains("shi-labs/oneformer_ade20k_swin_large") && table.contains(fake::NAME),
        "{table}"
    );
    let said = succeed(&mut command(&["models", "verify", fake::NAME]));
    assert!(said.contains("every tensor is there"), "{said}");
    // Offline it is here still; another is not, and neither is a hub that refuses.
    let mut offline = command(&["models", "pull", fake::NAME]);
    assert!(succeed(offline.env("HF_HUB_OFFLINE", "1")).contains("was here already"));
    let mut offline = command(&["models", "pull", "owner/other"]);
    let said = fail(offline.env("HF_HUB_OFFLINE", "1"));
    assert!(said.contains("HF_HUB_OFFLINE"), "{said}");
    hub.wants_token("sesame");
    let said = fail(&mut command(&["models", "pull", "owner/other"]));
    assert!(said.contains("401") && said.contains("HF_TOKEN"), "{said}");
    let mut opened = command(&["models", "pull", fake::NAME]);
    succeed(opened.env("HF_TOKEN", "sesame"));

    // Through a proxy, which alone knows the way to the hub.
    let proxy = proxy_to(hub.address.trim_start_matches("http://").to_owned());
    let mut through = command(&["models", "pull", fake::NAME, "--json"]);
    through
        .env("HF_ENDPOINT", "http://hub.invalid")
        .env("HTTP_PROXY", format!("http://{proxy}"))
        .env("HF_TOKEN", "sesame");
    let pulled = last_json(&succeed(&mut through));
    assert_eq!(
        pulled["pulled"]["was_here"], true,
        "the commit is the same, as the hub said through the proxy"
    );
    fs_err::remove_dir_all(dir.join("models")).unwrap();
    let pulled = last_json(&succeed(&mut through));
    assert_eq!(pulled["pulled"]["was_here"], false);
    assert_eq!(pulled["pulled"]["record"]["source"], "http://hub.invalid");

    // A folder with a tensor too few, one too many and one misshapen.
    let spoilt = dir.join("spoilt");
    fs_err::create_dir(&spoilt).unwrap();
    for (name, bytes) in &files {
        fs_err::write(spoilt.join(name), bytes).unwrap();
    }
    let device = candle_core::Device::Cpu;
    let mut tensors = candle_core::safetensors::load(spoilt.join("model.safetensors"), &device).unwrap();
    let zeros =
        |shape: &[usize]| candle_core::Tensor::zeros(shape, candle_core::DType::F32, &device).unwrap();
    tensors.remove("vision_model.pre_layrnorm.bias").unwrap();
    tensors.insert("stray".to_owned(), zeros(&[1]));
    tensors.insert("vision_model.pre_layrnorm.weight".to_owned(), zeros(&[31]));
    candle_core::safetensors::save(&tensors, spoilt.join("model.safetensors")).unwrap();
    let output = geosurge(dir)
        .args(["models", "verify", "spoilt"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "1 missing",
        "vision_model.pre_layrnorm.bias",
        "1 extra",
        "stray",
        "1 misshapen",
        "[31] and should be [32]",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
