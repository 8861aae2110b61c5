//! Colours by lightness, chroma and hue.

/// Red, green and blue as sRGB, 0 to 255, before the camera.
pub(crate) type Rgb = [f32; 3];

/// A colour of the OKLCH space: equal steps look equal.
///
/// `lightness` 0 to 1, `chroma` 0 (grey) to about 0.3, `hue` in turns, so that a latent is a hue. What no screen can show is clipped.
pub(crate) fn oklch(lightness: f32, chroma: f32, hue: f32) -> Rgb {
    let (sin, cos) = (hue * std::f32::consts::TAU).sin_cos();
    let (a, b) = (chroma * cos, chroma * sin);
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
    .map(|linear| {
        let linear = linear.clamp(0.0, 1.0);
        let srgb = if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        srgb * 255.0
    })
}

/// `share` of the second colour in the first.
pub(crate) fn blend(a: Rgb, b: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// A lighter (above 1) or darker (below 1) colour.
pub(crate) fn scale(a: Rgb, factor: f32) -> Rgb {
    a.map(|c| (c * factor).min(255.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours() {
        let near = |a: Rgb, b: Rgb| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 2.0);
        assert!(near(oklch(1.0, 0.0, 0.0), [255.0; 3]));
        assert!(near(oklch(0.0, 0.0, 0.0), [0.0; 3]));
        // CSS Color 4: red is oklch(62.796% 0.25768 29.234deg), navy is oklch(27.126% 0.18796 264.05deg).
        assert!(near(oklch(0.62796, 0.25768, 29.234 / 360.0), [255.0, 0.0, 0.0]));
        assert!(near(oklch(0.27126, 0.18796, 264.05 / 360.0), [0.0, 0.0, 128.0]));
    }
}
