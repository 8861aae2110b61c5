//! The 150 classes of ADE20K scene parsing, as the published segmentation models number them (0-based).

/// How many classes there are; a segmentation map's ids are below this.
pub const CLASSES: usize = 150;

/// The id of a pixel that belongs to no class.
pub const UNLABELLED: u8 = 255;

/// The classes' names; the index is the id.
#[rustfmt::skip]
pub const NAMES: [&str; CLASSES] = [
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair",
    "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field",
    "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion",
    "base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace",
    "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway",
    "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel",
    "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television receiver",
    "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet",
    "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher",
    "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan",
    "pier", "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
];

/// The name of a class, `"unlabelled"` for [`UNLABELLED`], or `None` for any other id.
#[must_use]
pub fn name(id: u8) -> Option<&'static str> {
    if id == UNLABELLED {
        return Some("unlabelled");
    }
    NAMES.get(usize::from(id)).copied()
}

/// The id of a class, by its exact name.
#[must_use]
pub fn id(name: &str) -> Option<u8> {
    let index = NAMES.iter().position(|known| *known == name)?;
    u8::try_from(index).ok()
}

/// A colour for each class, for people's eyes: distinct, bright enough to see, the same on every run.
///
/// Hues walk round the circle by the golden angle, so that neighbouring ids differ most; lightness and saturation
/// alternate so that the 150 stay apart. Unlabelled pixels (and unknown ids) are black.
#[must_use]
pub fn colour(id: u8) -> [u8; 3] {
    if usize::from(id) >= CLASSES {
        return [0, 0, 0];
    }
    let hue = (f64::from(id) * 137.507_764).rem_euclid(360.0);
    let lightness = [0.42, 0.58, 0.72][usize::from(id) % 3];
    let saturation = [0.85, 0.55][usize::from(id) / 3 % 2];
    rgb_from_hsl(hue, saturation, lightness)
}

fn rgb_from_hsl(hue: f64, saturation: f64, lightness: f64) -> [u8; 3] {
    let amplitude = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0).rem_euclid(12.0);
        let value = lightness - amplitude * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    [channel(0.0), channel(8.0), channel(4.0)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        assert_eq!(NAMES.iter().collect::<HashSet<_>>().len(), CLASSES);
        for (index, class) in NAMES.iter().enumerate() {
            assert_eq!(id(class).map(usize::from), Some(index));
        }
    }

    #[test]
    fn well_known_ids_are_in_their_places() {
        for (class, expected) in [
            ("wall", 0),
            ("sky", 2),
            ("person", 12),
            ("car", 20),
            ("sea", 26),
            ("streetlight", 87),
            ("bicycle", 127),
            ("flag", 149),
        ] {
            assert_eq!(id(class), Some(expected), "{class}");
        }
        assert_eq!(name(150), None);
        assert_eq!(name(UNLABELLED), Some("unlabelled"));
    }

    #[test]
    fn colours_are_distinct_and_never_the_unlabelled_black() {
        let colours: HashSet<_> = (0..150).map(colour).collect();
        assert_eq!(colours.len(), CLASSES);
        assert!(!colours.contains(&colour(UNLABELLED)));
    }
}
