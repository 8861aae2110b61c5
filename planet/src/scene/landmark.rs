//! The landmark that closes the view of a spot.

use super::class;
use super::look::Look;
use crate::camera::{Camera, Seen};
use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend, scale};
use crate::latents::Latent;
use crate::random::Random;

/// Kinds of landmark.
const SHAPES: usize = 8;

/// Paints with metres from the landmark's foot: x to the right, y up.
struct Pen<'a> {
    canvas: &'a mut Canvas,
    camera: &'a Camera,
    seen: Seen,
    class: u8,
}

impl Pen<'_> {
    fn ink(&self, rgb: Rgb) -> Ink {
        self.camera
            .through_air(Ink::new(rgb, self.class), self.seen.depth)
    }

    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (
            self.seen.x + x * self.seen.metre,
            self.seen.y - y * self.seen.metre,
        )
    }

    fn polygon(&mut self, corners: &[(f32, f32)], rgb: Rgb) {
        let corners: Vec<_> = corners.iter().map(|&(x, y)| self.at(x, y)).collect();
        let ink = self.ink(rgb);
        self.canvas.polygon(&corners, ink);
    }

    /// Symmetric about the axis: half its width below and above, between two heights.
    fn block(&mut self, below: f32, above: f32, from: f32, to: f32, rgb: Rgb) {
        self.polygon(&[(-below, from), (below, from), (above, to), (-above, to)], rgb);
    }

    fn disc(&mut self, x: f32, y: f32, rx: f32, ry: f32, rgb: Rgb) {
        let (cx, cy) = self.at(x, y);
        let (ink, metre) = (self.ink(rgb), self.seen.metre);
        self.canvas.ellipse(cx, cy, rx * metre, ry * metre, ink);
    }
}

pub(crate) fn paint(canvas: &mut Canvas, camera: &Camera, look: &Look, random: &mut Random) {
    let z = random.between(22.0, 34.0);
    let x = random.between(-1.2, 1.2);
    let Some(seen) = camera.see(x, z) else {
        return;
    };
    let shape = look.kind(Latent::LandmarkShape, SHAPES);
    let class = match shape {
        0 | 3 | 4 => class::TOWER,
        1 | 2 => class::BUILDING,
        _ => class::SCULPTURE,
    };
    let mut pen = Pen {
        canvas,
        camera,
        seen,
        class,
    };
    let main = look.landmark;
    let dark = scale(main, 0.62);
    let pale = blend(main, [250.0, 248.0, 240.0], 0.55);
    let stone = [196.0, 190.0, 178.0];
    pen.block(5.6, 5.2, 0.0, 0.7, stone);
    match shape {
        0 => {
            // An obelisk.
            pen.block(3.0, 2.6, 0.7, 2.6, dark);
            pen.block(2.1, 1.3, 2.6, 15.0, main);
            pen.block(1.3, 0.0, 15.0, 17.5, pale);
        }
        1 => {
            // A dome on columns.
            pen.disc(0.0, 8.2, 4.6, 5.4, main);
            pen.block(5.2, 5.2, 7.2, 8.4, dark);
            pen.block(5.0, 5.0, 0.7, 7.2, pale);
            for column in -2..=2 {
                let x = column as f32 * 2.1;
                pen.polygon(
                    &[(x - 0.5, 0.7), (x + 0.5, 0.7), (x + 0.5, 7.2), (x - 0.5, 7.2)],
                    dark,
                );
            }
            pen.block(0.3, 0.0, 13.4, 16.0, dark);
        }
        2 => {
            // A triumphal arch.
            pen.block(5.4, 5.4, 0.7, 12.4, main);
            pen.block(5.8, 5.8, 11.0, 12.4, dark);
            pen.disc(0.0, 6.4, 2.5, 2.9, scale(stone, 0.5));
            pen.block(2.5, 2.5, 0.7, 6.4, scale(stone, 0.5));
            pen.block(3.6, 3.6, 12.4, 13.6, pale);
        }
        3 => {
            // A clock tower.
            pen.block(2.6, 2.4, 0.7, 13.0, main);
            pen.block(3.0, 3.0, 13.0, 13.7, dark);
            pen.block(2.9, 0.0, 13.7, 19.0, dark);
            pen.disc(0.0, 10.6, 1.8, 1.8, [248.0, 246.0, 238.0]);
            pen.block(0.9, 0.9, 0.7, 4.0, scale(dark, 0.7));
        }
        4 => {
            // A pagoda.
            for tier in 0..4 {
                let (low, half) = (0.7 + tier as f32 * 3.6, 3.6 - tier as f32 * 0.65);
                pen.block(half, half, low, low + 2.4, pale);
                pen.block(half + 2.0, half * 0.7, low + 2.2, low + 3.6, main);
            }
            pen.block(0.3, 0.0, 15.1, 18.0, dark);
        }
        5 => {
            // A sphere on a column.
            pen.block(1.2, 0.9, 0.7, 9.0, stone);
            pen.disc(0.0, 12.2, 4.0, 4.0, main);
            pen.disc(-1.2, 13.4, 1.3, 1.3, pale);
        }
        6 => {
            // A wheel.
            let half = 5.4;
            pen.disc(0.0, 8.4, half, 7.2, main);
            let air = blend(camera.haze, look.zenith, 0.35);
            pen.disc(0.0, 8.4, half * 0.76, 7.2 * 0.76, air);
            for spoke in 0..4 {
                let (sin, cos) = (spoke as f32 * std::f32::consts::FRAC_PI_4).sin_cos();
                let (x, y) = (cos * half * 0.85, sin * 6.1);
                let (nx, ny) = (-sin * 0.28, cos * 0.28);
                pen.polygon(
                    &[
                        (x + nx, 8.4 + y + ny),
                        (-x + nx, 8.4 - y + ny),
                        (-x - nx, 8.4 - y - ny),
                        (x - nx, 8.4 + y - ny),
                    ],
                    dark,
                );
            }
            pen.polygon(&[(-3.6, 0.7), (-2.8, 0.7), (0.3, 8.4), (-0.3, 8.4)], dark);
            pen.polygon(&[(3.6, 0.7), (2.8, 0.7), (-0.3, 8.4), (0.3, 8.4)], dark);
        }
        _ => {
            // A pyramid, lit from one side.
            pen.polygon(&[(-5.6, 0.7), (0.6, 0.7), (0.0, 13.0)], main);
            pen.polygon(&[(0.6, 0.7), (5.6, 0.7), (0.0, 13.0)], dark);
            pen.block(1.1, 0.0, 10.6, 13.0, pale);
        }
    }
}
