//! Training and validation photos that have nothing to do with each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use geocells::GeocellId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Dataset, Error, Photo, Result};

/// The share of photos that must name their uploader before [`SplitBy::Auto`] splits by uploader.
const AUTO_UPLOADER_SHARE: f64 = 0.9;

/// What keeps photos together on one side of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// By uploader when at least 90 % of the photos name theirs, else by place.
    #[default]
    Auto,
    /// One uploader's photos stay together, wherever they were taken. Measures what a new person's photo of a known
    /// area would get. Photos without an uploader are kept together by place.
    Uploader,
    /// Photos of one small S2 cell stay together, whoever took them. Measures unseen places inside known areas: no
    /// validation photo has a training photo of the same spot, so accuracy at street level is a hard test, lower than by uploader.
    Place,
}

/// How to split a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// What keeps photos together.
    pub by: SplitBy,
    /// The share of photos to hold out, above 0 and below 1; 0.01 by default (paper III-C). Whole groups are held out, so the result
    /// stays at or a little below it, unless the smallest group is already larger.
    pub validation_fraction: f64,
    /// Another seed holds out other photos; the same seed and photos give the same split on every machine.
    pub seed: u64,
    /// The S2 level whose cells are "one place"; 12 by default: cells of about 2.3 km, 5 km².
    pub s2_level: u8,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            by: SplitBy::Auto,
            validation_fraction: 0.01,
            seed: 0,
            s2_level: 12,
        }
    }
}

/// The two sides of a split, as ascending indices into [`Dataset::photos`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What the photos were kept together by: never [`SplitBy::Auto`].
    pub by: SplitBy,
    /// How many groups of photos there were.
    pub groups: usize,
    /// Photos to learn from.
    pub train: Vec<usize>,
    /// Photos held out.
    pub validation: Vec<usize>,
}

/// Splits a dataset into training and validation photos, never by photo alone.
///
/// Photos that share an uploader or a place (as `config.by` says), exactly the same coordinates, or the same image
/// content (`sha256`) are always on one side. Groups are drawn at random by the seed and held out until the share is reached;
/// a group that would exceed it stays in training.
///
/// # Errors
/// [`Error::Setting`] for a share or level out of range, [`Error::Unsplittable`] when there are fewer than two groups.
pub fn split(dataset: &Dataset, config: &SplitConfig) -> Result<Split> {
    check(config)?;
    let photos = dataset.photos();
    let by = resolve(config.by, photos);
    let groups = group(photos, by, config.s2_level)?;
    if groups.len() < 2 {
        return Err(Error::Unsplittable {
            detail: describe_single(photos.len(), by),
        });
    }
    let count = groups.len();
    let held_out = hold_out(groups, photos.len(), config);
    let mut is_validation = vec![false; photos.len()];
    for index in held_out {
        is_validation[index] = true;
    }
    let (validation, train) = (0..photos.len()).partition(|index| is_validation[*index]);
    Ok(Split {
        by,
        groups: count,
        train,
        validation,
    })
}

fn check(config: &SplitConfig) -> Result<()> {
    if !(config.validation_fraction > 0.0 && config.validation_fraction < 1.0) {
        return Err(Error::Setting {
            setting: "validation_fraction",
            value: config.validation_fraction.to_string(),
            expected: "above 0 and below 1",
        });
    }
    if config.s2_level > 30 {
        return Err(Error::Setting {
            setting: "s2_level",
            value: config.s2_level.to_string(),
            expected: "0 to 30",
        });
    }
    Ok(())
}

fn resolve(by: SplitBy, photos: &[Photo]) -> SplitBy {
    if by != SplitBy::Auto {
        return by;
    }
    let named = photos.iter().filter(|photo| photo.uploader.is_some()).count();
    if named as f64 >= AUTO_UPLOADER_SHARE * photos.len() as f64 {
        SplitBy::Uploader
    } else {
        SplitBy::Place
    }
}

/// One group: its name, equal whatever the photos' order, and its photos.
struct Group {
    key: [u8; 32],
    members: Vec<usize>,
}

/// What two photos must not share across the split.
#[derive(PartialEq, Eq, Hash)]
enum Tie<'a> {
    Uploader(&'a str),
    Cell(GeocellId),
    Coordinates(u64, u64),
    Content(&'a str),
}

fn group(photos: &[Photo], by: SplitBy, s2_level: u8) -> Result<Vec<Group>> {
    let mut sets = DisjointSets::new(photos.len());
    let mut first_with: HashMap<Tie<'_>, usize> = HashMap::new();
    for (index, photo) in photos.iter().enumerate() {
        for tie in ties(photo, by, s2_level)?.into_iter().flatten() {
            match first_with.entry(tie) {
                Entry::Occupied(first) => sets.join(*first.get(), index),
                Entry::Vacant(slot) => {
                    slot.insert(index);
                }
            }
        }
    }
    let mut groups: HashMap<usize, Group> = HashMap::new();
    for (index, photo) in photos.iter().enumerate() {
        let key = photo_key(photo);
        let group = groups.entry(sets.root(index)).or_insert(Group {
            key,
            members: Vec::new(),
        });
        group.key = group.key.min(key);
        group.members.push(index);
    }
    Ok(groups.into_values().collect())
}

fn ties(photo: &Photo, by: SplitBy, s2_level: u8) -> Result<[Option<Tie<'_>>; 3]> {
    let main = match (&photo.uploader, by) {
        (Some(uploader), SplitBy::Uploader) => Tie::Uploader(uploader),
        _ => Tie::Cell(GeocellId::containing(photo.location, s2_level)?),
    };
    // Adding zero makes -0.0 and 0.0 one place.
    let coordinates = Tie::Coordinates(
        (photo.location.latitude() + 0.0).to_bits(),
        (photo.location.longitude() + 0.0).to_bits(),
    );
    Ok([
        Some(main),
        Some(coordinates),
        photo.sha256.as_deref().map(Tie::Content),
    ])
}

fn photo_key(photo: &Photo) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(photo.location.latitude().to_le_bytes());
    hasher.update(photo.location.longitude().to_le_bytes());
    hasher.update(photo.path.to_string_lossy().as_bytes());
    hasher.finalize().into()
}

fn hold_out(mut groups: Vec<Group>, photos: usize, config: &SplitConfig) -> Vec<usize> {
    groups.sort_by_cached_key(|group| {
        let mut hasher = Sha256::new();
        hasher.update(config.seed.to_le_bytes());
        hasher.update(group.key);
        <[u8; 32]>::from(hasher.finalize())
    });
    let target = ((photos as f64 * config.validation_fraction).round() as usize).clamp(1, photos - 1);
    let mut held_out = Vec::with_capacity(target);
    for group in &groups {
        if held_out.len() + group.members.len() <= target {
            held_out.extend_from_slice(&group.members);
        }
    }
    if held_out.is_empty()
        && let Some(smallest) = groups.iter().min_by_key(|group| group.members.len())
    {
        held_out.extend_from_slice(&smallest.members);
    }
    held_out
}

fn describe_single(photos: usize, by: SplitBy) -> String {
    match (photos, by) {
        (0, _) => "there are none; import photos first".into(),
        (1, _) => "there is only one; add photos of other places".into(),
        (_, SplitBy::Uploader) => format!(
            "all {photos} have one uploader or one place; split by place, or add photos of other people"
        ),
        _ => format!(
            "all {photos} were taken at one place; add photos of other places, or raise the S2 level of a place"
        ),
    }
}

/// Union-find with path halving.
struct DisjointSets {
    parents: Vec<usize>,
}

impl DisjointSets {
    fn new(size: usize) -> Self {
        Self {
            parents: (0..size).collect(),
        }
    }

    fn root(&mut self, mut item: usize) -> usize {
        while self.parents[item] != item {
            self.parents[item] = self.parents[self.parents[item]];
            item = self.parents[item];
        }
        item
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller index stays the root, so that the result does not depend on the order of joins.
        self.parents[a.max(b)] = a.min(b);
    }
}
