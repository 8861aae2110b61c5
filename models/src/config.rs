//! The shape of the networks: everything that must be known to build one, and nothing about training it.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The configuration of a model, stored as `config.json` in every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Side of the square that the networks see, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels; photo and segmentation map are cut alike.
    pub patch_size: usize,
    /// Mean of each colour channel, subtracted after scaling to 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of each colour channel.
    pub std: [f32; 3],
    /// The CLIP vision tower.
    pub vision: VisionConfig,
    /// The fusion of the photo's tokens with its segmentation map.
    pub fusion: FusionConfig,
    /// Width of visual and geographic embeddings.
    pub embedding: usize,
    /// Initial temperature of every level (paper: 0.07).
    pub temperature: f64,
    /// What the rows of a level's table are.
    #[serde(default, skip_serializing_if = "Head::is_default")]
    pub head: Head,
}

/// What the rows of a level's table are (paper, Table VI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Geographic embeddings: vectors of length 1 that photos are matched with.
    #[default]
    Embeddings,
    /// The rows of a linear softmax classifier without bias: vectors of any length, the temperature their common scale.
    Classifier,
}

impl Head {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The CLIP vision tower (ViT, pre-norm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Hidden width of the MLP of a block.
    pub intermediate: usize,
    /// Nonlinearity of the MLPs, also in the fusion blocks.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub layer_norm_epsilon: f64,
    /// How many of the last blocks are trained. The paper trains 1; a value equal to `layers` trains patch embedding,
    /// positions and the first norm as well.
    pub trainable_blocks: usize,
}

/// The semantic fusion module (paper III-B).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Number of fusion blocks (paper: 3). With 0 the photo's CLS token is used as it is and the map has no influence.
    pub blocks: usize,
    /// Width of a segmentation token (paper: 128).
    pub segmentation_width: usize,
    /// Width of the latent that keys and values are expanded from (paper: 64).
    pub latent: usize,
    /// Attention heads; divides the width of the vision tower.
    pub heads: usize,
    /// Hidden width of the MLP of a block.
    pub intermediate: usize,
    /// How a class id becomes numbers that a linear layer can take.
    pub palette: Palette,
    /// Which tokens the residual stream carries.
    pub stream: Stream,
}

/// How the class ids of a segmentation map enter the linear projection of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Palette {
    /// A learned vector for each class.
    Learned {
        /// Length of a class's vector.
        channels: usize,
    },
    /// A fixed colour for each class, as if the map were drawn and looked at.
    Fixed,
}

impl Palette {
    /// Numbers a pixel of the map contributes to its patch.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Learned { channels } => channels,
            Self::Fixed => 3,
        }
    }
}

/// Which tokens the residual stream of a fusion block carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The photo's tokens `r`, fused a little more in each block; queries always come from the segmentation tokens.
    Rgb,
    /// The segmentation tokens, lifted to the tower's width; keys and values come from the photo's tokens in the first block and
    /// from the fused ones in the next. The class token is the map's.
    Semantic,
}

/// Nonlinearity of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`: the published CLIP models, and the cheapest.
    QuickGelu,
    /// `x * Φ(x)` with the error function.
    Gelu,
    /// The tanh approximation of `Gelu`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

pub(crate) const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
pub(crate) const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl ModelConfig {
    /// The published size: CLIP ViT-L/14-336 with three fusion blocks (paper III-B and IV).
    #[must_use]
    pub fn paper() -> Self {
        Self {
            image_size: 336,
            patch_size: 14,
            mean: CLIP_MEAN,
            std: CLIP_STD,
            vision: VisionConfig {
                width: 1024,
                layers: 24,
                heads: 16,
                intermediate: 4096,
                activation: Activation::QuickGelu,
                layer_norm_epsilon: 1e-5,
                trainable_blocks: 1,
            },
            fusion: FusionConfig {
                blocks: 3,
                segmentation_width: 128,
                latent: 64,
                heads: 16,
                intermediate: 4096,
                palette: Palette::Learned { channels: 8 },
                stream: Stream::Rgb,
            },
            embedding: 768,
            temperature: 0.07,
            head: Head::Embeddings,
        }
    }

    /// The same architecture at a size that two CPU cores train from nothing in minutes.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            image_size: 64,
            patch_size: 8,
            mean: CLIP_MEAN,
            std: CLIP_STD,
            vision: VisionConfig {
                width: 96,
                layers: 3,
                heads: 4,
                intermediate: 288,
                activation: Activation::QuickGelu,
                layer_norm_epsilon: 1e-5,
                trainable_blocks: 3,
            },
            fusion: FusionConfig {
                blocks: 2,
                segmentation_width: 64,
                latent: 32,
                heads: 4,
                intermediate: 192,
                palette: Palette::Learned { channels: 4 },
                stream: Stream::Rgb,
            },
            embedding: 96,
            temperature: 0.07,
            head: Head::Embeddings,
        }
    }

    /// Patches along one side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Tokens of a photo: one a patch, and CLS in front.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.grid() * self.grid() + 1
    }

    /// Whether every parameter of the vision tower is trained.
    #[must_use]
    pub fn trains_whole_tower(&self) -> bool {
        self.vision.trainable_blocks == self.vision.layers
    }

    /// Checks that a network can be built.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field and what it must be.
    pub fn validate(&self) -> Result<()> {
        let vision = &self.vision;
        let fusion = &self.fusion;
        for (name, value) in [
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
            ("embedding", self.embedding),
            ("vision.width", vision.width),
            ("vision.layers", vision.layers),
            ("vision.heads", vision.heads),
            ("vision.intermediate", vision.intermediate),
            ("fusion.segmentation_width", fusion.segmentation_width),
            ("fusion.latent", fusion.latent),
            ("fusion.heads", fusion.heads),
            ("fusion.intermediate", fusion.intermediate),
            ("fusion.palette.channels", fusion.palette.channels()),
        ] {
            require(value > 0, || format!("{name} must be at least 1"))?;
            require(value <= 1 << 16, || {
                format!("{name} is {value}, more than any model has")
            })?;
        }
        require(self.image_size.is_multiple_of(self.patch_size), || {
            format!(
                "image_size {} must be a multiple of patch_size {}",
                self.image_size, self.patch_size
            )
        })?;
        require(self.image_size <= 4096, || {
            format!("image_size {} is more than 4096", self.image_size)
        })?;
        require(vision.layers <= 256, || {
            format!("vision.layers {} is more than 256", vision.layers)
        })?;
        require(fusion.blocks <= 256, || {
            format!("fusion.blocks {} is more than 256", fusion.blocks)
        })?;
        require(vision.width.is_multiple_of(vision.heads), || {
            format!(
                "vision.heads {} must divide vision.width {}",
                vision.heads, vision.width
            )
        })?;
        require(vision.width.is_multiple_of(fusion.heads), || {
            format!(
                "fusion.heads {} must divide vision.width {}",
                fusion.heads, vision.width
            )
        })?;
        require(vision.trainable_blocks <= vision.layers, || {
            format!(
                "vision.trainable_blocks {} is more than vision.layers {}",
                vision.trainable_blocks, vision.layers
            )
        })?;
        require(
            vision.layer_norm_epsilon.is_finite() && vision.layer_norm_epsilon > 0.0,
            || "vision.layer_norm_epsilon must be a small positive number such as 1e-5".to_owned(),
        )?;
        require(self.temperature.is_finite() && self.temperature > 0.0, || {
            format!("temperature must be a positive number, not {}", self.temperature)
        })?;
        require(self.std.iter().all(|std| std.is_finite() && *std > 0.0), || {
            "std must hold three positive numbers".to_owned()
        })?;
        require(self.mean.iter().all(|mean| mean.is_finite()), || {
            "mean must hold three finite numbers".to_owned()
        })
    }
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Config(message()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_presets_are_usable_and_survive_json() {
        for config in [ModelConfig::paper(), ModelConfig::demo()] {
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config);
        }
        assert_eq!(ModelConfig::paper().tokens(), 577);
        assert_eq!(ModelConfig::demo().tokens(), 65);
    }

    #[test]
    fn unusable_configurations_name_the_field() {
        type Spoil = fn(&mut ModelConfig);
        let cases: [(&str, Spoil); 7] = [
            ("patch_size", |c| c.patch_size = 7),
            ("vision.heads", |c| c.vision.heads = 5),
            ("fusion.heads", |c| c.fusion.heads = 7),
            ("trainable_blocks", |c| c.vision.trainable_blocks = 9),
            ("temperature", |c| c.temperature = f64::NAN),
            ("std", |c| c.std[1] = 0.0),
            ("fusion.latent", |c| c.fusion.latent = 0),
        ];
        for (word, spoil) in cases {
            let mut config = ModelConfig::demo();
            spoil(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(word), "{word}: {message}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut value = serde_json::to_value(ModelConfig::demo()).unwrap();
        value["vision"]["dropout"] = 0.1.into();
        let message = serde_json::from_value::<ModelConfig>(value)
            .unwrap_err()
            .to_string();
        assert!(message.contains("dropout"), "{message}");
    }
}
