//! The hidden properties of a place, and the distance over which each changes.

use crate::field::Field;
use crate::random::{Random, mix};
use crate::sphere::Vector;

/// How far one has to travel for a property to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scale {
    /// Climate and light.
    Planetary,
    /// Vegetation and ground.
    Continental,
    /// Terrain, rock and soil.
    Regional,
    /// Roads and signs.
    Country,
    /// Architecture.
    City,
    /// A square or a street: its landmark and its shops.
    Spot,
}

impl Scale {
    /// Every scale, the coarsest first.
    pub const ALL: [Self; 6] = [
        Self::Planetary,
        Self::Continental,
        Self::Regional,
        Self::Country,
        Self::City,
        Self::Spot,
    ];

    /// Wavelength of the fields of this scale in kilometres; values are nearly unrelated beyond half of it.
    pub fn wavelength_km(self) -> f64 {
        match self {
            Self::Planetary => 15_000.0,
            Self::Continental => 6_000.0,
            Self::Regional => 2_200.0,
            Self::Country => 800.0,
            Self::City => 120.0,
            Self::Spot => 2.4,
        }
    }

    /// How much photographs of one place differ in it, relative to a city's architecture: a climate is the same everywhere
    /// in it, no two shops are.
    pub fn unsteadiness(self) -> f64 {
        match self {
            Self::Planetary => 0.3,
            Self::Continental => 0.5,
            Self::Regional => 0.7,
            Self::Country => 0.85,
            Self::City => 1.0,
            Self::Spot => 1.2,
        }
    }
}

macro_rules! latents {
    ($($name:ident, $scale:ident, $doc:literal;)*) => {
        /// A hidden property of a place; each drives something visible in a photograph.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Latent { $(#[doc = $doc] $name,)* }

        impl Latent {
            /// Every latent, the coarsest scales first.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The distance over which it changes.
            pub fn scale(self) -> Scale {
                match self { $(Self::$name => Scale::$scale,)* }
            }

            /// What it drives in a photograph.
            pub fn drives(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

latents! {
Warmth, Planetary, "Snow, dry grass, palms: mixed with the latitude";
    Humidity, Planetary, "How green the ground is, how many trees, how hazy the air";
    SkyHue, Planetary, "The sky's colour, from violet over blue to green";
    SunTint, Planetary, "The colour of daylight, from cool to warm";
    FoliageHue, Continental, "The colour of leaves";
    CrownShape, Continental, "The shape of trees: round, conifer, palm, poplar, umbrella";
    GroundHue, Continental, "The colour of grass and fields";
    Ruggedness, Regional, "Plains, hills or jagged mountains at the horizon";
    RockHue, Regional, "The colour of the mountains";
    SoilHue, Regional, "The colour of bare earth, verges and sand";
    RoofHue, Regional, "The colour of roofs";
    RoadTone, Country, "Road surface: dark asphalt to pale concrete to red chippings";
    MarkingColour, Country, "White, yellow, orange or blue road markings";
    MarkingPattern, Country, "Solid, dashed, double, dotted or chevron centre line";
    SignHue, Country, "The colour of road signs";
    SignShape, Country, "Square, round, triangular, diamond or octagonal road signs";
    KerbHue, Country, "The second colour of striped kerbs and bollards";
    FacadeTone, Country, "Light or dark facades";
    WindowForm, Country, "The pattern of windows";
    FacadeHue, City, "The colour of most facades";
    TrimHue, City, "The colour of frames, shutters and balconies";
    Storeys, City, "The height of buildings";
    PavingHue, City, "The colour of pavements";
    LandmarkShape, Spot, "Which landmark closes the view";
    LandmarkHue, Spot, "The landmark's colour";
    AwningHue, Spot, "The stripes of awnings over the shops";
    BannerHue, Spot, "The banners on the lamp posts";
    ShopHue, Spot, "Shop fronts and their signs";
}

/// The value of every latent at one place, each in [0, 1].
///
/// A hue goes round: 0 and 1 are the same colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents(Vec<f64>);

impl Latents {
    /// The value of one latent, in [0, 1].
    pub fn get(&self, latent: Latent) -> f64 {
        self.0[latent as usize]
    }

    /// The same values as one slice in the order of [`Latent::ALL`].
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// What one photograph shows of them: every value moved by a normal error of this standard deviation, times the
    /// unsteadiness of its scale.
    pub(crate) fn seen(&self, deviation: f64, random: &mut Random) -> Self {
        let values = Latent::ALL.iter().map(|&latent| {
            let error = deviation * latent.scale().unsteadiness() * random.normal();
            (self.get(latent) + error).clamp(0.0, 1.0)
        });
        Self(values.collect())
    }

    /// The value as one of `n` kinds.
    pub(crate) fn kind(&self, latent: Latent, n: usize) -> usize {
        ((self.get(latent) * n as f64) as usize).min(n - 1)
    }
}

/// The fields of every latent of one planet.
#[derive(Debug, Clone)]
pub(crate) struct LatentFields(Vec<Field>);

impl LatentFields {
    pub(crate) fn new(seed: u64) -> Self {
        Self(
            Latent::ALL
                .iter()
                .map(|&latent| Field::new(seed, mix(0x1A7E, latent as u64), latent.scale().wavelength_km()))
                .collect(),
        )
    }

    pub(crate) fn at(&self, place: Vector) -> Latents {
        let mut values: Vec<f64> = self.0.iter().map(|field| field.level(place)).collect();
        let by_latitude = (1.0 - place.absolute_latitude() / 70.0).max(0.0);
        let warmth = &mut values[Latent::Warmth as usize];
        *warmth = 0.6 * by_latitude + 0.4 * *warmth;
        Latents(values)
    }
}
