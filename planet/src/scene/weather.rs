//! Weather: it hides cues and says nothing of the place, but for the snow of cold ones.

use super::look::Look;
use crate::Difficulty;
use crate::canvas::Canvas;
use crate::colour::{Rgb, blend};
use crate::random::Random;

/// The weather of one photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Clear,
    Overcast,
    Rain,
    Fog,
    Snowfall,
}

impl Weather {
    pub(crate) fn draw(look: &Look, difficulty: Difficulty, random: &mut Random) -> Self {
        if !random.chance(difficulty.bad_weather()) {
            return Self::Clear;
        }
        match random.below(5) {
            0 | 1 => Self::Overcast,
            2 | 3 if look.snow > 0.0 => Self::Snowfall,
            2 | 3 => Self::Rain,
            _ => Self::Fog,
        }
    }

    /// Share of the sky's colour that is grey.
    pub(crate) fn grey(self) -> f32 {
        match self {
            Self::Clear => 0.0,
            Self::Overcast => 0.6,
            Self::Rain => 0.72,
            Self::Fog | Self::Snowfall => 0.8,
        }
    }

    /// What distance fades to.
    pub(crate) fn haze(self, look: &Look) -> Rgb {
        blend(look.horizon, [196.0, 200.0, 204.0], self.grey())
    }

    /// Metres after which two thirds of a colour are haze.
    pub(crate) fn visibility(self, look: &Look, random: &mut Random) -> f32 {
        let clear = 520.0 - 260.0 * look.humidity;
        match self {
            Self::Clear => clear,
            Self::Overcast => 0.7 * clear,
            Self::Rain => 130.0,
            Self::Snowfall => 90.0,
            Self::Fog => random.between(32.0, 80.0),
        }
    }

    /// Drops and flakes between the lens and the scene.
    pub(crate) fn fall(self, canvas: &mut Canvas, random: &mut Random) {
        let side = canvas.side as f32;
        let unit = side / 256.0;
        match self {
            Self::Rain => {
                let slant = random.between(-0.25, 0.25);
                for _ in 0..90 {
                    let (x, y) = (random.between(0.0, side), random.between(0.0, side));
                    let length = random.between(7.0, 16.0) * unit;
                    let steps = length as usize;
                    for step in 0..steps {
                        let t = step as f32;
                        canvas.glow(x + slant * t, y + t, 1.0, 1.0, [214.0, 220.0, 228.0], 0.4);
                    }
                }
            }
            Self::Snowfall => {
                for _ in 0..130 {
                    let (x, y) = (random.between(0.0, side), random.between(0.0, side));
                    let radius = random.between(0.9, 2.6) * unit;
                    canvas.glow(x, y, radius, radius, [250.0; 3], 0.85);
                }
            }
            Self::Clear | Self::Overcast | Self::Fog => {}
        }
    }
}
