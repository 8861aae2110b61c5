//! Finding a reference photo of the same spot, beside chance and colour histograms.
//!
//! A query counts when the gallery has a photo within the radius. Recall at k is the share of such queries for which one of the k most
//! alike gallery photos is within the radius. Three orders of likeness are compared: the model's visual embedding, a colour
//! histogram (8 x 8 x 8, Bhattacharyya coefficient), and none at all: the expected recall of k gallery photos drawn at random.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use datasets::{Dataset, DecodeLimits};
use geocells::{LatLng, THRESHOLDS};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, Interval};
use super::encode::EncodedPhotos;
use crate::Result;

/// The ks of recall at k.
pub const KS: [usize; 2] = [1, 5];
/// Colours a channel of the histogram.
const SHADES: usize = 8;
/// Queries compared with the gallery at a time.
const CHUNK: usize = 64;

/// What to look up.
#[derive(Debug, Clone)]
pub struct LookUpOptions {
    /// The reference photos; `None`: every other photo of the judged dataset.
    pub gallery: Option<Dataset>,
    /// The distance within which a reference photo shows the same spot, metres.
    pub radius_m: f64,
}

/// How well reference photos of the same spot are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookUpReport {
    /// The radius, metres.
    pub radius_m: f64,
    /// Query photos.
    pub queries: usize,
    /// Gallery photos that each query is compared with.
    pub gallery: usize,
    /// Queries with a gallery photo within the radius: those that count.
    pub answerable: usize,
    /// Mean number of gallery photos within the radius of such a query.
    pub matches_a_query: f64,
    /// Recall by method.
    pub methods: Vec<LookUpRecall>,
}

/// One method's recall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookUpRecall {
    /// "visual embedding", "colour histogram" or "chance".
    pub method: String,
    /// Recall at 1 and at 5; 0 without answerable queries.
    pub recall: [f64; KS.len()],
    /// Intervals of both, over queries; `None` for chance, which is exact, and when intervals are off.
    pub intervals: Option<[Interval; KS.len()]>,
}

/// Colour histograms of encoded photos as rows of length 1, `[photos, 512]`: square roots of the shares, so that their inner product is
/// the Bhattacharyya coefficient. A photo that no longer opens has no colour and is like no other.
///
/// # Errors
/// A tensor operation's.
pub fn colour_histograms(dataset: &Dataset, encoded: &EncodedPhotos) -> Result<Tensor> {
    let rows: Vec<Vec<f32>> = encoded
        .indices
        .par_iter()
        .map(|index| {
            datasets::decode_image(dataset.image_path(*index), &DecodeLimits::default())
                .map_or_else(|_| vec![0.0; SHADES.pow(3)], |image| histogram(&image))
        })
        .collect();
    let count = rows.len();
    Ok(Tensor::from_vec(
        rows.into_iter().flatten().collect::<Vec<f32>>(),
        (count, SHADES.pow(3)),
        &Device::Cpu,
    )?)
}

fn histogram(image: &RgbImage) -> Vec<f32> {
    let mut counts = vec![0_u32; SHADES.pow(3)];
    for pixel in image.pixels() {
        let [r, g, b] = pixel.0.map(|v| usize::from(v) * SHADES / 256);
        counts[(r * SHADES + g) * SHADES + b] += 1;
    }
    let total = (image.width() * image.height()).max(1) as f32;
    counts.into_iter().map(|n| (n as f32 / total).sqrt()).collect()
}

/// Judges the look-up of `queries` in `gallery`, method by method: name, query features and gallery features.
/// With `same`, both sides are the same photos in the same order and a photo never finds itself.
///
/// # Errors
/// Features of different widths.
pub fn judge(
    queries: &[LatLng],
    gallery: &[LatLng],
    same: bool,
    methods: &[(&str, &Tensor, &Tensor)],
    radius_m: f64,
    bootstrap: &Bootstrap,
) -> Result<LookUpReport> {
    let near = Near::new(gallery, radius_m);
    let matches: Vec<Vec<usize>> = queries
        .par_iter()
        .enumerate()
        .map(|(i, place)| near.within(*place).filter(|j| !(same && *j == i)).collect())
        .collect();
    let answerable: Vec<usize> = (0..queries.len()).filter(|i| !matches[*i].is_empty()).collect();
    let size = gallery.len() - usize::from(same);
    let mut told = Vec::new();
    for (name, asked, offered) in methods {
        let best = best(asked, offered, same)?;
        let found: Vec<[bool; KS.len()]> = answerable
            .iter()
            .map(|i| KS.map(|k| best[*i].iter().take(k).any(|j| matches[*i].contains(j))))
            .collect();
        let recall = |sample: &[usize]| -> [f64; KS.len()] {
            std::array::from_fn(|k| {
                sample.iter().filter(|i| found[**i][k]).count() as f64 / sample.len().max(1) as f64
            })
        };
        told.push(LookUpRecall {
            method: (*name).to_owned(),
            recall: recall(&(0..found.len()).collect::<Vec<_>>()),
            intervals: bootstrap.intervals(found.len(), recall),
        });
    }
    let expected = |k: usize| {
        let sum: f64 = answerable.iter().map(|i| drawn(size, matches[*i].len(), k)).sum();
        sum / answerable.len().max(1) as f64
    };
    told.push(LookUpRecall {
        method: "chance".to_owned(),
        recall: KS.map(expected),
        intervals: None,
    });
    let pairs: usize = answerable.iter().map(|i| matches[*i].len()).sum();
    Ok(LookUpReport {
        radius_m,
        queries: queries.len(),
        gallery: size,
        answerable: answerable.len(),
        matches_a_query: pairs as f64 / answerable.len().max(1) as f64,
        methods: told,
    })
}

/// The probability that one of `k` photos drawn from `size` without replacement is one of `matches`.
fn drawn(size: usize, matches: usize, k: usize) -> f64 {
    let none: f64 = (0..k)
        .map(|t| (size as f64 - matches as f64 - t as f64).max(0.0) / (size as f64 - t as f64).max(1.0))
        .product();
    1.0 - none
}

/// The most alike gallery photos of each query, best first, as many as the largest k.
fn best(queries: &Tensor, gallery: &Tensor, same: bool) -> Result<Vec<Vec<usize>>> {
    let most = KS[KS.len() - 1];
    let transposed = gallery.t()?.contiguous()?;
    let count = queries.dim(0)?;
    let mut all = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let part = queries.narrow(0, start, CHUNK.min(count - start))?.contiguous()?;
        let likeness: Vec<Vec<f32>> = part.matmul(&transposed)?.to_vec2()?;
        all.par_extend(likeness.into_par_iter().enumerate().map(|(row, likeness)| {
            let own = start + row;
            let mut order: Vec<usize> = (0..likeness.len()).filter(|j| !(same && *j == own)).collect();
            let by = |a: &usize, b: &usize| likeness[*b].total_cmp(&likeness[*a]).then(a.cmp(b));
            if order.len() > most {
                order.select_nth_unstable_by(most - 1, by);
                order.truncate(most);
            }
            order.sort_unstable_by(by);
            order
        }));
    }
    Ok(all)
}

/// Places in squares as large as the radius, so that few have to be compared.
struct Near<'a> {
    places: &'a [LatLng],
    radius_km: f64,
    step: f64,
    squares: HashMap<[i64; 3], Vec<usize>>,
}

impl<'a> Near<'a> {
    fn new(places: &'a [LatLng], radius_m: f64) -> Self {
        let radius_km = radius_m / 1_000.0;
        // On the unit sphere; a chord is shorter than its arc, so a neighbour is at most one step away.
        let step = (radius_km / geocells::EARTH_RADIUS_KM).max(1e-9);
        let mut squares: HashMap<[i64; 3], Vec<usize>> = HashMap::new();
        for (index, place) in places.iter().enumerate() {
            squares.entry(square(*place, step)).or_default().push(index);
        }
        Self {
            places,
            radius_km,
            step,
            squares,
        }
    }

    fn within(&self, place: LatLng) -> impl Iterator<Item = usize> + '_ {
        let [x, y, z] = square(place, self.step);
        let around = (0..27).map(move |k| [x + k % 3 - 1, y + k / 3 % 3 - 1, z + k / 9 - 1]);
        around
            .filter_map(|key| self.squares.get(&key))
            .flatten()
            .copied()
            .filter(move |index| self.places[*index].distance(place).get() <= self.radius_km)
    }
}

fn square(place: LatLng, step: f64) -> [i64; 3] {
    place.unit_vector().map(|v| (v / step).floor() as i64)
}

/// A radius of look-up in metres that means something: more than nothing, at most the city threshold.
pub fn usable_radius(radius_m: f64) -> bool {
    radius_m.is_finite() && radius_m > 0.0 && radius_m <= THRESHOLDS[1].km.get() * 1_000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn place(metres_north: f64) -> LatLng {
        LatLng::new(51.5 + metres_north / 111_195.0, -0.1).unwrap()
    }

    fn features(rows: &[[f32; 2]]) -> Tensor {
        Tensor::from_vec(rows.concat(), (rows.len(), 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn recall_of_a_street_done_by_hand() {
        // Gallery every 100 m; queries 10 m beside photos 0, 3 and 5, and one 60 m from any.
        let gallery: Vec<LatLng> = (0..10).map(|k| place(100.0 * f64::from(k))).collect();
        let queries = [place(10.0), place(310.0), place(510.0), place(440.0)];
        let angle = |k: f32| [(k * 0.1).cos(), (k * 0.1).sin()];
        let offered: Vec<[f32; 2]> = (0..10).map(|k| angle(k as f32)).collect();
        // The first looks like photo 0, the second like photo 4 (its own is the second choice), the third like photo 9.
        let asked = [angle(0.0), angle(3.6), angle(9.0), angle(1.0)];
        let (asked, offered) = (features(&asked), features(&offered));
        let found = judge(
            &queries,
            &gallery,
            false,
            &[("visual embedding", &asked, &offered)],
            25.0,
            &Bootstrap::default(),
        )
        .unwrap();
        assert_eq!((found.queries, found.gallery, found.answerable), (4, 10, 3));
        assert_eq!(found.matches_a_query, 1.0);
        // At 5 the third query has 9, 8, 7, 6, 5 and finds its own.
        assert_eq!(found.methods[0].recall, [1.0 / 3.0, 1.0]);
        assert!((found.methods[1].recall[0] - 0.1).abs() < 1e-12);
        assert!((found.methods[1].recall[1] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_photo_never_finds_itself() {
        let places = [place(0.0), place(5.0), place(1_000.0)];
        let rows = features(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        let found = judge(
            &places,
            &places,
            true,
            &[("x", &rows, &rows)],
            25.0,
            &Bootstrap::default(),
        )
        .unwrap();
        assert_eq!((found.gallery, found.answerable), (2, 2));
        // Photo 0 finds photo 2 first; photo 1 is equally unlike both and takes the first.
        assert_eq!(found.methods[0].recall, [0.5, 1.0]);
        assert_eq!(found.methods[1].recall, [0.5, 1.0]);
    }

    #[test]
    fn histograms_compare_colours() {
        let image = |colour: [u8; 3]| RgbImage::from_pixel(4, 4, image::Rgb(colour));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (red, dark_red, blue) = (
            histogram(&image([250, 0, 0])),
            histogram(&image([230, 3, 9])),
            histogram(&image([0, 0, 250])),
        );
        assert_eq!((dot(&red, &dark_red), dot(&red, &blue)), (1.0, 0.0));
        assert!(
            usable_radius(25.0) && !usable_radius(0.0) && !usable_radius(f64::NAN) && !usable_radius(1e6)
        );
    }
}
