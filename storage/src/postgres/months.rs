//! The months that predictions are kept by.

use chrono::{DateTime, Months, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{query, query_as, query_scalar};

use super::attempt::Failure;

/// Months that are made ahead of the present one.
pub(super) const MONTHS_AHEAD: u32 = 12;

/// A month's partition of `predictions`.
#[derive(Clone, Debug)]
pub(super) struct Month {
    /// What the names of its four tables end with, e.g. `_y2026m11`.
    pub(super) suffix: String,
    /// Its first moment.
    pub(super) begins: DateTime<Utc>,
    /// The first moment of the next one.
    pub(super) ends: DateTime<Utc>,
}

/// Makes the present month and those ahead; returns how many were made. Predictions that the default partition took for want
/// of their month are moved, as far as their month is one of these.
pub(super) async fn make_ahead(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, Failure> {
    let mut made = 0;
    for ahead in 0..=MONTHS_AHEAD {
        let Some(moment) = now.checked_add_months(Months::new(ahead)) else {
            break;
        };
        // Each by itself: a month needs locks that are better not held for all of them.
        let new = query_scalar!(r#"SELECT geosurge_make_month($1) AS "made!""#, moment)
            .fetch_one(&mut *connection)
            .await?;
        made += u64::from(new);
    }
    Ok(made)
}

/// The months that there are, oldest first.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<Month>, Failure> {
    let months = query_as!(
        Month,
        r#"SELECT suffix AS "suffix!", begins AT TIME ZONE 'UTC' AS "begins!",
                  (begins + interval '1 month') AT TIME ZONE 'UTC' AS "ends!"
           FROM (
               SELECT substr(relname, length('predictions') + 1) AS suffix,
                      to_timestamp(substr(relname, length('predictions_y') + 1), 'YYYY"m"MM') AT TIME ZONE 'UTC' AS begins
               FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
               WHERE inhparent = 'predictions'::regclass AND relname ~ '^predictions_y\d{4}m\d{2}$'
           ) AS months ORDER BY begins"#
    )
    .fetch_all(connection)
    .await?;
    Ok(months)
}

/// Rows that no month took.
pub(super) async fn strays(connection: &mut PgConnection) -> Result<i64, Failure> {
    let row = query!(r#"SELECT count(*) AS "strays!" FROM predictions_other"#)
        .fetch_one(connection)
        .await?;
    Ok(row.strays)
}
