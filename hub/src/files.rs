//! Which of a model's files are worth having.

use crate::{Error, Result};

/// Files beside the weights, of which the first must be there.
const BESIDE: [&str; 2] = ["config.json", "preprocessor_config.json"];
const SAFETENSORS: &str = "model.safetensors";
/// The index of sharded weights.
pub(crate) const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// The files to fetch of those that there are: configuration, preprocessing, and the weights in one form. The shards of an
/// index are found in it later.
pub(crate) fn choose<'a>(name: &str, there: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<String>> {
    let has = |file: &str| there.clone().any(|other| other == file);
    if !has(BESIDE[0]) {
        return Err(Error::NoWeights {
            name: name.to_owned(),
            what: format!("no {}", BESIDE[0]),
        });
    }
    let mut files: Vec<String> = BESIDE
        .iter()
        .filter(|file| has(file))
        .map(|file| (*file).to_owned())
        .collect();
    match [SAFETENSORS, INDEX, PICKLE].iter().find(|file| has(file)) {
        Some(weights) => files.push((*weights).to_owned()),
        None => {
            return Err(Error::NoWeights {
                name: name.to_owned(),
                what: format!("none of {SAFETENSORS}, {INDEX} and {PICKLE}"),
            });
        }
    }
    Ok(files)
}

/// The shards that an index names, each a file beside it.
pub(crate) fn shards(name: &str, index: &[u8]) -> Result<Vec<String>> {
    let bad = |what: &str| Error::NoWeights {
        name: name.to_owned(),
        what: format!("an index of shards that {what}"),
    };
    let tree: serde_json::Value = serde_json::from_slice(index).map_err(|_| bad("is no JSON"))?;
    let map = tree["weight_map"]
        .as_object()
        .ok_or_else(|| bad("has no weight_map"))?;
    let mut shards: Vec<String> = Vec::new();
    for file in map.values() {
        let file = file
            .as_str()
            .filter(|file| is_plain_name(file))
            .ok_or_else(|| bad("names files elsewhere"))?;
        if !shards.iter().any(|known| known == file) {
            shards.push(file.to_owned());
        }
    }
    shards.sort();
    Ok(shards)
}

/// A name that stays in its folder and is none of ours.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\', '\0'])
        && name.ends_with(".safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_are_preferred_and_a_model_without_weights_refused() {
        let all = [
            "README.md",
            "pytorch_model.bin",
            "model.safetensors",
            "config.json",
            "tf_model.h5",
        ];
        assert_eq!(
            choose("a/b", all.into_iter()).unwrap(),
            ["config.json", "model.safetensors"]
        );
        let pickle = ["pytorch_model.bin", "config.json", "preprocessor_config.json"];
        assert_eq!(
            choose("a/b", pickle.into_iter()).unwrap(),
            ["config.json", "preprocessor_config.json", "pytorch_model.bin"]
        );
        let said = choose("a/b", ["config.json", "tf_model.h5"].into_iter())
            .unwrap_err()
            .to_string();
        assert!(said.contains("a/b has none of"), "{said}");
        assert!(choose("a/b", ["model.safetensors"].into_iter()).is_err());
    }

    #[test]
    fn shards_stay_beside_their_index() {
        let index = br#"{"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}"#;
        assert_eq!(shards("a/b", index).unwrap(), ["a.safetensors", "b.safetensors"]);
        for bad in [
            "{}",
            "[",
            r#"{"weight_map": {"x": "../a.safetensors"}}"#,
            r#"{"weight_map": {"x": 1}}"#,
        ] {
            assert!(shards("a/b", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
