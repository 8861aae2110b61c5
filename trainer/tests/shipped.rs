//! Every shipped configuration, its networks shrunk, trains from end to end and leaves a whole run folder.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use geosurge_trainer::config::{SHIPPED, SegmenterConfig};
use geosurge_trainer::provenance::RunProvenance;
use geosurge_trainer::{RunFolder, TrainingConfig};

/// The same recipe for photos of 28 px: levels, losses, schedule, data and micro-batches stay.
fn shrunk(mut config: TrainingConfig) -> TrainingConfig {
    let frozen = !config.model.trains_whole_tower();
    config.pretrained = None;
    config.threads = 2;
    config.batch_size = config.batch_size.min(48);
    config.micro_batch = config.micro_batch.min(10);
    config.budget.epochs = 2;
    config.budget.max_seconds = None;
    config.validation_photos = 30;
    config.split.validation_fraction = 0.2;
    config.partition.t_min = 3;
    let levels = config.partition.t_max.len() as u64;
    config.partition.t_max = (0..levels).map(|level| 150 / (1 + level)).collect();
    config.data.token_shard = 64;
    config.log.every_steps = 1;
    if let SegmenterConfig::Compact { steps, .. } = &mut config.segmenter {
        *steps = 10;
    }
    let model = &mut config.model;
    (model.image_size, model.patch_size) = (28, 14);
    model.embedding = 16;
    model.vision.width = 32;
    model.vision.heads = 4;
    model.vision.layers = 3;
    model.vision.intermediate = 64;
    model.vision.trainable_blocks = if frozen { model.vision.trainable_blocks } else { 3 };
    model.fusion.heads = 4;
    model.fusion.segmentation_width = 16;
    model.fusion.latent = 8;
    model.fusion.intermediate = 32;
    config
}

#[test]
fn they_all_train() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 240);
    for (name, _) in SHIPPED {
        let config = shrunk(TrainingConfig::shipped(name).unwrap());
        // Folders of their own: stored tokens of one tower are refused for another.
        let own = folder.path().join(format!("for {name}"));
        let report = common::run(&dataset, &config, &own, "run", false).unwrap();
        let run = RunFolder::new(own.join("run"));
        assert_eq!(report.cells.len(), 7, "{name}");
        assert!(common::losses(&own, "run").iter().all(|loss| loss.is_finite()));
        assert!(run.checkpoint().is_dir());

        let resolved = TrainingConfig::read(&run.config()).unwrap();
        assert_eq!(resolved, config);
        let text = fs_err::read_to_string(run.config()).unwrap();
        assert!(
            text.contains("smoothing_km") && text.contains("prefetch"),
            "defaults are written out"
        );

        let text = fs_err::read_to_string(run.provenance()).unwrap();
        let made: RunProvenance = serde_json::from_str(&text).unwrap();
        assert_eq!((made.seed, made.dataset.photos), (config.seed, 240));
        assert_eq!(made.dataset.digest, dataset.digest());
        assert_eq!(made.revision.as_deref(), Some("0123abc"));
        assert!(made.hardware.cores >= 1 && made.hardware.devices == ["Cpu"]);
        assert_eq!(made.starts.len(), 1);

        let page = fs_err::read_to_string(run.page()).unwrap();
        for part in [
            "Temperatures, by level",
            "path down to level 6",
            "map of errors",
            "data:image/jpeg",
            "<polyline",
        ] {
            assert!(page.contains(part), "{name}: {part}");
        }
        for outside in [
            "src=\"http",
            "href=\"http",
            "<script",
            "@import",
            "Nothing was recorded",
            "url(",
        ] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        assert!(fs_err::read_dir(run.tensorboard()).unwrap().count() == 1);
    }
}

#[test]
fn the_other_ways_of_learning_learn_too() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 150);
    type Change = fn(&mut TrainingConfig);
    let cases: [(&str, Change); 4] = [
        ("smoothed", |c| {
            c.loss.duplicates = geosurge_trainer::config::Duplicates::FullSoftmax;
            c.loss.smoothing_km = 200.0;
        }),
        ("classifier", |c| {
            c.loss.duplicates = geosurge_trainer::config::Duplicates::FullSoftmax;
            c.model.head = models::Head::Classifier;
        }),
        ("average", |c| c.optimizer.ema_decay = 0.8),
        ("steps", |c| {
            c.schedule = geosurge_trainer::config::Schedule::Step {
                epochs: 3,
                factor: 0.5,
                warmup: 0.1,
            };
        }),
    ];
    for (name, change) in cases {
        let mut config = common::config();
        config.segmenter = SegmenterConfig::None;
        config.budget.epochs = 6;
        config.log.every_steps = 1;
        config.log.html = false;
        config.log.tensorboard = false;
        change(&mut config);
        let report = common::run(&dataset, &config, folder.path(), name, false).unwrap();
        let losses = common::losses(folder.path(), name);
        assert!(losses[losses.len() - 1] < 0.95 * losses[0], "{name}: {losses:?}");
        assert!(
            report.accuracy.mean_km < report.chance.mean_km,
            "{name}: {:?} {:?}",
            report.accuracy,
            report.chance
        );
        let run = RunFolder::new(folder.path().join(name));
        assert!(!run.page().exists() && !run.tensorboard().exists());
    }
}

#[test]
fn temperatures_stay_in_their_range() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 150);
    let mut config = common::config();
    config.segmenter = SegmenterConfig::None;
    config.optimizer.learning_rate = 0.02;
    config.loss.temperature_min = 0.065;
    config.loss.temperature_max = 0.072;
    common::run(&dataset, &config, folder.path(), "run", false).unwrap();
    let text = fs_err::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let mut met = 0;
    for line in lines.filter(|line| line["kind"] == "validation") {
        for temperature in line["temperatures"].as_array().unwrap() {
            let temperature = temperature.as_f64().unwrap();
            assert!((0.0649..=0.0721).contains(&temperature), "{temperature}");
            met += usize::from(!(0.0651..=0.0719).contains(&temperature));
        }
    }
    assert!(met > 0, "no temperature met its limit");
}
