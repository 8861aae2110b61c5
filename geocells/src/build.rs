//! Cutting the Earth into geocells by the density of photographs.
//!
//! The leaf ids of all photos are sorted once. The photos of any S2 cell are then a contiguous range of the sorted ids, found
//! by binary search, and one descent through the S2 tree serves all levels: a cell that is small enough for a level is final
//! there, and splitting goes on for the finer levels.

use rayon::prelude::*;

use crate::mean::PlaceSum;
use crate::{
    Error, Geocell, GeocellId, LatLng, LocationKind, MAX_S2_LEVEL, Partition, PartitionConfig, Result,
};

/// Below this many photos, a cell's descent is not worth another task.
const PARALLEL_ABOVE: usize = 1 << 14;

/// A photo: the id of the leaf cell that contains it above its position in the caller's slice, in one number that sorts fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leaf(u128);

impl Leaf {
    fn new(id: GeocellId, photo: usize) -> Self {
        Self(u128::from(id.as_u64()) << 32 | photo as u128)
    }

    fn raw_id(self) -> u64 {
        (self.0 >> 32) as u64
    }

    fn photo(self) -> usize {
        (self.0 & u128::from(u32::MAX)) as usize
    }
}

/// The partitions of `config`, coarsest first, without parent links.
pub(crate) fn partitions(points: &[LatLng], config: &PartitionConfig) -> Result<Vec<Partition>> {
    config.validate()?;
    if points.is_empty() {
        return Err(Error::NoPoints);
    }
    let total = points.len() as u64;
    let max = u64::from(u32::MAX);
    if total > max {
        return Err(Error::TooManyPoints {
            points: points.len(),
            max,
        });
    }
    let (leaves, terms) = sorted_leaves(points, config.location);
    let cutter = Cutter {
        terms: &terms,
        config,
    };
    let cut = cutter.cut(&leaves);
    std::iter::zip(&config.t_max, cut.levels)
        .map(|(&t_max, cells)| {
            if cells.is_empty() {
                return Err(Error::EmptyLevel {
                    t_min: config.t_min,
                    t_max,
                    points: total,
                });
            }
            Ok(Partition::new(config.t_min, t_max, cells)?.with_total_photos(total))
        })
        .collect()
}

/// The photos' leaves in id order, and by position each photo's place in the terms that are averaged.
fn sorted_leaves(points: &[LatLng], location: LocationKind) -> (Vec<Leaf>, Vec<[f64; 3]>) {
    let mut leaves = Vec::new();
    let mut terms = Vec::new();
    points
        .par_iter()
        .enumerate()
        .map(|(photo, &place)| {
            let unit_vector = place.unit_vector();
            let leaf = Leaf::new(GeocellId::leaf_under(unit_vector), photo);
            (leaf, location.terms(place, unit_vector))
        })
        .unzip_into_vecs(&mut leaves, &mut terms);
    // Sorting the positions too makes the order, and so every sum of places, the same in every run.
    leaves.par_sort_unstable();
    (leaves, terms)
}

struct Cutter<'a> {
    terms: &'a [[f64; 3]],
    config: &'a PartitionConfig,
}

/// What a descent found: the final cells of every level in id order, and the sum of all places passed.
struct Cut {
    levels: Vec<Vec<Geocell>>,
    sum: PlaceSum,
}

impl Cutter<'_> {
    fn cut(&self, leaves: &[Leaf]) -> Cut {
        let mut cut = self.nothing();
        let mut rest = leaves;
        for start in GeocellId::all_at(self.config.start_level) {
            let (mine, others) = split_off(rest, start);
            rest = others;
            cut.append(self.descend(start, mine, 0));
            if rest.is_empty() {
                break;
            }
        }
        cut
    }

    fn nothing(&self) -> Cut {
        Cut {
            levels: vec![Vec::new(); self.config.t_max.len()],
            sum: PlaceSum::default(),
        }
    }

    /// The photos `leaves` of cell `id`, which is still too full for the levels before `first_open`.
    fn descend(&self, id: GeocellId, leaves: &[Leaf], first_open: usize) -> Cut {
        if leaves.is_empty() {
            return self.nothing();
        }
        let photos = leaves.len() as u64;
        let bottom = id.s2_level() == MAX_S2_LEVEL;
        let t_max = &self.config.t_max;
        let fitting = t_max[first_open..]
            .iter()
            .take_while(|&&t_max| bottom || photos <= t_max)
            .count();
        let still_open = first_open + fitting;

        let mut cut = match id.children() {
            Some(children) if still_open < t_max.len() => self.descend_children(children, leaves, still_open),
            _ => Cut {
                sum: self.sum_places(leaves),
                ..self.nothing()
            },
        };
        if photos > self.config.t_min && fitting > 0 {
            let location = self.config.location.mean(&cut.sum).unwrap_or_else(|| id.center());
            let cell = Geocell {
                id,
                photos,
                location,
                parent: None,
            };
            for level in &mut cut.levels[first_open..still_open] {
                level.push(cell.clone());
            }
        }
        cut
    }

    fn descend_children(&self, children: [GeocellId; 4], leaves: &[Leaf], first_open: usize) -> Cut {
        let [a, b, c, d] = children;
        let (of_a, rest) = split_off(leaves, a);
        let (of_b, rest) = split_off(rest, b);
        let (of_c, of_d) = split_off(rest, c);
        let pair = |left, of_left, right, of_right| {
            let mut cut: Cut = self.descend(left, of_left, first_open);
            cut.append(self.descend(right, of_right, first_open));
            cut
        };
        let (mut cut, second) = if leaves.len() > PARALLEL_ABOVE {
            rayon::join(|| pair(a, of_a, b, of_b), || pair(c, of_c, d, of_d))
        } else {
            (pair(a, of_a, b, of_b), pair(c, of_c, d, of_d))
        };
        cut.append(second);
        cut
    }

    fn sum_places(&self, leaves: &[Leaf]) -> PlaceSum {
        let mut sum = PlaceSum::default();
        for leaf in leaves {
            sum.add(self.terms[leaf.photo()]);
        }
        sum
    }
}

impl Cut {
    /// Takes over what was found in the next cell along the curve.
    fn append(&mut self, next: Self) {
        for (level, cells) in self.levels.iter_mut().zip(next.levels) {
            level.extend(cells);
        }
        self.sum.merge(&next.sum);
    }
}

/// The leaves inside `cell`, and those after it. `leaves` must not begin before the cell.
fn split_off(leaves: &[Leaf], cell: GeocellId) -> (&[Leaf], &[Leaf]) {
    let (_, last) = cell.range();
    leaves.split_at(leaves.partition_point(|leaf| leaf.raw_id() <= last))
}
