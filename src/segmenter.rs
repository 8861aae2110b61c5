//! Where a query's segmentation map comes from.

use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;
use hub::ModelsFolder;
use models::SegmenterChoice;

use crate::settings::Settings;

/// The flag of every command that encodes photographs.
#[derive(clap::Args)]
pub struct SegmenterArg {
    /// Segment photographs with this published OneFormer or SegFormer, a pulled model's name or its folder, or with none;
    /// index, localize and serve with the same one that the training's maps are from [default: the checkpoint's own]
    #[arg(long, value_name = "NAME|DIR|none")]
    segmenter: Option<String>,
}

impl SegmenterArg {
    /// Opens the segmenter.
    pub fn open(&self, settings: &Settings, device: &Device) -> Result<SegmenterChoice> {
        match self.segmenter.as_deref() {
            None => Ok(SegmenterChoice::Own),
            Some("none") => Ok(SegmenterChoice::None),
            Some(wanted) => {
                let folder = ModelsFolder::new(settings.models_dir()).locate(wanted)?;
                let segmenter = models::published::open_segmenter(&folder, device)?;
                Ok(SegmenterChoice::Custom(Arc::new(segmenter)))
            }
        }
    }
}
