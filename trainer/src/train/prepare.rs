//! What a run needs before anything is learnt: its tower, its split, its geocells.

use datasets::Dataset;
use geocells::{Hierarchy, LatLng};
use models::{Precision, PublishedTower, TowerOrigin};
use sha2::Digest;

use super::RunSplit;
use crate::photos::Skipped;
use crate::{Error, Result, TrainingConfig};

/// The published tower that a run starts from.
pub(super) struct PublishedStart {
    pub(super) tower: PublishedTower,
    pub(super) origin: TowerOrigin,
    pub(super) precision: Precision,
}

impl PublishedStart {
    pub(super) fn open(config: &TrainingConfig) -> Result<Option<Self>> {
        let Some(pretrained) = &config.pretrained else {
            return Ok(None);
        };
        let tower = PublishedTower::open(&pretrained.directory)?;
        tower.check(&config.model)?;
        let origin = tower.origin()?;
        tracing::info!(
            name = origin.name,
            revision = origin.revision,
            "starting from a published tower"
        );
        Ok(Some(Self {
            tower,
            origin,
            precision: pretrained.precision,
        }))
    }
}

/// Training and validation photos, without those that cannot be read.
pub(super) fn split(dataset: &Dataset, config: &TrainingConfig, skipped: &[Skipped]) -> Result<RunSplit> {
    let split = datasets::split(dataset, &config.split)?;
    let mut usable = vec![true; dataset.len()];
    skipped.iter().for_each(|s| usable[s.index] = false);
    let keep = |photos: Vec<usize>| photos.into_iter().filter(|i| usable[*i]).collect::<Vec<_>>();
    let split = RunSplit {
        train: keep(split.train),
        validation: keep(split.validation),
    };
    if split.train.is_empty() || split.validation.is_empty() {
        let first = skipped.first().map_or_else(String::new, |s| {
            format!(" (the first: {}: {})", s.file.display(), s.reason)
        });
        return Err(Error::Dataset(format!(
            "{} of {} photos could not be read{first}, which leaves {} to learn from and {} to judge by: repair or import more photos",
            skipped.len(),
            dataset.len(),
            split.train.len(),
            split.validation.len()
        )));
    }
    Ok(split)
}

/// The hierarchy of the training photos' places.
pub(super) fn partition(places: &[LatLng], split: &RunSplit, config: &TrainingConfig) -> Result<Hierarchy> {
    let training: Vec<LatLng> = split.train.iter().map(|i| places[*i]).collect();
    let hierarchy = Hierarchy::build(&training, &config.partition).map_err(|e| match e {
        geocells::Error::EmptyLevel { .. } => Error::Dataset(format!(
            "{} training photos are too few, or too far apart, to partition: {e}; lower partition.t_min (now {}), or add photos",
            training.len(),
            config.partition.t_min
        )),
        e => e.into(),
    })?;
    let finest = hierarchy.finest().len();
    if finest < 2 {
        return Err(Error::Dataset(format!(
            "the {} training photos make a single geocell at the finest level, so there is nothing to tell apart; lower the last partition.t_max (now {}) or add photos of other places",
            training.len(),
            config.partition.t_max.last().copied().unwrap_or_default()
        )));
    }
    let levels: Vec<usize> = hierarchy.levels().iter().map(|l| l.len()).collect();
    tracing::info!(photos = training.len(), ?levels, "partitioned");
    Ok(hierarchy)
}

/// At most `most` of the photos, evenly spaced; all of them when `most` is 0.
pub(super) fn thinned(photos: &[usize], most: usize) -> Vec<usize> {
    if most == 0 || photos.len() <= most {
        return photos.to_vec();
    }
    (0..most).map(|k| photos[k * photos.len() / most]).collect()
}

/// What a state must share to go on: the dataset, everything of the configuration but its budget, and the published weights.
pub(super) fn fingerprint(
    dataset: &Dataset,
    config: &TrainingConfig,
    tower: Option<&TowerOrigin>,
) -> Result<String> {
    let text = config.learning_part().to_toml()?;
    let mut hash = sha2::Sha256::new()
        .chain_update(dataset.digest())
        .chain_update(text);
    for (file, digest) in tower.iter().flat_map(|tower| &tower.files) {
        hash.update(file);
        hash.update(digest);
    }
    Ok(format!("{:x}", hash.finalize()))
}
