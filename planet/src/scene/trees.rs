//! Trees, as the continent grows them.

use super::look::Look;
use super::{Kind, Surroundings, Thing, class};
use crate::camera::{Camera, Seen};
use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend, scale};
use crate::latents::Latent;
use crate::random::Random;

/// Forms of crowns.
const FORMS: usize = 5;

/// One tree.
pub(crate) struct Tree {
    /// Metres.
    height: f32,
    /// Brightness of its leaves.
    tone: f32,
    lean: f32,
}

impl Tree {
    fn draw(low: f32, high: f32, random: &mut Random) -> Self {
        Self {
            height: random.between(low, high),
            tone: random.between(0.85, 1.12),
            lean: random.between(-0.5, 0.5),
        }
    }

    /// A bush: the same leaves near the ground.
    fn is_bush(&self) -> bool {
        self.height < 2.0
    }
}

/// Plants an avenue in towns, and woods and bushes along country roads.
pub(crate) fn place(look: &Look, around: &Surroundings, random: &mut Random) -> Vec<Thing> {
    let mut things = Vec::new();
    let wet = f64::from(look.humidity);
    for side in [-1.0f32, 1.0] {
        if around.urban {
            let mut z = random.between(9.0, 14.0);
            while z < 70.0 {
                if random.chance(0.12 + 0.4 * wet) {
                    let tree = Tree::draw(5.0, 8.0, random);
                    things.push(Thing {
                        x: side * (around.street - 1.2),
                        z,
                        kind: Kind::Tree(tree),
                    });
                }
                z += 11.0;
            }
        } else if !around.open(side) {
            let trees = 5 + (12.0 * wet) as usize;
            for _ in 0..trees {
                let near = around.road + 4.0;
                things.push(Thing {
                    x: side * (near + 40.0 * random.between(0.0, 1.0).powi(2)),
                    z: 8.0 + 90.0 * random.between(0.0, 1.0).powi(2),
                    kind: Kind::Tree(Tree::draw(5.5, 11.0, random)),
                });
            }
            for _ in 0..4 {
                things.push(Thing {
                    x: side * (around.road + random.between(2.6, 9.0)),
                    z: random.between(5.0, 40.0),
                    kind: Kind::Tree(Tree::draw(0.7, 1.5, random)),
                });
            }
        }
    }
    things
}

impl Tree {
    pub(crate) fn paint(&self, canvas: &mut Canvas, camera: &Camera, look: &Look, seen: Seen) {
        let form = look.kind(Latent::CrownShape, FORMS);
        let class = match form {
            _ if self.is_bush() => class::PLANT,
            2 => class::PALM,
            _ => class::TREE,
        };
        let leaves = blend(look.leaves, [236.0, 240.0, 246.0], look.snow * 0.3);
        let air = |rgb: Rgb| camera.through_air(Ink::new(rgb, class), seen.depth);
        let light = air(scale(leaves, self.tone));
        let dark = air(scale(leaves, self.tone * 0.74));
        let bark = air([98.0, 74.0, 56.0]);
        let h = self.height * seen.metre;
        let (x, y) = (seen.x, seen.y);
        if self.is_bush() {
            canvas.ellipse(x, y - h * 0.45, h * 0.8, h * 0.5, dark);
            canvas.ellipse(x - h * 0.15, y - h * 0.55, h * 0.6, h * 0.42, light);
            return;
        }
        let trunk = (0.035 * h).max(0.8);
        canvas.rectangle(x - trunk, y - h * 0.6, x + trunk, y, bark);
        match form {
            0 => {
                canvas.ellipse(x + h * 0.10, y - h * 0.60, h * 0.30, h * 0.27, dark);
                canvas.ellipse(x - h * 0.12, y - h * 0.66, h * 0.27, h * 0.25, light);
                canvas.ellipse(x + h * 0.03, y - h * 0.80, h * 0.22, h * 0.20, light);
            }
            1 => {
                for tier in 0..3 {
                    let low = y - h * (0.18 + 0.24 * tier as f32);
                    let half = h * (0.30 - 0.07 * tier as f32);
                    canvas.polygon(&[(x - half, low), (x + half, low), (x, low - h * 0.38)], dark);
                    canvas.polygon(&[(x - half, low), (x, low), (x, low - h * 0.38)], light);
                }
            }
            2 => {
                let top = (x + self.lean * h * 0.2, y - h * 0.92);
                canvas.polygon(
                    &[
                        (x - trunk, y),
                        (x + trunk, y),
                        (top.0 + trunk, top.1),
                        (top.0 - trunk, top.1),
                    ],
                    bark,
                );
                for (i, reach) in [-0.34f32, -0.22, 0.2, 0.32, -0.06, 0.08].into_iter().enumerate() {
                    let drop = if i < 4 { reach.abs() * 0.5 } else { -0.16 };
                    let tip = (top.0 + reach * h, top.1 + drop * h);
                    let bend = (top.0 + reach * h * 0.55, top.1 - 0.10 * h);
                    let ink = if i % 2 == 0 { dark } else { light };
                    canvas.polygon(&[top, bend, tip, (bend.0, bend.1 + 0.09 * h)], ink);
                }
            }
            3 => {
                canvas.ellipse(x, y - h * 0.56, h * 0.14, h * 0.46, dark);
                canvas.ellipse(x - h * 0.03, y - h * 0.58, h * 0.09, h * 0.41, light);
            }
            _ => {
                canvas.polygon(
                    &[
                        (x - trunk, y),
                        (x + trunk, y),
                        (x + h * 0.24, y - h * 0.7),
                        (x - h * 0.24, y - h * 0.7),
                        (x, y - h * 0.4),
                    ],
                    bark,
                );
                canvas.ellipse(x, y - h * 0.76, h * 0.44, h * 0.12, dark);
                canvas.ellipse(x - h * 0.06, y - h * 0.82, h * 0.34, h * 0.10, light);
            }
        }
    }
}
