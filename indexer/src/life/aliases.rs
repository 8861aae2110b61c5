//! The vector store's aliases follow the catalog's active release.

use std::collections::BTreeMap;

use storage::{Catalog, CollectionName, Release, VectorStore};

use crate::{Error, Result};

/// Activations that may come between before this one gives up.
const ATTEMPTS: usize = 16;

/// Points `geosurge_active_…` at the collections of the active release, in one call of the store; without one, removes them.
/// Returns whether anything had to change.
///
/// Two processes that activate at once may call this in any order: each looks again after it wrote, so that whoever writes last
/// has seen the last activation.
///
/// # Errors
/// Those of the store and the catalog; [`Error::Invalid`] where releases change faster than aliases can follow.
pub async fn follow_aliases(store: &dyn VectorStore, catalog: &dyn Catalog) -> Result<bool> {
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        let active = catalog.active_release().await?;
        let wanted = active.as_ref().map(wanted).unwrap_or_default();
        let all: BTreeMap<CollectionName, CollectionName> = store.aliases().await?.into_iter().collect();
        let ours = |alias: &CollectionName| alias.as_str().starts_with("geosurge_active_");
        let found: BTreeMap<_, _> = all.into_iter().filter(|(alias, _)| ours(alias)).collect();
        if found != wanted {
            let set: Vec<_> = wanted.iter().map(|(a, c)| (a.clone(), c.clone())).collect();
            if !set.is_empty() {
                store.set_aliases(&set).await?;
            }
            // Of a release with more levels.
            let stale: Vec<_> = found
                .into_keys()
                .filter(|alias| !wanted.contains_key(alias))
                .collect();
            if !stale.is_empty() {
                store.remove_aliases(&stale).await?;
            }
            changed = true;
        }
        let now = catalog.active_release().await?;
        if now.map(|release| release.id) == active.map(|release| release.id) {
            return Ok(changed);
        }
    }
    Err(Error::Invalid(
        "releases are activated faster than the vector store's aliases can follow; stop what activates them"
            .into(),
    ))
}

/// The aliases of a release, by alias.
fn wanted(release: &Release) -> BTreeMap<CollectionName, CollectionName> {
    let levels = (0..release.levels).map(|level| {
        (
            CollectionName::active_level(level),
            CollectionName::level(&release.id, level),
        )
    });
    let references = (
        CollectionName::active_references(),
        CollectionName::references(&release.id),
    );
    levels.chain([references]).collect()
}
