//! What a published CLIP model wants to see, from its `preprocessor_config.json`.

use std::path::Path;

use serde_json::Value;

use super::{PREPROCESSOR, bad, read_tree};
use crate::Result;

/// A published CLIP image processor: resize the shorter edge bicubically, cut out the centre, scale, normalise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedPreprocessing {
    /// Side of the square, pixels: the shorter edge and the cut alike.
    pub side: usize,
    /// Mean of each colour channel.
    pub mean: [f32; 3],
    /// Standard deviation of each colour channel.
    pub std: [f32; 3],
}

/// Pillow's number of the bicubic filter.
const BICUBIC: u64 = 3;

impl PublishedPreprocessing {
    /// Reads `preprocessor_config.json` of a published folder. `"size": 336` and `{"shortest_edge": 336}` mean the same,
    /// and so do `"crop_size": 336` and `{"height": 336, "width": 336}`; a field left out has CLIP's own value.
    ///
    /// # Errors
    /// [`crate::Error::Published`] for a missing file, and for a processor that does something else.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(PREPROCESSOR);
        let tree = read_tree(&path)?;
        let refuse = |what: String| {
            bad(
                &path,
                format!(
                    "{what}; this is not CLIP's image processor (resize the shorter edge bicubically, cut the centre, normalise), and no other is supported for the tower"
                ),
            )
        };
        for step in ["do_resize", "do_center_crop", "do_rescale", "do_normalize"] {
            if tree[step] == Value::Bool(false) {
                return Err(refuse(format!("{step} is false")));
            }
        }
        if let Some(filter) = tree["resample"].as_u64().filter(|filter| *filter != BICUBIC) {
            return Err(refuse(format!("resample is {filter}, and 3 is bicubic")));
        }
        if let Some(factor) = tree["rescale_factor"]
            .as_f64()
            .filter(|f| (f * 255.0 - 1.0).abs() > 1e-6)
        {
            return Err(refuse(format!("rescale_factor is {factor} and not 1/255")));
        }
        let side = match &tree["size"] {
            Value::Null => 224,
            size => edge(size).ok_or_else(|| refuse(format!("size is {size} and not one edge")))?,
        };
        let crop = match &tree["crop_size"] {
            Value::Null => 224,
            crop => square(crop).ok_or_else(|| refuse(format!("crop_size is {crop} and not a square")))?,
        };
        if crop != side {
            return Err(refuse(format!("size is {side} and crop_size {crop}")));
        }
        Ok(Self {
            side,
            mean: triple(&tree["image_mean"], CLIP_MEAN)
                .ok_or_else(|| refuse(format!("image_mean is {}", tree["image_mean"])))?,
            std: triple(&tree["image_std"], CLIP_STD)
                .filter(|std| std.iter().all(|std| *std > 0.0))
                .ok_or_else(|| refuse(format!("image_std is {}", tree["image_std"])))?,
        })
    }
}

const CLIP_MEAN: [f32; 3] = crate::config::CLIP_MEAN;
const CLIP_STD: [f32; 3] = crate::config::CLIP_STD;

fn number(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .and_then(|side| usize::try_from(side).ok())
        .filter(|side| (1..=4096).contains(side))
}

/// A shorter edge: a number, or `{"shortest_edge": n}`.
fn edge(value: &Value) -> Option<usize> {
    number(value).or_else(|| number(&value["shortest_edge"]))
}

/// A square: a number, `{"height": n, "width": n}`, or (in a few files) `{"shortest_edge": n}`.
fn square(value: &Value) -> Option<usize> {
    edge(value).or_else(|| {
        let (height, width) = (number(&value["height"])?, number(&value["width"])?);
        (height == width).then_some(height)
    })
}

fn triple(value: &Value, default: [f32; 3]) -> Option<[f32; 3]> {
    if value.is_null() {
        return Some(default);
    }
    let values: Vec<f32> = value
        .as_array()?
        .iter()
        .map(|value| {
            value
                .as_f64()
                .map(|value| value as f32)
                .filter(|value| value.is_finite())
        })
        .collect::<Option<_>>()?;
    values.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<PublishedPreprocessing> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(PREPROCESSOR), text).unwrap();
        PublishedPreprocessing::read(folder.path())
    }

    #[test]
    fn both_ways_of_writing_sizes_are_the_same() {
        let old = read(r#"{"crop_size": 336, "do_center_crop": true, "resample": 3, "size": 336}"#).unwrap();
        let new = read(r#"{"crop_size": {"height": 336, "width": 336}, "size": {"shortest_edge": 336}, "rescale_factor": 0.00392156862745098}"#).unwrap();
        assert_eq!(old, new);
        assert_eq!((old.side, old.mean), (336, CLIP_MEAN));
        assert_eq!(read("{}").unwrap().side, 224);
        let own = read(r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}"#).unwrap();
        assert_eq!((own.mean, own.std), ([0.5; 3], [0.25, 0.5, 1.0]));
    }

    #[test]
    fn another_processor_is_refused_by_its_field() {
        for (text, word) in [
            (r#"{"resample": 2}"#, "resample"),
            (r#"{"do_center_crop": false}"#, "do_center_crop"),
            (r#"{"size": {"height": 224, "width": 224}}"#, "size"),
            (r#"{"size": 256, "crop_size": 224}"#, "crop_size 224"),
            (
                r#"{"size": 224, "crop_size": {"height": 224, "width": 200}}"#,
                "crop_size",
            ),
            (r#"{"size": 0}"#, "size"),
            (r#"{"rescale_factor": 1.0}"#, "rescale_factor"),
            (r#"{"image_std": [0.0, 1.0, 1.0]}"#, "image_std"),
            (r#"{"image_mean": [0.5]}"#, "image_mean"),
        ] {
            let said = read(text).unwrap_err().to_string();
            assert!(
                said.contains(word) && said.contains(PREPROCESSOR),
                "{word}: {said}"
            );
        }
    }
}
