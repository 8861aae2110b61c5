//! What every [`VectorStore`] has to do.

mod aliases;
mod filters;
mod life;
mod points;
mod searches;

use std::sync::Arc;

use async_trait::async_trait;

pub use aliases::{
    aliased_collections_are_kept, aliases_are_set_together, bad_aliases_are_refused_whole,
    searches_and_reads_follow_an_alias,
};
pub use filters::filters_select_what_they_say;
pub use life::{
    a_changed_collection_is_finished_again, a_finished_load_survives_reopening, a_store_tells_its_health,
    an_interrupted_load_is_noticed_and_resumed, collections_are_listed_and_dropped,
    creation_is_repeatable_and_checked, exclusive_places_have_one_holder, missing_collections_are_not_found,
};
pub use points::{
    bad_points_are_refused_whole, deleted_points_are_gone, points_come_back_as_they_went_in,
    upserts_are_repeatable,
};
pub use searches::{
    bad_queries_are_refused, equal_scores_are_in_order_of_id, exact_searches_equal_brute_force,
    graphs_find_nearly_everything, readers_and_writers_work_at_once,
};

use crate::{CollectionName, CollectionSpec, FieldKind, Result, VectorSpec, VectorStore};

/// Somewhere a store can be opened, closed and opened again.
#[async_trait]
pub trait VectorStorePlace: Send + Sync {
    /// Opens the store; after the first time, the same one.
    ///
    /// # Errors
    /// The backend's own.
    async fn open(&self) -> Result<Arc<dyn VectorStore>>;

    /// True where a second opening at the same time has to fail with [`Error::Locked`](crate::Error::Locked).
    fn is_exclusive(&self) -> bool;
}

/// Hands the names of all behaviours to a macro, behind its other arguments: for backends whose tests need more than a place.
#[macro_export]
macro_rules! each_vector_store_behaviour {
    ([$($tests:tt)+] $($arguments:tt)*) => {
        $($tests)+! {
            $($arguments)*
            a_changed_collection_is_finished_again,
            a_finished_load_survives_reopening,
            a_store_tells_its_health,
            aliased_collections_are_kept,
            aliases_are_set_together,
            an_interrupted_load_is_noticed_and_resumed,
            bad_aliases_are_refused_whole,
            bad_points_are_refused_whole,
            bad_queries_are_refused,
            collections_are_listed_and_dropped,
            creation_is_repeatable_and_checked,
            deleted_points_are_gone,
            equal_scores_are_in_order_of_id,
            exact_searches_equal_brute_force,
            exclusive_places_have_one_holder,
            filters_select_what_they_say,
            graphs_find_nearly_everything,
            missing_collections_are_not_found,
            points_come_back_as_they_went_in,
            readers_and_writers_work_at_once,
            searches_and_reads_follow_an_alias,
            upserts_are_repeatable,
        }
    };
}

/// One test for each behaviour of a vector store. The expression gives a [`VectorStorePlace`] of its own for each test.
#[macro_export]
macro_rules! vector_store_conformance {
    ($place:expr) => {
        $crate::each_vector_store_behaviour!([$crate::conformance_tests] vector_store, $place,);
    };
}

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// Two vectors, `embedding` of 4 and `path` of 3 components, and one indexed field of each kind.
fn small_spec() -> CollectionSpec {
    CollectionSpec::new([VectorSpec::flat("embedding", 4), VectorSpec::flat("path", 3)])
        .with_index("token", FieldKind::Keyword)
        .with_index("photos", FieldKind::Integer)
        .with_index("location", FieldKind::Geo)
        .with_index("captured_at", FieldKind::Datetime)
}
