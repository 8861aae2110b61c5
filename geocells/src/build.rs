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

/// A photo: the leaf cell that contains it, and its position in the caller's slice.
type Leaf = (u64, u32);

/// The partitions of `config`, coarsest first, without parent links.
pub(crate) fn partitions(points: &[LatLng], config: &PartitionConfig) -> Result<Vec<Partition>> {
    config.validate()?;
    if points.is_empty() {
        return Err(Error::NoPoints);
    }
    if points.len() as u64 > u64::from(u32::MAX) {
        let max = u64::from(u32::MAX);
        return Err(Error::TooManyPoints {
            points: points.len(),
            max,
        });
    }
    let leaves = sorted_leaves(points);
    let cutter = Cutter { points, config };
    let total = points.len() as u64;
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

fn sorted_leaves(points: &[LatLng]) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = points
        .par_iter()
        .enumerate()
        .map(|(index, &place)| (GeocellId::leaf(place).as_u64(), index as u32))
        .collect();
    // Sorting the positions too makes the order, and so every sum of places, the same in every run.
    leaves.par_sort_unstable();
    leaves
}

struct Cutter<'a> {
    points: &'a [LatLng],
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
            let location = cut.sum.mean(self.config.location).unwrap_or_else(|| id.center());
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
        for &(_, index) in leaves {
            let place = self.points[index as usize];
            match self.config.location {
                LocationKind::Spherical => sum.add(place),
                LocationKind::Plain => sum.add_with_vector(place, [0.0; 3]),
            }
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
    leaves.split_at(leaves.partition_point(|&(leaf, _)| leaf <= last))
}
