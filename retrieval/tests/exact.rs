//! Exact inference against the definitions of DESIGN 4.4, cell by cell.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{DIMENSION, TEMPERATURES, World, dot};
use geosurge_retrieval::cosine::log_product;
use geosurge_retrieval::{Error, InferenceOptions, Scoring};
use models::Calibration;

/// softmax over the level's cells of s / τ, for one query.
fn softmax(world: &World, level: usize, query: &[f32]) -> Vec<f64> {
    let logits: Vec<f64> = world.embeddings[level]
        .iter()
        .map(|g| dot(query, g) / TEMPERATURES[level])
        .collect();
    let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / total).collect()
}

fn product_of_softmaxes(world: &World, query: &[f32], upto: usize) -> Vec<f64> {
    let levels: Vec<Vec<f64>> = (0..=upto).map(|level| softmax(world, level, query)).collect();
    let cells = world.hierarchy.levels()[upto].cells();
    (0..cells.len())
        .map(|index| {
            let (mut level, mut cell, mut product) = (upto, index, 1.0);
            loop {
                product *= levels[level][cell];
                match world.hierarchy.levels()[level].cells()[cell].parent {
                    Some(parent) => (level, cell) = (level - 1, parent),
                    None => return product,
                }
            }
        })
        .collect()
}

fn normalised(values: &[f64]) -> Vec<f64> {
    let total: f64 = values.iter().sum();
    values.iter().map(|value| value / total).collect()
}

/// exp(v · p(c)) is proportional to the product of the path's softmax probabilities, at the finest level and at every
/// prefix of the path.
#[test]
fn path_scores_are_the_product_of_softmaxes() {
    let world = World::new(1);
    let exact = world.exact();
    for query in &world.queries {
        for level in 0..world.hierarchy.depth() {
            let scores = exact.path_scores_of(level, query).unwrap();
            let found = normalised(
                &scores
                    .iter()
                    .map(|score| f64::from(*score).exp())
                    .collect::<Vec<_>>(),
            );
            let wanted = normalised(&product_of_softmaxes(&world, query, level));
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!(
                    (found - wanted).abs() < 1e-4 * wanted.max(1e-3),
                    "{found} {wanted}"
                );
            }
        }
    }
}

#[test]
fn the_answer_is_the_cell_of_the_highest_product() {
    let world = World::new(2);
    let exact = world.exact();
    let options = InferenceOptions {
        searched: usize::MAX,
        ..InferenceOptions::default()
    };
    for query in &world.queries {
        let answer = exact.infer(query, &Calibration::default(), &options).unwrap();
        let finest = world.hierarchy.depth() - 1;
        let products = normalised(&product_of_softmaxes(&world, query, finest));
        let best = (0..products.len())
            .max_by(|a, b| products[*a].total_cmp(&products[*b]))
            .unwrap();
        assert_eq!(answer.cell, best);
        assert!((answer.confidence - products[best]).abs() < 1e-4);
        assert_eq!(answer.outside_mass, 0.0);
        assert_eq!(answer.location, world.hierarchy.finest().cells()[best].location);
        assert!(answer.certain_best);
        for (level, told) in answer.levels.iter().enumerate() {
            let products = normalised(&product_of_softmaxes(&world, query, level));
            let best = (0..products.len())
                .max_by(|a, b| products[*a].total_cmp(&products[*b]))
                .unwrap();
            assert_eq!(told.token, world.hierarchy.levels()[level].cells()[best].id);
            assert!((told.probability - products[best]).abs() < 1e-4);
        }
        let first = &answer.candidates[0];
        assert_eq!(first.path.len(), world.hierarchy.depth());
        for matched in &first.path {
            let cell = world.hierarchy.path(answer.cell)[matched.level];
            let wanted = softmax(&world, matched.level, query)[cell];
            assert!((matched.probability - wanted).abs() < 1e-5);
            assert!((matched.cosine - dot(query, &world.embeddings[matched.level][cell])).abs() < 1e-6);
        }
        assert!(answer.within.0.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
        assert!(answer.within.0[4] <= 1.0);
    }
}

/// With few cells retrieved, the posterior's lower bounds and the outside bound hold against exact inference.
#[test]
fn few_candidates_bound_the_exact_posterior() {
    let world = World::new(3);
    let exact = world.exact();
    let calibration = Calibration {
        scale: 0.3,
        prior_weight: 0.5,
        cannot_tell_below: 0.0,
        ..Calibration::default()
    };
    let all = InferenceOptions {
        searched: usize::MAX,
        candidates: usize::MAX,
        ..InferenceOptions::default()
    };
    let some = InferenceOptions { searched: 7, ..all };
    for query in &world.queries {
        let whole = exact.infer(query, &calibration, &all).unwrap();
        let part = exact.infer(query, &calibration, &some).unwrap();
        assert_eq!(whole.cell, part.cell);
        assert!(part.outside_mass > 0.0);
        let told = part.candidates.len();
        assert_eq!(told, 7);
        let truly_outside: f64 = whole.candidates[told..]
            .iter()
            .map(|candidate| candidate.probability)
            .sum();
        assert!(truly_outside <= part.outside_mass);
        for (bound, exact) in part.candidates.iter().zip(&whole.candidates) {
            assert_eq!(bound.token, exact.token);
            assert!(bound.probability <= exact.probability);
        }
        for (bound, exact) in part.within.0.iter().zip(whole.within.0) {
            assert!(*bound <= exact + 1e-9);
        }
    }
}

/// The literal product of (1 + s) / 2: with every cell retrieved the answer is the true maximum; with few, an answer
/// that says it is certain is the true maximum too.
#[test]
fn cosine_scoring_finds_the_highest_product_or_says_that_it_is_not_certain() {
    let mut certain = 0;
    for seed in 4..8 {
        let world = World::new(seed);
        let exact = world.exact();
        let cells = world.hierarchy.finest().cells().len();
        for query in &world.queries {
            let product = |finest: usize| {
                let path = world.hierarchy.path(finest);
                let cosine = |(level, cell): (usize, &usize)| dot(query, &world.embeddings[level][*cell]);
                log_product(&path.iter().enumerate().map(cosine).collect::<Vec<_>>())
            };
            let best = (0..cells).map(product).fold(f64::NEG_INFINITY, f64::max);
            for searched in [5, 40, usize::MAX] {
                let options = InferenceOptions {
                    scoring: Scoring::Cosine,
                    searched,
                    ..InferenceOptions::default()
                };
                let answer = exact.infer(query, &Calibration::default(), &options).unwrap();
                assert!((answer.candidates[0].score - product(answer.cell)).abs() < 1e-5);
                if searched == usize::MAX {
                    assert!(answer.certain_best);
                }
                if answer.certain_best {
                    certain += usize::from(searched != usize::MAX);
                    assert!((product(answer.cell) - best).abs() < 1e-5);
                }
            }
        }
    }
    assert!(certain > 100, "the bound certifies too little: {certain} of 400");
}

#[test]
fn a_low_confidence_cannot_tell_and_says_why() {
    let world = World::new(9);
    let exact = world.exact();
    let sure = Calibration {
        cannot_tell_below: 0.0,
        ..Calibration::default()
    };
    let strict = Calibration {
        cannot_tell_below: 1.0,
        scale: 0.01,
        ..Calibration::default()
    };
    let options = InferenceOptions::default();
    assert_eq!(
        exact
            .infer(&world.queries[0], &sure, &options)
            .unwrap()
            .cannot_tell,
        None
    );
    let answer = exact.infer(&world.queries[0], &strict, &options).unwrap();
    assert!(answer.cannot_tell.unwrap().contains("% of the probability"));
}

#[test]
fn bad_queries_and_options_are_named() {
    let world = World::new(10);
    let exact = world.exact();
    let (calibration, options) = (Calibration::default(), InferenceOptions::default());
    let short = exact.infer(&[1.0], &calibration, &options);
    assert!(matches!(
        short,
        Err(Error::Dimension {
            expected: DIMENSION,
            found: 1
        })
    ));
    let nan = exact.infer(&[f32::NAN; DIMENSION], &calibration, &options);
    assert!(matches!(nan, Err(Error::NotFinite)));
    for bad in [
        InferenceOptions {
            searched: 0,
            ..options
        },
        InferenceOptions {
            candidates: 0,
            ..options
        },
        InferenceOptions {
            credible_mass: 1.5,
            ..options
        },
    ] {
        assert!(matches!(
            exact.infer(&world.queries[0], &calibration, &bad),
            Err(Error::Invalid { .. })
        ));
    }
    let mut few = World::tensors(&world.paths);
    few.pop();
    let embeddings = World::tensors(&world.embeddings);
    let shape =
        geosurge_retrieval::ExactIndex::new(world.hierarchy.clone(), &embeddings, &few, &TEMPERATURES);
    assert!(matches!(
        shape,
        Err(Error::Shape {
            level: 2,
            embeddings: 0,
            ..
        })
    ));
}
