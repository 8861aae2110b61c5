//! Releases beside one another, and what they cost.

use std::collections::{BTreeMap, BTreeSet};

use super::super::CatalogPlace;
use super::grouped;
use super::rows::{assert_near, mean, percentile, rows, share};
use super::world::{Answer, World};

/// Releases in order of their age.
const RELEASES: [&str; 3] = ["spring", "autumn", "winter"];

/// Drift of the score and of the places, for each pair of releases.
pub async fn analytics_compare_releases(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let by_release = grouped(world.answers.iter(), |answer| answer.release().to_owned());
    let pairs: BTreeSet<(String, String)> = (0..RELEASES.len())
        .flat_map(|later| {
            (0..later).map(move |earlier| (RELEASES[earlier].to_owned(), RELEASES[later].to_owned()))
        })
        .collect();

    let found = rows(&*catalog, "score_drift").await;
    let told: BTreeSet<_> = found
        .iter()
        .map(|row| (row.text("baseline"), row.text("release")))
        .collect();
    assert_eq!(told, pairs);
    for row in &found {
        let [earlier, later] = ["baseline", "release"].map(|side| &by_release[&row.text(side)]);
        assert_eq!(row.count("baseline_answers"), earlier.len());
        assert_eq!(row.count("answers"), later.len());
        let confidence =
            |answers: &[&Answer]| mean(answers.iter().map(|answer| answer.prediction.confidence));
        assert_near(
            row.real("baseline_mean_confidence"),
            confidence(earlier),
            "baseline_mean_confidence",
        );
        assert_near(row.real("mean_confidence"), confidence(later), "mean_confidence");
        let psi = (0..10)
            .map(|bin| {
                let part = |answers: &[&Answer]| {
                    let bin_of =
                        |answer: &&&Answer| (answer.prediction.confidence * 10.0).floor().min(9.0) as i32;
                    let inside = answers.iter().filter(|answer| bin_of(answer) == bin).count();
                    (inside as f64 + 0.5) / (answers.len() as f64 + 5.0)
                };
                (part(later) - part(earlier)) * (part(later) / part(earlier)).ln()
            })
            .sum();
        assert_near(row.real("psi"), psi, "psi");
    }

    let found = rows(&*catalog, "place_drift").await;
    assert_eq!(found.len(), 2 * pairs.len());
    for row in &found {
        let [p, q] = ["baseline", "release"].map(|side| {
            let answers = &by_release[&row.text(side)];
            let mut counts: BTreeMap<String, f64> = BTreeMap::new();
            for answer in answers {
                let place = match row.text("over").as_str() {
                    "country" => answer
                        .prediction
                        .place
                        .as_ref()
                        .map_or(String::new(), |name| name.country_code.clone()),
                    "s2_level_4" => answer.token().unwrap().parent(4).unwrap().token(),
                    other => panic!("{other}"),
                };
                *counts.entry(place).or_default() += 1.0 / answers.len() as f64;
            }
            counts
        });
        let places: BTreeSet<&String> = p.keys().chain(q.keys()).collect();
        assert_eq!(row.count("places"), places.len());
        let entropy = |shares: &dyn Fn(&String) -> f64| -> f64 {
            places
                .iter()
                .map(|place| shares(place))
                .filter(|x| *x > 0.0)
                .map(|x| -x * x.log2())
                .sum()
        };
        let of = |side: &BTreeMap<String, f64>, place: &String| side.get(place).copied().unwrap_or(0.0);
        // The entropy of the mixture minus the mean entropy.
        let divergence = entropy(&|place| (of(&p, place) + of(&q, place)) / 2.0)
            - (entropy(&|place| of(&p, place)) + entropy(&|place| of(&q, place))) / 2.0;
        assert_near(row.real("divergence_bits"), divergence, "divergence_bits");
        assert!((0.0..=1.0).contains(&row.real("divergence_bits")));
    }
}

/// A candidate release beside the one that answered.
pub async fn analytics_compare_shadows(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let given: BTreeMap<_, _> = world
        .answers
        .iter()
        .map(|answer| (answer.prediction.id, answer))
        .collect();
    let pairs: Vec<(&Answer, &Answer)> = world
        .answers
        .iter()
        .filter_map(|shadow| Some((given[&shadow.prediction.shadow_of?], shadow)))
        .collect();
    let km =
        |(one, other): &(&Answer, &Answer)| one.prediction.location.distance(other.prediction.location).get();

    let found = rows(&*catalog, "shadows").await;
    assert_eq!(found.len(), pairs.len());
    for row in &found {
        let pair = pairs
            .iter()
            .find(|(_, shadow)| shadow.prediction.id.to_string() == row.text("shadow"))
            .unwrap();
        assert_eq!(row.text("prediction"), pair.0.prediction.id.to_string());
        assert_near(row.real("distance_km"), km(pair), "distance_km");
        assert_eq!(
            row.text("same_geocell"),
            (pair.0.token() == pair.1.token()).to_string()
        );
        assert_eq!(row.optional("error_km").is_some(), pair.0.truth.is_some());
        if let (Some(error), Some(shadow_error)) = (pair.0.error_km(), pair.1.error_km()) {
            assert_near(row.real("error_km"), error, "error_km");
            assert_near(row.real("shadow_error_km"), shadow_error, "shadow_error_km");
        }
    }

    let found = rows(&*catalog, "shadow_agreement").await;
    let [row] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (row.text("release").as_str(), row.text("shadow_release").as_str()),
        ("autumn", "winter")
    );
    assert_eq!(row.count("answers"), pairs.len());
    assert_near(
        row.real("same_geocell"),
        share(&pairs, |(one, other)| one.token() == other.token()),
        "same_geocell",
    );
    let country = |answer: &Answer| {
        answer
            .prediction
            .place
            .as_ref()
            .map(|name| name.country_code.clone())
    };
    let same = share(&pairs, |(one, other)| {
        country(one).is_some() && country(one) == country(other)
    });
    assert_near(row.real("same_country"), same, "same_country");
    assert_near(
        row.real("within_25_km"),
        share(&pairs, |pair| km(pair) <= 25.0),
        "within_25_km",
    );
    assert_near(
        row.real("median_distance_km"),
        percentile(pairs.iter().map(km), 0.5),
        "median_distance_km",
    );
    let gain = mean(
        pairs
            .iter()
            .map(|(one, other)| other.prediction.confidence - one.prediction.confidence),
    );
    assert_near(row.real("mean_confidence_gain"), gain, "mean_confidence_gain");
    let errors: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|(one, other)| Some((one.error_km()?, other.error_km()?)))
        .collect();
    assert_eq!(row.count("truths"), errors.len());
    assert_eq!(
        row.count("shadow_nearer"),
        errors.iter().filter(|(one, other)| other < one).count()
    );
    assert_eq!(
        row.count("shadow_farther"),
        errors.iter().filter(|(one, other)| other > one).count()
    );
    assert_near(
        row.real("median_error_km"),
        percentile(errors.iter().map(|e| e.0), 0.5),
        "median_error_km",
    );
    assert_near(
        row.real("shadow_median_error_km"),
        percentile(errors.iter().map(|e| e.1), 0.5),
        "shadow_median",
    );
}

/// How much is asked, how long it takes, and what cannot be answered.
pub async fn analytics_tell_volume_latency_and_coverage(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let world = World::record(&*catalog).await;

    let groups = grouped(world.answers.iter(), |answer| {
        let prediction = &answer.prediction;
        let client = prediction.client.clone().unwrap_or_default();
        (
            answer.release().to_owned(),
            answer.day(),
            client,
            prediction.shadow_of.is_some().to_string(),
        )
    });
    let found = rows(&*catalog, "volume").await;
    assert_eq!(found.len(), groups.len());
    for row in &found {
        let answers = &groups[&(
            row.text("release"),
            row.text("day"),
            row.text("client"),
            row.text("shadow"),
        )];
        assert_eq!(row.count("answers"), answers.len());
        assert_eq!(
            row.count("truths"),
            answers.iter().filter(|answer| answer.truth.is_some()).count()
        );
        let unsure = answers
            .iter()
            .filter(|answer| answer.prediction.cannot_tell.is_some())
            .count();
        assert_eq!(row.count("cannot_tell"), unsure);
    }

    let days = grouped(world.answers.iter(), |answer| {
        (answer.release().to_owned(), answer.day())
    });
    let found = rows(&*catalog, "latency").await;
    assert_eq!(found.len(), 3 * days.len());
    for row in &found {
        let answers = &days[&(row.text("release"), row.text("day"))];
        let times: Vec<f64> = answers
            .iter()
            .map(|answer| answer.prediction.timings[&row.text("stage")])
            .collect();
        assert_eq!(row.count("answers"), times.len());
        assert_near(row.real("mean_ms"), mean(times.clone()), "mean_ms");
        for (column, share) in [
            ("p50_ms", 0.5),
            ("p90_ms", 0.9),
            ("p99_ms", 0.99),
            ("max_ms", 1.0),
        ] {
            assert_near(row.real(column), percentile(times.clone(), share), column);
        }
    }

    let by_release = grouped(world.answers.iter(), |answer| answer.release().to_owned());
    let found = rows(&*catalog, "coverage").await;
    assert_eq!(found.len(), by_release.len());
    for row in &found {
        let answers = &by_release[&row.text("release")];
        let unsure = share(answers, |answer| answer.prediction.cannot_tell.is_some());
        assert_near(row.real("cannot_tell_share"), unsure, "cannot_tell_share");
        let known: Vec<_> = answers.iter().filter(|answer| answer.truth.is_some()).collect();
        assert_eq!(
            (row.count("answers"), row.count("truths")),
            (answers.len(), known.len())
        );
        let truth = |answer: &Answer| answer.truth.as_ref().unwrap().location;
        let outside = share(&known, |answer| {
            world.geocell(world.levels.len() - 1, truth(answer)).is_none()
        });
        assert_near(row.real("outside"), outside, "outside");
        let among = share(&known, |answer| {
            let candidates = &answer.prediction.candidates;
            candidates
                .iter()
                .any(|candidate| candidate.token.contains_point(truth(answer)))
        });
        assert_near(row.real("among_candidates"), among, "among_candidates");
        let credible = share(&known, |answer| {
            let region = &answer.prediction.credible_region.geocells;
            region.iter().any(|token| token.contains_point(truth(answer)))
        });
        assert_near(row.real("credible_observed"), credible, "credible_observed");
        assert_near(row.real("credible_claimed"), 0.9, "credible_claimed");
    }
}
