//! Learning where photographs were taken: from a dataset to a checkpoint, with its evaluation.
//!
//! | module | one idea |
//! | --- | --- |
//! | [`config`] | everything that a training run can be told, as TOML |
//! | [`run`] | the folder of a run: configuration, metrics, state, checkpoint |
//! | [`progress`] | what a long run tells its caller while it works |
//! | [`photos`] | decoded, cropped photographs and maps, cached in files |
//! | [`sampling`] | which photos a step sees: a function of seed and epoch only |
//! | [`augmentation`] | small changes of a photo that keep its place |
//! | [`labels`] | the geocell of every photo at every level |
//! | [`loss`] | InfoNCE from image to location, summed over the levels |
//! | [`optimizer`] | AdamW with groups, clipping and resumable state |
//! | [`schedule`] | the learning rate as a function of progress |
//! | [`parallel`] | one step on several threads, with the result of one |
//! | [`segmenter`] | training the compact segmenter on the dataset's maps |
//! | [`state`] | saving a run and going on exactly where it stopped |
//! | [`mapping`] | segmentation maps of many photographs, written to files that training reads |
//! | [`train`] | the whole line: partition, segmenter, contrastive learning, calibration |
//! | [`validation`] | accuracy by exact hierarchical inference |
//! | [`calibrate`] | making probabilities honest on validation photos |
//! | [`evaluate`] | a checkpoint judged on a dataset |
//! | [`benchmark`] | the field's benchmarks, intervals, reliability, leakage, look-up |
//! | [`baselines`] | what others have published, on the same photos with the same tower |
//! | [`ablation`] | one choice of the method changed at a time, over several seeds |

pub mod ablation;
pub mod augmentation;
pub mod baselines;
pub mod benchmark;
pub mod calibrate;
pub mod config;
pub mod error;
pub mod evaluate;
pub mod labels;
pub mod learn;
pub mod loss;
pub mod mapping;
pub mod metrics;
pub mod model;
pub mod optimizer;
pub mod parallel;
pub mod photos;
pub mod progress;
pub mod run;
pub mod sampling;
pub mod schedule;
pub mod segmenter;
pub mod state;
pub mod step;
pub mod train;
pub mod validation;

pub use config::TrainingConfig;
pub use error::{Error, Result};
pub use evaluate::{EvaluationOptions, EvaluationReport, evaluate};
pub use progress::{Progress, Stage};
pub use run::RunFolder;
pub use train::{TrainingOptions, TrainingReport, train};
