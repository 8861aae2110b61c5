//! Views that count and compare.

use super::view::{Column, View, boolean, day, integer, real, text};

const RELEASE: Column = text("release", "The release that answered");
const ANSWERS: Column = integer("answers", "Answers whose true place is known");
const DAY: Column = day("day", "Day of the answer, in UTC");
const CANNOT_TELL: Column = integer(
    "cannot_tell",
    "Of these, answers that say that the place cannot be told",
);
const WITHIN_1_KM: Column = real(
    "within_1_km",
    "Share of them within 1 km of the true place, 0 to 1",
);
const WITHIN_25_KM: Column = real(
    "within_25_km",
    "Share of them within 25 km of the true place, 0 to 1",
);
const WITHIN_200_KM: Column = real(
    "within_200_km",
    "Share of them within 200 km of the true place, 0 to 1",
);
const WITHIN_750_KM: Column = real(
    "within_750_km",
    "Share of them within 750 km of the true place, 0 to 1",
);
const WITHIN_2500_KM: Column = real(
    "within_2500_km",
    "Share of them within 2500 km of the true place, 0 to 1",
);
const MEDIAN_ERROR_KM: Column = real(
    "median_error_km",
    "Median distance between answer and true place, in kilometres",
);
const TRUTH_CONTINENT: Column = text("truth_continent", "Continent of the true place; null at sea");
const CLIENT: Column = text("client", "Who asked; null where nobody said");
const CLAIMED: Column = real("claimed", "Mean claimed probability");
const OBSERVED: Column = real("observed", "Share that came true");
const BASELINE: Column = text("baseline", "The earlier release");
const LATER_RELEASE: Column = text("release", "The later release");
const BASELINE_ANSWERS: Column = integer(
    "baseline_answers",
    "Answers of the earlier release, shadows among them",
);
const LATER_ANSWERS: Column = integer("answers", "Answers of the later release, shadows among them");

/// Views that count and compare.
pub(super) const SUMMARY_VIEWS: &[View] = &[
    View {
        name: "accuracy",
        about: "Accuracy at the five thresholds, by release",
        order: "release, threshold_km",
        columns: &[
            RELEASE,
            text("threshold", "street, city, region, country or continent"),
            integer("threshold_km", "The threshold, in kilometres"),
            ANSWERS,
            integer("hits", "Of these, answers within the threshold"),
            real("accuracy", "hits / answers, 0 to 1"),
            real(
                "accuracy_low",
                "Lower end of the accuracy's 95 % interval (Wilson)",
            ),
            real(
                "accuracy_high",
                "Upper end of the accuracy's 95 % interval (Wilson)",
            ),
            real(
                "claimed",
                "Mean probability claimed for the threshold: above accuracy means too sure",
            ),
        ],
        cached: false,
    },
    View {
        name: "accuracy_by_day",
        about: "Accuracy by release and day",
        order: "release, day",
        columns: &[
            RELEASE,
            DAY,
            ANSWERS,
            CANNOT_TELL,
            WITHIN_1_KM,
            WITHIN_25_KM,
            WITHIN_200_KM,
            WITHIN_750_KM,
            WITHIN_2500_KM,
            MEDIAN_ERROR_KM,
        ],
        cached: false,
    },
    View {
        name: "accuracy_by_continent",
        about: "Accuracy by release and continent of the true place",
        order: "release, answers DESC, truth_continent",
        columns: &[
            RELEASE,
            TRUTH_CONTINENT,
            ANSWERS,
            CANNOT_TELL,
            WITHIN_1_KM,
            WITHIN_25_KM,
            WITHIN_200_KM,
            WITHIN_750_KM,
            WITHIN_2500_KM,
            MEDIAN_ERROR_KM,
            real(
                "same_continent",
                "Share of them that name the right continent, 0 to 1",
            ),
        ],
        cached: false,
    },
    View {
        name: "accuracy_by_country",
        about: "Accuracy by release and country of the true place",
        order: "release, answers DESC, truth_country_code",
        columns: &[
            RELEASE,
            TRUTH_CONTINENT,
            text("truth_country_code", "Country of the true place, ISO 3166-1"),
            text("truth_country", "Country of the true place, in English"),
            ANSWERS,
            CANNOT_TELL,
            WITHIN_1_KM,
            WITHIN_25_KM,
            WITHIN_200_KM,
            WITHIN_750_KM,
            WITHIN_2500_KM,
            MEDIAN_ERROR_KM,
            real(
                "same_country",
                "Share of them that name the right country, 0 to 1",
            ),
        ],
        cached: false,
    },
    View {
        name: "accuracy_by_client",
        about: "Accuracy by release and client",
        order: "release, answers DESC, client",
        columns: &[
            RELEASE,
            CLIENT,
            ANSWERS,
            CANNOT_TELL,
            WITHIN_1_KM,
            WITHIN_25_KM,
            WITHIN_200_KM,
            WITHIN_750_KM,
            WITHIN_2500_KM,
            MEDIAN_ERROR_KM,
        ],
        cached: false,
    },
    View {
        name: "accuracy_by_level",
        about: "Accuracy of the best geocell of each level, by release",
        order: "release, level",
        columns: &[
            RELEASE,
            integer("level", "0 is the coarsest"),
            ANSWERS,
            real(
                "covered",
                "Share of them whose true place lies in some geocell of the level, 0 to 1",
            ),
            real(
                "found",
                "Of the covered ones, share whose true place lies in the best geocell, 0 to 1",
            ),
            WITHIN_1_KM,
            WITHIN_25_KM,
            WITHIN_200_KM,
            WITHIN_750_KM,
            WITHIN_2500_KM,
            MEDIAN_ERROR_KM,
        ],
        cached: true,
    },
    View {
        name: "calibration",
        about: "What was claimed beside what happened, in ten bins of the claimed probability, by release",
        order: "release, claim, bin",
        columns: &[
            RELEASE,
            text(
                "claim",
                "geocell (the true place lies in the answered geocell), or within_1_km to within_2500_km",
            ),
            integer("bin", "0 to 9"),
            real("bin_low", "Lower end of the bin"),
            real("bin_high", "Upper end of the bin"),
            integer(
                "answers",
                "Answers with known true place whose claimed probability lies in the bin",
            ),
            CLAIMED,
            OBSERVED,
            real("gap", "claimed - observed: above zero is too sure"),
        ],
        cached: true,
    },
    View {
        name: "calibration_error",
        about: "How far claims and outcomes lie apart over all bins, by release",
        order: "release, claim",
        columns: &[
            RELEASE,
            text("claim", "As in calibration"),
            ANSWERS,
            CLAIMED,
            OBSERVED,
            real(
                "expected_error",
                "Mean of the absolute gaps, weighted by answers: the expected calibration error, 0 to 1",
            ),
            real("largest_gap", "Largest absolute gap of a bin"),
        ],
        cached: false,
    },
    View {
        name: "worst_cells",
        about: "Finest geocells with their mistakes: photos taken there and answered elsewhere, and the reverse",
        order: "release, mistakes DESC, token",
        columns: &[
            RELEASE,
            text("token", "S2 token of the geocell"),
            real(
                "latitude",
                "Mean place of the geocell's training photos, degrees north; null where the release's contents were deleted",
            ),
            real(
                "longitude",
                "Mean place of the geocell's training photos, degrees east",
            ),
            integer("photos", "Training photos in the geocell"),
            integer("truths", "Photos that were taken here"),
            integer("found", "Of these, answered with this geocell"),
            real(
                "truths_median_error_km",
                "Median error of the photos that were taken here, in kilometres",
            ),
            integer("answers", "Answers with this geocell whose true place is known"),
            integer("right_answers", "Of these, taken here"),
            real(
                "answers_median_error_km",
                "Median error of the answers with this geocell, in kilometres",
            ),
            integer("mistakes", "(truths - found) + (answers - right_answers)"),
        ],
        cached: true,
    },
    View {
        name: "score_drift",
        about: "How the confidence of a release is distributed compared with an earlier one",
        order: "baseline, release",
        columns: &[
            BASELINE,
            LATER_RELEASE,
            BASELINE_ANSWERS,
            LATER_ANSWERS,
            real(
                "baseline_mean_confidence",
                "Mean confidence of the earlier release",
            ),
            real("mean_confidence", "Mean confidence of the later release"),
            real(
                "psi",
                "Population stability index over ten bins of confidence, half an answer added to each; by custom 0.1 is some drift and 0.25 much",
            ),
        ],
        cached: false,
    },
    View {
        name: "place_drift",
        about: "How the answered places of a release are distributed compared with an earlier one",
        order: "baseline, release, over",
        columns: &[
            BASELINE,
            LATER_RELEASE,
            text(
                "over",
                "What is compared: country, or s2_level_4 (S2 cells about 500 km wide, the same for all releases)",
            ),
            BASELINE_ANSWERS,
            LATER_ANSWERS,
            integer(
                "places",
                "Countries or cells that either of them answered; the sea counts as a country",
            ),
            real(
                "divergence_bits",
                "Jensen-Shannon divergence, 0 (the same) to 1 (no place in common)",
            ),
        ],
        cached: false,
    },
    View {
        name: "volume",
        about: "Answers by release, day and client",
        order: "release, day, client, shadow",
        columns: &[
            RELEASE,
            DAY,
            CLIENT,
            boolean("shadow", "Whether these are shadow answers, which no client saw"),
            integer("answers", "Answers"),
            CANNOT_TELL,
            integer("truths", "Of these, answers whose true place is known"),
        ],
        cached: false,
    },
    View {
        name: "latency",
        about: "Time by stage, by release and day",
        order: "release, day, stage",
        columns: &[
            RELEASE,
            DAY,
            text(
                "stage",
                "queue, decode, preprocess, segment, encode, search, references or total",
            ),
            integer("answers", "Answers that recorded the stage"),
            real("mean_ms", "Mean, in milliseconds"),
            real("p50_ms", "Median, in milliseconds"),
            real("p90_ms", "90th percentile, in milliseconds"),
            real("p99_ms", "99th percentile, in milliseconds"),
            real("max_ms", "Longest, in milliseconds"),
        ],
        cached: true,
    },
    View {
        name: "coverage",
        about: "What a release can and cannot answer",
        order: "release",
        columns: &[
            RELEASE,
            integer("answers", "All answers, shadows among them"),
            CANNOT_TELL,
            real("cannot_tell_share", "cannot_tell / answers, 0 to 1"),
            integer("truths", "Answers whose true place is known"),
            real(
                "outside",
                "Share of these whose true place lies in none of the release's finest geocells; null where its contents were deleted",
            ),
            real(
                "among_candidates",
                "Share of these whose true place lies in one of the recorded candidates",
            ),
            real(
                "credible_claimed",
                "Mean probability claimed for the credible region",
            ),
            real(
                "credible_observed",
                "Share of these whose true place lies in the credible region",
            ),
        ],
        cached: true,
    },
    View {
        name: "shadow_agreement",
        about: "A candidate release beside the release that answered, on the same photos",
        order: "release, shadow_release",
        columns: &[
            RELEASE,
            text("shadow_release", "The candidate release"),
            integer("answers", "Photos that both answered"),
            real("same_geocell", "Share with the same finest geocell"),
            real("same_country", "Share with the same country"),
            real(
                "within_25_km",
                "Share of answers that lie within 25 km of each other",
            ),
            real(
                "median_distance_km",
                "Median distance between the two answers, in kilometres",
            ),
            real(
                "mean_confidence_gain",
                "Mean of the candidate's confidence minus the other's",
            ),
            integer("truths", "Photos whose true place is known"),
            integer(
                "shadow_nearer",
                "Of these, the candidate is nearer to the true place",
            ),
            integer("shadow_farther", "Of these, the candidate is farther from it"),
            real(
                "median_error_km",
                "Median error of the answers that were given, in kilometres",
            ),
            real(
                "shadow_median_error_km",
                "Median error of the candidate's answers, in kilometres",
            ),
        ],
        cached: false,
    },
];
