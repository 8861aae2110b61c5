//! Who may change a release.

use super::{CatalogPlace, release_at};
use crate::{Error, ReleaseId, ReleaseStatus};

/// One holder at a time, whichever way it opened the catalog; others are told; a dropped hold is free.
pub async fn a_release_is_held_by_one_at_a_time(at: &dyn CatalogPlace) {
    let (here, there) = (at.open().await.unwrap(), at.open().await.unwrap());
    // A build holds its release before it makes it.
    let new = ReleaseId::new("new").unwrap();
    let other = release_at(&*here, "other", ReleaseStatus::Ready).await.id;
    let hold = here.hold(&new).await.unwrap();
    for catalog in [&here, &there] {
        let error = catalog.hold(&new).await.unwrap_err();
        assert!(matches!(error, Error::Held { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("release new") && text.contains("repeat the command"),
            "{text}"
        );
    }
    let elsewhere = there.hold(&other).await.unwrap();
    drop(hold);
    let mut again = there.hold(&new).await;
    // A server may need a moment to see that a connection has ended.
    for _ in 0..50 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        again = there.hold(&new).await;
    }
    drop((again.unwrap(), elsewhere));
}
