//! Learning where photographs were taken: from a dataset to a checkpoint, with its evaluation.
//!
//! | module | one idea |
//! | --- | --- |
//! | [`config`] | everything that a training run can be told, as TOML |
//! | [`run`] | the folder of a run: configuration, metrics, state, checkpoint |
//! | [`provenance`] | of what a run was made, and on what |
//! | [`progress`] | what a long run tells its caller while it works |
//! | [`metrics`], [`tensorboard`], [`record`] | the numbers of a run, in files |
//! | [`photos`] | photographs and maps at the model's size: decoded once into files, or streamed |
//! | [`tokens`] | what the tower's frozen blocks make of every photo, stored once |
//! | [`sampling`] | which photos a step sees: a function of seed and epoch only |
//! | [`inputs`] | a step's photos as the networks take them, read ahead |
//! | [`augmentation`] | small changes of a photo that keep its place |
//! | [`labels`] | the geocell of every photo at every level |
//! | [`loss`] | InfoNCE from image to location, summed over the levels |
//! | [`optimizer`] | AdamW with groups, clipping and resumable state |
//! | [`average`] | a moving average of the weights |
//! | [`schedule`] | the learning rate as a function of progress |
//! | [`parallel`] | one step on several threads, with the result of one |
//! | [`step`] | loss and gradients of one batch, in micro-batches and over devices |
//! | [`communicator`], [`replicas`] | one model on several devices |
//! | [`segmenter`] | training the compact segmenter on the dataset's maps |
//! | [`state`] | saving a run and going on exactly where it stopped |
//! | [`mapping`] | segmentation maps of many photographs, written to files that training reads |
//! | [`train`] | the whole line: partition, segmenter, contrastive learning, calibration |
//! | [`html_report`] | a finished run as a page for people |
//! | [`validation`] | accuracy by exact hierarchical inference |
//! | [`calibrate`] | making probabilities honest on validation photos |
//! | [`evaluate`] | a checkpoint judged on a dataset |
//! | [`benchmark`] | the field's benchmarks, intervals, reliability, leakage, look-up |
//! | [`baselines`] | what others have published, on the same photos with the same tower |
//! | [`ablation`] | one choice of the method changed at a time, over several seeds |

pub mod ablation;
pub mod augmentation;
pub mod average;
pub mod baselines;
pub mod benchmark;
pub mod calibrate;
pub mod communicator;
pub mod config;
pub mod error;
pub mod evaluate;
mod feed;
pub mod html_report;
pub mod inputs;
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
pub mod provenance;
pub mod record;
pub mod replicas;
pub mod run;
pub mod sampling;
pub mod schedule;
pub mod segmenter;
pub mod state;
pub mod step;
pub mod tensorboard;
pub mod tokens;
pub mod train;
pub mod validation;

pub use config::TrainingConfig;
pub use error::{Error, Result};
pub use evaluate::{EvaluationOptions, EvaluationReport, evaluate};
pub use progress::{Progress, Stage};
pub use run::RunFolder;
pub use train::{TrainingOptions, TrainingReport, train};
