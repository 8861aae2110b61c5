//! An answer within an area: the posterior given that the photo was taken there.
//!
//! P(cell | area) is P(cell) times the share of the cell's photos that lie in the area, normalised over all cells. The share is
//! that of the cell's [`Spread`], so that a cell that reaches over the border counts by what it has on this side.

use std::collections::HashMap;

use geocells::{LatLng, spherical_mean};

use crate::cells::{CellTable, Spread};
use crate::exact::Scored;
use crate::{Error, Result};

/// Whether a place belongs to an area.
pub type Contains<'a> = &'a (dyn Fn(LatLng) -> bool + Sync);

/// The geocells of one release that reach into an area, with how much of each does.
#[derive(Debug, Clone, PartialEq)]
pub struct Restriction {
    /// Per level: the share of each cell, by index; cells without any are left out.
    shares: Vec<HashMap<usize, f64>>,
    /// Per level: where the part inside lies.
    locations: Vec<HashMap<usize, LatLng>>,
    /// Of the finest cells: where photos inside may lie.
    spreads: HashMap<usize, Spread>,
}

impl Restriction {
    /// The part of a release's cells that lies in an area. `anchors`: places that are surely inside, for areas smaller than the
    /// distance between photos.
    ///
    /// It looks at every place of every finest cell, which takes from milliseconds to seconds: call it from `spawn_blocking`.
    ///
    /// # Errors
    /// [`Error::EmptyArea`] where no finest cell reaches into the area.
    pub fn new(cells: &CellTable, contains: Contains<'_>, anchors: &[LatLng]) -> Result<Self> {
        let mut finest = HashMap::new();
        for cell in 0..cells.finest().len() {
            let inside = cells.spread(cell).places().filter(|place| contains(*place));
            finest.extend(part(
                cells,
                cell,
                inside.collect(),
                cells.spread(cell).len(),
                contains,
            ));
        }
        if finest.is_empty() {
            // No photo is known there: the cells are taken to be spread evenly.
            for cell in 0..cells.finest().len() {
                let even = Spread::even(cells.finest()[cell].id);
                let mut inside: Vec<LatLng> = even.places().filter(|place| contains(*place)).collect();
                if inside.is_empty() {
                    let id = cells.finest()[cell].id;
                    inside.extend(
                        anchors
                            .iter()
                            .filter(|anchor| id.contains_point(**anchor))
                            .take(1),
                    );
                }
                finest.extend(part(cells, cell, inside, even.len(), contains));
            }
        }
        if finest.is_empty() {
            return Err(Error::EmptyArea);
        }
        Ok(Self::of_finest(cells, finest, contains))
    }

    fn of_finest(cells: &CellTable, finest: HashMap<usize, Part>, contains: Contains<'_>) -> Self {
        let depth = cells.depth();
        let mut inside: Vec<HashMap<usize, (f64, Vec<LatLng>)>> = vec![HashMap::new(); depth];
        for (&cell, part) in &finest {
            let photos = cells.finest()[cell].photos.max(1) as f64;
            for (level, index) in cells.hierarchy().path(cell).into_iter().enumerate() {
                let sum = inside[level].entry(index).or_default();
                sum.0 += part.share * photos;
                sum.1.push(part.location);
            }
        }
        let mut shares = Vec::with_capacity(depth);
        let mut locations = Vec::with_capacity(depth);
        for (level, sums) in inside.into_iter().enumerate() {
            let of = |(index, (photos, _)): (&usize, &(f64, Vec<LatLng>))| {
                let all = cells.level(level)[*index].photos.max(1) as f64;
                (*index, (photos / all).min(1.0))
            };
            shares.push(sums.iter().map(of).collect());
            let of = |(index, (_, places)): (usize, (f64, Vec<LatLng>))| {
                Some((
                    index,
                    middle(cells.level(level)[index].location, &places, contains)?,
                ))
            };
            locations.push(sums.into_iter().filter_map(of).collect());
        }
        let spreads = finest
            .into_iter()
            .map(|(cell, part)| (cell, part.spread))
            .collect();
        Self {
            shares,
            locations,
            spreads,
        }
    }

    /// Where the part of a cell inside the area lies.
    pub(crate) fn location(&self, level: usize, cell: usize) -> Option<LatLng> {
        self.locations.get(level)?.get(&cell).copied()
    }

    /// Where photos of a finest cell inside the area may lie.
    pub(crate) fn spread(&self, finest: usize) -> Option<&Spread> {
        self.spreads.get(&finest)
    }

    /// Finest cells that reach into the area.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.spreads.len()
    }

    /// The cells of a level that reach into the area, best first. Their path scores are computed from the cosines of all cells, and
    /// each has the logarithm of its share, divided by `scale`, added: the posterior multiplies scores by `scale`.
    pub(crate) fn top(
        &self,
        cells: &CellTable,
        cosines: &[Vec<f32>],
        temperatures: &[f64],
        scale: f64,
        level: usize,
    ) -> Vec<Scored> {
        let scored = |(&cell, share): (&usize, &f64)| {
            let path = cells.hierarchy().path_at(level, cell);
            let score: f64 = path
                .iter()
                .enumerate()
                .map(|(level, cell)| f64::from(cosines[level][*cell]) / temperatures[level])
                .sum();
            Scored {
                cell,
                score: (score + share.ln() / scale) as f32,
            }
        };
        let mut top: Vec<Scored> = self.shares.get(level).into_iter().flatten().map(scored).collect();
        top.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.cell.cmp(&b.cell)));
        top
    }
}

/// The part of one finest cell inside an area.
struct Part {
    share: f64,
    location: LatLng,
    spread: Spread,
}

fn part(
    cells: &CellTable,
    cell: usize,
    inside: Vec<LatLng>,
    of: usize,
    contains: Contains<'_>,
) -> Option<(usize, Part)> {
    let location = middle(cells.finest()[cell].location, &inside, contains)?;
    let part = Part {
        share: inside.len() as f64 / of.max(1) as f64,
        location,
        spread: Spread::of_places(&inside),
    };
    Some((cell, part))
}

/// A place of the area for some places in it: `usual` where that lies inside, else their mean, else the one nearest to the mean.
fn middle(usual: LatLng, inside: &[LatLng], contains: Contains<'_>) -> Option<LatLng> {
    let first = *inside.first()?;
    if contains(usual) {
        return Some(usual);
    }
    let mean = spherical_mean(inside.iter().copied()).unwrap_or(first);
    if contains(mean) {
        return Some(mean);
    }
    inside
        .iter()
        .copied()
        .min_by(|a, b| a.distance(mean).get().total_cmp(&b.distance(mean).get()))
}
