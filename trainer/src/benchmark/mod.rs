//! What a checkpoint is judged by and on: the field's benchmarks, honest intervals, and what could make the numbers look better than they are.
//!
//! | module | one idea |
//! | --- | --- |
//! | [`metadata`] | a benchmark's own metadata file and a folder of images become a dataset; what is missing is listed |
//! | [`published`] | the figures that the paper publishes for each benchmark |
//! | [`encode`] | photos of a dataset to visual embeddings |
//! | [`bootstrap`] | intervals of any statistic by resampling photos |
//! | [`reliability`] | stated probabilities beside what happened |
//! | [`region`] | how often credible regions hold the truth, and how large they are |
//! | [`continents`] | the same accuracy, continent by continent |
//! | [`leakage`] | photos and uploaders that training and test share |
//! | [`look_up`] | finding a reference photo of the same spot, beside chance and colour histograms |

pub mod bootstrap;
pub mod continents;
pub mod encode;
pub mod leakage;
pub mod look_up;
pub mod metadata;
pub mod published;
pub mod region;
pub mod reliability;

pub use bootstrap::{Bootstrap, Interval};
pub use metadata::{Benchmark, BenchmarkPhotos, MissingImage};
pub use published::PublishedRow;
