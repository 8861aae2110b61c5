//! Candidates to an answer: pure, and the same for the store and for exact inference in memory.

use geocells::{Geocell, LatLng};
use models::Calibration;

use crate::cells::CellTable;
use crate::cosine::{log_product, log_product_at_most};
use crate::exact::{LevelMatches, Scored};
use crate::posterior::{CellScore, Outside, Posterior, Within};
use crate::prediction::{Candidate, CredibleRegion, LevelAnswer, LevelMatch, RegionCell, Scoring};
use crate::restriction::Restriction;
use crate::{Error, Result};

/// What to compute and how much of it to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InferenceOptions {
    /// How the similarities along a path become one score.
    pub scoring: Scoring,
    /// Cells retrieved a level; all of them where a level has no more.
    pub searched: usize,
    /// Candidates told, at most.
    pub candidates: usize,
    /// Mass of the credible region, in 0..1.
    pub credible_mass: f64,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Self {
            scoring: Scoring::Probability,
            searched: 1024,
            candidates: 10,
            credible_mass: 0.9,
        }
    }
}

impl InferenceOptions {
    /// Refuses options that have no meaning.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the option.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, value: String, remedy| Err(Error::Invalid { name, value, remedy });
        if self.searched == 0 {
            return refuse("searched", "0".into(), "search at least one cell a level");
        }
        if self.candidates == 0 {
            return refuse("candidates", "0".into(), "ask for at least one candidate");
        }
        if !(self.credible_mass > 0.0 && self.credible_mass < 1.0) {
            return refuse(
                "credible_mass",
                self.credible_mass.to_string(),
                "choose a mass between 0 and 1, such as 0.9",
            );
        }
        Ok(())
    }
}

/// What the searches found for one query.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Per level, coarsest first: the best cells by path score, best first.
    pub tops: &'a [Vec<Scored>],
    /// Per level: the cosine of every cell.
    pub cosines: &'a [Vec<f32>],
    /// Temperatures and rounding.
    pub matches: &'a LevelMatches,
    /// The area that the photo is known to be of. Then `tops` hold all cells that reach into it, with its shares.
    pub restriction: Option<&'a Restriction>,
}

/// Everything in a prediction that follows from the visual embedding alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Index of the answer among the finest cells.
    pub cell: usize,
    /// Path score of the answer.
    pub path_score: f32,
    /// See [`crate::Prediction::location`].
    pub location: LatLng,
    /// See [`crate::Prediction::confidence`].
    pub confidence: f64,
    /// See [`crate::Prediction::within`].
    pub within: Within,
    /// See [`crate::Prediction::candidates`].
    pub candidates: Vec<Candidate>,
    /// See [`crate::Prediction::levels`].
    pub levels: Vec<LevelAnswer>,
    /// See [`crate::Prediction::credible_region`].
    pub credible_region: CredibleRegion,
    /// See [`crate::Prediction::entropy`].
    pub entropy: f64,
    /// See [`crate::Prediction::outside_mass`].
    pub outside_mass: f64,
    /// See [`crate::Prediction::scoring`].
    pub scoring: Scoring,
    /// See [`crate::Prediction::certain_best`].
    pub certain_best: bool,
    /// See [`crate::Prediction::cannot_tell`].
    pub cannot_tell: Option<String>,
    /// The posterior over each level's cells, coarsest level first, from which the rest follows.
    pub posteriors: Vec<Posterior>,
}

/// Makes an answer of the cells that were retrieved.
///
/// The answer is the finest cell with the highest product of similarities. Probabilities are the calibrated posterior
/// whatever the scoring: the scoring chooses among cells, the posterior says how likely each is.
///
/// # Errors
/// Options or a calibration without meaning, or scores that are not finite.
pub fn infer(
    cells: &CellTable,
    evidence: &Evidence<'_>,
    calibration: &Calibration,
    options: &InferenceOptions,
) -> Result<Answer> {
    options.check()?;
    let slack = evidence.matches.rounding_slack();
    let mut posteriors = Vec::with_capacity(cells.depth());
    for (level, top) in evidence.tops.iter().enumerate() {
        let outside = match evidence.restriction {
            Some(_) => Outside::NONE,
            None => outside(cells.level(level), top, slack, calibration),
        };
        posteriors.push(level_posterior(cells.level(level), top, outside, calibration)?);
    }
    let levels = posteriors
        .iter()
        .enumerate()
        .map(|(level, posterior)| level_answer(level, cells, posterior, evidence.restriction))
        .collect();

    let (Some(posterior), Some(top)) = (posteriors.last(), evidence.tops.last()) else {
        return Err(Error::NotFinite);
    };
    let ranking = rank(cells, evidence, top, options.scoring, slack);
    let softmax = LevelSoftmax::new(evidence);
    let candidates: Vec<Candidate> = ranking
        .order
        .iter()
        .take(options.candidates)
        .enumerate()
        .map(|(index, &(position, score))| {
            let (cell, probability) = posterior.cells[position];
            let geocell = &cells.finest()[cell];
            Candidate {
                rank: index + 1,
                token: geocell.id,
                probability,
                score,
                location: location(cells, cells.depth() - 1, cell, evidence.restriction),
                photos: geocell.photos,
                path: softmax.path(cells, cell),
            }
        })
        .collect();

    let winner = ranking.order[0].0;
    let (cell, confidence) = posterior.cells[winner];
    let location = location(cells, cells.depth() - 1, cell, evidence.restriction);
    let spread = |cell: usize| {
        let restricted = evidence.restriction.and_then(|area| area.spread(cell));
        restricted.unwrap_or_else(|| cells.spread(cell))
    };
    let within = Within(calibration.within(posterior.within(location, spread).0));
    let credible_region = credible_region(cells, posterior, options.credible_mass, calibration);
    let (entropy, outside_mass) = (posterior.entropy(), posterior.outside_mass);
    Ok(Answer {
        cell,
        path_score: top[winner].score,
        location,
        confidence,
        within,
        candidates,
        levels,
        credible_region,
        entropy,
        outside_mass,
        scoring: options.scoring,
        certain_best: ranking.certain,
        cannot_tell: cannot_tell(confidence, calibration),
        posteriors,
    })
}

/// What is answered with a cell: its location, or where its part inside the area lies.
fn location(cells: &CellTable, level: usize, cell: usize, restriction: Option<&Restriction>) -> LatLng {
    restriction
        .and_then(|area| area.location(level, cell))
        .unwrap_or(cells.level(level)[cell].location)
}

/// The posterior over one level's cells, with the bound for those that were not retrieved.
fn level_posterior(
    level: &[Geocell],
    top: &[Scored],
    outside: Outside,
    calibration: &Calibration,
) -> Result<Posterior> {
    let scores: Vec<CellScore> = top
        .iter()
        .map(|hit| CellScore {
            cell: hit.cell,
            score: f64::from(hit.score),
            photos: level[hit.cell].photos,
        })
        .collect();
    Posterior::new(&scores, outside, calibration)
}

fn outside(level: &[Geocell], top: &[Scored], slack: f64, calibration: &Calibration) -> Outside {
    let Some(lowest) = top.last() else {
        return Outside::NONE;
    };
    if top.len() >= level.len() {
        return Outside::NONE;
    }
    let mut retrieved = vec![false; level.len()];
    for hit in top {
        retrieved[hit.cell] = true;
    }
    let prior = |cell: &Geocell| (cell.photos.max(1) as f64).powf(calibration.prior_weight);
    let prior = level
        .iter()
        .zip(&retrieved)
        .filter(|(_, retrieved)| !**retrieved)
        .map(|(cell, _)| prior(cell))
        .sum();
    Outside {
        score_at_most: f64::from(lowest.score) + slack,
        prior,
    }
}

/// The level's cell with the highest path score (the first retrieved).
fn level_answer(
    level: usize,
    cells: &CellTable,
    posterior: &Posterior,
    restriction: Option<&Restriction>,
) -> LevelAnswer {
    let (cell, probability) = posterior.cells[0];
    let geocell = &cells.level(level)[cell];
    LevelAnswer {
        level,
        token: geocell.id,
        location: location(cells, level, cell, restriction),
        photos: geocell.photos,
        probability,
        outside_mass: posterior.outside_mass,
    }
}

/// Positions in the retrieved list with their scores, best first.
struct Ranking {
    order: Vec<(usize, f64)>,
    certain: bool,
}

fn rank(cells: &CellTable, evidence: &Evidence<'_>, top: &[Scored], scoring: Scoring, slack: f64) -> Ranking {
    match scoring {
        Scoring::Probability => {
            let order = top
                .iter()
                .enumerate()
                .map(|(position, hit)| (position, f64::from(hit.score)))
                .collect();
            Ranking { order, certain: true }
        }
        Scoring::Cosine => {
            let product = |hit: &Scored| log_product(&path_cosines(cells, evidence.cosines, hit.cell));
            let mut order: Vec<(usize, f64)> = top
                .iter()
                .enumerate()
                .map(|(position, hit)| (position, product(hit)))
                .collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then(top[a.0].cell.cmp(&top[b.0].cell)));
            let highest: Vec<f64> = evidence.cosines.iter().map(|level| highest_of(level)).collect();
            let left_out = match top.last() {
                Some(lowest) if evidence.restriction.is_none() && top.len() < cells.finest().len() => {
                    let limit = f64::from(lowest.score) + slack;
                    log_product_at_most(limit, evidence.matches.temperatures(), &highest)
                }
                _ => f64::NEG_INFINITY,
            };
            let certain = order.first().is_some_and(|best| best.1 >= left_out);
            Ranking { order, certain }
        }
    }
}

fn highest_of(values: &[f32]) -> f64 {
    f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max))
}

fn path_cosines(cells: &CellTable, cosines: &[Vec<f32>], finest: usize) -> Vec<f64> {
    let path = cells.hierarchy().path(finest);
    path.iter()
        .zip(cosines)
        .map(|(&cell, level)| f64::from(level[cell]))
        .collect()
}

/// The softmax of each level, taken by itself.
struct LevelSoftmax<'a> {
    evidence: &'a Evidence<'a>,
    /// Per level: logarithm of the sum over cells of exp(cosine / temperature).
    log_sums: Vec<f64>,
}

impl<'a> LevelSoftmax<'a> {
    fn new(evidence: &'a Evidence<'a>) -> Self {
        let log_sum = |(cosines, temperature): (&Vec<f32>, &f64)| {
            let highest = highest_of(cosines) / temperature;
            let sum: f64 = cosines
                .iter()
                .map(|c| (f64::from(*c) / temperature - highest).exp())
                .sum();
            highest + sum.ln()
        };
        let log_sums = evidence
            .cosines
            .iter()
            .zip(evidence.matches.temperatures())
            .map(log_sum)
            .collect();
        Self { evidence, log_sums }
    }

    fn path(&self, cells: &CellTable, finest: usize) -> Vec<LevelMatch> {
        let temperatures = self.evidence.matches.temperatures();
        let level_match = |(level, cell): (usize, usize)| {
            let cosine = f64::from(self.evidence.cosines[level][cell]);
            let probability = (cosine / temperatures[level] - self.log_sums[level]).exp();
            LevelMatch {
                level,
                token: cells.level(level)[cell].id,
                cosine,
                probability,
            }
        };
        cells
            .hierarchy()
            .path(finest)
            .into_iter()
            .enumerate()
            .map(level_match)
            .collect()
    }
}

/// The smallest set of finest cells of a posterior over the finest cells that holds the truth with probability `wanted`, in 0..1.
#[must_use]
pub fn credible_region(
    cells: &CellTable,
    posterior: &Posterior,
    wanted: f64,
    calibration: &Calibration,
) -> CredibleRegion {
    let (set, mass) = posterior.credible_set(calibration.region_mass(wanted));
    let region: Vec<RegionCell> = set
        .into_iter()
        .map(|(cell, probability)| RegionCell {
            token: cells.finest()[cell].id,
            probability,
        })
        .collect();
    let area_km2 = region.iter().map(|cell| cell.token.area_km2()).sum();
    CredibleRegion {
        wanted,
        mass: calibration.region_held(mass),
        cells: region,
        area_km2,
    }
}

fn cannot_tell(confidence: f64, calibration: &Calibration) -> Option<String> {
    (confidence < calibration.cannot_tell_below).then(|| {
        format!(
            "the best geocell holds {:.1} % of the probability, less than the {:.1} % below which this model is not to be believed",
            100.0 * confidence,
            100.0 * calibration.cannot_tell_below
        )
    })
}
