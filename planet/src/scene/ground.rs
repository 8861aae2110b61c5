//! The ground: road with its markings, kerbs, pavements, verges, fields, beach and sea.

use super::look::Look;
use super::{Surroundings, class};
use crate::camera::Camera;
use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend, scale};
use crate::grid::{floor, phase};
use crate::latents::Latent;
use crate::random::{Random, speckle};

/// Width of a painted line and of a kerb in metres: wider than real ones, as few pixels have to show them.
const LINE: f32 = 0.17;
const KERB: f32 = 0.42;
/// Width of the grass between kerb and pavement in metres.
const STRIP: f32 = 1.3;

pub(crate) fn paint(
    canvas: &mut Canvas,
    camera: &Camera,
    look: &Look,
    around: &Surroundings,
    random: &mut Random,
) {
    let pattern = look.kind(Latent::MarkingPattern, 5);
    let paving = look.kind(Latent::PavingHue, 3);
    let salt = random.seed() as u32;
    let crossing = random.chance(0.2).then(|| random.between(7.0, 16.0));
    let furrow = random.between(1.2, 2.6);
    let white = [238.0, 242.0, 248.0];
    camera.ground(canvas, |x, z, depth| {
        let from_axis = x.abs();
        let side = x.signum();
        // Texture only where a grain is larger than a pixel.
        let grain = if depth < 25.0 {
            0.95 + 0.1 * speckle(floor(x * 9.0), floor(z * 4.0), salt)
        } else {
            1.0
        };
        if from_axis < around.road {
            let zebra = crossing.is_some_and(|at| (z - at).abs() < 1.5) && phase(x * 1.1) < 0.5;
            let rgb = if marked(pattern, x, z, around.road) || zebra {
                look.marking
            } else {
                scale(look.road, grain)
            };
            return Ink::new(rgb, class::ROAD);
        }
        if around.urban && from_axis < around.road + KERB {
            let striped = phase(z * 0.5) < 0.5;
            let rgb = if striped { look.kerb } else { [226.0, 224.0, 218.0] };
            return Ink::new(rgb, class::SIDEWALK);
        }
        if around.urban && from_axis < around.road + KERB + STRIP {
            return Ink::new(scale(look.grass, grain), class::GRASS);
        }
        if around.urban && from_axis < around.street {
            return Ink::new(
                scale(slabs(look.paving, paving, x, z, depth), grain),
                class::SIDEWALK,
            );
        }
        if around.open(side) {
            return shore(look, from_axis - around.street, z, depth, salt);
        }
        if !around.urban && from_axis > around.road + 14.0 {
            let row = phase(x / furrow) < 0.5 && depth < 60.0;
            let crop = blend(look.grass, look.soil, if row { 0.55 } else { 0.15 });
            return Ink::new(scale(crop, grain), class::FIELD);
        }
        let verge = if around.urban { 0.0 } else { 2.2 };
        if from_axis < around.road + verge {
            return Ink::new(
                scale(blend(look.soil, white, look.snow * 0.5), grain),
                class::EARTH,
            );
        }
        Ink::new(scale(look.grass, grain), class::GRASS)
    });
}

/// Whether a point of the road is painted.
fn marked(pattern: usize, x: f32, z: f32, road: f32) -> bool {
    let edge = (x.abs() - (road - 0.45)).abs() < LINE;
    let centre = x.abs();
    let dash = |length: f32| phase(z / length) < 0.5;
    match pattern {
        0 => centre < LINE && dash(6.0),
        1 => centre < LINE || edge,
        2 => (centre - 0.32).abs() < LINE,
        3 => (centre < 1.6 * LINE && dash(2.4)) || edge,
        _ => phase(z / 5.0 - x.abs() * 0.45) < 0.16 && centre < 1.4,
    }
}

/// Pavement: plain, chequered, or in bands.
fn slabs(rgb: Rgb, pattern: usize, x: f32, z: f32, depth: f32) -> Rgb {
    if depth > 30.0 {
        return rgb;
    }
    let odd = |v: f32, size: f32| floor(v / size) & 1;
    let dark = match pattern {
        0 => phase(z / 1.2) < 0.08,
        1 => odd(x, 0.9) ^ odd(z, 0.9) == 1,
        _ => odd(z, 1.1) == 1,
    };
    if dark { scale(rgb, 0.84) } else { rgb }
}

/// Beach, then water with crests.
fn shore(look: &Look, beyond: f32, z: f32, depth: f32, salt: u32) -> Ink {
    if beyond < 5.0 {
        let sand = blend(look.soil, [232.0, 214.0, 170.0], 0.6);
        return Ink::new(sand, class::SAND);
    }
    let crest = speckle(floor(beyond * 0.4), floor(z * 0.15), salt);
    let foam = if beyond < 5.8 { 0.8 } else { 0.0 };
    let bright = 0.92 + 0.16 * crest * (40.0 / depth).min(1.0);
    Ink::new(
        blend(scale(look.sea, bright), [244.0, 248.0, 250.0], foam),
        class::SEA,
    )
}
