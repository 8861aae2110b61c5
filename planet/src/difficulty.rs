//! What the difficulty of a planet scales.

/// The strengths of cues and of nuisances for one difficulty.
///
/// | what | at 0 | at 1 |
/// | --- | --- | --- |
/// | colour of cues | full | 55 % of the chroma |
/// | error of a city's latents, standard deviation ([`Scale::unsteadiness`](crate::Scale::unsteadiness) has the other scales) | 0 | 0.12 |
/// | spot's cues (landmark, awnings, banners, shop fronts) present | always | each 50 % of the time |
/// | exposure, standard deviation | 0 | 0.55 stops |
/// | rain, fog, falling snow or a grey sky | never | 70 % |
/// | hour of the day changes the light | not | fully, dusk and low sun |
/// | camera yaw / horizon, standard deviation | 2° / 1 % | 14° / 6 % of the side |
/// | people and cars | 0 to 1 each | up to 9 each |
/// | sensor noise, standard deviation | 0.5 | 11 grey levels |
/// | JPEG quality | 92 | 45 to 92 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty(f64);

impl Difficulty {
    /// Of a difficulty from 0 to 1; what lies outside counts as the nearest end.
    pub fn new(difficulty: f64) -> Self {
        Self(difficulty.clamp(0.0, 1.0))
    }

    /// The number it was made of.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Factor on the chroma of every cue's colour.
    pub fn chroma(self) -> f64 {
        self.between(1.0, 0.55)
    }

    /// Standard deviation of the error with which a photograph shows the latents of a city.
    pub fn latent_error(self) -> f64 {
        self.between(0.0, 0.12)
    }

    /// Probability that one of a spot's cues is in the picture.
    pub fn presence(self) -> f64 {
        self.between(1.0, 0.5)
    }

    /// Standard deviation of the exposure in stops.
    pub fn exposure(self) -> f64 {
        self.between(0.0, 0.55)
    }

    /// Probability of bad weather.
    pub fn bad_weather(self) -> f64 {
        self.between(0.0, 0.7)
    }

    /// How much the hour of the day changes the light, 0 to 1.
    pub fn daylight(self) -> f64 {
        self.between(0.0, 1.0)
    }

    /// Standard deviation of the camera's yaw in degrees.
    pub fn yaw_degrees(self) -> f64 {
        self.between(2.0, 14.0)
    }

    /// Standard deviation of the horizon's height as a share of the image's side.
    pub fn horizon(self) -> f64 {
        self.between(0.01, 0.06)
    }

    /// Most people, and most cars, in one photograph.
    pub fn distractors(self) -> usize {
        self.between(1.0, 9.0).round() as usize
    }

    /// Standard deviation of the sensor's noise in grey levels.
    pub fn noise(self) -> f64 {
        self.between(0.5, 11.0)
    }

    /// Lowest JPEG quality.
    pub fn worst_quality(self) -> u8 {
        self.between(92.0, 45.0).round() as u8
    }

    fn between(self, clean: f64, hard: f64) -> f64 {
        clean + (hard - clean) * self.0
    }
}
