//! What every [`Catalog`] has to do.

pub mod analytics;
mod api_keys;
mod audit;
mod galleries;
mod holds;
mod predictions;
mod pruning;
mod releases;
mod retention;

use std::sync::Arc;

use async_trait::async_trait;

pub use analytics::{
    analytics_are_empty_at_first_and_can_be_chosen_from, analytics_compare_releases,
    analytics_compare_shadows, analytics_count_accuracy, analytics_measure_distances_as_the_program_does,
    analytics_refuse_what_they_cannot_choose_by, analytics_tell_levels_calibration_and_cells,
    analytics_tell_volume_latency_and_coverage,
};
pub use api_keys::{
    api_keys_are_found_by_their_digest, api_keys_are_revoked_and_remember_their_use, bad_api_keys_are_refused,
};
pub use audit::{
    bad_audit_entries_are_refused, deletions_are_audited_with_what_they_did,
    the_audit_log_is_filtered_and_paged,
};
pub use galleries::{
    galleries_are_loaded_repeatably, galleries_need_their_release, geocells_are_found_and_paged,
    reference_images_are_found_by_file_and_geocell, reference_images_come_back_as_asked,
};
pub use holds::a_release_is_held_by_one_at_a_time;
pub use predictions::{
    bad_predictions_are_refused_whole, ground_truth_is_recorded_and_replaced,
    predictions_are_filtered_and_paged, predictions_come_back_as_they_went_in, shadows_stay_out_of_the_way,
};
pub use pruning::{pruned_releases_stay_pruned, pruning_keeps_predictions_and_other_releases};
pub use releases::{
    activation_retires_the_active_release, building_is_resumed_by_the_same_release_only,
    changes_are_waited_for, changes_grow_with_every_switch, illegal_transitions_are_conflicts,
    many_activations_at_once_leave_one_active, missing_releases_are_not_found, releases_are_remembered,
};
pub use retention::{
    deletion_of_predictions_needs_a_selection, predictions_are_deleted_by_age_client_and_release,
    shadows_go_with_what_they_shadow,
};

use crate::{Catalog, NewRelease, Release, ReleaseId, ReleaseStatus, Result};

/// Somewhere a catalog can be opened, also many times at once.
#[async_trait]
pub trait CatalogPlace: Send + Sync {
    /// Opens the catalog; after the first time, the same one.
    ///
    /// # Errors
    /// The backend's own.
    async fn open(&self) -> Result<Arc<dyn Catalog>>;
}

/// One test for each behaviour of a catalog. The expression gives a [`CatalogPlace`] of its own for each test; after `if`, an
/// option of one.
#[macro_export]
macro_rules! catalog_conformance {
    ($($place:tt)+) => {
        $crate::conformance_tests!(
            catalog,
            [$($place)+],
            a_release_is_held_by_one_at_a_time,
            activation_retires_the_active_release,
            analytics_are_empty_at_first_and_can_be_chosen_from,
            analytics_compare_releases,
            analytics_compare_shadows,
            analytics_count_accuracy,
            analytics_measure_distances_as_the_program_does,
            analytics_refuse_what_they_cannot_choose_by,
            analytics_tell_levels_calibration_and_cells,
            analytics_tell_volume_latency_and_coverage,
            api_keys_are_found_by_their_digest,
            api_keys_are_revoked_and_remember_their_use,
            bad_api_keys_are_refused,
            bad_audit_entries_are_refused,
            bad_predictions_are_refused_whole,
            building_is_resumed_by_the_same_release_only,
            changes_are_waited_for,
            changes_grow_with_every_switch,
            deletion_of_predictions_needs_a_selection,
            deletions_are_audited_with_what_they_did,
            galleries_are_loaded_repeatably,
            galleries_need_their_release,
            geocells_are_found_and_paged,
            ground_truth_is_recorded_and_replaced,
            illegal_transitions_are_conflicts,
            many_activations_at_once_leave_one_active,
            missing_releases_are_not_found,
            predictions_are_deleted_by_age_client_and_release,
            predictions_are_filtered_and_paged,
            predictions_come_back_as_they_went_in,
            pruned_releases_stay_pruned,
            pruning_keeps_predictions_and_other_releases,
            reference_images_are_found_by_file_and_geocell,
            reference_images_come_back_as_asked,
            releases_are_remembered,
            shadows_go_with_what_they_shadow,
            shadows_stay_out_of_the_way,
            the_audit_log_is_filtered_and_paged,
        );
    };
}

fn id(text: &str) -> ReleaseId {
    ReleaseId::new(text).unwrap()
}

fn new_release(text: &str) -> NewRelease {
    NewRelease {
        id: id(text),
        checkpoint_id: "c0ffee".into(),
        checkpoint_path: "checkpoints/one".into(),
        embedding_dimension: 64,
        levels: 3,
        dataset_digest: "da7a".into(),
        store: serde_json::json!({"kind": "embedded", "dimension": 64}),
    }
}

/// A release brought to a status by legal steps.
async fn release_at(catalog: &dyn Catalog, text: &str, status: ReleaseStatus) -> Release {
    let release = catalog.create_release(new_release(text)).await.unwrap();
    let steps: &[ReleaseStatus] = match status {
        ReleaseStatus::Building => &[],
        ReleaseStatus::Ready => &[ReleaseStatus::Ready],
        ReleaseStatus::Active => &[ReleaseStatus::Ready, ReleaseStatus::Active],
        ReleaseStatus::Retired => &[
            ReleaseStatus::Ready,
            ReleaseStatus::Active,
            ReleaseStatus::Retired,
        ],
        ReleaseStatus::Failed => &[ReleaseStatus::Failed],
        ReleaseStatus::Pruned => &[ReleaseStatus::Ready, ReleaseStatus::Pruned],
    };
    for step in steps {
        catalog.set_status(&release.id, *step, None).await.unwrap();
    }
    let release = catalog.release(&release.id).await.unwrap();
    assert_eq!(release.status, status);
    release
}
