//! The analytics views say what an independent count of the same answers says.

mod releases_compared;
mod rows;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use geocells::{LatLng, THRESHOLDS};

pub use releases_compared::{
    analytics_compare_releases, analytics_compare_shadows, analytics_tell_volume_latency_and_coverage,
};
pub use rows::{Row, rows};
pub use world::{Answer, World};

use rows::{assert_near, mean, percentile, rows_of, share};

use super::CatalogPlace;
use crate::analytics::{AnalyticsQuery, find, views};

/// The columns of the shares at the five thresholds.
const SHARES: [(&str, f64); 5] = [
    ("within_1_km", 1.0),
    ("within_25_km", 25.0),
    ("within_200_km", 200.0),
    ("within_750_km", 750.0),
    ("within_2500_km", 2500.0),
];

/// Answers by the value of a key.
fn grouped<'a, K: Ord>(
    answers: impl Iterator<Item = &'a Answer>,
    key: impl Fn(&Answer) -> K,
) -> BTreeMap<K, Vec<&'a Answer>> {
    let mut groups: BTreeMap<K, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        groups.entry(key(answer)).or_default().push(answer);
    }
    groups
}

/// An empty catalog gives empty views; every view can be read, limited and, where it has the columns, chosen from.
pub async fn analytics_are_empty_at_first_and_can_be_chosen_from(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    for view in views() {
        assert_eq!(rows(&*catalog, view.name).await.len(), 0, "{}", view.name);
    }
    World::record(&*catalog).await;
    for view in views() {
        let all = rows(&*catalog, view.name).await;
        assert!(all.len() > 1 || view.name == "shadow_agreement", "{}", view.name);
        let mut query = AnalyticsQuery::all(view);
        query.limit = Some(1);
        assert_eq!(rows_of(&*catalog, &query).await.len(), 1, "{}", view.name);
        query.limit = None;
        query.release = view.column("release").map(|_| "autumn".parse().unwrap());
        query.since = view.column("day").and_then(|_| "2026-11-22".parse().ok());
        let chosen = rows_of(&*catalog, &query).await;
        assert!(!chosen.is_empty(), "{}", view.name);
        for row in &chosen {
            assert!(
                view.column("release").is_none() || row.text("release") == "autumn",
                "{row:?}"
            );
            assert!(
                view.column("day").is_none() || *row.text("day") >= *"2026-11-22",
                "{row:?}"
            );
        }
    }
}

/// Accuracy by threshold, day, continent, country and client.
pub async fn analytics_count_accuracy(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let by_release = grouped(world.known(), |answer| answer.release().to_owned());

    let found = rows(&*catalog, "accuracy").await;
    assert_eq!(found.len(), 5 * by_release.len());
    for row in &found {
        let answers = &by_release[&row.text("release")];
        let at = THRESHOLDS
            .iter()
            .position(|t| t.name == row.text("threshold"))
            .unwrap();
        let km = THRESHOLDS[at].km.get();
        assert_eq!(row.count("threshold_km") as f64, km);
        assert_eq!(row.count("answers"), answers.len());
        let hits = answers
            .iter()
            .filter(|answer| answer.error_km() <= Some(km))
            .count();
        assert_eq!(row.count("hits"), hits);
        let (n, p) = (answers.len() as f64, hits as f64 / answers.len() as f64);
        assert_near(row.real("accuracy"), p, "accuracy");
        // The two shares at which the observed one lies 1.96 standard deviations away.
        for bound in ["accuracy_low", "accuracy_high"] {
            let bound = row.real(bound);
            let variance = bound * (1.0 - bound) / n;
            let apart = (p - bound).powi(2) - 1.959_964_f64.powi(2) * variance;
            assert!(apart.abs() < 1e-8, "{row:?}");
        }
        assert!(row.real("accuracy_low") < p + 1e-9 && row.real("accuracy_high") > p - 1e-9);
        let claimed = mean(answers.iter().map(|answer| answer.prediction.within[at]));
        assert_near(row.real("claimed"), claimed, "claimed");
    }

    let truth_of = |answer: &Answer| answer.truth.as_ref().and_then(|truth| truth.place.clone());
    type Key = fn(&Answer) -> String;
    let views: [(&str, &str, Key); 4] = [
        ("accuracy_by_day", "day", Answer::day),
        ("accuracy_by_client", "client", |answer| {
            answer.prediction.client.clone().unwrap_or_default()
        }),
        ("accuracy_by_continent", "truth_continent", |answer| {
            let place = answer.truth.as_ref().and_then(|truth| truth.place.as_ref());
            place.map(|place| place.continent.clone()).unwrap_or_default()
        }),
        ("accuracy_by_country", "truth_country_code", |answer| {
            let place = answer.truth.as_ref().and_then(|truth| truth.place.as_ref());
            place.map(|place| place.country_code.clone()).unwrap_or_default()
        }),
    ];
    for (view, column, key) in views {
        let groups = grouped(world.known(), |answer| (answer.release().to_owned(), key(answer)));
        let found = rows(&*catalog, view).await;
        assert_eq!(found.len(), groups.len(), "{view}");
        for row in &found {
            let answers = &groups[&(row.text("release"), row.text(column))];
            assert_eq!(row.count("answers"), answers.len(), "{view}");
            let unsure = answers
                .iter()
                .filter(|a| a.prediction.cannot_tell.is_some())
                .count();
            assert_eq!(row.count("cannot_tell"), unsure, "{view}");
            assert_shares(row, answers);
            if view == "accuracy_by_country" {
                let same = share(answers, |answer| {
                    let (said, truth) = (answer.prediction.place.as_ref(), truth_of(answer));
                    said.is_some_and(|said| {
                        truth.is_some_and(|truth| truth.country_code == said.country_code)
                    })
                });
                assert_near(row.real("same_country"), same, view);
            }
        }
    }
}

fn assert_shares(row: &Row, answers: &[&Answer]) {
    for (column, km) in SHARES {
        let expected = share(answers, |answer| answer.error_km() <= Some(km));
        assert_near(row.real(column), expected, column);
    }
    let median = percentile(answers.iter().filter_map(|answer| answer.error_km()), 0.5);
    assert_near(row.real("median_error_km"), median, "median_error_km");
}

/// Distances in SQL are those of the program, to a millimetre, also between far and awkward places.
pub async fn analytics_measure_distances_as_the_program_does(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let awkward = [
        ((0.0, 0.0), (0.0, 180.0)),
        ((90.0, 0.0), (-90.0, 0.0)),
        ((-17.0, 180.0), (-17.0, -180.0)),
        ((12.3, 45.6), (12.3, 45.6)),
        ((45.0, 7.0), (45.000_000_009, 7.0)),
        ((-12.3, 45.6), (12.3, -134.4)),
        ((89.999_999, 10.0), (89.999_999, -170.0)),
    ];
    let place = |(latitude, longitude)| LatLng::new(latitude, longitude).unwrap();
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for ((from, to), answer) in awkward.into_iter().zip(world.known()) {
        let mut prediction = answer.prediction.clone();
        prediction.id = uuid::Uuid::now_v7();
        prediction.created_at = chrono::Utc::now();
        prediction.shadow_of = None;
        prediction.location = place(from);
        catalog.record_prediction(&prediction).await.unwrap();
        let mut truth = answer.truth.clone().unwrap();
        truth.prediction = prediction.id;
        truth.location = place(to);
        catalog.record_ground_truth(&truth).await.unwrap();
        expected.insert(prediction.id.to_string(), place(from).distance(place(to)).get());
    }
    for answer in world.known() {
        expected.insert(answer.prediction.id.to_string(), answer.error_km().unwrap());
    }
    let found = rows(&*catalog, "predictions").await;
    let mut compared = 0;
    for row in &found {
        let Some(error_km) = row.optional("error_km") else {
            assert!(!expected.contains_key(&row.text("prediction")));
            continue;
        };
        let expected = expected[&row.text("prediction")];
        assert!(
            (error_km - expected).abs() < 1e-6,
            "{error_km} instead of {expected} km"
        );
        compared += 1;
    }
    assert_eq!(compared, expected.len());
    assert!(compared > 100);
}

/// Accuracy by level, what was claimed beside what happened, and the cells with the most mistakes.
pub async fn analytics_tell_levels_calibration_and_cells(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let by_release = grouped(world.known(), |answer| answer.release().to_owned());

    let found = rows(&*catalog, "accuracy_by_level").await;
    assert_eq!(found.len(), by_release.len() * world.levels.len());
    for row in &found {
        let (level, answers) = (row.count("level"), &by_release[&row.text("release")]);
        let truth = |answer: &Answer| answer.truth.as_ref().unwrap().location;
        let error = |answer: &&Answer| {
            answer.prediction.levels[level]
                .location
                .distance(truth(answer))
                .get()
        };
        let covered: Vec<_> = answers
            .iter()
            .filter(|a| world.geocell(level, truth(a)).is_some())
            .collect();
        assert_near(
            row.real("covered"),
            covered.len() as f64 / answers.len() as f64,
            "covered",
        );
        let hit = share(&covered, |answer| {
            answer.prediction.levels[level]
                .token
                .contains_point(truth(answer))
        });
        assert_near(row.real("found"), hit, "found");
        for (column, km) in SHARES {
            assert_near(
                row.real(column),
                share(answers, |answer| error(answer) <= km),
                column,
            );
        }
        assert_near(
            row.real("median_error_km"),
            percentile(answers.iter().map(error), 0.5),
            "median",
        );
    }

    let outcome = |answer: &Answer, claim: &str| {
        let finest = world.levels.len() - 1;
        match SHARES.iter().position(|(column, _)| *column == claim) {
            Some(at) => (
                answer.prediction.within[at],
                answer.error_km() <= Some(SHARES[at].1),
            ),
            None => {
                let truth = world.geocell(finest, answer.truth.as_ref().unwrap().location);
                (
                    answer.prediction.confidence,
                    truth.is_some() && truth == answer.token(),
                )
            }
        }
    };
    let found = rows(&*catalog, "calibration").await;
    let mut answers_seen: BTreeMap<(String, String), (usize, f64)> = BTreeMap::new();
    for row in &found {
        let (release, claim, bin) = (row.text("release"), row.text("claim"), row.count("bin"));
        let in_bin: Vec<(f64, bool)> = by_release[&release]
            .iter()
            .map(|answer| outcome(answer, &claim))
            .filter(|(claimed, _)| (claimed * 10.0).floor().clamp(0.0, 9.0) as usize == bin)
            .collect();
        assert_eq!(row.count("answers"), in_bin.len());
        let claimed = mean(in_bin.iter().map(|(claimed, _)| *claimed));
        let observed = share(&in_bin, |(_, happened)| *happened);
        assert_near(row.real("claimed"), claimed, "claimed");
        assert_near(row.real("observed"), observed, "observed");
        assert_near(row.real("gap"), claimed - observed, "gap");
        let sums = answers_seen.entry((release, claim)).or_default();
        sums.0 += in_bin.len();
        sums.1 += in_bin.len() as f64 * (claimed - observed).abs();
    }
    let errors = rows(&*catalog, "calibration_error").await;
    assert_eq!(errors.len(), 6 * by_release.len());
    for row in &errors {
        let (answers, sum) = answers_seen[&(row.text("release"), row.text("claim"))];
        assert_eq!(
            answers,
            by_release[&row.text("release")].len(),
            "no answer is left out"
        );
        assert_eq!(row.count("answers"), answers);
        assert_near(row.real("expected_error"), sum / answers as f64, "expected_error");
    }

    let finest = world.levels.len() - 1;
    let true_cell = |answer: &Answer| world.geocell(finest, answer.truth.as_ref().unwrap().location);
    let found = rows(&*catalog, "worst_cells").await;
    let cells: BTreeSet<_> = world
        .known()
        .flat_map(|answer| [answer.token(), true_cell(answer)].map(|cell| (answer.release(), cell)))
        .filter_map(|(release, cell)| Some((release, cell?)))
        .collect();
    assert_eq!(found.len(), cells.len());
    for row in &found {
        let answers = &by_release[&row.text("release")];
        let token = Some(row.text("token").parse().unwrap());
        let taken: Vec<_> = answers
            .iter()
            .filter(|answer| true_cell(answer) == token)
            .collect();
        let given: Vec<_> = answers.iter().filter(|answer| answer.token() == token).collect();
        let right = taken.iter().filter(|answer| answer.token() == token).count();
        assert_eq!(row.count("truths"), taken.len());
        assert_eq!(row.count("answers"), given.len());
        assert_eq!((row.count("found"), row.count("right_answers")), (right, right));
        assert_eq!(row.count("mistakes"), taken.len() + given.len() - 2 * right);
        let record = world.levels[finest]
            .iter()
            .find(|record| Some(record.token) == token)
            .unwrap();
        assert_eq!(row.count("photos") as u64, record.photos);
        for (column, some) in [
            ("truths_median_error_km", taken),
            ("answers_median_error_km", given),
        ] {
            let expected =
                (!some.is_empty()).then(|| percentile(some.iter().filter_map(|a| a.error_km()), 0.5));
            assert_eq!(row.optional(column).is_some(), expected.is_some());
            assert_near(
                row.optional(column).unwrap_or(0.0),
                expected.unwrap_or(0.0),
                column,
            );
        }
    }
}

/// A filter that the view cannot take is refused, and so are kept rows of a view that keeps none.
pub async fn analytics_refuse_what_they_cannot_choose_by(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let mut query = AnalyticsQuery::all(find("accuracy").unwrap());
    query.since = "2026-11-22".parse().ok();
    let mut each = |_| std::ops::ControlFlow::Continue(());
    let error = catalog.analytics(&query, &mut each).await.unwrap_err();
    assert!(error.to_string().contains("accuracy_by_day"), "{error}");
    let mut query = AnalyticsQuery::all(find("latency").unwrap());
    query.cached = true;
    assert!(
        catalog.analytics(&query, &mut each).await.is_err(),
        "nothing was computed yet"
    );
}
