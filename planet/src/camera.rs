//! A camera at eye height that looks along a street: metres to canvas pixels.

use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend};

/// Nearest visible distance in metres.
const NEAR: f32 = 0.6;

/// The street runs along z, x is to the right, both in metres; the camera stands at the origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Canvas pixels of a metre at a distance of one metre.
    pub(crate) focal: f32,
    /// Canvas row of the horizon.
    pub(crate) horizon: f32,
    /// Canvas column straight ahead.
    pub(crate) centre: f32,
    /// Height of the lens over the ground in metres.
    pub(crate) height: f32,
    /// Sine and cosine of the angle by which the camera looks to the right of the street.
    pub(crate) yaw: (f32, f32),
    /// Metres from the street's axis, positive to the right.
    pub(crate) offset: f32,
    /// What distance fades to.
    pub(crate) haze: Rgb,
    /// Metres after which two thirds of a colour are haze.
    pub(crate) visibility: f32,
}

/// A point of the ground as the camera sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Canvas column.
    pub(crate) x: f32,
    /// Canvas row where it touches the ground.
    pub(crate) y: f32,
    /// Canvas pixels a metre.
    pub(crate) metre: f32,
    /// Metres along the line of sight.
    pub(crate) depth: f32,
}

impl Camera {
    fn turned(&self, x: f32, z: f32) -> (f32, f32) {
        let (sin, cos) = self.yaw;
        let x = x - self.offset;
        (x * cos - z * sin, x * sin + z * cos)
    }

    /// Where a point of the ground is seen, unless it is beside or behind the camera.
    pub(crate) fn see(&self, x: f32, z: f32) -> Option<Seen> {
        let (across, depth) = self.turned(x, z);
        (depth > NEAR).then(|| {
            let metre = self.focal / depth;
            Seen {
                x: self.centre + across * metre,
                y: self.horizon + self.height * metre,
                metre,
                depth,
            }
        })
    }

    /// How much of a colour at this distance is haze.
    pub(crate) fn fading(&self, depth: f32) -> f32 {
        1.0 - (-depth / self.visibility).exp()
    }

    /// The ink as seen from this distance.
    pub(crate) fn through_air(&self, ink: Ink, depth: f32) -> Ink {
        Ink::new(blend(ink.rgb, self.haze, self.fading(depth)), ink.class)
    }

    /// Paints the ground below the horizon; `material(x, z, depth)` says what lies there.
    pub(crate) fn ground(&self, canvas: &mut Canvas, mut material: impl FnMut(f32, f32, f32) -> Ink) {
        let (sin, cos) = self.yaw;
        let side = canvas.side;
        let top = (self.horizon.max(0.0) as usize).min(side);
        for y in top..side {
            let below = (y as f32 + 0.5 - self.horizon).max(0.25);
            let depth = self.focal * self.height / below;
            let fading = self.fading(depth);
            for x in 0..side {
                let across = (x as f32 + 0.5 - self.centre) * depth / self.focal;
                let world_x = across * cos + depth * sin + self.offset;
                let world_z = depth * cos - across * sin;
                let ink = material(world_x, world_z, depth);
                canvas.put(x, y, Ink::new(blend(ink.rgb, self.haze, fading), ink.class));
            }
        }
    }

    /// Paints an upright wall from one ground point to another between two heights in metres.
    ///
    /// `surface(u, v)` says what is `u` metres along it from `from` and `v` metres above the ground; none is a hole.
    pub(crate) fn wall(
        &self,
        canvas: &mut Canvas,
        from: (f32, f32),
        to: (f32, f32),
        heights: (f32, f32),
        surface: impl Fn(f32, f32) -> Option<Ink>,
    ) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut a = (self.turned(from.0, from.1), 0.0);
        let mut b = (self.turned(to.0, to.1), length);
        if a.0.1 < NEAR && b.0.1 < NEAR {
            return;
        }
        if a.0.1 < NEAR {
            a = cut(a, b);
        } else if b.0.1 < NEAR {
            b = cut(b, a);
        }
        // Over the columns of the picture 1/depth and u/depth are straight lines.
        let column = |p: ((f32, f32), f32)| self.centre + p.0.0 * self.focal / p.0.1;
        let (xa, xb) = (column(a), column(b));
        let (ia, ib) = (1.0 / a.0.1, 1.0 / b.0.1);
        if (xa - xb).abs() < 1e-3 {
            return;
        }
        for x in canvas.span(xa.min(xb), xa.max(xb)) {
            let t = (x as f32 + 0.5 - xa) / (xb - xa);
            let depth = 1.0 / (ia + (ib - ia) * t);
            let u = (a.1 * ia + (b.1 * ib - a.1 * ia) * t) * depth;
            let metre = self.focal / depth;
            let fading = self.fading(depth);
            let top = self.horizon - (heights.1 - self.height) * metre;
            let bottom = self.horizon - (heights.0 - self.height) * metre;
            for y in canvas.span(top, bottom) {
                let v = self.height + (self.horizon - y as f32 - 0.5) / metre;
                if let Some(ink) = surface(u, v) {
                    canvas.put(x, y, Ink::new(blend(ink.rgb, self.haze, fading), ink.class));
                }
            }
        }
    }
}

/// Moves a hidden end of a wall to the nearest visible distance.
fn cut(hidden: ((f32, f32), f32), seen: ((f32, f32), f32)) -> ((f32, f32), f32) {
    let t = (NEAR - hidden.0.1) / (seen.0.1 - hidden.0.1);
    let x = hidden.0.0 + (seen.0.0 - hidden.0.0) * t;
    ((x, NEAR), hidden.1 + (seen.1 - hidden.1) * t)
}
