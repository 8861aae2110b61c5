//! Photographs: what stands at a place, in which light, through which camera.

mod buildings;
mod develop;
mod ground;
mod hills;
mod landmark;
mod look;
mod sky;
mod street;
mod traffic;
mod trees;
mod weather;

use crate::camera::Camera;
use crate::canvas::Canvas;
use crate::place::sun_clock;
use crate::random::Random;
use crate::{Difficulty, Place, Planet, Scene};

use develop::Light;
use look::Look;
use weather::Weather;

/// ADE20K class ids of what the scenes are made of.
pub(crate) mod class {
    pub(crate) const BUILDING: u8 = 1;
    pub(crate) const SKY: u8 = 2;
    pub(crate) const TREE: u8 = 4;
    pub(crate) const ROAD: u8 = 6;
    pub(crate) const GRASS: u8 = 9;
    pub(crate) const SIDEWALK: u8 = 11;
    pub(crate) const PERSON: u8 = 12;
    pub(crate) const EARTH: u8 = 13;
    pub(crate) const MOUNTAIN: u8 = 16;
    pub(crate) const PLANT: u8 = 17;
    pub(crate) const CAR: u8 = 20;
    pub(crate) const SEA: u8 = 26;
    pub(crate) const FIELD: u8 = 29;
    pub(crate) const SIGNBOARD: u8 = 43;
    pub(crate) const SAND: u8 = 46;
    pub(crate) const SKYSCRAPER: u8 = 48;
    pub(crate) const PALM: u8 = 72;
    pub(crate) const TOWER: u8 = 84;
    pub(crate) const AWNING: u8 = 86;
    pub(crate) const STREETLIGHT: u8 = 87;
    pub(crate) const POLE: u8 = 93;
    pub(crate) const SCULPTURE: u8 = 132;
    pub(crate) const FLAG: u8 = 149;
}

/// The surroundings of one photograph, in metres from the street's axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Streets of houses rather than a road through the country.
    pub(crate) urban: bool,
    /// Half the road's width.
    pub(crate) road: f32,
    /// From the axis to the houses.
    pub(crate) street: f32,
    /// The side, -1 or 1, that is open to the sea.
    pub(crate) sea: Option<f32>,
    /// Which of the spot's cues this photograph shows.
    pub(crate) shows: Shows,
}

/// Which of a spot's cues are in the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shows {
    pub(crate) landmark: bool,
    pub(crate) awnings: bool,
    pub(crate) banners: bool,
    pub(crate) shops: bool,
}

impl Surroundings {
    fn draw(planet: &Planet, place: &Place, difficulty: Difficulty, random: &mut Random) -> Self {
        let urban = place.city.is_some();
        let road = random.between(3.2, 4.2);
        let street = road + random.between(4.2, 6.5);
        let seaside = planet.seaside(place.location);
        let side = if random.chance(0.5) { 1.0 } else { -1.0 };
        let presence = difficulty.presence();
        let mut seen = || urban && random.chance(presence);
        Self {
            urban,
            road,
            street,
            shows: Shows {
                landmark: seen(),
                awnings: seen(),
                banners: seen(),
                shops: seen(),
            },
            sea: random.chance(seaside * 0.75).then_some(side),
        }
    }

    /// Whether the sea is on this side.
    pub(crate) fn open(&self, side: f32) -> bool {
        self.sea == Some(side)
    }
}

/// Takes one photograph.
pub(crate) fn render(planet: &Planet, place: &Place, photo_seed: u64) -> Scene {
    let difficulty = planet.difficulty();
    let mut random = Random::new(photo_seed, 0x5CE7E);
    let (hour, season) = sun_clock(place);
    let latents = planet
        .latents(place.location)
        .seen(difficulty.latent_error(), &mut random);
    let look = Look::new(latents, difficulty, season);
    let weather = Weather::draw(&look, difficulty, &mut random);
    let light = Light::draw(&look, weather, hour, difficulty, &mut random);
    let around = Surroundings::draw(planet, place, difficulty, &mut random);
    let mut canvas = Canvas::new(planet.config().size);
    let camera = aim(&canvas, &look, weather, &around, difficulty, &mut random);

    sky::paint(&mut canvas, &camera, &look, weather, &light, &mut random);
    hills::paint(&mut canvas, &camera, &look, &around, &mut random);
    ground::paint(&mut canvas, &camera, &look, &around, &mut random);
    if around.urban {
        buildings::paint(&mut canvas, &camera, &look, &around, &light, &mut random);
        if around.shows.landmark {
            landmark::paint(&mut canvas, &camera, &look, &mut random);
        }
    }
    let mut things = street::place(&look, &around, &mut random);
    things.extend(trees::place(&look, &around, &mut random));
    things.extend(traffic::place(&around, difficulty, &mut random));
    things.sort_by(|a, b| b.z.total_cmp(&a.z));
    for thing in &things {
        thing.paint(&mut canvas, &camera, &look);
    }
    weather.fall(&mut canvas, &mut random);
    let jpeg_quality = random.range(f64::from(difficulty.worst_quality()), 92.0).round() as u8;
    Scene {
        image: light.develop(&canvas, difficulty, &mut random),
        segmentation: canvas.segmentation(),
        jpeg_quality,
    }
}

fn aim(
    canvas: &Canvas,
    look: &Look,
    weather: Weather,
    around: &Surroundings,
    difficulty: Difficulty,
    random: &mut Random,
) -> Camera {
    let side = canvas.side as f32;
    let yaw = (random.normal() * difficulty.yaw_degrees())
        .clamp(-32.0, 32.0)
        .to_radians() as f32;
    let horizon = 0.56 + (random.normal() * difficulty.horizon()).clamp(-0.14, 0.14) as f32;
    Camera {
        focal: side * random.between(0.72, 0.86),
        horizon: side * horizon,
        centre: side * 0.5,
        height: random.between(1.5, 2.1),
        yaw: yaw.sin_cos(),
        offset: random.between(-0.45, 0.45) * around.street,
        haze: weather.haze(look),
        visibility: weather.visibility(look, random),
    }
}

/// A small thing that stands in or beside the street.
pub(crate) struct Thing {
    /// Metres to the right of the street's axis.
    pub(crate) x: f32,
    /// Metres along the street.
    pub(crate) z: f32,
    pub(crate) kind: Kind,
}

/// What a thing is.
pub(crate) enum Kind {
    Tree(trees::Tree),
    Lamp(street::Lamp),
    Sign,
    Bollard,
    Car(traffic::Car),
    Person(traffic::Person),
}

impl Thing {
    fn paint(&self, canvas: &mut Canvas, camera: &Camera, look: &Look) {
        let Some(seen) = camera.see(self.x, self.z) else {
            return;
        };
        // A lens cannot focus on what stands this near, and it would hide everything.
        if seen.depth < 3.0 {
            return;
        }
        match &self.kind {
            Kind::Tree(tree) => tree.paint(canvas, camera, look, seen),
            Kind::Lamp(lamp) => lamp.paint(canvas, camera, look, seen),
            Kind::Sign => street::paint_sign(canvas, camera, look, seen),
            Kind::Bollard => street::paint_bollard(canvas, camera, look, seen),
            Kind::Car(car) => car.paint(canvas, camera, seen),
            Kind::Person(person) => person.paint(canvas, camera, seen),
        }
    }
}
