//! Cutting the Earth into geocells by the density of photographs.
//!
//! The leaf ids of all photos are sorted once. The photos of any S2 cell are then a contiguous range of the sorted ids, found
//! by binary search, and one descent through the S2 tree serves all levels: a cell that is small enough for a level is final
//! there, and splitting goes on for the finer levels.

use rayon::prelude::*;

use crate::leaf_ids::leaf_ids;
use crate::leaf_sum::sum_directions;
use crate::mean::PlaceSum;
use crate::{
    Error, Geocell, GeocellId, LatLng, LocationKind, MAX_S2_LEVEL, Partition, PartitionConfig, Result,
};

/// Below this many photos, a cell's descent is not worth another task.
const PARALLEL_ABOVE: usize = 1 << 14;

/// A photo in the order of the curve.
trait Leaf: Copy + Sync {
    /// The raw id of the leaf cell that contains it.
    fn raw_id(self) -> u64;
}

/// Where only the leaf matters.
impl Leaf for u64 {
    fn raw_id(self) -> u64 {
        self
    }
}

/// The id of the leaf cell above the photo's position in the caller's slice, in one number that sorts fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NumberedLeaf(u128);

impl NumberedLeaf {
    fn new(raw_id: u64, photo: usize) -> Self {
        Self(u128::from(raw_id) << 32 | photo as u128)
    }

    fn photo(self) -> usize {
        (self.0 & u128::from(u32::MAX)) as usize
    }
}

impl Leaf for NumberedLeaf {
    fn raw_id(self) -> u64 {
        (self.0 >> 32) as u64
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
    let cut = match config.location {
        LocationKind::Spherical => cut_by_leaves(points, config),
        LocationKind::Plain => cut_by_places(points, config),
    };
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

/// With the places' directions taken from their leaves, so that nothing but ids is sorted and read, in the order of memory.
fn cut_by_leaves(points: &[LatLng], config: &PartitionConfig) -> Cut {
    let mut leaves = leaf_ids(points);
    leaves.par_sort_unstable();
    let sum_places = |leaves: &[u64]| PlaceSum::new(leaves.len(), sum_directions(leaves));
    Cutter { config, sum_places }.cut(&leaves)
}

/// With the places' own degrees, which are looked up by their numbers.
fn cut_by_places(points: &[LatLng], config: &PartitionConfig) -> Cut {
    let mut leaves: Vec<NumberedLeaf> = leaf_ids(points)
        .into_par_iter()
        .enumerate()
        .map(|(photo, id)| NumberedLeaf::new(id, photo))
        .collect();
    // Sorting the numbers too makes the order, and so every sum of places, the same in every run.
    leaves.par_sort_unstable();
    let sum_places = |leaves: &[NumberedLeaf]| {
        let mut sum = PlaceSum::default();
        for leaf in leaves {
            sum.add(config.location.terms(points[leaf.photo()]));
        }
        sum
    };
    Cutter { config, sum_places }.cut(&leaves)
}

struct Cutter<'a, S> {
    config: &'a PartitionConfig,
    /// Sums the places of leaves that lie in one cell.
    sum_places: S,
}

/// What a descent found: the final cells of every level in id order, and the sum of all places passed.
struct Cut {
    levels: Vec<Vec<Geocell>>,
    sum: PlaceSum,
}

impl<S> Cutter<'_, S> {
    fn cut<L: Leaf>(&self, leaves: &[L]) -> Cut
    where
        S: Fn(&[L]) -> PlaceSum + Sync,
    {
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
    fn descend<L: Leaf>(&self, id: GeocellId, leaves: &[L], first_open: usize) -> Cut
    where
        S: Fn(&[L]) -> PlaceSum + Sync,
    {
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
                sum: (self.sum_places)(leaves),
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

    fn descend_children<L: Leaf>(&self, children: [GeocellId; 4], leaves: &[L], first_open: usize) -> Cut
    where
        S: Fn(&[L]) -> PlaceSum + Sync,
    {
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
fn split_off<L: Leaf>(leaves: &[L], cell: GeocellId) -> (&[L], &[L]) {
    let (_, last) = cell.range();
    leaves.split_at(leaves.partition_point(|leaf| leaf.raw_id() <= last))
}
