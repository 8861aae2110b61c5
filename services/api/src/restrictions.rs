//! The geocells inside areas that clients asked for last, so that the same area is looked at once for a release.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use retrieval::{Localizer, Restriction};
use storage::ReleaseId;

use crate::area::Area;

/// Areas kept.
const KEPT: usize = 32;

/// The areas that were asked for last, by release.
#[derive(Default)]
pub(crate) struct Restrictions {
    kept: Mutex<VecDeque<(ReleaseId, String, Arc<Restriction>)>>,
}

impl Restrictions {
    /// The geocells of a release inside an area.
    ///
    /// # Errors
    /// [`retrieval::Error::EmptyArea`] where there are none.
    pub(crate) async fn of(
        &self,
        localizer: &Arc<Localizer>,
        area: &Arc<Area>,
    ) -> retrieval::Result<Arc<Restriction>> {
        let release = &localizer.release().id;
        let key = area.key();
        if let Some(found) = self.find(release, &key) {
            return Ok(found);
        }
        let (searcher, area) = (localizer.searcher().clone(), area.clone());
        let made = tokio::task::spawn_blocking(move || {
            Restriction::new(
                &searcher.model().cells,
                &|place| area.contains(place),
                &area.anchors(),
            )
        });
        let made = Arc::new(made.await.map_err(|_| retrieval::Error::Interrupted)??);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((release.clone(), key, made.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(made)
    }

    fn find(&self, release: &ReleaseId, key: &str) -> Option<Arc<Restriction>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(of, area, _)| of == release && area == key)
            .map(|(_, _, restriction)| restriction.clone())
    }
}
