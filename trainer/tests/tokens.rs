//! Learning from stored tokens is learning from the photos, and tokens of another tower are refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use datasets::Dataset;
use geocells::Hierarchy;
use geosurge_trainer::augmentation::Change;
use geosurge_trainer::config::{AugmentationConfig, SegmenterConfig};
use geosurge_trainer::inputs::{Inputs, Source};
use geosurge_trainer::model::LearningModel;
use geosurge_trainer::parallel::Workers;
use geosurge_trainer::photos::PhotoCache;
use geosurge_trainer::tokens::{TokenCache, TokenSetting};
use geosurge_trainer::{Error, Progress, Result, Stage, TrainingConfig};

/// One block of two frozen; photos in files of seven.
fn config() -> TrainingConfig {
    let mut config = common::config();
    config.model.vision.trainable_blocks = 1;
    config.augmentation = AugmentationConfig::NONE;
    config.data.token_cache = true;
    config.data.token_shard = 7;
    config
}

fn photos(dataset: &Dataset, config: &TrainingConfig, folder: &Path) -> PhotoCache {
    let cache = folder.join("cache");
    PhotoCache::open(dataset, &config.model, &cache, &|_| (), &AtomicBool::new(false)).unwrap()
}

fn model(dataset: &Dataset, config: &TrainingConfig, seed: u64) -> LearningModel {
    let places: Vec<_> = dataset.photos().iter().map(|p| p.location).collect();
    let hierarchy = Hierarchy::build(&places, &config.partition).unwrap();
    LearningModel::new(&config.model, &hierarchy, seed, &Device::Cpu, true).unwrap()
}

fn open(
    folder: &Path,
    config: &TrainingConfig,
    model: &LearningModel,
    photos: &PhotoCache,
    key: &str,
    cancel_after: Option<u64>,
) -> Result<TokenCache> {
    let cancel = AtomicBool::new(false);
    let progress = |p: &Progress| {
        assert_eq!(p.stage, Stage::Tokens);
        if cancel_after.is_some_and(|most| p.done >= most) {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let setting = TokenSetting {
        config,
        model,
        workers: &Workers::new(2, &Device::Cpu).unwrap(),
        photos,
        photos_key: key,
        progress: &progress,
        cancel: &cancel,
    };
    TokenCache::open(&folder.join("tokens"), setting)
}

#[test]
fn embeddings_from_stored_tokens_differ_by_no_more_than_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 40);
    let config = config();
    let photos = photos(&dataset, &config, folder.path());
    let model = model(&dataset, &config, 1);
    // Stopped after the third file, then gone on with.
    let stopped = open(folder.path(), &config, &model, &photos, "a", Some(21)).unwrap_err();
    assert!(matches!(stopped, Error::Cancelled { .. }), "{stopped}");
    let tokens = open(folder.path(), &config, &model, &photos, "a", None).unwrap();
    let batch: Vec<(usize, Change)> = [39, 0, 7, 6, 20].map(|photo| (photo, Change::NONE)).into();
    let embed = |tokens| {
        let source = Source {
            photos: &photos,
            tokens,
            maps: true,
        };
        let inputs = Inputs::read(source, &batch).unwrap();
        model.embed(&inputs, 0..inputs.len()).unwrap().detach()
    };
    let (with, without) = (embed(Some(&tokens)), embed(None));
    let difference: Tensor = (&with - &without).unwrap().abs().unwrap();
    let largest = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(largest > 0.0, "f16 rounds something");
    assert!(largest < 2e-3, "{largest}");
}

#[test]
fn tokens_of_other_weights_preprocessing_or_photos_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 40);
    let config = config();
    let photos = photos(&dataset, &config, folder.path());
    let first = model(&dataset, &config, 1);
    let open = |config: &TrainingConfig, model: &LearningModel, key: &str| {
        open(folder.path(), config, model, &photos, key, None)
    };
    open(&config, &first, "a").unwrap();
    open(&config, &first, "a").unwrap();
    let refused = |model: &LearningModel, key: &str| {
        let error = open(&config, model, key).unwrap_err();
        assert!(matches!(error, Error::Run { .. }), "{error:?}");
        error.to_string()
    };
    let said = refused(&model(&dataset, &config, 2), "a");
    assert!(
        said.contains("another tower") && said.contains("--cache"),
        "{said}"
    );
    assert!(refused(&first, "b").contains("other photos"));
    let mut other = config.clone();
    other.model.mean[0] += 0.01;
    let said = refused(&model(&dataset, &other, 1), "a");
    assert!(said.contains("preprocessing"), "{said}");

    // The trained block is not part of what is stored.
    let tuned = model(&dataset, &config, 1);
    for (_, var, _) in tuned.parameters().trainable() {
        var.set(&(var.as_tensor() * 1.5).unwrap()).unwrap();
    }
    open(&config, &tuned, "a").unwrap();

    let file = folder.path().join("tokens/tokens-00002.f16");
    let mut bytes = fs_err::read(&file).unwrap();
    bytes[100] ^= 1;
    fs_err::write(&file, &bytes).unwrap();
    let said = open(&config, &first, "a").unwrap_err().to_string();
    assert!(
        said.contains("tokens-00002") && said.contains("checksum"),
        "{said}"
    );
    let mut unverified = config.clone();
    unverified.data.token_verify = false;
    open(&unverified, &first, "a").unwrap();
    fs_err::write(&file, &bytes[..bytes.len() - 2]).unwrap();
    let said = open(&unverified, &first, "a").unwrap_err().to_string();
    assert!(
        said.contains("tokens-00002") && said.contains("instead of"),
        "{said}"
    );
}

#[test]
fn a_run_learns_from_stored_tokens_as_from_photos() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 200);
    let mut config = config();
    config.data.token_shard = 64;
    config.log.every_steps = 1;
    for segmenter in [config.segmenter.clone(), SegmenterConfig::None] {
        config.segmenter = segmenter;
        let losses = |name: &str, token_cache: bool| {
            let mut config = config.clone();
            config.data.token_cache = token_cache;
            let name = format!("{name} {}", config.segmenter == SegmenterConfig::None);
            common::run(&dataset, &config, folder.path(), &name, false).unwrap();
            common::losses(folder.path(), &name)
        };
        let (with, without) = (losses("with", true), losses("without", false));
        assert_eq!(with.len(), without.len());
        assert_ne!(with, without, "f16 rounds something");
        for (a, b) in with.iter().zip(&without) {
            assert!((a - b).abs() < 0.01 * b, "{with:?} {without:?}");
        }
    }
}
