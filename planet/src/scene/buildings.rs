//! Houses along both sides of a street.

use super::look::Look;
use super::{Light, Surroundings, class};
use crate::camera::Camera;
use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend, scale};
use crate::grid::{floor, phase};
use crate::latents::Latent;
use crate::random::{Random, speckle};

/// Height of the ground floor and of every other storey in metres.
const GROUND_FLOOR: f32 = 4.2;
const STOREY: f32 = 3.2;
/// Houses are drawn this far along the street.
const STREET_END: f32 = 120.0;

/// Forms of windows, see [`pane`].
const FORMS: usize = 6;

struct Building {
    side: f32,
    /// From and to, along the street.
    z: (f32, f32),
    /// Front, from the street's axis.
    front: f32,
    depth: f32,
    /// Up to here the next house towards the camera stands before this one's end.
    hidden: f32,
    eaves: f32,
    roof: f32,
    facade: Rgb,
    pitch: f32,
    salt: u32,
}

pub(crate) fn paint(
    canvas: &mut Canvas,
    camera: &Camera,
    look: &Look,
    around: &Surroundings,
    light: &Light,
    random: &mut Random,
) {
    let mut buildings = Vec::new();
    for side in [-1.0, 1.0] {
        if !around.open(side) {
            row(side, look, around, random, &mut buildings);
        }
    }
    buildings.sort_by(|a, b| b.z.0.total_cmp(&a.z.0));
    for building in &buildings {
        building.paint(canvas, camera, look, around, light);
    }
}

fn row(side: f32, look: &Look, around: &Surroundings, random: &mut Random, out: &mut Vec<Building>) {
    let storeys = look.value(Latent::Storeys);
    let mut z = random.between(-14.0, -6.0);
    let mut hidden = 0.0;
    while z < STREET_END {
        let width = random.between(9.0, 16.0);
        let floors = (0.6 + 3.8 * storeys + random.between(-0.9, 1.3)).round().max(1.0);
        let tall = storeys > 0.8 && random.chance(0.3);
        let floors = if tall { floors * 2.0 } else { floors };
        let turn = if random.chance(0.75) {
            random.between(-0.025, 0.025)
        } else {
            random.between(-0.12, 0.12)
        };
        let eaves = GROUND_FLOOR + STOREY * floors;
        out.push(Building {
            side,
            z: (z, z + width),
            front: around.street,
            depth: 12.0,
            hidden,
            eaves,
            roof: if tall { 0.0 } else { random.between(2.2, 3.6) },
            facade: look.facade(turn, random.between(-0.05, 0.05)),
            pitch: random.between(2.3, 3.0),
            salt: random.seed() as u32,
        });
        let gap = if random.chance(0.25) {
            random.between(4.0, 12.0)
        } else {
            0.0
        };
        z += width + gap;
        hidden = if gap > 0.0 { 0.0 } else { eaves };
    }
}

impl Building {
    fn paint(&self, canvas: &mut Canvas, camera: &Camera, look: &Look, around: &Surroundings, light: &Light) {
        let Self {
            side,
            z,
            front,
            depth,
            eaves,
            ..
        } = *self;
        let class = if eaves > 32.0 {
            class::SKYSCRAPER
        } else {
            class::BUILDING
        };
        let x = side * front;
        let back = side * (front + depth);
        let bright = light.on_wall(side);
        let shaded = light.on_wall(-side) * 0.88;
        let form = look.kind(Latent::WindowForm, FORMS);
        let wall = scale(self.facade, bright);
        let trim = scale(look.trim, bright);
        let shop = scale(look.shop, bright);
        let snowy = blend(look.roof, [240.0, 243.0, 248.0], look.snow * 0.8);

        if self.roof > 0.0 {
            let roof = scale(snowy, bright);
            let tiles = move |_: f32, v: f32| {
                let course = phase(v * 1.6) < 0.2;
                Some(Ink::new(if course { scale(roof, 0.88) } else { roof }, class))
            };
            // A mansard: steep, a little behind the eaves.
            let set_back = side * (front + 0.5);
            let heights = (eaves, eaves + self.roof);
            camera.wall(
                canvas,
                (set_back, z.0 + 0.4),
                (set_back, z.1 - 0.4),
                heights,
                tiles,
            );
            let end = scale(snowy, shaded);
            camera.wall(
                canvas,
                (set_back, z.0 + 0.4),
                (back, z.0 + 0.4),
                heights,
                move |u, v| {
                    let slope = (v - eaves) * 0.4;
                    (u > slope).then_some(Ink::new(end, class))
                },
            );
        }

        let end = scale(self.facade, shaded);
        let end_trim = scale(look.trim, shaded);
        let exposed = (self.hidden.min(eaves), eaves);
        camera.wall(canvas, (x, z.0), (back, z.0), exposed, |u, v| {
            let rgb = pane(form, u + 0.6, v - GROUND_FLOOR, 4.2, end, end_trim, self.salt);
            Some(Ink::new(if v < GROUND_FLOOR { end } else { rgb }, class))
        });

        let shops = around.shows.shops;
        camera.wall(canvas, (x, z.0), (x, z.1), (0.0, eaves), |u, v| {
            if v > eaves - 0.45 {
                return Some(Ink::new(trim, class));
            }
            if v > GROUND_FLOOR {
                let rgb = pane(form, u, v - GROUND_FLOOR, self.pitch, wall, trim, self.salt);
                return Some(Ink::new(rgb, class));
            }
            if shops && v > 3.1 {
                return Some(Ink::new(shop, class::SIGNBOARD));
            }
            let bay = phase(u / 3.4);
            let glass = bay > 0.14 && v < 2.9 && (v > 0.5 || bay > 0.7);
            let frame = if shops { shop } else { scale(wall, 0.86) };
            let lit = 0.7 + 0.5 * speckle(floor(u / 3.4), 0, self.salt);
            let rgb = if glass {
                scale([74.0, 82.0, 92.0], lit)
            } else {
                frame
            };
            Some(Ink::new(rgb, class))
        });

        if around.shows.awnings {
            self.awning(canvas, camera, look, bright);
        }
    }

    /// Striped cloth over the shops, one and a half metres before the wall.
    fn awning(&self, canvas: &mut Canvas, camera: &Camera, look: &Look, bright: f32) {
        let x = self.side * (self.front - 1.5);
        let cloth = scale(look.awning, bright);
        let pale = scale([240.0, 236.0, 226.0], bright);
        let (from, to) = ((x, self.z.0 + 0.6), (x, self.z.1 - 0.6));
        camera.wall(canvas, from, to, (2.35, 3.75), |u, v| {
            let stripe = phase(u / 1.5);
            // Scallops along the lower edge.
            let hem = 2.5 - 0.15 * (stripe * std::f32::consts::TAU).cos();
            let rgb = if stripe < 0.66 { cloth } else { pale };
            (v > hem).then_some(Ink::new(rgb, class::AWNING))
        });
    }
}

/// The colour of a point of an upper storey: wall, window or trim; `v` is above the ground floor.
fn pane(form: usize, u: f32, v: f32, pitch: f32, wall: Rgb, trim: Rgb, salt: u32) -> Rgb {
    let (column, storey) = (floor(u / pitch), floor(v / STOREY));
    let (x, y) = (phase(u / pitch), phase(v / STOREY));
    let shine = 0.75 + 0.5 * speckle(column, storey, salt);
    let glass = scale([84.0, 98.0, 116.0], shine);
    let inside = |x0: f32, x1: f32, y0: f32, y1: f32| x > x0 && x < x1 && y > y0 && y < y1;
    match form {
        // Square panes in wide frames.
        0 if inside(0.27, 0.73, 0.27, 0.75) => glass,
        0 if inside(0.16, 0.84, 0.16, 0.86) => trim,
        // Tall windows between shutters.
        1 if inside(0.36, 0.64, 0.16, 0.84) => glass,
        1 if inside(0.12, 0.88, 0.16, 0.84) => trim,
        // Ribbons of glass.
        2 if y > 0.34 && y < 0.80 => {
            if inside(0.0, 0.08, 0.0, 1.0) {
                trim
            } else {
                glass
            }
        }
        2 if y < 0.12 => trim,
        // Round arches.
        3 => {
            let arch = (x - 0.5).powi(2) * (pitch / STOREY).powi(2) + (y - 0.55).max(0.0).powi(2);
            if y > 0.14 && arch < 0.058 {
                glass
            } else if y > 0.08 && arch < 0.105 {
                trim
            } else {
                wall
            }
        }
        // Balconies.
        4 if y < 0.30 => trim,
        4 if inside(0.25, 0.75, 0.30, 0.80) => glass,
        // Timber frames.
        5 if x < 0.12 || y < 0.12 || (x - y).abs() < 0.07 => trim,
        5 if inside(0.34, 0.84, 0.36, 0.80) => glass,
        _ => wall,
    }
}
