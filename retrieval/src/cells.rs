//! The geocells that can be answered with: look-up by id, and where inside a cell a photo may lie.

use std::collections::HashMap;

use geocells::{EARTH_RADIUS_KM, Geocell, GeocellId, Hierarchy, LatLng, THRESHOLDS};

/// A hierarchy with look-up by cell id and the spread of every finest cell.
#[derive(Debug, Clone)]
pub struct CellTable {
    hierarchy: Hierarchy,
    index_of: Vec<HashMap<GeocellId, usize>>,
    spreads: Vec<Spread>,
}

impl CellTable {
    /// The cells of a hierarchy. A finest cell's photos are taken to be spread evenly over it until
    /// [`CellTable::with_places`] says better.
    #[must_use]
    pub fn new(hierarchy: Hierarchy) -> Self {
        let index_of = hierarchy
            .levels()
            .iter()
            .map(|partition| {
                partition
                    .cells()
                    .iter()
                    .enumerate()
                    .map(|(index, cell)| (cell.id, index))
                    .collect()
            })
            .collect();
        let spreads = hierarchy
            .finest()
            .cells()
            .iter()
            .map(|cell| Spread::even(cell.id))
            .collect();
        Self {
            hierarchy,
            index_of,
            spreads,
        }
    }

    /// Takes the spread of each finest cell from places of photos (places in no finest cell are ignored; a cell without
    /// a place keeps its even spread). Use training or gallery places, never those of the photos to be judged.
    #[must_use]
    pub fn with_places(mut self, places: impl IntoIterator<Item = LatLng>) -> Self {
        let mut by_cell: HashMap<usize, Sample> = HashMap::new();
        for place in places {
            if let Some(cell) = self.hierarchy.finest().locate(place) {
                by_cell.entry(cell).or_default().push(place);
            }
        }
        for (cell, sample) in by_cell {
            self.spreads[cell] = Spread::of_places(&sample.places);
        }
        self
    }

    /// The hierarchy.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Number of levels.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.hierarchy.depth()
    }

    /// The cells of a level, coarsest level first.
    #[must_use]
    pub fn level(&self, level: usize) -> &[Geocell] {
        self.hierarchy.levels()[level].cells()
    }

    /// The finest cells.
    #[must_use]
    pub fn finest(&self) -> &[Geocell] {
        self.hierarchy.finest().cells()
    }

    /// Index of a cell in its level.
    #[must_use]
    pub fn find(&self, level: usize, id: GeocellId) -> Option<usize> {
        self.index_of.get(level)?.get(&id).copied()
    }

    /// Where photos of a finest cell lie.
    #[must_use]
    pub fn spread(&self, finest: usize) -> &Spread {
        &self.spreads[finest]
    }
}

/// Where inside a geocell a photo may lie: equally likely places.
///
/// The share of them near the answer stands for P(near the answer | the photo is in this cell). Gallery photos tell it
/// best, for people photograph squares and not fields; without any, the centres of the cell's sixteen grandchildren
/// spread it evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    directions: Vec<[f64; 3]>,
}

impl Spread {
    /// At most so many places a cell are kept.
    pub const MOST_PLACES: usize = 64;

    /// Spread evenly over the cell.
    #[must_use]
    pub fn even(cell: GeocellId) -> Self {
        let split = |cells: Vec<GeocellId>| -> Vec<GeocellId> {
            cells
                .into_iter()
                .flat_map(|cell| cell.children().map_or_else(|| vec![cell], Vec::from))
                .collect()
        };
        let parts = split(split(vec![cell]));
        Self {
            directions: parts
                .into_iter()
                .map(|part| part.center().unit_vector())
                .collect(),
        }
    }

    /// Spread as these places are; they must not be empty.
    #[must_use]
    pub fn of_places(places: &[LatLng]) -> Self {
        Self {
            directions: places.iter().map(|place| place.unit_vector()).collect(),
        }
    }

    /// Its places.
    pub fn places(&self) -> impl Iterator<Item = LatLng> + '_ {
        self.directions
            .iter()
            .filter_map(|direction| LatLng::from_direction(*direction))
    }

    /// How many places it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.directions.len()
    }

    /// Whether it has no place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directions.is_empty()
    }

    /// Share of the spread within each threshold of `place`, nearest first.
    #[must_use]
    pub fn shares_within(&self, place: LatLng) -> [f64; THRESHOLDS.len()] {
        let [x, y, z] = place.unit_vector();
        let mut counts = [0_usize; THRESHOLDS.len()];
        for direction in &self.directions {
            let [dx, dy, dz] = [direction[0] - x, direction[1] - y, direction[2] - z];
            let squared_chord = dx * dx + dy * dy + dz * dz;
            for (count, threshold) in counts.iter_mut().zip(THRESHOLDS) {
                let chord = 2.0 * (threshold.km.get() / (2.0 * EARTH_RADIUS_KM)).sin();
                *count += usize::from(squared_chord <= chord * chord);
            }
        }
        counts.map(|count| count as f64 / self.directions.len() as f64)
    }
}

/// A sample of a cell's places that does not grow: when full, every second one goes and only every second further one comes.
#[derive(Debug, Default)]
struct Sample {
    places: Vec<LatLng>,
    seen: usize,
    stride_log2: u32,
}

impl Sample {
    fn push(&mut self, place: LatLng) {
        if self.seen.is_multiple_of(1 << self.stride_log2) {
            if self.places.len() == Spread::MOST_PLACES {
                let mut keep = false;
                self.places.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride_log2 += 1;
            }
            if self.seen.is_multiple_of(1 << self.stride_log2) {
                self.places.push(place);
            }
        }
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_even_spread_is_near_when_the_cell_is_small_and_partly_near_when_it_is_large() {
        let place = LatLng::new(48.1, 11.5).unwrap();
        let small = GeocellId::containing(place, 15).unwrap();
        assert_eq!(Spread::even(small).shares_within(small.center()), [1.0; 5]);
        let large = GeocellId::containing(place, 2).unwrap();
        let shares = Spread::even(large).shares_within(large.center());
        assert_eq!(shares[0], 0.0);
        assert!(shares[3] > 0.0 && shares[3] < 1.0, "{shares:?}");
        assert_eq!(shares[4], 1.0);
        assert_eq!(Spread::even(GeocellId::leaf(place)).directions.len(), 1);
    }

    #[test]
    fn shares_agree_with_great_circle_distance() {
        let answer = LatLng::new(51.5, -0.12).unwrap();
        let places: Vec<LatLng> = (0..60)
            .map(|i| LatLng::new(51.5 - f64::from(i) * 0.4, f64::from(i) * f64::from(i) * 0.01).unwrap())
            .collect();
        let shares = Spread::of_places(&places).shares_within(answer);
        for (share, threshold) in shares.iter().zip(THRESHOLDS) {
            let near = places
                .iter()
                .filter(|place| place.distance(answer).get() <= threshold.km.get())
                .count();
            assert_eq!(*share, near as f64 / 60.0, "{} km", threshold.km);
        }
    }

    #[test]
    fn a_sample_stays_small_and_covers_the_whole_sequence() {
        let mut sample = Sample::default();
        for i in 0..10_000 {
            sample.push(LatLng::new(f64::from(i) / 10_000.0, 0.0).unwrap());
        }
        assert!(sample.places.len() <= Spread::MOST_PLACES && sample.places.len() >= Spread::MOST_PLACES / 2);
        assert!(sample.places.last().unwrap().latitude() > 0.9);
        assert!(sample.places[0].latitude() < 0.01);
    }
}
