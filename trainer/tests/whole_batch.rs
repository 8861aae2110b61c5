//! However a batch is shared - between threads, in micro-batches, over devices - its gradient is that of the whole batch.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use geocells::{Hierarchy, LatLng};
use geosurge_trainer::TrainingConfig;
use geosurge_trainer::augmentation::Change;
use geosurge_trainer::communicator::{Communicator, HostCommunicator};
use geosurge_trainer::config::Duplicates;
use geosurge_trainer::inputs::{Inputs, Source};
use geosurge_trainer::labels::CellLabels;
use geosurge_trainer::loss::Smoothing;
use geosurge_trainer::model::LearningModel;
use geosurge_trainer::optimizer::AdamW;
use geosurge_trainer::parallel::Workers;
use geosurge_trainer::photos::PhotoCache;
use geosurge_trainer::replicas::{Pupil, Rate, Replicas};
use geosurge_trainer::step::{Gradients, Lesson, gradients, gradients_of};

fn norm(x: &Tensor) -> f32 {
    let squares = x.sqr().unwrap().sum_all().unwrap();
    squares.to_scalar::<f32>().unwrap().sqrt()
}

fn bits(x: &Tensor) -> Vec<u32> {
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// Sixty photos of a tiny planet, and thirty of them as a batch.
struct World {
    config: TrainingConfig,
    cache: PhotoCache,
    places: Vec<LatLng>,
    hierarchy: Hierarchy,
    labels: CellLabels,
    batch: Vec<(usize, Change)>,
}

impl World {
    fn new(folder: &Path) -> Self {
        let dataset = common::planet(&folder.join("planet"), 60);
        let config = common::config();
        let cache = PhotoCache::open(
            &dataset,
            &config.model,
            &folder.join("cache"),
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
        let change = |flip| Change { flip, ..Change::NONE };
        Self {
            config,
            cache,
            places,
            labels,
            hierarchy,
            batch: (0..30).map(|i| (2 * i, change(i % 2 == 0))).collect(),
        }
    }

    fn model(&self) -> LearningModel {
        LearningModel::new(&self.config.model, &self.hierarchy, 1, &Device::Cpu, true).unwrap()
    }

    fn optimizer(&self, model: &LearningModel) -> AdamW {
        AdamW::new(model.trained(1.0), self.config.optimizer.clone()).unwrap()
    }

    fn lesson(&self, duplicates: Duplicates) -> Lesson<'_> {
        Lesson::new(&self.cache, &self.labels, duplicates)
    }

    fn inputs(&self) -> Inputs {
        let source = Source {
            photos: &self.cache,
            tokens: None,
            maps: true,
        };
        Inputs::read(source, &self.batch).unwrap()
    }
}

fn workers(count: usize) -> Workers {
    Workers::new(count, &Device::Cpu).unwrap()
}

fn assert_close(optimizer: &AdamW, one: &Gradients, other: &Gradients, what: &str) {
    assert!(
        (one.loss - other.loss).abs() < 1e-4 * one.loss,
        "{what}: {} {}",
        one.loss,
        other.loss
    );
    let parameters = optimizer.parameters().iter();
    for ((parameter, a), b) in parameters.zip(&one.gradients).zip(&other.gradients) {
        let name = &parameter.name;
        let (a, b) = (a.as_ref().expect(name), b.as_ref().expect(name));
        let difference = norm(&(a - b).unwrap());
        assert!(
            difference <= 1e-4 * norm(a) + 1e-6,
            "{what}, {name}: {difference} of {}",
            norm(a)
        );
    }
}

#[test]
fn threads_have_the_gradient_of_the_whole_and_every_parameter_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let model = world.model();
    let optimizer = world.optimizer(&model);
    for duplicates in [Duplicates::Masked, Duplicates::FullSoftmax] {
        let with = |count: usize| {
            let lesson = world.lesson(duplicates);
            gradients(&model, &optimizer, &workers(count), lesson, &world.batch).unwrap()
        };
        let (one, three) = (with(1), with(3));
        assert_close(&optimizer, &one, &three, "three threads");
        let again = with(3);
        for (a, b) in three.gradients.iter().zip(&again.gradients) {
            let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
            assert_eq!(bits(a), bits(b), "the same workers give the same bits");
        }
    }
}

#[test]
fn micro_batches_have_the_gradient_of_one_large_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for frozen_blocks in [0, 1] {
        world.config.model.vision.trainable_blocks = world.config.model.vision.layers - frozen_blocks;
        let model = world.model();
        let optimizer = world.optimizer(&model);
        for duplicates in [Duplicates::Masked, Duplicates::Kept, Duplicates::FullSoftmax] {
            let with = |micro_batch: usize, count: usize| {
                let lesson = Lesson {
                    micro_batch,
                    ..world.lesson(duplicates)
                };
                gradients(&model, &optimizer, &workers(count), lesson, &world.batch).unwrap()
            };
            let whole = with(0, 1);
            for (micro_batch, count) in [(7, 1), (1, 1), (4, 2), (29, 1)] {
                let what = format!("{duplicates:?}, {frozen_blocks} frozen, {micro_batch} at a time");
                assert_close(&optimizer, &whole, &with(micro_batch, count), &what);
            }
            // The contrast is over all thirty, which thirty photos of seven at a time without cached embeddings would not have.
            let part = gradients(
                &model,
                &optimizer,
                &workers(1),
                world.lesson(duplicates),
                &world.batch[..7],
            );
            if duplicates != Duplicates::FullSoftmax {
                assert!((part.unwrap().loss - whole.loss).abs() > 0.1);
            }
        }
    }
}

#[test]
fn devices_have_the_gradient_of_one_large_batch() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let inputs = world.inputs();
    let model = world.model();
    let optimizer = world.optimizer(&model);
    for duplicates in [Duplicates::Masked, Duplicates::FullSoftmax] {
        let lesson = world.lesson(duplicates);
        let one = gradients(&model, &optimizer, &workers(1), lesson, &world.batch).unwrap();
        for size in [2, 4] {
            let group = HostCommunicator::group(size);
            let all: Vec<Gradients> = std::thread::scope(|scope| {
                let handles: Vec<_> = group
                    .iter()
                    .map(|member| {
                        let (world, inputs) = (&world, &inputs);
                        scope.spawn(move || {
                            let model = world.model();
                            let optimizer = world.optimizer(&model);
                            let lesson = world.lesson(duplicates);
                            let workers = workers(1 + member.rank() % 2);
                            gradients_of(&model, &optimizer, &workers, lesson, inputs, member).unwrap()
                        })
                    })
                    .collect();
                handles.into_iter().map(|handle| handle.join().unwrap()).collect()
            });
            for (rank, gradients) in all.iter().enumerate() {
                assert_close(&optimizer, &one, gradients, &format!("rank {rank} of {size}"));
                for (a, b) in gradients.gradients.iter().zip(&all[0].gradients) {
                    assert_eq!(bits(a.as_ref().unwrap()), bits(b.as_ref().unwrap()));
                }
            }
        }
    }
}

#[test]
fn replicas_stay_equal_and_learn_what_one_device_learns() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let inputs = world.inputs();
    let learn = |further: &[Device]| {
        let mut first = Pupil::new(world.model(), &world.config).unwrap();
        let mut replicas = Replicas::new(&first, &world.config, further, |_| Ok(world.model())).unwrap();
        let losses: Vec<f32> = (1..=5)
            .map(|step| {
                let rate = Rate {
                    step,
                    learning_rate: 1e-3,
                };
                let lesson = world.lesson(Duplicates::Masked);
                let learnt = replicas.step(&mut first, &world.config, &workers(1), lesson, &inputs, rate);
                learnt.unwrap().loss
            })
            .collect();
        (first, replicas, losses)
    };
    let (alone, _, single) = learn(&[]);
    let (first, replicas, losses) = learn(&[Device::Cpu, Device::Cpu]);
    assert!(losses[4] < losses[0], "{losses:?}");
    for (a, b) in single.iter().zip(&losses) {
        assert!((a - b).abs() < 1e-3 * a, "{single:?} {losses:?}");
    }
    assert_eq!(replicas.copies().count(), 2);
    for copy in replicas.copies() {
        for ((name, a, _), (_, b, _)) in copy
            .parameters()
            .trainable()
            .zip(first.model.parameters().trainable())
        {
            assert_eq!(bits(a.as_tensor()), bits(b.as_tensor()), "{name}");
        }
    }
    for ((name, a, _), (_, b, _)) in alone
        .model
        .parameters()
        .trainable()
        .zip(first.model.parameters().trainable())
    {
        let difference = norm(&(a.as_tensor() - b.as_tensor()).unwrap());
        assert!(
            difference <= 0.02 * norm(a.as_tensor()) + 1e-3,
            "{name}: {difference}"
        );
    }
}

#[test]
fn a_failing_device_stops_all_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let mut first = Pupil::new(world.model(), &world.config).unwrap();
    let mut replicas = Replicas::new(&first, &world.config, &[Device::Cpu], |_| Ok(world.model())).unwrap();
    // A learning rate without end makes every parameter infinite, and the next loss no number, on all devices at once.
    world.config.optimizer.clip_norm = 0.0;
    let inputs = world.inputs();
    let mut step = |learning_rate: f64| {
        let rate = Rate {
            step: 1,
            learning_rate,
        };
        replicas.step(
            &mut first,
            &world.config,
            &workers(1),
            world.lesson(Duplicates::Masked),
            &inputs,
            rate,
        )
    };
    step(1e30).unwrap();
    let said = step(1e-3).unwrap_err().to_string();
    assert!(said.contains("loss became"), "{said}");
}

#[test]
fn smoothed_labels_are_shared_between_near_cells() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let model = world.model();
    let optimizer = world.optimizer(&model);
    let with = |km: f64| {
        let lesson = Lesson {
            smoothing: Some(Smoothing {
                hierarchy: &world.hierarchy,
                places: &world.places,
                km,
            }),
            ..world.lesson(Duplicates::FullSoftmax)
        };
        gradients(&model, &optimizer, &workers(1), lesson, &world.batch).unwrap()
    };
    let lesson = world.lesson(Duplicates::FullSoftmax);
    let hard = gradients(&model, &optimizer, &workers(1), lesson, &world.batch).unwrap();
    // Over a very short distance, a photo's own cell keeps its label unless another one's centre is nearer.
    assert!((with(65.0).loss - hard.loss).abs() > 1e-4 * hard.loss);
    // Over an endless distance, every cell is as right as any other: the loss is the mean over the cells.
    let uniform = with(1e9);
    let expected: f32 = (0..world.hierarchy.depth())
        .map(|level| {
            let cells = world.hierarchy.levels()[level].len();
            let located: Vec<usize> = (0..world.batch.len())
                .filter(|row| world.labels.level(level)[world.batch[*row].0].is_some())
                .collect();
            let visual = model.encode(&world.cache, &world.batch).unwrap().detach();
            let table = model.geographic().all(level).unwrap().detach();
            let scale = 1.0 / model.geographic().temperature(level).unwrap();
            let logits = (visual.matmul(&table.t().unwrap()).unwrap() * scale).unwrap();
            let logits: Vec<Vec<f32>> = logits.to_vec2().unwrap();
            let each = located.iter().map(|row| {
                let row = &logits[*row];
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                let sum: f32 = row.iter().map(|s| (s - most).exp()).sum();
                most + sum.ln() - row.iter().sum::<f32>() / cells as f32
            });
            each.sum::<f32>() / located.len() as f32
        })
        .sum();
    assert!(
        (uniform.loss - expected).abs() < 1e-3 * expected,
        "{} {expected}",
        uniform.loss
    );
}
