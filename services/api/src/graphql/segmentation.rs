//! What a photo shows, pixel by pixel.

use async_graphql::SimpleObject;
use uuid::Uuid;

use crate::details::Details;
use crate::overlay;

/// The segmentation map of a photo.
#[derive(Debug, Clone, SimpleObject)]
pub struct Segmentation {
    /// Width of the overlay, in pixels; it has the proportions of the photo.
    width: u32,
    /// Height of the overlay, in pixels.
    height: u32,
    /// Path on this service of a PNG of the classes' colours that covers the photo, transparent where the model did not look; opaque to
    /// the degree of ?opacity=0 to 1.
    overlay_url: String,
    /// Classes by their share of the pixels that the model looked at, largest first.
    classes: Vec<ClassShare>,
}

impl Segmentation {
    pub(super) fn of(prediction: Uuid, details: &Details) -> Option<Self> {
        let map = details.map.as_ref()?;
        let (width, height) = overlay::size(map.dimensions(), details.photo);
        Some(Self {
            width,
            height,
            overlay_url: format!("/predictions/{prediction}/segmentation.png"),
            classes: retrieval::class_shares(map)
                .into_iter()
                .map(ClassShare::from)
                .collect(),
        })
    }
}

/// The share of a photo's pixels that carry one ADE20K class.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ClassShare {
    /// ADE20K class id, 0 to 149.
    pub class: u8,
    /// Its name.
    pub name: String,
    /// Fraction of the pixels, 0 to 1.
    pub share: f64,
    /// Its colour in the overlay: #rrggbb.
    pub colour: String,
}

impl From<retrieval::ClassShare> for ClassShare {
    fn from(share: retrieval::ClassShare) -> Self {
        let [red, green, blue] = datasets::ade20k::colour(share.class);
        Self {
            class: share.class,
            name: share.name,
            share: share.share,
            colour: format!("#{red:02x}{green:02x}{blue:02x}"),
        }
    }
}
