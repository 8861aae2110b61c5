//! People and cars: they hide places and tell nothing of them.

use super::{Kind, Surroundings, Thing, class};
use crate::Difficulty;
use crate::camera::{Camera, Seen};
use crate::canvas::{Canvas, Ink};
use crate::colour::{Rgb, blend, oklch, scale};
use crate::random::Random;

/// A car, seen from behind or from the front.
pub(crate) struct Car {
    paint: Rgb,
    tall: f32,
    lights: Rgb,
}

/// A passer-by.
pub(crate) struct Person {
    shirt: Rgb,
    trousers: Rgb,
    skin: Rgb,
    hair: Rgb,
    height: f32,
}

/// Scatters cars on the road and people on the pavements; nothing here looks at the place.
pub(crate) fn place(around: &Surroundings, difficulty: Difficulty, random: &mut Random) -> Vec<Thing> {
    let mut things = Vec::new();
    let most = difficulty.distractors();
    let crowd = if around.urban { most } else { most.div_ceil(3) };
    for _ in 0..random.below(crowd + 1) {
        let oncoming = random.chance(0.5);
        let lane = if oncoming { -0.5 } else { 0.5 };
        things.push(Thing {
            x: lane * around.road + random.between(-0.3, 0.3),
            z: random.between(7.0, 42.0),
            kind: Kind::Car(Car {
                paint: any_colour(random),
                tall: random.between(1.35, 1.9),
                lights: if oncoming {
                    [250.0, 246.0, 220.0]
                } else {
                    [196.0, 36.0, 32.0]
                },
            }),
        });
    }
    for _ in 0..random.below(crowd + 1) {
        let side = if random.chance(0.5) { 1.0 } else { -1.0 };
        let skin = random.between(0.0, 1.0);
        things.push(Thing {
            x: side * random.between(around.road + 0.5, around.street - 0.5),
            z: random.between(4.5, 26.0),
            kind: Kind::Person(Person {
                shirt: any_colour(random),
                trousers: scale(any_colour(random), 0.6),
                skin: blend([246.0, 212.0, 184.0], [92.0, 60.0, 44.0], skin),
                hair: blend(
                    [40.0, 30.0, 26.0],
                    [190.0, 160.0, 110.0],
                    random.between(0.0, 1.0).powi(3),
                ),
                height: random.between(1.5, 1.9),
            }),
        });
    }
    things
}

/// Any colour at all.
fn any_colour(random: &mut Random) -> Rgb {
    oklch(
        random.between(0.3, 0.92),
        random.between(0.0, 0.17),
        random.between(0.0, 1.0),
    )
}

impl Car {
    pub(crate) fn paint(&self, canvas: &mut Canvas, camera: &Camera, seen: Seen) {
        let m = seen.metre;
        let (x, y) = (seen.x, seen.y);
        let air = |rgb: Rgb| camera.through_air(Ink::new(rgb, class::CAR), seen.depth);
        let top = y - self.tall * m;
        canvas.ellipse(x, y, 1.05 * m, 0.14 * m, air([38.0, 38.0, 42.0]));
        for side in [-1.0, 1.0] {
            canvas.rectangle(
                x + (side * 0.7 - 0.14) * m,
                y - 0.4 * m,
                x + (side * 0.7 + 0.14) * m,
                y,
                air([28.0, 28.0, 30.0]),
            );
        }
        let waist = y - 0.9 * m;
        canvas.polygon(
            &[
                (x - 0.82 * m, waist),
                (x + 0.82 * m, waist),
                (x + 0.62 * m, top),
                (x - 0.62 * m, top),
            ],
            air(scale(self.paint, 0.92)),
        );
        canvas.polygon(
            &[
                (x - 0.70 * m, waist),
                (x + 0.70 * m, waist),
                (x + 0.54 * m, top + 0.1 * m),
                (x - 0.54 * m, top + 0.1 * m),
            ],
            air([70.0, 84.0, 98.0]),
        );
        canvas.rectangle(x - 0.9 * m, waist, x + 0.9 * m, y - 0.22 * m, air(self.paint));
        canvas.rectangle(
            x - 0.3 * m,
            y - 0.55 * m,
            x + 0.3 * m,
            y - 0.42 * m,
            air([232.0; 3]),
        );
        for side in [-1.0, 1.0] {
            canvas.ellipse(
                x + side * 0.7 * m,
                y - 0.68 * m,
                0.16 * m,
                0.1 * m,
                air(self.lights),
            );
        }
    }
}

impl Person {
    pub(crate) fn paint(&self, canvas: &mut Canvas, camera: &Camera, seen: Seen) {
        let h = self.height * seen.metre;
        let (x, y) = (seen.x, seen.y);
        let air = |rgb: Rgb| camera.through_air(Ink::new(rgb, class::PERSON), seen.depth);
        let legs = air(self.trousers);
        canvas.polygon(
            &[
                (x - 0.11 * h, y),
                (x - 0.04 * h, y),
                (x, y - 0.48 * h),
                (x - 0.10 * h, y - 0.48 * h),
            ],
            legs,
        );
        canvas.polygon(
            &[
                (x + 0.04 * h, y),
                (x + 0.11 * h, y),
                (x + 0.10 * h, y - 0.48 * h),
                (x, y - 0.48 * h),
            ],
            legs,
        );
        canvas.polygon(
            &[
                (x - 0.11 * h, y - 0.46 * h),
                (x + 0.11 * h, y - 0.46 * h),
                (x + 0.14 * h, y - 0.82 * h),
                (x - 0.14 * h, y - 0.82 * h),
            ],
            air(self.shirt),
        );
        canvas.ellipse(x, y - 0.91 * h, 0.065 * h, 0.08 * h, air(self.skin));
        canvas.ellipse(x, y - 0.955 * h, 0.07 * h, 0.05 * h, air(self.hair));
    }
}
