//! Street furniture: lamp posts with banners, road signs, bollards and fences.

use super::look::Look;
use super::{Kind, Surroundings, Thing, class};
use crate::camera::{Camera, Seen};
use crate::canvas::{Canvas, Ink};
use crate::colour::scale;
use crate::latents::Latent;
use crate::random::Random;

/// Forms of road signs.
const SHAPES: usize = 5;
const STEEL: [f32; 3] = [104.0, 108.0, 112.0];

/// A lamp post.
pub(crate) struct Lamp {
    /// Towards which side the arm and the banner hang.
    inwards: f32,
    banner: bool,
}

/// Puts lamps, signs and bollards along the street.
pub(crate) fn place(look: &Look, around: &Surroundings, random: &mut Random) -> Vec<Thing> {
    let mut things = Vec::new();
    let kerbside = around.road + 0.9;
    let spacing = if around.urban { 10.0 } else { 34.0 };
    let start = random.between(4.5, 8.0);
    for side in [-1.0f32, 1.0] {
        let x = side * kerbside;
        for i in 0..6 {
            things.push(Thing {
                x,
                z: start + i as f32 * spacing,
                kind: Kind::Lamp(Lamp {
                    inwards: -side,
                    banner: around.shows.banners,
                }),
            });
        }
        things.push(Thing {
            x: side * (around.road + 1.3),
            z: random.between(7.0, 12.0),
            kind: Kind::Sign,
        });
        let posts = if look.kind(Latent::KerbHue, 2) == 0 { 14 } else { 7 };
        for i in 0..posts {
            things.push(Thing {
                x: side * (around.road + 0.55),
                z: 4.0 + (i * 28) as f32 / posts as f32,
                kind: Kind::Bollard,
            });
        }
    }
    things
}

impl Lamp {
    pub(crate) fn paint(&self, canvas: &mut Canvas, camera: &Camera, look: &Look, seen: Seen) {
        let metre = seen.metre;
        let ink = camera.through_air(Ink::new(STEEL, class::STREETLIGHT), seen.depth);
        let half = (0.09 * metre).max(0.8);
        let top = seen.y - 8.0 * metre;
        canvas.rectangle(seen.x - half, top, seen.x + half, seen.y, ink);
        let reach = seen.x + self.inwards * 1.5 * metre;
        canvas.rectangle(seen.x.min(reach), top, seen.x.max(reach), top + half * 1.6, ink);
        canvas.ellipse(reach, top + half, 0.45 * metre, 0.2 * metre, ink);
        if self.banner {
            let edge = seen.x + self.inwards * 1.9 * metre;
            let (low, high) = (seen.x.min(edge), seen.x.max(edge));
            let cloth = camera.through_air(Ink::new(look.banner, class::FLAG), seen.depth);
            let band = camera.through_air(Ink::new(look.awning, class::FLAG), seen.depth);
            canvas.rectangle(low, seen.y - 7.2 * metre, high, seen.y - 3.6 * metre, cloth);
            canvas.rectangle(low, seen.y - 5.0 * metre, high, seen.y - 4.4 * metre, band);
        }
    }
}

pub(crate) fn paint_sign(canvas: &mut Canvas, camera: &Camera, look: &Look, seen: Seen) {
    let metre = seen.metre;
    let pole = camera.through_air(Ink::new(STEEL, class::POLE), seen.depth);
    canvas.rectangle(
        seen.x - 0.06 * metre,
        seen.y - 2.6 * metre,
        seen.x + 0.06 * metre,
        seen.y,
        pole,
    );
    let shape = look.kind(Latent::SignShape, SHAPES);
    let board = camera.through_air(Ink::new([244.0, 244.0, 240.0], class::SIGNBOARD), seen.depth);
    let face = camera.through_air(Ink::new(look.sign, class::SIGNBOARD), seen.depth);
    for (ink, radius) in [(board, 0.78), (face, 0.64)] {
        let (x, y, r) = (seen.x, seen.y - 3.1 * metre, radius * metre);
        match shape {
            0 => canvas.rectangle(x - r, y - r * 0.8, x + r, y + r * 0.8, ink),
            1 => canvas.ellipse(x, y, r, r, ink),
            2 => canvas.polygon(&[(x - r, y + r * 0.8), (x + r, y + r * 0.8), (x, y - r)], ink),
            3 => canvas.polygon(&[(x - r, y), (x, y - r), (x + r, y), (x, y + r)], ink),
            _ => {
                let c = r * 0.42;
                let corners = [
                    (x - c, y - r),
                    (x + c, y - r),
                    (x + r, y - c),
                    (x + r, y + c),
                    (x + c, y + r),
                    (x - c, y + r),
                    (x - r, y + c),
                    (x - r, y - c),
                ];
                canvas.polygon(&corners, ink);
            }
        }
    }
}

pub(crate) fn paint_bollard(canvas: &mut Canvas, camera: &Camera, look: &Look, seen: Seen) {
    let metre = seen.metre;
    let half = 0.13 * metre;
    let post = camera.through_air(Ink::new(scale(look.kerb, 0.9), class::POLE), seen.depth);
    let band = camera.through_air(Ink::new([244.0, 242.0, 236.0], class::POLE), seen.depth);
    canvas.rectangle(seen.x - half, seen.y - 0.95 * metre, seen.x + half, seen.y, post);
    canvas.rectangle(
        seen.x - half,
        seen.y - 0.75 * metre,
        seen.x + half,
        seen.y - 0.5 * metre,
        band,
    );
}
