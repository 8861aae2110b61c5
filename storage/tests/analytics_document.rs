//! docs/analytics.md says what is true: every view and column as the databases have them, and every worked query gives what an
//! independent count gives.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use chrono::Utc;
use futures::StreamExt;
use geosurge_storage::analytics::{AnalyticsQuery, Value as Cell, find, views};
use geosurge_storage::conformance::catalog::CatalogPlace;
use geosurge_storage::conformance::catalog::analytics::{Answer, World};
use geosurge_storage::{Catalog, SqliteCatalog};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Connection, PgConnection, Row, SqliteConnection, TypeInfo, ValueRef};
use support::Database;
use uuid::Uuid;

const DOCUMENT: &str = include_str!("../../docs/analytics.md");

/// The worked queries, in order.
fn queries() -> Vec<&'static str> {
    let (_, worked) = DOCUMENT.split_once("## Ten worked queries").unwrap();
    let blocks = worked.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn the_document_lists_every_view_and_column() {
    for view in views() {
        let heading = format!("\n### {}\n", view.name);
        let (_, section) = DOCUMENT
            .split_once(&heading)
            .unwrap_or_else(|| panic!("{heading} is missing"));
        let section = section
            .split("\n### ")
            .next()
            .unwrap()
            .split("\n## ")
            .next()
            .unwrap();
        assert!(section.contains(view.about), "{}: {}", view.name, view.about);
        let listed: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = view
            .columns
            .iter()
            .map(|column| {
                let kind = format!("{:?}", column.kind).to_lowercase();
                format!("| `{}` | {kind} | {} |", column.name, column.about)
            })
            .collect();
        assert_eq!(listed, expected, "{}", view.name);
    }
    assert_eq!(queries().len(), 10);
}

#[tokio::test]
async fn postgres_has_the_views_as_described_and_analysts_may_read_nothing_else() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    database.open().await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let rows = sqlx::query(
        "SELECT c.relname::text, a.attname::text, col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relnamespace = 'analytics_v1'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let found: Vec<[Option<String>; 4]> = rows
        .iter()
        .map(|row| [0, 1, 2, 3].map(|index| row.get::<Option<String>, _>(index)))
        .collect();
    let mut described: Vec<_> = views().collect();
    described.sort_by_key(|view| view.name);
    let described: Vec<[Option<String>; 4]> = described
        .into_iter()
        .flat_map(|view| {
            let row = move |column: &geosurge_storage::analytics::Column| {
                [view.name, column.name, column.about, view.about].map(|text| Some(text.to_owned()))
            };
            view.columns.iter().map(row)
        })
        .collect();
    assert_eq!(found, described);

    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT matviewname::text FROM pg_matviews WHERE schemaname = 'analytics_v1' ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut expected: Vec<String> = views()
        .filter(|view| view.cached)
        .map(|view| format!("{}_cached", view.name))
        .collect();
    expected.sort();
    assert_eq!(kept, expected);

    sqlx::query("SET ROLE geosurge_analyst")
        .execute(&mut connection)
        .await
        .unwrap();
    for view in views() {
        let sql = format!("SELECT * FROM analytics_v1.{}", view.name);
        sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut connection)
            .await
            .unwrap();
    }
    for denied in [
        "SELECT * FROM public.predictions",
        "SELECT * FROM public.ground_truth",
        "DELETE FROM analytics_v1.releases",
        "CREATE TABLE analytics_v1.mine ()",
    ] {
        let error = sqlx::query(denied).execute(&mut connection).await.unwrap_err();
        assert!(
            error.to_string().contains("permission denied"),
            "{denied}: {error}"
        );
    }
}

#[tokio::test]
async fn kept_rows_are_as_old_as_the_last_refresh() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.open().await.unwrap();
    let world = World::record(&*catalog).await;
    // The second time concurrently.
    for _ in 0..2 {
        let refreshed = catalog.refresh_analytics().await.unwrap();
        assert_eq!(refreshed.len(), views().filter(|view| view.cached).count());
        for one in &refreshed {
            let mut query = AnalyticsQuery::all(find(&one.view).unwrap());
            let plain = collect(&*catalog, &query).await;
            query.cached = true;
            let kept = collect(&*catalog, &query).await;
            assert!(!kept.is_empty() && kept.len() as i64 == one.rows, "{}", one.view);
            assert_eq!(kept.len(), plain.len(), "{}", one.view);
            for (kept, plain) in kept.iter().flatten().zip(plain.iter().flatten()) {
                // Means depend on the order of their terms, in the last digits.
                let same = match (kept, plain) {
                    (Cell::Real(kept), Cell::Real(plain)) => {
                        (kept - plain).abs() <= 1e-9 * plain.abs().max(1.0)
                    }
                    _ => kept == plain,
                };
                assert!(same, "{}: {kept:?} instead of {plain:?}", one.view);
            }
        }
    }
    let mut another = world.answers[0].prediction.clone();
    another.id = Uuid::now_v7();
    another.created_at = Utc::now();
    catalog.record_prediction(&another).await.unwrap();
    let mut query = AnalyticsQuery::all(find("coverage").unwrap());
    let plain = collect(&*catalog, &query).await;
    query.cached = true;
    assert_ne!(
        collect(&*catalog, &query).await,
        plain,
        "kept rows do not know of it yet"
    );
}

async fn collect(catalog: &dyn Catalog, query: &AnalyticsQuery) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut keep = |values: Vec<Cell>| {
        rows.push(values);
        ControlFlow::Continue(())
    };
    catalog.analytics(query, &mut keep).await.unwrap();
    rows
}

#[tokio::test]
async fn the_worked_queries_are_right_in_postgres() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.open().await.unwrap();
    let world = World::record(&*catalog).await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    for (index, query) in queries().into_iter().enumerate() {
        let query = query.trim().trim_end_matches(';');
        let sql = format!("SELECT to_jsonb(q) AS row FROM ({query}) AS q");
        let columns = expected_columns(index);
        let mut found = Vec::new();
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut connection);
        while let Some(row) = rows.next().await {
            let row: Value = row
                .unwrap_or_else(|error| panic!("query {}: {error}", index + 1))
                .get("row");
            found.push(columns.iter().map(|column| row[column].clone()).collect());
        }
        compare(index, &found, &expected(index, &world));
    }
}

#[tokio::test]
async fn the_worked_queries_are_right_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.sqlite");
    let catalog = SqliteCatalog::open(&file).await.unwrap();
    let world = World::record(&catalog as &dyn Catalog).await;
    let options = SqliteConnectOptions::new().filename(&file);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for (index, query) in queries().into_iter().enumerate() {
        let sql = query.replace("analytics_v1.", "analytics_v1_");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("query {}: {error}", index + 1));
        if let Some(row) = rows.first() {
            let names: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
            assert_eq!(names, expected_columns(index), "query {}", index + 1);
        }
        let found: Vec<Vec<Value>> = rows.iter().map(values).collect();
        compare(index, &found, &expected(index, &world));
    }
}

fn values(row: &SqliteRow) -> Vec<Value> {
    (0..row.len())
        .map(|index| {
            let kind = row.try_get_raw(index).unwrap().type_info().name().to_owned();
            match kind.as_str() {
                "NULL" => Value::Null,
                "INTEGER" => json!(row.get_unchecked::<i64, _>(index)),
                "REAL" => json!(row.get_unchecked::<f64, _>(index)),
                _ => json!(row.get_unchecked::<String, _>(index)),
            }
        })
        .collect()
}

fn compare(index: usize, found: &[Vec<Value>], expected: &[Vec<Value>]) {
    let query = index + 1;
    assert!(!expected.is_empty(), "query {query} has nothing to show");
    assert_eq!(
        found.len(),
        expected.len(),
        "query {query}: {found:?} instead of {expected:?}"
    );
    for (found, expected) in found.iter().zip(expected) {
        let same =
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| match (found.as_f64(), expected.as_f64()) {
                    (Some(found), Some(expected)) => {
                        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
                    }
                    _ => found == expected,
                });
        assert!(
            same && found.len() == expected.len(),
            "query {query}: {found:?} instead of {expected:?}"
        );
    }
}

fn expected_columns(index: usize) -> &'static [&'static str] {
    [
        &["release", "answers", "accuracy", "accuracy_low", "accuracy_high"][..],
        &["release", "answers", "within_25_km"],
        &["truth_country_code", "answers", "median_error_km", "same_country"],
        &["bin_low", "answers", "claimed", "observed"],
        &["truth_country_code", "country_code", "answers"],
        &["release", "answers", "first", "first_three"],
        &["token", "photos", "truths", "found", "mistakes"],
        &[
            "answers",
            "same_geocell",
            "truths",
            "shadow_nearer",
            "shadow_farther",
        ],
        &["cut", "answers", "within_200_km"],
        &["stage", "slowest_p99_ms"],
    ][index]
}

/// What the queries give, counted here.
fn expected(index: usize, world: &World) -> Vec<Vec<Value>> {
    let mut by_release: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
    for answer in world.known() {
        by_release.entry(answer.release()).or_default().push(answer);
    }
    let autumn = &by_release["autumn"];
    let hits =
        |answers: &[&Answer], km: f64| answers.iter().filter(|a| a.error_km() <= Some(km)).count() as f64;
    let truth = |answer: &Answer| answer.truth.as_ref().unwrap().location;
    let truth_code = |answer: &Answer| {
        let place = answer.truth.as_ref().unwrap().place.as_ref();
        place.map(|name| name.country_code.clone())
    };
    let code = |answer: &Answer| {
        answer
            .prediction
            .place
            .as_ref()
            .map(|name| name.country_code.clone())
    };
    match index {
        0 => by_release
            .iter()
            .map(|(release, answers)| {
                let (n, z) = (answers.len() as f64, 1.959_964_f64);
                let p = hits(answers, 25.0) / n;
                let middle = (p + 3.841_459 / (2.0 * n)) / (1.0 + 3.841_459 / n);
                let half = z * (p * (1.0 - p) / n + 3.841_459 / (4.0 * n * n)).sqrt() / (1.0 + 3.841_459 / n);
                vec![
                    json!(release),
                    json!(answers.len()),
                    json!(p),
                    json!(middle - half),
                    json!(middle + half),
                ]
            })
            .collect(),
        1 => by_release
            .iter()
            .filter_map(|(release, answers)| {
                let late: Vec<&Answer> = answers
                    .iter()
                    .copied()
                    .filter(|a| *a.day() >= *"2026-11-21")
                    .collect();
                let share = hits(&late, 25.0) / late.len() as f64;
                (!late.is_empty()).then(|| vec![json!(release), json!(late.len()), json!(share)])
            })
            .collect(),
        2 => {
            let codes: BTreeSet<String> = autumn.iter().filter_map(|answer| truth_code(answer)).collect();
            let mut rows: Vec<(f64, Vec<Value>)> = codes
                .into_iter()
                .filter_map(|country| {
                    let those: Vec<&&Answer> = autumn
                        .iter()
                        .filter(|answer| truth_code(answer).as_ref() == Some(&country))
                        .collect();
                    let mut errors: Vec<f64> = those.iter().filter_map(|answer| answer.error_km()).collect();
                    errors.sort_by(f64::total_cmp);
                    let middle = (errors[(errors.len() - 1) / 2] + errors[errors.len() / 2]) / 2.0;
                    let same = those
                        .iter()
                        .filter(|answer| code(answer).as_ref() == Some(&country))
                        .count();
                    let share = same as f64 / those.len() as f64;
                    let row = vec![json!(country), json!(those.len()), json!(middle), json!(share)];
                    (those.len() >= 5).then_some((middle, row))
                })
                .collect();
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows.into_iter().map(|(_, row)| row).collect()
        }
        3 => (0..10)
            .filter_map(|bin| {
                let inside: Vec<&&Answer> = autumn
                    .iter()
                    .filter(|answer| ((answer.prediction.within[1] * 10.0).floor() as usize).min(9) == bin)
                    .collect();
                let n = inside.len() as f64;
                let claimed = inside
                    .iter()
                    .map(|answer| answer.prediction.within[1])
                    .sum::<f64>()
                    / n;
                let observed = inside
                    .iter()
                    .filter(|answer| answer.error_km() <= Some(25.0))
                    .count() as f64
                    / n;
                let row = vec![
                    json!(bin as f64 / 10.0),
                    json!(inside.len()),
                    json!(claimed),
                    json!(observed),
                ];
                (!inside.is_empty()).then_some(row)
            })
            .collect(),
        4 => {
            let mut pairs: BTreeMap<(String, String), i64> = BTreeMap::new();
            for answer in autumn {
                if let (Some(true_one), Some(said)) = (truth_code(answer), code(answer))
                    && true_one != said
                {
                    *pairs.entry((true_one, said)).or_default() += 1;
                }
            }
            let mut pairs: Vec<_> = pairs.into_iter().collect();
            pairs.sort_by_key(|(pair, count)| (-count, pair.clone()));
            pairs
                .into_iter()
                .take(10)
                .map(|((true_one, said), count)| vec![json!(true_one), json!(said), json!(count)])
                .collect()
        }
        5 => by_release
            .iter()
            .map(|(release, answers)| {
                let among = |first: usize| {
                    let holds = |answer: &&&Answer| {
                        let candidates = answer.prediction.candidates.iter().take(first);
                        candidates
                            .into_iter()
                            .any(|candidate| candidate.token.contains_point(truth(answer)))
                    };
                    answers.iter().filter(holds).count() as f64 / answers.len() as f64
                };
                vec![
                    json!(release),
                    json!(answers.len()),
                    json!(among(1)),
                    json!(among(3)),
                ]
            })
            .collect(),
        6 => {
            let finest = world.levels.len() - 1;
            let true_cell = |answer: &Answer| world.geocell(finest, truth(answer));
            let mut rows: Vec<(i64, String, Vec<Value>)> = world.levels[finest]
                .iter()
                .filter(|record| record.photos < 400)
                .map(|record| {
                    let token = Some(record.token);
                    let taken = autumn.iter().filter(|answer| true_cell(answer) == token).count() as i64;
                    let given = autumn.iter().filter(|answer| answer.token() == token).count() as i64;
                    let both = |answer: &&&Answer| true_cell(answer) == token && answer.token() == token;
                    let right = autumn.iter().filter(both).count() as i64;
                    let (name, mistakes) = (record.token.token(), taken + given - 2 * right);
                    let row = vec![
                        json!(name),
                        json!(record.photos),
                        json!(taken),
                        json!(right),
                        json!(mistakes),
                    ];
                    (mistakes, name, row)
                })
                .filter(|(_, _, row)| row[2] != 0 || row[4] != 0)
                .collect();
            rows.sort_by_key(|(mistakes, name, _)| (-mistakes, name.clone()));
            rows.into_iter().take(5).map(|(_, _, row)| row).collect()
        }
        7 => {
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
            let same = pairs
                .iter()
                .filter(|(one, other)| one.token() == other.token())
                .count();
            let known: Vec<_> = pairs.iter().filter(|(one, _)| one.truth.is_some()).collect();
            let nearer = known
                .iter()
                .filter(|(one, other)| other.error_km() < one.error_km())
                .count();
            let farther = known
                .iter()
                .filter(|(one, other)| other.error_km() > one.error_km())
                .count();
            let share = same as f64 / pairs.len() as f64;
            vec![vec![
                json!(pairs.len()),
                json!(share),
                json!(known.len()),
                json!(nearer),
                json!(farther),
            ]]
        }
        8 => [0.0, 0.25, 0.5, 0.75]
            .into_iter()
            .map(|cut| {
                let sure: Vec<&Answer> = autumn
                    .iter()
                    .copied()
                    .filter(|a| a.prediction.confidence >= cut)
                    .collect();
                vec![
                    json!(cut),
                    json!(sure.len()),
                    json!(hits(&sure, 200.0) / sure.len() as f64),
                ]
            })
            .collect(),
        9 => {
            let mut rows: Vec<(f64, Vec<Value>)> = ["queue", "encode"]
                .into_iter()
                .map(|stage| {
                    let mut days: BTreeMap<String, Vec<f64>> = BTreeMap::new();
                    for answer in world.answers.iter().filter(|answer| answer.release() == "autumn") {
                        days.entry(answer.day())
                            .or_default()
                            .push(answer.prediction.timings[stage]);
                    }
                    let slowest = days
                        .into_values()
                        .map(|mut times| {
                            times.sort_by(f64::total_cmp);
                            let position = 0.99 * (times.len() - 1) as f64;
                            let (below, above) = (position.floor() as usize, position.ceil() as usize);
                            times[below] + (times[above] - times[below]) * position.fract()
                        })
                        .fold(0.0, f64::max);
                    (slowest, vec![json!(stage), json!(slowest)])
                })
                .collect();
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows.into_iter().map(|(_, row)| row).collect()
        }
        other => panic!("no expectation of query {}", other + 1),
    }
}
