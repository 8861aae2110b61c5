//! Views with a row for each thing that was recorded.

use super::view::{Column, View, boolean, day, integer, real, text, time};

const RELEASE: Column = text("release", "The release that answered");
const DAY: Column = day("day", "Day of the answer, in UTC");
const PREDICTION: Column = text("prediction", "Id of the answer");
const LATITUDE: Column = real(
    "latitude",
    "Mean place of the geocell's training photos, degrees north",
);
const LONGITUDE: Column = real(
    "longitude",
    "Mean place of the geocell's training photos, degrees east",
);
const ERROR_KM: Column = real(
    "error_km",
    "Great-circle distance to the true place, in kilometres",
);

/// Views with a row for each thing that was recorded.
pub(super) const ROW_VIEWS: &[View] = &[
    View {
        name: "predictions",
        about: "One row an answer, with its true place where that is known. The true place of a shadow answer is that of the answer it shadows",
        order: "prediction DESC",
        columns: &[
            text(
                "prediction",
                "Id of the answer, a UUID of version 7: in order of time",
            ),
            RELEASE,
            time("created_at", "When it was answered"),
            DAY,
            text("client", "Who asked; null where nobody said"),
            text(
                "shadow_of",
                "Id of the answer that this one shadows; null for an answer that was given to a client",
            ),
            text(
                "photo_sha256",
                "SHA-256 of the photo, in hexadecimal: equal for the same file asked again",
            ),
            text(
                "continent",
                "Continent of the answered place; null at sea or where no name was recorded",
            ),
            text("country_code", "Country of the answered place, ISO 3166-1"),
            text("country", "Country of the answered place, in English"),
            text("region", "First division of the country"),
            text("locality", "Settlement within 25 km"),
            real("latitude", "Answered place, degrees north"),
            real("longitude", "Answered place, degrees east"),
            text("token", "S2 token of the answered finest geocell"),
            real("confidence", "Probability claimed for that geocell, 0 to 1"),
            real(
                "within_1_km",
                "Probability claimed for the true place being within 1 km, 0 to 1",
            ),
            real(
                "within_25_km",
                "Probability claimed for the true place being within 25 km, 0 to 1",
            ),
            real(
                "within_200_km",
                "Probability claimed for the true place being within 200 km, 0 to 1",
            ),
            real(
                "within_750_km",
                "Probability claimed for the true place being within 750 km, 0 to 1",
            ),
            real(
                "within_2500_km",
                "Probability claimed for the true place being within 2500 km, 0 to 1",
            ),
            real(
                "entropy",
                "Entropy of the posterior over the finest geocells, in nats",
            ),
            boolean(
                "cannot_tell",
                "Whether the answer says that the place cannot be told",
            ),
            text("cannot_tell_reason", "Why it cannot be told"),
            real(
                "credible_probability",
                "Probability claimed for the credible region, 0 to 1",
            ),
            real(
                "credible_area_km2",
                "Area of the credible region, in square kilometres",
            ),
            real("total_ms", "Time from arrival to answer, in milliseconds"),
            text(
                "truth_source",
                "Who said where the photo was taken; null where nobody did, as are all columns of the true place",
            ),
            text("truth_continent", "Continent of the true place"),
            text("truth_country_code", "Country of the true place, ISO 3166-1"),
            text("truth_country", "Country of the true place, in English"),
            text("truth_region", "First division of the country of the true place"),
            text("truth_locality", "Settlement within 25 km of the true place"),
            real("truth_latitude", "True place, degrees north"),
            real("truth_longitude", "True place, degrees east"),
            text(
                "truth_token",
                "S2 token of the release's finest geocell that holds the true place; null where none does",
            ),
            real(
                "error_km",
                "Great-circle distance between answer and true place, in kilometres",
            ),
        ],
        cached: false,
    },
    View {
        name: "candidates",
        about: "One row a finest geocell that was considered, of every answer",
        order: "prediction DESC, rank",
        columns: &[
            PREDICTION,
            RELEASE,
            DAY,
            integer("rank", "1 for the answer, then less and less probable"),
            text("token", "S2 token of the geocell"),
            real("probability", "Posterior probability, 0 to 1"),
            LATITUDE,
            LONGITUDE,
            boolean(
                "holds_truth",
                "Whether the true place lies in the geocell; null where it is not known",
            ),
            ERROR_KM,
        ],
        cached: false,
    },
    View {
        name: "levels",
        about: "One row a level of the hierarchy, of every answer that recorded them: the best geocell by the path down to that level",
        order: "prediction DESC, level",
        columns: &[
            PREDICTION,
            RELEASE,
            DAY,
            integer("level", "0 is the coarsest"),
            text("token", "S2 token of the best geocell"),
            real(
                "probability",
                "Posterior probability over the level's geocells, 0 to 1",
            ),
            LATITUDE,
            LONGITUDE,
            text(
                "truth_token",
                "S2 token of the geocell of this level that holds the true place; null where none does or it is not known",
            ),
            boolean(
                "holds_truth",
                "Whether the true place lies in the best geocell; null where it is not known",
            ),
            ERROR_KM,
        ],
        cached: false,
    },
    View {
        name: "releases",
        about: "One row a release",
        order: "created_at DESC",
        columns: &[
            text("release", "Its id"),
            text("status", "building, ready, active, retired, failed or pruned"),
            text("checkpoint_id", "Content hash of the checkpoint"),
            integer("levels", "Levels of the hierarchy"),
            integer("geocells", "Geocells over all levels"),
            integer("reference_images", "Reference images"),
            time("created_at", "When its building began"),
            time("ready_at", "When it was verified"),
            time("activated_at", "When it last became the active one"),
        ],
        cached: false,
    },
    View {
        name: "shadows",
        about: "One row a shadow answer, beside the answer that was given",
        order: "shadow DESC",
        columns: &[
            text("prediction", "Id of the answer that was given"),
            text("shadow", "Id of the shadow answer"),
            RELEASE,
            text("shadow_release", "The candidate release"),
            DAY,
            real(
                "distance_km",
                "Great-circle distance between the two answers, in kilometres",
            ),
            boolean(
                "same_geocell",
                "Whether both answered with the same finest geocell",
            ),
            boolean("same_country", "Whether both name the same country"),
            real("confidence", "Confidence of the answer that was given"),
            real("shadow_confidence", "Confidence of the shadow answer"),
            real(
                "error_km",
                "Distance of the given answer from the true place, in kilometres; null where that is not known",
            ),
            real(
                "shadow_error_km",
                "Distance of the shadow answer from the true place, in kilometres",
            ),
        ],
        cached: false,
    },
];
