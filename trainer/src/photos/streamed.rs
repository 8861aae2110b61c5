//! Photographs that are decoded whenever they are needed: no cache, at the price of decoding them in every epoch.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datasets::Dataset;
use models::{ModelConfig, Preprocessor};
use rayon::prelude::*;

use super::{Photos, Skipped, View, read_photo};
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage};

/// A dataset's photos, decoded from their files or shards at every reading.
#[derive(Debug)]
pub struct StreamedPhotos<'a> {
    dataset: &'a Dataset,
    preprocessor: Preprocessor,
}

impl<'a> StreamedPhotos<'a> {
    /// The photos of `dataset` at `model`'s size. Nothing is read yet.
    pub fn new(dataset: &'a Dataset, model: &ModelConfig) -> Self {
        Self {
            dataset,
            preprocessor: Preprocessor::new(model),
        }
    }

    /// Reads some photos to find those that cannot be used, in order. Those are what a validation must not meet.
    ///
    /// # Errors
    /// [`Error::Cancelled`] (with the dataset as the run).
    pub fn probe(
        &self,
        photos: &[usize],
        with_maps: bool,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<Vec<Skipped>> {
        let done = AtomicUsize::new(0);
        let each = |index: &usize| {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled {
                    stage: Stage::Prepare.phrase(),
                    run: self.dataset.root().to_path_buf(),
                });
            }
            let found = match self.read(*index, with_maps) {
                Err(Error::Photo(skipped)) => Some(skipped),
                Err(error) => return Err(error),
                Ok(_) => None,
            };
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(&Progress::counted(
                Stage::Prepare,
                done as u64,
                photos.len() as u64,
            ));
            Ok(found)
        };
        let found = photos.par_iter().map(each).collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Photos for StreamedPhotos<'_> {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn size(&self) -> usize {
        self.preprocessor.side() as usize
    }

    fn read(&self, index: usize, with_map: bool) -> Result<View> {
        read_photo(self.dataset, index, &self.preprocessor, with_map).map_err(|reason| {
            Error::Photo(Skipped {
                index,
                file: self.dataset.image_path(index),
                reason,
            })
        })
    }
}
