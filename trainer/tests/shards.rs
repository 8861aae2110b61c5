//! A batch shared between workers has the gradient of the whole batch.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use geocells::Hierarchy;
use geosurge_trainer::augmentation::Change;
use geosurge_trainer::config::Duplicates;
use geosurge_trainer::labels::CellLabels;
use geosurge_trainer::model::LearningModel;
use geosurge_trainer::optimizer::{AdamW, Trained};
use geosurge_trainer::parallel::Workers;
use geosurge_trainer::photos::PhotoCache;
use geosurge_trainer::step::{Gradients, Lesson, gradients};

fn norm(x: &Tensor) -> f32 {
    x.sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap()
        .sqrt()
}

#[test]
fn shards_have_the_gradient_of_the_whole_and_every_parameter_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 60);
    let config = common::config();
    let cache = PhotoCache::open(
        &dataset,
        &config.model,
        &folder.path().join("cache"),
        &|_| (),
        &AtomicBool::new(false),
    )
    .unwrap();
    let places: Vec<_> = dataset.photos().iter().map(|p| p.location).collect();
    let partition = geocells::PartitionConfig {
        t_min: 1,
        t_max: vec![40, 20, 8],
        ..geocells::PartitionConfig::default()
    };
    let hierarchy = Hierarchy::build(&places, &partition).unwrap();
    let labels = CellLabels::new(&hierarchy, &places);
    let model = LearningModel::new(&config.model, &hierarchy, 1, &Device::Cpu, true).unwrap();
    let trained = |(name, var, decay): (&str, &candle_core::Var, bool)| Trained {
        name: name.into(),
        var: var.clone(),
        rate: 1.0,
        decay,
    };
    let optimizer = AdamW::new(
        model.parameters().trainable().map(trained).collect(),
        config.optimizer.clone(),
    )
    .unwrap();
    let batch: Vec<(usize, Change)> = (0..30)
        .map(|i| {
            (
                2 * i,
                Change {
                    flip: i % 2 == 0,
                    ..Change::NONE
                },
            )
        })
        .collect();

    for duplicates in [Duplicates::Masked, Duplicates::FullSoftmax] {
        let with = |workers: usize| -> Gradients {
            let lesson = Lesson {
                cache: &cache,
                labels: &labels,
                duplicates,
            };
            gradients(
                &model,
                &optimizer,
                &Workers::new(workers, &Device::Cpu).unwrap(),
                lesson,
                &batch,
            )
            .unwrap()
        };
        let (one, three) = (with(1), with(3));
        assert!(
            (one.loss - three.loss).abs() < 1e-4 * one.loss,
            "{} {}",
            one.loss,
            three.loss
        );
        for ((parameter, a), b) in optimizer
            .parameters()
            .iter()
            .zip(&one.gradients)
            .zip(&three.gradients)
        {
            let (a, b) = (
                a.as_ref().expect(&parameter.name),
                b.as_ref().expect(&parameter.name),
            );
            let difference = norm(&(a - b).unwrap());
            assert!(
                difference <= 1e-4 * norm(a) + 1e-6,
                "{}: {difference} of {}",
                parameter.name,
                norm(a)
            );
        }
        let again = with(3);
        for (a, b) in three.gradients.iter().zip(&again.gradients) {
            let bits = |t: &Option<Tensor>| {
                t.as_ref()
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
            };
            assert_eq!(bits(a), bits(b), "the same workers give the same bits");
        }
    }
}
