//! What a release answers with: geocells and reference images.

use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A geocell of one level of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeocellRecord {
    /// Level of the hierarchy, 0 the coarsest.
    pub level: usize,
    /// Position in that level's partition, which is its row in the table of geographic embeddings.
    pub index: usize,
    /// The S2 cell, named by its token.
    pub token: GeocellId,
    /// The geocell of the next coarser level that contains it; `None` at level 0.
    pub parent: Option<GeocellId>,
    /// Training photos in it.
    pub photos: u64,
    /// Mean place of these photos.
    pub location: LatLng,
}

/// A photo with a known place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceImage {
    /// Its id, which is also its point's id in the vector store.
    pub id: Uuid,
    /// Where the file is.
    pub path: String,
    /// Where it was taken.
    pub location: LatLng,
    /// The finest geocell that contains it; `None` outside the partition.
    pub geocell: Option<GeocellId>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// When it was taken.
    pub captured_at: Option<DateTime<Utc>>,
    /// Who gave it.
    pub uploader: Option<String>,
}

impl ReferenceImage {
    /// The id of a photo by its content and path within its dataset: the same photo gets the same id in every load.
    pub fn id_of(sha256: &str, path: &str) -> Uuid {
        /// Namespace of reference image ids; never change it.
        const NAMESPACE: Uuid = Uuid::from_u128(0x6f3b_52a1_8c1e_4f0b_9d57_20c4_ae1d_73f2);
        Uuid::new_v5(&NAMESPACE, format!("{sha256}\n{path}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_photos_never_change() {
        let id = ReferenceImage::id_of("00ff", "a/b.jpg");
        assert_eq!(
            id.to_string(),
            ReferenceImage::id_of("00ff", "a/b.jpg").to_string()
        );
        assert_eq!(id.get_version_num(), 5);
        assert_ne!(id, ReferenceImage::id_of("00ff", "a/c.jpg"));
    }
}
